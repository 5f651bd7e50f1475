"""What a delivery comes to, without a port: whatever a connector's code does, the answer is one of ours."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import SecretStr

from cxbridge.console.endpoints import Endpoint, Endpoints, judge, path_of, secrets_of
from cxbridge.core.connector import Announced, Connector, Forged, Inbound, Nudge, Pressed, Webhook, event_of
from cxbridge.core.engine.connections import Connection
from cxbridge.core.registry import Registry, installed

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
DEEP = b'{"a":' * 50_000 + b"1" + b"}" * 50_000


def inbound(body: bytes = b"{}", method: str = "POST", **headers: str) -> Inbound:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Inbound(method, named, body, {}, NOW)


def genuine(inbound: Inbound, secrets: Sequence[str]) -> None:
    if inbound.headers.get("signed-with") not in secrets:
        raise Forged("another hand")


def reads(*nudges: Nudge, event_id: str = "one") -> Callable[[Inbound], Announced]:
    return lambda inbound: Announced(event_id, nudges)


def endpoint(webhook: Webhook, *secrets: str, streams: Sequence[str] = ("tickets",)) -> Endpoint:
    return Endpoint("desk", webhook, "/hooks/desk/x", secrets or ("new",), frozenset(streams))


def raising(error: BaseException) -> Callable[..., Any]:
    def broken(*_: object) -> Any:
        raise error

    return broken


@pytest.mark.parametrize(
    "error",
    [
        ValueError("bad"),
        KeyError("x"),
        RecursionError("deep"),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid"),
        MemoryError(),
        AssertionError(),
    ],
)
@pytest.mark.parametrize("where", ["greet", "verify", "read"])
def test_whatever_a_connector_raises_refuses_the_delivery(error: Exception, where: str) -> None:
    parts: dict[str, Any] = {"verify": genuine, "read": reads(), where: raising(error)}
    verdict = judge(endpoint(Webhook(**parts)), inbound(signed_with="new"))
    assert (verdict.status, verdict.arrival) == (400, None)


@pytest.mark.parametrize(
    "given",
    [
        None,
        "text",
        Announced(7),  # type: ignore[arg-type]
        Announced("one", [Nudge(7)]),  # type: ignore[arg-type]
        Announced("one", [Nudge("tickets", 7)]),  # type: ignore[arg-type]
        Announced("one", ["tickets"]),  # type: ignore[list-item]
        Announced("one", [Nudge("tickets", "")]),
        Announced("one", [Nudge("tickets", "1\x00")]),
        Announced("one", [Nudge("tickets", "\ud800")]),
        Announced("one", [Nudge("tickets", "9" * 501)]),
        Announced("one", pressed=[Pressed("a", "yes", "u", form={"x": object()})]),
        Announced("one", pressed=[Pressed("a", "\ud800", "u")]),
    ],
)
def test_whatever_a_connector_gives_is_stored_sound_or_not_at_all(given: Any) -> None:
    verdict = judge(endpoint(Webhook(genuine, lambda inbound: given)), inbound(signed_with="new"))
    assert (verdict.status, verdict.arrival) == (400, None)


@pytest.mark.parametrize("told", ["", "x" * 201, "a\x00b", "a\nb", "\ud800"])
def test_an_event_is_named_in_a_form_that_any_store_keeps(told: str) -> None:
    verdict = judge(endpoint(Webhook(genuine, reads(event_id=told))), inbound(signed_with="new"))
    assert verdict.arrival is not None
    assert len(verdict.arrival.event_id) == 32
    assert verdict.arrival.event_id.isalnum()
    if not told:
        assert verdict.arrival.event_id == event_of(inbound())


def test_what_the_connection_does_not_read_is_left_out_and_many_keys_are_a_stream() -> None:
    nudges = [Nudge("tickets", "1"), Nudge("tickets", "1"), Nudge("boards", "7"), Nudge("users"), Nudge("users", "3")]
    nudges += [Nudge("comments", str(number)) for number in range(500)]
    found = judge(
        endpoint(Webhook(genuine, reads(*nudges)), streams=("tickets", "users", "comments")),
        inbound(signed_with="new"),
    ).arrival
    assert found is not None
    assert list(found.nudges) == [Nudge("tickets", "1"), Nudge("users"), Nudge("comments")]


def test_it_is_greeted_before_anything_is_asked_for_and_cut_to_size() -> None:
    greeting = Webhook(genuine, reads(), greet=lambda inbound: inbound.body or None)
    verdict = judge(endpoint(greeting), inbound(b"w" * 10_000))
    assert (verdict.status, len(verdict.body), verdict.arrival) == (200, 4096, None)
    assert judge(endpoint(greeting), inbound(b"")).status == 401


def test_the_secret_in_use_and_the_one_before_are_told_apart() -> None:
    both = endpoint(Webhook(genuine, reads()), "new", "old")
    assert judge(both, inbound(signed_with="new")).old_secret is False
    assert judge(both, inbound(signed_with="old")).old_secret is True
    assert judge(both, inbound(signed_with="none")).status == 401
    assert judge(endpoint(Webhook(genuine, reads()), "old"), inbound(signed_with="old")).old_secret is False


def test_without_a_secret_what_should_be_signed_is_refused_and_what_is_not_signed_needs_none() -> None:
    bare = Endpoint("desk", Webhook(raising(AssertionError("not asked")), reads()), "/x", ())
    assert not bare.open
    assert judge(bare, inbound()).status == 401
    unsigned = Endpoint("desk", Webhook(raising(AssertionError("not asked")), reads(), signed=False), "/x", ())
    assert unsigned.open
    assert judge(unsigned, inbound()).arrival is not None


def test_paths_cannot_be_guessed_and_nothing_else_is_found() -> None:
    class Quiet(Connector):
        name = "quiet"

    class Loud(Connector):
        name = "loud"

        def webhook(self) -> Webhook:
            return Webhook(genuine, reads())

    key = b"k" * 32
    held = {one: Connection.of(one, Loud()) for one in ("desk", "board")} | {"quiet": Connection.of("quiet", Quiet())}
    found = Endpoints(held, key)
    assert set(found.all) == {"desk", "board"}
    right = found.find(path_of(key, "desk"))
    assert right is not None
    assert right.connection == "desk"
    assert right.path not in repr(right)
    for wrong in (path_of(key, "quiet"), path_of(key, "nobody"), path_of(b"x" * 32, "desk"), "", "/", "/hooks/desk/"):
        assert found.find(wrong) is None
    assert path_of(key, "desk").rpartition("/")[2] != path_of(key, "board").rpartition("/")[2]


def test_secrets_are_read_from_the_setting_that_the_webhook_names() -> None:
    class Keyed(Connector):
        name = "keyed"
        word: SecretStr | None = None
        word_old: SecretStr | None = None

    webhook = Webhook(genuine, reads(), secret="word")
    assert secrets_of(Keyed(word=SecretStr("a"), word_old=SecretStr("b")), webhook) == ("a", "b")
    assert secrets_of(Keyed(word=SecretStr("")), webhook) == ()
    assert secrets_of(Keyed(), Webhook(genuine, reads(), secret="gone")) == ()


# -- every connector that is shipped -----------------------------------------------------------------------------------

SHIPPED = Registry.load([point.name for point in installed()]).connectors
HOSTILE = {
    "nothing": b"",
    "a blank": b" ",
    "half a JSON": b'{"type": "event_cal',
    "a list": b"[]",
    "null": b"null",
    "a number": b"1" * 5000,
    "not UTF-8": b"\xff\xfe{}",
    "a NUL": b"\x00",
    "deep": DEEP,
    "a form of percent signs": b"payload=%%%&%zz=%",
    "many fields": b"&".join(b"a%d=b" % number for number in range(5000)),
    "half a surrogate pair": b'{"event_id": "\\ud800", "id": "\\udfff"}',
    "XML": b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>",
}


@pytest.mark.parametrize("signed", [True, False], ids=["with a secret", "without"])
@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("name", sorted(SHIPPED))
def test_no_shipped_connector_lets_anything_hostile_pass_or_break_out(name: str, what: str, signed: bool) -> None:
    given: dict[str, Any] = {"webhook_secret": SecretStr("the-secret")} if signed else {}
    connector = SHIPPED[name].model_construct(**given)
    webhook = connector.webhook()
    if webhook is None:
        pytest.skip(f"{name} takes no webhooks")
    one = Endpoint(name, webhook, "/hooks/x/y", secrets_of(connector, webhook), frozenset({"tickets", "issues"}))
    for content in ("application/json", "application/x-www-form-urlencoded", "text/plain", "\xff", ""):
        for delivery in (
            inbound(HOSTILE[what], content_type=content),
            inbound(HOSTILE[what], content_type=content, x_slack_request_timestamp="1", x_slack_signature="v0=\xff"),
            inbound(
                HOSTILE[what], content_type=content, x_hub_signature="sha256=", authorization="Bearer \xff.\xff.\xff"
            ),
        ):
            verdict = judge(one, delivery)
            assert 400 <= verdict.status < 500, verdict
            assert verdict.arrival is None
