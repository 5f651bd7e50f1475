"""What each vendor says: whether the credential works, how far its clock is from ours, what no longer fits; reads only.

A token that changes at every use is left as it is, since renewing it here would take it from the daemon.
"""

from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta

from cxbridge.core.clock import Clock
from cxbridge.core.connector import Client, Stream
from cxbridge.core.engine.checkup.findings import Finding, count, ok, problem, warning
from cxbridge.core.engine.connections import Connection, StoredTokens, over_the_network
from cxbridge.core.engine.soundness import Unsound, blaming, identity_of, page_of
from cxbridge.core.errors import CxbridgeError, Retryable, Unauthorized, VendorError
from cxbridge.core.http import MemoryTokens, Tokens, TokenStore, Transport, open_client
from cxbridge.core.http.auth import Grant
from cxbridge.core.store import SealedTokens, Store, checkpoints, condition

# Beyond this, what a vendor dates and what we date is out of order; beyond the second, signatures are refused as too old.
SKEWED = timedelta(seconds=30)
REFUSED_AT = timedelta(minutes=5)


class _Unrenewed(CxbridgeError):
    """The token would have to be renewed, which is not done here."""


class _Lent:
    """The tokens of the store for one look: new ones end with it, and one that changes at every use is never renewed."""

    def __init__(self, kept: TokenStore | None, clock: Clock, *, rotates: bool) -> None:
        self._kept = kept
        self._clock = clock
        self._rotates = rotates
        self._own = MemoryTokens()
        self._asked = False

    def read(self, connection: str) -> Tokens | None:
        """Give what is kept.

        Raises:
            _Unrenewed: it is of no use any more, and only a renewal could give another.
        """
        found = self._own.read(connection) or (self._kept.read(connection) if self._kept else None)
        if self._rotates:
            ended = found is None or (
                found.expires_at is not None and found.expires_at <= self._clock.now() + timedelta(minutes=1)
            )
            # It is asked for again only when the vendor refused the first.
            if ended or self._asked:
                raise _Unrenewed
            self._asked = True
        return found

    def write(self, connection: str, tokens: Tokens) -> None:
        """Keep tokens for as long as this look takes."""
        self._own.write(connection, tokens)


def asked(
    connections: Mapping[str, Connection],
    clock: Clock,
    store: Store | None,
    key: bytes | None,
    transport_of: Callable[[str], Transport | None] = over_the_network,
    *,
    deep: bool,
) -> Iterator[Finding]:
    """Ask the vendor of each connection what `connections check` asks; with `deep`, read a page of each stream as well."""
    kept = StoredTokens(SealedTokens(store, key)) if store is not None and key is not None else None
    silent = _silent(store, clock)
    for name, connection in connections.items():
        if name in silent:
            # Its vendor asked for that; it is told among what is kept back.
            continue
        try:
            endpoint = connection.connector.endpoint()
        except Exception as error:  # noqa: BLE001  # a plugin's mistake is one finding
            yield problem(
                name, f"has no usable endpoint ({type(error).__name__})", "mend its settings, or the plugin", 78
            )
            continue
        rotates = isinstance(endpoint.auth, Grant) and endpoint.auth.rotates
        client = open_client(
            endpoint,
            connection=name,
            clock=clock,
            tokens=_Lent(kept, clock, rotates=rotates),
            read_only=True,
            transport=transport_of(name),
        )
        with client:
            yield from _checked(connection, client)
            if deep:
                yield from _sampled(connection, client, store)
            yield from _skew(name, client)


def _silent(store: Store | None, clock: Clock) -> set[str]:
    if store is None:
        return set()
    with store.read() as tx:
        return {one.connection for one in condition.holds(tx, clock.now())}


def _checked(connection: Connection, client: Client) -> Iterator[Finding]:
    name = connection.name
    try:
        with blaming(connection.connector.name, "its check"):
            found = identity_of(connection.connector.check(client))
    except _Unrenewed:
        yield ok(name, "not asked: its token is due to be renewed, which the daemon does")
    except Unauthorized as error:
        yield problem(name, str(error), f"mend the credential, then: cxbridge connections check {name}", 77)
    except Retryable as error:
        yield problem(name, str(error), "look at the network and at the vendor's status page, then try again", 69)
    except VendorError as error:
        yield problem(name, str(error), "look at the connection's settings and at what its user may do", 78)
    except (CxbridgeError, Unsound) as error:
        yield problem(name, str(error), "look for a newer version of the plugin", 78)
    except Exception as error:  # noqa: BLE001  # the same
        yield problem(name, f"its check broke ({type(error).__name__})", "look for a newer version of the plugin", 78)
    else:
        yield ok(name, f"works, and belongs to {found.name}")
        for notice in found.notices:
            yield warning(name, notice, "as the sentence says")


def _skew(name: str, client: Client) -> Iterator[Finding]:
    skew = client.skew
    if skew is None or abs(skew) <= SKEWED:
        return
    told = f"its clock is {abs(skew).total_seconds():.0f} s {'ahead of' if skew > timedelta() else 'behind'} this machine's"
    remedy = "let this machine take its time from a server (NTP)"
    if abs(skew) >= REFUSED_AT:
        yield problem(name, f"{told}: signatures with a time in them are refused", remedy, 78)
    else:
        yield warning(name, told, remedy)


def _sampled(connection: Connection, client: Client, store: Store | None) -> Iterator[Finding]:
    """Read the next page of each stream and keep nothing: what cannot be read now is drift since it was last read."""
    for stream in connection.streams.values():
        if stream.pages is None:
            continue
        place = f"{connection.name}/{stream.name}"
        try:
            with blaming(connection.connector.name, f"stream {stream.name}"):
                page = next(iter(stream.pages(client, _cursor(store, connection.name, stream))), None)
                refused = () if page is None else page_of(page).mapped(stream.name).refused
        except _Unrenewed:
            return
        except Retryable as error:
            yield warning(place, f"a page could not be read now: {error}", "try again later")
        except (CxbridgeError, Unsound) as error:
            code = 77 if isinstance(error, Unauthorized) else 78
            yield problem(
                place, f"cannot be read: {error}", "its vendor's form may have changed: look for a newer cxbridge", code
            )
        except Exception as error:  # noqa: BLE001  # the same
            yield problem(
                place, f"its code broke ({type(error).__name__})", "look for a newer version of the plugin", 78
            )
        else:
            if refused:
                yield warning(
                    place,
                    f"{count(len(refused), 'record')} of the next page cannot be read: {refused[0]}",
                    "the vendor's form may have changed: look for a newer cxbridge",
                )


def _cursor(store: Store | None, connection: str, stream: Stream) -> object:
    if store is None or stream.order != "changed":
        return None
    with store.read() as tx:
        kept = checkpoints.get(tx, connection, stream.name)
    return kept.cursor if kept else None
