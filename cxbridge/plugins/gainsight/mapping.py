"""Rows as canonical entities; pure. What a tenant's fields are called is looked up in its description beforehand."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import prose, wire
from cxbridge.plugins.gainsight.rows import Row, Unreadable
from cxbridge.plugins.gainsight.rules import COMPANY_FIELDS, CONTACT_FIELDS, Rules, fold, touch
from cxbridge.plugins.gainsight.schema import Described, label

USERS: Final = "users"
COMPANIES: Final = "companies"
PERSONS: Final = "persons"
TASKS: Final = "ctas"
TIMELINE: Final = "timeline"
HEALTH: Final = "health"

_DAYS: Final = ("DATE",)
_MARKER: Final = re.compile(r"cxb:[0-9a-f]{16}")
_TRENDS: Final[Mapping[str, str]] = {"up": "up", "down": "down", "same": "same", "flat": "same", "no change": "same"}

USER_FIELDS: Final = ("Name", "Email", "IsActiveUser")
LINK_FIELDS: Final = ("Gsid", "Company_ID", "Person_ID", "Title", "Role", "Active", "IsPrimaryCompany")


@dataclass(frozen=True)
class CompanyShape:
    """What the fields of a company are called in this tenant: by canonical name, by alias, and the external ids in their order."""

    fields: Mapping[str, wire.Field]
    custom: Mapping[str, wire.Field] = field(default_factory=dict)
    ids: Sequence[wire.Field] = ()
    trend: wire.Field | None = None
    previous: wire.Field | None = None

    @classmethod
    def of(cls, rules: Rules, company: Described) -> "CompanyShape":
        """Look the names up.

        Raises:
            Rejected: the settings name a field that there is not.
        """
        given = [company.find(name) for name in rules.external_ids]
        return cls(
            company.resolved(COMPANY_FIELDS, rules.fields, "fields"),
            {alias: company.need(name, f"fields.{alias}") for alias, name in rules.custom().items()},
            [one for one in given if one is not None],
            company.find("Trend"),
            company.find("PreviousScore", "PrevScore"),
        )

    def select(self) -> list[str]:
        """The fields to ask for."""
        known = (*self.fields.values(), *self.custom.values(), *self.ids)
        return ["Name", "CreatedDate", *(one.field_name for one in known)]

    def name(self, canonical: str) -> str | None:
        """What a canonical field is called."""
        found = self.fields.get(canonical)
        return found.field_name if found else None

    def label(self, canonical: str, row: Row) -> str | None:
        """The label of a picklist, or the text that stands in its place."""
        found = self.fields.get(canonical)
        return label(found, row.text(found.field_name)) if found else None


def company(row: Row, shape: CompanyShape, rules: Rules) -> cx.Account:
    """Read a company."""
    ids = [given for one in shape.ids if (given := row.text(one.field_name))]
    stage = shape.label("lifecycle", row)
    tags = shape.fields.get("tags")
    return cx.Account(
        source_id=row.key,
        created_at=row.moment("CreatedDate"),
        updated_at=row.moment("ModifiedDate"),
        name=row.text("Name") or row.key,
        domains=_domains(row.text(shape.name("domains"))),
        external_id=ids[0] if ids else None,
        external_ids=list(dict.fromkeys(ids)),
        parent=_ref(COMPANIES, row.text(shape.name("parent"))),
        segment=shape.label("segment", row),
        tier=shape.label("tier", row),
        industry=shape.label("industry", row),
        region=shape.label("region", row),
        timezone=row.text(shape.name("timezone")),
        language=shape.label("language", row),
        lifecycle=rules.lifecycle(stage),
        lifecycle_native=stage,
        arr=row.number(shape.name("arr")),
        currency=shape.label("currency", row),
        contract_start=row.day(shape.name("contract_start")),
        renewal_at=row.day(shape.name("renewal_at")),
        owner_csm=_ref(USERS, row.text(shape.name("owner_csm"))),
        support_plan=shape.label("support_plan", row),
        health_score=_score(row, shape.name("health_score"))[0],
        nps_last=row.number(shape.name("nps_last")),
        notes=row.prose(shape.name("notes")) or None,
        tags=[told for one in row.list(tags.field_name) if (told := label(tags, one))] if tags else [],
        custom={alias: custom(row, one) for alias, one in shape.custom.items()},
    )


def custom(row: Row, found: wire.Field) -> cx.Json:
    """Read a field under an alias: picklists as labels, times as text, numbers and the rest as they are."""
    if found.data_type in ("DATE", "DATETIME"):
        when = row.day(found.field_name) if found.data_type in _DAYS else row.moment(found.field_name)
        return None if when is None else when.date().isoformat() if found.data_type in _DAYS else when.isoformat()
    if found.data_type in ("NUMBER", "CURRENCY", "PERCENTAGE"):
        return row.number(found.field_name)
    if found.data_type == "BOOLEAN":
        return row.flag(found.field_name)
    if found.data_type == "MULTISELECTDROPDOWNLIST":
        return [told for one in row.list(found.field_name) if (told := label(found, one))]
    value = row.plain(found.field_name)
    return label(found, value) if found.options else value


def health(row: Row, shape: CompanyShape, rules: Rules) -> cx.Health:
    """Read the overall score of a company."""
    value, native = _score(row, shape.name("health_score"))
    previous, _ = _score(row, shape.previous.field_name if shape.previous else None)
    told = row.text(shape.trend.field_name) if shape.trend else None
    return cx.Health(
        source_id=row.key,
        updated_at=row.moment("ModifiedDate"),
        account=f"{COMPANIES}/{row.key}",
        value=value,
        value_native=native,
        band=rules.band(value, native),
        band_native=native if value is None else None,
        previous=previous,
        trend=_trend(told),
    )


@dataclass(frozen=True)
class FactShape:
    """What the fields of the object with the measures' scores are called."""

    company: str
    measure: str
    measure_name: str | None
    score: str
    previous: str | None
    trend: str | None

    @classmethod
    def of(cls, described: Described) -> "FactShape":
        """Look the names up.

        Raises:
            Rejected: the object has no company, measure or score that could be told.
        """
        company, measure = (
            described.find("CompanyId", "GsCompanyId"),
            described.find("MeasureId", "MeasureName", "Measure"),
        )
        score = described.find("CurrentScore", "Score", "CurScore")
        if company is None or measure is None or score is None:
            raise cx.Rejected(
                f"{described.name} has no company, measure and score: name the object with the scores of measures as scorecard"
            )
        named, previous = described.find("MeasureName"), described.find("PreviousScore", "PrevScore")
        trend = described.find("Trend")
        return cls(
            company.field_name,
            measure.field_name,
            named.field_name if named else None,
            score.field_name,
            previous.field_name if previous else None,
            trend.field_name if trend else None,
        )

    def select(self) -> list[str]:
        """The fields to ask for."""
        told = (self.company, self.measure, self.measure_name, self.score, self.previous, self.trend)
        return [one for one in told if one]


def fact(row: Row, shape: FactShape, rules: Rules) -> cx.Health:
    """Read a company's score in one measure."""
    owner, measure = row.text(shape.company), row.text(shape.measure)
    if owner is None or measure is None:
        raise Unreadable("a score belongs to a company and a measure")
    value, native = _score(row, shape.score)
    previous, _ = _score(row, shape.previous)
    return cx.Health(
        source_id=f"{owner}.{measure}",
        updated_at=row.moment("ModifiedDate"),
        account=f"{COMPANIES}/{owner}",
        scheme=row.text(shape.measure_name) or measure,
        value=value,
        value_native=native,
        band=rules.band(value, native),
        band_native=native if value is None else None,
        previous=previous,
        trend=_trend(row.text(shape.trend)),
    )


def user(row: Row) -> cx.Agent:
    """Read a user of the tenant."""
    return cx.Agent(
        source_id=row.key,
        updated_at=row.moment("ModifiedDate"),
        name=row.text("Name") or row.text("Email") or row.key,
        email=(row.text("Email") or "").lower() or None,
        active=row.flag("IsActiveUser") is not False,
        roles=["csm"],
    )


@dataclass(frozen=True)
class PersonShape:
    """What the fields of a person are called in this tenant."""

    fields: Mapping[str, wire.Field]
    custom: Mapping[str, wire.Field] = field(default_factory=dict)

    @classmethod
    def of(cls, rules: Rules, person: Described) -> "PersonShape":
        """Look the names up.

        Raises:
            Rejected: the settings name a field that there is not.
        """
        own = {alias: name for alias, name in rules.contact_fields.items() if alias not in CONTACT_FIELDS}
        return cls(
            person.resolved(CONTACT_FIELDS, rules.contact_fields, "contact_fields"),
            {alias: person.need(name, f"contact_fields.{alias}") for alias, name in own.items()},
        )

    def select(self) -> list[str]:
        """The fields to ask for."""
        return ["Email", "CreatedDate", *(one.field_name for one in (*self.fields.values(), *self.custom.values()))]

    def name(self, canonical: str) -> str | None:
        """What a canonical field is called."""
        found = self.fields.get(canonical)
        return found.field_name if found else None


def person(row: Row, links: Sequence[Row], shape: PersonShape) -> cx.Contact:
    """Read a person with their links to companies: the primary, else the oldest active one, says where they belong."""
    email = (row.text("Email") or "").lower()
    names = (row.text(shape.name("first_name")), row.text(shape.name("last_name")))
    name = row.text(shape.name("name")) or " ".join(one for one in names if one) or email or row.key
    here = primary(links)
    external = row.text(shape.name("external_id"))
    left = bool(links) and all(link.flag("Active") is False for link in links)
    also = sorted({owner for link in links if (owner := link.text("Company_ID")) and link is not here})
    own = {alias: custom(row, one) for alias, one in shape.custom.items()}
    language = shape.fields.get("language")
    return cx.Contact(
        source_id=row.key,
        created_at=row.moment("CreatedDate"),
        updated_at=row.moment("ModifiedDate"),
        name=name,
        emails=[email] if email else [],
        account=_ref(COMPANIES, here.text("Company_ID")) if here else None,
        title=here.text("Title") if here else None,
        external_id=external,
        external_ids=[external] if external else [],
        language=label(language, row.text(language.field_name)) if language else None,
        timezone=row.text(shape.name("timezone")),
        status="left" if left else "active",
        unsubscribed=row.flag(shape.name("unsubscribed")),
        custom={**own, **({"other_companies": also} if also else {})},
    )


def primary(links: Sequence[Row]) -> Row | None:
    """Give the link that says where a person belongs."""
    return min(
        links,
        key=lambda link: (link.flag("Active") is False, link.flag("IsPrimaryCompany") is not True, link.key),
        default=None,
    )


def task(row: Row, rules: Rules, own: Mapping[str, str]) -> cx.Task:
    """Read a call to action as the cockpit lists it; `own` are the fields under aliases."""
    closed = row.flag("IsClosed")
    names = {what: row.text(f"{what}Id__gr.Name") for what in ("Type", "Reason", "Status", "Priority")}
    evidence = [one for one in (row.text(rules.evidence_field) or "").splitlines() if one]
    return cx.Task(
        source_id=row.key,
        created_at=row.moment("CreatedDate"),
        updated_at=row.moment("ModifiedDate"),
        title=row.text("Name") or row.key,
        account=_ref(COMPANIES, row.text("CompanyId")),
        kind=rules.kind(names["Type"]),
        kind_native=names["Type"],
        reason=names["Reason"],
        priority=rules.priority(names["Priority"]),
        priority_native=names["Priority"],
        status=rules.status(names["Status"], closed),
        status_native=names["Status"],
        owner=_ref(USERS, row.text("OwnerId")),
        owner_email=(row.text("OwnerId__gr.Email") or "").lower() or None,
        body_text=row.prose("Comments"),
        due_at=row.moment("DueDate"),
        closed_at=row.moment("ClosedDate") if closed else None,
        evidence=[*evidence, *_associated(row)],
        important=row.flag("IsImportant"),
        marker=marker(row.text(rules.marker_field)),
        custom={alias: row.plain(name) for alias, name in own.items()},
    )


def touchpoint(row: Row, context: str | None) -> cx.Touchpoint:
    """Read a timeline entry."""
    kind = row.text("TypeName")
    return cx.Touchpoint(
        source_id=row.key,
        created_at=row.moment("CreatedDate"),
        updated_at=row.moment("LastModifiedDate") or row.moment("ModifiedDate"),
        subject=row.text("Subject") or "",
        body_text=row.prose("Notes"),
        kind=cast("Any", touch(kind)),
        kind_native=kind,
        account=_ref(COMPANIES, row.text("GsCompanyId")),
        author=_ref(USERS, row.text("AuthorId")),
        happened_at=row.moment("ActivityDate"),
        marker=marker(row.text("ExternalId")),
        custom={"context": row.text(context)} if context else {},
    )


def marker(text: str | None) -> str | None:
    """Read a marker that cxbridge planted; what others keep in the field is none."""
    return text if text is not None and _MARKER.fullmatch(text) else None


def plain_text(text: str) -> str:
    """Give a text as it comes back from a field with markup."""
    return prose.to_text(prose.to_html(text))


def _associated(row: Row) -> list[str]:
    found = row.values.get("associatedRecords")
    if found is None:
        return []
    try:
        records = msgspec.convert(found, list[dict[str, Any]])
    except msgspec.ValidationError:
        raise Unreadable("associatedRecords is no list of records") from None
    told = ((one.get("objectName"), one.get("recordId")) for one in records)
    return [f"{name}/{ident}" for name, ident in told if isinstance(name, str) and isinstance(ident, str)]


def _score(row: Row, name: str | None) -> tuple[float | None, str | None]:
    """A score as a number from 0 to 100, and as the vendor writes it: some scorecards have grades or colours."""
    native = row.text(name)
    if native is None:
        return None, None
    try:
        value = row.number(name)
    except Unreadable:
        return None, native
    return (value, native) if value is not None and 0 <= value <= 100 else (None, native)


def _trend(told: str | None) -> Any:
    return _TRENDS.get(fold(told)) if told else None


def _domains(text: str | None) -> list[str]:
    parts = re.split(r"[\s,;]+", (text or "").lower())
    return list(dict.fromkeys(part.removeprefix("@") for part in parts if "." in part))


def _ref(stream: str, key: str | None) -> str | None:
    return f"{stream}/{key}" if key else None
