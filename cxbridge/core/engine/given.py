"""A world that somebody made up, such as a test in a recipe file: what it gives stands in the place of what is stored."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cxbridge.core.canonical import Sentiment
from cxbridge.core.engine.scope import Scope, blank, field_at, unknown
from cxbridge.core.recipes.expressions import AROUND, ITS, LINKED, MOVES, Surroundings
from cxbridge.core.recipes.nouns import BELONGINGS


@dataclass(frozen=True, slots=True)
class Given:
    """What is given: who belongs to the subject, what is linked with it, earlier values of its fields, and the surroundings."""

    noun: str
    names: Mapping[str, Mapping[str, Any]]
    around: Surroundings
    linked: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    history: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def in_place_of(self, scope: Scope) -> Scope:
        """Put it into a scope, and give that back."""
        for name, value in self.names.items():
            scope[name] = value
        subject, before = scope.get(self.noun), scope.get("before")

        def moves(parts: Sequence[str | int]) -> list[tuple[Any, bool]]:
            earlier = list(self.history.get(str(parts[1]), ()))
            if not earlier and before is not None:
                earlier = [field_at(before, parts)]
            return [(one, False) for one in earlier] + [(field_at(subject, parts), True)]

        scope[LINKED] = lambda _record, relation: [dict(one) for one in self.linked.get(relation, ())]
        scope[ITS] = lambda _record, name: dict(self.names.get(name) or _nobody(name))
        scope[MOVES] = moves
        scope[AROUND] = self.around
        return scope


@dataclass(frozen=True, slots=True)
class SaidSo:
    """A judge that says of every text what it was told to say."""

    said: Sentiment

    def sentiment(self, text: str, language: str | None = None, asked: str | None = None) -> Sentiment:
        """Say it."""
        del text, language, asked
        return self.said

    def language(self, text: str) -> str:
        """Say in which language it was told that texts are."""
        del text
        return self.said.language or "unknown"


def _nobody(name: str) -> dict[str, Any]:
    kinds = {one[name].kind for one in BELONGINGS.values() if name in one}
    return blank(kinds.pop()) if len(kinds) == 1 else unknown()
