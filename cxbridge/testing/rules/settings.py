"""Rules about the settings of a connection and about importing a connector."""

import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr, ValidationError

from cxbridge.core.connector import Endpoint
from cxbridge.testing import quiet
from cxbridge.testing.findings import Finding, Ruled, rule
from cxbridge.testing.lab import Lab

_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_NOBODYS = "not_a_setting_of_anybody"
# Shorter ones turn up in any text by chance.
_SHORTEST = 8


class SettingsRules(Ruled):
    """What a connector is before anything is sent."""

    @rule
    def test_the_connector_has_a_name(self, lab: Lab) -> Iterator[Finding]:
        """`name` is a word in lower case, set on the class."""
        name = getattr(lab.connector, "name", None)
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            yield Finding(
                "", f"its name is {name!r}", 'set name = "…" on the class: lower case letters, digits, - and _'
            )

    @rule
    def test_the_plugin_brings_the_connector(self, lab: Lab) -> Iterator[Finding]:
        """The module implements the hook `cxbridge_connectors`, and the connector is in what it gives."""
        module = sys.modules[lab.connector.__module__]
        hook: Any = getattr(module, "cxbridge_connectors", None)
        if hook is None:
            yield Finding(
                "", f"{module.__name__} has no function cxbridge_connectors", "add it: see cxbridge.core.connector"
            )
        elif not hasattr(hook, "cxbridge_impl"):
            yield Finding("", "cxbridge_connectors is not marked as a hook", "put @cx.hookimpl above it")
        elif lab.connector not in hook():
            yield Finding("", "cxbridge_connectors does not give this connector", f"return [{lab.connector.__name__}]")

    @rule
    def test_unknown_settings_are_refused(self, lab: Lab) -> Iterator[Finding]:
        """A misspelt setting is an error, never ignored."""
        try:
            lab.connect(**{_NOBODYS: 1})
        except ValidationError:
            return
        yield Finding("", f"took the setting {_NOBODYS}", 'keep extra="forbid" of Connector.model_config')

    @rule
    def test_settings_cannot_change(self, lab: Lab) -> Iterator[Finding]:
        """A connector is frozen and holds no state: equal settings make equal connectors."""
        made = lab.connect()
        for name in type(made).model_fields:
            try:
                setattr(made, name, getattr(made, name))
            except ValidationError:
                continue
            yield Finding(name, "can be set after the connector was made", "keep frozen=True of Connector.model_config")
        if lab.connect() != lab.connect():
            yield Finding("", "two connectors of the same settings differ", "hold nothing but settings in the fields")

    @rule
    def test_secrets_are_hidden(self, lab: Lab) -> Iterator[Finding]:
        """No secret shows in the connector or its endpoint as text or JSON, nor in the error about a wrong setting."""
        for name in lab.unguarded():
            yield Finding(name, "sounds like a secret and is plain text", f"declare it as {name}: cx.Secret")
        made = lab.connect()
        endpoint = made.endpoint()
        shown = {
            "repr() of the connector": repr(made),
            "str() of the connector": str(made),
            "the connector as JSON": made.model_dump_json(),
            "repr() of the endpoint": repr(endpoint),
            "repr() of the credential": repr(endpoint.auth),
        }
        for name, secret in lab.secrets().items():
            if len(secret) < _SHORTEST:
                yield Finding(name, "is too short to be looked for", f"give the lab one of {_SHORTEST} letters or more")
                continue
            told = dict(shown)
            for what, changed in ((f"{name} = [secret]", {name: [secret]}), ("a setting too many", {_NOBODYS: secret})):
                try:
                    lab.connect(**changed)
                except ValidationError as error:
                    told[f"the error about {what}"] = f"{error} {error!r}"
            for where, text in told.items():
                if secret in text:
                    remedy = "type it cx.Secret, keep hide_input_in_errors=True, and unwrap it in endpoint() only"
                    yield Finding(name, f"is readable in {where}", remedy)

    @rule
    def test_the_endpoint_can_be_used(self, lab: Lab) -> Iterator[Finding]:
        """`endpoint()` gives an `Endpoint`, the same at every call."""
        made = lab.connect()
        first: Any = made.endpoint()
        second: Any = made.endpoint()
        if not isinstance(first, Endpoint):
            yield Finding("", f"endpoint() gave {type(first).__name__}", "return cx.Endpoint(url, auth=…)")
        elif (first.base_url, first.auth) != (second.base_url, second.auth):
            yield Finding("", "endpoint() gave two different ones", "build it of the settings alone")

    @rule
    def test_nothing_happens_before_it_is_asked_for(self, lab: Lab) -> Iterator[Finding]:
        """Importing and making the connector, its endpoint, streams and actions connects nowhere and starts nothing."""
        # As they were given: what the connector made of them may be objects of its own.
        plain = {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in lab.settings.items()
        }
        told = {
            "path": sys.path,
            "module": lab.connector.__module__,
            "file": inspect.getsourcefile(lab.connector) or "",
            "name": lab.connector.__qualname__,
            "settings": plain,
        }
        done = subprocess.run(  # noqa: S603  # our own interpreter, our own file
            [sys.executable, "-P", str(Path(quiet.__file__))],
            input=msgspec.json.encode(told),
            capture_output=True,
            check=False,
        )
        last = (done.stderr.decode(errors="replace").strip().splitlines() or ["no word"])[-1]
        if done.returncode == 3:
            yield Finding(
                "", f"went outside: {last}", "do it in check(), pages() or perform(), with the client given there"
            )
        elif done.returncode:
            yield Finding("", f"cannot be imported and made in a fresh process: {last}", "mend what that line says")
