"""Zendesk's error table: four envelopes read into one code and one sentence, then into what happens next.

It repeats nothing itself.

Envelopes and codes: developer.zendesk.com/api-reference/introduction/requests (error format), and recorded answers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cxbridge.core import connector as cx

CLOSED = "the ticket is closed for good: open a follow-up ticket instead"
_EMAIL = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
# Words of Zendesk's own about a value can quote the value; what stands in quotes is not repeated.
_QUOTED = re.compile(r"\"[^\"]*\"|“[^”]*”")
_LONGEST = 160


class StartTimeTooRecent(cx.Rejected):
    """An export was asked for the last minute, which Zendesk holds back."""

    summary = "holds the last minute back"


class Absent(cx.NotFound):
    """This account has no such feature, by plan or by setting: not a bad credential, and nothing to repeat."""

    summary = "is not part of this account"


class Forbidden(cx.Rejected):
    """The credential is good, but its user's role or the token's scope does not reach this."""

    summary = "is not allowed"


class ClosedTicket(cx.Rejected):
    """A closed ticket takes no writes, ever."""


class KeyReused(cx.Rejected):
    """The idempotency key came before with another body."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an error body says, whichever envelope it came in; a body in none of them says nothing."""

    code: str = ""
    sentence: str = ""
    fields: tuple[str, ...] = ()


def told(body: Any) -> Told:
    """Read an error body: a code with `description` and `details`, a title and message, a list, or a bare word."""
    if not isinstance(body, dict):
        return Told()
    error = body.get("error")
    if isinstance(error, dict):
        return Told(_text(error.get("title")), _clean(error.get("message")))
    many = body.get("errors")
    if isinstance(many, list) and many and isinstance(many[0], dict):
        return Told(_text(many[0].get("code")), _clean(many[0].get("detail") or many[0].get("title")))
    details = body.get("details")
    if isinstance(details, dict) and details:
        rows = list(_details(details))
        return Told(
            _text(error), _clean("; ".join(f"{name}: {said}" for name, said in rows)), tuple(name for name, _ in rows)
        )
    return Told(_text(error), _clean(body.get("description") or body.get("error_description") or body.get("message")))


def refusal(reply: cx.Reply) -> cx.VendorError | None:
    """Turn an error answer into the error that says what happens next; None leaves it to the table of statuses."""
    guide = reply.path.startswith("/api/v2/help_center/")
    if reply.status == 401:
        # Plans without Guide answer 401 there to a credential that works everywhere else.
        return (
            Absent("Zendesk answers so on plans without Guide: set guide = false if yours has none") if guide else None
        )
    said = told(reply.json())
    match reply.status, said.code:
        case 400, "StartTimeTooRecent":
            return StartTimeTooRecent()
        case 400, "IdempotentRequestError":
            return KeyReused("the idempotency key was used before with another body")
        case 403, _:
            return Forbidden(_forbidden(said))
        case 404, "InvalidEndpoint":
            return Absent("this account does not have that feature")
        case 409, "DatabaseConflict":
            # Zendesk rolls the whole update back when its database collides.
            return cx.Retryable("two updates collided in the vendor's database", sent=False)
        case 409, "UpdateConflict":
            return cx.Conflict("the ticket changed since it was read")
        case 409, _ if reply.method == "POST":
            # The first request under the same idempotency key may still be under way (unverified).
            return cx.Retryable("the same request seems to be under way already")
        case 422, _ if "closed prevents ticket update" in said.sentence:
            return ClosedTicket(CLOSED)
    return None


def message_of(reply: cx.Reply) -> str | None:
    """Pick the sentence that is safe to show."""
    said = told(reply.json())
    return said.sentence or said.code or None


def _forbidden(said: Told) -> str:
    if "scope" in said.sentence.lower():
        return f"{said.sentence}: allow the scope in the OAuth client and in this connection's scope setting"
    return "the user behind this credential may not do that: give it the admin role, or the plan lacks the feature"


def _details(details: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, problems in details.items():
        rows = problems if isinstance(problems, list) else [problems]
        for row in rows:
            said = row.get("description") or row.get("error") if isinstance(row, dict) else row
            yield name, _text(said)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _clean(value: Any) -> str:
    text = _QUOTED.sub("(value)", _EMAIL.sub("(address)", _text(value)))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
