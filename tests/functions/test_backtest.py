"""The back-test on a table small enough to work out on paper."""

import pytest

from cxbridge.functions.backtest import Course, first_fall, judge
from cxbridge.functions.churn_table import NEEDED, WEIGHTS, parts, read_row

ROW = {
    "customerID": "0001-A", "tenure": "13", "Contract": "One year", "MonthlyCharges": "80", "TotalCharges": "910",
    "Churn": "No", "OnlineSecurity": "Yes", "OnlineBackup": "No", "DeviceProtection": "Yes", "TechSupport": "Yes",
    "PaymentMethod": "Credit card (automatic)",
}  # fmt: skip


def course(name: str, scores: list[float | None], left: bool) -> Course:
    return Course(name, (100.0, *scores), left)


TABLE = [
    course("fell, left four months later", [80, 48, 45, 40, 30, 20], left=True),
    course("fell and left at once", [70, 40], left=True),
    course("left without a sign", [90, 90, 90], left=True),
    course("fell and stayed", [80, 30, 80, 30], left=False),
    course("wavered above the band", [60, 55, 51, 60], left=False),
    course("began inside", [40, 45, 30], left=True),
    course("never scored", [None, None], left=False),
    course("stayed", [90], left=False),
]


def test_the_figures_of_a_table_worked_out_by_hand() -> None:
    found = judge("band", TABLE, lambda one: first_fall(one.scores, 50, 60))
    assert (found.customers, found.left, found.alerted, found.hits) == (8, 4, 4, 3)
    assert [found.precision, found.recall, found.base_rate] == [0.75, 0.75, 0.5]
    # Months before leaving: 4, 0 and 2.
    assert list(found.lead or ()) == [1, 2, 3]
    assert (found.same_month, found.at_once) == (1, 1)
    low, high = found.precision_interval or (1.0, 0.0)
    assert low < 0.75 < high


def test_a_baseline_that_alerts_on_everybody_finds_all_and_is_right_as_often_as_chance() -> None:
    found = judge("all", TABLE, lambda _: 1)
    assert (found.recall, found.precision) == (1, found.base_rate)


def test_a_rule_that_never_alerts_has_no_precision() -> None:
    found = judge("none", TABLE, lambda _: None)
    assert (found.precision, found.precision_interval, found.lead, found.recall) == (None, None, None, 0)
    empty = judge("none", [], lambda _: None)
    assert (empty.recall, empty.base_rate) == (None, None)


def test_one_lead_is_its_own_quartiles() -> None:
    assert judge("one", [TABLE[0]], lambda one: first_fall(one.scores, 50, 60)).lead == (4, 4, 4)


@pytest.mark.parametrize(
    ("scores", "place"), [([100, 50], 1), ([100, 51, 55], None), ([40, 45], None), ([40, 60, 50], 2), ([], None)]
)
def test_the_first_fall(scores: list[float | None], place: int | None) -> None:
    assert first_fall(scores, 50, 60) == place


def test_a_row_becomes_months_that_add_up() -> None:
    found = read_row(ROW)
    assert (found.months, found.term, found.left, found.care) == (13, 12, False, 0.75)
    assert found.charges[0] == pytest.approx(60)
    assert found.charge == pytest.approx(80)
    assert sum(found.charges) == pytest.approx(910)


def test_months_differ_by_tenure_price_and_the_end_of_the_term() -> None:
    customer = read_row(ROW)
    months = {
        month: {one.name: one.value for one in parts(customer, month, typical=80)}
        for month in range(1, customer.months + 1)
    }
    assert set(months[1]) == set(WEIGHTS)
    assert [months[month]["contract"] for month in (1, 10, 11, 12, 13)] == [80, 80, 40, 40, 80]
    assert months[1]["tenure"] == 42.5
    prices = [months[month]["price"] for month in months]
    assert all(one is not None for one in prices)
    assert prices == sorted(prices, key=lambda one: -(one or 0))
    assert {months[month]["care"] for month in months} == {35 + 65 * 0.75}
    assert {months[month]["payment"] for month in months} == {85}


def test_what_the_table_does_not_tell_is_missing_and_not_bad() -> None:
    nothing = dict.fromkeys(
        ("OnlineSecurity", "OnlineBackup", "DeviceProtection", "TechSupport"), "No internet service"
    )
    customer = read_row(ROW | nothing | {"PaymentMethod": "Barter"})
    values = {one.name: one.value for one in parts(customer, 1, typical=80)}
    assert (values["care"], values["payment"]) == (None, None)


def test_somebody_who_has_just_come_has_no_months() -> None:
    found = read_row(ROW | {"tenure": "0", "TotalCharges": " "})
    assert (found.months, found.charges, found.charge) == (0, (), 0)
    assert read_row(ROW | {"tenure": "1", "TotalCharges": " "}).charges == (80,)


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("tenure", "13.5", "tenure is '13.5'"),
        ("tenure", "-1", "whole number"),
        ("Churn", "yes", "Yes or No"),
        ("Contract", "Weekly", "Month-to-month"),
        ("MonthlyCharges", "free", "an amount"),
        ("TotalCharges", "nan", "an amount"),
        ("MonthlyCharges", "-3", "an amount"),
    ],
)
def test_values_that_cannot_be_read_are_named(column: str, value: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        read_row(ROW | {column: value})


@pytest.mark.parametrize("column", NEEDED)
def test_columns_that_are_missing_are_named(column: str) -> None:
    with pytest.raises(ValueError, match=f"column {column} is missing"):
        read_row({name: value for name, value in ROW.items() if name != column})
