"""Every public error, grouped by what the engine does next; this module must not import anything of the project.

Messages never hold response bodies, query strings or secrets. The first line of a message is what a person reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar

_LONGEST_LINE = 400


class CxbridgeError(Exception):
    """Base of all errors that cxbridge raises on purpose; `exit_code` follows sysexits."""

    exit_code: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong in a file that a person wrote.

    `line` and `column` count from 1; 0 means "the file as a whole". `code` is stable (`CXnnn`).
    """

    path: str
    line: int
    column: int
    code: str
    message: str
    source: str = ""
    length: int = 1
    hint: str = ""

    def __str__(self) -> str:
        where = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        lines = [f"{where}: error {self.code} {self.message}"]
        if self.source and self.line:
            margin = f"{self.line:>5} | "
            # Of a line that no screen holds, what stands around the place.
            cut = 0 if len(self.source) <= _LONGEST_LINE else max(0, self.column - 1 - _LONGEST_LINE // 2)
            shown = self.source[cut : cut + _LONGEST_LINE]
            lines.append(f"{margin}{shown}")
            # Tabs are kept so that the caret stands under its character in every terminal.
            lead = "".join(c if c == "\t" else " " for c in shown[: self.column - 1 - cut])
            caret = "^" * max(1, min(self.length, len(shown) - len(lead)))
            lines.append(f"{' ' * 5} | {lead}{caret}" + (f"  {self.hint}" if self.hint else ""))
        elif self.hint:
            lines.append(f"        {self.hint}")
        return "\n".join(lines)


class ConfigError(CxbridgeError):
    """The configuration cannot be used: nothing starts, and every problem is listed."""

    exit_code = 78

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        self.problems: tuple[Problem, ...] = () if isinstance(problems, str) else tuple(problems)
        super().__init__(problems if isinstance(problems, str) else "\n".join(str(p) for p in self.problems))


class RecipeError(CxbridgeError):
    """One recipe file cannot work: that recipe is off, the others run."""

    exit_code = 65

    def __init__(self, path: str, problems: Sequence[Problem]) -> None:
        self.path = path
        self.problems = tuple(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


class PluginError(CxbridgeError):
    """A plugin broke its contract: its streams and actions stop, the cause is chained."""

    def __init__(self, plugin: str, message: str) -> None:
        self.plugin = plugin
        super().__init__(f"plugin {plugin}: {message}")


class StoreError(CxbridgeError):
    """The store cannot take or give data now: the job ends, nothing is half-written."""

    exit_code = 75


class GuardError(CxbridgeError):
    """A limit from the recipe was passed: the job stops until a person allows it."""

    def __init__(self, limit: str, seen: str) -> None:
        self.limit = limit
        self.seen = seen
        super().__init__(f"stopped at the limit {limit}: {seen}")


class VendorError(CxbridgeError):
    """A vendor did not do what was asked; the subclasses say what happens next.

    `operation` is method and path without query; `request_id` is the vendor's own, where it gave one.
    """

    exit_code = 69
    summary: ClassVar[str] = "failed"

    def __init__(
        self,
        message: str = "",
        *,
        connection: str = "",
        operation: str = "",
        status: int | None = None,
        request_id: str | None = None,
    ) -> None:
        self.connection = connection
        self.operation = operation
        self.status = status
        self.request_id = request_id
        self.detail = message
        where = f"{connection}: " if connection else ""
        what = f"{operation} " if operation else ""
        told = f" ({status})" if status else ""
        because = f": {message}" if message else ""
        super().__init__(f"{where}{what}{self.summary}{told}{because}")


class Retryable(VendorError):
    """The vendor or the way to it failed for the moment: again with back-off, not before `retry_at` (UTC) if given.

    `sent` is False when the request certainly had no effect (refused, or never left), True when that is not known.
    """

    exit_code = 75
    summary = "failed for now"

    def __init__(
        self,
        message: str = "",
        *,
        connection: str = "",
        operation: str = "",
        status: int | None = None,
        request_id: str | None = None,
        retry_at: datetime | None = None,
        sent: bool = True,
    ) -> None:
        self.retry_at = retry_at
        self.sent = sent
        super().__init__(message, connection=connection, operation=operation, status=status, request_id=request_id)


class RateLimited(Retryable):
    """The vendor's limit is used up: again at `retry_at`, nothing was done."""

    summary = "is over the vendor's limit"


class Withheld(Retryable):
    """We keep the request back ourselves: the vendor is left alone for a while, or another worker speaks to it now.

    This very request was not sent; `sent` tells of earlier tries of the same call. It uses up no try of a delivery.
    """

    summary = "is kept back"


class Unauthorized(VendorError):
    """The credential was refused: the connection pauses until a person mends it."""

    exit_code = 77
    summary = "was refused: the credential is not accepted"


class Rejected(VendorError):
    """The vendor will never accept this request as it is: this delivery becomes a dead letter."""

    exit_code = 65
    summary = "was rejected"


class NotFound(Rejected):
    """The entity is gone, or hidden from this credential."""

    summary = "found nothing there"


class Conflict(Rejected):
    """Someone else changed the entity meanwhile: read again, decide again."""

    summary = "met a newer version"


class WireFormat(VendorError):
    """The vendor answered in a shape nobody knows: the record or stream stops, its checkpoint unmoved."""

    exit_code = 65
    summary = "answered in an unknown form"
