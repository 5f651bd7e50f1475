"""What a parsed query means on this site: a test for issues and an order among them. It changes no issue."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from operator import ge, gt, le, lt
from typing import Any, Final

from cxbridge.sandbox.jira import terms
from cxbridge.sandbox.jira.catalogue import Field
from cxbridge.sandbox.jira.jql import Clause, JqlError, Node, Query, Value
from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.site import Site, User
from cxbridge.sandbox.jira.terms import SortValue

Test = Callable[[Issue], bool]

_COMPARE: Final[Mapping[str, Callable[[Any, Any], bool]]] = {">=": ge, ">": gt, "<=": le, "<": lt}
_PERIOD: Final = re.compile(r"([+-]?\d+)([wdhm])")
_UNITS: Final = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60}
_DATES: Final = ("%Y/%m/%d %H:%M", "%Y-%m-%d %H:%M", "%Y/%m/%d", "%Y-%m-%d")


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: quoted dates are read in this person's time zone, `currentUser()` is this person."""

    user: User | None
    site: Site
    find_issue: Callable[[object], Issue | None]
    now: datetime


@dataclass(frozen=True, slots=True)
class Plan:
    matches: Test
    order: tuple[tuple[Callable[[Issue], SortValue], bool], ...]
    lasting: bool
    """Whether the same issues give the same answer later: nothing in the query is relative to now."""
    labels: frozenset[str] | None = None
    """Labels, in small letters, of which every issue that is found has one; None where the query does not say so."""


def plan(query: Query, asker: Asker) -> Plan:
    """The query made ready to run.

    Raises:
        JqlError: it names a field, a value or an operator that the site does not have.
    """
    maker = _Maker(asker)
    matches = maker.node(query.where) if query.where is not None else _everything
    order = tuple((terms.sorter(name, asker.site), descending) for name, descending in query.order)
    # Without ORDER BY the newest issue comes first; unverified for the present search.
    return Plan(matches, order or ((terms.by_created, True),), maker.lasting, _labels(query.where))


def _labels(node: Node | None) -> frozenset[str] | None:
    if isinstance(node, Clause):
        named = node.field.casefold() == "labels" and node.operator in ("=", "in")
        if not named or any(value.kind == "empty" for value in node.values):
            return None
        return frozenset(value.text.casefold() for value in node.values)
    if node is None or node.kind != "and":
        return None
    return next((found for part in node.parts if (found := _labels(part)) is not None), None)


def _everything(issue: Issue) -> bool:
    return True


class _Maker:
    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._site = asker.site
        self.lasting = True

    def node(self, node: Node) -> Test:
        if isinstance(node, Clause):
            return self._clause(node)
        tests = [self.node(part) for part in node.parts]
        if node.kind == "not":
            return lambda issue: not tests[0](issue)
        if node.kind == "and":
            return lambda issue: all(test(issue) for test in tests)
        return lambda issue: any(test(issue) for test in tests)

    def _clause(self, clause: Clause) -> Test:
        name = clause.field.casefold()
        if clause.operator in ("is", "is not") and clause.values[0].kind != "empty":
            raise JqlError(f"The operator '{clause.operator}' is only supported with 'EMPTY' or 'NULL'.")
        if name in ("key", "issuekey", "issue", "id"):
            return self._issue(clause)
        if name in terms.DATES:
            return self._date(clause, terms.DATES[name])
        if name in terms.TEXTS:
            return self._text(clause, terms.TEXTS[name])
        if name in terms.SETS:
            return self._members(clause, *terms.SETS[name])
        custom = terms.custom_field(clause.field)
        if custom is not None:
            return self._custom(clause, custom)
        # Issue properties are searchable only for apps that declare an index, which no caller of the sandbox does.
        raise JqlError(f"Field '{clause.field}' does not exist or you do not have permission to view it.")

    def _issue(self, clause: Clause) -> Test:
        found: list[Issue] = []
        for value in clause.values:
            issue = self._asker.find_issue(value.text)
            if issue is None and value.text.isdigit():
                raise JqlError(f"A value with ID '{value.text}' does not exist for the field '{clause.field}'.")
            if issue is None:
                raise JqlError(f"An issue with key '{value.text}' does not exist for field '{clause.field}'.")
            found.append(issue)
        ids = {issue.id for issue in found}
        if clause.operator in ("=", "in"):
            return lambda issue: issue.id in ids
        if clause.operator in ("!=", "not in"):
            return lambda issue: issue.id not in ids
        if clause.operator not in _COMPARE:
            raise _unsupported(clause)
        compare, bound = _COMPARE[clause.operator], found[0]
        if clause.values[0].text.isdigit():
            return lambda issue: compare(issue.id, bound.id)
        return lambda issue: issue.project == bound.project and compare(issue.number, bound.number)

    def _members(self, clause: Clause, kind: str, get: Callable[[Issue], Sequence[str]]) -> Test:
        if clause.operator in ("is", "is not"):
            return _empty(clause, get)
        if clause.operator not in ("=", "!=", "in", "not in"):
            raise _unsupported(clause)
        wanted: set[str] = set()
        blank = False
        for value in clause.values:
            if value.kind == "empty" or (kind == "resolution" and value.text.casefold() == "unresolved"):
                blank = True
            else:
                wanted |= self._values(clause.field, kind, value)

        def within(issue: Issue) -> bool:
            held = get(issue)
            return any(one in wanted for one in held) or (blank and not held)

        if clause.operator in ("=", "in"):
            return within
        # A negative test never finds issues whose field is empty.
        return lambda issue: bool(get(issue)) and not within(issue)

    def _values(self, field: str, kind: str, value: Value) -> set[str]:
        text = value.text.casefold()
        if kind == "label":
            return {text}
        if kind == "user":
            return {self._person(field, value)}
        if kind == "issue":
            issue = self._asker.find_issue(value.text)
            return {str(issue.id)} if issue else set()
        found = {one_id for one_id, *names in terms.vocabulary(kind, self._site) if text == one_id or text in names}
        if not found:
            raise _unknown_value(field, value)
        return found

    def _person(self, field: str, value: Value) -> str:
        if value.kind == "function":
            if value.text != "currentuser":
                raise JqlError(f"Unable to find JQL function '{value.text}()'.")
            return self._asker.user.account_id if self._asker.user else ""
        for user in self._site.users.values():
            if value.text == user.account_id or value.text.casefold() == user.name.casefold():
                return user.account_id
        raise _unknown_value(field, value)

    def _text(self, clause: Clause, get: Callable[[Issue], str]) -> Test:
        if clause.operator in ("is", "is not"):
            return _empty(clause, lambda issue: [text] if (text := get(issue)) else [])
        if clause.operator not in ("~", "!~"):
            raise _unsupported(clause)
        found = terms.matcher(clause.values[0].text)
        if clause.operator == "~":
            return lambda issue: found(get(issue))
        return lambda issue: bool(text := get(issue)) and not found(text)

    def _date(self, clause: Clause, get: Callable[[Issue], datetime | None]) -> Test:
        if clause.operator in ("is", "is not"):
            return _empty(clause, lambda issue: ["set"] if get(issue) else [])
        moments = [self._moment(clause.field, value) for value in clause.values]
        if clause.operator in _COMPARE:
            compare, bound = _COMPARE[clause.operator], moments[0][0]
            return lambda issue: (at := get(issue)) is not None and compare(at, bound)
        if clause.operator not in ("=", "!=", "in", "not in"):
            raise _unsupported(clause)

        def within(issue: Issue) -> bool:
            at = get(issue)
            return at is not None and any(start <= at < start + width for start, width in moments)

        if clause.operator in ("=", "in"):
            return within
        return lambda issue: get(issue) is not None and not within(issue)

    def _moment(self, field: str, value: Value) -> tuple[datetime, timedelta]:
        """The moment meant, and how much of time its wording covers."""
        text = value.text
        if value.kind == "function" and text == "now":
            self.lasting = False
            return self._asker.now, timedelta(milliseconds=1)
        if value.kind == "word" and text.isdigit():
            # Epoch milliseconds need no time zone; that the vendor compares them to the millisecond is unverified.
            return datetime.fromtimestamp(0, self._asker.now.tzinfo) + timedelta(milliseconds=int(text)), _MILLISECOND
        periods = _PERIOD.findall(text)
        if periods and "".join(number + unit for number, unit in periods) == text.replace(" ", ""):
            self.lasting = False
            seconds = sum(int(number) * _UNITS[unit] for number, unit in periods)
            return self._asker.now + timedelta(seconds=seconds), timedelta(minutes=1)
        zone = self._asker.user.zone if self._asker.user else self._asker.now.tzinfo
        for pattern in _DATES:
            try:
                moment = datetime.strptime(text, pattern).replace(tzinfo=zone)
            except ValueError:
                continue
            return moment, timedelta(minutes=1) if "%M" in pattern else timedelta(days=1)
        raise JqlError(
            f"Date value '{text}' for field '{field}' is invalid. Valid formats include: 'yyyy/MM/dd HH:mm', "
            "'yyyy-MM-dd HH:mm', 'yyyy/MM/dd', 'yyyy-MM-dd', or a period format e.g. '-5d', '4w 2d'."
        )

    def _custom(self, clause: Clause, field: Field) -> Test:
        def held(issue: Issue) -> list[str]:
            value = issue.values.get(field.id)
            if value is None or value == ():
                return []
            if field.kind == "option":
                return [value, dict(field.options)[value].casefold()]
            return [str(one) for one in value] if isinstance(value, tuple) else [str(value)]

        if field.kind in ("line", "document"):
            return self._text(clause, lambda issue: terms.field_text(issue, field.id))
        if field.kind == "number" and clause.operator in _COMPARE:
            compare, bound = _COMPARE[clause.operator], _number(clause)
            return lambda issue: (at := issue.values.get(field.id)) is not None and compare(at, bound)
        if clause.operator in ("is", "is not"):
            return _empty(clause, held)
        wanted = (
            {str(_number(clause))} if field.kind == "number" else {value.text.casefold() for value in clause.values}
        )
        if clause.operator in ("=", "in"):
            return lambda issue: any(one in wanted for one in held(issue))
        if clause.operator in ("!=", "not in"):
            return lambda issue: bool(have := held(issue)) and not any(one in wanted for one in have)
        raise _unsupported(clause)


_MILLISECOND: Final = timedelta(milliseconds=1)


def _empty(clause: Clause, get: Callable[[Issue], Sequence[str]]) -> Test:
    if clause.operator == "is":
        return lambda issue: not get(issue)
    return lambda issue: bool(get(issue))


def _unsupported(clause: Clause) -> JqlError:
    return JqlError(f"The operator '{clause.operator}' is not supported by the '{clause.field}' field.")


def _unknown_value(field: str, value: Value) -> JqlError:
    return JqlError(f"The value '{value.text}' does not exist for the field '{field}'.")


def _number(clause: Clause) -> float:
    try:
        return float(clause.values[0].text)
    except ValueError:
        raise _unknown_value(clause.field, clause.values[0]) from None
