"""An export is started, waited for by its status, fetched by its file's id, and read whatever it is packed in."""

import io
import json
import zipfile
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.plugins.qualtrics import exports

from .conftest import API, SURVEY, Desk, answer, ndjson, refuse, response, zipped

STARTS = f"{API}/surveys/{SURVEY}/export-responses"
UNDER_WAY = {"percentComplete": 100.0, "status": "inProgress", "fileId": None}


def test_an_export_asks_for_a_window_and_leaves_the_rest_as_it_is(desk: Desk) -> None:
    desk.router.post(STARTS).mock(
        return_value=answer({"progressId": "ES_1", "percentComplete": 0.0, "status": "inProgress"})
    )
    begin, end = datetime(2026, 5, 1, tzinfo=UTC), datetime(2026, 5, 2, 3, 4, 5, 999_999, tzinfo=UTC)
    assert exports.start(desk.client, SURVEY, begin, end) == "ES_1"
    assert desk.sent[-1][2] == {
        "format": "ndjson",
        "compress": True,
        "startDate": "2026-05-01T00:00:00Z",
        "endDate": "2026-05-02T03:04:05Z",
    }
    exports.start(desk.client, SURVEY, None, end)
    assert "startDate" not in desk.sent[-1][2]


def test_starting_an_export_is_a_read(connect: Any) -> None:
    """A plan may do it, and it is tried again without a second thought."""
    desk = connect(read_only=True)
    desk.router.post(STARTS).mock(side_effect=[httpx.Response(503), answer({"progressId": "ES_1"})])
    assert exports.start(desk.client, SURVEY, None, datetime(2026, 5, 2, tzinfo=UTC)) == "ES_1"


def test_the_status_counts_and_never_the_per_cent(desk: Desk, clock: ManualClock) -> None:
    desk.router.get(f"{STARTS}/ES_1").mock(
        side_effect=[
            answer(UNDER_WAY),
            answer(UNDER_WAY),
            answer({"percentComplete": 3.0, "status": "complete", "fileId": "f-1"}),
        ]
    )
    desk.router.get(f"{STARTS}/f-1/file").mock(return_value=httpx.Response(200, content=zipped("{}")))
    began = clock.now()
    assert exports.fetch(desk.client, SURVEY, "ES_1") == b"{}"
    assert (clock.now() - began).total_seconds() == 5.0, "2 seconds, then 3"


@pytest.mark.parametrize(
    "told",
    [
        {"percentComplete": 37.5, "status": "failed", "fileId": None, "error": {"errorCode": "X"}},
        {"status": "failed", "fileId": "f-1"},
        {"percentComplete": 100.0, "status": "complete", "fileId": None},
    ],
)
def test_a_failed_export_is_told_at_once(desk: Desk, told: dict[str, Any]) -> None:
    desk.router.get(f"{STARTS}/ES_1").mock(return_value=answer(told))
    with pytest.raises(exports.Failed):
        exports.fetch(desk.client, SURVEY, "ES_1")
    assert len(desk.router.calls) == 1


@pytest.mark.parametrize("gone", ["ES_1", "f-1/file"])
def test_an_export_that_is_forgotten_came_to_nothing(desk: Desk, gone: str) -> None:
    desk.router.get(f"{STARTS}/ES_1").mock(return_value=answer({"status": "complete", "fileId": "f-1"}))
    desk.router.get(f"{STARTS}/{gone}").mock(return_value=refuse(404, "RP_4"))
    with pytest.raises(exports.Failed):
        exports.fetch(desk.client, SURVEY, "ES_1")


def test_an_export_that_takes_long_is_left_for_later(desk: Desk, clock: ManualClock) -> None:
    desk.router.get(f"{STARTS}/ES_1").mock(return_value=answer(UNDER_WAY))
    with pytest.raises(exports.Unfinished) as caught:
        exports.fetch(desk.client, SURVEY, "ES_1")
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > clock.now()


def test_a_zip_is_opened_in_memory_whatever_its_entry_is_called() -> None:
    assert exports.unpacked(zipped("text", "../../etc/passwd")) == b"text"
    assert exports.unpacked(b'{"responseId": 1}') == b'{"responseId": 1}'
    empty = io.BytesIO()
    zipfile.ZipFile(empty, "w").close()
    assert exports.unpacked(empty.getvalue()) == b""


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zipped(b"0" * 5_000_000)
    assert len(bomb) < 10_000
    with pytest.raises(cx.WireFormat, match="unpacks to more than"):
        exports.unpacked(bomb, most=1024 * 1024)


# Named, for an archive holds the time at which it was made: every worker has to find the same tests.
@pytest.mark.parametrize(
    "broken",
    [zipped("text")[:-10], b"PK\x03\x04 not an archive", zipped("a" * 5000)[:60]],
    ids=["without its end", "no archive", "cut in the middle"],
)
def test_a_broken_archive_is_told(broken: bytes) -> None:
    with pytest.raises(cx.WireFormat, match="cannot be opened"):
        exports.unpacked(broken)


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("{}\n\n  {} \r\n", 0),
        ("\ufeff" + ndjson([response(), response()]), 2),
        ("{}\n" + ndjson([response()]) + "\n{}", 1),
        (json.dumps({"responses": [response(), response()]}), 2),
        (json.dumps({"responses": []}), 0),
    ],
)
def test_lines_and_lists_of_responses_are_read(text: str, count: int) -> None:
    assert len(list(exports.records(text.encode()))) == count


@pytest.mark.parametrize("text", [b"<html>sign in</html>", b'{"responses": 7}', b'{"responses": ['])
def test_what_is_no_export_is_told(text: bytes) -> None:
    with pytest.raises(cx.WireFormat):
        list(exports.records(text))
