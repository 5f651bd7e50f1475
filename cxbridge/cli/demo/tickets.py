"""Makes a help desk out of a file of bare tickets: customers, companies, what is for engineering; loads nothing."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Final

from cxbridge.cli.errors import CommandError

# Companies for tickets that name none. Recipes look at the tier.
_COMPANIES: Final = (
    ("Alder & Pike", "alderpike.example", "enterprise"),
    ("Brightwater Foods", "brightwater.example", "strategic"),
    ("Corvane Systems", "corvane.example", "enterprise"),
    ("Dunmore Rail", "dunmore.example", "strategic"),
    ("Elmhurst Clinics", "elmhurst.example", "enterprise"),
    ("Fjordline Retail", "fjordline.example", "enterprise"),
)
_OTHERS: Final = (
    ("Gable Street Bakery", "gablestreet.example", "standard"),
    ("Hollis Bikes", "hollisbikes.example", "self_serve"),
)
# Of the tickets that agents mark: how many share a problem, come from other tiers, have no priority.
MARKED: Final = 30
FEWEST: Final = 12
_SHARING, _OTHER_TIER, _WITHOUT_PRIORITY = 3, 3, 2
_PEOPLE: Final = 40
_FIRST_ID: Final = 4001


@dataclass(frozen=True, slots=True)
class Prepared:
    """Rows for a sandbox, and the ids of the tickets that agents will mark for engineering."""

    rows: list[dict[str, Any]]
    marked: list[int]
    tickets: int

    def write(self, path: Path) -> None:
        """Write the rows as JSON lines."""
        path.write_text("".join(json.dumps(row) + "\n" for row in self.rows), encoding="utf-8")


def prepare(path: Path, most: int) -> Prepared:
    """Read at most that many tickets and give each what a help desk would know of it. Texts stay as they are.

    Raises:
        CommandError: the file cannot be read, or holds too little.
    """
    from cxbridge.sandbox.seed import SeedError, read_file

    try:
        lines = list(_at_most((line.row for line in read_file(path)), most))
    except SeedError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    tickets = [_ticket(row) for row in lines if _is_ticket(row)]
    others = [row for row in lines if not _is_ticket(row)]
    _number(tickets)
    open_ones = [row for row in tickets if row.get("status", "new") in ("new", "open", "pending")]
    if len(open_ones) < FEWEST:
        raise CommandError(f"{path.name} has {len(open_ones)} open tickets; {FEWEST} are needed", "take a longer file")
    wanted = min(MARKED, len(open_ones))
    step = len(open_ones) // wanted
    marked = open_ones[: step * wanted : step]
    for place, row in enumerate(tickets):
        _give_customer(row, place)
    _give_parts(marked)
    _cut_loose(tickets)
    companies = [
        {"kind": "organization", "name": name, "domains": [domain], "tier": tier}
        for name, domain, tier in (*_COMPANIES, *_OTHERS)
    ]
    return Prepared([*companies, *others, *tickets], [row["id"] for row in marked], len(tickets))


def _is_ticket(row: Mapping[str, Any]) -> bool:
    return bool(row.get("kind", "ticket") == "ticket")


def _at_most(rows: Iterable[dict[str, Any]], tickets: int) -> Iterator[dict[str, Any]]:
    for row in rows:
        tickets -= _is_ticket(row)
        if tickets < 0:
            return
        yield row


def _ticket(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "ticket", **row, "tags": [one for one in row.get("tags") or () if one != "needs-engineering"]}


def _number(tickets: list[dict[str, Any]]) -> None:
    taken = {row["id"] for row in tickets if row.get("id")}
    free = (number for number in count(_FIRST_ID) if number not in taken)
    for row in tickets:
        row["id"] = row.get("id") or next(free)


def _give_customer(row: dict[str, Any], place: int) -> None:
    name, domain, _ = _COMPANIES[place % len(_COMPANIES)]
    if not row.get("organization") and not row.get("requester"):
        number = place % _PEOPLE + 1
        row["requester"] = {"name": f"Customer {number}", "email": f"customer{number}@{domain}"}
        row["organization"] = name


def _cut_loose(tickets: list[dict[str, Any]]) -> None:
    """Forget problems that were left out, or are problems no more."""
    problems = {row["id"] for row in tickets if row.get("type") == "problem"}
    for row in tickets:
        if row.get("problem") not in problems:
            row.pop("problem", None)


def _give_parts(marked: list[dict[str, Any]]) -> None:
    """See that among the marked tickets every case occurs that the recipe tells apart."""
    for place, row in enumerate(marked):
        row["organization"] = _COMPANIES[place % len(_COMPANIES)][0]
        row["priority"] = row.get("priority") or "normal"
        row.pop("problem", None)
        if row.get("type") in ("problem", "incident"):
            row["type"] = "question"
    first, *rest = marked[:_SHARING]
    first["type"] = "problem"
    for row in rest:
        row["type"], row["problem"] = "incident", first["id"]
    for place, row in enumerate(marked[_SHARING : _SHARING + _OTHER_TIER]):
        row["organization"] = _OTHERS[place % len(_OTHERS)][0]
    start = _SHARING + _OTHER_TIER
    for row in marked[start : start + _WITHOUT_PRIORITY]:
        row["priority"] = None
