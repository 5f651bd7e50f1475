"""The simulated Gainsight answers as its documentation says, with every oddity that has cost somebody an evening."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from tests.sandbox.gainsight_site import ROWS, Site

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:00112233aabbccdd"


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def begin(**options: Any) -> Site:
            world = World(clock=SandboxClock(NOW, frozen=True), options={"gainsight": options})
            sandbox = stack.enter_context(Sandbox(world, vendors=("gainsight",)))
            seed.load_text(world, "\n".join(json.dumps(row) for row in ROWS))
            return Site(sandbox, stack.enter_context(httpx.Client(trust_env=False)))

        yield begin


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start()


def gsid(site: Site, name: str = "HL-1001") -> str:
    return str(site.tenant.company(name)["Gsid"])


# -- who may call ----------------------------------------------------------------------------------------------------------


def test_a_wrong_key_is_refused_in_the_vendors_form(site: Site) -> None:
    told = site.send("GET", "/v1/meta/services/objects/list", status=401, headers={"AccessKey": "another"})
    assert (told["errorCode"], told["message"]) == ("GS_APIG_2401", "Unauthorized")
    assert "data" not in told
    site.world.faults.revoke("gainsight")
    assert site.ask("GET", "/v1/meta/services/objects/list").status_code == 401
    site.world.faults.restore("gainsight")
    assert site.ask("GET", "/v1/meta/services/objects/list").status_code == 200


def test_an_address_that_is_not_allowed(start: Callable[..., Site]) -> None:
    site = start(ip_allowed=False)
    assert site.send("GET", "/v1/meta/services/objects/list", status=403)["errorCode"] == "GS_APIG_2402"


def test_a_token_is_given_to_a_client_that_proves_itself_in_a_header(site: Site) -> None:
    url = f"{site.sandbox.url('gainsight')}/v1/users/m2m/oauth/token"
    form = {"grant_type": "client_credentials"}
    told = site.web.post(url, data=form, auth=("cxbridge", "sandbox-secret")).json()
    assert told["expires_in"] == 86_400
    bearer = {"Authorization": f"Bearer {told['access_token']}"}
    path = f"{site.sandbox.url('gainsight')}/v1/meta/services/objects/list"
    assert site.web.get(path, headers=bearer).status_code == 200
    site.world.clock.advance(86_401)
    assert site.web.get(path, headers=bearer).status_code == 401
    broken = {"Authorization": "Basic ???"}
    for refused in (
        site.web.post(url, data=form, auth=("cxbridge", "wrong")),
        site.web.post(url, data={"grant_type": "password"}, auth=("cxbridge", "sandbox-secret")),
        site.web.post(url, data={**form, "client_id": "cxbridge", "client_secret": "sandbox-secret"}),
        site.web.post(url, data=form, headers=broken),
        site.web.post(url, data=form, headers={"Authorization": f"Basic {b64encode(bytes([255])).decode()}"}),
    ):
        assert refused.status_code == 401


def test_a_hundred_a_minute_in_windows_of_the_clock(site: Site) -> None:
    statuses = [site.ask("GET", "/v1/meta/services/objects/list").status_code for _ in range(102)]
    assert statuses == [200] * 100 + [429] * 2
    told = site.ask("GET", "/v1/meta/services/objects/list").json()
    assert (told["errorCode"], told["errorDesc"]) == ("GU_2400", "Too many request")
    site.world.clock.advance(46)
    assert site.ask("GET", "/v1/meta/services/objects/list").status_code == 429
    site.world.clock.advance(1)  # the minute of the clock, not one after the first request
    assert site.ask("GET", "/v1/meta/services/objects/list").status_code == 200


def test_so_many_a_day(start: Callable[..., Site]) -> None:
    site = start(per_minute=None, per_day=3)
    assert [site.ask("GET", "/v1/meta/services/objects/list").status_code for _ in range(4)] == [200] * 3 + [429]
    site.world.clock.advance(86_400)
    assert site.ask("GET", "/v1/meta/services/objects/list").status_code == 200


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/ctas"), ("POST", "/v1/bulk/jobs"), ("PATCH", "/v2/cockpit/cta/")]
)
def test_a_path_that_is_none(site: Site, method: str, path: str) -> None:
    assert site.send(method, path, {}, 400)["errorCode"] == "GSOBJ_1023"


# -- queries ---------------------------------------------------------------------------------------------------------------


def test_rows_hold_options_as_ids_and_times_as_milliseconds(site: Site) -> None:
    select = ["Gsid", "Name", "Arr", "Stage", "csm__gr.email", "Csm", "RenewalDate", "ModifiedDate", "Tags", "Csat"]
    [row, _] = site.query("Company", select=select, orderBy={"ModifiedDate": "asc"})
    assert row["csm__gr.email"] == "ana@example.test"  # in the letter case that was asked for
    assert (row["Name"], row["Arr"]) == ("Northwind Traders", 248000.0)
    assert row["Stage"].startswith("1I00")
    assert row["ModifiedDate"] == int((NOW.timestamp() - 3 * 86_400) * 1000)
    assert row["RenewalDate"] == int(datetime(2026, 6, 15, tzinfo=UTC).timestamp() * 1000)
    assert len(row["Tags"]) == 1
    assert "Csat" not in row  # what is empty is left out


def test_times_may_be_text(start: Callable[..., Site]) -> None:
    [row, _] = start(dates="iso").query(
        "Company", select=["RenewalDate", "ModifiedDate"], orderBy={"ModifiedDate": "asc"}
    )
    assert row == {"RenewalDate": "2026-06-15", "ModifiedDate": "2026-05-03T08:46:13.000Z"}


def test_data_has_two_shapes(start: Callable[..., Site]) -> None:
    for shape, of_company, of_log in (("mixed", list, dict), ("list", list, list), ("records", dict, dict)):
        site = start(shape=shape)
        site.control("DELETE", "/gainsight/companies/Contoso")
        assert isinstance(site.query("Company"), of_company)
        assert isinstance(site.query("record_delete_log"), of_log)


def test_nothing_found_is_told_as_a_refusal(start: Callable[..., Site]) -> None:
    site = start()
    nobody = site.where(("Name", "EQ", ["Nobody"]))
    told = site.query("Company", 400, where=nobody)
    assert (told["result"], told["errorCode"], told["errorDesc"]) == (
        False,
        "GSOBJ_1011",
        "No data found for given criteria",
    )
    plain = start(empty="list")
    assert plain.query("Company", where=nobody) == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"select": ["Gsid", "Nowhere"]}, "GSOBJ_1002"),
        ({"select": ["Csm__gr.Nowhere"]}, "GSOBJ_1002"),
        ({"select": ["Name__gr.Email"]}, "GSOBJ_1002"),
        ({"select": "Gsid"}, "GSOBJ_1002"),
        ({"limit": 0}, "GSOBJ_1002"),
        ({"where": {"conditions": [{"name": "Name", "alias": "A", "operator": "EQ", "value": "x"}]}}, "GSOBJ_1002"),
        ({"where": {"conditions": [{"name": "Name", "alias": "A", "operator": "LIKE", "value": ["x"]}]}}, "GSOBJ_1002"),
        (
            {"where": {"conditions": [{"name": "ModifiedDate", "alias": "A", "operator": "GT", "value": [7]}]}},
            "GSOBJ_1005",
        ),
        (
            {"where": {"conditions": [{"name": "RenewalDate", "alias": "A", "operator": "GT", "value": ["x"]}]}},
            "GSOBJ_1006",
        ),
        (
            {
                "where": {
                    "conditions": [{"name": "Name", "alias": "A", "operator": "EQ", "value": ["x"]}],
                    "expression": "B",
                }
            },
            "GSOBJ_1002",
        ),
    ],
)
def test_one_mistake_fails_the_whole_query(site: Site, body: dict[str, Any], code: str) -> None:
    assert site.query("Company", 400, **body)["errorCode"] == code


def test_an_object_that_is_not_there(site: Site) -> None:
    told = site.query("record_delete_log_high_volume", 400)
    assert (told["title"], told["errorCode"]) == ("OBJECT_NOT_FOUND", None)
    assert site.send("POST", "/v1/meta/services/objects/describe", {"objectNames": ["nowhere"]}, 400)["title"]


@pytest.mark.parametrize(
    ("condition", "names"),
    [
        (("Name", "NE", ["Contoso"]), ["Northwind Traders"]),
        (("Name", "CONTAINS", ["wind"]), ["Northwind Traders"]),
        (("Name", "STARTS_WITH", ["Con"]), ["Contoso"]),
        (("Name", "ENDS_WITH", ["oso"]), ["Contoso"]),
        (("Name", "IN", ["Contoso", "x"]), ["Contoso"]),
        (("Csm", "IS_NULL", []), ["Contoso"]),
        (("Csm", "IS_NOT_NULL", []), ["Northwind Traders"]),
        (("Csm__gr.Email", "EQ", ["ana@example.test"]), ["Northwind Traders"]),
        (("Arr", "GTE", ["248000"]), ["Northwind Traders"]),
        (("Arr", "LT", [1]), []),
        (("ModifiedDate", "GT", ["2026-05-04 00:00:00"]), ["Contoso"]),
        (("ModifiedDate", "LTE", ["2026-05-03T08:46:13+00:00"]), ["Northwind Traders"]),
        (("ModifiedDate", "BTW", ["2026-05-03 00:00:00", "2026-05-03 23:00:00"]), ["Northwind Traders"]),
        (("RenewalDate", "EQ", ["2026-06-15"]), ["Northwind Traders"]),
    ],
)
def test_conditions(start: Callable[..., Site], condition: tuple[str, str, list[Any]], names: list[str]) -> None:
    site = start(empty="list")
    found = site.query("Company", select=["Name"], where=site.where(condition))
    assert [row["Name"] for row in found] == names


def test_a_time_without_a_zone_is_read_in_the_tenants(start: Callable[..., Site]) -> None:
    site = start(filter_timezone="Asia/Tokyo", empty="list")
    late, early = (site.where(("ModifiedDate", "GTE", [f"2026-05-04 {time}:00"])) for time in ("17:47", "17:46"))
    assert len(site.query("Company", where=late)) == 0
    assert len(site.query("Company", where=early)) == 1


def test_pages_are_offsets(site: Site) -> None:
    whole = site.query("Company", orderBy={"ModifiedDate": "desc"}, select=["Name"])
    assert [row["Name"] for row in whole] == ["Contoso", "Northwind Traders"]
    assert site.query("Company", orderBy={"ModifiedDate": "desc"}, select=["Name"], limit=1, offset=1) == whole[1:]


def test_describe_tells_fields_and_options(site: Site) -> None:
    asked = {"objectNames": ["Company", "gsuser"], "populatePickListOptions": True}
    company, user = site.send("POST", "/v1/meta/services/objects/describe", asked)
    fields = {field["fieldName"]: field for field in company["fields"]}
    assert fields["CurrentScore"]["meta"]["updateable"] is False
    assert [option["label"] for option in fields["Status"]["options"]] == ["Active", "Inactive", "Churn"]
    assert [one["active"] for one in fields["Industry"]["options"] if one["label"] == "Haulage (old)"] == [False]
    assert "Email" in {field["fieldName"] for field in user["fields"]}
    assert site.send("GET", "/v1/meta/services/objects/company/describe?ic=false")[0]["fields"] == company["fields"]
    assert len(site.send("GET", "/v1/meta/services/dropdowns/STATUS")) == 3
    listed = site.send("GET", "/v1/meta/services/objects/list?po=company&em=false")
    assert "scorecard_fact_company" in {one["objectName"] for one in listed}


def test_users_are_listed_from_page_0(site: Site) -> None:
    pages = [site.send("POST", "/v1/users/services/list", {"limit": 2, "page": page}) for page in (0, 1)]
    assert [len(page) for page in pages] == [2, 1]


# -- companies -------------------------------------------------------------------------------------------------------------


def test_one_bad_record_refuses_all_of_a_batch(site: Site) -> None:
    records = [{"Name": "Good"}, {"Name": "Bad", "Stage": "Launchd", "RenewalDate": 210318}, {"Arr": "much"}]
    told = site.send("POST", "/v1/data/objects/Company", {"records": records}, 400)
    assert told["errorCode"] == "GSOBJ_1012"
    assert "Launchd" in told["errorDesc"]  # the value that was sent, in the clear
    errors = told["data"]["errors"]
    assert [[part["errors"][0]["fieldName"] for part in record] for record in errors] == [
        ["Stage", "RenewalDate"],
        ["Arr", "Name"],
    ]
    assert errors[0][1]["errors"][0]["errorCode"] == "GSOBJ_1006"
    assert site.kinds() == []
    assert len(list(site.tenant.rows("company"))) == 2


def test_names_are_not_unique(site: Site) -> None:
    for _ in range(2):
        made = site.send("POST", "/v1/data/objects/Company", {"records": [{"Name": "Twice"}]})
        assert made["count"] == 1
    assert site.kinds() == ["account.created"] * 2


def test_put_changes_what_is_there_and_makes_nothing(site: Site) -> None:
    def put(keys: str, **record: Any) -> Any:
        return site.send("PUT", f"/v1/data/objects/Company?keys={keys}", {"records": [record]})

    assert put("Gsid", Gsid=gsid(site), Arr=5, Stage="Will Churn")["count"] == 1
    assert put("Name,SfdcAccountId", Name="Contoso", SfdcAccountId="HL-1002", Arr=6)["count"] == 1
    assert put("Name", Name="Nobody", Arr=7)["count"] == 0
    assert put("Gsid", Gsid=gsid(site), Arr=5)["count"] == 1
    assert site.kinds() == ["account.updated", "account.updated", "noop"]
    for bad in ({"CurrentScore": 5}, {"Csm": "1P01NOBODY"}, {"Nowhere": 1}):
        body = {"records": [{"Gsid": gsid(site), **bad}]}
        assert site.send("PUT", "/v1/data/objects/Company?keys=Gsid", body, 400)["data"]["errors"]
    assert site.send("PUT", "/v1/data/objects/Company", {"records": [{"Name": "x"}]}, 400)["errorCode"] == "GSOBJ_1002"


def test_an_owner_may_be_looked_up_in_the_write(site: Site) -> None:
    rule = {"fields": {"CsmEmail": "Email"}, "lookupField": "Gsid", "objectName": "gsuser", "onNoMatch": "ERROR"}
    body = {"records": [{"Name": "Contoso", "CsmEmail": "ANA@example.test"}], "lookups": {"Csm": rule}}
    site.send("PUT", "/v1/data/objects/Company?keys=Name", body)
    assert site.tenant.company("Contoso")["Csm"] == site.tenant.by_email("gsuser", "ana@example.test")["Gsid"]
    body["records"][0]["CsmEmail"] = "nobody@example.test"  # type: ignore[index]
    site.send("PUT", "/v1/data/objects/Company?keys=Name", body, 400)


def test_what_was_deleted_stays_in_the_log_for_fifteen_days(site: Site) -> None:
    key = gsid(site)
    site.send("DELETE", f"/v1/data/objects/Company/{key}")
    assert site.send("DELETE", f"/v1/data/objects/Company/{key}", status=400)["errorCode"] == "GSOBJ_1004"
    log = site.query("record_delete_log", select=["RecordId", "ObjectName", "DeletedOn"])["records"]
    assert [(row["RecordId"], row["ObjectName"]) for row in log if row["ObjectName"] == "Company"] == [(key, "Company")]
    assert {row["ObjectName"] for row in log} == {"Company", "Company_Person"}
    site.world.clock.advance(15 * 86_400 + 1)
    assert site.query("record_delete_log", 400)["errorCode"] == "GSOBJ_1011"


# -- calls to action -------------------------------------------------------------------------------------------------------


def record(site: Site, reference: str = "ref-1", **changed: Any) -> dict[str, Any]:
    given = {
        "referenceId": reference,
        "Name": "Detractor follow-up",
        "CompanyId": gsid(site),
        "OwnerEmail": "ana@example.test",
        "type": "Risk",
        "reason": "Survey Response",
        "status": "New",
        "priority": "High",
        "DueDate": "2026-05-12",
        "Comments": "NPS 3",
        "Cxbridge_Marker__gc": MARKER,
        **changed,
    }
    return {"record": {name: value for name, value in given.items() if value is not None}}


LOOKUPS = {
    "OwnerId": {
        "fields": {"OwnerEmail": "Email"},
        "lookupField": "Gsid",
        "objectName": "gsuser",
        "multiMatchOption": "FIRSTMATCH",
        "onNoMatch": "ERROR",
    }
}


def test_some_records_of_a_batch_may_fail(site: Site) -> None:
    requests = [
        record(site, "good"),
        record(site, "no status", status=None),
        record(site, "bad label", priority="P0"),
        record(site, "no owner", OwnerEmail="nobody@example.test"),
        record(site, "no field", Nowhere__gc="x"),
        record(site, "no company", CompanyId="1P02NOBODY"),
    ]
    told = site.send("POST", "/v2/cockpit/cta/", {"requests": requests, "lookups": LOOKUPS})
    assert [list(one) for one in told["success"]] == [["good"]]
    assert {name: text.split(":")[0] for one in told["failure"] for name, text in one.items()} == {
        "no status": "COCKPIT_9700",
        "bad label": "COCKPIT_5101",
        "no owner": "COCKPIT_5101",
        "no field": "COCKPIT_5101",
        "no company": "COCKPIT_5101",
    }
    [made] = site.world.journal.effects("task.created", via="api")
    assert made.detail["fields"]["Cxbridge_Marker__gc"] == MARKER
    assert (made.detail["company"], made.detail["owner"]) == ("Northwind Traders", "ana@example.test")


def test_a_reference_is_no_key(site: Site) -> None:
    body = {"requests": [record(site)], "lookups": LOOKUPS}
    keys = {site.send("POST", "/v2/cockpit/cta", body)["success"][0]["ref-1"] for _ in range(2)}
    assert len(keys) == 2
    [twice] = site.control("GET", "/summary")["duplicates"]
    assert (twice["kind"], twice["count"]) == ("task.created", 2)


def test_a_list_has_names_beside_ids_and_times_as_text(site: Site) -> None:
    body = {"select": ["Name", "IsClosed", "ModifiedDate"], "linkedObject": True, "pageSize": 10, "pageNumber": 1}
    [row] = site.send("POST", "/v2/cockpit/cta/list", body)
    assert (row["StatusId__gr.Name"], row["TypeId__gr.Name"], row["IsClosed"]) == ("Work In Progress", "Risk", False)
    assert (row["CompanyId__gr.Name"], row["OwnerId__gr.Email"]) == ("Northwind Traders", "ana@example.test")
    assert (row["ModifiedDate"], row["DueDate"]) == ("2026-05-05T08:46:13.000Z", "2026-05-13T00:00:00.000Z")
    assert row["associatedRecords"] == []


@pytest.mark.parametrize("status", [200, 400])
def test_a_field_that_the_cockpit_does_not_know_fails_the_list(start: Callable[..., Site], status: int) -> None:
    site = start(cockpit_errors=status)
    body = {"select": ["Nowhere"], "pageSize": 10, "pageNumber": 1}
    told = site.send("POST", "/v2/cockpit/cta/list", body, status)
    assert (told["result"], told["errorCode"], told["data"]) == (False, "COCKPIT_5101", {})


def test_lists_come_in_no_order_and_windows_end_as_the_tenant_has_it(start: Callable[..., Site]) -> None:
    for end, found in (("begin", 5), ("whole", 10)):
        site = start(btw_end=end)
        for number in range(5):
            for ago in ("10d", "9d"):
                site.tenant.world.vendors["gainsight"].load_row(
                    {"kind": "gainsight.cta", "company": "HL-1001", "title": f"{ago} {number}", "ago": ago}
                )
        window = site.where(("ModifiedDate", "BTW", ["2026-04-26", "2026-04-27"]), named="fieldName")
        asked = {"select": ["Name", "ModifiedDate"], "where": window, "pageSize": 4}
        pages = [site.send("POST", "/v2/cockpit/cta/list", {**asked, "pageNumber": number}) for number in (1, 2, 3, 4)]
        names = [row["Name"] for page in pages for row in page]
        assert len(set(names)) == len(names) == found
        assert names != sorted(names)


def test_a_status_closes(site: Site) -> None:
    key = next(site.tenant.rows("call_to_action"))["Gsid"]

    def put(**values: Any) -> Any:
        body = {"requests": [{"record": {"Gsid": key, "referenceId": "r", **values}}]}
        return site.send("PUT", "/v2/cockpit/cta/", body)

    put(priority="Low")
    put(status="Closed Lost")
    put(status="Closed Lost")
    put(Gsid="1S01NOBODY")
    assert site.kinds() == ["task.updated", "task.closed", "noop"]
    assert site.tenant.get("call_to_action", key)["ClosedDate"] == NOW
    assert put(Gsid="1S01NOBODY")["failure"] == [{"r": "COCKPIT_6007: The CTA is not found"}]
    site.control("DELETE", f"/gainsight/ctas/{key}")
    gone = site.send("POST", "/v2/cockpit/cta/deleted/list", {"select": [], "pageSize": 10, "pageNumber": 1})
    assert [row["RecordId"] for row in gone] == [key]


def test_the_vocabulary(site: Site) -> None:
    told = site.send("GET", "/v2/cockpit/admin/picklist/lite?category=CTA_STATUS,CTA_TYPE&et=COMPANY")
    assert [one["name"] for one in told["CTA_STATUS"]] == ["New", "Work In Progress", "Closed Success", "Closed Lost"]
    assert {one["active"] for one in told["CTA_TYPE"]} == {True}


# -- persons and the timeline ----------------------------------------------------------------------------------------------


def test_a_person_is_found_by_address(site: Site) -> None:
    def put(status: int = 200, path: str = "/v1/peoplemgmt/v1.0/people", **body: Any) -> Any:
        return site.send("PUT", path, body, status)

    made = put(Email="new@northwind.example", Name="Nia", companies=[{"Company_ID": gsid(site), "Title": "Buyer"}])
    assert put(Email="NEW@northwind.example", Name="Nia New", path="/v1.0/api/people")["Gsid"] == made["Gsid"]
    put(Email="new@northwind.example", companies=[{"Company_ID": gsid(site), "Title": "CIO"}])
    put(Email="new@northwind.example", Name="Nia New")
    assert site.kinds() == ["contact.created", "contact.updated", "contact.updated", "noop"]
    [link] = site.tenant.links(made["Gsid"])
    assert (link["Title"], link["IsPrimaryCompany"]) == ("CIO", True)
    assert put(400, Name="x")["errorCode"] == "GSOBJ_PEOPLE1001"
    assert put(400, Email="none")["errorCode"] == "GSOBJ_VDTEMAIL1001"
    assert put(400, Email="a@b.example", companies=[{"Company_ID": "x"}])["errorCode"] == "GSOBJ_VDTGSID1001"
    assert put(400, Email="a@b.example", Nowhere=1)["errorCode"] == "GSOBJ_1002"
    assert site.tenant.by_email("person", "a@b.example") is None


def entry(site: Site, external: str = MARKER, **changed: Any) -> dict[str, Any]:
    given = {
        "ExternalId": external,
        "ContextName": "Company",
        "GsCompanyId": gsid(site),
        "TypeName": "Update",
        "Author": "ana@example.test",
        "Subject": "Ticket 45121 solved",
        "Notes": "<p>Expired token.</p>",
        "ActivityDate": "2026-03-04T10:00:00.000Z",
        **changed,
    }
    return {name: value for name, value in given.items() if value is not None}


def test_an_external_id_is_taken_once(site: Site) -> None:
    records = [
        entry(site),
        entry(site, "b", TypeName="Séance"),
        entry(site, "c", Author="x"),
        entry(site, "d", Subject=None),
    ]
    told = site.send("POST", "/v1/ant/es/activity", {"records": records})
    assert list(told["success"]) == [MARKER]
    assert {name: one[0]["errorCode"] for name, one in told["failures"].items()} == {
        "b": "GS_TL_10_0213",
        "c": "GS_TL_10_0206",
        "d": "GS_TL_10_0206",
    }
    again = site.send("POST", "/v1/ant/es/activity", {"records": [entry(site)]})
    assert again["success"] == {}
    assert again["failures"][MARKER][0]["errorCode"] == "GS_TL_10_0207"
    [row] = site.query("activity_timeline", select=["Gsid", "ExternalId", "ActivityDate"])["records"]
    assert row == {
        "Gsid": told["success"][MARKER][0]["activityId"],
        "ExternalId": MARKER,
        "ActivityDate": 1_772_618_400_000,
    }
    assert site.kinds() == ["touchpoint.created"]


# -- what colleagues do ----------------------------------------------------------------------------------------------------


def test_colleagues_work_through_the_control_api(site: Site) -> None:
    changed = site.control("PATCH", "/gainsight/companies/Northwind Traders", {"current_score": 41, "trend": "Down"})
    assert (changed["CurrentScore"], changed["Stage"]) == (41.0, "Adopting")
    assert site.control("GET", "/gainsight/companies/HL-1001")["Gsid"] == changed["Gsid"]
    made = site.control("POST", "/gainsight/ctas", {"company": "HL-1001", "title": "By hand", "due_in": "3d"}, 201)
    done = site.control(
        "PATCH", f"/gainsight/ctas/{made['Gsid']}", {"status": "Closed Success", "owner": "ben@example.test"}
    )
    assert (done["StatusId"], done["IsClosed"]) == ("Closed Success", True)
    site.control("POST", "/gainsight/persons", {"email": "x@northwind.example", "name": "X", "company": "HL-1001"}, 201)
    site.control("PATCH", "/gainsight/persons/x@northwind.example", {"opt_out": True, "title": "CIO"})
    site.control("POST", "/gainsight/companies", {"name": "Fabrikam", "renews_in": "10d"}, 201)
    site.control("DELETE", "/gainsight/companies/Fabrikam")
    site.control("POST", "/gainsight/scores", {"company": "HL-1001", "measure": "Adoption", "score": 12}, 201)
    site.control("POST", "/gainsight/touchpoints", {"company": "HL-1001", "subject": "Called"}, 201)
    site.control("PATCH", "/gainsight/users/ben@example.test", {"active": True})
    assert site.kinds("ui") == [
        "account.updated",
        "task.created",
        "task.closed",
        "contact.created",
        "contact.updated",
        "contact.updated",
        "account.created",
        "account.deleted",
        "touchpoint.created",
        "gsuser.updated",
    ]
    assert len(site.control("GET", "/gainsight/ctas")) == 2
    assert site.control("GET", "/state")["gainsight"]["persons"] == 2


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("PATCH", "companies/Nobody", {"arr": 1}, "there is no company 'Nobody'"),
        ("PATCH", "companies/HL-1001", {"colour": 1}, "colour"),
        ("PATCH", "companies/HL-1001", {"stage": "Divorced"}, "no option of STAGE"),
        ("POST", "ctas", {"company": "HL-1001", "when": "now"}, "a cta has no 'when'"),
        ("POST", "persons", {"email": "ines@northwind.example"}, "already"),
        ("PATCH", "persons/ines@northwind.example", {"colour": 1}, "no 'colour'"),
        ("PATCH", "ctas/x", {"status": "New"}, "there is no 'x'"),
        ("GET", "opportunities", {}, "there are companies"),
        ("POST", "webhooks", {}, "needs an address"),
        ("DELETE", "webhooks/7", {}, "there is no webhook"),
        ("PATCH", "options", {"shape": "round"}, "options of gainsight"),
    ],
)
def test_a_mistake_in_a_control_request_is_told_in_words(
    site: Site, method: str, path: str, body: dict[str, Any], said: str
) -> None:
    assert said in site.control(method, f"/gainsight/{path}", body, 400)["error"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"kind": "gainsight.opportunity"}, "is no kind of row"),
        ({"kind": "gainsight.company"}, "needs a name"),
        ({"kind": "gainsight.company", "name": "X", "csm": "nobody@example.test"}, "add a row gainsight.user before"),
        ({"kind": "gainsight.company", "name": "X", "renews_in": "soon"}, "is no span"),
        ({"kind": "gainsight.cta", "company": "Nobody"}, "there is no company"),
        ({"kind": "gainsight.user", "email": "x@y.example", "team": 1}, "a user has no 'team'"),
    ],
)
def test_a_row_that_cannot_be_used_is_told_with_its_line(site: Site, row: dict[str, Any], said: str) -> None:
    with pytest.raises(seed.SeedError, match="request body:1") as caught:
        seed.load_text(site.world, json.dumps(row))
    assert said in str(caught.value)


def test_options_are_checked() -> None:
    for wrong in ({"shape": "round"}, {"filter_timezone": "Mars"}, {"unheard": 1}):
        with pytest.raises(ValueError, match="options of gainsight"):
            Sandbox(World(options={"gainsight": wrong}), vendors=("gainsight",))


def test_equal_seeds_give_equal_ids(start: Callable[..., Site]) -> None:
    assert gsid(start()) == gsid(start())
    assert len(gsid(start())) == 36


# -- what is told to others ------------------------------------------------------------------------------------------------


def test_external_actions_post_on_changes(site: Site) -> None:
    # The control API answers a POST to a path it does not know with a status: enough of a receiver.
    url = f"{site.sandbox.control_url}/nowhere"
    made = site.control("POST", "/gainsight/webhooks", {"url": url, "token": "a-word", "events": ["health."]}, 201)
    site.control("PATCH", "/gainsight/companies/HL-1001", {"arr": 1})
    site.control("PATCH", "/gainsight/companies/HL-1001", {"score": 12})
    assert site.world.hooks.settle()
    [sent] = site.world.hooks.sent("gainsight")
    assert sent.url == url
    assert site.control("GET", "/gainsight/webhooks") == [{"id": made["id"], "url": url, "events": ["health."]}]
    site.control("DELETE", f"/gainsight/webhooks/{made['id']}")
    site.control("PATCH", "/gainsight/companies/HL-1001", {"score": 13})
    assert site.world.hooks.settle()
    assert len(site.world.hooks.sent("gainsight")) == 1
