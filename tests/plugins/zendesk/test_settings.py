"""The settings of a Zendesk connection: what is refused with which sentence, and what the endpoint becomes."""

from datetime import UTC, date, datetime
from importlib.metadata import EntryPoint
from typing import Any

import httpx
import pytest
import respx
from pydantic import ValidationError

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.core.registry import Registry
from cxbridge.plugins.zendesk import Zendesk, cxbridge_connectors

OAUTH: dict[str, Any] = {"client_id": "cxbridge", "client_secret": "hush"}
TOKEN: dict[str, Any] = {"email": "bot@acme.test", "api_token": "wrong-token"}


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({**OAUTH}, "either subdomain"),
        ({"subdomain": "acme", "url": "https://acme.zendesk.com", **OAUTH}, "either subdomain"),
        ({"subdomain": "acme.zendesk.com", **OAUTH}, "acme for acme.zendesk.com"),
        ({"subdomain": "Acme", **OAUTH}, "acme for acme.zendesk.com"),
        ({"url": "acme.zendesk.com", **OAUTH}, "like https://acme.zendesk.com"),
        ({"url": "https://acme.zendesk.com/api/v2", **OAUTH}, "leave the path out"),
        ({"url": "https://me:pass@acme.zendesk.com", **OAUTH}, "like https://acme.zendesk.com"),
        ({"url": "http://acme.zendesk.com", **OAUTH}, "write https://"),
        ({"subdomain": "acme"}, "give one credential"),
        ({"subdomain": "acme", **OAUTH, **TOKEN}, "give one credential"),
        ({"subdomain": "acme", **TOKEN, "access_token": "wrong-token"}, "give one credential"),
        ({"subdomain": "acme", "email": "bot@acme.test"}, "email and api_token belong together"),
        ({"subdomain": "acme", "client_secret": "hush"}, "client_id and client_secret belong together"),
        ({"subdomain": "acme", **OAUTH, "per_page": 0}, "greater than or equal to 1"),
        ({"subdomain": "acme", **OAUTH, "per_page": 1001}, "less than or equal to 1000"),
        ({"subdomain": "acme", **OAUTH, "link_field": 0}, "greater than 0"),
        ({"subdomain": "acme", **OAUTH, "fields": {"1st": 5}}, "not starting with a digit"),
        ({"subdomain": "acme", **OAUTH, "fields": {"first": 0}}, "a number above 0"),
        ({"subdomain": "acme", **OAUTH, "fields": {"a": 5, "b": 5}}, "two aliases name the same"),
        ({"subdomain": "acme", **OAUTH, "prose": "markdown"}, "'plain' or 'html'"),
        ({"subdomain": "acme", **OAUTH, "subdomian": "acme"}, "Extra inputs are not permitted"),
    ],
)
def test_what_cannot_work_is_refused_in_a_sentence(settings, sentence):
    with pytest.raises(ValidationError) as problem:
        Zendesk(**settings)
    assert sentence in str(problem.value)
    assert "hush" not in str(problem.value)
    assert "wrong-token" not in str(problem.value)


def test_secrets_are_not_shown():
    assert "hush" not in repr(Zendesk(subdomain="acme", **OAUTH))


@pytest.mark.parametrize(
    ("settings", "auth"),
    [
        (OAUTH, cx.ClientCredentials),
        (TOKEN, cx.Basic),
        ({"access_token": "wrong-token"}, cx.Bearer),
    ],
)
def test_each_credential_becomes_its_way_to_authenticate(settings, auth):
    endpoint = Zendesk(subdomain="acme", **settings).endpoint()
    assert endpoint.base_url == "https://acme.zendesk.com"
    assert isinstance(endpoint.auth, auth)


def test_an_api_token_goes_behind_the_user_and_the_word_token():
    auth = Zendesk(subdomain="acme", **TOKEN).endpoint().auth
    assert isinstance(auth, cx.Basic)
    assert (auth.user, auth.secret.get_secret_value()) == ("bot@acme.test/token", "wrong-token")


def test_client_credentials_are_asked_for_at_the_account():
    auth = Zendesk(subdomain="acme", **OAUTH, scope="tickets:read").endpoint().auth
    assert isinstance(auth, cx.ClientCredentials)
    assert (auth.token_url, auth.scope, auth.encoding) == (
        "https://acme.zendesk.com/oauth/tokens",
        "tickets:read",
        "json",
    )


def test_a_sandbox_on_this_machine_may_be_spoken_to_in_the_clear():
    assert Zendesk(url="http://127.0.0.1:8080/", **OAUTH).endpoint().base_url == "http://127.0.0.1:8080"
    assert Zendesk(url="http://localhost:8080", **OAUTH).endpoint().base_url == "http://localhost:8080"


def test_an_account_without_guide_has_no_articles():
    names = [stream.name for stream in Zendesk(subdomain="acme", **OAUTH, guide=False).streams()]
    assert "articles" not in names
    assert "tickets" in names


def test_the_plugin_brings_the_connector():
    assert cxbridge_connectors() == [Zendesk]
    plugin = EntryPoint("zendesk", "cxbridge.plugins.zendesk", "cxbridge.plugins")
    registry = Registry.load(["zendesk"], [plugin])
    assert (registry.connectors, registry.broken) == ({"zendesk": Zendesk}, ())


def test_every_action_names_canonical_inputs_and_a_way_back_where_its_effect_needs_one():
    for action in Zendesk(subdomain="acme", **OAUTH).actions():
        assert issubclass(action.inputs_type, cx.Inputs)
        assert (action.find is not None) == isinstance(action.effect, cx.Findable | cx.Keyed)


class TestCheck:
    """`check` tells apart what people get wrong."""

    @pytest.fixture
    def desk(self):
        with respx.mock(base_url="https://acme.zendesk.com", assert_all_called=False) as router:
            router.get("/api/v2/users/me.json", name="me").respond(
                json={"user": {"id": 7, "name": "Ana", "role": "admin"}}
            )
            router.get("/api/v2/tickets/count.json", name="count").respond(json={"count": {"value": 3}})
            export = {"tickets": [], "end_of_stream": True, "after_cursor": None}
            router.get("/api/v2/incremental/tickets/cursor.json", name="export").respond(json=export)
            yield router

    def check(self, desk, clock, **settings):
        account = Zendesk(subdomain="acme", **settings or {"access_token": "fine"})
        with open_client(
            account.endpoint(),
            connection="support",
            clock=clock,
            tokens=MemoryTokens(),
            transport=httpx.MockTransport(desk.handler),
        ) as client:
            return account.check(client)

    def test_a_good_credential_is_told_with_whose_it_is(self, desk, clock):
        assert self.check(desk, clock) == cx.Identity("Ana", "users/7", ())

    def test_an_export_is_tried_with_the_smallest_page_the_vendor_allows(self, desk, clock):
        self.check(desk, clock)
        asked = desk["export"].calls.last.request.url.params
        assert asked["per_page"] == "1"
        assert int(asked["start_time"]) == int(clock.now().timestamp()) - 61

    def test_a_wrong_token(self, desk, clock):
        desk["me"].respond(401, json={"error": "Couldn't authenticate you"})
        with pytest.raises(cx.Unauthorized, match="the access_token is not accepted: check it"):
            self.check(desk, clock)

    def test_a_wrong_token_that_me_answers_and_counting_does_not(self, desk, clock):
        desk["me"].respond(json={"user": {"name": "Anonymous user"}})
        desk["count"].respond(401, json={"error": "Couldn't authenticate you"})
        with pytest.raises(cx.Unauthorized, match="the email with its api_token is not accepted"):
            self.check(desk, clock, **TOKEN)

    def test_anonymous_access(self, desk, clock):
        desk["me"].respond(json={"user": {"id": None, "name": "Anonymous user"}})
        with pytest.raises(cx.Unauthorized, match="anonymous visitor"):
            self.check(desk, clock)

    def test_a_dead_host(self, desk, clock):
        desk["me"].mock(side_effect=httpx.ConnectError("no route"))
        with pytest.raises(cx.Retryable, match="cannot be reached: check the subdomain") as problem:
            self.check(desk, clock)
        assert problem.value.sent is False

    def test_a_vendor_in_trouble_is_no_dead_host(self, desk, clock):
        desk["me"].respond(503, text="<html>maintenance</html>")
        with pytest.raises(cx.Retryable, match="trouble of its own"):
            self.check(desk, clock)

    def test_no_such_account(self, desk, clock):
        desk["me"].respond(404, text="<html>No help desk at this address</html>")
        with pytest.raises(cx.Rejected, match="no Zendesk account answers"):
            self.check(desk, clock)

    def test_a_user_who_may_not_export(self, desk, clock):
        desk["export"].respond(403, json={"error": {"title": "Forbidden", "message": "You do not have access"}})
        with pytest.raises(cx.Rejected, match="give that user the admin role"):
            self.check(desk, clock)

    def test_a_token_whose_scope_is_too_small(self, desk, clock):
        body = {"error": "Forbidden", "description": "Missing the following required scopes: read"}
        desk["export"].respond(403, json=body)
        with pytest.raises(cx.Rejected, match="Missing the following required scopes: read"):
            self.check(desk, clock)

    def test_a_clock_ahead_of_the_vendors_does_not_fail_the_check(self, desk, clock):
        desk["export"].respond(400, json={"error": "StartTimeTooRecent", "description": "Too recent start_time."})
        assert self.check(desk, clock).name == "Ana"

    @pytest.mark.parametrize(
        ("today", "told"),
        [
            (date(2026, 5, 6), "ends API tokens on 2027-04-30, in 359 days"),
            (date(2027, 4, 30), "ends API tokens on 2027-04-30, in 0 days"),
            (date(2027, 5, 1), "ended API tokens on 2027-04-30"),
        ],
    )
    def test_an_api_token_is_told_to_end(self, desk, today, told):
        clock = ManualClock(datetime(today.year, today.month, today.day, 12, tzinfo=UTC))
        [notice] = self.check(desk, clock, **TOKEN).notices
        assert told in notice
        assert "set client_id and client_secret" in notice
