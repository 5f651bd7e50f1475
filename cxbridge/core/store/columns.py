"""How values lie in a column, the same on every database: times, JSON, refs and texts; it knows no table."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from cxbridge.core.ledger import Ref

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def to_micros(moment: datetime) -> int:
    """Turn a time into microseconds since 1970, exactly.

    Raises:
        ValueError: when the time names no offset.
    """
    if moment.tzinfo is None:
        raise ValueError("a time without an offset is ambiguous and is not stored")
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(number: int) -> datetime:
    """Read what `to_micros` wrote, as UTC."""
    return _EPOCH + timedelta(microseconds=number)


# "C" makes PostgreSQL compare as SQLite and Python do, by code point: keyset paging and prefix ranges rest on it.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Blob = sa.LargeBinary()
Number = sa.BigInteger()
# SQLite numbers rows by itself only in a column declared INTEGER.
Serial = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


class Moment(TypeDecorator[datetime]):
    """A UTC time as microseconds."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        return None if value is None else from_micros(value)


class Json(TypeDecorator[Any]):
    """JSON as text; what was a time or bytes comes back as text."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str:
        return _encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else _decode(value)


class RefText(TypeDecorator[Ref]):
    """A ref as its text."""

    impl = Name
    cache_ok = True

    def process_bind_param(self, value: Ref | None, dialect: Dialect) -> str | None:
        return None if value is None else str(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Ref | None:
        return None if value is None else Ref.parse(value)


class Words(TypeDecorator[str]):
    """Text for people.

    What PostgreSQL cannot hold (NUL, half a surrogate pair) is replaced: a vendor's odd message must not keep an
    outcome from being recorded.
    """

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
