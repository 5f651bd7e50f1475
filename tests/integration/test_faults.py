"""An escalation while the vendors misbehave: whatever they answer, it ends with one issue, one link, one note."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.errors import RateLimited, Retryable, Unauthorized, VendorError, WireFormat
from cxbridge.core.store import state
from tests.integration.scene import Scene, scene

EXPORT = "incremental/tickets/cursor"
JIRA_CREATE = "/rest/api/3/issue$"
NOTE = "/api/v2/tickets/7001"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Scene]:
    with scene(tmp_path / "demo") as staged:
        staged.ticket(7001)
        yield staged


def fault(stage: Scene, name: str, vendor: str, path: str, method: str | None = None, **more: Any) -> None:
    params = {key: more.pop(key) for key in tuple(more) if key not in ("times", "after")}
    stage.act(
        "POST",
        "/faults",
        {"name": name, "vendor": vendor, "path_regex": path, "method": method, "params": params, **more},
    )


def ends_well(stage: Scene) -> None:
    """Play on until nothing is undecided; judge by the simulators' journal alone."""
    for _ in range(40):
        stage.pull()
        stage.bridge.plan()
        stage.push()
        stage.world.clock.advance(61)
        if len(stage.effects("comment.added")) and not open_deliveries(stage):
            break
    assert len(stage.effects("issue.created")) == 1
    assert len(stage.effects("remotelink.created")) == 1
    assert len(stage.effects("comment.added")) == 1
    assert stage.summary()["duplicates"] == []
    before = stage.writes()
    stage.cycle()
    stage.cycle()
    assert stage.writes() == before


def open_deliveries(stage: Scene) -> int:
    return sum(len(stage.deliveries(state=one)) for one in ("planned", "sent", "retry", "unknown"))


READ_FAULTS: list[tuple[str, dict[str, Any], type[VendorError] | None]] = [
    ("rate_limited", {"retry_after": 20, "times": 1}, None),
    ("rate_limited", {"retry_after": "http-date", "seconds": 20, "times": 1}, None),
    ("rate_limited", {"retry_after": "absent", "times": 1}, None),
    ("rate_limited", {"retry_after": 300, "times": 1}, RateLimited),
    ("rate_limited", {"retry_after": "absurd", "times": 1}, RateLimited),
    ("status", {"code": 500, "times": 1}, None),
    ("status", {"code": 500, "times": 9}, Retryable),
    ("status", {"code": 502, "times": 2}, None),
    ("reset", {"times": 1}, None),
    ("limit_data", {"bytes": 300, "times": 1}, None),
    ("limit_data", {"bytes": 300, "times": 9}, Retryable),
    ("html", {"times": 1}, WireFormat),
    ("bad_json", {"times": 1}, WireFormat),
]


@pytest.mark.parametrize(("name", "how", "raised"), READ_FAULTS, ids=lambda value: str(value)[:40])
def test_reading_goes_on_where_it_was(
    stage: Scene, name: str, how: dict[str, Any], raised: type[VendorError] | None
) -> None:
    fault(stage, name, "zendesk", EXPORT, "GET", **how)
    if raised is None:
        assert stage.pull() == []
    else:
        failed = stage.pull()
        # A limit without a bucket's name is the whole connection's: the other streams wait as well.
        assert {type(one) for one in failed} == {raised}, failed
        stage.act("DELETE", "/faults")
        if isinstance(failed[0], RateLimited) and failed[0].retry_at is not None:
            assert (failed[0].retry_at - stage.clock.now()).total_seconds() <= 3600
            stage.world.clock.advance((failed[0].retry_at - stage.clock.now()).total_seconds() + 1)
    ends_well(stage)


def test_no_request_is_sent_before_retry_after(stage: Scene) -> None:
    fault(stage, "rate_limited", "zendesk", EXPORT, "GET", retry_after=20, times=1)
    stage.pull()
    asked = [one for one in stage.world.journal.requests() if EXPORT in one.path]
    assert [one.status for one in asked[:2]] == [429, 200]
    assert asked[1].t - asked[0].t >= 20


WRITE_FAULTS: list[tuple[str, dict[str, Any]]] = [
    ("rate_limited", {"retry_after": 7, "times": 1}),
    ("rate_limited", {"retry_after": 300, "times": 1}),
    ("status", {"code": 500, "times": 1}),
    ("status", {"code": 503, "times": 2}),
    ("reset", {"times": 1}),
    ("ghost", {"times": 1}),
    ("ghost", {"times": 2}),
    ("limit_data", {"bytes": 10, "times": 1}),
    ("html", {"times": 1}),
    ("bad_json", {"times": 1}),
]
WRITES = [("jira", JIRA_CREATE, "POST"), ("zendesk", NOTE, "PUT"), ("jira", "/remotelink", "POST")]


@pytest.mark.parametrize(("vendor", "path", "method"), WRITES)
@pytest.mark.parametrize(("name", "how"), WRITE_FAULTS, ids=lambda value: str(value)[:40])
def test_writing_happens_once_whatever_is_answered(
    stage: Scene, vendor: str, path: str, method: str, name: str, how: dict[str, Any]
) -> None:
    fault(stage, name, vendor, path, method, **how)
    ends_well(stage)


@pytest.mark.parametrize("vendor", ["zendesk", "jira"])
def test_a_token_revoked_in_mid_sync_pauses_the_connection_and_loses_nothing(stage: Scene, vendor: str) -> None:
    stage.pull()
    stage.bridge.plan()
    stage.act("POST", f"/tokens/{vendor}/revoke")
    stage.push()
    failed = stage.pull()
    assert {type(one) for one in failed} == {Unauthorized}
    with stage.bridge.store.read() as tx:
        paused = state.pauses(tx)
    assert set(paused) == {vendor}
    assert "connections check" in paused[vendor].hint
    refused = len([one for one in stage.world.journal.requests() if one.status == 401])
    for _ in range(5):
        stage.push()
    assert len([one for one in stage.world.journal.requests() if one.status == 401]) == refused, "a retry storm"
    stage.act("POST", f"/tokens/{vendor}/restore")
    stage.bridge.check(vendor)
    ends_well(stage)


def test_a_page_that_comes_twice_changes_nothing(stage: Scene) -> None:
    for number in range(7002, 7008):
        stage.ticket(number, tags=[])
    stage.pull()
    fault(stage, "duplicate_page", "zendesk", EXPORT, "GET", times=1)
    stage.pull()
    ends_well(stage)


def test_a_search_index_that_lags_far_behind_makes_no_second_issue(stage: Scene) -> None:
    stage.act("PUT", "/jira/search", {"lag": 5})
    fault(stage, "ghost", "jira", JIRA_CREATE, "POST", times=1)
    ends_well(stage)
