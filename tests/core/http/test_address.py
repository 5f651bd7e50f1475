"""Addresses: one that needs no escaping is built without the parser's help and must come out as the parser would have it."""

from urllib.parse import quote, urlencode

import httpx
import pytest

from cxbridge.core.errors import Rejected
from cxbridge.core.http.address import Base

ROOTS = (
    "https://acme.example",
    "https://acme.example/a%20b/%C3%BC",
    "https://acme.example/",
    "https://api.example/ex/jira/1/",
    "http://127.0.0.1:8080/x",
)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize(
    "path", ["/rest/api/3/issue", "tickets/1.json", "/a-b/c~d/e_f.g", "a//b", "/a/", "/ä b", "/a%2Fb"]
)
@pytest.mark.parametrize(
    ("params", "query"), [(None, ""), ({"ids": [1, 2], "q": "x y&", "no": None}, "ids=1&ids=2&q=x%20y%26")]
)
def test_whatever_the_path_looks_like_it_hangs_from_the_base(
    root: str, path: str, params: dict[str, object] | None, query: str
) -> None:
    made, _ = Base(httpx.URL(root)).address(path, params)
    whole = f"{root.rstrip('/')}/{path.removeprefix('/')}"
    assert made == httpx.URL(f"{whole}?{query}" if query else whole)
    assert made.query.decode() == query


@pytest.mark.parametrize("text", ["".join(map(chr, range(128))), "Zo\u00eb & \u4e16/\U0001f600", "a b+c%20", ""])
def test_a_query_is_escaped_as_the_library_would(text: str) -> None:
    made, _ = Base(httpx.URL(ROOTS[0])).address("/a", {"q": text, text: 1})
    assert made.query.decode() == urlencode([("q", text), (text, "1")], quote_via=quote)
    assert httpx.QueryParams(made.query.decode())["q"] == text


@pytest.mark.parametrize(
    "path",
    ["//evil.example/a", "/../a", "/a/..", "/a/%2e%2e/b", "/./a", "..", "/a\\b", "/a\nb", "https://evil.example/a"],
)
def test_no_path_leads_away_from_it(path: str) -> None:
    with pytest.raises(Rejected):
        Base(httpx.URL("https://acme.example/x")).address(path, None)
