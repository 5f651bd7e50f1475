"""Recipe files to recipes: reads the folder, reports every problem of a file at once, and turns off only the broken ones."""

import hashlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from cxbridge.core.errors import Problem, RecipeError
from cxbridge.core.recipes.check import Checker
from cxbridge.core.recipes.checks.each import Kinds, kinds_of
from cxbridge.core.recipes.checks.links import relations_of
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.shape import shaped
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.vocabulary import Offer
from cxbridge.core.toml import LARGEST, Placed, Problems, Source, nearest

NOTHING_SPECIAL = Surroundings()


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a folder held: recipes that can run, and what is wrong with the others."""

    recipes: tuple[Recipe, ...]
    errors: tuple[RecipeError, ...]


def load_folder(
    folder: Path,
    offers: Mapping[str, Offer],
    inputs: Mapping[str, Mapping[str, Any]],
    around: Surroundings = NOTHING_SPECIAL,
) -> Loaded:
    """Load every `*.toml` of a folder; `inputs` are this installation's values by recipe id, `around` what else it has."""
    files = sorted(folder.glob("*.toml"))
    read = {file: _read(file) for file in files}
    # A recipe may rest on links that another one makes.
    relations = {
        relation for source in read.values() if isinstance(source, Source) for relation in relations_of(source.value)
    }
    kinds = kinds_of(source.value for source in read.values() if isinstance(source, Source))
    recipes: list[Recipe] = []
    errors: list[RecipeError] = []
    for file, source in read.items():
        try:
            recipes.append(_load(file.stem, source, offers, inputs.get(file.stem, {}), relations, around, kinds))
        except RecipeError as error:
            errors.append(error)
    known = [file.stem for file in files]
    errors += [
        RecipeError(name, [_without_recipe(name, given, folder, known)])
        for name, given in inputs.items()
        if name not in known
    ]
    return Loaded(tuple(recipes), tuple(errors))


def load_file(
    file: Path, offers: Mapping[str, Offer], inputs: Mapping[str, Any], around: Surroundings = NOTHING_SPECIAL
) -> Recipe:
    """Load one file, without knowing the others of its folder.

    Raises:
        RecipeError: with every problem of the file, each with line and column.
    """
    return _load(file.stem, _read(file), offers, inputs, None, around)


def load_text(
    name: str,
    path: str,
    text: str,
    offers: Mapping[str, Offer],
    inputs: Mapping[str, Any],
    around: Surroundings = NOTHING_SPECIAL,
) -> Recipe:
    """Load a recipe from its text; what `load_file` does behind the file system.

    Raises:
        RecipeError: with every problem, each with line and column.
    """
    return _load(name, Source.parse(path, text), offers, inputs, None, around)


def version_of(text: str, inputs: Mapping[str, Any]) -> str:
    """Hash a file's text and its inputs: runs end under the version that began them."""
    given = msgspec.json.encode(dict(inputs), order="deterministic")
    return hashlib.blake2b(text.encode() + b"\0" + given, digest_size=8).hexdigest()


def _load(
    name: str,
    source: Source | Problem,
    offers: Mapping[str, Offer],
    inputs: Mapping[str, Any],
    relations: Collection[str] | None,
    around: Surroundings,
    kinds: Kinds | None = None,
) -> Recipe:
    if isinstance(source, Problem):
        raise RecipeError(source.path, [source])
    problems = Problems(source)
    file = shaped(problems)
    checker = Checker(name, file, problems, offers, inputs, relations, around, kinds)
    recipe = checker.recipe(version_of(source.text, inputs))
    if problems.found:
        raise RecipeError(source.path, problems.sorted())
    return recipe


def _read(file: Path) -> Source | Problem:
    try:
        with file.open("rb") as opened:
            # What is longer than that is refused by its length, whatever follows.
            body = opened.read(4 * LARGEST)
    except OSError as error:
        return Problem(str(file), 0, 0, "CX000", f"the file cannot be read: {error.strerror or type(error).__name__}")
    try:
        return Source.parse(str(file), body.decode("utf-8"))
    except UnicodeDecodeError as error:
        before = body[: error.start].decode("utf-8")
        line = before.count("\n") + 1
        column = len(before) - before.rfind("\n")
        shown = before.rpartition("\n")[2] + "�"
        told = "this is not UTF-8 text"
        return Problem(str(file), line, column, "CX000", told, shown, hint="save the file with the encoding UTF-8")


def _without_recipe(name: str, given: Mapping[str, Any], folder: Path, known: list[str]) -> Problem:
    message = f"[recipes.inputs.{name}] is for a recipe that is not in {folder}"
    hint = nearest(name, known)
    if isinstance(given, Placed) and given.source.stands(given.path):
        return given.source.problem(given.source.key_span(given.path), "CX041", message, hint)
    return Problem("the settings", 0, 0, "CX041", message, hint=hint)
