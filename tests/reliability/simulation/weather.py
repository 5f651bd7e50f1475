"""What goes wrong on a simulated day: faults at vendors, wrong clocks, revoked tokens, lost webhooks, the daemon's own ends.

Everything is drawn before the day begins, so that what happens on it changes nothing of what was drawn.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

MINUTE, HOUR = 60.0, 3600.0
DAY = 24 * HOUR
# A client waits thirty seconds for an answer. What a vendor begins to do later than a write needs to settle nobody can find.
LATE = 33
# What an operator may take out of service for a while.
OUT_OF_SERVICE = ("two-way", "approval", "each")


@dataclass(frozen=True)
class Gust:
    """Something that goes wrong from `at` on for `seconds`: what, at which vendor, and how."""

    at: float
    seconds: float
    what: str
    vendor: str = ""
    how: Mapping[str, Any] = field(default_factory=dict)


# What may happen to a single request, and how often among these.
SINGLE: tuple[tuple[str, int, Mapping[str, Any]], ...] = (
    ("ghost", 8, {}),
    ("ghost", 3, {"seconds": 90}),
    ("reset", 4, {}),
    ("limit_data", 4, {"bytes": 20}),
    ("wrong_length", 2, {"by": 50}),
    ("slicer", 2, {"bytes": 200, "seconds": 0.4}),
    ("slow_close", 1, {"seconds": 2}),
    ("broken_gzip", 2, {"how": "cut"}),
    ("broken_gzip", 1, {"how": "checksum"}),
    ("latency", 3, {"seconds": 5}),
    ("latency", 5, {"seconds": LATE}),
    ("html", 2, {}),
    ("bad_json", 3, {}),
    ("wrong_charset", 1, {}),
    ("nan", 1, {}),
    ("status", 3, {"code": 500}),
    ("status", 3, {"code": 502}),
    ("status", 2, {"code": 409}),
    ("status", 1, {"code": 400}),
    ("rate_limited", 3, {"retry_after": 7}),
    ("rate_limited", 2, {"retry_after": "http-date", "seconds": 40}),
    ("rate_limited", 1, {"retry_after": "absent"}),
    ("rate_limited", 1, {"retry_after": "garbled"}),
    ("stale", 2, {"seconds": 300}),
    ("duplicate_page", 2, {}),
)
# What may last, with the most minutes it does.
LASTING: tuple[tuple[str, int, Mapping[str, Any], float], ...] = (
    ("status", 4, {"code": 503}, 60),
    ("status", 2, {"code": 503, "headers": {"retry-after": "120"}}, 60),
    ("reset", 3, {}, 45),
    ("ghost", 3, {}, 10),
    ("latency", 2, {"seconds": 3}, 60),
    ("latency", 1, {"seconds": LATE}, 20),
    ("rate_limited", 2, {"retry_after": 60}, 20),
    ("late_visible", 3, {"seconds": 4}, 120),
    ("revoke_token", 2, {}, 40),
    ("scope_removed", 1, {}, 20),
    ("html", 1, {}, 20),
)


def drawn(lot: Random, vendors: tuple[str, ...], strength: float) -> list[Gust]:
    """Draw a day's weather; `strength` is 1 on an ordinary bad day."""
    gusts: list[Gust] = []

    def some(most: float) -> int:
        return round(lot.uniform(0.3, 1.0) * most * strength)

    for _ in range(some(5)):
        # A burst: many requests of one vendor fail in one way, or in several ways, within minutes.
        at, vendor = lot.uniform(0, DAY), lot.choice(vendors)
        gusts += [_single(lot, at + lot.uniform(0, 10 * MINUTE), vendor) for _ in range(lot.randint(2, 6))]
    gusts += [_single(lot, lot.uniform(0, DAY), lot.choice(vendors)) for _ in range(some(20))]
    for _ in range(some(6)):
        name, _, how, most = lot.choices(LASTING, [one[1] for one in LASTING])[0]
        vendor = lot.choice(vendors)
        seconds = lot.uniform(1, most) * MINUTE
        gusts.append(Gust(lot.uniform(0, DAY - seconds), seconds, name, vendor, {**how, "lasting": True}))
    for _ in range(some(2)):
        seconds = lot.uniform(10, 240) * MINUTE
        wrong = lot.uniform(-10, 10) * MINUTE
        vendor = lot.choice((*vendors, ""))
        gusts.append(Gust(lot.uniform(0, DAY - seconds), seconds, "skew", vendor, {"by": wrong}))
    for _ in range(some(6)):
        # Often the next start ends in the middle too.
        places = [lot.randint(1, 60)] + [lot.randint(1, 25) for _ in range(lot.choice((0, 0, 1, 2)))]
        # Pulling has most of the places, and pushing most of what can go wrong.
        job = lot.choice(("", "push", "push", "plan"))
        gusts.append(Gust(lot.uniform(0, DAY), 0, "crash", "", {"places": places, "in": job}))
    for _ in range(some(2)):
        gusts.append(Gust(lot.uniform(0, DAY), lot.choice((0.0, lot.uniform(1, 60) * MINUTE)), "down"))
    for _ in range(some(2)):
        gusts.append(Gust(lot.uniform(0, DAY), lot.uniform(5, 60) * MINUTE, "deaf"))
    if lot.random() < 0.5 * strength:
        # One recipe at a time is out of service, so that few sets of recipes need to be compiled.
        what, recipe = lot.choice(("paused", "deleted")), lot.choice(OUT_OF_SERVICE)
        gusts.append(Gust(lot.uniform(0, DAY), lot.uniform(1, 40) * MINUTE, what, "", {"recipe": recipe}))
    if lot.random() < 0.5 * strength:
        gusts.append(Gust(lot.uniform(0, DAY), 0, "edited"))
    return sorted(gusts, key=lambda one: (one.at, one.what, one.vendor))


def _single(lot: Random, at: float, vendor: str) -> Gust:
    name, _, how = lot.choices(SINGLE, [one[1] for one in SINGLE])[0]
    # A write is struck more often than its share of all requests: there it is decided whether something is done twice.
    method = lot.choice((None, "POST", "POST", "PUT", "write"))
    if name in ("stale", "duplicate_page", "nan", "wrong_charset"):
        method = "GET"
    if name == "duplicate_page" and vendor == "jira":
        # Two streams ask the same path for different fields there: the answer would be one to another question.
        name, how = "reset", {}
    # Slack reads with POST or GET, and writes with POST alone.
    method = "POST" if vendor == "slack" and method == "PUT" else method
    return Gust(at, 0, name, vendor, {**how, "method": lot.choice(("POST", "PUT")) if method == "write" else method})
