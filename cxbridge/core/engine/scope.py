"""What expressions see: plain copies of records, built inside one transaction; nothing here decides or writes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache, partial
from typing import Any

import msgspec

from cxbridge.core.canonical import KINDS
from cxbridge.core.engine.identity_views import MATCHED_KINDS, Counterparts
from cxbridge.core.ledger import Link, Record, Ref, Run, body_view
from cxbridge.core.recipes.expressions import ITS, JUDGED, LINKED, MOVES, ExpressionError
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.nouns import BELONGINGS, NOUNS, Belonging
from cxbridge.core.recipes.paths import step_into
from cxbridge.core.recipes.values import MISSING
from cxbridge.core.store import Tx, changes, links, records, restored, runs
from cxbridge.core.store.restored import Mark

# How far back a band looks, in changes of the record.
_LONGEST_HISTORY = 400
_RUNS_LOOKED_AT = 20


def blank(kind: str) -> dict[str, Any]:
    """Show an entity that is not there: every field is empty, so that a condition on it says no instead of failing."""
    made = {name: make() if make is not None else None for name, make in _makers(kind)}
    return {"id": None, "source": None, **made}


@cache
def _makers(kind: str) -> tuple[tuple[str, Callable[[], Any] | None], ...]:
    """Name the fields of a kind, each with what makes its value where it is a list or a table."""
    # Those are made anew for each entity; every other default would be a claim about somebody unknown.
    fields = [(one.name, one.default_factory) for one in msgspec.structs.fields(KINDS[kind])]
    return tuple((name, None if make is msgspec.NODEFAULT else make) for name, make in fields)


def unknown() -> dict[str, Any]:
    """Show something of which not even the kind is known: whatever is asked of it is empty."""
    return {name: value for kind in KINDS for name, value in blank(kind).items()} | blank("ticket")


def field_at(record: Mapping[str, Any], parts: Sequence[str | int]) -> Any:
    """Read the field that a path leads to, from the record that its first part stands for; `None` where there is none."""
    value: Any = record
    for part in parts[1:]:
        value = step_into(value, part)
    return None if value is MISSING else value


class Scope(MutableMapping[str, Any]):
    """The names of one evaluation. What belongs to the subject is read when it is first asked for: most conditions never do.

    Whatever reads it is told the scope, and does not hold it: one is made for every change, and must be gone as soon as it is used.
    Lives no longer than the transaction it was built in.
    """

    __slots__ = ("_later", "_values")

    def __init__(self, values: dict[str, Any], later: dict[str, Callable[["Scope"], Any]]) -> None:
        self._values = values
        self._later = later
        for name in later:
            values[name] = None

    def __getitem__(self, name: str) -> Any:
        if name in self._later:
            self._values[name] = self._later[name](self)
            del self._later[name]
        return self._values[name]

    def get(self, name: str, default: Any = None) -> Any:
        """Give what the name stands for; asked at every path of every expression."""
        return self[name] if name in self._values else default

    def __setitem__(self, name: str, value: Any) -> None:
        self._later.pop(name, None)
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        self._later.pop(name, None)
        del self._values[name]

    def __contains__(self, name: object) -> bool:
        return name in self._values

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


@dataclass(slots=True)
class _Stored:
    """Shows what is stored, in one transaction; every record is read and unpacked once."""

    tx: Tx
    _seen: dict[Ref, dict[str, Any] | None] = field(default_factory=dict)
    # Records that are read together, as soon as one of them is asked for; and those that were.
    _together: set[Ref] = field(default_factory=set)
    _read: dict[Ref, Record] = field(default_factory=dict)

    def entity(self, ref: Ref) -> dict[str, Any] | None:
        """Show the stored entity, or `None`."""
        if ref not in self._seen:
            if ref in self._together:
                self._read |= records.get_many(self.tx, self._together)
                self._together = set()
            record = self._read.pop(ref, None) or records.get(self.tx, ref)
            self._seen[ref] = None if record is None else body_view(ref, record.kind, record.body)
        return self._seen[ref]

    def know(self, ref: Ref, entity: dict[str, Any]) -> None:
        """Be told how an entity is stored, by somebody who has read it."""
        self._seen.setdefault(ref, entity)

    def read_together(self, refs: Iterable[Ref]) -> None:
        """Have these records read at once, if any of them is asked for."""
        self._together |= {ref for ref in refs if ref not in self._seen and ref not in self._read}


@dataclass(slots=True)
class Scopes:
    """Builds scopes in one transaction."""

    tx: Tx
    now: datetime
    # Show the stored entity, or `None`; be told how one is stored; have records read at once, if any of them is asked for.
    entity: Callable[[Ref], dict[str, Any] | None] = field(init=False)
    know: Callable[[Ref, dict[str, Any]], None] = field(init=False)
    read_together: Callable[[Iterable[Ref]], None] = field(init=False)
    # Who is the same company or person elsewhere.
    same: Counterparts = field(init=False)
    _unlinked: set[Ref] = field(default_factory=set)
    # Records that are most likely asked about, if any is.
    _ahead: Iterable[Ref] = ()
    _restored: Mark | None = None
    _restored_read: bool = False

    def __post_init__(self) -> None:
        # Something of its own, which both know: if one knew the other, neither would go by itself.
        stored = _Stored(self.tx)
        self.entity, self.know, self.read_together = stored.entity, stored.know, stored.read_together
        self.same = Counterparts(self.tx, stored.entity)

    @property
    def restored(self) -> Mark | None:
        """That the store was put back to an earlier moment, where it ever was; read when first asked for."""
        if not self._restored_read:
            self._restored, self._restored_read = restored.read(self.tx), True
        return self._restored

    @restored.setter
    def restored(self, mark: Mark) -> None:
        self._restored, self._restored_read = mark, True

    def look_ahead(self, refs: Iterable[Ref]) -> None:
        """Have it found out at once which of these records have no link, as soon as that is asked of any."""
        self._ahead = refs

    def may_be_linked(self, ref: Ref) -> bool:
        """Whether a record has links; also True where that was not found out for many at once."""
        if self._ahead:
            asked, self._ahead = set(self._ahead), ()
            self._unlinked |= asked - links.among(self.tx, asked)
        return ref not in self._unlinked

    def joined(self, link: Link) -> None:
        """Hear of a link that was made in this transaction."""
        self._unlinked -= {link.left, link.right}

    def links_of(self, ref: Ref, relation: str) -> list[Link]:
        """Find the active links of a record, oldest first."""
        return links.of(self.tx, ref, relation) if self.may_be_linked(ref) else []

    def linked(self, entity: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
        """Show what is linked with an entity, on whichever side it stands."""
        text = entity.get("id")
        if not isinstance(text, str):
            return []
        ref = Ref.parse(text)
        shown = []
        for link in self.links_of(ref, relation):
            other = link.right if link.left == ref else link.left
            shown.append(self.shown(other))
        return shown

    def shown(self, ref: Ref) -> dict[str, Any]:
        """Show an entity, as far as it is known; one that was not pulled yet has an id and nothing else."""
        return self.entity(ref) or {**unknown(), "id": str(ref), "source": ref.connection}

    def build(
        self,
        recipe: Recipe,
        noun: str,
        subject: Mapping[str, Any],
        *,
        before: Mapping[str, Any] | None = None,
        event: Mapping[str, Any] | None = None,
        results: Mapping[str, Any] | None = None,
        item: Mapping[str, Any] | None = None,
        span: Sequence[int] | None = None,
        run: Run | None = None,
        judged: dict[str, Any] | None = None,
    ) -> Scope:
        """Put together the names of one evaluation: subject, what belongs to it, `before`, inputs, results, event and now.

        `span` are the first and last number of the change at hand, where there is one; `run` is the run it is for, once there is
        one. What texts were judged to be is kept in `judged`.
        """
        values: dict[str, Any] = {
            **(results or {}),
            noun: subject,
            "before": before,
            "inputs": recipe.inputs,
            "event": event or {},
            "now": self.now,
            LINKED: self.linked,
            ITS: partial(self._its, recipe),
            MOVES: partial(self._moves, recipe, subject, span, run),
            JUDGED: judged if judged is not None else {},
        }
        scope = self._with_belongings(recipe, values, NOUNS[noun], subject)
        if item is not None:
            scope["item"] = item
        return scope

    def _its(self, recipe: Recipe, record: Mapping[str, Any], name: str) -> dict[str, Any]:
        """Show who belongs to any record, by the names that subjects have for it."""
        text = record.get("id")
        stored = records.get(self.tx, Ref.parse(text)) if isinstance(text, str) else None
        if stored is None:
            return unknown()
        if name not in BELONGINGS.get(stored.kind, {}):
            raise ExpressionError(f"no {name} belongs to a {stored.kind}")
        found: dict[str, Any] = self._with_belongings(recipe, {}, stored.kind, record)[name]
        return found

    def _with_belongings(self, recipe: Recipe, values: dict[str, Any], kind: str, record: Mapping[str, Any]) -> Scope:
        found = BELONGINGS.get(kind, {})
        return Scope(values, {name: partial(self._belonging, recipe, one, record) for name, one in found.items()})

    def _moves(
        self,
        recipe: Recipe,
        subject: Mapping[str, Any],
        span: Sequence[int] | None,
        run: Run | None,
        parts: Sequence[str | int],
    ) -> list[tuple[Any, bool]]:
        """List the values that a field of the subject has had, oldest first, each with whether it is news to the recipe.

        News is what the change at hand brought. Where there is none, as in a sweep, it is what came after the recipe last acted
        on this subject.
        """
        ref = Ref.parse(str(subject["id"]))
        log = sorted(changes.of(self.tx, ref, _LONGEST_HISTORY), key=lambda one: one.seq)
        acted = self._acted(recipe, ref, run) if span is None else None
        moves: list[tuple[Any, bool]] = []
        for number, change in enumerate(log):
            if span is not None and change.seq > span[1]:
                break
            if number == 0 and change.before is not None:
                moves.append((field_at(body_view(ref, change.kind, change.before), parts), False))
            after = log[number + 1].before if number + 1 < len(log) else None
            shown = subject if number + 1 == len(log) else body_view(ref, change.kind, after) if after else {}
            news = span[0] <= change.seq if span is not None else acted is None or change.at > acted
            moves.append((field_at(shown, parts), news))
        return moves or [(field_at(subject, parts), False)]

    def _acted(self, recipe: Recipe, ref: Ref, run: Run | None) -> datetime | None:
        """Say when the recipe last began to act on a subject, before the run at hand."""
        for one in runs.find(self.tx, recipe=recipe.id, subject=ref, limit=_RUNS_LOOKED_AT):
            other = run is None or (one.id != run.id and one.started_at <= run.started_at)
            # What it did in shadow does not count once it acts.
            if other and one.part == "steps" and one.once.startswith("shadow|") is not recipe.acts:
                return one.started_at
        return None

    def _belonging(
        self, recipe: Recipe, one: Belonging, subject: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]]
    ) -> dict[str, Any]:
        """Show who belongs to a subject; `others` gives those through whom they are found.

        An account or a contact is shown with what its counterparts know, in the order in which the recipe names their connections.
        """
        text = (others[one.of] if one.of else subject).get(one.field)
        if text is None and one.otherwise:
            text = others[one.otherwise].get(one.field)
        if not isinstance(text, str):
            return blank(one.kind)
        ref = Ref.parse(text)
        if one.kind in MATCHED_KINDS:
            return self.same.shown(ref, one.kind, tuple(recipe.use.values()), blank)
        return self.entity(ref) or blank(one.kind)
