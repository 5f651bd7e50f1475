"""Turns plain text into the Atlassian Document Format and back; pure, and no document makes it fail.

`developer.atlassian.com/cloud/jira/platform/apis/document/structure/`. Written are only paragraphs, hard breaks,
links, bullet lists and code blocks: the published schema admits nodes that Jira still refuses with a bare
`INVALID_INPUT`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

Json = Any

# The vendor's cap on one text is said to be 32,767 characters (unverified); the rest is room for the note and for
# markup.
LIMIT: Final = 30_000
_CUT_NOTE: Final = "[cut by cxbridge after {limit:,} characters]"
# Deeper than any editor makes them; below it only the words are kept, so that a hostile document cannot exhaust the
# stack.
_DEPTH: Final = 60

_LINE_ENDS: Final = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
# Control characters are no XML text, which Jira stores documents as; a lone surrogate cannot be sent as UTF-8 at all.
_UNSENDABLE: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_FENCE: Final = re.compile(r"```([A-Za-z0-9_+#.-]*)")
_BULLET: Final = re.compile(r"[-*\u2022] +(?=\S)")
_LINK: Final = re.compile(r"https?://[^\s<>\"'`|\\^{}\[\]]+")
# Punctuation that ends a sentence is not part of the address before it.
_AFTER_LINK: Final = ".,;:!?)"


def clean(text: str) -> str:
    """Bring text into the form that survives the way to Jira and back: line ends, control characters, outer blanks."""
    lines = _UNSENDABLE.sub("", _LINE_ENDS.sub("\n", text)).split("\n")
    return "\n".join(line.rstrip() for line in lines).strip("\n")


def cut(text: str, limit: int = LIMIT) -> str:
    """Shorten text that passes the vendor's cap, and say so where it was cut."""
    if len(text) <= limit:
        return text
    return text[:limit].rstrip() + "\n\n" + _CUT_NOTE.format(limit=limit)


def from_text(text: str) -> Json:
    """Write text as a document: blank lines part paragraphs, `- ` begins a bullet, backticks fence code, URLs link."""
    return {"type": "doc", "version": 1, "content": _blocks(cut(clean(text)))}


def _blocks(text: str) -> list[Json]:
    blocks: list[Json] = []
    paragraph: list[str] = []
    bullets: list[str] = []

    def close() -> None:
        if paragraph:
            blocks.append({"type": "paragraph", "content": _inline(paragraph)})
            paragraph.clear()
        if bullets:
            items = [
                {"type": "listItem", "content": [{"type": "paragraph", "content": _inline([line])}]} for line in bullets
            ]
            blocks.append({"type": "bulletList", "content": items})
            bullets.clear()

    lines = text.split("\n")
    at = 0
    while at < len(lines):
        line = lines[at]
        at += 1
        fence = _FENCE.fullmatch(line)
        if fence and "```" in lines[at:]:
            close()
            end = lines.index("```", at)
            blocks.append(_code("\n".join(lines[at:end]), fence[1]))
            at = end + 1
        elif bullet := _BULLET.match(line):
            if paragraph:
                close()
            bullets.append(line[bullet.end() :])
        elif not line:
            close()
        else:
            if bullets:
                close()
            paragraph.append(line)
    close()
    return blocks


def _code(text: str, language: str) -> Json:
    # An empty text node is refused, an empty code block is not.
    block: dict[str, Json] = {"type": "codeBlock", "content": [{"type": "text", "text": text}] if text else []}
    if language:
        block["attrs"] = {"language": language}
    return block


def _inline(lines: Sequence[str]) -> list[Json]:
    nodes: list[Json] = []
    for number, line in enumerate(lines):
        if number:
            nodes.append({"type": "hardBreak"})
        done = 0
        for found in _LINK.finditer(line):
            address = found[0].rstrip(_AFTER_LINK)
            if "." not in address and "localhost" not in address:
                continue
            if found.start() > done:
                nodes.append({"type": "text", "text": line[done : found.start()]})
            link = {"type": "link", "attrs": {"href": address}}
            nodes.append({"type": "text", "text": address, "marks": [link]})
            done = found.start() + len(address)
        if done < len(line):
            nodes.append({"type": "text", "text": line[done:]})
    return nodes


def to_text(value: Json) -> str:
    """Read a document as plain text; a string (wiki markup of webhooks) is taken as it is, anything else is empty."""
    if isinstance(value, str):
        return clean(value)
    return _join(block.text for block in parse(value))


@dataclass(frozen=True, slots=True)
class Block:
    """One top-level block: its words, and the node they were read from (`None`: written by us)."""

    text: str
    node: Json = None


def parse(value: Json) -> list[Block]:
    """Take a document apart, keeping each block's node beside its text."""
    if isinstance(value, str):
        return [Block(text) for text in (clean(value),) if text]
    return [Block(_clean_block(_block(node, 0)), node) for node in _children(value)]


def unparse(blocks: Sequence[Block]) -> Json:
    """Put a document together again: a block whose text is as it was keeps its node untouched, known to us or not."""
    content: list[Json] = []
    for block in blocks:
        if block.node is not None and _clean_block(_block(block.node, 0)) == block.text:
            content.append(block.node)
        else:
            content.extend(_blocks(clean(block.text)))
    return {"type": "doc", "version": 1, "content": content}


def _clean_block(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")).strip("\n")


def _join(texts: Iterator[str]) -> str:
    return "\n\n".join(text for text in texts if text)


def _children(node: Json) -> list[Json]:
    content = node.get("content") if isinstance(node, dict) else None
    return content if isinstance(content, list) else []


def _attrs(node: Json) -> dict[str, Json]:
    attrs = node.get("attrs")
    return attrs if isinstance(attrs, dict) else {}


def _first(attrs: dict[str, Json], *names: str) -> str:
    return next((str(attrs[name]) for name in names if attrs.get(name) not in (None, "")), "")


def _block(node: Json, depth: int) -> str:
    """Render one node and all below it; the kinds without a rule of their own are rendered by what they hold."""
    if not isinstance(node, dict):
        return ""
    if depth > _DEPTH:
        return " ".join(_words(node))
    match _kind(node):
        case "bulletList" | "orderedList" | "taskList" | "decisionList":
            return _list(node, depth)
        case "codeBlock":
            return f"```{_first(_attrs(node), 'language')}\n{_flow(node, depth)}\n```"
        case "blockquote":
            return "\n".join(f"> {line}".rstrip() for line in _stack(node, depth).split("\n"))
        case "rule":
            return "---"
        case "table":
            return "\n".join(_row(row, depth + 1) for row in _children(node))
        case "expand" | "nestedExpand":
            return _join(iter((_first(_attrs(node), "title"), _stack(node, depth))))
        case _ if _is_inline(node):
            return _leaf(node, depth)
        case _ if any(_is_inline(child) for child in _children(node)):
            return _flow(node, depth)
        case _:
            # Macros carry their words in an attribute and may have no content at all.
            return _stack(node, depth) or _first(_attrs(node), "text", "url")


_INLINE: Final = frozenset(
    [
        "text",
        "hardBreak",
        "mention",
        "emoji",
        "inlineCard",
        "date",
        "status",
        "placeholder",
        "mediaInline",
        "inlineExtension",
    ]
)


def _kind(node: Json) -> str:
    kind = node.get("type") if isinstance(node, dict) else None
    return kind if isinstance(kind, str) else ""


def _is_inline(node: Json) -> bool:
    return isinstance(node, dict) and (_kind(node) in _INLINE or isinstance(node.get("text"), str))


def _stack(node: Json, depth: int) -> str:
    return _join(_clean_block(_block(child, depth + 1)) for child in _children(node))


def _flow(node: Json, depth: int) -> str:
    line = ""
    for child in _children(node):
        if _is_inline(child):
            line += _leaf(child, depth + 1)
        elif text := _block(child, depth + 1).strip():
            # A block in the middle of a line is nothing we know: its words are kept apart from the others.
            line += f"{'' if not line or line[-1].isspace() else ' '}{text} "
    return line


def _leaf(node: Json, depth: int) -> str:
    attrs = _attrs(node)
    match _kind(node):
        case "hardBreak":
            return "\n"
        case "mention":
            return _first(attrs, "text") or f"@{_first(attrs, 'id')}"
        case "emoji":
            return _first(attrs, "text", "shortName")
        case "inlineCard":
            return _first(attrs, "url")
        case "date":
            return _day(_first(attrs, "timestamp"))
        case "mediaInline":
            return _first(attrs, "alt")
        case "status" | "placeholder" | "inlineExtension":
            return _first(attrs, "text")
        case _:
            return str(node["text"]) + _target(node) if isinstance(node.get("text"), str) else _stack(node, depth)


def _target(node: Json) -> str:
    """The address of a link whose text does not say it."""
    marks = node.get("marks")
    for mark in marks if isinstance(marks, list) else ():
        if isinstance(mark, dict) and mark.get("type") == "link":
            address = _first(_attrs(mark), "href")
            if address and address.removeprefix("mailto:") != node["text"]:
                return f" ({address})"
    return ""


def _day(timestamp: str) -> str:
    try:
        return datetime.fromtimestamp(int(timestamp) / 1000, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return timestamp


def _list(node: Json, depth: int) -> str:
    lines: list[str] = []
    number = _attrs(node).get("order")
    number = number if isinstance(number, int) else 1
    for child in _children(node):
        kind = _kind(child)
        if kind == _kind(node):  # a nested list of tasks stands beside the tasks, not inside one
            lines += [f"  {line}" for line in _block(child, depth + 1).split("\n")]
            continue
        if _kind(node) == "orderedList":
            lead = f"{number}. "
            number += 1
        elif kind == "taskItem":
            lead = "[x] " if _attrs(child).get("state") == "DONE" else "[ ] "
        else:
            lead = "- "
        lines += _item(child, lead, depth + 1)
    return "\n".join(lines)


def _item(node: Json, lead: str, depth: int) -> list[str]:
    if any(_is_inline(child) for child in _children(node)):
        text = _flow(node, depth)
    else:
        text = "\n".join(filter(None, (_clean_block(_block(child, depth + 1)) for child in _children(node))))
    first, *rest = text.split("\n")
    return [lead + first, *(" " * len(lead) + line if line else "" for line in rest)]


def _row(row: Json, depth: int) -> str:
    cells = (_stack(cell, depth + 1) for cell in _children(row))
    return " | ".join(" ".join(cell.split()) for cell in cells)


def _words(node: Json) -> Iterator[str]:
    """Every text below a node in reading order, without recursion."""
    waiting: list[Json] = [node]
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict):
            if isinstance(here.get("text"), str):
                yield here["text"]
            waiting.extend(reversed(_children(here)))
