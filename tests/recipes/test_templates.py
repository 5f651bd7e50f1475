"""Templates: what they print, how values are escaped for their destination, what is masked, and what the bounds are."""

import json
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jinja2 import StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment

from cxbridge.core.recipes.expressions import Escape, ExpressionError, Language, Unmapped, ValueMap
from cxbridge.core.recipes.redaction import redact_personal

NOW = datetime(2026, 11, 4, 14, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def language() -> Language:
    return Language(maps={"priority": ValueMap("priority", {"urgent": "Highest"})})


@pytest.fixture
def scope() -> dict[str, Any]:
    return {
        "ticket": {
            "subject": "Printer on fire",
            "priority": "urgent",
            "tags": ["vip", "emea"],
            "comments": [
                {"author": "Ann", "body_text": "It burns", "visibility": "public"},
                {"author": "Bob", "body_text": "Put it out", "visibility": "internal"},
            ],
            "score": 7.0,
            "open": True,
            "assignee": None,
            "created_at": NOW,
        },
        "items": [1, 2],
    }


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("", ""),
        ("plain text, no tags", "plain text, no tags"),
        ("[{{ ticket.priority }}] {{ ticket.subject }}", "[urgent] Printer on fire"),
        ("{{ ticket.priority | map('priority') }}", "Highest"),
        ("{{ ticket.assignee }}|{{ ticket.open }}|{{ ticket.score }}|{{ 2.5 }}|{{ ticket.tags }}", "|true|7|2.5|vip, emea"),
        ("{{ ticket.created_at }}", "2026-11-04T14:00:00Z"),
        ("{{ 'x' if ticket.assignee }}", ""),
        ("{{ '{{ }}' }}", "{{ }}"),
        ("a {# a comment #}b", "a b"),
        ("a }} b", "a }} b"),
        ("one line\n", "one line"),
        ("two lines\n\n", "two lines\n"),
        ("{% if ticket.open %}yes{% else %}no{% endif %}", "yes"),
        ("{% if ticket.assignee %}a{% elif ticket.score > 9 %}b{% elif ticket.open %}c{% else %}d{% endif %}", "c"),
        ("{% if ticket.assignee %}a{% endif %}", ""),
        ("{% for tag in ticket.tags %}<{{ tag }}>{% endfor %}", "<vip><emea>"),
        ("{% for tag in [] %}x{% endfor %}", ""),
        ("{% for c in ticket.comments %}{% if c.visibility == 'public' %}{{ c.author }}{% endif %}{% endfor %}", "Ann"),
        ("{% if ticket.open %}{% for i in items %}{{ i }}{% endfor %}{% endif %}", "12"),
        ("{% for i in items %}{{ i }}{% endfor %}{% for i in items %}{{ -i }}{% endfor %}", "12-1-2"),
        ("{% for ticket in items %}{{ ticket }}{% endfor %}{{ ticket.priority }}", "12urgent"),
        ("Tags:\n{% for tag in ticket.tags %}\n- {{ tag }}\n{% endfor %}\nend", "Tags:\n- vip\n- emea\nend"),
        ("a   {%- if ticket.open -%}   b   {%- endif -%}   c", "abc"),
        ("a {{- ' b ' -}} c", "a b c"),
        ("  {% if ticket.open %}\n  x\n  {% endif %}\n", "  x\n"),
    ],
)  # fmt: skip
def test_render(source, expected, language, scope):
    assert language.template(source).render(scope) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ ticket.tags }}", ["vip", "emea"]),
        ("{{ ticket.score }}", 7.0),
        ("{{ ticket.assignee }}", None),
        ("{{ ticket.open }}", True),
        ("{{ ticket.created_at }}", NOW),
        ("{{ ticket.tags | first | upper }}", "VIP"),
        ("{{ ticket.comments[0] }}", {"author": "Ann", "body_text": "It burns", "visibility": "public"}),
        ("{{ ticket.score }}\n", 7.0),
        (" {{ ticket.score }}", " 7"),
        ("{{ ticket.score }}{{ ticket.score }}", "77"),
        ("plain", "plain"),
        ("", ""),
    ],
)
def test_value_of_a_single_output_keeps_its_type(source, expected, language, scope):
    found = language.template(source).value(scope)
    assert found == expected
    assert type(found) is type(expected)


def test_value_does_not_hand_out_the_records_own_lists(language, scope):
    language.template("{{ ticket.tags }}").value(scope).append("changed")
    assert scope["ticket"]["tags"] == ["vip", "emea"]


def test_map_that_holds_stops_a_template(language):
    with pytest.raises(Unmapped):
        language.template("a {{ 'low' | map('priority') }}").render({})


def test_paths_of_a_template_leave_out_the_item_of_a_loop(language):
    source = "{{ a.b }}{% for c in a.list %}{{ c.d }}{% if c.e == x.y %}{{ c | json }}{% endif %}{% endfor %}{{ c.f }}"
    template = language.template(source)
    assert [path.text for path in template.paths] == ["a.b", "a.list", "x.y", "c.f"]
    assert [source[path.offset : path.offset + path.length] for path in template.paths] == [
        "a.b",
        "a.list",
        "x.y",
        "c.f",
    ]
    assert [(call.name, source[call.offset : call.offset + call.length]) for call in template.calls] == [
        ("json", "json")
    ]


# source, the part that the caret stands under, a part of the message
READ_ERRORS = [
    ("a {{ ticket.subject", "{{", "never closed"),
    ("a {% if ticket.open %}b", "if", "`if` is never closed"),
    ("{% for a in b %}x{% endif %}", "endif", "does not close what is open"),
    ("x {% endfor %}", "endfor", "does not close what is open"),
    ("{% else %}", "else", "belongs to an `if`"),
    ("text {% set x = 1 %}", "set", "no tag `set`"),
    ("text {% include 'x' %}", "include", "no tag `include`"),
    ("{% raw %}x{% endraw %}", "{% raw %}", "no `raw`"),
    ("{{ }}", "}}", "nothing between these braces"),
    ("{{ a + }}", "}}", "something is missing before"),
    ("{{ (a }}", "}", "does not fit"),
    ("{{ a, b }}", "a, b", "square brackets"),
    ("a {# b", "{#", "comment is never closed"),
    ("{% for a in b %}{% for c in d %}{% endfor %}{% endfor %}", "for", "cannot stand inside another loop"),
    ("{% for a, b in c %}{% endfor %}", "a, b", "one name"),
    ("{% for a in b if a %}{% endfor %}", "a", "takes every item"),
    ("{% for a in b %}x{% else %}y{% endfor %}", "else", "belongs to an `if`"),
    ("{% if a == 'x' or 'y' %}b{% endif %}", "'y'", "neither yes nor no"),
    ("{{ 'b' if a == 'x' or 'y' }}", "'y'", "neither yes nor no"),
    ("{{ ticket.subject | uper }}", "uper", "no filter `uper`"),
    ("{{ ticket.items() }}", "ticket.items()", "only functions"),
    ("line\nline {{ ticket.__class__ }}", "__class__", "may not begin"),
    ("line\r\nline\r\n{{ ticket.__class__ }}", "__class__", "may not begin"),
    ("{{ 'x' ~ range(3) }}", "range", "no function"),
    ("{% %}", "{%", "begins with `if` or `for`"),
]


@pytest.mark.parametrize(("source", "place", "message"), READ_ERRORS)
def test_error_when_read(source, place, message, language):
    with pytest.raises(ExpressionError) as caught:
        language.template(source)
    error = caught.value
    assert source[error.offset : error.offset + error.length] == place
    assert message in error.message


RUN_ERRORS = [
    ("a {{ ticket.prio }}", "ticket.prio", "no field `prio`"),
    ("a {{ ticket.comments[0] }}", "ticket.comments[0]", "cannot be printed as text"),
    ("a {{ ticket.comments }}", "ticket.comments", "cannot be printed as text"),
    ("a {{ [[1]] }}", "[[1]]", "list inside a list"),
    ("{% for c in ticket.comments %}{{ c.autor }}{% endfor %}", "c.autor", "`c` has no field `autor`"),
    ("{% for c in ticket.subject %}x{% endfor %}", "ticket.subject", "goes over a list, not a text"),
    ("{% for c in ticket.assignee %}x{% endfor %}", "ticket.assignee", "goes over a list, not nothing"),
    ("x\r\ny {{ ticket.subject + 1 }}", "ticket.subject + 1", "only numbers"),
    ("{% if ticket.nope %}x{% endif %}", "ticket.nope", "no field"),
]


@pytest.mark.parametrize(("source", "place", "message"), RUN_ERRORS)
def test_error_on_values(source, place, message, language, scope):
    template = language.template(source)
    with pytest.raises(ExpressionError) as caught:
        template.render(scope)
    error = caught.value
    assert source[error.offset : error.offset + error.length] == place
    assert message in error.message


# --- escaping -----------------------------------------------------------------------------------------------------

HOSTILE = "<script>alert('x')</script> & \"q\" *b* _i_ `c` [l](http://x) ~s~ |t| \\ <!channel> <@U1>"
MASKED_TAGS = HOSTILE.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
MARKED = (
    "\\<script\\>alert('x')\\</script\\> \\& \"q\" \\*b\\* \\_i\\_ \\`c\\` \\[l\\](http://x) \\~s\\~ \\|t\\| \\\\ "
    "\\<!channel\\> \\<@U1\\>"
)


@pytest.mark.parametrize(
    ("escape", "expected"),
    [
        (Escape.PLAIN, HOSTILE),
        (Escape.ADF, HOSTILE),
        (Escape.HTML, MASKED_TAGS.replace("alert('x')", "alert(&#39;x&#39;)").replace('"q"', "&#34;q&#34;")),
        (Escape.SLACK, MASKED_TAGS),
        (Escape.MARKDOWN, MARKED),
    ],
)
def test_values_are_escaped_and_literal_text_is_not(escape, expected, language):
    template = language.template("<b>*{{ x }}*</b> & {{ '<i>' if false }}")
    assert template.render({"x": HOSTILE}, escape) == f"<b>*{expected}*</b> & "
    assert language.template("{{ x }}").value({"x": HOSTILE}, escape) == expected
    assert language.template("{{ x }}").value({"x": [{"a": HOSTILE}, 1]}, escape) == [{"a": expected}, 1]


def test_constants_in_output_are_values_too(language):
    assert language.template("{{ '<b>' }}{% for a in ['<i>'] %}{{ a }}{% endfor %}").render({}, Escape.HTML) == (
        "&lt;b&gt;&lt;i&gt;"
    )


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("# title", "\\# title"),
        ("a\n- b\n+ c", "a\n\\- b\n\\+ c"),
        ("1. one\n2) two", "1\\. one\n2\\) two"),
        ("a\n===", "a\n\\==="),
        ("a # b - c 1. d", "a # b - c 1. d"),
        ("    code", "   code"),
        ("\tcode", "\tcode"),
        ("> quote", "\\> quote"),
    ],
)
def test_markdown_at_the_beginning_of_a_line(value, expected, language):
    assert language.template("{{ x }}").render({"x": value}, Escape.MARKDOWN) == expected


def test_json_writes_whole_values_and_the_inside_of_strings(language):
    source = (
        '{"a": {{ x }}, "b": "say {{ x }} \\"{{ n }}\\"", '
        '"c": [{% for i in list %}{{ i }}, {% endfor %}null], {{ k }}: {{ g }}}'
    )
    values = {
        "x": 'a "quoted" \\ line\n',
        "n": 2.5,
        "list": [True, None, "z"],
        "k": "key",
        "g": {"t": NOW, "none": None},
    }
    assert json.loads(language.template(source).render(values, Escape.JSON)) == {
        "a": 'a "quoted" \\ line\n',
        "b": 'say a "quoted" \\ line\n "2.5"',
        "c": [True, None, "z", None],
        "key": {"t": "2026-11-04T14:00:00Z", "none": None},
    }


def test_json_value_is_json_text(language):
    assert language.template("{{ x }}").value({"x": 'a"b'}, Escape.JSON) == '"a\\"b"'


class Texts(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.append(tag)
        self.attributes = attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@settings(max_examples=200, deadline=None)
@given(st.text("<>&\"'/=! abp-;#x0\n", max_size=30))
def test_no_text_becomes_html(text):
    reader = Texts()
    reader.feed(Language().template('<p title="{{ x }}">{{ x }}</p>').render({"x": text}, Escape.HTML))
    reader.close()
    assert reader.tags == ["p"]
    assert reader.attributes == [("title", text)]
    assert reader.text == text


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
        lambda i: st.lists(i) | st.dictionaries(st.text(max_size=3), i),
        max_leaves=6,
    )
)
def test_any_value_becomes_the_same_json(value):
    text = Language().template('{"a": {{ x }}}').render({"x": value}, Escape.JSON)
    assert json.loads(text) == {"a": value}


# --- masking ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ann.smith+x@example.co.uk.", "Write to [e-mail]."),
        ("<ann@example.org>, (bob@example.org)", "<[e-mail]>, ([e-mail])"),
        ("jürgen@müller.example", "[e-mail]"),
        ("@ann and a@b are no addresses", "@ann and a@b are no addresses"),
        ("a@b@c.de", "a@[e-mail]"),
        ("Card 4111 1111 1111 1111, exp 12/27", "Card [card], exp 12/27"),
        ("4111-1111-1111-1111", "[card]"),
        ("4111111111111111", "[card]"),
        ("378282246310005", "[card]"),
        ("order 4111 1111 1111 1112 is no card", "order 4111 1111 1111 1112 is no card"),
        ("ref 77 4111 1111 1111 1111 5500 0055 5555 5559 end", "ref 77 [card] [card] end"),
        ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN [IBAN] please"),
        ("GB82WEST12345698765432", "[IBAN]"),
        ("gb82 west 1234 5698 7654 32", "[IBAN]"),
        ("DE88 3704 0044 0532 0130 00", "DE88 3704 0044 0532 0130 00"),
        ("Call +49 30 1234567 now", "Call [phone] now"),
        ("Call (030) 1234-5678.", "Call [phone]."),
        ("Call 0301234567", "Call [phone]"),
        ("Call 555-123-4567", "Call [phone]"),
        ("Call 0049 30 1234567", "Call [phone]"),
        ("on 2026-11-04 09:14:02", "on 2026-11-04 09:14:02"),
        ("on 04.11.2026 14:00", "on 04.11.2026 14:00"),
        ("ticket 12345678, build 1.2.3.4567", "ticket 12345678, build 1.2.3.4567"),
        ("host 192.168.100.200", "host 192.168.100.200"),
        ("sum 1234567.89", "sum 1234567.89"),
        ("ENG-1234567", "ENG-1234567"),
        ("", ""),
    ],
)
def test_redaction(text, expected, language):
    assert language.template("{{ x | redact('personal') }}").render({"x": text}) == expected


@settings(max_examples=200, deadline=None)
@given(
    st.from_regex(r"[a-z0-9][a-z0-9._+-]{0,20}@[a-z0-9]{1,10}(\.[a-z0-9]{2,6}){1,3}", fullmatch=True),
    st.text("abc 1,;:()<>\n", max_size=20),
    st.text("abc 1,;:()<>\n", max_size=20),
)
def test_every_address_is_masked_wherever_it_stands(address, before, after):
    masked = redact_personal(f"{before} {address} {after}")
    assert address not in masked
    assert "[e-mail]" in masked


def with_check_digit(digits: list[int]) -> str:
    for check in range(10):
        doubled = [d if n % 2 == 0 else (d * 2 - 9 if d > 4 else d * 2) for n, d in enumerate([check, *digits[::-1]])]
        if sum(doubled) % 10 == 0:
            return "".join(map(str, [*digits, check]))
    raise AssertionError("one digit always fits")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=12, max_size=18).filter(any), st.sampled_from(["", " ", "-"]))
def test_every_card_number_is_masked(digits, separator):
    number = with_check_digit(digits)
    written = separator.join(number[n : n + 4] for n in range(0, len(number), 4))
    assert redact_personal(f"card {written}.") == "card [card]."


@pytest.mark.parametrize(
    "piece", ["1", "1 ", "4111 1111 1111 1111 ", "a@b.", "@", "de89 ", "(", "+1", "a.b@c.d ", "ab12"]
)
def test_redaction_of_a_long_text_is_no_deep_recursion(piece):
    assert isinstance(redact_personal(piece * 20_000), str)


# --- bounds -------------------------------------------------------------------------------------------------------


def test_bounds_let_ordinary_sizes_through(language):
    rows = [{"n": number, "s": "x" * 100} for number in range(1000)]
    out = language.template("{% for r in rows %}{{ r.n }} {{ r.s | upper }}\n{% endfor %}").render({"rows": rows})
    assert len(out.splitlines()) == 1000
    body = "Nothing works since the update, and customers notice. " * 1200
    assert len(language.template("{{ b | redact('personal') | limit(4000) }}").render({"b": body})) <= 4000


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{{ big }}{{ big }}", "longer than 256 KiB"),
        ("{{ big ~ big }}", "longer than 256 KiB"),
        ("{{ big | replace('a', 'aa') }}", "longer than 256 KiB"),
        ("{{ [big, big] | join }}", "longer than 256 KiB"),
        ("{{ [big, big] | json }}", "longer than 256 KiB"),
        ("{{ wide }}", "longer than 256 KiB"),
        ("{% for i in many %}x{% endfor %}", "at most 1000 items, and here are 1001"),
    ],
)
def test_bounds(source, message, language):
    scope = {"big": "a" * 200_000, "wide": "é" * 200_000, "many": [0] * 1001}
    with pytest.raises(ExpressionError) as caught:
        language.template(source).render(scope)
    assert message in caught.value.message


def test_native_values_have_the_same_bound(language):
    with pytest.raises(ExpressionError, match="longer than 256 KiB"):
        language.template("{{ [big, big] }}").value({"big": "a" * 200_000}, Escape.HTML)


def test_native_values_may_not_be_nested_without_end(language):
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(ExpressionError, match="nested too deeply"):
        language.template("{{ x }}").value({"x": loop}, Escape.HTML)


def test_longest_sources():
    language = Language()
    assert language.template("x" * 20_000).render({}) == "x" * 20_000
    assert language.expression("'" + "x" * 1998 + "'").evaluate({}) == "x" * 1998
    with pytest.raises(ExpressionError, match="20001 characters long, and 20000 are allowed"):
        language.template("x" * 20_001)
    with pytest.raises(ExpressionError, match="2001 characters long, and 2000 are allowed"):
        language.expression("'" + "x" * 1999 + "'")


def test_most_parts_and_deepest_nesting():
    language = Language()
    assert language.expression("[" + ", ".join(["1"] * 299) + "]").evaluate({}) == [1] * 299
    with pytest.raises(ExpressionError, match="more than 300 parts"):
        language.expression("[" + ", ".join(["1"] * 300) + "]")
    assert language.expression("(" * 40 + "1" + ")" * 40).evaluate({}) == 1
    assert language.expression("[" * 39 + "1" + "]" * 39).evaluate({}) is not None
    with pytest.raises(ExpressionError, match="nested too deeply"):
        language.expression("(" * 41 + "1" + ")" * 41)
    with pytest.raises(ExpressionError, match="nested too deeply"):
        language.expression("[" * 40 + "1" + "]" * 40)
    clauses = " and ".join(["true"] * 100)
    assert language.condition(clauses).holds({}) is True


# --- the same as Jinja, where both give a text --------------------------------------------------------------------

INLINE = st.sampled_from(
    [
        "{{ t }}",
        "{{ n }}",
        "{{- t }}",
        "{{ t -}}",
        "{{ words | join(',') }}",
        "{{ '}}' }}",
        "{{ n + 1 }}",
        "{{ t | upper }}",
    ]
)
LITERAL = st.text("ab \n<}", max_size=6) | st.sampled_from(["\n", "  ", "{# c #}", "\n\n", "{#- c -#}"])


def blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    tags = st.sampled_from(["{%", "{%-"]), st.sampled_from(["%}", "-%}"])
    return st.tuples(*tags, inner, inner).map(
        lambda t: f"{t[0]} if n > 0 {t[1]}{t[2]}{t[0]} else {t[1]}{t[3]}{t[0]} endif {t[1]}"
    ) | st.tuples(inner, inner).map("".join)


BODIES = st.recursive(INLINE | LITERAL, blocks, max_leaves=6)
LOOPS = st.tuples(BODIES, st.sampled_from(["{{ w }}", "{{ w -}} ", " \n{{ w }}\n"]), BODIES).map(
    lambda t: f"{t[0]}{{% for w in words %}}{t[1]}{t[2]}{{% endfor %}}\n"
)


@settings(max_examples=400, deadline=None, report_multiple_bugs=False)
@given(st.lists(BODIES | LOOPS, max_size=3).map("".join), st.integers(-1, 1), st.text("ab<\n", max_size=3))
def test_same_text_as_jinja(source, number, text):
    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    scope = {"n": number, "t": text, "words": ["x", text]}
    expected = environment.from_string(source).render(scope)
    assert Language().template(source).render(scope) == expected
