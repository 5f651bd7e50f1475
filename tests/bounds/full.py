"""Places that run full: a database that may grow no further, and a small file system of its own."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cxbridge.core.store import Store

_UNBOUNDED = 0xFFFFFFFE


class Pages:
    """SQLite's own limit: the database counts as full at as many pages as it has now, and some."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def fill(self, room: int = 0) -> None:
        """Leave room for so many pages of 16 KiB."""
        with self._store.write() as tx:
            now = tx.connection.exec_driver_sql("PRAGMA page_count").scalar_one()
            tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {now + room}")

    def free(self) -> None:
        with self._store.write() as tx:
            tx.connection.exec_driver_sql(f"PRAGMA max_page_count = {_UNBOUNDED}")


class Disk:
    """A file system of some MiB, filled up by a file beside the store."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self._filler = place / "filler"

    def fill(self, room: int = 0) -> None:
        """Leave room for so many pages of 16 KiB."""
        left = shutil.disk_usage(self.place).free - room * 16384
        with self._filler.open("ab") as file:
            file.write(b"\0" * max(0, left))

    def free(self) -> None:
        self._filler.unlink()


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[Disk]:
    """Mount a small file system there; skips where this user may not."""
    place.mkdir()
    told = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size},mode=700", "tmpfs", str(place)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode:
        pytest.skip(f"no file system can be mounted by this user: {told.stderr.strip()}")
    try:
        yield Disk(place)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def sound(store: Store) -> None:
    """See that nothing is half-written."""
    with store.read() as tx:
        assert tx.connection.exec_driver_sql("PRAGMA integrity_check").scalars().all() == ["ok"]
        assert tx.connection.exec_driver_sql("PRAGMA foreign_key_check").all() == []
