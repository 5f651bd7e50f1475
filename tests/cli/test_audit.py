"""`audit`: what was written and decided is listed, and a chain that somebody touched ends the command with 65."""

import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.store import outbox
from tests.cli.conftest import Cxbridge


def _rows(cxbridge: Cxbridge, *more: str) -> Any:
    return cxbridge("audit", "list", "--json", *more).data


def _touch(words: str) -> None:
    [file] = Path().glob("*.db")
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(words)
    connection.close()


def test_what_was_written_is_listed(cxbridge: Cxbridge, played: Path) -> None:
    rows = _rows(cxbridge, "--limit", "1000")
    assert len(rows) > 50
    assert [one["entry"] for one in rows] == list(range(len(rows), 0, -1))
    assert {one["what"] for one in rows} <= {"write.confirmed", "write.adopted"}
    one = next(row for row in rows if row["detail"]["action"] == "issue.ensure")
    words = cxbridge("audit", "list", "--run", one["detail"]["run"])
    assert f"→ {one['detail']['ref']}" in words.out
    assert "recipe:escalation-to-jira" in words.out
    assert words.err == ""


def test_entries_are_chosen_by_subject_run_and_time(cxbridge: Cxbridge, played: Path) -> None:
    rows = _rows(cxbridge, "--limit", "1000")
    one = next(row for row in rows if row["detail"]["action"] == "issue.ensure")
    of_run = _rows(cxbridge, "--run", one["detail"]["run"])
    assert {row["detail"]["run"] for row in of_run} == {one["detail"]["run"]}
    number = one["subject"].rpartition("/")[2]
    about = _rows(cxbridge, "--subject", number)
    assert about == _rows(cxbridge, "--subject", one["subject"])
    assert one["entry"] in [row["entry"] for row in about]
    assert one["entry"] in [row["entry"] for row in _rows(cxbridge, "--subject", one["detail"]["ref"])]
    assert len(_rows(cxbridge, "--since", "3650d", "--limit", "1000")) == len(rows)
    assert _rows(cxbridge, "--since", "2999-01-01") == []
    ended = cxbridge("audit", "list", "--run", "run_nothing")
    assert (ended.code, ended.err) == (0, "no entry matches\n")
    assert cxbridge("audit", "list", "--limit", "1").err == "the newest 1: older ones with --limit\n"


@pytest.mark.parametrize("since", ["yesterday", "7", "2026-13-01"])
def test_what_is_no_time_is_refused(cxbridge: Cxbridge, played: Path, since: str) -> None:
    ended = cxbridge("audit", "list", "--since", since)
    assert ended.code == 64
    assert "2026-05-06" in ended.err


def test_a_decision_is_listed_with_the_name_of_whoever_took_it(
    cxbridge: Cxbridge, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Ada Blum")
    with Bridge(load(Path("cxbridge.toml"))) as bridge, bridge.store.write() as tx:
        one, other, *_ = outbox.find(tx, state="confirmed")
        for delivery in (one, other):
            outbox.update(tx, msgspec.structs.replace(delivery, state="dead", error_code="rejected"))
    assert cxbridge("dead", "drop", one.id).code == 0
    assert cxbridge("dead", "retry", other.id).code == 0
    retried, dropped = _rows(cxbridge, "--limit", "2")
    assert (dropped["what"], dropped["name"], dropped["detail"]["delivery"]) == ("dead.dropped", "Ada Blum", one.id)
    assert (retried["what"], retried["name"], retried["detail"]["delivery"]) == ("dead.retried", "Ada Blum", other.id)
    assert dropped["actor"].startswith("person:")
    assert "Ada Blum" in cxbridge("audit", "list", "--subject", one.id).out
    assert cxbridge("audit", "verify").code == 0
    assert all(b"Ada Blum" not in file.read_bytes() for file in Path().glob("*.db*"))


def test_a_name_is_forgotten_and_the_chain_stays_whole(
    cxbridge: Cxbridge, played: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: "Ada Blum")
    with Bridge(load(Path("cxbridge.toml"))) as bridge, bridge.store.write() as tx:
        [one] = outbox.find(tx, state="confirmed", limit=1)
        outbox.update(tx, msgspec.structs.replace(one, state="dead", error_code="rejected"))
    assert cxbridge("dead", "drop", one.id).code == 0
    [row] = _rows(cxbridge, "--limit", "1")
    monkeypatch.setattr("getpass.getuser", lambda: "Grace")
    assert cxbridge("audit", "forget", row["actor"]).code == 0
    forgotten, dropped = _rows(cxbridge, "--limit", "2")
    assert (forgotten["what"], forgotten["name"], forgotten["subject"]) == ("person.forgotten", "Grace", row["actor"])
    assert (dropped["actor"], dropped["name"]) == (row["actor"], None)
    assert cxbridge("audit", "verify").code == 0
    again = cxbridge("audit", "forget", row["actor"])
    assert (again.code, "no name is kept" in again.err) == (65, True)


def test_verify_tells_the_head_and_the_first_entry_that_does_not_fit(cxbridge: Cxbridge, played: Path) -> None:
    whole = cxbridge("audit", "verify")
    assert whole.code == 0
    head = whole.out.split()[-1]
    assert whole.out.endswith(f" entries fit\nhead {head}\n")
    assert cxbridge("audit", "verify", "--head", head).code == 0
    told = cxbridge("audit", "verify", "--json").data
    assert (told["whole"], told["head"], told["first_wrong"]) == (True, head, None)

    _touch("UPDATE audit SET detail = replace(detail, 'jira', 'Jira') WHERE seq = 7")
    ended = cxbridge("audit", "verify")
    assert (ended.code, ended.out) == (65, "")
    assert "entry 7" in ended.err
    assert "cxbridge audit verify --after 7" in ended.err
    ended = cxbridge("audit", "verify", "--json")
    assert (ended.code, ended.data["first_wrong"], ended.data["head"]) == (65, 7, None)
    assert cxbridge("audit", "verify", "--after", "7").code == 0


def test_verify_misses_a_tail(cxbridge: Cxbridge, played: Path) -> None:
    head = cxbridge("audit", "verify").out.split()[-1]
    count = int(head.partition(":")[0])
    _touch(f"DELETE FROM audit WHERE seq > {count - 3}")
    ended = cxbridge("audit", "verify")
    assert ended.code == 65
    assert f"it ends at {count - 3}, and the head says {count}: its end was cut off" in ended.err


def test_a_head_that_is_none_is_refused(cxbridge: Cxbridge, played: Path) -> None:
    ended = cxbridge("audit", "verify", "--head", "7")
    assert ended.code == 64
    assert "NUMBER:DIGEST" in ended.err
