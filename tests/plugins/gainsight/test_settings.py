"""What an administrator may write, and what is said when it cannot work."""

from typing import Any

import pytest
from pydantic import ValidationError

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import AccessKey, Gainsight, cxbridge_connectors

from .conftest import SITE, settings


def told(**changed: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        settings(**changed)
    return str(caught.value)


def test_the_plugin_brings_one_connector() -> None:
    assert cxbridge_connectors() == [Gainsight]
    assert Gainsight.name == "gainsight"


@pytest.mark.parametrize(
    "written", ["acme", " acme ", "ACME", "acme.gainsightcloud.com", "https://acme.gainsightcloud.com/", "acme/"]
)
def test_a_tenant_is_named_in_any_of_its_forms(written: str) -> None:
    assert settings(domain=written).endpoint().base_url == SITE


@pytest.mark.parametrize(
    "written",
    [
        "https://user@acme.gainsightcloud.com",
        "acme.gainsightcloud.com:8443",
        "acme.gainsightcloud.com/v1",
        "acme.gainsightcloud.com?x=1",
        "http://acme.gainsightcloud.com",
        "acme#.gainsightcloud.com",
        "",
        "-acme",
        "acme..com",
    ],
)
def test_what_is_no_domain_is_refused(written: str) -> None:
    assert "the tenant's domain" in told(domain=written)


@pytest.mark.parametrize(
    "host", ["gainsight.acme.example", "acme.gainsightcloud.com.evil.example", "evilgainsightcloud.com"]
)
def test_a_host_of_ones_own_takes_a_second_word(host: str) -> None:
    assert "own_domain = true" in told(domain=host)
    assert settings(domain=host, own_domain=True).endpoint().base_url == f"https://{host}"


def test_a_simulator_is_on_this_machine() -> None:
    assert settings(domain=None, url="http://127.0.0.1:8903/").endpoint().base_url == "http://127.0.0.1:8903"
    assert "named by its domain" in told(domain=None, url="https://acme.gainsightcloud.com")
    assert "name the tenant" in told(url="http://127.0.0.1:8903")
    assert "name the tenant" in told(domain=None)


def test_a_key_is_a_header_of_its_own() -> None:
    auth = settings().endpoint().auth
    assert isinstance(auth, AccessKey)
    assert auth.headers() == {"AccessKey": "a-fake-key"}
    assert "a-fake-key" not in repr(auth)


def test_a_client_proves_itself_in_a_header_and_sends_no_key() -> None:
    auth = settings(access_key=None, client_id="m2m", client_secret="a-fake-secret").endpoint().auth
    assert isinstance(auth, cx.ClientCredentials)
    assert auth.token_url == f"{SITE}/v1/users/m2m/oauth/token"
    assert auth.request(None) == {"grant_type": "client_credentials"}
    assert auth.proof()["Authorization"].startswith("Basic ")
    assert "AccessKey" not in auth.headers()


def test_the_credential_is_whole_and_one() -> None:
    assert "not complete" in told(access_key=None)
    assert "not complete" in told(access_key=None, client_id="m2m")
    assert "not both" in told(client_id="m2m", client_secret="a-fake-secret")
    assert "not both" in told(client_id="m2m")


def test_budgets_are_counted_by_us() -> None:
    minute, day = settings().endpoint().quotas
    assert (minute.limit, minute.seconds, day.limit, day.seconds) == (30, 60, 50_000, 86_400)
    assert settings(per_minute=100).endpoint().quotas[0].limit == 100
    assert "per_minute" in told(per_minute=101)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"fields": {"arr": "ARR", "also": "ARR"}}, "two names stand for the same field"),
        ({"fields": {"Arr": "ARR"}}, "fields"),
        ({"fields": {"arr": "Csm__gr.Email"}}, "fields"),
        ({"health_bands": [76, 51]}, "the lower one first"),
        ({"health_bands": [0, 51]}, "the lower one first"),
        ({"filter_timezone": "Mars/Olympus"}, "write a time zone"),
        ({"page": 5001}, "page"),
        ({"overlap": 60}, "overlap"),
        ({"webhook_secret_old": "a-fake-word"}, "give the new one too"),
    ],
)
def test_settings_that_cannot_work(changed: dict[str, Any], said: str) -> None:
    assert said in told(**changed)


def test_only_the_listed_posts_are_reads() -> None:
    reads = settings().endpoint().reads
    assert reads is not None
    assert reads("POST", "/v1/data/objects/query/Company")
    assert reads("POST", "/v2/cockpit/cta/list")
    assert reads("POST", "/v1/meta/services/objects/describe")
    for method, path in (
        ("POST", "/v1/data/objects/Company"),
        ("POST", "/v2/cockpit/cta/"),
        ("PUT", "/v1/data/objects/query/Company"),
        ("DELETE", "/v1/data/objects/query/Company"),
        ("POST", "/v1/data/objects/query/Company/1P02"),
        ("POST", "/v1/ant/es/activity"),
    ):
        assert not reads(method, path)
