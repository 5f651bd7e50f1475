"""Whether a recipe can work: every name, path, input, map and connection against what there is; compiles what holds.

Everything that is wrong is noted with its place; nothing is corrected. Reads no file and calls no vendor. What is refused for
its form was noted before, by `load`, and is muted: it causes no second problem here.
"""

from collections.abc import Collection, Mapping
from typing import Any

from cxbridge.core.recipes.checks import cases, each, links, people, premises, steps, triggers
from cxbridge.core.recipes.checks.draft import Draft
from cxbridge.core.recipes.expressions import Language
from cxbridge.core.recipes.model import Canary, Recipe
from cxbridge.core.recipes.schema import RecipeFile
from cxbridge.core.recipes.surroundings import Surroundings
from cxbridge.core.recipes.vocabulary import Offer, Setting, scope_of
from cxbridge.core.toml import Problems


class Checker:
    """Checks one file; `recipe()` gives the compiled recipe and notes problems.

    `relations` are those that other recipes make, `kinds` what they join. Without them, a relation that this recipe does not
    make is let pass.
    """

    def __init__(
        self,
        name: str,
        file: RecipeFile,
        problems: Problems,
        offers: Mapping[str, Offer],
        given: Mapping[str, Any],
        relations: Collection[str] | None = None,
        around: Surroundings = Surroundings(),  # noqa: B008  # it is immutable
        kinds: each.Kinds | None = None,
    ) -> None:
        self.name = name
        self.file = file
        self.problems = problems
        self.offers = offers
        self.given = given
        self.relations = relations
        self.around = around
        self.kinds = kinds or {}

    def recipe(self, version: str) -> Recipe:
        """Check everything and compile. The recipe can run only if no problem was noted."""
        file = self.file
        premises.check_name(self.name, self.problems)
        draft = self._draft()
        noun = triggers.noun_of(file)
        premises.check_stage(draft, noun)
        begun = triggers.triggers(draft, noun)
        # Until it is known what starts the recipe, nothing can be said about changes.
        history = (
            not begun or len(begun) < len(file.trigger) or any(one.event not in (None, "created") for one in begun)
        )
        scope = scope_of(noun, draft.setting, history=history)
        conditions = triggers.conditions(draft, scope)
        run = triggers.run_rule(draft, scope)
        done = steps.steps(draft, noun, begun, history=history)
        known = links.joints(draft, noun, begun, done)
        syncs = links.syncs(draft, begun, known)
        follows = links.follows(draft, known)
        if not any(self.problems.source.stands((part,)) for part in ("step", "sync", "follow")):
            self.problems.at_key((), "CX010", "the recipe does nothing: it has no [[step]], [[sync]] or [[follow]]")
        cases.cases(draft, noun)
        premises.check_entries(draft)
        premises.check_retry(draft)
        people.check_notify(draft)
        return Recipe(
            id=self.name,
            path=draft.source.path,
            source=draft.source.text,
            version=version,
            title=file.title,
            owner=file.owner,
            process=file.process or "",
            stage=file.stage,
            canary=Canary(tuple(file.canary.accounts), file.canary.share),
            use=dict(file.use),
            inputs=draft.inputs,
            noun=begun[0].noun if begun else "",
            triggers=begun,
            conditions=conditions,
            run=run,
            limits=file.limits,
            maps=draft.maps,
            steps=done,
            syncs=syncs,
            follows=follows,
            on_error=file.on_error,
            tests=tuple(file.test),
            around=self.around,
        )

    def _draft(self) -> Draft:
        file, problems = self.file, self.problems
        maps = premises.value_maps(file, problems)
        inputs = premises.inputs(self.name, file, problems, self.given, self.around)
        bands = premises.bands(file, problems, inputs)
        own = links.relations_of(problems.source.value)
        all_known = self.relations is not None and links.relations_known(file)
        return Draft(
            name=self.name,
            file=file,
            problems=problems,
            offers=self.offers,
            given=self.given,
            relations=own.union(self.relations or ()) if all_known else None,
            maps=maps,
            inputs=inputs,
            roles=premises.roles(file, problems, self.offers),
            language=Language(maps=maps, bands=bands, around=self.around),
            kinds=self.kinds,
            around=self.around,
            setting=Setting(
                inputs=premises.input_types(file, problems),
                triggers=tuple(triggers.id_of(table, index) for index, table in enumerate(file.trigger)),
                lenient=any(problems.is_muted(("step", index, "id")) for index in range(len(file.step))),
            ),
        )
