"""`connections`: whose credential it is, what an operator should know, and what is stored of each."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from cxbridge.core.config import load
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.errors import Unauthorized, Withheld
from cxbridge.core.http import BreakerState
from cxbridge.core.store import KeptBreakers, KeptHolds, breakers, outbox, state
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge, installed


def test_check_tells_owner_notices_and_what_is_left(cxbridge: Cxbridge, tmp_path: Path) -> None:
    with Sandbox() as limited:
        here = installed(limited, tmp_path)
        ended = cxbridge("connections", "check", "--json", "-c", str(here / "cxbridge.toml"))
    zendesk = ended.data[0]
    assert (ended.code, [one["ok"] for one in ended.data]) == (0, [True] * 5)
    assert zendesk["identity"]
    assert "2027-04-30" in zendesk["notices"][0]
    assert any(one["limit"] == 400 and one["remaining"] < 400 for one in zendesk["budgets"])


def test_check_in_words(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("connections", "check", "zendesk")
    assert ended.code == 0
    assert ended.out.startswith("✓ zendesk: works, and belongs to cxbridge")
    assert "ends API tokens" in ended.out
    assert "jira" not in ended.out


def test_a_refused_credential_is_77_and_comes_with_the_remedy(
    cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path
) -> None:
    settings = str(installed(vendors, tmp_path) / "cxbridge.toml")
    vendors.world.faults.revoke("zendesk")
    ended = cxbridge("connections", "check", "--json", "-c", settings)
    assert ended.code == 77
    assert {one["connection"]: one["ok"] for one in ended.data} == {
        "zendesk": False,
        "jira": True,
        "gainsight": True,
        "qualtrics": True,
        "slack": True,
    }
    assert "cxbridge connections check" in ended.err
    assert "sandbox-token" not in ended.err


def test_a_connection_goes_on_when_its_credential_works_again(
    cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path
) -> None:
    settings = installed(vendors, tmp_path) / "cxbridge.toml"
    vendors.world.faults.revoke("jira")
    with Bridge(load(settings)) as bridge, pytest.raises(Unauthorized):
        bridge.pull("jira", "issues")
    listed = cxbridge("connections", "list", "--json", "-c", str(settings)).data
    states = {one["connection"]: one["state"] for one in listed}
    assert (states.pop("jira"), set(states.values())) == ("paused", {"on"})
    assert "connections check jira" in cxbridge("connections", "list", "-c", str(settings)).out
    vendors.world.faults.restore("jira")
    assert cxbridge("connections", "check", "jira", "-c", str(settings)).code == 0
    with Bridge(load(settings)) as bridge, bridge.store.read() as tx:
        assert state.pauses(tx) == {}


def test_a_vendor_that_does_not_answer_is_69(cxbridge: Cxbridge, tmp_path: Path) -> None:
    with Sandbox() as sandbox:
        settings = str(installed(sandbox, tmp_path) / "cxbridge.toml")
    ended = cxbridge("connections", "check", "jira", "-c", settings)
    assert ended.code == 69
    assert "cannot be reached" in ended.err
    assert "Traceback" not in ended.err


def test_an_unknown_connection_is_told_with_those_there_are(cxbridge: Cxbridge, folder: Path) -> None:
    ended = cxbridge("connections", "check", "slak")
    assert ended.code == 78
    assert "zendesk, jira" in ended.err


def test_list_counts_what_is_stored(cxbridge: Cxbridge, played: Path) -> None:
    listed = {one["connection"]: one for one in cxbridge("connections", "list", "--json").data}
    jira = listed["jira"]
    streams = {one["stream"]: one for one in listed["zendesk"]["streams"]}
    assert streams["tickets"]["records"] == 320
    assert streams["tickets"]["caught_up"] is not None
    assert jira["deliveries"] == {}, "all that was planned is done"
    with Bridge(load(played / "cxbridge.toml")) as bridge, bridge.store.write() as tx:
        done = next(one for one in outbox.find(tx, state="confirmed") if one.connection == "jira")
        outbox.update(tx, msgspec.structs.replace(done, state="dead"))
    [jira] = [one for one in cxbridge("connections", "list", "--json").data if one["connection"] == "jira"]
    assert jira["deliveries"] == {"dead": 1}
    assert "tickets" in cxbridge("connections", "list").out


def test_a_vendor_that_is_left_alone_is_shown_and_a_check_ends_it(
    cxbridge: Cxbridge, vendors: Sandbox, tmp_path: Path
) -> None:
    settings = installed(vendors, tmp_path) / "cxbridge.toml"
    with Bridge(load(settings)) as bridge:
        now = bridge.clock.now()
        KeptBreakers(bridge.store).keep(
            BreakerState("jira", 7, "it answered 503", now - timedelta(minutes=3), now + timedelta(minutes=5))
        )
        KeptHolds(bridge.store).keep("zendesk", {"": now + timedelta(minutes=2)}, {})
        with pytest.raises(Withheld):
            bridge.pull("jira", "issues")
    rows = {one["connection"]: one for one in cxbridge("connections", "list", "--json", "-c", str(settings)).data}
    assert rows["jira"]["state"] == "degraded"
    assert "7 requests in a row failed (it answered 503)" in rows["jira"]["reason"]
    assert rows["jira"]["retry_at"] is not None
    assert rows["zendesk"]["state"] == "on"
    assert list(rows["zendesk"]["holds"]) == ["all requests"]
    words = cxbridge("connections", "list", "-c", str(settings)).out
    assert "jira is degraded: left alone since" in words
    assert "cxbridge connections check jira" in words
    assert "zendesk waits until" in words
    assert cxbridge("connections", "check", "jira", "-c", str(settings)).code == 0
    with Bridge(load(settings)) as bridge:
        bridge.pull("jira", "issues")
        with bridge.store.read() as tx:
            assert breakers.find(tx) == {}
