"""A run on its way: what moving it on gives, and how results and remarks are kept with it; decides nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from cxbridge.core.ledger import Delivery, Link, Ref, Run, new_id
from cxbridge.core.recipes.model import RESULT_FIELDS, Recipe, Step
from cxbridge.core.store import Tx, approvals, planning, state
from cxbridge.core.store.approvals import Approval

_LONGEST_REMARK = 500
SKIPPED: Mapping[str, Any] = {**dict.fromkeys(RESULT_FIELDS), "skipped": True}


@dataclass(slots=True)
class Advance:
    """What moving a run on gives: the run as it now is, deliveries for the outbox, links for the ledger."""

    run: Run
    deliveries: list[Delivery] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    # Step id → inputs, in order; what `plan` and the tests in recipe files show.
    planned: list[tuple[str, Delivery]] = field(default_factory=list)
    # Questions as they now stand, and what is to be counted with the recipe.
    approvals: list[Approval] = field(default_factory=list)
    tallies: list[str] = field(default_factory=list)
    # Small values to be remembered, by name.
    remembered: dict[str, bytes] = field(default_factory=dict)

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing to be written but the run and its deliveries."""
        return not (self.links or self.approvals or self.tallies or self.remembered)

    def keep(self, tx: Tx, now: datetime) -> None:
        """Write what belongs to the run beside it and its deliveries; in the commit that writes those."""
        for approval in self.approvals:
            approvals.keep(tx, approval)
        for what in self.tallies:
            planning.tally(tx, self.run.recipe, what, at=now, ref=self.run.subject)
        for name, value in self.remembered.items():
            state.meta_set(tx, name, value)


class Fault(Exception):  # not an error for users: it becomes the reason a run ends with
    """A step cannot be planned; the text says why in words."""


def started(
    recipe: Recipe, part: str, key: str, once: str, subject: Ref, now: datetime, hops: int, context: Mapping[str, Any]
) -> Run:
    """Make a new run, not stored yet."""
    return Run(
        id=new_id("run", now),
        recipe=recipe.id,
        version=recipe.version,
        part=part,
        key=key,
        once=once,
        subject=subject,
        context=context,
        hops=hops,
        started_at=now,
    )


def with_result(run: Run, step: str, told: Mapping[str, Any]) -> Run:
    """Keep what a step gave. A step with several deliveries keeps the first one's answer."""
    if step in run.results:
        return run
    return msgspec.structs.replace(run, results={**run.results, step: dict(told)})


def skipped(step: Step, told: str | None = None) -> dict[str, Any]:
    """Give what a step leaves behind that was left out: every field of its result, all of them empty."""
    return {**dict.fromkeys(step.fields), "skipped": True} | ({"told": told} if told is not None else {})


def noted(run: Run, told: str) -> Run:
    """Keep a remark with a run, which is shown as its reason when it is done."""
    before = str(run.context.get("told", ""))
    if told in before or len(before) > _LONGEST_REMARK:
        return run
    return msgspec.structs.replace(run, context={**run.context, "told": f"{before}; {told}" if before else told})
