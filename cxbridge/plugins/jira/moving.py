"""Brings an issue's status into a category by its own workflow (`issue.transition`), over as few transitions as
possible.

Transitions belong to one workflow and are only shown for the status an issue is in, so the way is found step by step
(`developer.atlassian.com/cloud/jira/platform/rest/v3/api-group-issues/#api-rest-api-3-issue-issueidorkey-transitions-get`).
Interrupted between two of them, the same call goes on from where the issue is then.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import issues, screens, wire
from cxbridge.plugins.jira.mapping import Issue
from cxbridge.plugins.jira.rules import Rules, fold

_HOPS: Final = 4


@dataclass(frozen=True, slots=True)
class _Way:
    """A transition that can be taken, with the fields that its screen wants."""

    transition: wire.Transition
    fields: dict[str, cx.Json]
    resolution: wire.Named | None = None


def perform(rules: Rules, client: cx.Client, call: cx.Call) -> cx.Receipt:
    """Move the issue, unless it is there already.

    Raises:
        Rejected: when no way leads there; it names what the workflow offers instead.
    """
    return move(rules, client, issues.get(client, rules, call.target), issues.inputs(call, cx.Transition))


def move(rules: Rules, client: cx.Client, issue: Issue, wanted: cx.Transition) -> cx.Receipt:
    """Move an issue that was just read."""
    status = issue.wire.fields.status
    if rules.reached(status, wanted.to):
        return issues.receipt(issue, rules, changed=False)
    path = f"{issues.path(rules, issue.id)}/transitions"
    visited = [status]
    for _ in range(_HOPS):
        offers = client.get(path, {"expand": "transitions.fields"}).decode(wire.Transitions).transitions
        way = _next(rules, issue, visited, wanted, offers)
        body: dict[str, cx.Json] = {"transition": {"id": str(way.transition.id)}}
        if way.fields:
            body["fields"] = way.fields
        client.post(path, body)
        visited.append(way.transition.to)
        if rules.reached(way.transition.to, wanted.to):
            return _done(rules, issue, visited, wanted, way)
    raise cx.Rejected(
        f"{issue.wire.key} is not {wanted.to} after {_HOPS} transitions; it stands at {_name(visited[-1])}"
    )


def _done(
    rules: Rules, issue: Issue, visited: Sequence[wire.Status | None], wanted: cx.Transition, way: _Way
) -> cx.Receipt:
    end = visited[-1]
    wrote: dict[str, cx.Json] = {"status_category": rules.category(end), "status_native": _name(end)}
    told = [f"by way of {', '.join(_name(status) for status in visited[1:-1])}"] if len(visited) > 2 else []
    if way.resolution is not None:
        wrote |= {"resolution": rules.resolution(way.resolution), "resolution_native": way.resolution.name}
    elif wanted.resolution is not None:
        told.append(f"the resolution {wanted.resolution} was left out: the screen of that transition does not offer it")
    return cx.Receipt("issues", issue.id, issue.wire.key, rules.url(issue.wire.key), wrote=wrote, told="; ".join(told))


def _next(
    rules: Rules,
    issue: Issue,
    visited: Sequence[wire.Status | None],
    wanted: cx.Transition,
    offers: Sequence[wire.Transition],
) -> _Way:
    """Choose the transition to take: one that arrives, else the one that leads on without a doubt."""
    open_ways = [way for offer in offers if offer.is_available and (way := _way(rules, offer, wanted))]
    # Screens are for people; rules may hang on them that the API does not tell.
    open_ways.sort(key=lambda way: (way.transition.has_screen and way.resolution is None, way.transition.has_screen))
    arriving = [way for way in open_ways if rules.reached(way.transition.to, wanted.to)]
    exact = [way for way in arriving if rules.category(way.transition.to) == wanted.to]
    if arriving:
        return (exact or arriving)[0]
    leading = [way for way in open_ways if _leads_on(rules, visited, wanted, way.transition.to)]
    for name in rules.through:
        for way in leading:
            if fold(name) in (fold(_name(way.transition.to)), str(way.transition.to.id) if way.transition.to else ""):
                return way
    if len({_name(way.transition.to) for way in leading}) == 1:
        return leading[0]
    here = _name(visited[-1])
    there = ", ".join(dict.fromkeys(_name(offer.to) for offer in offers)) or "nothing"
    remedy = "name the statuses to pass under through, or map a status or resolution to it in the settings"
    raise cx.Rejected(
        f"no way leads {issue.wire.key} from {here} to {wanted.to}; the workflow offers {there}: {remedy}"
    )


def _leads_on(
    rules: Rules, visited: Sequence[wire.Status | None], wanted: cx.Transition, to: wire.Status | None
) -> bool:
    """Tell whether a status is nearer to the goal.

    Standing still counts on the way forward and out of a finished issue, where statuses line up one behind another; on
    the way back it would wander.
    """
    goal = rules.goal(wanted.to)
    if goal is None or to is None or any(_same(to, status) for status in visited):
        return False
    here, there = rules.rank(visited[-1]), rules.rank(to)
    if abs(there - goal) == abs(here - goal):
        return goal == 2 or here == 2
    return abs(there - goal) < abs(here - goal)


def _way(rules: Rules, offer: wire.Transition, wanted: cx.Transition) -> _Way | None:
    """Fill in what the transition's screen wants; `None` when it wants what only a person can give."""
    arrives = rules.reached(offer.to, wanted.to)
    fields: dict[str, cx.Json] = {}
    chosen: wire.Named | None = None
    meta = offer.fields.get("resolution")
    if meta is not None and (
        (arrives and wanted.resolution is not None) or (meta.required and not meta.has_default_value)
    ):
        names = rules.resolution_names(wanted.resolution or "fixed")
        chosen = screens.option(offer.fields, "resolution", names)
        if chosen is not None:
            fields["resolution"] = screens.named(chosen)
        elif meta.required and not meta.has_default_value:
            return None
    for field_id, field in offer.fields.items():
        if field_id != "resolution" and field.required and not field.has_default_value:
            return None
    return _Way(offer, fields, chosen)


def _same(one: wire.Status, other: wire.Status | None) -> bool:
    return other is not None and (one.id == other.id if one.id is not None else one.name == other.name)


def _name(status: wire.Status | None) -> str:
    return (status.name if status else None) or "an unnamed status"
