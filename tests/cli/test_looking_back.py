"""`runs`, `why` and `why-not`: what happened, over all systems, and why something did not."""

from pathlib import Path

from tests.cli.conftest import Cxbridge


def test_runs_are_listed_newest_first(cxbridge: Cxbridge, played: Path) -> None:
    listed = cxbridge("runs", "list", "--recipe", "escalation-to-jira", "--json").data
    assert len(listed) == 26
    assert [one["id"] for one in listed] == sorted((one["id"] for one in listed), reverse=True)
    held = cxbridge("runs", "list", "--state", "held", "--json").data
    assert {one["state"] for one in held} == {"held"}
    assert "priority" in held[0]["reason"]
    assert len(cxbridge("runs", "list", "--limit", "3").out.splitlines()) == 4
    assert cxbridge("runs", "list", "--recipe", "none", "--json").data == []


def test_a_run_is_shown_with_what_was_sent_and_answered(cxbridge: Cxbridge, played: Path) -> None:
    run = _run_of(cxbridge, "zendesk/tickets/4142")
    shown = cxbridge("runs", "show", run, "--json").data
    steps = [one["step"] for one in shown["deliveries"]]
    assert steps == ["issue", "join", "join", "note"]
    assert shown["deliveries"][0]["receipts"][0]["source_key"].startswith("ENG-")
    words = cxbridge("runs", "show", run).out
    assert "jira issue.ensure" in words
    assert "project = ENG" in words


def test_a_run_that_joined_an_issue_says_so(cxbridge: Cxbridge, played: Path) -> None:
    """4142 is a problem, 4182 one of its incidents: they share an issue, and the first of them made it."""
    words = cxbridge("runs", "show", _run_of(cxbridge, "zendesk/tickets/4182")).out
    assert "joined the one made earlier" in words


def test_a_run_that_is_not(cxbridge: Cxbridge, played: Path) -> None:
    ended = cxbridge("runs", "show", "run_nothing")
    assert ended.code == 65
    assert "cxbridge runs list" in ended.err


def test_why_tells_the_story_of_a_ticket_in_order(cxbridge: Cxbridge, played: Path) -> None:
    told = cxbridge("why", "4142", "--json").data
    assert told["ref"] == "zendesk/tickets/4142"
    assert [one["at"] for one in told["events"]] == sorted(one["at"] for one in told["events"])
    assert {one["what"] for one in told["events"]} >= {"change", "run", "delivery", "link"}
    assert {"jira", "zendesk"} <= {one["system"] for one in told["events"]}
    words = cxbridge("why", "zendesk:4142").out
    assert "issue.ensure" in words
    assert "escalated_to" in words


def test_why_of_an_issue_by_the_name_people_say(cxbridge: Cxbridge, played: Path) -> None:
    key = next(
        row["source_key"]
        for one in cxbridge("runs", "show", _run_of(cxbridge, "zendesk/tickets/4142"), "--json").data["deliveries"]
        for row in one["receipts"]
        if one["step"] == "issue"
    )
    told = cxbridge("why", key, "--json").data
    assert told["ref"].startswith("jira/issues/")
    assert cxbridge("why", told["ref"], "--json").data == told


def test_why_of_something_unknown(cxbridge: Cxbridge, played: Path) -> None:
    for text in ("99999999", "zendesk/tickets/99999999", "jira:4142"):
        ended = cxbridge("why", text)
        assert ended.code == 65
        assert text in ended.err
    assert cxbridge("why", "zendesk//4142").code in (64, 65)


def test_why_not_shows_each_condition_with_its_values(cxbridge: Cxbridge, played: Path) -> None:
    told = cxbridge("why-not", "escalation-to-jira", "4017", "--json").data
    assert told["acts"] is False
    assert [one["verdict"] for one in told["conditions"]] == [False, None, None, None]
    assert "needs-engineering" not in told["conditions"][0]["values"]["ticket.tags"]
    words = cxbridge("why-not", "escalation-to-jira", "4017").out.splitlines()
    assert words[0].startswith("escalation-to-jira did NOT act on zendesk:4017 at ")
    assert words[1].split()[:2] == ["✗", "asked_for"]
    assert words[2].strip() == "· not reached: right_tier, still_open, not_linked"


def test_why_not_of_one_that_was_escalated_names_its_run(cxbridge: Cxbridge, played: Path) -> None:
    words = cxbridge("why-not", "escalation-to-jira", "4142").out
    assert words.count("  ✓ ") == 3
    assert "✗ not_linked" in words
    assert "once_per" in words


def test_why_not_of_a_recipe_or_entity_that_is_not(cxbridge: Cxbridge, played: Path) -> None:
    assert cxbridge("why-not", "nothing", "4142").code == 78
    assert cxbridge("why-not", "escalation-to-jira", "nothing").code == 65


def _run_of(cxbridge: Cxbridge, subject: str) -> str:
    listed = cxbridge("runs", "list", "--json").data
    return next(str(one["id"]) for one in listed if one["subject"] == subject)
