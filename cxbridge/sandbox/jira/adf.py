"""Atlassian Document Format: what the site accepts, and its renderings as text and HTML. It knows no issue, no request.

The accepted subset is the one of `developer.atlassian.com/cloud/jira/platform/apis/document/structure/`.
"""

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

Json = Any
Document = dict[str, Any]

TEXT_LIMIT: Final = 32_767  # unverified figure; the vendor's web form quotes it

_INLINE: Final = frozenset({"text", "hardBreak", "mention", "emoji", "inlineCard", "date", "status"})
_LISTS: Final = frozenset({"bulletList", "orderedList"})
_SIMPLE: Final = _LISTS | {"paragraph", "codeBlock"}
_CELL: Final = _SIMPLE | {
    "heading",
    "blockquote",
    "rule",
    "panel",
    "mediaSingle",
    "mediaGroup",
    "taskList",
    "decisionList",
}
_BLOCKS: Final = _CELL | {"table", "expand"}
_CHILDREN: Final[Mapping[str, frozenset[str]]] = {
    "doc": _BLOCKS,
    "paragraph": _INLINE,
    "heading": _INLINE,
    "codeBlock": frozenset({"text"}),
    "bulletList": frozenset({"listItem"}),
    "orderedList": frozenset({"listItem"}),
    "listItem": _SIMPLE | {"mediaSingle"},
    "blockquote": _SIMPLE | {"mediaSingle"},
    "panel": _SIMPLE | {"heading", "rule", "taskList"},
    "expand": _CELL | {"table"},
    "table": frozenset({"tableRow"}),
    "tableRow": frozenset({"tableHeader", "tableCell"}),
    "tableHeader": _CELL,
    "tableCell": _CELL,
    "mediaSingle": frozenset({"media"}),
    "mediaGroup": frozenset({"media"}),
    "taskList": frozenset({"taskItem", "taskList"}),
    "taskItem": _INLINE,
    "decisionList": frozenset({"decisionItem"}),
    "decisionItem": _INLINE,
}
_LEAVES: Final = _INLINE | {"rule", "media"}
_NEVER_EMPTY: Final = _LISTS | {"listItem", "table", "tableRow", "taskList", "panel", "blockquote"}
_MARKS: Final = frozenset({"strong", "em", "code", "strike", "underline", "link", "textColor", "subsup"})
_REQUIRED_ATTRS: Final[Mapping[str, str]] = {
    "heading": "level",
    "mention": "id",
    "emoji": "shortName",
    "inlineCard": "url",
    "date": "timestamp",
    "status": "text",
    "panel": "panelType",
}


class NotADocumentError(Exception):
    """The value is no document at all: a string, a number, or an object of another type."""


class InvalidInputError(Exception):
    """The value looks like a document and breaks a rule inside; the vendor says just `INVALID_INPUT`."""


class TooLongError(Exception):
    """The document's text passes the vendor's limit."""


def check(value: Json) -> Document:
    """Hand back the document.

    Raises:
        NotADocumentError, InvalidInputError, TooLongError: the site would refuse it.
    """
    if not isinstance(value, dict) or value.get("type") != "doc":
        raise NotADocumentError
    if value.get("version") != 1 or not isinstance(value.get("content"), list):
        raise InvalidInputError
    _check_children(value)
    if len(to_text(value)) > TEXT_LIMIT:
        raise TooLongError
    return value


def _check_children(node: Document) -> None:
    kind = node["type"]
    children = node.get("content", [])
    if not isinstance(children, list):
        raise InvalidInputError
    if not children and kind in _NEVER_EMPTY:
        raise InvalidInputError
    allowed = _CHILDREN[kind]
    for position, child in enumerate(children):
        if not isinstance(child, dict) or child.get("type") not in allowed:
            raise InvalidInputError
        if kind == "listItem" and position == 0 and child["type"] != "paragraph":
            raise InvalidInputError
        # Only program text breaks its lines inside a text node; elsewhere a break is a node of its own.
        if child["type"] == "text" and kind != "codeBlock" and "\n" in str(child.get("text")):
            raise InvalidInputError
        _check_node(child)


def _check_node(node: Document) -> None:
    kind = node["type"]
    attrs = node.get("attrs", {})
    if not isinstance(attrs, dict):
        raise InvalidInputError
    needed = _REQUIRED_ATTRS.get(kind)
    if needed is not None and attrs.get(needed) in (None, ""):
        raise InvalidInputError
    if kind == "heading" and attrs["level"] not in range(1, 7):
        raise InvalidInputError
    if kind == "text":
        _check_text(node)
    elif kind in _LEAVES:
        if node.get("content"):
            raise InvalidInputError
    else:
        _check_children(node)


def _check_text(node: Document) -> None:
    text = node.get("text")
    if not isinstance(text, str) or not text:
        raise InvalidInputError
    marks = node.get("marks", [])
    if not isinstance(marks, list):
        raise InvalidInputError
    kinds = {mark.get("type") if isinstance(mark, dict) else None for mark in marks}
    if not kinds <= _MARKS or ("code" in kinds and not kinds <= {"code", "link"}):
        raise InvalidInputError
    for mark in marks:
        if mark["type"] == "link" and not (mark.get("attrs") or {}).get("href"):
            raise InvalidInputError


def from_text(text: str) -> Document:
    """Plain text as a document: blank lines part paragraphs, single newlines become hard breaks."""
    content: list[Document] = []
    for block in text.replace("\r\n", "\n").split("\n\n"):
        inline: list[Document] = []
        for number, line in enumerate(block.split("\n")):
            if number:
                inline.append({"type": "hardBreak"})
            if line:
                inline.append({"type": "text", "text": line})
        while inline and inline[-1]["type"] == "hardBreak":
            inline.pop()
        if inline:
            content.append({"type": "paragraph", "content": inline})
    return {"type": "doc", "version": 1, "content": content}


def to_text(document: Json) -> str:
    """The document as version 2 shows it: blocks apart by a blank line, list items and rows by a newline."""
    if not isinstance(document, dict):
        return ""
    return "\n\n".join(part for part in (_block_text(node) for node in document.get("content", [])) if part)


def _block_text(node: Document) -> str:
    kind = node.get("type")
    children = node.get("content", [])
    if kind in ("paragraph", "heading", "codeBlock", "taskItem", "decisionItem"):
        return "".join(_inline_text(child) for child in children)
    if kind in ("bulletList", "taskList", "decisionList"):
        return "\n".join("* " + _block_text(child) for child in children)
    if kind == "orderedList":
        return "\n".join("# " + _block_text(child) for child in children)
    if kind == "tableRow":
        return "|" + "|".join(_block_text(child) for child in children) + "|"
    if kind == "rule":
        return "----"
    return "\n".join(part for part in (_block_text(child) for child in children) if part)


def _inline_text(node: Document) -> str:
    attrs = node.get("attrs", {})
    kind = node.get("type")
    if kind == "text":
        return str(node["text"])
    if kind == "hardBreak":
        return "\n"
    if kind == "mention":
        return f"[~accountid:{attrs.get('id')}]"
    if kind == "inlineCard":
        return str(attrs.get("url", ""))
    return str(attrs.get("text") or attrs.get("shortName") or "")


def words(document: Json) -> Iterator[str]:
    """Every text of the document, for the `~` operator of the query language."""
    if not isinstance(document, dict):
        return
    if "text" in document:
        yield str(document["text"])
    attrs = document.get("attrs")
    if isinstance(attrs, dict):
        yield from (str(attrs[name]) for name in ("text", "url") if name in attrs)
    for child in document.get("content", []):
        yield from words(child)


def to_html(document: Json) -> str:
    """The document as the site renders it for `renderedBody` and `renderedFields`; simple tags only."""
    if not isinstance(document, dict):
        return ""
    return "".join(_block_html(node) for node in document.get("content", []))


_TAGS: Final[Mapping[str, str]] = {
    "bulletList": "ul",
    "orderedList": "ol",
    "listItem": "li",
    "blockquote": "blockquote",
    "table": "table",
    "tableRow": "tr",
    "tableHeader": "th",
    "tableCell": "td",
    "paragraph": "p",
    "codeBlock": "pre",
}


def _block_html(node: Document) -> str:
    kind = str(node.get("type"))
    if kind == "rule":
        return "<hr/>"
    tag = f"h{node.get('attrs', {}).get('level', 1)}" if kind == "heading" else _TAGS.get(kind, "div")
    inner = "".join(
        _inline_html(child) if child.get("type") in _LEAVES else _block_html(child) for child in node.get("content", [])
    )
    return f"<{tag}>{inner}</{tag}>"


def _inline_html(node: Document) -> str:
    if node.get("type") == "hardBreak":
        return "<br/>"
    html = escape(_inline_text(node))
    for mark in node.get("marks", []):
        kind = mark["type"]
        if kind == "link":
            html = f'<a href="{escape(str(mark["attrs"]["href"]))}">{html}</a>'
        elif kind in ("strong", "em", "code"):
            html = f"<{kind}>{html}</{kind}>"
    return html
