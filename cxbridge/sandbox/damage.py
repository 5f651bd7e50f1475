"""Answers as faults leave them: cut, rewritten, wrongly encoded, too deep or too large. Pure; sends nothing, decides nothing."""

import re
import zlib
from collections.abc import Collection, Iterator, Mapping
from typing import Any

import msgspec

MIB = 1024 * 1024
HUGE = 200_000_000
DEEP = 100_000

# A number that is a value of its own: not a part of a text or of a longer number.
_NUMBER = re.compile(rb"(?<=[:\[,])\s*-?\d+(?:\.\d+)?(?=\s*[,\]}])")
# Any other value that is no list and no object.
_SCALAR = re.compile(rb'(?<=:)\s*(?:null|true|false|"[^"\\]*")(?=\s*[,}])')
_PLACEHOLDER = "\ue000sandbox\ue000"


class Answer:
    """A vendor's whole answer, before it is known how much of it will arrive."""

    def __init__(self, status: int, headers: list[tuple[bytes, bytes]], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    def with_body(self, body: bytes) -> "Answer":
        """The same answer around another body, its length stated truly."""
        return Answer(self.status, self.without("content-length", (b"content-length", b"%d" % len(body))), body)

    def without(self, name: str, *more: tuple[bytes, bytes]) -> list[tuple[bytes, bytes]]:
        """The headers but one, and some more."""
        return [(told, value) for told, value in self.headers if told.lower() != name.encode()] + list(more)


def made_up(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    """An answer that no vendor's code gave: bytes as they are, text as a page, anything else as JSON."""
    if isinstance(body, bytes | str):
        raw, media_type = body.encode() if isinstance(body, str) else body, "text/html; charset=utf-8"
    else:
        raw, media_type = msgspec.json.encode(body), "application/json; charset=utf-8"
    given = {"content-type": media_type, **{name.lower(): value for name, value in (headers or {}).items()}}
    return Answer(
        status,
        [(name.encode(), str(value).encode()) for name, value in given.items()]
        + [(b"content-length", b"%d" % len(raw))],
        raw,
    )


def damaged(name: str, params: Mapping[str, Any], answer: Answer, hidden: Collection[str] = ()) -> Answer:
    """What a fault of that name makes of a whole answer; one that is about the way there leaves it as it is.

    `hidden` are the markers whose rows `late_visible` leaves out.
    """
    body = answer.body
    match name:
        case "bad_json":
            return answer.with_body(body[: max(1, len(body) * 2 // 3)])
        case "rewrite":
            return answer.with_body(_rewritten(body, params))
        case "nan":
            return answer.with_body(_literal(body, str(params.get("path", "")), b"NaN"))
        case "deep":
            levels = int(params.get("levels", DEEP))
            nest = b"[" * levels + b"]" * levels
            path = str(params.get("path", ""))
            return answer.with_body(_literal(body, path, nest) if path else nest)
        case "wrong_charset":
            return answer.with_body(_otherwise_encoded(body, str(params.get("encoding", "latin-1"))))
        case "broken_gzip":
            return _badly_compressed(answer, str(params.get("how", "cut")))
        case "skip_item":
            return answer.with_body(_one_less(body, int(params.get("at", 0))))
        case "late_visible":
            return answer.with_body(_without_rows(body, hidden)) if hidden else answer
        case _:
            return answer


def blanks(size: int) -> Iterator[bytes]:
    """So many blanks, in pieces; each is gone here when the next one is made."""
    for _ in range(size // MIB):
        yield b" " * MIB
    yield b" " * (size % MIB)


def squeezed(size: int, end: bytes) -> Iterator[bytes]:
    """Blanks and what follows them as one gzip stream."""
    press = zlib.compressobj(9, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
    for piece in blanks(size):
        yield press.compress(piece)
    yield press.compress(end) + press.flush()


def _rewritten(body: bytes, params: Mapping[str, Any]) -> bytes:
    """A JSON answer with some values changed, as when a vendor's schema drifts; anything else as it is."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    for path, value in (params.get("set") or {}).items():
        for parent, name in _places(content, path.split(".")):
            parent[name] = value
    for path in params.get("drop") or ():
        for parent, name in _places(content, path.split(".")):
            if isinstance(parent, dict):
                parent.pop(name, None)
    return msgspec.json.encode(content)


def _literal(body: bytes, path: str, literal: bytes) -> bytes:
    """Put what no JSON encoder writes at a path, or in place of the first number, or of another value where there is none."""
    if not path:
        changed, found = _NUMBER.subn(literal, body, count=1)
        return changed if found else _SCALAR.sub(literal, body, count=1)
    marked = _rewritten(body, {"set": {path: _PLACEHOLDER}})
    return marked.replace(msgspec.json.encode(_PLACEHOLDER), literal)


def _otherwise_encoded(body: bytes, encoding: str) -> bytes:
    """The same text in another encoding; where that makes no difference, its longest text gains a letter that does."""
    text = body.decode("utf-8", "replace")
    told = text.encode(encoding, "replace")
    if told != body:
        return told
    texts = sorted(re.findall(r'(?<=:)"[^"\\]{2,}"', text), key=len)
    if not texts:
        return b"\xe9" + body
    return text.replace(texts[-1], texts[-1][:-1] + 'é"').encode(encoding, "replace")


def _badly_compressed(answer: Answer, how: str) -> Answer:
    if how == "bomb":
        body = b"".join(squeezed(HUGE, answer.body))
    else:
        press = zlib.compressobj(6, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        body = press.compress(answer.body) + press.flush()
    if how == "cut":
        body = body[: len(body) // 2]
    elif how == "garbage":
        body = body[:10] + b"\xff" * (len(body) - 10)
    elif how == "checksum":
        body = body[:-8] + bytes(8)
    elif how != "bomb":
        raise ValueError(f"broken_gzip knows cut, garbage, checksum and bomb, not {how!r}")
    told = answer.with_body(body)
    return Answer(told.status, [*told.headers, (b"content-encoding", b"gzip")], body)


def _one_less(body: bytes, at: int) -> bytes:
    """Leave one row out of the longest list of rows, as when rows shift between two pages."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    rows = max(_lists(content), key=len, default=[])
    if -len(rows) <= at < len(rows):
        del rows[at]
    return msgspec.json.encode(content)


def _without_rows(body: bytes, hidden: Collection[str]) -> bytes:
    """Leave out of every list the rows in which one of these markers stands."""
    try:
        content = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return body
    for rows in list(_lists(content)):
        rows[:] = [row for row in rows if not any(one in msgspec.json.encode(row).decode() for one in hidden)]
    return msgspec.json.encode(content)


def _lists(value: Any) -> Iterator[list[Any]]:
    """Every list of objects in a value, the inner ones first."""
    if isinstance(value, list | dict):
        for inner in value if isinstance(value, list) else value.values():
            yield from _lists(inner)
    if isinstance(value, list) and value and isinstance(value[0], dict):
        yield value


def _places(value: Any, path: list[str]) -> Iterator[tuple[Any, Any]]:
    """Where a path leads: containers with the key or index under which the value stands."""
    first, rest = path[0], path[1:]
    keys: list[Any]
    if isinstance(value, list):
        keys = list(range(len(value))) if first == "*" else [int(first)] if first.isdigit() else []
        keys = [key for key in keys if key < len(value)]
    elif isinstance(value, dict):
        keys = list(value) if first == "*" else [first]
    else:
        return
    for key in keys:
        if not rest:
            yield value, key
        elif isinstance(value, list) or key in value:
            yield from _places(value[key], rest)
