"""F1 to F3, F23: the process ends, or is told to end, or its recipe changes under it, on any bench."""

import threading

from tests.matrix.play import Play, Table

# -- the process ends --------------------------------------------------------------------------------------------------


def _points(table: Table) -> int:
    """How many places a crash may come at while one thing is carried over."""
    with table.playing() as play:
        with play.stage.playing():
            play.people()
            play.rest()
        return play.stage.hooks.passed


def crash(table: Table) -> None:
    """F1: the process ends at places spread over the whole run; every seed has others."""
    points = _points(table)
    for at in range(6):
        _crashed(table, (1 + (at * points // 6 + 7 * table.seed) % points,))


def crash_in_recovery(table: Table) -> None:
    """F2: it ends again while it recovers."""
    points = _points(table)
    for at in range(3):
        first = 1 + (at * points // 3 + 11 * table.seed) % points
        _crashed(table, (first, first + 1 + (5 * at + table.seed) % 12))


def _crashed(table: Table, at: tuple[int, ...]) -> None:
    with table.playing(at) as play:
        with play.stage.playing():
            play.people()
            play.rest()
        assert play.stage.hooks.crashed, f"there was no place {at}"
        play.ends_well()


def orderly_stop(table: Table) -> None:
    """F3: told to stop while the vendor is being asked, it begins nothing more and leaves no doubt behind."""
    for number in range(1, 12, 3):
        with table.playing() as play:
            play.people()
            _stopped_at(play, number + table.seed % 3)
            left = {one.state for one in play.stage.deliveries(limit=100)}
            assert not left & {"unknown", "sent"}, left
            play.stage.bridge.close()
            play.stage.bridge = play.stage.open()
            assert play.stage.bridge.pusher.recover() == 0
            play.ends_well()


def _stopped_at(play: Play, number: int) -> None:
    """Work until the request of that number is under way, and then as little more as there must be."""
    stop, asked, watch = threading.Event(), 0, play.stage.network.watch

    def told(what: str) -> None:
        nonlocal asked
        asked += what.startswith("request.leaving")
        if asked >= number:
            stop.set()

    play.stage.network.watch = told
    try:
        _work(play, stop)
    finally:
        play.stage.network.watch = watch
    assert stop.is_set()


def _work(play: Play, stop: threading.Event) -> None:
    for _ in range(5):
        for connection, stream in play.stage.bridge.streams():
            if stop.is_set():
                return
            play.stage.bridge.pull(connection, stream, stop=stop)
        play.stage.bridge.plan()
        play.stage.bridge.push(play.bench.vendor, stop)
        if stop.is_set():
            return
        play.stage.network.advance(61)


# -- the recipe changes ------------------------------------------------------------------------------------------------


def recipe_changed(table: Table) -> None:
    """F23: the recipe is changed, broken or deleted while its work is under way: what began ends as it began."""
    for how in ("changed", "broken", "deleted"):
        with table.playing() as play:
            play.people()
            play.pull()
            play.stage.bridge.plan()
            assert {one.state for one in play.stage.deliveries()} == {"planned"}
            _own_recipes(play, how)
            play.rest()
            play.judge()
            # What happens from now on is met by the new version, where there is one.
            began, first = list(play.dues), len(play.stage.runs(limit=100))
            play.people()
            play.dues = play.dues if how == "changed" else began
            for _ in range(4):
                play.cycle()
            runs = play.stage.runs(limit=100)
            assert len(runs) == first + (how == "changed"), how
            assert len({one.version for one in runs}) == (2 if how == "changed" else 1)
            play.judge()


def _own_recipes(play: Play, how: str) -> None:
    """Give the stage recipes of its own, and do that to them."""
    folder = play.stage.folder / "recipes"
    [file] = folder.iterdir()
    text = file.read_text(encoding="utf-8")
    folder.unlink()
    folder.mkdir()
    if how == "changed":
        (folder / file.name).write_text(text + "\n# another version\n", encoding="utf-8")
    elif how == "broken":
        (folder / file.name).write_text(text.replace("[when]", "[when"), encoding="utf-8")
