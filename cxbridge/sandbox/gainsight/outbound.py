"""External Actions: what an admin's rules post to others when something changes; unsigned, with a header that the admin wrote."""

import itertools
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from cxbridge.sandbox.gainsight.values import shown

if TYPE_CHECKING:
    from cxbridge.sandbox.world import World


class ExternalAction(msgspec.Struct, frozen=True, kw_only=True):
    """One call that a rule makes; `token` goes into the header X-Cxbridge-Token, `events` begin with one of these words."""

    id: int
    url: str
    token: str | None = None
    events: tuple[str, ...] = ()


class Outbound:
    """The registered actions, and the runs of the rules that fire them."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._runs = itertools.count(1)
        self._ids = itertools.count(1)
        self.actions: list[ExternalAction] = []

    def register(self, url: str, token: str | None, events: tuple[str, ...]) -> ExternalAction:
        """Add an action."""
        made = ExternalAction(id=next(self._ids), url=url, token=token, events=events)
        self.actions.append(made)
        return made

    def remove(self, ident: int) -> bool:
        """Take an action away; False if there is none of that number."""
        kept = [one for one in self.actions if one.id != ident]
        found = len(kept) != len(self.actions)
        self.actions = kept
        return found

    def announce(self, event: str, gsid: str, company: str | None, at: datetime) -> None:
        """Fire every action that is about this event, in the body template that cxbridge publishes."""
        run = next(self._runs)
        body = msgspec.json.encode(
            {
                "v": 1,
                "event": event,
                "gsid": gsid,
                "company_gsid": company,
                "occurred_at": shown(at, "iso"),
                "dedupe": f"run-{run}-{gsid}",
            }
        )
        for action in self.actions:
            if action.events and not event.startswith(action.events):
                continue
            headers = {"Content-Type": "application/json"}
            if action.token is not None:
                headers["X-Cxbridge-Token"] = action.token
            self._world.hooks.send("gainsight", action.url, headers, body)
