"""The command line: one module per family of commands. What a command does lives in the engine.

Loading this package costs nothing: typer comes with `app`, the engine only inside the command that needs it.
"""


def main() -> None:
    """Run the command that this process was started with, and end the process with its exit code."""
    import sys

    from cxbridge.core.lean import collect_seldom, end_quickly

    collect_seldom()
    from cxbridge.cli.app import run

    code = run(sys.argv[1:])
    end_quickly()
    sys.exit(code)
