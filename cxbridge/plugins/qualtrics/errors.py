"""What Qualtrics' refusals mean; it reads replies and sends nothing.

The status stands in `meta.httpStatus` too, and counts there even where HTTP says 200. A survey that does not exist is forbidden
(403), not missing; a response that was just given is missing (404) for a while.
"""

import re
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.qualtrics import wire

_EMAIL: Final = re.compile(r"[^\s@<>\"']+@[^\s@<>\"']+")
_LONGEST: Final = 160


class Forbidden(cx.Rejected):
    """The credential is good, but does not reach this: a scope, a permission, or a survey that is not there."""

    summary = "is not allowed"


class NoSurvey(Forbidden):
    """There is no such survey, or none that this user may see."""


class Unlicensed(Forbidden):
    """This brand has not bought that part of Qualtrics."""

    summary = "is not part of this brand's licence"


def refusal(reply: cx.Reply) -> cx.VendorError | None:
    """Turn an error answer into the error that says what happens next; None leaves it to the table of statuses."""
    fault = told(reply)
    code = code_of(fault)
    match reply.status:
        case 401:
            return cx.Unauthorized(
                "Qualtrics does not know the credential: check api_token or the OAuth client, "
                "and that it belongs to this data center"
            )
        case 403 if code.startswith("TIK_"):
            return Unlicensed(f"ticketing is a licence of its own ({code}); set tickets = false if this brand has none")
        case 403 if code.startswith("QMST_"):
            return NoSurvey(f"the survey does not exist, or is not shared with this user ({code})")
        case 403:
            return Forbidden(_also(fault, "a scope, a permission or a licence is missing"))
        case _:
            return None


def message_of(reply: cx.Reply) -> str | None:
    """Pick the sentence that is safe to show."""
    fault = told(reply)
    sentence = _clean(fault.error_message)
    code = code_of(fault)
    return f"{sentence} ({code})" if sentence and code else sentence or code or None


def told(reply: cx.Reply) -> wire.Fault:
    """Read the error out of a body, in the current and the old form; a body in neither says nothing."""
    try:
        meta = msgspec.json.decode(reply.body, type=wire.Envelope).meta
    except msgspec.MsgspecError:
        return wire.Fault()
    if meta.error is not None:
        return meta.error
    return wire.Fault(error_message=meta.error_message, internal_error_code=meta.internal_error_code)


def code_of(fault: wire.Fault) -> str:
    """Give the vendor's code, by whichever name it has."""
    return fault.error_code or fault.internal_error_code or fault.qualtrics_error_code or ""


def inside(reply: cx.Reply, meta: wire.Meta) -> cx.VendorError | None:
    """Give the error that an answer with HTTP status 200 tells inside, if it tells one."""
    said = re.match(r"\d{3}", meta.http_status or "")
    status = int(said[0]) if said else 400 if meta.status == "Error" else 200
    if status < 400:
        return None
    sentence = message_of(reply) or meta.http_status or "an error inside an answer"
    kinds: dict[int, type[cx.VendorError]] = {
        401: cx.Unauthorized,
        403: Forbidden,
        404: cx.NotFound,
        429: cx.RateLimited,
    }
    kind = kinds.get(status, cx.Retryable if status >= 500 else cx.Rejected)
    error = kind(
        sentence,
        status=status,
        operation=f"{reply.method} {reply.path}",
        connection=reply.connection,
        request_id=reply.request_id,
    )
    if isinstance(error, cx.RateLimited):
        error.sent = False  # nothing was begun
    return error


def _also(fault: wire.Fault, sentence: str) -> str:
    said, code = _clean(fault.error_message), code_of(fault)
    return "; ".join(part for part in (f"{said} ({code})" if code and said else said or code, sentence) if part)


def _clean(value: str | None) -> str:
    text = _EMAIL.sub("(address)", " ".join((value or "").split())).rstrip(".")
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
