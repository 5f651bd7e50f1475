"""The hooks a plugin may implement: typed and few. Each says when it fires, in which transaction, and what an exception does."""

from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from cxbridge.core.connector import Connector

hookspec = pluggy.HookspecMarker("cxbridge")


@hookspec
def cxbridge_connectors() -> "list[type[Connector]]":  # type: ignore[empty-body]  # a hook spec has no body
    """Name the connectors this plugin brings.

    Fires once when the configuration is read, before any connection is opened and outside any transaction. An exception
    switches the plugin off: its connections report the cause, the others run.
    """
