"""Which language a text is in: a model's guess where it is sure, known words where a text is too short for one, else none."""

import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from cxbridge.plugins.nlp.words import WORDS

# Less sure than this, the model is guessing: single words and names come out anywhere below it. When its first guess is English
# it seldom errs, however unsure it is.
SURE = 0.4
SURE_ENGLISH = 0.2
# Where English is expected, it takes this much to say otherwise: "Brilliant" is Spanish to it by 0.65.
SURE_OTHERWISE = 0.8
# Of texts this short the model is often wrong and sure of it ("Wait time" is French to it).
SHORT = 4

_LETTERS = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_NOISE = re.compile(r"https?://\S+|\S+@\S+|[@#]\w+")
# Common in short English answers, and in no other language's; the lexicon has the rest.
_FEW: Final = frozenset(
    """a air all always am an and any anything are as at be been better but by call can can't cannot care choice could did didn't
    do don't doctor easy every everything fault food for from good great had has have help how i in is it it's its know long longer
    lot many me more much my need nil none nope not nothing n of on one ok or our out phone please price quality response service
    seen should so some staff support taken than thank thanks that the their there they this time times to too took unsure up use
    very wait waiting was we well were what when with work works would yes you your""".split()  # noqa: SIM905  # a page of words reads better so
)


class Teller:
    """Tells languages with a model that gives its guesses, best first, as `lang` and `score`."""

    def __init__(self, guess: Callable[[str], Sequence[dict[str, Any]]]) -> None:
        self._guess = guess

    def language(self, text: str, *, expected: bool = False) -> str | None:
        """The language in ISO 639-1 (639-3 where it has no shorter code), or None when nobody can tell.

        `expected` says that it is probably English: then another language is told only where the model is quite sure of it.
        """
        plain = _NOISE.sub(" ", text.replace("’", "'")).lower()
        words = _LETTERS.findall(plain)
        if not words:
            return None
        # One line and small letters: the model was made of such text, and takes capitals for another language.
        guesses = self._guess(" ".join(plain.split()))
        if not guesses:
            return None
        short = len(words) <= SHORT
        if (short or guesses[0]["score"] < SURE) and "en" in [one["lang"] for one in guesses] and _english(words):
            return "en"
        found, sure = str(guesses[0]["lang"]), guesses[0]["score"]
        if expected:
            return found if sure >= SURE_OTHERWISE else "en"
        return found if sure >= (SURE_ENGLISH if found == "en" else SURE) else None


def _english(words: Sequence[str]) -> bool:
    return all(one in _FEW or one in WORDS for one in words)
