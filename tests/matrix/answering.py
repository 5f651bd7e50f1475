"""F7 to F9: answers that are lost, arrive by halves or cannot be answers, on any bench."""

import itertools
import tracemalloc
from collections.abc import Callable, Mapping
from typing import Any

from cxbridge.core.errors import Retryable, VendorError, WireFormat
from tests.matrix.play import Play, Table

# -- answers that do not arrive ----------------------------------------------------------------------------------------


def ghosts(table: Table) -> None:
    """F7: the vendor does it, and its answer is lost; also when looking for it is answered as badly."""
    for times in (1, 2):
        with table.playing() as play:
            play.bad_writes("ghost", times=times)
            play.people(2)
            play.ends_well()
    with table.playing() as play:
        play.bad_writes("ghost")
        play.people()
        play.pull()
        play.stage.bridge.plan()
        play.stage.bridge.push(table.bench.vendor)
        play.fault("reset", table.bench.finds, times=play.random.randint(1, 3))
        play.ends_well()


HALF: tuple[Mapping[str, Any], ...] = (
    {"name": "limit_data", "bytes": 40},
    {"name": "limit_data", "bytes": 0},
    {"name": "wrong_length", "by": 50},
    {"name": "wrong_length", "by": -5},
    {"name": "slicer", "bytes": 8, "seconds": 25},
    {"name": "wrong_length", "by": -1},
    {"name": "broken_gzip", "how": "cut"},
    {"name": "broken_gzip", "how": "garbage"},
    {"name": "broken_gzip", "how": "checksum"},
)


def half_answers(table: Table) -> None:
    """F8: half an answer is none: a page is not committed on it, and a write is in doubt until it is settled."""
    for some in (HALF[0::3], HALF[1::3], HALF[2::3]):
        with table.playing() as play:
            play.people()
            for how, (stream, strike) in itertools.product(some, _both(play)):
                before = play.place(stream)
                strike(**how, times=None)
                failed = play.pull_one(stream)
                assert isinstance(failed, Retryable | WireFormat), f"{how}: {failed!r}"
                assert play.place(stream) == before, how
                play.heal()
                # So many failures in a row that the vendor is left alone for a while.
                play.stage.network.advance(900)
            # Each write meets all of them, one after the other.
            for how in some:
                play.bad_writes(**how)
            play.ends_well()
    with table.playing() as play:
        play.people()
        play.bad_read("slow_close", seconds=5, times=None)
        assert play.pull_one() is None, "it came whole, only late"
        play.bad_writes("slow_close", seconds=5)
        play.ends_well()


def _both(play: Play) -> list[tuple[str, Callable[..., None]]]:
    """The stream that is seen by, and the one that comes as JSON where that is another one."""
    reads, listed = play.bench.reads.stream, play.bench.listed.stream
    return [(reads, play.bad_read), *([(listed, play.bad_list)] if listed != reads else [])]


MALFORMED: tuple[Mapping[str, Any], ...] = (
    {"name": "bad_json"},
    {"name": "html"},
    {"name": "wrong_charset", "encoding": "latin-1"},
    {"name": "wrong_charset", "encoding": "utf-16"},
    {"name": "nan"},
    {"name": "deep"},
    {"name": "huge"},
    {"name": "huge", "told": True},
    {"name": "huge", "gzip": True},
    {"name": "broken_gzip", "how": "bomb"},
)
# For all around the answer.
_BESIDE = 32 * 1024 * 1024


def malformed(table: Table) -> None:
    """F9: what cannot be an answer is a typed error, no page is committed on it, and memory stays bounded."""
    most = {"bytes": max(200_000_000, table.bench.most_body + 1)}
    every = [{**one, **most} if one["name"] == "huge" else one for one in MALFORMED]
    stream = table.bench.listed.stream
    for some in (every[0::3], every[1::3], every[2::3]):
        with table.playing() as play:
            play.people()
            before = play.place(stream)
            for how in some:
                play.bad_list(**how)
                failed, peak = _measured(play, stream, measure=how["name"] in ("huge", "broken_gzip"))
                assert isinstance(failed, WireFormat | Retryable), f"{how}: {failed!r}"
                assert play.place(stream) == before, how
                assert peak < table.bench.most_body + _BESIDE, f"{how}: {peak >> 20} MiB"
                play.heal()
            # Each write meets all of them, one after the other.
            for how in some:
                play.bad_writes(**how)
            play.ends_well()


def _measured(play: Play, stream: str, *, measure: bool) -> tuple[VendorError | None, int]:
    if not measure:
        return play.pull_one(stream), 0
    tracemalloc.start()
    try:
        return play.pull_one(stream), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
