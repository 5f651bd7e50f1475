"""Lists what can be written to Jira and how each write behaves on repetition; the writes have their own modules."""

from functools import partial

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import commenting, creating, editing, issues, linking, moving
from cxbridge.plugins.jira.rules import Rules


def actions(rules: Rules, settle: float) -> list[cx.Action]:
    """List the actions of a connection. `settle` is how many seconds the search may not show a new issue yet."""
    return [
        cx.Action(
            "issue.ensure",
            "issues",
            partial(creating.perform, rules, creating.Offers()),
            cx.Findable(settle=settle),
            find=partial(creating.find, rules),
            prose="adf",
            planted=partial(issues.planted, rules),
        ),
        cx.Action("issue.set", "issues", partial(editing.perform, rules), cx.Idempotent(), prose="adf"),
        cx.Action("issue.transition", "issues", partial(moving.perform, rules), cx.Idempotent()),
        cx.Action(
            "comment.add_once",
            "issues",
            partial(commenting.perform, rules),
            # Comments are listed from the issue itself, not from the lagging index.
            cx.Findable(settle=5.0),
            find=partial(commenting.find, rules),
            prose="adf",
        ),
        cx.Action("link.ensure", "issues", partial(linking.perform, rules), cx.Idempotent()),
    ]
