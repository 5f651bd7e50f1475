"""Every figure of the demo twice: from cxbridge's store, and from what the simulated vendors wrote down themselves."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cxbridge.cli.demo.looking import IN_FEEDS

if TYPE_CHECKING:
    from cxbridge.cli.demo.stage import Stage
    from cxbridge.core.ledger import Record

Effect = Mapping[str, Any]

# The words of the notes that follow an issue's end, in the shipped recipe.
_FOLLOWS = "Engineering closed"
_READS = re.compile(r"/data/objects/query/|/list/?$")


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

    notes = [one for one in of("zendesk:comment.added") if not one["detail"]["public"]]
    links = of("jira:remotelink.created")
    late = [one for one in notes if one["seq"] > follow_ups_from and _FOLLOWS in str(one["detail"])]
    # A link that is shown beside an issue does not come back in any feed; everything else at these two vendors does.
    visible = [one for one in effects if one["vendor"] in IN_FEEDS and one["kind"] != "remotelink.created"]
    readable = len(of("zendesk:comment.added")) - len(notes)
    known = len({one["detail"]["global_id"] for one in links})
    late_effects = sum(one["seq"] > quiet_from for one in effects)
    cases = of("zendesk:ticket.created")
    made, updated = len(of("jira:issue.created")), len(of("jira:issue.updated"))
    return [
        Figure("tickets pulled", ours.tickets, state["zendesk"]["tickets"], "tickets at the help desk"),
        Figure("tickets escalated", ours.escalated, known, "tickets the tracker knows of"),
        Figure("issues made", ours.issues, made, "issues created over the API"),
        Figure("tickets linked with an issue", ours.links, len(links), "links created over the API"),
        Figure("notes for agents", ours.notes, len(notes), "internal comments added over the API"),
        Figure("  of which follow-ups", ours.follow_ups, len(late), "those since engineers closed issues"),
        Figure("priorities carried over", ours.priorities, updated, "issues changed over the API"),
        Figure("tasks for owners", ours.tasks, len(of("gainsight:task.created")), "calls to action made over the API"),
        Figure("messages to our people", ours.messages, len(of("slack:message.posted")), "messages posted by the app"),
        Figure("customers written to", ours.cases, len(cases), "tickets made over the API"),
        Figure("told that it was fixed", ours.readable, readable, "comments that a customer can read"),
        Figure("asked again", ours.invitations, len(of("qualtrics:invitation.sent")), "invitations sent over the API"),
        # A ticket that is made shows twice: itself, and its first comment.
        Figure("own writes known as echoes", ours.echoes, len(visible) + len(cases), "writes that show in the feeds"),
        Figure("writes in the quiet rounds", ours.late_writes, late_effects, "effects since then", none=True),
        Figure("duplicates", ours.repeated, len(summary["duplicates"]), "things done twice, by marker", none=True),
        Figure("dead letters and doubts", ours.unsettled, _errors(stage), "requests refused or cut", none=True),
    ]


def _errors(stage: "Stage") -> int:
    """Requests refused for good, or cut. That something is not there yet, or has changed meanwhile, is no failure.

    Nor is Gainsight's way of saying that a query found nothing, which is a refusal with 400.
    """
    return sum(
        one["status"] == 0 or (one["status"] >= 400 and one["status"] not in (404, 409, 429))
        for one in stage.control.requests()
        if not (one["vendor"] == "gainsight" and one["status"] == 400 and _READS.search(one["path"]))
    )


class _Ours:
    """What the store says, read in one transaction."""

    def __init__(self, stage: "Stage") -> None:
        from cxbridge.cli.demo.stage import CHURN, CLOSED_LOOP, RECIPE_ID
        from cxbridge.core.store import links, outbox, receipts, records, runs

        with stage.bridge.store.read() as tx:
            stored = records.count(tx)
            done = runs.find(tx, recipe=RECIPE_ID, state="done", limit=10_000)
            escalating = outbox.find(tx, recipe=RECIPE_ID, limit=10_000)
            caring = [one for name in (CLOSED_LOOP, CHURN) for one in outbox.find(tx, recipe=name, limit=10_000)]
            deliveries = escalating + caring
            answered = [(one, receipts.of_delivery(tx, one.id)) for one in deliveries]
            pairs = links.find(tx, "escalated_to")
            written = records.get_many(tx, [row.ref for _, found in answered for row in found])
        part = {run.id: run.part for run in done}
        rows = [(delivery, row) for delivery, found in answered for row in found]
        made = [(delivery, row) for delivery, row in rows if row.role == "made"]
        issues = [row.ref for delivery, row in made if delivery.action == "issue.ensure"]
        comments = [
            (delivery, row)
            for delivery, row in made
            if row.ref.stream == "comments" and delivery.action != "ticket.ensure"
        ]
        self.tickets = stored.get(("zendesk", "tickets"), 0)
        self.escalated = sum(run.part == "steps" for run in done)
        self.issues = len(issues)
        self.repeated = len(issues) - len(set(issues)) + len(comments) - len({row.ref for _, row in comments})
        self.links = len(pairs)
        # As pulled back: a note that is not stored counts as one that anybody may read.
        self.readable = sum(not _internal(written.get(row.ref)) for _, row in comments)
        self.notes = len(comments) - self.readable

        def made_by(*actions: str) -> int:
            return sum(delivery.action in actions for delivery, _ in made)

        self.tasks = made_by("task.ensure")
        self.messages = made_by("message.notify_once", "message.reply_once", "message.ask")
        self.cases = sum(row.ref.stream == "tickets" for _, row in made)
        self.invitations = made_by("survey.invite_once")
        self.follow_ups = sum(part.get(delivery.run, "").startswith("follow:") for delivery, _ in comments)
        self.priorities = sum(part.get(delivery.run, "").startswith("sync:") for delivery, row in rows if row.changed)
        seen = [row for _, row in rows if row.seen_seq is not None and row.ref.connection in IN_FEEDS]
        self.echoes = len({(row.delivery, row.ref, row.role) for row in seen})
        self.late_writes = sum(
            one.sent_at is not None and stage.quiet_since is not None and one.sent_at > stage.quiet_since
            for one in deliveries
        )
        self.unsettled = sum(one.state in ("dead", "held", "unknown", "retry", "sent", "planned") for one in deliveries)


def _internal(record: "Record | None") -> bool:
    return record is not None and getattr(record.entity(), "visibility", None) == "internal"
