"""What the story looks at: the store while the daemon works, tickets and issues as the vendors have them; changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cxbridge.cli.demo.stage import RECIPE_ID, DemoError, Stage

if TYPE_CHECKING:
    from cxbridge.core.ledger import Ref

# The vendors whose feeds show every write of ours again; a Slack message, say, is read by nobody.
IN_FEEDS = ("zendesk", "jira")


@dataclass(slots=True)
class Looking:
    """Looks on both sides; `linked` maps each issue to the tickets it stands for, once `read_links` was called."""

    stage: Stage
    linked: "dict[Ref, list[Ref]]" = field(default_factory=dict)

    # -- the store -----------------------------------------------------------------------------------------------------

    def stored(self) -> dict[tuple[str, str], int]:
        """Count what is stored, by connection and stream."""
        from cxbridge.core.store import records

        with self.stage.bridge.store.read() as tx:
            return records.count(tx)

    def settled(self) -> bool:
        """Whether every change has met the recipe and nothing waits to be sent."""
        from cxbridge.core.ledger import OPEN_DELIVERIES
        from cxbridge.core.store import changes, outbox, planning

        with self.stage.bridge.store.read() as tx:
            last = changes.last_seq(tx)
            met = all(planning.position(tx, one.id) == last for one in self.stage.bridge.library.recipes)
            waiting = sum(
                count for (_, state), count in outbox.unsettled_counts(tx).items() if state in OPEN_DELIVERIES
            )
        return met and not waiting

    def all_stored(self, refs: "Sequence[Ref]") -> bool:
        """Whether each of these was pulled."""
        from cxbridge.core.store import records

        with self.stage.bridge.store.read() as tx:
            return len(records.get_many(tx, refs)) == len(refs)

    def read_links(self) -> None:
        """Learn which issue stands for which tickets."""
        from cxbridge.core.store import links

        self.linked.clear()
        with self.stage.bridge.store.read() as tx:
            for link in links.find(tx, "escalated_to"):
                self.linked.setdefault(link.right, []).append(link.left)

    def subjects(self) -> "list[tuple[Ref, Ref, str]]":
        """Give every linked ticket with its issue and what it is about, those that share an issue first."""
        from cxbridge.core.store import records

        pairs = [
            (ticket, issue)
            for issue, tickets in sorted(self.linked.items(), key=lambda pair: -len(pair[1]))
            for ticket in tickets
        ]
        with self.stage.bridge.store.read() as tx:
            known = records.get_many(tx, [ticket for ticket, _ in pairs])
        return [
            (ticket, issue, str(getattr(known[ticket].entity(), "subject", "")) if ticket in known else "")
            for ticket, issue in pairs
        ]

    def echoes(self) -> tuple[int, int]:
        """Count our writes that can show in a feed: all of them, and those that were seen again."""
        from cxbridge.core.store import receipts

        with self.stage.bridge.store.read() as tx:
            rows = [
                row
                for one, _ in self.stage.seen.done()
                if one.connection in IN_FEEDS
                for row in receipts.of_delivery(tx, one.id)
            ]
        visible = [row.seen_seq is not None for row in rows if row.wrote or row.role == "made"]
        return len(visible), sum(visible)

    def left_alone(self) -> str:
        """Name a ticket that asks for engineering and is left alone for its tier, else any that was left alone."""
        from cxbridge.core.engine.history import why_not
        from cxbridge.core.store import records

        bridge = self.stage.bridge
        recipe = bridge.recipe(RECIPE_ID)
        linked = {one for tickets in self.linked.values() for one in tickets}
        with bridge.store.read() as tx:
            found = records.scan(tx, kinds=["ticket"], connection="zendesk", limit=5000)
        others = [one for one in found if one.ref not in linked]
        for one in others:
            if b'"needs-engineering"' in one.body:
                told = why_not(bridge.store, recipe, one.ref, bridge.clock)
                if told and any(line.name == "right_tier" and line.verdict is False for line in told.conditions):
                    return one.ref.key
        return others[0].ref.key

    # -- the vendors -----------------------------------------------------------------------------------------------

    def key(self, issue: "Ref") -> str:
        """Say an issue as people do."""
        from cxbridge.core.store import records

        with self.stage.bridge.store.read() as tx:
            record = records.get(tx, issue)
        return (record.source_key if record else None) or issue.key

    def issue(self, ref: "Ref") -> dict[str, Any]:
        """Give an issue as the tracker has it."""
        found: dict[str, Any] = self.stage.control.get(f"/jira/issues/{self.key(ref)}")
        return found

    def ticket(self, ref: "Ref") -> dict[str, Any]:
        """Give a ticket as the help desk has it."""
        found: dict[str, Any] = self.stage.control.get(f"/zendesk/tickets/{ref.key}")["ticket"]
        return found

    def last_comment(self, ref: "Ref") -> dict[str, Any]:
        """Give the newest comment of a ticket as the help desk has it."""
        comments: list[dict[str, Any]] = self.stage.control.get(f"/zendesk/tickets/{ref.key}")["comments"]
        return comments[-1]

    def journal_end(self) -> int:
        """Give the number of the newest entry of the vendors' journal."""
        last: int = self.stage.control.get("/journal?kind=none")["last"]
        return last

    def calm_pair(self) -> "tuple[Ref, Ref]":
        """Find an open issue of a single ticket that is not pressing yet.

        Raises:
            DemoError: there is none.
        """
        for issue, tickets in self.linked.items():
            calm = len(tickets) == 1 and self.ticket(tickets[0])["priority"] in ("low", "normal", "high")
            if calm and self.issue(issue)["status"] != "Done":
                return issue, tickets[0]
        raise DemoError("no linked ticket is left whose priority could rise")
