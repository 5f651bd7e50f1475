"""The options that several commands share; holds no behaviour."""

from pathlib import Path
from typing import Annotated, Final

import typer

DEFAULT_CONFIG: Final = Path("cxbridge.toml")

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", envvar="CXBRIDGE_CONFIG", metavar="FILE", help="The settings file.")
]
Database = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="URL",
        help="Use this store instead of the one in the settings: sqlite:///… or postgresql://…",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout; messages go to stderr.")]
Entity = Annotated[
    str,
    typer.Argument(
        metavar="ENTITY",
        help="What people call it (4017, ENG-12), or connection:key, or connection/stream/key.",
    ),
]
