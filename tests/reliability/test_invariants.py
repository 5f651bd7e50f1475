"""The judges of a database image: they pass what is right, and each of their checks fails on an image that is wrong."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from cxbridge.core.ledger import Incoming
from cxbridge.core.store import Store, keyfile, records
from tests.reliability.invariants import checkpoint_ahead, judge_store, leaks, read_again
from tests.reliability.shapes import shape_of
from tests.reliability.stage import Ground, Stage
from tests.reliability.sweep import SECRETS


@pytest.fixture
def stage(ground: Ground) -> Iterator[Stage]:
    """The world after an escalation that went well."""
    shape = shape_of("escalate")
    with ground.stage(shape.setting) as staged:
        for _ in shape.story(staged):
            staged.settle()
        yield staged


def found(stage: Stage, folder: Path, *statements: str, at_rest: bool = False, **more: object) -> list[str]:
    """What is wrong with a copy of the store after some statements: the invariants, and in what words."""
    stage.bridge.close()
    place = folder / f"copy-{len(list(folder.iterdir()))}"
    place.mkdir()
    shutil.copyfile(stage.folder / "cxbridge.db", place / "cxbridge.db")
    with sqlite3.connect(place / "cxbridge.db") as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()
    key = keyfile.load_or_create(stage.configuration.key_file)
    store = Store.open(f"sqlite:///{place}/cxbridge.db", clock=stage.clock, key=key, writing=False)
    try:
        return [f"{one.invariant} {one.what}" for one in judge_store(store, at_rest=at_rest, **more)]  # type: ignore[arg-type]
    finally:
        store.close()


def test_an_escalation_that_went_well_leaves_nothing_to_say(stage: Stage, tmp_path: Path) -> None:
    assert judge_store(stage.bridge.store, journal=stage.world.journal, at_rest=True) == []
    assert checkpoint_ahead(stage.bridge, stage.setting.streams) == []
    assert leaks(stage.folder, SECRETS) == []
    assert read_again(stage.world.journal, 0) == []
    assert found(stage, tmp_path, at_rest=True) == []


CONFIRMED = "id = (SELECT min(id) FROM deliveries)"


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        (f"DELETE FROM deliveries WHERE {CONFIRMED}", "I8 8 deliveries were planned, and 7 are known"),
        (f"UPDATE deliveries SET state = 'lost' WHERE {CONFIRMED}", "is in the state 'lost'"),
        (f"UPDATE deliveries SET run = 'run_none' WHERE {CONFIRMED}", "belongs to no run"),
        ("DELETE FROM receipts", "is confirmed and has no receipt"),
        (f"UPDATE deliveries SET state = 'planned' WHERE {CONFIRMED}", "is planned and has a receipt"),
        ("UPDATE runs SET state = 'running', ended_at = NULL", "is running and has no open delivery"),
        ("UPDATE runs SET ended_at = NULL", "is done and ended at None"),
        ("UPDATE runs SET state = 'waiting', ended_at = NULL", "waits for nothing"),
        ("UPDATE audit SET actor = 'recipe:other' WHERE seq = 3", "I10 the audit chain does not verify: entry 3"),
        ("DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)", "I10 the audit chain does not verify"),
        (
            f"UPDATE deliveries SET state = 'dead' WHERE {CONFIRMED}",
            "is entered in the chain as done, and is not confirmed",
        ),
    ],
)
def test_an_image_that_is_wrong_is_called_so(stage: Stage, tmp_path: Path, statement: str, told: str) -> None:
    said = found(stage, tmp_path, statement)
    assert any(told in one for one in said), said


def test_a_delivery_that_nobody_entered_in_the_chain_is_missed(stage: Stage, tmp_path: Path) -> None:
    said = found(stage, tmp_path, "DELETE FROM audit", "DELETE FROM meta WHERE name LIKE 'audit%'")
    assert sum("is confirmed, and entered in the chain 0 times" in one for one in said) == 8, said


def test_what_is_under_way_is_wrong_at_rest_alone(stage: Stage, tmp_path: Path) -> None:
    words = f"UPDATE deliveries SET state = 'retry' WHERE {CONFIRMED}"
    assert not any("still retry at rest" in one for one in found(stage, tmp_path, words))
    assert any("still retry at rest" in one for one in found(stage, tmp_path, words, at_rest=True))


def test_a_table_that_grows_beyond_its_bound_is_seen(stage: Stage, tmp_path: Path) -> None:
    assert found(stage, tmp_path, most={"changes": 1000}) == []
    assert found(stage, tmp_path, most={"deliveries": 7}) == ["I12 8 rows in deliveries, and 7 are the most"]


def test_an_effect_that_no_delivery_is_known_for_is_seen(stage: Stage, tmp_path: Path) -> None:
    stage.world.journal.effect("jira", "issue.created", "ENG-9", "x", "api", labels=["cxb-00000000deadbeef"])
    said = found(stage, tmp_path, journal=stage.world.journal)
    assert said == ["I8 cxb-00000000deadbeef was done at a vendor, and no delivery is known for it"]


def test_a_checkpoint_that_is_ahead_of_what_is_stored_is_seen(stage: Stage) -> None:
    with stage.bridge.store.write() as tx:
        tx.connection.exec_driver_sql(
            "DELETE FROM records WHERE connection = 'zendesk' AND stream = 'tickets' AND key = '1'"
        )
    said = [one.what for one in checkpoint_ahead(stage.bridge, stage.setting.streams)]
    assert said == ["zendesk/tickets/1 lies behind the checkpoint and is not stored"]


def test_an_older_version_behind_the_checkpoint_is_seen(stage: Stage) -> None:
    with stage.bridge.store.write() as tx:
        tx.connection.exec_driver_sql(
            "UPDATE records SET ordinal = 5 WHERE connection = 'zendesk' AND stream = 'tickets'"
        )
    said = {one.what for one in checkpoint_ahead(stage.bridge, stage.setting.streams)}
    assert len(said) == 2
    assert all("is stored in an older version than lies behind the checkpoint" in one for one in said)


def test_a_secret_in_the_file_is_seen(stage: Stage) -> None:
    with stage.bridge.store.write() as tx:
        tx.connection.exec_driver_sql("INSERT INTO meta (name, value) VALUES ('note', 'sandbox-token')")
    stage.bridge.close()
    assert [one.invariant for one in leaks(stage.folder, SECRETS)] == ["I13"]


def test_a_secret_in_a_packed_body_is_seen(stage: Stage) -> None:
    body = msgspec.json.encode({"subject": f"Our token is {SECRETS[0]}, please help. " * 3})
    item = Incoming(stream="tickets", key="900", kind="ticket", body=body, digest=b"d", ordinal=1)
    with stage.bridge.store.write() as tx:
        records.apply(tx, "zendesk", [item], stage.bridge.store.clock.now())
    stage.bridge.close()
    assert all(SECRETS[0].encode() not in file.read_bytes() for file in stage.folder.glob("cxbridge.db*"))
    assert [one.invariant for one in leaks(stage.folder, SECRETS)] == ["I13"]


def test_going_back_to_an_earlier_page_is_reading_again(stage: Stage) -> None:
    journal, path = stage.world.journal, "/api/v2/incremental/tickets/cursor.json"
    first = next(one.query for one in journal.requests() if one.path == path)
    journal.request("zendesk", "GET", path, first, 200, "x", 0, {})
    assert [one.invariant for one in read_again(journal, 0)] == ["I14"]
    assert read_again(journal, 1) == []
    last = journal.entries()[-1].seq
    assert read_again(journal, 0, besides={last}) == []
