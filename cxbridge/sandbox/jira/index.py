"""The search index: issue versions as the site's search knows them, some seconds behind the issues themselves."""

from collections import deque
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from cxbridge.sandbox.jira.records import Issue


class Index:
    """Eventually consistent, and never goes back: lowering `lag` shows versions sooner, raising it hides none again."""

    def __init__(self, lag: float) -> None:
        self.lag = lag
        self.generation = 0
        self._shown: dict[int, Issue] = {}
        self._pending: deque[tuple[datetime, Issue]] = deque()
        self._gone: set[int] = set()
        # Ids of shown issues by label: integrations look for theirs by one, and not every search can go through all issues.
        self._labelled: dict[str, set[int]] = {}

    def wrote(self, issue: Issue, at: datetime) -> None:
        """Take note of a new version; searches meet it once it is `lag` seconds old."""
        self._pending.append((at, issue))

    def removed(self, issue_id: int) -> None:
        """Drop a deleted issue at once: search loads what it found, and there is nothing left to load."""
        self._gone.add(issue_id)
        self._forget(issue_id)
        self.generation += 1

    def touch(self) -> None:
        """Void what was remembered of earlier searches, after a change of who may see what."""
        self.generation += 1

    def settle(self) -> None:
        """Catch up with every write, whatever the lag."""
        self._apply(len(self._pending))

    def refresh(self, now: datetime) -> None:
        """Catch up with the writes that are old enough by now."""
        limit = now - timedelta(seconds=self.lag)
        self._apply(sum(1 for _ in self._due(limit)))

    def documents(self, labels: Collection[str] | None = None) -> Iterator[Issue]:
        """Give the issues as search knows them; `labels`, in small letters, leave out those that have none of them."""
        if labels is None:
            return iter(self._shown.values())
        found = set().union(*(self._labelled.get(label, ()) for label in labels))
        return (self._shown[issue_id] for issue_id in sorted(found))

    def _due(self, limit: datetime) -> Iterator[Issue]:
        for at, issue in self._pending:
            if at > limit:
                return
            yield issue

    def _apply(self, count: int) -> None:
        for _ in range(count):
            _, issue = self._pending.popleft()
            if issue.id not in self._gone:
                self._forget(issue.id)
                self._shown[issue.id] = issue
                for label in issue.labels:
                    self._labelled.setdefault(label.casefold(), set()).add(issue.id)
        if count:
            self.generation += 1

    def _forget(self, issue_id: int) -> None:
        before = self._shown.pop(issue_id, None)
        for label in before.labels if before is not None else ():
            self._labelled.get(label.casefold(), set()).discard(issue_id)
