"""Responses are read in windows that leave no gap, survey by survey, and an export in trouble costs its own survey only."""

import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.qualtrics import exports, sweeping
from cxbridge.plugins.qualtrics.sweeping import Place, Places

from .conftest import (
    API,
    KEY,
    NPS,
    SURVEY,
    WORDS,
    Desk,
    answer,
    definition,
    listed,
    ndjson,
    refuse,
    response,
    survey_row,
    zipped,
)

OTHER = "SV_1otherSurvey0001"
EXPORT = re.compile(r"/API/v3/surveys/(?P<survey>SV_\w+)/export-responses(?:/(?P<id>[\w-]+)(?P<file>/file)?)?$")


@dataclass
class Brand:
    """Plays the exports of a brand: each survey's responses by time, and what goes wrong where."""

    desk: Desk
    held: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    windows: list[tuple[str, str | None, str]] = field(default_factory=list)
    unready: int = 0
    failing: set[str] = field(default_factory=set)
    refusal: dict[str, httpx.Response] = field(default_factory=dict)
    plain: bool = False
    _jobs: dict[str, tuple[str, str | None, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        router = self.desk.router
        router.get(f"{API}/surveys").mock(side_effect=lambda request: listed(*(survey_row(key) for key in self.held)))
        router.get(url__regex=r"/survey-definitions/").mock(return_value=answer(definition(NPS, WORDS)))
        router.route(url__regex=r"/export-responses").mock(side_effect=self._export)

    def _export(self, request: httpx.Request) -> httpx.Response:
        found = EXPORT.search(request.url.path)
        assert found is not None
        survey = found["survey"]
        if survey in self.refusal:
            return self.refusal[survey]
        if request.method == "POST":
            body = cx.msgspec.json.decode(request.content)
            job = (survey, body.get("startDate"), body["endDate"])
            self.windows.append(job)
            self._jobs[f"ES_{len(self.windows)}"] = job
            return answer({"progressId": f"ES_{len(self.windows)}", "status": "inProgress"})
        if found["file"]:
            return self._file(*self._jobs[found["id"].replace("file-", "ES_")])
        if found["id"] not in self._jobs:
            return refuse(404, "RP_4")
        if survey in self.failing:
            return answer({"status": "failed", "fileId": None})
        if self.unready:
            self.unready -= 1
            return answer({"status": "inProgress", "fileId": None})
        return answer({"status": "complete", "fileId": found["id"].replace("ES_", "file-")})

    def _file(self, survey: str, start: str | None, end: str) -> httpx.Response:
        low = datetime.fromisoformat(start) if start else None
        rows = [
            row
            for row in self.held[survey]
            if (low is None or self._when(row) >= low) and self._when(row) < datetime.fromisoformat(end)
        ]
        text = ndjson([{}, *rows])
        return httpx.Response(200, content=text.encode() if self.plain else zipped(text))

    @staticmethod
    def _when(row: dict[str, Any]) -> datetime:
        return datetime.fromisoformat(row["values"]["recordedDate"])


@pytest.fixture
def brand(desk: Desk) -> Brand:
    return Brand(desk)


def at(day: int, hour: int = 10, month: int = 5) -> str:
    return f"2026-{month:02d}-{day:02d}T{hour:02d}:00:00.500Z"


def millis(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def keys(pages: list[cx.Page]) -> list[str]:
    return [entity.source_id.partition("/")[2] for page in pages for entity in page.entities]


def test_the_first_pull_goes_from_the_surveys_beginning_to_a_minute_ago(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_2", recordedDate=at(3)), response("R_1", recordedDate=at(2))]
    pages = brand.desk.pages("responses")
    assert brand.windows == [(SURVEY, "2026-05-01T09:00:00Z", "2026-05-06T08:45:13Z")]
    assert keys(pages) == ["R_1", "R_2"], "the oldest first"
    (page,) = pages
    assert [one.source_id for one in page.beside["accounts"]] == ["1P02AAAA"]
    assert len(page.beside["respondents"]) == 1
    assert len(page.raw) == 2


def test_the_next_pull_looks_back_and_leaves_no_gap(brand: Brand, clock: ManualClock) -> None:
    brand.held[SURVEY] = [response("R_1", recordedDate=at(2))]
    (page,) = brand.desk.pages("responses")
    # Nothing was recorded in the last hour, so that hour is still open.
    assert page.cursor == {"surveys": {SURVEY: {"at": millis("2026-05-06T07:46:13Z")}}}
    clock.advance(600)
    brand.desk.pages("responses", page.cursor)
    assert brand.windows[-1] == (SURVEY, "2026-05-06T07:41:13Z", "2026-05-06T08:55:13Z")


def test_a_new_response_moves_the_place_and_an_empty_window_does_not(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_1", recordedDate="2026-05-06T08:30:00Z")]
    (page,) = brand.desk.pages("responses")
    assert page.cursor["surveys"][SURVEY]["at"] == millis("2026-05-06T08:30:00Z")
    (again,) = brand.desk.pages("responses", page.cursor)
    assert again.cursor == page.cursor
    assert keys([again]) == ["R_1"], "the overlap is read once more"


def test_the_vendors_clock_counts_and_not_ours(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_1", recordedDate=at(2))]
    ahead = listed(survey_row())
    ahead.headers["Date"] = "Wed, 06 May 2026 09:46:13 GMT"
    brand.desk.router.get(f"{API}/surveys").mock(return_value=ahead)
    brand.desk.pages("responses")
    assert brand.windows[-1][2] == "2026-05-06T09:45:13Z"


def test_long_times_are_read_in_windows_without_gaps(brand: Brand, connect: Callable[..., Desk]) -> None:
    brand.held[SURVEY] = [response("R_1", recordedDate=at(1, month=3)), response("R_2", recordedDate=at(30, month=4))]
    brand.desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(creationDate="2026-02-01T00:00:00Z")))
    assert keys(brand.desk.pages("responses")) == ["R_1", "R_2"]
    bounds = [(start, end) for _, start, end in brand.windows]
    assert bounds[0][0] == "2026-02-01T00:00:00Z"
    assert all(end == start for (_, end), (start, _) in itertools.pairwise(bounds))
    assert bounds[-1][1] == "2026-05-06T08:45:13Z"
    assert len(bounds) == 4


def test_without_a_beginning_all_is_asked_for_at_once(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_1", recordedDate=at(1, month=3))]
    row = survey_row()
    del row["creationDate"]
    brand.desk.router.get(f"{API}/surveys").mock(return_value=listed(row))
    assert keys(brand.desk.pages("responses")) == ["R_1"]
    assert brand.windows == [(SURVEY, None, "2026-05-06T08:45:13Z")]


def test_a_start_bounds_what_is_read(connect: Callable[..., Desk]) -> None:
    brand = Brand(connect(start="2026-05-04"))
    brand.held[SURVEY] = [response("R_1", recordedDate=at(2)), response("R_2", recordedDate=at(5))]
    assert keys(brand.desk.pages("responses")) == ["R_2"]


def test_each_survey_has_a_place_of_its_own(brand: Brand) -> None:
    brand.held = {SURVEY: [response("R_1", recordedDate=at(2))], OTHER: [response("R_2", recordedDate=at(1, 12))]}
    pages = brand.desk.pages("responses")
    assert keys(pages) == ["R_1", "R_2"]
    assert set(pages[0].cursor["surveys"]) == {SURVEY}
    assert set(pages[1].cursor["surveys"]) == {SURVEY, OTHER}


def test_many_responses_come_in_pages_that_resume(brand: Brand) -> None:
    brand.held[SURVEY] = [
        response(f"R_{n:04d}", recordedDate=f"2026-05-02T10:{n // 60:02d}:{n % 60:02d}Z") for n in range(1200)
    ]
    pages = brand.desk.pages("responses")
    assert [len(page.entities) for page in pages] == [500, 500, 200]
    seen = {key for page in pages[:1] for key in keys([page])}
    rest = brand.desk.pages("responses", pages[0].cursor)
    assert seen | set(keys(rest)) == {f"R_{n:04d}" for n in range(1200)}


def test_a_plain_file_is_as_good_as_an_archive(brand: Brand) -> None:
    brand.held[SURVEY], brand.plain = [response("R_1")], True
    assert keys(brand.desk.pages("responses")) == ["R_1"]


def test_only_configured_surveys_are_read_where_that_is_wanted(connect: Callable[..., Desk]) -> None:
    brand = Brand(connect(only_configured=True, surveys={OTHER: {"metric": "nps"}}))
    brand.held = {SURVEY: [], OTHER: [response("R_2")]}
    assert keys(brand.desk.pages("responses")) == ["R_2"]
    assert {survey for survey, _, _ in brand.windows} == {OTHER}


def test_a_closed_survey_is_looked_at_once_a_day(brand: Brand, clock: ManualClock) -> None:
    brand.held[SURVEY] = []
    brand.desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(isActive=False)))
    (page,) = brand.desk.pages("responses")
    clock.advance(3600)
    assert brand.desk.pages("responses", page.cursor) == []
    clock.advance(86_400)
    assert len(brand.desk.pages("responses", page.cursor)) == 1


def test_a_bad_record_is_refused_alone_and_without_its_values(brand: Brand) -> None:
    bad = response("R_bad")
    bad["values"] = ["secret"]
    untimed = response("R_untimed", recordedDate="secret")
    brand.held[SURVEY] = [response("R_1")]
    text = ndjson([bad, untimed, response("R_1")]) + '{"responseId": "secret\n'
    brand._file = lambda *_: httpx.Response(200, content=zipped(text))  # type: ignore[method-assign]
    (page,) = brand.desk.pages("responses")
    assert keys([page]) == ["R_1"]
    assert sorted(page.refused) == [
        "a response is not JSON",
        "a response is not of the expected form at $.values",
        f"a response of survey {SURVEY}: recordedDate is missing or is no time",
    ]
    assert "secret" not in "".join(page.refused)


def test_settings_that_do_not_fit_are_told_once_with_the_answers(connect: Callable[..., Desk]) -> None:
    brand = Brand(connect(surveys={SURVEY: {"metric": "csat", "question": "QID9", "scale": [1, 5]}}))
    brand.held[SURVEY] = [response("R_1", recordedDate=at(2, month=2)), response("R_2", recordedDate=at(2))]
    brand.desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(creationDate="2026-02-01T00:00:00Z")))
    pages = brand.desk.pages("responses")
    assert keys(pages) == ["R_1", "R_2"]
    told = [reason for page in pages for reason in page.refused]
    assert told == [f"survey {SURVEY} has no question QID9, which surveys.{SURVEY}.question names"]


def test_a_survey_that_is_not_shared_for_its_results_does_not_stop_the_others(brand: Brand) -> None:
    brand.held = {SURVEY: [], OTHER: [response("R_2")]}
    brand.refusal[SURVEY] = refuse(403, "QMST_2.1")
    pages = brand.desk.pages("responses")
    assert keys(pages) == ["R_2"]
    assert pages[0].refused == [
        f"the responses of survey {SURVEY} cannot be read: the survey does not exist, or is not shared with this user (QMST_2.1)"
    ]


def pulled(brand: Brand, cursor: cx.Json = None) -> tuple[list[cx.Page], Exception | None]:
    found: list[cx.Page] = []
    pages = brand.desk.stream("responses").pages
    assert pages is not None
    try:
        found.extend(pages(brand.desk.client, cursor))
    except cx.VendorError as error:
        return found, error
    return found, None


def test_a_failed_export_costs_its_survey_only_and_is_tried_with_half_the_span(
    brand: Brand, clock: ManualClock
) -> None:
    brand.held = {SURVEY: [response("R_1")], OTHER: [response("R_2")]}
    brand.failing = {SURVEY}
    pages, error = pulled(brand)
    assert isinstance(error, exports.Failed)
    assert keys(pages) == ["R_2"]
    cursor = pages[-1].cursor
    assert (
        cursor["surveys"][SURVEY] == {"span": round((5 * 86_400 - 15 * 60 + 13) / 2)}
        or "span" in cursor["surveys"][SURVEY]
    )
    half = cursor["surveys"][SURVEY]["span"]
    brand.failing = set()
    brand.windows.clear()
    assert "R_1" in keys(brand.desk.pages("responses", cursor))
    first = next((start, end) for survey, start, end in brand.windows if survey == SURVEY)
    width = datetime.fromisoformat(first[1]) - datetime.fromisoformat(str(first[0]))
    assert abs(width.total_seconds() - half) <= 1


@pytest.mark.parametrize("status", [504])
def test_a_time_out_of_the_vendor_halves_the_span_too(brand: Brand, status: int) -> None:
    brand.held[SURVEY] = [response("R_1")]
    brand.refusal[SURVEY] = httpx.Response(status)
    pages, error = pulled(brand)
    assert isinstance(error, cx.Retryable)
    assert "span" in pages[-1].cursor["surveys"][SURVEY]


def test_a_span_is_never_less_than_an_hour() -> None:
    place = Place(at=0, span=3600)
    window = sweeping.Window(
        datetime.fromisoformat("2026-05-06T00:00:00Z"), datetime.fromisoformat("2026-05-06T00:30:00Z")
    )
    assert sweeping._narrowed(place, window) == 3600


def test_other_trouble_stops_the_pull_and_keeps_what_was_begun(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_1")]
    file = brand._file
    brand._file = lambda *_: httpx.Response(500)  # type: ignore[method-assign]
    pages, error = pulled(brand)
    assert isinstance(error, cx.Retryable)
    assert pages[-1].cursor["surveys"][SURVEY]["job"]["progress"] == "ES_1"
    brand._file = file  # type: ignore[method-assign]
    assert keys(brand.desk.pages("responses", pages[-1].cursor)) == ["R_1"]
    assert len(brand.windows) == 1, "the export that was begun is fetched; what came since is for the next pull"


def test_an_export_that_takes_long_is_taken_up_by_the_next_pull(brand: Brand, clock: ManualClock) -> None:
    brand.held = {SURVEY: [response("R_1")], OTHER: [response("R_2")]}
    brand.unready = 1000
    pages, error = pulled(brand)
    assert isinstance(error, exports.Unfinished)
    cursor = pages[-1].cursor
    assert cursor["surveys"][SURVEY]["job"]["progress"] == "ES_1"
    assert cursor["surveys"][OTHER]["job"]["progress"] == "ES_2"
    brand.unready = 0
    begun = len(brand.windows)
    assert keys(brand.desk.pages("responses", cursor)) == ["R_1", "R_2"]
    assert len(brand.windows) >= begun


def test_an_export_that_is_never_ready_is_given_up_after_its_deadline(brand: Brand, clock: ManualClock) -> None:
    brand.held[SURVEY] = [response("R_1")]
    brand.unready = 10_000
    pages, _ = pulled(brand)
    clock.advance(1300)
    pages, error = pulled(brand, pages[-1].cursor)
    assert isinstance(error, exports.Unfinished)
    assert "job" not in pages[-1].cursor["surveys"][SURVEY]
    assert pages[-1].cursor["surveys"][SURVEY]["span"] > 0


def test_a_limit_ends_the_pull_with_the_time_to_come_back(brand: Brand) -> None:
    brand.held[SURVEY] = []
    brand.refusal[SURVEY] = httpx.Response(429, headers={"retry-after": "900"})
    pages, error = pulled(brand)
    assert isinstance(error, cx.RateLimited)
    assert error.retry_at is not None
    assert pages == []


def test_a_cursor_of_another_version_begins_anew(brand: Brand) -> None:
    brand.held[SURVEY] = [response("R_1")]
    assert keys(brand.desk.pages("responses", {"surveys": ["x"]})) == ["R_1"]
    told = cx.msgspec.to_builtins(Places({SURVEY: Place(at=millis("2026-05-05T00:00:00Z"))}))
    assert keys(brand.desk.pages("responses", told)) == []


def test_a_single_response_is_read_for_a_nudge(desk: Desk) -> None:
    place = desk.router.get(f"{API}/surveys/{SURVEY}/responses/R_1aBcDeFgHiJkLmN")
    desk.router.get(f"{API}/survey-definitions/{SURVEY}").mock(return_value=answer(definition(NPS, WORDS)))
    place.mock(return_value=refuse(404, "RGR_3"))
    assert desk.one("responses", KEY) is None, "not shown yet"
    place.mock(return_value=answer(response()))
    page = desk.one("responses", KEY)
    assert page is not None
    (found,) = page.entities
    assert isinstance(found, cx.Feedback)
    assert (found.source_id, found.band) == (KEY, "detractor")
    assert found.contact == f"respondents/{page.beside['respondents'][0].source_id}"


def test_a_single_read_and_an_export_give_the_same(brand: Brand) -> None:
    brand.held[SURVEY] = [response()]
    (page,) = brand.desk.pages("responses")
    brand.desk.router.get(f"{API}/surveys/{SURVEY}/responses/R_1aBcDeFgHiJkLmN").mock(return_value=answer(response()))
    single = brand.desk.one("responses", KEY)
    assert single is not None
    assert single.entities == page.entities
    assert single.beside == page.beside
