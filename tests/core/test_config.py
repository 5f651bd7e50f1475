"""The settings file: every mistake at its place, the environment over the file, secrets nowhere but where they belong."""

import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from cxbridge.core.config import Configuration, Secrets, load
from cxbridge.core.errors import ConfigError, PluginError, Problem
from cxbridge.core.registry import Registry
from cxbridge.core.toml import Placed

TOKEN = "wrong-token"
ZENDESK = """
[connections.zendesk]
connector = "zendesk"
subdomain = "acme"
email = "bridge@example.test"
api_token = { secret = "zendesk.api_token" }
"""
Refused = Callable[..., tuple[Problem, ...]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "zendesk.api_token").write_text(f"{TOKEN}\n")
    return tmp_path


def loaded(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> Configuration:
    file = folder / "cxbridge.toml"
    file.write_text(text, encoding="utf-8")
    return load(file, environ or {})


@pytest.fixture
def refused(folder: Path) -> Refused:
    """Load settings that cannot be used; gives what is wrong with them."""

    def run(text: str, environ: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
        with pytest.raises(ConfigError) as caught:
            loaded(folder, text, environ)
        assert caught.value.exit_code == 78
        return caught.value.problems

    return run


# -- what can be used --------------------------------------------------------------------------------------------------


def test_nothing_needs_to_be_set(folder: Path) -> None:
    read = loaded(folder, "")
    assert read.store_url == f"sqlite:///{folder}/cxbridge.db"
    assert (read.key_file, read.recipes_dir) == (folder / "cxbridge.key", folder / "recipes")
    assert read.settings.daemon.poll == timedelta(minutes=1)
    assert dict(read.connections) == {}


def test_connections_are_built_by_their_connectors(folder: Path) -> None:
    read = loaded(folder, ZENDESK)
    assert read.connections["zendesk"].name == "zendesk"
    assert read.connections["zendesk"].endpoint().base_url == "https://acme.zendesk.com"


@pytest.mark.parametrize(
    ("written", "url"),
    [
        ("sqlite:////var/lib/x.db", "sqlite:////var/lib/x.db"),
        ("sqlite:///data/x.db", "sqlite:///{folder}/data/x.db"),
        ("postgresql://host/x", "postgresql://host/x"),
    ],
)
def test_relative_store_stands_beside_the_settings(written: str, url: str, folder: Path) -> None:
    assert loaded(folder, f'[store]\nurl = "{written}"\n').store_url == url.format(folder=folder)


def test_inputs_of_recipes_remember_where_they_stand(folder: Path) -> None:
    given = loaded(folder, '\n[recipes.inputs.one]\nproject = "OPS"\n').settings.recipes.inputs["one"]
    assert given == {"project": "OPS"}
    assert isinstance(given, Placed)
    assert given.source.value_span((*given.path, "project")).line == 3


# -- mistakes ----------------------------------------------------------------------------------------------------------


def test_without_a_file_the_way_to_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no cxbridge\.toml in .*; make one with: cxbridge init"):
        load(tmp_path / "cxbridge.toml", {})


def test_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "cxbridge.toml").write_bytes("größe = 1".encode("latin-1"))
    with pytest.raises(ConfigError, match="encoding UTF-8"):
        load(tmp_path / "cxbridge.toml", {})


def test_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "place", "code", "hint"),
    [
        ("[daemn]\n", (1, 2), "CX012", "did you mean `daemon`?"),
        ("pol = 5\n", (1, 1), "CX012", ""),
        ("_env_file = 'x'\n", (1, 1), "CX012", ""),
        ("[daemon]\npol = '5m'\n", (2, 1), "CX012", "did you mean `poll`?"),
        ("[store]\nulr = 'sqlite:///x'\n", (2, 1), "CX012", "did you mean `url`?"),
        ("[plugins]\nenabel = []\n", (2, 1), "CX012", "did you mean `enable`?"),
        ("[recipes]\ninput = {}\n", (2, 1), "CX012", "did you mean `inputs`?"),
        ("daemon.poll = 5\n", (1, 15), "CX014", ""),
        ("[daemon]\npoll = '5 minutes'\n", (2, 8), "CX014", ""),
        ("[daemon]\npoll = '0s'\n", (2, 8), "CX014", ""),
        ("[daemon]\nworkers = 0\n", (2, 11), "CX014", ""),
        ("[daemon]\nworkers = 'many'\n", (2, 11), "CX014", ""),
        ("[plugins]\nenable = 'pulse'\n", (2, 10), "CX014", ""),
        ("[plugins]\nenable = ['pulse']\n", (2, 11), "CX011", ""),
        ("[plugins]\nenable = ['zendesc']\n", (2, 11), "CX011", "did you mean `zendesk`?"),
        ("store = 5\n", (1, 9), "CX014", ""),
        ("[store]\nurl = 'mysql://host/x'\n", (2, 7), "CX014", 'write url = "sqlite:///cxbridge.db" or'),
        ("[store]\nurl = 5\n", (2, 7), "CX014", ""),
        ("[connections]\nzendesk = 5\n", (2, 11), "CX014", ""),
        ("[connections.Zendesk]\nconnector = 'zendesk'\n", (1, 14), "CX013", ""),
        ("[connections.one]\nsubdomain = 'acme'\n", (1, 14), "CX010", 'add connector = "…"'),
        ("[connections.one]\nconnector = 'zendesc'\n", (2, 13), "CX011", "did you mean `zendesk`?"),
        ("[connections.one]\nconnector = 5\n", (2, 13), "CX011", ""),
        (ZENDESK.replace("subdomain", "subdoman"), (4, 1), "CX012", "did you mean `subdomain`?"),
        (ZENDESK.replace('"acme"', '"acme.zendesk.com/agent"'), (4, 13), "CX014", ""),
        (ZENDESK.replace('subdomain = "acme"', 'url = "acme"'), (4, 7), "CX014", ""),
        (ZENDESK.replace('email = "bridge@example.test"\n', ""), (2, 14), "CX014", ""),
        (ZENDESK + "fields = { region = 'x' }\n", (7, 21), "CX014", ""),
        (ZENDESK.replace('"bridge@example.test"', '{ secret = "email" }'), (5, 9), "CX014", "write its value here"),
        (
            ZENDESK.replace('"zendesk.api_token"', '"zendesk.token"'),
            (6, 13),
            "CX022",
            "put it into a file zendesk.token",
        ),
        (ZENDESK.replace('"zendesk.api_token"', '"../token"'), (6, 13), "CX021", ""),
        (ZENDESK.replace('"zendesk.api_token"', "5"), (6, 13), "CX021", ""),
        ("[connections.jira]\nconnector = 'jira'\nsite = 'acme'\n", (1, 14), "CX010", 'add projects = "…"'),
        ("[store]\nurl = { secret = 'store.url' }\n", (2, 7), "CX022", "put it into a file store.url"),
        ("url = \n", (1, 7), "CX001", "write one behind the ="),
        ("[store]\n[store]\n", (2, 2), "CX001", "keep one of the two"),
    ],
)
def test_mistake_is_told_at_its_place(
    text: str, place: tuple[int, int], code: str, hint: str, refused: Refused, folder: Path
) -> None:
    problems = refused(text)
    (problem,) = [one for one in problems if (one.line, one.column) == place]
    assert str(problem).startswith(f"{folder}/cxbridge.toml:{place[0]}:{place[1]}: error {code} ")
    assert str(problem).split("\n")[1] == f"{place[0]:>5} | {problem.source}"
    assert hint in problem.hint
    assert len(problems) == 1 or code == "CX010"


def test_everything_is_told_at_once_in_the_order_of_the_file(refused: Refused) -> None:
    text = f"""[daemon]
pol = "5s"
workers = 0
[store]
url = "mysql://x"
{ZENDESK}
per_pag = 5
[connections.two]
connector = "zendesc"
[connections.three]
connector = "zendesk"
api_token = "{TOKEN}"
"""
    problems = refused(text)
    assert [one.code for one in problems] == ["CX012", "CX014", "CX014", "CX012", "CX011", "CX020"]
    assert [one.line for one in problems] == [2, 3, 5, 13, 15, 18]


def test_connector_that_is_installed_and_not_enabled(folder: Path) -> None:
    file = folder / "cxbridge.toml"
    file.write_text('[connections.one]\nconnector = "pulse"\n')
    point = EntryPoint("pulse", "a_module_that_is_nowhere", "cxbridge.plugins")
    with pytest.raises(ConfigError) as caught:
        load(file, {}, Registry.load([], [point]))
    (problem,) = caught.value.problems
    assert problem.hint == 'installed but not enabled: add it to [plugins] enable = ["pulse"]'


def test_connector_whose_plugin_is_broken(folder: Path) -> None:
    file = folder / "cxbridge.toml"
    file.write_text('[connections.one]\nconnector = "pulse"\n')
    registry = Registry({}, [], [PluginError("pulse", "cannot be loaded (ZeroDivisionError: x)")])
    with pytest.raises(ConfigError) as caught:
        load(file, {}, registry)
    (problem,) = caught.value.problems
    assert problem.hint == "plugin pulse: cannot be loaded (ZeroDivisionError: x)"


# -- the environment ---------------------------------------------------------------------------------------------------


def test_environment_wins_over_the_file(folder: Path) -> None:
    environ = {
        "CXBRIDGE_STORE__URL": "sqlite:////srv/other.db",
        "CXBRIDGE_DAEMON__POLL": "5m",
        "CXBRIDGE_DAEMON__WORKERS": "3",
        "CXBRIDGE_PLUGINS__ENABLE": '["zendesk"]',
        "CXBRIDGE_CONNECTIONS__ZENDESK__SUBDOMAIN": "other",
        "CXBRIDGE_CONNECTIONS__ZENDESK__PER_PAGE": "50",
        "CXBRIDGE_RECIPES__INPUTS__ONE__PROJECT": "OPS",
        "CXBRIDGE_CONFIG": "elsewhere.toml",
        "CXBRIDGE_SECRET_ZENDESK_API_TOKEN": "ignored: the file is found first",
        "HOME": "/",
    }
    read = loaded(folder, '[daemon]\npoll = "1s"\ndrain = "2s"\n' + ZENDESK, environ)
    assert read.store_url == "sqlite:////srv/other.db"
    assert (read.settings.daemon.poll, read.settings.daemon.workers) == (timedelta(minutes=5), 3)
    assert read.settings.daemon.drain == timedelta(seconds=2)
    assert read.settings.plugins.enable == ["zendesk"]
    assert read.connections["zendesk"].endpoint().base_url == "https://other.zendesk.com"
    assert getattr(read.connections["zendesk"], "per_page") == 50  # noqa: B009  # a connector's own setting
    assert read.settings.recipes.inputs == {"one": {"project": "OPS"}}


def test_environment_that_was_not_handed_in_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXBRIDGE_DAEMON__POLL", "5m")
    assert loaded(folder, "").settings.daemon.poll == timedelta(minutes=1)
    assert load(folder / "cxbridge.toml").settings.daemon.poll == timedelta(minutes=5)


@pytest.mark.parametrize(
    ("variable", "value", "code", "hint"),
    [
        ("CXBRIDGE_STORE__ULR", "sqlite:///x.db", "CX012", "did you mean `url`?"),
        ("CXBRIDGE_STOER__URL", "sqlite:///x.db", "CX012", "did you mean `store`?"),
        ("CXBRIDGE_STORE__URL", "mysql://x", "CX014", 'write url = "sqlite:///cxbridge.db" or'),
        ("CXBRIDGE_DAEMON__POLL", "5", "CX014", ""),
        ("CXBRIDGE_DAEMON__WORKERS", "many", "CX014", ""),
        ("CXBRIDGE_PLUGINS__ENABLE", "pulse", "CX014", 'for example ["one", "two"]'),
        ("CXBRIDGE_CONNECTIONS__ZENDESK__SUBDOMAN", "x", "CX012", "did you mean `subdomain`?"),
    ],
)
def test_mistake_in_the_environment_names_its_variable(
    variable: str, value: str, code: str, hint: str, refused: Refused
) -> None:
    (problem,) = refused(ZENDESK, {variable: value})
    assert str(problem).startswith(f"environment variable {variable}: error {code} ")
    assert hint in problem.hint


# -- secrets -----------------------------------------------------------------------------------------------------------


def test_secrets_are_looked_for_in_credentials_then_folder_then_environment(folder: Path) -> None:
    handed = folder / "handed"
    handed.mkdir()
    (handed / "one").write_text("from systemd\r\n")
    (folder / "one").write_text("from the folder\n")
    environ = {"CREDENTIALS_DIRECTORY": str(handed), "CXBRIDGE_SECRET_ONE": "from the environment"}
    found = []
    for gone in (handed / "one", folder / "one", None):
        secret = Secrets(environ, folder).find("one")
        found.append(secret.get_secret_value() if secret else None)
        if gone is not None:
            gone.unlink()
    assert found == ["from systemd", "from the folder", "from the environment"]
    assert Secrets({}, folder).find("one") is None


def test_secret_reaches_the_connector_and_no_text(folder: Path) -> None:
    read = loaded(folder, ZENDESK)
    assert TOKEN in repr(getattr(read.connections["zendesk"], "api_token").get_secret_value())  # noqa: B009  # a connector's own setting
    for shown in (repr(read), str(read.settings), repr(read.connections["zendesk"]), read.settings.model_dump_json()):
        assert TOKEN not in shown


def test_missing_secret_names_file_and_variable(refused: Refused) -> None:
    (problem,) = refused(ZENDESK.replace("zendesk.api_token", "zendesk.other-token"))
    assert "'zendesk.other-token' is nowhere to be found" in problem.message
    assert "a file zendesk.other-token in the secrets folder" in problem.hint
    assert "CXBRIDGE_SECRET_ZENDESK_OTHER_TOKEN" in problem.hint


def test_empty_secret_is_none(refused: Refused, folder: Path) -> None:
    (folder / "secrets" / "zendesk.api_token").write_text("\n")
    (problem,) = refused(ZENDESK)
    assert (problem.code, problem.message) == ("CX022", "the secret 'zendesk.api_token' is empty")


def test_secret_that_cannot_be_read(refused: Refused, folder: Path) -> None:
    (folder / "secrets" / "zendesk.api_token").write_bytes(b"\xff\xfe")
    (problem,) = refused(ZENDESK)
    assert (problem.code, problem.message.rpartition(": ")[2]) == ("CX022", "it is no text")


@pytest.mark.parametrize(
    "text",
    [
        f'[connections.one]\nconnector = "zendesk"\nsubdomain = "acme"\nemail = "a@example.test"\napi_token = "{TOKEN}"\n',
        f'[connections.one]\nconnector = "zendesk"\napi_tokn = "{TOKEN}"\n',
        f'[connections]\none = {{ connector = "zendesk", subdoman = "x", api_token = "{TOKEN}" }}\n',
        f'[connections.one]\nconnector = "zendesc"\ntokn = "{TOKEN}"\n',
        f'[connections]\none = {{ tokn = "{TOKEN}" }}\n',
        f'[connections]\none = {{ connector = "nobody", password = "{TOKEN}" }}\n',
        f'[store]\nurl = "postgresql://bridge:{TOKEN}@host/x"\n',
        f'[store]\nurl = "mysql://bridge:{TOKEN}@host/x"\n',
        f'[connections.one]\nconnector = "zendesk"\napi_token = "{TOKEN}\n',
        f'[connections.one]\nconnector = "zendesk"\napi_token = {TOKEN}\n',
        f'[connections.one]\nconnector = "zendesk"\napi_token = """\n{TOKEN}"""\nurl = 5\n',
    ],
)
def test_secret_in_the_file_is_refused_and_never_repeated(text: str, folder: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        loaded(folder, text)
    assert TOKEN not in "".join(traceback.format_exception(caught.value))
    assert TOKEN not in repr(caught.value.problems)


def test_literal_secret_says_how_to_refer_to_one(refused: Refused) -> None:
    (problem,) = refused(ZENDESK.replace('{ secret = "zendesk.api_token" }', f'"{TOKEN}"'))
    assert (problem.code, problem.line, problem.column) == ("CX020", 6, 13)
    assert problem.hint == 'write api_token = { secret = "NAME" }'
    assert problem.source == f"api_token = {'•' * (len(TOKEN) + 2)}"


def test_address_of_the_store_may_be_a_secret(folder: Path) -> None:
    (folder / "secrets" / "store.url").write_text(f"postgresql://bridge:{TOKEN}@host/x\n")
    read = loaded(folder, '[store]\nurl = { secret = "store.url" }\n')
    assert read.store_url == f"postgresql://bridge:{TOKEN}@host/x"
    assert TOKEN not in repr(read)


def test_names_of_secrets_are_shown(refused: Refused) -> None:
    (problem,) = refused(ZENDESK.replace("zendesk.api_token", "zendesk.other"))
    assert '{ secret = "zendesk.other" }' in problem.source
