"""Slack's message text: cut so that no entity is halved, and read back as plain text; pure, and no text makes it fail.

`docs.slack.dev/messaging/formatting-message-text`. What templates put in arrives escaped by the engine (`prose = "slack"`).
"""

import re
from typing import Final

# Slack cuts at 40,000 characters without a word; the rest is room for the note.
LONGEST: Final = 39_000
SECTION: Final = 3_000
_NOTE: Final = "\n[cut by cxbridge after {limit:,} characters]"
# Control characters no client shows, and lone surrogates, which cannot be sent at all.
_UNSENDABLE: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_LINE_ENDS: Final = re.compile("\r\n?|[\u2028\u2029]")
_HALF: Final = re.compile(r"(?:&[a-z]{0,3}|<[^<>\s]{0,255})\Z")
_TOKEN: Final = re.compile(r"<([^<>|]{1,4000})(?:\|([^<>]{0,4000}))?>")
_ENTITIES: Final = {"&lt;": "<", "&gt;": ">", "&amp;": "&"}
_ENTITY: Final = re.compile("&(?:lt|gt|amp);")


def clean(text: str) -> str:
    """Bring text into a form that survives the way to Slack and back."""
    return _UNSENDABLE.sub("", _LINE_ENDS.sub("\n", text)).strip()


def cut(text: str, limit: int = LONGEST) -> str:
    """Shorten text that is too long, and say so where it was cut."""
    return text if len(text) <= limit else _whole(text[:limit]).rstrip() + _NOTE.format(limit=limit)


def parts(text: str, most: int, size: int = SECTION) -> list[str]:
    """Split text into pieces that fit into one section each, at line ends where there are some; what is over is cut."""
    found: list[str] = []
    rest = text
    while rest and len(found) < most:
        if len(rest) <= size:
            found.append(rest)
            return found
        piece = rest[:size]
        at = piece.rfind("\n")
        piece = piece[:at] if at > size // 2 else _whole(piece)
        found.append(piece)
        rest = rest[len(piece) :].lstrip("\n")
    if rest and found:
        note = "\n[cut by cxbridge: the rest is too long]"
        found[-1] = _whole(found[-1][: size - len(note)]).rstrip() + note
    return found


def escape(text: str) -> str:
    """Write plain text so that nothing in it is markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str) -> str:
    """Read message text as people see it: links as label and address, mentions as ids, entities as their characters."""
    return _ENTITY.sub(lambda found: _ENTITIES[found[0]], _TOKEN.sub(_spoken, text))


def _spoken(found: re.Match[str]) -> str:
    target, label = found[1], found[2]
    kind = target[0]
    if kind in "@#":
        return f"{kind}{label or target[1:]}"
    if kind == "!":
        return label or f"@{target[1:].partition('^')[0]}"
    address = target.removeprefix("mailto:")
    return f"{label} ({address})" if label and label not in (address, target) else address


def _whole(text: str) -> str:
    """Drop what a cut left of an entity or a link at the end."""
    return _HALF.sub("", text) or text
