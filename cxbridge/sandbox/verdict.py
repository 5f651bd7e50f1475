"""What the journal says about how well an integration behaved: effects by kind, and effects that happened twice.

Reads the journal alone, so that it cannot agree with cxbridge by sharing its records.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import msgspec

from cxbridge.sandbox.journal import Effect, Journal

# A marker as an integration plants it, in a field or behind a label's dash. Other words with its prefix may repeat.
_MARKER = re.compile(r"\bcxb[:_-][0-9a-f]{16}\b")

# Texts may quote a marker that belongs to another record.
_TEXTS = {"body", "text", "description", "subject", "summary", "changes", "values"}

_CREATED = (
    "ticket.created",
    "issue.created",
    "task.created",
    "touchpoint.created",
    "message.posted",
    "invitation.sent",
    "contact.created",
)


class Duplicate(msgspec.Struct, frozen=True, kw_only=True):
    """One thing done more than once: what is the same, and on which records."""

    kind: str
    vendor: str
    same: str
    keys: list[str]
    count: int


def summary(journal: Journal) -> dict[str, Any]:
    """Counts of what came in over the vendors' APIs, of what people did, of requests by status, and all duplicates."""
    requests = journal.requests()
    return {
        "api_effects": dict(sorted(journal.counts("api").items())),
        "ui_effects": dict(sorted(journal.counts("ui").items())),
        "requests": dict(sorted(Counter(f"{r.vendor}:{r.status}" for r in requests).items())),
        "faults": dict(sorted(Counter(f"{r.vendor}:{r.fault}" for r in requests if r.fault).items())),
        "duplicates": msgspec.to_builtins(duplicates(journal)),
    }


def duplicates(journal: Journal) -> list[Duplicate]:
    """Records created twice under one marker, external id or idempotency key; comments and remote links made twice."""
    seen: defaultdict[tuple[str, str, str], list[str]] = defaultdict(list)
    for effect in journal.effects(via="api"):
        for same in sorted(set(_identities(effect))):
            seen[effect.kind, effect.vendor, same].append(effect.key)
    return [
        Duplicate(kind=kind, vendor=vendor, same=same, keys=sorted(set(keys)), count=len(keys))
        for (kind, vendor, same), keys in seen.items()
        if len(keys) > 1
    ]


def markers(value: Any) -> Iterator[str]:
    """Every marker anywhere in a value, texts excepted."""
    if isinstance(value, str):
        yield from _MARKER.findall(value)
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _MARKER.findall(str(name))
            if name not in _TEXTS:
                yield from markers(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from markers(inner)


def _identities(effect: Effect) -> Iterator[str]:
    """What may happen once only, as words; an effect free to repeat has none."""
    detail = effect.detail
    if effect.kind in _CREATED:
        yield from (f"marker {marker}" for marker in markers(detail))
        for name in ("external_id", "idempotency_key"):
            if detail.get(name):
                yield f"{name} {detail[name]}"
    elif effect.kind == "comment.added":
        text = detail.get("body", detail.get("text"))
        planted = msgspec.json.encode([detail.get("metadata"), detail.get("properties")], order="sorted").decode()
        yield f"comment on {effect.key}: {str(text)[:80]!r} under {planted}"
        yield from (f"marker {marker} of a comment" for marker in markers(detail))
    elif effect.kind == "remotelink.created":
        yield f"link from {effect.key} to {detail.get('global_id') or detail.get('url')}"
