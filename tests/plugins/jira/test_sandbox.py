"""The connector against the simulated site: every stream and action once, and what goes wrong as it does in earnest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, Tokens, open_client
from cxbridge.plugins.jira import Jira
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.jira.site import CLOUD_ID
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:00112233aabbccdd"


class Site:
    """A running site, the connection to it, and the people who work there."""

    def __init__(
        self,
        sandbox: Sandbox,
        jira: Jira,
        client: cx.Client,
        web: httpx.Client,
        clock: ManualClock,
        tokens: MemoryTokens,
    ) -> None:
        self.sandbox = sandbox
        self.web = web
        self.world = sandbox.world
        self.jira = jira
        self.client = client
        self.clock = clock
        self.tokens = tokens

    def wait(self, seconds: float) -> None:
        """Let time pass, for the site and for us."""
        self.world.clock.advance(seconds)
        self.clock.advance(seconds)

    def people(self, method: str, path: str, **body: Any) -> Any:
        """Do something as one of the site's people."""
        reply = self.web.request(method, f"{self.sandbox.control_url}/jira/{path}", json=body or None)
        assert reply.status_code < 300, reply.text
        return reply.json() if reply.content else None

    def pull(self, stream: str, cursor: cx.Json = None) -> list[cx.Page]:
        (found,) = [one for one in self.jira.streams() if one.name == stream]
        assert found.pages is not None
        return list(found.pages(self.client, cursor))

    def tickets(self) -> dict[str, cx.Ticket]:
        pages = self.pull("issues")
        assert not [reason for page in pages for reason in page.refused]
        found = [entity for page in pages for entity in page.entities if isinstance(entity, cx.Ticket)]
        return {str(ticket.source_key): ticket for ticket in found}

    def action(self, name: str) -> cx.Action:
        (found,) = [one for one in self.jira.actions() if one.name == name]
        return found

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        return self.action(name).perform(self.client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    def find(self, name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt | None:
        find = self.action(name).find
        assert find is not None
        return find(self.client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    def effects(self) -> list[str]:
        return [effect.kind for effect in self.world.journal.effects(via="api", vendor="jira")]


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    """Start a site with options of its own; without limits unless the test says otherwise."""
    with ExitStack() as stack:

        def begin(options: dict[str, Any] | None = None, **changed: Any) -> Site:
            free = {"limits": None, "issue_writes": None, **(options or {})}
            world = World(jira_options=free, clock=SandboxClock(NOW, frozen=True))
            sandbox = stack.enter_context(Sandbox(world, vendors=("jira",)))
            given: dict[str, Any] = {
                "url": sandbox.jira_url,
                "email": "bridge@example.test",
                "api_token": "sandbox-token",
                "projects": ["ENG", "OPS"],
                "fields": {
                    "severity": "customfield_10032",
                    "cause": "customfield_10033",
                    "tickets": "customfield_10034",
                },
                "gateway": sandbox.jira_url,
                **changed,
            }
            if given.get("token_url") == "here":
                given["token_url"] = f"{sandbox.jira_url}/oauth/token"
            jira = Jira(**given)
            clock, tokens = ManualClock(NOW), MemoryTokens()
            client = stack.enter_context(
                open_client(jira.endpoint(), connection="tracker", clock=clock, tokens=tokens, random=Random(1))
            )
            web = stack.enter_context(httpx.Client(trust_env=False))
            return Site(sandbox, jira, client, web, clock, tokens)

        yield begin


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start()


def test_check_finds_the_account_and_its_projects(site: Site) -> None:
    identity = site.jira.check(site.client)
    assert identity.name == "cxbridge"
    assert identity.ref is not None
    assert identity.ref.startswith("users/712020:")


def test_check_tells_a_project_that_is_not_there(start: Callable[..., Site]) -> None:
    site = start(projects=["ENG", "NOPE"])
    with pytest.raises(cx.Rejected, match="project NOPE is not visible"):
        site.jira.check(site.client)


def test_check_finds_what_the_settings_name(start: Callable[..., Site]) -> None:
    site = start(
        status_overrides={"in review": "waiting", "10003": "resolved"},
        priorities={"urgent": ["Highest", "2"]},
        resolutions={"fixed": ["Fixed"], "declined": ["Won't Do"]},
        issue_types={"incident": "Incident", "bug": "Bug"},
    )
    assert site.jira.check(site.client).notices == ()


def test_check_tells_every_name_that_is_not_there(start: Callable[..., Site]) -> None:
    site = start(
        fields={"severity": "customfield_99999"},
        status_overrides={"In Revue": "waiting"},
        priorities={"urgent": ["Hihgest"]},
        resolutions={"fixed": ["Fixxed"]},
        issue_types={"bug": "Bugg"},
    )
    with pytest.raises(cx.Rejected) as caught:
        site.jira.check(site.client)
    told = str(caught.value)
    assert 'field "customfield_99999" under fields.severity (nearest is "Severity", id customfield_10032)' in told
    assert 'status "In Revue" under status_overrides (nearest is "In Review", id ' in told
    assert 'priority "Hihgest" under priorities.urgent (nearest is "Highest", id 1)' in told
    assert 'resolution "Fixxed" under resolutions.fixed (nearest is "Fixed", id ' in told
    assert 'issue type "Bugg" under issue_types.bug (nearest is "Bug", id ' in told


def test_check_knows_statuses_by_the_names_they_have_there(start: Callable[..., Site]) -> None:
    site = start({"status_names": {"In Review": "In Prüfung"}}, status_overrides={"in prüfung": "waiting"})
    assert site.jira.check(site.client).notices == ()
    wrong = start({"status_names": {"In Review": "In Prüfung"}}, status_overrides={"In Review": "waiting"})
    with pytest.raises(cx.Rejected, match='status "In Review" under status_overrides'):
        wrong.jira.check(wrong.client)


def test_every_stream_once(site: Site) -> None:
    pages = site.pull("issues")
    tickets = site.tickets()
    assert {key.partition("-")[0] for key in tickets} == {"ENG", "OPS"}
    assert {ticket.status_category for ticket in tickets.values()} >= {"open", "resolved"}
    users = {user.source_id for page in pages for user in page.beside["users"]}
    refs = {ref for ticket in tickets.values() for ref in (ticket.requester, ticket.assignee) if ref}
    assert refs <= {f"users/{user}" for user in users}
    projects = [entity.source_key for page in site.pull("projects") for entity in page.entities]
    assert projects == ["ENG", "OPS"]
    containers = {f"projects/{entity.source_id}" for page in site.pull("projects") for entity in page.entities}
    assert {ticket.container for ticket in tickets.values()} == containers
    comments = [entity for page in site.pull("comments") for entity in page.entities]
    ids = {f"issues/{ticket.source_id}" for ticket in tickets.values()}
    assert comments
    assert {comment.ticket for comment in comments if isinstance(comment, cx.Comment)} <= ids


def test_only_what_changed_is_read_again(site: Site) -> None:
    cursor = site.pull("issues")[-1].cursor
    site.wait(86_400)
    cursor = site.pull("issues", cursor)[-1].cursor
    assert [page.entities for page in site.pull("issues", cursor)] == [[]]
    site.people("PATCH", "issues/ENG-1", actor="ana", summary="Renamed")
    site.wait(60)
    (page,) = site.pull("issues", cursor)
    assert [entity.source_key for entity in page.entities] == ["ENG-1"]


@pytest.mark.parametrize("paging", ["position", "offset"])
def test_many_issues_and_a_resumption_behind_every_page(start: Callable[..., Site], paging: str) -> None:
    site = start({"search_paging": paging, "seed_issues": False}, projects=["ENG"])
    for number in range(230):
        if number % 40 == 0:  # forty at a time are stamped alike
            site.wait(500)
        site.people("POST", "issues", project="ENG", summary=f"Issue {number}", actor="ana")
    site.wait(86_400)
    whole = site.pull("issues")
    assert len(whole) >= 3
    everything = {entity.source_key for page in whole for entity in page.entities}
    assert len(everything) == 230
    for count, page in enumerate(whole, 1):
        before = {entity.source_key for earlier in whole[:count] for entity in earlier.entities}
        after = {entity.source_key for later in site.pull("issues", page.cursor) for entity in later.entities}
        assert before | after == everything


def test_history_tells_who_changed_an_issue(start: Callable[..., Site]) -> None:
    site = start(history=True)
    site.people("PATCH", "issues/ENG-1", actor="ben", summary="Renamed")
    site.wait(60)
    assert site.tickets()["ENG-1"].changed_by == cx.Actor(ref="users/5b10ac8d82e05b22cc7d4ef5", kind="person")


def test_a_long_history_is_read_whole(start: Callable[..., Site]) -> None:
    site = start(history=True)
    for _ in range(2):
        site.people("POST", "issues/ENG-1/transition", to="Done", resolution="Fixed", actor="ana")
        site.people("POST", "issues/ENG-1/transition", to="To Do", actor="ana")
    for number in range(100):
        site.people("PATCH", "issues/ENG-1", actor="ben", summary=f"Name {number}")
    site.wait(60)
    tickets = site.tickets()
    assert tickets["ENG-1"].changed_by == cx.Actor(ref="users/5b10ac8d82e05b22cc7d4ef5", kind="person")
    assert tickets["ENG-1"].reopen_count == 2
    assert tickets["ENG-2"].reopen_count == 0


def test_without_history_nothing_is_told_of_it(site: Site) -> None:
    site.people("POST", "issues/ENG-1/transition", to="Done", actor="ana")
    site.people("POST", "issues/ENG-1/transition", to="To Do", actor="ana")
    site.wait(60)
    assert {(ticket.changed_by, ticket.reopen_count) for ticket in site.tickets().values()} == {(None, None)}


def test_a_long_conversation_is_read_whole(site: Site) -> None:
    for number in range(25):
        site.people("POST", "issues/OPS-1/comment", actor="ana", body=f"Entry {number}", internal=number % 2 == 0)
    site.wait(60)
    comments = [entity for page in site.pull("comments") for entity in page.entities if isinstance(entity, cx.Comment)]
    shown = {comment.body_text: comment.visibility for comment in comments if comment.body_text.startswith("Entry")}
    assert len(shown) == 25
    assert (shown["Entry 0"], shown["Entry 1"]) == ("internal", "public")


ESCALATION = cx.EnsureTicket(
    subject="Export stops at 40%",
    body="Reported by Globex.\n\n- open the report\n- click export",
    project="ENG",
    type="bug",
    priority="high",
    severity="S2",
    labels=["vip"],
    custom={"cause": "Unknown\nyet", "tickets": "5512"},
)


def test_an_issue_is_made_and_reads_as_its_receipt_says(site: Site) -> None:
    receipt = site.perform("issue.ensure", ESCALATION)
    assert site.effects() == ["issue.created"]
    site.wait(10)
    ticket = site.tickets()[str(receipt.source_key)]
    assert receipt.made == (f"issues/{ticket.source_id}",)
    assert {name: getattr(ticket, name) for name in receipt.wrote} == receipt.wrote
    assert (ticket.severity, ticket.tags, ticket.custom) == (
        "S2",
        ["vip"],
        {"cause": "Unknown\nyet", "tickets": "5512"},
    )


def test_a_lost_answer_is_settled_by_looking_once_the_search_has_caught_up(start: Callable[..., Site]) -> None:
    site = start({"search_lag": 60})
    site.world.faults.add("ghost", "jira", method="POST", path_regex="/issue$")
    with pytest.raises(cx.Retryable) as caught:
        site.perform("issue.ensure", ESCALATION)
    assert caught.value.sent
    assert site.find("issue.ensure", ESCALATION) is None  # too early, and therefore asked twice
    settle = site.action("issue.ensure").effect
    assert isinstance(settle, cx.Findable)
    site.wait(settle.settle)
    found = site.find("issue.ensure", ESCALATION)
    assert found is not None
    again = site.perform("issue.ensure", ESCALATION)
    assert (again.key, again.changed) == (found.key, False)
    assert site.effects() == ["issue.created"]


def test_an_issue_that_is_named_is_reused(site: Site) -> None:
    receipt = site.perform("issue.ensure", cx.EnsureTicket(subject="x", match="ENG-1"))
    assert (receipt.source_key, receipt.changed) == ("ENG-1", False)
    assert site.effects() == []


def test_fields_are_set_once(site: Site) -> None:
    key = site.perform("issue.ensure", ESCALATION).key
    inputs = cx.SetTicket(
        subject="Export stops",
        priority="urgent",
        severity="S1",
        tags_add=["a"],
        tags_remove=["vip"],
        custom={"tickets": "7"},
    )
    receipt = site.perform("issue.set", inputs, key)
    assert receipt.changed
    site.wait(10)
    ticket = site.tickets()[str(receipt.source_key)]
    assert {name: getattr(ticket, name) for name in receipt.wrote} == receipt.wrote
    assert (ticket.subject, ticket.priority, ticket.severity, ticket.tags) == ("Export stops", "urgent", "S1", ["a"])
    effects = site.effects()
    assert not site.perform("issue.set", inputs, key).changed
    assert site.effects() == effects


def test_the_workflow_is_walked_to_its_end_and_back(site: Site) -> None:
    key = site.perform("issue.ensure", ESCALATION).key
    receipt = site.perform("issue.transition", cx.Transition(to="resolved", resolution="fixed"), key)
    site.wait(10)
    ticket = site.tickets()[str(receipt.source_key)]
    assert {name: getattr(ticket, name) for name in receipt.wrote} == receipt.wrote
    assert (ticket.status_category, ticket.resolution) == ("resolved", "fixed")
    assert not site.perform("issue.transition", cx.Transition(to="resolved"), key).changed
    site.perform("issue.transition", cx.Transition(to="in_progress"), key)
    site.wait(10)
    assert site.tickets()[str(receipt.source_key)].status_category == "in_progress"


def test_a_walk_that_was_interrupted_goes_on(site: Site) -> None:
    key = site.perform("issue.ensure", ESCALATION).key
    site.world.faults.add("ghost", "jira", method="POST", path_regex="/transitions$", after=1)
    with pytest.raises(cx.Retryable):
        site.perform("issue.transition", cx.Transition(to="resolved"), key)
    receipt = site.perform("issue.transition", cx.Transition(to="resolved"), key)
    assert receipt.wrote["status_category"] == "resolved"
    assert site.effects().count("transition") == 3


def test_names_in_another_language_change_nothing(start: Callable[..., Site]) -> None:
    names = {"To Do": "Zu erledigen", "In Progress": "In Arbeit", "In Review": "In Prüfung", "Done": "Fertig"}
    site = start({"status_names": names})
    key = site.perform("issue.ensure", ESCALATION).key
    receipt = site.perform("issue.transition", cx.Transition(to="resolved"), key)
    assert receipt.wrote["status_category"] == "resolved"
    assert receipt.wrote["status_native"] == "Fertig"


@pytest.mark.parametrize(
    ("key", "visibility", "reads"), [("OPS-1", "public", "public"), ("ENG-1", "public", "internal")]
)
def test_a_comment_is_added_once(site: Site, key: str, visibility: Any, reads: str) -> None:
    target = site.tickets()[key].source_id
    inputs = cx.AddComment(visibility=visibility, body="Fixed in 2.7.\n\nThank you.")
    site.world.faults.add("ghost", "jira", method="POST", path_regex="/comment$")
    with pytest.raises(cx.Retryable):
        site.perform("comment.add_once", inputs, target)
    found = site.find("comment.add_once", inputs, target)
    assert found is not None
    again = site.perform("comment.add_once", inputs, target)
    assert (again.key, again.changed) == (found.key, False)
    assert site.effects() == ["comment.added"]
    site.wait(10)
    (comment,) = [one for page in site.pull("comments") for one in page.entities if one.source_id == found.key]
    assert isinstance(comment, cx.Comment)
    assert {name: getattr(comment, name) for name in found.wrote} == found.wrote
    assert comment.visibility == reads


def test_an_internal_comment_stays_internal(site: Site) -> None:
    target = site.tickets()["OPS-1"].source_id
    receipt = site.perform("comment.add_once", cx.AddComment(visibility="internal", body="Between us."), target)
    site.wait(10)
    (comment,) = [one for page in site.pull("comments") for one in page.entities if one.source_id == receipt.key]
    assert isinstance(comment, cx.Comment)
    assert comment.visibility == "internal"


def test_a_link_is_shown_once_and_brought_up_to_date(site: Site) -> None:
    target = site.tickets()["ENG-1"].source_id
    link = cx.EnsureLink(
        system="zendesk", key="5512", ref="desk/tickets/5512", url="https://acme.zendesk.com/agent/tickets/5512"
    )
    assert site.perform("link.ensure", link, target).changed
    assert not site.perform("link.ensure", link, target).changed
    closed = cx.EnsureLink(system="zendesk", key="5512", ref="desk/tickets/5512", url=link.url, resolved=True)
    assert site.perform("link.ensure", closed, target).changed
    (held,) = site.client.get(f"/rest/api/3/issue/{target}/remotelink").json()
    assert held["object"]["status"]["resolved"] is True


def test_a_burst_that_is_too_large_is_waited_out(site: Site) -> None:
    site.world.faults.add("rate_limited", "jira", times=2, retry_after=3)
    assert site.tickets()
    assert (site.clock.now() - NOW).total_seconds() >= 6


def test_too_many_writes_to_one_issue_are_told(start: Callable[..., Site]) -> None:
    site = start({"issue_writes": [(2, 600.0)]})
    target = site.tickets()["ENG-1"].source_id
    for number in range(2):
        site.perform("issue.set", cx.SetTicket(subject=f"Name {number}"), target)
    with pytest.raises(cx.RateLimited) as caught:
        site.perform("issue.set", cx.SetTicket(subject="Name 3"), target)
    assert caught.value.retry_at is not None
    assert caught.value.retry_at > site.clock.now()
    site.wait(601)
    assert site.perform("issue.set", cx.SetTicket(subject="Name 3"), target).changed


def test_a_revoked_token_is_told_as_such(site: Site) -> None:
    site.people("PUT", "credentials", tokens=[])
    with pytest.raises(cx.Unauthorized, match="expired or was revoked"):
        site.jira.check(site.client)


def test_a_scoped_token_works_at_the_gateway_and_only_there(start: Callable[..., Site]) -> None:
    site = start(mode="gateway", cloud_id=CLOUD_ID, api_token="scoped-sandbox-token")
    assert site.jira.check(site.client).name == "cxbridge"
    assert site.tickets()["ENG-1"].url == f"{site.sandbox.jira_url}/browse/ENG-1"
    wrong = start(api_token="scoped-sandbox-token")
    with pytest.raises(cx.Unauthorized, match='mode = "gateway"'):
        wrong.jira.check(wrong.client)


def test_refresh_tokens_rotate_and_the_newest_is_kept(start: Callable[..., Site]) -> None:
    given = {"email": None, "api_token": None, "client_id": "cxbridge", "client_secret": "sandbox-secret"}
    site = start(**given, refresh_token="not-yet", mode="gateway", cloud_id=CLOUD_ID, token_url="here")
    consent = site.people("POST", "credentials/code", client_id="cxbridge", redirect_uri="https://app.example.test/")
    exchange = {
        "grant_type": "authorization_code",
        "client_id": "cxbridge",
        "client_secret": "sandbox-secret",
        "code": consent["code"],
        "redirect_uri": "https://app.example.test/",
    }
    first = site.web.post(f"{site.sandbox.jira_url}/oauth/token", json=exchange).json()["refresh_token"]
    jira = site.jira.model_copy(update={"refresh_token": cx.Secret(first)})
    with open_client(jira.endpoint(), connection="tracker", clock=site.clock, tokens=site.tokens) as client:
        assert jira.check(client).name == "cxbridge"
        kept = site.tokens.read("tracker")
        site.wait(7200)  # the access token ends, the refresh token is used again
        assert jira.check(client).name == "cxbridge"
        later = site.tokens.read("tracker")
    assert isinstance(kept, Tokens)
    assert isinstance(later, Tokens)
    assert len({first, kept.refresh_token, later.refresh_token}) == 3
