"""vendor → records and changes: reads a stream page by page, one commit per page; writes nothing to a vendor, decides nothing."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import msgspec

from cxbridge.core.baton import BATON
from cxbridge.core.clock import Clock
from cxbridge.core.connector import Client, Page, Stream
from cxbridge.core.engine.connections import Connection, Probe, no_probe
from cxbridge.core.engine.rows import Held, Holding, holding_nothing, items_of
from cxbridge.core.engine.soundness import Unsound, Walk, blaming, bound, page_of, size_of
from cxbridge.core.engine.written import overruled
from cxbridge.core.errors import CxbridgeError, PluginError
from cxbridge.core.ledger import Checkpoint, Incoming, Ref, body_view, incoming
from cxbridge.core.store import Store, Tx, changes, checkpoints, inbox, planning, receipts, records

# How late a webhook may come before its change counts as missed; Jira's slower flow takes up to a quarter of an hour.
_LATE = timedelta(minutes=5)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Pulled:
    """What one pull of a stream brought, all pages together. `missed` are changes that a webhook should have announced."""

    connection: str
    stream: str
    pages: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    deleted: int = 0
    refused: int = 0
    changed: int = 0
    missed: int = 0

    @property
    def seen(self) -> int:
        """How many entities the vendor showed."""
        return self.created + self.updated + self.unchanged + self.deleted


OnPage = Callable[[Pulled], None]


def pull(
    store: Store,
    connection: Connection,
    stream: Stream,
    client: Client,
    clock: Clock,
    *,
    on_page: OnPage | None = None,
    probe: Probe = no_probe,
    stop: threading.Event | None = None,
) -> Pulled:
    """Read a stream from its checkpoint to the vendor's end, committing records, changes and checkpoint page by page.

    Stopping or failing between two pages loses nothing: the next pull reads at most one page again.

    Raises:
        VendorError: as the client or the stream raised it; what was committed stays. PluginError: when the stream's code broke.
    """
    total = Pulled(connection.name, stream.name)
    if stream.pages is None:
        return total
    with store.read() as tx:
        checkpoint = checkpoints.get(tx, connection.name, stream.name)
    cursor = checkpoint.cursor if checkpoint and stream.order == "changed" else None
    pages_before = checkpoint.pages if checkpoint else 0
    # The next page is asked for when this one is committed: a crash then costs one page, whatever the moment. Reading ahead would
    # hide little, since vendors allow a handful of export pages a minute.
    for page in _reading(store, connection, stream, partial(stream.pages, client, cursor)):
        probe("pull.fetched")
        with store.write() as tx:
            now = clock.now()
            total = store_page(tx, connection, stream, page, now, total, judged=True)
            checkpoints.put(
                tx,
                Checkpoint(
                    connection=connection.name,
                    stream=stream.name,
                    cursor=page.cursor,
                    at=now,
                    pages=pages_before + total.pages,
                    caught_up=checkpoint.caught_up if checkpoint else None,
                ),
            )
            probe("pull.stored")
        probe("pull.committed")
        del page
        if on_page:
            on_page(total)
        BATON.offer()
        if stop is not None and stop.is_set():
            return total
    with store.write() as tx:
        now = clock.now()
        # Where the vendor had nothing at all there was no page to keep a place for: that it was read is worth telling all the same.
        latest = checkpoints.get(tx, connection.name, stream.name) or Checkpoint(
            connection=connection.name, stream=stream.name, cursor=cursor, at=now
        )
        checkpoints.put(tx, msgspec.structs.replace(latest, caught_up=now))
        return replace(total, missed=_count_missed(tx, connection.name, stream.name, now))


def store_page(
    tx: Tx,
    connection: Connection,
    stream: Stream,
    page: "Prepared",
    now: datetime,
    total: Pulled,
    *,
    judged: bool,
) -> Pulled:
    """Store a page in a commit that may hold others, and give `total` with it; `judged` says to look for missed webhooks."""
    created = updated = unchanged = deleted = 0
    if page.items:
        applied = records.apply(tx, connection.name, page.items, now)
        created, updated = applied.created, applied.updated
        unchanged, deleted = applied.unchanged + applied.stale, applied.deleted
        if judged:
            _doubt(tx, connection.name, stream.name, page.items, applied, now)
        again = _set_back(tx, connection.name, applied.refreshed, now)
        updated, unchanged = updated + again, unchanged - again
    if page.deleted:
        deleted += records.mark_deleted(tx, connection.name, stream.name, list(page.deleted), now)
    for reason in page.refused:
        planning.tally(tx, f"{connection.name}/{stream.name}", f"refused: {reason}", at=now)
    return replace(
        total,
        pages=total.pages + 1,
        created=total.created + created,
        updated=total.updated + updated,
        unchanged=total.unchanged + unchanged,
        deleted=total.deleted + deleted,
        refused=total.refused + len(page.refused),
        changed=total.changed + created + updated + deleted,
    )


def _set_back(tx: Tx, connection: str, refreshed: Sequence[Incoming], now: datetime) -> int:
    """Log a change of what we wrote and somebody set back before a pull showed it: the versions before and after are alike."""
    shown = {Ref(connection, item.stream, item.key): item for item in refreshed if not item.deleted}
    written = receipts.of_many(tx, shown) if shown else {}
    again = [
        (ref.stream, ref.key)
        for ref, told in written.items()
        if overruled(told, body_view(ref, shown[ref].kind, shown[ref].body))
    ]
    return records.log_again(tx, connection, again, now) if again else 0


def _doubt(
    tx: Tx, connection: str, stream: str, items: Sequence[Incoming], applied: records.Applied, now: datetime
) -> None:
    """Note which of the changes just logged no webhook announced; a stream that none ever announced is passed over."""
    logged = applied.created + applied.updated + applied.deleted
    since = inbox.announced_streams(tx, connection).get(stream) if logged else None
    if since is None:
        return
    # What tells no time of its change may have changed now.
    times = {item.key: _moment(item.ordinal) if item.ordinal else now for item in items if item.stream == stream}
    if max(times.values(), default=since) <= since:
        # As all of a first pull: the log of it need not be read for that.
        return
    changed = {
        one.ref.key: times[one.ref.key]
        for one in changes.after(tx, applied.last_seq - logged, logged)
        if one.ref.stream == stream
    }
    inbox.doubt(tx, connection, stream, changed)


def _moment(ordinal: int) -> datetime:
    return _EPOCH + timedelta(microseconds=ordinal)


def _count_missed(tx: Tx, connection: str, stream: str, now: datetime) -> int:
    missed = inbox.missed(tx, connection, stream, now - _LATE)
    if missed:
        planning.tally(tx, f"{connection}/webhooks", f"missed: {stream}", at=now, n=missed)
    return missed


@dataclass(frozen=True, slots=True)
class Prepared:
    """A page without its entities, which are encoded by now and need not live until they are stored."""

    items: list[Incoming]
    cursor: object
    deleted: Sequence[str]
    refused: Sequence[str]
    more: bool = False

    def then(self, rest: "Prepared") -> "Prepared":
        """Put what follows of the same page behind this part of it, which is of no use by itself any more."""
        self.items.extend(rest.items)
        deleted, refused = (*self.deleted, *rest.deleted), (*self.refused, *rest.refused)
        return Prepared(self.items, rest.cursor, deleted, refused, rest.more)


def prepare(connector: str, stream: Stream, given: object, holding: Holding = holding_nothing) -> Prepared:
    """Encode what a stream gave, if it is a page; rows that are held as they came are not even mapped.

    Raises:
        Unsound, ValueError: it is none, or its parts do not fit each other.
    """
    page = page_of(given)
    raws: Sequence[bytes | None] = page.raw or [None] * len(page.entities)
    if len(raws) != len(page.entities):
        raise ValueError("a page with raw payloads must carry one for each entity")
    items = [incoming(stream.name, entity, raw) for entity, raw in zip(page.entities, raws, strict=True)]
    for beside, entities in page.beside.items():
        items += [incoming(beside, entity) for entity in entities]
    refused = list(page.refused)
    items += items_of(connector, stream.name, page, holding, refused)
    return Prepared(items, page.cursor, page.deleted, refused, page.more)


def whole(parts: Iterator[Prepared]) -> Prepared | None:
    """Take the next page, all parts of it; None where there is none.

    Raises:
        Unsound: it never ends, or its end is missing.
    """
    page = part = next(parts, None)
    count = size = 0
    while page is not None and part is not None and part.more:
        # A part with nothing on it counts as well, so that there is an end to them.
        count += 1 + len(part.items) + len(part.deleted) + len(part.refused)
        size += size_of(part.items)
        bound(count, size)
        part = next(parts, None)
        if part is None:
            raise Unsound("it ended in the middle of a page")
        page = page.then(part)
    return page


def _reading(
    store: Store, connection: Connection, stream: Stream, pages: Callable[[], Iterator[Page]]
) -> Iterator[Prepared]:
    """Go through a stream's pages; whatever the connector's code raises by mistake is named as the plugin's."""

    def holding(stream: str, keys: Iterable[str]) -> Held:
        # As it is before the page is stored: what comes in between, as by a webhook, is of the same version or a newer one.
        with store.read() as tx:
            return records.imprints(tx, connection.name, stream, keys)

    preparing = partial(prepare, connection.connector.name, stream, holding=holding)
    prepared: Iterator[Prepared] | None = None
    walk = Walk(connection.name, stream.name)
    while True:
        try:
            with blaming(connection.connector.name, f"stream {stream.name} of {connection.name}"):
                # Prepared in passing, so that the page itself is gone while the next one is fetched.
                prepared = prepared or map(preparing, pages())
                page = whole(prepared)
            if page is not None:
                walk.passes(page.cursor, page.items, page.deleted, page.refused)
        except CxbridgeError:
            raise
        except Exception as error:
            raise broke(connection, stream, error) from error
        if page is None:
            return
        yield page
        del page


def broke(connection: Connection, stream: Stream, error: Exception) -> PluginError:
    """Name the plugin whose stream raised something by mistake; without its text, which may hold anything."""
    told = f": {error}" if isinstance(error, Unsound) else f" ({type(error).__name__})"
    return PluginError(connection.connector.name, f"stream {stream.name} of {connection.name} broke{told}")
