"""The tree of commands and the one place where a command's end becomes an exit code; does no command's work."""

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.exceptions import TyperException

from cxbridge.cli import (
    approvals,
    audit,
    backup,
    connections,
    daemon,
    db,
    dead,
    demo,
    doctor,
    figures,
    history,
    identity,
    recipes,
    runs,
    sandbox,
    simulate,
    start,
    verbs,
)
from cxbridge.cli.errors import EXIT_CODES, INTERRUPTED, report, report_bug, report_usage
from cxbridge.core.errors import CxbridgeError


def run(argv: Sequence[str]) -> int:
    """Run a command; gives the exit code. Every error is told in words, a traceback only after `--debug`."""
    debug, arguments = _debug_first(argv)
    try:
        command: Any = typer.main.get_command(build())
        result = command.main(
            args=["--debug", *arguments] if debug else arguments, prog_name="cxbridge", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except CxbridgeError as error:
        if debug:
            report_bug(error, argv, debug=True)
        return report(error)
    except TyperException as error:
        if type(error).__name__ == "NoArgsIsHelpError":
            typer.echo(error.format_message(), err=True)
            return 64
        context = getattr(error, "ctx", None)
        return report_usage(error.format_message(), context.command_path if context else "cxbridge")
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:  # noqa: BLE001  # a defect is told in one line, not thrown at a person
        return report_bug(error, arguments, debug=debug)


def build() -> typer.Typer:
    """Put the tree of commands together."""
    # Without rich: its import alone would make `--help` three times slower.
    app = typer.Typer(
        name="cxbridge",
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        no_args_is_help=True,
        epilog=EXIT_CODES,
        help="Carries customer-experience processes across help desks, trackers and their neighbours.",
    )
    app.callback()(_root)
    app.command("init")(start.init)
    app.command("demo")(demo.demo)
    app.command("sandbox")(sandbox.sandbox)
    app.command("pull")(verbs.pull)
    app.command("plan")(verbs.plan)
    app.command("push")(verbs.push)
    app.command("run")(daemon.run)
    app.command("simulate")(simulate.simulate)
    app.command("why")(history.why)
    app.command("why-not")(history.why_not)
    app.command("figures")(figures.figures)
    app.command("doctor")(doctor.doctor)
    app.command("restore")(backup.restore)
    app.add_typer(backup.app, name="backup")
    app.add_typer(db.app, name="db")
    app.add_typer(connections.app, name="connections")
    app.add_typer(recipes.app, name="recipes")
    app.add_typer(runs.app, name="runs")
    app.add_typer(dead.app, name="dead")
    app.add_typer(approvals.app, name="approvals")
    app.add_typer(identity.app, name="identity")
    app.add_typer(audit.app, name="audit")
    return app


def _version(wanted: bool) -> None:
    if wanted:
        from cxbridge import __version__

        typer.echo(f"cxbridge {__version__}")
        raise typer.Exit


def _root(
    *,
    debug: Annotated[bool, typer.Option("--debug", help="Show a traceback when something goes wrong.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
    ] = False,
) -> None:
    del debug, version


def _debug_first(argv: Sequence[str]) -> tuple[bool, list[str]]:
    """Take `--debug` from wherever it stands: who adds it to a command that failed adds it at the end."""
    before = list(argv[: argv.index("--")]) if "--" in argv else list(argv)
    rest = list(argv[len(before) :])
    return "--debug" in before, [one for one in before if one != "--debug"] + rest
