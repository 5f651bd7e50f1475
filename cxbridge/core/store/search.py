"""Full-text candidates: which records have words in common with a text; how alike they are is decided in `cxbridge.functions`.

The index is FTS5 in a temporary database of this process, beside the store and not in it: the same for both databases, without a
table, a migration or an extension, and gone with the process. It is filled on first use and follows the log of changes after that.
"""

from collections.abc import Collection, Iterable, Sequence
from threading import Lock
from typing import Any

import msgspec

from cxbridge.core.ledger import Record, Ref
from cxbridge.core.store import changes, records
from cxbridge.core.store.sqlite import driver
from cxbridge.core.store.tx import Tx
from cxbridge.functions.similarity import LONGEST, Match, similar, terms

# So many are compared word by word; below this place bm25 has had the right one in all that was measured.
CANDIDATES = 50
_PAGE = 1000
# What stands in the subject says more than what stands anywhere in the body.
_SUBJECT_WEIGHS = 3.0


class _Text(msgspec.Struct):
    """The part of a stored body that is looked through; other kinds have a title where a ticket has its subject."""

    subject: str = ""
    title: str = ""
    body_text: str = ""


_decode = msgspec.json.Decoder(_Text).decode


class TextIndex:
    """An index over the texts of the living records of some kinds. May be shared between threads; `close` drops it."""

    def __init__(self, kinds: Collection[str] = ("ticket",)) -> None:
        self._kinds = frozenset(kinds)
        self._lock = Lock()
        self._seq: int | None = None
        # The empty name is a private database on disk that SQLite removes: texts need not fit into the memory.
        self._db = driver().connect("", check_same_thread=False, isolation_level=None)
        self._db.executescript(
            "CREATE TABLE places (id INTEGER PRIMARY KEY, connection TEXT, stream TEXT, key TEXT, "
            "UNIQUE (connection, stream, key));"
            "CREATE VIRTUAL TABLE texts USING fts5 (subject, body, tokenize = 'porter unicode61');"
        )

    def close(self) -> None:
        """Drop the index."""
        with self._lock:
            self._db.close()

    def refresh(self, tx: Tx) -> int:
        """Take up what changed since the last time, everything at first; gives how many records were looked at."""
        with self._lock:
            newest = changes.last_seq(tx)
            looked_at = self._fill(tx) if self._seq is None else self._follow(tx, self._seq)
            self._seq = newest
            return looked_at

    def candidates(self, text: str, limit: int = CANDIDATES) -> list[Ref]:
        """The records that share most of a text's words, rare words first, best first."""
        wanted = terms(text)
        if not wanted:
            return []
        query = " OR ".join(f'"{word}"' for word in wanted)
        with self._lock:
            rows = self._db.execute(
                "SELECT connection, stream, key FROM texts JOIN places ON places.id = texts.rowid WHERE texts MATCH ? "
                "ORDER BY bm25(texts, ?, 1.0), places.id LIMIT ?",
                (query, _SUBJECT_WEIGHS, limit),
            ).fetchall()
        return [Ref(*row) for row in rows]

    def _fill(self, tx: Tx) -> int:
        seen, after = 0, None
        while page := records.scan(tx, kinds=self._kinds, after=after, limit=_PAGE):
            self._keep(page)
            seen, after = seen + len(page), page[-1].ref
        return seen

    def _follow(self, tx: Tx, seq: int) -> int:
        seen = 0
        while page := changes.after(tx, seq, _PAGE):
            seq = page[-1].seq
            refs = dict.fromkeys(one.ref for one in page if one.kind in self._kinds)
            self._keep(records.get_many(tx, refs).values())
            seen += len(refs)
        return seen

    def _keep(self, some: Iterable[Record]) -> None:
        self._db.execute("BEGIN")
        try:
            for record in some:
                self._put(record)
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def _put(self, record: Record) -> None:
        place = (record.ref.connection, record.ref.stream, record.ref.key)
        self._db.execute("INSERT OR IGNORE INTO places (connection, stream, key) VALUES (?, ?, ?)", place)
        (number,) = self._db.execute(
            "SELECT id FROM places WHERE connection = ? AND stream = ? AND key = ?", place
        ).fetchone()
        self._db.execute("DELETE FROM texts WHERE rowid = ?", (number,))
        if record.deleted:
            return
        read = _decode(record.body)
        row: Sequence[Any] = (number, (read.subject or read.title)[:LONGEST], read.body_text[:LONGEST])
        self._db.execute("INSERT INTO texts (rowid, subject, body) VALUES (?, ?, ?)", row)


def alike(
    tx: Tx, index: TextIndex, text: str, *, but: Collection[Ref] = (), least: float = 0.15, most: int = 5
) -> list[Match[Ref]]:
    """The living records whose text is most like this one, best first; `but` names those that do not count, such as itself."""
    index.refresh(tx)
    wanted = [ref for ref in index.candidates(text, CANDIDATES + len(but)) if ref not in but]
    found = records.get_many(tx, wanted)
    texts = {ref: _whole(found[ref]) for ref in wanted if ref in found and not found[ref].deleted}
    return similar(text, texts, least=least, most=most)


def _whole(record: Record) -> str:
    read = _decode(record.body)
    return f"{read.subject or read.title}\n{read.body_text}"
