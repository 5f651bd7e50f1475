"""What one request of a stream brought: entities, or rows that are mapped where that is needed; it stores nothing itself."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from cxbridge.core.canonical import AnyEntity

# A record as the vendor's bytes: a copy of them, or a slice of the answer.
Row = bytes | msgspec.Raw


@dataclass(frozen=True, slots=True)
class Rows:
    """Records of a page as the vendor's bytes, each of which is mapped only if it has to be.

    What the store holds as the very same bytes were mapped before, under the same mapping, is neither mapped nor compared anew:
    pulled again, that is nearly everything. `make(row)` maps one, or says in a text why it cannot be read; what it gives must
    follow from the row, from `mapping` and, by the entity's key, from `also`, and from nothing else. `mapping` is what
    `mapping_of(…)` gives of the code (`code_of(…)`), the settings and the names that were looked up. `key(row)` tells the
    entity's key at a glance, or None: a wrong one costs a mapping, no more. `also` holds by key what of the page goes into an
    entity beside its own row.
    """

    raw: Sequence[Row]
    make: Callable[[Row], AnyEntity | str]
    mapping: bytes
    key: Callable[[Row], str | None]
    also: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Page:
    """What one request brought, and the cursor that resumes right behind it.

    `entities` belong to the page's own stream; a deleted one is an entity with `deleted_at` set, or its key in `deleted` when
    the vendor tells no more. `beside` holds side-loaded entities by the stream they belong to. `raw` holds the vendor's bytes of
    `entities`, in the same order, or nothing. `refused` counts records that could not be read, with a reason each. `rows` holds, by
    stream, the page's own included, what is mapped only where that is needed.

    A large page may be given in parts, each but the last with `more` and the cursor that leads back to the page: they are stored
    in one commit, and each is done with before the next is mapped, which takes less time and memory than all at once.
    """

    entities: Sequence[AnyEntity]
    cursor: Any
    beside: Mapping[str, Sequence[AnyEntity]] = field(default_factory=dict)
    deleted: Sequence[str] = ()
    raw: Sequence[bytes] = ()
    refused: Sequence[str] = ()
    more: bool = False
    rows: Mapping[str, Rows] = field(default_factory=dict)

    def mapped(self, stream: str) -> "Page":
        """Give the page with all of its rows mapped, as one of the stream of that name."""
        own, raw, refused = list(self.entities), list(self.raw), list(self.refused)
        beside: dict[str, Sequence[AnyEntity]] = dict(self.beside)
        for name, rows in self.rows.items():
            found = [(row, rows.make(row)) for row in rows.raw]
            refused += [one for _, one in found if isinstance(one, str)]
            made = [(bytes(row), one) for row, one in found if not isinstance(one, str)]
            if name == stream:
                own += [one for _, one in made]
                raw += [row for row, _ in made]
            elif made:
                beside[name] = [*beside.get(name, ()), *(one for _, one in made)]
        return replace(self, entities=own, raw=raw, refused=refused, beside=beside, rows={})
