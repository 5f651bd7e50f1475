"""What a driver's error means to a person: one sentence with the remedy; bugs of ours pass through as they are."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from cxbridge.core.errors import ConfigError, CxbridgeError, StoreError

# SQLite's primary result codes (sqlite.org/rescode.html).
_SQLITE = {
    5: "is locked by another process: let it finish or stop it, then try again",
    6: "is locked by another process: let it finish or stop it, then try again",
    7: "could not be used for lack of memory: free some memory, then try again",
    8: "cannot be written: give this user write permission on the file and its directory",
    10: "met a disk error: look into the system's log before going on",
    11: "is damaged: restore it from a backup",
    13: "is full: free disk space, then try again",
    14: "cannot be opened: look at the path and at the permissions of its directory",
    18: "was given a value too big to keep",
    23: "cannot be opened: permission was denied",
    26: "is no database of cxbridge: look at the path, or restore it from a backup",
}
# Nothing but a person can mend these, so a program that starts must not be restarted over and over.
_SQLITE_FOR_A_PERSON = frozenset({8, 11, 14, 23, 26})

# PostgreSQL's SQLSTATE codes and classes (postgresql.org/docs/current/errcodes-appendix.html); the longest counts.
_POSTGRESQL = {
    "08": "lost the connection: see that the server is up, then try again",
    "22": "was given a value it cannot keep",
    "25P03": "gave up a transaction that stood still too long: try again",
    "25006": "is read-only: point the address at the primary server",
    "28": "refused this user: mend the user or password in the database address",
    "3D000": "does not exist: create the database, or mend its name in the address",
    "3F000": "has no such schema: create it, or mend search_path in the address",
    "40": "met a conflicting transaction: try again",
    "42501": "denies this user a needed permission: grant it",
    "53100": "is full: free disk space on its server, then try again",
    "53200": "could not be used for lack of memory on its server: try again",
    "53300": "has no free connection: raise max_connections or lower the number of workers",
    "53": "is short of resources: try again",
    "55P03": "is locked by another process: let it finish or stop it, then try again",
    "57": "was stopped by its administrator: try again once it is up",
    "58": "met an error of its system: look into the server's log",
    "XX": "reports damage: look into the server's log",
}
_POSTGRESQL_FOR_A_PERSON = ("25006", "28", "3D000", "3F000", "42501")


@contextmanager
def translated(place: str, *, opening: bool = False) -> Iterator[None]:
    """Turn driver errors into StoreError; while opening, what only a person can mend into ConfigError."""
    try:
        yield
    except (exc.TimeoutError, exc.DBAPIError) as error:
        told = translation(place, error, opening=opening)
        if told is None:
            raise
        raise told from error


def translation(place: str, error: BaseException, *, opening: bool = False) -> CxbridgeError | None:
    """Give the error to raise in place of one from below; None where it is not the database's, or a bug of ours."""
    if isinstance(error, exc.TimeoutError):
        return StoreError(f"{place} has no connection left for this program: too many threads read at once")
    return explain(place, error, opening=opening) if isinstance(error, exc.DBAPIError) else None


def explain(place: str, error: exc.DBAPIError, *, opening: bool = False) -> CxbridgeError | None:
    """Give the error to raise in place of a driver's, None where it is a bug of ours."""
    cause = error.orig
    code = getattr(cause, "sqlite_errorcode", None)
    if isinstance(code, int):
        return _sqlite(place, code & 0xFF, opening=opening)
    if isinstance(error, exc.IntegrityError | exc.ProgrammingError | exc.NotSupportedError) and not _denied(cause):
        return None
    state = getattr(cause, "sqlstate", None) or ""
    for length in (5, 3, 2):
        words = _POSTGRESQL.get(state[:length])
        if words:
            if opening and state.startswith(_POSTGRESQL_FOR_A_PERSON):
                return ConfigError(f"{place} {words}")
            return StoreError(f"{place} {words}")
    if isinstance(error, exc.DataError):
        # Found out by the driver, before the server could give a code.
        return StoreError(f"{place} {_POSTGRESQL['22']}")
    if isinstance(error, exc.OperationalError | exc.InterfaceError | exc.InternalError):
        # A refused or broken connection comes without a code.
        return StoreError(
            f"{place} cannot be reached: see that the server is up, and that address, user and password are right"
        )
    return None


def _sqlite(place: str, code: int, *, opening: bool) -> CxbridgeError | None:
    words = _SQLITE.get(code)
    if words is None:
        return None
    if opening and code in _SQLITE_FOR_A_PERSON:
        return ConfigError(f"{place} {words}")
    return StoreError(f"{place} {words}")


def _denied(cause: BaseException | None) -> bool:
    # psycopg counts a missing permission and an unknown schema among programming errors.
    return str(getattr(cause, "sqlstate", "") or "") in {"42501", "3F000"}
