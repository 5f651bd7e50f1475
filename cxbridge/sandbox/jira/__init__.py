"""A simulated Jira Cloud site: its REST API, its gateway and OAuth host, and the people who work in it.

Faithful to the vendor's documented behaviour, with the parts no source confirms marked `unverified` where they stand.
Served: search, issues, comments, links, properties, history and screens of the platform (version 3, and version 2 with
texts instead of documents), the set-up of the site, and the smallest part of service management. Webhooks of
administrators and of apps are sent. Not served: attachments, worklogs, boards.
"""

from cxbridge.sandbox.jira.app import create_app
from cxbridge.sandbox.jira.control import Control
from cxbridge.sandbox.jira.options import JiraOptions
from cxbridge.sandbox.jira.state import JiraState

__all__ = ["create_app", "Control", "JiraOptions", "JiraState"]
