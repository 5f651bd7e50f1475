"""Everything the simulated vendors share: one clock, one journal, one set of faults. Serves nothing itself."""

import random
import threading
from collections.abc import Mapping
from typing import Any

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.faults import Faults
from cxbridge.sandbox.journal import Journal


class World:
    """One simulated company. Hold `lock` while reading or changing a vendor's state.

    A vendor's package adds its state here (`zendesk`, `jira`) and keeps what its options say. Equal seeds and equal
    requests give equal ids; a vendor draws its own numbers from `random_for`, so vendors do not disturb each other.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        zendesk_options: Mapping[str, Any] | None = None,
        jira_options: Mapping[str, Any] | None = None,
        clock: SandboxClock | None = None,
    ) -> None:
        # The package of a vendor needs the world's parts, so it is met only once those exist.
        from cxbridge.sandbox.zendesk.state import ZendeskState

        self.seed_number = seed
        self.seed = random.Random(seed)
        self.clock = clock or SandboxClock()
        self.journal = Journal(self.clock)
        self.faults = Faults()
        self.lock = threading.RLock()
        self.public_urls: dict[str, str] = {}
        self.zendesk_options: dict[str, Any] = dict(zendesk_options or {})
        self.jira_options: dict[str, Any] = dict(jira_options or {})
        self.zendesk = ZendeskState(self)
        self.jira: Any = None
        """Set by `cxbridge.sandbox.jira.create_app`."""

    def random_for(self, vendor: str) -> random.Random:
        """A fresh generator that depends on the world's seed and the vendor's name only."""
        return random.Random(f"{self.seed_number}/{vendor}")

    def url(self, vendor: str) -> str:
        """Where a vendor can be reached; a name that resolves nowhere before its server listens."""
        return self.public_urls.get(vendor, f"http://{vendor}.sandbox.invalid")
