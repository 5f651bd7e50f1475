"""A tenant's rows, and every way in which one comes into being, changes and goes; each change is journaled in the same step."""

import string
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from cxbridge.sandbox.gainsight import options as options_module
from cxbridge.sandbox.gainsight.catalogue import CLOSED, FACT, HIGH_VOLUME, Catalogue, label_of, option_id
from cxbridge.sandbox.gainsight.outbound import Outbound
from cxbridge.sandbox.gainsight.values import shown
from cxbridge.sandbox.journal import Via

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World

VENDOR = "gainsight"
Row = dict[str, Any]

_PREFIXES = {
    "company": "1P02",
    "gsuser": "1P01",
    "person": "1P03",
    "company_person": "1P04",
    "call_to_action": "1S01",
    "activity_timeline": "1T01",
    "record_delete_log": "1D01",
    HIGH_VOLUME: "1D02",
    FACT: "1W01",
}
# What a change of a row is called in the journal; rows of other tables are told by the row they belong to.
_NOUNS = {"company": "account", "person": "contact", "call_to_action": "task", "activity_timeline": "touchpoint"}
# What the delete log calls an object.
_LOGGED = {"company": "Company", "person": "Person", "company_person": "Company_Person"}
_KEPT = timedelta(days=15)
_ALPHABET = string.digits + string.ascii_uppercase


class Tenant:
    """One Gainsight tenant. Hold the world's lock while calling anything here."""

    def __init__(self, world: "World") -> None:
        self.world = world
        self.options = options_module.from_mapping(world.options.get(VENDOR, {}))
        self.catalogue = Catalogue(self.options)
        self.outbound = Outbound(world)
        self._random = world.random_for(VENDOR)
        self.tables: dict[str, dict[str, Row]] = {name: {} for name in _PREFIXES}
        self.add(
            "gsuser", {"Name": "Cxbridge", "Email": self.options.user, "IsActiveUser": True}, via="seed", actor="seed"
        )

    # -- looking ---------------------------------------------------------------------------------------------------

    def now(self) -> datetime:
        """The vendor's time in whole milliseconds, as its rows keep it."""
        moment = self.world.clock.now()
        return moment.replace(microsecond=moment.microsecond // 1000 * 1000)

    def rows(self, table: str) -> Iterator[Row]:
        return iter(self.tables[table].values())

    def get(self, table: str, gsid: str | None) -> Row | None:
        return self.tables[table].get(gsid or "")

    def company(self, named: str) -> Row:
        """A company by GSID, external id or name.

        Raises:
            LookupError: there is none, or more than one of that name.
        """
        found = self.get("company", named)
        if found is not None:
            return found
        for key in ("SfdcAccountId", "External_Id__gc", "Name"):
            rows = [row for row in self.rows("company") if row.get(key) == named]
            if len(rows) > 1:
                raise LookupError(f"{len(rows)} companies are called {named!r}: say which by its GSID")
            if rows:
                return rows[0]
        raise LookupError(f"there is no company {named!r}: name it by GSID, external id or name")

    def by_email(self, table: str, email: str) -> Row | None:
        """A user or person by address, whatever its case."""
        return next((row for row in self.rows(table) if (row.get("Email") or "").lower() == email.lower()), None)

    def links(self, person: str) -> list[Row]:
        """The links of a person to companies, the oldest first."""
        return [row for row in self.rows("company_person") if row["Person_ID"] == person]

    # -- changing --------------------------------------------------------------------------------------------------

    def add(
        self, table: str, values: Mapping[str, Any], *, via: Via, actor: str, at: datetime | None = None, **told: Any
    ) -> Row:
        """Make a row; `at` is when it says it was last changed."""
        gsid = self._gsid(_PREFIXES[table])
        when = at or self.now()
        row: Row = {"Gsid": gsid, **values}
        if table == "activity_timeline":
            row |= {"CreatedDate": when, "LastModifiedDate": when}
        elif table not in ("record_delete_log", HIGH_VOLUME):
            row |= {"CreatedDate": when, "ModifiedDate": when}
        if table == "call_to_action":
            self._close_or_open(row, when)
        self.tables[table][gsid] = row
        if table in _NOUNS:
            self._journal(f"{_NOUNS[table]}.created", row, actor, via, **told)
            self._announce(table, "created", row, via)
        return row

    def change(self, table: str, row: Row, values: Mapping[str, Any], *, via: Via, actor: str) -> bool:
        """Give a row new values; False, and an effect `noop`, when it has them already."""
        changed = {name: value for name, value in values.items() if row.get(name) != value}
        if not changed:
            self.world.journal.effect(VENDOR, "noop", row["Gsid"], actor, via, object=table)
            return False
        row |= changed
        row["LastModifiedDate" if table == "activity_timeline" else "ModifiedDate"] = self.now()
        kind = f"{_NOUNS.get(table, table)}.updated"
        if table == "call_to_action":
            was = row["IsClosed"]
            self._close_or_open(row, self.now())
            kind = "task.closed" if row["IsClosed"] and not was else kind
        told = {name: shown(value, "iso") for name, value in changed.items()}
        self.world.journal.effect(VENDOR, kind, row["Gsid"], actor, via, values=told, **self._whose(row))
        self._announce(table, "closed" if kind == "task.closed" else "updated", row, via)
        if table == "company" and set(changed) & {"CurrentScore", "Trend"}:
            self.outbound.announce("health.changed", row["Gsid"], row["Gsid"], self.now())
        return True

    def touch_person(self, person: str, *, via: Via, actor: str, **told: Any) -> None:
        """Note that a link of a person was made or changed."""
        self.world.journal.effect(VENDOR, "contact.updated", person, actor, via, **told)
        self._announce("person", "updated", self.tables["person"][person], via)

    def remove(self, table: str, row: Row, *, via: Via, actor: str) -> None:
        """Delete a row, and what cannot be without it; the delete log keeps its id for fifteen days."""
        if table == "company":
            for link in [one for one in self.rows("company_person") if one["Company_ID"] == row["Gsid"]]:
                self.remove("company_person", link, via=via, actor=actor)
        if table == "person":
            for link in self.links(row["Gsid"]):
                self.remove("company_person", link, via=via, actor=actor)
        del self.tables[table][row["Gsid"]]
        gone = {"RecordId": row["Gsid"], "ObjectName": _LOGGED.get(table, table), "DeletedOn": self.now()}
        self.add("record_delete_log", gone, via=via, actor=actor)
        if table in _NOUNS:
            self.world.journal.effect(VENDOR, f"{_NOUNS[table]}.deleted", row["Gsid"], actor, via)

    def forget_old_deletions(self) -> None:
        """Drop what the delete log does not keep any more."""
        for log in ("record_delete_log", HIGH_VOLUME):
            kept = {key: row for key, row in self.tables[log].items() if self.now() - row["DeletedOn"] <= _KEPT}
            self.tables[log] = kept

    def told_as(self, row: Row) -> dict[str, Any]:
        """A row as the control API shows it: labels in the place of GSIDs, times as text."""
        labels = {
            name: label_of(category, row.get(name))
            for name, category in (
                ("Stage", "STAGE"),
                ("StatusId", "CTA_STATUS"),
                ("TypeId", "CTA_TYPE"),
                ("PriorityId", "CTA_PRIORITY"),
                ("ReasonId", "CTA_REASON"),
            )
            if row.get(name)
        }
        return {name: shown(value, "iso") for name, value in row.items()} | labels

    def _close_or_open(self, row: Row, when: datetime) -> None:
        closed = row.get("StatusId") in {option_id("CTA_STATUS", label) for label in CLOSED}
        if closed != bool(row.get("IsClosed")):
            row["ClosedDate"] = when if closed else None
        row["IsClosed"] = closed

    def _journal(self, kind: str, row: Row, actor: str, via: Via, **told: Any) -> None:
        name = row.get("Name") or row.get("Subject")
        kept = {
            key: value
            for key, value in row.items()
            if key in ("ExternalId", "TypeName", "Email") or (key.endswith("__gc") and value is not None)
        }
        # What may be there once only, for who looks at the journal for things done twice.
        external = row.get("ExternalId") or row.get("Email")
        told |= {"external_id": external} if external else {}
        self.world.journal.effect(
            VENDOR, kind, row["Gsid"], actor, via, name=name, fields=kept, **self._whose(row), **told
        )

    def _whose(self, row: Row) -> dict[str, Any]:
        company = self.get("company", row.get("CompanyId") or row.get("GsCompanyId"))
        owner = self.get("gsuser", row.get("OwnerId") or row.get("AuthorId"))
        told: dict[str, Any] = {}
        if company is not None:
            told["company"] = company["Name"]
        if owner is not None:
            told["owner"] = owner["Email"]
        return told

    def _announce(self, table: str, what: str, row: Row, via: Via) -> None:
        if via == "seed":
            return
        family = {"company": "company", "person": "person", "call_to_action": "cta"}.get(table)
        if family is not None:
            company = row["Gsid"] if table == "company" else row.get("CompanyId")
            self.outbound.announce(f"{family}.{what}", row["Gsid"], company, self.now())

    def _gsid(self, prefix: str) -> str:
        return prefix + "".join(self._random.choices(_ALPHABET, k=32))

    def counts(self) -> dict[str, int]:
        """How much there is of each thing."""
        return {
            "companies": len(self.tables["company"]),
            "users": len(self.tables["gsuser"]),
            "persons": len(self.tables["person"]),
            "ctas": len(self.tables["call_to_action"]),
            "open_ctas": sum(not row["IsClosed"] for row in self.rows("call_to_action")),
            "touchpoints": len(self.tables["activity_timeline"]),
            "scores": len(self.tables[FACT]),
            "webhooks": len(self.outbound.actions),
        }
