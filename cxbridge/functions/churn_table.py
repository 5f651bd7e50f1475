"""A table of customers as months of health: what each row says about every month of its tenure, by weights that are stated here.

The table (IBM's telco customers and others of its shape) is a snapshot: one row per customer, as they were last. What a month
knew is rebuilt from it, and only three things move from month to month: how long somebody has been a customer, how near the end of
a yearly term is, and the price. Everything else (contract, way of paying, services) is taken to have been so from the first month.
Weights and values are set by hand, knowing which traits go with leaving, and fitted to nothing. Pure: rows in, months out.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cxbridge.core.canonical import HealthPart

# The columns without which a row says nothing.
NEEDED: Final = ("customerID", "tenure", "Contract", "MonthlyCharges", "TotalCharges", "Churn")
CARE: Final = ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport")
WEIGHTS: Final[Mapping[str, float]] = {"contract": 3.0, "tenure": 2.0, "price": 2.0, "care": 1.5, "payment": 1.5}

_TERMS: Final[Mapping[str, int]] = {"Month-to-month": 1, "One year": 12, "Two year": 24}
_CONTRACT: Final[Mapping[int, float]] = {1: 35.0, 12: 80.0, 24: 95.0}
# In the last months of a term a customer can leave, and looks around.
_NEAR_END, _NEAR_END_COSTS = 2, 40.0
# From here on a customer counts as an old one.
_SETTLED = 24
_START = datetime(2000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Customer:
    """One row, read and checked. `charges` holds the rebuilt monthly charge of each month, first to last."""

    id: str
    months: int
    left: bool
    term: int
    charges: tuple[float, ...]
    care: float | None
    payment: str

    @property
    def charge(self) -> float:
        """What the last month cost."""
        return self.charges[-1] if self.charges else 0.0


def read_row(row: Mapping[str, str]) -> Customer:
    """Read one row of the table.

    Raises:
        ValueError: naming the column and the value that cannot be read.
    """
    for column in NEEDED:
        if row.get(column) is None:
            raise ValueError(f"the column {column} is missing")
    months = _whole(row["tenure"])
    if row["Churn"] not in {"Yes", "No"}:
        raise ValueError(f"Churn is {row['Churn']!r}; it is Yes or No")
    if row["Contract"] not in _TERMS:
        raise ValueError(f"Contract is {row['Contract']!r}; it is one of: {', '.join(_TERMS)}")
    charge = _amount("MonthlyCharges", row["MonthlyCharges"])
    # Of somebody who has just come the table has no total.
    total = charge * months if not row["TotalCharges"].strip() else _amount("TotalCharges", row["TotalCharges"])
    given = [row[column] for column in CARE if row.get(column) in {"Yes", "No"}]
    return Customer(
        id=row["customerID"],
        months=months,
        left=row["Churn"] == "Yes",
        term=_TERMS[row["Contract"]],
        charges=tuple(_charges(months, charge, total)),
        care=sum(one == "Yes" for one in given) / len(given) if given else None,
        payment=row.get("PaymentMethod", ""),
    )


def month_of(number: int) -> datetime:
    """A moment that stands for a month of somebody's tenure; the table has no dates."""
    return _START + timedelta(days=30 * number)


def parts(customer: Customer, month: int, typical: float) -> list[HealthPart]:
    """The components of a customer's health in a month of their tenure, from 1 on; `typical` is the median charge of all.

    What the table does not tell about somebody is missing here too, and lowers the confidence.
    """
    to_end = customer.term - (month - 1) % customer.term
    near = _NEAR_END_COSTS if customer.term > 1 and to_end <= _NEAR_END else 0.0
    charge, first = customer.charges[month - 1], customer.charges[0]
    risen = max(0.0, charge / first - 1) if first > 0 else 0.0
    price = 100 - 40 * (charge / typical if typical > 0 else 1.0) - 100 * risen
    values: dict[str, float | None] = {
        "contract": _CONTRACT[customer.term] - near,
        "tenure": 40 + 60 * min(month, _SETTLED) / _SETTLED,
        "price": min(100.0, max(0.0, price)),
        "care": None if customer.care is None else 35 + 65 * customer.care,
        "payment": _paid(customer.payment),
    }
    at = month_of(month)
    return [
        HealthPart(name=name, weight=WEIGHTS[name], value=value, as_of=at, source="table")
        for name, value in values.items()
    ]


def _charges(months: int, last: float, total: float) -> list[float]:
    """A monthly charge that moved evenly to what the last one was, and adds up to the total; the table tells no more."""
    if months <= 1:
        return [last] * months
    first = max(0.0, 2 * total / months - last)
    return [first + (last - first) * number / (months - 1) for number in range(months)]


def _paid(method: str) -> float | None:
    if "automatic" in method:
        return 85.0
    return {"Mailed check": 65.0, "Electronic check": 40.0}.get(method)


def _whole(text: str) -> int:
    if not text.strip().isdecimal() or int(text) > 1200:
        raise ValueError(f"tenure is {text!r}; it is a whole number of months")
    return int(text)


def _amount(column: str, text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1e9:
        raise ValueError(f"{column} is {text!r}; it is an amount like 29.85")
    return found
