"""The library for log lines, without the one that paints tracebacks: ours are plain, and it is larger than all that logs here."""

from cxbridge.core.lean import without

with without("rich"):
    import structlog

__all__ = ["structlog"]
