"""How a connection proves who it is: frozen values without state; it must not send, store or renew anything."""

import hashlib
from abc import ABC, abstractmethod
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from pydantic import SecretStr

from cxbridge.core.errors import Unauthorized


class Auth:
    """A way to prove who asks. A subclass is a frozen dataclass whose secrets are `SecretStr`."""

    def headers(self) -> Mapping[str, str]:
        """Give the headers of every request."""
        return {}


@dataclass(frozen=True, slots=True)
class Anonymous(Auth):
    """Nobody in particular."""


@dataclass(frozen=True, slots=True)
class Basic(Auth):
    """A user and a secret (a token where the vendor has them)."""

    user: str = field(repr=False)
    secret: SecretStr

    def headers(self) -> Mapping[str, str]:
        pair = b64encode(f"{self.user}:{self.secret.get_secret_value()}".encode()).decode("ascii")
        return {"Authorization": f"Basic {pair}"}


@dataclass(frozen=True, slots=True)
class Bearer(Auth):
    """A token that an administrator made and that does not change by itself."""

    secret: SecretStr

    def headers(self) -> Mapping[str, str]:
        return bearer(self.secret.get_secret_value())


class Grant(Auth, ABC):
    """A way to obtain access tokens from `token_url`; the client asks for them and keeps them.

    `encoding` is how the token endpoint wants its request: JSON, or a form as RFC 6749 has it.
    """

    token_url: str
    scope: str
    encoding: Literal["json", "form"]
    # Whether the refresh token, rather than the client's own secret, is what obtains the next access token.
    rotates: ClassVar[bool]

    @abstractmethod
    def request(self, refresh_token: str | None) -> Mapping[str, object]:
        """Give the fields of the request for a token."""

    def proof(self) -> Mapping[str, str]:
        """Give the headers by which the client proves itself where it does not do so by fields."""
        return {}

    @abstractmethod
    def root(self) -> str:
        """Give a fingerprint of what the administrator configured, so that tokens of an older setting are told."""


@dataclass(frozen=True, slots=True)
class ClientCredentials(Grant):
    """OAuth 2.0 client credentials: the program itself is the user. `scope` is separated by spaces.

    With `basic` the client's id and secret go into an Authorization header instead of among the fields.
    """

    token_url: str
    client_id: str
    client_secret: SecretStr
    scope: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    encoding: Literal["json", "form"] = "json"
    basic: bool = False
    rotates: ClassVar[bool] = False

    def request(self, refresh_token: str | None) -> Mapping[str, object]:
        fields: dict[str, object] = {"grant_type": "client_credentials"}
        if not self.basic:
            fields |= {"client_id": self.client_id, "client_secret": self.client_secret.get_secret_value()}
        if self.scope:
            fields["scope"] = self.scope
        return {**fields, **self.extra}

    def proof(self) -> Mapping[str, str]:
        return Basic(self.client_id, self.client_secret).headers() if self.basic else {}

    def root(self) -> str:
        return _fingerprint(self.token_url, self.client_id, self.client_secret.get_secret_value(), self.scope)


@dataclass(frozen=True, slots=True)
class RefreshToken(Grant):
    """OAuth 2.0 with a refresh token that may change at every use; `first` is the one a person's consent gave.

    A new `first` replaces whatever was stored under the old one. `scope`, where given, is what must have been granted.
    """

    token_url: str
    client_id: str
    client_secret: SecretStr | None = None
    first: SecretStr | None = None
    scope: str = ""
    extra: Mapping[str, object] = field(default_factory=dict, repr=False)
    encoding: Literal["json", "form"] = "json"
    rotates: ClassVar[bool] = True

    def request(self, refresh_token: str | None) -> Mapping[str, object]:
        token = refresh_token or (self.first.get_secret_value() if self.first else None)
        if not token:
            raise Unauthorized("there is no refresh token yet: authorise this connection once and store the token")
        fields: dict[str, object] = {
            "grant_type": "refresh_token",
            "client_id": self.client_id,
            "refresh_token": token,
        }
        if self.client_secret is not None:
            fields["client_secret"] = self.client_secret.get_secret_value()
        return {**fields, **self.extra}

    def root(self) -> str:
        return _fingerprint(self.first.get_secret_value()) if self.first else ""


def bearer(token: str) -> Mapping[str, str]:
    """Give the header that carries an access token."""
    return {"Authorization": f"Bearer {token}"}


def _fingerprint(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]
