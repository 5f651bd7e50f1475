"""What holds between linked entities: relations, fields kept in step, and second acts on what is linked."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_type_hints

from cxbridge.core.connector import Action
from cxbridge.core.recipes import mistakes
from cxbridge.core.recipes.checks import each, expressions, steps
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.checks.triggers import event, noun_of
from cxbridge.core.recipes.expressions import Expression
from cxbridge.core.recipes.model import Follow, Rendered, Step, Sync, SyncComment, SyncField, Trigger
from cxbridge.core.recipes.nouns import NOUNS
from cxbridge.core.recipes.schema import PLANNED_STEPS, RecipeFile
from cxbridge.core.recipes.schema import Follow as FollowTable
from cxbridge.core.recipes.schema import Step as StepTable
from cxbridge.core.recipes.schema import Sync as SyncTable
from cxbridge.core.recipes.schema import SyncField as SyncFieldTable
from cxbridge.core.recipes.vocabulary import Offer, choices_of, hints_of, offered, plain_type, scope_of

_WRITTEN_AS = ("issue", "ticket")


def relations_of(document: Mapping[str, Any]) -> set[str]:
    """Name the relations that the link steps of a file make; a relation that is worked out in a run is none of them."""
    found = set()
    steps_ = document.get("step")
    for step in steps_ if isinstance(steps_, list) else ():
        values = step.get("with") if isinstance(step, dict) and step.get("do") == "link" else None
        relation = values.get("relation") if isinstance(values, dict) else None
        if isinstance(relation, str) and not expressions.is_template(relation):
            found.add(relation)
    return found


def relations_known(file: RecipeFile) -> bool:
    """Whether every link step says its relation outright, and no step may be a link step by another name."""
    return all(_says_relation(step) for step in file.step)


def _says_relation(step: StepTable) -> bool:
    if step.do != "link":
        return step.do in (*steps.CORE_STEPS, *PLANNED_STEPS) or step.do.count(".") == 2
    relation = step.with_.get("relation")
    return isinstance(relation, str) and steps.RELATION.fullmatch(relation) is not None


@dataclass(frozen=True, slots=True)
class Joint:
    """Where the two sides of the links of a relation live: the connections, as far as a link step tells them."""

    left: str
    right: str


def joints(draft: Draft, noun: str | None, triggers: Sequence[Trigger], compiled: Sequence[Step]) -> dict[str, Joint]:
    """Read off this recipe's link steps what they join."""
    homes = {one.id: one.connection for one in compiled if one.connection}
    lives = {one.connection for one in triggers}
    if noun is not None and len(lives) == 1:
        homes[noun] = lives.pop()
    found = {}
    for table in draft.file.step:
        relation = table.with_.get("relation")
        sides = [_home(draft, table.with_.get(side), homes) for side in ("left", "right")]
        if table.do == "link" and isinstance(relation, str) and sides[0] and sides[1]:
            found[relation] = Joint(sides[0], sides[1])
    return found


def _home(draft: Draft, text: Any, homes: Mapping[str, str]) -> str | None:
    parts = expressions.paths_of(draft, text) if isinstance(text, str) else None
    return homes.get(str(parts[0])) if parts and len(parts) == 2 and parts[1] == "id" else None


# -- sync ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Side:
    """One end of a synced field: `ticket.priority` is noun and path; `role` plays it."""

    noun: str
    path: tuple[str, ...]
    role: str
    type: Any


def syncs(draft: Draft, triggers: Sequence[Trigger], known: Mapping[str, Joint]) -> tuple[Sync, ...]:
    """Check and compile [[sync]]."""
    return tuple(
        found
        for index, table in enumerate(draft.file.sync)
        if (found := _sync(draft, ("sync", index), table, triggers, known)) is not None
    )


def _sync(
    draft: Draft, path: Path, table: SyncTable, triggers: Sequence[Trigger], known: Mapping[str, Joint]
) -> Sync | None:
    relations = draft.relations
    if relations is not None and table.relation not in relations:
        told = f"no link step makes the relation {table.relation!r}"
        draft.problems.at_value((*path, "relation"), "CX037", told, nearest(table.relation, relations))
    if not draft.stands((*path, "field")) and not draft.stands((*path, "comment")):
        draft.problems.at_key(path, "CX010", "a [[sync]] needs at least one [[sync.field]] or [[sync.comment]]")
    fields: list[SyncField] = []
    first: tuple[str, str] | None = None
    ends: tuple[str, str] | None = None
    for number, one in enumerate(table.field):
        here: Path = (*path, "field", number)
        sides = {
            side: _side(draft, (*here, side), text, triggers)
            for side, text in (("left", one.left), ("right", one.right))
        }
        left, right = sides["left"], sides["right"]
        if one.map is not None and one.map not in draft.maps:
            draft.problems.at_value(
                (*here, "map"), "CX035", f"there is no map `{one.map}`", nearest(one.map, draft.maps)
            )
        if left is None or right is None or draft.problems.is_muted((*here, "owner")):
            continue
        first = first or (left.noun, right.noun)
        if (left.noun, right.noun) != first:
            told = f"one [[sync]] is about one pair: the first field about {first[0]} and {first[1]}, this one not"
            draft.problems.at_key(here, "CX044", told, "write another [[sync]]")
            continue
        ends = (draft.connection(left.role), draft.connection(right.role))
        _check_join(draft, here, one, table, left if one.owner == "left" else right)
        fields.append(_field(draft, here, one, left, right))
    joint = known.get(table.relation)
    if ends is None and joint is not None:
        # Without a field, the link step alone tells which side is where.
        ends = (joint.left, joint.right)
    if ends is None:
        return None
    _check_ends(draft, (*path, "relation"), table.relation, ends, known)
    comments = _comments(draft, path, table, ends)
    return Sync(table.relation, table.many, ends[0], ends[1], tuple(fields), comments)


def _comments(draft: Draft, path: Path, table: SyncTable, ends: tuple[str, str]) -> tuple[SyncComment, ...]:
    """Check and compile [[sync.comment]]; several may stand for one side, and the first whose condition holds carries."""
    done = []
    scope = scope_of("comment", draft.setting, item="ticket", history=False)
    for number, one in enumerate(table.comment):
        here: Path = (*path, "comment", number)
        there = ends[1] if one.from_ == "left" else ends[0]
        role = next((name for name, connection in draft.file.use.items() if connection == there), "")
        offer = draft.offers.get(there)
        action = offer.actions.get("comment.add_once") if offer is not None else None
        if offer is not None and action is None:
            told = f"connector {offer.connector.name} cannot write comments, and these go to {role or there}"
            draft.problems.at_value((*here, "from"), "CX034", told)
        condition = expressions.condition(draft, (*here, "if"), one.if_, scope) if one.if_ is not None else None
        body = expressions.template(draft, (*here, "body"), one.body, scope)
        if action is None or body is None or (one.if_ is not None and condition is None):
            continue
        inputs = Rendered({"visibility": one.visibility, "body": body})
        done.append(SyncComment(f"comment_{number}", one.from_, condition, inputs, there, action.name))
    return tuple(done)


def _check_ends(draft: Draft, path: Path, relation: str, ends: tuple[str, str], known: Mapping[str, Joint]) -> None:
    if ends[0] == ends[1] and ends[0] in draft.offers:
        draft.problems.at_value(path, "CX044", "both sides are in the same connection: it is not clear which is which")
    joint = known.get(relation)
    if joint is not None and (joint.left, joint.right) == (ends[1], ends[0]) and ends[0] != ends[1]:
        told = f"left and right are the other way round here than in the link step that makes {relation!r}"
        draft.problems.at_value(path, "CX044", told, "swap `left` and `right`")


def _side(draft: Draft, path: Path, text: str, triggers: Sequence[Trigger]) -> _Side | None:
    noun, *rest = text.split(".")
    if noun not in NOUNS or not rest:
        hint = nearest(text, (f"{one}.{name}" for one in NOUNS for name in hints_of(NOUNS[one])))
        draft.problems.at_value(path, "CX033", f"{text!r} is no field: write it like ticket.priority", hint)
        return None
    hints = hints_of(NOUNS[noun])
    if rest[0] not in hints:
        told = f"a {noun} has no field `{'.'.join(rest)}`"
        draft.problems.at_value(path, "CX021", told, nearest(rest[0], hints, f"{noun}."))
        return None
    if (len(rest) != 2) if rest[0] == "custom" else (len(rest) != 1):
        how = f"{noun}.custom.NAME" if rest[0] == "custom" else f"{noun}.{rest[0]}"
        draft.problems.at_value(path, "CX033", f"{text!r} is no whole field: write {how}")
        return None
    role = _role_of(draft, noun, triggers)
    if role is None and len(triggers) < max(1, len(draft.file.trigger)):
        return None  # a trigger that was refused would have said so
    if role is None:
        told = f"it is not clear which role has the {noun}: no trigger, step or follow says so"
        draft.problems.at_value(path, "CX031", told)
        return None
    return _Side(noun, tuple(rest), role, None if rest[0] == "custom" else hints[rest[0]])


def _role_of(draft: Draft, noun: str, triggers: Sequence[Trigger]) -> str | None:
    """Who plays a noun: what triggers, follows or steps say, else the only role left whose connection yields such."""
    said = list(_said_roles(draft, triggers))
    named = next((role for name, role in said if name == noun), None)
    if named is not None:
        return named
    taken = {role for _, role in said}
    left = [role for role, offer in draft.roles.items() if role not in taken and offered(offer, noun)]
    return left[0] if len(left) == 1 else None


def _said_roles(draft: Draft, triggers: Sequence[Trigger]) -> Iterator[tuple[str, str]]:
    for trigger in triggers:
        yield trigger.noun, trigger.role
    for follow in draft.file.follow:
        yield follow.on.split(".", 1)[0], follow.from_
    for step in draft.file.step:
        parts = step.do.split(".")
        if len(parts) == 3 and parts[1] in NOUNS:
            yield parts[1], parts[0]


def _check_join(draft: Draft, path: Path, one: SyncFieldTable, sync: SyncTable, owner: _Side) -> None:
    if sync.many == one.owner and one.join is None and not draft.stands((*path, "join")):
        told = f"several on the {one.owner} own this field: say how their values become one"
        draft.problems.at_key(path, "CX044", told, 'add join = "max", "min" or "first"')
    if one.join is not None and sync.many != one.owner and not draft.problems.is_muted(("sync", path[1], "many")):
        told = f"`join` makes one value of several, and there is one owner only: the {one.owner} side"
        draft.problems.at_key((*path, "join"), "CX044", told, f'leave it out, or say many = "{one.owner}"')
    elif one.join in ("max", "min") and owner.type is not None and not _has_order(owner):
        name = f"{owner.noun}.{'.'.join(owner.path)}"
        told = f"`{name}` is no more or less: {one.join} is for priorities, numbers and times"
        draft.problems.at_value((*path, "join"), "CX044", told, 'write join = "first"')


def _has_order(side: _Side) -> bool:
    return side.path == ("priority",) or plain_type(side.type) in (int, float, datetime)


def _field(draft: Draft, path: Path, one: SyncFieldTable, left: _Side, right: _Side) -> SyncField:
    owner, other, side = (left, right, "right") if one.owner == "left" else (right, left, "left")
    offer = draft.roles.get(other.role)
    action = _writer(draft, (*path, side), other, offer) if offer is not None else None
    if action is not None:
        taken = choices_of(get_type_hints(action.inputs_type)[other.path[0]])
        _check_values(draft, path, one, owner, taken)
    if one.map is not None:
        draft.uses.setdefault(one.map, []).append(choices_of(owner.type))
    return SyncField(
        name="_".join(other.path),
        left=left.path,
        right=right.path,
        owner=one.owner,
        join=one.join,
        map=one.map,
        connection=draft.connection(other.role),
        action=action.name if action is not None else "",
    )


def _writer(draft: Draft, path: Path, side: _Side, offer: Offer) -> Action | None:
    """Find the verb that writes a field on the side that does not own it."""
    names = [f"{side.noun}.set", *(f"{one}.set" for one in _WRITTEN_AS)]
    action = next((offer.actions[name] for name in names if name in offer.actions), None)
    known = action.inputs_type.__struct_fields__ if action is not None else ()
    if side.path[0] in known:
        return action
    told = f"connector {offer.connector.name} cannot set `{'.'.join(side.path)}` of a {side.noun}"
    settable = [one for one in known if one in hints_of(NOUNS[side.noun])]
    draft.problems.at_value(path, "CX034", told, f"it can set {', '.join(settable)}" if settable else "")
    return None


def _check_values(draft: Draft, path: Path, one: SyncFieldTable, owner: _Side, taken: tuple[str, ...]) -> None:
    """The other side must take every value that the owner, or the map, may give."""
    if not taken:
        return
    if one.map is not None:
        for key, value in draft.file.map.get(one.map, {}).items():
            if value not in taken and (key, value) not in (("unmapped", "hold"), ("unmapped", "pass")):
                told = f"the map gives {value!r}, which the other side does not take: it takes {', '.join(taken)}"
                draft.problems.at_value(("map", one.map, key), "CX025", told, nearest(str(value), taken))
        return
    given = choices_of(owner.type)
    refused = [value for value in given if value not in taken]
    if refused or (not given and plain_type(owner.type) is str):
        said = f"{', '.join(refused)}" if refused else "any text"
        told = f"the {one.owner} side may hold {said}, and the other takes only {', '.join(taken)}"
        draft.problems.at_key(path, "CX044", told, "translate it with `map`")


# -- follow --------------------------------------------------------------------------------------------------------


def follows(draft: Draft, known: Mapping[str, Joint]) -> tuple[Follow, ...]:
    """Check and compile [[follow]]."""
    done: list[Follow] = []
    taken: set[str] = set()
    kinds = each.kinds(draft, noun_of(draft.file))
    for index, table in enumerate(draft.file.follow):
        path: Path = ("follow", index)
        if table.id in taken:
            draft.problems.at_value(
                (*path, "id"), "CX042", f"the follow id `{table.id}` is used twice", "give it another"
            )
        taken.add(table.id)
        found = _follow(draft, path, table, known, kinds)
        if found is not None:
            done.append(found)
    return tuple(done)


def _follow(
    draft: Draft, path: Path, table: FollowTable, known: Mapping[str, Joint], kinds: each.Kinds
) -> Follow | None:
    offer = draft.role(table.from_, (*path, "from"))
    parsed = event(draft, (*path, "on"), table.on, offer)
    said = table.on.split(".", 1)[0]
    noun = parsed[0] if parsed else said if said in NOUNS else mistakes.nearest(said, NOUNS)
    setting = replace(draft.setting, triggers=(table.id,))
    history = parsed is None or parsed[1] != "created"
    scope = scope_of(noun, setting, history=history)
    when = expressions.condition(draft, (*path, "when"), table.when, scope)
    for_each = expressions.expression(draft, (*path, "for_each"), table.for_each, scope)
    items = each.with_item(scope, each.item(for_each, scope, kinds) if for_each is not None else each.ANYTHING)
    condition = expressions.condition(draft, (*path, "if"), table.if_, items) if table.if_ is not None else None
    once = expressions.expression(draft, (*path, "once_per"), table.once_per, items) if table.once_per else None
    step = steps.verb(draft, path, table, items)
    if for_each is not None:
        relation = _relation_of(draft, (*path, "for_each"), for_each)
        if step is not None and relation in known and draft.targeted(step):
            _check_side(draft, path, table, known[relation], step)
    refused = (table.if_ is not None and condition is None) or (table.once_per is not None and once is None)
    if parsed is None or when is None or for_each is None or step is None or refused:
        return None
    trigger = Trigger(table.id, table.from_, draft.connection(table.from_), parsed[0], parsed[1])
    return Follow(table.id, trigger, when, for_each, table.batch, step, condition, once)


def _relation_of(draft: Draft, path: Path, for_each: Expression) -> str:
    """Name the relation it goes along; notes an expression that gives no records."""
    calls = [one for one in for_each.calls if one.name == "linked"]
    if not calls:
        draft.problems.at_value(
            path, "CX037", "`for_each` goes over linked records", "write linked(issue, 'escalated_to')"
        )
        return ""
    return str(calls[0].arguments[1])


def _check_side(draft: Draft, path: Path, table: FollowTable, joint: Joint, step: Step) -> None:
    """What is linked lives on the other side: a verb of this side would write to a record that is not there."""
    here = draft.connection(table.from_)
    there = {joint.left: joint.right, joint.right: joint.left}.get(here)
    if there is None or not step.connection or step.connection == there or joint.left == joint.right:
        return
    roles = [role for role, connection in draft.file.use.items() if connection == there]
    told = f"what is linked with it lives in {' or '.join(roles) or there}, and `{table.do}` acts in {step.role}"
    known = [f"{role}.{name}" for role in roles if role in draft.roles for name in draft.roles[role].actions]
    same = [one for one in known if one.split(".", 1)[1] == step.action]
    hint = f"did you mean `{same[0]}`?" if same else nearest(table.do, known)
    draft.problems.at_value((*path, "do"), "CX046", told, hint)
