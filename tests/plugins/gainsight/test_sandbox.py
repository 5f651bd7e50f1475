"""The connector against the simulated tenant: nothing is lost whatever the tenant's oddities, and what goes wrong as in earnest."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from random import Random
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.plugins.gainsight import Gainsight
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World

NOW = datetime(2026, 5, 6, 8, 46, 13, tzinfo=UTC)
MARKER = "cxb:00112233aabbccdd"
STREAMS = ("users", "companies", "persons", "ctas", "timeline", "health")


class Clock(ManualClock):
    """Waiting passes the vendor's time as well."""

    def __init__(self, world: World) -> None:
        super().__init__(NOW)
        self._world = world

    def wait(self, seconds: float, wake: Any = None) -> bool:
        self._world.clock.advance(max(0.0, seconds))
        return super().wait(seconds, wake)


class Site:
    """A running tenant, the people who work in it, and connections to it."""

    def __init__(self, sandbox: Sandbox, stack: ExitStack) -> None:
        self.sandbox = sandbox
        self.world = sandbox.world
        self.clock = Clock(sandbox.world)
        self._stack = stack

    @property
    def vendor(self) -> Any:
        return self.world.vendors["gainsight"]

    @property
    def tenant(self) -> Any:
        return self.vendor.tenant

    def seed(self, kind: str, **row: Any) -> None:
        with self.world.lock:
            self.vendor.load_row({"kind": f"gainsight.{kind}", **row})

    def people(self, method: str, path: str, **body: Any) -> Any:
        with self.world.lock:
            status, answer = self.vendor.control(method, path, body)
        assert status < 300, answer
        return answer

    def wait(self, seconds: float) -> None:
        self.clock.wait(seconds)

    def connect(self, **changed: Any) -> "Link":
        credential = {} if "client_id" in changed else {"access_key": "sandbox-token"}
        given = {"url": self.sandbox.url("gainsight"), "page": 3, "per_minute": 100, **credential, **changed}
        gainsight = Gainsight.model_validate(given)
        client = open_client(
            gainsight.endpoint(), connection="cs", clock=self.clock, tokens=MemoryTokens(), random=Random(1)
        )
        self._stack.enter_context(client)
        return Link(gainsight, client)

    def effects(self, kind: str) -> list[Any]:
        return self.world.journal.effects(kind, via="api")


class Link:
    """One connection."""

    def __init__(self, gainsight: Gainsight, client: cx.Client) -> None:
        self.gainsight = gainsight
        self.client = client

    def pages(self, stream: str, cursor: cx.Json = None) -> Iterator[cx.Page]:
        (found,) = [one for one in self.gainsight.streams() if one.name == stream]
        assert found.pages is not None
        return found.pages(self.client, cursor)

    def read(self, stream: str, cursor: cx.Json = None) -> dict[str, Any]:
        """All that a stream gives from a cursor on, by key."""
        pages = list(self.pages(stream, cursor))
        assert [reason for page in pages for reason in page.refused] == []
        return {one.source_id: one for page in pages for one in page.entities}

    def end(self, stream: str, cursor: cx.Json = None) -> cx.Json:
        return list(self.pages(stream, cursor))[-1].cursor

    def deleted(self, stream: str, cursor: cx.Json) -> set[str]:
        return {key for page in self.pages(stream, cursor) for key in page.deleted}

    def perform(self, name: str, inputs: cx.Inputs, target: str | None = None, marker: str = MARKER) -> cx.Receipt:
        (found,) = [one for one in self.gainsight.actions() if one.name == name]
        return found.perform(self.client, cx.Call(inputs=inputs, marker=marker, target=target))


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    with ExitStack() as stack:

        def begin(**options: Any) -> Site:
            given = {"gainsight": {"per_minute": None, "per_day": None, **options}}
            world = World(clock=SandboxClock(NOW, frozen=True), options=given)
            site = Site(stack.enter_context(Sandbox(world, vendors=("gainsight",))), stack)
            site.seed("user", email="ana@example.test", name="Ana Ruiz")
            site.seed("user", email="cy@example.test", name="Cy Lund", active=False)
            for number in range(1, 8):
                # Three of seven at one moment, which fills a page of three.
                ago = f"{max(number, 5)}d"
                owner = "ana@example.test" if number != 7 else None
                site.seed(
                    "company",
                    name=f"Company {number}",
                    external_id=f"HL-{number}",
                    csm=owner,
                    score=10 * number,
                    ago=ago,
                )
                site.seed("person", email=f"p{number}@c{number}.example", name="Pat", company=f"HL-{number}", ago=ago)
                site.seed(
                    "touchpoint", company=f"HL-{number}", subject=f"Call {number}", author="ana@example.test", ago=ago
                )
            for number in range(1, 8):
                site.seed(
                    "cta", company="HL-1", title=f"Call {number}", owner="ana@example.test", ago=f"{max(number, 5)}d"
                )
            return site

        yield begin


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    return start()


def count(site: Site) -> dict[str, int]:
    told = site.tenant.counts()
    return {
        "users": told["users"],
        "companies": told["companies"],
        "persons": told["persons"],
        "ctas": told["ctas"],
        "timeline": told["touchpoints"],
        "health": told["companies"],
    }


# -- reading ---------------------------------------------------------------------------------------------------------------


def test_the_size_of_pages_makes_no_difference(site: Site) -> None:
    whole = {stream: site.connect(page=5000).read(stream) for stream in STREAMS}
    assert {stream: len(found) for stream, found in whole.items()} == count(site)
    for size in (2, 3, 4, 7):
        link = site.connect(page=size)
        for stream in STREAMS:
            assert link.read(stream) == whole[stream]


@pytest.mark.parametrize(
    "options",
    [
        {"shape": "list"},
        {"shape": "records"},
        {"dates": "iso"},
        {"empty": "list"},
        {"btw_end": "whole"},
        {"high_volume_log": True},
        {
            "missing_fields": [
                "company.Nps",
                "company.Tags",
                "call_to_action.ClosedDate",
                "call_to_action.Cxbridge_Marker__gc",
            ]
        },
        {
            "renamed": {
                "company.Arr": "ARR",
                "company.RenewalDate": "Renewal_Date",
                "activity_timeline.ContextName": "contextname",
            }
        },
    ],
    ids=lambda options: next(iter(options)),
)
def test_nothing_is_lost_whatever_the_tenants_oddities(start: Callable[..., Site], options: dict[str, Any]) -> None:
    site, plain = start(**options), start()
    for stream in STREAMS:
        assert list(site.connect().read(stream)) == list(plain.connect().read(stream))


def test_hundreds_that_changed_at_one_moment_are_read_past(site: Site) -> None:
    for number in range(60):
        site.seed("company", name=f"Import {number}", ago="2d")
        site.seed("cta", company="HL-1", title=f"Import {number}", ago="2d")
    link = site.connect(page=7)
    assert len(link.read("companies")) == 67
    assert len(link.read("ctas")) == 67
    # From the cursor of any page on, the rest comes.
    for stream in ("companies", "ctas"):
        seen: set[str] = set()
        pages = list(link.pages(stream))
        for page in pages:
            seen |= {one.source_id for one in page.entities}
            assert seen | set(link.read(stream, page.cursor)) == set(link.read(stream))


def test_a_tenant_that_gives_fewer_rows_than_were_asked_for_loses_none(start: Callable[..., Site]) -> None:
    site = start(most_rows=100, most_ctas=100)
    for number in range(230):
        site.seed("company", name=f"Import {number}", ago=f"{10 + number % 3}d")
        site.seed("cta", company="HL-1", title=f"Import {number}", ago="2d")
        site.seed("person", email=f"i{number}@c1.example", name="Pat", company="HL-1", ago="2d")
    link = site.connect(page=5000)
    assert {stream: len(link.read(stream)) for stream in STREAMS} == count(site)


def test_what_changes_while_it_is_read_comes_at_the_latest_with_the_next_run(site: Site) -> None:
    link = site.connect(page=2)
    known: dict[str, Any] = {}
    cursor: cx.Json = None
    names = [f"HL-{number}" for number in range(1, 8)]
    for turn in range(3):
        for number, page in enumerate(link.pages("companies", cursor)):
            known |= {one.source_id: one for one in page.entities}
            cursor = page.cursor
            site.wait(0.25)
            site.people("PATCH", f"companies/{names[(number + turn) % 7]}", arr=100 * turn + number)
    known |= link.read("companies", cursor)
    assert {one.external_id: one.arr for one in known.values()} == {
        row["SfdcAccountId"]: row["Arr"] for row in site.tenant.rows("company")
    }


def test_what_is_shown_late_is_found_by_the_look_back(site: Site) -> None:
    link = site.connect()
    ends = {stream: link.end(stream) for stream in ("companies", "timeline", "ctas")}
    site.seed("company", name="Late", ago="5d")
    site.seed("touchpoint", company="HL-1", subject="Late", ago="5d")
    site.seed("cta", company="HL-1", title="Late", ago="5d")
    assert "Late" in {one.name for one in link.read("companies", ends["companies"]).values()}
    assert "Late" in {one.subject for one in link.read("timeline", ends["timeline"]).values()}
    assert "Late" in {one.title for one in link.read("ctas", ends["ctas"]).values()}


@pytest.mark.parametrize("zone", ["America/Los_Angeles", "Asia/Tokyo"])
@pytest.mark.parametrize("stream", ["companies", "timeline", "health", "persons"])
def test_a_tenant_that_reads_filters_in_another_zone_loses_nothing_without_a_word(
    start: Callable[..., Site], zone: str, stream: str
) -> None:
    site = start(filter_timezone=zone)
    with pytest.raises(cx.VendorError, match="filter_timezone"):
        site.connect().read(stream)
    assert len(site.connect(filter_timezone=zone).read(stream)) == count(site)[stream]
    # Where all fits one page, the look-back is wider than any zone.
    link = site.connect(page=5000)
    end = link.end(stream)
    site.wait(60)
    site.people("PATCH", "companies/HL-2", current_score=1)
    site.people("PATCH", "persons/p2@c2.example", title="Buyer")
    if stream != "timeline":
        assert len(link.read(stream, end)) >= 1


def test_a_link_that_changes_brings_its_person(site: Site) -> None:
    link = site.connect()
    end = link.end("persons")
    site.wait(3 * 86_400)
    site.people("PATCH", "persons/p3@c3.example", company="HL-1", title="Chief of Staff")
    [found] = [one for one in link.read("persons", end).values() if one.emails == ["p3@c3.example"]]
    owner = site.tenant.company("HL-1")["Gsid"]
    assert (found.account, found.title) == (f"companies/{owner}", "Chief of Staff")


def test_what_was_deleted_is_told_by_the_log(site: Site) -> None:
    link = site.connect()
    ends = {stream: link.end(stream) for stream in STREAMS}
    site.wait(3600)
    gone = {
        "companies": site.people("DELETE", "companies/HL-4")["Gsid"],
        "persons": site.people("DELETE", "persons/p5@c5.example")["Gsid"],
        "ctas": site.people("DELETE", f"ctas/{next(site.tenant.rows('call_to_action'))['Gsid']}")["Gsid"],
        "timeline": site.people("DELETE", f"touchpoints/{next(site.tenant.rows('activity_timeline'))['Gsid']}")["Gsid"],
    }
    for stream, key in {**gone, "health": gone["companies"]}.items():
        assert link.deleted(stream, ends[stream]) == {key}
        assert key not in link.read(stream)


def test_many_deletions_are_read_page_by_page(site: Site) -> None:
    link = site.connect(page=2)
    end = link.end("companies")
    keys = {site.people("DELETE", f"companies/HL-{number}")["Gsid"] for number in range(1, 8)}
    pages = list(link.pages("companies", end))
    assert {key for page in pages for key in page.deleted} == keys
    for number, page in enumerate(pages):
        before = {key for earlier in pages[: number + 1] for key in earlier.deleted}
        assert before | link.deleted("companies", page.cursor) >= keys


def test_a_stream_that_was_not_read_for_a_fortnight_says_what_it_cannot_know(site: Site) -> None:
    link = site.connect()
    end = link.end("companies")
    site.people("DELETE", "companies/HL-4")
    site.wait(16 * 86_400)
    pages = list(link.pages("companies", end))
    assert [key for page in pages for key in page.deleted] == []
    [told] = [reason for page in pages for reason in page.refused]
    assert "the delete log keeps 15 days" in told
    # Said once: from now on the log is read from here.
    assert [page.refused for page in link.pages("companies", pages[-1].cursor) if page.refused] == []


def test_a_tenant_at_rest_is_not_taken_for_one_that_was_not_read(site: Site) -> None:
    link = site.connect()
    cursor = link.end("companies")
    for _ in range(4):
        site.wait(7 * 86_400)
        pages = list(link.pages("companies", cursor))
        assert [page.refused for page in pages if page.refused] == []
        cursor = pages[-1].cursor


@pytest.mark.parametrize("stream", STREAMS)
def test_a_single_entity_reads_as_in_its_stream(site: Site, stream: str) -> None:
    link = site.connect()
    key, found = min(link.read(stream).items())
    (declared,) = [one for one in link.gainsight.streams() if one.name == stream]
    assert declared.one is not None
    page = declared.one(link.client, key)
    assert page is not None
    assert list(page.entities) == [found]
    assert page.cursor is None
    assert declared.one(link.client, "1P0200000000000000000000000000NOBODY") is None


def test_scores_of_measures_are_read_where_there_are_any(site: Site) -> None:
    for number in range(1, 6):
        site.seed("score", company=f"HL-{number}", measure="Adoption", score=12 * number, previous=50, trend="Down")
    link = site.connect(scorecard="scorecard_fact_company")
    found = [one for one in link.read("health").values() if one.scheme == "Adoption"]
    assert [one.band for one in sorted(found, key=lambda one: one.value)] == ["red"] * 4 + ["yellow"]
    assert {(one.previous, one.trend) for one in found} == {(50.0, "down")}
    end = link.end("health")
    site.wait(2 * 86_400)
    site.people("POST", "scores", company="HL-5", measure="Adoption", score=90)
    [changed] = [one for one in link.read("health", end).values() if one.value == 90.0]
    assert (changed.scheme, changed.previous, changed.band) == ("Adoption", 60.0, "green")
    with pytest.raises(cx.Rejected, match="no such object"):
        site.connect(scorecard="nowhere").gainsight.check(link.client)


def test_a_client_with_a_token_reads_too(site: Site) -> None:
    link = site.connect(client_id="cxbridge", client_secret="sandbox-secret")
    assert len(link.read("companies")) == 7
    assert "cxbridge at" in link.gainsight.check(link.client).name
    refused = site.connect(client_id="cxbridge", client_secret="another-secret")
    with pytest.raises(cx.Unauthorized, match="check the client id"):
        refused.gainsight.check(refused.client)


def test_an_address_that_is_not_allowed_is_told_from_a_wrong_key(site: Site) -> None:
    link, wrong = site.connect(), site.connect(access_key="another-token")
    with pytest.raises(cx.Unauthorized, match="access key or token is wrong"):
        wrong.gainsight.check(wrong.client)
    site.people("PATCH", "options", ip_allowed=False)
    with pytest.raises(cx.Unauthorized, match="allow-list"):
        link.gainsight.check(link.client)


def test_a_busy_tenant_is_waited_for(start: Callable[..., Site]) -> None:
    site = start(per_minute=10)
    link = site.connect(page=2)  # which would send a hundred
    assert len(link.read("companies")) == 7
    assert len(link.read("timeline")) == 7
    statuses = [request.status for request in site.world.journal.requests("gainsight")]
    assert 429 in statuses
    # With a budget of our own below the tenant's, nobody is turned away.
    calm = start(per_minute=10)
    assert len(calm.connect(page=2, per_minute=9).read("timeline")) == 7
    assert {request.status for request in calm.world.journal.requests("gainsight")} <= {200, 400}


# -- writing ---------------------------------------------------------------------------------------------------------------


def key(site: Site, name: str = "HL-1") -> str:
    return str(site.tenant.company(name)["Gsid"])


def ask(site: Site, **more: Any) -> cx.EnsureTask:
    given = {"account": key(site), "title": "Detractor follow-up", "reason": "Survey Response", **more}
    return cx.EnsureTask(**given)


def test_one_task_under_one_marker(site: Site) -> None:
    link = site.connect()
    first = link.perform("task.ensure", ask(site))
    again = link.perform("task.ensure", ask(site, title="Worded otherwise"))
    assert (first.changed, again.changed, again.key) == (True, False, first.key)
    link.perform("task.ensure", ask(site), marker="cxb:ffffffffffffffff")
    made = site.effects("task.created")
    assert [effect.detail["fields"]["Cxbridge_Marker__gc"] for effect in made] == [MARKER, "cxb:ffffffffffffffff"]
    assert made[0].detail["owner"] == "ana@example.test"


def test_a_task_needs_somebody(site: Site) -> None:
    link = site.connect()
    with pytest.raises(cx.Rejected, match="no owner in Gainsight"):
        link.perform("task.ensure", ask(site, account=key(site, "HL-7")))
    with pytest.raises(cx.Rejected, match="no user of Gainsight has the address given as owner_email"):
        link.perform("task.ensure", ask(site, owner_email="nobody@example.test"))
    with pytest.raises(cx.Rejected, match="only a user who is switched off"):
        link.perform("task.ensure", ask(site, owner_email="cy@example.test"))
    assert link.perform("task.ensure", ask(site, account=key(site, "HL-7"), owner_email="ANA@example.test")).changed
    assert len(site.effects("task.created")) == 1


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"kind": "Renewal party"}, "type Renewal party is not offered in this tenant, only Risk, Opportunity"),
        ({"priority": "P0"}, "priority P0 is not offered"),
        ({"due_at": "soon"}, "due_at is no time"),
        ({"title": "  "}, "needs a title"),
        ({"custom": {"team": "x"}}, "no field is called team"),
        ({"custom": {"Nowhere__gc": "x"}}, "COCKPIT_5101"),
        ({"account": "a/b"}, "no id of Gainsight"),
        ({"account": "1P0200000000000000000000000000NOBODY"}, "no company of this id"),
    ],
)
def test_what_the_tenant_does_not_offer_is_refused_in_words(site: Site, more: dict[str, Any], said: str) -> None:
    with pytest.raises(cx.Rejected, match=said):
        site.connect().perform("task.ensure", ask(site, **more))
    assert site.effects("task.created") == []


def test_a_reason_that_is_not_offered_is_said_in_the_text(site: Site) -> None:
    receipt = site.connect().perform("task.ensure", ask(site, reason="Score fell", body="By 20."))
    assert "is not offered in this tenant" in receipt.told
    assert receipt.wrote["body_text"] == "Reason: Score fell\n\nBy 20."
    mapped = site.connect(reasons={"Score fell": "Health Score Drop"})
    receipt = mapped.perform("task.ensure", ask(site, reason="Score fell"), marker="cxb:ffffffffffffffff")
    assert (receipt.wrote["reason"], receipt.told) == ("Health Score Drop", "")


def test_a_tenant_without_the_marker_field_gets_no_task_that_could_not_be_found(start: Callable[..., Site]) -> None:
    site = start(missing_fields=["call_to_action.Cxbridge_Marker__gc"])
    with pytest.raises(cx.Rejected, match="make it in Gainsight as a text field"):
        site.connect().perform("task.ensure", ask(site))
    other = site.connect(marker_field="Source_Ref__gc")
    assert other.perform("task.ensure", ask(site)).key == other.perform("task.ensure", ask(site)).key


def test_a_task_is_closed_once_and_says_what_came_of_it(site: Site) -> None:
    link = site.connect()
    made = link.perform("task.ensure", ask(site, body="NPS 3."))
    closed = link.perform("task.close", cx.CloseTask(outcome="dropped", note="Moved away."), made.key)
    assert closed.wrote["status"] == "dropped"
    again = link.perform("task.close", cx.CloseTask(outcome="dropped", note="Moved away."), made.key)
    assert not again.changed
    other = link.perform("task.close", cx.CloseTask(outcome="done"), made.key)
    assert (other.changed, other.told) == (False, "it was closed already, as Closed Lost")
    found = link.read("ctas")[made.key]
    assert (found.status, found.body_text) == ("dropped", "Moved away.\n\nNPS 3.")
    assert found.closed_at is not None
    with pytest.raises(cx.NotFound, match="no call to action"):
        link.perform("task.close", cx.CloseTask(), "1S0100000000000000000000000000NOBODY")


def test_a_note_is_put_down_unless_it_stands_there_in_lines_of_its_own(site: Site) -> None:
    link = site.connect()
    made = link.perform("task.ensure", ask(site, body="They were taken over: ok so far."))
    said = [link.perform("task.set", cx.SetTask(note=note), made.key).changed for note in ("ok", "ok", "a\nb", "a\nb")]
    assert said == [True, False, True, False]
    assert link.read("ctas")[made.key].body_text == "a\nb\n\nok\n\nThey were taken over: ok so far."


def test_what_is_so_already_is_not_sent(site: Site) -> None:
    link = site.connect()
    made = link.perform("task.ensure", ask(site, priority="low", due_at="2026-06-01"))
    wanted = cx.SetTask(
        title="Detractor follow-up", status="open", priority="low", owner_email="Ana@Example.test", due_at="2026-06-01"
    )
    assert not link.perform("task.set", wanted, made.key).changed
    assert not link.perform("task.set", cx.SetTask(priority="Low", status="New"), made.key).changed
    assert site.effects("task.updated") == []
    urgent = link.perform("task.set", cx.SetTask(priority="urgent"), made.key)
    assert urgent.wrote["priority_native"] == "High"
    assert link.perform("task.set", cx.SetTask(priority="urgent"), made.key).told.startswith("the tenant knows nothing")


def entry(site: Site, **more: Any) -> cx.AddTouchpoint:
    given = {
        "account": key(site),
        "subject": "Solved",
        "body": "Expired token.",
        "author_email": "ana@example.test",
        **more,
    }
    return cx.AddTouchpoint(**given)


def test_a_timeline_entry_is_added_once(site: Site) -> None:
    link = site.connect()
    first = link.perform("timeline.add_once", entry(site))
    again = link.perform("timeline.add_once", entry(site, body="Worded otherwise"))
    assert (first.changed, again.changed, again.key) == (True, False, first.key)
    [made] = site.effects("touchpoint.created")
    assert made.detail["fields"]["ExternalId"] == MARKER
    assert again.wrote["body_text"] == "Expired token."


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"author_email": None}, "needs an author"),
        ({"author_email": "nobody@example.test"}, "no user of Gainsight"),
        ({"kind": "Séance"}, "GS_TL_10_0213"),
        ({"account": "1P0200000000000000000000000000NOBODY"}, "GS_TL_10_0213"),
        ({"subject": " "}, "needs a subject"),
        ({"at": "yesterday"}, "at is no time"),
    ],
)
def test_an_entry_that_cannot_be_is_refused(site: Site, more: dict[str, Any], said: str) -> None:
    with pytest.raises(cx.Rejected, match=said):
        site.connect().perform("timeline.add_once", entry(site, **more))
    assert site.effects("touchpoint.created") == []


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (cx.SetAccount(lifecycle="divorced"), "stage divorced is not offered in this tenant, only Prospect"),
        (cx.SetAccount(tier="Gold"), "no field holds the tier"),
        (cx.SetAccount(renewal_at="spring"), "renewal_at is no time"),
        (cx.SetAccount(custom={"health_score": 5}), "cannot be written: Gainsight fills it itself"),
        (cx.SetAccount(custom={"colour": "red"}), "no field is called colour"),
        (cx.SetAccount(custom={"arr": "much"}), "arr takes a number"),
        (cx.SetAccount(custom={"tags": ["no such tag"]}), "tags has no such option"),
        (cx.SetAccount(custom={"Region__gc": {"a": 1}}), "takes one value, not a table"),
    ],
)
def test_what_an_account_cannot_take_is_refused_before_it_is_sent(site: Site, inputs: cx.SetAccount, said: str) -> None:
    with pytest.raises(cx.Rejected, match=said):
        site.connect().perform("account.set", inputs, key(site))
    assert site.effects("account.updated") == []


def test_an_account_may_be_named_in_the_inputs(site: Site) -> None:
    link = site.connect()
    wanted = cx.SetAccount(account=key(site), custom={"arr": 7000, "tags": ["beta"], "Region__gc": "EMEA"})
    assert link.perform("account.set", wanted).changed
    assert not link.perform("account.set", wanted).changed
    assert link.read("companies")[key(site)].arr == 7000.0
    with pytest.raises(cx.NotFound):
        link.perform("account.set", wanted, "1P0200000000000000000000000000NOBODY")


def test_no_api_sets_a_score(site: Site) -> None:
    wanted = cx.SetHealth(account=key(site), value=40)
    with pytest.raises(cx.Rejected, match=r"no API that sets a scorecard.*Set Score rule"):
        site.connect().perform("health.set", wanted)
    link = site.connect(health_field="Cxbridge_Health__gc")
    receipt = link.perform("health.set", wanted)
    assert (receipt.stream, receipt.changed) == ("companies", True)
    assert not link.perform("health.set", wanted).changed
    assert link.read("companies")[key(site)].custom == {"written_health": 40.0}
    # The score that people see is another.
    assert link.read("health")[key(site)].value == 10.0
    for wrong in (
        cx.SetHealth(account=key(site), value=140),
        cx.SetHealth(account=key(site), value=1, scheme="Adoption"),
    ):
        with pytest.raises(cx.Rejected):
            link.perform("health.set", wrong)
    with pytest.raises(cx.Rejected, match="cannot be written"):
        site.connect(health_field="CurrentScore").perform("health.set", wanted)


def test_a_person_is_made_once_and_then_changed(site: Site) -> None:
    link = site.connect()
    wanted = cx.SetContact(email="Nia@New.example", name="Nia New", account=key(site), title="Buyer")
    made = link.perform("contact.set", wanted)
    assert made.made == (f"persons/{made.key}",)
    assert not link.perform("contact.set", wanted).changed
    found = link.read("persons")[made.key]
    assert (found.emails, found.account, found.title) == (["nia@new.example"], f"companies/{key(site)}", "Buyer")
    promoted = link.perform("contact.set", cx.SetContact(email="nia@new.example", title="CIO"))
    assert (promoted.key, link.read("persons")[made.key].title) == (made.key, "CIO")
    also = link.perform("contact.set", cx.SetContact(email="nia@new.example", account=key(site, "HL-2")))
    assert "to another company first" in also.told
    assert link.read("persons")[made.key].account == f"companies/{key(site)}"
    assert [effect.key for effect in site.effects("contact.created")] == [made.key]


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (cx.SetContact(email="no address"), "the e-mail address is none"),
        (cx.SetContact(email="a@b.example", title="CIO"), "a title belongs to a company"),
        (cx.SetContact(email="a@b.example", custom={"team": 1}), "no field is called team"),
        (cx.SetContact(email="a@b.example", account="1P0200000000000000000000000000NOBODY"), "GSOBJ_VDTGSID1001"),
    ],
)
def test_a_person_that_cannot_be_is_refused(site: Site, inputs: cx.SetContact, said: str) -> None:
    with pytest.raises(cx.Rejected, match=said):
        site.connect().perform("contact.set", inputs)
    assert site.effects("contact.created") == []


def test_two_persons_of_one_address_are_for_people_to_sort_out(site: Site) -> None:
    with site.world.lock:
        for _ in range(2):
            site.tenant.add("person", {"Email": "twin@x.example", "Name": "Twin"}, via="ui", actor="ui")
    with pytest.raises(cx.Rejected, match="2 persons of Gainsight have this address"):
        site.connect().perform("contact.set", cx.SetContact(email="twin@x.example", name="One"))


# -- webhooks --------------------------------------------------------------------------------------------------------------


def test_what_the_tenant_posts_is_what_the_connector_takes(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    posted: list[cx.Inbound] = []

    def keep(vendor: str, url: str, headers: dict[str, str], body: bytes) -> None:
        lower = {name.lower(): value for name, value in headers.items()}
        posted.append(cx.Inbound("POST", lower, body, {}, site.clock.now()))

    monkeypatch.setattr(site.world.hooks, "send", keep)
    site.people("POST", "webhooks", url="http://127.0.0.1:9/x", token="a-shared-word")
    link = site.connect(webhook_secret="a-shared-word")
    hook = link.gainsight.webhook()
    assert hook is not None
    made = link.perform("task.ensure", ask(site))
    site.people("PATCH", "companies/HL-2", current_score=12, trend="Down")
    site.people("PATCH", "persons/p3@c3.example", title="CIO")
    link.perform("task.close", cx.CloseTask(), made.key)
    seen = []
    for inbound in posted:
        hook.verify(inbound, ["a-shared-word"])
        seen += [(nudge.stream, nudge.key) for nudge in hook.read(inbound).nudges]
    assert seen.count(("ctas", made.key)) == 2
    assert ("health", key(site, "HL-2")) in seen
    assert {stream for stream, _ in seen} == {"ctas", "health", "companies", "persons"}
    for stream, one in seen:
        (declared,) = [found for found in link.gainsight.streams() if found.name == stream]
        assert declared.one is not None
        assert declared.one(link.client, str(one)) is not None
    assert len({hook.read(inbound).event_id for inbound in posted}) == len(posted)


def test_nothing_of_the_vendors_words_is_logged(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.world.faults.add(
        "status", "gainsight", code=400, body={"result": False, "errorCode": "GSOBJ_1012", "errorDesc": "Ines"}
    )
    with caplog.at_level(0), pytest.raises(cx.Rejected) as caught:
        site.connect().read("companies")
    assert "Ines" not in caplog.text + str(caught.value) + repr(caught.value)


def test_the_simulator_is_spoken_to_on_this_machine_alone(site: Site) -> None:
    with httpx.Client(trust_env=False) as web:
        assert web.get(f"{site.sandbox.url('gainsight')}/v1/meta/services/objects/list").status_code == 401
