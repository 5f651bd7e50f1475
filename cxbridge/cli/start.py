"""`init`: the first files of an installation; never touches one that is there."""

from importlib import resources
from pathlib import Path
from typing import Annotated

import typer

from cxbridge.cli.errors import CannotWriteError
from cxbridge.cli.render import Output
from cxbridge.cli.sandbox import CONTROL_PORT

RECIPE = "escalation-to-jira.toml"
# They need more vendors than most begin with: Gainsight, Qualtrics and Slack.
MORE_RECIPES = ("closed-loop-feedback.toml", "churn-alert.toml")


def init(
    folder: Annotated[Path, typer.Argument(metavar="[FOLDER]", help="Where; the current folder without.")] = Path(),
    *,
    sandbox: Annotated[
        bool, typer.Option("--sandbox", help="Point it at the simulated vendors of a running sandbox.")
    ] = False,
    control_url: Annotated[
        str, typer.Option(metavar="URL", help="The sandbox's control address.")
    ] = f"http://127.0.0.1:{CONTROL_PORT}",
    all_recipes: Annotated[
        bool,
        typer.Option("--all-recipes", help="Write every shipped recipe, also those whose vendors are not named yet."),
    ] = False,
) -> None:
    """Write cxbridge.toml, a first recipe and a folder for secrets; what is there already stays as it is."""
    import json

    from cxbridge.core.recipes.editor import schema

    output = Output()
    settings = sandbox_settings(control_url) if sandbox else shipped("cxbridge.toml")
    made = Made(output)
    try:
        made.folder(folder)
        made.file(folder / "cxbridge.toml", settings)
        made.folder(folder / "recipes")
        for name in (RECIPE, *(MORE_RECIPES if sandbox or all_recipes else ())):
            made.file(folder / "recipes" / name, shipped(name))
        made.file(folder / "recipes" / "cxbridge.schema.json", json.dumps(schema(), indent=1) + "\n")
        made.folder(folder / "secrets", 0o700)
        # Whoever puts this folder under version control keeps the secrets out of it.
        made.file(folder / "secrets" / ".gitignore", "*\n")
        if sandbox:
            made.file(folder / "secrets" / "sandbox.token", "sandbox-token\n", 0o600)
            made.file(folder / "secrets" / "sandbox.webhook", "sandbox-signing-secret\n", 0o600)
    except OSError as error:
        raise CannotWriteError(f"{error.filename} cannot be written: {error.strerror}") from error
    output.line()
    for number, told in enumerate(_next_steps(folder, sandbox=sandbox), start=1):
        output.line(f"{number}. {told}")


def shipped(name: str) -> str:
    """Read a file that comes with the command line."""
    return resources.files("cxbridge.cli").joinpath("data", name).read_text(encoding="utf-8")


def sandbox_settings(
    control_url: str, *, poll: str = "15s", settle: str = "10s", listen: str = "127.0.0.1:8700"
) -> str:
    """Make settings for a running sandbox, whose control address tells the others.

    Raises:
        UnavailableError: nothing answers there.
    """
    from cxbridge.cli.demo.control import Control

    urls = Control(control_url).get("/state")["urls"]
    text = shipped("sandbox.toml").replace("POLL", poll).replace("SETTLE", settle).replace("LISTEN", listen)
    for vendor in ("zendesk", "jira", "gainsight", "qualtrics", "slack"):
        text = text.replace(f"{vendor.upper()}_URL", urls[vendor])
    return text


class Made:
    """Makes files and folders that are not there, and says of each what became of it."""

    def __init__(self, output: Output) -> None:
        self._output = output

    def folder(self, path: Path, mode: int = 0o755) -> None:
        """Make a folder."""
        if not path.is_dir():
            path.mkdir(mode=mode, parents=True)
            # The process's mask may have taken rights away, and must not have left any.
            path.chmod(mode)
            self._output.line(f"made  {path}/")

    def file(self, path: Path, text: str, mode: int = 0o644) -> None:
        """Write a file; one that is there stays as it is."""
        import os

        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            self._output.line(f"kept  {path} (it was there)")
            return
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        self._output.line(f"made  {path}")


def _next_steps(folder: Path, *, sandbox: bool) -> list[str]:
    go = "" if folder == Path() else f"cd {folder} && "
    if sandbox:
        first = ["look whether the sandbox answers:        " + go + "cxbridge connections check"]
    else:
        name = f"name your accounts in {folder / 'cxbridge.toml'}, and put each secret into a file of its name"
        first = [
            f"{name} in {folder / 'secrets'}/",
            f"look whether the credentials work:       {go}cxbridge connections check",
        ]
    return [
        *first,
        "read what there is:                      cxbridge pull",
        "see what the recipe would do:            cxbridge plan",
        f'when you like it, set stage = "live" in recipes/{RECIPE}, and start the daemon: cxbridge run',
    ]
