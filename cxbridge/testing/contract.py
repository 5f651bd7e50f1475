"""The contract suite that every connector inherits; it must not know any vendor.

    class TestPulse(ConnectorContract):
        @pytest.fixture
        def lab(self):
            return Lab(connector=Pulse, settings={"url": "https://pulse.test", "token": "right-token"}, vendor=FakePulse())

Each rule is a test. One that cannot hold is waived with a reason, for the whole connector or for one stream or action:

        waivers = {"the_oldest_change_comes_first: scores": "the vendor sorts by id"}
"""

from collections.abc import Iterator, Mapping
from typing import ClassVar

import pytest

from cxbridge.testing.findings import PREFIX
from cxbridge.testing.lab import Lab
from cxbridge.testing.rules.checking import CheckRules
from cxbridge.testing.rules.receipts import ReceiptRules
from cxbridge.testing.rules.resuming import ResumingRules
from cxbridge.testing.rules.settings import SettingsRules
from cxbridge.testing.rules.streams import StreamRules
from cxbridge.testing.rules.together import TogetherRules
from cxbridge.testing.rules.trouble import TroubleRules
from cxbridge.testing.rules.writes import WriteRules


class ConnectorContract(
    ReceiptRules, WriteRules, TroubleRules, ResumingRules, TogetherRules, StreamRules, CheckRules, SettingsRules
):
    """Subclass it in a test module, under a name that begins with Test, and give the fixture `lab`."""

    waivers: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def lab(self) -> Lab:
        """Give the connector, its settings and a way to a vendor; one lab per test, since writes leave traces."""
        raise NotImplementedError("override the fixture `lab`: return Lab(connector=…, settings=…, vendor=…)")

    @pytest.fixture(autouse=True)
    def _closed(self, lab: Lab) -> Iterator[None]:
        yield
        lab.close()

    def test_waivers_name_a_rule_and_a_reason(self, lab: Lab) -> None:
        """Every waiver is about a rule that there is, and says why."""
        known = rules(type(self))
        for key, reason in self.waivers.items():
            name = key.partition(":")[0].strip()
            if name not in known:
                pytest.fail(f"{lab.connector.__name__} waives {name!r}, which is no rule", pytrace=False)
            if len(reason.split()) < 3:
                pytest.fail(f"{lab.connector.__name__} waives {key!r} without a reason", pytrace=False)


def rules(contract: type[ConnectorContract] = ConnectorContract) -> dict[str, str]:
    """Name every rule of a contract with what it asks for."""
    found: dict[str, str] = {}
    for group in reversed(contract.__mro__):
        for name, test in vars(group).items():
            if name.startswith(PREFIX) and callable(test):
                found[name.removeprefix(PREFIX)] = " ".join((test.__doc__ or "").split())
    return found
