"""Reading single entities that webhooks named: several at once, in one commit, and what is made of those that fail."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime

import pytest
import structlog

from cxbridge.core import connector as cx
from cxbridge.core.baton import Baton
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine import reading
from cxbridge.core.engine.pull import Pulled, pull
from cxbridge.core.engine.reading import read
from cxbridge.core.engine.tempo import Tempo
from cxbridge.core.errors import PluginError, StoreError
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Ref
from cxbridge.core.store import Store, changes, checkpoints, records
from tests.core.engine.test_inbox import Fake, connection, nothing


@pytest.fixture
def store(sqlite_store: Store) -> Store:
    return sqlite_store


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="desk", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


def test_one_entity_and_what_stands_beside_it_is_one_commit_and_moves_no_checkpoint(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    def one(_: cx.Client, key: str) -> cx.Page:
        beside = {"comments": [cx.Comment(source_id="c", ticket=f"tickets/{key}", visibility="public", body_text="x")]}
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor="never", beside=beside)

    reached: list[str] = []
    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    pull(store, held, held.streams["tickets"], client, clock)
    with store.read() as tx:
        before = checkpoints.get(tx, "desk", "tickets")
    found = read(store, held, held.streams["tickets"], client, clock, ["1"], probe=reached.append)["1"]
    assert isinstance(found, Pulled)
    assert (found.created, found.changed, found.pages) == (2, 2, 1)
    assert reached == ["read.fetched", "read.stored", "read.committed"]
    with store.read() as tx:
        assert checkpoints.get(tx, "desk", "tickets") == before
        assert records.get(tx, Ref("desk", "comments", "c")) is not None


@pytest.mark.parametrize("error", [KeyError("a customer's word"), RecursionError(), ValueError("x")])
def test_what_a_connector_raises_by_mistake_names_the_plugin_and_no_content(
    store: Store, client: cx.Client, clock: ManualClock, error: Exception
) -> None:
    def broken(_: cx.Client, key: str) -> cx.Page:
        raise error

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=broken))
    told = read(store, held, held.streams["tickets"], client, clock, ["1"])["1"]
    assert isinstance(told, PluginError)
    assert "stream tickets of desk broke" in str(told)
    assert told.__cause__ is error
    assert "customer" not in str(told)


def test_not_found_is_not_shown_and_a_stream_without_one_says_so(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    def missing(_: cx.Client, key: str) -> cx.Page:
        raise cx.NotFound("gone")

    held = connection(
        cx.Stream("tickets", (cx.Ticket,), nothing, one=missing), cx.Stream("users", (cx.Contact,), nothing)
    )
    assert read(store, held, held.streams["tickets"], client, clock, ["1"]) == {"1": None}
    with pytest.raises(PluginError, match="cannot read one"):
        read(store, held, held.streams["users"], client, clock, ["1"])


def test_several_are_read_at_once_and_are_one_commit(store: Store, client: cx.Client, clock: ManualClock) -> None:
    together = threading.Barrier(3, timeout=30)

    def one(_: cx.Client, key: str) -> cx.Page:
        # Goes on only when three are here.
        together.wait()
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    reached: list[str] = []
    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    keys = [str(number) for number in range(6)]
    found = read(store, held, held.streams["tickets"], client, clock, keys, abreast=3, probe=reached.append)
    assert list(found) == keys
    told = [one for one in found.values() if isinstance(one, Pulled)]
    assert [one.created for one in told] == [6, 0, 0, 0, 0, 0]
    assert reached == ["read.fetched", "read.stored", "read.committed"]


def test_who_stands_around_several_is_stored_once_in_its_newest_version(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    def one(_: cx.Client, key: str) -> cx.Page:
        at = datetime(2026, 5, 6, 8, int(key), tzinfo=UTC)
        person = cx.Contact(source_id="p", name=f"as ticket {key} shows them", updated_at=at)
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None, beside={"users": [person]})

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one), cx.Stream("users", (cx.Contact,), nothing))
    found = read(store, held, held.streams["tickets"], client, clock, ["2", "3", "1"], abreast=2)
    assert [one.created for one in found.values() if isinstance(one, Pulled)] == [4, 0, 0]
    with store.read() as tx:
        known = records.get(tx, Ref("desk", "users", "p"))
        assert known is not None
        assert known.entity().name == "as ticket 3 shows them"  # type: ignore[union-attr]


def test_whoever_is_free_takes_the_next_one_and_they_are_stored_in_the_order_in_which_they_were_asked_for(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    others_done, asked = threading.Event(), set()

    def one(_: cx.Client, key: str) -> cx.Page:
        asked.add(threading.get_ident())
        if key == "0":
            # Comes last, however long the others take.
            assert others_done.wait(30)
        elif key == "5":
            others_done.set()
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    keys = [str(number) for number in range(6)]
    found = read(store, held, held.streams["tickets"], client, clock, keys, abreast=2)
    assert list(found) == keys
    assert len(asked) == 2
    with store.read() as tx:
        assert [change.ref.key for change in changes.after(tx, 0, 10)] == keys


def test_what_stands_still_while_it_reads_keeps_no_process_from_ending_and_is_watched(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    asked: dict[str, threading.Thread] = {}
    seen: set[threading.Thread] = set()
    together = threading.Barrier(3, timeout=30)

    @contextmanager
    def watched() -> Iterator[None]:
        seen.add(threading.current_thread())
        yield

    def one(_: cx.Client, key: str) -> cx.Page:
        asked[key] = threading.current_thread()
        together.wait()
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    read(store, held, held.streams["tickets"], client, clock, ["1", "2", "3"], abreast=3, watched=watched)
    assert asked["1"] is threading.current_thread()
    assert asked["2"].daemon
    assert asked["3"].daemon
    assert seen == {asked["2"], asked["3"]}


@pytest.mark.parametrize(
    ("errors", "asked"),
    [
        ([cx.Retryable("busy")], 5),
        ([cx.Retryable("busy")] * 3, 3),
        ([cx.RateLimited("come again")], 1),
        ([cx.Unauthorized("who?")], 1),
        ([cx.Rejected("no")] * 5, 5),
    ],
)
def test_one_that_fails_keeps_no_others_waiting_but_a_vendor_that_is_down_is_not_asked_for_each(
    store: Store, client: cx.Client, clock: ManualClock, errors: list[cx.VendorError], asked: int
) -> None:
    failing = iter(errors)

    def one(_: cx.Client, key: str) -> cx.Page:
        error = next(failing, None)
        if error is not None:
            raise error
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    found = read(store, held, held.streams["tickets"], client, clock, [str(number) for number in range(5)])
    assert len(found) == asked
    assert [one for one in found.values() if isinstance(one, Exception)] == errors[:asked]
    with store.read() as tx:
        assert len(records.scan(tx)) == asked - len(errors[:asked])


def test_what_is_wrong_with_us_is_no_answer_about_an_entity(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    def one(_: cx.Client, key: str) -> cx.Page:
        raise StoreError("somebody else's turn")

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    with pytest.raises(StoreError):
        read(store, held, held.streams["tickets"], client, clock, ["1", "2"], abreast=2)


def test_told_to_stop_no_more_are_asked_for(store: Store, client: cx.Client, clock: ManualClock) -> None:
    stop = threading.Event()

    def one(_: cx.Client, key: str) -> cx.Page:
        stop.set()
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    assert list(read(store, held, held.streams["tickets"], client, clock, ["1", "2"], stop=stop)) == ["1"]


def test_where_nothing_is_waited_for_one_thread_reads_all_and_where_something_is_others_help(
    store: Store, client: cx.Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nobody takes it unasked: whoever waits with it in hand waits for ever.
    baton, asked, waited = Baton(patience=-1), set[int](), threading.Event()
    monkeypatch.setattr(reading, "BATON", baton)

    def one(_: cx.Client, key: str) -> cx.Page:
        asked.add(threading.get_ident())
        if key == "slow":
            with baton.away():
                assert waited.wait(30), "nobody helped"
        elif key == "last":
            waited.set()
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    found: list[tuple[list[str], int]] = []

    def work() -> None:
        with baton.part():
            for keys in ([str(number) for number in range(20)], ["slow", "next", "last"]):
                asked.clear()
                told = read(store, held, held.streams["tickets"], client, clock, keys, abreast=2)
                found.append((list(told), len(asked)))
            assert baton.is_mine

    reader = threading.Thread(target=work, daemon=True)
    reader.start()
    reader.join(60)
    assert found == [([str(number) for number in range(20)], 1), (["slow", "next", "last"], 2)]


def test_a_round_that_takes_long_is_stored_before_the_next_one_is_read(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    def one(_: cx.Client, key: str) -> cx.Page:
        clock.advance(0.6 * reading.LONGEST)
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    keys = [str(number) for number in range(5)]
    assert list(read(store, held, held.streams["tickets"], client, clock, keys)) == ["0", "1"]
    with store.read() as tx:
        assert len(records.scan(tx)) == 2


# -- what several are asked for together -------------------------------------------------------------------------------


class Desk:
    """Tickets that can be asked for together; notes what was asked for, and each that was read by itself."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.together: list[list[str]] = []
        self.alone: list[str] = []

    def one(self, _: cx.Client, key: str) -> cx.Page:
        self.alone.append(key)
        return self._page(key)

    def several(self, _: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
        self.together.append(list(keys))
        if self.error is not None:
            raise self.error
        return lambda _, key: None if key == "gone" else self._page(key)

    def read(self, store: Store, client: cx.Client, clock: ManualClock, *keys: str) -> dict[str, reading.Outcome]:
        held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=self.one, several=self.several))
        return read(store, held, held.streams["tickets"], client, clock, keys, abreast=2)

    @staticmethod
    def _page(key: str) -> cx.Page:
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)


def test_several_are_asked_for_together_and_one_by_itself(store: Store, client: cx.Client, clock: ManualClock) -> None:
    desk = Desk()
    found = desk.read(store, client, clock, "1", "gone", "3")
    assert (desk.together, desk.alone) == ([["1", "gone", "3"]], [])
    assert {key: isinstance(one, Pulled) for key, one in found.items()} == {"1": True, "gone": False, "3": True}
    assert found["gone"] is None
    desk.read(store, client, clock, "4")
    assert (len(desk.together), desk.alone) == (1, ["4"])


@pytest.mark.parametrize("error", [cx.RateLimited("enough"), cx.Unauthorized("who?")])
def test_a_vendor_that_cannot_be_asked_now_is_not_asked_for_each(
    store: Store, client: cx.Client, clock: ManualClock, error: cx.VendorError
) -> None:
    desk = Desk(error)
    assert desk.read(store, client, clock, "1", "2", "3") == {"1": error}
    assert desk.alone == []


@pytest.mark.parametrize("error", [cx.Rejected("no"), cx.Retryable("502"), cx.WireFormat("?"), KeyError("a secret")])
def test_what_cannot_be_asked_for_together_is_read_one_by_one(
    store: Store, client: cx.Client, clock: ManualClock, error: Exception
) -> None:
    desk = Desk(error)
    with structlog.testing.capture_logs() as logged:
        found = desk.read(store, client, clock, "1", "2")
    assert all(isinstance(one, Pulled) for one in found.values())
    assert sorted(desk.alone) == ["1", "2"]
    [told] = [line for line in logged if line["event"] == "read.one_by_one"]
    assert (told["connection"], told["stream"]) == ("desk", "tickets")
    assert "secret" not in str(told)


def test_what_gives_no_function_for_several_is_read_one_by_one(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    desk = Desk()
    desk.several = lambda _, keys: dict.fromkeys(keys)  # type: ignore[assignment, method-assign, return-value]  # on purpose
    with structlog.testing.capture_logs() as logged:
        found = desk.read(store, client, clock, "1", "2")
    assert all(isinstance(one, Pulled) for one in found.values())
    [told] = [line for line in logged if line["event"] == "read.one_by_one"]
    assert "it gave dict where a function was expected" in told["error"]


def test_what_is_wrong_with_us_ends_asking_for_several(store: Store, client: cx.Client, clock: ManualClock) -> None:
    with pytest.raises(StoreError):
        Desk(StoreError("full")).read(store, client, clock, "1", "2")


def test_a_vendor_that_takes_long_to_tell_of_several_is_not_asked_again_for_each(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    """The time in which a round must end begins behind what is asked for all of it."""
    desk = Desk()
    told = desk.several

    def slowly(client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
        clock.advance(10 * reading.LONGEST)
        return told(client, keys)

    desk.several = slowly  # type: ignore[method-assign, assignment]  # on purpose
    assert len(desk.read(store, client, clock, "1", "2", "3")) == 3
    assert len(desk.together) == 1


# -- what is asked for beside an entity --------------------------------------------------------------------------------


class Said:
    """A ticket and its comment, each with a request of its own; notes which thread asked for what."""

    def __init__(self, meeting: threading.Barrier | None = None) -> None:
        self.meeting = meeting
        self.asked: list[tuple[str, str, int]] = []
        self.gone: set[str] = set()
        self.error: Exception | None = None

    def one(self, _: cx.Client, key: str) -> cx.Page | None:
        self._note("one", key)
        return None if key in self.gone else cx.Page([cx.Ticket(source_id=key, subject="x")], cursor=None)

    def beside(self, _: cx.Client, key: str) -> cx.Page | None:
        self._note("beside", key)
        if self.error is not None:
            raise self.error
        said = cx.Comment(source_id=f"c{key}", ticket=f"tickets/{key}", visibility="public", body_text="x")
        return cx.Page([], cursor=None, beside={"comments": [said]})

    def read(
        self,
        store: Store,
        client: cx.Client,
        clock: ManualClock,
        *keys: str,
        tempo: Tempo | None = None,
        abreast: int = 2,
    ) -> dict[str, reading.Outcome]:
        held = connection(
            cx.Stream("tickets", (cx.Ticket,), nothing, one=self.one, beside=self.beside),
            cx.Stream("comments", (cx.Comment,), nothing),
        )
        return read(store, held, held.streams["tickets"], client, clock, keys, abreast=abreast, tempo=tempo)

    def _note(self, what: str, key: str) -> None:
        self.asked.append((what, key, threading.get_ident()))
        if self.meeting is not None:
            # Goes on only when both are asked for.
            self.meeting.wait()


def stored(store: Store) -> set[str]:
    refs = [
        Ref("desk", stream, f"{begins}{n}") for stream, begins in (("tickets", ""), ("comments", "c")) for n in "123"
    ]
    with store.read() as tx:
        return {ref.key for ref in records.get_many(tx, refs)}


def quick() -> Tempo:
    made = Tempo()
    made.note(0.0005)
    return made


def test_of_a_vendor_that_takes_its_time_an_entity_and_what_stands_beside_it_are_asked_for_at_once(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    desk = Said(threading.Barrier(2, timeout=30))
    found = desk.read(store, client, clock, "1")
    assert isinstance(found["1"], Pulled)
    assert found["1"].created == 2
    assert len({thread for _, _, thread in desk.asked}) == 2


@pytest.mark.parametrize(("tempo", "abreast"), [(quick(), 4), (None, 1)], ids=["quick", "one at a time"])
def test_where_there_is_nothing_to_gain_one_thread_asks_for_one_after_the_other(
    store: Store, client: cx.Client, clock: ManualClock, tempo: Tempo | None, abreast: int
) -> None:
    desk = Said()
    assert isinstance(desk.read(store, client, clock, "1", tempo=tempo, abreast=abreast)["1"], Pulled)
    assert desk.asked == [("one", "1", threading.get_ident()), ("beside", "1", threading.get_ident())]
    assert stored(store) == {"1", "c1"}


@pytest.mark.parametrize(
    ("named", "listened", "asked"),
    [
        (("comments",), {("desk", "comment")}, ["one", "beside"]),
        (("comments", "users"), {("desk", "contact")}, ["one", "beside"]),
        (("comments",), {("desk", "ticket"), ("tracker", "comment")}, ["one"]),
        (("comments",), set(), ["one"]),
        ((), set(), ["one", "beside"]),
        (("comments", "no such stream"), set(), ["one", "beside"]),
    ],
    ids=["listened to", "one of them listened to", "others listened to", "nobody listens", "not told", "told wrong"],
)
def test_what_stands_beside_is_asked_for_where_somebody_listens_to_it(
    store: Store,
    client: cx.Client,
    clock: ManualClock,
    named: tuple[str, ...],
    listened: set[tuple[str, str]],
    asked: list[str],
) -> None:
    desk = Said()
    held = connection(
        cx.Stream("tickets", (cx.Ticket,), nothing, one=desk.one, beside=desk.beside, beside_streams=named),
        cx.Stream("comments", (cx.Comment,), nothing),
        cx.Stream("users", (cx.Contact, cx.Agent), nothing),
    )
    found = read(store, held, reading.heard(held, "tickets", listened), client, clock, ["1"])
    assert isinstance(found["1"], Pulled)
    assert [what for what, *_ in desk.asked] == asked
    assert stored(store) == {"1", *(["c1"] if "beside" in asked else [])}


def test_the_tempo_is_that_of_one_request(store: Store, client: cx.Client, clock: ManualClock) -> None:
    desk, tempo = Said(), Tempo()
    note = desk._note

    def slowly(what: str, key: str) -> None:
        clock.advance(0.002)
        note(what, key)

    desk._note = slowly  # type: ignore[method-assign]  # on purpose
    desk.read(store, client, clock, "1", tempo=tempo, abreast=1)
    assert tempo.is_quick, "two milliseconds each"


def test_what_stands_beside_nothing_is_not_stored(store: Store, client: cx.Client, clock: ManualClock) -> None:
    desk = Said()
    desk.gone.add("1")
    found = desk.read(store, client, clock, "1", "2")
    assert found["1"] is None
    assert stored(store) == {"2", "c2"}
    desk = Said()
    desk.gone.add("3")
    desk.read(store, client, clock, "3", tempo=quick())
    assert [what for what, *_ in desk.asked] == ["one"]


@pytest.mark.parametrize("tempo", [None, quick()], ids=["apart", "one after the other"])
@pytest.mark.parametrize("error", [cx.Retryable("down", sent=False), cx.Rejected("no")])
def test_an_entity_whose_other_half_fails_is_asked_for_again_as_a_whole(
    store: Store, client: cx.Client, clock: ManualClock, error: cx.VendorError, tempo: Tempo | None
) -> None:
    desk = Said()
    desk.error = error
    assert desk.read(store, client, clock, "1", tempo=tempo) == {"1": error}
    assert stored(store) == set()


@pytest.mark.parametrize("tempo", [None, quick()], ids=["apart", "one after the other"])
def test_what_has_nothing_beside_it_any_more_is_stored_as_it_is(
    store: Store, client: cx.Client, clock: ManualClock, tempo: Tempo | None
) -> None:
    desk = Said()
    desk.error = cx.NotFound("gone meanwhile")
    assert isinstance(desk.read(store, client, clock, "1", tempo=tempo)["1"], Pulled)
    assert stored(store) == {"1"}


def test_a_round_that_is_late_ends_behind_a_whole_entity(
    store: Store, client: cx.Client, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "LONGEST", -1.0)
    desk = Said()
    found = desk.read(store, client, clock, "1", "2", "3")
    assert isinstance(found["1"], Pulled)
    assert "3" not in found
    assert {f"c{key}" for key in found} | {*found} == stored(store)
