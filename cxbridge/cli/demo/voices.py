"""The demo's acts about customers: who is not happy, what became of it, and an account that falls; in plain words."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from cxbridge.cli.demo.looking import Looking
from cxbridge.cli.demo.stage import CHURN, CLOSED_LOOP, DemoError, Stage
from cxbridge.cli.render import Output, clean

if TYPE_CHECKING:
    from cxbridge.core.connector import Receipt
    from cxbridge.core.ledger import Delivery

_PAST_THE_DELAY = 61
_LEADS = "cs-leads@harbourlight.example"
# Who answers: address, score, words, whether we may write to them, how often the survey tool tells us.
_ANSWERS = (
    ("d.whitlock@kestrelfreight.test", 2, "The export stops every Monday and nobody tells us why.", True, 3),
    ("j.petersen@nordhafen.example", 4, "Seit dem Update dauert alles doppelt so lange.", False, 1),
    ("s.mycroft@oakhursthaulage.test", 3, "We were promised a call back. Nothing came.", True, 1),
    ("f.garside@aldermoor.test", 9, "The alerts saved a whole trailer last week.", True, 1),
)
# By the id that the help desk and customer success share.
_DIP, _FALL, _BIG = ("HL-1092", "Maison Perrault"), ("HL-1099", "Three Rivers"), ("HL-1008", "Nordhafen")


class Voices:
    """Plays on a stage on which the daemon runs already; `title` begins a further act."""

    def __init__(self, stage: Stage, output: Output, title: Callable[[str], None]) -> None:
        self._stage = stage
        self._look = Looking(stage)
        self._control = stage.control
        self._out = output
        self._title = title

    def play(self) -> None:
        """Play all acts in order."""
        address = self._stage.listen()
        self._detractors(address)
        self._fixed()
        self._falling()

    # -- a customer is not happy ---------------------------------------------------------------------------------------

    def _detractors(self, address: str) -> None:
        self._title("Customers answer a survey; the unhappy ones are heard")
        self._out.line(f"Webhooks come in at {address} from now on: each is checked, stored and only then answered.")
        earlier = self._unhappy()
        self._stage.begin(CLOSED_LOOP)
        people = self._answered()
        due = sum(score <= 6 for _, score, _, _, _ in _ANSWERS) + earlier
        self._stage.until(
            lambda: len(self._done("task")) >= due and len(self._done("tell")) >= due and self._look.settled(),
            f"{due} owners have a task",
        )
        tasks = {str(one["Gsid"]): one for one in self._control.get("/gainsight/ctas")}
        rows = []
        for told, receipt in self._done("task"):
            task = tasks[receipt.key]
            case = next((seen for one, seen in self._done("reach_out") if one.run == told.run), None)
            rows.append(
                [
                    clean(task["Name"])[:52],
                    told.inputs["owner_email"],
                    "ticket " + case.key if case else "not written to",
                ]
            )
        self._out.table(["task", "for", "the customer"], rows)
        self._out.line(
            "Kestrel's answer came three times by webhook and once with the export: one task. Nordhafen's did not allow contact: "
            "nobody wrote to them. Oakhurst has no owner: the leads have it. Aldermoor is happy: nothing."
        )
        self._must(len(people) == len(_ANSWERS), "everybody answered")
        made = [
            one for one in self._control.effects("api") if f"{one['vendor']}:{one['kind']}" == "zendesk:ticket.created"
        ]
        agreed = sum(score <= 6 and may for _, score, _, may, _ in _ANSWERS)
        self._must(len(made) == agreed, "only those who agreed were written to")
        self._catch_up()

    def _unhappy(self) -> int:
        """Count the unhappy answers that were there before: they are heard too."""
        from cxbridge.core.store import records

        with self._stage.bridge.store.read() as tx:
            found = records.scan(tx, kinds=["feedback"], connection="qualtrics", limit=1000)
        bands = [getattr(one.entity(), "band", "") for one in found]
        return sum(band in ("detractor", "dissatisfied", "high_effort") for band in bands)

    def _answered(self) -> list[str]:
        made = []
        for email, score, words, may, times in _ANSWERS:
            body = {"email": email, "score": score, "verbatim": words, "contact_ok": may, "announce": times}
            made.append(str(self._control.post("/qualtrics/responses", body)["id"]))
            allowed = "we may write to them" if may else "we may not write to them"
            self._out.line(f"  {email} gives {score} of 10, and {allowed}: “{words}”")
        return made

    # -- what caused it is fixed ---------------------------------------------------------------------------------------

    def _fixed(self) -> None:
        self._title("What caused it is fixed; the customer hears of it, once")
        told, receipt = next(
            pair for pair in self._done("reach_out") if pair[0].inputs["requester_email"] == _ANSWERS[0][0]
        )
        number = receipt.key
        before = len(self._done("join"))
        body = {"tags_add": ["needs-engineering"], "priority": "high"}
        self._control.patch(f"/zendesk/tickets/{number}", body)
        self._catch_up(all_seen=False)
        self._stage.until(
            lambda: len(self._done("join")) > before and self._look.settled(), f"ticket {number} was escalated"
        )
        self._look.read_links()
        issue = next(one for one, tickets in self._look.linked.items() if any(t.key == number for t in tickets))
        self._stage.until(lambda: self._look.all_stored([issue]), "the issue was read back")
        self._catch_up()
        key = self._look.key(issue)
        self._out.line(
            f"  an agent marks ticket {number} for engineering: it becomes {key}; an engineer closes that as Fixed"
        )
        self._control.post(f"/jira/issues/{key}/transition", {"to": "Done", "resolution": "Fixed"})
        self._stage.until(lambda: bool(self._fixed_notes(number)) and self._look.settled(), "the customer heard of it")
        self._out.line(f"  the customer reads on ticket {number}: “{clean(self._fixed_notes(number)[0])}”")
        task = next(seen for one, seen in self._done("task") if one.run == told.run)
        self._control.patch(f"/gainsight/ctas/{task.key}", {"status": "Closed Success"})
        self._stage.until(lambda: bool(self._done("ask_again")) and self._look.settled(), "they were asked again")
        self._out.line(
            "  the owner closes the task; whoever agreed to it is asked again, once: the ledger of asks stands between all recipes"
        )

    def _fixed_notes(self, number: str) -> list[str]:
        said = self._control.get(f"/zendesk/tickets/{number}")["comments"][1:]
        return [one["body"] for one in said if one["public"]]

    # -- an account falls ----------------------------------------------------------------------------------------------

    def _falling(self) -> None:
        self._title("An account's health falls; noise stays silent, and a person decides about the big one")
        self._stage.begin(CHURN)
        self._stage.until(self._look.settled, "the recipe met what is stored")
        before = len(self._tasks_of(CHURN))
        self._moves(_DIP, 57)
        self._moves(_FALL, 41)
        self._moves(_BIG, 38)
        self._stage.until(
            lambda: (
                len(self._tasks_of(CHURN)) == before + 1 and len(self._done("play.ask")) == 1 and self._look.settled()
            ),
            "one owner has a task, and one question was asked",
        )
        self._out.line(
            f"  {_DIP[1]}: a dip inside the band, nobody hears of it. {_FALL[1]}: a fall, its owner has a task and a message."
        )
        question = self._control.get("/slack/channels/churn-desk/messages")["messages"][-1]
        self._out.line(
            f"  {_BIG[1]} is worth more than the limit, so #churn-desk is asked: “{clean(str(question['text']))[:110]}”"
        )
        ask = self._done("play.ask")[0][0]
        press = {"approval": ask.inputs["approval"], "choice": "approve", "user": "CS Leads"}
        self._control.post("/slack/click", {**press, "form": {"kind": "executive call"}})
        self._stage.until(
            lambda: len(self._tasks_of(CHURN)) == before + 2 and self._look.settled(), "what was approved was done"
        )
        self._out.line("  somebody presses Approve and chooses “executive call”: the owner has a task that says so")
        self._moves(_FALL, 39)
        self._moves(_FALL, 66)
        self._moves(_FALL, 40)
        self._stage.until(self._look.settled, "the recipe met what is stored")
        self._must(len(self._tasks_of(CHURN)) == before + 2, "it cools off after an alert")
        self._out.line(
            f"  {_FALL[1]} goes on up and down: its owner knows already, and for two weeks nothing is said again"
        )

    def _moves(self, company: tuple[str, str], score: float) -> None:
        """Move a score, and wait until it was read."""
        gsid = self._control.patch(f"/gainsight/companies/{company[0]}", {"current_score": score})["Gsid"]
        self._stage.until(lambda: self._health_of(str(gsid)) == score, f"the health of {company[1]} was read")

    def _health_of(self, gsid: str) -> Any:
        from cxbridge.core.ledger import Ref
        from cxbridge.core.store import records

        with self._stage.bridge.store.read() as tx:
            record = records.get(tx, Ref("gainsight", "health", gsid))
        return getattr(record.entity(), "value", None) if record else None

    def _catch_up(self, *, all_seen: bool = True) -> None:
        """Let Zendesk's minute pass, and our own writes be read back before somebody else writes over them."""
        self._control.post("/clock/advance", {"seconds": _PAST_THE_DELAY})
        if all_seen:
            self._stage.until(
                lambda: self._look.settled() and len(set(self._look.echoes())) == 1,
                "every write of ours was seen again",
            )

    # -- small things --------------------------------------------------------------------------------------------------

    def _done(self, *steps: str) -> "list[tuple[Delivery, Receipt]]":
        return self._stage.seen.done(*steps)

    def _tasks_of(self, recipe: str) -> "list[tuple[Delivery, Receipt]]":
        return [pair for pair in self._done("task") if pair[0].recipe == recipe]

    def _must(self, right: bool, what: str) -> None:
        if not right:
            raise DemoError(f"this is not as it must be: {what}", f"the log is {self._stage.log}")
