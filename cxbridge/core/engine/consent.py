"""Whether a customer may be asked or written to: consent, opt-outs, and one ledger of asks for all recipes; sends nothing.

Judged when a delivery is planned and again in the commit that marks it sent, where the ask is entered as well: of two recipes that
would ask the same person, the second sees what the first entered. The address itself is never kept, only its keyed hash.
"""

import hashlib
import hmac
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cxbridge.core.actions import Inputs
from cxbridge.core.engine.given import Given
from cxbridge.core.engine.identity import POSITION
from cxbridge.core.engine.scope import Scopes
from cxbridge.core.ledger import Delivery, Ref, Run, decode_entity
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.store import Tx, asks, identity, planning, records
from cxbridge.core.store.asks import Asked
from cxbridge.functions import naming

QUARANTINE = timedelta(days=90)
_SURVEY = "survey"
_BATCH = 2000


@dataclass(frozen=True, slots=True)
class Outreach:
    """One contact with a customer that a delivery would make: with whom, what for, and how long after another one it may not be."""

    email: str
    person: str
    purpose: str
    programme: str
    quarantine: timedelta
    step: str

    @property
    def verb(self) -> str:
        """What is done to the person."""
        return "asked" if self.purpose == _SURVEY else "written to"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why somebody is left alone: a word to count by, and a sentence."""

    reason: str
    told: str


def person_of(key: bytes, email: str) -> str:
    """Hash an address with the instance's key: the same person everywhere here, and nobody outside can try addresses out."""
    return hmac.new(key, b"person\x1f" + _address(email).encode(), hashlib.sha256).hexdigest()[:32]


def outreach(
    scopes: Scopes,
    key: bytes,
    recipe: Recipe,
    run: Run,
    delivery: Delivery,
    inputs: type[Inputs],
    quarantine: timedelta,
) -> Outreach | None:
    """Tell which customer a delivery would reach; `None` where it reaches none, or nobody knows whom.

    `quarantine` holds where neither the step nor the recipe says another. A verb that writes to a customer without asking for
    something counts only with the step's `purpose`, and waits for nobody unless the step says how long.
    """
    step = next((one for one in recipe.part(run.part) if one.id == delivery.step), None)
    asked = inputs.asks_person
    if step is None or (asked is None and step.purpose is None):
        return None
    email = delivery.inputs.get(asked) if asked is not None else _addressee(scopes, run, delivery)
    if not isinstance(email, str) or not email.strip():
        return None
    purpose = step.purpose or _SURVEY
    if step.quarantine is not None:
        quarantine = step.quarantine
    elif asked is None:
        quarantine = timedelta()
    elif recipe.limits.quarantine is not None:
        quarantine = recipe.limits.quarantine
    email = _address(email)
    return Outreach(
        email=email,
        person=person_of(key, email),
        purpose=purpose,
        programme=str(delivery.inputs.get("programme") or purpose),
        quarantine=quarantine,
        # Each delivery of a step is an ask of its own; one that is sent again is the same.
        step=delivery.step if not delivery.index else f"{delivery.step}#{delivery.index}",
    )


def refusal(scopes: Scopes, reached: Outreach, run: Run) -> Refusal | None:
    """Say why this person is to be left alone, or nothing."""
    for contact, account in _known(scopes, reached, run):
        where = f" in {contact['source']}" if contact.get("source") else ""
        if contact.get("unsubscribed"):
            return _left_alone(reached, "unsubscribed", f"unsubscribed{where}")
        if reached.purpose == _SURVEY and contact.get("survey_optout"):
            return _left_alone(reached, "opted out of surveys", f"opted out of surveys{where}")
        consent = contact.get("consent")
        if isinstance(consent, Mapping) and consent.get(reached.purpose) is False:
            return _left_alone(reached, "no consent", f"no consent for {reached.purpose}{where}")
        if account is not None and account.get("do_not_contact"):
            return _left_alone(
                reached, "do not contact", f"{account.get('name') or 'the account'} is not to be contacted"
            )
    last = asks.latest(scopes.tx, reached.person, besides=(run.id, reached.step))
    if last is not None and scopes.now - last.at < reached.quarantine:
        verb = "asked" if last.purpose == _SURVEY else "written to"
        told = f"{verb} {_ago(scopes.now - last.at)} for {last.programme} (quarantine {_length(reached.quarantine)})"
        return _left_alone(reached, "quarantine", told)
    return None


def _left_alone(reached: Outreach, reason: str, told: str) -> Refusal:
    return Refusal(f"not {reached.verb}: {reason}", f"not {reached.verb}: {told}")


def enter(tx: Tx, reached: Outreach, recipe: Recipe, run: Run, now: datetime) -> None:
    """Enter an ask into the ledger; belongs in the commit that marks its delivery sent."""
    asks.record(
        tx,
        Asked(
            person=reached.person,
            purpose=reached.purpose,
            programme=reached.programme,
            recipe=recipe.id,
            run=run.id,
            step=reached.step,
            at=now,
        ),
    )


def take_back(tx: Tx, delivery: Delivery) -> None:
    """Take an ask out of the ledger again, because its delivery certainly reached nobody."""
    asks.forget(tx, delivery.run, delivery.step if not delivery.index else f"{delivery.step}#{delivery.index}")


# -- who that is -------------------------------------------------------------------------------------------------------


def _addressee(scopes: Scopes, run: Run, delivery: Delivery) -> str | None:
    """Find the address of whoever is on the customer's side of what is written to."""
    given = _given(run).get("contact")
    entity = scopes.entity(delivery.target) if delivery.target is not None else None
    contact = None
    for name in ("requester", "contact"):
        held = entity.get(name) if entity is not None else None
        if isinstance(held, str):
            contact = scopes.entity(Ref.parse(held))
            break
    if contact is None and isinstance(given, Mapping):
        contact = dict(given)
    emails: Sequence[Any] = (contact or {}).get("emails") or ()
    return str(emails[0]) if emails else None


def _known(scopes: Scopes, reached: Outreach, run: Run) -> Iterator[tuple[Mapping[str, Any], Mapping[str, Any] | None]]:
    """Show every contact with that address, in whichever connection, with its account; a subject given by hand has its own."""
    if "subject" in run.context:
        given = _given(run)
        yield given.get("contact") or {}, given.get("account")
        return
    accounts: set[Ref] = set()
    for ref in _refs(scopes.tx, reached.email):
        contact = scopes.entity(ref)
        if contact is None:
            continue
        yield contact, None
        accounts |= _companies(contact.get("account"))
    subject = scopes.entity(run.subject) or {}
    accounts |= _companies(str(run.subject) if "do_not_contact" in subject else subject.get("account"))
    # What one system knows of a company holds for it in all of them.
    for ref in sorted(set().union(*identity.clusters(scopes.tx, accounts).values(), accounts)):
        yield {}, scopes.entity(ref)


def _companies(held: object) -> set[Ref]:
    return {Ref.parse(held)} if isinstance(held, str) else set()


def _given(run: Run) -> Mapping[str, Any]:
    """Show who belongs to a subject that was given by hand, as a test in a recipe file does."""
    given = run.context.get("given")
    return given.names if isinstance(given, Given) else {}


def _refs(tx: Tx, email: str) -> list[Ref]:
    """Find the contacts that have an address, in all connections: by their keys, and among those whose keys are not kept yet."""
    found = set(identity.holders(tx, "contact", [f"email:{email}"]).get(f"email:{email}", ()))
    seq, more = planning.position(tx, POSITION) or 0, True
    while more:
        fresh, last = identity.touched(tx, seq, _BATCH)
        for one in records.get_many(tx, fresh).values():
            if one.kind == "contact" and email in _emails(one.kind, one.body):
                found.add(one.ref)
        more = bool(fresh) and last > seq
        seq = last
    return sorted(found)


def _emails(kind: str, body: bytes) -> list[str]:
    return [_address(one) for one in getattr(decode_entity(kind, body), "emails", ())]


def _address(email: str) -> str:
    """Write an address as its key holds it."""
    return naming.email(email) or email.strip().casefold()


def _ago(passed: timedelta) -> str:
    return f"{_length(passed, words=True)} ago"


def _length(time: timedelta, *, words: bool = False) -> str:
    """Write a length of time in its largest unit."""
    seconds = max(0, int(time.total_seconds()))
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        if seconds >= size or size == 1:
            number = seconds // size
            return f"{number} {name}{'' if number == 1 else 's'}" if words else f"{number}{name[0]}"
    raise AssertionError("a second is the smallest of them")
