"""One owner while it is served: what begins, what runs once more, and when the agenda may forget what asked for it."""

from datetime import UTC, datetime, timedelta

import pytest

from cxbridge.core.engine import served
from cxbridge.core.engine.leasing import Held
from cxbridge.core.engine.served import Outstanding, Service
from cxbridge.core.store.agenda import Entry
from cxbridge.core.store.leases import Lease

OWNER = "connection:desk"
MINUTE = timedelta(minutes=1)


@pytest.fixture
def noon() -> datetime:
    return datetime(2026, 5, 6, 12, tzinfo=UTC)


@pytest.fixture
def service(noon: datetime) -> Service:
    return Service(OWNER, Held(Lease(name=OWNER, worker="one", fence=1, until=noon), 0.0), 0.0, ready=True)


def entry(job: str, at: datetime, stamp: int = 0) -> Entry:
    return Entry(job=job, owner=OWNER, due_at=at, stamp=stamp)


def begin(service: Service, now: datetime) -> list[str]:
    return [one.job for one in service.begin(now)]


def end(service: Service, job: str, again_at: datetime | None = None, *, done: bool = True) -> None:
    under = service.running[job]
    under.again_at = again_at
    service.over(under, done=done, at=0.0)


def told(outstanding: Outstanding) -> tuple[list[str], list[str]]:
    return [one.entry.job for one in outstanding.ended], [one.job for one in outstanding.asks]


def test_what_is_due_begins_the_longest_due_first_and_as_many_as_may(
    service: Service, noon: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(served, "ABREAST", 2)
    service.looked([entry("b", noon), entry("a", noon), entry("c", noon - MINUTE), entry("d", noon + MINUTE)])
    assert begin(service, noon) == ["c", "a"]
    assert begin(service, noon) == []
    end(service, "c")
    assert begin(service, noon) == ["b"]
    end(service, "a")
    service.entered(service.outstanding(), 0.0)
    service.looked([entry("d", noon + MINUTE)])
    assert service.rest(0.0, noon + MINUTE - timedelta(seconds=3)) == 3.0


def test_what_ended_is_not_begun_again_before_the_agenda_knows(service: Service, noon: datetime) -> None:
    service.looked([entry("a", noon, 3)])
    assert begin(service, noon) == ["a"]
    end(service, "a", noon + MINUTE)
    for _ in range(2):
        assert begin(service, noon) == []
        service.looked([entry("a", noon, 3)])
    assert begin(service, noon + MINUTE) == ["a"]


def test_what_was_asked_for_in_the_agenda_meanwhile_is_done_once_more(service: Service, noon: datetime) -> None:
    service.looked([entry("a", noon, 3)])
    assert begin(service, noon) == ["a"]
    service.looked([entry("a", noon, 4)])
    assert begin(service, noon) == []
    end(service, "a", noon + MINUTE)
    assert begin(service, noon) == ["a"]


def test_what_is_wanted_here_while_it_runs_is_done_once_more(service: Service, noon: datetime) -> None:
    service.want("a")
    assert begin(service, noon) == ["a"]
    service.want("a")
    service.want("a")
    assert begin(service, noon) == []
    end(service, "a")
    assert begin(service, noon) == ["a"]
    end(service, "a")
    assert begin(service, noon) == []
    assert service.idle


def test_who_asked_is_entered_together_with_what_it_asked_for_and_was_not_done(
    service: Service, noon: datetime
) -> None:
    """The agenda never knows less than one of the two."""
    service.looked([entry("asks", noon)])
    assert begin(service, noon) == ["asks"]
    service.running["asks"].asks.append(service.want("asked"))
    assert begin(service, noon) == ["asked"]
    assert not service.outstanding(), "it has not ended"
    end(service, "asks")
    outstanding = service.outstanding()
    assert told(outstanding) == (["asks"], ["asked"])
    service.entered(outstanding, 1.0)
    end(service, "asked")
    assert told(service.outstanding()) == (["asked"], [])


def test_of_what_was_asked_for_and_done_before_only_the_ends_are_entered(service: Service, noon: datetime) -> None:
    service.looked([entry("asks", noon)])
    assert begin(service, noon) == ["asks"]
    service.running["asks"].asks.append(service.want("asked"))
    assert begin(service, noon) == ["asked"]
    end(service, "asked")
    service.entered(service.outstanding(), 1.0)
    end(service, "asks")
    assert told(service.outstanding()) == (["asks"], [])


def test_who_asked_and_what_it_asked_for_are_entered_as_done_where_both_ended(service: Service, noon: datetime) -> None:
    service.looked([entry("asks", noon)])
    assert begin(service, noon) == ["asks"]
    service.running["asks"].asks.append(service.want("asked"))
    assert begin(service, noon) == ["asked"]
    end(service, "asks")
    end(service, "asked")
    outstanding = service.outstanding()
    assert told(outstanding) == (["asks", "asked"], []), "it would be done once more"
    service.entered(outstanding, 1.0)
    assert not service.outstanding()


def test_the_end_of_what_runs_again_is_not_entered(service: Service, noon: datetime) -> None:
    service.looked([entry("a", noon)])
    begin(service, noon)
    end(service, "a", noon + MINUTE)
    service.want("a")
    assert not service.outstanding()
    assert begin(service, noon) == ["a"]
    assert not service.outstanding(), "the agenda would take it for done while it runs"
    end(service, "a", noon + 2 * MINUTE)
    (ended,) = service.outstanding().ended
    assert ended.again_at == noon + 2 * MINUTE


def test_what_ended_while_the_agenda_was_told_is_told_next(service: Service, noon: datetime) -> None:
    service.looked([entry("a", noon), entry("b", noon)])
    begin(service, noon)
    end(service, "a")
    outstanding = service.outstanding()
    end(service, "b")
    service.entered(outstanding, 1.0)
    assert told(service.outstanding()) == (["b"], [])
    assert service.owing_since == 1.0
    assert service.look


def test_what_was_told_to_stop_is_left_to_whoever_comes_next(service: Service, noon: datetime) -> None:
    service.want("wanted")
    begin(service, noon)
    end(service, "wanted", done=False)
    service.want("not begun")
    assert told(service.left()) == ([], ["wanted", "not begun"])
    assert not service.idle


def test_of_several_times_at_which_a_job_asked_for_another_the_first_counts(service: Service, noon: datetime) -> None:
    for job, at in (("a", noon + 2 * MINUTE), ("b", noon + MINUTE)):
        service.want(job)
        begin(service, noon)
        service.running[job].later["wake"] = at
        end(service, job)
    outstanding = service.outstanding()
    assert outstanding.later == {"wake": noon + MINUTE}
    service.entered(outstanding, 1.0)
    assert service.outstanding().later == {}


def test_an_owner_is_kept_after_its_last_job_and_not_where_there_was_none(service: Service, noon: datetime) -> None:
    assert service.rest(0.0, noon) <= 0.0
    service.looked([entry("a", noon)])
    begin(service, noon)
    assert service.rest(1000.0, noon) > 0.0
    service.over(service.running["a"], done=True, at=1000.0)
    assert service.owes(1000.0 + served.OWING)
    service.entered(service.outstanding(), 1001.0)
    service.looked([])
    assert service.rest(1001.0, noon) == served.LINGER - 1.0
    assert service.rest(1000.0 + served.LINGER, noon) <= 0.0


def test_nothing_begins_before_it_is_ready_nor_after_it_was_told_to_stop(service: Service, noon: datetime) -> None:
    service.want("a")
    service.ready = False
    assert begin(service, noon) == []
    service.ready = True
    service.give_up()
    assert begin(service, noon) == []
    assert told(service.left()) == ([], ["a"])


def test_whoever_serves_it_is_woken_when_the_agenda_is_to_be_looked_at_or_told(
    service: Service, noon: datetime
) -> None:
    service.want("a")
    begin(service, noon)
    for wake in (service.tell, lambda: end(service, "a"), service.give_up):
        service.changed.clear()
        wake()
        assert service.changed.is_set()
