"""Which recipes of a group a change is shown to, found without asking each of them; it judges nothing and writes nothing.

Most changes concern hardly any recipe. Whom one cannot concern is told by what happened to which kind of entity, and by *guards*:
leading parts of a recipe's conditions that one field of the entity decides alone, such as `ticket.priority == 'urgent'`. Recipes
are looked up by the value that their guard wants, so that a change costs what it means to recipes, and not what recipes there are.

Those whom a change is not shown to come out of it just as if they had judged it: how many changes each of them was started by, and
where it stopped, is counted for all of them at once, at the end of the batch.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cxbridge.core.engine.scope import Scopes
from cxbridge.core.engine.subjects import Subject, fires
from cxbridge.core.ledger import Ref
from cxbridge.core.recipes.expressions import Guard
from cxbridge.core.recipes.guards import Field
from cxbridge.core.recipes.model import Recipe, Trigger
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS

# A run that was caused by a run that was caused by a run …: cut behind this many.
MAX_HOPS = 3
CUT = "cut: caused by itself too often"
# How many guards each change of a place is asked about, for recipes whose rarest value stands behind a more general condition.
_MOST_ASKED = 4
# How many sorts of changes are remembered for a place; they are few, unless recipes name very many fields.
_MOST_MEETINGS = 2048
# How many groups are remembered: all recipes, and those who are catching up.
_MOST_GROUPS = 8
# Names in a scope that are no entity, whatever a noun may be called one day.
_TAKEN = frozenset({"before", "inputs", "event", "now", "item"})

Place = tuple[str, str]
# Position of a recipe in its group, what is counted with it, and the condition that did not hold; empty where none was judged.
Stops = tuple[int, str, str]


@dataclass(frozen=True, slots=True)
class Chosen:
    """Where a recipe stops: at general guards, each with its number among those asked, then at the one that it is looked up by.

    `stops` is None where it cannot be looked up.
    """

    general: tuple[tuple[int, Stops], ...] = ()
    stops: Stops | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Recipes by the value that one of them wants a field to have; `everyone` for an entity whose field cannot be read.

    `text` names the field where that is one of the entity itself, and its value is taken as it is.
    """

    field: Field
    text: str
    wanted: Mapping[Any, tuple[int, ...]]
    everyone: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Meeting:
    """What changes of one sort mean to a group, recipes going by their positions: to whom they are shown in any case.

    `stops` says of all others whom they start where they stop. Those whose guard holds all the same are looked up in the `tables`.
    """

    always: tuple[int, ...] = ()
    stops: tuple[Stops, ...] = ()
    tables: tuple[Table, ...] = ()

    def find(self, entity: Mapping[str, Any]) -> set[int]:
        """Give the positions of the recipes that an entity is shown to; some of them may not be started by what happened to it."""
        found = set(self.always)
        for table in self.tables:
            text = entity.get(table.text) if table.text else None
            # Nearly always a text in a field of the entity itself: the same as is read else, by a shorter way.
            values = (text,) if type(text) is str else table.field.read(entity)
            if values is None:
                found.update(table.everyone)
                continue
            for value in values:
                here = table.wanted.get(value)
                if here is not None:
                    found.update(here)
        return found


NOBODY = Meeting()


@dataclass(slots=True)
class _Watch:
    """The recipes with a trigger or a follow for one kind of a connection, and what is known of the sorts of its changes."""

    recipes: dict[int, Recipe] = field(default_factory=dict)
    # The fields that any of them names.
    named: set[str] = field(default_factory=set)
    asked: tuple[Guard, ...] | None = None
    chosen: dict[int, Chosen] = field(default_factory=dict)
    tables: tuple[Table, ...] = ()
    meetings: dict[tuple[Any, ...], Meeting] = field(default_factory=dict)

    def meeting(self, subject: Subject) -> Meeting:
        """Give what a change means; the same for all whose op, named fields and answers to the general guards are the same."""
        if self.asked is None:
            self.asked = self._choose()
        # Everything that `fires` looks at, as far as any trigger here may ask for it.
        moved = frozenset() if subject.op == "created" else (subject.fields - subject.own) & self.named
        answers = tuple([guard.verdict(subject.after) for guard in self.asked])
        sort = (subject.op, bool(subject.fields), moved, answers)
        known = self.meetings.get(sort)
        if known is None:
            if len(self.meetings) >= _MOST_MEETINGS:
                self.meetings.clear()
            known = self.meetings[sort] = self._meeting(subject, answers)
        return known

    def _choose(self) -> tuple[Guard, ...]:
        """Choose for each recipe the guard that it shares with the fewest others, and the general ones that are asked before."""
        steps = {position: _guards(recipe) for position, recipe in self.recipes.items()}
        wanted = Counter(
            (guard.field, value)
            for some in steps.values()
            for guard in dict.fromkeys(guard for _, guard in some if not guard.negated)
            for value in guard.values
        )
        needed: Counter[Guard] = Counter()
        for some in steps.values():
            needed.update(dict.fromkeys((guard for _, guard in some[: _rarest(some, wanted)]), 1))
        asked = tuple(guard for guard, _ in needed.most_common(_MOST_ASKED))
        looked_up: dict[Field, dict[Any, list[int]]] = {}
        for position, some in steps.items():
            known = next((at for at, (_, guard) in enumerate(some) if guard not in asked), len(some))
            at = _rarest(some[: known + 1], wanted)
            general = tuple((asked.index(guard), _stops(position, name)) for name, guard in some[: min(at, known)])
            if at > known or at == len(some):
                self.chosen[position] = Chosen(general)
                continue
            name, guard = some[at]
            self.chosen[position] = Chosen(general, _stops(position, name))
            for value in guard.values:
                looked_up.setdefault(guard.field, {}).setdefault(value, []).append(position)
        self.tables = tuple(_table(which, some) for which, some in looked_up.items())
        return asked

    def _meeting(self, subject: Subject, answers: Sequence[bool | None]) -> Meeting:
        always: list[int] = []
        stops: list[Stops] = []
        looked_up = False
        for position, recipe in self.recipes.items():
            if any(fires(one.trigger, subject) for one in recipe.follows):
                always.append(position)
                continue
            trigger = next((one for one in recipe.triggers if fires(one, subject)), None)
            if trigger is None:
                continue
            chosen = self.chosen[position] if trigger.noun == recipe.noun else Chosen()
            # The first general guard that does not hold, or that cannot tell.
            first = next((at for at, (number, _) in enumerate(chosen.general) if not answers[number]), None)
            if first is not None and answers[chosen.general[first][0]] is False:
                stops.append(chosen.general[first][1])
            elif first is None and chosen.stops is not None:
                stops.append(chosen.stops)
                looked_up = True
            else:
                always.append(position)
        return Meeting(tuple(always), tuple(stops), self.tables if looked_up else ())


def _stops(position: int, condition: str) -> Stops:
    return position, f"stopped: {condition}", condition


def _guards(recipe: Recipe) -> list[tuple[str, Guard]]:
    """List the guards of a recipe in the order in which they are judged, each with its condition, as far as nothing else is."""
    found: list[tuple[str, Guard]] = []
    noun = recipe.noun
    if noun in _TAKEN or noun not in NOUNS or noun in BELONGINGS.get(NOUNS[noun], {}):
        return found
    for named in recipe.conditions:
        if any(call.name == "in_window" for call in named.condition.calls):
            # Where it stops is told together with a window.
            return found
        guards, whole = named.condition.guards(noun, recipe.inputs)
        found += [(named.name, guard) for guard in guards]
        if not whole:
            return found
    return found


def _rarest(some: Sequence[tuple[str, Guard]], wanted: Mapping[tuple[Field, Any], int]) -> int:
    """Say which of some guards wants what the fewest want; how many guards there are where none can be looked up."""
    found = [
        (max(wanted[guard.field, value] for value in guard.values), at)
        for at, (_, guard) in enumerate(some)
        if guard.values and not guard.negated
    ]
    return min(found)[1] if found else len(some)


def _table(which: Field, wanted: Mapping[Any, Sequence[int]]) -> Table:
    everyone = sorted({position for some in wanted.values() for position in some})
    text = which.keys[0] if which.form == "among" and len(which.keys) == 1 and not which.also_empty else ""
    return Table(which, text, {value: tuple(some) for value, some in wanted.items()}, tuple(everyone))


class Index:
    """What is known of a group of recipes before any change comes; made once, used batch after batch, by one thread at a time."""

    def __init__(self, recipes: Sequence[Recipe]) -> None:
        self.recipes = tuple(recipes)
        self._cut = Meeting(stops=tuple((position, CUT, "") for position in range(len(self.recipes))))
        self._positions = {recipe.id: position for position, recipe in enumerate(self.recipes)}
        self._watches: dict[Place, _Watch] = {}
        self._watched: set[Place] = set()
        # Connection → field of a ticket → recipes that keep it in step; and recipes that carry over comments made there.
        self._fields: dict[str, dict[str, list[int]]] = {}
        self._carriers: dict[str, set[int]] = {}
        for position, recipe in enumerate(self.recipes):
            for trigger in (*recipe.triggers, *(one.trigger for one in recipe.follows)):
                if not trigger.sweeps:
                    self._watch(position, recipe, trigger)
            self._sync(position, recipe)
            self._watched.update(recipe.listens_to())

    def _watch(self, position: int, recipe: Recipe, trigger: Trigger) -> None:
        watch = self._watches.setdefault((trigger.connection, trigger.kind), _Watch())
        watch.recipes[position] = recipe
        watch.named |= {name.split(".", 1)[0] for name in trigger.fields}

    def _sync(self, position: int, recipe: Recipe) -> None:
        for sync in recipe.syncs:
            sides = {"left": sync.left_connection, "right": sync.right_connection}
            for side, connection in sides.items():
                by_field = self._fields.setdefault(connection, {})
                for one in sync.fields:
                    by_field.setdefault((one.left if side == "left" else one.right)[0], []).append(position)

    def watches(self, connection: str, kind: str) -> bool:
        """Whether any of the recipes looks at changes of such entities."""
        return (connection, kind) in self._watched

    def meeting(self, subject: Subject) -> Meeting:
        """Give what a change means to the recipes, what they keep in step left aside."""
        if subject.hops > MAX_HOPS:
            return self._cut
        watch = self._watches.get((subject.ref.connection, subject.kind))
        return watch.meeting(subject) if watch is not None else NOBODY

    def writers(self, subject: Subject) -> set[int]:
        """Give the recipes that wrote what the change shows: to them it means something else than to the others."""
        return {self._positions[name] for name in subject.writers if name in self._positions}

    def touched(self, subject: Subject) -> set[int]:
        """Give the recipes that keep in step, or carry over, what has changed, if it is linked."""
        if subject.op == "deleted":
            return set()
        if subject.kind == "comment":
            return self._carrying(subject.ref.connection) if subject.op == "created" else set()
        by_field = self._fields.get(subject.ref.connection, {})
        return {
            position
            for name, some in by_field.items()
            if name in subject.fields or name in subject.overruled
            for position in some
        }

    def _carrying(self, connection: str) -> set[int]:
        found = self._carriers.get(connection)
        if found is None:
            found = self._carriers[connection] = {
                position
                for position, recipe in enumerate(self.recipes)
                for sync in recipe.syncs
                for rule in sync.comments
                if connection == (sync.left_connection if rule.source == "left" else sync.right_connection)
            }
        return found


class Indexes:
    """The indexes of the groups that were met last: as long as the recipes are the same, so is what is known of them."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], Index] = {}

    def of(self, recipes: Sequence[Recipe]) -> Index:
        """Give the index of a group; two groups are the same when their recipes are the same objects, in the same order."""
        # An index holds its recipes, so that no other object can get the identity of one of them.
        key = tuple(map(id, recipes))
        found = self._known.pop(key, None) or Index(recipes)
        while len(self._known) >= _MOST_GROUPS:
            del self._known[next(iter(self._known))]
        self._known[key] = found
        return found


@dataclass(slots=True)
class _Passed:
    """Changes of one sort: number within the batch, and record; and whom each was shown to, as indexes into these."""

    subjects: list[tuple[int, Ref]] = field(default_factory=list)
    shown: dict[int, list[int]] = field(default_factory=dict)


class Stop(NamedTuple):
    """What is counted with a recipe that was not shown `times` changes; the last of them was number `turn` of the batch.

    `condition` is the one that did not hold, and empty where none was judged.
    """

    recipe: Recipe
    what: str
    condition: str
    times: int
    turn: int
    ref: Ref


@dataclass(slots=True)
class Showing:
    """One batch of changes: shows each to the recipes it may concern, and counts it with the others."""

    index: Index
    scopes: Scopes
    _passed: dict[Meeting, _Passed] = field(default_factory=dict)

    def whom(self, subject: Subject, turn: int) -> Iterator[Recipe]:
        """Give the recipes that a change is shown to, in the order of the group. `turn` is its number within the batch.

        Has to be gone through to its end, and no recipe asked for before the one given is done with the change.
        """
        meeting = self.index.meeting(subject)
        shown = meeting.find(subject.after)
        if subject.writers:
            shown |= self.index.writers(subject)
        touched = self.index.touched(subject)
        # A comment is carried over by the links of what it stands in.
        linked = bool(touched) and (subject.kind == "comment" or self.scopes.may_be_linked(subject.ref))
        if linked:
            shown |= touched
        # Hardly any change is shown to anybody.
        order, recipes = sorted(shown) if shown else [], self.index.recipes
        for at, position in enumerate(order):
            yield recipes[position]
            if touched and not linked and self.scopes.may_be_linked(subject.ref):
                # This recipe has just linked it, which those behind it see.
                linked = True
                late = {one for one in touched if one > position}
                shown |= late
                order[at + 1 :] = sorted(late.union(order[at + 1 :]))
        if meeting.stops:
            self._pass(meeting, subject, turn, shown)

    def _pass(self, meeting: Meeting, subject: Subject, turn: int, shown: Iterable[int]) -> None:
        passed = self._passed.get(meeting)
        if passed is None:
            passed = self._passed[meeting] = _Passed()
        for position in shown:
            passed.shown.setdefault(position, []).append(len(passed.subjects))
        passed.subjects.append((turn, subject.ref))

    def stops(self) -> Iterator[Stop]:
        """Give what came of the changes for the recipes that they were not shown to."""
        for meeting, passed in self._passed.items():
            number = len(passed.subjects)
            for position, what, condition in meeting.stops:
                shown = passed.shown.get(position, ())
                if len(shown) == number:
                    continue
                last = number - 1
                # The last change that it was not shown: `shown` is in order too.
                for at in reversed(shown):
                    if at != last:
                        break
                    last -= 1
                turn, ref = passed.subjects[last]
                yield Stop(self.index.recipes[position], what, condition, number - len(shown), turn, ref)
