"""No shipped connector goes without the contract; a shipped plugin without a connector is known as one."""

import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from cxbridge.core.registry import GROUP
from cxbridge.testing import ConnectorContract

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
SHIPPED: dict[str, str] = tomllib.loads(PROJECT.read_text(encoding="utf-8"))["project"]["entry-points"][GROUP]

# Plugins that implement other hooks, and what those are about.
WITHOUT_CONNECTOR = {"nlp": "sentiment and language, tested in tests/plugins/nlp"}


@pytest.mark.parametrize("plugin", sorted(SHIPPED))
def test_every_connector_of_the_project_is_held_to_the_contract(plugin: str) -> None:
    module: Any = import_module(SHIPPED[plugin])
    if not hasattr(module, "cxbridge_connectors"):
        assert plugin in WITHOUT_CONNECTOR, "it brings no connector: say here what it brings instead"
        return
    assert plugin not in WITHOUT_CONNECTOR
    tests = import_module(f"tests.contract.test_{plugin}")
    held = [one for one in vars(tests).values() if isinstance(one, type) and issubclass(one, ConnectorContract)]
    assert [one for one in held if one is not ConnectorContract]
    for connector in module.cxbridge_connectors():
        assert connector in vars(tests).values()
