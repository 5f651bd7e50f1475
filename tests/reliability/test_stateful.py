"""The state machine: people, vendors, faults, crashes and the engine's verbs in any order that Hypothesis can think of.

Each test is one company with a seed of its own; the same seed plays the same steps. A failure prints the steps, and the line that
plays them again.
"""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.reliability import volumes
from tests.reliability.simulation.company import company
from tests.reliability.simulation.machine import Machine, done
from tests.reliability.stage import Ground

DESK = (("zendesk", "tickets"), ("jira", "issues"))
TALK = (*DESK, ("zendesk", "comments"), ("jira", "comments"))
CHAT = (("zendesk", "tickets"), ("slack", "users"), ("jira", "issues"))
COMPANIES = {
    "both-ways": (("two-way", "fan-in"), DESK),
    "talks": (("mirror", "escalate"), TALK),
    "asks": (("approval", "wait-then"), CHAT),
    "follows": (("follow", "each"), DESK),
}
PARTS = 4
REPLAY = ".venv/bin/python -m pytest -p no:xdist 'tests/reliability/test_stateful.py::{test}'"


@pytest.mark.timeout(int(1200 * max(1.0, volumes.soak())))
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", list(COMPANIES))
def test_in_whatever_order_things_happen_every_invariant_holds(
    ground: Ground, request: pytest.FixtureRequest, name: str, part: int
) -> None:
    kinds, streams = COMPANIES[name]
    place, us, setting = ground, kinds, company(name, kinds, streams)

    class Ours(Machine):
        ground = place
        company = setting
        kinds = us

    # A function of our own, since the seed is kept with it.
    begin: Any = lambda: Ours()  # noqa: E731, PLW0108

    before = done.copy()
    examples = max(1, volumes.stateful_examples() // (PARTS * len(COMPANIES)))
    try:
        run_state_machine_as_test(
            seed(100 * list(COMPANIES).index(name) + part)(begin),
            settings=settings(
                max_examples=examples,
                stateful_step_count=volumes.stateful_steps(),
                deadline=None,
                database=None,
                phases=(Phase.generate, Phase.shrink),
                suppress_health_check=list(HealthCheck),
                report_multiple_bugs=False,
                print_blob=True,
            ),
        )
    except BaseException as error:
        error.add_note("play it again: " + REPLAY.format(test=request.node.name))
        raise
    played = done - before
    print(f"{name} {part}: " + ", ".join(f"{count} {what}" for what, count in sorted(played.items())))
    assert played["examples"] >= examples
    # Thirty steps of an example at least are no empty ones, taken over all of them.
    assert played["steps"] >= examples * volumes.stateful_steps() // 2
