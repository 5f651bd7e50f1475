"""Two whole conversations with a site, composed in the form of recordings: what is sent, byte for byte."""

from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import httpx
import pytest
import vcr

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client

from .conftest import MARKER, settings

JIRA = settings()
TAPES = Path(__file__).parent / "tapes"


@pytest.fixture
def play(clock: ManualClock) -> Iterator[Callable[[str], cx.Client]]:
    """Open a client whose site is a tape; the test fails when something was not asked for."""
    opened: list[tuple[cx.Client, vcr.cassette.Cassette]] = []
    recorder = vcr.VCR(record_mode="none", match_on=("method", "scheme", "host", "path", "query", "body"))
    client = open_client(
        JIRA.endpoint(),
        connection="tracker",
        clock=clock,
        tokens=MemoryTokens(),
        transport=httpx.HTTPTransport(trust_env=False),
        random=Random(1),
    )
    tapes = []

    def begin(name: str) -> cx.Client:
        tape = recorder.use_cassette(str(TAPES / f"{name}.yaml"))
        opened.append((client, tape.__enter__()))
        tapes.append(tape)
        return client

    yield begin
    client.close()
    for tape in tapes:
        tape.__exit__(None, None, None)
    for _, cassette in opened:
        assert cassette.all_played


def pull(client: cx.Client, name: str, cursor: cx.Json) -> list[cx.Page]:
    (stream,) = [one for one in JIRA.streams() if one.name == name]
    assert stream.pages is not None
    return list(stream.pages(client, cursor))


def test_a_pull(play: Callable[[str], cx.Client]) -> None:
    client = play("pull")
    pages = pull(client, "issues", None)
    issues = {entity.source_key: entity for page in pages for entity in page.entities if isinstance(entity, cx.Ticket)}
    assert list(issues) == ["ENG-7", "OPS-4"]
    assert (issues["ENG-7"].status_category, issues["ENG-7"].resolution) == ("resolved", "fixed")
    incident = issues["OPS-4"]
    assert (incident.type, incident.priority, incident.requester) == ("incident", "urgent", "users/qm:0f0c:1a2b")
    assert incident.body_text == "See https://status.example.test/\n@Ana Kowalska\n\n- since Monday"
    assert cx.Contact(source_id="qm:0f0c:1a2b", name="Mia Lee") in pages[1].beside["users"]
    cursor = {
        **pages[1].cursor,
        "since": 1_778_050_000_000,
        "scope": ["project=ENG", "project=OPS", "comment", "project", "updated"],
    }
    comments = [
        one for page in pull(client, "comments", cursor) for one in page.entities if isinstance(one, cx.Comment)
    ]
    assert [(one.source_id, one.visibility, one.author_kind) for one in comments] == [
        ("10006", "public", "agent"),
        ("10007", "internal", "agent"),
        ("10008", "public", "customer"),
    ]


def test_an_escalation(play: Callable[[str], cx.Client], clock: ManualClock) -> None:
    client = play("escalation")
    actions = {action.name: action for action in JIRA.actions()}

    def do(name: str, inputs: cx.Inputs, target: str | None = None) -> cx.Receipt:
        return actions[name].perform(client, cx.Call(inputs=inputs, marker=MARKER, target=target))

    inputs = cx.EnsureTicket(
        subject="Export job stops at 40%",
        body="Reported by Globex.",
        project="ENG",
        type="bug",
        priority="high",
        labels=["vip"],
    )
    made = do("issue.ensure", inputs)
    assert made.source_key == "ENG-90"
    assert (
        do("comment.add_once", cx.AddComment(visibility="internal", body="Customer is waiting."), made.key).key
        == "10201"
    )
    link = cx.EnsureLink(
        system="zendesk", key="5512", ref="desk/tickets/5512", url="https://acme.zendesk.com/agent/tickets/5512"
    )
    assert do("link.ensure", link, made.key).changed
    before = clock.now()
    moved = do("issue.transition", cx.Transition(to="resolved", resolution="declined"), made.key)
    assert moved.wrote["resolution"] == "declined"
    assert moved.told == "by way of In Progress"
    assert (clock.now() - before).total_seconds() >= 2  # the burst limit on the way was waited out
