"""`sandbox`: simulated vendors on this machine, to try things on; no part of what runs in production."""

import signal
import sys
import threading
from pathlib import Path
from typing import Annotated, Any

import typer

from cxbridge.cli.errors import CannotWriteError, CommandError
from cxbridge.cli.options import Json
from cxbridge.cli.render import Output
from cxbridge.cli.signals import Signals

CONTROL_PORT, ZENDESK_PORT, JIRA_PORT, GAINSIGHT_PORT, QUALTRICS_PORT, SLACK_PORT = 8100, 8101, 8102, 8103, 8104, 8105


_ABOUT = {
    "control": "   people, clock, faults, journal: open it for a list",
    "proxies": "   fault proxies before the vendors, as Toxiproxy's API",
}


def sandbox(
    *,
    zendesk_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Zendesk listens; 0 takes a free port.")
    ] = ZENDESK_PORT,
    jira_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Jira listens; 0 takes a free port.")
    ] = JIRA_PORT,
    gainsight_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Gainsight listens; 0 takes a free port.")
    ] = GAINSIGHT_PORT,
    qualtrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Qualtrics listens; 0 takes a free port.")
    ] = QUALTRICS_PORT,
    slack_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where Slack listens; 0 takes a free port.")
    ] = SLACK_PORT,
    control_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Where people, clock and faults are played; 0 takes a free port.")
    ] = CONTROL_PORT,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Fill it from this file (.jsonl or .csv, also .gz) instead of the shipped company."
        ),
    ] = None,
    export_lag: Annotated[
        int, typer.Option(min=0, metavar="SECONDS", help="How long Zendesk holds changes back.")
    ] = 60,
    search_lag: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long Jira's search misses a change.")
    ] = 5,
    no_limits: Annotated[bool, typer.Option("--no-limits", help="Lift the vendors' rate limits.")] = False,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Equal seeds give equal ids.")] = 1,
    proxy_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Put a fault proxy before every vendor; its control API, as Toxiproxy's, listens here.",
        ),
    ] = None,
    until_eof: Annotated[bool, typer.Option("--until-eof", hidden=True)] = False,
    json: Json = False,
) -> None:
    """Simulate five vendors on this machine until interrupted: real HTTP, with a company to try things on.

    Point a folder at it with: cxbridge init --sandbox
    """
    from cxbridge.sandbox import seed as company
    from cxbridge.sandbox.proxy import Proxies
    from cxbridge.sandbox.seed import SeedError
    from cxbridge.sandbox.server import Sandbox
    from cxbridge.sandbox.world import World

    zendesk: dict[str, Any] = {"export_lag": export_lag}
    jira: dict[str, Any] = {"search_lag": search_lag}
    others: dict[str, dict[str, Any]] = {"gainsight": {}, "qualtrics": {}, "slack": {}}
    if no_limits:
        zendesk["limits"] = None
        jira |= {"limits": None, "issue_writes": None}
        others = {
            "gainsight": {"per_minute": None, "per_day": None},
            "qualtrics": {"limits": None},
            "slack": {"limits": None},
        }
    world = World(seed, zendesk_options=zendesk, jira_options=jira, options=others)
    ports = {
        "zendesk": zendesk_port,
        "jira": jira_port,
        "gainsight": gainsight_port,
        "qualtrics": qualtrics_port,
        "slack": slack_port,
        "control": control_port,
    }
    proxies = None if proxy_port is None else Proxies(control_port=proxy_port, seed=seed)
    served = Sandbox(world, ports=ports, proxies=proxies)
    try:
        loaded = company.load_file(world, data) if data else company.load_company(world)
    except SeedError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        raise CommandError(f"{data} cannot be read: {error.strerror}") from error
    ends = _ends(until_eof=until_eof)
    try:
        if proxies is not None:
            proxies.start()
        served.start()
    except OSError as error:
        raise CannotWriteError(str(error.strerror or error), "name another port, or 0 for a free one") from error
    try:
        _tell(Output(json), served, loaded, proxies.control_url if proxies else "")
        ends.wait()
    finally:
        served.stop()
        if proxies is not None:
            proxies.stop()


def _tell(output: Output, served: Any, loaded: dict[str, int], proxies: str) -> None:
    urls: dict[str, str] = dict(served.world.public_urls)
    if proxies:
        urls["proxies"] = proxies
    if output.json:
        output.data({**urls, "loaded": loaded})
    else:
        output.line("simulated vendors, until Ctrl-C; bridge@example.test with the token sandbox-token everywhere:")
        for vendor, url in urls.items():
            told = _ABOUT.get(vendor, "")
            output.line(f"  {vendor.capitalize() if told == '' else vendor:<10} {url}{told}")
        output.line("  holds    " + ", ".join(f"{count} {kind}s" for kind, count in loaded.items()))
        output.line(
            "point a folder at it with: cxbridge init --sandbox"
            + (
                f" --control-url {served.control_url}"
                if served.control_url.rpartition(":")[2] != str(CONTROL_PORT)
                else ""
            )
        )
    sys.stdout.flush()


def _ends(*, until_eof: bool) -> Signals:
    """Give what a signal wakes, or the end of stdin where whoever started this process holds the other end."""
    ends = Signals()
    ends.on(signal.SIGTERM, signal.SIGINT, call=lambda *_: None)
    if until_eof:

        def watch() -> None:
            sys.stdin.buffer.read()
            ends.wake()

        threading.Thread(target=watch, name="until-eof", daemon=True).start()
    return ends
