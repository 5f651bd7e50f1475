"""All that recipes take part in, put together: the recipes, what plans, what pushes. Knows no vendor and no command.

Whoever only pulls, looks or checks a connection never loads it.
"""

from collections.abc import Callable, Mapping

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.config import Configuration
from cxbridge.core.engine import identity
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.connections import Connection, Probe
from cxbridge.core.engine.identity import Identifier
from cxbridge.core.engine.inbox import Work
from cxbridge.core.engine.judging import Judge
from cxbridge.core.engine.library import Library
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.push import Pusher
from cxbridge.core.engine.pushed import OnSettled
from cxbridge.core.engine.rematching import Rematcher
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.surroundings import surroundings
from cxbridge.core.engine.sweep import Sweeper
from cxbridge.core.engine.tidy import Tidier
from cxbridge.core.engine.waking import Waker
from cxbridge.core.store import Store

# How often, in seconds, it is looked what else is due, while changes come one by one; where none come, each time.
LOOK_EVERY = 1.0


class Workshop:
    """What an opened cxbridge plans and pushes with. Making it reads the recipes, and nothing from the store."""

    def __init__(
        self,
        configuration: Configuration,
        connections: Mapping[str, Connection],
        store: Store,
        clock: Clock,
        identifier: Identifier,
        *,
        instance: bytes,
        probe: Probe,
        on_settled: OnSettled | None,
    ) -> None:
        self._clock, self._look_at = clock, 0.0
        self.library = Library(
            configuration, connections, store, surroundings(configuration, Judge(configuration.registry)), clock
        )
        self.library.refresh()
        self.inbox = Work(store, connections, clock)
        self.stepper = Stepper(connections, instance, quarantine=configuration.settings.contacts.quarantine)
        self.identifier = identifier
        self.planner = Planner(store, self.stepper, clock, self.library.of_run, probe, self.identifier.catch_up)
        self.rematcher = Rematcher(store, self.planner, clock)
        self.sweeper = Sweeper(store, self.planner, clock)
        self.pusher = Pusher(
            store, self.stepper, clock, self.library.of_run, probe, on_settled, keep_up=self.library.keep_up
        )
        self.waker = Waker(store, self.pusher.settler, clock, self.library.of_run, probe)
        self.tidier = Tidier(store, clock, configuration.settings.store.keep_changes, probe)

    def plan(self, on_batch: Callable[[Planned], None] | None = None, fresh: int = 0) -> Planned:
        """Find out who is who, let all changes meet all recipes, fire what is due, move on the runs whose time has come.

        The connections for which batches made something to do are told to `on_batch`, if it is given, and those alone that what
        comes after the batches made something to do for are in the result. `fresh` is about how many changes are known to have
        come just now: where webhooks bring them one by one, what is due besides is looked for once in a while, not each time.
        """
        self.library.refresh()
        lately = self._clock.monotonic() < self._look_at
        few = 0 < fresh < identity.BATCH and self.identifier.goes_on and lately
        if not few:
            # A batch of planning begins with finding out who is who: only many are looked at in commits of their own before.
            self.identifier.run(least=identity.BATCH)
        planned = self.planner.plan(self.library.recipes, on_batch, sure=few)
        if on_batch is not None:
            # Who waits for them has begun by now, and would only look in vain once more.
            planned.connections = set()
        if few and planned.changes and not planned.moved and not self.identifier.news:
            # Nothing else can be due by that.
            return planned
        planned.looked, self.identifier.news = True, False
        self._look_at = self._clock.monotonic() + LOOK_EVERY
        if not planned.changes:
            self.identifier.run()
        BATON.offer()
        planned.add(self.rematcher.look_again(self.library.recipes))
        BATON.offer()
        swept = self.sweeper.sweep(self.library.recipes)
        # A sweep looks at what the feed has shown already: counting it again would tell every subject twice.
        swept.considered, swept.stopped = 0, {}
        planned.add(swept)
        BATON.offer()
        woken = self.waker.wake()
        planned.connections |= woken.connections
        planned.wakes_at = woken.next_at
        return planned
