"""The connector played back against tapes: whole exchanges, composed for this project, of a small account."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import vcr

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.plugins.zendesk import Zendesk

TAPES = Path(__file__).parent / "tapes"
MARKER = "cxb:0123456789abcdef"


@pytest.fixture
def client(connect: Callable[..., Zendesk], clock: ManualClock) -> Iterator[cx.Client]:
    """A client whose every request must be on the tape, parameter by parameter and body by body."""
    account = connect()
    with open_client(
        account.endpoint(),
        connection="support",
        clock=clock,
        tokens=MemoryTokens(),
        transport=httpx.HTTPTransport(trust_env=False),
    ) as opened:
        yield opened


def played(tape: str) -> Any:
    player = vcr.VCR(record_mode="none", match_on=["method", "scheme", "host", "path", "query", "body"])
    return player.use_cassette(str(TAPES / f"{tape}.yaml"))


def test_a_first_pull(connect, client):
    account = connect(per_page=1)
    streams = {stream.name: stream for stream in account.streams()}
    with played("first_pull_of_a_small_account") as tape:
        pages = {}
        for name in ("tickets", "users", "organizations", "comments"):
            read = streams[name].pages
            assert read is not None
            pages[name] = [page.mapped(name) for page in read(client, None)]
        assert tape.all_played
    found = {name: [entity for page in read for entity in page.entities] for name, read in pages.items()}
    assert [(e.source_id, e.status_category, e.waiting_on, e.status_native) for e in found["tickets"]] == [
        ("1", "open", "none", "Open"),
        ("2", "waiting", "third_party", "With engineering"),
    ]
    assert {type(e).__name__ for e in found["users"]} == {"Contact", "Agent"}
    [company] = [e for e in found["organizations"] if e.name == "Globex"]
    assert (company.tier, company.external_id) == ("gold", "crm-77")
    assert [(e.ticket, e.visibility, e.body_text) for e in found["comments"]] == [
        ("tickets/1", "public", "At 40%."),
        ("tickets/2", "public", "Again."),
    ]
    assert [reason for read in pages.values() for page in read for reason in page.refused] == []


def test_an_escalation(connect, client):
    actions = {action.name: action for action in connect().actions()}

    def do(name, inputs, marker=MARKER, key="1"):
        return actions[name].perform(client, cx.Call(inputs, marker, key))

    with played("escalation_of_a_ticket") as tape:
        said = do("comment.add_once", cx.AddComment(visibility="internal", body="Escalated as ENG-12."))
        linked = do("link.ensure", cx.EnsureLink(system="jira", key="ENG-12", ref="jira/issues/10012"))
        waiting = do("ticket.set", cx.SetTicket(status_category="waiting", tags_add=["Escalated"]))
        made = do("ticket.ensure", cx.EnsureTicket(subject="Call Mia back"), "cxb:fedcba9876543210", None)
        assert tape.all_played
    assert len(said.made) == 1
    assert linked.wrote == {"external_id": "cxb:jira:ENG-12"}
    assert waiting.wrote == {
        "status_category": "waiting",
        "waiting_on": "requester",
        "status_native": "Pending",
        "status_native_id": waiting.wrote["status_native_id"],
        "tags": ["escalated", "vip"],
    }
    assert made.made[0] == f"tickets/{made.key}"
