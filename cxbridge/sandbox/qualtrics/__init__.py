"""A simulator of Qualtrics: one brand with surveys, responses, an XM Directory, distributions, tickets and event subscriptions.

Answers are given through `control`, as people give them; what integrations do comes over the API and is journaled as theirs.
"""

from cxbridge.sandbox.qualtrics.app import create_app

__all__ = ["create_app"]
