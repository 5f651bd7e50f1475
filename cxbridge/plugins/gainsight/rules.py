"""How one connection reads and writes a tenant's names: fields, stages, calls to action, bands of health; tables, no I/O."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from functools import cached_property
from typing import Final, TypeVar, cast

from cxbridge.core import connector as cx

_Word = TypeVar("_Word", bound=str)

# What fields of a company are called, best first; names differ from tenant to tenant.
COMPANY_FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "arr": ("Arr",),
    "currency": ("CurrencyIsoCode",),
    "industry": ("Industry",),
    "lifecycle": ("Stage",),
    "contract_start": ("OriginalContractDate",),
    "renewal_at": ("RenewalDate",),
    "owner_csm": ("Csm",),
    "parent": ("ParentCompany",),
    "health_score": ("CurrentScore",),
    "nps_last": ("Nps",),
    "tags": ("Tags",),
    "notes": ("Summary",),
    "domains": (),
    "segment": (),
    "tier": (),
    "region": (),
    "support_plan": (),
    "language": (),
    "timezone": (),
}
CONTACT_FIELDS: Final[Mapping[str, Sequence[str]]] = {
    "name": ("Name",),
    "first_name": ("FirstName",),
    "last_name": ("LastName",),
    "unsubscribed": ("EmailOptOut",),
    "timezone": ("Timezone",),
    "external_id": ("ExternalRecordID__gc",),
    "language": (),
}
_LIFECYCLES: Final[Mapping[cx.Lifecycle, Sequence[str]]] = {
    "prospect": ("Prospect", "Prospecting", "Lead"),
    "onboarding": ("New Customer", "Kicked Off", "Onboarding", "Implementation"),
    "live": ("Launched", "Adopting", "Live", "Active", "Customer"),
    "renewing": ("Renewing", "Renewal", "Up for Renewal"),
    "at_risk": ("Will Churn", "At Risk"),
    "churned": ("Churned", "Churn", "Former Customer"),
    "paused": ("Paused", "On Hold"),
}
_PRIORITIES: Final[Mapping[cx.Priority, Sequence[str]]] = {
    "urgent": ("Urgent", "Critical", "High"),
    "high": ("High",),
    "normal": ("Medium", "Normal"),
    "low": ("Low",),
    "none": ("Low",),
}
# "High" stands for two on the way out; on the way in it is one.
_PRIORITIES_IN: Final[Mapping[cx.Priority, Sequence[str]]] = {
    "urgent": ("Urgent", "Critical"),
    "high": ("High",),
    "normal": ("Medium", "Normal"),
    "low": ("Low",),
}
_KINDS: Final[Mapping[cx.TaskKind, Sequence[str]]] = {
    "risk": ("Risk",),
    "opportunity": ("Opportunity", "Expansion"),
    "lifecycle": ("Lifecycle",),
    "objective": ("Objective",),
    "follow_up": ("Follow Up", "Lifecycle"),
    "activity": ("Activity", "Lifecycle"),
}
_STATUSES: Final[Mapping[cx.TaskStatus, Sequence[str]]] = {
    "open": ("New", "Open"),
    "in_progress": ("Work In Progress", "In Progress"),
    "snoozed": ("Snoozed",),
    "done": ("Closed Success", "Closed"),
    "dropped": ("Closed Lost", "Closed Invalid", "Closed No Action", "Closed Invalid/Lost"),
}
# Words in the label of a closed status that say that nothing came of it.
_DROPPED_WORDS: Final = ("lost", "invalid", "no action", "cancel", "dropped", "unsuccess")
_COLOURS: Final[Mapping[str, cx.HealthBand]] = {
    "red": "red",
    "yellow": "yellow",
    "amber": "yellow",
    "orange": "yellow",
    "green": "green",
    "lime": "green",
}
_TOUCHES: Final = ("call", "email", "meeting", "chat", "update", "milestone")


def fold(name: str) -> str:
    """Bring a label into the form it is compared in."""
    return " ".join(name.split()).casefold()


@dataclass(frozen=True)
class Rules:
    """The tables of one connection, and how it reads.

    `page` bounds the rows of a query, `overlap` is how many seconds a run looks back, `zone` the one that filters are read in.
    `yellow_from` and `green_from` are the scores at which these bands begin.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    contact_fields: Mapping[str, str] = field(default_factory=dict)
    task_fields: Mapping[str, str] = field(default_factory=dict)
    external_ids: Sequence[str] = ()
    marker_field: str = ""
    evidence_field: str | None = None
    health_field: str | None = None
    scorecard: str | None = None
    task_object: str = "call_to_action"
    delete_logs: Sequence[str] = ()
    lifecycles: Mapping[cx.Lifecycle, Sequence[str]] = field(default_factory=dict)
    statuses: Mapping[cx.TaskStatus, Sequence[str]] = field(default_factory=dict)
    priorities: Mapping[cx.Priority, Sequence[str]] = field(default_factory=dict)
    kinds: Mapping[cx.TaskKind, Sequence[str]] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    author_email: str | None = None
    due_days: int = 7
    yellow_from: float = 51.0
    green_from: float = 76.0
    page: int = 5000
    overlap: int = 86_400
    zone: tzinfo = UTC

    @cached_property
    def _lifecycles(self) -> Mapping[str, cx.Lifecycle]:
        return _inverse(_LIFECYCLES) | _inverse(self.lifecycles)

    @cached_property
    def _statuses(self) -> Mapping[str, cx.TaskStatus]:
        return _inverse(_STATUSES) | _inverse(self.statuses)

    @cached_property
    def _priorities(self) -> Mapping[str, cx.Priority]:
        return _inverse(_PRIORITIES_IN) | _inverse(self.priorities)

    @cached_property
    def _kinds(self) -> Mapping[str, cx.TaskKind]:
        known: dict[str, cx.TaskKind] = {"follow up": "follow_up", "activity": "activity", "lifecycle": "lifecycle"}
        return _inverse(_KINDS) | known | _inverse(self.kinds)

    def custom(self) -> Mapping[str, str]:
        """The fields of a company that recipes find under `custom`."""
        own = {alias: name for alias, name in self.fields.items() if alias not in COMPANY_FIELDS}
        if self.health_field is not None and self.health_field not in own.values():
            own["written_health"] = self.health_field
        return own

    def lifecycle(self, label: str | None) -> cx.Lifecycle | None:
        """Read a stage; one that nobody mapped is none."""
        return self._lifecycles.get(fold(label)) if label else None

    def stage_names(self, wanted: str) -> Sequence[str]:
        """How a lifecycle may be called there, best first; what is no canonical word is taken as the tenant's own."""
        word = cast("cx.Lifecycle", wanted)
        return [*self.lifecycles.get(word, ()), *_LIFECYCLES.get(word, ()), wanted]

    def status(self, label: str | None, closed: bool | None) -> cx.TaskStatus:
        """Read a status: whether it is closed is the vendor's word, what came of it is in the label."""
        found = self._statuses.get(fold(label)) if label else None
        if closed is None:
            return found or "unknown"
        if closed:
            if found in ("done", "dropped"):
                return found
            return "dropped" if any(word in fold(label or "") for word in _DROPPED_WORDS) else "done"
        return found if found in ("in_progress", "snoozed") else "open"

    def status_names(self, wanted: str) -> Sequence[str]:
        """How a status may be called there, best first."""
        word = cast("cx.TaskStatus", wanted)
        return [*self.statuses.get(word, ()), *_STATUSES.get(word, (wanted,))]

    def priority(self, label: str | None) -> cx.Priority:
        """Read a priority; one that nobody mapped is `normal`."""
        return self._priorities.get(fold(label), "normal") if label else "none"

    def priority_names(self, wanted: str) -> Sequence[str]:
        """How a priority may be called there, best first."""
        word = cast("cx.Priority", wanted)
        return [*self.priorities.get(word, ()), *_PRIORITIES.get(word, (wanted,))]

    def kind(self, label: str | None) -> cx.TaskKind:
        """Read a type of call to action; one that nobody mapped is an activity."""
        return self._kinds.get(fold(label), "activity") if label else "activity"

    def kind_names(self, wanted: str) -> Sequence[str]:
        """How a type of call to action may be called there, best first."""
        word = cast("cx.TaskKind", wanted)
        return [*self.kinds.get(word, ()), *_KINDS.get(word, (wanted,))]

    def band(self, value: float | None, label: str | None = None) -> cx.HealthBand:
        """Tell the band of a score, or of a colour's name; without either it is not known, and never green."""
        if value is not None:
            return "red" if value < self.yellow_from else "yellow" if value < self.green_from else "green"
        return _COLOURS.get(fold(label), "unknown") if label else "unknown"


def touch(label: str | None) -> str:
    """Read a type of timeline entry, as far as its name says what it was."""
    words = fold(label or "").replace("-", " ").split()
    return next((one for one in _TOUCHES if one in words), "other")


def _inverse(table: Mapping[_Word, Sequence[str]]) -> dict[str, _Word]:
    # Where a label stands for several, the first one in the table counts.
    found: dict[str, _Word] = {}
    for canonical, names in table.items():
        for name in names:
            found.setdefault(fold(name), canonical)
    return found
