"""A record's key at a glance: right wherever it is told, and never somebody else's text."""

import pytest

from cxbridge.plugins.zendesk.wire import STATUS_ID, key_of


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b'{"id":35436,"url":"https://x"}', "35436"),
        (b'{"url":"https://x/1.json","id":35436,"subject":"\\"id\\":7"}', "35436"),
        (b' { "url" : "https://x" , "id" : 12 }', "12"),
        (b'{"name":"\\"id\\":7","id":12}', "12"),
        (b'{"from":{"id":7},"id":12}', "12"),
        (b'{"url":"a\\",\\"id\\":7","id":12}', "12"),
        (b'{"id":"12"}', None),
        (b'{"id":1.5}', None),
        (b'{"id":null}', None),
        (b"{}", None),
        (b"[]", None),
        (b"no JSON", None),
    ],
)
def test_a_key_at_a_glance(raw: bytes, key: str | None) -> None:
    assert key_of(raw) == key


def test_a_status_of_the_accounts_own_is_told_from_a_text() -> None:
    assert STATUS_ID.search(b'{"id":1,"custom_status_id": 9}')
    assert not STATUS_ID.search(b'{"id":1,"custom_status_id":null,"subject":"\\"custom_status_id\\":9"}')
