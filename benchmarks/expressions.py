"""Prints how fast conditions are read and judged, and how long the slowest hostile source holds a thread.

    python -m benchmarks expressions

Goals: a condition is judged in 50 µs or less (median); a refusal takes 20 ms or less; nothing runs longer than about
50 ms of work. The hostile sources are those of ``tests/recipes/hostile.toml``.
"""

import contextlib
import statistics
import time
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import results
from cxbridge.core.recipes.expressions import LINKED, ExpressionError, Function, Language, Unmapped, ValueMap

CONDITIONS = {
    "one comparison": "ticket.priority == 'urgent'",
    "five clauses": (
        "ticket.priority in ['urgent', 'high'] and account.tier == 'enterprise' and account.arr >= 100000 "
        "and 'vip' in ticket.tags and ticket.status_category not in ['resolved', 'closed', 'cancelled']"
    ),
    "changed and age": "changed(ticket.priority) and age(ticket.created_at) > '4h'",
    "linked": "not linked(ticket, 'escalated_to')",
    "pattern, 2 kB text": r"matches(ticket.body_text, '(?i)\b(outage|data loss|down)\b')",
}
TEMPLATE = """{{ ticket.body_text | redact('personal') | limit(4000) }}

Customer: {{ account.name }} ({{ account.tier }})
{% for tag in ticket.tags %}
- {{ tag }}
{% endfor %}
Ticket: {{ ticket.url }}
"""


def subject() -> dict[str, Any]:
    """A ticket with 60 custom fields, as a desk of some size has."""
    return {
        "ticket": {
            "priority": "urgent",
            "status_category": "open",
            "subject": "Printer on fire",
            "body_text": "Nothing works since the last update. Write to ann@example.org or call 030 1234 5678. " * 23,
            "url": "https://example.org/tickets/1",
            "tags": ["vip", "needs-engineering", "emea"],
            "created_at": datetime(2026, 11, 4, 9, tzinfo=UTC),
            "custom": {f"field_{number}": "x" * 20 for number in range(60)},
        },
        "account": {"name": "Northwind", "tier": "enterprise", "arr": 120000.0},
        "before": {"priority": "normal"},
        "now": datetime(2026, 11, 4, 14, tzinfo=UTC),
        LINKED: lambda _record, _relation: [],
    }


def nested(depth: int) -> Any:
    """A list in a list in a list…"""
    value: Any = "end"
    for _ in range(depth):
        value = [value]
    return value


def hostile_scope() -> dict[str, Any]:
    """Values as large as a hostile vendor might send."""
    return subject() | {
        "danger": object(),
        "nest": {"danger": object(), "list": [object()], "text": "a", "group": {}},
        "big": {
            "text": "a" * 200_000,
            "huge": "a" * 1_000_000,
            "words": [str(number) for number in range(200_000)],
            "thousand": [{"n": number} for number in range(1000)],
            "thousands": list(range(1001)),
            "deep": nested(100),
            "deep2": nested(100),
            "loop": nested(100),
            "loop2": nested(100),
            "whole": 10**30,
            "nan": float("nan"),
        },
    }


def microseconds(work: Callable[[], object], times: int) -> tuple[float, float]:
    """Median and slowest of one run."""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        taken.append((time.perf_counter() - start) * 1e6)
    return statistics.median(taken), max(taken)


def quickest(work: Callable[[], object], times: int = 3) -> float:
    """Milliseconds of the best of some runs, so that a busy machine is not counted against the code."""
    return min(microseconds(work, 1)[1] for _ in range(times)) / 1000


def attempt(work: Callable[[], object]) -> Callable[[], None]:
    """The same work, its refusal swallowed."""

    def run() -> None:
        with contextlib.suppress(ExpressionError, Unmapped):
            work()

    return run


def judge_conditions(language: Language) -> dict[str, float]:
    """Print how long each condition takes, and give the microseconds that judging each takes."""
    scope = subject()
    print(f"{'condition':<22}{'read, µs':>10}{'judge, µs (median)':>22}{'explain, µs':>14}")
    judged = {}
    for name, source in CONDITIONS.items():
        condition = language.condition(source)
        read, _ = microseconds(partial(language.condition, source), 200)
        judge, _ = microseconds(partial(condition.holds, scope), 5000)
        judged[name] = judge
        explain, _ = microseconds(partial(condition.explain, scope), 500)
        print(f"{name:<22}{read:>10.0f}{judge:>22.1f}{explain:>14.1f}")
    template = language.template(TEMPLATE)
    render, _ = microseconds(partial(template.render, scope), 2000)
    print(f"a note with redaction of 2 kB: {render:.0f} µs")
    return judged


def refuse_hostile(language: Language) -> None:
    """Print the slowest refusals, when read and on values."""
    corpus = tomllib.loads((Path(__file__).parents[1] / "tests" / "recipes" / "hostile.toml").read_text("utf-8"))
    sources: list[tuple[str, str]] = []
    for part in ("read", "run"):
        sources += [("expression", source) for source in corpus[part]["expressions"]]
        sources += [("template", source) for source in corpus[part]["templates"]]
    for group in corpus["written_out"]:
        for entry in group["pieces"]:
            source = entry.get("before", "") + entry["piece"] * entry["times"] + entry.get("after", "")
            sources.append((group["kind"], source))
    reading: list[tuple[float, str]] = []
    for kind, source in sources:
        read: Callable[[str], object] = language.condition if kind == "expression" else language.template
        reading.append((quickest(attempt(partial(read, source))), source))
    scope = hostile_scope()
    running: list[tuple[float, str]] = []
    for source in corpus["run"]["expressions"]:
        expression = language.expression(source)
        running.append((quickest(attempt(partial(expression.evaluate, scope))), source))
    for source in corpus["run"]["templates"]:
        try:
            template = language.template(source)
        except ExpressionError:
            continue
        running.append((quickest(attempt(partial(template.render, scope))), source))
    for title, found in (("refused when read", reading), ("stopped on values", running)):
        print(f"\n{title}: {len(found)} sources, slowest")
        for taken, source in sorted(found, reverse=True)[:4]:
            print(f"  {taken:7.2f} ms  {source[:70]!r}")


def main() -> None:
    """Run everything; takes a few seconds."""
    language = Language(
        functions={"tripwire": Function(lambda *_: None, (), variadic=True)},
        maps={"priority": ValueMap("priority", {"urgent": "Highest"})},
    )
    judged = judge_conditions(language)
    refuse_hostile(language)
    results.tell("expressions", sizes={}, medians={name: {"µs": value} for name, value in judged.items()}, ratios={})


if __name__ == "__main__":
    main()
