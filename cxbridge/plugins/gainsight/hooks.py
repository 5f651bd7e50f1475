"""What a tenant's rules post to us: whether it carries our word, and what it asks to look at. Pure; believes nothing but ids.

Gainsight signs nothing. An administrator writes the call ("External Action"): our address, a header with a shared word, this body:

    {"v": 1, "event": "cta.created", "gsid": "…", "company_gsid": "…", "occurred_at": "2026-03-04T10:16:02Z", "dedupe": "run-7-…"}
"""

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import dates, mapping
from cxbridge.plugins.gainsight.dates import NoTime

HEADER: Final = "x-cxbridge-token"
MOST: Final = 256 * 1024
# Rules run on a schedule and in batches; what is older is the sweep's to find.
WINDOW: Final = timedelta(hours=24)
SKEW: Final = timedelta(minutes=10)

_GSID: Final = re.compile(r"[A-Za-z0-9]{10,64}")
_EVENT: Final = re.compile(r"([a-z]+)\.[a-z_]{1,40}")
_STREAMS: Final = {
    "cta": mapping.TASKS,
    "company": mapping.COMPANIES,
    "health": mapping.HEALTH,
    "person": mapping.PERSONS,
    "timeline": mapping.TIMELINE,
}

SETUP: Final = (
    "Administration › Connectors › External Actions: POST this address with Content-Type application/json and the body "
    '{"v":1,"event":"…","gsid":"…","company_gsid":"…","occurred_at":"…","dedupe":"…"}, event being cta.created, company.updated, '
    "health.changed or person.updated"
)
_WITH_SECRET: Final = f"{SETUP}. Add the header X-Cxbridge-Token with the value of webhook_secret."
_WITHOUT: Final = (
    f"{SETUP}. Set webhook_secret and send it in the header X-Cxbridge-Token: now the address alone protects."
)


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    v: int
    event: str
    gsid: str
    occurred_at: str
    dedupe: str
    company_gsid: str | None = None


def webhook(*, secret: bool) -> cx.Webhook:
    """Give the webhooks of a connection: with a shared word in a header, or with nothing but the secret address."""
    if secret:
        return cx.Webhook(verify, read, max_body=MOST, setup=_WITH_SECRET)
    return cx.Webhook(_unsigned, read, signed=False, max_body=MOST, setup=_WITHOUT)


def verify(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    """Compare the word in the header with ours.

    Raises:
        Forged: it is another one, or none.
    """
    given = inbound.headers.get(HEADER, "")
    # All are compared, so that the time tells nothing.
    if not given or not any([cx.same(given, one) for one in secrets if one]):  # noqa: C419 - see above
        raise cx.Forged("the header X-Cxbridge-Token does not hold our word")


def _unsigned(inbound: cx.Inbound, secrets: Sequence[str]) -> None:
    del inbound, secrets


def read(inbound: cx.Inbound) -> cx.Announced:
    """Read which entity to look at.

    Raises:
        Forged: the body is not of the published form, or too old.
    """
    if inbound.method != "POST":
        raise cx.Forged("only POST is taken")
    if len(inbound.body) > MOST:
        raise cx.Forged("the body is too large")
    try:
        body = msgspec.json.decode(inbound.body, type=_Body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise cx.Forged("the body is not of the published form") from None
    family = _EVENT.fullmatch(body.event)
    stream = _STREAMS.get(family[1]) if family else None
    if body.v != 1 or stream is None:
        raise cx.Forged("the body is of another version, or tells an event that nobody published")
    company = body.company_gsid or None
    if not _GSID.fullmatch(body.gsid) or (company is not None and not _GSID.fullmatch(company)):
        raise cx.Forged("the body names something that is no id")
    if not body.dedupe.strip() or len(body.dedupe) > 300 or not body.dedupe.isprintable():
        raise cx.Forged("the body has no word that tells its repetitions")
    _in_time(inbound, body.occurred_at)
    event_id = cx.event_of(inbound, body.event, body.gsid, body.dedupe)
    return cx.Announced(event_id, _nudges(stream, body.gsid, company))


def _nudges(stream: str, gsid: str, company: str | None) -> list[cx.Nudge]:
    if stream == mapping.HEALTH:
        owner = company or gsid
        # The score stands on the company too.
        return [cx.Nudge(mapping.HEALTH, owner), cx.Nudge(mapping.COMPANIES, owner)]
    return [cx.Nudge(stream, gsid)]


def _in_time(inbound: cx.Inbound, told: str) -> None:
    try:
        when = dates.moment(told)
    except NoTime:
        when = None
    if when is None:
        raise cx.Forged("the body says no time at which it happened")
    if not -SKEW <= inbound.received_at - when <= WINDOW:
        raise cx.Forged("what the body tells happened too long ago, or has not happened yet")
