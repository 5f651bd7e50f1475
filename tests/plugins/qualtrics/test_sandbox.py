"""The connector against the simulated brand over real HTTP: every stream and action, events, and what goes wrong in earnest."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from typing import Any, ClassVar

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import DirectTransport, MemoryTokens, open_client
from cxbridge.core.ledger import digest_of
from cxbridge.plugins.qualtrics import Qualtrics
from cxbridge.sandbox import verdict
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.qualtrics.surveys import ONBOARDING, RELATION, SUPPORT
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:00112233aabbccdd"
INVITE = {
    "library": "UR_1",
    "message": "MS_1",
    "from_email": "surveys@harbourlight.example",
    "from_name": "Harbourlight",
    "subject": "How did we do?",
}


class FollowingClock(ManualClock):
    """Waiting moves the vendor's time too."""

    def __init__(self, world: World) -> None:
        super().__init__(NOW)
        self._world = world

    def wait(self, seconds: float, wake: threading.Event | None = None) -> bool:
        self._world.clock.advance(seconds)
        return super().wait(seconds, wake)


def entities(pages: Iterable[cx.Page]) -> list[Any]:
    """Everything that stands on these pages."""
    return [entity for page in pages for entity in page.entities]


class Brand:
    """A running brand, the connection to it, and the people there."""

    def __init__(self, sandbox: Sandbox, qualtrics: Qualtrics, client: cx.Client, clock: ManualClock) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.qualtrics = qualtrics
        self.client = client
        self.clock = clock

    def wait(self, seconds: float) -> None:
        """Let time pass, for the brand and for us."""
        self.world.clock.advance(seconds)
        self.clock.advance(seconds)

    def people(self, method: str, path: str, **body: Any) -> Any:
        with self.world.lock:
            status, content = self.world.vendors["qualtrics"].control(method, path, body)
        assert status < 300, content
        return content

    def stream(self, name: str) -> cx.Stream:
        (found,) = [one for one in self.qualtrics.streams() if one.name == name]
        return found

    def pull(self, stream: str, cursor: cx.Json = None) -> list[cx.Page]:
        pages = self.stream(stream).pages
        assert pages is not None
        return list(pages(self.client, cursor))

    def pull_on(self, stream: str) -> tuple[list[Any], list[cx.VendorError]]:
        """Pull as the daemon does: after trouble again, from the last cursor, when the error says so; gives what came and went."""
        read = self.stream(stream).pages
        assert read is not None
        cursor: cx.Json = None
        found: list[Any] = []
        errors: list[cx.VendorError] = []
        for _ in range(50):
            try:
                for page in read(self.client, cx.msgspec.json.decode(cx.msgspec.json.encode(cursor))):
                    cursor = page.cursor
                    found += page.entities
            except cx.Retryable as error:
                errors.append(error)
                self.wait(max(1.0, (error.retry_at - self.clock.now()).total_seconds() if error.retry_at else 15.0))
            else:
                return found, errors
        raise AssertionError(f"no end after {len(errors)} pulls: {errors[-1]}")

    def all(self, stream: str) -> dict[str, Any]:
        pages = self.pull(stream)
        assert not [reason for page in pages for reason in page.refused]
        return {entity.source_id: entity for entity in entities(pages)}

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.qualtrics.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        return self.action(name).perform(self.client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    def effects(self) -> list[str]:
        return [effect.kind for effect in self.world.journal.effects(via="api", vendor="qualtrics")]


@pytest.fixture
def start() -> Iterator[Callable[..., Brand]]:
    with ExitStack() as stack:

        def begin(options: dict[str, Any] | None = None, transport: Any = None, **settings: Any) -> Brand:
            world = World(clock=SandboxClock(NOW, frozen=True), options={"qualtrics": options or {}})
            sandbox = stack.enter_context(Sandbox(world, vendors=("qualtrics",)))
            given = {"url": sandbox.url("qualtrics"), "api_token": "sandbox-token", "invite": INVITE, **settings}
            qualtrics = Qualtrics.model_validate(given)
            clock = FollowingClock(world)
            client = open_client(
                qualtrics.endpoint(),
                connection="voice",
                clock=clock,
                tokens=MemoryTokens(),
                transport=transport(sandbox.url("qualtrics")) if transport else None,
                random=Random(1),
            )
            return Brand(sandbox, qualtrics, stack.enter_context(client), clock)

        yield begin


@pytest.fixture
def brand(start: Callable[..., Brand]) -> Brand:
    made = start()
    made.people("POST", "contacts", email="mia@globex.test", name="Mia Lee", ext_ref="zd-1", account="HL-1001")
    return made


def test_check_and_every_stream(brand: Brand) -> None:
    assert brand.qualtrics.check(brand.client).name == "bridge@example.test"
    brand.people(
        "POST", "responses", survey=RELATION, score=3, verbatim="Export fails", email="mia@globex.test", contact_ok=True
    )
    brand.people("POST", "responses", survey=SUPPORT, score=5, email="mia@globex.test", contact_ok=False)
    brand.people("POST", "responses", survey=ONBOARDING, score=2)
    brand.people("POST", "responses", survey=RELATION, score=0, finished=False)
    brand.people("POST", "responses", survey=RELATION, score=0, channel="preview", status=1)
    brand.people("POST", "tickets", name="Call her")
    brand.people("POST", "distributions", survey=RELATION, email="mia@globex.test")
    brand.wait(120)
    found = brand.all("responses")
    told = sorted((one.kind, one.band, one.contact_ok, one.completed, one.excluded_why) for one in found.values())
    assert told == [
        ("ces", "high_effort", None, True, None),
        ("csat", "satisfied", False, True, None),
        ("nps", "detractor", True, True, None),
        ("nps", "none", None, False, None),
        ("nps", "none", None, True, "preview"),
    ]
    assert {one.kind for one in brand.all("surveys").values()} == {"nps", "csat", "ces"}
    (contact,) = brand.all("contacts").values()
    assert (contact.external_id, contact.account) == ("zd-1", "accounts/HL-1001")
    (invitation,) = brand.all("distributions").values()
    assert (invitation.contact, invitation.counts["sent"]) == (f"contacts/{contact.source_id}", 1)
    assert len(brand.all("tickets")) == 1


def test_what_came_in_while_we_looked_away_comes_once(brand: Brand) -> None:
    for score in range(5):
        brand.people("POST", "responses", survey=RELATION, score=score)
        brand.wait(30)
    brand.wait(120)
    pages = brand.pull("responses")
    cursor = pages[-1].cursor
    brand.wait(600)
    brand.people("POST", "responses", survey=RELATION, score=9)
    soon = brand.pull("responses", cursor)
    assert [one for one in entities(soon) if one.score == 9] == [], "not in exports yet"
    brand.wait(120)
    later = brand.pull("responses", soon[-1].cursor if soon else cursor)
    assert [one.score for one in entities(later) if one.score == 9] == [9]


def test_our_own_write_comes_back_as_what_we_wrote_and_nothing_else(brand: Brand) -> None:
    brand.people("POST", "responses", survey=RELATION, score=3, ticket="45121")
    brand.wait(120)
    pages = brand.pull("responses")
    (before,) = entities(pages)
    key = before.source_id
    receipt = brand.perform("response.set", cx.SetResponse(attributes={"jiraKey": "OPS-12"}), key)
    again = brand.perform("response.set", cx.SetResponse(attributes={"jiraKey": "OPS-12"}), key)
    assert (receipt.changed, again.changed) == (True, False)
    brand.wait(120)
    (after,) = entities(brand.pull("responses", pages[-1].cursor))
    assert after.attributes == receipt.wrote["attributes"]
    assert digest_of(after) != digest_of(before)
    assert digest_of(cx.msgspec.structs.replace(after, attributes=before.attributes)) == digest_of(before)
    assert brand.effects() == ["response.updated"]


def test_an_invitation_to_somebody_new_is_a_contact_then_one_mail(brand: Brand) -> None:
    wanted = cx.Invite(survey=SUPPORT, email="bo@nordhafen.example", name="Bo Wolff", account="HL-1008")
    with pytest.raises(cx.Retryable) as caught:
        brand.perform("survey.invite_once", wanted)
    assert not caught.value.sent
    assert brand.effects() == ["contact.created"]
    receipt = brand.perform("survey.invite_once", wanted)
    assert brand.effects() == ["contact.created", "invitation.sent"]
    find = brand.action("survey.invite_once").find
    assert find is not None
    found = find(brand.client, cx.Call(inputs=wanted, marker=MARKER))
    assert found is not None
    assert found.key == receipt.key
    assert verdict.duplicates(brand.world.journal) == []
    (sent,) = brand.world.journal.effects("invitation.sent")
    assert (sent.detail["to"], sent.detail["embedded"]["cxb_marker"]) == (["bo@nordhafen.example"], MARKER)


def test_who_has_unsubscribed_is_not_invited(brand: Brand) -> None:
    brand.people("PATCH", "contacts/mia@globex.test", unsubscribed=True)
    with pytest.raises(cx.Rejected, match="has unsubscribed"):
        brand.perform("survey.invite_once", cx.Invite(survey=SUPPORT, email="mia@globex.test"))
    assert brand.effects() == []


@pytest.mark.parametrize("fault", ["ghost", "limit_data", "reset"])
def test_an_invitation_whose_answer_is_lost_goes_out_once(brand: Brand, fault: str) -> None:
    wanted = cx.Invite(survey=SUPPORT, email="mia@globex.test")
    brand.world.faults.add(fault, "qualtrics", method="POST", path_regex="/distributions$")
    with pytest.raises(cx.VendorError):
        brand.perform("survey.invite_once", wanted)
    find = brand.action("survey.invite_once").find
    assert find is not None
    found = find(brand.client, cx.Call(inputs=wanted, marker=MARKER))
    assert (found is None) == (fault == "reset")
    if found is None:
        brand.perform("survey.invite_once", wanted)
    assert brand.effects() == ["invitation.sent"]


def test_a_failed_export_is_got_over(brand: Brand) -> None:
    brand.people("POST", "responses", survey=RELATION, score=3)
    brand.wait(120)
    brand.people("POST", "exports/fail", times=2)
    found, errors = brand.pull_on("responses")
    assert [one.score for one in found] == [3.0]
    assert ["came to nothing" in str(error) for error in errors] == [True]


def test_a_slow_export_is_left_and_taken_up(start: Callable[..., Brand]) -> None:
    brand = start({"export_seconds": 45.0})
    brand.people("POST", "responses", survey=RELATION, score=3, recorded="2026-05-06T08:00:00Z")
    brand.wait(120)
    found, errors = brand.pull_on("responses")
    assert {one.score for one in found} == {3.0}
    assert errors
    assert all("is not ready yet" in str(error) for error in errors)


class OtherHost(httpx.BaseTransport):
    """Plays all of Qualtrics' hosts, and notes which one was asked with which credential."""

    asked: ClassVar[list[tuple[str, bool]]] = []

    def __init__(self, url: str) -> None:
        self._target = httpx.URL(url)
        self._inner = DirectTransport()
        OtherHost.asked = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        OtherHost.asked.append((request.url.host, "x-api-token" in request.headers))
        assert request.url.host.endswith(".qualtrics.com"), "a credential left Qualtrics"
        request.url = request.url.copy_with(scheme="http", host=self._target.host, port=self._target.port)
        request.headers["host"] = self._target.netloc.decode()
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


def test_pages_behind_a_proxy_are_followed_to_the_other_host(start: Callable[..., Brand]) -> None:
    brand = start({"proxied": "az1.qualtrics.com", "survey_page": 2}, OtherHost, url=None, datacenter="co1")
    found = brand.qualtrics.check(brand.client)
    assert found.notices[0].endswith("use this host instead: az1.qualtrics.com")
    assert len(brand.all("surveys")) == 3
    assert ("az1.qualtrics.com", True) in OtherHost.asked


def test_a_page_on_a_host_of_nobodys_is_not_asked_for(start: Callable[..., Brand]) -> None:
    brand = start({"proxied": "qualtrics.com.evil.example", "survey_page": 2}, OtherHost, url=None, datacenter="co1")
    with pytest.raises(cx.Rejected, match="the credential would go there"):
        brand.pull("surveys")
    assert {host for host, _ in OtherHost.asked} == {"co1.qualtrics.com"}


def test_a_brand_without_ticketing_says_so(start: Callable[..., Brand]) -> None:
    (page,) = start({"ticketing": False}).pull("tickets")
    assert "ticketing is a licence of its own" in page.refused[0]


def test_a_limit_of_exports_ends_each_pull_early_and_starves_nobody(start: Callable[..., Brand]) -> None:
    brand = start({"limits": {"export starts": 3}})
    for survey in (RELATION, SUPPORT, ONBOARDING):
        brand.people("POST", "responses", survey=survey, score=3)
    brand.wait(120)
    found, errors = brand.pull_on("responses")
    assert {one.survey for one in found} == {f"surveys/{key}" for key in (RELATION, SUPPORT, ONBOARDING)}
    assert errors
    assert all(isinstance(error, cx.RateLimited) for error in errors)


# -- events ----------------------------------------------------------------------------------------------------------


class Receiver:
    """Listens for deliveries and keeps them as they came."""

    def __init__(self) -> None:
        self.kept: list[cx.Inbound] = []
        kept = self.kept

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # the name is the library's
                body = self.rfile.read(int(self.headers["content-length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                kept.append(cx.Inbound("POST", headers, body, {}, NOW))
                self.send_response(200)
                self.end_headers()

            def log_request(self, code: Any = "-", size: Any = "-") -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hooks/voice"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


def announced(brand: Brand, receiver: Receiver, **body: Any) -> list[cx.Inbound]:
    brand.people("POST", "responses", survey=RELATION, score=2, **body)
    assert brand.world.hooks.settle()
    return receiver.kept


def test_a_signed_event_leads_to_the_answer(start: Callable[..., Brand], receiver: Receiver) -> None:
    brand = start({"response_lag": 20}, webhook_secret="sandbox-shared-key")
    brand.people("POST", "subscriptions", url=receiver.url, shared_key="sandbox-shared-key")
    brand.people("POST", "subscriptions", url=receiver.url, topics=f"surveyengine.completedResponse.{SUPPORT}")
    events = announced(brand, receiver, verbatim="Zoë says: no", announce=3)
    assert len(events) == 3
    hook = brand.qualtrics.webhook()
    told = []
    for event in events:
        hook.verify(event, ["sandbox-shared-key"])
        told.append(hook.read(event))
    assert len({one.event_id for one in told}) == 1, "three deliveries, one event"
    (nudge,) = told[0].nudges
    read = brand.stream(nudge.stream).one
    assert read is not None
    assert nudge.key is not None
    assert read(brand.client, nudge.key) is None, "announced before it can be read"
    brand.wait(20)
    page = read(brand.client, nudge.key)
    assert page is not None
    brand.wait(120)
    (exported,) = entities(brand.pull("responses"))
    assert page.entities[0] == exported
    assert page.entities[0].source_id == nudge.key


def test_a_flat_event_is_taken_only_where_there_is_no_key(start: Callable[..., Brand], receiver: Receiver) -> None:
    brand = start()
    brand.people("POST", "subscriptions", url=receiver.url)
    (event,) = announced(brand, receiver)
    hook = brand.qualtrics.webhook()
    hook.verify(event, [])
    assert [nudge.stream for nudge in hook.read(event).nudges] == ["responses"]
    strict = Qualtrics.model_validate(
        {**brand.qualtrics.model_dump(), "webhook_secret": "a-fake-key", "api_token": "x"}
    )
    with pytest.raises(cx.Forged):
        strict.webhook().verify(event, ["a-fake-key"])


def test_a_partial_answer_is_announced_as_one(start: Callable[..., Brand], receiver: Receiver) -> None:
    brand = start()
    brand.people("POST", "subscriptions", url=receiver.url, topics=f"surveyengine.partialResponse.{RELATION}")
    assert len(announced(brand, receiver, finished=False)) == 1
    assert len(announced(brand, receiver)) == 1, "a finished one is another topic"
