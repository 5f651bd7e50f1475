"""`demo`: the whole of cxbridge on one screen, checked against what simulated vendors wrote down.

`story` tells it act by act; `stage` is what it plays on (a sandbox, a folder, a daemon); `evidence` compares at the end.
"""

from pathlib import Path
from typing import Annotated

import typer

ROWS = 2000


def demo(
    *,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave sandbox and daemon running afterwards, until Ctrl-C.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Use these tickets (.jsonl or .csv, also .gz) instead of the shipped ones."),
    ] = None,
    rows: Annotated[int, typer.Option(min=12, metavar="N", help="How many tickets of that file to take.")] = ROWS,
) -> None:
    """Show what cxbridge does, in about a minute: five simulated vendors, three recipes, every figure checked.

    Needs no account and no network. Exits with 1 if any figure differs from what the simulated vendors say.
    """
    from cxbridge.cli.demo.story import play

    if not play(keep=keep, data=data, rows=rows):
        raise typer.Exit(1)
