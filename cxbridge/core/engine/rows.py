"""A page's rows as items to be stored; those that the store holds just as they came are passed over unmapped."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from cxbridge.core.connector import Page, Rows, mapping_of
from cxbridge.core.imprints import imprint_of
from cxbridge.core.ledger import MODEL, Incoming, incoming

# Of each record with an imprint that the store holds, by key: digest, ordinal, whether it is deleted, imprint.
Held = Mapping[str, tuple[bytes, int, bool, bytes]]
# Gives what the store holds of a stream; the keys may be wrong.
Holding = Callable[[str, Iterable[str]], Held]

# So many rows of a page are looked for first: where none of them is held, as in a first pull, the others are not looked for.
_TRIED = 20


def holding_nothing(stream: str, keys: Iterable[str]) -> Held:
    """Have all rows mapped."""
    del stream, keys
    return {}


def items_of(connector: str, stream: str, page: Page, holding: Holding, refused: list[str]) -> list[Incoming]:
    """Make items of all rows of a page of `stream`; why one cannot be read is put into `refused`.

    The vendor's bytes go with those of the page's own stream alone.
    """
    found: list[Incoming] = []
    for name, rows in page.rows.items():
        mapping = mapping_of(MODEL, connector, rows.mapping)
        own = name == stream
        make, also = rows.make, rows.also
        for row, same in zip(rows.raw, _as_stored(name, rows, mapping, holding), strict=True):
            if same is not None:
                found.append(same)
                continue
            entity = make(row)
            if isinstance(entity, str):
                refused.append(entity)
                continue
            raw = memoryview(row) if own else None
            beside = also.get(entity.source_id, b"") if also else b""
            found.append(incoming(name, entity, raw, row=row, mapping=mapping, also=beside))
    return found


def _as_stored(stream: str, rows: Rows, mapping: bytes, holding: Holding) -> Sequence[Incoming | None]:
    """Give those of the rows that are held just as they came, None for the others."""
    # Spread over the page, since what is new may stand at either end of it.
    few = rows.raw[:: max(1, len(rows.raw) // _TRIED)]
    if not few or not holding(stream, _told(map(rows.key, few))):
        return [None] * len(rows.raw)
    keys = list(map(rows.key, rows.raw))
    held = holding(stream, _told(keys))
    found: list[Incoming | None] = []
    for row, key in zip(rows.raw, keys, strict=True):
        if key is None or key not in held:
            found.append(None)
            continue
        digest, ordinal, deleted, imprint = held[key]
        same = imprint == imprint_of(mapping, row, digest, ordinal, deleted, rows.also.get(key, b""))
        found.append(
            Incoming(
                stream=stream,
                key=key,
                kind="",
                body=b"",
                digest=digest,
                ordinal=ordinal,
                deleted=deleted,
                as_stored=True,
            )
            if same
            else None
        )
    return found


def _told(keys: Iterable[object]) -> Iterator[str]:
    # A connector's mistake must not look like one of the database's.
    return (key for key in keys if isinstance(key, str))
