"""What starts a recipe, what is judged before it acts, and how often it may: triggers, [when] and [run]."""

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError

from cxbridge.core.canonical import Entity
from cxbridge.core.recipes import mistakes
from cxbridge.core.recipes.checks import expressions
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.model import NamedCondition, RunRule, Trigger
from cxbridge.core.recipes.nouns import NOUNS, VERB_KINDS
from cxbridge.core.recipes.schema import EVENTS, RecipeFile
from cxbridge.core.recipes.schema import Trigger as TriggerTable
from cxbridge.core.recipes.vocabulary import Offer, Vocabulary, fields_of, offered, scope_of

_BEGINNINGS = ("on", "every", "cron")
_NEVER_NEWS = (*Entity.volatile, "id", "source")


def noun_of(file: RecipeFile) -> str | None:
    """What the recipe is about, as its first trigger says, or what that most likely means."""
    for table in file.trigger:
        if table.on is not None:
            noun = table.on.split(".", 1)[0]
            return noun if noun in NOUNS else VERB_KINDS.get(noun) or mistakes.nearest(noun, NOUNS)
    found = (_spoken_of(table.find) for table in file.trigger if table.find is not None)
    return next((noun for noun in found if noun), None)


def _spoken_of(find: str) -> str | None:
    return next((word for word in re.findall(r"\b([a-z]+)\.", find) if word in NOUNS), None)


def id_of(table: TriggerTable, index: int) -> str:
    """The trigger's name, or the one it gets."""
    if table.id is not None:
        return table.id
    return f"on_{table.on.rpartition('.')[2]}" if table.on is not None else f"schedule_{index + 1}"


def triggers(draft: Draft, noun: str | None) -> tuple[Trigger, ...]:
    """Check and compile the triggers."""
    found: list[Trigger] = []
    taken: dict[str, int] = {}
    if not draft.file.trigger:
        draft.problems.at_key(
            ("trigger",), "CX010", "nothing starts this recipe", 'add [[trigger]] on = "ticket.changed"'
        )
    for index, table in enumerate(draft.file.trigger):
        path: Path = ("trigger", index)
        name = id_of(table, index)
        if name in taken:
            how = "" if table.id else " (triggers without an `id` are named after their event)"
            draft.problems.at_value(
                (*path, "id"), "CX042", f"the trigger id `{name}` is used twice{how}", "give it another"
            )
        taken[name] = index
        trigger = _trigger(draft, path, table, name, noun)
        if trigger is not None:
            found.append(trigger)
    return tuple(found)


def _trigger(draft: Draft, path: Path, table: TriggerTable, name: str, noun: str | None) -> Trigger | None:
    # A beginning that was refused for its form is one all the same.
    how = [one for one in _BEGINNINGS if draft.stands((*path, one))]
    if len(how) != 1:
        said = " and ".join(f"`{one}`" for one in how) or "none of them"
        draft.problems.at_key(path, "CX032", f"a trigger has one of `on`, `every` and `cron`; this one has {said}")
        return None
    offer = draft.role(table.from_, (*path, "from"))
    if how[0] == "on":
        return _on_event(draft, path, table, name, noun, offer)
    return _on_schedule(draft, path, table, name, noun, offer)


def _on_event(
    draft: Draft, path: Path, table: TriggerTable, name: str, noun: str | None, offer: Offer | None
) -> Trigger | None:
    for key in ("find", "zone", "catch_up"):
        if draft.stands((*path, key)):
            draft.problems.at_key(
                (*path, key), "CX032", f"`{key}` belongs to a schedule; this trigger waits for an event"
            )
    parsed = event(draft, (*path, "on"), table.on or "", offer)
    if parsed is None:
        return None
    about, what = parsed
    if noun is not None and about != noun:
        draft.problems.at_value(
            (*path, "on"),
            "CX032",
            f"all triggers of a recipe are about the same: the first about a {noun}, this one not",
        )
    if table.fields and what in ("created", "deleted"):
        draft.problems.at_key(
            (*path, "fields"), "CX033", f"`fields` narrows changes, and this waits for {about}.{what}"
        )
    _check_fields(draft, path, table.fields, about)
    return Trigger(name, table.from_, draft.connection(table.from_), about, what, fields=tuple(table.fields))


def _on_schedule(
    draft: Draft, path: Path, table: TriggerTable, name: str, noun: str | None, offer: Offer | None
) -> Trigger | None:
    if draft.stands((*path, "fields")):
        draft.problems.at_key(
            (*path, "fields"), "CX032", "`fields` narrows changes; a schedule looks at what `find` says"
        )
    if table.cron is None and draft.stands((*path, "zone")):
        draft.problems.at_key((*path, "zone"), "CX032", "`zone` is the time zone of `cron`; `every` needs none")
    _check_zone(draft, path, table.zone)
    if table.cron is not None and (wrong := _cron_mistake(table.cron)):
        draft.problems.at_value((*path, "cron"), "CX032", wrong, "minute hour day month weekday: 30 8 * * MON-FRI")
    if table.find is None:
        if not draft.stands((*path, "find")):
            draft.problems.at_key(path, "CX032", "a scheduled trigger needs `find`: which records should it look at?")
        return None
    if noun is None:
        draft.problems.at_value(
            (*path, "find"),
            "CX032",
            "it is not clear what this trigger is about",
            "begin `find` with ticket., account. …",
        )
    elif offer is not None and not offered(offer, noun):
        _no_entities(draft, (*path, "from"), offer, noun)
    scope = scope_of(noun, draft.setting, history=False, sweeping=True)
    find = expressions.condition(draft, (*path, "find"), table.find, scope)
    if noun is None or find is None:
        return None
    return Trigger(
        name,
        table.from_,
        draft.connection(table.from_),
        noun,
        every=table.every,
        cron=table.cron,
        zone=table.zone,
        find=find,
        catch_up=table.catch_up,
    )


def event(draft: Draft, path: Path, text: str, offer: Offer | None) -> tuple[str, Any] | None:
    """Read `ticket.changed`; notes what is wrong with it."""
    noun, _, what = text.partition(".")
    if noun not in NOUNS or what not in EVENTS:
        known = [f"{one}.{what}" for one in NOUNS for what in EVENTS]
        # `response.set` writes to feedback, so people look for the response that came in.
        hint = f"did you mean `{VERB_KINDS[noun]}.{what}`?" if noun in VERB_KINDS and noun not in NOUNS else ""
        hint = hint or nearest(text, known) or f"write it like {noun if noun in NOUNS else 'ticket'}.changed"
        draft.problems.at_value(path, "CX032", f"there is no event {text!r}", hint)
        return None
    if offer is not None and not offered(offer, noun):
        _no_entities(draft, path, offer, noun)
    return noun, what


def _no_entities(draft: Draft, path: Path, offer: Offer, noun: str) -> None:
    known = ", ".join(one for one in NOUNS if offered(offer, one)) or "nothing"
    draft.problems.at_value(path, "CX032", f"connector {offer.connector.name} yields no {noun}; it yields {known}")


def _check_fields(draft: Draft, path: Path, fields: list[str], noun: str) -> None:
    known = [one for one in fields_of(NOUNS[noun]) if one not in _NEVER_NEWS]
    for number, one in enumerate(fields):
        here: Path = (*path, "fields", number)
        whole = one.removeprefix(f"{noun}.").split(".", 1)[0]
        if one in _NEVER_NEWS:
            draft.problems.at_value(here, "CX033", f"`{one}` changes with every change and starts nothing")
        elif one not in known:
            exact = whole in known and whole != one
            why = "whole fields are watched here, by their bare names" if exact else f"a {noun} has no field `{one}`"
            hint = f"write `{whole}`" if exact else nearest(whole, known)
            draft.problems.at_value(here, "CX033", why, hint)


def _check_zone(draft: Draft, path: Path, zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ValueError, OSError, KeyError):
        zones = sorted(available_timezones())
        # People write the city, or misspell one.
        city = [one for one in zones if one.rpartition("/")[2].lower() == zone.replace(" ", "_").lower()]
        hint = f"did you mean `{city[0]}`?" if city else nearest(zone, [one for one in zones if one[:2] == zone[:2]])
        draft.problems.at_value((*path, "zone"), "CX032", f"there is no time zone {zone!r}", hint)


def _cron_mistake(text: str) -> str:
    try:
        times = CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        return f"{text!r} is no cron time: {str(error).lower()}"
    return "" if next(times, None) is not None else f"{text!r} never comes"


# -- what is judged before it acts ---------------------------------------------------------------------------------


def conditions(draft: Draft, scope: Vocabulary) -> tuple[NamedCondition, ...]:
    """Check and compile [when]."""
    found = []
    for title, text in draft.file.when.items():
        compiled = expressions.condition(draft, ("when", title), text, scope)
        if compiled is not None:
            found.append(NamedCondition(title, compiled))
    return tuple(found)


def run_rule(draft: Draft, scope: Vocabulary) -> RunRule:
    """Check and compile [run]."""
    table = draft.file.run
    if table.window is not None and not draft.stands(("run", "once_per")):
        hint = f'add once_per = "{scope.subject}.id"' if scope.subject else ""
        draft.problems.at_key(
            ("run", "window"), "CX043", "`window` says how long `once_per` holds, and there is none", hint
        )
    key, once_per = table.key, table.once_per
    return RunRule(
        key=expressions.expression(draft, ("run", "key"), key, scope) if key is not None else None,
        mode=table.mode,
        once_per=expressions.expression(draft, ("run", "once_per"), once_per, scope) if once_per is not None else None,
        window=table.window,
    )
