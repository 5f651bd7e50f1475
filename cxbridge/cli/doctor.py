"""`doctor`: what is wrong or soon will be, one line for each, with what to do about it; mends nothing."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cxbridge.cli import opening
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Database, Json
from cxbridge.cli.render import Output, clean
from cxbridge.core.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cxbridge.core.engine.checkup import Finding

_SIGNS = {"ok": "✓", "warning": "!", "problem": "✗"}


def doctor(
    *,
    deep: Annotated[
        bool, typer.Option("--deep", help="Also check the whole store, the audit chain, and a page of every stream.")
    ] = False,
    config: ConfigFile = DEFAULT_CONFIG,
    database: Database = None,
    json: Json = False,
) -> None:
    """Look everything over: machine, files, store, work and vendors. Writes nothing, and may run beside the daemon.

    Exits with 0 when nothing is wrong; else with the code of the worst problem: 78 configuration, 77 credential, 73 cannot
    write, 75 try again later, 69 a vendor cannot be used.
    """
    from cxbridge.core.engine.checkup import Checkup, exit_code, unusable

    output = Output(json)
    found: list[Finding] = []

    def told(findings: "Iterator[Finding]") -> None:
        for one in findings:
            found.append(one)
            if not json:
                _print(output, one)

    try:
        read = opening.configuration(config, database)
    except ConfigError as error:
        told(unusable(error))
    else:
        told(Checkup(read, config, deep=deep).findings())
    code = exit_code(found)
    if json:
        output.data({"exit_code": code, "findings": [asdict(one) for one in found]})
    else:
        counted = [sum(one.state == state for one in found) for state in _SIGNS]
        output.line(f"{counted[0]} ok, {counted[1]} to look at, {counted[2]} wrong")
    if code:
        raise typer.Exit(code)


def _print(output: Output, one: "Finding") -> None:
    line = f"{_SIGNS[one.state]} {one.about}: {clean(one.told)}"
    output.line(f"{line}; remedy: {clean(one.remedy)}" if one.remedy else line)
