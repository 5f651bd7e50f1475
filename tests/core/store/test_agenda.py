"""The agenda: an entry stands until its job was done, and what is asked for meanwhile is not forgotten. On both databases."""

from datetime import timedelta

from cxbridge.core.store import agenda

MINUTE = timedelta(minutes=1)
JOB, OWNER = "pull:desk/tickets", "connection:desk"


def ask(store, at, how=agenda.ask, job=JOB, owner=OWNER):
    with store.aside() as tx:
        how(tx, job, owner, at)


def due(store, now, owner=OWNER):
    with store.read() as tx:
        return [one for one in agenda.of_owner(tx, owner) if one.due_at <= now]


def test_asked_for_twice_it_stands_once_at_the_earlier_time(store, noon):
    ask(store, noon + MINUTE)
    ask(store, noon)
    ask(store, noon + 2 * MINUTE)
    (entry,) = due(store, noon)
    assert (entry.job, entry.owner, entry.due_at) == (JOB, OWNER, noon)
    assert due(store, noon - MINUTE) == []
    assert due(store, noon, "planning") == []


def test_done_it_leaves_or_comes_again_when_it_said(store, noon):
    ask(store, noon)
    (entry,) = due(store, noon)
    with store.aside() as tx:
        agenda.ended(tx, entry, noon + MINUTE)
    assert due(store, noon) == []
    (entry,) = due(store, noon + MINUTE)
    with store.aside() as tx:
        agenda.ended(tx, entry, None)
    assert due(store, noon + 10 * MINUTE) == []


def test_asked_for_while_it_was_done_it_is_done_once_more(store, noon):
    for again_at in (None, noon + MINUTE):
        ask(store, noon)
        (entry,) = due(store, noon)
        ask(store, noon)
        with store.aside() as tx:
            agenda.ended(tx, entry, again_at)
        assert [one.job for one in due(store, noon)] == [JOB]


def test_done_without_an_entry_it_comes_again_unless_it_was_asked_for_meanwhile(store, noon):
    done = agenda.Entry(job=JOB, owner=OWNER, due_at=noon, stamp=0)
    with store.aside() as tx:
        agenda.ended(tx, done, None)
        agenda.ended(tx, done, noon + MINUTE)
    assert [one.due_at for one in due(store, noon + MINUTE)] == [noon + MINUTE]
    ask(store, noon)
    for again_at in (None, noon + MINUTE):
        with store.aside() as tx:
            agenda.ended(tx, done, again_at)
        assert [one.due_at for one in due(store, noon)] == [noon], "what was asked for is forgotten"


def test_reminded_of_while_it_was_done_without_an_entry_it_need_not_be_done_again(store, noon):
    ask(store, noon, agenda.remind)
    with store.aside() as tx:
        agenda.ended(tx, agenda.Entry(job=JOB, owner=OWNER, due_at=noon, stamp=0), None)
    assert due(store, noon) == []


def test_a_reminder_does_not_make_it_run_once_more_and_puts_nothing_off(store, noon):
    ask(store, noon)
    (entry,) = due(store, noon)
    ask(store, noon + MINUTE, agenda.remind)
    assert [one.due_at for one in due(store, noon)] == [noon], "a reminder put it off"
    with store.aside() as tx:
        agenda.ended(tx, entry, None)
    assert due(store, noon + MINUTE) == []


def test_what_must_stand_there_is_entered_where_it_is_missing(store, noon):
    ask(store, noon + MINUTE)
    with store.aside() as tx:
        agenda.open_with(tx, [(JOB, OWNER), ("plan", "planning")], noon)
    assert due(store, noon) == []
    assert [one.job for one in due(store, noon, "planning")] == ["plan"]
    with store.read() as tx:
        assert agenda.owners_due(tx, noon + MINUTE) == {OWNER: noon + MINUTE, "planning": noon}
