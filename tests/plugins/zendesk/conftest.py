"""What the Zendesk tests share: an account with its settings, a vendor that answers as told, records to answer with."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
import respx

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.http import MemoryTokens, open_client
from cxbridge.plugins.zendesk import Zendesk

SITE = "https://acme.zendesk.com"
MARKER = "cxb:0123456789abcdef"

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def connect() -> Callable[..., Zendesk]:
    """Make a connection with settings of its own."""

    def make(**settings: Any) -> Zendesk:
        return Zendesk.model_validate({"subdomain": "acme", "access_token": "fine", **settings})

    return make


@pytest.fixture
def account(connect: Callable[..., Zendesk]) -> Zendesk:
    """An account whose custom field 901 is known as `severity` and 902 as `region`."""
    oauth = {"client_id": "cxbridge", "client_secret": "hush", "access_token": None}
    return connect(**oauth, fields={"severity": 901, "region": 902})


@pytest.fixture
def desk() -> Iterator[respx.MockRouter]:
    """The vendor: answers what a test says, and gives a token to everybody."""
    with respx.mock(base_url=SITE, assert_all_called=False) as router:
        token = {"access_token": "given", "token_type": "bearer", "scope": "read write"}
        router.post("/oauth/tokens", name="token").respond(201, json=token)
        yield router


@pytest.fixture
def client(account: Zendesk, desk: respx.MockRouter, clock: ManualClock) -> Iterator[cx.Client]:
    """A client of the account, whose waiting costs no time."""
    transport = httpx.MockTransport(desk.handler)
    with open_client(
        account.endpoint(), connection="support", clock=clock, tokens=MemoryTokens(), transport=transport
    ) as opened:
        yield opened


@pytest.fixture
def make_ticket() -> Make:
    """Make a ticket as Zendesk writes it, with some fields given other values."""

    def make(id_: int = 5512, **changed: Any) -> dict[str, Any]:
        return {
            "id": id_,
            "url": f"{SITE}/api/v2/tickets/{id_}.json",
            "external_id": None,
            "via": {"channel": "email", "source": {"from": {"address": "mia@globex.test"}, "to": {}, "rel": None}},
            "created_at": "2026-05-06T08:16:30Z",
            "updated_at": "2026-05-06T08:40:11Z",
            "generated_timestamp": 1778056811,
            "type": "incident",
            "subject": "Export job fails",
            "raw_subject": "Export job fails",
            "description": "The nightly export stops at 40%.",
            "priority": "high",
            "status": "open",
            "custom_status_id": None,
            "requester_id": 46407218913169,
            "submitter_id": 46407218913169,
            "assignee_id": 46406145565073,
            "organization_id": 46407153235345,
            "group_id": 46406158244625,
            "brand_id": 46406158162961,
            "collaborator_ids": [],
            "follower_ids": [],
            "email_cc_ids": [],
            "problem_id": None,
            "due_at": None,
            "tags": ["vip", "export"],
            "custom_fields": [{"id": 901, "value": None}, {"id": 777, "value": "nightly"}],
            "fields": [{"id": 901, "value": None}, {"id": 777, "value": "nightly"}],
            "satisfaction_rating": {"score": "unoffered"},
            "support_type": "agent",
            **changed,
        }

    return make


@pytest.fixture
def make_comment() -> Make:
    """Make a comment as a ticket's comment list writes it."""

    def make(id_: int, *, marker: str | None = None, **changed: Any) -> dict[str, Any]:
        return {
            "id": id_,
            "type": "Comment",
            "author_id": 46406145565073,
            "body": "Looking into it.",
            "html_body": '<div class="zd-comment" dir="auto">Looking into it.</div>',
            "plain_body": "Looking into it.",
            "public": False,
            "attachments": [],
            "audit_id": id_ + 1,
            "via": {"channel": "web", "source": {"from": {}, "to": {}, "rel": None}},
            "metadata": {"system": {}, "custom": {} if marker is None else {"cxbridge": marker}},
            "created_at": "2026-05-06T08:40:11Z",
            **changed,
        }

    return make


@pytest.fixture
def call() -> Callable[..., cx.Call]:
    """Plan a write on ticket 5512."""

    def plan(inputs: cx.Inputs, target: str | None = "5512") -> cx.Call:
        return cx.Call(inputs, MARKER, target)

    return plan


@pytest.fixture
def perform(account: Zendesk, client: cx.Client) -> Callable[[str, cx.Call], cx.Receipt]:
    """Do a planned write by the name of its action."""
    actions = {action.name: action for action in account.actions()}
    return lambda name, planned: actions[name].perform(client, planned)


@pytest.fixture
def find(account: Zendesk, client: cx.Client) -> Callable[[str, cx.Call], cx.Receipt | None]:
    """Look for the effect of an earlier write."""
    actions = {action.name: action for action in account.actions()}

    def look(name: str, planned: cx.Call) -> cx.Receipt | None:
        lookup = actions[name].find
        assert lookup is not None
        return lookup(client, planned)

    return look


@pytest.fixture
def pull(account: Zendesk, client: cx.Client) -> Callable[..., list[cx.Page]]:
    """Pull a stream to its end from a cursor."""
    streams = {stream.name: stream for stream in account.streams()}

    def pages(name: str, cursor: cx.Json = None) -> list[cx.Page]:
        read = streams[name].pages
        assert read is not None
        return [page.mapped(name) for page in read(client, cursor)]

    return pages
