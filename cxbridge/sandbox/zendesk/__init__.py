"""A simulator of Zendesk Support and its Help Center.

What belongs here: Zendesk's rules as its documentation and recorded answers show them, each oddity named where it is
made. What never does: anything of the connector, which must be able to be wrong on its own.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from cxbridge.sandbox.world import World

__all__ = ["create_app", "load"]


def create_app(world: "World") -> "Starlette":
    """The vendor's HTTP app over the world's Zendesk account."""
    from cxbridge.sandbox.zendesk import app

    return app.create_app(world)


def load(world: "World", rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Add rows to the world's Zendesk account; returns how many of each kind there were.

    Raises:
        cxbridge.sandbox.zendesk.rows.RowError: a row cannot be used.
    """
    from cxbridge.sandbox.zendesk.loader import load as load_rows

    with world.lock:
        return load_rows(world.zendesk, rows)
