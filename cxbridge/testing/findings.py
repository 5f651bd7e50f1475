"""What a rule of the contract finds and how it is told; it must not know what the rules are about."""

import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import pytest

from cxbridge.core import errors
from cxbridge.testing.lab import Lab, Unread, name_error

PREFIX = "test_"
# An author is shown the innermost place that is not the project's own machinery.
_OURS = tuple(str(Path(errors.__file__).parent.parent / part) for part in ("core", "testing"))


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach: `about` names the stream, action or setting, `wrong` says what was seen, `mend` what to do."""

    about: str
    wrong: str
    mend: str


class Ruled:
    """What every group of rules has: `waivers` map a rule, or `rule: subject`, to the reason why it need not hold."""

    waivers: ClassVar[Mapping[str, str]] = {}


class Named(Protocol):
    """A stream or an action."""

    @property
    def name(self) -> str:
        """Its name."""
        ...


N = TypeVar("N", bound=Named)
R = TypeVar("R", bound=Ruled)


def rule(inspect: Callable[[R, Lab], Iterator[Finding]]) -> Callable[[R, Lab], None]:
    """Make a test of a method that yields findings: it fails when one is left that nobody waived.

    A waiver that waives nothing fails too, so that none outlives its reason.
    """
    name = inspect.__name__.removeprefix(PREFIX)

    def test(self: R, lab: Lab) -> None:
        __tracebackhide__ = True
        held = dict(_waived(self.waivers, name))
        found: list[Finding] = []
        excused: list[str] = []
        for finding in _findings(inspect(self, lab)):
            reason = held.get(finding.about, held.get(""))
            if reason is None:
                found.append(finding)
            else:
                excused.append(finding.about if finding.about in held else "")
        if found:
            pytest.fail(_told(lab, name, found), pytrace=False)
        idle = [about for about in held if about not in excused]
        if idle:
            keys = ", ".join(repr(_key(name, about)) for about in idle)
            pytest.fail(f"nothing is left to waive: remove {keys} from waivers", pytrace=False)
        if excused:
            pytest.xfail("; ".join(f"{_key(name, about)}: {held[about]}" for about in dict.fromkeys(excused)))

    test.__name__, test.__qualname__, test.__doc__ = inspect.__name__, inspect.__qualname__, inspect.__doc__
    test.__module__ = inspect.__module__
    return test


def each(subjects: Iterable[N], inspect: Callable[[N], Iterator[Finding]]) -> Iterator[Finding]:
    """Inspect one after the other; what breaks on the way is a finding about that one, and the others go on."""
    for subject in subjects:
        try:
            yield from inspect(subject)
        except Exception as error:  # noqa: BLE001  # a connector may raise anything; each is told with its place
            yield broke(subject.name, error)


def broke(about: str, error: Exception) -> Finding:
    """Tell of code that raised where it should not have."""
    if isinstance(error, Unread):
        return Finding(about, str(error), "mend this first: the rule cannot be judged before a full read works")
    if isinstance(error, errors.CxbridgeError):
        return Finding(about, f"raised {name_error(error)}", "nothing was broken on purpose here: the read must work")
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if not frame.filename.startswith(_OURS)]
    where = f" in {frames[-1].name}, line {frames[-1].lineno} of {frames[-1].filename}" if frames else ""
    return Finding(
        about, f"broke with {name_error(error)}{where}", "mend the code there, or refuse what it cannot take"
    )


def _findings(found: Iterator[Finding]) -> Iterator[Finding]:
    try:
        yield from found
    except Exception as error:  # noqa: BLE001  # as in `each`
        yield broke("", error)


def _waived(waivers: Mapping[str, str], name: str) -> Iterator[tuple[str, str]]:
    for key, reason in waivers.items():
        named, _, about = key.partition(":")
        if named.strip() == name:
            yield about.strip(), reason


def _key(name: str, about: str) -> str:
    return f"{name}: {about}" if about else name


def _told(lab: Lab, name: str, found: list[Finding]) -> str:
    lines = [f"connector {lab.connector.__name__} breaks the rule {name}:"]
    for finding in found:
        about = f"{finding.about}: " if finding.about else ""
        lines += [f"  - {about}{finding.wrong}", f"    → {finding.mend}"]
    lines.append(f'  If it cannot be otherwise: waivers = {{"{_key(name, found[0].about)}": "the reason"}}')
    return "\n".join(lines)
