"""Jira's webhooks: whether a delivery is the site's, and which issue it asks to look at. Pure; believes nothing but ids.

Two kinds come (developer.atlassian.com/cloud/jira/platform/webhooks/). Those that an administrator makes are signed over the body
where a secret was given to them; those that an OAuth app registers carry a token made with the app's secret, which does not cover
the body. What was made without a secret is not signed at all.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final

import msgspec

from cxbridge.core import connector as cx

SIGNATURE: Final = "x-hub-signature"
# The same on every repetition of a delivery, but no signature covers it.
IDENTIFIER: Final = "x-atlassian-webhook-identifier"
# No signed header tells the time, and repetitions come up to hours later.
WINDOW: Final = timedelta(hours=24)
SKEW: Final = 60
# Texts of an issue are long, and it is sent whole.
MOST: Final = 4 * 1024 * 1024

EVENTS: Final = (
    "issue created, updated and deleted, and comment created, updated and deleted; leave out nothing of the body, and "
    "give a filter such as project in (OPS)"
)
SETUP: Final = (
    f"Settings › System › WebHooks: {EVENTS}. Give it a secret and set the same as webhook_secret: without one, deliveries are "
    "not signed."
)
SETUP_APP: Final = (
    f"register with POST /rest/api/3/webhook as this OAuth app: {EVENTS}. They live 30 days: refresh them weekly. "
    "Deliveries carry a token made with client_secret."
)

_ISSUE_OF_COMMENT: Final = re.compile(r"/issue/(\d+)/comment/")


class _Named(msgspec.Struct):
    id: int | str | None = None
    self: str | None = None


class _Worklog(msgspec.Struct, rename="camel"):
    issue_id: int | str | None = None


class _Body(msgspec.Struct, rename="camel"):
    webhook_event: str
    timestamp: int | None = None
    issue: _Named | None = None
    comment: _Named | None = None
    worklog: _Worklog | None = None
    project: _Named | None = None


_body = msgspec.json.Decoder(_Body).decode
_json = msgspec.json.Decoder().decode


def webhook(*, secret: bool, app: bool) -> cx.Webhook:
    """Give the webhooks of a connection: signed with the secret that is set, else by the OAuth app, else not at all."""
    if secret:
        return cx.Webhook(verify, partial(read, covered=True), max_body=MOST, setup=SETUP)
    if app:
        # The name of a setting, not a secret.
        return cx.Webhook(verify_token, read, secret="client_secret", max_body=MOST, setup=SETUP_APP)  # noqa: S106 - see above
    return cx.Webhook(verify, read, signed=False, max_body=MOST, setup=SETUP)


def verify(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Compare the signature over the raw body.

    Raises:
        Forged: no secret made it, or there is none.
    """
    method, _, given = inbound.headers.get(SIGNATURE, "").partition("=")
    if method != "sha256":
        raise cx.Forged("there is no sha256 signature")
    for secret in secrets:
        made = hmac.new(secret.encode(), inbound.body, hashlib.sha256).hexdigest()
        if secret and cx.same(given, made):
            return
    raise cx.Forged("the signature is not one of ours")


def verify_token(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Check the token of an app's delivery: who made it and when, which says nothing of the body.

    Raises:
        Forged: no secret made it, it is of another kind, or its time is over.
    """
    scheme, _, token = inbound.headers.get("authorization", "").partition(" ")
    parts = token.strip().split(".")
    if scheme.lower() not in ("bearer", "jwt") or len(parts) != 3:
        raise cx.Forged("there is no token")
    head, claims = _part(parts[0]), _part(parts[1])
    # Looked at before the signature: a token that names its own way of being checked could name none.
    if head.get("alg") != "HS256":
        raise cx.Forged("the token is not signed with HS256")
    signed = f"{parts[0]}.{parts[1]}".encode(errors="replace")
    made = [_url64(hmac.new(secret.encode(), signed, hashlib.sha256).digest()) for secret in secrets if secret]
    if not any([cx.same(parts[2], one) for one in made]):  # noqa: C419 - all are compared, so that the time tells nothing
        raise cx.Forged("the token is not signed by our app")
    now = inbound.received_at.timestamp()
    ends, begins = _number(claims.get("exp")), _number(claims.get("nbf", 0))
    if ends is None or begins is None or not begins - SKEW <= now <= ends + SKEW:
        raise cx.Forged("the token's time is over, or has not come")


def read(inbound: cx.Inbound, *, covered: bool = False) -> cx.Announced:
    """Read which issue or project a delivery is about.

    `covered` says that the body was signed: then the delivery is known by it, and sent again under another identifier it is
    still the same.

    Raises:
        Forged: the body is no event of Jira's, or too old.
    """
    try:
        body = _body(inbound.body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise cx.Forged(f"the body is not of the known form ({type(error).__name__})") from None
    if (
        covered
        and body.timestamp is not None
        and abs(inbound.received_at.timestamp() * 1000 - body.timestamp) > (WINDOW.total_seconds() * 1000)
    ):
        raise cx.Forged("the event is older than a day, or from tomorrow")
    identifier = inbound.headers.get(IDENTIFIER)
    name = cx.event_of(inbound) if covered or not identifier else cx.event_of(inbound, "identifier", identifier)
    return cx.Announced(name, _nudges(body))


def _nudges(body: _Body) -> list[cx.Nudge]:
    event = body.webhook_event.removeprefix("jira:")
    issue = body.issue.id if body.issue is not None else None
    if issue is None and body.worklog is not None:
        issue = body.worklog.issue_id
    if issue is None and body.comment is not None:
        # Old servers sent a comment without its issue; its own link names it.
        named = _ISSUE_OF_COMMENT.search(body.comment.self or "")
        issue = named[1] if named else None
    if issue is not None:
        return [cx.Nudge("issues", _key(issue))]
    if event.startswith("project_") and body.project is not None:
        return [cx.Nudge("projects")]
    if event.startswith(("issue_", "comment_")):
        raise cx.Forged(f"the {event} event names no issue")
    # Sprints, versions, people: nothing that is read here.
    return []


def _key(id_: int | str) -> str:
    key = str(id_)
    if not (key.isascii() and key.isdigit()):
        raise cx.Forged("an id is no number")
    return key


def _part(text: str) -> dict[str, Any]:
    try:
        found = _json(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, binascii.Error, msgspec.MsgspecError, RecursionError):
        raise cx.Forged("the token cannot be read") from None
    if not isinstance(found, dict):
        raise cx.Forged("the token cannot be read")
    return found


def _url64(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _number(value: object) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
