"""What a path of the site is made of, and what every handler can reach. Holds no path."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from cxbridge.sandbox.jira.auth import Credentials
from cxbridge.sandbox.jira.limits import Limits
from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.render import Renderer
from cxbridge.sandbox.jira.search import Search
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.wire import NO_ISSUE, Call, Reply, refused
from cxbridge.sandbox.jira.writer import Writer

READ: Final = "read:jira-work"
WRITE: Final = "write:jira-work"
PEOPLE: Final = "read:jira-user"


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers of one site share."""

    state: JiraState
    search: Search
    credentials: Credentials
    limits: Limits

    def issue(self, call: Call) -> Issue:
        """The issue a path names.

        Raises:
            RefusedError: 404, it is gone, hidden, or the caller is anonymous: the site does not tell which.
        """
        issue = self.state.seen(call.params["key"]) if call.user is not None else None
        if issue is None:
            raise refused(404, NO_ISSUE)
        return issue

    def writer(self, call: Call) -> Writer:
        return Writer(self.state, call.actor(), "api", call.version)

    def renderer(self, call: Call) -> Renderer:
        return Renderer(self.state, call)


Handler = Callable[[Services, Call], Reply]


@dataclass(frozen=True, slots=True)
class Path:
    """One operation. `bucket` names its burst limit; `guarded` paths turn anonymous callers away before the handler."""

    method: str
    template: str
    handler: Handler
    scope: str = READ
    bucket: str = ""
    guarded: bool = True
    kind: Literal["platform", "desk"] = "platform"

    @property
    def writes_issue(self) -> bool:
        """Whether a call counts against the writes its issue may take."""
        return "{key}" in self.template and self.method != "GET"

    def pattern(self) -> re.Pattern[str]:
        return re.compile("^" + re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.template) + "$")

    def limit(self) -> str:
        return self.bucket or self.method.lower()
