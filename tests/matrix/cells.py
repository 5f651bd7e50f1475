"""What each fault means for a connector: one function a fault, played on any bench; holds none of them itself.

Each ends in the judgement of its row in the table: effects once, nothing before the vendor said, no checkpoint past a page that
was not stored, and the stream going on afterwards.
"""

from collections.abc import Callable, Mapping

from tests.matrix import answering, drifting, hooks, process, refusing
from tests.matrix.play import Table

PLAYED: Mapping[str, Callable[[Table], None]] = {
    "F1": process.crash,
    "F2": process.crash_in_recovery,
    "F3": process.orderly_stop,
    "F4": refusing.rate_limited,
    "F5": refusing.failing,
    "F6": refusing.timing_out,
    "F7": answering.ghosts,
    "F8": answering.half_answers,
    "F9": answering.malformed,
    "F10": drifting.drift,
    "F11": drifting.pages,
    "F12": drifting.late_visible,
    "F13": hooks.hostile,
    "F14": hooks.burst,
    "F15": drifting.skew,
    "F20": refusing.revoked,
    "F23": process.recipe_changed,
}
"""Played with each connector."""
