"""What goes wrong, for a person: one clear line, a hint, an exit code; a traceback only when asked for.

Exit codes follow sysexits, so that systemd and scripts can tell them apart.
"""

import sys
import traceback
from collections.abc import Sequence
from typing import Final

from cxbridge.core.errors import (
    ConfigError,
    CxbridgeError,
    GuardError,
    NotFound,
    PluginError,
    RecipeError,
    Rejected,
    Retryable,
    StoreError,
    Unauthorized,
    WireFormat,
)

BUG: Final = 1
DEAD_LETTERS: Final = 3
CHANGES: Final = 4
USAGE: Final = 64
DATA: Final = 65
UNAVAILABLE: Final = 69
REFUSED: Final = 77
INTERRUPTED: Final = 130

EXIT_CODES: Final = (
    "Exit codes: 0 done, 1 a defect, 3 done with dead letters, 4 plan found something to do, 64 usage, 65 bad data, "
    "69 a vendor cannot be used, 73 cannot write, 75 try again later, 77 credential refused, 78 configuration."
)


class CommandError(CxbridgeError):
    """A command cannot do what was asked; `hint` says what to do about it."""

    exit_code = DATA

    def __init__(self, message: str, hint: str = "") -> None:
        self.hint = hint
        super().__init__(message)


class UsageError(CommandError):
    """The command was called in a way that means nothing, or several things."""

    exit_code = USAGE


class UnavailableError(CommandError):
    """Something that must be running is not."""

    exit_code = UNAVAILABLE


class CannotWriteError(CommandError):
    """A file or folder cannot be written."""

    exit_code = 73


def report(error: CxbridgeError) -> int:
    """Print an error of ours to stderr; gives its exit code."""
    _say(f"error: {error}" if not _lists_problems(error) else str(error))
    hint = hint_for(error)
    if hint:
        _say(f"hint: {hint}")
    return error.exit_code


def report_usage(message: str, command: str) -> int:
    """Print what is wrong with the way the command was called."""
    _say(f"error: {message}")
    _say(f"hint: {command} --help")
    return USAGE


def report_bug(error: BaseException, argv: Sequence[str], *, debug: bool) -> int:
    """Print a defect in one line and how to see where it happened; with `debug`, the traceback itself."""
    if debug:
        traceback.print_exception(error, file=sys.stderr)
    else:
        _say(f"error: a defect in cxbridge ({type(error).__name__}); nothing is half-written")
        _say(f"hint: see where with: cxbridge --debug {' '.join(argv)}")
    return BUG


def hint_for(error: CxbridgeError) -> str:
    """Say what to do about an error, where its own message does not."""
    if isinstance(error, CommandError):
        return error.hint
    if isinstance(error, ConfigError):
        count = len(error.problems)
        return f"{count} problem{'s' if count > 1 else ''} in the settings; nothing was started" if count else ""
    if isinstance(error, RecipeError):
        return "mend the file, then look again with: cxbridge recipes check"
    if isinstance(error, Unauthorized):
        return f"mend the credential of {error.connection or 'the connection'}, then: cxbridge connections check" + (
            f" {error.connection}" if error.connection else ""
        )
    if isinstance(error, Retryable):
        when = f" at {error.retry_at:%H:%M:%S}Z or later" if error.retry_at else " later"
        return f"nothing is lost; try again{when}"
    if isinstance(error, WireFormat):
        return "the vendor may have changed its API: look for a newer cxbridge, or report this line"
    if isinstance(error, Rejected):
        return "" if isinstance(error, NotFound) else "look at the connection's settings and at what its user may do"
    if isinstance(error, StoreError):
        return "is another cxbridge at work on this store, or is the disk full? Nothing was half-written"
    if isinstance(error, GuardError):
        return "look at what it would do with: cxbridge plan, then allow it with: cxbridge recipes resume"
    if isinstance(error, PluginError):
        return "see the cause with: cxbridge --debug … ; the other connections go on"
    return ""


def _lists_problems(error: CxbridgeError) -> bool:
    return isinstance(error, ConfigError | RecipeError) and bool(error.problems)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
