"""Where things stand in a file: documents are written here with a note of every place, and read back."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time
from random import Random
from typing import Any

import pytest
import toml_rs
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.core.errors import Problem
from cxbridge.core.toml import Path, Placed, Problems, Source, Span

# Letters of one, two, three and four bytes, what must be escaped, and line ends that are none in TOML.
LETTERS = st.sampled_from("ab Z9.#=[]{}'\"\\\t\nüß–語🙂\u2028\x85")
TEXTS = st.text(LETTERS, max_size=12)
BARE = st.text(st.sampled_from("abcXYZ019_-"), min_size=1, max_size=6)


SCALARS = TEXTS | st.integers(-99, 10**6) | st.booleans() | st.floats(-1e6, 1e6, width=32)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(BARE, inner, max_size=3), max_leaves=4
)
TABLES = st.dictionaries(BARE, VALUES, max_size=3)


@dataclass
class Writer:
    """Writes a document; notes for each path where its key and its value were written, and how."""

    dice: Random
    text: str = ""
    keys: dict[Path, tuple[int, int, str]] = field(default_factory=dict)
    values: dict[Path, tuple[int, int, str]] = field(default_factory=dict)
    texts: dict[Path, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.newline = self.dice.choice(["\n", "\r\n"])

    def put(self, words: str) -> tuple[int, int]:
        place = self.text.count("\n") + 1, len(self.text) - self.text.rfind("\n")
        self.text += words
        return place

    def key(self, path: Path, name: str) -> None:
        written = self.dice.choice([name, f'"{name}"', f"'{name}'"])
        self.keys[path] = (*self.put(written), written)

    def table(self, path: Path, values: Mapping[str, Any]) -> None:
        """Write the plain keys of a table."""
        for name, value in values.items():
            self.put(self.dice.choice(["", "  ", "\t", f"# größe{self.newline}"]))
            self.key((*path, name), name)
            self.put(self.dice.choice(["=", " = ", "\t=\t"]))
            self.value((*path, name), value)
            self.put(self.dice.choice(["", "  # ü [x]"]) + self.newline)

    def value(self, path: Path, value: Any) -> None:
        """Write a value in one of the ways TOML has for it."""
        if isinstance(value, list):
            place = self.put("[")
            for index, item in enumerate(value):
                self.put(self.dice.choice(["", " ", self.newline, f" # ü{self.newline}\t"]))
                self.value((*path, index), item)
                self.put(self.dice.choice([",", " , "]))
            self.put("]")
            self.values[path] = (*place, "[")
        elif isinstance(value, dict):
            place = self.put("{")
            for number, (name, item) in enumerate(value.items()):
                self.put(" " if number == 0 else ", ")
                self.key((*path, name), name)
                self.put(self.dice.choice(["=", " = "]))
                self.value((*path, name), item)
            self.put(" }")
            if isinstance(path[-1], str):
                # The parser does not keep the place of every table in a list.
                self.values[path] = (*place, "{")
        else:
            written = self.spelt(value) if isinstance(value, str) else repr(value).lower()
            self.values[path] = (*self.put(written), written)
            if isinstance(value, str):
                self.texts[path] = value

    def spelt(self, value: str) -> str:
        ways = ["basic", "multi-line basic"]
        if "'" not in value:
            ways += ["multi-line literal"] if "\n" in value else ["literal", "multi-line literal"]
        way = self.dice.choice(ways)
        if way == "literal":
            return f"'{value}'"
        # A line break right behind the quotes does not count.
        first = self.newline if value.startswith("\n") or self.dice.random() < 0.5 else ""
        if way == "multi-line literal":
            return f"'''{first}{value.replace(chr(10), self.newline)}'''"
        spelt = ""
        for letter, following in zip(value, [*value[1:], ""], strict=False):
            if letter == "\n" and way != "basic":
                spelt += self.newline
            elif letter in '"\\\n' or self.dice.random() < 0.1:
                short = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t"}.get(letter)
                spelt += short or (f"\\U{ord(letter):08x}" if ord(letter) > 0xFFFF else f"\\u{ord(letter):04x}")
            else:
                spelt += letter
            if way != "basic" and following not in (" ", "\t", "\n") and self.dice.random() < 0.1:
                spelt += f"\\{self.newline}  "
        return f'"{spelt}"' if way == "basic" else f'"""{first}{spelt}"""'


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    """A file with plain keys, a table, and an array of tables with tables inside."""
    writer = Writer(Random(draw(st.integers(0, 2**32))))
    writer.table((), draw(TABLES))
    writer.put("[")
    writer.keys["a table",] = (*writer.put("'a table'"), "'a table'")
    writer.put("]" + writer.newline)
    writer.table(("a table",), draw(TABLES))
    for index in range(draw(st.integers(0, 3))):
        writer.put(f"[[ 'some tables' ]]{writer.newline}")
        writer.table(("some tables", index), draw(TABLES))
        writer.put(f"[ \t'some tables' . {writer.dice.choice(['', ' '])}")
        writer.keys["some tables", index, "in ner"] = (*writer.put('"in ner"'), '"in ner"')
        writer.put("]" + writer.newline)
        writer.table(("some tables", index, "in ner"), draw(TABLES))
    return writer


@settings(max_examples=100, deadline=None)
@given(documents())
def test_every_key_and_value_is_where_it_was_written(writer: Writer) -> None:
    source = parsed(writer.text)
    # What is read is what the parser that tells places has read as well.
    assert source.value == toml_rs.loads(writer.text)
    lines = [line.removesuffix("\r") for line in writer.text.split("\n")]
    for path, (line, column, written) in writer.keys.items():
        span = source.key_span(path)
        assert (span.line, span.column, span.length) == (line, column, len(written)), path
        assert source.stands(path)
    for path, (line, column, written) in writer.values.items():
        span = source.value_span(path)
        assert (span.line, span.column) == (line, column), path
        shown = lines[span.line - 1][span.column - 1 : span.column - 1 + span.length]
        assert shown.startswith(written.split("\n")[0].removesuffix("\r")), path


@settings(max_examples=100, deadline=None)
@given(documents())
def test_every_letter_of_a_text_is_where_it_was_written(writer: Writer) -> None:
    source = parsed(writer.text)
    lines = writer.text.split("\n")
    for path, text in writer.texts.items():
        for offset, letter in enumerate(text):
            span = source.inside(path, offset, 1)
            there = (lines[span.line - 1] + "\n")[span.column - 1 : span.column - 1 + span.length]
            if letter == "\n" and there.startswith("\r"):
                there = "\n"
            literal = writer.values[path][2].startswith("'")
            assert (there if literal else meant(there)) == letter, (path, offset)


def meant(spelt: str) -> str:
    """The letter that a piece of a TOML text stands for."""
    return str(tomllib.loads(f'x = "{spelt}"')["x"]) if spelt.startswith("\\") else spelt


@settings(max_examples=100, deadline=None)
@given(documents(), st.floats(0, 1), st.sampled_from(["=", '"', "[", "ü", "\x00", "x y", "'''"]))
def test_whatever_is_no_toml_gets_a_place_inside_the_file(writer: Writer, where: float, what: str) -> None:
    at = int(len(writer.text) * where)
    text = writer.text[:at] + what + writer.text[at:]
    found = Source.parse("x.toml", text)
    if isinstance(found, Problem):
        lines = text.split("\n")
        assert 1 <= found.line <= len(lines)
        assert 1 <= found.column <= len(lines[found.line - 1]) + 1
        assert found.source == lines[found.line - 1].removesuffix("\r")
        assert str(found).startswith(f"x.toml:{found.line}:{found.column}: error CX001 ")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("x = {\n  a = 1,\n  b = 2,\n}", {"x": {"a": 1, "b": 2}}),
        ('x = "\\e"', {"x": "\x1b"}),
        ("x = 07:30", {"x": time(7, 30)}),
    ],
)
def test_what_is_new_in_toml_is_read_too(text: str, value: Any) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    source = parsed(text)
    assert source.value == value
    assert source.value_span(("x",)).column == 5


def test_a_second_that_no_clock_has_is_told() -> None:
    found = Source.parse("x.toml", "at = 2026-01-01T00:00:60Z")
    assert str(found) == "x.toml: error CX001 this is not valid TOML: second must be in 0..59"


def parsed(text: str) -> Source:
    found = Source.parse("x.toml", text)
    assert isinstance(found, Source), str(found)
    return found


# -- places that have to be worked out ---------------------------------------------------------------------------------

PLACES = '''# ä
[run]
note = """
[limits]
"""
[[step]]
[[step]]
[step.with]   # the second one's
[ "on error" . 'retry' ]
[a]
b.c.d = 1
'''


@pytest.mark.parametrize(
    ("path", "span"),
    [
        (("run",), Span(2, 2, 3)),
        (("step",), Span(6, 3, 4)),
        (("step", 0), Span(6, 1, 8)),
        (("step", 1), Span(7, 1, 8)),
        (("step", 1, "with"), Span(8, 7, 4)),
        (("on error",), Span(9, 3, 10)),
        (("on error", "retry"), Span(9, 16, 7)),
        (("a", "b"), Span(11, 1, 5)),
        (("a", "b", "c", "d"), Span(11, 5, 1)),
        # What is not there is placed at the nearest table around it.
        (("run", "key"), Span(2, 2, 3)),
        (("step", 0, "with", "body"), Span(6, 1, 8)),
        (("limits",), Span(1, 1, 1)),
        ((), Span(1, 1, 1)),
    ],
)
def test_place_of_a_key(path: Path, span: Span) -> None:
    assert parsed(PLACES).key_span(path) == span


def test_keys_that_are_named_like_the_parsers_own() -> None:
    source = parsed("[key_line]\nvalue_line = 1\nvalue = { value = { key_line = 2 } }\n")
    assert source.value_span(("key_line", "value", "value", "key_line")) == Span(3, 32, 1)


def test_range_behind_the_end_of_a_text_stays_inside_it() -> None:
    source = parsed('x = "abc"\n')
    assert source.inside(("x",), 2, 50) == Span(1, 8, 1)
    assert source.inside(("x",), 50, 1) == Span(1, 9, 1)
    assert source.inside(("y",), 0, 1) == Span(1, 1, 1)


def test_byte_order_mark_is_no_letter() -> None:
    source = parsed("\ufeffx = 1\n")
    assert (source.value, source.key_span(("x",))) == ({"x": 1}, Span(1, 1, 1))


def test_hidden_value_is_shown_nowhere() -> None:
    source = parsed('one = { a = "hush", b = 5 }\ntwo = """\nhush\n  hush""" # x\n')
    source.hide(("one", "a"))
    source.hide(("two",))
    source.hide(("three",))
    shown = [source.problem(Span(line, 1, 1), "CX014", "x").source for line in range(1, 5)]
    assert shown == ["one = { a = ••••••, b = 5 }", "two = •••", "••••", "••••••••• # x"]


def test_problems_are_sorted_told_once_and_muted() -> None:
    source = parsed("a = 1\nb = 2\n[c]\nd = 3\n")
    problems = Problems(source)
    problems.elsewhere(Problem("other.toml", 1, 1, "CX041", "elsewhere"))
    problems.at_value(("b",), "CX014", "value")
    problems.at_key(("b",), "CX012", "key")
    problems.at_key(("b",), "CX012", "key")
    problems.at_key(("a",), "CX012", "key")
    problems.mute(("c",))
    problems.at_value(("c", "d"), "CX014", "value")
    problems.inside(("c", "d"), 0, 1, "CX036", "value")
    assert [(one.path, one.line, one.column) for one in problems.sorted()] == [
        ("x.toml", 1, 1), ("x.toml", 2, 1), ("x.toml", 2, 5), ("other.toml", 1, 1)
    ]  # fmt: skip
    assert problems.is_muted(("c", "d"))
    assert problems.touches(("c",))
    assert not problems.touches(("a",))


def test_table_that_remembers_where_it_stands() -> None:
    source = parsed("[a.b]\nc = 1\n")
    table = Placed(source.value["a"]["b"], source, ("a", "b"))
    assert table == {"c": 1}
    assert table.source.key_span((*table.path, "c")) == Span(2, 1, 1)
