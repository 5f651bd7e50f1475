"""What plays the world around a measurement, against what it is measured with: the connectors read and accept it."""

import asyncio
import json
import re
from datetime import UTC, datetime
from urllib.parse import quote_plus

import msgspec
import pytest

from benchmarks import measure, together
from benchmarks.mock_vendors import Desk, Tracker
from benchmarks.sending import Sender, signed
from benchmarks.wire import Asked, Line
from cxbridge.core.connector import Inbound
from cxbridge.plugins.jira import wire as jira
from cxbridge.plugins.zendesk import webhooks as zendesk
from cxbridge.plugins.zendesk import wire as desk


def test_a_delivery_is_signed_as_the_connector_wants_it_and_names_the_ticket() -> None:
    headers, body = signed(4017, "a-secret")
    inbound = Inbound("POST", headers, body, {}, datetime.now(UTC))
    zendesk.verify(inbound, ["a-secret"])
    announced = zendesk.read(inbound)
    assert [(one.stream, one.key) for one in announced.nudges] == [("tickets", "4017")]
    assert (
        announced.event_id == zendesk.read(Inbound("POST", *signed(4017, "a-secret"), {}, datetime.now(UTC))).event_id
    )


def test_a_delivery_says_itself_whether_its_ticket_asks_for_an_issue() -> None:
    told = {number: json.loads(signed(number, "a-secret")[1])["detail"]["priority"] for number in (6, 7)}
    assert told == {6: "URGENT", 7: "LOW"}
    assert [Desk.urgent(number) for number in told] == [True, False]


def test_every_second_ticket_asks_for_an_issue() -> None:
    for number in (6, 7):
        shown = msgspec.convert(json.loads(Desk().ticket(number))["ticket"], desk.Ticket)
        assert (shown.id, shown.priority == "urgent") == (number, Desk.urgent(number))


def test_an_issue_is_counted_by_its_ticket_and_found_by_its_label() -> None:
    tracker = Tracker()
    fields = {"summary": "[#4017] Late", "labels": ["cxb-1"]}
    body = json.dumps({"fields": fields, "properties": [{"key": "cxbridge.link", "value": {"marker": "m"}}]}).encode()
    for arrived in (1.5, 2.5):
        msgspec.json.decode(tracker.create(body, arrived), type=jira.Created)
    assert tracker.arrivals == {"4017": [1.5, 2.5]}
    [row] = msgspec.json.decode(tracker.search(quote_plus('labels = "cxb-1"')), type=jira.SearchPage).issues
    issue = msgspec.json.decode(row, type=jira.Issue)
    assert (issue.id, issue.properties) == ("1", {"cxbridge.link": {"marker": "m"}})
    assert msgspec.json.decode(tracker.search(quote_plus("project in (ENG)")), type=jira.SearchPage).issues == []


def test_the_played_vendors_answer_over_a_kept_alive_connection_and_end_with_their_input() -> None:
    async def ask(url: str) -> list[tuple[int, bytes]]:
        line = Line(url)
        targets = ["/api/v2/tickets/2.json", "/api/v2/tickets/2/comments.json", "/nowhere", "/arrivals"]
        told = [await line.request("GET", target) for target in targets]
        await line.close()
        return told

    with measure.server("benchmarks.mock_vendors") as (url, _):
        told = asyncio.run(ask(url))
    assert [status for status, _ in told] == [200, 200, 404, 200]
    assert json.loads(told[0][1])["ticket"]["id"] == 2
    assert json.loads(told[3][1]) == {}


def test_a_sender_comes_again_until_it_is_accepted() -> None:
    refused = 2

    async def play() -> None:
        nonlocal refused

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal refused
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(re.findall(rb"content-length: (\d+)", head)[0]))
            if refused:
                refused -= 1
                writer.close()
                return
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await asyncio.to_thread(sender_to(port).at_once, [7], 1)
        server.close()

    senders: list[Sender] = []

    def sender_to(port: int) -> Sender:
        senders.append(Sender(f"http://127.0.0.1:{port}/hook", "a-secret"))
        return senders[0]

    asyncio.run(play())
    assert refused == 0
    assert senders[0].sent.first.keys() == senders[0].sent.accepted.keys() == {7}


def test_a_request_gives_its_headers() -> None:
    asked = Asked("POST", "/hook", "HTTP/1.1\r\nHost: here\r\nX-One: two\r\n", b"", 0.0)
    assert (asked.header("x-one"), asked.header("x-two")) == ("two", "")


CHILD = "tests.benchmarks.worker_child"


def test_several_processes_begin_at_one_word_and_their_shares_are_told() -> None:
    worked = together.work("two", [[CHILD, "3"], [CHILD, "4"]])
    assert [one["steps"] for one in worked.told] == [3, 4]
    assert worked.cpu == 1.0
    assert worked.seconds > 0


def test_one_of_several_that_fails_makes_all_fail() -> None:
    with pytest.raises(measure.Failed, match=r"two failed with \[0, 3\]"):
        together.work("two", [[CHILD, "3"], [CHILD, "fail"]])
    with pytest.raises(measure.Failed, match="nobody did not start"):
        together.work("nobody", [["tests.benchmarks.no_such_child"]])
