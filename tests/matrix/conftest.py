"""The ground that the cells are played on: prepared once for each worker."""

import pytest

from tests.reliability.stage import Ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    """Settings are prepared on it once; stages are cheap."""
    return Ground(tmp_path_factory.mktemp("matrix"))
