"""What a look at an installation finds, and what it comes to; looks at nothing itself."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from cxbridge.core.errors import CxbridgeError, StoreError

State = Literal["ok", "warning", "problem"]

# What a problem means to a script, the worst first: settings, a credential, a place that cannot be written, later, a vendor.
WORST = (78, 77, 73, 75, 69)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `remedy` says what to do; `code` is the exit code that a problem stands for."""

    about: str
    state: State
    told: str
    remedy: str = ""
    code: int = 0


def ok(about: str, told: str) -> Finding:
    """Note something that is as it should be."""
    return Finding(about, "ok", told)


def warning(about: str, told: str, remedy: str) -> Finding:
    """Note something that works now and needs a person soon."""
    return Finding(about, "warning", told, remedy)


def problem(about: str, told: str, remedy: str, code: int) -> Finding:
    """Note something that does not work."""
    return Finding(about, "problem", told, remedy, code)


def exit_code(findings: Iterable[Finding]) -> int:
    """Give the exit code of all of them: that of the worst problem, 0 where there is none."""
    codes = {one.code for one in findings if one.state == "problem"}
    return next((code for code in WORST if code in codes), max(codes, default=0))


def guarded(about: str, findings: Iterable[Finding]) -> Iterator[Finding]:
    """Give what is found, and what kept the rest from being found: one look that fails keeps no other from being taken."""
    try:
        yield from findings
    except StoreError as error:
        if "is damaged" in str(error):
            yield problem(about, str(error), "stop the daemon and restore the store from a backup", 78)
        else:
            yield problem(about, str(error), "try again in a minute; is another program busy on the store?", 75)
    except CxbridgeError as error:
        yield problem(about, str(error), "see the sentence itself", 78)


def count(number: int, one: str, many: str = "") -> str:
    """Write a number with its noun."""
    return f"{number} {one if number == 1 else many or one + 's'}"
