"""The log of what was asked of the simulated vendors and what it caused. Never derived from cxbridge's own tables.

Tests and the demo judge by it: an effect is written in the same locked step that changes a vendor's state, so a reply
that was lost on the way does not hide what it did.
"""

import threading
from collections import Counter
from typing import Any, Literal

import msgspec

from cxbridge.sandbox.clock import SandboxClock

Via = Literal["api", "ui", "seed"]


class Request(msgspec.Struct, frozen=True, tag="request", tag_field="entry", kw_only=True):
    """One HTTP exchange, from `began` to `t`.

    `status` is what the vendor decided; 0 if a fault cut the connection before it could. `date` is what the answer said of the
    vendor's own clock. Of an answer that is `unheard` nothing arrived: its client had gone, or a fault kept all of it back.
    """

    seq: int
    t: float
    vendor: str
    method: str
    path: str
    query: str
    status: int
    actor: str
    body_bytes_len: int
    request_headers: dict[str, str]
    fault: str = ""
    retry_after: str = ""
    date: str = ""
    unheard: bool = False
    began: float = 0.0


class Effect(msgspec.Struct, frozen=True, tag="effect", tag_field="entry", kw_only=True):
    """One change of a vendor's state, or a write that changed nothing (kind `noop`)."""

    seq: int
    t: float
    vendor: str
    kind: str
    key: str
    actor: str
    via: Via
    detail: dict[str, Any]


class Journal:
    """Append-only and safe to use from any thread; entries are numbered from 1 in the order they happened."""

    def __init__(self, clock: SandboxClock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: list[Request | Effect] = []
        self._effects: list[Effect] = []

    def request(
        self,
        vendor: str,
        method: str,
        path: str,
        query: str,
        status: int,
        actor: str,
        body_bytes_len: int,
        request_headers: dict[str, str],
        t: float | None = None,
        fault: str = "",
        retry_after: str = "",
        date: str = "",
        unheard: bool = False,
        began: float | None = None,
    ) -> None:
        with self._lock:
            self._entries.append(
                Request(
                    seq=len(self._entries) + 1,
                    t=self._clock.true_time() if t is None else t,
                    vendor=vendor,
                    method=method,
                    path=path,
                    query=query,
                    status=status,
                    actor=actor,
                    body_bytes_len=body_bytes_len,
                    request_headers=request_headers,
                    fault=fault,
                    retry_after=retry_after,
                    date=date,
                    unheard=unheard,
                    began=self._clock.true_time() if began is None else began,
                )
            )

    def effect(self, vendor: str, kind: str, key: str, actor: str, via: Via = "api", **detail: Any) -> None:
        """Log a change of state. Simulators call it while they hold the world's lock."""
        with self._lock:
            entry = Effect(
                seq=len(self._entries) + 1,
                t=self._clock.true_time(),
                vendor=vendor,
                kind=kind,
                key=key,
                actor=actor,
                via=via,
                detail=detail,
            )
            self._entries.append(entry)
            self._effects.append(entry)

    def entries(self, since: int = 0) -> list[Request | Effect]:
        """Everything logged after entry number `since`."""
        with self._lock:
            return self._entries[since:]

    def requests(self, vendor: str | None = None) -> list[Request]:
        with self._lock:
            return [e for e in self._entries if isinstance(e, Request) and (vendor is None or e.vendor == vendor)]

    def effects(self, kind: str | None = None, via: Via | None = None, vendor: str | None = None) -> list[Effect]:
        with self._lock:
            return [
                e
                for e in self._effects
                if (kind is None or e.kind == kind)
                and (via is None or e.via == via)
                and (vendor is None or e.vendor == vendor)
            ]

    def writes(self, actor: str | None = None) -> list[Effect]:
        """Effects that came in over a vendor's API, those that changed nothing included."""
        return [e for e in self.effects(via="api") if actor is None or e.actor == actor]

    def counts(self, via: Via | None = None) -> dict[str, int]:
        """How many effects there are of each kind, as `vendor:kind`."""
        return dict(Counter(f"{e.vendor}:{e.kind}" for e in self.effects(via=via)))

    def __len__(self) -> int:
        with self._lock:
            return len(self._entries)
