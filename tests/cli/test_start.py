"""`init`: the first files are usable as they are, and none is ever overwritten."""

import stat
import tomllib
from pathlib import Path

import jsonschema
import pytest

from cxbridge.cli.start import MORE_RECIPES, RECIPE, shipped
from cxbridge.sandbox.server import Sandbox
from tests.cli.conftest import Cxbridge

SHIPPED = Path(__file__).resolve().parents[2] / "recipes" / RECIPE
FILES = ["cxbridge.toml", f"recipes/{RECIPE}", "recipes/cxbridge.schema.json", "secrets/.gitignore"]


def test_init_makes_the_first_files(cxbridge: Cxbridge, tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder"
    ended = cxbridge("init", str(place))
    assert ended.code == 0
    assert all((place / name).is_file() for name in FILES)
    assert stat.S_IMODE((place / "secrets").stat().st_mode) == 0o700
    assert "cxbridge connections check" in ended.out
    assert "cxbridge plan" in ended.out


def test_init_uses_the_current_folder(cxbridge: Cxbridge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert cxbridge("init").code == 0
    assert (tmp_path / "cxbridge.toml").is_file()


def test_init_never_overwrites(cxbridge: Cxbridge, tmp_path: Path) -> None:
    cxbridge("init", str(tmp_path))
    for name in FILES:
        (tmp_path / name).write_text(f"mine: {name}")
    ended = cxbridge("init", str(tmp_path))
    assert ended.code == 0
    assert [(tmp_path / name).read_text() for name in FILES] == [f"mine: {name}" for name in FILES]
    assert ended.out.count("kept") == len(FILES)
    assert "made" not in ended.out


def test_the_first_settings_say_what_is_missing(cxbridge: Cxbridge, tmp_path: Path) -> None:
    cxbridge("init", str(tmp_path))
    ended = cxbridge("connections", "check", "--config", str(tmp_path / "cxbridge.toml"))
    assert ended.code == 78
    assert "zendesk.client_secret" in ended.err
    assert "jira.api_token" in ended.err
    assert "CXBRIDGE_SECRET_JIRA_API_TOKEN" in ended.err


def test_init_for_a_running_sandbox_works_at_once(cxbridge: Cxbridge, company: Sandbox, tmp_path: Path) -> None:
    assert cxbridge("init", str(tmp_path), "--sandbox", "--control-url", company.control_url).code == 0
    secret = tmp_path / "secrets" / "sandbox.token"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    ended = cxbridge("connections", "check", "--config", str(tmp_path / "cxbridge.toml"))
    assert ended.code == 0, ended.err


def test_init_without_a_sandbox_makes_nothing(cxbridge: Cxbridge, tmp_path: Path) -> None:
    place = tmp_path / "new"
    ended = cxbridge("init", str(place), "--sandbox", "--control-url", "http://127.0.0.1:1")
    assert ended.code == 69
    assert "cxbridge sandbox" in ended.err
    assert not place.exists()


def test_init_where_nothing_can_be_written(cxbridge: Cxbridge, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, no folder")
    ended = cxbridge("init", str(tmp_path / "file"))
    assert ended.code == 73
    assert "cannot be written" in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("name", [RECIPE, *MORE_RECIPES])
def test_the_packaged_recipes_are_the_shipped_ones(name: str) -> None:
    text = SHIPPED.with_name(name).read_text(encoding="utf-8")
    assert shipped(name) == text, f"copy recipes/{name} to cxbridge/cli/data/"


def test_every_shipped_recipe_is_packaged() -> None:
    assert {one.name for one in SHIPPED.parent.glob("*.toml")} == {RECIPE, *MORE_RECIPES}


def test_all_recipes_are_written_and_fit_once_their_vendors_are_named(cxbridge: Cxbridge, tmp_path: Path) -> None:
    assert cxbridge("init", str(tmp_path), "--all-recipes").code == 0
    assert {one.stem for one in (tmp_path / "recipes").glob("*.toml")} == {
        Path(name).stem for name in (RECIPE, *MORE_RECIPES)
    }
    for secret in ("zendesk.client_secret", "jira.api_token"):
        (tmp_path / "secrets" / secret).write_text("a-secret")
    ended = cxbridge("recipes", "check", "-c", str(tmp_path / "cxbridge.toml"))
    # Without Gainsight, Qualtrics and Slack two of them are off, in words.
    assert ended.code == 65
    assert "gainsight" in ended.out + ended.err


def test_the_schema_admits_the_shipped_recipe_and_no_misspelt_key(cxbridge: Cxbridge) -> None:
    schema = cxbridge("recipes", "schema").data
    recipe = tomllib.loads(shipped(RECIPE))
    jsonschema.validate(recipe, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**recipe, "titel": "misspelt"}, schema)
