"""F25: yesterday's backup is put back after the daemon worked on. Nothing is done twice, nothing is undone, everything converges.

What counts is the sandbox's journal. That a marker is planted once is not enough, since a second write may carry another one: no
text may stand twice on a ticket either, and no issue may have a second one of its kind.
"""

import collections
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.engine.mend import retry_deliveries
from cxbridge.core.store import Store, backup, keyfile, outbox, restored
from tests.integration.five import LEO, Five, five
from tests.integration.scene import Scene, scene


@pytest.fixture
def stage(tmp_path: Path, store_url: str) -> Iterator[Scene]:
    with scene(tmp_path / "demo", store_url=store_url) as staged:
        yield staged


class Yesterday:
    """A backup of a scene's store, and the way back to it."""

    def __init__(self, stage: Scene, folder: Path) -> None:
        self._stage, self._path = stage, folder / "it.backup"
        self._url = stage.bridge.configuration.store_url
        self._key = keyfile.load(stage.bridge.configuration.key_file)
        store = Store.as_found(self._url, clock=stage.clock)
        backup.make(store, self._path)
        store.close()

    def put_back(self) -> backup.Restored:
        """Do what a person does: end the daemon, restore, start the daemon."""
        self._stage.bridge.close()
        done = backup.restore(self._path, self._url, clock=self._stage.clock, key=self._key, who="mia", force=True)
        self._stage.bridge = self._stage.open()
        self._stage.bridge.pusher.recover()
        if not self._url.startswith("sqlite"):
            # The database is shared with other tests.
            name = str(done.aside).removeprefix("the schema ")
            with self._stage.bridge.store.write() as tx:
                tx.connection.exec_driver_sql(f'DROP SCHEMA "{name}" CASCADE')
        return done


@pytest.fixture
def yesterday(stage: Scene, tmp_path: Path) -> Callable[[], Yesterday]:
    return lambda: Yesterday(stage, tmp_path)


def texts(stage: Scene) -> collections.Counter[tuple[Any, ...]]:
    """How often which text was said where, by integrations."""
    said = [one for one in stage.world.journal.effects(via="api") if one.kind == "comment.added"]
    return collections.Counter(
        (one.vendor, one.key, str(one.detail.get("body", one.detail.get("text")))) for one in said
    )


def nothing_stands_there_twice(stage: Scene) -> None:
    assert stage.summary()["duplicates"] == []
    assert [one for one, times in texts(stage).items() if times > 1] == []
    summaries = collections.Counter(one["summary"] for one in stage.issues())
    assert [one for one, times in summaries.items() if times > 1] == []
    for issue in stage.issues():
        links = [one["global_id"] for one in issue["remote_links"]]
        assert len(links) == len(set(links))


def rests(stage: Scene) -> None:
    """Play on with nothing new from outside: nobody is written to."""
    before = stage.writes()
    for _ in range(3):
        stage.cycle()
    assert stage.writes() == before


def outcomes(stage: Scene) -> dict[str, int]:
    with stage.bridge.store.read() as tx:
        mark = restored.read(tx)
        assert restored.waiting(tx) == 0
    assert mark is not None
    return dict(mark.outcomes)


def test_work_in_flight_and_a_day_of_work_after_it(stage: Scene, yesterday: Callable[[], Yesterday]) -> None:
    stage.ticket(7001)
    stage.settle()
    # At the backup one escalation is planned and not begun, another one half done.
    stage.ticket(7002)
    stage.pull()
    stage.bridge.plan()
    stage.bridge.push("jira")
    stage.ticket(7003)
    stage.pull()
    stage.bridge.plan()
    back = yesterday()
    with stage.bridge.store.read() as tx:
        assert {one.state for one in outbox.find(tx)} >= {"planned", "confirmed"}

    # A day of work: those are ended, others begun and ended, fields kept in step, comments carried, an issue closed.
    stage.settle()
    stage.ticket(7004)
    stage.settle()
    key = next(one["key"] for one in stage.issues() if "7004" in one["summary"])
    stage.agent(7001, priority="urgent")
    stage.settle()
    stage.act("POST", f"/jira/issues/{key}/comment", {"body": "Known since Monday #support"})
    stage.world.clock.advance(30)
    stage.settle()
    stage.engineer_closes(key, "Fixed")
    stage.settle()
    before = texts(stage)
    made = len(stage.issues())
    assert made == 4

    done = back.put_back()
    assert sum(done.doubts.values()) > 0
    stage.settle()
    nothing_stands_there_twice(stage)
    assert texts(stage) == before
    assert len(stage.issues()) == made
    assert outcomes(stage)["found"] >= sum(done.doubts.values())
    rests(stage)
    priorities = {one["summary"]: one["priority"] for one in stage.issues()}
    assert priorities["[7001] Export stops at 7001 rows"] == "Highest"

    # Afterwards it is a store like any other.
    stage.ticket(7005)
    stage.settle()
    assert len(stage.issues()) == made + 1
    nothing_stands_there_twice(stage)
    rests(stage)


class TestAValueThatWasDecidedBefore:
    """At the backup a field of an issue is about to be set; what may be done with that afterwards depends on what became of it."""

    @pytest.fixture
    def key(self, stage: Scene) -> str:
        stage.ticket(7001)
        a_while(stage)
        stage.agent(7001, priority="urgent")
        stage.pull()
        stage.bridge.plan()
        [delivery] = [one for one in stage.deliveries(state="planned") if one.action == "issue.set"]
        assert delivery.inputs["priority"] == "Highest"
        [issue] = stage.issues()
        assert issue["priority"] == "High"
        return str(issue["key"])

    def the_issue(self, stage: Scene) -> Any:
        [issue] = stage.issues()
        return issue["priority"]

    def test_it_does_not_undo_a_newer_one(self, stage: Scene, key: str, yesterday: Callable[[], Yesterday]) -> None:
        back = yesterday()
        a_while(stage)
        stage.agent(7001, priority="low")
        a_while(stage)
        assert self.the_issue(stage) == "Low"
        writes = stage.summary()["api_effects"]
        back.put_back()
        a_while(stage)
        assert self.the_issue(stage) == "Low"
        # Not even for a moment.
        assert stage.summary()["api_effects"] == writes
        assert outcomes(stage) == {"overtaken": 1}
        rests(stage)

    def test_where_nobody_touched_the_entity_it_is_set(
        self, stage: Scene, key: str, yesterday: Callable[[], Yesterday]
    ) -> None:
        yesterday().put_back()
        # Before all is read again nobody can know.
        stage.bridge.push("jira")
        assert self.the_issue(stage) == "High"
        a_while(stage)
        assert self.the_issue(stage) == "Highest"
        assert outcomes(stage) == {"sent": 1}
        rests(stage)

    def test_where_it_was_done_it_may_be_done_again(
        self, stage: Scene, key: str, yesterday: Callable[[], Yesterday]
    ) -> None:
        back = yesterday()
        a_while(stage)
        assert self.the_issue(stage) == "Highest"
        writes = stage.summary()["api_effects"]
        back.put_back()
        a_while(stage)
        assert self.the_issue(stage) == "Highest"
        assert stage.summary()["api_effects"] == writes
        rests(stage)

    def test_where_nobody_can_tell_a_person_decides(
        self, stage: Scene, key: str, yesterday: Callable[[], Yesterday]
    ) -> None:
        back = yesterday()
        stage.act("POST", f"/jira/issues/{key}/comment", {"body": "Looking into it."})
        stage.world.clock.advance(30)
        back.put_back()
        a_while(stage)
        assert self.the_issue(stage) == "High"
        [held] = stage.deliveries(state="held")
        assert "set back, or never" in held.error
        assert outcomes(stage) == {"held": 1}
        retry_deliveries(stage.bridge.store, [held.id], stage.clock.now(), "mia")
        a_while(stage)
        assert self.the_issue(stage) == "Highest"


def test_what_a_person_retries_may_have_been_retried_in_the_lost_time(
    stage: Scene, yesterday: Callable[[], Yesterday]
) -> None:
    stage.world.faults.add("status", "jira", method="POST", path_regex="/rest/api/3/issue$", times=1, code=400)
    stage.ticket(7001)
    a_while(stage)
    [dead] = stage.deliveries(state="dead")
    back = yesterday()
    retry_deliveries(stage.bridge.store, [dead.id], stage.clock.now(), "mia")
    a_while(stage)
    assert len(stage.issues()) == 1

    back.put_back()
    a_while(stage)
    [again] = stage.deliveries(state="dead")
    assert again.id == dead.id
    retry_deliveries(stage.bridge.store, [again.id], stage.clock.now(), "mia")
    [doubt] = stage.deliveries(state="unknown")
    assert doubt.error == restored.TOLD
    a_while(stage)
    nothing_stands_there_twice(stage)
    assert len(stage.issues()) == 1
    assert outcomes(stage)["found"] >= 1
    rests(stage)


def test_once_all_is_caught_up_nothing_is_looked_for_any_more(stage: Scene, yesterday: Callable[[], Yesterday]) -> None:
    stage.ticket(7001)
    a_while(stage)
    back = yesterday()
    back.put_back()
    a_while(stage)
    before = outcomes(stage)
    stage.ticket(7002)
    a_while(stage)
    assert len(stage.issues()) == 2
    assert outcomes(stage) == before
    # Its writes are told apart from those that a run of the same number may have made in the lost time.
    names = sorted(str(one.context["named"]) for one in stage.runs(recipe="escalation-to-jira") if one.part == "steps")
    assert names[0] == "zendesk/tickets/7001#1"
    assert names[1].startswith("zendesk/tickets/7002#1~")


class TestFiveVendors:
    """Tasks, messages, tickets, invitations and questions: what can be keyed, found, or repeated."""

    @pytest.fixture
    def stage(self, tmp_path: Path, store_url: str) -> Iterator[Five]:
        with five(tmp_path / "d", store_url=store_url) as staged:
            yield staged

    def test_nobody_hears_anything_twice(self, stage: Five, yesterday: Callable[[], Yesterday]) -> None:
        stage.health("HL-3", 42)
        stage.settle()
        assert len(stage.messages("churn-desk")) == 1
        # At the backup somebody is asked, and an answer of a customer is planned for and not worked off.
        stage.answer(3, verbatim="The export keeps failing.", contact_ok=True)
        stage.pull()
        stage.bridge.plan()
        stage.bridge.push("gainsight")
        back = yesterday()

        stage.settle()
        stage.answer(2, LEO, verbatim="Too slow.", contact_ok=True)
        stage.settle()
        stage.health("HL-1", 44)
        stage.settle()
        # The owner closes the first customer's task, who is then asked again.
        [task] = [one for one in stage.tasks() if one["Name"].startswith("Northwind") and "fell" not in one["Name"]]
        stage.act("PATCH", f"/gainsight/ctas/{task['Gsid']}", {"status": "Closed Success"})
        stage.world.clock.advance(61)
        stage.settle()
        # Silence means yes: the question's time is up in the lost time.
        stage.world.clock.advance(5 * 3600)
        stage.settle()
        before = heard(stage)
        assert before["invitation.sent"] == 1
        assert before["task.created"] == 4
        assert before["message.posted"] >= 4
        stage.quiet()

        done = back.put_back()
        stage.settle()
        stage.world.clock.advance(600)
        stage.settle()
        assert stage.summary()["duplicates"] == []
        assert heard(stage) == before
        found = outcomes(stage)
        assert found["found"] >= sum(done.doubts.values()) - found.get("sent", 0)
        stage.quiet()

    @pytest.mark.parametrize("readable", [True, False], ids=["store before can be read", "store before is lost"])
    def test_whoever_was_asked_in_the_lost_time_is_not_asked_again(
        self, stage: Five, yesterday: Callable[[], Yesterday], readable: bool
    ) -> None:
        stage.answer(3, verbatim="The export keeps failing.", contact_ok=True)
        a_while(stage)
        [task] = stage.tasks()
        back = yesterday()
        stage.act("PATCH", f"/gainsight/ctas/{task['Gsid']}", {"status": "Closed Success"})
        a_while(stage)
        assert heard(stage)["invitation.sent"] == 1

        if not readable:
            with stage.bridge.store.write() as tx:
                tx.connection.exec_driver_sql("DELETE FROM asks")
        back.put_back()
        a_while(stage)
        assert readable or outcomes(stage)["found"] >= 1
        with stage.bridge.store.read() as tx:
            assert set(tx.connection.exec_driver_sql("SELECT programme FROM asks").scalars()) == {"closed-loop"}
        # A second unhappy answer is looked after, but its person is in quarantine.
        stage.answer(2, verbatim="Again.", contact_ok=True)
        a_while(stage)
        [again] = [one for one in stage.tasks() if one["Gsid"] != task["Gsid"]]
        stage.act("PATCH", f"/gainsight/ctas/{again['Gsid']}", {"status": "Closed Success"})
        a_while(stage)
        assert heard(stage)["invitation.sent"] == 1
        assert stage.summary()["duplicates"] == []


def heard(stage: Scene) -> collections.Counter[str]:
    """What integrations brought about, by kind; a message's text must not stand twice before the same people."""
    made = collections.Counter(one.kind for one in stage.world.journal.effects(via="api"))
    return collections.Counter(
        {kind: count for kind, count in made.items() if kind.endswith((".created", ".posted", ".sent", ".added"))}
    )


def a_while(stage: Scene) -> None:
    """Some minutes of work: what one write causes comes back with a later pull."""
    for _ in range(4):
        stage.cycle()
    stage.settle()
