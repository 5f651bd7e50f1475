"""Twelve engines that are known to be wrong: the suites that find nothing wrong with the true one catch every one of them.

For each a few plays are chosen that are telling. The true engine goes through the same plays unharmed.
"""

from collections.abc import Callable
from pathlib import Path

import pytest

from cxbridge.core.clock import ManualClock
from tests.conftest import PostgreSQL
from tests.reliability.killing.nursery import Nursery
from tests.reliability.stage import Ground
from tests.reliability.wrong.engines import ENGINES, Wrong
from tests.reliability.wrong.selections import SELECTIONS, Selection, Suites

CHOSEN = [
    pytest.param(engine, selection, id=f"{engine.name}-{number}")
    for engine in ENGINES
    for number, selection in enumerate(SELECTIONS[engine.name])
]
# On PostgreSQL, where there can be several workers.
SHARED = "without-fence"


@pytest.fixture
def suites(
    ground: Ground, nursery: Nursery, tmp_path: Path, request: pytest.FixtureRequest, clock: ManualClock
) -> Suites:
    def database() -> str:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        return server.store(clock)

    return Suites(ground, nursery, tmp_path, database)


def test_there_are_twelve() -> None:
    assert len(ENGINES) == 12
    assert list(SELECTIONS) == [one.name for one in ENGINES]


@pytest.mark.process
@pytest.mark.parametrize(("engine", "selection"), CHOSEN)
def test_the_suites_catch_an_engine_that(
    suites: Suites, engine: Wrong, selection: Selection, record_property: Callable[[str, object], None]
) -> None:
    found = selection(suites, engine.name)
    broken = {one.invariant for one in found}
    print(f"an engine that {engine.does}: {', '.join(sorted(broken))}")
    assert broken & engine.breaks, f"an engine that {engine.does} was not caught: {broken or 'nothing was found'}"
    assert selection(suites, "") == [], "the true engine"
    record_property("caught", engine.name)
