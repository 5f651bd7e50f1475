"""Rows as canonical entities: names as the tenant spells them, options by their labels, and what is unknown stays so."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import mapping, wire
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules

from .conftest import COMPANY, USER, Desk, company, cta, field, gsid_of


def the(page: cx.Page) -> Any:
    [entity] = page.entities
    return entity


def row(values: dict[str, Any]) -> Row:
    return read_row(msgspec.Raw(msgspec.json.encode(values)), "Gsid", "ModifiedDate")


def test_a_company(desk: Desk) -> None:
    desk.queries("Company", [company()])
    found = the(desk.pages("companies")[0])
    assert found == cx.Account(
        source_id="1P02" + "1".zfill(32),
        created_at=datetime(2023, 1, 2, tzinfo=UTC),
        updated_at=datetime(2026, 5, 6, 8, 45, 13, tzinfo=UTC),
        name="Northwind Traders",
        external_id="0015g00000AbCdE",
        external_ids=["0015g00000AbCdE"],
        lifecycle="live",
        lifecycle_native="Launched",
        arr=248000.0,
        renewal_at=datetime(2026, 12, 31, tzinfo=UTC),
        owner_csm=f"users/{USER}",
        health_score=62.0,
    )
    # Asked for as the tenant spells it.
    assert "ARR" in desk.asked("/v1/data/objects/query/Company")[0]["select"]


def test_both_external_ids_are_known_and_the_first_one_is_ours(desk: Desk) -> None:
    desk.queries("Company", [company(SfdcAccountId=None, External_Id__gc="HL-7"), company(2, External_Id__gc="HL-8")])
    first, second = desk.pages("companies")[0].entities
    assert (first.external_id, first.external_ids) == ("HL-7", ["HL-7"])  # type: ignore[union-attr]
    assert second.external_ids == ["0015g00000AbCdE", "HL-8"]  # type: ignore[union-attr]


def test_what_is_missing_is_not_known(desk: Desk) -> None:
    desk.queries("Company", [{"Gsid": COMPANY, "Name": "Bare", "ModifiedDate": 1772611200000}])
    found = the(desk.pages("companies")[0])
    assert (found.arr, found.renewal_at, found.lifecycle, found.owner_csm, found.health_score) == (None,) * 5


def test_a_gsid_of_no_option_does_not_leak(desk: Desk) -> None:
    desk.queries("Company", [company(Stage="1I00GONEGONEGONEGONEGONEGONEGONEGONE"), company(2, Stage="Will Churn")])
    first, second = desk.pages("companies")[0].entities
    assert (first.lifecycle, first.lifecycle_native) == (None, None)  # type: ignore[union-attr]
    # Some tenants hold the label itself.
    assert (second.lifecycle, second.lifecycle_native) == ("at_risk", "Will Churn")  # type: ignore[union-attr]


def test_fields_under_aliases_fill_canonical_ones_or_custom(connect: Callable[..., Desk]) -> None:
    desk = connect(
        fields={"segment": "External_Id__gc", "domains": "Name", "said": "Trend"},
        lifecycles={"paused": ["Sunset"]},
    )
    values = company(External_Id__gc="SMB", Name="Shop.Example; @b.example, word", Stage=gsid_of("Sunset"))
    desk.queries("Company", [values])
    found = the(desk.pages("companies")[0])
    assert (found.segment, found.domains, found.lifecycle) == ("SMB", ["shop.example", "b.example"], "paused")
    assert found.custom == {"said": "Down"}


@pytest.mark.parametrize(
    ("score", "value", "band", "native"),
    [
        (0, 0.0, "red", None),
        (50.9, 50.9, "red", None),
        (51, 51.0, "yellow", None),
        ("75.000", 75.0, "yellow", None),
        (76, 76.0, "green", None),
        (100, 100.0, "green", None),
        (None, None, "unknown", None),
        ("", None, "unknown", None),
        ("Yellow", None, "yellow", "Yellow"),
        ("B+", None, "unknown", "B+"),
        (101, None, "unknown", "101"),
        ("1I00SCHEMESCHEMESCHEMESCHEMESCHEME00", None, "unknown", "1I00SCHEMESCHEMESCHEMESCHEMESCHEME00"),
    ],
)
def test_a_score_without_a_number_is_never_green_by_guess(
    desk: Desk, score: Any, value: float | None, band: str, native: str | None
) -> None:
    desk.queries("Company", [company(CurrentScore=score)])
    found = the(desk.pages("health")[0])
    assert (found.value, found.band, found.band_native) == (value, band, native)
    assert (found.account, found.trend, found.scheme) == (f"companies/{found.source_id}", "down", "overall")


def test_bands_are_the_tenants(connect: Callable[..., Desk]) -> None:
    desk = connect(health_bands=[40, 60])
    desk.queries("Company", [company(CurrentScore=45), company(2, CurrentScore=60)])
    assert [one.band for one in desk.pages("health")[0].entities] == ["yellow", "green"]  # type: ignore[union-attr]


def test_a_call_to_action() -> None:
    rules = Rules(marker_field="Mark__gc", evidence_field="Source__gc")
    values = cta(
        Comments="<p>NPS 3: &quot;Export&quot;</p>", Mark__gc="cxb:00112233aabbccdd", Source__gc="a/1\nb/2", T__gc=5
    )
    found = mapping.task(row(values), rules, {"team": "T__gc"})
    assert (found.kind, found.kind_native, found.reason) == ("risk", "Risk", "Survey Response")
    assert (found.priority, found.status, found.owner, found.owner_email) == (
        "high",
        "open",
        f"users/{USER}",
        "maya.ortiz@example.com",
    )
    assert found.due_at == datetime(2026, 5, 12, 11, 30, tzinfo=UTC)
    assert found.evidence == ["a/1", "b/2", "zendesk_ticket__gc/45121"]
    assert (found.body_text, found.marker, found.custom) == ('NPS 3: "Export"', "cxb:00112233aabbccdd", {"team": 5})


@pytest.mark.parametrize(
    ("label", "closed", "status"),
    [
        ("New", False, "open"),
        ("Work In Progress", False, "in_progress"),
        ("Triage", False, "open"),
        # What the vendor says counts more than a label.
        ("Closed Success", False, "open"),
        ("Closed Success", True, "done"),
        ("Closed Lost", True, "dropped"),
        ("Closed Invalid", True, "dropped"),
        ("Cancelled by customer", True, "dropped"),
        ("Erledigt", True, "done"),
        (None, True, "done"),
        (None, None, "unknown"),
        ("New", None, "open"),
    ],
)
def test_whether_it_is_closed_is_the_vendors_word(label: str | None, closed: bool | None, status: str) -> None:
    found = mapping.task(row(cta(StatusId__gr=None, IsClosed=closed) | {"StatusId__gr.Name": label}), Rules(), {})
    assert found.status == status


def test_labels_of_the_tenant_come_first() -> None:
    rules = Rules(statuses={"dropped": ["Parked"]}, priorities={"urgent": ["High"]}, kinds={"follow_up": ["Risk"]})
    found = mapping.task(row(cta(IsClosed=True) | {"StatusId__gr.Name": "Parked"}), rules, {})
    assert (found.status, found.priority, found.kind) == ("dropped", "urgent", "follow_up")


@pytest.mark.parametrize("text", ["cxb:XYZ", "cxb:00112233aabbccdd and more", "a note", None])
def test_what_others_keep_in_the_field_is_no_marker(text: str | None) -> None:
    assert mapping.marker(text) is None


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("Call", "call"),
        ("In-Person Meeting", "meeting"),
        ("Email", "email"),
        ("Update", "update"),
        ("Milestone", "milestone"),
        ("Gong Call", "call"),
        ("Recall", "other"),
        (None, "other"),
    ],
)
def test_a_timeline_entry(label: str | None, kind: str) -> None:
    values = {
        "Gsid": "1T01A",
        "ModifiedDate": 1772618431000,
        "ExternalId": "cxb:00112233aabbccdd",
        "contextname": "Company",
        "GsCompanyId": COMPANY,
        "AuthorId": USER,
        "TypeName": label,
        "Subject": "Ticket 45121 solved",
        "Notes": "<p>Root cause: expired token.</p>",
        "ActivityDate": 1772618400000,
    }
    found = mapping.touchpoint(row(values), "contextname")
    assert (found.kind, found.body_text, found.marker) == (kind, "Root cause: expired token.", "cxb:00112233aabbccdd")
    assert (found.account, found.author) == (f"companies/{COMPANY}", f"users/{USER}")
    assert found.happened_at == datetime(2026, 3, 4, 10, 0, tzinfo=UTC)


def link(company: str, **more: Any) -> Row:
    return read_row(
        msgspec.Raw(msgspec.json.encode({"Gsid": f"L{company}", "Company_ID": company, "Person_ID": "P1", **more})),
        "Gsid",
        None,
    )


def person(*links: Row, **values: Any) -> cx.Contact:
    shape = mapping.PersonShape(
        {
            "name": msgspec.convert(field("Name"), type=_field),
            "unsubscribed": msgspec.convert(field("EmailOptOut"), type=_field),
        }
    )
    held = {
        "Gsid": "P1",
        "ModifiedDate": 1772618431000,
        "Email": "Ines@Northwind.Example",
        "Name": "Ines Duarte",
        **values,
    }
    return mapping.person(row(held), links, shape)


_field = wire.Field


def test_a_person_belongs_to_their_primary_company() -> None:
    found = person(
        link("B", IsPrimaryCompany=False, Title="Advisor"),
        link("C", IsPrimaryCompany=True, Title="VP Operations"),
        link("A", IsPrimaryCompany=True, Active=False),
        EmailOptOut=True,
    )
    assert (found.account, found.title, found.unsubscribed) == ("companies/C", "VP Operations", True)
    assert (found.emails, found.status) == (["ines@northwind.example"], "active")
    assert found.custom == {"other_companies": ["A", "B"]}


def test_a_person_without_an_active_link_has_left() -> None:
    assert person(link("A", Active=False)).status == "left"
    assert person().status == "active"
    assert person().account is None


def test_whether_somebody_opted_out_is_not_known_where_it_is_not_told() -> None:
    assert person().unsubscribed is None
    assert person(EmailOptOut="false").unsubscribed is False


def test_a_score_of_a_measure_needs_company_and_measure() -> None:
    shape = mapping.FactShape("CompanyId", "MeasureId", None, "CurrentScore", None, None)
    values = {
        "Gsid": "F1",
        "ModifiedDate": 1772618431000,
        "CompanyId": COMPANY,
        "MeasureId": "adoption",
        "CurrentScore": 20,
    }
    found = mapping.fact(row(values), shape, Rules())
    assert (found.source_id, found.scheme, found.band) == (f"{COMPANY}.adoption", "adoption", "red")
    with pytest.raises(Unreadable, match="belongs to a company"):
        mapping.fact(row({**values, "CompanyId": None}), shape, Rules())
