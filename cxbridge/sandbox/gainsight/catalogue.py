"""What objects a tenant has, with which fields and options: what describe tells, and what queries and writes are held against."""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from cxbridge.sandbox.gainsight.options import GainsightOptions

Type = Literal[
    "STRING",
    "GSID",
    "EMAIL",
    "URL",
    "LOOKUP",
    "RICHTEXTAREA",
    "NUMBER",
    "PERCENTAGE",
    "CURRENCY",
    "BOOLEAN",
    "DATE",
    "DATETIME",
    "PICKLIST",
    "MULTISELECTDROPDOWNLIST",
]

PICKLISTS: dict[str, tuple[str, ...]] = {
    "STAGE": (
        "Prospect",
        "New Customer",
        "Kicked Off",
        "Launched",
        "Adopting",
        "Renewing",
        "Will Churn",
        "Churned",
        "Paused",
    ),
    "STATUS": ("Active", "Inactive", "Churn"),
    "INDUSTRY": ("Logistics", "Retail", "Food", "Manufacturing", "Software", "Other"),
    "TIER": ("Strategic", "Enterprise", "Standard", "Starter"),
    "TAGS": ("reference", "beta", "at-risk", "multi-site"),
    "CTA_TYPE": ("Risk", "Opportunity", "Lifecycle", "Objective"),
    "CTA_STATUS": ("New", "Work In Progress", "Closed Success", "Closed Lost"),
    "CTA_PRIORITY": ("High", "Medium", "Low"),
    "CTA_REASON": (
        "Survey Response",
        "Health Score Drop",
        "Usage Drop",
        "Renewal",
        "Support Escalation",
        "Executive Change",
        "Other",
    ),
}
# An option that nobody may choose any more, and that old rows still hold.
INACTIVE = {"INDUSTRY": ("Haulage (old)",)}
CLOSED = ("Closed Success", "Closed Lost")


@dataclass(frozen=True, slots=True)
class Field:
    """One field; `picklist` names its options, `lookup` the object it points to, `writable` says who may set it."""

    name: str
    type: Type
    picklist: str = ""
    lookup: str = ""
    writable: bool = True
    required: bool = False


def _fields(*rows: tuple[str, Type] | Field) -> tuple[Field, ...]:
    return tuple(row if isinstance(row, Field) else Field(*row) for row in rows)


_AUDIT = (Field("CreatedDate", "DATETIME", writable=False), Field("ModifiedDate", "DATETIME", writable=False))
_GSID = Field("Gsid", "GSID", writable=False)

_OBJECTS: dict[str, tuple[Field, ...]] = {
    "company": _fields(
        _GSID,
        Field("Name", "STRING", required=True),
        Field("Industry", "PICKLIST", picklist="INDUSTRY"),
        ("Arr", "CURRENCY"),
        ("Mrr", "CURRENCY"),
        ("Employees", "NUMBER"),
        ("Users", "NUMBER"),
        ("Summary", "RICHTEXTAREA"),
        Field("Csm", "LOOKUP", lookup="gsuser"),
        Field("Stage", "PICKLIST", picklist="STAGE"),
        Field("Status", "PICKLIST", picklist="STATUS"),
        ("OriginalContractDate", "DATE"),
        ("RenewalDate", "DATE"),
        Field("ParentCompany", "LOOKUP", lookup="company"),
        Field("Tags", "MULTISELECTDROPDOWNLIST", picklist="TAGS"),
        ("SfdcAccountId", "STRING"),
        Field("CurrentScore", "NUMBER", writable=False),
        Field("Trend", "STRING", writable=False),
        Field("Nps", "NUMBER", writable=False),
        Field("Csat", "NUMBER", writable=False),
        ("External_Id__gc", "STRING"),
        Field("Tier__gc", "PICKLIST", picklist="TIER"),
        ("Domains__gc", "STRING"),
        ("Segment__gc", "STRING"),
        ("Region__gc", "STRING"),
        ("Support_Plan__gc", "STRING"),
        ("Cxbridge_Health__gc", "NUMBER"),
        *_AUDIT,
    ),
    "gsuser": _fields(
        _GSID,
        ("Name", "STRING"),
        ("FirstName", "STRING"),
        ("LastName", "STRING"),
        ("Email", "EMAIL"),
        ("LicenseType", "STRING"),
        ("IsActiveUser", "BOOLEAN"),
        *_AUDIT,
    ),
    "person": _fields(
        _GSID,
        ("Email", "EMAIL"),
        ("Name", "STRING"),
        ("FirstName", "STRING"),
        ("LastName", "STRING"),
        ("Location", "STRING"),
        ("Timezone", "STRING"),
        ("Comments", "STRING"),
        ("EmailOptOut", "BOOLEAN"),
        ("ExternalRecordID__gc", "STRING"),
        ("Language__gc", "STRING"),
        *_AUDIT,
    ),
    "company_person": _fields(
        _GSID,
        Field("Company_ID", "LOOKUP", lookup="company"),
        Field("Person_ID", "LOOKUP", lookup="person"),
        ("Title", "STRING"),
        ("Role", "STRING"),
        ("Active", "BOOLEAN"),
        ("IsPrimaryCompany", "BOOLEAN"),
        *_AUDIT,
    ),
    "call_to_action": _fields(
        _GSID,
        ("Name", "STRING"),
        Field("CompanyId", "LOOKUP", lookup="company"),
        Field("OwnerId", "LOOKUP", lookup="gsuser"),
        Field("TypeId", "LOOKUP", picklist="CTA_TYPE"),
        Field("ReasonId", "LOOKUP", picklist="CTA_REASON"),
        Field("StatusId", "LOOKUP", picklist="CTA_STATUS"),
        Field("PriorityId", "LOOKUP", picklist="CTA_PRIORITY"),
        ("DueDate", "DATETIME"),
        ("Comments", "RICHTEXTAREA"),
        Field("IsClosed", "BOOLEAN", writable=False),
        ("IsImportant", "BOOLEAN"),
        Field("ClosedDate", "DATETIME", writable=False),
        ("Cxbridge_Marker__gc", "STRING"),
        ("Source_Ref__gc", "STRING"),
        *_AUDIT,
    ),
    "activity_timeline": _fields(
        _GSID,
        ("ExternalId", "STRING"),
        ("ContextName", "STRING"),
        ("ContextId", "STRING"),
        Field("GsCompanyId", "LOOKUP", lookup="company"),
        Field("AuthorId", "LOOKUP", lookup="gsuser"),
        ("TypeName", "STRING"),
        ("Subject", "STRING"),
        ("Notes", "RICHTEXTAREA"),
        ("ActivityDate", "DATETIME"),
        Field("CreatedDate", "DATETIME", writable=False),
        Field("LastModifiedDate", "DATETIME", writable=False),
    ),
    "record_delete_log": _fields(_GSID, ("RecordId", "STRING"), ("ObjectName", "STRING"), ("DeletedOn", "DATETIME")),
}
_FACT = _fields(
    _GSID,
    Field("CompanyId", "LOOKUP", lookup="company"),
    ("MeasureId", "STRING"),
    ("MeasureName", "STRING"),
    ("CurrentScore", "NUMBER"),
    ("PreviousScore", "NUMBER"),
    ("Trend", "STRING"),
    *_AUDIT,
)
FACT = "scorecard_fact"
HIGH_VOLUME = "record_delete_log_high_volume"


class Catalogue:
    """The objects of one tenant. Names are found in any spelling of upper and lower case."""

    def __init__(self, options: GainsightOptions) -> None:
        objects = dict(_OBJECTS)
        # The name that queries use, and the name of the table behind it.
        self._tables = {name: name for name in objects}
        if options.scorecard_object is not None:
            objects[options.scorecard_object.lower()] = _FACT
            self._tables[options.scorecard_object.lower()] = FACT
        if options.high_volume_log:
            objects[HIGH_VOLUME] = objects["record_delete_log"]
            self._tables[HIGH_VOLUME] = HIGH_VOLUME
        self._objects = {
            name: [field for field in fields if f"{name}.{field.name}" not in options.missing_fields]
            for name, fields in objects.items()
        }
        # The name a field has here, by object and the name it has in this module.
        self._called = {tuple(place.split(".", 1)): name for place, name in options.renamed.items()}

    def table(self, name: str) -> str | None:
        """The table behind an object; None when there is no such object."""
        return self._tables.get(name.lower())

    def names(self) -> list[str]:
        return sorted(self._objects)

    def fields(self, name: str) -> list[Field]:
        return self._objects[name.lower()]

    def called(self, name: str, field: Field) -> str:
        """The name a field has in this tenant."""
        return self._called.get((name.lower(), field.name), field.name)

    def field(self, name: str, spelled: str) -> Field | None:
        """Find a field by the name it has in this tenant."""
        wanted = spelled.lower()
        return next((one for one in self.fields(name) if self.called(name, one).lower() == wanted), None)

    def described(self, name: str) -> dict[str, Any]:
        """An object as describe tells it."""
        return {
            "objectName": name.lower(),
            "label": name,
            "readable": True,
            "fields": [self._described(name, field) for field in self.fields(name)],
        }

    def _described(self, name: str, field: Field) -> dict[str, Any]:
        known: dict[str, Any] = {
            "fieldName": self.called(name, field),
            "label": field.name.removesuffix("__gc").replace("_", " "),
            "dataType": field.type,
            "objectName": name.lower(),
            "meta": {
                "required": field.required,
                "createable": field.writable,
                "updateable": field.writable,
                "readOnly": not field.writable,
                "filterable": True,
                "sortable": field.type != "RICHTEXTAREA",
                "nillable": not field.required,
                "hidden": False,
                "hasLookup": bool(field.lookup),
            },
        }
        if field.picklist:
            known["options"] = list(options_of(field.picklist))
            known["meta"]["properties"] = {"PICKLIST_CATEGORY": field.picklist, "PICKLIST_CATEGORY_ID": field.picklist}
        return known


def options_of(category: str) -> Iterator[dict[str, Any]]:
    """The options of a picklist, those that are out of use included."""
    for order, (label, active) in enumerate(_labels(category)):
        yield {
            "label": label,
            "value": option_id(category, label),
            "systemName": label.upper().replace(" ", "_"),
            "active": active,
            "defaultValue": order == 0,
            "displayOrder": order,
        }


def option_id(category: str, label: str) -> str:
    """The GSID of an option: the same in every tenant of the sandbox."""
    digest = hashlib.sha256(f"{category}/{label}".encode()).hexdigest().upper()
    return f"1I00{digest[:32]}"


def label_of(category: str, ident: str | None) -> str | None:
    """The label behind a GSID."""
    return next((label for label, _ in _labels(category) if option_id(category, label) == ident), None)


def chosen(category: str, given: Any) -> str | None:
    """The GSID that a label or a GSID stands for; None when it is no active option."""
    for label in PICKLISTS[category]:
        if given in (label, option_id(category, label)):
            return option_id(category, label)
    return None


def _labels(category: str) -> Iterable[tuple[str, bool]]:
    yield from ((label, True) for label in PICKLISTS[category])
    yield from ((label, False) for label in INACTIVE.get(category, ()))
