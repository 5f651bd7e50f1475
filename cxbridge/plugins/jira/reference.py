"""Holds the names in a connection's settings against what the site lists; it reads only what is configured, and mends
nothing.

`developer.atlassian.com/cloud/jira/platform/rest/v3/`: issue fields, workflow statuses, priorities, resolutions, types.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import wire
from cxbridge.plugins.jira.listing import beans
from cxbridge.plugins.jira.rules import Rules, fold

STATUSES: Final = "/rest/api/3/status"
_FIELDS: Final = "/rest/api/3/field"
# The vendor's description marks this and its elder `/priority` as deprecated (CHANGE-1655) and offers no successor
# that needs no administrator; it asks OAuth for `manage:jira-configuration`.
_PRIORITIES: Final = "/rest/api/3/priority/search"
_RESOLUTIONS: Final = "/rest/api/3/resolution/search"
_TYPES: Final = "/rest/api/3/issuetype/project"
_PAGE: Final = 50
# From how much likeness on a field's name is taken for what its alias means.
_MEANT: Final = 0.6


@dataclass(frozen=True, slots=True)
class _Named:
    """A name in the settings, and the setting it is under."""

    setting: str
    name: str


# Names of one kind, how to list what there is (in as many parts as it takes), and how to hold them against it.
_Listing = Callable[[], Iterator[Sequence[wire.Named]]]
_Fits = Callable[[_Named, wire.Named], bool]
_Nearest = Callable[[_Named, Sequence[wire.Named]], wire.Named]


@dataclass(frozen=True, slots=True)
class _Question:
    kind: str
    names: Sequence[_Named]
    listing: _Listing
    fits: _Fits
    nearest: _Nearest


def verify(rules: Rules, client: cx.Client, projects: Sequence[str]) -> list[str]:
    """Find the names in the settings that the site does not know; `projects` are ids.

    A list that this credential may not read, or that the site does not serve, refutes nothing: it gives a notice.

    Raises:
        Rejected: when names are wrong, naming all of them.
    """
    wrong: list[str] = []
    notices: list[str] = []
    for question in _questions(rules, client, projects):
        if not question.names:
            continue
        try:
            wrong += _wrong(question)
        except (cx.Rejected, cx.Unauthorized) as error:
            settings = " and ".join(dict.fromkeys(one.setting.partition(".")[0] for one in question.names))
            why = error.detail or error.summary
            notices.append(f"the names under {settings} are not verified, the site's list was refused: {why}")
    if wrong:
        raise cx.Rejected(
            f"the settings name what this account does not find on the site: {', '.join(wrong)}; "
            "write each as Jira lists it, or let this account see it"
        )
    return notices


def _questions(rules: Rules, client: cx.Client, projects: Sequence[str]) -> Iterator[_Question]:
    def array(path: str) -> _Listing:
        return lambda: iter([_array(client, path)])

    def paged(path: str) -> _Listing:
        return lambda: ([_row(source) for source in rows] for rows in beans(client, path, {}, _PAGE))

    def types() -> Iterator[Sequence[wire.Named]]:
        for project in projects:
            yield _array(client, _TYPES, {"projectId": project})

    fields = [_Named(f"fields.{alias}", field) for alias, field in rules.fields.items()]
    yield _Question("field", fields, array(_FIELDS), _is_id, _nearest_field)
    statuses = [_Named("status_overrides", name) for name in rules.statuses]
    statuses += [_Named("through", name) for name in rules.through]
    yield _Question("status", statuses, array(STATUSES), _is_called, _nearest)
    yield _Question("priority", _each("priorities", rules.priorities), paged(_PRIORITIES), _is_called, _nearest)
    yield _Question("resolution", _each("resolutions", rules.resolutions), paged(_RESOLUTIONS), _is_called, _nearest)
    kinds = [_Named(f"issue_types.{kind}", name) for kind, name in rules.types.items()]
    yield _Question("issue type", kinds, types, _is_called, _nearest)


def _each(
    setting: str, table: Mapping[cx.Priority, Sequence[str]] | Mapping[cx.Resolution, Sequence[str]]
) -> list[_Named]:
    return [_Named(f"{setting}.{canonical}", name) for canonical, names in table.items() for name in names]


def _wrong(question: _Question) -> Iterator[str]:
    """List the names that do not exist; nothing more is asked for once all are found."""
    known: list[wire.Named] = []
    left = list(question.names)
    for rows in question.listing():
        known += [row for row in rows if row.id is not None]
        left = [one for one in left if not any(question.fits(one, row) for row in rows)]
        if not left:
            return
    for one in left:
        told = f'{question.kind} "{one.name[:60]}" under {one.setting}'
        if known:
            nearest = question.nearest(one, known)
            called = f'"{nearest.name}", ' if nearest.name else ""
            told += f" (nearest is {called}id {nearest.id})"
        yield told


def _array(client: cx.Client, path: str, asked: Mapping[str, object] | None = None) -> list[wire.Named]:
    return [_row(source) for source in client.get(path, asked).decode(list[msgspec.Raw])]


def _row(source: msgspec.Raw) -> wire.Named:
    try:
        return msgspec.json.decode(source, type=wire.Named)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return wire.Named()


def _is_id(one: _Named, row: wire.Named) -> bool:
    return row.id == one.name


def _is_called(one: _Named, row: wire.Named) -> bool:
    return fold(one.name) in (fold(str(row.id)), fold(row.name or ""))


def _nearest(one: _Named, known: Sequence[wire.Named]) -> wire.Named:
    return max(known, key=lambda row: max(_likeness(one.name, row.name or ""), _likeness(one.name, str(row.id))))


def _nearest_field(one: _Named, known: Sequence[wire.Named]) -> wire.Named:
    """Ids of custom fields are all alike: what the alias, or a name written for an id, calls the field says more."""
    alias = one.setting.partition(".")[2].replace("_", " ")

    def meant(row: wire.Named) -> float:
        return max(_likeness(said, row.name or "") for said in (alias, one.name))

    called = max(known, key=meant)
    return called if meant(called) >= _MEANT else max(known, key=lambda row: _likeness(one.name, str(row.id)))


def _likeness(one: str, other: str) -> float:
    return SequenceMatcher(None, fold(one), fold(other)).ratio()
