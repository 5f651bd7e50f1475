"""How well texts are judged: label and complaint against what people said of them, on texts that nothing was tuned on.

`python -m benchmarks sentiment [--tuned] [SHARED]`: SHARED is the folder of recorded material, beside the checkout by default.
A text belongs to the tuned half or to the measured one by the hash of its words, so that the same answer is never in both.
Every text goes the whole way: through the hook, its language untold. One whose language cannot be told counts as a wrong answer.
"""

import csv
import gzip
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from time import perf_counter

from cxbridge.core.canonical import Sentiment
from cxbridge.core.engine.judging import Judge
from cxbridge.core.registry import Registry

LABELS = ("positive", "neutral", "negative")
# Raters gave -4 to 4; a mean this close to 0 is neither good nor bad.
NEUTRAL = 0.5


@dataclass(frozen=True, slots=True)
class Labelled:
    """A text, what people said of it, and the question that it answers, where that was kept."""

    text: str
    label: str
    asked: str | None = None


@dataclass(frozen=True, slots=True)
class Measured:
    """What came out on one set. A complaint is a text that people called negative; a false alarm one that they did not."""

    texts: int
    f1: Mapping[str, float]
    recall: float
    false_alarms: float
    unknown: int

    @property
    def macro_f1(self) -> float:
        """The mean over the labels that people gave, each counting the same however rare it is."""
        return fmean(self.f1.values())


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as body:
        yield from csv.DictReader(body)


def answers(data: Path) -> list[Labelled]:
    """Answers to the Friends and Family Test with their question; people labelled them 1 (very positive) to 5 (very negative)."""
    labels = {"1": "positive", "2": "positive", "3": "neutral", "4": "negative", "5": "negative"}
    return [
        Labelled(row["FFT answer"], labels[row["Comment sentiment"]], row["FFT question"])
        for row in _rows(data / "feedback/nhs_fft_v6.csv.gz")
        if row["Comment sentiment"] in labels
    ]


def older_answers(data: Path) -> list[Labelled]:
    """Answers of an earlier round, without their question. Criticality 0 is left out: there it mostly means "not rated"."""
    return [
        Labelled(row["feedback"], "negative" if row["criticality"].startswith("-") else "positive")
        for row in _rows(data / "feedback/nhs_fft_phase1.csv.gz")
        if re.fullmatch(r"-?[1-5]", row["criticality"])
    ]


def rated(data: Path, name: str) -> list[Labelled]:
    """Sentences with the mean of ten raters."""
    found = []
    with gzip.open(data / f"sentiment/{name}_GroundTruth.tsv.gz", "rt", encoding="utf-8") as body:
        for line in body:
            _, mean, text = line.rstrip("\n").split("\t", 2)
            value = float(mean)
            label = "positive" if value > NEUTRAL else "negative" if value < -NEUTRAL else "neutral"
            found.append(Labelled(text, label))
    return found


SETS: Mapping[str, Callable[[Path], list[Labelled]]] = {
    "survey answers with their question": answers,
    "survey answers, good or bad only": lambda data: [one for one in answers(data) if one.label != "neutral"],
    "older survey answers, good or bad": older_answers,
    "tweets": lambda data: rated(data, "tweets"),
    "product reviews, by sentence": lambda data: rated(data, "amazonReviewSnippets"),
}


def tuned(text: str) -> bool:
    """Whether a text is of the half by which words and weights were chosen."""
    return sha256(" ".join(text.lower().split()).encode()).digest()[0] % 2 == 0


def measure(texts: Iterable[Labelled], judge: Callable[[Labelled], Sentiment]) -> Measured:
    """Hold judgements against what people said."""
    pairs = [(one.label, judge(one)) for one in texts]
    given = [label for label in LABELS if any(said == label for said, _ in pairs)]
    bad = [found.complaint for said, found in pairs if said == "negative"]
    rest = [found.complaint for said, found in pairs if said != "negative"]
    return Measured(
        texts=len(pairs),
        f1={label: _f1(label, [(said, found.label) for said, found in pairs]) for label in given},
        recall=fmean(bad) if bad else 0.0,
        false_alarms=fmean(rest) if rest else 0.0,
        unknown=sum(found.label == "unknown" for _, found in pairs),
    )


def _f1(label: str, pairs: Sequence[tuple[str, str]]) -> float:
    right = sum(said == found == label for said, found in pairs)
    wrong = sum((said == label) != (found == label) for said, found in pairs)
    return 2 * right / (2 * right + wrong) if right else 0.0


def through_the_hook() -> Callable[[Labelled], Sentiment]:
    """A judge as the engine has it, with the plugins that come with cxbridge."""
    judge = Judge(Registry.load([]), remember=0)
    return lambda one: judge.sentiment(one.text, None, one.asked)


def told(name: str, found: Measured) -> str:
    """One line of the table."""
    labels = " ".join(f"{label[:3]} {value:.2f}" for label, value in found.f1.items())
    return (
        f"{name:36} {found.texts:5} texts  macro-F1 {found.macro_f1:.3f} ({labels})  "
        f"complaints found {found.recall:.3f}, false alarms {found.false_alarms:.3f}, language unknown {found.unknown}"
    )


def main(words: Sequence[str] = ()) -> None:
    """Print the figures of every set, and how long a text takes."""
    places = [word for word in words if word != "--tuned"]
    shared = Path(places[0]) if places else Path(__file__).resolve().parents[2] / "shared"
    data = shared / "data/datasets"
    if not data.is_dir():
        print(f"not measured: there is no recorded material in {shared}; name its folder")
        return
    half = "--tuned" in words
    judge = through_the_hook()
    print("the half that words and weights were chosen by" if half else "the half that nothing was tuned on")
    began, count = perf_counter(), 0
    for name, read in SETS.items():
        texts = [one for one in read(data) if tuned(one.text) is half]
        print(told(name, measure(texts, judge)), flush=True)
        count += len(texts)
    print(f"{(perf_counter() - began) / count * 1000:.2f} ms per text, language and sentiment")


if __name__ == "__main__":
    main(sys.argv[1:])
