"""Reads responses survey by survey, in windows of time, each from a place of its own; it decides nothing about what they mean.

Exports go by the time of recording: from the start on, before the end. A new response shows in exports late, a minute or so;
a re-stamped one comes again. Hence:

- A window ends `settle` seconds before the vendor's clock, and the next one begins `overlap` seconds before what was reached.
- What was reached follows the newest response seen; without any it follows the clock at an hour's distance, so that an empty window
  never passes what is still to be shown.
- Windows are at most thirty days long. Where Qualtrics gives an export up, takes too long over it or makes it too large, half the
  span is tried, down to an hour; each that works doubles it again.
- An export that takes longer than one call may wait is left in the cursor and taken up by the next pull.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import answers, exports, listing, mapping, wire
from cxbridge.plugins.qualtrics.answers import Told, Unreadable
from cxbridge.plugins.qualtrics.exports import Job
from cxbridge.plugins.qualtrics.questions import Instrument
from cxbridge.plugins.qualtrics.reading import Reading
from cxbridge.plugins.qualtrics.values import flag, moment

GRACE: Final = timedelta(hours=1)
LONGEST: Final = timedelta(days=30)
SHORTEST: Final = timedelta(hours=1)
# An export that is not ready by then never will be.
DEADLINE: Final = timedelta(minutes=20)
# A survey that takes no answers any more is looked at once a day.
QUIET: Final = timedelta(days=1)
PER_PAGE: Final = 500


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """How far a survey was read: epoch milliseconds, the span of windows in seconds where it was narrowed, an export under way."""

    at: int | None = None
    span: int | None = None
    job: Job | None = None


class Places(msgspec.Struct, frozen=True, omit_defaults=True):
    """The cursor."""

    surveys: dict[str, Place] = {}


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time to export; `start` None is "from the beginning"."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True, slots=True)
class _Row:
    """One response as it came and as it was understood."""

    recorded: datetime
    told: Told
    raw: bytes


@dataclass(slots=True)
class _Sweep:
    """One pull under way. `trouble` is what one survey met; the others are read first, then it is raised."""

    reading: Reading
    client: cx.Client
    places: dict[str, Place]
    moved: bool = False
    trouble: cx.VendorError | None = None

    def of(self, survey: str) -> Place:
        return self.places.get(survey, Place())

    def put(self, survey: str, place: Place) -> None:
        self.moved = self.moved or self.of(survey) != place
        self.places = {**self.places, survey: place}

    def page(self, rows: Sequence[_Row] = (), refused: Sequence[str] = ()) -> cx.Page:
        self.moved = False
        return _page(rows, msgspec.to_builtins(Places(self.places)), refused)


def responses(reading: Reading, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read all surveys from where each was left."""
    refused: list[str] = []
    rows = [row for row in reading.surveys(client, refused) if reading.wants(row.id)]
    sweep = _Sweep(reading, client, _resumed(cursor))
    if refused:
        yield sweep.page(refused=refused)
    # What is under way first: a file is kept for hours, not for ever. Then what was left longest ago, so that where a limit ends
    # every pull early each survey has its turn.
    for row in sorted(rows, key=lambda row: (sweep.of(row.id).job is None, sweep.of(row.id).at or 0, row.id)):
        yield from _survey(sweep, row)
    if sweep.moved:
        yield sweep.page()
    if sweep.trouble is not None:
        raise sweep.trouble


def one(reading: Reading, client: cx.Client, key: str) -> cx.Page | None:
    """Read a single response; None while Qualtrics does not show it."""
    survey, response = answers.split_key(key)
    try:
        reply = client.get(f"/surveys/{survey}/responses/{response}")
    except cx.NotFound:
        return None
    refused: list[str] = []
    raws = [listing.result(reply, msgspec.Raw)]
    rows = _read(survey, raws, reading.instrument(client, survey), reading, refused)
    return _page(rows, None, refused)


def _resumed(cursor: cx.Json) -> dict[str, Place]:
    if cursor is None:
        return {}
    try:
        return msgspec.convert(cursor, Places).surveys
    except msgspec.ValidationError:
        return {}  # of another version: all is read again, and what did not change is not stored again


def _survey(sweep: _Sweep, row: wire.SurveyRow) -> Iterator[cx.Page]:
    now = sweep.client.server_now()
    end = now - sweep.reading.settle
    reached = _when(sweep.of(row.id).at)
    job = sweep.of(row.id).job
    if job is None and flag(row.is_active) is False and reached is not None and end - reached < QUIET:
        return
    begin = reached - sweep.reading.overlap if reached else sweep.reading.first(moment(row.creation_date))
    instrument: Instrument | None = None
    resumed = job is not None
    while job is not None or begin is None or begin < end:
        window = _resumed_window(job) if job is not None else _next_window(begin, end, sweep.of(row.id))
        refused: list[str] = []
        try:
            if job is None:
                job = _started(sweep.client, row.id, window, now)
            raws = list(exports.records(exports.fetch(sweep.client, row.id, job.progress)))
            if raws and instrument is None:
                instrument = sweep.reading.instrument(sweep.client, row.id)
                refused += instrument.problems
        except cx.Rejected as error:
            # Not shared for its results, taken back or deleted meanwhile: the others go on.
            yield sweep.page(refused=[f"the responses of survey {row.id} cannot be read: {error.detail}"])
            return
        except cx.VendorError as error:
            yield from _stumbled(sweep, row.id, job, window, now, error)
            return
        found = _read(row.id, raws, instrument or Instrument(), sweep.reading, refused)
        yield from _delivered(sweep, row.id, window, now, found, refused)
        if resumed and now - window.end < DEADLINE:
            return  # what came since is for the next pull: an export that takes this long would end every pull in the middle
        begin, job, resumed = window.end, None, False


def _delivered(
    sweep: _Sweep, survey: str, window: Window, now: datetime, found: list[_Row], refused: list[str]
) -> Iterator[cx.Page]:
    """Give the responses of a window, oldest first, in pages that can be resumed behind each."""
    before = sweep.of(survey)
    while len(found) > PER_PAGE:
        chunk, found = found[:PER_PAGE], found[PER_PAGE:]
        sweep.put(survey, Place(_millis(chunk[-1].recorded), before.span))
        yield sweep.page(chunk, refused)
        refused = []
    sweep.put(survey, _behind(before, window, found[-1].recorded if found else None, now))
    # Cursors that moved over nothing wait for the next page, so that a quiet survey costs no commit of its own.
    if found or refused:
        yield sweep.page(found, refused)


def _next_window(begin: datetime | None, end: datetime, place: Place) -> Window:
    return Window(begin, end if begin is None else min(end, begin + _span(place)))


def _resumed_window(job: Job) -> Window:
    return Window(_when(job.start), _moment(job.end))


def _started(client: cx.Client, survey: str, window: Window, now: datetime) -> Job:
    progress = exports.start(client, survey, window.start, window.end)
    return Job(progress, _millis(window.end), _millis(now), None if window.start is None else _millis(window.start))


def _stumbled(
    sweep: _Sweep, survey: str, job: Job | None, window: Window, now: datetime, error: cx.VendorError
) -> Iterator[cx.Page]:
    """Leave in the cursor what the next pull is to do differently, and go on where it is this survey's trouble alone.

    Raises:
        VendorError: when the others would meet the same.
    """
    late = job is not None and now - _moment(job.asked) > DEADLINE
    own = isinstance(error, exports.Failed | exports.Unfinished | cx.WireFormat) or error.status == 504
    given_up = own and (late or not isinstance(error, exports.Unfinished))
    place = sweep.of(survey)
    if given_up:
        place = Place(place.at, _narrowed(place, window))
    elif job is not None:
        place = msgspec.structs.replace(place, job=job)
    sweep.put(survey, place)
    if sweep.moved:
        yield sweep.page()
    if not own:
        raise error
    sweep.trouble = sweep.trouble or error


def _narrowed(place: Place, window: Window) -> int | None:
    if window.start is None:
        return None
    half = min(_span(place), window.end - window.start) / 2
    return int(max(half, SHORTEST).total_seconds())


def _behind(place: Place, window: Window, newest: datetime | None, now: datetime) -> Place:
    """Say what was reached behind a window that was read."""
    sure = min(window.end, now - GRACE)
    reached = max(when for when in (_when(place.at), sure, newest) if when is not None)
    wider = 2 * _span(place)
    return Place(_millis(reached), None if wider >= LONGEST else int(wider.total_seconds()))


def _span(place: Place) -> timedelta:
    return LONGEST if place.span is None else timedelta(seconds=place.span)


def _read(
    survey: str, raws: list[msgspec.Raw], instrument: Instrument, reading: Reading, refused: list[str]
) -> list[_Row]:
    found: list[_Row] = []
    for row, raw in listing.read("response", wire.Response, raws, refused):
        try:
            told = answers.tell(row, survey, instrument, reading.rules)
        except Unreadable as error:
            refused.append(f"a response of survey {survey}: {error}")
            continue
        found.append(_Row(told.recorded, told, bytes(raw)))
    return sorted(found, key=lambda one: (one.recorded, one.told.feedback.source_id))


def _page(rows: Sequence[_Row], cursor: cx.Json, refused: Sequence[str]) -> cx.Page:
    return cx.Page(
        [row.told.feedback for row in rows],
        cursor=cursor,
        beside={
            "respondents": mapping.distinct(row.told.respondent for row in rows),
            "accounts": mapping.distinct(row.told.account for row in rows),
        },
        raw=[row.raw for row in rows],
        refused=list(refused),
    )


def _millis(when: datetime) -> int:
    return round(when.timestamp() * 1000)


def _moment(millis: int) -> datetime:
    return datetime.fromtimestamp(millis / 1000, UTC)


def _when(millis: int | None) -> datetime | None:
    return None if millis is None else _moment(millis)
