"""The third-party client zenpy, unmodified, at work against the simulated Zendesk.

It speaks to `https://{subdomain}.zendesk.com`; an adapter in the session it is given, a documented option, leads here.
"""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests
from requests.adapters import HTTPAdapter
from zenpy import Zenpy
from zenpy.lib.api_objects import Comment, Organization, Ticket, User
from zenpy.lib.exception import APIException, RecordNotFoundException

from cxbridge.sandbox import zendesk


class ToLoopback(HTTPAdapter):
    """Sends what is meant for the vendor's host to the sandbox; the request it reports back is the one asked for."""

    def __init__(self, url):
        super().__init__()
        self._target = urlsplit(url)

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):
        asked = request.copy()
        request.url = urlsplit(request.url)._replace(scheme="http", netloc=self._target.netloc).geturl()
        request.headers["Host"] = self._target.netloc
        reply = super().send(request, stream, timeout, verify, cert, proxies)
        reply.request = asked
        return reply


@pytest.fixture
def client(site):
    with requests.Session() as session:
        session.trust_env = False
        session.mount("https://", ToLoopback(site.sandbox.zendesk_url))
        yield Zenpy(subdomain="acme", email="bridge@example.test", token="sandbox-token", session=session)


MIA = {"email": "mia@globex.test"}
ROWS: list[dict[str, Any]] = [
    {"kind": "organization", "name": "Globex", "domains": ["globex.test"]},
    {"kind": "user", "name": "Mia Lee", "email": "mia@globex.test", "organization": "Globex"},
    *(
        {
            "subject": f"Ticket {n}",
            "age": f"{9 - n}d",
            "requester": {"email": "mia@globex.test"},
            "organization": "Globex",
        }
        for n in range(5)
    ),
]


def test_incremental_tickets_by_cursor(site, client):
    zendesk.load(site.world, ROWS)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    found = [(ticket.id, ticket.subject) for ticket in client.tickets.incremental(start_time=start, per_page=2)]

    assert found == [(n + 1, f"Ticket {n}") for n in range(5)]


def test_incremental_tickets_by_time_and_users(site, client):
    zendesk.load(site.world, ROWS)
    start = datetime(2026, 1, 1, tzinfo=UTC)

    by_time = [ticket.id for ticket in client.tickets.incremental(start_time=start, paginate_by_time=True)]

    assert by_time == [1, 2, 3, 4, 5]
    names = {user.name for user in client.users.incremental(start_time=start - timedelta(days=900))}
    assert {"Mia Lee", "cxbridge"} <= names


def test_create_update_and_comment(site, client):
    made = client.tickets.create(
        Ticket(subject="Export fails", description="It stops.", requester=User(name="Mia", email="mia@globex.test"))
    ).ticket
    assert site.world.zendesk.tickets[made.id].description == "It stops."

    ticket = client.tickets(id=made.id)
    assert (ticket.status, ticket.requester.email) == ("new", "mia@globex.test")
    ticket.status = "pending"
    ticket.comment = Comment(body="We look into it.", public=False)
    audit = client.tickets.update(ticket)

    assert audit.ticket.status == "pending"
    comments = list(client.tickets.comments(ticket=made.id))
    assert [(comment.body, comment.public) for comment in comments] == [
        ("It stops.", True),
        ("We look into it.", False),
    ]
    # The client sends only what was touched, so nothing else changed.
    assert site.kinds() == ["user.created", "ticket.created", "comment.added", "ticket.updated"]
    assert len(list(client.tickets.audits(ticket=made.id))) == 2


def test_search_of_users_and_tickets(site, client):
    zendesk.load(site.world, ROWS)

    assert [user.email for user in client.search("mia", type="user")] == ["mia@globex.test"]
    assert [user.name for user in client.users.search(query="mia@globex.test")] == ["Mia Lee"]
    since = datetime(2026, 4, 30, tzinfo=UTC)
    young = client.search(type="ticket", created_after=since, sort_by="created_at", sort_order="asc")
    assert [ticket.id for ticket in young] == [4, 5]
    # zenpy repeats the type inside the query, which the vendor puts up with.
    exported = client.search_export(type="ticket", organization="Globex", cursor_pagination=2)
    assert [ticket.id for ticket in exported] == [5, 4, 3, 2, 1]


def test_lists_tags_organizations_and_bulk(site, client):
    zendesk.load(site.world, ROWS)

    assert len(list(client.tickets())) == 5
    assert [organization.name for organization in client.organizations()] == ["Globex"]
    client.tickets.add_tags(1, ["vip"])
    # The client keeps read tickets in a cache of its own.
    assert site.get("/tickets/1")["ticket"]["tags"] == ["vip"]
    made = client.organizations.create_or_update(Organization(name="Initech", external_id="CRM-9"))
    assert made.external_id == "CRM-9"
    job = client.tickets.create([Ticket(subject="a", description="x"), Ticket(subject="b", description="y")])
    client.job_status(id=job.id)
    assert len(client.job_status(id=job.id).results) == 2
    assert {field.title for field in client.ticket_fields()} >= {"Subject", "Status"}


def test_errors_arrive_as_the_clients_own(site, client):
    with pytest.raises(RecordNotFoundException):
        client.tickets(id=999)
    made = client.tickets.create(Ticket(subject="a", description="b")).ticket
    made.status = "closed"
    client.tickets.update(made)
    made.status = "open"
    with pytest.raises(APIException, match="closed prevents ticket update"):
        client.tickets.update(made)
    assert client.users.me().email == "bridge@example.test"
