"""Reads surveys, contacts, distributions and tickets, and knows what a connection reads; it maps by `mapping` alone.

None of these lists can be asked for changes only. Surveys tell when they were last changed, so definitions are fetched only for
those that were; the others are read whole, every time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import listing, mapping, wire
from cxbridge.plugins.qualtrics.errors import Forbidden, Unlicensed
from cxbridge.plugins.qualtrics.questions import Instrument, instrument, questions
from cxbridge.plugins.qualtrics.rules import Rules
from cxbridge.plugins.qualtrics.values import flag, moment

SURVEYS: Final = "/surveys"
DISTRIBUTIONS: Final = "/distributions"
TICKETS: Final = "/tickets"
# A survey that tells no time of its last change comes first.
_BEGINNING: Final = datetime(1970, 1, 1, tzinfo=UTC)
# Each survey of a page cost a request for its definition; a pull that is cut short loses no more than these.
_SURVEYS_PER_PAGE: Final = 5


class Seen(msgspec.Struct, frozen=True):
    """The cursor of surveys: the last change of each as it was read, so that one that is shared late is not passed."""

    seen: dict[str, str | None] = {}


@dataclass(frozen=True, slots=True)
class Reading:
    """What a connection reads."""

    rules: Rules
    overlap: timedelta
    settle: timedelta
    start: date | None = None
    only_configured: bool = False
    page_size: int = 50

    def wants(self, survey: str) -> bool:
        """Say whether a survey's responses are read."""
        return not self.only_configured or survey in self.rules.surveys

    def first(self, created: datetime | None) -> datetime | None:
        """Say where the first export of a survey begins; None is "wherever its responses do"."""
        start = None if self.start is None else datetime.combine(self.start, time(), UTC)
        return mapping.later(created, start)

    def surveys(self, client: cx.Client, refused: list[str]) -> list[wire.SurveyRow]:
        """List the surveys that this user sees."""
        return [
            row
            for page in listing.pages(client, SURVEYS)
            for row, _ in listing.read("survey", wire.SurveyRow, page, refused)
        ]

    def instrument(self, client: cx.Client, survey: str) -> Instrument:
        """Fetch a survey's definition and say what it measures; a definition that is not shared tells nothing."""
        try:
            told = listing.result(client.get(f"/survey-definitions/{survey}"), wire.Definition)
        except (Forbidden, cx.NotFound):
            return instrument(survey, (), self.rules)
        return instrument(survey, questions(told), self.rules)


def surveys(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the surveys that changed, each with its definition, oldest change first."""
    seen = _seen(cursor)
    refused: list[str] = []
    found: list[tuple[datetime, wire.SurveyRow, bytes]] = []
    for page in listing.pages(client, SURVEYS):
        for row, raw in listing.read("survey", wire.SurveyRow, page, refused):
            if row.id not in seen or seen[row.id] != row.modified:
                found.append((moment(row.modified) or _BEGINNING, row, bytes(raw)))
    found.sort(key=lambda one: (one[0], one[1].id))
    for at in range(0, len(found), _SURVEYS_PER_PAGE):
        chunk = found[at : at + _SURVEYS_PER_PAGE]
        told = [(row, reading.instrument(client, row.id)) for _, row, _ in chunk]
        refused += [problem for _, one in told for problem in one.problems]
        seen = {**seen, **{row.id: row.modified for row, _ in told}}
        yield cx.Page(
            [mapping.survey(row, one) for row, one in told],
            cursor=msgspec.to_builtins(Seen(seen)),
            raw=[raw for _, _, raw in chunk],
            refused=refused,
        )
        refused = []
    if refused:
        yield cx.Page([], cursor=cursor, refused=refused)


def one_survey(reading: Reading, client: cx.Client, key: str) -> cx.Page | None:
    """Read a single survey; None where it is not shown, which Qualtrics tells as forbidden."""
    try:
        raw = listing.result(client.get(f"{SURVEYS}/{key}"), msgspec.Raw)
    except (Forbidden, cx.NotFound):
        return None
    refused: list[str] = []
    rows = list(listing.read("survey", wire.SurveyRow, [raw], refused))
    entities = [mapping.survey(row, reading.instrument(client, row.id)) for row, _ in rows]
    return cx.Page(entities, cursor=None, raw=[bytes(raw) for _ in rows], refused=refused)


def contacts(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the whole directory: it tells neither what changed nor when."""
    del cursor
    fields = reading.rules.fields
    path = f"/directories/{directory(reading.rules, client)}/contacts"
    asked = {"pageSize": reading.page_size, "useNewPaginationScheme": True}
    for page in listing.pages(client, path, asked):
        refused: list[str] = []
        rows = [
            (row, raw)
            for row, raw in listing.read("contact", wire.Contact, page, refused)
            if _has(mapping.is_contact(row), "a contact has no id", refused)
        ]
        yield cx.Page(
            [mapping.contact(row, fields) for row, _ in rows],
            cursor=None,
            beside={"accounts": mapping.distinct(mapping.account(row.embedded_data or {}, fields) for row, _ in rows)},
            raw=[bytes(raw) for _, raw in rows],
            refused=refused,
        )


def one_contact(reading: Reading, client: cx.Client, key: str) -> cx.Page | None:
    """Read a single contact of the directory."""
    try:
        reply = client.get(f"/directories/{directory(reading.rules, client)}/contacts/{key}")
    except cx.NotFound:
        return None
    row = listing.result(reply, wire.Contact)
    return cx.Page([mapping.contact(row, reading.rules.fields)], cursor=None)


def distributions(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the distributions of every survey; they can be asked for by survey only."""
    del cursor
    refused: list[str] = []
    for survey in reading.surveys(client, refused):
        if not reading.wants(survey.id):
            continue
        try:
            for page in listed_distributions(client, survey.id):
                rows = list(listing.read("distribution", wire.Distribution, page, refused))
                if rows or refused:
                    yield cx.Page(
                        [mapping.invitation(row, survey.id) for row, _ in rows],
                        cursor=None,
                        raw=[bytes(raw) for _, raw in rows],
                        refused=refused,
                    )
                refused = []
        except Forbidden as error:
            refused.append(f"the distributions of survey {survey.id} cannot be read: {error.detail}")
    if refused:
        yield cx.Page([], cursor=None, refused=refused)


def listed_distributions(client: cx.Client, survey: str) -> Iterator[list[msgspec.Raw]]:
    """Walk the distributions of a survey."""
    return listing.pages(client, DISTRIBUTIONS, {"surveyId": survey, "useNewPaginationScheme": True})


def tickets(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read all follow-up tickets; a brand without that licence gives one empty page that says so."""
    del cursor
    asked = {"allTickets": True, "pageSize": reading.page_size}
    try:
        for page in listing.pages(client, TICKETS, asked):
            refused: list[str] = []
            rows = list(listing.read("ticket", wire.Ticket, page, refused))
            yield cx.Page(
                [mapping.ticket(row, reading.rules) for row, _ in rows],
                cursor=None,
                raw=[bytes(raw) for _, raw in rows],
                refused=refused,
            )
    except Unlicensed as error:
        yield cx.Page([], cursor=None, refused=[f"tickets cannot be read: {error.detail}"])


def directory(rules: Rules, client: cx.Client) -> str:
    """Name the directory: the configured one, else the brand's default, else the only one.

    Raises:
        Rejected: when there is none.
    """
    if rules.directory is not None:
        return rules.directory
    refused: list[str] = []
    rows = [
        row
        for page in listing.pages(client, "/directories")
        for row, _ in listing.read("directory", wire.Directory, page, refused)
    ]
    chosen = next((row for row in rows if flag(row.is_default)), rows[0] if len(rows) == 1 else None)
    if chosen is None:
        raise cx.Rejected(
            'this brand has no default XM Directory that this user sees: name one, as directory = "POOL_…"'
        )
    return chosen.directory_id


def _seen(cursor: cx.Json) -> dict[str, str | None]:
    try:
        return {} if cursor is None else msgspec.convert(cursor, Seen).seen
    except msgspec.ValidationError:
        return {}


def _has(value: Any, problem: str, refused: list[str]) -> bool:
    if not value:
        refused.append(problem)
    return bool(value)
