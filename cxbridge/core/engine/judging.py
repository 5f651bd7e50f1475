"""How texts are judged: asks the plugins for sentiment and language and remembers their answers; has no opinion of its own."""

import math
from collections import OrderedDict
from collections.abc import Callable
from hashlib import blake2b
from threading import Lock
from typing import Any, Final

import msgspec

from cxbridge.core.canonical import Sentiment
from cxbridge.core.logs import structlog
from cxbridge.core.registry import Registry

_log = structlog.get_logger("cxbridge.judging")

UNKNOWN: Final = "unknown"
# What stands as the model's name where no plugin answered.
NO_MODEL = "none"
# Longer texts are judged by their beginning: a model's time must not depend on who pasted a log file.
LONGEST = 5_000
REMEMBERED = 4096


class Judge:
    """Sentiment and language of texts, through the hooks. Without a plugin that answers everything is unknown, never an error.

    Answers are kept in memory by the text's hash, the least used ones go first; an answer that failed is not kept. May be shared
    between threads.
    """

    def __init__(self, registry: Registry, *, remember: int = REMEMBERED) -> None:
        self._hooks = registry.hooks
        self._remember = remember
        self._answers: OrderedDict[bytes, Any] = OrderedDict()
        self._lock = Lock()
        self._told: set[str] = set()

    def sentiment(self, text: str, language: str | None = None, asked: str | None = None) -> Sentiment:
        """How a text reads. `language` is ISO 639-1 where it is known, `asked` the question that the text answers."""
        if not text.strip():
            return Sentiment(label=UNKNOWN, model=NO_MODEL, language=language)
        text, asked = text[:LONGEST], None if asked is None else asked[:LONGEST]
        answer = self._ask(
            ("sentiment", text, language, asked),
            lambda: _checked(self._hooks.cxbridge_sentiment(text=text, language=language, asked=asked)),
        )
        return answer if isinstance(answer, Sentiment) else Sentiment(label=UNKNOWN, model=NO_MODEL, language=language)

    def language(self, text: str) -> str:
        """The language of a text in ISO 639-1, or `unknown`."""
        if not text.strip():
            return UNKNOWN
        text = text[:LONGEST]
        answer = self._ask(("language", text), lambda: _named(self._hooks.cxbridge_language(text=text)))
        return UNKNOWN if answer is None else str(answer)

    def _ask(self, question: tuple[str | None, ...], hook: Callable[[], Any]) -> Any:
        key = blake2b(msgspec.msgpack.encode(question), digest_size=16).digest()
        with self._lock:
            if key in self._answers:
                self._answers.move_to_end(key)
                return self._answers[key]
        try:
            answer = hook()
        except Exception as error:  # noqa: BLE001  # whatever a plugin's model raises must not stop a recipe
            self._tell(str(question[0]), error)
            return None
        with self._lock:
            self._answers[key] = answer
            while len(self._answers) > self._remember:
                self._answers.popitem(last=False)
        return answer

    def _tell(self, hook: str, error: Exception) -> None:
        """Once per sort of failure: a model that is broken is broken for every text. The text itself is never logged."""
        sort = f"{hook}: {type(error).__name__}"
        with self._lock:
            known = sort in self._told
            self._told.add(sort)
        if not known:
            _log.error(
                "judging.failed", hook=f"cxbridge_{hook}", error=type(error).__name__, told="texts count as unknown"
            )


def _checked(answer: Any) -> Sentiment | None:
    """What a plugin gave, if it is a judgement; an unknown text never has a score, whatever the plugin says."""
    if answer is None:
        return None
    if not isinstance(answer, Sentiment):
        raise TypeError(f"cxbridge_sentiment gives a Sentiment or None, not {type(answer).__name__}")
    if answer.label == UNKNOWN:
        return msgspec.structs.replace(answer, score=None, complaint=False)
    if answer.score is not None and not (math.isfinite(answer.score) and -1 <= answer.score <= 1):
        raise ValueError("a sentiment's score runs from -1 to 1")
    return answer


def _named(answer: Any) -> str | None:
    if answer is not None and not isinstance(answer, str):
        raise TypeError(f"cxbridge_language gives a text or None, not {type(answer).__name__}")
    return answer
