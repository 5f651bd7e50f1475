"""Recorded traffic of real brands: each body a connector reads becomes an entity, or is refused with a stated reason.

Nobody has published a response as JSON. The answers there are come as tables; their rows are put into the form of the wire by the
table's own import ids, or by the names an ELT tool gave them, and mapped from there. Recorded exchanges are also replayed, so that
our requests must be those that were made to the real host.
"""

import base64
import csv
import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import msgspec
import pytest
import yaml

from cxbridge.core import connector as cx
from cxbridge.core.http import Reply
from cxbridge.plugins.qualtrics import answers, errors, exports, listing, mapping, wire
from cxbridge.plugins.qualtrics.answers import Unreadable
from cxbridge.plugins.qualtrics.questions import Instrument, instrument, questions

from .conftest import Desk, settings

pytestmark = pytest.mark.shared

RULES = settings().rules
FIELDS = RULES.fields


class _Loader(yaml.SafeLoader):
    """Knows Ruby's word for bytes."""


def _binary(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bytes:
    return base64.b64decode(str(loader.construct_scalar(node)))


_Loader.add_constructor("!binary", _binary)


@dataclass(frozen=True)
class Exchange:
    """One recorded request with its answer."""

    file: str
    method: str
    url: str
    asked: str
    status: int
    body: bytes

    @property
    def path(self) -> str:
        """Under the API, without a slash at its end."""
        return urlsplit(self.url).path.partition("/API/v3")[2].rstrip("/")


@cache
def exchanges(place: Path) -> tuple[Exchange, ...]:
    """Everything that was recorded, read once: it takes seconds."""
    return tuple(_exchanges(place))


def _exchanges(place: Path) -> Iterator[Exchange]:
    for file in sorted(place.rglob("*.yml*")):
        text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for one in yaml.load(text, _Loader)["http_interactions"]:
            request, response = one["request"], one["response"]
            status = response["status"]
            yield Exchange(
                file.name,
                request["method"].upper(),
                request["uri"],
                str((request.get("body") or {}).get("string") or ""),
                status if isinstance(status, int) else int(status.get("code") or status["status_code"]),
                _bytes(response.get("body") or {}),
            )


def _bytes(body: Mapping[str, Any]) -> bytes:
    if "raw_gzip" in body:
        return zlib.decompress(base64.b64decode(body["raw_gzip"]))
    told = body.get("string") or b""
    if isinstance(told, bytes):
        return told
    # One client's recorder writes bodies in base64 and says so nowhere.
    return told.encode() if told.lstrip().startswith(("{", "<")) else base64.b64decode(told)


class Tally:
    """What became of each body, by kind."""

    def __init__(self) -> None:
        self.accepted: Counter[str] = Counter()
        self.refused: Counter[tuple[str, str]] = Counter()
        self.unread: Counter[str] = Counter()
        self.unexplained: list[str] = []

    def take(self, where: str, found: Callable[[], Iterator[tuple[str, Any]]]) -> None:
        try:
            for kind, entity in found():
                if isinstance(entity, Refusal):
                    self.refused[kind, entity.reason] += 1
                else:
                    assert entity is not None, kind
                    self.accepted[kind] += 1
        except NotRead as unread:
            self.unread[str(unread)] += 1
        except Exception as error:  # noqa: BLE001 - every other exception is the failure this test looks for
            self.unexplained.append(f"{where}: {type(error).__name__}: {error}")


@dataclass(frozen=True)
class Refusal:
    reason: str


class NotRead(Exception):
    pass


def reply(one: Exchange) -> Reply:
    return Reply(one.method, one.path, one.status, {}, one.body, datetime(2026, 5, 6, tzinfo=UTC))


def recognised(one: Exchange) -> Iterator[tuple[str, Any]]:
    """Read a body as the connector does at that address."""
    parts = one.path.strip("/").split("/")
    if "/API/v3/" not in one.url:
        raise NotRead("the interface before this one, which is gone")
    if one.status >= 400 and not one.body.startswith(b'{"result"'):
        fault = errors.told(reply(one))
        yield "error", fault.error_message
        return
    match parts:
        case ["surveys"]:
            yield from rows(one, "survey", wire.SurveyRow, lambda row: mapping.survey(row, Instrument()))
        case ["surveys", _]:
            row = listing.result(reply(one), wire.SurveyRow)
            found = mapping.survey(row, Instrument())
            assert found.updated_at is not None
            yield "survey alone", found
        case ["surveys", _, "export-responses"]:
            yield "export started", listing.result(reply(one), wire.Progress).progress_id
        case ["surveys", _, "export-responses", _]:
            told = listing.result(reply(one), wire.Progress)
            assert told.status in ("inProgress", "complete")
            assert (told.file_id is not None) == (told.status == "complete")
            yield f"export {told.status}", told.status
        case ["surveys", _, "export-responses", _, "file"]:
            yield "export file", True
            yield from table(exports.unpacked(one.body).decode("utf-8-sig"))
        case ["survey-definitions", survey, "questions"]:
            listed = listing.result(reply(one), wire.Listing)
            asked = {str(at): msgspec.json.decode(raw) for at, raw in enumerate(listed.elements)}
            for question in questions(wire.Definition(questions=asked)):
                yield "question", question
            yield "instrument", instrument(survey, questions(wire.Definition(questions=asked)), RULES)
        case ["survey-definitions", survey, "questions", _]:
            asked = {"one": listing.result(reply(one), dict[str, Any])}
            yield "question", questions(wire.Definition(questions=asked))[0]
        case ["distributions"]:
            yield "distribution made", listing.result(reply(one), wire.Made).id
        case ["distributions", _, "links"]:
            raise NotRead("the links of a distribution: asking for them changes who may be asked next")
        case ["eventsubscriptions", *_]:
            raise NotRead("event subscriptions, which an administrator makes")
        case ["mailinglists", *_]:
            raise NotRead("mailing lists of the retired addresses")
        case _:
            raise NotRead(f"/{parts[0]}")


def rows(one: Exchange, kind: str, shape: Any, read: Callable[[Any], Any]) -> Iterator[tuple[str, Any]]:
    refused: list[str] = []
    for row, _ in listing.read(kind, shape, listing.result(reply(one), wire.Listing).elements, refused):
        yield kind, read(row)
    yield from ((kind, Refusal(reason)) for reason in refused)
    yield f"page of {kind}s", True


def table(text: str) -> Iterator[tuple[str, Any]]:
    """Read an exported table: names, texts, import ids, then responses."""
    lines = list(csv.reader(io.StringIO(text)))
    ids = [json.loads(cell)["ImportId"] for cell in lines[2]]
    for line in lines[3:]:
        values = {name: value for name, value in zip(ids, line, strict=True) if value != ""}
        yield told({"responseId": values.get("_recordId", "R_unknown"), "values": values})


def told(row: Mapping[str, Any]) -> tuple[str, Any]:
    try:
        found = answers.tell(msgspec.convert(row, wire.Response), "SV_recorded", Instrument(), RULES)
    except Unreadable as error:
        return "response", Refusal(str(error))
    assert found.feedback.updated_at is not None
    return "response", found.feedback


def warehouse(place: Path) -> Iterator[tuple[str, Callable[[], Iterator[tuple[str, Any]]]]]:
    """Rows as an ELT tool lands them, put back into the form that they came in."""
    readers = {
        "survey_response.csv": _landed_response,
        "question.csv": _landed_question,
        "distribution.csv": _landed_distribution,
    }
    beside = {"question_option.csv", "survey_embedded_data.csv"}
    for file in sorted(place.glob("*.csv")):
        for number, row in enumerate(csv.DictReader(io.StringIO(file.read_text(encoding="utf-8-sig"))), 1):
            where = f"{file.name} row {number}"
            if file.name in readers:
                read = readers[file.name]
                yield where, lambda read=read, row=row: iter([read(row)])  # type: ignore[misc]
            elif file.name in beside:
                yield where, lambda file=file: _not_read(f"rows of {file.name}, parts of what is read elsewhere")  # type: ignore[misc]
            else:
                yield where, lambda file=file: _not_read(f"rows of {file.name}")  # type: ignore[misc]


def _not_read(what: str) -> Iterator[tuple[str, Any]]:
    raise NotRead(what)


def _landed_response(row: Mapping[str, str]) -> tuple[str, Any]:
    names = {"recorded_date": "recordedDate", "user_language": "userLanguage", "recipient_email": "recipientEmail"}
    names |= {"start_date": "startDate", "end_date": "endDate", "distribution_channel": "distributionChannel"}
    values = {names.get(name, name): value for name, value in row.items() if value and not name.startswith("_")}
    kind, found = told({"responseId": row["id"], "values": values})
    assert isinstance(found, Refusal) or found.completed == (row["finished"] == "1")
    return kind, found


def _landed_question(row: Mapping[str, str]) -> tuple[str, Any]:
    told: dict[str, Any] = {
        "QuestionID": row["id"],
        "QuestionText": row["question_text"],
        "DataExportTag": row["data_export_tag"],
    }
    told |= {"QuestionType": row["question_type"], "Selector": row["selector"], "Choices": []}
    return "question", questions(wire.Definition(questions={row["id"]: told}))[0]


def _landed_distribution(row: Mapping[str, str]) -> tuple[str, Any]:
    told = {
        "id": row["id"],
        "requestType": row["request_type"],
        "requestStatus": row["request_status"],
        "sendDate": row["send_date"],
        "createdDate": row["created_date"],
        "modifiedDate": row["modified_date"],
        "recipients": {"contactId": row["recipient_contact_id"] or None},
        "surveyLink": {"surveyId": row["survey_link_survey_id"]},
    }
    found = mapping.invitation(msgspec.convert(told, wire.Distribution), "SV_other")
    assert found.sent_at is not None
    assert found.survey == f"surveys/{row['survey_link_survey_id']}"
    return "distribution", found


def test_every_recorded_body_is_read_or_refused_with_a_reason(shared_data: Path) -> None:
    tally = Tally()
    cassettes = shared_data / "data" / "cassettes" / "qualtrics"
    for one in exchanges(cassettes):
        tally.take(f"{one.file} {one.method} {one.path}", lambda one=one: recognised(one))  # type: ignore[misc]
    for file in sorted(cassettes.rglob("*.csv")):
        tally.take(file.name, lambda file=file: table(file.read_text(encoding="utf-8-sig")))  # type: ignore[misc]
    for where, found in warehouse(shared_data / "data" / "datasets" / "qualtrics" / "warehouse_rows"):
        tally.take(where, found)
    for kind, count in sorted(tally.accepted.items()):
        print(f"{count:>6} read: {kind}")
    for (kind, reason), count in sorted(tally.refused.items()):
        print(f"{count:>6} refused: {kind}: {reason}")
    for reason, count in sorted(tally.unread.items()):
        print(f"{count:>6} not asked for by this connector: {reason}")
    assert not tally.unexplained, "\n".join(tally.unexplained[:20])
    wanted = {
        "survey",
        "survey alone",
        "question",
        "instrument",
        "error",
        "response",
        "distribution",
        "distribution made",
    }
    wanted |= {"export started", "export inProgress", "export complete", "export file", "page of surveys"}
    assert wanted <= {kind for kind, count in tally.accepted.items() if count}
    # A mapping that gave up easily would refuse much. One recorded export was made without times of recording.
    assert {reason for _, reason in tally.refused} <= {"recordedDate is missing or is no time"}


@dataclass
class Replay:
    """Answers as was recorded, in the recorded order; a request that was never made fails."""

    held: list[Exchange]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.partition("/API/v3")[2].rstrip("/")
        for at, one in enumerate(self.held):
            if (one.method, one.path) == (request.method, path) and _same_query(one.url, request):
                del self.held[at]
                return httpx.Response(one.status, content=one.body, headers={"content-type": "application/json"})
        raise AssertionError(f"{request.method} {request.url} was never recorded")


def _same_query(recorded: str, request: httpx.Request) -> bool:
    return dict(parse_qsl(urlsplit(recorded).query)) == dict(request.url.params)


def replayed(desk: Desk, place: Path, file: str) -> Replay:
    made = Replay([one for one in exchanges(place) if one.file == file])
    assert made.held, file
    desk.router.route().mock(side_effect=made)
    return made


@pytest.mark.parametrize(
    "file", ["fetch_survey.yml", "fetch_survey_custom.yml", "fetch_survey_exclude.yml", "extract_colmap.yml"]
)
def test_recorded_exports_are_walked_as_they_were(connect: Callable[..., Desk], shared_data: Path, file: str) -> None:
    """Start, look until complete, fetch by the file's id, unzip: the same requests as those of the recorded client."""
    desk = connect(datacenter="iad1")
    replay = replayed(desk, shared_data / "data" / "cassettes" / "qualtrics", file)
    survey = replay.held[0].path.split("/")[2]
    looks = sum(one.path.count("/") == 4 for one in replay.held)
    progress = exports.start(desk.client, survey, None, datetime(2025, 8, 5, tzinfo=UTC))
    text = b""
    for _ in range(looks):
        try:
            text = exports.fetch(desk.client, survey, progress)
            break
        except exports.Unfinished:
            continue
    assert text.startswith(b"\xef\xbb\xbf") or b"ImportId" in text
    assert [one for one in replay.held if "export-responses" in one.path] == []
    started = json.loads(desk.router.calls[0].request.content)
    recorded = json.loads(
        next(one.asked for one in exchanges(shared_data / "data" / "cassettes" / "qualtrics") if one.file == file)
    )
    assert set(started) - {"compress", "endDate"} <= set(recorded)


def test_recorded_surveys_are_walked_to_the_empty_last_page(connect: Callable[..., Desk], shared_data: Path) -> None:
    desk = connect(datacenter="co1")
    replay = replayed(desk, shared_data / "data" / "cassettes" / "qualtrics", "survey_collection_fetch_sucess.yml")
    sizes = [len(page) for page in listing.pages(desk.client, "/surveys")]
    assert sizes == [1, 0]
    assert replay.held == []


def test_a_recorded_refusal_is_told_in_its_words(connect: Callable[..., Desk], shared_data: Path) -> None:
    place = shared_data / "data" / "cassettes" / "qualtrics"
    for file, path, kind, words in (
        (
            "question_collection_fetch_fail.yml",
            "/survey-definitions/SV_a2AcbPZz1Dxxxx/questions",
            errors.Forbidden,
            "QMST_2.1",
        ),
        ("survey_collection_fetch_fail.yml", "/surveys", cx.NotFound, "permission"),
    ):
        desk = connect(datacenter="co1")
        replayed(desk, place, file)
        with pytest.raises(kind, match=words):
            desk.client.get(path)
