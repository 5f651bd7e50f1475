"""The library that the store is made with, without what it has for asynchronous programs: 2 MB, and a fortieth of a start.

Whatever of the store is imported first imports this one before.
"""

from cxbridge.core.lean import later

with later("asyncio", "iscoroutine"):
    import sqlalchemy

    # Made at the first use otherwise, by when other threads may import what stands in here.
    import sqlalchemy.dialects.sqlite

__all__ = ["sqlalchemy"]
