"""Text to documents and back: what is kept, what Jira would refuse and is never written, and no document that fails."""

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxbridge.plugins.jira import adf

from .conftest import doc


def paragraph(*nodes: Any) -> dict[str, Any]:
    return {"type": "paragraph", "content": list(nodes)}


def text(words: str, *marks: Any) -> dict[str, Any]:
    return {"type": "text", "text": words, **({"marks": list(marks)} if marks else {})}


def whole(*blocks: Any) -> dict[str, Any]:
    return {"type": "doc", "version": 1, "content": list(blocks)}


def item(*blocks: Any) -> dict[str, Any]:
    return {"type": "listItem", "content": list(blocks)}


LINK = {"type": "link", "attrs": {"href": "https://x.test/a"}}


def test_paragraphs_breaks_bullets_code_and_links() -> None:
    written = adf.from_text("Hello\nthere\n\n- one\n* two\n```python\nx = 1\n\ny\n```\nsee https://x.test/a.")
    assert written == whole(
        paragraph(text("Hello"), {"type": "hardBreak"}, text("there")),
        {"type": "bulletList", "content": [item(paragraph(text("one"))), item(paragraph(text("two")))]},
        {"type": "codeBlock", "content": [text("x = 1\n\ny")], "attrs": {"language": "python"}},
        paragraph(text("see "), text("https://x.test/a", LINK), text(".")),
    )


@pytest.mark.parametrize("nothing", ["", " \n\t\n", "\x00\x07"])
def test_nothing_is_an_empty_document(nothing: str) -> None:
    assert adf.from_text(nothing) == whole()
    assert adf.to_text(whole()) == ""


def test_too_long_a_text_is_cut_and_says_so() -> None:
    read = adf.to_text(adf.from_text("word " * 10_000))
    assert len(read) < 32_767
    assert read.endswith("[cut by cxbridge after 30,000 characters]")


def test_an_unclosed_fence_is_text() -> None:
    assert adf.to_text(adf.from_text("```\nno end")) == "```\nno end"


@pytest.mark.parametrize(
    ("node", "reads"),
    [
        (paragraph({"type": "mention", "attrs": {"id": "712020:7bf4", "text": "@Ana"}}, text(" hi")), "@Ana hi"),
        (paragraph({"type": "mention", "attrs": {"id": "712020:7bf4"}}), "@712020:7bf4"),
        (paragraph({"type": "emoji", "attrs": {"shortName": ":tada:", "text": "🎉"}}), "🎉"),
        (paragraph({"type": "emoji", "attrs": {"shortName": ":party:"}}), ":party:"),
        (paragraph({"type": "inlineCard", "attrs": {"url": "https://x.test/a"}}), "https://x.test/a"),
        ({"type": "blockCard", "attrs": {"url": "https://x.test/a"}}, "https://x.test/a"),
        (paragraph({"type": "date", "attrs": {"timestamp": "1778058131000"}}), "2026-05-06"),
        (paragraph({"type": "date", "attrs": {"timestamp": "soon"}}), "soon"),
        (paragraph({"type": "mediaInline", "attrs": {"alt": "log.txt", "id": "m1"}}), "log.txt"),
        (paragraph({"type": "status", "attrs": {"text": "BLOCKED", "color": "red"}}), "BLOCKED"),
        (paragraph(text("the log", LINK)), "the log (https://x.test/a)"),
        (paragraph(text("a"), {"type": "hardBreak"}, text("b")), "a\nb"),
        ({"type": "heading", "attrs": {"level": 2}, "content": [text("Steps")]}, "Steps"),
        ({"type": "rule"}, "---"),
        ({"type": "blockquote", "content": [paragraph(text("a")), paragraph(text("b"))]}, "> a\n>\n> b"),
        ({"type": "panel", "attrs": {"panelType": "info"}, "content": [paragraph(text("mind"))]}, "mind"),
        ({"type": "codeBlock", "content": [text("x\n  y")]}, "```\nx\n  y\n```"),
        (
            {
                "type": "bulletList",
                "content": [
                    item(paragraph(text("a")), {"type": "bulletList", "content": [item(paragraph(text("b")))]}),
                    item(paragraph(text("c"))),
                ],
            },
            "- a\n  - b\n- c",
        ),
        (
            {
                "type": "orderedList",
                "attrs": {"order": 3},
                "content": [item(paragraph(text("a"))), item(paragraph(text("b")))],
            },
            "3. a\n4. b",
        ),
        (
            {
                "type": "taskList",
                "content": [
                    {"type": "taskItem", "attrs": {"state": "DONE"}, "content": [text("a")]},
                    {"type": "taskItem", "attrs": {"state": "TODO"}, "content": [text("b")]},
                    {"type": "taskList", "content": [{"type": "taskItem", "content": [text("c")]}]},
                ],
            },
            "[x] a\n[ ] b\n  [ ] c",
        ),
        (
            {
                "type": "table",
                "content": [
                    {
                        "type": "tableRow",
                        "content": [
                            {"type": "tableHeader", "content": [paragraph(text("k"))]},
                            {"type": "tableCell", "content": [paragraph(text("v")), paragraph(text("w"))]},
                        ],
                    }
                ],
            },
            "k | v w",
        ),
        ({"type": "expand", "attrs": {"title": "More"}, "content": [paragraph(text("a"))]}, "More\n\na"),
        ({"type": "mediaSingle", "content": [{"type": "media", "attrs": {"id": "m1", "type": "file"}}]}, ""),
        ({"type": "layoutSection", "content": [{"type": "layoutColumn", "content": [paragraph(text("a"))]}]}, "a"),
        ({"type": "extension", "attrs": {"extensionKey": "toc", "text": "contents"}}, "contents"),
        ({"type": "fromTheFuture", "content": [{"type": "alsoNew", "content": [paragraph(text("kept"))]}]}, "kept"),
        (paragraph({"type": "newInline", "content": [text("kept")]}, text("!")), "kept !"),
    ],
)
def test_every_node_reads_as_its_words(node: Any, reads: str) -> None:
    assert adf.to_text(whole(node)) == reads


@pytest.mark.parametrize(
    "value", [None, 3, [], {}, {"type": "doc"}, {"type": "doc", "content": "no"}, {"content": [None, 1]}]
)
def test_what_is_no_document_has_no_words(value: Any) -> None:
    assert adf.to_text(value) == ""


def test_wiki_text_of_webhooks_stays_as_it_is() -> None:
    assert adf.to_text("h1. Title\r\n* a [~ana]") == "h1. Title\n* a [~ana]"


def test_a_document_nested_beyond_reason_keeps_its_words() -> None:
    node: Any = paragraph(text("deep"))
    for _ in range(5_000):
        node = {"type": "panel", "content": [node]}
    assert adf.to_text(whole(node)) == "deep"


def test_an_address_needs_a_host_to_link_to() -> None:
    assert adf.from_text("see http://x or http://localhost:8080/a") == whole(
        paragraph(
            text("see http://x or "),
            text("http://localhost:8080/a", {"type": "link", "attrs": {"href": "http://localhost:8080/a"}}),
        )
    )


def test_text_without_a_node_is_written_anew() -> None:
    assert adf.unparse(adf.parse("- a\n\nb")) == adf.from_text("- a\n\nb")
    assert adf.parse(" \n") == []


def test_a_changed_block_leaves_the_others_as_they_were() -> None:
    strange = {"type": "fromTheFuture", "attrs": {"x": [1]}, "content": [paragraph(text("kept"))]}
    blocks = adf.parse(whole(paragraph(text("old", {"type": "strong"})), strange))
    assert [block.text for block in blocks] == ["old", "kept"]
    assert adf.unparse([adf.Block("new"), blocks[1]]) == whole(paragraph(text("new")), strange)


# Documents of any shape that JSON allows, with real node names among invented ones.

NAMES = [
    *(
        [
            "doc",
            "paragraph",
            "heading",
            "bulletList",
            "orderedList",
            "listItem",
            "codeBlock",
            "blockquote",
            "rule",
            "panel",
            "table",
            "tableRow",
        ]
    ),
    *(
        [
            "tableHeader",
            "tableCell",
            "mediaSingle",
            "mediaGroup",
            "media",
            "expand",
            "taskList",
            "taskItem",
            "decisionList",
            "decisionItem",
        ]
    ),
    *(
        [
            "text",
            "hardBreak",
            "mention",
            "emoji",
            "inlineCard",
            "date",
            "status",
            "layoutSection",
            "layoutColumn",
            "extension",
            "invented",
        ]
    ),
]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
ATTRS = st.dictionaries(
    st.sampled_from(["text", "url", "id", "shortName", "order", "timestamp", "state", "title", "language", "level"]),
    JSON,
    max_size=3,
)
WILD = st.recursive(
    st.fixed_dictionaries({"type": st.sampled_from(NAMES)}, optional={"text": JSON, "attrs": ATTRS, "marks": JSON}),
    lambda inner: st.fixed_dictionaries(
        {"type": st.sampled_from(NAMES) | JSON, "content": st.lists(inner | JSON, max_size=4)},
        optional={"attrs": ATTRS | JSON, "marks": JSON},
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(WILD, max_size=4))
def test_no_document_makes_it_fail_and_untouched_ones_come_back(blocks: list[Any]) -> None:
    document = whole(*blocks)
    assert isinstance(adf.to_text(document), str)
    assert adf.unparse(adf.parse(document)) == document


WORDS = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=12)
INLINE = st.builds(text, WORDS) | st.builds(
    lambda words, kind: text(words, {"type": kind}), WORDS, st.sampled_from(["strong", "em", "code", "strike"])
)
FLOW = st.builds(paragraph, INLINE, INLINE) | st.builds(
    lambda node: {"type": "heading", "attrs": {"level": 1}, "content": [node]}, INLINE
)
NESTED = st.recursive(
    FLOW,
    lambda inner: st.builds(
        lambda kind, blocks: {
            "type": kind,
            "content": [item(*blocks)] if kind in ("bulletList", "orderedList") else blocks,
        },
        st.sampled_from(["bulletList", "orderedList", "panel", "blockquote", "expand", "invented"]),
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=8,
)


def words_of(node: Any) -> list[str]:
    own = [node["text"]] if "text" in node else []
    return own + [word for child in node.get("content", []) for word in words_of(child)]


@settings(max_examples=100, deadline=None)
@given(st.lists(NESTED, min_size=1, max_size=4))
def test_every_word_of_a_document_is_read_in_order(blocks: list[Any]) -> None:
    read, at = adf.to_text(whole(*blocks)), 0
    for word in words_of({"content": blocks}):
        at = read.index(word, at) + len(word)


def normalised(source: str) -> str:
    """What a text should read as after the way there and back: written apart from the code under test, line by line."""
    source = re.sub("\r\n|[\r\x0b\x0c\x85\u2028\u2029]", "\n", source)
    source = re.sub("[\x00-\x08\x0e-\x1f\x7f]", "", source)
    blocks: list[tuple[str, list[str]]] = []
    lines = [line.rstrip() for line in source.split("\n")]
    while lines and not lines[0]:
        lines.pop(0)
    while lines and not lines[-1]:
        lines.pop()
    while lines:
        line = lines.pop(0)
        if re.fullmatch("```[A-Za-z0-9_+#.-]*", line) and "```" in lines:
            end = lines.index("```")
            blocks.append(("code", [line, *(lines[:end] or [""]), "```"]))
            del lines[: end + 1]
            continue
        bullet = re.match(r"[-*\u2022] +(\S.*)", line)
        kind, shown = ("gap", "") if not line else ("bullets", f"- {bullet[1]}") if bullet else ("paragraph", line)
        if blocks and blocks[-1][0] == kind:
            blocks[-1][1].append(shown)
        else:
            blocks.append((kind, [shown]))
    return "\n\n".join("\n".join(lines) for kind, lines in blocks if kind != "gap")


LINES = st.sampled_from(
    [
        "",
        "- a",
        "* b c",
        "-",
        "•  x",
        "```",
        "```py",
        "  indented",
        "see https://x.test/a?b=1, ok",
        "1. one",
        "> q",
        "a\r\nb",
    ]
) | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\ufffe\uffff"), max_size=15)


@settings(max_examples=250, deadline=None)
@given(st.lists(LINES, max_size=12).map("\n".join))
def test_text_survives_the_way_there_and_back(source: str) -> None:
    document = adf.from_text(source)
    assert adf.to_text(document) == normalised(source)
    # What was read once reads the same ever after: a record must not change by being written.
    assert adf.from_text(adf.to_text(document)) == document


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=200))
def test_only_what_jira_accepts_is_written(source: str) -> None:
    written = json.dumps(adf.from_text(source), ensure_ascii=False).encode()  # a lone surrogate would not encode
    assert "\x00" not in written.decode()
    for node in nodes(json.loads(written)):
        assert node["type"] in {"doc", "paragraph", "text", "hardBreak", "bulletList", "listItem", "codeBlock"}
        if node["type"] == "text":
            assert node["text"]
        if node["type"] == "paragraph":
            assert node["content"]
            assert all("\n" not in child.get("text", "") for child in node["content"])


def nodes(node: Any) -> list[Any]:
    return [node, *(below for child in node.get("content", []) for below in nodes(child))]


def test_a_composed_document_reads_well() -> None:
    assert adf.to_text(doc("Reported by Globex.", "Since Monday.")) == "Reported by Globex.\n\nSince Monday."
