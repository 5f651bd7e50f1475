"""A simulator of Gainsight CS (NXT): companies, persons, calls to action, timeline, scores, the delete log and External Actions.

What belongs here: Gainsight's rules as its documentation and recorded samples show them, each oddity named where it is made. What
never does: anything of the connector, which must be able to be wrong on its own.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from cxbridge.sandbox.world import World

__all__ = ["create_app"]


def create_app(world: "World") -> "Starlette":
    """The vendor's HTTP app over a tenant of its own, which it adds to the world."""
    from cxbridge.sandbox.gainsight import app

    return app.create_app(world)
