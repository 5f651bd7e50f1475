"""Entry points to connectors: which plugins exist and what the enabled ones bring; imports no other."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

import pluggy

from cxbridge.core import hookspecs
from cxbridge.core.connector import Connector
from cxbridge.core.errors import PluginError

GROUP = "cxbridge.plugins"
# The connectors that come with cxbridge; they enter through the same group as foreign ones.
SHIPPED = "cxbridge"
# A shipped plugin brings the connector of its own name, but for these, which bring hooks.
BRING_HOOKS = frozenset({"nlp"})


def installed() -> Iterable[EntryPoint]:
    """List the entry points of every installed plugin by their metadata; imports none."""
    return entry_points(group=GROUP)


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that is installed, enabled or not. `distribution` is the package that brings it."""

    name: str
    distribution: str
    version: str
    enabled: bool


class Registry:
    """The connectors of this process, by name; `known` names those left unread too, `broken` is why others are missing.

    `hooks` calls what the loaded plugins implement; without plugins every hook answers that nobody did.
    """

    def __init__(
        self,
        connectors: Mapping[str, type[Connector]],
        found: Iterable[Found],
        broken: Iterable[PluginError] = (),
        manager: pluggy.PluginManager | None = None,
        unread: Iterable[str] = (),
    ) -> None:
        self.connectors = dict(connectors)
        self.found = tuple(found)
        self.broken = tuple(broken)
        self.hooks = (_manager() if manager is None else manager).hook
        self.known = sorted({*connectors, *unread})

    @classmethod
    def load(
        cls,
        enable: Collection[str],
        available: Iterable[EntryPoint] | None = None,
        *,
        used: Collection[str] | None = None,
    ) -> "Registry":
        """Load the shipped plugins and those named in `enable`; others are listed by their metadata and never imported.

        A plugin is code with our rights, so being installed is not enough to be run. With `used`, shipped connectors of other
        names are left unread: whoever connects two vendors does not wait for the rest.

        Raises:
            PluginError: when an enabled plugin is not installed.
        """
        manager = _manager()
        found: list[Found] = []
        broken: list[PluginError] = []
        unread: list[str] = []
        connectors: dict[str, type[Connector]] = {}
        for point in sorted(installed() if available is None else available, key=lambda p: p.name):
            distribution = point.dist.name if point.dist else "unknown"
            version = point.dist.version if point.dist else ""
            enabled = distribution == SHIPPED or point.name in enable
            found.append(Found(point.name, distribution, version, enabled))
            if not enabled:
                continue
            if used is not None and distribution == SHIPPED and point.name not in {*used, *enable, *BRING_HOOKS}:
                unread.append(point.name)
                continue
            try:
                plugin = point.load()
                manager.register(plugin, name=point.name)
                manager.check_pending()
                for connector in manager.subset_hook_caller(
                    "cxbridge_connectors", [p for p in manager.get_plugins() if p is not plugin]
                )():
                    _add(connectors, connector)
            except (Exception, SystemExit) as error:  # noqa: BLE001  # whatever a foreign plugin raises must not stop the others
                # Left registered, its wrong hooks would be found again at each plugin that follows.
                manager.unregister(name=point.name)
                failure = PluginError(point.name, f"cannot be loaded ({type(error).__name__}: {error})")
                failure.__cause__ = error
                broken.append(failure)
        missing = sorted(set(enable) - {one.name for one in found})
        if missing:
            there = ", ".join(one.name for one in found) or "none"
            raise PluginError(missing[0], f"is enabled in [plugins] but not installed; installed are: {there}")
        return cls(connectors, found, broken, manager, unread)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager("cxbridge")
    manager.add_hookspecs(hookspecs)
    return manager


def _add(connectors: dict[str, type[Connector]], brought: Iterable[type[Connector]]) -> None:
    fresh = {one.name: one for one in brought}
    if taken := sorted(fresh.keys() & connectors.keys()):
        raise ValueError(f"there is a connector {taken[0]!r} already")
    connectors.update(fresh)
