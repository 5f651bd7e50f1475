"""People, channels and messages as the Web API shows them. Changes nothing."""

from typing import Any

from cxbridge.sandbox.slack.state import APP, BOT, BOT_USER, DOMAIN, TEAM, Channel, Message, User, Workspace

Json = Any


def user(one: User, *, with_email: bool, with_locale: bool = False) -> Json:
    """A member. Without the scope for it, the address is not there at all."""
    profile = {
        "title": one.title,
        "real_name": one.real_name,
        "real_name_normalized": one.real_name,
        "display_name": one.name,
        "display_name_normalized": one.name,
        "team": TEAM,
    }
    if with_email and one.email:
        profile["email"] = one.email
    shown = {
        "id": one.id,
        "team_id": TEAM,
        "name": one.name,
        "deleted": one.deleted,
        "profile": profile,
        "is_bot": one.is_bot,
        "is_app_user": False,
        "updated": one.updated,
    }
    if one.deleted:
        return shown
    shown |= {
        "color": "9f69e7",
        "real_name": one.real_name,
        "tz": one.tz,
        "tz_label": one.tz,
        "tz_offset": 0,
        "is_admin": one.is_admin,
        "is_owner": False,
        "is_restricted": one.is_restricted,
        "is_ultra_restricted": False,
        "is_email_confirmed": one.email is not None,
    }
    return {**shown, "locale": one.locale} if with_locale else shown


def channel(one: Channel) -> Json:
    """A channel as the app sees it."""
    if one.is_im:
        return {
            "id": one.id,
            "created": one.created,
            "is_im": True,
            "is_org_shared": False,
            "is_archived": False,
            "user": one.with_user,
            "is_user_deleted": False,
            "priority": 0,
            "updated": one.updated,
        }
    return {
        "id": one.id,
        "name": one.name,
        "name_normalized": one.name,
        "is_channel": not one.is_private,
        "is_group": one.is_private,
        "is_im": False,
        "is_mpim": False,
        "is_private": one.is_private,
        "created": one.created,
        "updated": one.updated,
        "is_archived": one.is_archived,
        "is_general": one.name == "general",
        "is_shared": one.is_shared,
        "is_ext_shared": one.is_shared,
        "is_org_shared": False,
        "is_member": BOT_USER in one.members,
        "creator": "USLACKBOT",
        "topic": {"value": one.topic, "creator": "", "last_set": 0},
        "purpose": {"value": one.purpose, "creator": "", "last_set": 0},
        "previous_names": [],
        "num_members": len(one.members),
    }


def message(one: Message, channel: Channel, *, metadata: bool = False) -> Json:
    """A message. What was planted beside it shows in full only where it is asked for."""
    shown: dict[str, Json] = {"type": "message", "user": one.user, "text": one.text, "ts": one.ts, "team": TEAM}
    if one.deleted:
        shown |= {"subtype": "tombstone", "text": "This message was deleted.", "user": "USLACKBOT", "hidden": True}
        return _thread(shown, one, channel)
    if one.subtype:
        shown["subtype"] = one.subtype
    if one.by_app:
        shown |= {"bot_id": BOT, "app_id": APP, "bot_profile": {"id": BOT, "app_id": APP, "name": "cxbridge"}}
    if one.blocks:
        shown["blocks"] = one.blocks
    if one.metadata:
        shown["metadata"] = one.metadata if metadata else {"event_type": one.metadata["event_type"]}
    if one.edited:
        shown["edited"] = {"user": one.edited_by or one.user, "ts": one.edited}
    return _thread(shown, one, channel)


def _thread(shown: Json, one: Message, channel: Channel) -> Json:
    answers = channel.answers(one.ts)
    if one.is_answer and one.thread_ts is not None:
        parent = channel.messages.get(one.thread_ts)
        shown |= {"thread_ts": one.thread_ts, "parent_user_id": parent.user if parent else one.user}
    elif answers:
        shown |= {
            "thread_ts": one.ts,
            "reply_count": len(answers),
            "reply_users_count": len({answer.user for answer in answers}),
            "latest_reply": answers[-1].ts,
            "reply_users": sorted({answer.user for answer in answers}),
            "is_locked": False,
            "subscribed": False,
        }
    return shown


def permalink(channel: Channel, one: Message) -> str:
    page = f"https://{DOMAIN}.slack.com/archives/{channel.id}/p{one.ts.replace('.', '')}"
    return f"{page}?thread_ts={one.thread_ts}&cid={channel.id}" if one.is_answer else page


def told(channel: Channel, one: Message, workspace: Workspace) -> Json:
    """A message as the control API shows it: with names, and with everything that stands beside it."""
    author = workspace.users.get(one.user)
    buttons = [
        {"label": element["text"]["text"], "value": element.get("value"), "action_id": element["action_id"]}
        for block in one.blocks or []
        if block["type"] == "actions"
        for element in block["elements"]
        if element["type"] == "button"
    ]
    fields = [block["label"]["text"] for block in one.blocks or [] if block["type"] == "input"]
    return {
        "key": f"{channel.id}:{one.ts}",
        "channel": channel.name or channel.id,
        "user": author.name if author else one.user,
        "text": one.text,
        "ts": one.ts,
        "thread_ts": one.thread_ts,
        "by_app": one.by_app,
        "edited": one.edited is not None,
        "deleted": one.deleted,
        "metadata": one.metadata,
        "blocks": one.blocks,
        "buttons": buttons,
        "fields": fields,
    }
