"""The Zendesk connector keeps the contract, against the simulated account."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.zendesk import Zendesk
from cxbridge.sandbox.zendesk import desk
from cxbridge.testing import ConnectorContract, Lab, Simulated, Trial, simulated

COMPANY = """
{"kind": "organization", "name": "Globex", "external_id": "crm-77", "domains": ["globex.test"], "tier": "gold"}
{"kind": "organization", "name": "Initech", "domains": ["initech.test"]}
{"kind": "organization", "name": "Hooli", "domains": ["hooli.test"]}
{"kind": "group", "name": "Tier 2"}
{"kind": "custom_status", "agent_label": "With engineering", "status_category": "hold"}
{"kind": "ticket_field", "title": "Region", "type": "text", "id": 902}
{"kind": "user", "name": "Mia Lee", "email": "mia@globex.test", "organization": "Globex"}
{"kind": "user", "name": "Ana Agent", "email": "ana@example.test", "role": "agent"}
{"kind": "article", "title": "Refunds", "body": "<p>Within 14 days.</p>"}
{"kind": "article", "title": "Exports", "body": "<p>At night.</p>"}
{"kind": "ticket", "id": 1, "subject": "Export fails", "description": "At 40%.", "requester": {"email": "mia@globex.test"}, "age": "4d", "status": "open", "tags": ["vip"], "priority": "high"}
{"kind": "ticket", "id": 2, "subject": "Login loops", "description": "Again.", "requester": {"email": "mia@globex.test"}, "age": "3d", "status": "hold", "custom_status": "With engineering"}
{"kind": "ticket", "id": 3, "subject": "Old", "description": "Done.", "requester": {"email": "mia@globex.test"}, "age": "9d", "status": "closed", "satisfaction": {"score": "good", "comment": "Quick!"}}
{"kind": "ticket", "id": 4, "subject": "Slow", "description": "Since May.", "requester": {"email": "leo@initech.test"}, "age": "2d", "status": "solved", "satisfaction": {"score": "bad"}}
{"kind": "ticket", "id": 5, "subject": "Invoice", "description": "Twice.", "requester": {"email": "leo@initech.test"}, "age": "1d", "status": "solved", "satisfaction": {"score": "good"}}
{"kind": "ticket", "id": 6, "subject": "Refund", "description": "Please.", "requester": {"email": "leo@initech.test"}, "age": "1d", "status": "open"}
{"kind": "ticket", "id": 7, "subject": "Export stops", "description": "At 41%.", "requester": {"email": "mia@globex.test"}, "age": "1d", "status": "open"}
"""  # noqa: E501  # one record a line is how the sandbox reads them

AT_ONCE = "the simulator gives a thousand at once; several pages are walked in tests/plugins/zendesk/test_streams.py"
NO_RATINGS = "a plan without ratings answers so: the pull says it in `refused`, leaves the cursor and goes on"
NO_GUIDE = "a plan without Guide answers so: the pull says it in `refused`, leaves the cursor and goes on"


class TestZendesk(ConnectorContract):
    waivers: ClassVar[Mapping[str, str]] = {
        "streams_have_pages: articles": AT_ONCE,
        "refs_lead_to_declared_streams: tickets.brand": "brands are told apart by it, and have no stream to be read from",
        "refs_lead_to_declared_streams: articles.container": "sections group articles, and have no stream to be read from",
        "refusals_mean_what_the_error_table_says: satisfaction_ratings 403": NO_RATINGS,
        "refusals_mean_what_the_error_table_says: satisfaction_ratings 404": NO_RATINGS,
        "refusals_mean_what_the_error_table_says: articles 401": NO_GUIDE,
        "refusals_mean_what_the_error_table_says: articles 403": NO_GUIDE,
        "refusals_mean_what_the_error_table_says: articles 404": NO_GUIDE,
    }

    @pytest.fixture
    def lab(self) -> Iterator[Lab]:
        with simulated("zendesk", COMPANY, options={"limits": None}) as account:
            yield Lab(
                connector=Zendesk,
                settings={
                    "url": account.url,
                    "client_id": "cxbridge",
                    "client_secret": "sandbox-secret",
                    "fields": {"region": 902},
                },
                trials=TRIALS,
                effects=account.effects,
                change=lambda stream: changed(account, stream),
                clock=account.clock,
                # Exports hold the last minute back.
                lag=61,
                page_size={"per_page": 2, "page[size]": 2, "/ticket_events.json?per_page": 4},
            )


TRIALS = (
    Trial("ticket.ensure", cx.EnsureTicket(subject="Call back", body="They asked.", requester_email="leo@globex.test")),
    Trial("ticket.set", cx.SetTicket(priority="low", tags_add=["seen"], custom={"region": "emea"}), "1", "fields"),
    Trial("ticket.set", cx.SetTicket(note="We wait for you.", note_visibility="internal"), "2", "note"),
    Trial("ticket.transition", cx.Transition(to="waiting"), "5"),
    Trial("comment.add_once", cx.AddComment(visibility="internal", body="With engineering now."), "4"),
    Trial("tags.set", cx.SetTags(add=["escalated"], remove=["vip"]), "1"),
    Trial("link.ensure", cx.EnsureLink(system="jira", key="ENG-12", ref="tracker/issues/10001"), "1"),
)


def changed(account: Simulated, stream: str) -> str | None:
    """Somebody works in Zendesk's own pages."""

    def ui(method: str, path: str, body: dict[str, Any]) -> Any:
        with account.world.lock:
            return desk.control(account.world.zendesk, method, path, body)[1]

    # Zendesk's times are whole seconds.
    account.clock.advance(1)
    match stream:
        case "tickets":
            return str(ui("PATCH", "tickets/2", {"priority": "urgent"})["ticket"]["id"])
        case "comments":
            ui("PATCH", "tickets/2", {"comment": {"body": "Still so?", "public": False}})
            return str(max(said["id"] for said in ui("GET", "tickets/2", {})["comments"]))
        case "users":
            [mia] = [user.id for user in account.world.zendesk.users.values() if user.name == "Mia Lee"]
            return str(ui("PATCH", f"users/{mia}", {"name": "Mia Leeds"})["user"]["id"])
        case "organizations":
            return str(ui("POST", "organizations", {"name": "Umbrella"})["organization"]["id"])
        case "satisfaction_ratings":
            ui("PATCH", "tickets/5", {"satisfaction": {"score": "bad", "comment": "On second thoughts."}})
            return str(next(rating.id for rating in account.world.zendesk.ratings.values() if rating.ticket_id == 5))
        case "articles":
            return str(ui("POST", "articles", {"title": "Limits", "body": "<p>Forty docks.</p>"})["article"]["id"])
    return None
