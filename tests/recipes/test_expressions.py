"""Conditions: what each part of the language means, what its errors say and where, and how a verdict is explained."""

import inspect
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined, UndefinedError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cxbridge.core.recipes.expressions import (
    DYNAMIC,
    LINKED,
    MISSING,
    Default,
    Duration,
    ExpressionError,
    Filter,
    Function,
    Language,
    Path,
    Unmapped,
    ValueMap,
    parse_duration,
    spoken,
)

NOW = datetime(2026, 11, 4, 14, 0, tzinfo=UTC)
ISSUE = {"id": "01J", "source_key": "ENG-12", "status_category": "resolved"}


def linked_records(record: dict[str, Any], relation: str) -> list[dict[str, Any]]:
    return [ISSUE] if (record["source_key"], relation) == ("Z-1", "escalated_to") else []


@pytest.fixture(scope="module")
def language() -> Language:
    return Language(
        maps={
            "priority": ValueMap("priority", {"urgent": "Highest", "high": "High", "1": "One", "true": "Yes"}),
            "passing": ValueMap("passing", {"a": "b"}, "pass"),
            "given": ValueMap("given", {"a": "b"}, Default("other")),
        }
    )


@pytest.fixture
def scope() -> dict[str, Any]:
    return {
        "ticket": {
            "source_key": "Z-1",
            "priority": "urgent",
            "status_category": "open",
            "subject": "Printer on fire",
            "body_text": "It burns. ERR-42 in building 7.",
            "tags": ["vip", "needs-engineering"],
            "items": 3,
            "keys": "a field",
            "score": 7,
            "ratio": 0.5,
            "open": True,
            "assignee": None,
            "empty": "",
            "followers": [],
            "custom": {"region": "emea", "eng status": "done", "7": "seven"},
            "comments": [{"body_text": "one"}, {"body_text": "two"}],
            "created_at": NOW - timedelta(hours=5),
            "created_text": "2026-11-04T10:00:00+01:00",
            "naive_at": datetime(2026, 11, 4, 13, 0),  # a vendor may send a time without zone
            "due_at": None,
        },
        "account": {"tier": "self_serve", "arr": 120000.0},
        "inputs": {"tiers": ["enterprise", "strategic"]},
        "before": {"priority": "normal", "status_category": "open", "tags": ["vip", "needs-engineering"]},
        "assignee": None,
        "now": NOW,
        LINKED: linked_records,
    }


VALUES: list[tuple[str, Any]] = [
    # constants
    ("'a'", "a"),
    ('"a"', "a"),
    (r"'it\'s'", "it's"),
    (r"'\d+\n'", "\\d+\n"),
    (r"'\u00e9\x41'", "éA"),
    ("1", 1),
    ("1_000", 1000),
    ("0x1f", 31),
    ("2.5", 2.5),
    ("1e3", 1000.0),
    ("true", True),
    ("False", False),
    ("none", None),
    ("None", None),
    ("[1, 'a', [true]]", [1, "a", [True]]),
    ("[]", []),
    ("{'a': 1, 'b': [2]}", {"a": 1, "b": [2]}),
    ("{'a': {'b': 1}}", {"a": {"b": 1}}),
    # fields
    ("ticket.priority", "urgent"),
    ("ticket['priority']", "urgent"),
    ("ticket.items", 3),
    ("ticket.keys", "a field"),
    ("ticket.custom.region", "emea"),
    ("ticket.custom['eng status']", "done"),
    ("ticket.custom[ticket.score ~ '']", "seven"),
    ("ticket.tags[0]", "vip"),
    ("ticket.tags.0", "vip"),
    ("ticket.tags[-1]", "needs-engineering"),
    ("ticket.tags[ticket.score - 6]", "needs-engineering"),
    ("ticket.comments[1].body_text", "two"),
    ("(ticket.comments | last).body_text", "two"),
    ("{'a': 1}.a", 1),
    ("[1, 2][1]", 2),
    # comparison
    ("ticket.priority == 'urgent'", True),
    ("ticket.priority != 'urgent'", False),
    ("ticket.score > 6", True),
    ("ticket.score >= 7.0", True),
    ("ticket.score < 7", False),
    ("1 < ticket.score <= 7", True),
    ("1 < ticket.score < 7", False),
    ("'a' < 'b'", True),
    ("1 == 1.0", True),
    ("1 == true", False),
    ("0 == false", False),
    ("[1] == [true]", False),
    ("1 == '1'", False),
    ("none == 0", False),
    ("none == none", True),
    ("ticket.tags == ['vip', 'needs-engineering']", True),
    ("ticket.tags == ['vip']", False),
    ("{'a': [1]} == {'a': [1.0]}", True),
    ("{'a': 1} == {'b': 1}", False),
    ("ticket.created_at < now", True),
    ("ticket.naive_at < now", True),
    ("ticket.created_at == 'x'", False),
    # in
    ("'vip' in ticket.tags", True),
    ("'vip' not in ticket.tags", False),
    ("ticket.priority in ['urgent', 'high']", True),
    ("ticket.priority not in ['low']", True),
    ("ticket.score in ['7', 'x']", False),
    ("ticket.score in [7, 8]", True),
    ("ticket.assignee in [none]", True),
    ("account.tier in inputs.tiers", False),
    ("'fire' in ticket.subject", True),
    ("'region' in ticket.custom", True),
    ("'x' in ticket.custom", False),
    ("true in [1]", False),
    # and, or, not
    ("true and false", False),
    ("true or nowhere.x", True),
    ("false and nowhere.x", False),
    ("not true", False),
    ("not ticket.assignee", True),
    ("not not ticket.open", True),
    ("ticket.empty or 'none given'", "none given"),
    ("ticket.priority and ticket.score", 7),
    ("1 == 1 and 2 == 2 or false", True),
    ("not 1 == 2", True),
    # arithmetic
    ("1 + 2 * 3", 7),
    ("(1 + 2) * 3", 9),
    ("7 / 2", 3.5),
    ("7 // 2", 3),
    ("7 % 4", 3),
    ("-ticket.score", -7),
    ("+ticket.ratio", 0.5),
    ("2 - -3", 5),
    ("9223372036854775807 + 1", 2**63),
    # text
    ("'a' ~ 1 ~ none ~ true ~ 2.0", "a1true2"),
    ("ticket.tags ~ '!'", "vip, needs-engineering!"),
    ("ticket.created_at ~ ''", "2026-11-04T09:00:00Z"),
    ("age(ticket.created_at) ~ ''", "5h"),
    # inline if
    ("'a' if ticket.open else 'b'", "a"),
    ("'a' if ticket.score > 9 else 'b' if ticket.score > 5 else 'c'", "b"),
    ("'a' if false", None),
    # tests
    ("ticket.priority is defined", True),
    ("ticket.prio is defined", False),
    ("ticket.prio is not defined", True),
    ("nowhere is defined", False),
    ("nowhere.at.all is defined", False),
    ("ticket.assignee.name is defined", False),
    ("ticket.tags[9] is defined", False),
    ("ticket.assignee is defined", True),
    ("ticket.assignee is none", True),
    ("ticket.priority is string", True),
    ("ticket.score is number", True),
    ("ticket.open is number", False),
    ("ticket.open is boolean", True),
    ("ticket.custom is mapping", True),
    ("ticket.tags is sequence", True),
    ("ticket.subject is sequence", False),
    ("ticket.priority is in(['urgent'])", True),
    ("ticket.priority is in ['low']", False),
    # default and coalesce
    ("ticket.prio | default('x')", "x"),
    ("ticket.prio | default", ""),
    ("ticket.assignee | default('x')", "x"),
    ("ticket.assignee.name | d('x')", "x"),
    ("ticket.tags[5] | default('x')", "x"),
    ("(ticket.comments | first).nothing | default('x')", "x"),
    ("ticket.custom['no' ~ 'ne'] | default('x')", "x"),
    ("nowhere.at.all | default('x')", "x"),
    ("ticket.empty | default('x')", ""),
    ("ticket.empty | default('x', true)", "x"),
    ("ticket.empty | default('x', boolean=true)", "x"),
    ("coalesce(ticket.prio, ticket.assignee, ticket.priority, 'x')", "urgent"),
    ("coalesce(ticket.prio)", None),
    ("coalesce(ticket.empty, 'x')", ""),
    # functions
    ("size(ticket.tags)", 2),
    ("size(ticket.subject)", 15),
    ("size(ticket.custom)", 3),
    ("any([false, true])", True),
    ("any([])", False),
    ("all([true, 1])", True),
    ("all(['', 'a'])", False),
    ("count(ticket.tags)", 2),
    ("count(['a', 'b', 'a'], 'a')", 2),
    ("sum([1, 2.5])", 3.5),
    ("sum([])", 0),
    ("lower('ABC')", "abc"),
    ("changed(ticket.priority)", True),
    ("changed(ticket.status_category)", False),
    ("changed(ticket.tags)", False),
    ("changed(ticket.subject)", True),
    ("changed(ticket.assignee)", False),
    ("changed(ticket.custom['region'])", True),
    ("was(ticket.priority)", "normal"),
    ("was(ticket.subject)", None),
    ("was(ticket.custom.region)", None),
    ("linked(ticket, 'escalated_to')", [ISSUE]),
    ("linked(ticket, 'duplicates')", []),
    ("(linked(ticket, 'escalated_to') | first).source_key", "ENG-12"),
    ("age(ticket.created_at)", 18000.0),
    ("age(ticket.created_text)", 18000.0),
    ("age(ticket.naive_at)", 3600.0),
    ("age(ticket.created_at) > '4h'", True),
    ("age(ticket.created_at) > '6h'", False),
    ("'4h' < age(ticket.created_at)", True),
    ("age(ticket.created_at) == '5h'", True),
    ("age(ticket.created_at) > 100", True),
    ("age(ticket.created_at) / 3600", 5.0),
    ("age(ticket.created_at) > age(ticket.naive_at)", True),
    ("age(ticket.created_at) is number", True),
    ("matches(ticket.subject, '^Printer .* fire$')", True),
    (r"matches(ticket.body_text, 'ERR-\d+')", True),
    (r"matches(ticket.body_text, '\bERR\b')", True),
    ("matches(ticket.subject, '(?i)PRINTER')", True),
    ("matches(ticket.subject, 'PRINTER')", False),
    # filters
    ("'aB' | lower", "ab"),
    ("'aB' | upper", "AB"),
    ("'a b' | title", "A B"),
    ("' a ' | trim", "a"),
    ("'aXbX' | replace('X', '--')", "a--b--"),
    ("['a', 1] | join('/')", "a/1"),
    ("['a', 'b'] | join", "ab"),
    ("'abc' | length", 3),
    ("ticket.tags | count", 2),
    ("[3, 1] | first", 3),
    ("[3, 1] | last", 1),
    ("[] | first", None),
    ("[] | last", None),
    ("[3, 1, 2.5] | sort", [1, 2.5, 3]),
    ("[3, 1] | sort(true)", [3, 1]),
    ("[3, 1] | sort(reverse=true)", [3, 1]),
    ("['b', 'a'] | sort", ["a", "b"]),
    ("[now, ticket.created_at] | sort | first", NOW - timedelta(hours=5)),
    ("['a', 'b', 'a', 1, 1.0, true] | unique", ["a", "b", 1, True]),
    ("2.5 | round", 3),
    ("-2.5 | round", -3),
    ("8.25 | round(1)", 8.3),
    ("7 | round", 7),
    ("'12' | int", 12),
    ("12.7 | int", 12),
    ("'x' | int(0)", 0),
    ("none | int(5)", 5),
    ("'1.5' | float", 1.5),
    ("3 | float", 3.0),
    ("'nan' | float(0)", 0),
    ("5 | string", "5"),
    ("-5 | abs", 5),
    ("[2, 1] | min", 1),
    ("['a', 'b'] | max", "b"),
    ("[1, 2] | sum", 3),
    ("{'a': 1} | list", ["a"]),
    ("[1] | list", [1]),
    ("'abcdef' | limit(4)", "abc…"),
    ("'abcd' | limit(4)", "abcd"),
    ("'ab cdef' | limit(4)", "ab…"),
    ("{'a': [1, none, true, 'é']} | json", '{"a": [1, null, true, "é"]}'),
    ("now | json", '"2026-11-04T14:00:00Z"'),
    ("now | date", "2026-11-04"),
    ("now | date('%A %d %B %Y %H:%M %Z, 100%%')", "Wednesday 04 November 2026 14:00 UTC, 100%"),
    ("'2026-01-02T23:30:00-02:00' | date('%d %b %Y')", "03 Jan 2026"),
    ("'urgent' | map('priority')", "Highest"),
    ("1 | map('priority')", "One"),
    ("true | map('priority')", "Yes"),
    ("'z' | map('passing')", "z"),
    ("none | map('passing')", None),
    ("'z' | map('given')", "other"),
    ("ticket.priority | map('priority') | upper", "HIGHEST"),
]


@pytest.mark.parametrize(("source", "expected"), VALUES)
def test_value(source, expected, language, scope):
    found = language.expression(source).evaluate(scope)
    assert found == expected
    assert type(found) is type(expected) or (isinstance(found, float) and isinstance(expected, float))


@pytest.mark.parametrize(("source", "expected"), [pair for pair in VALUES if type(pair[1]) is bool])
def test_condition_holds_when_its_value_is_true(source, expected, language, scope):
    condition = language.condition(source)
    assert condition.holds(scope) is expected
    assert condition.evaluate(scope) is expected


# source, the part that the caret stands under, a part of the message, a part of the hint
READ_ERRORS = [
    ("ticket.priority = 'urgent'", "=", "compares nothing", "=="),
    ("ticket.priority == 'a' or 'b'", "'b'", "neither yes nor no", "in [..., ...]"),
    ("1 and ticket.open", "1", "a number by itself", ""),
    ("(ticket.open", "(", "never closed", "add `)`"),
    ("[1, 2)", ")", "does not fit", ""),
    ("ticket.open)", ")", "does not fit", ""),
    ("ticket.subject == 'fire", "'", "never closed", "add '"),
    ("a && b", "&", "means nothing", "and"),
    ("a || b", "||", "means nothing", "or"),
    ("!a", "!", "means nothing", "not"),
    ("a ? b : c", "?", "means nothing", "if"),
    ("ticket.subject == “fire”", "“", "means nothing", "straight quotes"),
    ("a b", "b", "operator is missing", "=="),
    ("'a' 'b'", "'b'", "operator is missing", "~"),
    ("{{ ticket.open }}", "{{", "without `{{ }}`", "braces"),
    ("  {{ ticket.open }}", "{{", "without `{{ }}`", "braces"),
    ("ticket.open }}", "}}", "close nothing", ""),
    ("", "", "nothing here", ""),
    ("ticket.score >", ">", "too early", ""),
    ("ticket.score > > 1", ">", "cannot stand here", ""),
    ("ticket.items()", "ticket.items()", "only functions", ""),
    ("ticket.__class__", "__class__", "may not begin with `_`", ""),
    ("ticket['_x']", "'_x'", "may not begin with `_`", ""),
    ("tíckét.priority", "tíckét", "letters a to z", "record['name']"),
    ("2 ** 3", "**", "no power", "multiply"),
    ("ticket.tags[0:1]", "0:1", "cut out", "limit"),
    ("a in ('x', 'y')", "'x', 'y'", "square brackets", ""),
    ("ticket.tags | lenght > 1", "lenght", "no filter `lenght`", "`length`"),
    ("ticket | attr('x')", "attr", "no filter `attr`", "with a dot"),
    ("'%s' | format(1)", "format", "no filter `format`", "~"),
    ("sizee(ticket.tags)", "sizee", "no function `sizee`", "`size`"),
    ("len(ticket.tags)", "len", "no function `len`", "size"),
    ("range(3)", "range", "no function `range`", "list"),
    ("business_age(ticket.created_at) > '2h'", "business_age(ticket.created_at)", "business_age(time, calendar)", ""),
    ("ticket.open is odd", "ticket.open is odd", "no test `is odd`", ""),
    ("ticket.open is none(1)", "ticket.open is none(1)", "takes no value", ""),
    ("size()", "size()", "written size(value)", ""),
    ("linked(ticket)", "linked(ticket)", "linked(record, relation)", ""),
    ("linked(ticket, ticket.priority)", "ticket.priority", "in quotes", ""),
    ("changed(ticket)", "ticket", "needs a field", "changed(ticket.priority)"),
    ("changed(1 + 2)", "1 + 2", "needs a field", ""),
    ("size(value=1, other=2)", "2", "no argument `other`", ""),
    ("'a' | replace(new='a', old='b')", "'a'", "wrong order", ""),
    ("size(*ticket.tags)", "size(*ticket.tags)", "cannot be unpacked", ""),
    ("'a' | map('prio')", "'prio'", "no value map `prio`", "`priority`"),
    ("'a' | map('severity')", "'severity'", "no value map", "[map.severity]"),
    ("'a' | map(ticket.priority)", "'a' | map(ticket.priority)", "in quotes", ""),
    ("age(ticket.created_at) > '4 hours'", "'4 hours'", "not a duration", "'4h'"),
    ("age(ticket.created_at) > '2 business_days'", "'2 business_days'", "by a calendar", "business_age"),
    ("matches(ticket.subject, 'a(b')", "(", "never closed", ""),
    (r"matches(ticket.subject, '(a)\1')", "\\", "refer back", ""),
    ("matches(ticket.subject, ticket.priority)", "ticket.priority", "in quotes", "never taken from data"),
    ("now | date('%Q')", "'%Q'", "not known in a date", "%Y"),
    ("'a' | limit(0)", "0", "from 1 to", ""),
    ("'a' | redact('all')", "'all'", "one kind", "personal"),
    ("99999999999999999999 > 1", "99999999999999999999", "too large", "2^63"),
    ("if", "if", "cannot stand here", ""),
    ("a = b = c", "=", "compares nothing", "=="),
    ("ticket; now", ";", "means nothing", ""),
    (r"'\x4'", r"\x4", "hexadecimal", ""),
]


def under_caret(error: ExpressionError, source: str) -> str:
    return source[error.offset : error.offset + error.length]


@pytest.mark.parametrize(("source", "place", "message", "hint"), READ_ERRORS)
def test_error_when_read(source, place, message, hint, language):
    with pytest.raises(ExpressionError) as caught:
        language.condition(source)
    error = caught.value
    assert under_caret(error, source) == place
    assert message in error.message
    assert hint in error.hint
    assert str(error).startswith(error.message)


RUN_ERRORS = [
    ("ticket.prio == 'urgent'", "ticket.prio", "`ticket` has no field `prio`", "`ticket.priority`"),
    ("ticket.xyz == 1", "ticket.xyz", "no field `xyz`", "spelling"),
    ("tickets.priority == 'urgent'", "tickets.priority", "there is no `tickets` here", "`ticket`"),
    ("zzz == 1", "zzz", "there is no `zzz` here", "account"),
    ("ticket.custom.regon == 1", "ticket.custom.regon", "`ticket.custom` has no field `regon`", "ticket.custom.region"),
    ("ticket.custom['eng statu'] == 1", "ticket.custom['eng statu']", "no field", "ticket.custom['eng status']"),
    ("ticket.open and assignee.name == 1", "assignee.name", "`assignee` is empty", "`assignee is not none`"),
    ("ticket.priority.x == 1", "ticket.priority.x", "this is a text and has no fields", ""),
    ("ticket.comments.body_text == 1", "ticket.comments.body_text", "this is a list and has no fields", "first"),
    ("ticket.comments[0].body == 1", "ticket.comments[0].body", "`ticket.comments[0]` has no field", "body_text"),
    ("ticket.tags[7] == 1", "ticket.tags[7]", "has only 2 items", "default"),
    ("ticket.tags[ticket.priority] == 1", "ticket.tags[ticket.priority]", "is a list", ""),
    ("ticket.custom[1 + 1] == 1", "ticket.custom[1 + 1]", "named by a text", ""),
    ("(ticket.comments | first).x == 1", "(ticket.comments | first).x", "no field of this name", "default"),
    ("ticket.score > '6'", "ticket.score > '6'", "`>` cannot compare a number with a text", ""),
    ("ticket.due_at < now", "ticket.due_at < now", "cannot compare nothing (none) with a time", "is not none"),
    ("ticket.open < 1", "ticket.open < 1", "a yes/no value with a number", ""),
    ("ticket.tags < ['a']", "ticket.tags < ['a']", "a list with a list", ""),
    ("1 in ticket.subject", "1 in ticket.subject", "only a text can be part", ""),
    ("1 in ticket.score", "1 in ticket.score", "`in` looks into a list", ""),
    ("'a' in ticket.assignee", "'a' in ticket.assignee", "not nothing (none)", "default([])"),
    ("ticket.subject + 'x' == 1", "ticket.subject + 'x'", "only numbers", "~"),
    ("ticket.open + 1 == 1", "ticket.open + 1", "not a yes/no value", ""),
    ("2 * (ticket.score / 0) == 1", "ticket.score / 0", "divides by zero", ""),
    ("9223372036854775807 * 2 == 1", "9223372036854775807 * 2", "too large", "2^63"),
    ("1e308 * 10 == 1", "1e308 * 10", "too large", ""),
    ("ticket.custom ~ '' == 1", "ticket.custom ~ ''", "cannot be printed", "json"),
    ("ticket.assignee | lower == 'x'", "ticket.assignee | lower", "lower works on a text", "default('')"),
    ("size(ticket.assignee) == 0", "size(ticket.assignee)", "has no size", "default([])"),
    ("size(ticket.score) == 0", "size(ticket.score)", "a number has no size", ""),
    ("ticket.score | join == ''", "ticket.score | join", "join works on a list", ""),
    ("[1, 'a'] | sort == []", "[1, 'a'] | sort", "a number and a text", ""),
    ("[] | max == 1", "[] | max", "empty list", ""),
    ("'x' | int == 1", "'x' | int", "not a whole number", "int(0)"),
    ("ticket.tags | int == 1", "ticket.tags | int", "a list cannot be read", ""),
    ("'a' | replace('', 'b') == ''", "'a' | replace('', 'b')", "this one is empty", ""),
    ("age(ticket.due_at) > '4h'", "age(ticket.due_at)", "age needs a time", "is not none"),
    ("age(ticket.subject) > '4h'", "age(ticket.subject)", "this text is none", ""),
    ("age(now) > ticket.subject", "age(now) > ticket.subject", "not a duration", ""),
    ("age(now) > now", "age(now) > now", "a duration with a time", ""),
    ("matches(ticket.assignee, 'a')", "matches(ticket.assignee, 'a')", "matches works on a text", ""),
    ("linked(ticket.priority, 'x')", "linked(ticket.priority, 'x')", "a whole record", ""),
    ("ticket.custom | map('priority') == 1", "ticket.custom | map('priority')", "single values", ""),
    ("ticket.priority", "ticket.priority", "must be yes or no, and this is a text", "compare"),
    ("ticket.open and ticket.assignee", "ticket.assignee", "this is nothing (none)", "is not none"),
    ("ticket.tags and ticket.open", "ticket.tags", "this is a list", "size(…) > 0"),
    ("not (ticket.open and ticket.priority)", "ticket.priority", "must be yes or no", ""),
]


@pytest.mark.parametrize(("source", "place", "message", "hint"), RUN_ERRORS)
def test_error_on_values(source, place, message, hint, language, scope):
    condition = language.condition(source)
    with pytest.raises(ExpressionError) as caught:
        condition.holds(scope)
    error = caught.value
    assert under_caret(error, source) == place
    assert message in error.message
    assert hint in error.hint


ODD: dict[str, Any] = {
    "nan": float("nan"),
    "whole": 10**30,
    "big": 1e200,
    "early": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=5))),
    "keys": {1: "a"},
    "keys2": {1: "b"},
    "one": {"a": 1},
    "other": {"a": 2},
    "long": "x" * 5000,
    "same": "x" * 5000,
    "list": [],
    "dates": [datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 1)],  # one of them without zone
    "object": {"id": object()},
    LINKED: lambda _record, _relation: ["no record"],
    "now": NOW,
}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nan ~ ''", "not finite"),
        ("whole ~ ''", "larger than 2^63"),
        ("whole + 1", "too large"),
        ("[nan] | sort", "too large"),
        ("nan | json", "not finite"),
        ("big // 1e-200", "too large"),
        ("big * big", "too large"),
        ("age(early)", "between the years"),
        ("early ~ ''", "between the years"),
        ("keys == keys2", "name that is no text"),
        ("keys | json", "name that is no text"),
        ("1 in keys", "only a text can name a field"),
        ("object.id", "not plain data"),
        ("object['i' ~ 'd']", "not plain data"),
        ("a" * 70 + " == 1", "` here"),
        ("linked(one, 'x')", "not plain data"),
        ("(9 * 'a') ~ 'b'", "only numbers"),
        ("now | date(long)", "short text"),
        ("now | date(1)", "short text"),
        ("list | sort(1)", "true or false"),
        ("long | int", "not a whole number"),
        ("nan | int", "too large"),
        ("1 | redact(long)", "one kind"),
        ("abcdefgh", "there is no `abcdefgh` here"),
        ("'a' | int + 1", "not a whole number"),
    ],
)
def test_odd_values_are_refused(source, message, language):
    with pytest.raises(ExpressionError) as caught:
        language.expression(source).evaluate(ODD)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("one == other", False),
        ("[one] == [other]", False),
        ("long == same", True),
        ("[long, 1] == [same, 1]", True),
        ("[one, 'a'] == [one, 'b']", False),
        ("1e300 | round(2)", 1e300),
        ("now | date('%d' ~ '.%m.')", "04.11."),
        ("nan | int(1)", 1),
        ("(dates | sort | first) < '2026'", None),
        ("false and true or false", False),
        ("(false or 1 == 2) and true", False),
    ],
)
def test_odd_values(source, expected, language):
    if expected is None:
        with pytest.raises(ExpressionError, match="cannot compare a time with a text"):
            language.expression(source).evaluate(ODD)
    else:
        assert language.expression(source).evaluate(ODD) == expected
        if type(expected) is bool:
            assert language.condition(source).holds(ODD) is expected


def test_showing_odd_values_never_fails():
    loop: list[Any] = []
    loop.append(loop)
    shown = [
        spoken(value)
        for value in (*ODD.values(), loop, MISSING, 'say "x"\n', [1] * 9, Duration(float("nan")), object())
    ]
    assert shown[-6:] == [
        "[a list]",
        "not there",
        '"say \\"x\\"\\n"',
        "[1, 1, 1, 1, 1, 1, 1, 1, …]",
        "a duration",
        shown[-1],
    ]
    assert shown[-1] == "something that is not plain data"
    assert len(spoken("x" * 1000)) == 122
    assert repr(MISSING) == "missing"
    assert repr(DYNAMIC) == "DYNAMIC"


def test_most_parts_counts_what_joins_them_too(language):
    assert language.condition(" and ".join(["true"] * 150)).holds({})
    with pytest.raises(ExpressionError, match="more than 300 parts"):
        language.condition(" and ".join(["true"] * 151))
    with pytest.raises(ExpressionError, match="nested too deeply") as caught:
        language.condition("1 + " * 45 + "1 == 46")
    assert caught.value.offset % 4 == 0  # at one of the numbers


def test_a_caller_deep_in_its_own_calls_gets_an_error_of_the_language(language):
    limit = sys.getrecursionlimit()
    depth = len(inspect.stack())
    sys.setrecursionlimit(depth + 200)
    try:
        refused = error_of(lambda: language.expression("(" * 39 + "1" + ")" * 39))
    finally:
        sys.setrecursionlimit(limit)
    assert refused is not None
    assert "too deeply" in refused.message


def test_offsets_count_the_source_as_written(language, scope):
    source = "ticket.open\r\n  and\r\n  ticket.prio"
    with pytest.raises(ExpressionError) as caught:
        language.condition(source).holds(scope)
    assert under_caret(caught.value, source) == "ticket.prio"


def test_condition_over_several_lines(language, scope):
    assert language.condition("ticket.open\nand ticket.score\n > 3\n").holds(scope)


# --- what a condition must give -----------------------------------------------------------------------------------


def test_linked_counts_as_yes_when_there_is_any(language, scope):
    assert language.condition("linked(ticket, 'escalated_to')").holds(scope) is True
    assert language.condition("linked(ticket, 'duplicates')").holds(scope) is False
    assert language.condition("ticket.open and linked(ticket, 'escalated_to')").holds(scope) is True
    assert language.condition("not linked(ticket, 'duplicates')").holds(scope) is True


def test_an_error_in_a_part_that_is_not_reached_is_no_error(language, scope):
    assert language.condition("false and nowhere.x").holds(scope) is False
    assert language.condition("true or nowhere.x").holds(scope) is True


def test_value_map_that_holds(language, scope):
    expression = language.expression("ticket.status_category | map('priority')")
    with pytest.raises(Unmapped) as caught:
        expression.evaluate(scope)
    assert (caught.value.map_name, caught.value.value) == ("priority", "open")
    assert not isinstance(caught.value, ExpressionError)
    with pytest.raises(Unmapped):
        language.expression("none | map('priority')").evaluate(scope)


def test_a_map_gives_none_for_an_entry_that_is_none():
    language = Language(maps={"m": ValueMap("m", {"a": None}, Default(None))})
    assert language.expression("'a' | map('m')").evaluate({}) is None
    assert language.expression("'b' | map('m')").evaluate({}) is None


def test_created_record_changes_every_field_that_has_a_value(language, scope):
    scope["before"] = None
    holds = {
        field: language.condition(f"changed(ticket.{field})").holds(scope)
        for field in ("priority", "assignee", "empty", "followers", "custom", "open", "nothing")
    }
    assert holds == {
        "priority": True,
        "assignee": False,
        "empty": False,
        "followers": False,
        "custom": True,
        "open": True,
        "nothing": False,
    }
    assert language.expression("was(ticket.priority)").evaluate(scope) is None


def test_changed_without_before_in_scope(language, scope):
    del scope["before"]
    assert language.condition("changed(ticket.priority)").holds(scope)


def test_removed_value_counts_as_changed(language, scope):
    scope["ticket"]["priority"] = None
    assert language.condition("changed(ticket.priority)").holds(scope)
    assert language.condition("was(ticket.priority) == 'normal'").holds(scope)


def test_age_follows_the_time_of_the_run(language, scope):
    condition = language.condition("age(ticket.created_at) >= '5h'")
    assert condition.holds(scope)
    scope["now"] = NOW - timedelta(seconds=1)
    assert not condition.holds(scope)
    scope["now"] = NOW.astimezone(timezone(timedelta(hours=-8)))
    assert condition.holds(scope)


def test_age_and_links_need_what_the_engine_puts_into_scope(language):
    with pytest.raises(ExpressionError, match="time is not known"):
        language.expression("age(t)").evaluate({"t": NOW})
    with pytest.raises(ExpressionError, match="links cannot be looked up"):
        language.expression("linked(t, 'x')").evaluate({"t": {}})


def test_a_failure_of_the_store_behind_linked_is_passed_on(language, scope):
    def fail(_record: Any, _relation: str) -> Any:
        raise OSError("the store is away")

    scope[LINKED] = fail
    with pytest.raises(OSError, match="away"):
        language.condition("not linked(ticket, 'x')").holds(scope)


# --- durations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("45m", 2700), ("4h", 14400), ("2d", 172800), ("1w", 604800), ("1d 12h", 129600), ("1.5h", 5400)],
)
def test_duration_texts(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "4", "h", "4 hours", "-4h", "4h x", "2 business_days", "1" * 200 + "h", "４h"])
def test_texts_that_are_no_duration(text):
    with pytest.raises(ExpressionError):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (59, "59s"), (3600, "1h"), (93784, "1d 2h"), (-120, "-2m"), (86401, "1d 1s")],
)
def test_durations_print_their_two_largest_units(seconds, text):
    assert str(Duration(seconds)) == text


# --- what a checker sees ------------------------------------------------------------------------------------------


def test_paths_with_their_places(language):
    source = "ticket.priority in inputs.names[ticket.team].list and ticket.custom['x'][0] == 1"
    paths = language.condition(source).paths
    assert [path.parts for path in paths] == [
        ("ticket", "priority"),
        ("inputs", "names"),
        ("ticket", "team"),
        ("ticket", "custom", "x", 0),
    ]
    assert [source[path.offset : path.offset + path.length] for path in paths] == [
        "ticket.priority",
        "inputs.names",
        "ticket.team",
        "ticket.custom['x'][0]",
    ]
    assert [path.text for path in paths][-1] == "ticket.custom.x[0]"


def test_optional_paths(language):
    condition = language.expression(
        "coalesce(a.b, a.c) ~ (a.d | default('')) ~ (a.e is defined) ~ changed(a.f) ~ was(a.g) ~ a.h"
    )
    assert {path.text: path.optional for path in condition.paths} == {
        "a.b": True,
        "a.c": True,
        "a.d": True,
        "a.e": True,
        "a.f": True,
        "a.g": True,
        "a.h": False,
    }


def test_calls_with_their_arguments(language):
    source = "not linked(ticket, 'escalated_to') and (ticket.priority | map('priority')) == lower(ticket.a ~ 'x')"
    calls = language.condition(source).calls
    assert [(call.name, call.what) for call in calls] == [
        ("linked", "function"),
        ("map", "filter"),
        ("lower", "function"),
    ]
    linked, mapped, lower = calls
    assert linked.arguments == (Path(("ticket",), 11, 6), "escalated_to")
    assert mapped.arguments == ("priority",)
    assert lower.arguments == (DYNAMIC,)
    assert source[linked.offset : linked.offset + linked.length] == "linked(ticket, 'escalated_to')"
    assert source[mapped.offset : mapped.offset + mapped.length] == "map('priority')"


def test_constant_lists_and_negative_numbers_are_constant_arguments():
    language = Language(functions={"f": Function(lambda *_: 1, ("a",), variadic=True)})
    (call,) = language.expression("f(-1, ['a', 2], [x])").calls
    assert call.arguments == (-1, ("a", 2), DYNAMIC)


# --- what plugins add ---------------------------------------------------------------------------------------------


def test_registered_function_and_filter():
    def only_even(value: Any = DYNAMIC) -> None:
        if value is not DYNAMIC and value % 2:
            raise ValueError("only even numbers can be halved")

    language = Language(
        functions={
            "similar": Function(lambda _record: [{"id": "a"}], ("record",), lists_are_yes=True),
            "halve": Function(lambda number: number // 2, ("number",), check=only_even),
        },
        filters={"shout": Filter(lambda text, mark="!": text + mark, ("mark",), required=0)},
    )
    assert language.condition("similar(t)").holds({"t": {}})
    assert language.expression("t | shout ~ ('a' | shout('?')) ~ halve(4)").evaluate({"t": "b"}) == "b!a?2"
    with pytest.raises(ExpressionError, match="only even numbers") as caught:
        language.expression("halve(3)")
    assert (caught.value.offset, caught.value.length) == (6, 1)


def test_what_a_registered_function_may_do():
    def clumsy(what: str) -> Any:
        if what == "mistake":
            raise ValueError("that is no colour")
        if what == "failure":
            raise LookupError("the index is broken")
        return object()

    language = Language(functions={"clumsy": Function(clumsy, ("what",))})
    with pytest.raises(ExpressionError, match="that is no colour") as caught:
        language.expression("'a' ~ clumsy('mistake')").evaluate({})
    assert caught.value.offset == 6
    with pytest.raises(LookupError):
        language.expression("clumsy('failure')").evaluate({})
    with pytest.raises(ExpressionError, match="not plain data"):
        language.expression("clumsy('object')").evaluate({})


@pytest.mark.parametrize("name", ["size", "changed", "_hidden", "two words", "été"])
def test_function_names_that_are_not_free(name):
    with pytest.raises(ValueError, match=r"name|exists"):
        Language(functions={name: Function(lambda: 1, ())})


@pytest.mark.parametrize("name", ["lower", "default", "d", "map"])
def test_filter_names_that_are_not_free(name):
    with pytest.raises(ValueError, match="exists"):
        Language(filters={name: Filter(lambda value: value)})


# --- explanations -------------------------------------------------------------------------------------------------


def test_explanation_stops_where_the_condition_stops(language, scope):
    source = (
        "'needs-engineering' in ticket.tags and account.tier in inputs.tiers and (ticket.open or changed(ticket.score))"
    )
    leaves = language.condition(source).explain(scope)
    assert [(leaf.text, leaf.verdict, leaf.seen) for leaf in leaves] == [
        ("'needs-engineering' in ticket.tags", True, 'ticket.tags = ["vip", "needs-engineering"]'),
        (
            "account.tier in inputs.tiers",
            False,
            'account.tier = "self_serve"; inputs.tiers = ["enterprise", "strategic"]',
        ),
        ("ticket.open or changed(ticket.score)", None, ""),
    ]
    assert [source[leaf.offset :].startswith(leaf.text[:6]) for leaf in leaves] == [True] * 3


def test_explanation_shows_calls_and_leaves_out_whole_records(language, scope):
    source = (
        "not linked(ticket, 'duplicates') and age(ticket.created_at) > '4h' "
        "and changed(ticket.priority) and linked(ticket, 'escalated_to')"
    )
    leaves = language.condition(source).explain(scope)
    assert [leaf.verdict for leaf in leaves] == [True] * 4
    assert [leaf.seen for leaf in leaves] == [
        "linked(ticket, 'duplicates') = []",
        "ticket.created_at = 2026-11-04T09:00:00Z; age(ticket.created_at) = 5h",
        'ticket.priority = "urgent"; was(ticket.priority) = "normal"',
        "linked(ticket, 'escalated_to') = [\"ENG-12\"]",
    ]


def test_explanation_tells_an_error_in_its_part(language, scope):
    leaves = language.condition("ticket.open and ticket.prio == 1 and ticket.score == 7").explain(scope)
    assert [(leaf.verdict, leaf.error is None) for leaf in leaves] == [(True, True), (None, False), (None, True)]
    assert "`ticket.priority`" in str(leaves[1].error)
    assert leaves[1].values == (("ticket.prio", MISSING),)
    assert leaves[1].seen == "ticket.prio = not there"


def test_explanation_tells_a_map_that_holds(language, scope):
    (leaf,) = language.condition("(ticket.status_category | map('priority')) == 'High'").explain(scope)
    assert isinstance(leaf.error, Unmapped)
    assert leaf.verdict is None


def test_explanation_keeps_the_brackets_that_belong_to_a_part(language, scope):
    texts = [
        leaf.text for leaf in language.condition("(1 == 1) and ((1 + 1) * 2 == 4) and not (1 == 2)").explain(scope)
    ]
    assert texts == ["1 == 1", "(1 + 1) * 2 == 4", "not (1 == 2)"]


def test_explanation_is_one_line_per_part(language, scope):
    (leaf,) = language.condition("ticket.priority in [\n  'urgent',\n  'high'\n]").explain(scope)
    assert leaf.text == "ticket.priority in [ 'urgent', 'high' ]"


# --- random expressions -------------------------------------------------------------------------------------------

FIELDS = ["a.text", "a.number", "a.flag", "a.list", "a.group", "a.none", "a.time", "a.gone", "b", "now", "a.list[0]"]
FILTERS = [
    "lower", "upper", "title", "trim", "length", "first", "last", "sort", "sort(true)", "unique", "round", "round(2)",
    "int", "int(0)", "float", "string", "abs", "min", "max", "sum", "list", "limit(3)", "json", "date", "default('x')",
    "default([], true)", "join('-')", "replace('a', 'b')", "redact('personal')", "map('held')", "map('passed')", "count",
]  # fmt: skip


def compose(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    binary = st.sampled_from(
        ["==", "!=", "<", "<=", ">", ">=", "in", "and", "or", "+", "-", "*", "/", "//", "%", "~"] + ["not in"]  # noqa: RUF005 - reads as one list
    )
    return st.one_of(
        st.tuples(inner, binary, inner).map(lambda t: f"({t[0]} {t[1]} {t[2]})"),
        st.tuples(st.sampled_from(["not ", "-", "+"]), inner).map(lambda t: f"({t[0]}{t[1]})"),
        st.tuples(inner, st.sampled_from(FILTERS)).map(lambda t: f"({t[0]} | {t[1]})"),
        st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})"),
        st.tuples(inner, inner).map(lambda t: f"{t[0]}[{t[1]}]"),
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.lists(inner, max_size=2).map(lambda items: "{" + ", ".join(f"{i}: {i}" for i in items) + "}"),
        st.tuples(st.sampled_from(["size", "any", "all", "count", "sum", "lower", "age", "coalesce"]), inner).map(
            lambda t: f"{t[0]}({t[1]})"
        ),
        st.tuples(inner, st.sampled_from(["none", "string", "number", "boolean", "mapping", "sequence"])).map(
            lambda t: f"({t[0]} is {t[1]})"
        ),
        inner.map(lambda source: f"linked({source}, 'x')"),
        inner.map(lambda source: f"matches({source}, 'a+(b|c)*$')"),
    )


def error_of(work: Callable[[], Any]) -> ExpressionError | None:
    """The error that some work ends with, if it is one of the language."""
    try:
        work()
    except ExpressionError as error:
        return error
    except Unmapped:
        pass
    return None


EXPRESSIONS = st.recursive(
    st.sampled_from([*FIELDS, "changed(a.text)", "was(a.list)", "a.gone is defined"])
    | st.sampled_from(["'a'", "''", "'4h'", "0", "7", "2.5", "true", "none", "[]", "9223372036854775807", "1e300"]),
    compose,
    max_leaves=12,
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=10)
    | st.datetimes()
    | st.datetimes(timezones=st.just(UTC)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=400, deadline=None, report_multiple_bugs=False)
@given(EXPRESSIONS, st.lists(PLAIN, min_size=9, max_size=9))
def test_random_expressions_give_a_value_or_a_readable_error(source, values):
    language = Language(maps={"held": ValueMap("held", {"a": 1}), "passed": ValueMap("passed", {}, "pass")})
    names = ("text", "number", "flag", "list", "group", "none", "time")
    scope: dict[str, Any] = {
        "a": dict(zip(names, values, strict=False)),
        "b": values[7],
        "before": values[8],
        "now": NOW,
        LINKED: lambda _record, _relation: [{"id": "1"}],
    }
    refused = error_of(lambda: language.condition(source))
    if refused is not None:
        assert len(refused.message) > 10
        return
    expression, condition = language.expression(source), language.condition(source)
    for work in (lambda: expression.evaluate(scope), lambda: condition.holds(scope)):
        error = error_of(work)
        assert error is None or error.offset + error.length <= len(source)
    leaves = condition.explain(scope)
    assert leaves
    assert all(isinstance(leaf.seen, str) for leaf in leaves)


@settings(max_examples=200, deadline=None, report_multiple_bugs=False)
@given(EXPRESSIONS)
def test_holding_and_explaining_agree(source):
    language = Language(maps={"held": ValueMap("held", {"a": 1}), "passed": ValueMap("passed", {}, "pass")})
    scope: dict[str, Any] = {
        "a": {"text": "a", "number": 3, "flag": True, "list": [1], "group": {}, "none": None, "time": NOW},
        "b": "x",
        "before": {},
        "now": NOW,
        LINKED: lambda _record, _relation: [],
    }
    try:
        condition = language.condition(source)
    except ExpressionError:
        return
    leaves = condition.explain(scope)
    try:
        held: bool | None = condition.holds(scope)
    except (ExpressionError, Unmapped):
        held = None
    verdicts = [leaf.verdict for leaf in leaves]
    expected = None if any(leaf.error for leaf in leaves) else all(verdicts)
    assert held is expected


# --- the same as Jinja, where both give a value --------------------------------------------------------------------

NUMBERS = st.recursive(
    st.sampled_from(["n", "r.five", "0", "1", "12", "size(words)"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner).map(" ".join)
        | inner.map(lambda source: f"({source})")
        | inner.map(lambda source: f"-{source}")
        | inner.map(lambda source: f"({source} | abs)")
    ),
    max_leaves=5,
)
TEXTS = st.recursive(
    st.sampled_from(["t", "r.name", "'a'", '"it\'s"', "words[0]", "words | join('+')", "r['name']"]),
    lambda inner: (
        st.tuples(inner, inner | NUMBERS).map(lambda t: f"{t[0]} ~ {t[1]}")
        | inner.map(lambda source: f"({source}) | upper")
        | inner.map(lambda source: f"({source})")
        | inner.map(lambda source: f"({source}) | replace('a', 'bb')")
    ),
    max_leaves=4,
)
CHECKS = st.recursive(
    st.tuples(NUMBERS, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), NUMBERS).map(" ".join)
    | st.tuples(TEXTS, st.sampled_from(["==", "!=", "<", ">", "in", "not in"]), TEXTS).map(" ".join)
    | st.tuples(TEXTS, st.sampled_from(["in", "not in"]), st.sampled_from(["words", "['a', 'b']", "r"])).map(" ".join)
    | st.tuples(NUMBERS, NUMBERS, NUMBERS).map(lambda t: f"{t[0]} < {t[1]} <= {t[2]}")
    | st.sampled_from(["yes", "not yes", "(nothing is none)", "(t is string)", "(n is number)", "(gone is defined)"]),
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        | inner.map(lambda source: f"not {source}")
        | inner.map(lambda source: f"({source})")
        | st.tuples(inner, inner, inner).map(lambda t: f"({t[0]} if {t[1]} else {t[2]})")
    ),
    max_leaves=6,
)


@settings(max_examples=400, deadline=None, report_multiple_bugs=False)
@given(CHECKS | TEXTS | NUMBERS, st.integers(-9, 9), st.text("abé ", max_size=4))
def test_same_value_as_jinja(source, number, text):
    scope: dict[str, Any] = {
        "n": number,
        "t": text,
        "words": ["a", text],
        "r": {"five": 5, "name": "Ann"},
        "yes": True,
        "nothing": None,
    }
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
    environment.globals = {"size": len}
    try:
        expected = environment.compile_expression(source, undefined_to_none=False)(**scope)
    except (ZeroDivisionError, UndefinedError, TypeError):
        with pytest.raises(ExpressionError):
            Language().expression(source).evaluate(scope)
        return
    refused = error_of(lambda: Language().expression(source).evaluate(scope))
    if refused is not None:
        # Bounds, and numbers with numbers only: the language is the stricter of the two.
        assert any(words in refused.message for words in ("too deeply", "more than", "only numbers"))
        return
    assert Language().expression(source).evaluate(scope) == expected
