"""`simulate`: the figures of a small table, where the band comes from, and what it says of a table it cannot read."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import pytest

from .conftest import Cxbridge

COLUMNS = (
    "customerID",
    "tenure",
    "Contract",
    "MonthlyCharges",
    "TotalCharges",
    "Churn",
    "PaymentMethod",
    "TechSupport",
)
RECIPE = """
title = "x"
[inputs]
enter = { type = "number", default = 50 }
leave = { type = "number", default = 60 }
"""
ROWS = [
    ("A", "6", "Month-to-month", "110", "600", "Yes", "Electronic check", "No"),
    ("B", "3", "Month-to-month", "100", "300", "Yes", "Electronic check", "No"),
    ("C", "40", "Two year", "20", "800", "No", "Bank transfer (automatic)", "Yes"),
    ("D", "30", "One year", "25", "750", "Yes", "Mailed check", "Yes"),
    ("E", "9", "Month-to-month", "90", "810", "No", "Electronic check", "No"),
    ("F", "0", "Two year", "20", " ", "No", "Mailed check", "Yes"),
]


def table(
    folder: Path, rows: Sequence[Sequence[str]] = ROWS, columns: Sequence[str] = COLUMNS, name: str = "table.csv"
) -> str:
    file = folder / name
    text = "\n".join(",".join(row) for row in [columns, *rows]) + "\n"
    if name.endswith(".gz"):
        file.write_bytes(gzip.compress(text.encode()))
    else:
        file.write_text(text, encoding="utf-8")
    return str(file)


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "churn.toml").write_text(RECIPE)
    return "churn.toml"


@pytest.mark.parametrize("name", ["table.csv", "table.csv.gz", "packed-without-the-name"])
def test_the_figures_of_a_small_table(recipe: str, cxbridge: Cxbridge, tmp_path: Path, name: str) -> None:
    told = cxbridge("simulate", recipe, "--data", table(tmp_path, name=name), "--json").data
    assert (told["customers"], told["left"], told["without_a_month"]) == (5, 3, 1)
    assert told["band"] == {"enter": 50, "leave": 60, "told": "from the recipe"}
    band, later, monthly, dear = told["rules"]
    # A, B and E pay much, by the month, by check: they fall in their first month. D goes without a sign.
    assert (band["alerted"], band["in_first_month"], band["left_and_alerted"]) == (3, 3, 2)
    assert (band["precision"], band["recall"]) == (pytest.approx(2 / 3), pytest.approx(2 / 3))
    assert band["lead_months"] == {"q1": 2.75, "median": 3.5, "q3": 4.25}
    assert later["alerted"] == 0
    assert later["precision"] is None
    assert (monthly["alerted"], monthly["left_and_alerted"]) == (3, 2)
    assert (dear["alerted"], dear["left_and_alerted"]) == (2, 2)


def test_what_is_assumed_and_what_it_cannot_show_is_printed(recipe: str, cxbridge: Cxbridge, tmp_path: Path) -> None:
    told = cxbridge("simulate", recipe, "--data", table(tmp_path))
    assert told.code == 0
    assert told.err == ""
    for said in (
        "5 customers, 3 of them left (60%); 1 without a month of tenure left out",
        "alerts at 50 or below, armed again from 60 on (from the recipe)",
        "67% (21–94)",
        "2.75 · 3.5 · 4.25",
        "month-to-month contract alone",
        "charges above the median (90.00) alone",
        "Everybody begins at 100",
        "contract 3, tenure 2, price 2, care 1.5, payment 1.5",
        "What this cannot show",
    ):
        assert said in told.out
    assert "{" not in told.out


def test_options_take_the_place_of_the_recipes_inputs(recipe: str, cxbridge: Cxbridge, tmp_path: Path) -> None:
    told = cxbridge("simulate", recipe, "--data", table(tmp_path), "--enter", "5", "--leave", "20", "--json").data
    assert told["band"] == {"enter": 5, "leave": 20, "told": "from the options"}
    assert told["rules"][0]["alerted"] == 0
    one = cxbridge("simulate", recipe, "--data", table(tmp_path), "--enter", "45", "--json").data
    assert one["band"] == {"enter": 45, "leave": 60, "told": "from the recipe"}


def test_an_installation_gives_the_band(folder: Path, cxbridge: Cxbridge, tmp_path: Path) -> None:
    (folder / "recipes" / "churn.toml").write_text(RECIPE)
    with (folder / "cxbridge.toml").open("a") as settings:
        settings.write("\n[recipes.inputs.churn]\nleave = 70\n")
    told = cxbridge("simulate", "churn", "--data", table(tmp_path), "--json").data
    assert told["band"] == {"enter": 50, "leave": 70, "told": "from the recipe"}
    missing = cxbridge("simulate", "churm", "--data", table(tmp_path))
    assert missing.code == 65
    assert "there is no recipe 'churm'" in missing.err
    assert "churn" in missing.err.split("there are:")[1]


@pytest.mark.parametrize(
    ("recipe_text", "options", "code", "says"),
    [
        ('title = "x"\n', [], 65, ["`enter` is not among its inputs", "--enter"]),
        ('[inputs]\nenter = { type = "text", default = "low" }\n', [], 65, ["`enter` is 'low'", "--enter"]),
        (RECIPE, ["--enter", "60", "--leave", "60"], 64, ["not above 60"]),
        (RECIPE, ["--enter", "150"], 65, ["`enter` is 150.0", "0 to 100"]),
        ("title =", [], 65, ["cannot be read", "recipes check"]),
    ],
)
def test_a_band_that_cannot_be_played_is_told(
    recipe_text: str, options: list[str], code: int, says: list[str], recipe: str, cxbridge: Cxbridge, tmp_path: Path
) -> None:
    (tmp_path / recipe).write_text(recipe_text)
    told = cxbridge("simulate", recipe, "--data", table(tmp_path), *options)
    assert told.code == code
    assert all(one in told.err for one in says), told.err
    assert told.out == ""


def test_tables_that_cannot_be_read_are_told_by_line(recipe: str, cxbridge: Cxbridge, tmp_path: Path) -> None:
    def tried(file: str) -> str:
        told = cxbridge("simulate", recipe, "--data", file)
        assert told.code == 65, told
        assert told.out == ""
        assert "hint" in told.err
        return told.err

    assert "cannot be read" in tried(str(tmp_path / "absent.csv"))
    assert "cannot be read" in tried(str(tmp_path))
    assert "table.csv:1: the columns Contract, Churn missing" in tried(
        table(tmp_path, [], ["customerID", "tenure", "MonthlyCharges", "TotalCharges"])
    )
    assert "nobody in it stayed for a month" in tried(table(tmp_path, []))
    assert "table.csv:3: tenure is 'x'" in tried(table(tmp_path, [ROWS[0], ("B", "x", *ROWS[1][2:])]))
    assert "table.csv:2: 7 values under 8 columns" in tried(table(tmp_path, [ROWS[0][:-1]]))
    assert "table.csv:3: customer A stands on line 2 already" in tried(table(tmp_path, [ROWS[0], ROWS[0]]))
    assert "table.csv:2" in tried(table(tmp_path, [('"A', "1", *ROWS[0][2:])]))
    (tmp_path / "latin.csv").write_bytes("customerID,tenure\nMüller,1\n".encode("latin-1"))
    assert "is not UTF-8 text" in tried(str(tmp_path / "latin.csv"))
    whole = Path(table(tmp_path, ROWS * 1, name="cut.csv.gz"))
    whole.write_bytes(whole.read_bytes()[:-20])
    assert "cut off or broken" in tried(str(whole))


@pytest.mark.shared
def test_the_figures_of_the_recorded_table(
    recipe: str, cxbridge: Cxbridge, shared_data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = shared_data / "data/datasets/customers/telco_customer_churn.csv.gz"
    if not file.exists():
        pytest.skip(f"{file} is not here")
    told = cxbridge("simulate", recipe, "--data", str(file), "--json").data
    band, _, monthly, dear = told["rules"]
    with capsys.disabled():
        for one in told["rules"]:
            print(f"\n{one['rule']}: {one['alerted']} alerts, precision {one['precision']:.3f}, recall {one['recall']:.3f}, "
                  f"lead {one['lead_months']}", end="")  # fmt: skip
        print()
    assert told["customers"] > 3000
    # Better than alerting at random, and right more often than either signal alone.
    assert band["precision"] > 1.5 * told["left"] / told["customers"]
    assert band["precision"] > max(monthly["precision"], dear["precision"]) + 0.03
    assert band["recall"] > 0.6
    assert band["lead_months"]["median"] >= 3
