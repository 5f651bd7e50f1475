"""How the daemon's log lines look: JSON for machines, one readable line for a terminal; both on stderr or in a file."""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast


def configure(stream: TextIO | None = None, *, level: str = "info") -> None:
    """Send all log lines to a stream (stderr without): JSON unless it is a terminal. A second call changes the stream."""
    from cxbridge.core.logs import structlog

    out = stream or sys.stderr
    human = out.isatty()
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if human else "iso", utc=True),
    ]
    ending: list[Any] = (
        [
            structlog.dev.ConsoleRenderer(
                colors=_colours(), sort_keys=False, exception_formatter=structlog.dev.plain_traceback
            )
        ]
        if human
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Lines(out))),
        cache_logger_on_first_use=False,
    )
    # What libraries say (the scheduler's missed alarms, say) comes the same way.
    logging.basicConfig(handlers=[_Handed()], level=max(number, logging.WARNING), force=True)


class _Lines:
    """A stream whose trouble ends with the line it hit: what the daemon does must not hang on a full disk or a closed pipe."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            return self._out.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            self._out.flush()


class _Handed(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        from cxbridge.core.logs import structlog

        log = structlog.get_logger(record.name)
        told = {"exc_info": record.exc_info} if record.exc_info else {}
        log.log(record.levelno, record.getMessage(), logger=record.name, **told)


def _colours() -> bool:
    import os

    return not os.environ.get("NO_COLOR")
