"""What the vendor's refusals mean, and that its sentences, which hold customers' data, are never shown."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock

from .conftest import COMPANY, CTA, DATE, MARKER, NOW_MS, Desk, company, cta, refused

QUERY = "/v1/data/objects/query/GsUser"
NESTED = [
    [
        {
            "success": False,
            "parsedValue": "Launchd",
            "errors": [
                {
                    "errorMessage": "Invalid/Inactive value provided for picklist.",
                    "errorCode": "GSOBJ_1012",
                    "fieldName": "Stage",
                    "invalidValue": ["Launchd"],
                }
            ],
        }
    ]
]


@pytest.mark.parametrize("status", [200, 400])
@pytest.mark.parametrize(
    ("code", "expected", "said"),
    [
        ("GS_APIG_2401", cx.Unauthorized, "wrong, or was reset"),
        ("GS_APIG_2402", cx.Unauthorized, "not on the allow-list"),
        ("GSOBJ_1024", cx.Unauthorized, "cannot read the credential"),
        ("GSOBJ_1002", cx.Rejected, "GSOBJ_1002"),
        ("GSOBJ_1003", cx.Retryable, "GSOBJ_1003"),
        ("GSOBJ_1023", cx.Rejected, "there is no such path"),
        ("GU_1101", cx.Retryable, "trouble of its own"),
        ("GU_2400", cx.RateLimited, "all programs of the tenant share"),
        ("COCKPIT_5101", cx.Rejected, "call to action"),
        ("NEVER_HEARD_OF", cx.Rejected, "NEVER_HEARD_OF"),
    ],
)
def test_a_code_means_the_same_whatever_the_status(
    desk: Desk, status: int, code: str, expected: type[cx.VendorError], said: str
) -> None:
    desk.queries("GsUser", refused(status, code))
    with pytest.raises(expected, match=said) as caught:
        desk.pages("users")
    assert "customer" not in str(caught.value)
    assert caught.value.request_id == "0b7f-44"
    assert caught.value.connection == "cs"
    assert caught.value.operation == f"POST {QUERY}"
    if isinstance(caught.value, cx.RateLimited):
        assert not caught.value.sent, "it was not begun"


def test_a_refusal_names_the_field_and_not_the_value(desk: Desk) -> None:
    told = refused(400, "GSOBJ_1012", "Invalid value. (Stage = Launchd).", data={"count": 0, "errors": NESTED})
    desk.queries("GsUser", told)
    with pytest.raises(cx.Rejected, match=r"no active option of its picklist; about Stage \(GSOBJ_1012\)") as caught:
        desk.pages("users")
    assert "Launchd" not in str(caught.value)


def test_no_data_is_no_error(desk: Desk) -> None:
    desk.queries("GsUser", refused(400, "GSOBJ_1011"))
    [page] = desk.pages("users")
    assert page.entities == []
    desk.queries("GsUser", refused(400, None, "No data found for given criteria"))
    assert desk.pages("users")[0].entities == []


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (httpx.Response(200, json={"data": []}), cx.WireFormat),
        (httpx.Response(200, json={"result": True, "data": {"rows": []}}), cx.WireFormat),
        (httpx.Response(200, json={"result": True, "data": 7}), cx.WireFormat),
        (httpx.Response(200, json=[]), cx.WireFormat),
        (httpx.Response(200, text="<html>Sign in</html>"), cx.WireFormat),
        (httpx.Response(401, text="<html>Sign in</html>"), cx.Unauthorized),
        (httpx.Response(403, text="no"), cx.Rejected),
        (httpx.Response(404, json={"message": "no"}), cx.NotFound),
        (httpx.Response(302, headers={"location": "https://login.example/"}), cx.WireFormat),
    ],
)
def test_what_is_not_the_vendors_answer_is_told_by_its_status(
    desk: Desk, made: httpx.Response, expected: type[cx.VendorError]
) -> None:
    desk.queries("GsUser", made)
    with pytest.raises(expected):
        desk.pages("users")


def test_both_shapes_of_data_are_read(desk: Desk) -> None:
    row: Any = {"Gsid": "1P01A", "Name": "Maya", "Email": "Maya@Example.com", "ModifiedDate": 1772611200000}
    full: list[Any] = [[row], {"records": [row]}, {"records": [row], "count": 1}]
    empty: list[Any] = [[], {"records": []}, {"records": None}, None]
    for shape in full:
        desk.queries("GsUser", shape)
        [page] = desk.pages("users")
        assert [one.source_id for one in page.entities] == ["1P01A"]
    for shape in empty:
        desk.queries("GsUser", shape)
        assert desk.pages("users")[0].entities == []


def test_over_the_limit_it_waits_for_the_next_minute_of_the_vendors_clock(desk: Desk, clock: ManualClock) -> None:
    began = clock.now()
    route = desk.queries("GsUser", refused(429, "GU_2400"), [])
    desk.pages("users")
    # It is 13 seconds past the minute; a little more, so that not all come back at once.
    assert timedelta(seconds=47) < clock.now() - began <= timedelta(seconds=51)
    assert route.call_count == 2


def test_the_vendors_own_word_on_when_to_come_back_counts_more(desk: Desk, clock: ManualClock) -> None:
    began = clock.now()
    told = httpx.Response(429, json={"errorCode": "GU_2400"}, headers={"Retry-After": "9", "Date": DATE})
    desk.queries("GsUser", told, [])
    desk.pages("users")
    assert clock.now() - began == timedelta(seconds=9)


def test_we_count_what_the_vendor_does_not_tell(connect: Callable[..., Desk], clock: ManualClock) -> None:
    desk = connect(per_minute=2)
    route = desk.queries("GsUser", [])
    began = clock.now()
    for _ in range(4):
        desk.pages("users")
    assert route.call_count == 4
    assert clock.now() - began == timedelta(seconds=47)


class TestOfTasks:
    """A cockpit answer that says success may hold records that failed."""

    def perform(self, desk: Desk, answer: Any) -> cx.Receipt:
        desk.plays("/v2/cockpit/cta/list", [cta()])
        desk.plays("/v2/cockpit/cta/", answer, method="PUT")
        return desk.perform("task.set", cx.SetTask(title="Another"), CTA)

    def test_success_is_taken_by_our_own_reference(self, desk: Desk) -> None:
        told = {"success": [{"another": "1S01OTHER"}, {MARKER: CTA}], "failure": [{"a-third": "COCKPIT_5101: no"}]}
        assert self.perform(desk, told).key == CTA

    @pytest.mark.parametrize(
        ("told", "expected", "said"),
        [
            ("COCKPIT_9700: Comments 'NPS 3' is missing", cx.Rejected, "COCKPIT_9700"),
            ("COCKPIT_6007: unknown", cx.NotFound, "there is no such call to action"),
            ("GU_1101: trouble", cx.Retryable, "GU_1101"),
            ("something went wrong for Ines", cx.Rejected, "was rejected"),
            ("INES DUARTE is nobody's contact", cx.Rejected, "was rejected"),
            ({"unheard": "of"}, cx.Rejected, "was rejected"),
        ],
    )
    def test_a_failed_record_is_an_error(
        self, desk: Desk, told: Any, expected: type[cx.VendorError], said: str
    ) -> None:
        with pytest.raises(expected, match=said) as caught:
            self.perform(desk, {"success": [{"another": "1S01OTHER"}], "failure": [{MARKER: told}]})
        assert "NPS 3" not in str(caught.value)
        assert "INES" not in str(caught.value).upper()

    @pytest.mark.parametrize(
        "told", [{}, {"success": []}, {"success": [{"another": "1S01OTHER"}]}, {"success": [{MARKER: 7}]}]
    )
    def test_no_word_of_our_record_is_no_success(self, desk: Desk, told: Any) -> None:
        with pytest.raises(cx.WireFormat, match="says nothing of the record"):
            self.perform(desk, told)

    def test_a_refusal_with_status_200_is_one(self, desk: Desk) -> None:
        with pytest.raises(cx.Rejected, match="COCKPIT_5101"):
            self.perform(desk, refused(200, "COCKPIT_5101", data={}))


def test_check_tells_a_wrong_key_an_address_and_a_dead_host_apart(connect: Callable[..., Desk]) -> None:
    for made, expected, said in (
        (refused(401, "GS_APIG_2401", "Unauthorized"), cx.Unauthorized, "the access key or token is wrong"),
        (refused(403, "GS_APIG_2402", "no"), cx.Unauthorized, "add it there"),
    ):
        desk = connect()
        desk.queries("Company", made)
        with pytest.raises(expected, match=said):
            desk.gainsight.check(desk.client)
    desk = connect()
    desk.router.post(path="/v1/data/objects/query/Company").mock(side_effect=httpx.ConnectError("refused"))
    with pytest.raises(cx.Retryable, match="cannot be reached"):
        desk.gainsight.check(desk.client)


def test_check_names_what_will_not_work(connect: Callable[..., Desk]) -> None:
    desk = connect(marker_field="Nowhere__gc")
    desk.queries("Company", [company()])
    found = desk.gainsight.check(desk.client)
    assert found.name == "the API connection of acme.gainsightcloud.com"
    assert [notice.split(":")[0] for notice in found.notices] == [
        "Call to Action has no field Nowhere__gc",
        "health.set will refuse",
    ]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fields": {"tier": "Tier__gc"}}, "company has no field Tier__gc.*mend fields.tier"),
        ({"fields": {"plan": "Plan__gc"}}, "company has no field Plan__gc"),
        ({"contact_fields": {"language": "Lang__gc"}}, "person has no field Lang__gc"),
        ({"health_field": "Score__gc"}, "mend health_field"),
        ({"task_fields": {"team": "Team__gc"}}, "call_to_action has no field Team__gc"),
    ],
)
def test_check_refuses_names_that_the_tenant_does_not_have(
    connect: Callable[..., Desk], changed: dict[str, Any], said: str
) -> None:
    desk = connect(**changed)
    desk.queries("Company", [company()])
    with pytest.raises(cx.Rejected, match=said):
        desk.gainsight.check(desk.client)


ENTRY = cx.AddTouchpoint(
    account=COMPANY, subject="Ticket solved", body="Expired token.", author_email="maya@example.com"
)
DUPLICATE: list[Any] = [
    {"success": {}, "failures": {MARKER: [{"errorCode": "GS_TL_10_0207", "message": "There is one"}]}},
    {"success": {}, "failure": {MARKER: {"errorCode": "GS_TL_10_0207"}}},
    refused(400, "GS_TL_10_0207"),
    refused(200, "GS_TL_10_0207"),
]


@pytest.mark.parametrize("told", DUPLICATE, ids=["failures", "failure", "status 400", "status 200"])
def test_a_timeline_that_has_the_entry_is_a_success_however_it_says_so(desk: Desk, told: Any) -> None:
    desk.queries("GsUser", [{"Gsid": "1P01MAYA0000", "Email": "maya@example.com", "IsActiveUser": True}])
    desk.plays("/v1/ant/es/activity", told)
    row = {"Gsid": "1T0000000001", "ExternalId": MARKER, "GsCompanyId": COMPANY, "Subject": "Ticket solved"}
    desk.queries("activity_timeline", [], [row])
    with pytest.raises(cx.Retryable, match="not shown yet") as caught:
        desk.perform("timeline.add_once", ENTRY)
    assert not caught.value.sent
    receipt = desk.perform("timeline.add_once", ENTRY)
    assert (receipt.key, receipt.changed) == ("1T0000000001", False)


def test_a_full_page_in_another_order_is_no_page_to_go_on_from(desk: Desk) -> None:
    rows = [company(number, changed=NOW_MS - 10_000 * number) for number in range(1, 4)]
    desk.queries("Company", rows, [])
    with pytest.raises(cx.WireFormat, match="not in the order of their changes"):
        desk.pages("companies")
