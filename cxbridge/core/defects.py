"""How an error nobody foresaw is told in the log: in full, and without ever failing itself."""

import traceback
from contextlib import suppress
from typing import Protocol


class _Log(Protocol):
    def error(self, event: str, /, **told: object) -> object: ...


def tell(log: _Log, event: str, error: BaseException, **told: object) -> None:
    """Log an error with its traceback; never raises, since it is called where nothing may end a thread or a server.

    The traceback goes out as text: a log's own way of showing exceptions may print the values of variables, which hold
    tokens, or walk through what other threads are changing, and fail.
    """
    # Both the error's own words and the log's writing can fail: a hostile plugin's error, a full disk.
    with suppress(Exception):
        log.error(
            event,
            error=f"{type(error).__name__}: {error}",
            exception="".join(traceback.format_exception(error)).rstrip(),
            **told,
        )
