"""Recipes that a change is not shown to come out of it as if they had judged it; and what a change costs, whoever else is there."""

import itertools
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import AnyEntity, Comment, Secret, Ticket
from cxbridge.core.engine import plan
from cxbridge.core.engine.batch import Planned
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.index import Index, Indexes, Stop
from cxbridge.core.engine.pace import Pace
from cxbridge.core.engine.plan import Planner
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.steps import Stepper
from cxbridge.core.engine.subjects import Subject
from cxbridge.core.engine.syncing import sync_runs
from cxbridge.core.ledger import Link, Ref, StoredReceipt, incoming
from cxbridge.core.recipes.decide import judge
from cxbridge.core.recipes.load import load_text
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Store, links, outbox, planning, receipts, records, runs, schema
from cxbridge.plugins.jira import Jira
from cxbridge.plugins.zendesk import Zendesk

NOON = datetime(2026, 5, 6, 12, tzinfo=UTC)
DESK, TRACKER = "zendesk", "jira"

HEAD = """
title = "An example"
owner = "support-ops"
stage = "{stage}"
use = {{ desk = "zendesk", tracker = "jira" }}

[inputs]
level  = {{ type = "text", default = "urgent" }}
levels = {{ type = "list", default = ["urgent", "high"] }}
"""
NOTE = """
[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "Seen." }
"""
JOIN = """
[[step]]
id = "join"
do = "link"
with = { left = "{{ ticket.id }}", right = "jira/issues/1", relation = "joined" }
"""
SYNC = """
[[sync]]
relation = "joined"
many = "left"

[[sync.field]]
left = "ticket.priority"
right = "issue.priority"
owner = "left"
join = "first"

[[sync.comment]]
from = "right"
if = "'#support' in comment.body_text"
visibility = "internal"

[[sync.comment]]
from = "left"
visibility = "internal"
"""
FOLLOW = """
[[follow]]
id = "told"
on = "issue.changed"
from = "tracker"
when = "issue.priority == 'urgent'"
for_each = "linked(issue, 'joined')"
do = "desk.comment.add_once"
[follow.with]
visibility = "internal"
body = "It is urgent now."
"""
CONDITIONS = (
    "{noun}.priority == 'urgent'",
    "'low' == {noun}.priority",
    "{noun}.priority != 'low'",
    "{noun}.priority in inputs.levels",
    "{noun}.priority == inputs.level or {noun}.priority == 'low'",
    "{noun}.priority == 'urgent' and {noun}.custom.count > 1",
    "{noun}.status_category not in ['closed', 'resolved']",
    "{noun}.status_category in ['open', 'new']",
    "'vip' in {noun}.tags",
    "'vip' not in {noun}.tags and 'new' in {noun}.tags",
    "'vip' in {noun}.tags or 'new' in {noun}.tags",
    "{noun}.component == none",
    "{noun}.assignee is not none",
    "{noun}.custom.region == 'north'",
    "{noun}.custom.region | default('north') == 'north'",
    "{noun}.custom.region | default('none', true) in ['south', 'none']",
    "{noun}.custom.region in []",
    "{noun}.custom.flag",
    "not {noun}.custom.flag",
    "{noun}.custom.count == 1",
    "{noun}.custom.count in [1, 'x', true]",
    "{noun}.custom.deep.a == 'x'",
    "'x' in {noun}.custom.list",
    "changed({noun}.priority)",
    "size({noun}.tags) > 1",
    "not linked({noun}, 'joined')",
)
FIELDS = ("priority", "tags", "status_category", "custom", "component")


@cache
def offers() -> Mapping[str, Connection]:
    """The connections of the recipes; no fixture, so that a failure does not print all that they offer."""
    token, here = Secret("wrong-token"), "http://127.0.0.1:9"
    desk = Zendesk(url=here, email="bridge@example.test", api_token=token)
    return {
        DESK: Connection.of(DESK, desk),
        TRACKER: Connection.of(TRACKER, Jira(url=here, email="bridge@example.test", api_token=token, projects=["ENG"])),
    }


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty store, to be copied: making one takes longer than an example."""
    path = tmp_path_factory.mktemp("template") / "cxbridge.db"
    Store.open(f"sqlite:///{path}", clock=ManualClock(NOON)).close()
    return path


# -- made-up recipes and changes ---------------------------------------------------------------------------------------


@st.composite
def recipe_texts(draw: st.DrawFn) -> str:
    noun = draw(st.sampled_from(["ticket", "ticket", "ticket", "issue"]))
    text = HEAD.format(stage=draw(st.sampled_from(["live", "live", "live", "shadow"])))
    events = []
    for number in range(draw(st.integers(1, 2))):
        event = draw(st.sampled_from(["changed", "changed", "created", "updated", "deleted"]))
        events.append(event)
        fields = (
            draw(st.lists(st.sampled_from(FIELDS), max_size=2, unique=True)) if event in ("changed", "updated") else []
        )
        named = f"fields = {fields!r}\n" if fields else ""
        place = "desk" if noun == "ticket" else "tracker"
        text += f'\n[[trigger]]\nid = "t{number}"\non = "{noun}.{event}"\nfrom = "{place}"\n{named}'
    text += "\n[when]\n"
    # What comes into being was nothing else before.
    fitting = [one for one in CONDITIONS if "changed(" not in one or set(events) != {"created"}]
    for number, one in enumerate(draw(st.lists(st.sampled_from(fitting), max_size=3))):
        text += f'c{number} = "{one.format(noun=noun)}"\n'
    text += draw(st.sampled_from(["", f'\n[run]\nkey = "{noun}.id"\nonce_per = "{noun}.id"\n']))
    does = draw(st.sampled_from([NOTE, NOTE, JOIN, JOIN + SYNC, NOTE + SYNC, JOIN + SYNC + FOLLOW, NOTE + FOLLOW]))
    return text + (does if noun == "ticket" else NOTE.replace("desk.comment", "tracker.comment"))


regions = st.sampled_from(["north", "south", "", None, 3, ["north"], {"a": "x"}])
customs = st.fixed_dictionaries(
    {},
    optional={
        "region": regions,
        "flag": st.sampled_from([True, False, None, "yes"]),
        "count": st.sampled_from([1, 2, True, "x", 1.0]),
        "deep": st.sampled_from([{"a": "x"}, {"a": None}, {}, "text", None]),
        "list": st.sampled_from([["x"], ["x", None], [1], "xyz", {"x": 1}, None]),
    },
)
tickets = st.fixed_dictionaries(
    {"priority": st.sampled_from(["urgent", "high", "low", "none"])},
    optional={
        "status_category": st.sampled_from(["open", "new", "resolved", "closed"]),
        "tags": st.lists(st.sampled_from(["vip", "new", "old"]), max_size=3, unique=True),
        "component": st.sampled_from([None, "engine"]),
        "assignee": st.sampled_from([None, "users/1"]),
        "custom": customs,
    },
)


@dataclass
class Round:
    """What comes to pass between two times of planning: records as they then are, and what was written by recipes before."""

    tickets: list[tuple[str, str, dict[str, Any]]]
    comments: list[tuple[str, str, str]] = field(default_factory=list)
    # Which of the tickets, by which recipe, how, which of its fields, and how many runs it took to get there.
    written: list[tuple[int, int, str, set[str], int]] = field(default_factory=list)
    gone: list[tuple[str, str]] = field(default_factory=list)
    linked: list[tuple[str, str]] = field(default_factory=list)


places = st.sampled_from([DESK, DESK, TRACKER])
keys = st.sampled_from(["1", "2", "3"])
rounds = st.builds(
    Round,
    st.lists(st.tuples(places, keys, tickets), min_size=1, max_size=6),
    st.lists(st.tuples(places, keys, st.sampled_from(["Hello", "Mind this #support"])), max_size=2),
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.integers(0, 5),
            st.sampled_from(["wrote", "wrote", "made"]),
            st.sets(st.sampled_from(["priority", "tags", "status_category", "custom"]), min_size=1),
            st.sampled_from([0, 1, 3]),
        ),
        max_size=3,
    ),
    st.lists(st.tuples(places, keys), max_size=1),
    st.lists(st.tuples(keys, keys), max_size=1),
)


def stream_of(place: str) -> str:
    return "tickets" if place == DESK else "issues"


class Everybody:
    """Stands in for what shows changes: every recipe sees every change, and judges it."""

    def __init__(self, index: Index, scopes: Scopes) -> None:
        del scopes
        self.index = index

    def whom(self, subject: Subject, turn: int) -> Iterator[Recipe]:
        del subject, turn
        yield from self.index.recipes

    def stops(self) -> Iterator[Stop]:
        return iter(())


class World:
    """A store with a planner, over and over the same moment."""

    def __init__(self, path: Path) -> None:
        self.clock = ManualClock(NOON)
        self.store = Store.open(f"sqlite:///{path}", clock=self.clock)
        self.recipes: Sequence[Recipe] = ()
        self.stepper = Stepper(offers(), b"k" * 32)
        self.planner = Planner(self.store, self.stepper, self.clock, self._recipe_of)
        self._numbers = itertools.count(1)

    def _recipe_of(self, run: Any) -> Recipe | None:
        return next((one for one in self.recipes if one.id == run.recipe), None)

    def put(self, place: str, stream: str, *entities: AnyEntity) -> None:
        with self.store.write() as tx:
            records.apply(tx, place, [incoming(stream, one) for one in entities], self.clock.now())

    def come_to_pass(self, one: Round) -> None:
        self.clock.advance(60)
        now = self.clock.now()
        for which, number, role, names, hops in one.written:
            place, key, fields = one.tickets[which % len(one.tickets)]
            receipt = StoredReceipt(
                delivery=f"d{next(self._numbers)}",
                run="run",
                recipe=f"r{number % len(self.recipes)}",
                ref=Ref(place, stream_of(place), key),
                role=role,  # type: ignore[arg-type]
                wrote={name: value for name, value in fields.items() if name in names},
                hops=hops,
                at=now,
            )
            with self.store.write() as tx:
                receipts.add(tx, [receipt])
        with self.store.write() as tx:
            for left, right in one.linked:
                sides = Ref(DESK, "tickets", left), Ref(TRACKER, "issues", right)
                links.ensure(tx, Link(left=sides[0], right=sides[1], relation="joined", made_by="test", made_at=now))
        for place, key, fields in one.tickets:
            self.put(place, stream_of(place), Ticket(source_id=key, updated_at=now, **fields))
        for place, key, text in one.comments:
            comment = Comment(
                source_id=f"{next(self._numbers)}",
                ticket=f"{stream_of(place)}/{key}",
                visibility="internal",
                body_text=text,
                created_at=now,
            )
            self.put(place, "comments", comment)
        with self.store.write() as tx:
            for place, key in one.gone:
                records.mark_deleted(tx, place, stream_of(place), [key], now)

    def everything(self) -> dict[str, Any]:
        """All that planning has left behind, without what is drawn by lot."""
        with self.store.read() as tx:
            names = ("recipe", "part", "key", "once", "subject", "state", "reason", "hops", "context", "results")
            found = [tuple(getattr(run, name) for name in names) for run in runs.find(tx, limit=1000)]
            sent = [
                (one.recipe, one.step, one.action, one.target, one.inputs, one.marker, one.state)
                for one in outbox.find(tx, limit=1000)
            ]
            counted = tx.connection.execute(sa.select(schema.tallies).order_by("recipe", "what")).all()
            stands = tx.connection.execute(sa.select(schema.positions).order_by("name")).all()
            joined = tx.connection.execute(sa.select(schema.links.c.left, schema.links.c.right)).all()
        return {"runs": found, "sent": sent, "tallies": counted, "positions": stands, "links": joined}


def told(planner: Planner, recipes: Sequence[Recipe]) -> dict[str, Any]:
    """What planning says of itself; the runs in their order, without what is drawn by lot."""
    batches: list[Planned] = []
    planned = planner.plan(recipes, batches.append)
    assert not planned.runs, "they are told batch by batch, and not kept"
    counts = ("changes", "considered", "matched", "started", "echoes", "held", "deliveries")
    return {
        **{name: getattr(planned, name) for name in counts},
        "stopped": planned.stopped,
        "connections": planned.connections,
        "runs": [(one.recipe, one.part, one.once, one.state, one.reason) for batch in batches for one in batch.runs],
    }


@contextmanager
def world(folder: Path, template: Path, name: str) -> Iterator[World]:
    path = folder / f"{name}.db"
    shutil.copy(template, path)
    made = World(path)
    try:
        yield made
    finally:
        made.store.close()
        for file in folder.glob(f"{name}.db*"):
            file.unlink()


@given(texts=st.lists(recipe_texts(), min_size=1, max_size=6), happened=st.lists(rounds, min_size=1, max_size=3))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_it_comes_out_as_if_every_recipe_had_seen_every_change(
    tmp_path: Path, template: Path, texts: list[str], happened: list[Round]
) -> None:
    recipes = [load_text(f"r{number}", f"r{number}.toml", text, offers(), {}) for number, text in enumerate(texts)]
    with (
        world(tmp_path, template, "indexed") as indexed,
        world(tmp_path, template, "reference") as reference,
    ):
        indexed.recipes = reference.recipes = recipes
        for one in happened:
            indexed.come_to_pass(one)
            reference.come_to_pass(one)
            found = told(indexed.planner, recipes)
            with mock.patch.object(plan, "Showing", Everybody):
                assert found == told(reference.planner, recipes)
            assert indexed.everything() == reference.everything()


# -- what a change costs -----------------------------------------------------------------------------------------------


def wanting(conditions: str, does: str = NOTE) -> str:
    """A live recipe that is started by every change of a ticket."""
    trigger = '\n[[trigger]]\nid = "any"\non = "ticket.changed"\nfrom = "desk"\n\n[when]\n'
    return HEAD.format(stage="live") + trigger + conditions + does


@dataclass
class Work:
    """How often something was done that costs what a recipe costs."""

    judged: int = 0
    built: int = 0
    met: int = 0
    synced: int = 0


@contextmanager
def counted() -> Iterator[Work]:
    work = Work()
    build, meet = Scopes.build, Planner._meet

    def judging(*given: Any) -> Any:
        work.judged += 1
        return judge(*given)

    def building(*given: Any, **how: Any) -> Any:
        work.built += 1
        return build(*given, **how)

    def meeting(*given: Any) -> Any:
        work.met += 1
        return meet(*given)

    def syncing(*given: Any) -> Any:
        work.synced += 1
        return sync_runs(*given)

    with (
        mock.patch.object(plan, "judge", judging),
        mock.patch.object(Scopes, "build", building),
        mock.patch.object(Planner, "_meet", meeting),
        mock.patch.object(plan, "sync_runs", syncing),
    ):
        yield work


FORMS = {
    "one value": "only = \"ticket.component == '{0}'\"\n",
    "several values": "only = \"ticket.component in ['{0}', '{0}b']\"\n",
    "an item of a list": "only = \"'{0}' in ticket.tags\"\n",
    "a field of their own": "only = \"ticket.custom.site | default('') == '{0}'\"\n",
    "behind a general one": "open = \"ticket.status_category not in ['closed']\"\nonly = \"ticket.component == '{0}'\"\n",
    "in one condition": "only = \"ticket.status_category != 'closed' and ticket.component == '{0}'\"\n",
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_change_costs_what_it_means_to_recipes_and_not_how_many_there_are(
    tmp_path: Path, template: Path, form: str
) -> None:
    """Of few or of many recipes, two want what one of the tickets has."""
    taken = []
    for number in (10, 300):
        wanted = ["part-0", "part-0", *(f"part-{one}" for one in range(2, number))]
        recipes = [
            load_text(f"r{one}", f"r{one}.toml", wanting(form.format(value)), offers(), {})
            for one, value in enumerate(wanted)
        ]
        with world(tmp_path, template, f"of-{number}") as here, counted() as work:
            here.recipes = recipes
            some = [
                Ticket(
                    source_id=str(one),
                    component="part-0" if one == 0 else "other",
                    tags=["part-0"] if one == 0 else ["other"],
                    custom={"site": "part-0"} if one == 0 else {},
                    status_category="open",
                )
                for one in range(20)
            ]
            here.put(DESK, "tickets", *some)
            planned = here.planner.plan(recipes)
            assert (planned.started, planned.considered) == (2, 20 * number)
            assert sum(planned.stopped.values()) == 20 * number - 2
            taken.append(work)
    assert taken[0] == taken[1] == Work(judged=2, built=taken[0].built, met=2, synced=2)


def test_what_recipes_keep_in_step_costs_nothing_where_nothing_is_linked(tmp_path: Path, template: Path) -> None:
    text = wanting("only = \"ticket.component == 'engine'\"\n", JOIN + SYNC)
    recipes = [load_text(f"r{one}", f"r{one}.toml", text, offers(), {}) for one in range(50)]
    with world(tmp_path, template, "synced") as here, counted() as work:
        here.recipes = recipes
        here.put(DESK, "tickets", Ticket(source_id="1", priority="low"))
        here.planner.plan(recipes)
        assert (work.met, work.synced) == (0, 0)


def test_a_recipe_without_a_guard_is_shown_every_change_that_starts_it(tmp_path: Path, template: Path) -> None:
    recipes = [load_text("r0", "r0.toml", wanting('only = "size(ticket.tags) > 1"\n'), offers(), {})]
    with world(tmp_path, template, "unguarded") as here, counted() as work:
        here.recipes = recipes
        here.put(DESK, "tickets", Ticket(source_id="1"), Ticket(source_id="2", tags=["a", "b"]))
        assert here.planner.plan(recipes).started == 1
        assert work.judged == 2


def test_the_last_record_of_a_count_is_the_last_one_whoever_counted_it(tmp_path: Path, template: Path) -> None:
    """The middle one is judged, because its first part holds; the others are not."""
    text = wanting("only = \"ticket.component == 'engine' and size(ticket.tags) > 1\"\n")
    recipes = [load_text("r0", "r0.toml", text, offers(), {})]
    with world(tmp_path, template, "last") as here:
        here.recipes = recipes
        for number, components in enumerate((["a", "engine", "a"], ["engine", "a", "engine"])):
            some = [Ticket(source_id=f"{number}-{one}", component=said) for one, said in enumerate(components)]
            here.put(DESK, "tickets", *some)
            here.planner.plan(recipes)
            with here.store.read() as tx:
                assert planning.tallies(tx, "r0")["stopped: only"] == planning.Tally(
                    n=3 * number + 3, at=NOON, ref=Ref(DESK, "tickets", f"{number}-2")
                )


def test_who_acts_is_not_the_last_one_that_was_stopped(tmp_path: Path, template: Path) -> None:
    recipes = [load_text("r0", "r0.toml", wanting("only = \"ticket.component == 'engine'\"\n"), offers(), {})]
    with world(tmp_path, template, "acts") as here:
        here.recipes = recipes
        said = ("engine", "a", "b", "engine", "engine")
        here.put(DESK, "tickets", *(Ticket(source_id=str(one), component=part) for one, part in enumerate(said)))
        assert here.planner.plan(recipes).started == 3
        with here.store.read() as tx:
            counted_so = planning.tallies(tx, "r0")
        assert counted_so == {"stopped: only": planning.Tally(n=2, at=NOON, ref=Ref(DESK, "tickets", "2"))}


def test_a_field_that_is_named_brings_its_changes_and_no_others(tmp_path: Path, template: Path) -> None:
    """Two recipes that name different fields, and changes of either, one after the other."""
    recipes = []
    for number, name in enumerate(("tags", "priority")):
        text = wanting('[run]\nmode = "parallel"\n').replace('from = "desk"\n', f'from = "desk"\nfields = ["{name}"]\n')
        recipes.append(load_text(f"r{number}", f"r{number}.toml", text, offers(), {}))
    with world(tmp_path, template, "named") as here:
        here.recipes = recipes
        here.put(DESK, "tickets", *(Ticket(source_id=one) for one in "123"))
        assert here.planner.plan(recipes).started == 6
        moved = (
            Ticket(source_id="1", tags=["a"]),
            Ticket(source_id="2", priority="low"),
            Ticket(source_id="3", team="1"),
        )
        here.put(DESK, "tickets", *moved)
        begun: list[tuple[str, str]] = []
        here.planner.plan(recipes, lambda one: begun.extend((run.recipe, run.subject.key) for run in one.runs))
        assert begun == [("r0", "1"), ("r1", "2")]


def test_the_index_is_made_once_for_the_same_recipes() -> None:
    made = [load_text(f"r{one}", f"r{one}.toml", wanting(""), offers(), {}) for one in range(3)]
    indexes = Indexes()
    first = indexes.of(made)
    assert indexes.of(list(made)) is first
    assert indexes.of(made[:2]) is not first
    # A recipe that was loaded anew is another one, even with the same text.
    again = [*made[:2], load_text("r2", "r2.toml", wanting(""), offers(), {})]
    assert indexes.of(again) is not first
    assert indexes.of(made) is first
    for one in range(20):
        indexes.of([made[0]] * (one + 4))
    assert indexes.of(made) is not first


# -- how fast it goes on -----------------------------------------------------------------------------------------------


def test_batches_grow_while_they_come_back_full() -> None:
    pace = Pace(500)
    sizes = []
    for _ in range(5):
        sizes.append(pace.size)
        pace.after(pace.size, 0, 0)
    assert sizes == [500, 1000, 2000, 4000, 4000]
    pace.begin()
    pace.after(499, 0, 0)
    assert pace.size == 500


def test_a_batch_does_not_grow_beyond_what_others_can_wait_for_and_memory_holds() -> None:
    pace = Pace(500)
    pace.after(500, 500, 0)
    assert pace.size == 500
    pace.after(500, 125, 0)
    assert pace.size == 800
    # Twenty thousand bytes each.
    pace.after(800, 0, 16_000_000)
    assert pace.size == 800


def test_a_long_way_is_planned_in_few_commits_and_a_limit_that_is_passed_makes_them_small_again(
    tmp_path: Path, template: Path
) -> None:
    text = wanting("only = \"ticket.component == 'engine'\"\n[limits]\nhalt_if_matches = 1\n")
    recipes = [load_text("r0", "r0.toml", text, offers(), {})]
    seen: list[int] = []
    with world(tmp_path, template, "long") as here:
        here.recipes = recipes
        here.put(DESK, "tickets", *(Ticket(source_id=str(one)) for one in range(4000)))
        here.planner.plan(recipes, lambda one: seen.append(one.changes))
        assert seen == [500, 1000, 2000, 500]
        here.put(DESK, "tickets", *(Ticket(source_id=f"x{one}", component="engine") for one in range(2)))
        assert here.planner.plan(recipes).started == 0
        assert here.planner.pace.size == 500
