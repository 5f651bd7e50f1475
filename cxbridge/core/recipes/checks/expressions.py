"""What an expression or template may say at its place: its paths, its calls, and what it compares with what; runs none.

Comparisons that can never hold are refused, because a condition that is always false looks like one that works.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar, get_type_hints

from jinja2 import nodes

from cxbridge.core.canonical import Sentiment
from cxbridge.core.recipes.checks.draft import Draft, Path, nearest
from cxbridge.core.recipes.evaluation import static_path
from cxbridge.core.recipes.expressions import Condition, Expression, ExpressionError, Template
from cxbridge.core.recipes.nouns import BELONGINGS
from cxbridge.core.recipes.paths import Key
from cxbridge.core.recipes.reading import Reading
from cxbridge.core.recipes.values import spoken
from cxbridge.core.recipes.vocabulary import Vocabulary, choices_of, hints_of, items_of, plain_type

_R = TypeVar("_R", Condition, Expression, Template)
_SINGLE_BRACES = re.compile(r"(?<!\{)\{ *([a-z][a-z0-9_]*)\.[\w.]+ *\}+")
_CLOSING_BRACES = re.compile(r"\}\}|%\}")
_ORDER = ("lt", "lteq", "gt", "gteq")
_EMPTY: tuple[Any, ...] = (None,)


def condition(draft: Draft, path: Path, text: str, scope: Vocabulary) -> Condition | None:
    """Check and compile a condition; `None` when it cannot be read."""
    return _read(draft, path, scope, draft.language.condition, text)


def expression(draft: Draft, path: Path, text: str, scope: Vocabulary) -> Expression | None:
    """Check and compile an expression; `None` when it cannot be read."""
    return _read(draft, path, scope, draft.language.expression, text)


def template(draft: Draft, path: Path, text: str, scope: Vocabulary) -> Template | None:
    """Check and compile a template; `None` when it cannot be read."""
    return _read(draft, path, scope, draft.language.template, text, template=True)


def is_template(text: str) -> bool:
    """Whether a text of a `with` table is a template."""
    return "{{" in text or "{%" in text or "{#" in text


def _read(
    draft: Draft, path: Path, scope: Vocabulary, read: Callable[[str], _R], text: str, *, template: bool = False
) -> _R | None:
    try:
        compiled = read(text)
    except ExpressionError as error:
        draft.problems.inside(path, error.offset, error.length, "CX036", error.message, error.hint)
        return None
    for one in compiled.paths:
        mistake = scope.mistake(one.parts)
        if mistake is not None:
            draft.problems.inside(path, one.offset, one.length, "CX021", mistake.message, mistake.hint)
    _Judge(draft, path, scope, draft.reading(text, template=template)).judge()
    return compiled


def check_braces(draft: Draft, path: Path, text: str, scope: Vocabulary) -> None:
    """Note braces that are meant to be a template's and are not: the text would be written as it stands."""
    for found in _SINGLE_BRACES.finditer(text):
        if found[1] in scope.names:
            told = "this is written as it stands: a template has two braces on each side"
            _at(draft, path, found, told, f"write {{{{ {found[0].strip('{} ')} }}}}")
    if not is_template(text) and (closing := _CLOSING_BRACES.search(text)):
        _at(draft, path, closing, "these braces close nothing", "open them with {{")


def _at(draft: Draft, path: Path, found: re.Match[str], message: str, hint: str) -> None:
    draft.problems.inside(path, found.start(), found.end() - found.start(), "CX036", message, hint)


def outcomes(draft: Draft, path: Path, text: str, scope: Vocabulary, choices: tuple[str, ...]) -> None:
    """Check a template that is one `{{ }}` and nothing else, where only some values are taken."""
    try:
        reading = draft.reading(text, template=True)
    except ExpressionError:
        return
    body = reading.tree.body if isinstance(reading.tree, nodes.Template) else []
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        _Judge(draft, path, scope, reading).judge_outcome(body[0].nodes[0], choices)


def paths_of(draft: Draft, text: str) -> tuple[Key, ...] | None:
    """The path that a template consists of, if it is one path and nothing else."""
    try:
        tree = draft.reading(text, template=True).tree
    except ExpressionError:
        return None
    body = tree.body if isinstance(tree, nodes.Template) else []
    if len(body) == 1 and isinstance(body[0], nodes.Output) and len(body[0].nodes) == 1:
        return static_path(body[0].nodes[0])
    return None


def path_of(draft: Draft, text: str) -> tuple[Key, ...] | None:
    """The path that an expression consists of, if it is one path and nothing else."""
    try:
        return static_path(draft.reading(text, template=False).tree)
    except ExpressionError:
        return None


class _Judge:
    """Looks through one syntax tree."""

    def __init__(self, draft: Draft, path: Path, scope: Vocabulary, reading: Reading) -> None:
        self.draft = draft
        self.path = path
        self.scope = scope
        self.reading = reading
        self.nodes: list[nodes.Node] = [reading.tree, *reading.tree.find_all(nodes.Node)]
        self.loops = {
            one.target.name for one in self.nodes if isinstance(one, nodes.For) and isinstance(one.target, nodes.Name)
        }

    def judge(self) -> None:
        """Note what can never hold, and calls that cannot work here."""
        for node in self.nodes:
            if isinstance(node, nodes.Compare):
                left = node.expr
                for operand in node.ops:
                    self._compare(operand.op, left, operand.expr)
                    left = operand.expr
            elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name):
                if node.node.name == "linked":
                    self._linked(node)
                elif node.node.name == "its":
                    self._its(node)
                elif node.node.name == "crossed":
                    self._crossed(node)
                elif node.node.name in ("changed", "was"):
                    self._before(node, node.node.name)
            elif isinstance(node, nodes.Getattr | nodes.Getitem) and isinstance(node.node, nodes.Call):
                self._part(node)
            elif isinstance(node, nodes.Filter) and (name := _map_name(node)):
                self.draft.uses.setdefault(name, []).append(self._looked_up(node))

    def judge_outcome(self, node: nodes.Expr, choices: tuple[str, ...]) -> None:
        """Note what a value may become although nobody takes it."""
        known = ", ".join(choices)
        for inner in self._outcomes(node):
            if isinstance(inner, nodes.Const):
                if inner.value not in (*choices, None, ""):
                    told = f"{_shown(inner.value)} is not taken here; it is one of {known}"
                    self._note(inner, "CX025", told, _near(inner.value, choices))
            elif (given := self._choices(inner)) and not set(given) & set(choices):
                self._note(inner, "CX025", f"`{self.reading.text(inner)}` is never one of {known}")
            elif isinstance(inner, nodes.Filter):
                self._mapped(inner, choices)

    def _mapped(self, node: nodes.Filter, choices: tuple[str, ...]) -> None:
        name = _map_name(node)
        for key, value in self.draft.file.map.get(name, {}).items():
            if value not in choices and (key, value) not in (("unmapped", "hold"), ("unmapped", "pass")):
                path: Path = ("map", name, key)
                told = f"{_shown(value)} is not taken where this map is used; it is one of {', '.join(choices)}"
                self.draft.problems.at_value(path, "CX025", told, _near(value, choices))

    def _looked_up(self, node: nodes.Filter) -> tuple[str, ...]:
        """The values that a map may be asked for here; none when they are not known."""
        found: list[str] = []
        for source in self._outcomes(node.node) if node.node is not None else ():
            listed = (str(source.value),) if isinstance(source, nodes.Const) else self._choices(source)
            if not listed:
                return ()
            found += listed
        return tuple(found)

    # -- comparisons -----------------------------------------------------------------------------------------------

    def _compare(self, op: str, left: nodes.Expr, right: nodes.Expr) -> None:
        if op in _ORDER:
            for node in (left, right):
                if choices := self._choices(node):
                    hint = f"list those you mean: in [{', '.join(map(repr, choices[:2]))}]"
                    self._note(node, "CX026", f"`{self.reading.text(node)}` is a word, which is no more or less", hint)
        elif op in ("eq", "ne"):
            self._never(left, right)
            self._never(right, left)
        elif (lists := list(_lists(right))) or isinstance(right, nodes.List):
            for item in lists:
                self._never(left, item)
        else:
            self._never_within(left, right)

    def _never(self, one: nodes.Expr, other: nodes.Expr) -> None:
        """Note each constant of `other` that nothing in `one` can be equal to."""
        sources = list(self._outcomes(one))
        if all(isinstance(source, nodes.Const) for source in sources):
            return
        for constant in self._outcomes(other):
            if not isinstance(constant, nodes.Const) or constant.value in _EMPTY:
                continue
            told = [self._impossible(source, constant.value) for source in sources]
            if all(told) and (why := next(filter(None, told))):
                self._note(constant, "CX022", *why)

    def _never_within(self, one: nodes.Expr, several: nodes.Expr) -> None:
        parts = self._path(several)
        choices = choices_of(items_of(self.scope.type_of(parts))) if parts else ()
        for constant in self._outcomes(one):
            if choices and isinstance(constant, nodes.Const) and constant.value not in choices:
                told = f"`{self.reading.text(several)}` never holds {_shown(constant.value)}; it may hold {', '.join(choices)}"
                self._note(constant, "CX022", told, _near(constant.value, choices))

    def _impossible(self, source: nodes.Expr, value: Any) -> tuple[str, str] | None:
        """Why a source can never be equal to a value, and what was likely meant; `None` when it can, or nobody knows."""
        if isinstance(source, nodes.Const):
            return None if source.value == value else (f"this is never {_shown(value)}", "")
        parts = self._path(source)
        name, wanted = self.reading.text(source), _shown(value)
        if parts is None:
            given = self._type_given(source)
            return None if given is None else self._never_of(name, given, value)
        if self.scope.is_entity(parts):
            fields = [one for one in ("source_key", "name") if self.scope.type_of((*parts, one)) is not None]
            hint = f"compare one of its fields: {name}.{fields[-1]}" if fields else "compare one of its fields"
            return f"`{name}` is a whole record and never {wanted}", hint
        return self._never_of(name, self.scope.type_of(parts), value)

    def _never_of(self, name: str, hint_type: Any, value: Any) -> tuple[str, str] | None:
        """Why something of a type can never be equal to a value."""
        wanted = _shown(value)
        if choices := choices_of(hint_type):
            told = f"`{name}` is never {wanted}; it is one of {', '.join(choices)}"
            return None if value in choices else (told, _near(value, choices))
        if items_of(hint_type) is not None:
            return f"`{name}` is a list and never {wanted}", f"did you mean `{wanted} in {name}`?"
        kind = plain_type(hint_type)
        if kind is str and not isinstance(value, str):
            return f"`{name}` is a text and never {wanted}", f"put it in quotes: '{value}'"
        if kind in (int, float) and isinstance(value, str | bool):
            return f"`{name}` is a number and never {wanted}", ""
        if kind is bool and not isinstance(value, bool):
            return f"`{name}` is true or false and never {wanted}", ""
        return None

    # -- calls -----------------------------------------------------------------------------------------------------

    def _part(self, node: nodes.Getattr | nodes.Getitem) -> None:
        """A field of what a function gives, where it is known what that is."""
        known, key = self._given_by(node.node), _key_of(node)
        if known is not None and isinstance(key, str) and key not in known:
            called = self.reading.text(node.node)
            hint = nearest(key, known) or f"there are {', '.join(list(known)[:8])}"
            self._note(node, "CX021", f"`{called}` has no field `{key}`", hint)

    def _given_by(self, node: nodes.Node) -> Mapping[str, Any] | None:
        """The fields, with their types, of what a call gives."""
        if not isinstance(node, nodes.Call) or not isinstance(node.node, nodes.Name):
            return None
        if node.node.name == "sentiment":
            return get_type_hints(Sentiment)
        kind = self._kind_its(node) if node.node.name == "its" else None
        return hints_of(kind) if kind is not None else None

    def _kind_its(self, node: nodes.Call) -> str | None:
        """The kind of what `its(record, name)` gives."""
        record, name = _arguments(node)
        parts = self._path(record)
        meaning = self.scope.names.get(str(parts[0])) if parts and len(parts) == 1 else None
        found = BELONGINGS.get(meaning.kind or "", {}).get(_text(name)) if meaning is not None else None
        kinds = {one[_text(name)].kind for one in BELONGINGS.values() if _text(name) in one}
        return found.kind if found is not None else kinds.pop() if len(kinds) == 1 else None

    def _its(self, node: nodes.Call) -> None:
        record, name = _arguments(node)
        self._whole_record(record, "its")
        parts = self._path(record)
        meaning = self.scope.names.get(str(parts[0])) if parts and len(parts) == 1 else None
        if meaning is None or meaning.kind is None:
            return
        known = BELONGINGS.get(meaning.kind, {})
        if _text(name) not in known:
            hint = nearest(_text(name), known) or (f"there are {', '.join(known)}" if known else "")
            self._note(name, "CX037", f"no {_text(name)} belongs to a {meaning.kind}", hint)

    def _crossed(self, node: nodes.Call) -> None:
        parts = self._path(_arguments(node)[0])
        if parts is None or self.scope.subject is None or parts[0] not in self.scope.names:
            return
        if parts[0] != self.scope.subject:
            told = (
                f"only the {self.scope.subject} has a history here: nothing is known of earlier values of `{parts[0]}`"
            )
            self._note(node, "CX038", told)
            return
        hint = self.scope.type_of(parts)
        if hint is not None and hint is not Any and plain_type(hint) not in (int, float):
            self._note(
                node, "CX038", f"`{self.reading.text(_arguments(node)[0])}` is no number, and a band is about numbers"
            )

    def _whole_record(self, record: nodes.Expr, name: str) -> None:
        parts = self._path(record)
        if isinstance(record, nodes.Const) or (parts is not None and self.scope.is_entity(parts) is False):
            names = self.scope.entities
            hint = f"did you mean `{parts[0]}`?" if parts and parts[0] in names else f"there are {', '.join(names)}"
            self._note(record, "CX037", f"`{name}` needs a whole record", hint)

    def _linked(self, node: nodes.Call) -> None:
        record, relation = _arguments(node)
        self._whole_record(record, "linked")
        known = self.draft.relations
        if known is not None and isinstance(relation, nodes.Const) and relation.value not in known:
            hint = nearest(str(relation.value), known) or (f"there are {', '.join(sorted(known))}" if known else "")
            self._note(relation, "CX037", f"no link step makes the relation {_shown(relation.value)}", hint)

    def _before(self, node: nodes.Call, name: str) -> None:
        parts = self._path(_arguments(node)[0])
        if not self.scope.history:
            hint = "only a trigger with `on` tells of changes"
            self._note(node, "CX038", f"`{name}` looks at a change, and there is none here", hint)
        elif parts and self.scope.subject and parts[0] != self.scope.subject and parts[0] in self.scope.names:
            told = f"only the {self.scope.subject} was changed here: nothing is known of what `{parts[0]}` was before"
            self._note(node, "CX038", told)

    # -- reading the tree ------------------------------------------------------------------------------------------

    def _type_given(self, node: nodes.Expr) -> Any:
        """The type of a field of what a function gives, or `None`."""
        if not isinstance(node, nodes.Getattr | nodes.Getitem):
            return None
        return (self._given_by(node.node) or {}).get(_key_of(node))

    def _outcomes(self, node: nodes.Expr) -> Iterator[nodes.Expr]:
        """What a node may turn out to be, as far as that can be read off: through inline ifs, defaults, `was`."""
        if isinstance(node, nodes.CondExpr):
            yield from self._outcomes(node.expr1)
            if node.expr2 is not None:
                yield from self._outcomes(node.expr2)
        elif isinstance(node, nodes.Filter) and node.name in ("default", "d") and node.node is not None:
            yield from self._outcomes(node.node)
            yield from (self._outcomes(node.args[0]) if node.args else ())
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "coalesce":
            for argument in node.args:
                yield from self._outcomes(argument)
        elif isinstance(node, nodes.Call) and isinstance(node.node, nodes.Name) and node.node.name == "was":
            yield from node.args
        else:
            yield node

    def _path(self, node: nodes.Node) -> tuple[Key, ...] | None:
        parts = static_path(node)
        return None if parts is None or parts[0] in self.loops else parts

    def _choices(self, node: nodes.Expr) -> tuple[str, ...]:
        parts = self._path(node)
        return self.scope.choices(parts) if parts else choices_of(self._type_given(node))

    def _note(self, node: nodes.Node, code: str, message: str, hint: str = "") -> None:
        self.draft.problems.inside(self.path, *self.reading.span(node), code, message, hint)


def _arguments(node: nodes.Call) -> list[nodes.Expr]:
    return [*node.args, *(one.value for one in node.kwargs)]


def _key_of(node: nodes.Getattr | nodes.Getitem) -> Any:
    if isinstance(node, nodes.Getattr):
        return node.attr
    return node.arg.value if isinstance(node.arg, nodes.Const) else None


def _text(node: nodes.Expr) -> str:
    return str(node.value) if isinstance(node, nodes.Const) else ""


def _map_name(node: nodes.Filter) -> str:
    """The name of the value map that a filter looks into, or nothing."""
    first = node.args[0] if node.name == "map" and node.args else None
    return str(first.value) if isinstance(first, nodes.Const) else ""


def _lists(node: nodes.Expr) -> Iterator[nodes.Expr]:
    if isinstance(node, nodes.List):
        yield from node.items
    elif isinstance(node, nodes.CondExpr):
        yield from _lists(node.expr1)
        if node.expr2 is not None:
            yield from _lists(node.expr2)


def _shown(value: Any) -> str:
    return repr(value) if isinstance(value, str) else spoken(value)


def _near(value: Any, choices: tuple[str, ...]) -> str:
    return nearest(value, choices) if isinstance(value, str) else ""
