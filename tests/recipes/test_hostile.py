"""What an attacker might write into a recipe, or a customer into a ticket: nothing of it runs, and nothing runs away."""

import tomllib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.recipes.escaping import Escape
from cxbridge.core.recipes.expressions import LINKED, ExpressionError, Function, Language, Unmapped, ValueMap
from cxbridge.core.recipes.values import BUDGET, Budget

CORPUS = tomllib.loads((Path(__file__).parent / "hostile.toml").read_text("utf-8"))


class Tripwire:
    """An object that notes every attempt to use it; only its type can be asked for unnoticed."""

    noted: list[str] = []  # noqa: RUF012 - one list for all, so that nothing escapes notice

    def __getattribute__(self, name: str) -> Any:
        Tripwire.noted.append(f"read {name}")
        return object.__getattribute__(self, name)


class TrippingText(str):
    __slots__ = ()


class TrippingGroup(dict[str, Any]):
    pass


def _trip(name: str) -> Any:
    def noted(*_args: Any, **_named: Any) -> Any:
        Tripwire.noted.append(name)
        raise AssertionError(f"{name} was called")

    return noted


_METHODS = (
    "bool", "call", "contains", "eq", "ne", "lt", "le", "gt", "ge", "add", "radd", "sub", "mul", "rmul", "mod", "rmod",
    "truediv", "floordiv", "getitem", "iter", "len", "next", "format", "str", "repr", "int", "float", "index", "hash",
    "neg", "pos", "abs", "enter", "exit", "reduce", "reversed",
)  # fmt: skip
for _class in (Tripwire, TrippingText, TrippingGroup):
    for _name in _METHODS:
        if (_class, _name) not in ((TrippingText, "str"), (TrippingText, "hash")):
            setattr(_class, f"__{_name}__", _trip(f"{_class.__name__}.__{_name}__"))


@pytest.fixture
def tripped() -> Iterator[list[str]]:
    Tripwire.noted.clear()
    yield Tripwire.noted
    Tripwire.noted.clear()


def tripwire_function(*args: Any) -> Any:
    Tripwire.noted.append(f"tripwire{args!r}")
    return args


@pytest.fixture(scope="module")
def language() -> Language:
    return Language(
        functions={"tripwire": Function(tripwire_function, (), variadic=True)},
        maps={"priority": ValueMap("priority", {"urgent": "Highest"})},
    )


def nested(depth: int) -> Any:
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture(scope="module")
def scope() -> dict[str, Any]:
    nest = {
        "danger": Tripwire(),
        "list": [Tripwire()],
        "text": str.__new__(TrippingText, "a"),
        "group": TrippingGroup(),
    }
    loop: list[Any] = []
    loop.append(loop)
    loop2: list[Any] = []
    loop2.append(loop2)
    return {
        "ticket": {
            "priority": "urgent",
            "subject": "Printer on fire {{ tripwire() }}",
            "tags": ["vip", "{% set x = tripwire() %}"],
            "created_at": datetime(2026, 11, 4, 9, tzinfo=UTC),
        },
        "now": datetime(2026, 11, 4, 13, tzinfo=UTC),
        "danger": Tripwire(),
        "nest": nest,
        "before": {"danger": Tripwire(), "text": "b", "group": {}},
        "big": {
            "text": "a" * 200_000,
            "huge": "a" * 1_000_000,
            "words": [str(number) for number in range(200_000)],
            "thousand": [{"n": number} for number in range(1000)],
            "thousands": list(range(1001)),
            "deep": nested(100),
            "deep2": nested(100),
            "loop": loop,
            "loop2": loop2,
            "whole": 10**30,
            "nan": float("nan"),
        },
        LINKED: _trip("linked"),
        "_secret": "hidden",
    }


def written_out() -> list[tuple[str, str]]:
    return [
        (group["kind"], entry.get("before", "") + entry["piece"] * entry["times"] + entry.get("after", ""))
        for group in CORPUS["written_out"]
        for entry in group["pieces"]
    ]


def well_placed(error: ExpressionError, source: str) -> bool:
    return error.placed and 0 <= error.offset <= len(source) and error.length >= 1 and len(str(error)) > 10


@pytest.mark.parametrize("source", CORPUS["read"]["expressions"])
def test_hostile_expression_is_refused_when_read(source, language, scope, tripped):
    for read in (language.condition, language.expression):
        with pytest.raises(ExpressionError) as caught:
            read(source).evaluate(scope)
        assert well_placed(caught.value, source)
    assert tripped == []


@pytest.mark.parametrize("source", CORPUS["read"]["expressions"])
def test_hostile_expression_is_refused_inside_a_template(source, language, tripped):
    if "}}" in source or source.startswith("{{"):
        return  # in a template these close the output, and what follows is text
    with pytest.raises(ExpressionError):
        language.template("{{ " + source + " }}")
    assert tripped == []


@pytest.mark.parametrize("source", CORPUS["read"]["templates"])
def test_hostile_template_is_refused_when_read(source, language, tripped):
    with pytest.raises(ExpressionError) as caught:
        language.template(source)
    assert well_placed(caught.value, source)
    assert tripped == []


@pytest.mark.parametrize("source", CORPUS["run"]["expressions"])
def test_hostile_expression_comes_to_nothing_on_values(source, language, scope, tripped):
    with pytest.raises(ExpressionError) as caught:
        language.expression(source).evaluate(scope)
    assert well_placed(caught.value, source)
    assert tripped == []


@pytest.mark.parametrize("source", CORPUS["run"]["templates"])
def test_hostile_template_comes_to_nothing_on_values(source, language, scope, tripped):
    with pytest.raises(ExpressionError) as caught:
        language.template(source).render(scope)
    assert well_placed(caught.value, source)
    assert tripped == []


@pytest.mark.parametrize(("kind", "source"), written_out(), ids=lambda value: value[:24])
def test_enormous_source_is_refused_when_read(kind, source, language, tripped):
    with pytest.raises(ExpressionError) as caught:
        language.expression(source) if kind == "expression" else language.template(source)
    assert well_placed(caught.value, source)
    assert tripped == []


def test_corpus_is_large_enough():
    single = sum(len(CORPUS[part][kind]) for part in ("read", "run") for kind in ("expressions", "templates"))
    assert single + len(written_out()) >= 200


def test_explaining_a_hostile_condition_touches_nothing(language, scope, tripped):
    for source in CORPUS["run"]["expressions"]:
        try:
            condition = language.condition(source)
        except ExpressionError:
            continue
        leaves = condition.explain(scope)
        assert any(leaf.error is not None for leaf in leaves), source
    assert tripped == []


@pytest.mark.parametrize("escape", list(Escape))
def test_a_vendors_text_is_never_read_as_a_template(escape, language, scope, tripped):
    out = language.template("{{ ticket.subject }} {{ ticket.tags }}").render(scope, escape)
    assert "tripwire" in out
    native = language.template("{{ ticket.tags }}").value(scope, escape)
    assert "tripwire" in str(native)
    assert tripped == []


def test_keys_that_begin_with_an_underscore_are_out_of_reach(language, scope, tripped):
    for source in ("_secret", "ticket['_secret']", "ticket['_' ~ 'secret']", "{'a': 1}['_b']"):
        with pytest.raises(ExpressionError, match="may not begin with `_`"):
            language.expression(source).evaluate(scope)
    assert tripped == []


def test_hints_do_not_offer_hidden_names(language, scope):
    with pytest.raises(ExpressionError) as caught:
        language.expression("secret").evaluate(scope)
    assert "_secret" not in str(caught.value)


def test_refusals_do_not_repeat_a_vendors_text(language):
    secret = "card 4111 1111 1111 1111"
    scope = {"ticket": {"subject": secret, "priority": 3}, "now": datetime(2026, 1, 1, tzinfo=UTC)}
    for source in (
        "ticket.subject < 5",
        "ticket.subject + 1",
        "ticket.subject",
        "age(ticket.subject) > '4h'",
        "age(now) > ticket.subject",
        "ticket.subject | int",
        "ticket.subject.x",
        "ticket[ticket.subject]",
        "ticket.subject | date",
        "ticket.priority | replace(ticket.subject, '')",
    ):
        with pytest.raises(ExpressionError) as caught:
            language.condition(source).holds(scope)
        assert secret not in str(caught.value), source


def test_every_evaluation_begins_with_the_same_budget(language, scope):
    template = language.template("{% for item in big.thousand %}{{ item.n }}{% endfor %}")
    assert [len(template.render(scope)) for _ in range(3)] == [2890, 2890, 2890]


def test_budget_ends_work_and_not_before():
    budget = Budget()
    budget.spend(BUDGET)
    with pytest.raises(ExpressionError, match="too long"):
        budget.spend(1)


# --- anything at all ----------------------------------------------------------------------------------------------

PIECES = [
    "ticket", ".", "priority", "tags", "subject", "_x", "__class__", "size(", "linked(", "changed(", "age(", "matches(",
    "coalesce(", "map(", "default(", ")", "[", "]", "{", "}", ":", ",", "|", "~", "+", "-", "*", "/", "//", "%", "**",
    "==", "!=", "<", "<=", ">", ">=", "=", "and", "or", "not", "in", "is", "if", "else", "none", "true", "false",
    "defined", "'urgent'", "'\\\\d'", '"x"', "1", "2.5", "1e5", "0x1f", "9999999999999999999", "now", "before", "nest",
    "danger", "nowhere", "'", '"', "\\", "{{", "}}", "{%", "%}", "{#", "#}", "for", "endfor", "endif", "elif", "set",
    "include", "import", "raw", "endraw", "macro", "tripwire(", "\n", "\r", "\r\n", "\t", "é", "ｔ", "\u202e", "\x00",
    ";", "!", "&", "?", "@", "#", "$", "`", "^",
]  # fmt: skip


def error_of(work: Callable[[], Any]) -> ExpressionError | None:
    """The error that some work ends with, if it is one of the language."""
    try:
        work()
    except ExpressionError as error:
        return error
    except Unmapped:
        pass
    return None


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=40).map(" ".join) | st.text(max_size=200))
def test_any_source_gives_a_value_or_an_error_with_its_place(source):
    Tripwire.noted.clear()
    language = Language(maps={"priority": ValueMap("priority", {})})
    values = {
        "ticket": {"priority": "urgent", "tags": ["a"], "subject": "x"},
        "now": datetime(2026, 1, 1, tzinfo=UTC),
        "before": None,
        "danger": Tripwire(),
    }
    for work in (
        lambda: language.expression(source).evaluate(values),
        lambda: language.template(source).render(values, Escape.HTML),
    ):
        error = error_of(work)
        assert error is None or well_placed(error, source)
    assert Tripwire.noted == []
