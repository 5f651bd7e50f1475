"""What decides whether a recipe acts, and what values become: pure functions over plain data."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxbridge.core.canonical import PRIORITY_ORDER, Entity
from cxbridge.core.engine.connections import Connection
from cxbridge.core.recipes.decide import (
    changed_fields,
    in_canary,
    join_values,
    judge,
    mapped,
    once_of,
    read_path,
)
from cxbridge.core.recipes.expressions import Unmapped
from cxbridge.core.recipes.functions import Default, ValueMap
from cxbridge.core.recipes.load import load_text
from cxbridge.core.recipes.model import Canary, Recipe, SyncField

RECIPE = """
title = "x"
owner = "y"
use = { desk = "zendesk" }

[[trigger]]
on = "ticket.changed"
from = "desk"

[when]
urgent = "ticket.priority == 'urgent'"
tagged = "'vip' in ticket.tags"
known  = "ticket.severity | map('severity') == 'high'"

[map.severity]
S1 = "high"

[run]
once_per = "ticket.custom.order"

[[step]]
id = "note"
do = "desk.comment.add_once"
with = { visibility = "internal", body = "x" }
"""


@pytest.fixture(scope="module")
def recipe(offers: Mapping[str, Connection]) -> Recipe:
    return load_text("x", "x.toml", RECIPE, offers, {})


def scope(**ticket: Any) -> dict[str, Any]:
    return {"ticket": {"priority": "urgent", "tags": ["vip"], "severity": "S1", "custom": {}, **ticket}}


# -- whether it acts ---------------------------------------------------------------------------------------------------


def test_all_conditions_must_hold(recipe: Recipe) -> None:
    verdict = judge(recipe, scope())
    assert (verdict.acts, verdict.stopped_at, verdict.error) == (True, "", "")


def test_the_first_condition_that_does_not_hold_decides(recipe: Recipe) -> None:
    verdict = judge(recipe, scope(priority="low", tags=[], severity="S9"))
    assert (verdict.acts, verdict.stopped_at, verdict.error) == (False, "urgent", "")
    assert judge(recipe, scope(tags=[])).stopped_at == "tagged"


def test_a_condition_that_cannot_be_judged_stops_with_its_reason(recipe: Recipe) -> None:
    verdict = judge(recipe, {"ticket": {"priority": "urgent", "tags": 5, "severity": "S1"}})
    assert (verdict.acts, verdict.stopped_at) == (False, "tagged")
    assert verdict.error


def test_a_map_that_holds_stops_with_its_reason(recipe: Recipe) -> None:
    verdict = judge(recipe, scope(severity="S4"))
    assert (verdict.acts, verdict.stopped_at) == (False, "known")
    assert "'S4'" in verdict.error


def test_a_recipe_without_conditions_acts(recipe: Recipe) -> None:
    assert judge(replace(recipe, conditions=()), {}).acts


def test_what_it_acts_once_for(recipe: Recipe) -> None:
    assert once_of(recipe, scope(custom={"order": 17})) == "17"
    assert once_of(recipe, scope()) is None
    assert once_of(replace(recipe, run=replace(recipe.run, once_per=None)), scope()) is None


# -- canaries ----------------------------------------------------------------------------------------------------------


def account(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": f"zendesk/organizations/{number}", "name": f"Company {number}", **fields}


@pytest.mark.parametrize(
    "fields", [{"name": "Northwind"}, {"name": "NORTHWIND"}, {"source_key": "northwind"}, {"external_id": "northwind"}]
)
def test_a_named_account_is_in_the_canary(fields: dict[str, str]) -> None:
    canary = Canary(accounts=("northwind",))
    assert in_canary(canary, account(1, **fields))
    assert not in_canary(canary, account(1))


def test_nobody_is_in_no_canary() -> None:
    for canary in (Canary(accounts=("None",), share=1.0), Canary(share=1.0)):
        assert not in_canary(canary, None)
        assert not in_canary(canary, {"id": None, "name": None})


def test_a_share_of_accounts_is_fixed_and_grows_with_the_share() -> None:
    accounts = [account(number) for number in range(2000)]
    inside = {
        share: {one["id"] for one in accounts if in_canary(Canary(share=share), one)} for share in (0, 0.1, 0.5, 1)
    }
    assert inside[0] == set()
    assert inside[0] < inside[0.1] < inside[0.5] < inside[1]
    assert len(inside[1]) == len(accounts)
    assert 140 < len(inside[0.1]) < 260
    assert 900 < len(inside[0.5]) < 1100
    # The same ones in every process: who is in the canary must not change with a restart.
    assert sorted(inside[0.1])[:3] == [
        "zendesk/organizations/1008",
        "zendesk/organizations/101",
        "zendesk/organizations/1028",
    ]


# -- what changed ------------------------------------------------------------------------------------------------------


def test_fields_that_differ() -> None:
    before = {"id": "a", "source": "z", "subject": "x", "tags": ["a"], "custom": {"k": 1}, "updated_at": 1, "gone": 1}
    after = {"id": "b", "source": "y", "subject": "x", "tags": ["b"], "custom": {"k": 2}, "updated_at": 2, "new": None}
    assert changed_fields(before, after, Entity.volatile) == {"tags", "custom", "new"}


def test_of_something_new_every_field_that_holds_something_changed() -> None:
    after: dict[str, Any] = {
        "id": "a",
        "subject": "x",
        "tags": [],
        "custom": {},
        "note": "",
        "owner": None,
        "zero": 0,
        "no": False,
    }
    assert changed_fields(None, after, ()) == {"subject", "zero", "no"}


@given(st.dictionaries(st.sampled_from("abcde"), st.integers() | st.none()))
def test_nothing_changes_against_itself(entity: dict[str, Any]) -> None:
    assert changed_fields(entity, dict(entity), ()) == set()


@pytest.mark.parametrize(
    ("path", "value"),
    [(("a",), {"b": 5}), (("a", "b"), 5), (("a", "x"), None), (("x",), None), (("a", "b", "c"), None), ((), None)],
)
def test_reading_a_field(path: tuple[str, ...], value: Any) -> None:
    entity = {"a": {"b": 5}}
    assert read_path(entity, path) == (value if path else entity)


# -- several values, and what one becomes ------------------------------------------------------------------------------


def field(join: Literal["max", "min", "first"] | None) -> SyncField:
    return SyncField("priority", ("priority",), ("priority",), "left", join, None, "jira", "issue.set")


NOW = datetime(2026, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "most", "least"),
    [
        (["low", "urgent", "normal"], "urgent", "low"),
        (["none", "low"], "low", "none"),
        (["high", None, "none"], "high", "none"),
        ([3, 10, 2.5], 10, 2.5),
        ([NOW, NOW + timedelta(1)], NOW + timedelta(1), NOW),
        (["2026-05-06", "2026-10-01"], "2026-10-01", "2026-05-06"),
        (["b", "urgent"], "urgent", "b"),
        # Of several sorts, or of none that has an order: the first.
        ([5, "9"], 5, 5),
        ([False, True], False, False),
        ([["b"], ["a"]], ["b"], ["b"]),
        ([NOW.replace(tzinfo=None), NOW], NOW.replace(tzinfo=None), NOW.replace(tzinfo=None)),
        ([None, "low"], "low", "low"),
        ([None, None], None, None),
        ([], None, None),
    ],
)
def test_joining(values: list[Any], most: Any, least: Any) -> None:
    assert join_values(values, field("max")) == most
    assert join_values(values, field("min")) == least


@pytest.mark.parametrize("join", ["first", None])
def test_joining_by_order(join: Literal["first"] | None) -> None:
    assert join_values([None, "low", "urgent"], field(join)) == "low"


@given(st.lists(st.sampled_from(PRIORITY_ORDER), min_size=1))
def test_the_most_pressing_priority_wins_in_any_order(values: list[str]) -> None:
    most = join_values(values, field("max"))
    assert most in values
    assert all(PRIORITY_ORDER.index(most) <= PRIORITY_ORDER.index(one) for one in values)
    assert join_values(sorted(values), field("max")) == most


def test_mapping() -> None:
    entries = {"urgent": "Highest"}
    assert mapped("urgent", None) == "urgent"
    assert mapped("urgent", ValueMap("p", entries)) == "Highest"
    assert mapped("low", ValueMap("p", entries, "pass")) == "low"
    assert mapped("low", ValueMap("p", entries, Default("Medium"))) == "Medium"
    with pytest.raises(Unmapped) as caught:
        mapped("low", ValueMap("p", entries))
    assert (caught.value.map_name, caught.value.value) == ("p", "low")
