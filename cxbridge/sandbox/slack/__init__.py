"""A simulator of Slack: one workspace with people, channels and messages, and one app in it.

What it plays: the Web API with `ok` false at status 200, cursor pages, a minute's count per method and a message a second per
channel, scopes, what a message may hold, metadata, threads; signed events and button presses sent to the app's request URLs.
What it leaves out: files, reactions, search, scheduled messages, other apps, Enterprise Grid.

`app` answers requests, `control` plays people, `rows` loads a company, `writing` and `reading` hold the methods.
"""

from cxbridge.sandbox.slack.app import create_app

__all__ = ["create_app"]
