"""What an administrator may write, what is said when it cannot work, and what `check` finds out."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import Slack, cxbridge_connectors

from .conftest import ALERTS, API, BOT, OTHER, Desk, answer, channel, failed, settings

ME = {
    "url": "https://acme.slack.com/",
    "team": "Acme",
    "user": "cxbridge",
    "team_id": "T024BE7LD",
    "user_id": BOT,
    "bot_id": "B0BOT",
}


def told(**changed: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**changed)
    return str(caught.value)


def test_the_plugin_brings_one_connector() -> None:
    assert cxbridge_connectors() == [Slack]
    assert Slack.name == "slack"


def test_the_address_is_slacks_unless_another_is_named() -> None:
    assert settings().endpoint().base_url == API
    assert settings(url="https://slack-gov.com/api/").endpoint().base_url == "https://slack-gov.com/api"
    assert settings(url="http://127.0.0.1:9999/api").endpoint().base_url == "http://127.0.0.1:9999/api"
    assert "http, which anyone on the way can read" in told(url="http://slack.example/api")


def test_the_token_goes_into_the_header_and_into_no_text() -> None:
    slack = settings(webhook_secret="s-1", webhook_secret_old="s-0")
    assert slack.endpoint().auth.headers() == {"Authorization": "Bearer a-fake-token"}
    assert "a-fake-token" not in repr(slack)
    assert "s-1" not in repr(slack)


def test_channels_are_named_by_id_and_followed_by_either() -> None:
    slack = settings(channels={"cx-alerts": ALERTS}, messages=["#cx-alerts", OTHER, ALERTS])
    assert "is neither a channel's id nor a name under channels" in told(messages=["#cx-alerts"])
    assert "String should match pattern" in told(channels={"cx-alerts": "#cx-alerts"})
    assert "String should match pattern" in told(channels={"#cx-alerts": ALERTS})
    assert [stream.name for stream in slack.streams()] == ["users", "channels", "messages"]


def test_spans_are_written_as_people_say_them() -> None:
    assert (settings(overlap="2d").overlap, settings(settle="10s").settle, settings(search_back=60).search_back) == (
        172_800,
        10,
        60,
    )
    assert "greater than or equal to 0" in told(overlap=-1)
    assert "greater than or equal to 1" in told(histories_per_minute=0)


def test_messages_are_not_followed_without_the_right_to_read_them() -> None:
    assert "messages cannot be read with history = false" in told(messages=[ALERTS], history=False)


def test_a_workspace_is_named_by_its_address() -> None:
    assert settings(workspace="https://acme.slack.com/").workspace == "https://acme.slack.com"
    assert settings(workspace="https://acme.enterprise.slack.com").workspace == "https://acme.enterprise.slack.com"
    for wrong in ("acme", "http://acme.slack.com", "https://acme.slack.com.evil.example", "https://slack.com/acme"):
        assert "a workspace is named by its address" in told(workspace=wrong)


def test_effects_follow_from_the_right_to_read_histories() -> None:
    with_history = {action.name: action for action in settings().actions()}
    without = {action.name: action for action in settings(history=False).actions()}
    for name in ("message.notify_once", "message.reply_once", "message.ask"):
        assert with_history[name].effect == cx.Findable(settle=5.0)
        assert with_history[name].find is not None
        assert without[name].effect == cx.Blind()
        assert without[name].find is None
    for actions in (with_history, without):
        assert actions["message.settle"].effect == cx.Idempotent()
        assert {action.prose for action in actions.values()} == {"slack"}


def test_limits_are_those_of_each_methods_tier() -> None:
    quotas = {quota.name: quota for quota in settings(histories_per_minute=1).endpoint().quotas}
    assert {name: (quota.limit, quota.seconds) for name, quota in quotas.items()} == {
        "users.list": (20, 60),
        "conversations.list": (20, 60),
        "users.lookupByEmail": (50, 60),
        "conversations.info": (50, 60),
        "conversations.join": (50, 60),
        "chat.update": (50, 60),
        "users.info": (100, 60),
        "chat.getPermalink": (100, 60),
        "conversations.history": (1, 60),
        "conversations.replies": (1, 60),
        "chat.postMessage": (1, 1),
    }
    assert [name for name, quota in quotas.items() if quota.counts("GET", "/users.info")] == ["users.info"]


# -- check -----------------------------------------------------------------------------------------------------------


def test_check_names_the_apps_bot_user(connect: Callable[..., Desk]) -> None:
    desk = connect()
    desk.plays("auth.test", ME)
    assert desk.slack.check(desk.client) == cx.Identity("cxbridge", f"users/{BOT}")


def test_check_looks_at_the_channels_that_are_named(connect: Callable[..., Desk]) -> None:
    desk = connect(channels={"alerts": ALERTS}, messages=[OTHER])
    desk.plays("auth.test", ME)
    desk.plays(
        "conversations.info",
        {"channel": channel(ALERTS, is_archived=True)},
        {"channel": channel(OTHER, name="else", is_member=False)},
    )
    assert desk.slack.check(desk.client).notices == (
        "#cx-alerts is archived: nothing can be written there",
        "the app is not in #else, whose messages it is to read: /invite it there",
    )


def test_check_says_what_is_lost_without_histories_and_with_a_persons_token(connect: Callable[..., Desk]) -> None:
    desk = connect(history=False)
    desk.plays("auth.test", {key: value for key, value in ME.items() if key != "bot_id"})
    persons, history = desk.slack.check(desk.client).notices
    assert "this is a person's token" in persons
    assert "history is off: a message whose answer is lost is neither found again nor repeated" in history


def test_check_names_the_scopes_that_will_be_missed(connect: Callable[..., Desk]) -> None:
    granted = "chat:write, channels:read,users:read,channels:history,im:read"
    desk = connect()
    desk.plays("auth.test", answer(ME, X_OAuth_Scopes=granted))
    assert desk.slack.check(desk.client).notices == (
        "the app lacks the scope users:read.email, to write to people by e-mail address",
        "the app lacks the scope im:history, to find a message to a person again",
    )
    desk = connect(history=False)
    desk.plays("auth.test", answer(ME, X_OAuth_Scopes=granted))
    email, history = desk.slack.check(desk.client).notices
    assert "users:read.email" in email
    assert history.startswith("history is off")


@pytest.mark.parametrize(
    ("error", "extra", "sentence"),
    [
        ("invalid_auth", {}, "the token is not valid, or not from this address"),
        ("token_revoked", {}, "the token was revoked"),
        ("account_inactive", {}, "the app was removed from the workspace"),
        ("missing_scope", {"needed": "users:read", "provided": "chat:write"}, r"lacks a scope \(users:read\)"),
        ("missing_scope", {"needed": "<b>" * 200}, "it does not say which"),
    ],
)
def test_check_tells_what_is_wrong_with_a_token(
    connect: Callable[..., Desk], error: str, extra: dict[str, Any], sentence: str
) -> None:
    desk = connect()
    desk.plays("auth.test", failed(error, **extra))
    with pytest.raises(cx.Unauthorized, match=sentence):
        desk.slack.check(desk.client)


def test_check_refuses_the_token_of_another_workspace_and_a_hidden_channel(connect: Callable[..., Desk]) -> None:
    desk = connect(workspace="https://globex.slack.com")
    desk.plays("auth.test", ME)
    with pytest.raises(cx.Rejected, match=r"belongs to https://acme.slack.com and not to https://globex.slack.com"):
        desk.slack.check(desk.client)
    desk = connect(channels={"alerts": ALERTS})
    desk.plays("auth.test", ME)
    desk.plays("conversations.info", failed("channel_not_found"))
    with pytest.raises(cx.Rejected, match=f"channel {ALERTS} is not visible"):
        desk.slack.check(desk.client)
