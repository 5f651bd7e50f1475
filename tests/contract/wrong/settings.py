"""Connectors that are wrong before anything is read: their settings, and what they say of a credential."""

from typing import Any

import httpx
from pydantic import ConfigDict

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, breaks


@breaks("the_connector_has_a_name")
def has_a_title_for_a_name(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        name = "Pulse Surveys"

    return right.lab(Wrong)


@breaks("the_plugin_brings_the_connector")
def is_brought_by_no_hook(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        pass

    return right.lab(Wrong)


@breaks("unknown_settings_are_refused")
def takes_any_setting(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        model_config = ConfigDict(extra="ignore")

    return right.lab(Wrong)


@breaks("settings_cannot_change")
def can_be_changed(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        model_config = ConfigDict(frozen=False)

    return right.lab(Wrong)


@breaks("secrets_are_hidden")
def shows_its_secret(right: Right) -> Lab:
    class Wrong(cx.Connector):
        name = "pulse"
        url: str
        token: str

        def endpoint(self) -> cx.Endpoint:
            return cx.Endpoint(self.url, auth=cx.Bearer(cx.Secret(self.token)))

    return right.lab(Wrong)


@breaks("secrets_are_hidden")
def quotes_its_settings_in_errors(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        model_config = ConfigDict(hide_input_in_errors=False)

    return right.lab(Wrong)


@breaks("the_endpoint_can_be_used")
def has_an_address_for_an_endpoint(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        def endpoint(self) -> Any:
            return self.url

    return right.lab(Wrong)


@breaks("check_names_whose_credential_it_is")
def names_nobody(right: Right) -> Lab:
    return right.with_check(lambda fine, client: cx.Identity(""))


@breaks("check_names_whose_credential_it_is")
def has_a_user_of_no_stream(right: Right) -> Lab:
    return right.with_check(lambda fine, client: cx.Identity(fine.check(client).name, "people/7"))


@breaks("check_tells_a_refused_credential")
def takes_any_credential(right: Right) -> Lab:
    def check(fine: Any, client: cx.Client) -> Any:
        try:
            return fine.check(client)
        except cx.Unauthorized:
            return cx.Identity("somebody")

    return right.with_check(check)


@breaks("check_tells_a_refused_credential")
def asks_what_anybody_may_ask(right: Right) -> Lab:
    def vendor(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"name": "anonymous"}) if request.url.path == "/me" else right.fake(request)

    return right.lab(vendor=vendor)


@breaks("check_tells_a_dead_host")
def takes_a_dead_host_for_a_bad_credential(right: Right) -> Lab:
    def check(fine: Any, client: cx.Client) -> Any:
        try:
            return fine.check(client)
        except cx.VendorError as error:
            raise cx.Unauthorized("it does not work") from error

    return right.with_check(check)
