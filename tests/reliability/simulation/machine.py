"""The state machine: everything that people, vendors and the daemon may do, as rules that Hypothesis puts into any order.

One example is one stage. After each step that committed something the store's image is judged; in the end faults cease, it is
played to rest, and the vendors' log is judged as well.
"""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from functools import partial
from itertools import count
from typing import Any, ClassVar

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from cxbridge.core.engine.mend import Around, drop, retry, waiting_for_a_person
from cxbridge.core.errors import CxbridgeError, VendorError
from cxbridge.core.store import approvals, runs, state
from cxbridge.sandbox.checker import Violation, judge
from tests.reliability.hooks import Crash
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks, read_again
from tests.reliability.simulation import fate
from tests.reliability.simulation.company import PRIORITIES, TAGS, Case, Company, expected, issue_of, recipes
from tests.reliability.simulation.day import compiled_once, own_recipes, silent
from tests.reliability.simulation.weather import LATE
from tests.reliability.stage import Ground, Stage

SECRETS = ("sandbox-token", "sandbox-signing-secret")
WORK = ("priority", "comment", "To Do", "In Progress", "Done")
# What strikes one request, or so many of them.
FAULTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ghost", {}),
    ("ghost", {"seconds": 40}),
    ("reset", {}),
    ("limit_data", {"bytes": 20}),
    ("latency", {"seconds": LATE}),
    ("status", {"code": 503}),
    ("status", {"code": 409}),
    ("status", {"code": 400}),
    ("rate_limited", {"retry_after": 7}),
    ("rate_limited", {"retry_after": "absent"}),
    ("bad_json", {}),
    ("html", {}),
    ("broken_gzip", {"how": "cut"}),
    ("late_visible", {"seconds": 4}),
)
WAITS = {"approval", "wait-then", "sweep"}
# So many rows of each kind are more than an example can need.
MOST = {"pauses": 10, "holds": 50, "breakers": 10, "checkpoints": 20, "announcements": 500, "leases": 10}
_ENOUGH_CYCLES = 60

done: Counter[str] = Counter()
"""What all examples of this process did, for whoever prints it."""

_place = st.integers(0, 8)
# How often each of them happens among the others, and what is drawn for it. They are drawn as one rule: of twenty rules Hypothesis
# leaves half out of each example, and little happens where nobody writes or the daemon does not push.
MOVES: tuple[tuple[int, str, dict[str, Any]], ...] = (
    (4, "a_customer_writes", {"kind": _place, "priority": st.sampled_from(list(PRIORITIES)), "same": st.booleans()}),
    (3, "an_agent_sets_the_priority", {"place": _place, "priority": st.sampled_from(list(PRIORITIES))}),
    (2, "an_agent_remarks", {"place": _place, "marked": st.booleans()}),
    (4, "an_engineer_works", {"place": _place, "what": st.sampled_from(WORK), "to": st.integers(0, 3)}),
    (
        3,
        "somebody_answers",
        {
            "choice": st.sampled_from(("approve", "approve", "reject")),
            "times": st.integers(0, 3),
            "typed": st.booleans(),
        },
    ),
    (3, "pull_a_stream", {"place": _place}),
    (5, "pull_and_plan", {}),
    (3, "plan", {}),
    (2, "wake", {}),
    (3, "push_to_one", {"place": _place}),
    (5, "push_to_all", {}),
    (3, "webhooks", {"how": st.sampled_from(("now", "twice", "late", "never", "old ones"))}),
    (
        6,
        "something_fails",
        {
            "fault": st.sampled_from(FAULTS),
            "place": _place,
            "method": st.sampled_from((None, "POST", "PUT")),
            "times": st.integers(1, 4),
            "after": st.integers(0, 2),
        },
    ),
    (1, "nothing_fails_any_more", {}),
    (1, "a_token_is_revoked", {"place": _place}),
    (2, "tokens_are_mended", {}),
    (3, "the_process_will_end", {"places": st.lists(st.integers(1, 40), min_size=1, max_size=3)}),
    (1, "the_process_ends", {}),
    (6, "time_passes", {"seconds": st.sampled_from((1.0, 10.0, 61.0, 61.0, 130.0, 700.0, 3700.0, 7500.0))}),
    (1, "a_clock_goes_wrong", {"place": _place, "by": st.sampled_from((-600.0, -60.0, 0.0, 60.0, 600.0))}),
    (2, "a_recipe_is_changed", {"place": _place, "how": st.sampled_from(("edit", "pause", "resume", "delete"))}),
    (2, "the_operator_decides", {"drops": st.sampled_from((False, False, False, True))}),
)
Move = tuple[str, dict[str, Any]]
_moves: st.SearchStrategy[Move] = st.sampled_from(
    [(name, st.fixed_dictionaries(drawn)) for often, name, drawn in MOVES for _ in range(often)]
).flatmap(lambda move: st.tuples(st.just(move[0]), move[1]))


class Machine(RuleBasedStateMachine):
    """One company under way. Subclasses say which, and on which ground."""

    ground: ClassVar[Ground]
    company: ClassVar[Company]
    kinds: ClassVar[tuple[str, ...]]

    def __init__(self) -> None:
        super().__init__()
        self.around = ExitStack()
        self.around.enter_context(silent())
        self.around.enter_context(compiled_once())
        self.around.enter_context(fate.decided("machine"))
        self.stage: Stage = self.around.enter_context(self.ground.stage(self.company))
        own_recipes(self.stage)
        self.stage.start()
        self.stage.hooks.on = True
        self.cases: list[Case] = []
        self.letters: list[tuple[str, str, dict[str, str], bytes]] = []
        self.cut: set[int] = set()
        # Entries of the journal that no pull made.
        self.checks: set[int] = set()
        self.numbers = count()
        self.judged = -1
        self.answered: list[Case] = []
        slack = {"interactivity_url": "http://bridge.test/slack", "signing_secret": "sandbox-signing-secret"}
        if "slack" in self.company.vendors:
            self.stage.act("PUT", "/slack/hooks", slack)
        self.stage.people.subscribes(*(one for one in ("zendesk", "jira") if one in self.company.vendors))
        done["examples"] += 1

    # -- inside ----------------------------------------------------------------------------------------------------

    def live(self, work: Callable[[], Any]) -> Any:
        """Do something that may end the process; then start again, and leave it undone."""
        try:
            return work()
        except Crash:
            self.crashed()
        except CxbridgeError:
            done["errors"] += 1
        return None

    def crashed(self) -> None:
        """Start again after a crash."""
        done["crashes"] += 1
        self.cut.add(len(self.stage.world.journal))
        self.stage.restart()

    def case(self, place: int) -> Case:
        """Choose a case by a number that was drawn."""
        return self.cases[place % len(self.cases)]

    def issue(self, case: Case) -> str | None:
        """Name the issue of a case, once there is a link."""
        linked = any(
            str(one.detail["global_id"]).endswith(f"&id={case.number}")
            for one in self.stage.world.journal.effects("remotelink.created")
        )
        return issue_of(self.stage.world, case) if linked else None

    @initialize(first=st.lists(_place, min_size=1, max_size=3))
    def begins(self, first: list[int]) -> None:
        """Somebody has written already."""
        for kind in first:
            self.a_customer_writes(kind, "high", same=True)

    @rule(move=_moves)
    def then(self, move: Move) -> None:
        """Whatever happens next."""
        name, drawn = move
        done[name] += 1
        getattr(self, name)(**drawn)

    # -- people ----------------------------------------------------------------------------------------------------

    def a_customer_writes(self, kind: int, priority: str, same: bool) -> None:  # drawn
        if len(self.cases) >= 8:
            return
        recipe = self.kinds[kind % len(self.kinds)]
        like = [one for one in self.cases if one.recipe == recipe]
        subject = f"Matter {next(self.numbers):03d}."
        if same and like and recipe in ("fan-in", "follow"):
            subject = like[0].subject
        priority = "urgent" if recipe == "wait-then" else priority
        people = self.stage.people
        number = people.ticket(subject=subject, priority=priority, tags=[TAGS[recipe]])
        self.cases.append(Case(recipe, number, subject, self.stage.world.clock.true_time(), hasty=True))
        done["tickets"] += 1

    def an_agent_sets_the_priority(self, place: int, priority: str) -> None:
        if self.case(place).recipe != "wait-then":
            self.stage.people.agent(self.case(place).number, priority=priority)

    def an_agent_remarks(self, place: int, marked: bool) -> None:  # drawn
        case = self.case(place)
        # What was said before a link was made is not carried over it.
        if not marked or self.issue(case) is not None:
            text = f"{'#engineering ' if marked else ''}remark {next(self.numbers):03d}"
            self.stage.people.says(case.number, text)

    def an_engineer_works(self, place: int, what: str, to: int) -> None:
        issue = self.issue(self.case(place))
        if issue is None:
            return
        people = self.stage.people
        if what == "priority":
            people.engineer(issue, priority=list(PRIORITIES.values())[to])
        elif what == "comment":
            people.engineer_says(issue, f"{'#support ' if to else ''}answer {next(self.numbers):03d}")
        else:
            people.moves(issue, what, "Fixed" if what == "Done" else None)

    def somebody_answers(self, choice: str, times: int, typed: bool) -> None:  # drawn
        with self.stage.bridge.store.read() as tx:
            asked = [(one.id, runs.get(tx, one.run)) for one in approvals.find(tx, state="open")]
        for approval, run in asked:
            case = next(
                (one for one in self.cases if run is not None and run.subject.key == str(one.number)),
                None,
            )
            if case is None or case.choice:
                continue
            if typed:
                self.live(partial(self._types, case, choice))
            else:
                self._presses(case, approval, choice, times)
            return

    def _types(self, case: Case, choice: str) -> None:
        newest = self.stage.people.open_question()
        with self.stage.bridge.store.read() as tx:
            approval = approvals.get(tx, newest)
            run = runs.get(tx, approval.run) if approval is not None else None
        if run is None or run.subject.key != str(case.number):
            return
        case.choice = choice
        at = self.stage.world.clock.true_time()
        # Whether it is in the store when a crash follows is a matter of the place; it counts where it is.
        case.granted += [at] if choice == "approve" else []
        with suppress(AssertionError):
            self.stage.people.answers(choice)
            case.heard.append(at)

    def _presses(self, case: Case, approval: str, choice: str, times: int) -> None:
        body = {"approval": approval, "choice": choice, "user": "Maya Ortiz"}
        post = self.stage.people.post
        status, _ = self.stage.network.ask("control", "POST", "/slack/click", msgspec.json.encode(body))
        if status >= 400:
            return
        case.choice = choice
        mine = [one for one in post.waiting if one[0] == "slack"]
        others = [one for one in post.waiting if one[0] != "slack"]
        post.waiting[:] = mine * times
        before = len(post.sent())
        self.live(self.stage.people.deliver)
        if any(200 <= one.status < 300 for one in post.sent()[before:]):
            case.heard.append(self.stage.world.clock.true_time())
        post.waiting[:] = others
        self.letters += mine

    # -- the engine's verbs ----------------------------------------------------------------------------------------

    def pull_a_stream(self, place: int) -> None:
        connection, stream = self.company.streams[place % len(self.company.streams)]
        self.live(lambda: self.stage.bridge.pull(connection, stream))

    def pull_and_plan(self) -> None:
        self.live(self.stage.pull)
        self.live(self.stage.bridge.plan)

    def plan(self) -> None:
        self.live(self.stage.bridge.plan)

    def wake(self) -> None:
        self.live(self.stage.bridge.wake)

    def push_to_one(self, place: int) -> None:
        name = self.company.vendors[place % len(self.company.vendors)]
        self.live(lambda: self.stage.bridge.push(name))

    def push_to_all(self) -> None:
        self.live(self.stage.push)

    # -- webhooks --------------------------------------------------------------------------------------------------

    def webhooks(self, how: str) -> None:
        post = self.stage.people.post
        came, post.waiting[:] = list(post.waiting), []
        if how == "late":
            self.letters += came
        elif how == "old ones":
            came, self.letters = self.letters, came
        if how in ("now", "twice", "old ones"):
            post.waiting[:] = came * (2 if how == "twice" else 1)
            self.live(self.stage.people.deliver)
            post.waiting.clear()
            self.live(self.stage.inbox)
            done["webhooks"] += len(came)

    # -- what goes wrong -------------------------------------------------------------------------------------------

    def something_fails(
        self, fault: tuple[str, dict[str, Any]], place: int, method: str | None, times: int, after: int
    ) -> None:
        vendor = self.company.vendors[place % len(self.company.vendors)]
        method = "POST" if vendor == "slack" and method == "PUT" else method
        name, how = fault
        if name == "late_visible":
            method = "GET"
        self.stage.world.faults.add(name, vendor, method=method, times=times, after=after, **how)
        done[f"fault {name}"] += 1

    def nothing_fails_any_more(self) -> None:
        self.cease()

    def a_token_is_revoked(self, place: int) -> None:
        self.stage.world.faults.revoke(self.company.vendors[place % len(self.company.vendors)])

    def tokens_are_mended(self) -> None:
        self.live(self.mend)

    def the_process_will_end(self, places: list[int]) -> None:
        passed, found = self.stage.hooks.passed, []
        for one in places:
            passed += one
            found.append(passed)
        self.stage.hooks.crash_at = frozenset(found)

    def the_process_ends(self) -> None:
        self.crashed()

    def time_passes(self, seconds: float) -> None:
        self.stage.network.advance(seconds)

    def a_clock_goes_wrong(self, place: int, by: float) -> None:
        if place == 0:
            self.stage.clock.wrong = by
        else:
            self.stage.world.clock.skew(self.company.vendors[place % len(self.company.vendors)], by)

    # -- the operator ----------------------------------------------------------------------------------------------

    def a_recipe_is_changed(self, place: int, how: str) -> None:
        name = self.kinds[place % len(self.kinds)]
        file = self.stage.folder / "recipes" / f"{name}.toml"
        text = recipes()[file.name]
        if how == "delete":
            file.unlink(missing_ok=True)
        else:
            # Other words, another version; the same process.
            text = text.replace('"support-ops"', '"support-operations"') if how == "edit" else text
            text = text.replace('"live"', '"paused"') if how == "pause" else text
            file.write_text(text, encoding="utf-8")
        done[f"recipe {how}"] += 1

    def the_operator_decides(self, drops: bool) -> None:  # drawn
        self.live(lambda: self.decide(giving_up=drops))

    def decide(self, *, giving_up: bool = False) -> int:
        """Have everything tried again that waits for a person, or give it up; gives how many there were."""
        store, now = self.stage.bridge.store, self.stage.bridge.clock.now()
        around = Around(self.stage.bridge.connections, self.stage.bridge.library.of_run)
        with store.read() as tx:
            waiting = waiting_for_a_person(tx)
            subjects = {one.id: getattr(runs.get(tx, one.run), "subject", None) for one in waiting}
        for one in waiting:
            if giving_up:
                subject = subjects[one.id]
                ticket = subject.key if subject is not None and subject.stream == "tickets" else ""
                keys = {ticket, one.target.key if one.target is not None else ""}
                for case in self.cases:
                    # Which case it was is clear for a ticket; for an issue or a comment it may be any of its recipe.
                    if case.recipe == one.recipe and (str(case.number) in keys or not ticket):
                        case.given_up = True
                drop(store, [one.id], now)
            else:
                retry(store, [one.id], now, around=around)
            done["dropped" if giving_up else "retried"] += 1
        return len(waiting)

    def mend(self) -> None:
        """Put the credentials right, and have the connections go on."""
        for vendor in self.company.vendors:
            self.stage.world.faults.restore(vendor)
        with self.stage.bridge.store.read() as tx:
            paused = [one for one in state.pauses(tx) if one in self.stage.bridge.connections]
        before = len(self.stage.world.journal)
        for one in paused:
            with suppress(VendorError):
                self.stage.bridge.check(one)
        self.checks |= set(range(before + 1, len(self.stage.world.journal) + 1))

    def cease(self) -> None:
        """Take all faults away but revoked tokens."""
        faults = self.stage.world.faults
        for one in faults.rules():
            if one.name != "revoke_token":
                faults.remove(one.id)

    # -- judgement -------------------------------------------------------------------------------------------------

    @invariant()
    def the_image_is_sound(self) -> None:
        """I8, I10 and I12, after every step that committed something."""
        done["steps"] += 1
        commits = self.stage.hooks.counts["commit.after"]
        if commits != self.judged:
            self.judged = commits
            found = [
                one
                for one in judge_store(self.stage.bridge.store, journal=self.stage.world.journal, most=MOST)
                # A run whose forerunner failed or was dropped begins with the next waking.
                if not any("queued behind an earlier run" in line for line in one.evidence)
            ]
            found += one_at_a_time(self.stage)
            assert not found, _told(found)

    def teardown(self) -> None:
        """Play to rest with all faults off, and judge everything."""
        with self.around:
            found = self.rest()
            assert not found, _told(found)

    def rest(self) -> list[Violation]:
        """Play to rest; gives what is wrong then."""
        stage = self.stage
        stage.hooks.crash_at = frozenset()
        stage.clock.wrong = 0.0
        for vendor in self.company.vendors:
            stage.world.clock.skew(vendor, 0.0)
        for name in self.kinds:
            (stage.folder / "recipes" / f"{name}.toml").write_text(recipes()[f"{name}.toml"], encoding="utf-8")
        self.cease()
        self.mend()
        stage.people.post.waiting += self.letters
        # A clock that was ahead may have put something off for ten minutes more.
        self._cycles(700.0)
        for _ in range(3 if WAITS & set(self.kinds) else 0):
            # Waits of two hours end, and questions that nobody answered within four.
            stage.network.advance(2.1 * 3600)
            self._cycles(61.0)
        quiet_since = len(stage.world.journal)
        for _ in range(2):
            stage.cycle()
        unheard = tuple(f"#{seq} " for seq in sorted(self.cut))
        wanted = expected(stage.world, self.cases, quiet_since=quiet_since)
        return [
            *(
                one
                for one in judge(stage.world, wanted)
                if not (one.invariant == "I11" and unheard and one.evidence[0].startswith(unheard))
            ),
            *judge_store(stage.bridge.store, journal=stage.world.journal, most=MOST, at_rest=True),
            *leaks(stage.folder, SECRETS),
            *read_again(stage.world.journal, stage.restarts, besides=self.checks),
            *checkpoint_ahead(stage.bridge, self.company.streams),
        ]

    def _cycles(self, pause: float) -> None:
        self.stage.network.advance(pause)
        for _ in range(_ENOUGH_CYCLES):
            confirmed = self.stage.cycle()
            if not confirmed and not self.decide() and self.stage.at_rest():
                return
        raise AssertionError(f"never at rest: {self.stage.open_work()}")


def one_at_a_time(stage: Stage) -> list[Violation]:
    """I7: of the runs of one key never two are under way; all our recipes have them queue."""
    under_way: dict[tuple[str, str], list[str]] = {}
    for run in stage.runs(state="running", limit=1000):
        if run.part == "steps":
            under_way.setdefault((run.recipe, run.key), []).append(run.id)
    return [
        Violation(invariant="I7", what=f"two runs of {recipe} for {key!r} are under way at once", evidence=runs)
        for (recipe, key), runs in under_way.items()
        if len(runs) > 1
    ]


def _told(found: list[Violation]) -> str:
    return "\n" + "\n".join(str(one) for one in found)
