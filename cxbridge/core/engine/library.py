"""The recipes of an installation as they are now, and older versions for the runs that began under them; judges none."""

import os
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from cxbridge.core.clock import Clock, SystemClock
from cxbridge.core.config import Configuration
from cxbridge.core.engine.connections import Connection
from cxbridge.core.errors import RecipeError
from cxbridge.core.ledger import Run
from cxbridge.core.recipes.load import load_folder, load_text
from cxbridge.core.recipes.model import Recipe
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.store import Store, state

# So many seconds the folder is not looked at again by whoever does not plan.
LOOK_EVERY = 1.0


@dataclass(slots=True)
class Library:
    """The recipes of the folder as they are now, and older versions for runs that began under them."""

    configuration: Configuration
    connections: Mapping[str, Connection]
    store: Store
    around: Surroundings = field(default_factory=Surroundings)
    clock: Clock = field(default_factory=SystemClock)
    recipes: tuple[Recipe, ...] = ()
    errors: tuple[RecipeError, ...] = ()
    # The connections and kinds of entities that any of them listens to.
    listened: frozenset[tuple[str, str]] = frozenset()
    _stamp: tuple[tuple[str, int, int], ...] = ()
    _looked: float = 0.0
    _pinned: dict[str, Recipe | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def refresh(self) -> bool:
        """Load the folder again when a file in it changed; True when it did."""
        folder = self.configuration.recipes_dir
        self._looked = self.clock.monotonic()
        stamp = _stamp_of(folder)
        with self._lock:
            if stamp == self._stamp and self._stamp:
                return False
            loaded = load_folder(folder, self.connections, self.configuration.settings.recipes.inputs, self.around)
            self._stamp = stamp
            self.recipes, self.errors = loaded.recipes, loaded.errors
            considered = (one for one in loaded.recipes if one.considered)
            self.listened = frozenset(place for one in considered for place in one.listens_to())
            return True

    def keep_up(self) -> None:
        """Load the folder again when a file in it changed, where nobody looked for a second.

        Of several workers one plans; those that read and write must hear as well that somebody has paused a recipe.
        """
        if self.clock.monotonic() >= self._looked + LOOK_EVERY:
            # Of a folder that cannot be read whoever plans tells; what is known of it goes on.
            with suppress(OSError):
                self.refresh()

    def get(self, name: str) -> Recipe | None:
        """Give a recipe by its id."""
        return next((one for one in self.recipes if one.id == name), None)

    def of_run(self, run: Run) -> Recipe | None:
        """Give the recipe in the version that began a run; `None` when that version cannot be had any more."""
        current = self.get(run.recipe)
        if current is not None and current.version == run.version:
            return current
        with self._lock:
            if run.version not in self._pinned:
                self._pinned[run.version] = self._stored(run)
            pinned = self._pinned[run.version]
        if pinned is not None and current is not None and current.stage == "paused":
            return replace(pinned, stage="paused")
        return pinned

    def _stored(self, run: Run) -> Recipe | None:
        with self.store.read() as tx:
            source = state.recipe_source(tx, run.version)
        if source is None:
            return None
        inputs = self.configuration.settings.recipes.inputs.get(run.recipe, {})
        try:
            return replace(
                load_text(run.recipe, f"{run.recipe}@{run.version}", source, self.connections, inputs, self.around),
                version=run.version,
            )
        except RecipeError:
            return None


def _stamp_of(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Tell the recipe files of a folder as they are now: it is asked before each planning, and so in one go."""
    try:
        with os.scandir(folder) as files:
            return tuple(
                sorted(
                    (file.name, told.st_mtime_ns, told.st_size)
                    for file in files
                    if file.name.endswith(".toml") and (told := file.stat())
                )
            )
    except FileNotFoundError:
        # The folder, or a file that was there a moment ago: looked at again before the next planning.
        return ()
