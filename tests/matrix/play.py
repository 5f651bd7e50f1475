"""A cell under way: faults put in force, cycles as the daemon goes through them, and the judgement at the end; chooses no fault."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

from cxbridge.core.connector import Retryable, VendorError
from cxbridge.core.store import checkpoints, outbox, planning, state
from cxbridge.sandbox.checker import Due, Expected, judge
from tests.matrix.benches import Bench, Smaller
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks
from tests.reliability.stage import MINUTE, Ground, Stage

SECRETS = ("sandbox-token", "sandbox-signing-secret")
# Longer than the eight tries of a recipe that says nothing else take in all.
_PATIENCE = timedelta(days=3)
_MOST_CYCLES = 80


class Play:
    """One play of a cell. `errors` are what pulls ended with; `dues` what must have come of what people did."""

    def __init__(self, bench: Bench, stage: Stage, seed: int) -> None:
        self.bench = bench
        self.stage = stage
        self._seed = seed
        self.random = Random(seed)
        self.errors: list[VendorError] = []
        self.dues: list[Due] = []
        self._failed: list[VendorError] = []
        self._since = len(stage.world.journal)
        self._numbers = iter(range(1, 10))

    # -- faults ----------------------------------------------------------------------------------------------------

    def fault(
        self, name: str, path: str, method: str | None = None, *, times: int | None = 1, after: int = 0, **params: Any
    ) -> None:
        """Put a fault in force at the bench's vendor."""
        self.stage.world.faults.add(
            name, self.bench.vendor, path_regex=path, method=method, times=times, after=after, **params
        )

    def bad_read(self, name: str, *, times: int | None = 1, after: int = 0, **params: Any) -> None:
        """Let a fault strike the reading of the stream in which it is seen what people did."""
        self.fault(name, self.bench.reads.path, self.bench.reads.method, times=times, after=after, **params)

    def bad_list(self, name: str, *, times: int | None = 1, after: int = 0, **params: Any) -> None:
        """Let a fault strike the reading of a stream that comes as pages of JSON."""
        self.fault(name, self.bench.listed.path, self.bench.listed.method, times=times, after=after, **params)

    def bad_writes(self, name: str, *, times: int | None = 1, **params: Any) -> None:
        """Let a fault strike the write of either step, each `times` times."""
        for path, method in dict.fromkeys(self.bench.writes):
            both = self.bench.writes[0] == self.bench.writes[1]
            # With other seeds it is another write that is met.
            after = self.random.randint(0, 1) if self._seed else 0
            self.fault(
                name, path, method, times=times if not both or times is None else 2 * times, after=after, **params
            )

    def heal(self) -> None:
        """Take all faults away."""
        self.stage.world.faults.clear()

    # -- what goes on ----------------------------------------------------------------------------------------------

    def people(self, count: int = 0) -> None:
        """Let people do so many things, and let the time pass in which the vendor does not show them yet.

        Without a number they do one, or at the beginning as many as the seed has it.
        """
        for _ in range(count or (1 if self.dues else 1 + self._seed % 3)):
            self.dues += self.bench.happens(self.stage, next(self._numbers))
        self.stage.network.advance(MINUTE)

    def paused(self) -> bool:
        """Whether the connection is held until a person acts."""
        with self.stage.bridge.store.read() as tx:
            return self.bench.vendor in state.pauses(tx)

    def pull(self) -> list[VendorError]:
        """Pull what the bench reads, as the daemon does: nothing of a connection that is paused."""
        self._failed = []
        if self.paused():
            return []
        failed: list[VendorError] = []
        for stream in dict.fromkeys((self.bench.listed.stream, self.bench.reads.stream)):
            try:
                self.stage.bridge.pull(self.bench.vendor, stream)
            except VendorError as error:
                failed.append(error)
                if self.paused():
                    break
        self.errors += failed
        self._failed = failed
        return failed

    def cycle(self) -> int:
        """Pull, plan, push; then a minute passes. Gives how many deliveries were confirmed."""
        try:
            self.stage.inbox()
        except VendorError as error:
            # What a webhook named waits in the store until the vendor can be asked.
            self.errors.append(error)
        self.pull()
        self.stage.bridge.plan()
        done = self.stage.push()
        self.stage.network.advance(MINUTE)
        return done

    def rest(self) -> None:
        """Go on until nothing is left to do, moving on to when something is due again."""
        deadline = self.now() + _PATIENCE
        for _ in range(_MOST_CYCLES):
            done = self.stage.surviving(self.cycle)
            if not done and self.stage.at_rest() and self.seen():
                return
            assert self.now() < deadline, f"still undecided after {_PATIENCE}: {self.stage.open_work()}"
            due = self._next_try()
            if not done and due is not None and due > self.now():
                self.stage.network.advance((due - self.now()).total_seconds())
        raise AssertionError(
            f"still undecided after {_MOST_CYCLES} cycles: {self.stage.open_work()} {self.errors[-3:]}"
        )

    def seen(self) -> bool:
        """Whether everything that people did has begun something."""
        return len(self.stage.runs(limit=1000)) >= len(self.dues) // 2

    def now(self) -> datetime:
        """The time by the daemon's clock."""
        return self.stage.clock.now()

    def undoubt(self) -> None:
        """Push alone, at the very moments at which something is due."""
        for _ in range(60):
            self.stage.push()
            due = self._next_due()
            if due is None:
                return
            self.stage.network.advance(max(0.01, (due - self.now()).total_seconds()))
        raise AssertionError(f"still undecided: {self.stage.open_work()}")

    def _next_try(self) -> datetime | None:
        """When something is due again, or may be asked for again."""
        told = [one.retry_at for one in self._failed if isinstance(one, Retryable) and one.retry_at is not None]
        return min([one for one in (self._next_due(), *told) if one is not None], default=None)

    def _next_due(self) -> datetime | None:
        with self.stage.bridge.store.read() as tx:
            return outbox.next_due(tx, self.bench.vendor)

    # -- evidence --------------------------------------------------------------------------------------------------

    def place(self, stream: str = "") -> Any:
        """How far a stream was read, by its checkpoint; the bench's own where none is named."""
        with self.stage.bridge.store.read() as tx:
            found = checkpoints.get(tx, self.bench.vendor, stream or self.bench.reads.stream)
        if found is None:
            return None
        return found.cursor if stream not in ("", self.bench.reads.stream) else self.bench.place(found.cursor)

    def pull_one(self, stream: str = "") -> VendorError | None:
        """Pull one stream, the bench's own where none is named; gives what it ended with."""
        try:
            self.stage.bridge.pull(self.bench.vendor, stream or self.bench.reads.stream)
        except VendorError as error:
            return error
        return None

    def refused(self, stream: str = "") -> list[str]:
        """Why records of a stream could not be read."""
        with self.stage.bridge.store.read() as tx:
            told = planning.tallies(tx, f"{self.bench.vendor}/{stream or self.bench.reads.stream}")
        return [what for what in told if what.startswith("refused")]

    def requests(self, *, status: int | None = None, path: str = "") -> list[Any]:
        """What was asked of the vendor since the cell began."""
        return [
            one
            for one in self.stage.world.journal.requests(self.bench.vendor)
            if one.seq > self._since and (status is None or one.status == status) and re.search(path, one.path)
        ]

    def judge(self, *, whole: bool = True) -> None:
        """Say what is wrong, by the vendor's log first and then by our own tables.

        `whole`: all that lies behind the checkpoint must be stored, as where no record was refused on purpose.
        """
        began = len(self.stage.world.journal)
        self.stage.surviving(self.cycle)
        found = judge(self.stage.world, Expected(since=self._since, dues=self.dues, quiet_since=began))
        found += judge_store(self.stage.bridge.store, journal=self.stage.world.journal, at_rest=True)
        if whole:
            found += checkpoint_ahead(self.stage.bridge, [(self.bench.vendor, self.bench.listed.stream)])
        found += leaks(self.stage.folder, SECRETS)
        dead = [one for one in self.stage.deliveries(limit=1000) if one.state in ("dead", "held")]
        told = [str(one) for one in found] + [f"{one.action} is {one.state}: {one.error}" for one in dead]
        assert not told, "\n".join(told)

    def ends_well(self, *, whole: bool = True) -> None:
        """Rest; let more happen, and see that it is carried over as well, and that everything happened once."""
        self.rest()
        self.heal()
        self.people()
        self.rest()
        self.judge(whole=whole)


@contextmanager
def playing(ground: Ground, bench: Bench, seed: int, crash_at: Sequence[int] = ()) -> Iterator[Play]:
    """Give a cell its stage; at the beginning nothing is new, and everything there was read once."""
    with ground.stage(bench.setting, crash_at) as stage:
        if bench.smaller:
            transport = stage.network.transport

            def smaller(vendor: str) -> Any:
                return Smaller(transport(vendor), bench.smaller)

            stage.network.transport = smaller  # type: ignore[method-assign]
            stage.bridge.clients.transport_of = smaller
        stage.bridge.pusher.random.seed(seed)
        stage.start()
        yield Play(bench, stage, seed)


@dataclass(frozen=True)
class Table:
    """What a cell is played with. What is drawn by lot comes from the seed, so that each seed strikes elsewhere."""

    ground: Ground
    bench: Bench
    seed: int

    @contextmanager
    def playing(self, crash_at: tuple[int, ...] = ()) -> Iterator[Play]:
        """Begin a play."""
        with playing(self.ground, self.bench, self.seed, crash_at) as play:
            yield play
