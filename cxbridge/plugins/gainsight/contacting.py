"""Sees that a person is known by an e-mail address: the vendor's own upsert, one call, sent only where something differs."""

from dataclasses import dataclass, field
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import lookups, mapping, people, schema, wire
from cxbridge.plugins.gainsight.mapping import COMPANIES, PERSONS, PersonShape
from cxbridge.plugins.gainsight.rows import Row, Unreadable
from cxbridge.plugins.gainsight.rules import CONTACT_FIELDS, Rules
from cxbridge.plugins.gainsight.schema import Described, describe


@dataclass
class _Draft:
    body: dict[str, cx.Json]
    wrote: dict[str, cx.Json] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)
    differs: bool = False


def set_person(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Make or change the person with this address.

    Raises:
        Rejected: the address is none, several persons have it, or a title is given without a company.
        WireFormat: what is known of the person cannot be read.
    """
    try:
        return _set(rules, client, call)
    except Unreadable as error:
        raise cx.WireFormat(f"a person: {error}", operation=f"POST {wire.QUERY}/{people.PERSON}") from None


def _set(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    inputs = lookups.inputs(call, cx.SetContact)
    email = inputs.email.strip().lower()
    if email.count("@") != 1 or " " in email:
        raise cx.Rejected("the e-mail address is none")
    account = None if inputs.account is None else lookups.gsid(inputs.account, "the account")
    [described] = describe(client, "person")
    shape = PersonShape.of(rules, described)
    rows = people.by_email(client, shape, email)
    if len(rows) > 1:
        raise cx.Rejected(f"{len(rows)} persons of Gainsight have this address: merge them first")
    row = rows[0] if rows else None
    now, links = _current(client, row, shape)
    draft = _Draft({"Email": email}, {"emails": [email]}, differs=now is None)
    _named(inputs, now, shape, draft)
    _own(rules, inputs, row, shape, described, draft)
    _linked(inputs, account, links, draft)
    if row is not None and not draft.differs:
        return cx.Receipt(stream=PERSONS, key=row.key, changed=False)
    reply = client.put(wire.PEOPLE, draft.body)
    key = row.key if row is not None else _gsid(wire.decoded(reply, Any))
    if key is None:
        # The form of the answer is not documented; the person is there by now.
        found = people.by_email(client, shape, email)
        if not found:
            raise cx.WireFormat("the answer does not name the person", operation=f"PUT {wire.PEOPLE}")
        key = found[0].key
    elif row is not None:
        wire.data(reply)
    made = () if row is not None else (f"{PERSONS}/{key}",)
    return cx.Receipt(stream=PERSONS, key=key, wrote=draft.wrote, made=made, told="; ".join(draft.told))


def _current(client: cx.Client, row: Row | None, shape: PersonShape) -> tuple[cx.Contact | None, list[Row]]:
    if row is None:
        return None, []
    links, _ = people.links_of(client, [row.key])
    held = links.get(row.key, [])
    return mapping.person(row, held, shape), held


def _named(inputs: cx.SetContact, now: cx.Contact | None, shape: PersonShape, draft: _Draft) -> None:
    if inputs.name is None or (now is not None and now.name == inputs.name.strip()):
        return
    name = inputs.name.strip()
    first, _, last = name.partition(" ")
    for canonical, value in (("name", name), ("first_name", first), ("last_name", last or first)):
        if (called := shape.name(canonical)) is not None:
            draft.body[called] = value
    draft.wrote["name"] = name
    draft.differs = True


def _own(
    rules: Rules, inputs: cx.SetContact, row: Row | None, shape: PersonShape, described: Described, draft: _Draft
) -> None:
    """Set the language and the fields under aliases."""
    if inputs.language is not None:
        found = shape.fields.get("language")
        if found is None:
            draft.told.append("the language was left out: no field is named for it under contact_fields")
        elif row is None or schema.label(found, row.text(found.field_name)) != inputs.language:
            sent = lookups.sendable(found, "language", inputs.language)
            draft.body[found.field_name] = draft.wrote["language"] = sent
            draft.differs = True
    known = {alias: name for alias, name in rules.contact_fields.items() if alias not in CONTACT_FIELDS}
    for alias, value in inputs.custom.items():
        found = described.need(lookups.named(known, alias, "contact_fields"), f"contact_fields.{alias}")
        sent = lookups.sendable(found, alias, value)
        if row is None or mapping.custom(row, found) != sent:
            draft.body[found.field_name] = sent
            draft.differs = True


def _linked(inputs: cx.SetContact, account: str | None, links: list[Row], draft: _Draft) -> None:
    """Link the person to the company, with the title they have there."""
    here = mapping.primary(links)
    if account is None and inputs.title is not None:
        account = here.text("Company_ID") if here is not None else None
        if account is None:
            raise cx.Rejected("a title belongs to a company, and the person has none: give the account")
    if account is None:
        return
    held = next((link for link in links if link.text("Company_ID") == account), None)
    link: dict[str, cx.Json] = {"Company_ID": account}
    if inputs.title is not None:
        link["Title"] = inputs.title
    if here is None or here is held:
        draft.wrote["account"] = f"{COMPANIES}/{account}"
        if inputs.title is not None:
            draft.wrote["title"] = inputs.title
    else:
        draft.told.append("the person belongs to another company first, and to this one as well")
    if held is None or (inputs.title is not None and held.text("Title") != inputs.title):
        draft.body["companies"] = [link]
        draft.differs = True


def _gsid(told: Any) -> str | None:
    """Pick the person's id out of an answer whose form is not documented."""
    if isinstance(told, dict) and isinstance(told.get("records"), list):
        told = told["records"]
    for one in told if isinstance(told, list) else [told]:
        found = one.get("Gsid") or one.get("gsid") if isinstance(one, dict) else None
        if isinstance(found, str) and found:
            return found
    return None
