"""One recipe file while it is being checked: what it says, what there is, and what was found out so far; judges nothing."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cxbridge.core.recipes import mistakes
from cxbridge.core.recipes.allowlist import Allowlist
from cxbridge.core.recipes.expressions import Language
from cxbridge.core.recipes.functions import ValueMap
from cxbridge.core.recipes.model import Step
from cxbridge.core.recipes.reading import Reading
from cxbridge.core.recipes.schema import RecipeFile
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.vocabulary import Offer, Setting
from cxbridge.core.toml import Path, Problems, Source

__all__ = ["Draft", "Path", "nearest"]


@dataclass(frozen=True, slots=True)
class Draft:
    """`offers` are the connections by name, `given` the inputs that cxbridge.toml sets for this recipe.

    `relations` are those that link steps make, here or in other recipes; `None` when that is not known. `roles` holds the
    roles whose connection is known.
    """

    name: str
    file: RecipeFile
    problems: Problems
    offers: Mapping[str, Offer]
    given: Mapping[str, Any]
    relations: Collection[str] | None
    maps: Mapping[str, ValueMap]
    inputs: Mapping[str, Any]
    roles: Mapping[str, Offer]
    language: Language
    setting: Setting
    # The calendars and windows of the installation.
    around: Surroundings = field(default_factory=Surroundings)
    _allowlist: Allowlist = field(default_factory=Allowlist)
    _readings: dict[tuple[str, bool], Reading] = field(default_factory=dict)
    # What the links of other files' relations join: kinds, left and right.
    kinds: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    # By map: which values each use of it may look up, as far as they are listed.
    uses: dict[str, list[tuple[str, ...]]] = field(default_factory=dict)

    @property
    def source(self) -> Source:
        """The file."""
        return self.problems.source

    def stands(self, path: Path) -> bool:
        """Whether the file says something here, right or wrong."""
        return self.source.stands(path)

    def role(self, role: str, path: Path) -> Offer | None:
        """Find a role's connection; notes a role that is not under [use]."""
        if role not in self.file.use and not self.problems.is_muted(("use", role)):
            self.problems.at_value(
                path, "CX031", f"there is no role `{role}` under [use]", nearest(role, self.file.use)
            )
        return self.roles.get(role)

    def reading(self, text: str, *, template: bool) -> Reading:
        """Read an expression or a template; the same text is read once.

        Raises:
            ExpressionError: when it is not of the language.
        """
        key = (text, template)
        if key not in self._readings:
            self._readings[key] = self._allowlist.template(text) if template else self._allowlist.expression(text)
        return self._readings[key]

    def targeted(self, step: Step) -> bool:
        """Whether the verb of a step acts on something that is there."""
        return self.roles[step.role].actions[step.action].inputs_type.targeted

    def connection(self, role: str) -> str:
        """Name a role's connection, or nothing."""
        return self.file.use.get(role, "")


def nearest(word: str, known: Iterable[str], before: str = "") -> str:
    """Say `did you mean …?` when something is near; `before` is put in front of it."""
    found = mistakes.nearest(word, known)
    return f"did you mean `{before}{found}`?" if found else ""
