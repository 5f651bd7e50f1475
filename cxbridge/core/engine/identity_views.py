"""One company or person as recipes see it: a record with what its counterparts in other connections know; reads only."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Annotated, Any, Final, get_args, get_origin, get_type_hints

import msgspec

from cxbridge.core.connector import Inputs
from cxbridge.core.ledger import Ref, Run
from cxbridge.core.recipes.expressions import Unmapped
from cxbridge.core.store import Tx, identity
from cxbridge.functions import naming

# What a record is called and when it moved in its own platform: never filled from another one.
_ITS_OWN: Final = frozenset(
    (
        "id",
        "source",
        "source_id",
        "source_key",
        "url",
        "created_at",
        "updated_at",
        "version",
        "deleted_at",
        "deleted_how",
        "changed_by",
        "custom",
        "consent",
    )
)
# A person who said no to one platform has said no.
_NO_WINS: Final = ("do_not_contact", "unsubscribed", "survey_optout")
_LATEST_WINS: Final = ("last_surveyed_at",)

MATCHED_KINDS: Final = frozenset(identity.KINDS)

Entities = Callable[[Ref], dict[str, Any] | None]


class Unmatched(Unmapped):
    """A record is not known yet in the connection that is to be written to: the run waits until it is."""

    def __init__(self, ref: Ref, kind: str, connection: str, told: str) -> None:
        Exception.__init__(self, told)
        self.map_name, self.value = "identity", str(ref)
        self.ref = ref
        self.kind = kind
        self.connection = connection


@dataclass(slots=True)
class Counterparts:
    """Finds who is the same, within one transaction; each is looked up once. `entity` shows a stored record."""

    tx: Tx
    entity: Entities
    _clusters: dict[Ref, frozenset[Ref]] = field(default_factory=dict)
    _shown: dict[tuple[Ref, tuple[str, ...]], dict[str, Any]] = field(default_factory=dict)
    _any: bool | None = None

    def cluster(self, ref: Ref, kind: str) -> frozenset[Ref]:
        """Give all that a record is the same as, itself among them; one that is not stored is looked for by its key."""
        if ref not in self._clusters:
            found = self._connected(ref)
            if found == {ref} and self.entity(ref) is None:
                found |= self._by_id(ref, kind)
            self._clusters[ref] = found
        return self._clusters[ref]

    def _connected(self, ref: Ref) -> frozenset[Ref]:
        if self._any is None:
            # In a store where nothing is matched, nothing more is asked.
            self._any = identity.any_confirmed(self.tx)
        return identity.clusters(self.tx, (ref,))[ref] if self._any else frozenset((ref,))

    def _by_id(self, ref: Ref, kind: str) -> frozenset[Ref]:
        value = naming.external_id(ref.key)
        if not value:
            return frozenset()
        keys = [f"id:{value}"] if naming.is_weak_id(value) else [f"id:{value}", f"own:{ref.key.casefold()}"]
        found = {one for refs in identity.holders(self.tx, kind, keys).values() for one in refs}
        found = {one for one in found if one.connection != ref.connection}
        clusters = {self._connected(one) for one in found}
        # Several who are not one another: the id tells nobody apart.
        return clusters.pop() if len(clusters) == 1 else frozenset()

    def in_connection(self, ref: Ref, kind: str, connection: str) -> Ref:
        """Say which record it is there.

        Raises:
            Unmatched: it is not known there yet, or is several.
        """
        if ref.connection == connection:
            return ref
        there = sorted(one for one in self.cluster(ref, kind) if one.connection == connection and self._lives(one))
        if len(there) > 1:
            direct = {match.other(ref) for match in identity.of(self.tx, (ref,)) if match.state == "confirmed"}
            there = [one for one in there if one in direct] or there
        if len(there) == 1:
            return there[0]
        shown = self.entity(ref) or {}
        name = f" ({shown['name']})" if shown.get("name") else ""
        if there:
            which = ", ".join(map(str, there))
            told = f"{kind} {ref}{name} is several in {connection} ({which}): cxbridge identity show {ref}"
        else:
            told = f"{kind} {ref}{name} is not known in {connection} yet: cxbridge identity list"
        raise Unmatched(ref, kind, connection, told)

    def _lives(self, ref: Ref) -> bool:
        shown = self.entity(ref)
        return shown is not None and shown.get("deleted_at") is None

    def shown(
        self, ref: Ref, kind: str, first: Sequence[str], blank: Callable[[str], dict[str, Any]]
    ) -> dict[str, Any]:
        """Show a record with its gaps filled by its counterparts: those in the connections named `first`, then by name.

        What the record itself says counts, but a no to being contacted counts wherever it was said. Of one that is not stored and
        known to nobody there is its id: who is to be reached by that waits until more is known.
        """
        place = (ref, tuple(first))
        if place not in self._shown:
            self._shown[place] = self._merged(ref, kind, first, blank)
        return self._shown[place]

    def _merged(
        self, ref: Ref, kind: str, first: Sequence[str], blank: Callable[[str], dict[str, Any]]
    ) -> dict[str, Any]:
        merged = self.entity(ref)
        if merged is None:
            merged = {**blank(kind), "id": str(ref), "source": ref.connection, "source_id": ref.key}
        others = [one for one in self.cluster(ref, kind) if one != ref and self._lives(one)]
        if not others:
            return merged
        rank = {name: at for at, name in reversed([*enumerate(first)])}
        others.sort(key=lambda one: (rank.get(one.connection, len(rank)), one))
        merged = dict(merged)
        for other in others:
            _fill(merged, self.entity(other) or {})
        return merged


@cache
def ref_fields(inputs: type[Inputs]) -> Mapping[str, str]:
    """Name the inputs of a verb that say an account or a contact, with the kind that each says."""
    hints = get_type_hints(inputs, include_extras=True)
    return {name: kind for name in inputs.__struct_fields__ if (kind := _kind_said(hints[name]))}


def _kind_said(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        for meta in get_args(hint)[1:]:
            if isinstance(meta, msgspec.Meta) and meta.extra and "ref" in meta.extra:
                return str(meta.extra["ref"])
    return next((kind for part in get_args(hint) if (kind := _kind_said(part))), "")


def translated(same: Counterparts, inputs: Inputs, connection: str, *, given: bool) -> Inputs:
    """Say each account and contact by its key in the connection that is written to.

    What a test in a recipe file has `given` is in no store: it is known everywhere, by the key it was given.

    Raises:
        Unmatched: one is not known there yet. ValueError: an input is no id.
    """
    moved: dict[str, str] = {}
    for name, kind in ref_fields(type(inputs)).items():
        text = getattr(inputs, name)
        if text is None:
            continue
        ref = Ref.parse(text)
        moved[name] = ref.key if given else same.in_connection(ref, kind, connection).key
    return msgspec.structs.replace(inputs, **moved) if moved else inputs


# Where a held run keeps whom it waits for.
WAITS_FOR: Final = "unmatched"


def waiting(context: Mapping[str, Any], held: Unmapped) -> Mapping[str, Any]:
    """Note with a run for whom it is held, where it is for somebody."""
    if isinstance(held, Unmatched):
        return {**context, WAITS_FOR: {"ref": str(held.ref), "kind": held.kind, "connection": held.connection}}
    return context


def resumed(run: Run) -> Run:
    """Let a run that is looked at again wait for nobody, until it is held anew."""
    if WAITS_FOR not in run.context:
        return run
    return msgspec.structs.replace(run, context={name: one for name, one in run.context.items() if name != WAITS_FOR})


def _fill(merged: dict[str, Any], other: Mapping[str, Any]) -> None:
    for name, value in other.items():
        if name in _ITS_OWN or name not in merged:
            continue
        held = merged[name]
        if name in _NO_WINS:
            merged[name] = True if value is True else value if held is None else held
        elif name in _LATEST_WINS and isinstance(held, datetime) and isinstance(value, datetime):
            merged[name] = max(held, value)
        elif _empty(held) or (name == "name" and value and _stands_in(held, merged)):
            merged[name] = value
    merged["custom"] = {**(other.get("custom") or {}), **(merged.get("custom") or {})}
    if "consent" in merged:
        merged["consent"] = _consent(merged["consent"] or {}, other.get("consent") or {})


def _consent(held: Mapping[str, bool], other: Mapping[str, bool]) -> dict[str, bool]:
    return {name: held.get(name, True) and other.get(name, True) for name in {**held, **other}}


def _empty(value: Any) -> bool:
    return value is None or value in ("", [], {})


def _stands_in(name: str, record: Mapping[str, Any]) -> bool:
    """Whether a platform that was told no name shows an id in its place."""
    return name in (record.get("source_id"), record.get("external_id"))
