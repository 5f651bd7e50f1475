"""Reads persons with their links to companies: who changed themselves, then whose link changed. Stores nothing.

A person is one human, whatever number of companies they belong to, so that a merge or a move makes nobody twice.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import mapping, wire
from cxbridge.plugins.gainsight.mapping import PersonShape
from cxbridge.plugins.gainsight.progress import Cursor, begun, deletions, is_over, page_of, resumed
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules
from cxbridge.plugins.gainsight.schema import describe
from cxbridge.plugins.gainsight.walk import Found, Position, Source, walk

PERSON: Final = "Person"
LINK: Final = "Company_Person"
# How many ids one condition may hold is not told; this many pass.
_TOGETHER: Final = 200
_LINKS: Final = 5000
# Persons are read with their links, so that a page of them costs several requests: smaller ones lose less when one fails.
_PAGE: Final = 1000


def contacts(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the persons that changed, those whose link to a company changed, and the ids of those that were deleted."""
    shape = _shape(client, rules)
    held = begun(resumed(cursor), client)
    rules = replace(rules, page=min(rules.page, _PAGE))
    if held.beside is None:
        # At first all links come with their persons; from then on, those that change by themselves are looked for.
        held = msgspec.structs.replace(held, beside=Position(at=held.since))
    if held.part in (None, "changes"):
        for found in walk(client, rules, Source(PERSON, shape.select()), held.changes):
            held = msgspec.structs.replace(held, changes=found.position, part="beside" if is_over(found) else "changes")
            yield _page(client, found, shape, held)
    if held.part == "beside":
        told: set[str] = set()
        for found in walk(client, rules, Source(LINK, ("Person_ID",)), held.beside):
            held = msgspec.structs.replace(held, beside=found.position)
            keys, unread = _whose(found.rows)
            rows, refused = _persons(client, shape, [key for key in keys if key not in told])
            told.update(keys)
            yield _page(client, Found(rows, [*found.refused, *unread, *refused], found.position), shape, held)
    yield from deletions(client, rules, held, ("Person", "person"))


def one(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    """Read a single person with their links."""
    shape = _shape(client, rules)
    rows, refused = _persons(client, shape, [key])
    return _page(client, Found(rows, refused, Position()), shape, None) if rows or refused else None


def by_email(client: cx.Client, shape: PersonShape, email: str) -> list[Row]:
    """Find the persons with an address.

    Raises:
        WireFormat: one of them cannot be read.
    """
    found = []
    for raw in wire.query(
        client, PERSON, ("Gsid", "ModifiedDate", *shape.select()), [("Email", "EQ", [email])], limit=20
    ):
        try:
            found.append(read_row(raw, "Gsid", "ModifiedDate"))
        except Unreadable as error:
            raise cx.WireFormat(f"a person: {error}", operation=f"POST {wire.QUERY}/{PERSON}") from None
    return found


def links_of(client: cx.Client, persons: Sequence[str]) -> tuple[dict[str, list[Row]], list[str]]:
    """Read the links of persons to companies by person, and why some could not be read."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    refused: list[str] = []
    for start in range(0, len(persons), _TOGETHER):
        some = list(persons[start : start + _TOGETHER])
        offset = 0
        while True:
            where = [("Person_ID", "IN", some)]
            raws = wire.query(client, LINK, mapping.LINK_FIELDS, where, order="Gsid", limit=_LINKS, offset=offset)
            for raw in raws:
                try:
                    row = read_row(raw, "Gsid", None)
                    found[row.text("Person_ID") or ""].append(row)
                except Unreadable as error:
                    refused.append(f"a row of {LINK}: {error}")
            offset += len(raws)
            if not wire.is_full(len(raws), _LINKS):
                break
    return found, refused


def _whose(links: Sequence[Row]) -> tuple[list[str], list[str]]:
    keys: list[str] = []
    refused: list[str] = []
    for row in links:
        try:
            keys += [key] if (key := row.text("Person_ID")) else []
        except Unreadable as error:
            refused.append(f"a row of {LINK}: {error}")
    return list(dict.fromkeys(keys)), refused


def _shape(client: cx.Client, rules: Rules) -> PersonShape:
    [described] = describe(client, "person")
    return PersonShape.of(rules, described)


def _persons(client: cx.Client, shape: PersonShape, keys: Sequence[str]) -> tuple[list[Row], list[str]]:
    rows: list[Row] = []
    refused: list[str] = []
    for start in range(0, len(keys), _TOGETHER):
        some = list(keys[start : start + _TOGETHER])
        select = ("Gsid", "ModifiedDate", *shape.select())
        for raw in wire.query(client, PERSON, select, [("Gsid", "IN", some)], limit=len(some)):
            try:
                rows.append(read_row(raw, "Gsid", "ModifiedDate"))
            except Unreadable as error:
                refused.append(f"a row of {PERSON}: {error}")
    return sorted(rows, key=lambda row: (row.changed, row.key)), refused


def _page(client: cx.Client, found: Found, shape: PersonShape, held: Cursor | None) -> cx.Page:
    links, refused = links_of(client, [row.key for row in found.rows])

    def read(row: Row) -> cx.Contact:
        return mapping.person(row, links.get(row.key, ()), shape)

    return page_of(Found(found.rows, [*found.refused, *refused], found.position), read, held)
