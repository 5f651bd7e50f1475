"""The demo's acts, in order, in plain words; waits for what it shows, and never for time to pass."""

import os
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cxbridge.cli.demo import evidence, tickets
from cxbridge.cli.demo.looking import Looking
from cxbridge.cli.demo.stage import RECIPE_ID, DemoError, Stage, opened
from cxbridge.cli.demo.voices import Voices
from cxbridge.cli.render import Output, clean, progress
from cxbridge.cli.signals import Signals

if TYPE_CHECKING:
    from cxbridge.core.engine.rehearse import Rehearsed
    from cxbridge.core.ledger import Ref

# Just past the minute for which Zendesk holds changes back from its exports.
_PAST_THE_DELAY = 61
_ROUNDS = 3
_SHOWN_ROWS = 6


def play(*, keep: bool, data: Path | None, rows: int) -> bool:
    """Play all acts; True when every figure agrees with the simulated vendors' own journal."""
    prepared = tickets.prepare(data, rows) if data else None
    with tempfile.TemporaryDirectory(prefix="cxbridge-demo-data-") as place:
        file = None
        if prepared is not None:
            file = Path(place) / "company.jsonl"
            prepared.write(file)
        with opened(keep=keep, data=file, live=_live) as stage:
            story = Story(stage, Output())
            story.welcome(data, prepared)
            story.first_pull()
            story.decision()
            story.escalation()
            story.resolution()
            story.priority()
            if prepared is None:
                # They play with the shipped company's own customers.
                Voices(stage, story.out, story.title).play()
            else:
                story.out.line(
                    "\nThe other two recipes need customers whom all five vendors know: `make demo` without DATA plays them."
                )
            story.echoes()
            story.processes()
            agreed = story.figures()
            if keep:
                story.stay()
    return agreed


def _live(text: str) -> str:
    """Set the recipe's stage live, as an admin does who liked the plan."""
    changed = text.replace('stage   = "shadow"', 'stage   = "live"', 1)
    if changed == text:
        raise DemoError("the shipped recipe has no stage to set live")
    return changed


class Story:
    """One performance; each act is a method, to be called in order."""

    def __init__(self, stage: Stage, output: Output) -> None:
        self._stage = stage
        self._look = Looking(stage)
        self._control = stage.control
        self.out = self._out = output
        self._act = 0
        self._expected: dict[str, int] = {}
        self._follow_ups_from = 0
        self._quiet_from = 0

    def welcome(self, data: Path | None, prepared: tickets.Prepared | None) -> None:
        urls, say = self._control.get("/state")["urls"], self._out.line
        say(
            "cxbridge carries what happens in one tool into the others, once, and knows its own writes when it meets them."
        )
        names = ("Zendesk", "Jira", "Gainsight", "Qualtrics", "Slack")
        say(
            "Five simulated vendors run on this machine: "
            + ", ".join(f"{one} ({urls[one.lower()]})" for one in names)
            + "."
        )
        say(
            "No account is needed, nothing leaves this machine; the vendors' rate limits are lifted to save you waiting."
        )
        if prepared is None or data is None:
            loaded = self._stage.loaded
            say(
                f"The help desk is that of Harbourlight, an invented company: {loaded['ticket']} tickets, "
                f"{loaded['organization']} customers' companies, {loaded['user']} people."
            )
            return
        say(
            f"The help desk holds {prepared.tickets} tickets of {data.name}; companies and tiers were made up for them."
        )
        for number in prepared.marked:
            self._control.patch(f"/zendesk/tickets/{number}", {"tags_add": ["needs-engineering"]})
        say(f"Its agents have just marked {len(prepared.marked)} of them with the tag needs-engineering.")
        self._control.post("/clock/advance", {"seconds": _PAST_THE_DELAY})

    def first_pull(self) -> None:
        self.title("cxbridge reads every vendor for the first time")
        stage, state = self._stage, self._control.get("/state")
        totals = {
            ("zendesk", "tickets"): state["zendesk"]["tickets"],
            ("zendesk", "comments"): state["zendesk"]["comments"],
            ("zendesk", "organizations"): state["zendesk"]["organizations"],
            ("jira", "issues"): sum(state["jira"]["by_project"].get("ENG", {}).values()),
        }
        first = stage.quiet_rounds(1)
        stage.daemon.start()
        with progress() as bars:

            def whole() -> bool:
                stored = self._look.stored()
                for (connection, stream), total in totals.items():
                    bars.set(f"{connection} {stream}", stored.get((connection, stream), 0), total)
                return first()

            stage.until(whole, "everything was read once")
        stored = self._look.stored()
        told = ", ".join(f"{stored.get((name, stream), 0)} {name} {stream}" for name, stream in totals)
        self._out.line(f"In the store now: {told},")
        more = [
            f"{stored.get((name, stream), 0)} {name} {stream}"
            for name, stream in (("gainsight", "companies"), ("qualtrics", "responses"), ("slack", "users"))
        ]
        self._out.line(f"{', '.join(more)}. From here on only changes are read.")
        for notice in stage.bridge.check("zendesk").notices:
            self._out.line(f"  by the way: {notice}")

    def decision(self) -> None:
        from cxbridge.cli import preview
        from cxbridge.core.engine.rehearse import rehearse
        from cxbridge.core.recipes.load import load_file

        self.title("A recipe decides which tickets are for engineering")
        stage = self._stage
        recipe = load_file(stage.waiting_recipe, stage.bridge.connections, {})
        self._out.line(f"{RECIPE_ID}: {recipe.title}")
        for one in recipe.conditions:
            self._out.line(f"  {one.name.ljust(11)} {one.condition.source}")
        self._out.line("`cxbridge plan` shows what it would do, before anything is written anywhere:")
        found = rehearse(stage.bridge.store, stage.bridge.stepper, recipe, stage.bridge.clock)
        self._out.table([f"of {found.considered} tickets", "count"], preview.tally(found))
        for run in found.acts:
            if run.held:
                self._out.line(f"  held: ticket {run.subject.key} “{clean(run.title)}”: {run.held}")
        self._expect(found)

    def escalation(self) -> None:
        self.title("The recipe goes live: issues, links and notes appear")
        stage = self._stage
        stage.begin(RECIPE_ID)
        self._out.line('Its stage is set to "live" for this demo; it ships as "shadow", which writes nothing.')
        with progress() as bars:

            def done() -> bool:
                # A ticket that joins an issue made earlier has a delivery for it too, but nothing is made.
                made = sum(told.changed for _, told in stage.seen.done("issue"))
                notes = len(stage.seen.done("note"))
                bars.set("issues", made, self._expected["issues"])
                bars.set("links, on both sides", len(stage.seen.done("join")), self._expected["links"])
                bars.set("notes", notes, self._expected["notes"])
                return self._look.settled() and notes >= self._expected["notes"]

            stage.until(done, "all issues, links and notes were made")
        self._look.read_links()
        # What engineers change is told from what we made only where the issue was read before.
        stage.until(lambda: self._look.all_stored(list(self._look.linked)), "the new issues were read back")
        rows = [
            [ticket.key, self._look.key(issue), clean(about)[:70]] for ticket, issue, about in self._look.subjects()
        ]
        self._out.table(["ticket", "issue", "subject"], rows[:_SHOWN_ROWS])
        if len(rows) > _SHOWN_ROWS:
            self._out.line(f"… and {len(rows) - _SHOWN_ROWS} more.")

    def resolution(self) -> None:
        self.title("Engineers close issues; every linked ticket hears of it")
        look, linked = self._look, self._look.linked
        shared = next((issue for issue, found in linked.items() if len(found) > 1), None)
        single = [issue for issue, found in linked.items() if len(found) == 1]
        if shared is None or len(single) < 3:
            raise DemoError("the tickets give no issue that several of them share, and three others")
        closings = {shared: "Fixed", single[0]: "Duplicate", single[1]: "Won't Do"}
        told = [(issue, ticket) for issue in closings for ticket in linked[issue]]
        before = {ticket: look.ticket(ticket)["status"] for _, ticket in told}
        self._follow_ups_from = look.journal_end()
        for issue, resolution in closings.items():
            body = {"to": "Done", "resolution": resolution}
            self._control.post(f"/jira/issues/{look.key(issue)}/transition", body)
            stands_for = ", ".join(ticket.key for ticket in linked[issue])
            self._out.line(f"  an engineer closes {look.key(issue)} as {resolution}; it stands for ticket {stands_for}")
        self._stage.until(
            lambda: len(self._stage.seen.done("fixed", "not_fixed")) >= len(told) and look.settled(),
            f"{len(told)} tickets heard of it",
        )
        rows = []
        for issue, ticket in told:
            now, note = look.ticket(ticket), look.last_comment(ticket)
            reopened = now["status"] == "open" and "fix-released" in now["tags"]
            right = reopened if closings[issue] == "Fixed" else now["status"] == before[ticket]
            right = right and note["public"] is False and look.key(issue) in note["body"]
            self._must(right, f"ticket {ticket.key} after {look.key(issue)} was closed as {closings[issue]}")
            rows.append([ticket.key, f"{before[ticket]} → {now['status']}", clean(note["body"])])
        self._out.table(["ticket", "status", "internal note"], rows)
        self._out.line(
            "Fixed: back to its agent, open and tagged fix-released. Not fixed: a note, the ticket stays as it was."
        )

    def priority(self) -> None:
        self.title("A customer presses; the issue follows")
        issue, ticket = self._look.calm_pair()
        key, was, issue_was = self._look.key(issue), self._look.ticket(ticket)["priority"], self._priority_of(issue)
        words = {"body": "This stops our whole morning now.", "author": "customer"}
        self._control.patch(f"/zendesk/tickets/{ticket.key}", {"priority": "urgent", "comment": words})
        self._out.line(
            f"  ticket {ticket.key} goes from {was} to urgent; Zendesk tells of changes only after a minute,"
        )
        self._out.line(f"  so the simulated clock is moved on by {_PAST_THE_DELAY} seconds")
        self._control.post("/clock/advance", {"seconds": _PAST_THE_DELAY})
        self._stage.until(
            lambda: any(one.target == issue for one, _ in self._stage.seen.done("set")) and self._look.settled(),
            f"the priority of {key} was set",
        )
        issue_is = self._priority_of(issue)
        self._must(issue_is == "Highest" and issue_was != issue_is, f"the priority of {key}")
        self._out.line(f"  {key} goes from {issue_was} to {issue_is}, by the recipe's map")

    def echoes(self) -> None:
        self.title("Our own writes come back, and start nothing")
        stage, look = self._stage, self._look
        # Zendesk's export holds the last minute back.
        self._control.post("/clock/advance", {"seconds": _PAST_THE_DELAY})
        stage.until(lambda: look.settled() and len(set(look.echoes())) == 1, "every write of ours was seen again")
        stage.quiet_since = stage.bridge.clock.now()
        self._quiet_from = look.journal_end()
        stage.until(stage.quiet_rounds(_ROUNDS), f"{_ROUNDS} more rounds of every stream were done")
        late = len(self._control.effects("api", self._quiet_from))
        self._out.line(
            f"  {look.echoes()[1]} writes of ours came back with the next pulls and were recognised as echoes,"
        )
        self._out.line(
            f"  by the values and markers on their receipts. {_ROUNDS} further rounds over every stream "
            f"wrote {late or 'nothing'}."
        )

    def processes(self) -> None:
        from cxbridge.cli.figures import tell
        from cxbridge.core.engine.figures import figures

        self.title("What each process came to: `cxbridge figures RECIPE`")
        bridge = self._stage.bridge
        for recipe in bridge.library.recipes:
            tell(self._out, figures(bridge.store, recipe, bridge.clock))

    def figures(self) -> bool:
        self.title("Every figure, against what the simulated vendors wrote down themselves")
        found = evidence.gather(self._stage, follow_ups_from=self._follow_ups_from, quiet_from=self._quiet_from)
        self._out.table(
            ["figure", "cxbridge", "vendors", "agree", "what the vendors counted"],
            [[one.what, one.ours, one.theirs, "✓" if one.right else "✗", one.told] for one in found],
        )
        wrong = [one.what.strip() for one in found if not one.right]
        if wrong:
            self._out.line(f"✗✗✗ THESE FIGURES ARE WRONG: {', '.join(wrong)}")
        else:
            self._out.line(f"All {len(found)} figures agree.")
        return not wrong

    def stay(self) -> None:
        """Keep everything running until a signal, and say what can be done meanwhile."""
        say, control = self._out.line, self._control.url
        linked, left = next(iter(self._look.linked.values()))[0].key, self._look.left_alone()
        self.title("It stays open")
        say("Sandbox and daemon run on. In another terminal:")
        for command, words in (
            (f"cd {self._stage.folder.resolve()}", ""),
            (f"cxbridge why {linked}", "what happened to that ticket, over both systems"),
            (f"cxbridge why-not {RECIPE_ID} {left}", "why the recipe leaves that ticket alone"),
            ("cxbridge runs list", "what the recipe did"),
            ("cxbridge dead list", "what waits for a person"),
            ("cxbridge plan", "what it would do now"),
        ):
            say(f"  {command.ljust(46)} {words}".rstrip())
        say(f"People, clock and faults are played at {control}: open it for a list. For example:")
        say(f'  curl -X PATCH {control}/zendesk/tickets/{left} -d \'{{"tags_add": ["needs-engineering"]}}\'')
        say(f"  curl -X POST {control}/clock/advance -d '{{\"seconds\": {_PAST_THE_DELAY}}}'")
        say(f"The log is {self._stage.log.resolve()}.")
        say(f"Stop everything: Ctrl-C here, or kill {os.getpid()}")
        signals = Signals()
        signals.on(signal.SIGTERM, signal.SIGINT, call=lambda *_: None)
        signals.wait()

    # -- small things ------------------------------------------------------------------------------------------------

    def title(self, text: str) -> None:
        self._act += 1
        self._out.line(f"\n── {self._act}. {text} ".ljust(100, "─"))

    def _must(self, right: bool, what: str) -> None:
        if not right:
            raise DemoError(f"this is not as it must be: {what}", f"the log is {self._stage.log}")

    def _priority_of(self, issue: "Ref") -> str | None:
        found: str | None = self._look.issue(issue)["priority"]
        return found

    def _expect(self, found: "Rehearsed") -> None:
        acting = [run for run in found.acts if not run.held]
        asked = [one for run in acting for one in run.deliveries]
        self._expected = {
            # Deliveries with one marker share what the first of them makes.
            "issues": len({one.marker for one in asked if one.action == "issue.ensure"}),
            "links": sum(one.action == "link.ensure" for one in asked),
            "notes": sum(one.action == "comment.add_once" for one in asked),
        }
        issues = self._expected["issues"]
        self._out.line(f"{len(acting)} tickets, {issues} issues: tickets of one problem share an issue.")
