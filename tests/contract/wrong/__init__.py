"""Pulse connectors that are wrong in one way each, by the rule that must catch them; the tutorial's is the right one."""

from tests.contract.wrong import resuming, settings, streams, together, trouble, writes
from tests.contract.wrong.right import WRONG, Make, Right

__all__ = ["WRONG", "Make", "Right", "resuming", "settings", "streams", "together", "trouble", "writes"]
