"""The tutorial's connector, as an author would have it after the last step."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.contract import pages


@pytest.fixture(scope="session")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ModuleType, ModuleType]]:
    """The connector and its tests, as modules."""
    folder = pages.write(tmp_path_factory.mktemp("tutorial"), pulse=3, tests=2)
    yield _load(folder, "pulse"), _load(folder, "test_pulse")
    for name in ("pulse", "test_pulse"):
        del sys.modules[name]


def _load(folder: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
