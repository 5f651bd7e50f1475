"""The ground that the tests of this package stand on, and what forks the daemons that they kill: prepared once for each worker."""

from collections.abc import Iterator

import pytest

from tests.reliability.killing.nursery import Nursery
from tests.reliability.stage import Ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Settings are prepared on it once; stages are cheap."""
    return Ground(tmp_path_factory.mktemp("ground"))


@pytest.fixture(scope="session")
def nursery() -> Iterator[Nursery]:
    """A process that forks daemons."""
    with Nursery() as warm:
        yield warm
