"""Whether writes that come next were made already is asked for all of them at once; who was told so need not look."""

import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import pytest
import structlog

from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.engine.connections import Connection
from cxbridge.core.engine.fresh import GOOD_FOR, MOST, Fresh
from cxbridge.core.engine.push import Pusher
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.ledger import Delivery
from cxbridge.core.store import Store
from tests.core.engine.test_abreast import delivery
from tests.core.engine.test_following import slow
from tests.core.engine.test_pull_push import Fake, Vendor, connection, due_as_well, pushing


class Knowing(Vendor):
    """A vendor that is asked for several markers at once, and notes which writes were told to be fresh."""

    def __init__(self, *script: str, planted: Collection[str] = ()) -> None:
        super().__init__(*script)
        self.known = set(planted)
        self.asked: list[Sequence[str]] = []
        # How many were done each time that it was asked.
        self.when: list[int] = []
        self.fresh: list[bool] = []
        self.error: Exception | None = None
        self.meanwhile: Callable[[], None] = lambda: None

    def perform(self, client: cx.Client, call: cx.Call) -> cx.Receipt:
        self.fresh.append(call.fresh)
        return super().perform(client, call)

    def planted(self, _: cx.Client, markers: Sequence[str]) -> Collection[str]:
        self.asked.append(list(markers))
        self.when.append(len(self.done))
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return self.known.intersection(markers)


@pytest.fixture
def client(clock: ManualClock) -> Iterator[cx.Client]:
    with open_client(Fake().endpoint(), connection="fake", clock=clock, tokens=MemoryTokens()) as opened:
        yield opened


def due(store: Store, clock: ManualClock, vendor: Knowing, deliveries: int) -> tuple[Pusher, Connection]:
    """So many deliveries are due, each to another ticket."""
    pusher, one = pushing(store, clock, vendor, cx.Findable(settle=30))
    [action] = one.actions.values()
    due_as_well(store, deliveries)
    return pusher, replace(one, actions={action.name: replace(action, planted=vendor.planted)})


def test_several_that_are_due_are_asked_for_once_and_none_of_them_looks(
    store: Store, client: cx.Client, clock: ManualClock
) -> None:
    vendor = Knowing()
    pusher, one = due(store, clock, vendor, 5)
    assert pusher.push(one, client).confirmed == 5
    assert [len(markers) for markers in vendor.asked] == [5]
    assert sorted(vendor.asked[0]) == sorted(vendor.done)
    assert vendor.fresh == [True] * 5


def test_what_something_may_carry_looks_for_itself(store: Store, client: cx.Client, clock: ManualClock) -> None:
    vendor = Knowing(planted=["cxb:0000000000000002"])
    pusher, one = due(store, clock, vendor, 3)
    assert pusher.push(one, client).confirmed == 3
    assert len(vendor.asked) == 1
    assert dict(zip(vendor.done, vendor.fresh, strict=True)) == {
        "cxb:0123456789abcdef": True,
        "cxb:0000000000000002": False,
        "cxb:0000000000000003": True,
    }


def test_one_that_is_due_alone_looks_for_itself(store: Store, client: cx.Client, clock: ManualClock) -> None:
    vendor = Knowing()
    pusher, one = due(store, clock, vendor, 1)
    assert pusher.push(one, client).confirmed == 1
    assert (vendor.asked, vendor.fresh) == ([], [False])


def test_what_was_tried_before_looks_for_itself(store: Store, client: cx.Client, clock: ManualClock) -> None:
    vendor = Knowing("never", "never", "never")
    pusher, one = due(store, clock, vendor, 3)
    assert pusher.push(one, client).unknown == 3
    for _ in range(6):
        clock.advance(60)
        pusher.push(one, client)
    assert len(vendor.done) == 3
    assert vendor.fresh == [True, True, True, False, False, False]
    assert len(vendor.asked) == 1


@pytest.mark.parametrize(
    "error",
    [
        cx.Retryable("down", sent=False),
        cx.Rejected("no such search"),
        cx.Unauthorized("who?"),
        cx.WireFormat("half"),
        KeyError("secret"),
    ],
)
def test_where_it_cannot_be_asked_each_looks_for_itself_and_it_is_asked_no_more(
    store: Store, client: cx.Client, clock: ManualClock, error: Exception
) -> None:
    vendor = Knowing()
    vendor.error = error
    pusher, one = due(store, clock, vendor, 3)
    with structlog.testing.capture_logs() as logged:
        assert pusher.push(one, client).confirmed == 3
    assert (len(vendor.asked), vendor.fresh) == (1, [False] * 3)
    [told] = [line for line in logged if line["event"] == "push.one_by_one"]
    assert (told["connection"], told["action"]) == ("fake", "comment.add_once")
    assert "secret" not in str(told)


@pytest.mark.parametrize("given", ["cxb:0000000000000002", ["cxb-0000000000000002"], [7], None])
def test_what_names_something_else_is_no_answer(
    store: Store, client: cx.Client, clock: ManualClock, given: Any
) -> None:
    """As where a connector gives one text, what it found, or nothing at all: all would be taken for new."""
    vendor = Knowing()
    pusher, one = due(store, clock, vendor, 3)
    [action] = one.actions.values()
    one = replace(one, actions={action.name: replace(action, planted=lambda client, markers: given)})
    with structlog.testing.capture_logs() as logged:
        assert pusher.push(one, client).confirmed == 3
    assert vendor.fresh == [False] * 3
    assert [line["log_level"] for line in logged if line["event"] == "push.one_by_one"] == ["warning"]


@pytest.mark.parametrize(("seconds", "ahead"), [(0.1, True), (0.0, False)], ids=["slow", "quick"])
def test_of_a_slow_vendor_more_are_asked_for_before_those_run_out_that_are_known(
    store: Store, client: cx.Client, clock: ManualClock, seconds: float, ahead: bool
) -> None:
    vendor = Knowing()
    slow(vendor, clock, seconds)
    pusher, one = due(store, clock, vendor, MOST + 30)
    assert pusher.push(one, client, abreast=2).confirmed == MOST + 30
    assert len(vendor.asked) >= 2
    first = len(vendor.asked[0])
    assert (vendor.when[1] < first - 2) is ahead, "two are under way"


# -- by itself ---------------------------------------------------------------------------------------------------------


def deliveries(count: int, action: str = "comment.add_once") -> list[Delivery]:
    return [
        msgspec.structs.replace(delivery(f"{action}{number}"), action=action, marker=f"{action}{number}")
        for number in range(count)
    ]


@pytest.fixture
def known(client: cx.Client, clock: ManualClock) -> Callable[[Knowing], tuple[Fresh, cx.Action]]:
    def make(vendor: Knowing) -> tuple[Fresh, cx.Action]:
        effect = cx.Findable(settle=30)
        action = cx.Action("comment.add_once", "tickets", vendor.perform, effect, vendor.find, planted=vendor.planted)
        return Fresh(connection(actions=(action,)), client, clock), action

    return make


def test_what_was_told_is_gone_by_once_and_not_for_long(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]], clock: ManualClock
) -> None:
    vendor = Knowing()
    told, action = known(vendor)
    some = deliveries(4)
    assert told.is_new(action, some[0], lambda: some[1:])
    assert told.is_new(action, some[1], list)
    assert not told.is_new(action, some[1], list), "it may have been made since"
    clock.advance(GOOD_FOR)
    assert told.is_new(action, some[2], lambda: some[3:])
    assert vendor.asked == [[one.marker for one in some], [some[2].marker, some[3].marker]]


def test_no_more_are_asked_for_at_once_than_a_connector_must_take(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]],
) -> None:
    vendor = Knowing()
    told, action = known(vendor)
    some = deliveries(MOST + 10)
    assert told.is_new(action, some[-1], lambda: some)
    assert [len(markers) for markers in vendor.asked] == [MOST]
    assert vendor.asked[0][0] == some[-1].marker


def test_other_actions_and_second_tries_are_not_asked_for(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]],
) -> None:
    vendor = Knowing()
    told, action = known(vendor)
    first, second, third = deliveries(3)
    others = [*deliveries(1, "ticket.ensure"), msgspec.structs.replace(third, attempts=1)]
    assert told.is_new(action, first, lambda: [second, *others])
    assert vendor.asked == [[first.marker, second.marker]]
    assert not told.is_new(action, msgspec.structs.replace(second, attempts=1), lambda: others)
    assert not told.is_new(replace(action, planted=None), second, lambda: others)


def test_whoever_comes_while_another_asks_is_told_by_its_answer(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]],
) -> None:
    """As where several threads begin at once with what is due: what they have in hand is asked for as well."""
    vendor = Knowing()
    told, action = known(vendor)
    first, second, third, fourth = deliveries(4)
    asking, here = threading.Event(), threading.Event()

    def meanwhile() -> None:
        asking.set()
        assert here.wait(30)

    vendor.meanwhile = meanwhile
    found: dict[str, bool] = {}

    def ask(one: Delivery, others: list[Delivery]) -> None:
        found[one.id] = told.is_new(action, one, lambda: others)

    for one in (first, second, msgspec.structs.replace(fourth, attempts=1), *deliveries(1, "ticket.ensure")):
        told.expect(one)
    threads = [threading.Thread(target=ask, args=(first, [third]))]
    threads[0].start()
    assert asking.wait(30)
    threads += [threading.Thread(target=ask, args=(one, [])) for one in (second, third)]
    for thread in threads[1:]:
        thread.start()
    here.set()
    for thread in threads:
        thread.join(30)
    assert found == {first.id: True, second.id: True, third.id: True}
    assert vendor.asked == [[first.marker, second.marker, third.marker]]


def test_what_somebody_had_in_hand_and_left_is_not_asked_for(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]],
) -> None:
    vendor = Knowing()
    told, action = known(vendor)
    first, second, third = deliveries(3)
    told.expect(second)
    told.forget(second)
    assert told.is_new(action, first, lambda: [third])
    assert vendor.asked == [[first.marker, third.marker]]


def test_few_that_are_known_are_enough_to_ask_for_more_and_nobody_waits_for_that(
    known: Callable[[Knowing], tuple[Fresh, cx.Action]],
) -> None:
    """Of a slow vendor all threads would stand still, each time that it is asked, until it has answered."""
    vendor = Knowing()
    told, action = known(vendor)
    told.few = lambda: 4
    some = deliveries(12)
    assert told.is_new(action, some[0], lambda: some[1:6])
    assert told.is_new(action, some[1], lambda: some[2:6])
    assert len(vendor.asked) == 1
    asking, here, found = threading.Event(), threading.Event(), []

    def meanwhile() -> None:
        asking.set()
        assert here.wait(30)

    vendor.meanwhile = meanwhile
    ahead = threading.Thread(target=lambda: found.append(told.is_new(action, some[2], lambda: some[3:])))
    ahead.start()
    assert asking.wait(30)
    assert told.is_new(action, some[3], lambda: some[4:]), "while another one asks"
    here.set()
    ahead.join(30)
    assert found == [True]
    assert vendor.asked == [[one.marker for one in some[:6]], [one.marker for one in some[6:]]]
