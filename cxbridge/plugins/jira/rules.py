"""How one connection reads and writes Jira's names: status, priority, resolution, type, severity, aliases; tables, no
I/O.

What an administrator configured comes first, then the vendor's stock names, then the stock ids, which stay when names
are translated. An unmapped value is kept beside its category, so nothing is lost by it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal, TypeVar, cast

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import wire

Severity = Literal["S1", "S2", "S3", "S4"]
_Canonical = TypeVar("_Canonical", bound=str)

# `undefined` is the vendor's "no category"; the last two are the published examples, which no recorded Cloud site
# answers.
_CATEGORIES: Final[Mapping[str, cx.StatusCategory]] = {
    "new": "open",
    "indeterminate": "in_progress",
    "done": "resolved",
    "undefined": "open",
    "in-flight": "in_progress",
    "completed": "resolved",
}
_PRIORITIES: Final[Mapping[cx.Priority, Sequence[str]]] = {
    "urgent": ("Highest", "Blocker", "Critical"),
    "high": ("High", "Major"),
    "normal": ("Medium", "Normal"),
    "low": ("Low", "Lowest", "Minor", "Trivial"),
}
# The ids every site is born with; names may be translated, these stay.
_PRIORITY_IDS: Final[Mapping[str, cx.Priority]] = {"1": "urgent", "2": "high", "3": "normal", "4": "low", "5": "low"}
_RESOLUTIONS: Final[Mapping[cx.Resolution, Sequence[str]]] = {
    "fixed": ("Done", "Fixed", "Resolved", "Completed", "Implemented"),
    "declined": ("Won't Do", "Won't Fix", "Declined", "Rejected"),
    "duplicate": ("Duplicate",),
    "not_reproducible": ("Cannot Reproduce", "Can't Reproduce", "Not Reproducible"),
    "workaround": ("Workaround", "Workaround Provided"),
    "by_design": ("Works as Designed", "By Design", "Not a Bug"),
    "no_response": ("No Response", "Incomplete", "Abandoned"),
    "answered": ("Answered",),
    "cancelled": ("Cancelled", "Canceled", "Withdrawn"),
}
# The first name of a type is the one to write; the others are read, and written where the first is not offered.
_TYPES: Final[Mapping[cx.TicketType, Sequence[str]]] = {
    "bug": ("Bug", "Defect"),
    "task": ("Task",),
    "incident": ("Incident",),
    "problem": ("Problem",),
    "change": ("Change",),
    "feature_request": ("Story", "New Feature", "Feature", "Improvement"),
    "service_request": ("Service Request", "Service Request with Approvals"),
    "question": ("Question", "Support", "IT Help"),
    "complaint": ("Complaint",),
}
# Statuses that cannot be told apart by their category alone, so that one counts as having reached the other.
_ALIKE: Final[Mapping[cx.StatusCategory, tuple[cx.StatusCategory, ...]]] = {
    "new": ("new", "open"),
    "open": ("open", "new"),
    "resolved": ("resolved", "closed"),
    "closed": ("closed", "resolved"),
}
# How far a status is along the way that every workflow goes; for choosing the next hop towards a category.
_RANK: Final[Mapping[str, int]] = {"new": 0, "undefined": 0, "indeterminate": 1, "done": 2}
_CATEGORY_RANK: Final[Mapping[cx.StatusCategory, int]] = {
    "new": 0,
    "open": 0,
    "in_progress": 1,
    "waiting": 1,
    "resolved": 2,
    "closed": 2,
    "cancelled": 2,
}


def fold(name: str) -> str:
    """Bring a name into the form it is compared in: without case, and without the `[System]` of template types."""
    return name.replace("\u2019", "'").removeprefix("[System] ").strip().casefold()


def _inverse(table: Mapping[_Canonical, Sequence[str]]) -> dict[str, _Canonical]:
    return {fold(name): canonical for canonical, names in table.items() for name in names}


@dataclass(frozen=True)
class Rules:
    """The tables of one connection. `site` is the address people open; `projects` bound everything that is read."""

    site: str
    projects: tuple[str, ...]
    fields: Mapping[str, str] = field(default_factory=dict)
    statuses: Mapping[str, cx.StatusCategory] = field(default_factory=dict)
    priorities: Mapping[cx.Priority, Sequence[str]] = field(default_factory=dict)
    resolutions: Mapping[cx.Resolution, Sequence[str]] = field(default_factory=dict)
    types: Mapping[cx.TicketType, str] = field(default_factory=dict)
    severities: Mapping[Severity, str] = field(default_factory=dict)
    through: tuple[str, ...] = ()

    @cached_property
    def _statuses(self) -> Mapping[str, cx.StatusCategory]:
        return {fold(name): category for name, category in self.statuses.items()}

    @cached_property
    def _own_priorities(self) -> Mapping[str, cx.Priority]:
        return _inverse(self.priorities)

    @cached_property
    def _priorities(self) -> Mapping[str, cx.Priority]:
        return {**_inverse(_PRIORITIES), **self._own_priorities}

    @cached_property
    def _resolutions(self) -> Mapping[str, cx.Resolution]:
        return _inverse(_RESOLUTIONS) | _inverse(self.resolutions)

    @cached_property
    def _types(self) -> Mapping[str, cx.TicketType]:
        return _inverse(_TYPES) | {fold(name): kind for kind, name in self.types.items()}

    @cached_property
    def _severities(self) -> Mapping[str, Severity]:
        return {fold(name): severity for severity, name in self.severities.items()}

    def url(self, key: str | None) -> str | None:
        """The page of an issue or project."""
        return f"{self.site}/browse/{key}" if key else None

    def category(self, status: wire.Status | None) -> cx.StatusCategory:
        """Read a status: by its own override, else by the category the vendor gives it."""
        if status is None:
            return "unknown"
        for name in (str(status.id), status.name or ""):
            if found := self._statuses.get(fold(name)):
                return found
        key = status.status_category.key if status.status_category else None
        return _CATEGORIES.get(key or "", "unknown")

    def reached(self, status: wire.Status | None, wanted: cx.StatusCategory) -> bool:
        """Tell whether a status is in the wanted category, or in one that this site cannot tell from it."""
        found = self.category(status)
        if found == wanted:
            return True
        return found in _ALIKE.get(wanted, ()) and wanted not in self._statuses.values()

    def priority(self, native: wire.Named | None) -> cx.Priority:
        """Read a priority; a name nobody mapped is `normal`, no priority at all is `none`."""
        if native is None:
            return "none"
        number, name = str(native.id), fold(native.name or "")
        found = self._own_priorities.get(fold(number)) or self._priorities.get(name) or _PRIORITY_IDS.get(number)
        return found or "normal"

    def resolution(self, native: wire.Named | None) -> cx.Resolution | None:
        """Read a resolution; a name nobody mapped is `other`."""
        if native is None:
            return None
        return self._resolutions.get(str(native.id)) or self._resolutions.get(fold(native.name or "")) or "other"

    def type(self, native: wire.IssueType | None) -> cx.TicketType:
        """Read an issue type; a subtask under any name is a task."""
        if native is None:
            return "other"
        found = self._types.get(str(native.id)) or self._types.get(fold(native.name or ""))
        return found or ("task" if native.subtask else "other")

    def severity(self, native: object) -> Severity | None:
        """Read a severity from an option's text: by the configured names, else by the digit in it."""
        if not isinstance(native, str | int):
            return None
        if found := self._severities.get(fold(str(native))):
            return found
        digits = re.findall(r"(?<!\d)[1-4](?!\d)", str(native))
        return cast("Severity", f"S{digits[0]}") if len(digits) == 1 else None

    def priority_names(self, wanted: str) -> Sequence[str]:
        """How a priority may be called there, best first; what is not canonical is taken as the vendor's own name."""
        canonical = cast("cx.Priority", wanted)
        return [*self.priorities.get(canonical, ()), *_PRIORITIES.get(canonical, () if wanted == "none" else (wanted,))]

    def resolution_names(self, wanted: cx.Resolution) -> Sequence[str]:
        """How a resolution may be called there, best first."""
        return [*self.resolutions.get(wanted, ()), *_RESOLUTIONS.get(wanted, ())]

    def type_names(self, wanted: cx.TicketType | None) -> Sequence[str]:
        """How an issue type may be called there, best first; anything may at last be a task."""
        kinds: list[cx.TicketType] = ["task"] if wanted is None else [wanted, "task"]
        names = [name for kind in kinds for name in (self.types.get(kind), *_TYPES.get(kind, ())) if name]
        return list(dict.fromkeys(names))

    def rank(self, status: wire.Status | None) -> int:
        """How far along its way an issue in that status is, from 0 to 2."""
        key = status.status_category.key if status and status.status_category else None
        return _RANK.get(key or "", 1)

    def goal(self, wanted: cx.StatusCategory) -> int | None:
        """The rank at which a category is to be looked for; `None` when no status can be in it."""
        return _CATEGORY_RANK.get(wanted)

    def field(self, alias: str) -> str:
        """Give the field id behind an alias; a field id stands for itself.

        Raises:
            Rejected: when the alias is not configured.
        """
        found = self.fields.get(alias) or (alias if re.fullmatch(r"customfield_\d+", alias) else None)
        if found is None:
            raise cx.Rejected(
                f'no field is called {alias[:60]}: name it under fields, as {alias[:60]} = "customfield_…"'
            )
        return found
