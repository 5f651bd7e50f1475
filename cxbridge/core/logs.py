"""The library for log lines, without the one that paints tracebacks: ours are plain, and it is larger than all that logs here.

What it has for asynchronous programs is loaded by whoever is one.
"""

from cxbridge.core.lean import later, without

with without("rich"), later("asyncio"):
    import structlog

__all__ = ["structlog"]
