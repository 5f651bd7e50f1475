"""Rules about `check`: whose credential it is, and what is wrong where it does not work."""

from collections.abc import Iterator
from typing import Any

from cxbridge.core.connector import Connector, Identity, Retryable, Unauthorized
from cxbridge.testing import line
from cxbridge.testing.findings import Finding, Ruled, rule
from cxbridge.testing.lab import Lab, name_error


class CheckRules(Ruled):
    """What an operator is told by `cxbridge connections check`."""

    @rule
    def test_check_names_whose_credential_it_is(self, lab: Lab) -> Iterator[Finding]:
        """`check` gives an `Identity` with a name and, where it can, a local ref of that user; it only reads."""
        connector = lab.connect()
        with lab.client(read_only=True) as client:
            found: Any = connector.check(client)
        if not isinstance(found, Identity):
            yield Finding("", f"check gave {type(found).__name__}", "return cx.Identity(name)")
            return
        name: Any = found.name
        if not isinstance(name, str) or not name.strip():
            yield Finding("", "the identity has no name", "give the name of the user behind the credential")
        declared = {stream.name for stream in connector.streams()}
        if found.ref is not None and (found.ref.partition("/")[0] not in declared or not found.ref.partition("/")[2]):
            remedy = "a local ref reads stream/key, of a stream that streams() lists; leave it out if there is none"
            yield Finding("", f"the identity's ref is {found.ref!r}", remedy)
        if not lab.line.sent:
            yield Finding("", "check asked the vendor nothing", "make one request that needs the credential")

    @rule
    def test_check_tells_a_refused_credential(self, lab: Lab) -> Iterator[Finding]:
        """A credential that the vendor refuses is `Unauthorized`, so that the connection pauses and a person is told."""
        with lab.line.broken(line.answers(401)):
            error = _failed(lab, lab.connect())
        if not isinstance(error, Unauthorized):
            yield Finding("", f"where the vendor answers 401, check gave {_named(error)}", _LET_THROUGH)
        wrong = lab.refused()
        if wrong is not None:
            error = _failed(lab, wrong)
            if not isinstance(error, Unauthorized):
                remedy = "ask for something that needs the credential, and raise cx.Unauthorized when it is not given"
                yield Finding("", f"with a wrong credential, check gave {_named(error)}", remedy)

    @rule
    def test_check_tells_a_dead_host(self, lab: Lab) -> Iterator[Finding]:
        """A host that nobody answers at is `Retryable`: not the credential's fault."""
        with lab.line.broken(line.is_unreachable):
            error = _failed(lab, lab.connect())
        if not isinstance(error, Retryable):
            yield Finding("", f"where no connection can be made, check gave {_named(error)}", _LET_THROUGH)


_LET_THROUGH = "let the client's error through, or raise one of the same class with a better sentence"


def _failed(lab: Lab, connector: Connector) -> Exception | None:
    with lab.client(connector) as client:
        try:
            connector.check(client)
        except Exception as error:  # noqa: BLE001  # whatever it raises is what the rule is about
            return error
    return None


def _named(error: Exception | None) -> str:
    return "no error at all" if error is None else name_error(error)
