"""The closed-loop recipe over answers that real patients gave, loaded into the survey tool; prints what became of them.

The words, and what is wrong with a service, are real (NHS Friends and Family Test); who said them is made up here. Nothing of the
texts is printed. Who is right about an answer is decided here from the rows, and compared with what the vendors hold afterwards.
"""

import collections
import csv
import gzip
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cxbridge.core.engine.figures import figures
from cxbridge.core.store import planning
from tests.integration.five import DEPUTY, MAYA, Five, five

pytestmark = pytest.mark.shared

NPS, CSAT = "SV_relationNPS0001", "SV_supportCSAT0001"
RECIPE = "closed-loop-feedback"
COMPANIES, PEOPLE = 20, 200
# The companies' last one is known to the survey tool alone, and the one before has no owner.
UNKNOWN_COMPANY, OWNERLESS = COMPANIES - 1, COMPANIES - 2
FROM_CRITICALITY, FROM_RECOMMENDING = 1200, 800
EVERY_PARTIAL, EVERY_PREVIEW = 23, 41

# Complaints in languages that nobody here reads, as people write them into a survey whose language is set to English or to theirs.
ELSEWHERE = (
    ("Die Rechnung war schon wieder falsch und niemand ruft zurück.", "DE"),
    ("Wir warten seit drei Wochen auf eine Antwort vom Support.", "EN"),
    ("L'export échoue chaque nuit et personne ne nous répond.", "FR"),
    ("Nadie contesta y el informe sigue llegando vacío.", "EN"),
    ("请求已经两个星期没有人处理了。", "EN"),
    ("サポートからの返事がまったくありません。", "JA"),
    ("Tuki ei vastaa, ja raportti puuttuu edelleen.", "EN"),
    ("Никто не отвечает, отчёт приходит пустым.", "RU"),
)


class Answer(msgspec.Struct, frozen=True):
    """An answer: the row that is loaded, and what is right about it, found without asking the product."""

    row: dict[str, Any]
    person: int
    unhappy: bool
    counts: bool
    elsewhere: bool = False

    @property
    def company(self) -> int:
        return self.person % COMPANIES

    @property
    def agreed(self) -> bool:
        return agreed(self.person)

    @property
    def due(self) -> bool:
        """Whether somebody is to have a task about it."""
        return self.unhappy and self.counts and self.company != UNKNOWN_COMPANY


def agreed(person: int) -> bool:
    """Every second person agreed to be contacted; a quarter said no, and a quarter were not asked."""
    return person // COMPANIES % 2 == 0


def address(person: int) -> str:
    return f"p{person:03}@{domain(person % COMPANIES)}"


def domain(company: int) -> str:
    return f"voices{company:02}.test"


def answers(data: Path) -> list[Answer]:
    """Real answers, and a few of our own in other languages.

    How bad people found it becomes a score on the recommendation question: 7 + criticality, within 0 to 10, so that every complaint
    is a detractor and what is neither good nor bad is passive. Who was asked whether they recommend a service gave 1 (very good) to
    5 (very poor), or no opinion: that is 6 less their answer on the satisfaction question, or no score.
    """
    told: list[tuple[dict[str, Any], bool, bool]] = []
    for one in read(data / "nhs_fft_phase1.csv.gz"):
        if len(told) == FROM_CRITICALITY:
            break
        if re.fullmatch(r"-?[0-5]", one["criticality"]) and one["feedback"].strip():
            score = min(10, max(0, 7 + int(one["criticality"])))
            told.append(({"survey": NPS, "score": score, "verbatim": one["feedback"]}, score <= 6, False))
    for one in read(data / "nhs_fft_v6.csv.gz"):
        if len(told) == FROM_CRITICALITY + FROM_RECOMMENDING:
            break
        if one["FFT answer"].strip():
            given = int(one["FFT categorical answer"])
            scored = {"score": 6 - given} if given <= 5 else {}
            told.append(({"survey": CSAT, "verbatim": one["FFT answer"], **scored}, given in (4, 5), False))
    told += [
        ({"survey": NPS, "score": 2, "verbatim": words, "language": language}, True, True)
        for words, language in ELSEWHERE
    ]
    return [asked(number, *one) for number, one in enumerate(told)]


def asked(number: int, told: Mapping[str, Any], unhappy: bool, elsewhere: bool) -> Answer:
    """Say who gave an answer, and how far they came with it."""
    person = number * 7 % PEOPLE
    partial = not elsewhere and number % EVERY_PARTIAL == 0
    preview = not elsewhere and number % EVERY_PREVIEW == 0
    row: dict[str, Any] = {**told, "id": f"R_voice{number:010}", "email": address(person), "finished": not partial}
    row["status"] = 1 if preview else 0
    if agreed(person):
        row["contact_ok"] = True
    elif person % 2:
        row["contact_ok"] = False
    return Answer(row, person, unhappy, counts=not partial and not preview, elsewhere=elsewhere)


def read(file: Path) -> Iterator[dict[str, str]]:
    with gzip.open(file, "rt", encoding="utf-8", newline="") as rows:
        yield from csv.DictReader(rows)


def people() -> list[dict[str, Any]]:
    """Companies that the other tools know, all but one, and people whom the survey tool knows."""
    rows: list[dict[str, Any]] = []
    for number in range(COMPANIES):
        known = {"name": f"Voices {number:02}", "external_id": f"HL-V{number:02}"}
        if number != UNKNOWN_COMPANY:
            owner = {} if number == OWNERLESS else {"csm": MAYA}
            rows.append({"kind": "organization", **known, "domains": [domain(number)], "tier": "enterprise"})
            rows.append({"kind": "gainsight.company", **known, "arr": 1000, "score": 80, **owner})
    for number in range(PEOPLE):
        account = f"HL-V{number % COMPANIES:02}"
        name = f"Person {number}"
        rows.append({"kind": "qualtrics.contact", "name": name, "email": address(number), "account": account})
    return rows


@pytest.fixture
def data(shared_data: Path) -> Path:
    found = shared_data / "data/datasets/feedback"
    if not found.is_dir():
        pytest.skip(f"the recorded survey answers are not here: {found}")
    return found


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Five]:
    with five(tmp_path / "d") as staged:
        file = staged.folder / "recipes" / f"{RECIPE}.toml"
        text = file.read_text(encoding="utf-8")
        # Two thousand answers at once are more than the shipped limits let through without asking.
        for shipped, roomy in (
            ("writes_per_hour = 600", "writes_per_hour = 20000"),
            ("halt_if_matches = 200", "halt_if_matches = 2000"),
        ):
            assert shipped in text
            text = text.replace(shipped, roomy)
        file.write_text(text, encoding="utf-8")
        staged.load(*people())
        staged.cycle()
        assert staged.writes() == 0
        yield staged


def test_what_becomes_of_real_answers(stage: Five, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = answers(data)
    due = [one for one in said if one.due]
    assert len(said) == FROM_CRITICALITY + FROM_RECOMMENDING + len(ELSEWHERE)
    assert 300 < len(due) < 600
    stage.act("POST", "/qualtrics/responses/bulk", {"rows": [one.row for one in said]})
    stage.world.clock.advance(61)
    stage.cycle()

    everyone_has_a_task_who_is_to_have_one(stage, due)
    nobody_is_written_to_who_did_not_agree(stage)
    stopped = reasons(stage)
    # The first reason in the file is the one that counts: whoever stopped halfway is not asked how they felt.
    assert stopped["stopped: counted"] == sum(not one.counts for one in said)
    assert stopped["stopped: unhappy"] == sum(one.counts and not one.unhappy for one in said)
    held = [run for run in stage.runs(recipe=RECIPE, limit=5000) if run.state != "done"]
    assert {run.state for run in held} <= {"held"}
    assert all("is not known in gainsight yet" in run.reason for run in held)
    assert len(held) == sum(one.counts and one.unhappy and not one.due for one in said)
    moods = {one.row["id"]: mood(stage, one) for one in said}
    routed = read_in_tasks(stage)
    assert routed == {one.row["id"]: moods[one.row["id"]] for one in due}, "the owner reads what the judge says"
    assert all(moods[one.row["id"]] == "unknown" for one in said if one.elsewhere)

    # A second play, with the sweep of an hour later in it.
    stage.world.clock.advance(3700)
    stage.quiet()

    invited = ask_again(stage)
    people_of = {one.person for one in due if one.agreed}
    assert invited == {address(one): 1 for one in people_of}
    nobody_is_written_to_who_did_not_agree(stage)
    stage.world.clock.advance(3700)
    stage.quiet()
    with capsys.disabled():
        print(f"\n{told(stage, said, moods, stopped, len(held), len(invited))}", end="")


def everyone_has_a_task_who_is_to_have_one(stage: Five, due: list[Answer]) -> None:
    """As the vendors hold it: each answer names its own task, each owner has one message for each, nothing is there twice."""
    assigned = tasks_named_by_answers(stage)
    assert set(assigned) == {one.row["id"] for one in due}
    tasks = {one["Gsid"]: one for one in stage.tasks()}
    assert sorted(assigned.values()) == sorted(tasks)
    for one in due:
        assert f"Voices {one.company:02}" in tasks[assigned[one.row["id"]]]["Name"]
        assert f"May we write to them: {'yes' if one.agreed else 'no'}" in tasks[assigned[one.row["id"]]]["Comments"]
    owned = sum(one.company != OWNERLESS for one in due)
    posted = collections.Counter(one.detail["person"] for one in stage.effects("message.posted"))
    assert posted == {MAYA: owned, DEPUTY: len(due) - owned}
    wrote = collections.Counter(customers_written_to(stage))
    assert wrote == collections.Counter(address(one.person) for one in due if one.agreed)
    assert stage.summary()["duplicates"] == []


def tasks_named_by_answers(stage: Five) -> dict[str, str]:
    """The task that stands in the data of each answer, as the survey tool holds it."""
    with stage.world.lock:
        vendor: Any = stage.world.vendors["qualtrics"]
        held = {key: one.embedded.get("cxb_task", "") for key, one in vendor.state.responses.items()}
    return {key: named.rpartition("/")[2] for key, named in held.items() if named}


def nobody_is_written_to_who_did_not_agree(stage: Five) -> None:
    agreed_to = {address(number) for number in range(PEOPLE) if agreed(number)}
    assert set(customers_written_to(stage)) <= agreed_to


def customers_written_to(stage: Five) -> list[str]:
    """Every address that an integration sent something to: by ticket, public comment or invitation, by the vendors' journal."""
    found = [to for one in stage.effects("invitation.sent") for to in one.detail["to"]]
    with stage.world.lock:
        desk = stage.world.zendesk
        for one in (*stage.effects("ticket.created"), *stage.effects("comment.added")):
            if one.kind == "ticket.created" or one.detail.get("public"):
                requester = desk.users[desk.tickets[int(one.key)].requester_id]
                found.append(str(requester.email))
    return found


def reasons(stage: Five) -> dict[str, int]:
    """How many answers each condition stopped, as `cxbridge why-not` shows it."""
    with stage.bridge.store.read() as tx:
        return {what: one.n for what, one in planning.tallies(tx, RECIPE).items()}


def mood(stage: Five, one: Answer) -> str:
    """How an answer reads, in the language of its form, as the recipe asks it."""
    judge = stage.bridge.library.around.judge
    assert judge is not None
    read_as = judge.sentiment(one.row["verbatim"], one.row.get("language", "EN").lower())
    assert (read_as.score is None) is (read_as.label == "unknown")
    return read_as.label


def read_in_tasks(stage: Five) -> dict[str, str]:
    """The mood that stands in the task of each answer, with the model's name beside it."""
    of_task = {task: key for key, task in tasks_named_by_answers(stage).items()}
    found = {}
    for task in stage.tasks():
        match = re.search(r"Mood: (\w+) by cxbridge-nlp \d", task["Comments"])
        assert match is not None
        found[of_task[task["Gsid"]]] = match[1]
    return found


def ask_again(stage: Five) -> dict[str, int]:
    """All loops are closed; gives how often each person was then invited to answer again."""
    for task in stage.tasks():
        stage.act("PATCH", f"/gainsight/ctas/{task['Gsid']}", {"status": "Closed Success"})
    stage.world.clock.advance(60)
    for _ in range(3):
        stage.cycle()
    sent = [to for one in stage.effects("invitation.sent") for to in one.detail["to"]]
    return dict(collections.Counter(sent))


def told(
    stage: Five, said: list[Answer], moods: Mapping[str, str], stopped: Mapping[str, int], waiting: int, invited: int
) -> str:
    due = [one for one in said if one.due]
    agreeing = sum(one.agreed for one in due)
    partial = sum(not one.row["finished"] for one in said)
    previews = sum(one.row["finished"] and one.row["status"] == 1 for one in said)
    unscored = sum(one.counts and "score" not in one.row for one in said)
    found = figures(stage.bridge.store, stage.bridge.recipe(RECIPE), stage.clock)
    assert (found.answers, found.unhappy) == (sum(one.counts for one in said), len(due) + waiting)
    assert (found.opened, found.closed, found.loop_rate) == (len(due), len(due), 1.0)
    lines = [
        f"survey answers: {len(said)}, {len(said) - len(ELSEWHERE)} of them real",
        f"routed: {len(due)} tasks, as many messages to owners ({sum(one.company == OWNERLESS for one in due)} to the deputy)",
        f"suppressed: {stopped['stopped: unhappy']} are content or have no score ({unscored} of these)",
        f"suppressed: {stopped['stopped: counted']} do not count: {partial} partial, {previews} whole previews",
        f"suppressed: {waiting} wait for their account to be known",
        f"customers written to: {agreeing} of {len(due)} agreed; {len(due) - agreeing} did not, and were never contacted",
        f"asked again when the loop was closed: {invited} people, each once",
    ]
    for what, some in (("all answers", said), ("routed", due)):
        labels = collections.Counter(moods[one.row["id"]] for one in some)
        read_as = ", ".join(f"{label} {labels[label]}" for label in ("positive", "neutral", "negative", "unknown"))
        lines.append(f"read as ({what}): {read_as}")
    elsewhere = sum(one.elsewhere for one in said)
    lines.append(f"in a language that is not read: {elsewhere} of our own, all unknown and without a score, all routed")
    return "\n".join(lines)
