"""Everything the simulated vendors share: one clock, one journal, one set of faults. Serves nothing itself."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.faults import Faults
from cxbridge.sandbox.hooks import Hooks
from cxbridge.sandbox.journal import Journal


class Vendor(Protocol):
    """What a vendor beside the first two adds to the world in its `create_app`; the world's lock is held at each call."""

    def control(self, method: str, path: str, body: Mapping[str, Any]) -> tuple[int, Any]:
        """Play a person or the weather: a control request below the vendor's name; gives status and content.

        Raises:
            LookupError, ValueError: the request cannot be done; the message says what would be right.
        """
        ...

    def load_row(self, row: Mapping[str, Any]) -> None:
        """Add what one row of a company file says; its `kind` begins with the vendor's name and a dot.

        Raises:
            ValueError: the row cannot be used.
        """
        ...

    def state_counts(self) -> dict[str, int]:
        """How much there is of each thing."""
        ...


class World:
    """One simulated company. Hold `lock` while reading or changing a vendor's state.

    `options` holds per vendor what its package lets be set. Equal seeds and equal requests give equal ids; a vendor draws its own
    numbers from `random_for`, so vendors do not disturb each other.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        zendesk_options: Mapping[str, Any] | None = None,
        jira_options: Mapping[str, Any] | None = None,
        options: Mapping[str, Mapping[str, Any]] | None = None,
        clock: SandboxClock | None = None,
    ) -> None:
        # The package of a vendor needs the world's parts, so it is met only once those exist.
        from cxbridge.sandbox.zendesk.state import ZendeskState

        self.seed_number = seed
        self.seed = random.Random(seed)
        self.clock = clock or SandboxClock()
        self.journal = Journal(self.clock)
        self.faults = Faults()
        self.hooks = Hooks(self.clock)
        self.lock = threading.RLock()
        # How a fault that takes time is waited for; who drives the vendors without a server has another way.
        self.pause: Callable[[float], Awaitable[None]] = asyncio.sleep
        self.public_urls: dict[str, str] = {}
        self.zendesk_options: dict[str, Any] = dict(zendesk_options or {})
        self.jira_options: dict[str, Any] = dict(jira_options or {})
        self.options: dict[str, dict[str, Any]] = {name: dict(given) for name, given in (options or {}).items()}
        self.zendesk = ZendeskState(self)
        self.jira: Any = None
        """Set by `cxbridge.sandbox.jira.create_app`."""
        self.vendors: dict[str, Vendor] = {}
        """The other vendors by name; each one's `create_app` adds its own."""

    def random_for(self, vendor: str) -> random.Random:
        """A fresh generator that depends on the world's seed and the vendor's name only."""
        return random.Random(f"{self.seed_number}/{vendor}")

    def url(self, vendor: str) -> str:
        """Where a vendor can be reached; a name that resolves nowhere before its server listens."""
        return self.public_urls.get(vendor, f"http://{vendor}.sandbox.invalid")
