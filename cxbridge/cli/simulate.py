"""`simulate`: play a recipe's band over a table of customers whose end is known, and say how its alerts would have done.

Writes nothing and asks no vendor. The table is a snapshot, not a history: what is assumed to make months of it, and what the
figures can therefore not show, is printed with them.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cxbridge.cli import opening
from cxbridge.cli.errors import CommandError, UsageError
from cxbridge.cli.options import DEFAULT_CONFIG, ConfigFile, Json
from cxbridge.cli.render import Output

if TYPE_CHECKING:
    from cxbridge.functions.backtest import Course, Figures
    from cxbridge.functions.churn_table import Customer

# How everybody begins: without this nobody could fall in their first month, in which a fifth of those who leave do so.
BEGINNING = 100.0
ASSUMED = (
    (
        "The table is a snapshot, and its months are rebuilt: contract, services, way of paying as they were last; the price moved "
        "evenly and adds up to the total; the tenure is counted."
    ),
    "Everybody begins at 100: whoever is inside the band in their first month counts as falling then, except in the second line.",
    "The weights are set by hand and fitted to nothing, by somebody who knew which traits go with leaving: {weights}.",
)
LIMITS = (
    "Precision and recall say how well the band parts those who left from those who stayed, not what acting would have changed.",
    "Lead time is mostly how early a lasting trait was known, and little of it the warning that a real fall gives.",
    "Who is still there when the table ends counts as having stayed. A true back-test needs monthly scores of one's own accounts.",
)
# A table larger than this is no churn table; it would only fill the memory.
MOST_ROWS = 500_000


@dataclass(frozen=True, slots=True)
class _Band:
    enter: float
    leave: float
    told: str


def simulate(
    name: Annotated[
        str, typer.Argument(metavar="RECIPE", help="A recipe's id, or its file; its inputs give the band.")
    ],
    *,
    data: Annotated[Path, typer.Option("--data", metavar="FILE", help="The table of customers: .csv or .csv.gz.")],
    enter: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Alert at or below this; without it the recipe's input `enter`."),
    ] = None,
    leave: Annotated[
        float | None,
        typer.Option(metavar="SCORE", help="Armed again from here on; without it the recipe's input `leave`."),
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    json: Json = False,
) -> None:
    """Play a recipe's health band over a table of customers who left or stayed: precision, recall and lead time of its alerts."""
    from cxbridge.functions.backtest import first_fall, judge

    output = Output(json)
    band = _band(name, enter, leave, config)
    customers = list(_customers(data))
    lasting = [one for one in customers if one.months]
    if not lasting:
        raise CommandError(
            f"{data}: nobody in it stayed for a month", "give a table with customers whose tenure is above 0"
        )
    typical = median(one.charge for one in lasting)
    courses = [_course(one, typical) for one in lasting]
    by_id = {one.id: one for one in lasting}
    figures = [
        judge(
            f"band {band.enter:g}/{band.leave:g}", courses, lambda one: first_fall(one.scores, band.enter, band.leave)
        ),
        judge("the same, falls after month 1", courses, lambda one: _later_fall(one.scores, band)),
        judge("month-to-month contract alone", courses, lambda one: 1 if by_id[one.id].term == 1 else None),
        judge(f"charges above the median ({typical:.2f}) alone", courses, lambda one: _dear(by_id[one.id], typical)),
    ]
    if json:
        output.data(_as_data(name, data, band, len(customers) - len(lasting), figures))
        return
    _show(output, name, data, band, len(customers) - len(lasting), figures)


def _later_fall(scores: "Sequence[float | None]", band: _Band) -> int | None:
    """Where a history falls that begins with its first real month, as a recipe would see it that starts then."""
    from cxbridge.functions.backtest import first_fall

    place = first_fall(scores[1:], band.enter, band.leave)
    return None if place is None else place + 1


def _dear(customer: "Customer", typical: float) -> int | None:
    """The month in which a customer first pays more than most do."""
    return next((month for month, charge in enumerate(customer.charges, start=1) if charge > typical), None)


def _course(customer: "Customer", typical: float) -> "Course":
    from cxbridge.functions import churn_table
    from cxbridge.functions.backtest import Course
    from cxbridge.functions.health import score

    months = range(1, customer.months + 1)
    scores = (
        score(churn_table.parts(customer, month, typical), churn_table.month_of(month)).value for month in months
    )  # fmt: skip
    return Course(customer.id, (BEGINNING, *scores), customer.left)


def _band(name: str, enter: float | None, leave: float | None, config: Path) -> _Band:
    """The band to play: what the options say, else what the recipe's inputs say."""
    given = {} if enter is not None and leave is not None else _inputs(name, config)
    found = {
        "enter": given.get("enter") if enter is None else enter,
        "leave": given.get("leave") if leave is None else leave,
    }
    for side, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
            told = f"is {value!r}" if value is not None else "is not among its inputs"
            raise CommandError(f"recipe {name}: `{side}` {told}", f"say it with --{side} and a score from 0 to 100")
    low, high = float(found["enter"] or 0.0), float(found["leave"] or 0.0)
    if low >= high:
        raise UsageError(
            f"the band would be armed again at {high:g}, which is not above {low:g}, where it alerts",
            "let --leave lie some points above --enter: what lies between them is noise",
        )
    return _Band(low, high, "from the options" if not given else "from the recipe")


def _inputs(name: str, config: Path) -> Mapping[str, Any]:
    """A recipe's inputs: the file's defaults, and over them what this installation sets."""
    import tomllib

    file, set_here = Path(name), {}
    if not (name.endswith(".toml") and file.is_file()):
        read = opening.configuration(config)
        file, set_here = (
            read.recipes_dir / f"{Path(name).stem}.toml",
            dict(read.settings.recipes.inputs.get(Path(name).stem, {})),
        )
        if not file.is_file():
            there = ", ".join(sorted(one.stem for one in read.recipes_dir.glob("*.toml"))) or "none"
            raise CommandError(f"there is no recipe {name!r} in {read.recipes_dir}", f"there are: {there}")
    try:
        inputs = tomllib.loads(file.read_text(encoding="utf-8")).get("inputs", {})
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise CommandError(
            f"{file} cannot be read: {error}", "look for mistakes with: cxbridge recipes check"
        ) from error
    defaults = (
        {key: one.get("default") for key, one in inputs.items() if isinstance(one, dict)}
        if isinstance(inputs, dict)
        else {}
    )
    return defaults | set_here


def _customers(file: Path) -> "Iterator[Customer]":
    """Read the table row by row; the first that cannot be read ends it, with its line.

    Raises:
        CommandError: naming file, line, and what to do.
    """
    from cxbridge.functions.churn_table import NEEDED, read_row

    rows = _rows(file)
    _, header = next(rows, (1, []))
    if absent := [column for column in NEEDED if column not in header]:
        raise CommandError(
            f"{file}:1: the column{'s' if len(absent) > 1 else ''} {', '.join(absent)} missing",
            f"the first line names the columns; needed are {', '.join(NEEDED)}, separated by commas",
        )
    seen: dict[str, int] = {}
    for line, cells in rows:
        if not cells:
            continue
        if len(cells) != len(header):
            raise CommandError(
                f"{file}:{line}: {len(cells)} values under {len(header)} columns",
                "put values that hold a comma into quotes",
            )
        try:
            customer = read_row(dict(zip(header, cells, strict=True)))
        except ValueError as error:
            raise CommandError(f"{file}:{line}: {error}", "mend that line, or take it out") from error
        if customer.id in seen:
            raise CommandError(
                f"{file}:{line}: customer {customer.id} stands on line {seen[customer.id]} already",
                "keep one line per customer",
            )
        seen[customer.id] = line
        if len(seen) > MOST_ROWS:
            raise CommandError(f"{file}:{line}: more than {MOST_ROWS:,} customers", "give a part of the table")
        yield customer


def _rows(file: Path) -> Iterator[tuple[int, Sequence[str]]]:
    """The lines of a table, packed or not, each with its number."""
    try:
        with file.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
        with gzip.open(file, "rb") if packed else file.open("rb") as body:
            reader = csv.reader(io.TextIOWrapper(body, encoding="utf-8-sig", newline=""), strict=True)
            for cells in reader:
                yield reader.line_num, cells
    except OSError as error:
        why = error.strerror or str(error)
        raise CommandError(
            f"{file} cannot be read: {why}", "--data takes a .csv or .csv.gz that you may read"
        ) from error
    except (EOFError, zlib.error) as error:
        raise CommandError(f"{file} cannot be unpacked: {error}", "it is cut off or broken: fetch it again") from error
    except UnicodeDecodeError as error:
        raise CommandError(
            f"{file} is not UTF-8 text (byte {error.start})", "save it with the encoding UTF-8"
        ) from error
    except csv.Error as error:
        raise CommandError(
            f"{file}:{reader.line_num}: {error}", "it must be CSV with commas and double quotes"
        ) from error


def _as_data(
    name: str, data: Path, band: _Band, without: int, figures: "Sequence[Figures]"
) -> dict[str, Any]:  # fmt: skip
    first = figures[0]
    return {
        "recipe": name,
        "data": str(data),
        "band": {"enter": band.enter, "leave": band.leave, "told": band.told},
        "customers": first.customers,
        "left": first.left,
        "without_a_month": without,
        "rules": [
            {
                "rule": one.rule,
                "alerted": one.alerted,
                "in_first_month": one.at_once,
                "left_and_alerted": one.hits,
                "alerted_in_last_month": one.same_month,
                "precision": one.precision,
                "precision_interval": one.precision_interval,
                "recall": one.recall,
                "recall_interval": one.recall_interval,
                "lead_months": None if one.lead is None else dict(zip(("q1", "median", "q3"), one.lead, strict=True)),
            }
            for one in figures
        ],
        "assumed": _assumed(),
        "limits": list(LIMITS),
    }


def _show(output: Output, name: str, data: Path, band: _Band, without: int, figures: "Sequence[Figures]") -> None:
    first = figures[0]
    left_out = f"; {without} without a month of tenure left out" if without else ""
    share = f" ({first.base_rate:.0%})" if first.base_rate is not None else ""
    output.line(f"{data.name}: {first.customers:,} customers, {first.left:,} of them left{share}{left_out}")
    output.line(f"{name}: alerts at {band.enter:g} or below, armed again from {band.leave:g} on ({band.told})")
    output.line()
    output.table(
        ["rule", "alerted", "in month 1", "precision", "recall", "lead in months: quarter, median, three quarters"],
        [
            [
                one.rule,
                one.alerted,
                one.at_once,
                _percent(one.precision, one.precision_interval),
                _percent(one.recall, one.recall_interval),
                "–" if one.lead is None else " · ".join(f"{value:g}" for value in one.lead),
            ]
            for one in figures
        ],
    )
    for title, lines in (("Assumed", _assumed()), ("What this cannot show", LIMITS)):
        output.line(f"\n{title}")
        for line in lines:
            output.line(f"- {line}")


def _assumed() -> list[str]:
    from cxbridge.functions.churn_table import WEIGHTS

    return [
        one.replace("{weights}", ", ".join(f"{key} {value:g}" for key, value in WEIGHTS.items())) for one in ASSUMED
    ]


def _percent(share: float | None, interval: tuple[float, float] | None) -> str:
    if share is None or interval is None:
        return "–"
    return f"{share:.0%} ({100 * interval[0]:.0f}–{100 * interval[1]:.0f})"
