"""What can be read of a tenant, stream by stream: oldest change first, then what was deleted; it stores and decides nothing."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.gainsight import cockpit, mapping, people, wire
from cxbridge.plugins.gainsight.cockpit import TaskShape
from cxbridge.plugins.gainsight.mapping import CompanyShape, FactShape
from cxbridge.plugins.gainsight.progress import Cursor, begun, deletions, is_over, page_of, resumed, with_deletions
from cxbridge.plugins.gainsight.rows import Row, Unreadable, read_row
from cxbridge.plugins.gainsight.rules import Rules
from cxbridge.plugins.gainsight.schema import describe
from cxbridge.plugins.gainsight.walk import Found, Position, Source, walk

_TIMELINE: Final = "activity_timeline"
_TIMELINE_FIELDS: Final = (
    "ExternalId",
    "GsCompanyId",
    "AuthorId",
    "TypeName",
    "Subject",
    "Notes",
    "ActivityDate",
    "CreatedDate",
)

ACCOUNT_GAPS: Final = ("source_key", "url", "version", "changed_by", "deleted_at", "do_not_contact")
CONTACT_GAPS: Final = (
    "source_key",
    "url",
    "version",
    "phones",
    "persona",
    "verified",
    "consent",
    "survey_optout",
    "last_surveyed_at",
    "tags",
)
TASK_GAPS: Final = ("source_key", "url", "version")
TOUCH_GAPS: Final = ("source_key", "url", "version")
HEALTH_GAPS: Final = ("source_key", "url", "version", "confidence", "computed_at", "components")
USER_GAPS: Final = ("source_key", "url", "version", "teams", "language", "timezone")


def streams(rules: Rules) -> list[cx.Stream]:
    """List the streams of a connection."""
    return [
        cx.Stream(
            mapping.USERS,
            (cx.Agent,),
            pages=partial(_users, rules),
            gaps=USER_GAPS,
            every=900.0,
            one=partial(_user, rules),
        ),
        cx.Stream(
            mapping.COMPANIES,
            (cx.Account,),
            pages=partial(_companies, rules),
            gaps=ACCOUNT_GAPS,
            every=120.0,
            one=partial(_company, rules),
        ),
        cx.Stream(
            mapping.PERSONS,
            (cx.Contact,),
            pages=partial(people.contacts, rules),
            gaps=CONTACT_GAPS,
            every=300.0,
            one=partial(people.one, rules),
        ),
        cx.Stream(
            mapping.TASKS,
            (cx.Task,),
            pages=partial(_tasks, rules),
            gaps=TASK_GAPS,
            every=120.0,
            one=partial(_task, rules),
        ),
        cx.Stream(
            mapping.TIMELINE,
            (cx.Touchpoint,),
            pages=partial(_timeline, rules),
            gaps=TOUCH_GAPS,
            every=300.0,
            one=partial(_touch, rules),
        ),
        cx.Stream(
            mapping.HEALTH,
            (cx.Health,),
            pages=partial(_health, rules),
            gaps=HEALTH_GAPS,
            every=120.0,
            one=partial(_score, rules),
        ),
    ]


# -- the streams ----------------------------------------------------------------------------------------------------------


def _users(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    held = resumed(cursor)
    for found in walk(client, rules, Source("GsUser", mapping.USER_FIELDS), held.changes):
        yield page_of(found, mapping.user, Cursor(changes=found.position))


def _companies(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    [described] = describe(client, "company")
    shape = CompanyShape.of(rules, described)
    source = Source("Company", shape.select())
    yield from with_deletions(
        client, rules, resumed(cursor), source, ("Company", "company"), partial(_account, rules, shape)
    )


def _tasks(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    shape = TaskShape.of(client, rules)
    held = begun(resumed(cursor), client)
    if held.part != "deleted":
        for window in cockpit.read(client, rules, shape.select, held.days):
            held = msgspec.structs.replace(held, days=window.position)
            found = Found(window.rows, window.refused, Position())
            yield page_of(found, partial(mapping.task, rules=rules, own=shape.own), held)
    yield from deletions(client, rules, held, ("call_to_action", "Call To Action", "cs_cta"))


def _timeline(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    source, context = _entries(client)
    yield from with_deletions(
        client, rules, resumed(cursor), source, (_TIMELINE,), partial(mapping.touchpoint, context=context)
    )


def _entries(client: cx.Client) -> tuple[Source, str | None]:
    """What a timeline entry's time of change and context are called here."""
    [described] = describe(client, _TIMELINE)
    changed = described.find("LastModifiedDate", "ModifiedDate", "CreatedDate")
    if changed is None:
        raise cx.WireFormat(
            "the timeline has no time of change that it could be read by", operation=f"POST {wire.DESCRIBE}"
        )
    context = described.find("ContextName")
    select = [*_TIMELINE_FIELDS, *([context.field_name] if context else [])]
    return Source(_TIMELINE, select, changed.field_name), context.field_name if context else None


def _health(rules: Rules, client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Read the overall scores, then those of single measures where the settings name the object that holds them."""
    held = begun(resumed(cursor), client)
    if held.part in (None, "changes"):
        [described] = describe(client, "company")
        shape = CompanyShape.of(rules, described)
        for found in walk(client, rules, _scores(shape), held.changes):
            part = "beside" if is_over(found) else "changes"
            held = msgspec.structs.replace(held, changes=found.position, part=part)
            yield page_of(found, partial(mapping.health, shape=shape, rules=rules), held)
    if held.part == "beside" and rules.scorecard is not None:
        [described] = describe(client, rules.scorecard)
        facts = FactShape.of(described)
        for found in walk(client, rules, Source(rules.scorecard, facts.select()), held.beside):
            held = msgspec.structs.replace(held, beside=found.position)
            yield page_of(found, partial(mapping.fact, shape=facts, rules=rules), held)
    # A company's overall score goes with it.
    yield from deletions(client, rules, held, ("Company", "company"))


def _scores(shape: CompanyShape) -> Source:
    told = (shape.fields.get("health_score"), shape.trend, shape.previous)
    return Source("Company", [one.field_name for one in told if one])


def _account(rules: Rules, shape: CompanyShape, row: Row) -> cx.Account:
    return mapping.company(row, shape, rules)


# -- single entities, when a webhook names them ----------------------------------------------------------------------------


def _user(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    return _single(client, Source("GsUser", mapping.USER_FIELDS), key, mapping.user)


def _company(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    [described] = describe(client, "company")
    shape = CompanyShape.of(rules, described)
    return _single(client, Source("Company", shape.select()), key, partial(_account, rules, shape))


def _task(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    shape = TaskShape.of(client, rules)
    rows = cockpit.by_field(client, rules, shape.select, "Gsid", key, most=1)
    found = Found(rows, (), Position())
    return page_of(found, partial(mapping.task, rules=rules, own=shape.own), None) if rows else None


def _touch(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    source, context = _entries(client)
    return _single(client, source, key, partial(mapping.touchpoint, context=context))


def _score(rules: Rules, client: cx.Client, key: str) -> cx.Page | None:
    """Read a company's overall score; a measure's own key names its company first."""
    [described] = describe(client, "company")
    shape = CompanyShape.of(rules, described)
    return _single(client, _scores(shape), key.partition(".")[0], partial(mapping.health, shape=shape, rules=rules))


def _single(client: cx.Client, source: Source, key: str, read: Callable[[Row], cx.AnyEntity]) -> cx.Page | None:
    select = (source.key, source.changed, *source.select)
    rows, refused = [], []
    for raw in wire.query(client, source.name, select, [(source.key, "EQ", [key])], limit=1):
        try:
            rows.append(read_row(raw, source.key, source.changed))
        except Unreadable as error:
            refused.append(f"a row of {source.name}: {error}")
    return page_of(Found(rows, refused, Position()), read, None) if rows or refused else None
