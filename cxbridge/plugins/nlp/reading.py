"""How a text reads: clause by clause, what is said for, what against, and what is wished for. Pure, given a model."""

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

from cxbridge.plugins.nlp import phrases
from cxbridge.plugins.nlp.words import WORDS

_NUMBER = r"(?:\d+(?:[.,]\d+)?|an?|one|two|three|four|five|six|seven|eight|nine|ten|twelve|fifteen|twenty|thirty|forty)"
_CLAUSES = re.compile(
    r"(?:(?<=[.!?;:]) | [-–] |,? \b(?:but|however|although|though|yet|except|unfortunately|whereas|otherwise)\b,?)",
    re.IGNORECASE,
)
# "Nothing, all good": the first word answers the question, and must not turn what follows into its opposite.
_FIRST_NOTHING = re.compile(
    r"^\W*(?:no(?:thing|ne|pe|)|nil)\b(?: (?:really|at all|else|much))?(?=[\s,.;:!\-–*]|$)"
    r"(?!\s+(?:was|is|works?|worked|helps?|helped|gets?|got|has|had|happens?|happened|help|staff|one|reply|answer|response|"
    r"communication|record|could|can|to|better|more|wrong|would|needs?|complaints?|problems?|issues?|faults?|trouble|concerns?|"
    r"improvements?|support|contact))",
    re.IGNORECASE,
)
# Only an answer this short is an answer that says nothing.
_SHORT = 120
_LONGEST = 500
_SPACE = re.compile(r"\s+")


Label = Literal["positive", "neutral", "negative"]


class Words(Protocol):
    """The part of VADER that is used."""

    lexicon: dict[str, float]

    def polarity_scores(self, text: str) -> Mapping[str, float]: ...


@dataclass(frozen=True, slots=True)
class Weights:
    """Where one label ends and the next begins; set on one half of the labelled texts, measured on the other.

    Texts that answer a question are judged by `answer_…`, others by `remark_…`: who was asked seldom means nothing by it. Both are
    sums of valences. `asked` is what the question itself says of its answers.
    """

    wish: float = 1.2
    perfect: float = 2.5
    asked: float = 0.6
    answer_positive: float = 0.4
    answer_negative: float = -0.8
    remark_positive: float = 0.8
    remark_negative: float = -0.2
    # A text says both when each side weighs at least so much, and the lighter one at least this share of the heavier.
    mixed: float = 1.2
    share: float = 0.45
    # So much blame makes a complaint of a text that says both.
    complaint: float = 1.0


@dataclass(frozen=True, slots=True)
class Impression:
    """What is said for and against, in VADER's valences, and what becomes of the two."""

    label: Label
    score: float
    complaint: bool


class Reader:
    """Reads English texts with VADER's rules (negation, emphasis, "but") over its lexicon and ours."""

    def __init__(self, words: Words, weights: Weights | None = None) -> None:
        self._words = words
        self._weights = weights or Weights()
        words.lexicon.update(WORDS)
        self._phrases = []
        for number, (pattern, valence) in enumerate(phrases.PHRASES):
            # A token that no text has; VADER then treats the phrase as one word.
            token = f"qphrase{number}q"
            words.lexicon[token] = valence
            self._phrases.append((re.compile(rf"\b(?:{pattern.replace('#', _NUMBER)})\b", re.IGNORECASE), token))
        self._wishes = re.compile(phrases.WISHES, re.IGNORECASE)
        self._fragments = re.compile(phrases.FRAGMENTS, re.IGNORECASE)
        self._perfect = re.compile(phrases.PERFECT, re.IGNORECASE)
        self._imperatives = re.compile(phrases.IMPERATIVES, re.IGNORECASE)
        self._nothing = re.compile(rf"\W*(?:{phrases.NOTHING_TO_SAY})\W*", re.IGNORECASE)
        self._no_answer = re.compile(rf"\W*(?:{phrases.NO_ANSWER})\W*", re.IGNORECASE)
        self._blame = re.compile(phrases.ASKS_FOR_BLAME, re.IGNORECASE)
        self._praise = re.compile(phrases.ASKS_FOR_PRAISE, re.IGNORECASE)

    def read(self, text: str, asked: str | None = None) -> Impression:
        """Judge a text; `asked` is the question that it answers."""
        text = _SPACE.sub(" ", text.replace("’", "'").replace("\n", ". ")).strip()
        sought = self._sought(asked)
        short = len(text) <= _SHORT
        if not text or (short and self._no_answer.fullmatch(text)):
            return Impression("neutral", 0.0, complaint=False)
        if short and self._nothing.fullmatch(text):
            return (
                Impression("negative", -0.4, complaint=True)
                if sought > 0
                else Impression("positive", 0.4, complaint=False)
            )
        return self._decide(*self._weigh(text, sought), sought, answer=bool(asked))

    def _sought(self, asked: str | None) -> int:
        """-1: the question asks for what was wrong; 1: for what was right; 0: for either, or nobody asked."""
        if not asked:
            return 0
        blame, praise = bool(self._blame.search(asked)), bool(self._praise.search(asked))
        return praise - blame

    def _weigh(self, text: str, sought: int) -> tuple[float, float]:
        good = bad = 0.0
        text, nothing = _FIRST_NOTHING.subn("", text, count=1)
        if nothing:
            good, bad = (0.0, 1.5) if sought > 0 else (1.5, 0.0)
        for clause in _clauses(text):
            if self._perfect.search(clause):
                good += self._weights.perfect
                continue
            marked = clause
            for pattern, token in self._phrases:
                marked = pattern.sub(f" {token} ", marked)
            valence = _valence(self._words.polarity_scores(marked)["compound"])
            if sought <= 0 and self._wished(clause):
                # What is good in a wish is what is missed.
                bad += self._weights.wish - min(0.0, valence)
                continue
            good, bad = good + max(0.0, valence), bad - min(0.0, valence)
        return good, bad

    def _wished(self, clause: str) -> bool:
        return bool(
            self._wishes.search(clause) or self._fragments.match(clause) or self._imperatives.match(clause.strip())
        )

    def _decide(self, good: float, bad: float, sought: int, *, answer: bool) -> Impression:
        weights = self._weights
        total = good - bad + weights.asked * sought
        above, below = (
            (weights.answer_positive, weights.answer_negative)
            if answer
            else (weights.remark_positive, weights.remark_negative)
        )
        least, most = sorted((good, bad))
        label: Label
        if least >= weights.mixed and least >= weights.share * most:
            label = "neutral"
        else:
            label = "positive" if total >= above else "negative" if total <= below else "neutral"
        # Blame is a complaint even where praise balances it, and so is an answer without praise to "what was wrong?".
        unpraised = sought < 0 and good < weights.complaint
        complaint = label == "negative" or (label == "neutral" and (bad >= weights.complaint or unpraised))
        return Impression(label, round(total / math.sqrt(total * total + 15), 4), complaint)


def _clauses(text: str) -> Iterator[str]:
    """The clauses of a text; one that is longer than any sentence comes in pieces, for VADER's time grows with its square."""
    for clause in _CLAUSES.split(text):
        if clause.strip(" .,"):
            yield from (clause[start : start + _LONGEST] for start in range(0, len(clause), _LONGEST))


def _valence(compound: float) -> float:
    """The sum of valences from which VADER made its score between -1 and 1."""
    if abs(compound) >= 0.9999:
        return math.copysign(270.0, compound)
    return compound * math.sqrt(15 / (1 - compound * compound))
