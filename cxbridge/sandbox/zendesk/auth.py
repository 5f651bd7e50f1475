"""Who may call: API tokens, OAuth clients, their tokens and scopes. Decides nothing about single records.

developer.zendesk.com/api-reference/ticketing/oauth/grant_type_tokens for the token endpoint.
"""

import base64
import binascii
import hashlib
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cxbridge.sandbox.zendesk.entities import User
from cxbridge.sandbox.zendesk.errors import ApiError, invalid_token, missing_scope, oauth, unauthenticated
from cxbridge.sandbox.zendesk.state import Json, ZendeskState

_RESOURCES = (
    "tickets", "users", "organizations", "hc", "webhooks", "satisfaction_ratings", "auditlogs", "triggers",
    "automations", "targets", "macros", "requests", "apps", "zis", "any_channel",
)  # fmt: skip
_KNOWN = {"read", "write", "impersonate"} | {f"{r}:{verb}" for r in _RESOURCES for verb in ("read", "write")}
_CODE_LIFETIME = 120
_REFRESH_LIFETIME = 2_592_000


@dataclass(slots=True)
class Grant:
    """An access token: whose it is, what it may do, until when."""

    user_id: int
    client: str
    scopes: frozenset[str]
    expires: float


class Credentials:
    """The account's API tokens and the OAuth tokens it has issued."""

    def __init__(self, state: ZendeskState) -> None:
        self._state = state
        self._numbers = itertools.count(1)
        self._grants: dict[str, Grant] = {}
        self._refreshers: dict[str, tuple[str, Grant, float]] = {}
        self._codes: dict[str, tuple[Grant, str, float]] = {}

    def identify(self, authorization: str | None) -> tuple[User, Grant | None]:
        """The user behind an `Authorization` header, and the grant if it is an OAuth token.

        Raises:
            ApiError: 401.
        """
        scheme, _, value = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            grant = self._grants.get(value.strip())
            if grant is None or grant.expires <= self._state.world.clock.time():
                raise invalid_token()
            return self._active(grant.user_id), grant
        if scheme.lower() == "basic":
            try:
                login, _, secret = base64.b64decode(value, validate=True).decode().partition(":")
            except (binascii.Error, UnicodeDecodeError):
                raise unauthenticated() from None
            # Passwords are gone: only `address/token` with an API token logs in.
            email, slash, word = login.rpartition("/")
            user = self._state.user_by_email(email) if slash and word == "token" else None
            if user is not None and user.is_staff and secret in self._state.options.tokens:
                return self._active(user.id), None
        raise unauthenticated()

    def _active(self, ident: int) -> User:
        user = self._state.users[ident]
        if not user.active or user.suspended:
            raise unauthenticated()
        return user

    def authorize(self, query: Mapping[str, str]) -> str:
        """Say yes for the integration user at once, and return where the browser is sent with the code."""
        client = query.get("client_id", "")
        if client not in self._state.options.oauth_clients or not query.get("redirect_uri"):
            raise oauth("invalid_client", "Client authentication failed due to unknown client.", 401)
        grant = self._new_grant(client, query.get("scope"))
        code = self._word("code")
        challenge = query.get("code_challenge", "")
        self._codes[code] = (grant, challenge, self._state.world.clock.time() + _CODE_LIFETIME)
        joiner = "&" if "?" in query["redirect_uri"] else "?"
        return f"{query['redirect_uri']}{joiner}code={code}&state={query.get('state', '')}"

    def issue(self, body: Mapping[str, Any]) -> Json:
        """Answer the token endpoint.

        Raises:
            ApiError: the OAuth error that fits.
        """
        kind = body.get("grant_type")
        client = str(body.get("client_id") or "")
        known = self._state.options.oauth_clients.get(client)
        secret = body.get("client_secret")
        # A public client may redeem a code with its verifier, and refresh, without the secret.
        secretless = secret is None and kind in ("refresh_token", "authorization_code")
        if known is None or (secret != known.secret and not secretless):
            raise oauth("invalid_client", "Client authentication failed due to unknown client.", 401)
        lifetime = _between(body, "expires_in", 300, 172_800, self._state.options.access_token_ttl)
        refresh_lifetime = _between(body, "refresh_token_expires_in", 604_800, 7_776_000, _REFRESH_LIFETIME)
        if kind == "client_credentials":
            return self._pair(self._new_grant(client, body.get("scope")), lifetime, refresh_lifetime)
        if kind == "authorization_code":
            return self._pair(self._redeemed(body, secretless=secretless), lifetime, refresh_lifetime)
        if kind == "refresh_token":
            return self._pair(self._refreshed(client, body), lifetime, refresh_lifetime)
        raise oauth("unsupported_grant_type", "The authorization grant type is not supported.")

    def _new_grant(self, client: str, scope: object) -> Grant:
        options = self._state.options
        ceiling = set(options.oauth_clients[client].scope.split())
        scopes = frozenset(str(scope or "read").split())
        for name in scopes & _KNOWN:
            # An unknown name is let through: it yields a token that may do nothing.
            if name not in ceiling and name.rpartition(":")[2] not in ceiling:
                raise oauth("invalid_scope", "The requested scope is invalid, unknown, or malformed.")
        user = self._state.user_by_email(options.oauth_clients[client].user or options.user)
        if user is None:
            raise oauth("invalid_client", f"The user of client {client} does not exist.", 401)
        return Grant(user.id, client, scopes, 0)

    def _redeemed(self, body: Mapping[str, Any], *, secretless: bool) -> Grant:
        grant, challenge, until = self._codes.pop(str(body.get("code")), (None, "", 0.0))
        if grant is None or until <= self._state.world.clock.time() or grant.client != body.get("client_id"):
            raise oauth("invalid_grant", "The provided authorization grant is invalid, expired or revoked.")
        if secretless or challenge:
            digest = hashlib.sha256(str(body.get("code_verifier") or "").encode()).digest()
            made = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
            if challenge not in (made, body.get("code_verifier")):
                raise oauth("invalid_grant", "The code verifier does not match the challenge.")
        return grant

    def _refreshed(self, client: str, body: Mapping[str, Any]) -> Grant:
        """Spend a refresh token: it and its access token are gone, their successors are not touched by a replay."""
        access, grant, until = self._refreshers.pop(str(body.get("refresh_token")), ("", None, 0.0))
        if grant is None or grant.client != client or until <= self._state.world.clock.time():
            raise oauth("invalid_grant", "The provided authorization grant is invalid, expired or revoked.")
        self._grants.pop(access, None)
        return Grant(grant.user_id, client, grant.scopes, 0)

    def _pair(self, grant: Grant, lifetime: int, refresh_lifetime: int) -> Json:
        now = self._state.world.clock.time()
        grant.expires = now + lifetime
        access, refresh = self._word("access"), self._word("refresh")
        self._grants[access] = grant
        self._refreshers[refresh] = (access, grant, now + refresh_lifetime)
        # The names of the two lifetimes are unverified, and so is a refresh token for client credentials.
        return {
            "access_token": access,
            "token_type": "bearer",
            "scope": " ".join(sorted(grant.scopes)),
            "refresh_token": refresh,
            "expires_in": lifetime,
            "refresh_token_expires_in": refresh_lifetime,
        }

    def _word(self, kind: str) -> str:
        number = next(self._numbers)
        return f"sandbox-{kind}-{number}-{hashlib.sha256(f'{kind}{number}'.encode()).hexdigest()[:12]}"


def require_scope(grant: Grant | None, method: str, path: str) -> None:
    """Refuse a token whose scopes do not cover a request; API tokens cover everything.

    Raises:
        ApiError: 403.
    """
    if grant is None:
        return
    verb = "read" if method in ("GET", "HEAD") else "write"
    parts = path.strip("/").split("/")
    resource = parts[1] if parts[0] in ("incremental", "imports") and len(parts) > 1 else parts[0]
    resource = {"help_center": "hc", "guide": "hc", "deleted_tickets": "tickets", "ticket_events": "tickets"}.get(
        resource, resource
    )
    if not grant.scopes & {verb, f"{resource}:{verb}"}:
        raise missing_scope(verb)


def _between(body: Mapping[str, Any], name: str, low: int, high: int, default: int) -> int:
    if body.get(name) is None:
        return default
    value = body[name]
    if not isinstance(value, int) or not low < value < high:
        raise ApiError(400, {"error": "invalid_request", "error_description": f"{name} is out of range"})
    return value
