"""Lists what can be written to Gainsight and how each write behaves on repetition; the writes have their own modules."""

from functools import partial
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import accounts, contacting, mapping, tasks, touching
from cxbridge.plugins.gainsight.rules import Rules

# An ExternalId is refused as long as its entry is there.
_WINDOW: Final = 30 * 86_400.0


def actions(rules: Rules, settle: float) -> list[cx.Action]:
    """List the actions of a connection. `settle` is how many seconds the vendor may not show what was just written."""
    return [
        cx.Action(
            "task.ensure",
            mapping.TASKS,
            partial(tasks.ensure, rules),
            cx.Findable(settle=settle),
            find=partial(tasks.find, rules),
        ),
        cx.Action("task.set", mapping.TASKS, partial(tasks.set_fields, rules), cx.Idempotent()),
        cx.Action("task.close", mapping.TASKS, partial(tasks.close, rules), cx.Idempotent()),
        cx.Action(
            "timeline.add_once",
            mapping.TIMELINE,
            partial(touching.add, rules),
            cx.Keyed(window=_WINDOW, settle=settle),
            find=partial(touching.find, rules),
        ),
        cx.Action("account.set", mapping.COMPANIES, partial(accounts.set_fields, rules), cx.Idempotent()),
        cx.Action("contact.set", mapping.PERSONS, partial(contacting.set_person, rules), cx.Idempotent()),
        cx.Action("health.set", mapping.COMPANIES, partial(accounts.set_health, rules), cx.Idempotent()),
    ]
