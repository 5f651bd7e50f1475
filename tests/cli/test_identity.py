"""`identity`: the queue of suggestions, who somebody is, and decisions that can be taken back, from the command line."""

from pathlib import Path

import pytest

from cxbridge.core.canonical import Account, Contact
from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.ledger import Ref, Run, incoming
from cxbridge.core.store import records, runs
from tests.cli.conftest import Cxbridge

DESK, TRACKER = Ref("zendesk", "organizations", "1"), Ref("jira", "organizations", "7")
SURE, ALSO = Ref("zendesk", "organizations", "2"), Ref("jira", "organizations", "8")


@pytest.fixture
def people(folder: Path) -> Path:
    """The current folder: a few companies in two connections, matched; nothing is asked of a vendor."""
    with Bridge(load(folder / "cxbridge.toml"), read_only=True) as bridge:
        now = bridge.clock.now()
        with bridge.store.write() as tx:
            for ref, entity in (
                (DESK, Account(source_id="1", name="Kestrel Freight Group", domains=["kestrel.test"])),
                (TRACKER, Account(source_id="7", name="Kestrel Freight")),
                (SURE, Account(source_id="2", name="Nordhafen AG", source_key="Nordhafen AG", external_id="HL-1008")),
                (ALSO, Account(source_id="8", name="Nordhafen", external_id="HL-1008")),
                (Ref("zendesk", "users", "9"), Contact(source_id="9", name="Mia Lee", emails=["mia@kestrel.test"])),
            ):
                records.apply(tx, ref.connection, [incoming(ref.stream, entity)], now)
            waits = {"unmatched": {"ref": str(DESK), "kind": "account", "connection": "jira"}}
            runs.start(
                tx,
                Run(
                    id="run_1", recipe="r", version="v", part="steps", key="k", once="o", subject=DESK, state="held",
                    reason="waits", context=waits, started_at=now,
                ),
            )  # fmt: skip
        bridge.identifier.run()
    return folder


def test_the_queue_shows_what_a_person_has_to_decide(cxbridge: Cxbridge, people: Path) -> None:
    ended = cxbridge("identity", "list")
    assert ended.code == 0
    assert "Kestrel Freight Group" in ended.out
    assert "Nordhafen" not in ended.out
    assert "1 confirmed, 1 suggested" in ended.err
    assert "cxbridge identity confirm" in ended.err
    [row] = cxbridge("identity", "list", "--json").data
    assert (row["state"], row["left"], row["right"]) == ("suggested", str(TRACKER), str(DESK))
    assert row["left_name"] == "Kestrel Freight"
    assert row["score"] > 0.8
    assert {one["key"] for one in row["evidence"]} >= {"name"}
    assert [one["decided_by"] for one in cxbridge("identity", "list", "--state", "confirmed", "--json").data] == [
        "rule:external_id"
    ]
    assert len(cxbridge("identity", "list", "--state", "all", "--kind", "account", "--json").data) == 2
    assert cxbridge("identity", "list", "--kind", "contact", "--json").data == []


def test_what_is_asked_wrongly_is_told(cxbridge: Cxbridge, people: Path) -> None:
    for argv, told in (
        (("list", "--state", "sure"), "the states are suggested"),
        (("list", "--kind", "ticket"), "the kinds are account and contact"),
        (("show", "zendesk/organizations/404"), "nothing that is stored"),
        (("unmatched", "nowhere"), "there is no connection"),
    ):
        ended = cxbridge("identity", *argv)
        assert ended.code in (64, 65, 78)
        assert told in ended.err


def test_show_says_who_somebody_is(cxbridge: Cxbridge, people: Path) -> None:
    ended = cxbridge("identity", "show", str(SURE))
    assert "is also  jira/organizations/8 (Nordhafen)" in ended.out
    assert "id:hl-1008" in ended.out
    assert "rule:external_id" in ended.out
    told = cxbridge("identity", "show", str(DESK), "--json").data
    assert told["kind"] == "account"
    assert [one["ref"] for one in told["cluster"]] == [str(DESK)]
    assert told["waiting_runs"] == ["run_1"]
    assert "domain:kestrel.test" in told["keys"]
    assert "not known in any other connection yet" in cxbridge("identity", "show", str(DESK)).out


def test_decisions_can_be_made_and_taken_back(cxbridge: Cxbridge, people: Path) -> None:
    made = cxbridge("identity", "confirm", str(DESK), str(TRACKER), "--by", "mia", "--json")
    assert made.code == 0
    assert [(one["state"], one["decided_by"]) for one in made.data] == [("confirmed", "person:mia")]
    assert cxbridge("identity", "list", "--json").data == []
    assert cxbridge("identity", "split", str(TRACKER), str(DESK)).out.startswith("split: ")
    assert cxbridge("identity", "confirm", str(DESK), str(TRACKER)).code == 0
    assert cxbridge("identity", "reject", str(DESK), str(TRACKER)).out.startswith("rejected: ")
    [row] = cxbridge("identity", "list", "--state", "rejected", "--json").data
    assert row["decided_by"].startswith("person:")
    # A record is named as people call it, too; and leaves its cluster as a whole.
    assert cxbridge("identity", "split", "Nordhafen AG").out.startswith("split: ")
    assert cxbridge("identity", "list", "--state", "confirmed", "--json").data == []
    assert cxbridge("identity", "list", "--json").data == []
    told = cxbridge("why", str(SURE), "--json").data["events"]
    assert any(one["what"] == "identity" and "was taken for" in one["told"] for one in told)


def test_a_decision_that_cannot_be_changes_nothing(cxbridge: Cxbridge, people: Path) -> None:
    before = cxbridge("identity", "list", "--state", "all", "--json").data
    for argv, told in (
        (("confirm", str(DESK), str(SURE)), "both in zendesk"),
        (("confirm", str(DESK), "zendesk/users/9"), "both in zendesk"),
        (("split", str(DESK), str(TRACKER)), "nothing to split"),
        (("split", str(DESK)), "nothing to split"),
    ):
        ended = cxbridge("identity", *argv)
        assert ended.code == 65
        assert told in ended.err
    assert cxbridge("identity", "list", "--state", "all", "--json").data == before


def test_the_unmatched_are_counted_and_who_is_waited_for_comes_first(cxbridge: Cxbridge, people: Path) -> None:
    told = cxbridge("identity", "unmatched", "--json").data
    assert {
        (one["connection"], one["kind"]): (one["records"], one["matched"], one["unmatched"]) for one in told["counts"]
    } == {
        ("jira", "account"): (2, 1, 1),
        ("zendesk", "account"): (2, 1, 1),
        ("zendesk", "contact"): (1, 0, 1),
    }
    first = told["unmatched"][0]
    assert (first["ref"], first["waiting"]) == (str(DESK), 1)
    assert first["likeliest"] == f"{TRACKER} (Kestrel Freight)"
    words = cxbridge("identity", "unmatched", "jira")
    assert str(TRACKER) in words.out
    assert "users/9" not in words.out


def test_pulling_matches_what_it_brought(cxbridge: Cxbridge, folder: Path) -> None:
    assert cxbridge("pull", "zendesk").code == 0
    told = cxbridge("identity", "unmatched", "zendesk", "--kind", "account", "--json").data
    assert told["counts"][0]["records"] >= 24


def test_each_decision_is_entered_in_the_audit_chain(cxbridge: Cxbridge, people: Path) -> None:
    assert cxbridge("identity", "confirm", str(DESK), str(TRACKER), "--by", "mia").code == 0
    assert cxbridge("identity", "split", str(TRACKER), str(DESK), "--by", "mia").code == 0
    assert cxbridge("identity", "reject", str(DESK), str(TRACKER), "--by", "leo").code == 0
    assert cxbridge("identity", "split", "Nordhafen AG", "--by", "leo").code == 0
    assert cxbridge("identity", "split", str(DESK), str(TRACKER)).code == 65
    rows = cxbridge("audit", "list", "--json").data[::-1]
    assert [(one["what"].removeprefix("identity."), one["name"]) for one in rows] == [
        ("confirmed", "mia"), ("split", "mia"), ("rejected", "leo"), ("split", "leo"),
    ]  # fmt: skip
    assert {rows[0]["subject"], *rows[0]["detail"]["others"]} == {str(DESK), str(TRACKER)}
    assert cxbridge("audit", "verify").code == 0
