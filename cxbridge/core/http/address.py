"""Which URLs a credential may be sent to; it must not send anything."""

import re
from collections.abc import Mapping, Sequence
from ipaddress import ip_address
from typing import Any
from urllib.parse import quote, unquote

from cxbridge.core.errors import Rejected
from cxbridge.core.http.library import httpx

Params = Mapping[str, Any] | Sequence[tuple[str, Any]]

# A path under the base that is a URL's path as it stands: no part of it is empty, begins with a dot or has to be escaped.
_AS_IT_STANDS = re.compile(r"/?[\w~-][\w.~-]*(?:/[\w~-][\w.~-]*)*", re.ASCII)

# Each ASCII letter that has to be escaped in a query, as it is written then.
_ESCAPES = {code: escaped for code in range(128) if (escaped := quote(chr(code), safe="")) != chr(code)}


class Base:
    """The place that a connection's credential is bound to: an origin, and the path that relative ones hang from.

    `hosts` are those that a whole URL may lead to besides, over https: names, or endings of names that begin with a dot.
    """

    def __init__(self, url: httpx.URL, hosts: Sequence[str] = ()) -> None:
        self._url = url
        self._hosts = tuple(host.lower() for host in hosts)
        self._prefix = raw_path(url).rstrip("/")

    def address(self, path: str, params: Params | None) -> tuple[httpx.URL, str]:
        """Make a URL of a path under the base, or take a whole URL of its origin or a vetted host; None parameters are left out.

        Gives the path beside, as a connector writes it: under the base, without query.

        Raises:
            Rejected: when it leads elsewhere, or could.
        """
        query = _query(params) if params else ""
        if _AS_IT_STANDS.fullmatch(path):
            shown = path if path[0] == "/" else f"/{path}"
            return self._under(f"{self._prefix}{shown}", query), shown
        url = self._located(path)
        if query:
            url = url.copy_with(query=b"&".join(part for part in (url.query, query.encode()) if part))
        return url, self._shown(url)

    def _shown(self, url: httpx.URL) -> str:
        path = raw_path(url)
        return path.removeprefix(self._prefix) if path.startswith(f"{self._prefix}/") else path

    def _under(self, path: str, query: str) -> httpx.URL:
        """Put path and query, in which nothing has to be escaped any more, in the place of the base's."""
        url = httpx.URL.__new__(httpx.URL)
        # Parsing would find the same, at a tenth of what a write costs us; there is no public way round it.
        url._uri_reference = self._url._uri_reference._replace(path=path, query=query or None)  # noqa: SLF001
        return url

    def _located(self, path: str) -> httpx.URL:
        plain = path.partition("?")[0]
        if any(unquote(part) in (".", "..") for part in plain.split("/")) or not path.isprintable() or "\\" in plain:
            raise Rejected("the path holds dots, backslashes or control characters that no path of an API has")
        try:
            if "://" not in plain:
                if plain.startswith("//"):
                    raise Rejected("the path begins with two slashes, which could name another host")
                # By way of the parser, which escapes what a path may not hold as it stands.
                escaped = httpx.URL(f"{self._prefix}/{path.removeprefix('/')}")
                return self._url.copy_with(raw_path=escaped.raw_path)
            url = httpx.URL(path).copy_with(fragment=None)
        except (httpx.InvalidURL, UnicodeError):
            raise Rejected("the path cannot be part of a URL") from None
        if url.userinfo or (_origin(url) != _origin(self._url) and not self._vetted(url)):
            raise Rejected(
                f"the address leads to {url.host[:100]} and not to the connection's own host: "
                "not followed, because the credential would go there"
            )
        return url

    def _vetted(self, url: httpx.URL) -> bool:
        host = url.host.lower()
        known = any(host.endswith(one) if one.startswith(".") else host == one for one in self._hosts)
        return known and _origin(url) == ("https", url.host, 443)


def safe_url(text: str, what: str, *, allow_http: bool) -> httpx.URL:
    """Read a URL that a credential may be sent to.

    Raises:
        ValueError: when it is no absolute https URL without user, query and fragment; http counts on this machine only.
    """
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError(f"the {what} is not a URL: write it as https://host") from None
    if url.scheme not in ("http", "https") or not url.host:
        raise ValueError(f"the {what} must begin with https:// and name a host")
    if url.userinfo or url.query or url.fragment:
        raise ValueError(f"the {what} must not hold a user, a password, a query or a fragment")
    if url.scheme == "http" and not (allow_http or on_this_machine(url.host)):
        raise ValueError(
            f"the {what} uses http, which anyone on the way can read: write https://, or allow http for it"
        )
    return url


def on_this_machine(host: str) -> bool:
    """Tell whether a host, by name or address, is this machine and can be nothing else."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def raw_path(url: httpx.URL) -> str:
    """Give the path as it is sent, without query."""
    return url.raw_path.partition(b"?")[0].decode("ascii")


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"https": 443, "http": 80}.get(url.scheme)


def _query(params: Params) -> str:
    parts = []
    for name, value in params.items() if isinstance(params, Mapping) else params:
        for one in value if isinstance(value, list | tuple) else (value,):
            if one is None:
                continue
            text = one if type(one) is str else str(one).lower() if isinstance(one, bool) else str(one)
            parts.append(f"{_escaped(name)}={_escaped(text)}")
    return "&".join(parts)


def _escaped(text: str) -> str:
    """Escape what a part of a query may not hold as it stands."""
    # The library goes letter by letter, which for a search takes as long as all else about its request.
    return text.translate(_ESCAPES) if text.isascii() else quote(text, safe="")
