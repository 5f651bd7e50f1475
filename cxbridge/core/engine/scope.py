"""What expressions see: plain copies of records, built inside one transaction; nothing here decides or writes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from cxbridge.core.canonical import KINDS
from cxbridge.core.ledger import Ref, decode_entity, view
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


@dataclass(slots=True)
class Scopes:
    """Builds scopes in one transaction; every record is read and unpacked once."""

    tx: Tx
    now: datetime
    _seen: dict[Ref, dict[str, Any] | None] = field(default_factory=dict)

    def entity(self, ref: Ref) -> dict[str, Any] | None:
        """Show the stored entity, or `None`."""
        if ref not in self._seen:
            record = records.get(self.tx, ref)
            self._seen[ref] = None if record is None else body_view(ref, record.kind, record.body)
        return self._seen[ref]

    def linked(self, entity: Mapping[str, Any], relation: str) -> list[dict[str, Any]]:
        """Show what is linked with an entity, on whichever side it stands."""
        text = entity.get("id")
        if not isinstance(text, str):
            return []
        ref = Ref.parse(text)
        shown = []
        for link in links.of(self.tx, ref, relation):
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
    ) -> dict[str, Any]:
        """Put together the names of one evaluation: subject, what belongs to it, `before`, inputs, results, event and now."""
        scope: dict[str, Any] = {
            **(results or {}),
            noun: subject,
            "before": before,
            "inputs": recipe.inputs,
            "event": event or {},
            "now": self.now,
            LINKED: self.linked,
        }
        kind = NOUNS[noun]
        for name, (held_in, leads_to) in BELONGINGS.get(kind, {}).items():
            text = subject.get(held_in)
            found = self.entity(Ref.parse(text)) if isinstance(text, str) else None
            scope[name] = found or blank(leads_to)
        if item is not None:
            scope["item"] = item
        return scope
