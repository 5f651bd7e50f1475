"""Access tokens: obtained once for everybody, written before use, renewed ahead of their end; it must not send."""

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol, runtime_checkable

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.errors import RateLimited, Retryable, Unauthorized, VendorError, WireFormat
from cxbridge.core.http.auth import Auth, Grant, bearer
from cxbridge.core.http.reply import Reply
from cxbridge.core.http.request import lower
from cxbridge.core.http.wire import sendable

# Tokens are renewed this long before they end, or in the last fifth of a short life.
AHEAD = 60.0
# No token lives longer than ten years, whatever its reply says.
LONGEST_LIFE = 10 * 365 * 86400.0
# RFC 6749 §5.2: safe to show, unlike the description beside them.
_OAUTH_ERRORS = frozenset(
    {
        "invalid_request",
        "invalid_client",
        "invalid_grant",
        "unauthorized_client",
        "unsupported_grant_type",
        "invalid_scope",
    }
)
# Asked for in order to get a refresh token; vendors differ in whether they list it among what was granted.
_UNLISTED = frozenset({"offline_access"})


class Tokens(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a token endpoint gave. `expires_at` is by our clock; `root` tells which setting the tokens descend from."""

    access_token: str
    refresh_token: str | None = None
    expires_at: datetime | None = None
    scope: str = ""
    root: str = ""

    def __repr__(self) -> str:
        return f"Tokens(expires_at={self.expires_at}, scope={self.scope!r})"

    __str__ = __repr__


class TokenStore(Protocol):
    """Where tokens outlive the process."""

    def read(self, connection: str) -> Tokens | None:
        """Give what was last written, or None."""
        ...

    def write(self, connection: str, tokens: Tokens) -> None:
        """Keep all fields of the tokens durably before returning."""
        ...


@runtime_checkable
class SharedTokenStore(TokenStore, Protocol):
    """A store that several clients or processes share: it also lets only one of them renew at a time."""

    def exclusive(self, connection: str) -> AbstractContextManager[object]:
        """Hold everybody else off the tokens of that connection while inside."""
        ...


class MemoryTokens:
    """Tokens that end with the process: for one-off commands and tests."""

    def __init__(self) -> None:
        self._tokens: dict[str, Tokens] = {}
        self._lock = threading.Lock()
        self._turns: dict[str, threading.Lock] = {}

    def read(self, connection: str) -> Tokens | None:
        return self._tokens.get(connection)

    def write(self, connection: str, tokens: Tokens) -> None:
        self._tokens[connection] = tokens

    def exclusive(self, connection: str) -> AbstractContextManager[object]:
        with self._lock:
            return self._turns.setdefault(connection, threading.Lock())


@dataclass(frozen=True, slots=True)
class Credential:
    """What one request carries, by names in small letters. `token` is the access token, where it can be renewed."""

    headers: Mapping[str, str] = field(repr=False)
    token: str | None = field(default=None, repr=False)


class _Granted(msgspec.Struct):
    access_token: str
    expires_in: float | None = None
    refresh_token: str | None = None
    scope: str | None = None


class _Denied(msgspec.Struct):
    error: str = ""


# Sends the request for a token, and gives the answer whatever its status.
Obtain = Callable[[Grant, Mapping[str, object]], Reply]


class Session:
    """The credential of one connection as it is now; renewal is done once, whoever asks for it."""

    def __init__(self, auth: Auth, connection: str, clock: Clock, store: TokenStore) -> None:
        self._auth = auth
        self._connection = connection
        self._clock = clock
        self._store = store
        self._lock = threading.Lock()
        self._held: Tokens | None = None
        self._due: datetime | None = None
        self._unsaved: Tokens | None = None
        # What every request carries, where that never changes.
        self._fixed: Credential | None = None

    def credential(self, obtain: Obtain) -> Credential:
        """Give what the next request is to carry, obtaining or renewing a token where one is due.

        Raises:
            Unauthorized: when the token endpoint refuses.
            Retryable: when it cannot be reached; the request itself was not sent.
        """
        if not isinstance(self._auth, Grant):
            if self._fixed is None:
                self._fixed = Credential(_sendable(self._auth.headers()))
            return self._fixed
        held = self._held
        if held is None or self._is_due():
            held = self._renewed(self._auth, None, obtain)
        return Credential(_sendable(bearer(held.access_token)), held.access_token)

    def forget(self) -> None:
        """Keep nothing at hand of what requests carry."""
        self._fixed = None

    def renew(self, refused: Credential, obtain: Obtain) -> Credential | None:
        """Give a credential in place of one the vendor refused; None when there can be no other.

        A token that somebody else renewed meanwhile is taken over without asking again.
        """
        if not isinstance(self._auth, Grant):
            return None
        held = self._renewed(self._auth, refused.token, obtain)
        return Credential(_sendable(bearer(held.access_token)), held.access_token)

    def _is_due(self) -> bool:
        return self._due is not None and self._clock.now() >= self._due

    def _renewed(self, grant: Grant, refused: str | None, obtain: Obtain) -> Tokens:
        shared = self._store.exclusive(self._connection) if isinstance(self._store, SharedTokenStore) else nullcontext()
        with self._lock, shared:
            self._save()
            held = self._held
            if held is not None and held.access_token != refused and not self._is_due():
                return held
            stored = self._store.read(self._connection)
            if stored is not None and not self._descends(grant, stored):
                stored = None
            if stored is not None and stored.access_token != refused and self._serves(grant, stored):
                return self._take(stored, None)
            return self._obtained(grant, stored, obtain)

    def _obtained(self, grant: Grant, stored: Tokens | None, obtain: Obtain) -> Tokens:
        reply = obtain(grant, grant.request(stored.refresh_token if stored else None))
        if not 200 <= reply.status < 300:
            raise _denial(reply, grant)
        granted = _granted(reply)
        missing = _missing(grant.scope, granted.scope)
        lifetime = None if granted.expires_in is None else min(max(granted.expires_in, 0.0), LONGEST_LIFE)
        self._unsaved = Tokens(
            access_token=granted.access_token,
            # RFC 6749 §6: without a new refresh token the old one stays good.
            refresh_token=granted.refresh_token or (_used(grant, stored) if grant.rotates else None),
            expires_at=None if lifetime is None else reply.arrived + timedelta(seconds=lifetime),
            scope=granted.scope or grant.scope,
            root=grant.root(),
        )
        # The old refresh token may be dead by now: nothing is used, and nobody told of a lack, before this is durable.
        fresh = self._unsaved
        self._save()
        if missing:
            raise Unauthorized(
                f"the token lacks the scope {', '.join(missing)}: grant it and authorise the connection anew"
            )
        return self._take(fresh, lifetime)

    def _save(self) -> None:
        # After a failed write the pair lives here only; it is offered to the store again before anything else.
        if self._unsaved is not None:
            self._store.write(self._connection, self._unsaved)
            self._unsaved = None

    def _take(self, tokens: Tokens, lifetime: float | None) -> Tokens:
        ahead = AHEAD if lifetime is None else min(AHEAD, lifetime / 5)
        self._held = tokens
        self._due = None if tokens.expires_at is None else tokens.expires_at - timedelta(seconds=ahead)
        return tokens

    def _serves(self, grant: Grant, tokens: Tokens) -> bool:
        if _missing(grant.scope, tokens.scope):
            return False
        return tokens.expires_at is None or self._clock.now() < tokens.expires_at - timedelta(seconds=AHEAD)

    def _descends(self, grant: Grant, tokens: Tokens) -> bool:
        root = grant.root()
        return not root or not tokens.root or root == tokens.root


def _used(grant: Grant, stored: Tokens | None) -> str | None:
    used = grant.request(stored.refresh_token if stored else None).get("refresh_token")
    return used if isinstance(used, str) else None


def _granted(reply: Reply) -> _Granted:
    try:
        return msgspec.json.decode(reply.body, type=_Granted, strict=False)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise WireFormat("the token endpoint did not answer with an access token") from None


def _missing(asked: str, granted: str | None) -> list[str]:
    if not granted:  # RFC 6749 §5.1: left out when it is what was asked for
        return []
    return sorted(set(asked.split()) - set(granted.split()) - _UNLISTED)


def _denial(reply: Reply, grant: Grant) -> VendorError:
    retry_at = None if reply.retry_after is None else reply.arrived + timedelta(seconds=reply.retry_after)
    if reply.status == 429:
        return RateLimited("the token endpoint asks for patience", retry_at=retry_at, sent=False)
    if reply.status >= 500 or reply.status == 408:
        return Retryable("the token endpoint has trouble of its own", retry_at=retry_at, sent=False)
    if reply.status < 400:
        return WireFormat("the token endpoint sent us elsewhere: check the token URL")
    try:
        code = msgspec.json.decode(reply.body, type=_Denied).error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        code = ""
    told = f" ({code})" if code in _OAUTH_ERRORS else ""
    if code == "invalid_scope":
        return Unauthorized(f"the token endpoint does not grant the scope asked for{told}: ask for less, or allow more")
    if grant.rotates and code != "invalid_client":
        return Unauthorized(f"the refresh token is not accepted{told}: authorise this connection anew")
    return Unauthorized(f"the token endpoint refused{told}: check the client id and the client secret")


def _sendable(headers: Mapping[str, str]) -> Mapping[str, str]:
    if not all(sendable(value) for value in headers.values()):
        raise Unauthorized(
            "the secret holds a line break, a blank at its end or a letter that no token has: copy it anew"
        )
    return lower(headers)
