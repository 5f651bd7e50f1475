"""The chain of what was written at vendors and what people decided: entries are only ever added, each bound to the one before it.

An entry belongs in the commit that records what it tells of, so that neither is there without the other. It names things by ids,
refs, markers and keyed hashes; it holds no text of a customer, no value that was written, no name of a person.

A chain shows that an entry was altered, put in, moved or taken out by anybody who has not the instance key. That its end was cut
off shows by the head, which is sealed and kept beside the entries; that the whole database was put back to an earlier day shows
only to whoever noted a later head elsewhere.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec
import sqlalchemy as sa

from cxbridge.core.errors import ConfigError
from cxbridge.core.ledger import Delivery, Ref
from cxbridge.core.store import schema, state
from cxbridge.core.store.columns import to_micros
from cxbridge.core.store.prepared import execute, execute_many, fetch
from cxbridge.core.store.sealing import is_sealed, seal, unseal
from cxbridge.core.store.tx import Tx

# How the write of a delivery ended, or stands: `adopted` is one that needed no write, because an earlier one had done it.
Outcome = Literal["confirmed", "adopted", "unknown", "held", "dead", "dropped"]

_audit = schema.audit.c
_HEAD = "the head of the audit chain"
# What a pseudonym stands for is kept beside the chain, sealed: forgotten there, nobody can read the name out of the chain.
_PERSON = "the person "
_DIGEST = 32
_NONE = bytes(_DIGEST)
# How many entries are read at once when the chain is gone through.
_BATCH = 5_000
_COLUMNS = ("seq", "at", "actor", "what", "subject", "detail", "mac")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One entry. `actor` is a recipe, a person by pseudonym or a vendor's user by ref; `subject` is what it is about."""

    seq: int
    at: datetime
    actor: str
    what: str
    subject: str
    detail: Mapping[str, Any]


class Head(msgspec.Struct, frozen=True):
    """The end of the chain: how many entries there are, and the digest of the last. As a text it can be noted elsewhere."""

    seq: int
    mac: bytes

    def __str__(self) -> str:
        return f"{self.seq}:{self.mac.hex()}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read what `str` wrote.

        Raises:
            ValueError: it is no such text.
        """
        seq, colon, digest = text.strip().partition(":")
        if not colon or not seq.isascii() or not seq.isdigit() or len(digest) != 2 * _DIGEST:
            raise ValueError(f"{text!r} is no head of a chain: it reads NUMBER:DIGEST, as `audit verify` prints it")
        return cls(int(seq), bytes.fromhex(digest))


class Verified(msgspec.Struct, frozen=True):
    """What going through the chain found: `wrong` says what does not fit at entry `at`, the first that does not."""

    entries: int
    head: Head
    at: int | None = None
    wrong: str = ""


# -- adding ------------------------------------------------------------------------------------------------------------


class Wrote(msgspec.Struct, frozen=True):
    """How the write of a delivery ended or stands. `subject` is what its run is about; `more` are ids and words of ours."""

    outcome: Outcome
    delivery: Delivery
    subject: Ref | None = None
    more: Mapping[str, Any] = {}


def wrote(tx: Tx, some: Sequence[Wrote], now: datetime) -> None:
    """Enter how writes ended or stand, in that order."""
    stand = _stand(tx)
    entries = []
    for one in some:
        delivery = one.delivery
        asked = [delivery.connection, delivery.action, str(delivery.target or ""), dict(delivery.inputs)]
        detail = {
            "run": delivery.run,
            "delivery": delivery.id,
            "step": delivery.step,
            "connection": delivery.connection,
            "action": delivery.action,
            "target": str(delivery.target) if delivery.target else None,
            "marker": delivery.marker,
            "tries": delivery.attempts,
            # Keyed, because what was written may be guessed: an address, a name.
            "content": _hash(stand.keys.content, _encode(asked)),
            "code": delivery.error_code,
            **one.more,
        }
        about = str(one.subject or delivery.target or delivery.connection)
        entries.append((f"recipe:{delivery.recipe}", f"write.{one.outcome}", about, detail))
    _append(tx, stand, now, entries)


def decided(tx: Tx, what: str, *, who: str, subject: str, now: datetime, **detail: Any) -> None:
    """Enter what a person decided: `what` is a noun and a verb (`dead.dropped`), `detail` holds ids and words of ours.

    `who` is a name or an address, which is kept as a pseudonym, or the full ref of a vendor's user, which is one already.
    """
    stand = _stand(tx)
    _append(tx, stand, now, [(_actor(tx, stand.keys, who), what, subject, detail)])


def hashed(tx: Tx, value: Any) -> str:
    """Give a keyed hash of a value, to tell in an entry that two are the same without telling what they are."""
    return _hash(_stand(tx).keys.content, _encode(value))


def _append(tx: Tx, stand: "_Stand", now: datetime, entries: Sequence[tuple[str, str, str, Mapping[str, Any]]]) -> None:
    """Add entries (actor, what, subject, detail), each bound to the one before it."""
    if not entries:
        return
    # One transaction writes at a time, on either database, so that nobody else adds to the same head.
    last = stand.head or _end(tx, stand)
    # What somebody put at the end stays there to be found.
    seq, mac, at = max(last.seq, stand.greatest), last.mac, to_micros(now)
    rows = []
    for actor, what, subject, detail in entries:
        told = {name: value for name, value in detail.items() if value not in (None, "")}
        texts = (_storable(actor), _storable(what), _storable(subject), _encode(told).decode())
        seq += 1
        mac = _mac(stand.keys.chain, mac, (seq, at, *texts))
        rows.append((seq, at, *texts, mac))
    end = seq.to_bytes(8, "big") + mac
    head = (_HEAD, end + hmac.digest(stand.keys.head, end, "sha256"))
    words = _statements(tx.dialect)
    if words.both and len(rows) == 1:
        execute(tx.connection, words.both, (*head, *rows[0]))
    else:
        execute_many(tx.connection, words.add, rows)
        execute(tx.connection, words.keep, head)


def _end(tx: Tx, stand: "_Stand") -> Head:
    """Give what the next entry is bound to where no head says so."""
    last = _up_to(tx, stand.greatest)
    if stand.kept is None and not last.seq:
        return last
    # Somebody took out or altered the head. What was done must be recorded all the same; a number is left out, so that it shows.
    return Head(last.seq + 1, last.mac)


class _Statements(msgspec.Struct, frozen=True):
    """What is asked at every outcome of every delivery, past SQLAlchemy's own machinery, which costs more than the database."""

    read: str
    add: str
    keep: str
    # In one way to the server instead of two; SQLite, to which there is no way, has no such statement.
    both: str


@lru_cache(maxsize=2)
def _statements(dialect: str) -> _Statements:
    mark = "?" if dialect == "sqlite" else "%s"
    add = f"INSERT INTO audit ({', '.join(_COLUMNS)}) VALUES ({', '.join([mark] * len(_COLUMNS))})"  # noqa: S608  # no value
    keep = (
        f"INSERT INTO meta (name, value) VALUES ({mark}, {mark}) "  # noqa: S608  # no value
        "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
    )
    return _Statements(
        read=f"SELECT name, value, (SELECT max(seq) FROM audit) FROM meta WHERE name IN ({mark}, {mark})",  # noqa: S608  # no value
        add=add,
        keep=keep,
        both="" if dialect == "sqlite" else f"WITH head AS ({keep}) {add}",
    )


# -- reading -----------------------------------------------------------------------------------------------------------


def find(
    tx: Tx,
    *,
    about: str | None = None,
    run: str | None = None,
    since: datetime | None = None,
    limit: int = 100,
) -> list[Entry]:
    """Read entries, newest first. `about` is a subject, or whatever an entry names: a ref, a delivery, a question, a marker.

    All entries are looked through: an audit is seldom, and an index for it would cost every write.
    """
    query = sa.select(*[_audit[name] for name in Entry.__struct_fields__]).order_by(_audit.seq.desc()).limit(limit)
    if about is not None:
        query = query.where(sa.or_(_audit.subject == about, _named(tx, about)))
    if run is not None:
        query = query.where(_named(tx, run))
    if since is not None:
        query = query.where(_audit.at >= since)
    return [Entry(**row) for row in tx.connection.execute(query).mappings()]


def name_of(tx: Tx, actor: str) -> str | None:
    """Give the name that a person's pseudonym stands for; None where it was forgotten, or the store's key is another."""
    kept = state.meta_get(tx, f"{_PERSON}{actor}")
    if kept is None:
        return None
    if is_sealed(kept):
        try:
            kept = unseal(tx.key, f"{_PERSON}{actor}", kept) if tx.key is not None else b""
        except ConfigError:
            return None
    return kept.decode() or None


def forget(tx: Tx, actor: str) -> bool:
    """Forget who a pseudonym stands for; the chain stays whole. True when it was known."""
    known = state.meta_get(tx, f"{_PERSON}{actor}") is not None
    state.meta_set(tx, f"{_PERSON}{actor}", None)
    return known


def _named(tx: Tx, text: str) -> sa.ColumnElement[bool]:
    # Quoted as it stands in the JSON, so that the id 1 is not found in the id 12. LIKE would not tell small letters from capitals.
    place = sa.func.instr if tx.dialect == "sqlite" else sa.func.strpos
    return place(sa.type_coerce(_audit.detail, sa.Text), _encode(text).decode()) > 0


# -- going through the chain -------------------------------------------------------------------------------------------


def verify(tx: Tx, noted: Head | None = None, after: int = 0) -> Verified:
    """Go through the chain up to its head; `noted` is an earlier head, from outside the store.

    With `after`, what stands up to that entry is taken for granted: so is what came after a break known to be whole.

    Raises:
        ConfigError: the store was opened with another key than that it was made with.
    """
    stand = _stand(tx)
    last = _up_to(tx, after)
    passed = noted is None or noted.seq <= after
    for row in _rows(tx, last.seq):
        seq, mac = row[0], row[-1]
        if seq != last.seq + 1 and last.seq >= after:
            wrong = f"entry {last.seq + 1} is missing" if seq > 0 else f"entry {seq} was never made"
            return Verified(last.seq, last, min(seq, last.seq + 1), wrong)
        if not isinstance(mac, bytes) or not hmac.compare_digest(mac, _mac(stand.keys.chain, last.mac, row[:-1])):
            return Verified(last.seq, last, seq, f"entry {seq} is not what was entered, or not where it was entered")
        last = Head(seq, mac)
        if noted is not None and noted.seq == seq:
            if noted.mac != mac:
                return Verified(last.seq, last, seq, f"entry {seq} is another one than that which was noted")
            passed = True
    wrong = _wrong_at_end(stand, last)
    if not wrong and not passed and noted is not None:
        wrong = (
            f"it ends at {last.seq}, and {noted.seq} was noted: what came after was taken out, or the store put back"
        )
    return Verified(last.seq, last, last.seq + 1 if wrong else None, wrong)


def _wrong_at_end(stand: "_Stand", last: Head) -> str:
    if stand.kept is None:
        return "" if not last.seq else f"it ends at {last.seq}, and the head that would say so was taken out"
    end = stand.head
    if end is None:
        return f"it ends at {last.seq}, and the head that would say so is not what was kept"
    if end.seq > last.seq:
        return f"it ends at {last.seq}, and the head says {end.seq}: its end was cut off"
    return "" if end == last else f"it ends at {last.seq}, and the head says {end.seq}: the head was put back"


def _up_to(tx: Tx, seq: int) -> Head:
    """Give the last entry up to a number, as it stands."""
    query = sa.select(_audit.seq, _audit.mac).where(_audit.seq <= seq).order_by(_audit.seq.desc()).limit(1)
    row = tx.connection.execute(query).first() if seq else None
    return Head(row.seq, row.mac) if row is not None else Head(0, _NONE)


def _rows(tx: Tx, after: int) -> Iterator[tuple[Any, ...]]:
    """Read the entries as they lie in the table, in order; from the first, those that stand before it as well."""
    mark = "?" if tx.dialect == "sqlite" else "%s"
    words = f"SELECT {', '.join(_COLUMNS)} FROM audit WHERE seq > {mark} ORDER BY seq LIMIT {_BATCH}"  # noqa: S608  # no value
    after = after or -1 << 62
    while rows := tx.connection.exec_driver_sql(words, (after,)).fetchall():
        yield from (tuple(row) for row in rows)
        after = rows[-1][0]


# -- digests -----------------------------------------------------------------------------------------------------------


class _Keys(msgspec.Struct, frozen=True):
    """What is derived from the instance key, one key for each use."""

    chain: bytes
    head: bytes
    person: bytes
    content: bytes


class _Stand(msgspec.Struct, frozen=True):
    """Where the chain stands: its keys, its head as it is kept and as it reads, if it does, and the greatest number in use."""

    keys: _Keys
    kept: bytes | None
    head: Head | None
    greatest: int


def _stand(tx: Tx) -> _Stand:
    rows = fetch(tx.connection, _statements(tx.dialect).read, (state.INSTANCE_KEY, _HEAD))
    held = {name: bytes(value) for name, value, _ in rows}
    sealed, kept = held.get(state.INSTANCE_KEY), held.get(_HEAD)
    if sealed is None and not tx.writing:
        # Nothing was entered yet. What is there all the same is by somebody else, and fits no key.
        keys = _derived(secrets.token_bytes(32))
    else:
        keys = _derived(state.instance_key(tx) if sealed is None else state.opened(sealed, tx.key))
    return _Stand(keys, kept, None if kept is None else _opened(keys, kept), rows[0][2] or 0 if rows else 0)


@lru_cache(maxsize=4)
def _derived(instance: bytes) -> _Keys:
    uses = _Keys.__struct_fields__
    return _Keys(*(hmac.digest(instance, b"audit\x1f" + use.encode(), "sha256") for use in uses))


def _mac(key: bytes, before: bytes, entry: tuple[Any, ...]) -> bytes:
    return hmac.digest(key, before + _encode(entry), "sha256")


def _hash(key: bytes, value: bytes) -> str:
    return hashlib.blake2b(value, key=key, digest_size=16).hexdigest()


def _opened(keys: _Keys, kept: bytes) -> Head | None:
    text, seal_ = kept[:-_DIGEST], kept[-_DIGEST:]
    if len(text) != 8 + _DIGEST or not hmac.compare_digest(seal_, hmac.digest(keys.head, text, "sha256")):
        return None
    return Head(int.from_bytes(text[:8], "big"), text[8:])


def _actor(tx: Tx, keys: _Keys, who: str) -> str:
    if who.count("/") >= 2:
        return who
    name = " ".join(who.split()).casefold()
    actor = f"person:{_hash(keys.person, name.encode(errors='replace'))[:16]}"
    if state.meta_get(tx, f"{_PERSON}{actor}") is None:
        plain = _storable(" ".join(who.split())).encode()
        what = f"{_PERSON}{actor}"
        state.meta_set(tx, what, plain if tx.key is None else seal(tx.key, what, plain))
    return actor


def _storable(text: str) -> str:
    # What PostgreSQL cannot hold must not keep an outcome from being recorded.
    return text.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
