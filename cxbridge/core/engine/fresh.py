"""Asks a vendor once what several writes that come next would each ask before they write: whether they were made already.

Only a first attempt goes by that: what was tried before, and may have been done, is looked for by itself each time.
"""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Action
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.settle import told_of
from cxbridge.core.engine.soundness import blaming
from cxbridge.core.errors import PluginError, Retryable, Unauthorized
from cxbridge.core.http import Client
from cxbridge.core.ledger import Delivery
from cxbridge.core.logs import structlog

# So many markers are asked for with one request, as `cxbridge.core.connector.Action` says.
MOST = 50
# For so many seconds what was told is gone by.
GOOD_FOR = 5.0

_log = structlog.get_logger("cxbridge")


@dataclass(slots=True)
class Fresh:
    """What is known of the markers of one turn; share it among the threads that work at it.

    `few` says at how many less that are known more are asked for in time: none where nobody waits for it.
    """

    connection: Connection
    client: Client
    clock: Clock
    few: Callable[[], int] = lambda: 0
    # Until when nothing is known to carry a marker, by the monotonic clock; 0 for one that something may carry.
    _told: dict[str, float] = field(default_factory=dict)
    # The actions of those that somebody has in hand, by marker.
    _wanted: dict[str, str] = field(default_factory=dict)
    _off: bool = False
    _asking: threading.Lock = field(default_factory=threading.Lock)

    def expect(self, delivery: Delivery) -> None:
        """Note that it will soon be asked about a delivery, until `forget` or `is_new`."""
        if _is_first(delivery):
            self._wanted[delivery.marker] = delivery.action

    def forget(self, delivery: Delivery) -> None:
        """Note that it will not be asked about one any more."""
        self._wanted.pop(delivery.marker, None)

    def is_new(self, action: Action, delivery: Delivery, next_ones: Callable[[], Iterable[Delivery]]) -> bool:
        """Whether nothing carries the marker of one that is sent now, as was told within `GOOD_FOR` seconds; told once.

        Where that is not known, it is asked together with what is expected and with `next_ones`; and of these as soon as few are
        known, so that nobody waits for it. False where it cannot be known.
        """
        if action.planted is None or self._off or not _is_first(delivery):
            return False
        marker = delivery.marker
        if self._is_known(marker):
            until = self._told.pop(marker, 0)
            self.forget(delivery)
            if len(self._told) < self.few() and self._asking.acquire(blocking=False):
                try:
                    self._ask(action, [], next_ones)
                finally:
                    self._asking.release()
        else:
            with self._alone():
                if not self._is_known(marker):
                    self._ask(action, [marker], next_ones)
                until = self._told.pop(marker, 0)
                self.forget(delivery)
        return self.clock.monotonic() < until

    def _is_known(self, marker: str) -> bool:
        until = self._told.get(marker)
        return until is not None and (not until or self.clock.monotonic() < until)

    def _ask(self, action: Action, own: Sequence[str], next_ones: Callable[[], Iterable[Delivery]]) -> None:
        wanted = [one for one, name in tuple(self._wanted.items()) if name == action.name]
        coming = [one.marker for one in next_ones() if one.action == action.name and _is_first(one)]
        asked = [one for one in dict.fromkeys([*own, *wanted, *coming]) if not self._is_known(one)][:MOST]
        if len(asked) < 2 or action.planted is None:  # one looks for itself, which comes to the same
            return
        until = self.clock.monotonic() + GOOD_FOR
        try:
            with blaming(self.connection.connector.name, f"{action.name} of {self.connection.name}"):
                planted = set(action.planted(self.client, asked))
            if not planted.issubset(asked):
                # As where it gives what it found in place of the markers: taken for an answer, all would be new.
                raise PluginError(
                    self.connection.connector.name, f"{action.name} has planted name what was not asked for"
                )
        except Exception as error:  # noqa: BLE001  # whatever it was, each looks for itself, and meets it where it is dealt with
            self._off = True
            # A vendor that fails or is left alone is told of by whoever looks next.
            level = "debug" if isinstance(error, Retryable | Unauthorized) else "warning"
            told = {"connection": self.connection.name, "action": action.name, "error": told_of(error)}
            getattr(_log, level)("push.one_by_one", **told)
            return
        self._told |= {one: 0.0 if one in planted else until for one in asked}

    @contextmanager
    def _alone(self) -> Iterator[None]:
        # Whoever comes while another one asks is mostly told by its answer.
        if not self._asking.acquire(blocking=False):
            with BATON.away():
                self._asking.acquire()
        try:
            yield
        finally:
            self._asking.release()


def _is_first(delivery: Delivery) -> bool:
    return delivery.attempts == 0 and delivery.state != "unknown"
