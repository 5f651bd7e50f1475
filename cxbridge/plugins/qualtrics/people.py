"""Finds and keeps people in the XM Directory (`contact.set`).

Qualtrics may make a second contact for an address that it has, and removes doubles by rules and at times of its own. A contact is
always searched for first, and what is written carries a marker, by which a write whose answer was lost is found again.
"""

from dataclasses import dataclass
from typing import Any, Final

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import listing, mapping, wire
from cxbridge.plugins.qualtrics.reading import directory
from cxbridge.plugins.qualtrics.rules import LONGEST_NAME, LONGEST_VALUE, MARKER, Rules
from cxbridge.plugins.qualtrics.values import language, named, text

# How long a search may not show a contact yet (unverified; nothing is repeated before it is over).
SETTLE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Person:
    """A contact as it is, and where."""

    directory: str
    row: wire.Contact

    @property
    def key(self) -> str:
        return mapping.contact_key(self.row)


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Write what differs, or make the contact where nobody has that address.

    Raises:
        Rejected: when something is asked for that a contact does not have.
    """
    inputs = given(call)
    place = directory(rules, client)
    found = search(client, place, inputs.email)
    body = changes(inputs, found.row if found else None, rules)
    if found is not None:
        if not body:
            return _receipt(rules, found.row, wrote={}, changed=False)
        embedded = {**(found.row.embedded_data or {}), **body.pop("embeddedData", {}), MARKER: call.marker}
        # Whether embedded data is merged or replaced there is not known: all of it is sent.
        client.put(f"/directories/{place}/contacts/{found.key}", {**body, "embeddedData": embedded})
        return _receipt(rules, _after(found.row, body, embedded), wrote=_WROTE)
    made = create(client, place, body, call.marker)
    embedded = {**body.pop("embeddedData", {}), MARKER: call.marker}
    row = _after(wire.Contact(contact_id=made), body, embedded)
    return _receipt(rules, row, wrote=_WROTE, made=True)


def find(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt | None:
    """Look for the contact that an earlier, unanswered call wrote."""
    for person in everyone(client, directory(rules, client), given(call).email):
        if (person.row.embedded_data or {}).get(MARKER) == call.marker:
            return _receipt(rules, person.row, wrote=_WROTE)
    return None


def search(client: cx.Client, place: str, email: str) -> Person | None:
    """Find the contact of an address; of several the one with the lowest id, so that every call means the same one."""
    return min(everyone(client, place, email), key=lambda person: person.key, default=None)


def everyone(client: cx.Client, place: str, email: str) -> list[Person]:
    """Find all contacts of an address.

    Raises:
        WireFormat: one of them cannot be read; it is not taken for nobody, who would be made a contact once more.
    """
    # The body of a search is not confirmed by any recording; one that Qualtrics does not take is refused loudly (400).
    asked = {"filter": {"filterType": "email", "comparison": "eq", "value": email}}
    found = listing.result(client.post(f"/directories/{place}/contacts/search", asked), wire.Listing)
    refused: list[str] = []
    rows = [row for row, _ in listing.read("contact", wire.Contact, found.elements, refused)]
    if refused:
        raise cx.WireFormat(f"{len(refused)} contacts of the address could not be read: {refused[0]}")
    wanted = email.strip().casefold()
    return [
        Person(place, row)
        for row in rows
        if mapping.is_contact(row) and row.email is not None and row.email.strip().casefold() == wanted
    ]


def create(client: cx.Client, place: str, body: dict[str, Any], marker: str, *, mailing_list: str | None = None) -> str:
    """Make a contact, as a member of a mailing list where one is named; gives its id."""
    embedded = {**body.get("embeddedData", {}), MARKER: marker}
    where = f"/directories/{place}" + (f"/mailinglists/{mailing_list}" if mailing_list else "")
    made = listing.result(client.post(f"{where}/contacts", {**body, "embeddedData": embedded}), wire.Made)
    if not (key := made.contact_id or made.id):
        raise cx.WireFormat("a contact was made and has no id")
    return key


def changes(inputs: cx.SetContact, row: wire.Contact | None, rules: Rules) -> dict[str, Any]:
    """Say what has to be sent so that the contact is as wanted; nothing where it is so already."""
    if inputs.title is not None:
        raise cx.Rejected("a contact of Qualtrics has no title: keep it in embedded data, under custom")
    wanted: dict[str, Any] = {}
    if inputs.name is not None:
        first, _, last = inputs.name.strip().partition(" ")
        wanted |= {"firstName": first, "lastName": last.strip()}
    if inputs.language is not None:
        wanted["language"] = inputs.language
    embedded = {name: embeddable(name, value) for name, value in inputs.custom.items()}
    if inputs.account is not None:
        embedded[rules.fields.account] = embeddable(rules.fields.account, inputs.account)
    if row is None:
        return {"email": inputs.email, **wanted, **({"embeddedData": embedded} if embedded else {})}
    held = {"firstName": row.first_name or "", "lastName": row.last_name or "", "language": language(row.language)}
    body = {
        name: value
        for name, value in wanted.items()
        if (language(value) if name == "language" else value) != held[name]
    }
    now = row.embedded_data or {}
    differing = {name: value for name, value in embedded.items() if text(named(now, name)) != value}
    return {**body, **({"embeddedData": _spelt(differing, now)} if differing else {})}


def embeddable(name: str, value: Any) -> str:
    """Give a value as embedded data.

    Raises:
        Rejected: when it is no plain value, or longer than Qualtrics keeps.
    """
    said = "" if value in (None, "") else text(value)
    if said is None:
        raise cx.Rejected(f"embedded data holds plain values only: {name[:60]} is none")
    if name.casefold() == MARKER:
        raise cx.Rejected(f"{MARKER} is the name under which cxbridge knows its own writes: choose another")
    if len(said) > LONGEST_VALUE or not 0 < len(name) <= LONGEST_NAME:
        raise cx.Rejected(
            f"{name[:60]}: Qualtrics keeps names up to {LONGEST_NAME} and values up to {LONGEST_VALUE} letters"
        )
    return said


_WROTE: Final = {"name", "emails", "account", "language", "custom"}


def _spelt(wanted: dict[str, str], now: dict[str, Any]) -> dict[str, str]:
    """Write embedded data under the spelling that is there already."""
    there = {name.casefold(): name for name in now}
    return {there.get(name.casefold(), name): value for name, value in wanted.items()}


def _after(row: wire.Contact, body: dict[str, Any], embedded: dict[str, Any]) -> wire.Contact:
    return cx.msgspec.structs.replace(
        row,
        first_name=body.get("firstName", row.first_name),
        last_name=body.get("lastName", row.last_name),
        email=body.get("email", row.email),
        language=body.get("language", row.language),
        embedded_data=embedded,
    )


def _receipt(
    rules: Rules, row: wire.Contact, *, wrote: set[str] | dict[str, Any], made: bool = False, changed: bool = True
) -> cx.Receipt:
    entity = mapping.contact(row, rules.fields)
    return cx.Receipt(
        "contacts",
        entity.source_id,
        wrote={name: getattr(entity, name) for name in sorted(wrote)},
        made=(f"contacts/{entity.source_id}",) if made else (),
        changed=changed,
    )


def given(call: cx.Call) -> cx.SetContact:
    """Give the inputs of a call as what they are."""
    if not isinstance(call.inputs, cx.SetContact):
        raise TypeError("contact.set takes SetContact")
    return call.inputs
