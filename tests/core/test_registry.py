"""Plugins: the shipped ones are loaded, foreign ones only when named, and a broken one harms nobody else."""

import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import Distribution, EntryPoint
from pathlib import Path

import pytest

from cxbridge.core.errors import PluginError
from cxbridge.core.registry import BRING_HOOKS, GROUP, SHIPPED, Found, Registry, installed

GOOD = """
from cxbridge.core import connector as cx

class Pulse(cx.Connector):
    name = "{name}"

@cx.hookimpl
def cxbridge_connectors():
    return [Pulse]
"""
HOOK = "from cxbridge.core import connector as cx\n@cx.hookimpl\ndef {name}():\n    {body}\n"
BROKEN = {
    "raises at import": "raise ZeroDivisionError('at import')",
    "leaves the process": "raise SystemExit(3)",
    "is no Python": "def",
    "raises when asked": HOOK.format(name="cxbridge_connectors", body="1 / 0"),
    "has a hook that nobody calls": HOOK.format(name="cxbridge_conectors", body="pass"),
    "gives no connector": HOOK.format(name="cxbridge_connectors", body="return [5]"),
    "takes a name that is taken": GOOD.format(name="zendesk"),
}


class Plugins:
    """A folder of installed packages, each with one plugin."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(self, name: str, source: str) -> EntryPoint:
        """Install a plugin; importing it leaves a trace in sys.modules."""
        (self.folder / f"plugin_{name}.py").write_text(source)
        info = self.folder / f"plugin_{name}-1.2.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: plugin-{name}\nVersion: 1.2\n")
        (info / "entry_points.txt").write_text(f"[{GROUP}]\n{name} = plugin_{name}\n")
        (point,) = Distribution.at(info).entry_points
        return point

    def imported(self, name: str) -> bool:
        """Whether the plugin's code was run."""
        return f"plugin_{name}" in sys.modules


@pytest.fixture
def plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plugins]:
    monkeypatch.syspath_prepend(str(tmp_path))
    before = set(sys.modules)
    yield Plugins(tmp_path)
    for name in set(sys.modules) - before:
        if name.startswith("plugin_"):
            del sys.modules[name]


@pytest.fixture
def shipped() -> Mapping[str, EntryPoint]:
    return {one.name: one for one in installed() if one.name in ("zendesk", "jira")}


def test_shipped_connectors_are_loaded_unasked() -> None:
    registry = Registry.load([])
    assert {"zendesk", "jira"} <= set(registry.connectors)
    assert registry.broken == ()
    assert all(one.enabled for one in registry.found if one.distribution == "cxbridge")


def test_foreign_plugin_is_listed_and_not_imported(plugins: Plugins) -> None:
    point = plugins.add("loud", "raise AssertionError('this must never run')")
    registry = Registry.load([], [point])
    assert registry.found == (Found("loud", "plugin-loud", "1.2", enabled=False),)
    assert dict(registry.connectors) == {}
    assert registry.broken == ()
    assert not plugins.imported("loud")


def test_installed_plugins_are_found_and_not_imported(plugins: Plugins) -> None:
    plugins.add("loud", "raise AssertionError('this must never run')")
    registry = Registry.load([])
    assert Found("loud", "plugin-loud", "1.2", enabled=False) in registry.found
    assert "zendesk" in registry.connectors
    assert not plugins.imported("loud")


def test_foreign_plugin_runs_when_it_is_named(plugins: Plugins) -> None:
    points = [plugins.add("pulse", GOOD.format(name="pulse")), plugins.add("loud", "raise AssertionError")]
    registry = Registry.load(["pulse"], points)
    assert set(registry.connectors) == {"pulse"}
    assert [(one.name, one.enabled) for one in registry.found] == [("loud", False), ("pulse", True)]
    assert plugins.imported("pulse")
    assert not plugins.imported("loud")


@pytest.mark.parametrize("source", BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("name", ["alpha", "zulu"])
def test_broken_plugin_is_reported_and_the_others_go_on(
    name: str, source: str, plugins: Plugins, shipped: Mapping[str, EntryPoint]
) -> None:
    # Before and behind the others: order must not matter.
    broken = plugins.add(name, source)
    good = plugins.add("pulse", GOOD.format(name="pulse"))
    registry = Registry.load([name, "pulse"], [broken, good, *shipped.values()])
    # Of two that bring the same connector, the one that comes later is left out.
    loser = "zendesk" if name == "alpha" and 'name = "zendesk"' in source else name
    assert [one.plugin for one in registry.broken] == [loser]
    assert "cannot be loaded" in str(registry.broken[0])
    assert registry.broken[0].__cause__ is not None
    assert {"pulse", "jira", "zendesk"} == set(registry.connectors)


def test_plugin_that_is_enabled_and_not_installed(plugins: Plugins) -> None:
    point = plugins.add("pulse", GOOD.format(name="pulse"))
    with pytest.raises(PluginError, match=r"plugin puls: is enabled in \[plugins\] but not installed; .*: pulse"):
        Registry.load(["puls"], [point])


def test_shipped_connectors_that_nobody_uses_are_left_unread_and_stay_known() -> None:
    registry = Registry.load([], used={"jira"})
    assert set(registry.connectors) == {"jira"}
    assert {"gainsight", "jira", "qualtrics", "slack", "zendesk"} <= set(registry.known)


def test_a_shipped_plugin_brings_the_connector_of_its_name_or_hooks() -> None:
    for name in {one.name for one in Registry.load([]).found if one.distribution == SHIPPED}:
        brought = set(Registry.load([], used={name}).connectors)
        assert brought == (set() if name in BRING_HOOKS else {name})
