"""Making a store's file beside its place and putting it there whole, or not at all; what is in it is somebody else's business.

A draft is written without a log and without waiting for the disk, since nobody else sees it; before it takes its place it is on the
disk to the last byte. Whatever ends the process on the way leaves a draft behind, which the next one writes over.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import pool
from sqlalchemy.engine import Connection

from cxbridge.core.errors import StoreError
from cxbridge.core.store import sqlite

# What SQLite keeps beside a file that is in use.
_BESIDE = ("-wal", "-shm", "-journal")


class Unwritable(StoreError):
    """A file cannot be written where it was asked for; nothing is there that was not there before."""

    exit_code = 73


@contextmanager
def draft_of(path: Path) -> Iterator[Path]:
    """Give the name of a draft to write; as the block ends without an error it becomes the file `path`, in one step.

    Raises:
        Unwritable: it cannot be written; the draft is gone then.
    """
    draft = path.with_name(f".{path.name}.draft")
    with _put_in_words(path):
        _forget(draft)
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        try:
            yield draft
            _to_the_disk(draft)
            draft.replace(path)
            _to_the_disk(path.parent)
        except BaseException:
            _forget(draft)
            raise


@contextmanager
def drafting(draft: Path) -> Iterator[Connection]:
    """Open a draft for writing, in one transaction that is committed at the end."""
    module = sqlite.driver()

    def connect() -> Any:
        made = module.connect(draft, isolation_level=None)
        for setting in (
            *sqlite.NEW_FILE,
            "journal_mode = OFF",
            "synchronous = OFF",
            "foreign_keys = OFF",
            "cache_size = -64000",
        ):
            made.execute(f"PRAGMA {setting}")
        return made

    engine = sa.create_engine(
        "sqlite://", module=module, creator=connect, poolclass=pool.NullPool, hide_parameters=True
    )
    try:
        with engine.connect() as connection, connection.begin():
            connection.exec_driver_sql("BEGIN")
            yield connection
    finally:
        engine.dispose()


def set_aside(path: Path, name: str) -> Path:
    """Give a store's file a second name beside it, and whatever SQLite keeps with it that name alone; gives the new path.

    The file also keeps its old name until another takes its place: at no moment is there none, which would be taken for a store
    that is still to be made. Nobody may be using it.

    Raises:
        Unwritable: it cannot be done.
    """
    aside = path.with_name(f"{path.name}.{name}")
    number = 1
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.{name}-{number}")
    with _put_in_words(path):
        try:
            os.link(path, aside)
        except OSError:
            # A file system without second names.
            path.rename(aside)
        # Beside another file of the old name it would be taken for that one's.
        for ending in _BESIDE:
            beside = path.with_name(f"{path.name}{ending}")
            if beside.exists():
                beside.rename(aside.with_name(f"{aside.name}{ending}"))
        _to_the_disk(path.parent)
    return aside


@contextmanager
def _put_in_words(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unwritable(
            f"{path} cannot be written: {error.strerror or error}; name a file in a folder of yours"
        ) from error
    except (sa.exc.OperationalError, sqlite.driver().OperationalError) as error:
        raise Unwritable(f"{path} cannot be written: is its disk full?") from error


def _to_the_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _forget(path: Path) -> None:
    for ending in ("", *_BESIDE):
        with suppress(FileNotFoundError):
            path.with_name(f"{path.name}{ending}").unlink()
