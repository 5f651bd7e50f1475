"""The connector against the simulated Zendesk over real HTTP: every stream, every action, and what can come between."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cxbridge.core import connector as cx
from cxbridge.core import ledger
from cxbridge.core.canonical import KIND_OF
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, RequestDone, open_client
from cxbridge.plugins.zendesk import Zendesk
from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk import desk

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:0123456789abcdef"


class Bridge:
    """A connection to a running sandbox, and the hands of the people who work there."""

    def __init__(self, sandbox: Sandbox, clock: ManualClock, **settings: Any) -> None:
        self.world = sandbox.world
        self.clock = clock
        self.seen: list[RequestDone] = []
        self.meanwhile: Callable[[RequestDone], None] = lambda done: None
        oauth = {"client_id": "cxbridge", "client_secret": "sandbox-secret"}
        self.account = Zendesk.model_validate({"url": sandbox.zendesk_url, **oauth, **settings})
        self.client = open_client(
            self.account.endpoint(),
            connection="support",
            clock=clock,
            tokens=MemoryTokens(),
            on_request=self._on_request,
        )
        self._actions = {action.name: action for action in self.account.actions()}
        self._streams = {stream.name: stream for stream in self.account.streams()}

    def _on_request(self, done: RequestDone) -> None:
        self.seen.append(done)
        self.meanwhile(done)

    def wait(self, seconds: float = 61) -> None:
        self.world.clock.advance(seconds)
        self.clock.advance(seconds)

    def pull(self, name: str, cursor: cx.Json = None) -> list[cx.Page]:
        read = self._streams[name].pages
        assert read is not None
        return [page.mapped(name) for page in read(self.client, cursor)]

    def entities(self, name: str) -> list[cx.AnyEntity]:
        pages = self.pull(name)
        assert [reason for page in pages for reason in page.refused] == []
        return [entity for page in pages for entity in page.entities]

    def do(self, name: str, inputs: cx.Inputs, key: str | None = None, marker: str = MARKER) -> cx.Receipt:
        return self._actions[name].perform(self.client, cx.Call(inputs, marker, key))

    def find(self, name: str, inputs: cx.Inputs, key: str | None = None) -> cx.Receipt | None:
        lookup = self._actions[name].find
        assert lookup is not None
        return lookup(self.client, cx.Call(inputs, MARKER, key))

    def pulled(self, stream: str, key: str) -> cx.AnyEntity:
        """What the next pull shows of an entity."""
        self.wait()
        [found] = {e.source_id: e for e in self.entities(stream) if e.source_id == key}.values()
        return found

    def ui(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """An agent or customer works in Zendesk's own pages."""
        with self.world.lock:
            return desk.control(self.world.zendesk, method, path, body)[1]

    def effects(self) -> list[str]:
        return [effect.kind for effect in self.world.journal.effects(via="api", vendor="zendesk")]


@pytest.fixture
def start() -> Iterator[Callable[..., Bridge]]:
    """Start a sandbox of a small company; its clock and ours agree unless the test says otherwise."""
    opened: list[tuple[Sandbox, Bridge]] = []

    def begin(ahead: timedelta = timedelta(0), options: dict[str, Any] | None = None, **settings: Any) -> Bridge:
        clock = SandboxClock(NOW)
        clock.freeze()
        world = World(zendesk_options={"limits": None, **(options or {})}, clock=clock)
        seed.load_text(world, COMPANY)
        sandbox = Sandbox(world, vendors=("zendesk",)).start()
        bridge = Bridge(sandbox, ManualClock(NOW + ahead), **settings)
        opened.append((sandbox, bridge))
        return bridge

    yield begin
    for sandbox, bridge in opened:
        bridge.client.close()
        sandbox.stop()


@pytest.fixture
def bridge(start: Callable[..., Bridge]) -> Bridge:
    return start()


COMPANY = """
{"kind": "organization", "name": "Globex", "external_id": "crm-77", "domains": ["globex.test"], "tier": "gold"}
{"kind": "group", "name": "Tier 2"}
{"kind": "custom_status", "agent_label": "With engineering", "status_category": "hold"}
{"kind": "ticket_field", "title": "Region", "type": "text", "id": 902}
{"kind": "ticket_field", "title": "Linked issue", "type": "text", "id": 905}
{"kind": "user", "name": "Mia Lee", "email": "mia@globex.test", "organization": "Globex"}
{"kind": "user", "name": "Ana Agent", "email": "ana@example.test", "role": "agent"}
{"kind": "article", "title": "Refunds", "body": "<p>Within 14 days.</p>"}
{"kind": "ticket", "id": 1, "subject": "Export fails", "description": "At 40%.", "requester": {"email": "mia@globex.test"}, "age": "2d", "status": "open", "tags": ["vip"], "priority": "high"}
{"kind": "ticket", "id": 2, "subject": "Login loops", "description": "Again.", "requester": {"email": "mia@globex.test"}, "age": "1d", "status": "hold", "custom_status": "With engineering"}
{"kind": "ticket", "id": 3, "subject": "Old", "description": "Done.", "requester": {"email": "mia@globex.test"}, "age": "9d", "status": "closed", "satisfaction": {"score": "good", "comment": "Quick!"}}
"""  # noqa: E501  # one record a line is how the sandbox reads them


def test_the_check_finds_whose_credential_it_is(bridge):
    identity = bridge.account.check(bridge.client)
    assert identity.ref is not None
    assert identity.ref.startswith("users/")
    assert identity.notices == ()


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        ({"client_secret": "wrong-secret"}, cx.Unauthorized, "the client_id with its client_secret is not accepted"),
        (
            {"client_id": None, "client_secret": None, "email": "bridge@example.test", "api_token": "wrong-token"},
            cx.Unauthorized,
            "the email with its api_token is not accepted",
        ),
        (
            {"client_id": None, "client_secret": None, "email": "ana@example.test", "api_token": "sandbox-token"},
            cx.Rejected,
            "give that user the admin role",
        ),
    ],
)
def test_the_check_tells_what_is_wrong(start, settings, kind, sentence):
    bridge = start(**settings)
    with pytest.raises(kind, match=sentence):
        bridge.account.check(bridge.client)


def test_an_api_token_works_and_is_told_to_end(start):
    bridge = start(client_id=None, client_secret=None, email="bridge@example.test", api_token="sandbox-token")
    [notice] = bridge.account.check(bridge.client).notices
    assert "2027-04-30" in notice


def test_a_host_that_is_gone_is_told():
    account = Zendesk.model_validate({"url": "http://127.0.0.1:9", "access_token": "fine"})
    with open_client(account.endpoint(), connection="support", clock=ManualClock(NOW), tokens=MemoryTokens()) as client:
        with pytest.raises(cx.Retryable, match="cannot be reached"):
            account.check(client)


def test_tickets_come_with_what_is_around_them(bridge):
    bridge.wait()
    pages = bridge.pull("tickets")
    tickets = {e.source_id: e for page in pages for e in page.entities}
    assert set(tickets) == {"1", "2", "3"}
    first, second, third = (tickets[key] for key in "123")
    assert (first.status_category, first.priority, first.tags, first.channel) == ("open", "high", ["vip"], "email")
    assert (second.status_category, second.waiting_on) == ("waiting", "third_party")
    assert second.status_native == "With engineering"
    assert third.closed_at is not None
    assert third.satisfaction is not None
    beside = {stream: {type(e).__name__ for e in found} for page in pages for stream, found in page.beside.items()}
    assert beside["users"] >= {"Contact"}
    assert beside["organizations"] == {"Account"}
    assert [len(page.raw) == len(page.entities) for page in pages] == [True] * len(pages)


def test_a_second_pull_brings_only_what_changed_since(bridge):
    bridge.wait()
    cursor = bridge.pull("tickets")[-1].cursor
    assert [e.source_id for page in bridge.pull("tickets", cursor) for e in page.entities] == []
    bridge.ui("PATCH", "tickets/1", {"priority": "urgent"})
    assert [e.source_id for page in bridge.pull("tickets", cursor) for e in page.entities] == []
    bridge.wait()
    [changed] = [e for page in bridge.pull("tickets", cursor) for e in page.entities]
    assert (changed.source_id, changed.priority) == ("1", "urgent")


def test_resuming_behind_any_page_loses_nothing(start):
    bridge = start(per_page=1)
    bridge.wait()
    for stream in ("tickets", "users", "organizations"):
        pages = bridge.pull(stream)
        whole = [e.source_id for page in pages for e in page.entities]
        assert len(pages) > 1 or stream == "organizations"
        for number, page in enumerate(pages):
            rest = {e.source_id for later in bridge.pull(stream, page.cursor) for e in later.entities}
            assert rest >= {e.source_id for later in pages[number + 1 :] for e in later.entities}
        assert len(whole) == len(set(whole))


def test_a_deleted_ticket_comes_as_deleted(bridge):
    bridge.ui("DELETE", "tickets/1", {})
    found = bridge.pulled("tickets", "1")
    assert (found.deleted_how, found.deleted_at is not None) == ("reported", True)


def test_people_companies_teams_comments_ratings_and_articles(bridge):
    bridge.wait()
    people = {e.name: e for e in bridge.entities("users")}
    assert isinstance(people["Mia Lee"], cx.Contact)
    assert isinstance(people["Ana Agent"], cx.Agent)
    [company] = [e for e in bridge.entities("organizations") if e.name == "Globex"]
    assert (company.tier, company.external_id, company.domains) == ("gold", "crm-77", ["globex.test"])
    assert people["Mia Lee"].account == f"organizations/{company.source_id}"
    assert "Tier 2" in {e.name for e in bridge.entities("groups")}
    comments = [e for e in bridge.entities("comments") if e.ticket == "tickets/1"]
    assert [(e.visibility, e.body_text) for e in comments] == [("public", "At 40%.")]
    [rating] = bridge.entities("satisfaction_ratings")
    assert (rating.score, rating.verbatim, rating.ticket) == (1.0, "Quick!", "tickets/3")
    [article] = bridge.entities("articles")
    assert (article.title, article.body_text, article.audience) == ("Refunds", "Within 14 days.", "public")


@pytest.mark.parametrize(
    "stream", ["tickets", "users", "organizations", "comments", "satisfaction_ratings", "articles"]
)
def test_every_stream_goes_on_from_its_last_cursor_without_repeating_everything(bridge, stream):
    bridge.wait()
    pages = bridge.pull(stream)
    again = bridge.pull(stream, pages[-1].cursor)
    first = {e.source_id for page in pages for e in page.entities}
    assert first
    assert {e.source_id for page in again for e in page.entities} <= first
    assert again[-1].cursor == pages[-1].cursor


def test_entities_survive_the_store(bridge):
    bridge.wait()
    for stream in bridge.account.streams():
        for entity in bridge.entities(stream.name):
            assert type(entity) in stream.kinds
            body = ledger.encode_entity(entity)
            assert ledger.decode_entity(KIND_OF[type(entity)], body) == entity


def test_an_account_without_guide_says_so(start):
    [page] = start(options={"guide": False}).pull("articles")
    assert (len(page.entities), page.cursor) == (0, None)
    assert "set guide = false" in page.refused[0]


def test_a_clock_far_ahead_is_put_right_by_the_vendors(start):
    bridge = start(ahead=timedelta(days=3), start="2026-05-08")
    assert [page.entities for page in bridge.pull("tickets")] == [[]]
    exports = [done.status for done in bridge.seen if "incremental" in done.path]
    assert exports == [400, 200]


def test_the_vendors_limit_is_waited_for(bridge):
    bridge.wait()
    bridge.world.faults.add("rate_limited", "zendesk", path_regex="incremental/tickets", retry_after=7)
    before = bridge.clock.now()
    assert len(bridge.entities("tickets")) == 3
    assert bridge.clock.now() - before >= timedelta(seconds=7)


def test_a_used_up_export_budget_is_noticed_from_the_headers(start):
    bridge = start(options={"limits": {"incremental-exports-cursor": 2}}, per_page=1)
    bridge.wait()
    with pytest.raises(cx.RateLimited):
        bridge.pull("tickets")
    assert [done.status for done in bridge.seen if "incremental" in done.path] == [200, 200]


@pytest.mark.parametrize("fault", ["html", "bad_json"])
def test_an_answer_that_is_no_page_stops_the_stream(bridge, fault):
    bridge.world.faults.add(fault, "zendesk", path_regex="incremental", times=None)
    with pytest.raises(cx.WireFormat):
        bridge.pull("tickets")


def test_one_bad_record_does_not_lose_the_others(bridge):
    bridge.wait()
    bridge.world.faults.add("rewrite", "zendesk", path_regex="incremental/tickets", set={"tickets.1.tags": 7})
    [page] = bridge.pull("tickets")
    assert len(page.entities) == 2
    assert [reason.partition(": ")[2] for reason in page.refused] == ["tags: Expected `array | null`, got `int`"]


def test_the_same_page_over_again_is_noticed(start):
    bridge = start(per_page=1)
    bridge.wait()
    bridge.world.faults.add("duplicate_page", "zendesk", path_regex="incremental/tickets", times=None)
    with pytest.raises(cx.WireFormat, match="goes in circles"):
        bridge.pull("tickets")


# Writing


def shows(bridge, receipt):
    """Assert that the next pull shows just what the receipt told."""
    found = bridge.pulled(receipt.stream, receipt.key)
    assert {name: getattr(found, name) for name in receipt.wrote} == dict(receipt.wrote)
    return found


def test_a_ticket_is_made_once_and_found_again(bridge):
    inputs = cx.EnsureTicket(
        subject="Call back",
        body="They asked for it.",
        project="Tier 2",
        priority="high",
        labels=["Call Back"],
        requester_email="leo@globex.test",
    )
    assert bridge.find("ticket.ensure", inputs) is None
    receipt = bridge.do("ticket.ensure", inputs)
    assert receipt.made[0] == f"tickets/{receipt.key}"
    found = shows(bridge, receipt)
    assert (found.external_id, found.tags, found.team is not None) == (MARKER, ["call_back"], True)
    again = bridge.do("ticket.ensure", inputs)
    assert (again.key, again.changed) == (receipt.key, False)
    looked = bridge.find("ticket.ensure", inputs)
    assert looked is not None
    assert looked.key == receipt.key
    assert bridge.effects().count("ticket.created") == 1


def test_a_ticket_whose_answer_was_lost_is_not_made_twice(bridge):
    inputs = cx.EnsureTicket(subject="Call back")
    bridge.world.faults.add("ghost", "zendesk", method="POST", path_regex="/tickets")
    with pytest.raises(cx.Retryable) as problem:
        bridge.do("ticket.ensure", inputs)
    assert problem.value.sent is True
    found = bridge.find("ticket.ensure", inputs)
    assert found is not None
    assert bridge.do("ticket.ensure", inputs).key == found.key
    assert bridge.effects().count("ticket.created") == 1


def test_fields_and_a_note_go_in_one_update(start):
    bridge = start(fields={"region": 902})
    inputs = cx.SetTicket(
        status_category="waiting",
        priority="urgent",
        tags_add=["Escalated"],
        tags_remove=["vip"],
        custom={"region": "emea"},
        note="We wait for you.",
        note_visibility="internal",
    )
    receipt = bridge.do("ticket.set", inputs, "1")
    assert receipt.changed is True
    found = shows(bridge, receipt)
    assert (found.status_category, found.priority, found.tags) == ("waiting", "urgent", ["escalated"])
    assert found.custom["region"] == "emea"
    assert len([done for done in bridge.seen if done.method == "PUT"]) == 1
    looked = bridge.find("ticket.set", inputs, "1")
    assert looked is not None
    assert looked.made == receipt.made
    quiet = bridge.do("ticket.set", cx.SetTicket(status_category="waiting", tags_add=["escalated"]), "1")
    assert quiet.changed is False


def test_an_agent_who_saves_first_is_not_overwritten(bridge):
    def agent_saves(done):
        if done.method == "GET" and done.path == "/api/v2/tickets/1.json":
            bridge.meanwhile = lambda later: None
            # Stamps are whole seconds, so a change within the second that was read could not be told.
            bridge.world.clock.advance(1)
            bridge.ui("PATCH", "tickets/1", {"tags_add": ["theirs"], "priority": "low"})

    bridge.meanwhile = agent_saves
    receipt = bridge.do("ticket.set", cx.SetTicket(tags_add=["ours"]), "1")
    assert [done.status for done in bridge.seen if done.method == "PUT"] == [409, 200]
    found = shows(bridge, receipt)
    assert (found.tags, found.priority) == (["ours", "theirs", "vip"], "low")


def test_a_closed_ticket_takes_nothing(bridge):
    for name, inputs in (
        ("ticket.set", cx.SetTicket(priority="low")),
        ("comment.add_once", cx.AddComment(visibility="internal", body="Hello")),
        ("tags.set", cx.SetTags(add=["late"])),
        ("link.ensure", cx.EnsureLink(system="jira", key="ENG-1", ref="jira/issues/1")),
    ):
        with pytest.raises(cx.Rejected, match="open a follow-up ticket instead"):
            bridge.do(name, inputs, "3")


def test_a_ticket_that_is_gone_is_not_found(bridge):
    bridge.ui("DELETE", "tickets/1", {})
    with pytest.raises(cx.NotFound):
        bridge.do("ticket.set", cx.SetTicket(priority="low"), "1")


def test_a_status_is_brought_about_and_shows_by_its_label(bridge):
    receipt = bridge.do("ticket.transition", cx.Transition(to="resolved", resolution="fixed"), "2")
    assert "resolution was left out" in receipt.told
    found = shows(bridge, receipt)
    assert (found.status_category, found.resolved_at is not None) == ("resolved", True)
    assert receipt.wrote["status_native"] == found.status_native
    assert bridge.do("ticket.transition", cx.Transition(to="resolved"), "2").changed is False


@pytest.mark.parametrize("visibility", ["public", "internal"])
def test_a_comment_is_said_once(bridge, visibility):
    inputs = cx.AddComment(visibility=visibility, body="Escalated as ENG-12.")
    receipt = bridge.do("comment.add_once", inputs, "1")
    [made] = receipt.made
    found = bridge.pulled("comments", made.removeprefix("comments/"))
    assert (found.visibility, found.body_text, found.ticket) == (visibility, "Escalated as ENG-12.", "tickets/1")
    again = bridge.do("comment.add_once", inputs, "1")
    assert (again.changed, again.made) == (False, receipt.made)
    assert bridge.effects().count("comment.added") == 1


def test_a_comment_whose_answer_was_lost_is_found(bridge):
    inputs = cx.AddComment(visibility="internal", body="Escalated as ENG-12.")
    bridge.world.faults.add("ghost", "zendesk", method="PUT")
    with pytest.raises(cx.Retryable):
        bridge.do("comment.add_once", inputs, "1")
    found = bridge.find("comment.add_once", inputs, "1")
    assert found is not None
    assert len(found.made) == 1


@pytest.mark.parametrize(
    ("inputs", "tags"),
    [
        (cx.SetTags(add=["New One"]), ["new_one", "vip"]),
        (cx.SetTags(remove=["VIP"]), []),
        (cx.SetTags(add=["b"], remove=["vip"]), ["b"]),
    ],
)
def test_tags_are_added_and_removed(bridge, inputs, tags):
    receipt = bridge.do("tags.set", inputs, "1")
    assert shows(bridge, receipt).tags == tags
    assert bridge.do("tags.set", inputs, "1").changed is False


def test_links_are_shown_where_there_is_room(start):
    bridge = start(link_field=905)
    told = []
    for number in (12, 13, 14):
        link = cx.EnsureLink(system="jira", key=f"ENG-{number}", ref=f"jira/issues/{number}")
        receipt = bridge.do("link.ensure", link, "1")
        shows(bridge, receipt)
        assert bridge.do("link.ensure", link, "1").changed is False
        told.append(receipt.told)
    assert told == ["shown as the external id", "shown in the link field", "shown in the link field"]
    plain = start()
    for number, place in ((12, "external_id"), (13, "tags")):
        link = cx.EnsureLink(system="jira", key=f"ENG-{number}", ref=f"jira/issues/{number}")
        receipt = plain.do("link.ensure", link, "1")
        assert list(receipt.wrote) == [place]
        shows(plain, receipt)
