"""A simulated vendor of the sandbox for one lab: started on loopback, its clock moved by the lab's; it must not judge."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from cxbridge.sandbox import seed
from cxbridge.sandbox.clock import SandboxClock
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.world import World
from cxbridge.testing.lab import NOW, LabClock

# What the sandbox journals for a write that changed nothing.
_NOTHING = "noop"


@dataclass(frozen=True, slots=True)
class Simulated:
    """A vendor that listens at `url`. `clock` is for the lab: waiting moves the vendor's time too."""

    vendor: str
    url: str
    world: World
    clock: LabClock

    def effects(self) -> int:
        """Count what its API has changed so far, by its own journal."""
        return sum(effect.kind != _NOTHING for effect in self.world.journal.effects(via="api", vendor=self.vendor))


@contextmanager
def simulated(
    vendor: Literal["zendesk", "jira", "gainsight", "qualtrics", "slack"],
    company: str = "",
    options: Mapping[str, Any] | None = None,
    start: datetime = NOW,
) -> Iterator[Simulated]:
    """Start a vendor of the sandbox with the people and tickets of `company` (JSON lines), and stop it at the end."""
    given: dict[str, Any] = {vendor: options or {}}
    world = World(
        clock=SandboxClock(start, frozen=True),
        zendesk_options=given.get("zendesk"),
        jira_options=given.get("jira"),
        options=given,
    )
    with Sandbox(world, vendors=(vendor,)):
        if company:
            seed.load_text(world, company)
        yield Simulated(vendor, world.url(vendor), world, LabClock(start, world.clock.advance))
