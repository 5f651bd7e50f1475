"""Issue search over the lagging index, page by page with tokens. Decides what is found, not how an issue looks.

See `developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issue-search/` and, there, `search-and-reconcile`.
"""

import base64
import binascii
import hashlib
import json
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cmp_to_key
from typing import Any, Final

from cxbridge.sandbox.jira import jql
from cxbridge.sandbox.jira.jql import JqlError
from cxbridge.sandbox.jira.query import Asker, Plan, plan
from cxbridge.sandbox.jira.records import Issue
from cxbridge.sandbox.jira.site import User
from cxbridge.sandbox.jira.state import JiraState
from cxbridge.sandbox.jira.wire import refused

Json = Any

TOKEN_LIFE: Final = 7 * 86_400
UNBOUNDED: Final = "Unbounded JQL queries are not allowed here. Please add a search restriction to your query."
MISHAPS: Final = ("duplicate", "skip", "reset", "loop")
_KEPT_ANSWERS: Final = 8


@dataclass(frozen=True, slots=True)
class Row:
    """A found issue with the values it was sorted by; its id comes last, so no two rows are equal."""

    place: list[Json]
    issue: Issue


@dataclass(frozen=True, slots=True)
class Found:
    issues: list[Issue]
    next_token: str | None


@dataclass(slots=True)
class Search:
    """The search of one site; remembers a few sorted answers so that paging through a large one stays cheap."""

    state: JiraState
    _answers: OrderedDict[tuple[str, str, int], list[Row]] = field(default_factory=OrderedDict)
    _mishaps: deque[str] = field(default_factory=deque)
    _page: list[Row] = field(default_factory=list)
    _tokens: int = 0

    def expect(self, mishap: str, times: int = 1) -> None:
        """Let a mishap befall the next follow-up pages, of any query.

        `duplicate`: the page before comes again; `skip`: a page lacks its first row; `reset`: the first page comes
        again; `loop`: a page names the token that asked for it as the next one.

        Raises:
            ValueError: there is no such mishap.
        """
        if mishap not in MISHAPS:
            raise ValueError(f"mishap {mishap!r} is unknown; the mishaps are {', '.join(MISHAPS)}")
        self._mishaps.extend([mishap] * times)

    def run(
        self, text: str, user: User | None, size: int, *, token: str | None, reconcile: Sequence[int], asked: Json
    ) -> Found:
        """One page. `asked` is what must stay the same from page to page; `reconcile` names issues to show as they are.

        Raises:
            RefusedError: 400, the query or the page token is not acceptable.
        """
        rows, descending = self._rows(text, user, reconcile)
        mark = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
        start = self._start(rows, descending, token, mark)
        mishap = self._mishaps.popleft() if token is not None and self._mishaps else ""
        if mishap == "reset":
            start = 0
        page = rows[start : start + size]
        if mishap == "duplicate":
            return Found([row.issue for row in self._page], self._token(self._position(token or "", mark), mark))
        more = start + len(page) < len(rows)
        offset = self.state.options.search_paging == "offset"
        position = start + len(page) if offset else page[-1].place if page else None
        self._page = page[1:] if mishap == "skip" else page
        next_token = token if mishap == "loop" else self._token(position, mark) if more else None
        return Found([row.issue for row in self._page], next_token)

    def count(self, text: str, user: User | None) -> int:
        """How many issues a query finds in the index.

        Raises:
            RefusedError: 400, the query is not acceptable.
        """
        return len(self._rows(text, user, ())[0])

    def _rows(self, text: str, user: User | None, reconcile: Sequence[int]) -> tuple[list[Row], tuple[bool, ...]]:
        now = self.state.now()
        self.state.index.refresh(self.state.world.clock.now())
        ready = self._plan(text, user, now)
        descending = tuple(down for _, down in ready.order)
        if user is None:
            return [], descending
        key = (text, user.account_id, self.state.index.generation)
        if ready.lasting and not reconcile and key in self._answers:
            return self._answers[key], descending
        shown = {issue.id: issue for issue in self.state.index.documents(ready.labels)}
        for issue_id in reconcile:
            issue = self.state.find(issue_id)
            if issue is not None:
                shown[issue.id] = issue
        rows = [
            Row([*(sort(issue) for sort, _ in ready.order), issue.id], issue)
            for issue in self._visible(shown.values())
            if ready.matches(issue)
        ]
        rows.sort(key=lambda row: _comparable(row.place, descending))
        if ready.lasting and not reconcile:
            self._answers[key] = rows
            if len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)
        return rows, descending

    def _plan(self, text: str, user: User | None, now: datetime) -> Plan:
        try:
            query = jql.parse(text)
            if query.where is None:
                raise JqlError(UNBOUNDED)
            return plan(query, Asker(user, self.state.site, self.state.seen, now))
        except JqlError as error:
            raise refused(400, str(error)) from None

    def _visible(self, issues: Iterable[Issue]) -> Iterable[Issue]:
        return (issue for issue in issues if not self.state.hidden(issue.id))

    def _start(self, rows: list[Row], descending: tuple[bool, ...], token: str | None, mark: str) -> int:
        if token is None:
            return 0
        position = self._position(token, mark)
        if isinstance(position, int):
            return position
        after = _comparable(position, descending)
        low, high = 0, len(rows)
        while low < high:
            middle = (low + high) // 2
            if _comparable(rows[middle].place, descending) <= after:
                low = middle + 1
            else:
                high = middle
        return low

    def _token(self, position: Json, mark: str) -> str:
        # Numbered, so that no two tokens are equal: a client that meets one again has met a loop.
        self._tokens += 1
        body = json.dumps([position, mark, self.state.world.clock.time(), self._tokens], separators=(",", ":"))
        return base64.urlsafe_b64encode(body.encode()).decode()

    def _position(self, token: str, mark: str) -> Json:
        # The vendor's own words for a bad token are not known to us.
        try:
            position, was, made, _ = json.loads(base64.urlsafe_b64decode(token))
        except (binascii.Error, ValueError, TypeError):
            raise refused(400, "The provided next page token is invalid.") from None
        if was != mark:
            raise refused(400, "The provided next page token belongs to another query.")
        if self.state.world.clock.time() - made > TOKEN_LIFE:
            raise refused(400, "The provided next page token has expired.")
        return position


def _comparable(place: Sequence[Json], descending: tuple[bool, ...]) -> Any:
    return _KEY((place, descending))


def _compare(left: tuple[Sequence[Json], tuple[bool, ...]], right: tuple[Sequence[Json], tuple[bool, ...]]) -> int:
    for number, (mine, other) in enumerate(zip(left[0], right[0], strict=True)):
        if mine != other:
            smaller = mine < other
            # Only the asked-for fields can descend; the id that settles ties always ascends.
            down = number < len(left[1]) and left[1][number]
            return 1 if smaller == down else -1
    return 0


_KEY: Final = cmp_to_key(_compare)
