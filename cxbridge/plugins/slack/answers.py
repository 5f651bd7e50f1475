"""What Slack's answers mean: `ok` false comes with status 200, so every answer is judged here; it decides nothing more.

`docs.slack.dev/apis/web-api/#responses` and the errors that each method's page lists.
"""

import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Final, TypeVar

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import wire

T = TypeVar("T")

# Without a header that says otherwise, a used-up limit is waited for so long.
PATIENCE: Final = 30.0
JSON: Final = {"content-type": "application/json; charset=utf-8"}

_CREDENTIAL: Final[Mapping[str, str]] = {
    "not_authed": "no token was sent",
    "invalid_auth": "the token is not valid, or not from this address: copy the bot token anew",
    "account_inactive": "the app was removed from the workspace, or its user was deleted: install it anew",
    "token_revoked": "the token was revoked: install the app anew and copy its bot token",
    "token_expired": "the token has expired: this connection needs one without rotation",
    "no_permission": "the workspace does not let this token do that",
    "not_allowed_token_type": "this kind of token may not do that: use the bot token of the app",
    "ekm_access_denied": "the workspace's administrators have suspended access by their own keys",
    "org_login_required": "the workspace is being moved to another organization: try again when that is done",
    "access_denied": "the workspace does not let this token do that",
}
_PLACE: Final[Mapping[str, str]] = {
    "channel_not_found": "there is no such channel, or the app is not in it: invite the app where it is private",
    "not_in_channel": "the app is not in the channel: /invite it there, or grant channels:join",
    "is_archived": "the channel is archived",
    "restricted_action": "the workspace's settings do not let the app post there",
    "restricted_action_read_only_channel": "the channel is read-only for the app",
    "restricted_action_thread_only_channel": "the channel takes answers in threads only",
    "restricted_action_non_threadable_channel": "the channel takes no answers in threads",
    "user_not_found": "there is no such person",
    "users_not_found": "nobody with that address is active in the workspace",
    "cannot_dm_bot": "a bot cannot be written to",
    "message_not_found": "there is no such message",
    "thread_not_found": "there is no such thread",
}
_CONTENT: Final[Mapping[str, str]] = {
    "no_text": "the message is empty",
    "msg_too_long": "the message is too long",
    "msg_blocks_too_long": "the message with its form is too long",
    "metadata_too_large": "the marker beside the message is too large",
    "cant_update_message": "the message is not the app's own",
    "edit_window_closed": "the workspace does not let messages be changed any more after so long",
}
_GONE: Final = frozenset(
    {"channel_not_found", "user_not_found", "users_not_found", "message_not_found", "thread_not_found"}
)
_WAIT: Final = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
# Said to be without effect; the two others may have been done in part.
_NOT_BEGUN: Final = frozenset({"request_timeout", "team_added_to_org", "invalid_cursor"})
_TRANSIENT: Final[Mapping[str, str]] = {
    "internal_error": "Slack has trouble of its own",
    "fatal_error": "Slack has trouble of its own, and may have done part of it",
    "service_unavailable": "Slack is not available",
    "request_timeout": "the request did not arrive whole",
    "team_added_to_org": "the workspace is being moved to another organization",
    "invalid_cursor": "the listing has grown too old and must begin anew",
}
_CODE: Final = re.compile(r"[a-z][a-z0-9_.]{0,79}")
_SCOPE: Final = re.compile(r"[a-z][a-z0-9_:.,\- ]{0,200}")


class Refused(cx.Rejected):
    """A refusal with Slack's own word for it, so that a caller who has another way can tell."""

    code = ""


class Gone(Refused, cx.NotFound):
    """What was named is not there, or hidden from this token."""


class NoThread(Gone):
    """The channel is there, and nothing in it has that ts."""


class Stale(cx.Retryable):
    """The cursor of a listing has grown too old."""


class LacksScope(cx.Unauthorized):
    """The token is good and lacks a scope."""


def read(client: cx.Client, method: str, shape: type[T], **params: cx.Json) -> T:
    """Call a method that changes nothing. Reads are asked by query: many of them do not look into a JSON body.

    Raises:
        VendorError: what `ok` false stands for.
    """
    return judged(client.get(f"/{method}", params), shape, wrote=False)


def write(client: cx.Client, method: str, shape: type[T], body: cx.Json, *, repeatable: bool = False) -> T:
    """Call a method that changes something.

    Raises:
        VendorError: what `ok` false stands for; a `Retryable` says whether something may have been done.
    """
    return judged(client.post(f"/{method}", body, headers=JSON, repeatable=repeatable), shape, wrote=True)


def judged(reply: cx.Reply, shape: type[T], *, wrote: bool) -> T:
    """Give an answer as that type, or raise what it stands for."""
    head = reply.decode(wire.Head)
    if not head.ok:
        raise _error(reply, head, wrote=wrote)
    return reply.decode(shape)


def refusal(reply: cx.Reply) -> cx.VendorError | None:
    """Judge an answer with a status of 400 or more: only what its usual meaning does not already say."""
    if reply.status != 429:
        return None
    return _limited(reply)


def message_of(reply: cx.Reply) -> str | None:
    """Pick Slack's word out of an error body; nothing else of it is shown."""
    code = reply.decode(wire.Head).error
    return code if code and _CODE.fullmatch(code) else None


def _limited(reply: cx.Reply) -> cx.RateLimited:
    wait = PATIENCE if reply.retry_after is None else reply.retry_after
    return cx.RateLimited(
        "",
        connection=reply.connection,
        operation=f"{reply.method} {reply.path}",
        retry_at=reply.arrived + timedelta(seconds=wait),
        sent=False,
    )


def _error(reply: cx.Reply, head: wire.Head, *, wrote: bool) -> cx.VendorError:
    code = head.error if head.error and _CODE.fullmatch(head.error) else "an error without a name"
    place: dict[str, cx.Json] = {
        "connection": reply.connection,
        "operation": f"{reply.method} {reply.path}",
        "request_id": reply.request_id,
    }
    if code == "missing_scope":
        needed = head.needed if head.needed and _SCOPE.fullmatch(head.needed) else "it does not say which"
        return LacksScope(f"the token lacks a scope ({needed}): add it to the app and install it anew", **place)
    if code in _CREDENTIAL:
        return cx.Unauthorized(f"{_CREDENTIAL[code]} ({code})", **place)
    if code in _WAIT:
        return _limited(reply)
    if code in _TRANSIENT:
        again = Stale if code == "invalid_cursor" else cx.Retryable
        return again(f"{_TRANSIENT[code]} ({code})", **place, sent=wrote and code not in _NOT_BEGUN)
    told = _PLACE.get(code) or _CONTENT.get(code) or _detail(head)
    kind = NoThread if code == "thread_not_found" else Gone if code in _GONE else Refused
    error = kind(f"{told} ({code})" if told else code, **place)
    error.code = code
    return error


def _detail(head: wire.Head) -> str:
    """Tell where a message's form is not accepted: the vendor names places in it, and what is written there is not repeated."""
    held = head.response_metadata
    told = held.get("messages") if isinstance(held, dict) else None
    if not isinstance(told, list):
        return ""
    # Such a sentence ends with the place: json-pointer, then the way to it through the blocks.
    places = [
        found[0] for one in told if isinstance(one, str) and (found := re.search(r"json-pointer:[/\w]{0,100}", one))
    ]
    return f"the message's form is not accepted at {', '.join(places[:3])}" if places else ""
