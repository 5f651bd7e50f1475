"""No shipped connector goes without the contract."""

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.registry import GROUP
from cxbridge.testing import ConnectorContract

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
SHIPPED: dict[str, str] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]


@pytest.mark.parametrize("plugin", sorted(SHIPPED))
def test_every_connector_of_the_project_is_held_to_the_contract(plugin: str) -> None:
    module: Any = import_module(SHIPPED[plugin])
    tests = import_module(f"tests.contract.test_{plugin}")
    held = [one for one in vars(tests).values() if isinstance(one, type) and issubclass(one, ConnectorContract)]
    assert [one for one in held if one is not ConnectorContract]
    for connector in module.cxbridge_connectors():
        assert connector in vars(tests).values()
