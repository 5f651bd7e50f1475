"""What Gainsight's refusals mean; it sends nothing. The vendor's sentences hold customers' data: they are never shown.

Codes: support.gainsight.com, "Error Codes for Company", "Error Codes for Person API", and what connectors of others met.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

import msgspec

from cxbridge.core import connector as cx

E = TypeVar("E", bound=cx.VendorError)

# With an underscore in it: a customer's name in capitals must not pass for a code.
_CODE: Final = re.compile(r"[A-Z][A-Z0-9]{1,20}(?:_[A-Z0-9]{1,20}){1,4}")
_FIELD: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.]{0,80}")
_NO_DATA: Final = "no data found for given criteria"
_WHOLE: Final = ""
_SHARED: Final = "the allowance that all programs of the tenant share is used up"
_MINUTE: Final = 60

_REFUSED: Final[Mapping[str, str]] = {
    "GS_APIG_2401": "the access key or token is wrong, or was reset",
    "GS_APIG_2402": "this machine's address is not on the allow-list of the connection in Gainsight: add it there",
    "GSOBJ_1024": "the vendor cannot read the credential: check access_key",
}
_DUPLICATE: Final = "GS_TL_10_0207"
_FAILING: Final = frozenset({"GSOBJ_1003", "GU_1101"})
_MEANING: Final[Mapping[str, str]] = {
    "GSOBJ_1001": "a text is too long",
    "GSOBJ_1002": "a field is unknown or takes no such value",
    "GSOBJ_1004": "the id in the path is none",
    "GSOBJ_1005": "a time is not readable",
    "GSOBJ_1006": "a day is not readable",
    "GSOBJ_1012": "a value is no active option of its picklist",
    "GSOBJ_1023": "there is no such path: check domain, and that this is Gainsight CS (NXT)",
    "COCKPIT_5101": "a field of the call to action is unknown or takes no such value",
    "COCKPIT_9700": "the call to action lacks a field that this tenant demands",
    "COCKPIT_6007": "there is no such call to action",
    "GS_TL_10_0206": "the timeline entry lacks a field that this tenant demands",
    "GS_TL_10_0213": "the company or the type of the timeline entry is unknown",
    "GSOBJ_PEOPLE1001": "the person lacks an e-mail address",
    "GSOBJ_VDTEMAIL1001": "the e-mail address is none",
}


class NoRows(cx.NotFound):
    """A query found nothing, which the vendor tells as a refusal."""


class Duplicate(cx.Conflict):
    """The timeline has an entry of this ExternalId."""


class NoObject(cx.Rejected):
    """The tenant has no such object."""


class Envelope(msgspec.Struct, frozen=True, rename="camel"):
    """What every answer comes in; `data` is missing from some refusals."""

    result: bool | None = None
    error_code: str | None = None
    error_desc: str | None = None
    title: str | None = None
    request_id: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"null")


def refusal(reply: cx.Reply) -> cx.VendorError | None:
    """Say what a status from 400 on means; None leaves it to the status."""
    try:
        told = msgspec.json.decode(reply.body, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        told = Envelope()
    if reply.status == 429:
        return _throttled(reply, told)
    # Without a code or title it is somebody's answer on the way, which the status says more about.
    if told.error_code is None and told.title is None and not _is_empty(told):
        return None
    if reply.status >= 500:
        return cx.Retryable(_word(told, "the vendor has trouble of its own"), request_id=_id(told))
    return failure(reply, told)


def failure(reply: cx.Reply, told: Envelope) -> cx.VendorError:
    """Give the error that a refusing envelope stands for, whatever its status."""
    code = told.error_code or ""

    def made(kind: type[E], message: str) -> E:
        where = f"{reply.method} {reply.path}"
        return kind(message, connection=reply.connection, operation=where, status=reply.status, request_id=_id(told))

    if code in _REFUSED or reply.status == 401:
        return made(cx.Unauthorized, _word(told, _REFUSED.get(code, "")))
    if _is_empty(told):
        return made(NoRows, "no rows")
    if "OBJECT_NOT_FOUND" in (told.title, code):
        return made(NoObject, "the tenant has no such object")
    if code == "GU_2400":
        error = made(cx.RateLimited, _word(told, _SHARED))
        error.retry_at = _minute(reply)
        error.sent = False  # nothing was begun
        return error
    if code == _DUPLICATE:
        return made(Duplicate, _word(told, "the timeline has this entry"))
    if code in _FAILING:
        return made(cx.Retryable, _word(told, "the vendor has trouble of its own"))
    if code == "COCKPIT_6007":
        return made(cx.NotFound, _word(told, _MEANING[code]))
    fields = ", ".join(dict.fromkeys(_fields(told)))
    about = f"about {fields}" if fields else ""
    return made(cx.Rejected, "; ".join(part for part in (_word(told, _MEANING.get(code, "")), about) if part))


def coded(code: str, reply: cx.Reply) -> cx.VendorError:
    """Give the error of one record of several, which has a code and nothing else that may be shown."""
    return failure(reply, Envelope(result=False, error_code=code or None))


def code_in(text: object) -> str:
    """Pick the code out of `COCKPIT_9700: …`; what follows holds values."""
    found = _CODE.match(text) if isinstance(text, str) else None
    return found[0] if found else ""


def budgets(reply: cx.Reply) -> Iterator[cx.Budget]:
    """Hold everything back after a 429: the vendor's windows end with the minute of the clock, and all requests share them."""
    if reply.status == 429:
        seconds = reply.retry_after if reply.retry_after is not None else _to_the_minute(reply)
        yield cx.Budget(_WHOLE, remaining=0, reset=seconds)


def _throttled(reply: cx.Reply, told: Envelope) -> cx.RateLimited:
    error = cx.RateLimited(_word(told, _SHARED), request_id=_id(told))
    if reply.retry_after is None:
        error.retry_at = _minute(reply)
    return error


def _minute(reply: cx.Reply) -> datetime:
    return reply.arrived + timedelta(seconds=_to_the_minute(reply))


def _to_the_minute(reply: cx.Reply) -> float:
    """The seconds until the next minute by the vendor's clock, and a little more, different from reply to reply."""
    here = reply.server_time or reply.arrived
    return _MINUTE - here.second + 0.5 + 3.5 * (sum(reply.body[-64:]) % 97) / 97


def _is_empty(told: Envelope) -> bool:
    return told.error_code == "GSOBJ_1011" or _NO_DATA in (told.error_desc or "").lower()


def _word(told: Envelope, meaning: str) -> str:
    code = code_in(told.error_code)
    return f"{code}: {meaning}" if code and meaning else code or meaning


def _id(told: Envelope) -> str | None:
    given = told.request_id
    return given if given and len(given) <= 100 and given.isascii() and given.isprintable() else None


def _fields(told: Envelope) -> Iterator[str]:
    """The names of the fields that are at fault: `data.errors` is a list per record of lists per field."""
    try:
        data: Any = msgspec.json.decode(told.data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return
    pending: list[Any] = [data.get("errors")] if isinstance(data, dict) else []
    while pending:
        part = pending.pop(0)
        if isinstance(part, list):
            pending += part[:50]
        elif isinstance(part, dict):
            name, code = part.get("fieldName"), code_in(part.get("errorCode"))
            if isinstance(name, str) and _FIELD.fullmatch(name):
                yield f"{name} ({code})" if code else name
            pending.append(part.get("errors"))
