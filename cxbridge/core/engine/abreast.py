"""Does the deliveries of one connection in several threads, each of which begins the next one as soon as it is free.

What a delivery is, and what is due, is for others to say.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, field

from cxbridge.core.baton import BATON
from cxbridge.core.ledger import Delivery

# How many that are due are read at once.
BATCH = 50
# After so many seconds in which nothing ended a thread that has nothing to do looks whether there is something to be done beside,
# and one that holds still goes on with the others in place of the one that works alone.
_IDLE = 0.25


@dataclass(slots=True)
class Abreast:
    """One turn of a connection.

    `due` gives up to so many deliveries that may be begun (those in hand, which it may give once more, are passed over), `deliver`
    does one, `over` says to begin no more. `due` and `over` are called by one thread at a time. While it does one, `deliver` may
    take `some` more of the turn that it is given, and give one of them if it has begun it: the same thread goes on with it,
    whatever `over` says by then. `beside` is called now and then by threads that have nothing else to do while others have. As long
    as `alone` says that one thread does more than several would, as where nothing is waited for, the others hold still unless it is
    held up.
    """

    name: str
    most: int
    due: Callable[[int], Sequence[Delivery]]
    deliver: Callable[["Abreast", Delivery], Delivery | None]
    over: Callable[[], bool]
    beside: Callable[[], None] = lambda: None
    alone: Callable[[], bool] = lambda: False
    _waiting: deque[Delivery] = field(default_factory=deque)
    _in_hand: set[str] = field(default_factory=set)
    _helpers: list[threading.Thread] = field(default_factory=list)
    _failed: list[BaseException] = field(default_factory=list)
    # Threads that are at work, and those of them that are held up. How many deliveries ended so far.
    _at_work: set[int] = field(default_factory=set)
    _held_up: set[int] = field(default_factory=set)
    _ended: int = 0
    # Whether something may be due that was not given yet: it was not asked for since a delivery ended.
    _unasked: bool = True
    # Whether more was due, when it was last asked, than was given.
    _plenty: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def run(self) -> None:
        """Work until nothing is due and nothing is in hand, or `over` says so; raises what a delivery failed with."""
        # The thread that asked does its share.
        self._work()
        with BATON.away():
            while self._helpers:
                self._helpers.pop().join()
        if self._failed:
            raise self._failed[0]

    def some(self, most: int) -> list[Delivery]:
        """Take up to so many more that are known to be due, for the thread that is about to have done one.

        Unless `deliver` gives it, `not_begun` gives each back, or `done` says that there is nothing left to do about it.
        """
        with self._changed:
            if self._failed or self.over():
                return []
            if self._plenty and len(self._waiting) < max(most, self._few()):
                self._ask()
            taken = [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]
            self._in_hand.update(one.id for one in taken)
            if taken:
                self._call_help()
            return taken

    def waiting(self) -> list[Delivery]:
        """Give those that are known to be due and that nobody has in hand, first come first."""
        with self._changed:
            return list(self._waiting)

    def not_begun(self, some: Sequence[Delivery]) -> None:
        """Let whoever is free first do those that were taken, in this order."""
        if some:
            with self._changed:
                self._in_hand.difference_update(one.id for one in some)
                self._waiting.extendleft(reversed(some))
                self._call_help()
                self._notify()

    def done(self, one: Delivery) -> None:
        """Note that one is not in hand any more, and that others may be due since."""
        with self._changed:
            self._in_hand.discard(one.id)
            self._unasked = True
            self._ended += 1
            self._notify()

    def _work(self) -> None:
        try:
            while (one := self._next()) is not None:
                BATON.back()
                while one is not None:
                    try:
                        begun = self.deliver(self, one)
                    finally:
                        self.done(one)
                    one = begun
        except BaseException as error:  # noqa: BLE001  # raised again where the turn began
            with self._changed:
                self._failed.append(error)
                self._changed.notify_all()

    def _next(self) -> Delivery | None:
        """Wait for one to do; None where there is nothing more to do for anybody."""
        me = threading.get_ident()
        while True:
            idle = False
            with self._changed:
                self._held_up.discard(me)
                while not (self._failed or self.over()):
                    # Whoever has just done one goes on, before another one could take its place.
                    if self._at_work - self._held_up - {me} and self.alone():
                        self._at_work.discard(me)
                        ended = self._ended
                        BATON.leave()
                        if not self._changed.wait(_IDLE) and self._ended == ended:
                            self._held_up |= self._at_work
                        continue
                    if self._unasked and len(self._waiting) < (self._few() if self._plenty else 1):
                        self._ask()
                    if self._waiting:
                        one = self._waiting.popleft()
                        self._in_hand.add(one.id)
                        self._at_work.add(me)
                        self._call_help()
                        return one
                    self._at_work.discard(me)
                    if not self._in_hand:
                        break
                    # What is in hand may make more due: the next step of its run, or whatever waited behind it.
                    BATON.leave()
                    if not self._changed.wait(_IDLE):
                        idle = True
                        break
                if not idle:
                    self._at_work.discard(me)
                    self._changed.notify_all()
                    return None
            BATON.back()
            self.beside()

    def _few(self) -> int:
        """Say at how many less are waiting than are asked for in time: several threads must not all come to the end at once."""
        return 1 if self.alone() else 2 * self.most

    def _ask(self) -> None:
        known = self._in_hand.union(one.id for one in self._waiting)
        most = BATCH + len(known)
        found = self.due(most)
        self._plenty = len(found) == most
        self._waiting.extend(one for one in found if one.id not in known)
        self._unasked = bool(self._waiting)

    def _notify(self) -> None:
        # Who holds still looks by itself now and then: to be woken each time would cost more than what is done.
        if not self.alone():
            self._changed.notify_all()

    def _call_help(self) -> None:
        if self._waiting and len(self._helpers) < (min(1, self.most - 1) if self.alone() else self.most - 1):
            # The others must not keep the process from ending.
            taking_part, work = BATON.for_helpers(), copy_context().run

            def help_too() -> None:
                with taking_part():
                    self._work()

            helper = threading.Thread(target=work, args=(help_too,), name=f"push {self.name}", daemon=True)
            self._helpers.append(helper)
            helper.start()
