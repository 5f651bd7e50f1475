"""F10 to F12, F15: data, pages, searches and clocks that are not as they were, on any bench."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from cxbridge.core.errors import Retryable, WireFormat
from tests.matrix.play import Play, Table

# -- data that is not as it was ----------------------------------------------------------------------------------------


def drift(table: Table) -> None:
    """F10: a word nobody knows is kept; what cannot be read is refused alone and told; the stream goes on."""
    listed = table.bench.listed
    word, vital = f"{listed.row}.{listed.word}", f"{listed.row}.{listed.vital}"
    # What is changed, and whether the record is refused for it; None where that is the connector's affair.
    changes: tuple[tuple[Mapping[str, Any], bool | None], ...] = (
        ({"set": {word: "brand_new_word"}}, False),
        ({"set": {word: None}}, None),
        ({"set": {word: {"a": ["structure"]}}}, None),
        ({"drop": [word]}, None),
        ({"set": {f"{listed.row}.brand_new_field": [1, {"x": None}]}}, False),
        ({"drop": [vital]}, True),
        ({"set": {vital: {"no": "id"}}}, True),
    )
    for change, refuses in changes:
        with table.playing() as play:
            play.people(3)
            # What a wrong record was to begin may never begin; what came beside it must.
            play.dues = []
            play.bad_list("rewrite", **change)
            failed = play.pull_one(listed.stream)
            assert failed is None, f"{change}: one record stopped them all: {failed!r}"
            refused = play.refused(listed.stream)
            if refuses is not None:
                assert bool(refused) is refuses, f"{change}: {refused}"
            assert not any(told in one for one in refused for told in ("brand_new", "structure")), "a value is quoted"
            play.ends_well(whole=False)
            assert len(play.stage.runs(limit=100)) >= (3 if refused else 4), "more was lost than the one record"


def pages(table: Table) -> None:
    """F11: pages that come twice, shift, begin anew or go in circles lose nothing, and end."""
    for name, more in (
        ("duplicate_page", {"times": 1}),
        ("duplicate_page", {"times": 2}),
        ("cursor_reset", {"times": 1}),
        ("cursor_loop", {"times": None}),
        ("cursor_loop", {"times": None, "period": 3}),
        ("skip_item", {"times": 1}),
    ):
        with table.playing() as play:
            play.people(5)
            play.bad_list(name, **more)
            before = len(play.requests(path=table.bench.listed.path))
            failed = play.pull_one(table.bench.listed.stream)
            asked = len(play.requests(path=table.bench.listed.path)) - before
            assert failed is None or isinstance(failed, WireFormat | Retryable), f"{name}: {failed!r}"
            assert asked <= 12, f"{name}: {asked} pages before it was noticed"
            play.heal()
            play.ends_well()


def late_visible(table: Table) -> None:
    """F12: a write whose answer was lost is not seen for a while where it is looked for, and is not done again.

    For as long as the connector allows for: it looks twice, and what shows between the two looks is found.
    """
    for share in (0.0, 0.5, 1.0, 1.9):
        with table.playing() as play:
            lag = share * _settle(play)
            play.bad_writes("ghost")
            play.fault("late_visible", table.bench.finds, times=None, seconds=lag)
            play.people()
            play.pull()
            play.stage.bridge.plan()
            play.undoubt()
            play.ends_well()


def _settle(play: Play) -> float:
    """What the connector says its vendor takes until it shows a write."""
    actions = play.stage.bridge.connections[play.bench.vendor].actions
    settles = [getattr(actions[name].effect, "settle", None) for name in play.bench.actions]
    return float(min(one for one in settles if one is not None))


# -- clocks ------------------------------------------------------------------------------------------------------------


# How far each pull looks back, whatever the vendor, less what a change takes until it shows.
_STEP = 180.0


def skew(table: Table) -> None:
    """F15: the vendor's clock or ours is ten minutes off, or is set while we read."""
    for vendor, ours, vendor_then, ours_then in (
        (600.0, 0.0, 600.0, 0.0),
        (-600.0, 0.0, -600.0, 0.0),
        (0.0, 0.0, 0.0, -600.0),
        (0.0, 0.0, 0.0, 600.0),
        (0.0, 0.0, -_STEP, 0.0),
        (_STEP, 600.0, 0.0, -600.0),
    ):
        with table.playing() as play:
            ahead = _clocks(play, vendor, ours)
            play.people(2)
            play.cycle()
            ahead(vendor_then, ours_then)
            play.people(2)
            play.rest()
            ahead(0.0, 0.0)
            # Past the time that comes twice: what is done in it is told from what was done before by nobody.
            play.stage.network.advance(1300)
            play.ends_well()


def _clocks(play: Play, vendor: float, ours: float) -> Callable[[float, float], None]:
    """Set the vendor's clock and ours ahead of the true time; gives what sets them again."""
    clock = play.stage.clock
    right = clock.now
    off = ours

    def ahead(vendor: float, ours: float) -> None:
        nonlocal off
        play.stage.world.clock.skew(play.bench.vendor, vendor)
        off = ours

    clock.now = lambda: right() + timedelta(seconds=off)  # type: ignore[method-assign]
    ahead(vendor, ours)
    return ahead
