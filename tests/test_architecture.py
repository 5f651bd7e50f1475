"""The shape of the code, as far as a machine can see it: layers, sizes, names, clocks, and what must never be committed."""

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

ROOT = Path(__file__).resolve().parents[1]

# A module longer than this asks to be two.
LONGEST = 400
# Longer for a reason, and no longer than this; a module that became short enough leaves the list.
LONGER: dict[str, tuple[int, str]] = {
    "cxbridge/core/connector.py": (
        480,
        "the one module an author reads: a third of it is the list of names, to import and to offer",
    ),
    "cxbridge/core/store/schema.py": (480, "the tables and nothing else: whoever asks what is stored reads one page"),
}
VAGUE = {"util", "utils", "helper", "helpers", "base", "common", "manager", "misc"}

# What reads the machine's time. Only a clock may: everything else is handed one, and can be played in any order.
CLOCKS = {
    "datetime.now",
    "datetime.utcnow",
    "datetime.today",
    "date.today",
    "time.time",
    "time.time_ns",
    "time.monotonic",
    "time.sleep",
    "time.perf_counter",
}
MAY_READ_TIME = {
    "cxbridge/core/clock.py": "it is the clock",
    "cxbridge/sandbox/clock.py": "it is the vendors' clock",
    "cxbridge/core/store/turns.py": "another process's lock ends in real time; a clock that a test moves would only spin",
}

# Written so that no pattern matches its own source.
FORBIDDEN = {
    "the host of a package registry": re.compile(
        r"\bpyp[i]\.org|pythonhoste[d]\.org|registry\.npm[j]s|\bnpm[j]s\.org|\bcrates\.i[o]\b|proxy\.golan[g]\.org"
    ),
    "a path of one machine": re.compile(r"(?<![\w.@])/(?:roo[t]|wor[k]|hom[e]/\w+|User[s]/\w+)/"),
    "a token": re.compile(
        r"\bgh[pousr]_\w{20}|\bgithub_pa[t]_\w{20}|\bglpa[t]-[\w-]{16}|\bAKI[A][0-9A-Z]{16}|\bxox[abprs]-\w{8}"
        r"|\bAT[AC]T[T]3x\w{10}|\beyJ[\w-]{15,}\.eyJ[\w-]{15,}|-----BEGI[N] [A-Z ]*PRIVATE KEY-----|\bnpm_[A-Za-z0-9]{30}"
    ),
    "a value that looks like a credential": re.compile(
        r"(?i)(?:authorization|bearer|basic|api[_-]?token|access[_-]?token|refresh[_-]?token|client[_-]?secret|password)"
        r"[\"']?\s*[:=]?\s*[\"']?(?:bearer |basic )?"
        # Long, without a break, and of capitals, small letters and digits: nobody writes a word like that.
        r"(?=[A-Za-z0-9+/_-]*[A-Z])(?=[A-Za-z0-9+/_-]*[a-z])(?=[A-Za-z0-9+/_-]*[0-9])[A-Za-z0-9+/_-]{32,}"
    ),
}


def modules(*folders: str) -> list[Path]:
    """The Python files of some folders of the project."""
    return sorted(file for folder in folders for file in (ROOT / folder).rglob("*.py"))


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


@cache
def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"), filename=name_of(file))


@cache
def committed() -> tuple[Path, ...]:
    """Every file that is in version control, or would be with the next `git add`."""
    try:
        told = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this is no git checkout, or git is not installed")
    return tuple(file for name in told.split("\0") if name and (file := ROOT / name).is_file())


def test_import_contracts(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    code = lint_imports(config_filename=str(ROOT / "pyproject.toml"), no_cache=True)
    assert code == 0, capsys.readouterr().out


def test_everything_has_its_place_among_the_layers() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    layers = next(one["layers"] for one in contracts if one["type"] == "layers")
    placed = {name.strip() for layer in layers for name in layer.split("|")}
    parts = {
        f"{package}.{file.stem}"
        for package in ("cxbridge", "cxbridge.core")
        for file in (ROOT / package.replace(".", "/")).iterdir()
        if (file.suffix == ".py" and file.stem != "__init__") or (file / "__init__.py").exists()
    }
    # Of plugins the contracts say otherwise what they may import.
    assert parts - {"cxbridge.core", "cxbridge.plugins"} == placed


def test_no_module_is_too_long() -> None:
    found = {name_of(file): len(file.read_text(encoding="utf-8").splitlines()) for file in modules("cxbridge")}
    too_long = {name: lines for name, lines in found.items() if lines > LONGER.get(name, (LONGEST, ""))[0]}
    assert too_long == {}, "split these, or say in LONGER why they are one thing"
    assert [name for name in LONGER if found.get(name, 0) <= LONGEST] == [], "short enough now: take these off LONGER"


def test_no_module_has_a_name_that_says_nothing() -> None:
    vague = [
        one for one in map(name_of, modules("cxbridge", "tests", "benchmarks")) if VAGUE & set(re.split(r"[/.]", one))
    ]
    assert vague == []


def test_every_module_says_what_it_is_for() -> None:
    public = [
        file for file in modules("cxbridge", "benchmarks") if not file.stem.startswith("_") or file.stem == "__init__"
    ]
    silent = [name_of(file) for file in public if not ast.get_docstring(tree_of(file))]
    assert silent == []


def calls(file: Path) -> Iterator[tuple[int, str]]:
    """The calls in a module, as written: `datetime.now`, `print`; a module imported under another name by its own."""
    aliases = {
        alias.asname: alias.name
        for node in ast.walk(tree_of(file))
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.asname
    }
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.Call):
            written = ast.unparse(node.func)
            first, dot, rest = written.partition(".")
            yield node.lineno, f"{aliases.get(first, first)}{dot}{rest}"


def test_core_and_connectors_print_nothing() -> None:
    printed = [
        f"{name_of(file)}:{line}"
        for file in modules("cxbridge/core", "cxbridge/plugins")
        for line, called in calls(file)
        if called == "print"
    ]
    assert printed == []


def test_only_clocks_read_the_time() -> None:
    read = [
        f"{name_of(file)}:{line} {called}"
        for file in modules("cxbridge")
        if name_of(file) not in MAY_READ_TIME
        for line, called in calls(file)
        # `datetime.datetime.now` as well as `datetime.now`.
        if ".".join(called.split(".")[-2:]) in CLOCKS
    ]
    assert read == [], "take a Clock instead"
    assert [name for name in MAY_READ_TIME if not (ROOT / name).exists()] == [], "gone: take these off MAY_READ_TIME"


def test_the_clocks_are_really_found() -> None:
    assert any(called == "datetime.now" for _, called in calls(ROOT / "cxbridge/core/clock.py"))
    assert any(called == "time.time" for _, called in calls(ROOT / "cxbridge/sandbox/clock.py"))


@pytest.mark.parametrize("what", FORBIDDEN)
def test_nothing_is_committed_that_must_not_leave_this_machine(what: str) -> None:
    found = []
    for file in committed():
        text = file.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if FORBIDDEN[what].search(line) or (what.startswith("a path") and str(ROOT) + "/" in line):
                found.append(f"{name_of(file)}:{number}")
    assert found == [], f"{what} stands here"


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("the host of a package registry", "index-url = https://py" + "pi.org/simple"),
        ("a path of one machine", "see /hom" + "e/mia/bridge/"),
        ("a token", "gh" + "p_" + "a" * 24),
        ("a value that looks like a credential", 'api_token = "' + "aB3" * 12 + '"'),
    ],
)
def test_what_must_not_be_committed_would_be_found(what: str, line: str) -> None:
    assert FORBIDDEN[what].search(line)
