"""What expressions see: plain copies of records, built inside one transaction; nothing here decides or writes."""

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from cxbridge.core.canonical import KINDS
from cxbridge.core.ledger import Link, Ref, decode_entity, view
from cxbridge.core.recipes.expressions import LINKED
from cxbridge.core.recipes.model import BELONGINGS, NOUNS, Recipe
from cxbridge.core.store import Tx, links, records


def blank(kind: str) -> dict[str, Any]:
    """Show an entity that is not there: every field is empty, so that a condition on it says no instead of failing."""
    struct = KINDS[kind]
    shown: dict[str, Any] = dict.fromkeys(struct.__struct_fields__)
    shown.update(id=None, source=None, custom={})
    for name in struct.__struct_fields__:
        if name in ("tags", "domains", "emails", "labels", "followers", "ccs", "teams", "roles", "attachments"):
            shown[name] = []
    return shown


def body_view(ref: Ref, kind: str, body: bytes) -> dict[str, Any]:
    """Show a stored body."""
    return view(ref, decode_entity(kind, body))


class Scope(MutableMapping[str, Any]):
    """The names of one evaluation. What belongs to the subject is read when it is first asked for: most conditions never do.

    Lives no longer than the transaction it was built in.
    """

    __slots__ = ("_later", "_values")

    def __init__(self, values: dict[str, Any], later: dict[str, Callable[[], Any]]) -> None:
        self._values = values
        self._later = later
        for name in later:
            values[name] = None

    def __getitem__(self, name: str) -> Any:
        if name in self._later:
            self._values[name] = self._later[name]()
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
class Scopes:
    """Builds scopes in one transaction; every record is read and unpacked once."""

    tx: Tx
    now: datetime
    _seen: dict[Ref, dict[str, Any] | None] = field(default_factory=dict)
    _unlinked: set[Ref] = field(default_factory=set)

    def entity(self, ref: Ref) -> dict[str, Any] | None:
        """Show the stored entity, or `None`."""
        if ref not in self._seen:
            record = records.get(self.tx, ref)
            self._seen[ref] = None if record is None else body_view(ref, record.kind, record.body)
        return self._seen[ref]

    def look_ahead(self, refs: Iterable[Ref]) -> None:
        """Find out at once which of these records have no link, so that nobody asks for each of them."""
        asked = set(refs)
        self._unlinked |= asked - links.among(self.tx, asked)

    def joined(self, link: Link) -> None:
        """Hear of a link that was made in this transaction."""
        self._unlinked -= {link.left, link.right}

    def links_of(self, ref: Ref, relation: str) -> list[Link]:
        """Find the active links of a record, oldest first."""
        return [] if ref in self._unlinked else links.of(self.tx, ref, relation)

    def linked(self, entity: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
        """Show what is linked with an entity, on whichever side it stands."""
        text = entity.get("id")
        if not isinstance(text, str):
            return []
        ref = Ref.parse(text)
        shown = []
        for link in self.links_of(ref, relation):
            other = link.right if link.left == ref else link.left
            # The other side may not have been pulled yet: its id is all that is known of it.
            shown.append(self.entity(other) or {**blank("ticket"), "id": str(other), "source": other.connection})
        return shown

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
    ) -> Scope:
        """Put together the names of one evaluation: subject, what belongs to it, `before`, inputs, results, event and now."""
        values: dict[str, Any] = {
            **(results or {}),
            noun: subject,
            "before": before,
            "inputs": recipe.inputs,
            "event": event or {},
            "now": self.now,
            LINKED: self.linked,
        }
        scope = Scope(
            values,
            {
                name: partial(self._belonging, subject.get(held_in), leads_to)
                for name, (held_in, leads_to) in BELONGINGS.get(NOUNS[noun], {}).items()
            },
        )
        if item is not None:
            scope["item"] = item
        return scope

    def _belonging(self, text: object, kind: str) -> dict[str, Any]:
        found = self.entity(Ref.parse(text)) if isinstance(text, str) else None
        return found or blank(kind)
