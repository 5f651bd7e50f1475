"""Who is calling: API tokens, scoped tokens behind the gateway, and 3LO grants with rotating tokens. Guards no path.

On a real deployment the OAuth host and the gateway are hosts of their own; here one listener plays all three.
See `developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/`.
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from cxbridge.sandbox.jira.options import JiraOptions
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.wire import RefusedError, unauthenticated

Json = Any

CODE_TTL: Final = 300.0


@dataclass(frozen=True, slots=True)
class Caller:
    """`scopes` None means a credential without scopes; `app` names the 3LO app whose quota the call draws on."""

    user: User | None
    scopes: frozenset[str] | None = None
    app: str | None = None


@dataclass(slots=True)
class _Grant:
    app: str
    scopes: frozenset[str]
    refresh_token: str | None
    used: float


@dataclass(slots=True)
class Credentials:
    """The credentials of one site. Times are the sandbox clock's."""

    options: JiraOptions
    user: User
    tokens: set[str] = field(default_factory=set)
    scoped_tokens: set[str] = field(default_factory=set)
    scopes: frozenset[str] = frozenset()
    _codes: dict[str, tuple[str, str, float]] = field(default_factory=dict)
    _access: dict[str, tuple[_Grant, float]] = field(default_factory=dict)
    _grants: list[_Grant] = field(default_factory=list)
    _issued: int = 0

    @classmethod
    def of(cls, options: JiraOptions, user: User) -> "Credentials":
        return cls(options, user, set(options.tokens), set(options.scoped_tokens), frozenset(options.scopes))

    def on_site(self, authorization: str | None) -> Caller:
        """The caller of the site's own address, where only classic tokens are good.

        Raises:
            RefusedError: 401, a credential was given and is not good here.
        """
        if authorization is None:
            return Caller(None)
        email, token = _basic(authorization)
        if email.casefold() != self.user.email.casefold() or token not in self.tokens:
            raise unauthenticated()
        return Caller(self.user)

    def at_gateway(self, authorization: str | None, now: float) -> Caller:
        """The caller of the gateway address, where scoped tokens and access tokens of a grant are good.

        Raises:
            RefusedError: 401, the credential is missing, unknown or expired.
        """
        scheme, _, rest = (authorization or "").partition(" ")
        if scheme.lower() == "bearer":
            granted = self._access.get(rest)
            if granted is not None and now < granted[1]:
                return Caller(self.user, granted[0].scopes, granted[0].app)
            if rest in self.scoped_tokens:
                return Caller(self.user, self.scopes)
        elif scheme.lower() == "basic":
            email, token = _basic(authorization or "")
            if email.casefold() == self.user.email.casefold() and token in self.scoped_tokens:
                return Caller(self.user, self.scopes)
        raise gateway_refused(401, "Unauthorized")

    def new_code(self, client_id: str, redirect_uri: str, now: float) -> str:
        """An authorization code, as the consent page hands to the app: good once, for five minutes.

        Raises:
            LookupError: the app is not registered.
        """
        if client_id not in self.options.oauth_clients:
            raise LookupError(client_id)
        code = self._new("code")
        self._codes[code] = (client_id, redirect_uri, now + CODE_TTL)
        return code

    def token(self, body: Mapping[str, Json], now: float) -> dict[str, Json]:
        """The answer of the token path to either grant type.

        Raises:
            RefusedError: 401 for a wrong client, 403 for a dead code or refresh token, 400 for anything else.
        """
        client = self.options.oauth_clients.get(str(body.get("client_id")))
        if client is None or body.get("client_secret") != client.secret:
            raise _oauth_refused(401, "access_denied", "Unauthorized")
        app = str(body["client_id"])
        kind = body.get("grant_type")
        if kind == "authorization_code":
            code = self._codes.pop(str(body.get("code")), None)
            if code is None or code[0] != app or code[1] != body.get("redirect_uri") or now >= code[2]:
                raise _oauth_refused(403, "invalid_grant", "Invalid authorization code")
            grant = _Grant(app, frozenset(client.scopes), None, now)
            self._grants.append(grant)
        elif kind == "refresh_token":
            grant = self._by_refresh_token(app, body.get("refresh_token"), now)
        else:
            raise _oauth_refused(400, "unsupported_grant_type", f"Unsupported grant type: {kind}")
        return self._tokens(grant, now)

    def set_scopes(self, scopes: Sequence[str] | None) -> None:
        """Change what scoped tokens and living grants may do; None changes nothing."""
        if scopes is not None:
            self.scopes = frozenset(scopes)
            for grant in self._grants:
                grant.scopes = frozenset(scopes)

    def revoke_grants(self) -> None:
        """End every grant, as its user does on the page of connected apps."""
        self._grants.clear()
        self._access.clear()

    def _by_refresh_token(self, app: str, token: Json, now: float) -> _Grant:
        for grant in self._grants:
            if grant.refresh_token is not None and grant.refresh_token == token and grant.app == app:
                if now - grant.used < self.options.refresh_token_idle:
                    return grant
                self._grants.remove(grant)
                break
        raise _oauth_refused(403, "invalid_grant", "Unknown or invalid refresh token.")

    def _tokens(self, grant: _Grant, now: float) -> dict[str, Json]:
        access = self._new("access")
        self._access[access] = (grant, now + self.options.access_token_ttl)
        grant.used = now
        answer: dict[str, Json] = {
            "access_token": access,
            "expires_in": self.options.access_token_ttl,
            "token_type": "Bearer",
            "scope": " ".join(sorted(grant.scopes)),
        }
        if "offline_access" in grant.scopes:
            # Each refresh token works once: the one just used is dead as soon as this is set.
            grant.refresh_token = self._new("refresh")
            answer["refresh_token"] = grant.refresh_token
        return answer

    def _new(self, kind: str) -> str:
        self._issued += 1
        return f"sandbox-{kind}-{self._issued}"


def gateway_refused(status: int, message: str) -> RefusedError:
    return RefusedError(status, {"code": status, "message": message})


def _oauth_refused(status: int, error: str, description: str) -> RefusedError:
    return RefusedError(status, {"error": error, "error_description": description})


def _basic(authorization: str) -> tuple[str, str]:
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        email, _, token = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return email, token
