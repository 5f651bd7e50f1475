"""The documentation against the code, in both directions: what a page names exists, and what exists is named.

Every command, setting, default, exit code, state, promise, fault and link is compared; the recipe language has a module of its own.
"""

import ast
import json
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
import typer
from pydantic import BaseModel
from starlette.routing import Route

from cxbridge.cli import errors as cli_errors
from cxbridge.cli import sandbox as sandbox_command
from cxbridge.cli.app import build
from cxbridge.core import config, errors
from cxbridge.core.config.times import CalendarSettings, WindowSettings
from cxbridge.core.connector import Connector
from cxbridge.core.ledger import DeliveryState, RunState
from cxbridge.plugins.gainsight import Gainsight
from cxbridge.plugins.jira import Jira
from cxbridge.plugins.qualtrics import Qualtrics
from cxbridge.plugins.qualtrics.rules import InviteRule, SurveyRule
from cxbridge.plugins.slack import Slack
from cxbridge.plugins.zendesk import API_TOKENS_END, Zendesk
from cxbridge.sandbox import control, faults
from cxbridge.sandbox import seed as company
from cxbridge.sandbox.gainsight import control as gainsight_people
from cxbridge.sandbox.gainsight import rows as gainsight_rows
from cxbridge.sandbox.jira.control import Control
from cxbridge.sandbox.qualtrics import control as qualtrics_people
from cxbridge.sandbox.qualtrics import surveys as qualtrics_surveys
from cxbridge.sandbox.server import Sandbox
from cxbridge.sandbox.slack import control as slack_people
from cxbridge.sandbox.slack import rows as slack_rows
from cxbridge.sandbox.world import World
from cxbridge.sandbox.zendesk import rows
from tests.documentation import (
    OURS,
    PAGES,
    ROOT,
    anchor,
    default_of,
    links_of,
    made,
    page,
    short,
    spans,
    told_defaults,
)

CONNECTORS: dict[str, type[Connector]] = {
    "Zendesk": Zendesk,
    "Jira": Jira,
    "Gainsight": Gainsight,
    "Qualtrics": Qualtrics,
    "Slack": Slack,
}

# -- pages as such -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", PAGES, ids=lambda file: str(file.relative_to(ROOT)))
def test_links_lead_somewhere(file: Path) -> None:
    lost = []
    for target in links_of(page(str(file.relative_to(ROOT))).prose):
        place, _, wanted = target.partition("#")
        if place.startswith(("https://", "http://")):
            continue
        there = (file.parent / place).resolve() if place else file
        known = page(str(there.relative_to(ROOT))).headings if wanted and there.exists() else ()
        if not there.exists() or (wanted and wanted not in map(anchor, known)):
            lost.append(target)
    assert lost == []


def test_what_stands_in_backquotes_stands_on_one_line() -> None:
    # A command broken over two lines would be compared with nothing.
    broken = [line for name in OURS for line in page(name).prose.splitlines() if line.count("`") % 2]
    assert broken == []


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {target.partition("#")[0] for target in links_of(page("README.md").prose)}
    assert {str(file.relative_to(ROOT)) for file in (ROOT / "docs").glob("*.md")} <= linked


def test_python_examples_compile_and_import_what_there_is() -> None:
    for file in PAGES:
        for block in page(str(file.relative_to(ROOT))).blocks:
            if block.language == "python":
                tree = ast.parse(block.text)
                # Ours only: a page for authors may import their own packages.
                froms = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
                imports: list[ast.stmt] = [one for one in froms if (one.module or "").startswith("cxbridge")]
                exec(compile(ast.Module(imports, []), f"{file.name}:{block.line}", "exec"), {})


def test_json_and_toml_examples_parse() -> None:
    for file in PAGES:
        for block in page(str(file.relative_to(ROOT))).blocks:
            if block.language == "toml":
                tomllib.loads(block.text)
            elif block.language == "json":
                json.loads(block.text)
            elif block.language == "jsonl":
                for line in block.text.splitlines():
                    json.loads(line)


def test_the_changelog_begins_with_what_is_not_released() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    headings = page("CHANGELOG.md").headings
    assert headings[1] == "Unreleased"
    assert version in page("CHANGELOG.md").text
    assert "Connectors" in headings


def test_make_targets_and_variables_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))
    for name in OURS:
        shown = [line for block in page(name).blocks if block.language == "sh" for line in block.text.splitlines()]
        for words in (one.split() for one in [*shown, *spans(page(name).prose)] if one.startswith("make ")):
            assert words[1] in targets, f"{name}: make {words[1]}"
            for variable in (word.partition("=")[0] for word in words[2:] if "=" in word):
                assert f"$({variable})" in makefile, f"{name}: {variable}"


# -- commands ----------------------------------------------------------------------------------------------------------


def commands(group: Any = None, before: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command of the tree with its words."""
    tree: Any = group or typer.main.get_command(build())
    for name, one in tree.commands.items():
        if hasattr(one, "commands"):
            yield from commands(one, (*before, name))
        else:
            yield (*before, name), one


TREE = dict(commands())
SHARED = {"--config", "-c", "--database", "--json", "--help"}


def options_of(command: Any) -> dict[str, Any]:
    return {
        name: one
        for one in command.params
        if one.param_type_name == "option" and not one.hidden
        for name in (*one.opts, *one.secondary_opts)
    }


def called(words: list[str]) -> None:
    """Check one call of the command line as a page writes it: `words` come behind `cxbridge`."""
    words = [one for one in words if one not in ("--debug", "…", "...")]
    if not words or words[0] in ("--version", "--help", "COMMAND"):
        return
    name = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in TREE), None)
    if name is None and len(words) == 1 and any(known[0] == words[0] for known in TREE):
        return  # a family of commands, named as such
    assert name is not None, f"there is no command cxbridge {' '.join(words)}"
    command, options = TREE[name], options_of(TREE[name])
    given, rest = [], iter(words[len(name) :])
    for word in rest:
        if word.startswith("-"):
            option, equals, _ = word.partition("=")
            if option == "--help":
                continue
            assert option in options, f"cxbridge {' '.join(name)} has no option {option}"
            if not equals and not options[option].is_flag:
                next(rest, None)
        else:
            given.append(word)
    places = [one for one in command.params if one.param_type_name == "argument"]
    most = 10_000 if any(one.nargs == -1 for one in places) else len(places)
    assert len(given) <= most, f"cxbridge {' '.join(words)} has too many arguments"


@pytest.mark.parametrize("name", [*OURS, "CHANGELOG.md"])
def test_commands_on_the_pages_exist(name: str) -> None:
    shown = [
        line
        for block in page(name).blocks
        if block.language in ("sh", "ini")
        for line in block.text.replace("\\\n", " ").replace("ExecStart=", "").splitlines()
    ]
    calls_ = 0
    for text in (*shown, *spans(page(name).prose)):
        try:
            words = shlex.split(text, comments=True)
        except ValueError:
            continue
        places = [n for n, word in enumerate(words) if word == "cxbridge" or word.endswith("/bin/cxbridge")]
        if places and words[0] not in ("User=cxbridge", "pip"):
            called(words[places[-1] + 1 :])
            calls_ += 1
    assert calls_ or name in ("docs/promises.md", "docs/glossary.md")


def test_every_command_and_option_is_in_the_table() -> None:
    told = {}
    for call, options, _ in page("docs/operating.md").table("Commands").rows:
        words = spans(call)[0].split()[1:]
        name = tuple(word for word in words if word.islower() or "-" in word)
        told[name] = set(spans(options))
    assert told == {name: set(options_of(one)) - SHARED for name, one in TREE.items()}


def test_shared_options_are_where_the_page_says() -> None:
    without = {name for name, one in TREE.items() if "--config" not in options_of(one)}
    assert without == {("init",), ("demo",), ("sandbox",), ("recipes", "schema"), ("db", "move")}
    prose = page("docs/operating.md").prose
    assert "All but `init`, `demo`, `sandbox`, `recipes schema` and `db move` take `--config FILE` (`-c`)" in prose


def test_exit_codes() -> None:
    told = {int(one) for one in page("docs/operating.md").table("Exit codes").column("Code")}
    kinds = [one for module in (errors, cli_errors) for one in vars(module).values() if isinstance(one, type)]
    real = {one.exit_code for one in kinds if issubclass(one, errors.CxbridgeError)}
    real |= {value for name, value in vars(cli_errors).items() if name.isupper() and isinstance(value, int)}
    assert told == real | {0}


def test_the_unit_file_fits_exit_codes_and_drain() -> None:
    unit = next(block.text for block in page("docs/operating.md").blocks if block.language == "ini")
    drain = config.DaemonSettings().drain.total_seconds()
    assert int(re.findall(r"TimeoutStopSec=(\d+)", unit)[0]) > drain
    told = {int(one) for one in page("docs/operating.md").table("Exit codes").column("Code")}
    assert {int(one) for one in re.findall(r"RestartPreventExitStatus=(.*)", unit)[0].split()} <= told


# -- settings ----------------------------------------------------------------------------------------------------------


def test_every_setting_is_documented_with_its_default() -> None:
    real: dict[str, str] = {}
    for name, field in config.Settings.model_fields.items():
        section = field.annotation
        if isinstance(section, type) and issubclass(section, BaseModel):
            real |= {f"[{name}] {key}": default_of(one) for key, one in section.model_fields.items()}
        else:
            real[name] = default_of(field)
    assert told_defaults(page("docs/operating.md").table("Settings"), "Setting") == real


@pytest.mark.parametrize(("heading", "connector"), CONNECTORS.items())
def test_every_setting_of_a_connection_is_documented_with_its_default(heading: str, connector: type[Connector]) -> None:
    real = {name: default_of(field) for name, field in connector.model_fields.items()}
    assert told_defaults(page("docs/vendors.md").table(heading, "Setting"), "Setting") == real
    credentials = page("docs/vendors.md").table(heading, "Credential").column("Settings")
    assert {word for cell in credentials for word in spans(cell)} <= set(real)
    told = {
        word for cell in credentials for word in spans(cell) if "Secret" in str(connector.model_fields[word].annotation)
    }
    secrets = {key for key, one in connector.model_fields.items() if "Secret" in str(one.annotation)}
    assert secrets - told <= {"webhook_secret", "webhook_secret_old"}


@pytest.mark.parametrize(
    ("name", "heading", "table"),
    [
        ("docs/operating.md", "[calendars.NAME]", CalendarSettings),
        ("docs/operating.md", "[[windows]]", WindowSettings),
        ("docs/vendors.md", "What a survey measures", SurveyRule),
        ("docs/vendors.md", "How invitations go out", InviteRule),
    ],
)
def test_every_setting_of_a_nested_table_is_documented_with_its_default(
    name: str, heading: str, table: type[BaseModel]
) -> None:
    real = {field.alias or key: default_of(field) for key, field in table.model_fields.items()}
    assert told_defaults(page(name).table(heading, "Setting"), "Setting") == real


@pytest.mark.parametrize(("heading", "connector"), CONNECTORS.items())
def test_every_stream_is_told_with_its_kind_and_pace(heading: str, connector: type[Connector]) -> None:
    table = page("docs/vendors.md").table("What is read" if heading == "Qualtrics" else heading, "Stream")
    told = {spans(stream)[0]: (kinds, every) for stream, kinds, every, _ in table.rows}
    real = {}
    for stream in made(connector).streams():
        pace = short(timedelta(seconds=stream.every)) if stream.every else "`poll`"
        kinds = ", ".join(kind.__name__.lower() for kind in stream.kinds)
        real[stream.name] = (kinds, f"with `{stream.filled_by}`" if stream.filled_by else pace)
    assert told == real


@pytest.mark.parametrize(("heading", "connector"), CONNECTORS.items())
def test_what_happens_to_webhooks_without_a_secret_is_told(heading: str, connector: type[Connector]) -> None:
    webhook = made(connector).webhook()
    assert webhook is not None
    table = page("docs/webhooks.md").table("At each vendor", "Vendor")
    told = dict(zip(table.column("Vendor"), table.column("Without `webhook_secret`"), strict=True))
    assert told.keys() == CONNECTORS.keys()
    # A connector made with as little as it takes has no secret for webhooks.
    assert told[heading].startswith("every delivery is refused" if webhook.signed else "the path alone")


def test_the_settings_of_a_new_installation_show_every_vendor(tmp_path: Path) -> None:
    shipped = (ROOT / "cxbridge/cli/data/cxbridge.toml").read_text(encoding="utf-8")
    file = tmp_path / "cxbridge.toml"
    # What is commented out works as it stands there: a setting, a table, or an entry of one.
    file.write_text(re.sub(r"^# (?=\[|[a-z-_]+ += )", "", shipped, flags=re.MULTILINE), encoding="utf-8")
    (tmp_path / "secrets").mkdir()
    for secret in re.findall(r'secret = "([^"]+)"', shipped):
        (tmp_path / "secrets" / secret).write_text("made-up\n")
    settings = config.load(file, environ={}).settings
    assert {one["connector"] for one in settings.connections.values()} == {one.name for one in CONNECTORS.values()}
    for name, one in settings.connections.items():
        kind = next(each for each in CONNECTORS.values() if each.name == one["connector"])
        assert set(one) - {"connector"} <= set(kind.model_fields), name
    assert settings.webhooks.listen
    assert set(settings.calendars) == {"support"}


def test_environment_variables_on_the_pages_are_read() -> None:
    sections = {
        f"CXBRIDGE_{name}__{key}".upper()
        for name, field in config.Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
        for key in field.annotation.model_fields
    }
    for name in OURS:
        for one in re.findall(r"CXBRIDGE_\w+", page(name).text):
            known = one in sections or one in ("CXBRIDGE_", "CXBRIDGE_CONFIG", "CXBRIDGE_SECRET_")
            assert known or one == config.Secrets.variable("jira.api_token"), f"{name}: {one}"


def test_settings_from_the_environment_win(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "cxbridge.toml").write_text('[daemon]\npoll = "30s"\n')
    monkeypatch.setenv("CXBRIDGE_DAEMON__POLL", "5m")
    assert config.load(tmp_path / "cxbridge.toml").settings.daemon.poll == timedelta(minutes=5)


def test_settings_on_the_pages_load(tmp_path: Path) -> None:
    shown = [block for name in OURS for block in page(name).blocks if block.text.startswith("# cxbridge.toml\n")]
    assert len(shown) >= 3
    (tmp_path / "secrets").mkdir()
    for number, block in enumerate(shown):
        for secret in re.findall(r'secret = "([^"]+)"', block.text):
            (tmp_path / "secrets" / secret).write_text(
                "sqlite:///made-up.db\n" if secret == "store.url" else "made-up\n"
            )
        file = tmp_path / f"{number}.toml"
        file.write_text(block.text, encoding="utf-8")
        config.load(file, environ={})


def test_a_secret_in_the_settings_is_refused_and_not_repeated(tmp_path: Path) -> None:
    for connector in CONNECTORS.values():
        name = connector.name
        secrets = [key for key, one in connector.model_fields.items() if "Secret" in str(one.annotation)]
        assert secrets
        for key in secrets:
            file = tmp_path / "cxbridge.toml"
            file.write_text(f'[connections.one]\nconnector = "{name}"\n{key} = "hush-hush"\n')
            with pytest.raises(errors.ConfigError, match="CX020") as caught:
                config.load(file, environ={})
            assert [problem.code for problem in caught.value.problems] == ["CX020"]
            assert "hush" not in "".join(problem.message + problem.hint for problem in caught.value.problems)


def test_secrets_are_looked_for_in_the_order_that_is_told(tmp_path: Path) -> None:
    (tmp_path / "handed").mkdir()
    (tmp_path / "handed" / "jira.api_token").write_text("first\n")
    (tmp_path / "jira.api_token").write_text("second\n")
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path / "handed"), "CXBRIDGE_SECRET_JIRA_API_TOKEN": "third"}

    def found() -> str | None:
        secret = config.Secrets(environ, tmp_path).find("jira.api_token")
        return secret.get_secret_value() if secret else None

    assert found() == "first"
    del environ["CREDENTIALS_DIRECTORY"]
    assert found() == "second"
    (tmp_path / "jira.api_token").unlink()
    assert found() == "third"


# -- what operators read -----------------------------------------------------------------------------------------------


def test_how_each_write_is_settled_is_told() -> None:
    table = page("docs/operating.md").table("How it ends")
    classes = ["Idempotent", "Keyed", "Findable", "Blind"]
    told: dict[str, str] = {}
    for effect, cell in zip(classes, table.column("Which"), strict=True):
        told |= dict.fromkeys(spans(cell), effect)
    real = {
        f"{connector.name} {action.name}": type(action.effect).__name__
        for connector in CONNECTORS.values()
        for action in made(connector).actions()
    }
    assert told == real


def test_log_events() -> None:
    told = {name for cell in page("docs/operating.md").table("Logs").column("Event") for name in spans(cell)}
    sources = [
        *(file for part in ("core", "console", "plugins") for file in (ROOT / "cxbridge" / part).rglob("*.py")),
        ROOT / "cxbridge/cli/daemon.py",
    ]
    called = r"(?:\b_?log\.(?:info|warning|error|debug)|\btold|getattr\(_log, \w+\))\("
    pattern = re.compile(rf"(?:{called}|\btell\(_log,)\s*\"([a-z_.]+)\"")
    assert told == {name for file in sources for name in pattern.findall(file.read_text(encoding="utf-8"))}


def test_states() -> None:
    tables = [one for one in page("docs/operating.md").tables if one.header == ("State", "Meaning")]
    told = [[spans(cell)[0] for cell in one.column("State")] for one in tables]
    assert [sorted(one) for one in told] == [sorted(get_args(RunState)), sorted(get_args(DeliveryState))]


def test_the_end_of_zendesks_api_tokens() -> None:
    told = re.findall(r"20\d\d-\d\d-\d\d", page("docs/vendors.md").prose + page("docs/operating.md").prose)
    assert set(told) == {API_TOKENS_END.isoformat()}


# -- promises ----------------------------------------------------------------------------------------------------------


def test_every_promise_names_tests_that_exist() -> None:
    tables = [one for one in page("docs/promises.md").tables if one.header == ("Promise", "Tests")]
    assert len(tables) >= 5
    for table in tables:
        for promise, cell in table.rows:
            ids = spans(cell)
            assert ids, f"no test for: {promise}"
            for one in ids:
                file, *names = one.split("::")
                body: list[ast.stmt] = ast.parse((ROOT / file).read_text(encoding="utf-8")).body
                for name in names:
                    found = next((node for node in body if getattr(node, "name", None) == name), None)
                    assert found is not None, f"there is no test {one}"
                    body = getattr(found, "body", [])


# -- the sandbox -------------------------------------------------------------------------------------------------------


def test_faults() -> None:
    table = page("docs/sandbox.md").table("Faults")
    assert [spans(cell)[0] for cell in table.column("Name")] == list(faults.NAMES)
    # The module says what each does: an entry begins four characters in, and its further lines stand deeper.
    described = dict(re.findall(r"^    (\w+) {2,}(.*(?:\n {8,}.*)*)", faults.__doc__ or "", re.MULTILINE))
    for name, params in zip(table.column("Name"), table.column("`params`"), strict=True):
        for param in (one for one in spans(params) if one.isidentifier()):
            assert param in described[spans(name)[0]], f"{name}: {param}"
    shown = [json.loads(block.text) for block in page("docs/sandbox.md").blocks if block.language == "json"]
    rule = next(one for one in shown if "vendor" in one)
    assert faults.Faults().add_rule(rule).name == "ghost"


_METHOD = "GET|POST|PUT|PATCH|DELETE"
_PEOPLE = {"gainsight": gainsight_people, "qualtrics": qualtrics_people, "slack": slack_people}
# What stands in the place of a word in capitals: something that is there once the rows on the page are loaded.
_NAMED = {
    "gainsight": {"companies": "HL-2001", "persons": "ines@northwind.test", "users": "maya@harbourlight.example"},
    "qualtrics": {"contacts": "ines@northwind.test", "surveys": "SV_relationNPS0001"},
    "slack": {"channels": "cx-alerts", "users": "Maya Ortiz"},
}


def told_requests() -> set[tuple[str, str]]:
    table = page("docs/sandbox.md").table("The control API")
    text = " ".join(cell for row in table.rows for cell in row)
    told: set[tuple[str, str]] = set()
    for methods, path in re.findall(rf"((?:`?(?:{_METHOD})`?(?:, | and )?)+) (/[\w/]+)`", text):
        told |= {(method, path) for method in re.findall(r"[A-Z]+", methods)}
    return told


def test_control_requests() -> None:
    told = told_requests()
    routes = {
        (method, re.sub(r"\{\w+(:\w+)?\}", "*", route.path))
        for route in control.create_app(World()).routes
        if isinstance(route, Route) and not re.match(r"/(zendesk|jira|\{vendor\})/|/$", route.path)
        for method in (route.methods or set()) - {"HEAD"}
    }
    plain = {
        (method, path.replace("NUMBER", "*").replace("VENDOR/revoke", "*/*").replace("VENDOR/restore", "*/*"))
        for method, path in told
        if not path.startswith(("/zendesk", "/jira", *(f"/{vendor}" for vendor in _PEOPLE)))
    }
    assert plain == routes
    known = control._HELP + (Control.__doc__ or "").replace("issues", "/jira/issues")
    for _, path in told:
        if path.split("/")[1] not in _PEOPLE:
            assert path in known or path == "/tokens/VENDOR/restore", path


@pytest.mark.parametrize("vendor", _PEOPLE)
def test_control_requests_of_a_vendor(vendor: str) -> None:
    told = {(method, tuple(path.split("/")[2:])) for method, path in told_requests() if path.startswith(f"/{vendor}/")}
    # `DELETE removes it` stands behind a path of another method there.
    described = re.findall(
        rf"((?:(?:{_METHOD})(?:, )?)+) +(?!removes|takes)([a-z]+(?:/[a-z]+)*)",
        (_PEOPLE[vendor].__doc__ or "").partition("\n\n")[2],
    )
    real = {(method, name.split("/")[0]) for methods, name in described for method in re.findall(r"[A-Z]+", methods)}
    assert len(real) > 8
    assert real <= {(method, parts[0]) for method, parts in told}
    # And each of them is understood: whatever else may be wrong with it, it is no unknown request.
    with Sandbox(vendors=[vendor]) as sandbox:
        company.load_text(sandbox.world, "\n".join(json.dumps(row) for row in _shown_rows(vendor)))
        people, unknown = sandbox.world.vendors[vendor], []
        for method, parts in sorted(told):
            path = "/".join(_NAMED[vendor].get(parts[0], part) if part.isupper() else part for part in parts)
            try:
                people.control(method, path, {})
            except (LookupError, ValueError, TypeError) as error:
                if re.search(rf"there is no ({_METHOD}) |means nothing", str(error)):
                    unknown.append(f"{method} {path}: {error}")
        assert unknown == []
        with pytest.raises(LookupError, match=r"there is no|means nothing"):
            people.control("PUT", "nonsense", {})


def test_options_and_ports_of_the_sandbox() -> None:
    table = page("docs/sandbox.md").table("Run it", "Option")
    told = {name for cell in table.column("Option") for name in spans(cell)}
    assert told == set(options_of(TREE[("sandbox",)])) - {"--help"}
    ports = [int(one) for one in page("docs/sandbox.md").table("Run it", "Server").column("Default port")]
    assert ports == [
        sandbox_command.CONTROL_PORT,
        sandbox_command.ZENDESK_PORT,
        sandbox_command.JIRA_PORT,
        sandbox_command.GAINSIGHT_PORT,
        sandbox_command.QUALTRICS_PORT,
        sandbox_command.SLACK_PORT,
    ]
    defaults = {name: one.default for name, one in options_of(TREE[("sandbox",)]).items()}
    for cell, default in zip(table.column("Option"), table.column("Default"), strict=True):
        if default.replace(", ", "").isdigit():
            assert [str(defaults[name]) for name in spans(cell)] == default.split(", ")


def test_rows_and_columns_of_company_files() -> None:
    table = page("docs/sandbox.md").table("Your own tickets", "`kind`")
    told = {spans(kind)[0]: spans(fields) for kind, fields in table.rows}
    real = {rows.kind_of(_any_row(kind)): [one.name for one in msgspec.structs.fields(kind)] for kind in rows.ORDER}
    assert {kind: sorted(names) for kind, names in told.items()} == {
        kind: sorted(names) for kind, names in real.items()
    }
    columns = page("docs/sandbox.md").table("Your own tickets", "Field")
    assert {field: tuple(spans(names)) for field, names, _ in columns.rows} == company._COLUMNS
    row = next(json.loads(block.text) for block in page("docs/sandbox.md").blocks if '"kind"' in block.text)
    assert isinstance(rows.read(0, row), rows.TicketRow)


def _any_row(kind: Any) -> Any:
    needed = {one.name: "open" for one in msgspec.structs.fields(kind) if one.required}
    return kind(**needed)


def _shown_rows(vendor: str) -> list[dict[str, Any]]:
    shown = next(block.text for block in page("docs/sandbox.md").blocks if block.language == "jsonl")
    return [row for row in map(json.loads, shown.splitlines()) if row["kind"].startswith(f"{vendor}.")]


def test_rows_of_the_other_vendors() -> None:
    table = page("docs/sandbox.md").table("Rows of the other vendors")
    told = {spans(kind)[0]: {*spans(needed), *spans(more)} for kind, needed, more in table.rows}
    real: dict[str, set[str]] = {
        "gainsight.user": {"email", "name", "active"},
        "gainsight.company": {*gainsight_rows.COMPANY, "renews_in", "ago"},
        "gainsight.person": {*gainsight_rows._PERSON, "company", "companies", "title", "role", "ago"},
        "gainsight.cta": {*gainsight_rows._CTA, "company", "due_in", "ago"},
        "qualtrics.survey": set(qualtrics_surveys._KNOWN - {"kind"}),
        "qualtrics.contact": set(qualtrics_people._CONTACT - {"kind"}),
        "qualtrics.response": set(qualtrics_people._RESPONSE - {"kind", "announce"}),
        "qualtrics.ticket": set(qualtrics_people._TICKET - {"kind"}),
        **{
            f"slack.{name}": {one.name for one in msgspec.structs.fields(shape)} - {"kind"}
            for name, shape in (
                ("user", slack_rows.UserRow),
                ("channel", slack_rows.ChannelRow),
                ("message", slack_rows.MessageRow),
            )
        },
    }
    assert {kind: told[kind] for kind in real} == real
    assert set(told) - set(real) == {"gainsight.score", "gainsight.touchpoint"}
    for kind in set(told) - set(real):
        # What it may say stands in the code only where it refuses what it may not.
        maker = gainsight_rows._KINDS[kind.partition(".")[2]]
        with Sandbox(vendors=["gainsight"]) as sandbox, pytest.raises(ValueError, match="it may say") as caught:
            maker(sandbox.world.vendors["gainsight"].tenant, {"nonsense": 1}, "seed")  # type: ignore[attr-defined]
        assert set(str(caught.value).partition("it may say ")[2].split(", ")) == told[kind]


@pytest.mark.parametrize("vendor", _PEOPLE)
def test_rows_on_the_page_load_also_with_what_is_needed_alone(vendor: str) -> None:
    table = page("docs/sandbox.md").table("Rows of the other vendors")
    needed = {spans(kind)[0]: spans(cell) for kind, cell, _ in table.rows}
    shown = _shown_rows(vendor)
    assert shown
    values = {"company": "HL-2001", "channel": "cx-alerts", "user": "maya@harbourlight.example", "score": 3}
    with Sandbox(vendors=[vendor]) as sandbox:
        loaded = company.load_text(sandbox.world, "\n".join(json.dumps(row) for row in shown))
        assert sum(loaded.values()) == len(shown)
        for number, (kind, names) in enumerate(sorted(needed.items())):
            if kind.startswith(f"{vendor}."):
                least = {name: values.get(name, f"{name}-{number}@northwind.test") for name in names}
                company.load_text(sandbox.world, json.dumps({"kind": kind, **least}))


def test_the_company_is_as_large_as_the_pages_say() -> None:
    data = ROOT / "cxbridge/sandbox/data"
    with (data / "company.jsonl").open(encoding="utf-8") as lines:
        tickets = sum('"kind": "ticket"' in line for line in lines)
    assert f"{tickets} tickets" in page("docs/sandbox.md").prose
    table = page("cxbridge/sandbox/data/README.md").table("Customer success, surveys, chat", "Kind")
    told = {spans(kind)[0]: int(count) for kind, count, _ in table.rows}
    with (data / "success.jsonl").open(encoding="utf-8") as lines:
        assert told == Counter(json.loads(line)["kind"] for line in lines)


# -- words -------------------------------------------------------------------------------------------------------------


def test_the_glossary_has_every_word_once_and_in_order() -> None:
    words = re.findall(r"^\*\*([^*]+)\*\*", page("docs/glossary.md").prose, re.MULTILINE)
    assert words == sorted(set(words), key=str.lower)
    assert {
        "connector", "connection", "wire", "canonical", "stream", "page", "cursor", "checkpoint", "record", "ref", "change",
        "recipe", "run", "step", "action", "delivery", "receipt", "link", "echo", "marker", "dead letter", "nudge", "sweep",
        "pause", "stage",
    } <= set(words)  # fmt: skip
