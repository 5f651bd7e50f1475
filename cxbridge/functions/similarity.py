"""Which of some texts says the same as a given one: candidates in, the best of them out, most alike first. Pure, no model.

Texts are compared by their words and pairs of words, each weighing by how rare it is among the candidates: "the app crashes" and
"app crashes on start" meet in what matters. Finding the candidates among all records is the store's work.
"""

import math
import re
from collections import Counter
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)

# Longer texts are compared by their beginning; the matter of a ticket stands there.
LONGEST = 4_000
_WORD = re.compile(r"[^\W_]+", re.UNICODE)
# The commonest endings: enough for "crash", "crashes" and "crashing" to meet, and harmless in other languages.
_ENDINGS = ("ings", "ing", "ies", "ied", "es", "ed", "s")
_EMPTY = frozenset(
    ["a", "an", "and", "are", "as", "at", "be", "but", "by", "can", "do", "does", "for", "from", "get", "has", "have", "hello",
     "hi", "i", "if", "in", "is", "it", "me", "my", "no", "not", "of", "on", "or", "our", "please", "so", "thank", "thanks",
     "that", "the", "their", "there", "they", "this", "to", "was", "we", "when", "will", "with", "would", "you", "your"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Match(Generic[Key]):
    """One candidate and how alike it is, from 0 (nothing in common) to 1 (the same words)."""

    key: Key
    score: float


def similar(
    text: str, candidates: Mapping[Key, str], *, least: float = 0.15, most: int = 5
) -> list[Match[Key]]:  # fmt: skip
    """The candidates that are most like a text, best first, none below `least`; equal ones in the order of the candidates."""
    asked = _grams(text)
    found = {key: _grams(one) for key, one in candidates.items()}
    if not asked or not found:
        return []
    among = Counter(gram for grams in (*found.values(), asked) for gram in grams)
    total = len(found) + 1
    rarity = {gram: math.log(1 + total / seen) for gram, seen in among.items()}
    wanted = _weights(asked, rarity)
    scored = [Match(key, round(_cosine(wanted, _weights(grams, rarity)), 6)) for key, grams in found.items()]
    return sorted((one for one in scored if one.score >= least), key=lambda one: -one.score)[:most]


def terms(text: str, most: int = 30) -> list[str]:
    """The words of a text to look for in a full-text index: the first different ones that carry meaning, as they are written."""
    seen: dict[str, None] = {}
    for word in _WORD.findall(text[:LONGEST].lower()):
        if word not in _EMPTY and len(word) > 1:
            seen.setdefault(word)
    return list(seen)[:most]


def _grams(text: str) -> Counter[str]:
    words = [_stem(word) for word in _WORD.findall(text[:LONGEST].lower()) if word not in _EMPTY]
    return Counter([*words, *(f"{one} {two}" for one, two in pairwise(words))])


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            return word[: -len(ending)]
    return word


def _weights(grams: Counter[str], rarity: Mapping[str, float]) -> dict[str, float]:
    weighted = {gram: (1 + math.log(count)) * rarity[gram] for gram, count in grams.items()}
    length = math.sqrt(math.fsum(one * one for one in weighted.values()))
    return {gram: one / length for gram, one in weighted.items()} if length else {}


def _cosine(one: Mapping[str, float], two: Mapping[str, float]) -> float:
    return min(1.0, math.fsum(weight * two[gram] for gram, weight in one.items() if gram in two))
