"""How an issue goes from one status to the next. Leaves storing and journaling to the writer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from cxbridge.sandbox.jira import catalogue, values
from cxbridge.sandbox.jira.records import Issue, Item
from cxbridge.sandbox.jira.site import Transition
from cxbridge.sandbox.jira.values import FieldError, Setting
from cxbridge.sandbox.jira.wire import refused
from cxbridge.sandbox.jira.writer import Writer, not_on_screen

Json = Any

DEFAULT_RESOLUTION: Final = "10000"
"""What the workflow sets on the way to Done when the caller names nothing."""


def transition(writer: Writer, issue: Issue, body: Mapping[str, Json]) -> Issue:
    """Take one transition that leaves the issue's present status, with its fields and comments.

    Raises:
        RefusedError: there is no such transition from here, or a field is not on its screen; nothing was changed.
    """
    state = writer.state
    given = body.get("transition")
    wanted = given.get("id") if isinstance(given, dict) else None
    if wanted is None:
        raise refused(400, "Missing 'transition' identifier")
    step = next((one for one in state.site.transitions(issue.status) if one.id == str(wanted)), None)
    if step is None:
        raise refused(400, f"Transition id '{wanted}' is not valid for this issue.")
    resolution = _resolution(writer, issue, step, body)
    update = body.get("update") or {}
    errors = {name: not_on_screen(name) for name in update if name not in ("comment", "resolution")}
    if errors:
        raise refused(400, errors=errors)
    texts = writer.comment_bodies(update.get("comment"))
    issue = _take(writer, issue, step, resolution)
    for text in texts:
        issue, _ = writer.add_comment(issue, text, internal=False)
    return issue


def walk(writer: Writer, issue: Issue, target: str, resolution: str | None = None) -> Issue:
    """Take as many transitions as lead to a workflow step, as a person clicking through would.

    Raises:
        LookupError: there is no such step or resolution.
    """
    site = writer.state.site
    step = next((one for one in site.statuses if target.casefold() in (one.step.casefold(), one.name.casefold())), None)
    if step is None:
        raise LookupError(f"status {target!r} is unknown; the statuses are {', '.join(s.name for s in site.statuses)}")
    chosen = next(
        (one.id for one in site.resolutions if resolution and one.name.casefold() == resolution.casefold()), None
    )
    if resolution and chosen is None:
        raise LookupError(
            f"resolution {resolution!r} is unknown; the resolutions are {', '.join(r.name for r in site.resolutions)}"
        )
    if issue.status == step.id:
        writer.noop("transition", issue)
    while issue.status != step.id:
        # Each step of this workflow has one way out, so the walk goes round until it is there.
        leaving = site.transitions(issue.status)[0]
        issue = _take(writer, issue, leaving, (chosen or DEFAULT_RESOLUTION) if leaving.has_screen else None)
    return issue


def _resolution(writer: Writer, issue: Issue, step: Transition, body: Mapping[str, Json]) -> str | None:
    """The resolution after the transition: asked for, the workflow's own, or none when leaving Done."""
    state = writer.state
    fields = dict(body.get("fields") or {})
    setting = Setting(state.site, state.project_of(issue), state.find, writer.version)
    update = (body.get("update") or {}).get("resolution")
    if update is not None:
        fields["resolution"] = update[0].get("set") if isinstance(update, list) and update else None
    reopening = step.source == "Done"
    errors: dict[str, str] = {}
    chosen: str | None = None
    for name, value in fields.items():
        allowed = name == "resolution" and (step.has_screen or (reopening and value is None))
        if not allowed:
            errors[name] = not_on_screen(name)
            continue
        try:
            chosen = values.parse(catalogue.FIELDS[name], value, setting)
        except FieldError as error:
            errors[name] = str(error)
    if errors:
        raise refused(400, errors=errors)
    if step.target != "Done":
        return None
    return chosen or DEFAULT_RESOLUTION


def _take(writer: Writer, issue: Issue, step: Transition, resolution: str | None) -> Issue:
    state = writer.state
    source, target = state.site.status(issue.status), state.site.step(step.target)
    items = [Item("status", "status", source.id, source.name, target.id, target.name)]
    if resolution != issue.resolution:
        items.append(
            Item(
                "resolution",
                "resolution",
                issue.resolution,
                state.site.resolution(issue.resolution).name if issue.resolution else None,
                resolution,
                state.site.resolution(resolution).name if resolution else None,
            )
        )
    now = state.now()
    moved = replace(
        issue,
        status=target.id,
        resolution=resolution,
        resolved=now if resolution else None,
        category_changed=now if source.category != target.category else issue.category_changed,
    )
    moved = writer.record(moved, items)
    state.effect(
        "transition",
        moved,
        writer.user,
        writer.via,
        transition=step.id,
        before=source.step,
        to=target.step,
        resolution=state.site.resolution(resolution).name if resolution else None,
    )
    return moved
