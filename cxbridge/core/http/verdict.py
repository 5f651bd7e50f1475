"""What a status means for the work: the default error table, and the vendor's own before it; it must not retry."""

from datetime import timedelta

import msgspec

from cxbridge.core.errors import (
    Conflict,
    NotFound,
    RateLimited,
    Rejected,
    Retryable,
    Unauthorized,
    VendorError,
    WireFormat,
)
from cxbridge.core.http.endpoint import Endpoint
from cxbridge.core.http.reply import Reply

# What a connector's reading of an error body may raise when the body is not what the vendor documents.
UNREADABLE = (WireFormat, msgspec.MsgspecError, LookupError, TypeError, AttributeError, ValueError)
LONGEST_SENTENCE = 200

_TABLE: dict[int, tuple[type[VendorError], str]] = {
    400: (Rejected, "the vendor finds the request invalid"),
    401: (Unauthorized, "check the secret of this connection, whether it has expired, and the host it belongs to"),
    403: (Rejected, "this credential may not do that: a permission, a scope or the vendor's plan is missing"),
    404: (NotFound, "it is gone, or hidden from this credential"),
    405: (Rejected, "the vendor does not offer this here"),
    408: (Retryable, "the vendor gave up waiting"),
    409: (Conflict, ""),
    410: (Rejected, "the vendor has removed this part of its API"),
    412: (Conflict, ""),
    413: (Rejected, "the request is too large, or the entity is full"),
    415: (Rejected, "the vendor does not read this media type"),
    422: (Rejected, "the vendor finds a value unacceptable"),
    425: (Retryable, "the vendor is not ready yet"),
    429: (RateLimited, ""),
}


# With these the vendor says that it has not begun.
_NOT_BEGUN = (425, 429)


def verdict(reply: Reply, endpoint: Endpoint, *, safe: bool) -> VendorError | None:
    """Give the error that a reply stands for, or None when it is a proper answer.

    `safe` says that the request could not have changed anything, whatever became of it.
    """
    if reply.status < 300 or reply.status == 304:
        # A proxy's or log-in page with status 200 is nobody's answer to a write, least of all where none is read.
        if not safe and "html" in reply.headers.get("content-type", ""):
            return placed(WireFormat("answered a web page where the vendor's word was expected"), reply)
        return None
    if reply.status < 400:
        return placed(WireFormat(_redirected(reply)), reply)
    error = _own(reply, endpoint) or _by_status(reply, endpoint)
    if isinstance(error, Retryable):
        if safe or reply.status in _NOT_BEGUN or isinstance(error, RateLimited):
            error.sent = False
        if error.retry_at is None and reply.retry_after is not None:
            error.retry_at = reply.arrived + timedelta(seconds=reply.retry_after)
    return placed(error, reply)


def placed(error: VendorError, reply: Reply) -> VendorError:
    """Tell an error where it happened, keeping what it already says."""
    return located(error, reply.connection, f"{reply.method} {reply.path}", reply.status, reply.request_id)


def located(
    error: VendorError, connection: str, operation: str, status: int | None = None, request_id: str | None = None
) -> VendorError:
    """Fill in the places of an error that was made with a message only."""
    # The base initialiser composes the sentence anew and leaves what subclasses hold alone.
    VendorError.__init__(
        error,
        error.detail,
        connection=error.connection or connection,
        operation=error.operation or operation,
        status=error.status or status,
        request_id=error.request_id or request_id,
    )
    return error


def _own(reply: Reply, endpoint: Endpoint) -> VendorError | None:
    if endpoint.refusal is None:
        return None
    try:
        return endpoint.refusal(reply)
    except UNREADABLE:
        return None


def _by_status(reply: Reply, endpoint: Endpoint) -> VendorError:
    trouble: tuple[type[VendorError], str] = (Retryable, "the vendor has trouble of its own")
    kind, sentence = trouble if reply.status >= 500 else _TABLE.get(reply.status, (Rejected, ""))
    told = _told(reply, endpoint)
    return kind("; ".join(part for part in (told, sentence) if part))


def _told(reply: Reply, endpoint: Endpoint) -> str:
    if endpoint.message_of is None:
        return ""
    try:
        text = endpoint.message_of(reply) or ""
        return "".join(c if c.isprintable() else " " for c in text)[:LONGEST_SENTENCE].strip()
    except UNREADABLE:
        return ""


def _redirected(reply: Reply) -> str:
    host = reply.headers.get("location", "").partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
    where = f"to {host} " if host and host.isprintable() and len(host) < 100 else ""
    return (
        f"was sent elsewhere {where}and does not follow: "
        "the base URL is not the API's, or a login page wants a person because the credential is not accepted"
    )
