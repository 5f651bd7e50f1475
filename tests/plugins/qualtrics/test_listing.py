"""Pages are followed verbatim to their real end, inside Qualtrics only; errors inside answers count as errors."""

from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import errors, listing, wire

from .conftest import API, SURVEY, Desk, answer, listed, refuse, survey_row


def walked(desk: Desk, path: str = "/surveys") -> list[int]:
    return [len(page) for page in listing.pages(desk.client, path)]


def test_an_empty_page_with_a_next_one_is_not_the_end(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys", params={"offset": "10"}).mock(
        return_value=listed(next_page=f"{API}/surveys?offset=20")
    )
    desk.router.get(f"{API}/surveys", params={"offset": "20"}).mock(return_value=listed(survey_row()))
    desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(), next_page=f"{API}/surveys?offset=10"))
    assert walked(desk) == [1, 0, 1]


@pytest.mark.parametrize(
    "link",
    [
        "https://co1.qualtrics.com/API/v3/surveys?offset=10&proxyDepth=1",
        "https://co1.qualtrics.com:443/API/v3/surveys?offset=10&proxyDepth=1",
    ],
)
def test_the_next_page_may_be_in_another_data_center(desk: Desk, link: str) -> None:
    desk.router.get("https://co1.qualtrics.com/API/v3/surveys").mock(return_value=listed(survey_row()))
    desk.router.get(f"{API}/surveys").mock(return_value=listed(next_page=link))
    assert walked(desk) == [0, 1]
    followed = desk.router.calls.last.request
    assert followed.headers["x-api-token"] == "a-fake-token"
    assert followed.url.params["proxyDepth"] == "1"


@pytest.mark.parametrize(
    "link",
    [
        "https://az1.qualtrics.com.evil.example/API/v3/surveys?offset=10",
        "https://evilqualtrics.com/API/v3/surveys?offset=10",
        "http://co1.qualtrics.com/API/v3/surveys?offset=10",
        "https://co1.qualtrics.com:8443/API/v3/surveys?offset=10",
        "https://co1.qualtrics.com@evil.example/API/v3/surveys",
        "https://127.0.0.1/API/v3/surveys?offset=10",
    ],
)
def test_a_link_that_leads_elsewhere_is_refused_and_no_token_leaves(desk: Desk, link: str) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(survey_row(), next_page=link))
    with pytest.raises(cx.Rejected, match="not followed, because the credential would go there"):
        walked(desk)
    assert len(desk.router.calls) == 1


@pytest.mark.parametrize(
    ("link", "asked"),
    [
        ("?skipToken=a%2Bb%3D", "/directories/P/contacts?skipToken=a%2Bb%3D"),
        ("/API/v3/directories/P/contacts?skipToken=x", "/directories/P/contacts?skipToken=x"),
    ],
)
def test_a_link_may_be_a_query_or_a_path(desk: Desk, link: str, asked: str) -> None:
    pages = [listed(next_page=link), listed()]
    desk.router.get(url__startswith=f"{API}/directories").mock(side_effect=pages)
    assert walked(desk, "/directories/P/contacts") == [0, 0]
    assert desk.sent[-1][1] == asked


@pytest.mark.parametrize("link", ["surveys?offset=10", "", "//evil.example/x"])
def test_a_link_of_no_known_form_is_told(desk: Desk, link: str) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(next_page=link))
    with pytest.raises(cx.WireFormat, match="neither an address nor a query"):
        walked(desk)


def test_pages_that_go_in_circles_end(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=listed(next_page=f"{API}/surveys?offset=10"))
    with pytest.raises(cx.WireFormat, match="in circles"):
        walked(desk)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        ("401 - Unauthorized", cx.Unauthorized),
        ("403 - Forbidden", errors.Forbidden),
        ("404 - Not Found", cx.NotFound),
        ("429 - Too Many Requests", cx.RateLimited),
        ("500 - Internal Server Error", cx.Retryable),
        ("400 - Bad Request", cx.Rejected),
    ],
)
def test_an_error_inside_an_answer_counts(desk: Desk, told: str, kind: type[cx.VendorError]) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=answer({"elements": []}, httpStatus=told))
    with pytest.raises(kind) as caught:
        walked(desk)
    if isinstance(caught.value, cx.RateLimited):
        assert not caught.value.sent, "it was not begun"


def test_the_error_shape_of_old_servers_is_read(desk: Desk) -> None:
    body = {"meta": {"status": "Error", "errorMessage": "You do not have permission.", "internalErrorCode": "X_1"}}
    desk.router.get(f"{API}/surveys").respond(404, json=body)
    with pytest.raises(cx.NotFound, match="You do not have permission \\(X_1\\)"):
        walked(desk)


@pytest.mark.parametrize(
    ("status", "code", "kind", "told"),
    [
        (403, "QMST_2.1", errors.Forbidden, "does not exist, or is not shared"),
        (403, "TIK_1.1", errors.Unlicensed, "set tickets = false"),
        (403, "OTHER", errors.Forbidden, "a scope, a permission or a licence"),
        (404, "GED_3", cx.NotFound, "GED_3"),
        (400, "BRE_0.5", cx.Rejected, "BRE_0.5"),
        (409, "X", cx.Conflict, ""),
    ],
)
def test_codes_mean_what_was_recorded(
    desk: Desk, status: int, code: str, kind: type[cx.VendorError], told: str
) -> None:
    desk.router.get(f"{API}/surveys").mock(return_value=refuse(status, code, "No, a@b.example may not."))
    with pytest.raises(kind) as caught:
        walked(desk)
    assert told in str(caught.value)
    assert "a@b.example" not in str(caught.value)


def test_a_limit_is_waited_for(desk: Desk) -> None:
    desk.router.get(f"{API}/surveys").mock(
        side_effect=[httpx.Response(429, headers={"retry-after": "7"}), listed(survey_row())]
    )
    assert walked(desk) == [1]


def test_records_that_do_not_fit_are_refused_one_by_one_without_their_values() -> None:
    refused: list[str] = []
    raws: list[Any] = [b'{"id": "SV_1"}', b'{"id": ["secret"]}', b'{"id": "SV_2"', b'"secret"']
    rows = list(listing.read("survey", wire.SurveyRow, raws, refused))
    assert [row.id for row, _ in rows] == ["SV_1"]
    assert refused == [
        "a survey is not of the expected form at $.id",
        "a survey is not JSON",
        "a survey is not of the expected form at its top",
    ]
    assert SURVEY not in refused
