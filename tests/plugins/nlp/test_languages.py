"""Languages of short answers, and that nothing is said of those nobody can tell."""

import pytest

from cxbridge.plugins import nlp
from cxbridge.plugins.nlp.languages import Teller


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("The invoice was wrong and nobody called me back.", "en"),
        ("Too slow", "en"),
        ("Wait time", "en"),
        ("nothing", "en"),
        ("It’s all good.", "en"),
        ("NothIng could be better", "en"),
        ("Sehr zufrieden, vielen Dank für die schnelle Hilfe", "de"),
        ("Nichts", "de"),
        ("Le support ne répond jamais", "fr"),
        ("Muy lento y nadie contesta", "es"),
        ("Troppo lento", "it"),
        ("Wszystko dobrze, dziękuję", "pl"),
        ("特にありません", "ja"),
        ("Всё хорошо, спасибо", "ru"),
    ],
)
def test_languages_of_answers(text: str, language: str) -> None:
    assert nlp.cxbridge_language(text) == language


@pytest.mark.parametrize("text", ["", "   ", "12345", "?!", "😀", "https://example.test/a", "a@example.test"])
def test_what_has_no_words_has_no_language(text: str) -> None:
    assert nlp.cxbridge_language(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "Nichts", "Alles gut", "Zu langsam", "Preis zu hoch", "Weiter so", "Keine Ahnung", "App stürzt ab", "Mehr Funktionen",
        "Rien", "Tout va bien", "Trop lent", "Service nul", "Parfait", "Bof", "Nada", "Todo bien", "Mal servicio", "Excelente",
        "Niente", "Tutto ok", "Pessimo", "Niets", "Slecht", "Bedankt", "Nic", "Za wolno", "Tudo bem", "Péssimo", "Inget", "Tack",
    ],
)  # fmt: skip
def test_a_short_answer_in_another_language_never_gets_a_score(text: str) -> None:
    found = nlp.cxbridge_sentiment(text, None, None)
    assert found is not None
    assert (found.label, found.score, found.complaint) == ("unknown", None, False)


def test_a_model_that_is_not_sure_says_nothing() -> None:
    def guessing(score: float, *languages: str) -> Teller:
        return Teller(lambda _: [{"lang": one, "score": score} for one in languages])

    assert guessing(0.39, "de", "fr").language("irgendwas") is None
    assert guessing(0.41, "de", "fr").language("irgendwas") == "de"
    assert guessing(0.19, "en", "fr").language("somethingelse") is None
    assert guessing(0.21, "en", "fr").language("somethingelse") == "en"
    # Known words decide where the model is unsure, or the text is too short for it.
    assert guessing(0.9, "fr", "en").language("wait time") == "en"
    assert guessing(0.9, "fr", "de").language("wait time") == "fr"
    assert Teller(lambda _: []).language("text") is None
    # Where English is expected, it takes more to say otherwise.
    assert guessing(0.79, "de", "fr").language("irgendwas", expected=True) == "en"
    assert guessing(0.81, "de", "fr").language("irgendwas", expected=True) == "de"
