"""The methods that only read: who there is, which channels, what was written. `docs.slack.dev/reference/methods`."""

from collections.abc import Callable
from typing import Any

from cxbridge.sandbox.slack import render
from cxbridge.sandbox.slack.call import ApiError, Call
from cxbridge.sandbox.slack.paging import page
from cxbridge.sandbox.slack.state import BOT, BOT_USER, DOMAIN, TEAM, Channel, Message, Workspace, order

Json = Any
Method = Callable[[Workspace, Call], dict[str, Json]]

_KINDS = ("public_channel", "private_channel", "mpim", "im")


def auth_test(workspace: Workspace, call: Call) -> dict[str, Json]:
    del call
    return {
        "url": f"https://{DOMAIN}.slack.com/",
        "team": "Harbourlight",
        "user": workspace.users[BOT_USER].name,
        "team_id": TEAM,
        "user_id": BOT_USER,
        "bot_id": BOT,
        "is_enterprise_install": False,
    }


def users_list(workspace: Workspace, call: Call) -> dict[str, Json]:
    rows, following, _ = page(call, list(workspace.users.values()), workspace.options)
    shown = [_user(workspace, call, one.id) for one in rows]
    return {"members": shown, "cache_ts": workspace.seconds(), "response_metadata": following}


def users_info(workspace: Workspace, call: Call) -> dict[str, Json]:
    if call.text("user") not in workspace.users:
        raise ApiError("user_not_found")
    return {"user": _user(workspace, call, call.text("user"))}


def users_by_email(workspace: Workspace, call: Call) -> dict[str, Json]:
    wanted = call.text("email").lower()
    if not wanted:
        raise ApiError("invalid_arguments")
    for user in workspace.users.values():
        # Someone who was deactivated is not found, as if there had never been anybody.
        if user.email == wanted and not user.deleted:
            return {"user": _user(workspace, call, user.id)}
    raise ApiError("users_not_found")


def conversations_list(workspace: Workspace, call: Call) -> dict[str, Json]:
    kinds = call.text("types", "public_channel").split(",")
    if any(kind not in _KINDS for kind in kinds):
        raise ApiError("invalid_types")
    for kind in kinds:
        need(workspace, "groups:read" if kind == "private_channel" else "im:read" if kind == "im" else "channels:read")
    rows = [channel for channel in workspace.seen() if _kind(channel) in kinds]
    if call.flag("exclude_archived"):
        rows = [channel for channel in rows if not channel.is_archived]
    found, following, _ = page(call, rows, workspace.options)
    return {"channels": [render.channel(one) for one in found], "response_metadata": following}


def conversations_info(workspace: Workspace, call: Call) -> dict[str, Json]:
    return {"channel": render.channel(known(workspace, call))}


def conversations_members(workspace: Workspace, call: Call) -> dict[str, Json]:
    found, following, _ = page(call, sorted(known(workspace, call).members), workspace.options)
    return {"members": list(found), "response_metadata": following}


def conversations_history(workspace: Workspace, call: Call) -> dict[str, Json]:
    channel = readable(workspace, call)
    rows = _between(call, list(channel.shown()))
    found, following, more = page(call, rows, workspace.options, most=workspace.options.history_items)
    shown = [render.message(one, channel, metadata=call.flag("include_all_metadata")) for one in found]
    told = {"messages": shown, "has_more": more, "pin_count": 0}
    return {**told, "response_metadata": following} if more else told


def conversations_replies(workspace: Workspace, call: Call) -> dict[str, Json]:
    channel = readable(workspace, call)
    named = channel.messages.get(call.text("ts"))
    if named is None:
        raise ApiError("thread_not_found")
    parent = channel.messages.get(named.thread_ts or named.ts)
    if parent is None or (parent.deleted and not channel.answers(parent.ts)):
        raise ApiError("thread_not_found")
    rows = [parent, *_between(call, channel.answers(parent.ts))]
    found, following, more = page(call, rows, workspace.options, most=workspace.options.history_items)
    shown = [render.message(one, channel, metadata=call.flag("include_all_metadata")) for one in found]
    told = {"messages": shown, "has_more": more}
    return {**told, "response_metadata": following} if more else told


def permalink(workspace: Workspace, call: Call) -> dict[str, Json]:
    channel = known(workspace, call)
    found = channel.messages.get(call.text("message_ts"))
    if found is None or found.deleted:
        raise ApiError("message_not_found")
    return {"channel": channel.id, "permalink": render.permalink(channel, found)}


def need(workspace: Workspace, scope: str) -> None:
    """Refuse what the app was not granted.

    Raises:
        ApiError: the scope is missing.
    """
    if scope not in workspace.options.scopes:
        raise ApiError("missing_scope", needed=scope, provided=",".join(workspace.options.scopes))


def known(workspace: Workspace, call: Call) -> Channel:
    """The channel a request names, by its id.

    Raises:
        ApiError: there is none, or the app does not know of it.
    """
    channel = workspace.channels.get(call.text("channel"))
    if channel is None or channel not in workspace.seen():
        raise ApiError("channel_not_found")
    need(workspace, {"im": "im:read", "private_channel": "groups:read"}.get(_kind(channel), "channels:read"))
    return channel


def readable(workspace: Workspace, call: Call) -> Channel:
    """The channel whose messages a request wants.

    Raises:
        ApiError: there is none, or the app is not in it.
    """
    channel = workspace.channels.get(call.text("channel"))
    if channel is None or channel not in workspace.seen():
        raise ApiError("channel_not_found")
    need(workspace, {"im": "im:history", "private_channel": "groups:history"}.get(_kind(channel), "channels:history"))
    if BOT_USER not in channel.members:
        raise ApiError("not_in_channel")
    return channel


def _kind(channel: Channel) -> str:
    return "im" if channel.is_im else "private_channel" if channel.is_private else "public_channel"


def _user(workspace: Workspace, call: Call, ident: str) -> Json:
    granted = "users:read.email" in workspace.options.scopes
    return render.user(workspace.users[ident], with_email=granted, with_locale=call.flag("include_locale"))


def _between(call: Call, rows: list[Message]) -> list[Message]:
    """The rows between two stamps, which count themselves only where the request says so."""
    inclusive = call.flag("inclusive")
    oldest, latest = _stamp(call, "oldest"), _stamp(call, "latest")
    found = []
    for row in rows:
        at = order(row.ts)
        below = oldest is not None and (at < oldest or (at == oldest and not inclusive))
        above = latest is not None and (at > latest or (at == latest and not inclusive))
        if not below and not above:
            found.append(row)
    return found


def _stamp(call: Call, name: str) -> tuple[int, int] | None:
    given = call.text(name)
    if not given:
        return None
    try:
        return order(given)
    except ValueError:
        raise ApiError(f"invalid_ts_{name}") from None


METHODS: dict[str, tuple[str, Method]] = {
    "auth.test": ("", auth_test),
    "users.list": ("users:read", users_list),
    "users.info": ("users:read", users_info),
    "users.lookupByEmail": ("users:read.email", users_by_email),
    "conversations.list": ("", conversations_list),
    "conversations.info": ("", conversations_info),
    "conversations.members": ("", conversations_members),
    "conversations.history": ("", conversations_history),
    "conversations.replies": ("", conversations_replies),
    "chat.getPermalink": ("", permalink),
}
