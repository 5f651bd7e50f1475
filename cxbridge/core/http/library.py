"""The HTTP client's library, without its command line: that would bring two for menus and colours into every process."""

from cxbridge.core.lean import without

with without("httpx._main"):
    import httpx

__all__ = ["httpx"]
