"""What a survey measures is told by Qualtrics' own mark, by its words, or by the settings; never by guessing consent."""

from typing import Any

import msgspec
import pytest

from cxbridge.plugins.qualtrics import wire
from cxbridge.plugins.qualtrics.questions import Instrument, instrument, plain, questions

from .conftest import AGREED, NPS, SURVEY, WORDS, definition, rated, settings


def read(*asked: dict[str, Any], **rule: Any) -> Instrument:
    rules = settings(surveys={SURVEY: rule} if rule else {}).rules
    return instrument(SURVEY, questions(msgspec.convert(definition(*asked), wire.Definition)), rules)


def test_nps_is_what_qualtrics_marks_so() -> None:
    found = read(rated("How satisfied are you?"), WORDS, NPS)
    assert (found.metric, found.question, found.scale, found.direction) == ("nps", "QID1", (0.0, 10.0), "up")
    assert found.verbatim == "QID2"
    assert found.questions[0].text == "How likely are you to recommend us?"


@pytest.mark.parametrize(
    ("asked", "metric", "scale", "direction"),
    [
        (rated("How satisfied are you?"), "csat", (1.0, 5.0), "up"),
        (rated("Rate us", tag="CSAT"), "csat", (1.0, 5.0), "up"),
        (
            rated("Overall satisfaction", labels=("Very satisfied", "Fine", "Very dissatisfied")),
            "csat",
            (1.0, 3.0),
            "down",
        ),
        (
            rated("Wie zufrieden sind Sie?", labels=("sehr zufrieden", "geht", "unzufrieden")),
            "csat",
            (1.0, 3.0),
            "down",
        ),
        (
            rated("It was easy to get help", labels=("Strongly disagree", "Neither", "Strongly agree")),
            "ces",
            (1.0, 3.0),
            "up",
        ),
        (rated("How much effort was it?", labels=("Hardly any", "Some", "A lot of effort")), "ces", (1.0, 3.0), "down"),
        (rated("x", tag="Q7_CES"), None, None, "up"),
        (rated("CES"), "ces", (1.0, 5.0), "up"),
    ],
)
def test_csat_and_ces_are_told_by_words(asked: dict[str, Any], metric: Any, scale: Any, direction: str) -> None:
    found = read(asked)
    assert (found.metric, found.scale, found.direction) == (metric, scale, direction)


def test_the_recode_counts_and_not_the_number_of_the_choice() -> None:
    recoded = rated(
        "How satisfied are you?", labels=("No", "So so", "Yes"), RecodeValues={"1": "10", "2": "20", "3": "30"}
    )
    found = read(recoded)
    assert found.scale == (10.0, 30.0)
    asked = found.asked("QID3")
    assert asked is not None
    assert asked.codes["20"] == "So so"


@pytest.mark.parametrize(
    "asked",
    [
        rated("Are you satisfied?", Selector="MAVR"),
        rated("Which were you satisfied with?", QuestionType="RO"),
        rated("Satisfied?", labels=[str(at) for at in range(12)]),
        rated("Please satisfy my curiosity"),
        rated("Do you like us?"),
        rated("Is there a programme for customer satisfaction?", labels=("Yes", "No")),
    ],
)
def test_what_is_no_rating_is_not_taken_for_one(asked: dict[str, Any]) -> None:
    assert read(asked).metric is None


def test_a_matrix_of_one_row_and_a_slider_have_a_key_of_their_own() -> None:
    columns = {"1": {"Display": "bad"}, "2": {"Display": "so so"}, "3": {"Display": "good"}}
    matrix = rated("Satisfaction", QuestionType="Matrix", Choices={"1": {"Display": "the help"}}, Answers=columns)
    assert read(matrix).question == "QID3_1"
    slider = rated("Effort", QuestionType="Slider", Choices={"1": {"Display": ""}})
    assert (read(slider).question, read(slider).scale) == ("QID3_1", (0.0, 100.0))


def test_the_settings_win() -> None:
    found = read(
        NPS, rated("x"), WORDS, metric="csat", question="QID3", direction="down", verbatim="QID2", scale=(1, 5)
    )
    assert (found.metric, found.question, found.direction, found.problems) == ("csat", "QID3", "down", ())


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"metric": "csat", "question": "QID9"}, "has no question QID9"),
        ({"verbatim": "QID8"}, "has no question QID8"),
        ({"contact_ok": "QID7"}, "has no question QID7"),
        ({"metric": "ces"}, "no question that looks like ces"),
        ({"metric": "csat", "question": "QID3", "scale": (1, 7)}, "codes from 1 to 5"),
        ({"metric": "csat", "question": "QID2"}, "scale of QID2"),
    ],
)
def test_settings_that_do_not_fit_the_survey_are_told(rule: dict[str, Any], told: str) -> None:
    (problem,) = read(NPS, WORDS, rated("x"), **rule).problems
    assert told in problem
    assert f"{SURVEY}" in problem


def test_consent_is_never_guessed_from_words() -> None:
    assert read(AGREED).contact_ok == "contactOk", "the embedded data of that name, which nobody may have set"
    assert read({**AGREED, "DataExportTag": "CONTACTOK"}).contact_ok == "QID5"
    assert read(AGREED, contact_ok="QID5").contact_ok == "QID5"


def test_a_definition_in_odd_forms_is_read_as_far_as_it_goes() -> None:
    told = definition(NPS)
    told["Questions"]["QID8"] = {"QuestionID": "QID8", "QuestionText": ["not", "text"]}
    found = questions(msgspec.convert(told, wire.Definition))
    assert [one.id for one in found] == ["QID1"]
    assert questions(msgspec.convert(definition(), wire.Definition)) == ()


def test_plain_words() -> None:
    assert plain('<span style="x">Pr&uuml;fung</span><br>&amp; mehr') == "Prüfung & mehr"
    assert plain(None) == ""
