"""Every figure of the demo twice: from cxbridge's store, and from what the simulated vendors wrote down themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cxbridge.cli.demo.stage import Stage
    from cxbridge.core.ledger import Record

Effect = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the last table. `told` says where the second number comes from; `none` that both must be 0."""

    what: str
    ours: int
    theirs: int
    told: str
    none: bool = False

    @property
    def right(self) -> bool:
        return self.ours == self.theirs and not (self.none and self.ours)


def gather(stage: "Stage", *, follow_ups_from: int, quiet_from: int) -> list[Figure]:
    """Count both sides. In the journal follow-ups come behind `follow_ups_from`, and nothing may behind `quiet_from`."""
    effects = stage.control.effects("api")
    state = stage.control.get("/state")
    summary = stage.control.get("/summary")
    ours = _Ours(stage)

    def of(kind: str) -> list[Effect]:
        return [one for one in effects if f"{one['vendor']}:{one['kind']}" == kind]

    notes, links = of("zendesk:comment.added"), of("jira:remotelink.created")
    late = [one for one in notes if one["seq"] > follow_ups_from]
    # A link that is shown beside an issue does not come back in any feed; everything else does.
    visible = [one for one in effects if one["kind"] != "remotelink.created"]
    readable = sum(bool(one["detail"]["public"]) for one in notes)
    known = len({one["detail"]["global_id"] for one in links})
    late_effects = sum(one["seq"] > quiet_from for one in effects)
    made, updated = len(of("jira:issue.created")), len(of("jira:issue.updated"))
    return [
        Figure("tickets pulled", ours.tickets, state["zendesk"]["tickets"], "tickets at the help desk"),
        Figure("tickets escalated", ours.escalated, known, "tickets the tracker knows of"),
        Figure("issues made", ours.issues, made, "issues created over the API"),
        Figure("tickets linked with an issue", ours.links, len(links), "links created over the API"),
        Figure("notes for agents", ours.notes, len(notes), "comments added over the API"),
        Figure("  of which a customer can read", ours.readable, readable, "public ones among them", none=True),
        Figure("  of which follow-ups", ours.follow_ups, len(late), "comments since engineers closed issues"),
        Figure("priorities carried over", ours.priorities, updated, "issues changed over the API"),
        Figure("own writes known as echoes", ours.echoes, len(visible), "writes that show in the feeds"),
        Figure("writes in the quiet rounds", ours.late_writes, late_effects, "effects since then", none=True),
        Figure("duplicates", ours.repeated, len(summary["duplicates"]), "things done twice, by marker", none=True),
        Figure("dead letters and doubts", ours.unsettled, _errors(summary), "requests refused or cut", none=True),
    ]


def _errors(summary: Mapping[str, Any]) -> int:
    """Requests refused for good, or cut. That something is not there yet, or has changed meanwhile, is no failure."""
    return sum(
        count
        for name, count in summary["requests"].items()
        if (status := int(name.rpartition(":")[2])) == 0 or (status >= 400 and status not in (404, 409, 429))
    )


class _Ours:
    """What the store says, read in one transaction."""

    def __init__(self, stage: "Stage") -> None:
        from cxbridge.cli.demo.stage import RECIPE_ID
        from cxbridge.core.store import links, outbox, receipts, records, runs

        with stage.bridge.store.read() as tx:
            stored = records.count(tx)
            done = runs.find(tx, recipe=RECIPE_ID, state="done", limit=10_000)
            deliveries = outbox.find(tx, recipe=RECIPE_ID, limit=10_000)
            answered = [(one, receipts.of_delivery(tx, one.id)) for one in deliveries]
            pairs = links.find(tx, "escalated_to")
            written = records.get_many(tx, [row.ref for _, found in answered for row in found])
        part = {run.id: run.part for run in done}
        rows = [(delivery, row) for delivery, found in answered for row in found]
        made = [(delivery, row) for delivery, row in rows if row.role == "made"]
        issues = [row.ref for delivery, row in made if delivery.action == "issue.ensure"]
        comments = [(delivery, row) for delivery, row in made if row.ref.stream == "comments"]
        self.tickets = stored.get(("zendesk", "tickets"), 0)
        self.escalated = sum(run.part == "steps" for run in done)
        self.issues = len(issues)
        self.repeated = len(issues) - len(set(issues)) + len(comments) - len({row.ref for _, row in comments})
        self.links = len(pairs)
        self.notes = len(comments)
        # As pulled back: a note that is not stored counts as one that anybody may read.
        self.readable = sum(not _internal(written.get(row.ref)) for _, row in comments)
        self.follow_ups = sum(part.get(delivery.run, "").startswith("follow:") for delivery, _ in comments)
        self.priorities = sum(part.get(delivery.run, "").startswith("sync:") for delivery, row in rows if row.changed)
        self.echoes = len({(row.delivery, row.ref, row.role) for _, row in rows if row.seen_seq is not None})
        self.late_writes = sum(
            one.sent_at is not None and stage.quiet_since is not None and one.sent_at > stage.quiet_since
            for one in deliveries
        )
        self.unsettled = sum(one.state in ("dead", "held", "unknown", "retry", "sent", "planned") for one in deliveries)


def _internal(record: "Record | None") -> bool:
    return record is not None and getattr(record.entity(), "visibility", None) == "internal"
