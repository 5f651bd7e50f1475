"""`approvals`: what recipes ask people, and answering it here; an answer counts as one given in a chat does."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, clean, shown

if TYPE_CHECKING:
    from cxbridge.core.ledger import Run
    from cxbridge.core.store import Tx
    from cxbridge.core.store.approvals import Approval

app = typer.Typer(no_args_is_help=True, help="Questions that recipes ask people: list, show, answer.")

_Id = Annotated[str, typer.Argument(metavar="ID", help="The question, as `approvals list` shows it.")]


@app.command("list")
def list_(
    *,
    recipe: Annotated[str, typer.Option("--recipe", metavar="RECIPE", help="Only those of this recipe.")] = "",
    state: Annotated[
        str, typer.Option(metavar="STATE", help="Questions in this state; without, those that wait for an answer.")
    ] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many.")] = 50,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """List the questions that wait for an answer, oldest first, or those in a state, newest first."""
    from cxbridge.core.store import approvals
    from cxbridge.core.store.approvals import ApprovalState

    wanted: Any = state or None
    if wanted is not None and wanted not in get_args(ApprovalState):
        raise UsageError(f"there is no state {state!r}", f"the states are {', '.join(get_args(ApprovalState))}")
    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        if wanted is None:
            found = approvals.waiting(tx, recipe=recipe or None, limit=limit)
        else:
            found = approvals.find(tx, state=wanted, recipe=recipe or None, limit=limit)
        rows = [_as_data(tx, one) for one in found]
    if json:
        output.data(rows)
        return
    output.table(
        ["id", "recipe", "subject", "question", "stands", "asked", "until"],
        [
            [
                one["id"],
                one["recipe"],
                one["subject"],
                one["question"],
                one["stands"],
                one["asked_at"],
                one["expires_at"],
            ]
            for one in rows
        ],
    )
    if not rows:
        output.say("no question waits for an answer" if wanted is None else f"no question is {state}")
    elif wanted is None:
        output.say("answer one with: cxbridge approvals answer ID approve|reject")


@app.command("show")
def show(approval: _Id, *, config: ConfigFile = DEFAULT_CONFIG, database: Database = None, json: Json = False) -> None:
    """Show a question: its words, its form, whom it was put to, and who answered what."""
    output = Output(json)
    with opening.bridge(config, database, read_only=True, writing=False) as bridge, bridge.store.read() as tx:
        found = _found(tx, approval)
        told = _as_data(tx, found)
    if json:
        output.data(told)
        return
    output.line(f"{found.id}: {found.recipe} asks in step {found.step} of {found.run}")
    output.line(f"  question  {clean(found.question)}")
    output.line(f"  subject   {told['subject'] or '–'}")
    output.line(f"  stands    {clean(told['stands'])}")
    output.line(f"  asked     {shown(found.asked_at)}, until {shown(found.expires_at)}; then: {told['on_timeout']}")
    for name in ("to", "deputies"):
        several = ", ".join(f"{one['connection']} {one['to']}" for one in told[name])
        output.line(f"  {name:<8}  {clean(several) or '–'}")
    for field in told["form"]:
        output.line(f"  form      {field['name']}: {clean(_said(field))}")
    for one in told["answers"]:
        filled = ", ".join(f"{name} = {value}" for name, value in one["form"].items() if value is not None)
        unheeded = f"  (does not count: {one['refused']})" if one["refused"] else ""
        output.line(f"  answer    {shown(one['at'])} {clean(one['name'])}: {one['choice']} {clean(filled)}{unheeded}")


@app.command("answer")
def answer(
    approval: _Id,
    choice: Annotated[str, typer.Argument(metavar="approve|reject", help="What is decided.")],
    *,
    who: Annotated[
        str,
        typer.Option("--as", metavar="NAME", help="Who decides: a name or an e-mail address; without, who you are."),
    ] = "",
    form: Annotated[
        list[str] | None, typer.Option("--form", metavar="NAME=VALUE", help="A field of the form; may be given often.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
) -> None:
    """Answer a question. It counts once for each person, together with the answers that come from a chat."""
    from cxbridge.core.connector import Pressed
    from cxbridge.core.engine.approvals import answered
    from cxbridge.core.engine.verdicts import token_of

    if choice not in ("approve", "reject"):
        raise UsageError(f"{choice!r} is no answer", "say approve or reject")
    name = who.strip() or opening.who()
    with opening.bridge(config, database, read_only=True) as bridge:
        with bridge.store.write() as tx:
            found = _found(tx, approval)
            given = _filled(found, form or ())
            pressed = Pressed(token_of(found), choice, who=name, name=name, form=given)
            outcome = answered(tx, "", pressed, bridge.clock.now())
            if not outcome.counts:
                raise CommandError(
                    f"this does not count: {outcome.told}", f"see it with: cxbridge approvals show {found.id}"
                )
        bridge.wake()
    Output().line(f"{found.id} is {outcome.told}")


def _found(tx: "Tx", approval: str) -> "Approval":
    from cxbridge.core.store import approvals

    found = approvals.get(tx, approval)
    if found is None:
        raise CommandError(f"there is no question {approval!r}", "see them with: cxbridge approvals list")
    return found


def _filled(approval: "Approval", given: Sequence[str]) -> dict[str, str]:
    """Read NAME=VALUE.

    Raises:
        UsageError: a text is no such pair, or there is no such field.
    """
    known = [field["name"] for field in approval.form]
    filled = {}
    for one in given:
        name, equals, value = one.partition("=")
        if not equals or name not in known:
            hint = f"it asks for {', '.join(known)}" if known else "this question asks for nothing else"
            raise UsageError(f"--form {one}: write NAME=VALUE, with a field of the form", hint)
        filled[name] = value
    return filled


def _said(field: Mapping[str, Any]) -> str:
    parts = [field["type"], *([f"one of {', '.join(field['of'])}"] if field["of"] else [])]
    parts += ["may stay empty"] if field["optional"] else []
    parts += [f"{field['default']} without an answer"] if field["default"] is not None else []
    return ", ".join(parts) + (f" ({field['label']})" if field["label"] else "")


def _as_data(tx: "Tx", approval: "Approval") -> dict[str, Any]:
    from cxbridge.core.engine.verdicts import verdict_of
    from cxbridge.core.store import runs

    run: Run | None = runs.get(tx, approval.run)
    return {
        "id": approval.id,
        "run": approval.run,
        "run_state": run.state if run else None,
        "recipe": approval.recipe,
        "step": approval.step,
        "subject": str(run.subject) if run else None,
        "state": approval.state,
        "stands": verdict_of(approval),
        "question": approval.question,
        "to": list(approval.asked.get("to", ())),
        "deputies": list(approval.asked.get("deputies", ())),
        "on_timeout": approval.asked.get("on_timeout"),
        "form": [dict(field) for field in approval.form],
        "quorum": approval.quorum,
        "answers": [
            {
                "name": one.name,
                "who": one.who,
                "choice": one.choice,
                "form": dict(one.form),
                "at": one.at,
                "refused": one.refused,
            }
            for one in approval.answers
        ],
        "asked_at": approval.asked_at,
        "expires_at": approval.expires_at,
        "decided_at": approval.decided_at,
    }
