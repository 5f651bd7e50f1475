"""Writing: what is sent, what is not sent because it is so already, and how an earlier write is found again."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import adf

from .conftest import API, DOING, DONE, LABEL, MARKER, REVIEW, SITE, TO_DO, answer, comment, doc, issue

SEARCH = f"{API}/search/jql"
META = f"{API}/issue/createmeta"
GONE = {"errorMessages": ["Issue does not exist or you do not have permission to see it."], "errors": {}}
PRIORITIES = [{"id": "1", "name": "Highest"}, {"id": "2", "name": "High"}, {"id": "3", "name": "Medium"}]
TYPES = [
    {"id": "10005", "name": "Sub-task", "subtask": True},
    {"id": "10003", "name": "Task", "subtask": False},
    {"id": "10004", "name": "Bug", "subtask": False},
]


def field(name: str, kind: str = "string", **more: Any) -> dict[str, Any]:
    custom = {"custom": more.pop("custom")} if "custom" in more else {}
    return {
        "fieldId": name,
        "key": name,
        "name": name.title(),
        "required": False,
        "hasDefaultValue": False,
        "schema": {"type": kind, **custom, **({"items": more.pop("items")} if "items" in more else {})},
        **more,
    }


SCREEN = [
    field("summary", required=True),
    field("description"),
    field("labels", "array", items="string"),
    field("priority", "priority", allowedValues=PRIORITIES),
    field(
        "customfield_10032",
        "option",
        allowedValues=[{"id": "10300", "value": "SEV1"}, {"id": "10301", "value": "SEV2"}],
    ),
    field("customfield_10033", "string"),
    field("customfield_10034", "string", custom="com.atlassian.jira.plugin.system.customfieldtypes:textarea"),
]


def screen(*without: str) -> dict[str, Any]:
    fields = [one for one in SCREEN if one["fieldId"] not in without]
    return {"startAt": 0, "maxResults": 200, "total": len(fields), "fields": fields}


def sent(desk) -> Any:
    """The body of the only write."""
    (request,) = desk.writes
    return json.loads(request.content)


def no_such_marker(desk) -> Any:
    return desk.router.get(SEARCH).mock(return_value=answer({"issues": [], "isLast": True}))


def create_screen(desk, *without: str, types: Any = TYPES) -> None:
    desk.router.get(f"{META}/ENG/issuetypes").mock(
        return_value=answer({"startAt": 0, "maxResults": 200, "total": len(types), "issueTypes": types})
    )
    desk.router.get(url__regex=f"{META}/ENG/issuetypes/1000.").mock(return_value=answer(screen(*without)))
    made = {"id": "10090", "key": "ENG-90", "self": f"{API}/issue/10090"}
    desk.router.post(f"{API}/issue").mock(return_value=answer(made, 201))


# issue.ensure


def test_a_new_issue_carries_its_marker_twice_in_one_call(desk) -> None:
    looked = no_such_marker(desk)
    create_screen(desk)
    inputs = cx.EnsureTicket(
        subject="Export\nstops",
        body="Reported by Globex.\n\n- step",
        project="ENG",
        type="bug",
        priority="urgent",
        severity="S2",
        labels=["vip customer", "export"],
        custom={"team": "Platform", "steps": "Click."},
    )
    receipt = desk.perform("issue.ensure", inputs)
    asked = looked.calls.last.request.url.params
    assert asked["jql"].startswith(f'project in ("ENG","OPS") AND labels = "{LABEL}"')
    assert asked["properties"] == "cxbridge.link"
    assert sent(desk) == {
        "fields": {
            "project": {"key": "ENG"},
            "issuetype": {"id": "10004"},
            "summary": "Export stops",
            "description": adf.from_text("Reported by Globex.\n\n- step"),
            "labels": [LABEL, "vip_customer", "export"],
            "priority": {"id": "1"},
            "customfield_10032": {"id": "10301"},
            "customfield_10033": "Platform",
            "customfield_10034": doc("Click."),
        },
        "properties": [{"key": "cxbridge.link", "value": {"marker": MARKER}}],
    }
    assert receipt == cx.Receipt(
        stream="issues",
        key="10090",
        source_key="ENG-90",
        url=f"{SITE}/browse/ENG-90",
        made=("issues/10090",),
        wrote={
            "subject": "Export stops",
            "body_text": "Reported by Globex.\n\n- step",
            "type": "bug",
            "type_native": "Bug",
            "priority": "urgent",
            "priority_native": "Highest",
            "severity": "S2",
            "tags": ["vip_customer", "export"],
            "custom": {"team": "Platform", "steps": "Click."},
        },
    )


ENSURE = cx.Call(inputs=cx.EnsureTicket(subject="x", project="ENG"), marker=MARKER)


def asked_for_screens(desk) -> int:
    return sum(META in str(one.request.url) for one in desk.router.calls)


def test_what_may_be_created_is_asked_for_once_a_minute(desk, clock) -> None:
    no_such_marker(desk)
    create_screen(desk)
    action = desk.action("issue.ensure")
    for _ in range(3):
        action.perform(desk.client, ENSURE)
    assert asked_for_screens(desk) == 2
    clock.advance(61)
    action.perform(desk.client, ENSURE)
    assert asked_for_screens(desk) == 4


def test_a_refusal_is_asked_about_once_more_where_what_was_kept_has_changed(desk) -> None:
    no_such_marker(desk)
    create_screen(desk)
    action = desk.action("issue.ensure")
    refused = answer({"errorMessages": [], "errors": {"priority": "It is not on the appropriate screen."}}, 400)
    made = answer({"id": "10091", "key": "ENG-91", "self": f"{API}/issue/10091"}, 201)
    urgent = cx.Call(inputs=cx.EnsureTicket(subject="x", project="ENG", priority="urgent"), marker=MARKER)
    action.perform(desk.client, urgent)
    # Somebody takes the priority off the screen.
    create_screen(desk, "priority")
    desk.router.post(f"{API}/issue").mock(side_effect=[refused, made, refused])
    told = action.perform(desk.client, urgent)
    assert told.source_key == "ENG-91"
    assert "the priority was left out" in told.told
    assert asked_for_screens(desk) == 4
    # Refused although nothing has changed: that is the last word, and Jira is not asked to create it again.
    with pytest.raises(cx.Rejected):
        action.perform(desk.client, urgent)
    assert asked_for_screens(desk) == 6
    assert (
        sum(one.request.method == "POST" and one.request.url.path.endswith("/issue") for one in desk.router.calls) == 4
    )


def test_a_project_that_is_gone_since_it_was_kept_is_named(desk) -> None:
    no_such_marker(desk)
    create_screen(desk)
    action = desk.action("issue.ensure")
    action.perform(desk.client, ENSURE)
    desk.router.post(f"{API}/issue").mock(
        return_value=answer({"errors": {"project": "valid project is required"}}, 400)
    )
    desk.router.get(f"{META}/ENG/issuetypes").mock(return_value=answer({"errorMessages": ["No project"]}, 404))
    with pytest.raises(cx.NotFound, match="project ENG is not visible to this account"):
        action.perform(desk.client, ENSURE)


def test_fields_that_the_screen_lacks_are_left_out_and_told(desk) -> None:
    no_such_marker(desk)
    create_screen(desk, "priority", "description", "customfield_10032", "customfield_10033")
    inputs = cx.EnsureTicket(
        subject="x",
        body="y",
        project="eng",
        priority="high",
        severity="S1",
        custom={"team": "a"},
        requester_email="mia@globex.example",
    )
    receipt = desk.perform("issue.ensure", inputs)
    assert set(sent(desk)["fields"]) == {"project", "issuetype", "summary", "labels"}
    for word in ("description", "priority", "severity", "team", "requester"):
        assert word in receipt.told
    assert set(receipt.wrote) == {"subject", "type", "type_native", "tags"}


@pytest.mark.parametrize(
    ("priority", "sends"),
    [
        ("normal", {"id": "3"}),
        ("Highest", {"id": "1"}),
        ("2", {"id": "2"}),
        ("none", None),
        ("low", None),
        ("P9", None),
    ],
)
def test_priorities_by_canonical_name_by_their_own_or_not_at_all(desk, priority: str, sends: Any) -> None:
    no_such_marker(desk)
    create_screen(desk)
    receipt = desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG", priority=priority))
    assert sent(desk)["fields"].get("priority") == sends
    assert ("is not offered, only Highest, High, Medium" in receipt.told) == (sends is None and priority != "none")


@pytest.mark.parametrize(
    ("kind", "offers", "made", "told"),
    [
        ("bug", TYPES, "10004", ""),
        (None, TYPES, "10003", ""),
        ("incident", TYPES, "10003", "ENG has no type for incident: used Task"),
        ("incident", [{"id": "10009", "name": "[System] Incident"}], "10009", ""),
        ("bug", [{"id": "10008", "name": "Epic"}], "10008", "ENG has no type Bug: used Epic"),
    ],
)
def test_types_fall_back_to_what_the_project_has(desk, kind: Any, offers: Any, made: str, told: str) -> None:
    no_such_marker(desk)
    create_screen(desk, types=offers)
    receipt = desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG", type=kind))
    assert sent(desk)["fields"]["issuetype"] == {"id": made}
    assert receipt.told == told


def test_many_types_and_fields_are_paged_through(desk) -> None:
    no_such_marker(desk)
    desk.router.get(f"{META}/ENG/issuetypes").mock(
        side_effect=[
            answer({"startAt": 0, "total": 3, "issueTypes": TYPES[:1]}),
            answer({"startAt": 1, "total": 3, "issueTypes": TYPES[1:]}),
        ]
    )
    fields = screen()["fields"]
    paged = desk.router.get(f"{META}/ENG/issuetypes/10004").mock(
        side_effect=[
            answer({"startAt": 0, "total": len(fields), "fields": fields[:5]}),
            answer({"startAt": 5, "total": len(fields), "fields": fields[5:]}),
        ]
    )
    desk.router.post(f"{API}/issue").mock(return_value=answer({"id": "1", "key": "ENG-1"}, 201))
    desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG", type="bug", custom={"team": "a"}))
    assert [call.request.url.params["startAt"] for call in paged.calls] == ["0", "5"]
    assert sent(desk)["fields"]["customfield_10033"] == "a"


def test_an_issue_that_could_not_be_found_again_is_not_made(desk) -> None:
    no_such_marker(desk)
    create_screen(desk, "labels")
    with pytest.raises(cx.Rejected, match="Labels"):
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))
    assert desk.writes == []


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({}, "must name a project, one of ENG, OPS"),
        ({"project": "SUP"}, "SUP is not read by this connection"),
        ({"project": "ENG", "custom": {"colour": "red"}}, "no field is called colour"),
    ],
)
def test_what_the_connection_does_not_know_is_refused_before_anything_is_sent(
    desk, changed: Any, sentence: str
) -> None:
    no_such_marker(desk)
    create_screen(desk)
    with pytest.raises(cx.Rejected, match=sentence):
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", **changed))
    assert desk.writes == []


@pytest.mark.parametrize(
    "reply", [answer(GONE, 404), answer({"issueTypes": [], "total": 0}), answer({"issueTypes": TYPES[:1]})]
)
def test_a_project_in_which_nothing_may_be_made_is_named(desk, reply: httpx.Response) -> None:
    no_such_marker(desk)
    desk.router.get(f"{META}/ENG/issuetypes").mock(return_value=reply)
    with pytest.raises(cx.Rejected, match=r'ENG.*"Create issues" permission'):
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))


def test_a_severity_that_cannot_be_set_is_left_out_and_told(desk, connect) -> None:
    for one, reason in ((desk, "S4 is not offered"), (connect(), "no field is named for it")):
        no_such_marker(one)
        create_screen(one)
        receipt = one.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG", severity="S4"))
        assert "severity" not in receipt.wrote
        assert reason in receipt.told


def test_an_issue_that_cannot_be_read_is_not_written_to(desk) -> None:
    for body, problem in ((issue(duedate="soon"), "due date"), ({"key": "ENG-42"}, "required field id")):
        desk.router.get(f"{API}/issue/10042").mock(return_value=answer(body))
        with pytest.raises(cx.WireFormat, match=problem):
            desk.perform("issue.set", cx.SetTicket(subject="x"), "10042")
    assert desk.writes == []


def test_the_only_project_need_not_be_named(connect) -> None:
    desk = connect(projects=["ENG"])
    no_such_marker(desk)
    create_screen(desk)
    desk.perform("issue.ensure", cx.EnsureTicket(subject="x"))
    assert sent(desk)["fields"]["project"] == {"key": "ENG"}


def marked(number: int, marker: str | None = MARKER, **fields: Any) -> dict[str, Any]:
    properties = {"cxbridge.link": {"marker": marker}} if marker else {}
    return {**issue(number, labels=[LABEL, "vip"], **fields), "properties": properties}


def test_an_earlier_issue_is_adopted_and_the_oldest_of_copies_wins(desk) -> None:
    rows = [marked(10051), marked(10050), marked(10049, None), marked(10048, "cxb:ffffffffffffffff")]
    desk.router.get(SEARCH).mock(return_value=answer({"issues": rows, "isLast": True}))
    receipt = desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))
    assert (receipt.key, receipt.changed, receipt.made) == ("10050", False, ("issues/10050",))
    assert receipt.wrote["tags"] == ["vip"]
    assert "ENG-51" in receipt.told
    assert desk.writes == []
    found = desk.find("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))
    assert found is not None
    assert (found.key, found.changed) == ("10050", True)


def test_for_an_issue_that_is_known_to_be_new_no_other_is_looked_for(desk) -> None:
    looked = no_such_marker(desk)
    create_screen(desk)
    [action] = [one for one in desk.jira.actions() if one.name == "issue.ensure"]
    inputs = cx.EnsureTicket(subject="x", project="ENG")
    assert action.perform(desk.client, cx.Call(inputs, MARKER, fresh=True)).key == "10090"
    assert sent(desk)["fields"]["labels"] == [LABEL]
    assert not looked.called


@pytest.mark.parametrize(
    ("answered", "planted"),
    [
        ({"issues": [], "isLast": True}, []),
        ({"issues": [{"id": "7", "fields": {"labels": ["vip", LABEL]}}], "isLast": True}, [MARKER]),
        ({"issues": [{"id": "7", "key": "ENG-7", "fields": {"labels": None}}], "nextPageToken": None}, []),
        ({"issues": [], "nextPageToken": "more", "isLast": False}, [MARKER, "cxb:ffffffffffffffff"]),
        ({"issues": [], "nextPageToken": "more"}, [MARKER, "cxb:ffffffffffffffff"]),
        ({"issues": [], "isLast": False}, [MARKER, "cxb:ffffffffffffffff"]),
    ],
)
def test_which_of_several_markers_some_issue_carries_is_asked_once(
    desk, answered: dict[str, Any], planted: list[str]
) -> None:
    looked = desk.router.get(SEARCH).mock(return_value=answer(answered))
    [action] = [one for one in desk.jira.actions() if one.name == "issue.ensure"]
    assert action.planted is not None
    assert list(action.planted(desk.client, [MARKER, "cxb:ffffffffffffffff"])) == planted
    [call] = looked.calls
    assert dict(call.request.url.params) == {
        "jql": f'project in ("ENG","OPS") AND labels in ("{LABEL}","cxb-ffffffffffffffff")',
        "fields": "labels",
        "maxResults": "100",
    }


def test_finding_nothing_finds_nothing(desk) -> None:
    no_such_marker(desk)
    assert desk.find("issue.ensure", cx.EnsureTicket(subject="x", project="ENG")) is None


def test_a_search_that_leaves_out_properties_is_asked_for_them_one_by_one(desk) -> None:
    desk.router.get(SEARCH).mock(return_value=answer({"issues": [issue(10050), issue(10051)], "isLast": True}))
    desk.router.get(f"{API}/issue/10050/properties/cxbridge.link").mock(return_value=answer(GONE, 404))
    held = {"key": "cxbridge.link", "value": {"marker": MARKER}}
    desk.router.get(f"{API}/issue/10051/properties/cxbridge.link").mock(return_value=answer(held))
    found = desk.find("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))
    assert found is not None
    assert found.key == "10051"


@pytest.mark.parametrize("name", ["ENG-42", " eng-42 ", f"{SITE}/browse/ENG-42"])
def test_an_issue_that_is_named_is_taken_as_it_is(desk, name: str) -> None:
    desk.router.get(f"{API}/issue/ENG-42").mock(return_value=answer(issue()))
    receipt = desk.perform("issue.ensure", cx.EnsureTicket(subject="x", match=name))
    assert (receipt.key, receipt.source_key, receipt.changed, receipt.made) == ("10042", "ENG-42", False, ())
    assert desk.writes == []


@pytest.mark.parametrize(
    ("name", "reply", "error", "sentence"),
    [
        ("ENG-43", answer(GONE, 404), cx.NotFound, "there is no issue ENG-43"),
        ("ENG-43", answer(issue(project={"id": "9", "key": "SUP"})), cx.Rejected, "is in SUP, which"),
        ("../myself", answer({}), cx.Rejected, "is neither"),
        ("ENG-42?x=1", answer({}), cx.Rejected, "is neither"),
    ],
)
def test_an_issue_that_is_named_must_be_there(desk, name: str, reply: Any, error: Any, sentence: str) -> None:
    desk.router.get(f"{API}/issue/ENG-43").mock(return_value=reply)
    with pytest.raises(error, match=sentence):
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", match=name))


def test_a_refused_creation_names_the_fields(desk) -> None:
    no_such_marker(desk)
    create_screen(desk)
    refusal = {"errorMessages": [], "errors": {"customfield_10033": "Team is required.", "customfield_99": "Set it."}}
    desk.router.post(f"{API}/issue").mock(return_value=answer(refusal, 400))
    with pytest.raises(cx.Rejected, match=r"customfield_10033 \(team\): Team is required; customfield_99: Set it"):
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))


def test_an_unanswered_creation_is_of_unknown_fate(desk) -> None:
    no_such_marker(desk)
    create_screen(desk)
    route = desk.router.post(f"{API}/issue").mock(side_effect=httpx.ReadTimeout("no answer"))
    with pytest.raises(cx.Retryable) as caught:
        desk.perform("issue.ensure", cx.EnsureTicket(subject="x", project="ENG"))
    assert caught.value.sent
    assert route.call_count == 1


# issue.set

EDIT = {one["fieldId"]: one for one in [*SCREEN, field("issuetype", "issuetype", allowedValues=TYPES)]}


def editable(desk, *without: str, **fields: Any) -> Any:
    meta = {"fields": {name: one for name, one in EDIT.items() if name not in without}}
    return desk.router.get(f"{API}/issue/10042").mock(return_value=answer({**issue(**fields), "editmeta": meta}))


def test_only_what_differs_is_sent_in_one_call(desk) -> None:
    read = editable(desk, labels=["old", LABEL, "kept"])
    after = issue(
        updated="2026-05-06T10:50:00.000+0200",
        summary="New",
        priority={"id": "2", "name": "High"},
        labels=[LABEL, "kept", "new"],
        customfield_10032={"id": "10300", "value": "SEV1"},
        customfield_10033="Core",
        issuetype={"id": "10003", "name": "Task"},
    )
    put = desk.router.put(f"{API}/issue/10042").mock(return_value=answer(after))
    inputs = cx.SetTicket(
        subject="New",
        priority="high",
        severity="S1",
        type="task",
        tags_add=["new", "kept"],
        tags_remove=["old", "absent", LABEL],
        custom={"team": "Core", "steps": None},
    )
    receipt = desk.perform("issue.set", inputs, "10042")
    assert read.calls.last.request.url.params["expand"] == "editmeta"
    assert put.calls.last.request.url.params["returnIssue"] == "true"
    assert sent(desk) == {
        "fields": {
            "summary": "New",
            "priority": {"id": "2"},
            "issuetype": {"id": "10003"},
            "customfield_10032": {"id": "10300"},
            "customfield_10033": "Core",
        },
        "update": {"labels": [{"remove": "old"}, {"add": "new"}]},
    }
    assert receipt.changed
    assert receipt.version == "1778057400000"
    assert receipt.wrote == {
        "subject": "New",
        "priority": "high",
        "priority_native": "High",
        "type": "task",
        "type_native": "Task",
        "severity": "S1",
        "tags": ["kept", "new"],
        "custom": {"team": "Core", "steps": None},
    }


@pytest.mark.parametrize("reply", [httpx.Response(204), httpx.Response(200, text="<html>"), answer({"id": "10042"})])
def test_a_bare_answer_to_an_edit_is_success_all_the_same(desk, reply: httpx.Response) -> None:
    editable(desk)
    desk.router.put(f"{API}/issue/10042").mock(return_value=reply)
    receipt = desk.perform("issue.set", cx.SetTicket(subject="New", tags_add=["a"]), "10042")
    assert receipt.changed
    assert receipt.wrote == {"subject": "New", "tags": ["a"]}


@pytest.mark.parametrize(
    "inputs",
    [
        cx.SetTicket(),
        cx.SetTicket(subject="Export job  stops at 40%", priority="normal", type="bug", status_category="new"),
        cx.SetTicket(priority="Medium", tags_remove=["absent"], custom={"team": None}),
    ],
)
def test_what_is_so_already_is_not_written(desk, inputs: cx.SetTicket) -> None:
    editable(desk)
    receipt = desk.perform("issue.set", inputs, "10042")
    assert (receipt.changed, receipt.wrote) == (False, {})
    assert desk.writes == []


def test_what_an_unanswered_try_may_have_set_is_told_as_written(desk) -> None:
    """Or else a person who sets it back, before it was pulled, would not be met."""
    editable(desk)
    inputs = cx.SetTicket(priority="Medium", type="bug", tags_remove=["absent"], custom={"team": None})
    again = cx.Call(inputs=inputs, marker=MARKER, target="10042", sent=datetime(2026, 5, 6, tzinfo=UTC))
    receipt = desk.action("issue.set").perform(desk.client, again)
    assert not receipt.changed
    assert receipt.wrote["priority_native"] == "Medium"
    assert list(receipt.wrote) == ["priority", "type", "priority_native", "type_native", "tags", "custom"]
    assert desk.writes == []


@pytest.mark.parametrize(
    ("inputs", "without", "sentence"),
    [
        (cx.SetTicket(priority="low"), (), "ENG-42 offers no priority low, only Highest, High, Medium"),
        (cx.SetTicket(priority="high"), ("priority",), "priority cannot be changed on ENG-42"),
        (cx.SetTicket(type="incident"), (), "ENG-42 can become no incident, only"),
        (cx.SetTicket(severity="S3"), (), "offers no severity S3, only SEV1, SEV2"),
        (cx.SetTicket(tags_add=["x"]), ("labels",), "labels cannot be changed"),
        (cx.SetTicket(custom={"colour": 1}), (), "no field is called colour"),
        (cx.SetTicket(custom={"team": "x"}), ("customfield_10033",), "customfield_10033 cannot be changed"),
        (cx.SetTicket(note="hi", note_visibility="internal"), (), "comment.add_once"),
        (cx.SetTicket(subject="New", status_category="resolved"), (), "issue.transition"),
    ],
)
def test_an_edit_that_cannot_be_done_is_refused_whole(desk, inputs: Any, without: Any, sentence: str) -> None:
    editable(desk, *without)
    with pytest.raises(cx.Rejected, match=sentence):
        desk.perform("issue.set", inputs, "10042")
    assert desk.writes == []


def test_a_severity_without_a_field_is_refused(connect) -> None:
    desk = connect()
    editable(desk)
    with pytest.raises(cx.Rejected, match="no field is configured for the severity"):
        desk.perform("issue.set", cx.SetTicket(severity="S1"), "10042")


def test_a_screen_may_offer_bare_names(desk) -> None:
    meta = {"fields": {"priority": field("priority", "priority", allowedValues=["Highest", "High"])}}
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer({**issue(), "editmeta": meta}))
    desk.router.put(f"{API}/issue/10042").mock(return_value=httpx.Response(204))
    desk.perform("issue.set", cx.SetTicket(priority="high"), "10042")
    assert sent(desk) == {"fields": {"priority": {"name": "High"}}}


def test_without_metadata_names_are_sent_as_they_are(desk) -> None:
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer(issue()))
    desk.router.put(f"{API}/issue/10042").mock(return_value=httpx.Response(204))
    desk.perform("issue.set", cx.SetTicket(priority="high", severity="S1", custom={"team": {"id": "5"}}), "10042")
    assert sent(desk)["fields"] == {
        "priority": {"name": "High"},
        "customfield_10032": {"value": "S1"},
        "customfield_10033": {"id": "5"},
    }


def test_a_priority_can_be_taken_away(desk) -> None:
    editable(desk)
    desk.router.put(f"{API}/issue/10042").mock(return_value=httpx.Response(204))
    receipt = desk.perform("issue.set", cx.SetTicket(priority="none"), "10042")
    assert sent(desk) == {"fields": {"priority": None}}
    assert receipt.wrote == {"priority": "none", "priority_native": None}


@pytest.mark.parametrize(
    ("kind", "more", "value", "sends"),
    [
        ("option", {}, "Red", {"value": "Red"}),
        ("option-with-child", {}, "EMEA > Poland", {"value": "EMEA", "child": {"value": "Poland"}}),
        ("array", {"items": "option"}, ["a", "b"], [{"value": "a"}, {"value": "b"}]),
        ("array", {"items": "string"}, "a", ["a"]),
        ("array", {"items": "user"}, [{"accountId": "a"}], [{"accountId": "a"}]),
        ("any", {}, ["a"], ["a"]),
        ("array", {"items": "version"}, ["2.7"], [{"name": "2.7"}]),
        ("number", {}, "4.5", 4.5),
        ("number", {}, 4, 4),
        ("user", {}, "users/712020:7bf4", {"accountId": "712020:7bf4"}),
        ("string", {}, 7, "7"),
        ("date", {}, "2026-06-01", "2026-06-01"),
        ("any", {}, {"id": "5"}, {"id": "5"}),
        ("string", {"custom": "x:textarea"}, "a\nb", adf.from_text("a\nb")),
    ],
)
def test_a_custom_value_is_written_as_its_field_wants_it(desk, kind: str, more: Any, value: Any, sends: Any) -> None:
    meta = {"fields": {"customfield_10033": field("customfield_10033", kind, **dict(more))}}
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer({**issue(), "editmeta": meta}))
    desk.router.put(f"{API}/issue/10042").mock(return_value=httpx.Response(204))
    desk.perform("issue.set", cx.SetTicket(custom={"team": value}), "10042")
    assert sent(desk)["fields"] == {"customfield_10033": sends}


def test_a_status_alone_goes_through_the_workflow(desk) -> None:
    editable(desk)
    offers = {"transitions": [move("11", DOING)]}
    desk.router.get(f"{API}/issue/10042/transitions").mock(return_value=answer(offers))
    desk.router.post(f"{API}/issue/10042/transitions").mock(return_value=httpx.Response(204))
    receipt = desk.perform(
        "issue.set", cx.SetTicket(status_category="in_progress", subject="Export job stops at 40%"), "10042"
    )
    assert sent(desk) == {"transition": {"id": "11"}}
    assert receipt.wrote == {"status_category": "in_progress", "status_native": "In Progress"}


# issue.transition


def move(number: str, to: Any, **more: Any) -> dict[str, Any]:
    return {
        "id": number,
        "name": f"to {to['name']}",
        "to": to,
        "hasScreen": False,
        "isAvailable": True,
        "fields": {},
        **more,
    }


RESOLUTIONS = [
    {"id": "10000", "name": "Done"},
    {"id": "10001", "name": "Won't Do"},
    {"id": "10002", "name": "Duplicate"},
]


def with_resolution(required: bool = False, default: bool = False, offers: Any = RESOLUTIONS) -> dict[str, Any]:
    meta = field("resolution", "resolution", allowedValues=offers, required=required, hasDefaultValue=default)
    return {"hasScreen": True, "fields": {"resolution": meta}}


def workflow(desk, status: Any, *steps: list[dict[str, Any]]) -> Any:
    """An issue in a status, and what its workflow offers each time it is asked."""
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer(issue(status=status)))
    offers = desk.router.get(f"{API}/issue/10042/transitions")
    offers.mock(side_effect=[answer({"transitions": step}) for step in steps])
    desk.router.post(f"{API}/issue/10042/transitions").mock(return_value=httpx.Response(204))
    return offers


def taken(desk) -> list[str]:
    return [json.loads(request.content)["transition"]["id"] for request in desk.writes]


def test_one_transition_with_the_resolution_that_its_screen_offers(desk) -> None:
    offers = workflow(desk, DOING, [move("21", TO_DO), move("31", DONE, **with_resolution())])
    receipt = desk.perform("issue.transition", cx.Transition(to="resolved", resolution="declined"), "10042")
    assert offers.calls.last.request.url.params["expand"] == "transitions.fields"
    assert sent(desk) == {"transition": {"id": "31"}, "fields": {"resolution": {"id": "10001"}}}
    assert receipt.wrote == {
        "status_category": "resolved",
        "status_native": "Done",
        "resolution": "declined",
        "resolution_native": "Won't Do",
    }


def test_a_resolution_that_no_screen_offers_is_told(desk) -> None:
    workflow(desk, DOING, [move("31", DONE)])
    receipt = desk.perform("issue.transition", cx.Transition(to="resolved", resolution="fixed"), "10042")
    assert sent(desk) == {"transition": {"id": "31"}}
    assert "resolution fixed was left out" in receipt.told


def test_a_required_resolution_that_nobody_named_is_fixed(desk) -> None:
    workflow(desk, DOING, [move("31", DONE, **with_resolution(required=True))])
    desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert sent(desk)["fields"] == {"resolution": {"id": "10000"}}


@pytest.mark.parametrize("required", [with_resolution(), with_resolution(required=True, default=True)])
def test_a_resolution_is_not_made_up_where_none_is_needed(desk, required: Any) -> None:
    workflow(desk, DOING, [move("31", DONE, **required)])
    desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert sent(desk) == {"transition": {"id": "31"}}


@pytest.mark.parametrize(
    ("status", "to"),
    [(TO_DO, "open"), (TO_DO, "new"), (DOING, "in_progress"), (DONE, "resolved"), (DONE, "closed")],
)
def test_an_issue_that_is_there_is_left_alone(desk, status: Any, to: Any) -> None:
    workflow(desk, status)
    receipt = desk.perform("issue.transition", cx.Transition(to=to), "10042")
    assert (receipt.changed, receipt.wrote) == (False, {})
    assert desk.writes == []


def test_statuses_with_an_override_are_told_apart(connect) -> None:
    desk = connect(status_overrides={"Closed": "closed", "Blocked": "waiting"})
    closed = {**DONE, "id": "10009", "name": "Closed"}
    workflow(desk, DONE, [move("41", closed)])
    assert desk.perform("issue.transition", cx.Transition(to="closed"), "10042").wrote["status_category"] == "closed"
    assert taken(desk) == ["41"]


def test_several_transitions_where_each_is_the_only_one_that_leads_on(desk) -> None:
    workflow(desk, TO_DO, [move("11", DOING)], [move("12", TO_DO), move("21", REVIEW)], [move("31", DONE)])
    receipt = desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert taken(desk) == ["11", "21", "31"]
    assert receipt.told == "by way of In Progress, In Review"


def test_a_finished_issue_is_taken_up_again_over_its_start(desk) -> None:
    workflow(desk, DONE, [move("41", TO_DO)], [move("11", DOING)])
    desk.perform("issue.transition", cx.Transition(to="in_progress"), "10042")
    assert taken(desk) == ["41", "11"]


BLOCKED = {**DOING, "id": "10007", "name": "Blocked"}


def test_two_ways_that_lead_on_are_not_guessed_at(desk) -> None:
    workflow(desk, TO_DO, [move("11", DOING), move("12", BLOCKED)])
    with pytest.raises(cx.Rejected, match=r"from To Do to resolved; the workflow offers In Progress, Blocked.*through"):
        desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert desk.writes == []


@pytest.mark.parametrize("named", ["in progress", "10001"])
def test_a_configured_status_may_be_passed_through(connect, named: str) -> None:
    desk = connect(through=["Elsewhere", named])
    workflow(desk, TO_DO, [move("12", BLOCKED), move("11", DOING)], [move("31", DONE)])
    desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert taken(desk) == ["11", "31"]


@pytest.mark.parametrize(
    ("status", "offers", "to"),
    [
        (DOING, [move("21", REVIEW)], "open"),
        (DOING, [move("31", DONE)], "waiting"),
        (DOING, [move("31", DONE, isAvailable=False)], "resolved"),
        (DOING, [move("31", DONE, fields={"customfield_1": field("customfield_1", required=True)})], "resolved"),
        (DOING, [move("31", DONE, **with_resolution(required=True, offers=[{"id": "1", "name": "完成"}]))], "resolved"),
        (DOING, [], "resolved"),
        (DONE, [], "unknown"),
    ],
)
def test_where_no_way_leads_nothing_is_moved(desk, status: Any, offers: Any, to: Any) -> None:
    workflow(desk, status, offers)
    with pytest.raises(cx.Rejected, match="no way leads ENG-42 from"):
        desk.perform("issue.transition", cx.Transition(to=to), "10042")
    assert desk.writes == []


def test_a_transition_without_a_screen_is_preferred(desk) -> None:
    workflow(desk, DOING, [move("31", DONE, **with_resolution()), move("32", DONE)])
    desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert taken(desk) == ["32"]


def test_a_walk_ends_after_four_transitions(desk) -> None:
    stages = [{**DOING, "id": str(number), "name": f"Stage {number}"} for number in range(9)]
    workflow(desk, TO_DO, *([move(str(number), stage)] for number, stage in enumerate(stages)))
    with pytest.raises(cx.Rejected, match="ENG-42 is not resolved after 4 transitions; it stands at Stage 3"):
        desk.perform("issue.transition", cx.Transition(to="resolved"), "10042")
    assert taken(desk) == ["0", "1", "2", "3"]


# comment.add_once

SERVICE_DESK = {"id": "10002", "key": "OPS", "name": "Operations", "projectTypeKey": "service_desk"}


def commented(desk, *rows: Any, project: Any = SERVICE_DESK, total: int | None = None) -> Any:
    desk.router.get(f"{API}/issue/10042").mock(return_value=answer(issue(project=project)))
    desk.router.post(f"{API}/issue/10042/comment").mock(return_value=answer(comment(10099), 201))
    page = {"startAt": 0, "maxResults": 100, "total": len(rows) if total is None else total, "comments": list(rows)}
    return desk.router.get(f"{API}/issue/10042/comment").mock(return_value=answer(page))


def test_an_internal_comment_says_so_in_the_call_that_makes_it(desk) -> None:
    listed = commented(desk)
    receipt = desk.perform(
        "comment.add_once", cx.AddComment(visibility="internal", body="Seen.\nLog attached."), "10042"
    )
    assert dict(listed.calls.last.request.url.params) == {
        "startAt": "0",
        "maxResults": "100",
        "orderBy": "-created",
        "expand": "properties",
    }
    assert sent(desk) == {
        "body": adf.from_text("Seen.\nLog attached."),
        "properties": [
            {"key": "cxbridge.marker", "value": {"marker": MARKER}},
            {"key": "sd.public.comment", "value": {"internal": True}},
        ],
    }
    assert receipt == cx.Receipt(
        stream="comments",
        key="10099",
        source_key="ENG-42",
        url=f"{SITE}/browse/ENG-42?focusedCommentId=10099",
        made=("comments/10099",),
        wrote={"ticket": "issues/10042", "body_text": "Seen.\nLog attached.", "visibility": "internal"},
    )


@pytest.mark.parametrize(("kind", "reads"), [("service_desk", "public"), ("software", "internal")])
def test_a_public_comment_reads_as_public_only_where_a_customer_sees_it(desk, kind: str, reads: str) -> None:
    commented(desk, project={**SERVICE_DESK, "projectTypeKey": kind})
    receipt = desk.perform("comment.add_once", cx.AddComment(visibility="public", body="Fixed."), "10042")
    assert [one["key"] for one in sent(desk)["properties"]] == ["cxbridge.marker"]
    assert receipt.wrote["visibility"] == reads


@pytest.mark.parametrize(
    ("inputs", "sentence"),
    [
        (cx.AddComment(visibility="restricted", body="x"), "group or role"),
        (cx.AddComment(visibility="internal", body=" \n"), "empty"),
    ],
)
def test_comments_that_jira_would_not_take(desk, inputs: cx.AddComment, sentence: str) -> None:
    commented(desk)
    with pytest.raises(cx.Rejected, match=sentence):
        desk.perform("comment.add_once", inputs, "10042")
    assert desk.writes == []


MINE = [{"key": "cxbridge.marker", "value": {"marker": MARKER}}]


def test_an_earlier_comment_is_found_and_not_repeated(desk) -> None:
    other = [{"key": "cxbridge.marker", "value": {"marker": "cxb:ffffffffffffffff"}}]
    commented(desk, comment(10008, properties=[]), comment(10007, properties=other), comment(10006, properties=MINE))
    inputs = cx.AddComment(visibility="public", body="Looking into it.")
    receipt = desk.perform("comment.add_once", inputs, "10042")
    assert (receipt.key, receipt.changed) == ("10006", False)
    assert desk.writes == []
    found = desk.find("comment.add_once", inputs, "10042")
    assert found is not None
    assert (found.key, found.changed, found.made) == ("10006", True, ("comments/10006",))
    assert found.wrote["visibility"] == "public"


def test_a_comment_that_cannot_be_read_might_be_the_one(desk) -> None:
    commented(desk, {"id": None})
    with pytest.raises(cx.WireFormat, match="a comment of issue 10042"):
        desk.find("comment.add_once", cx.AddComment(visibility="public", body="x"), "10042")


def test_where_properties_are_not_listed_they_are_asked_for(desk) -> None:
    commented(desk, comment(10007), comment(10006))
    desk.router.get(f"{API}/comment/10007/properties/cxbridge.marker").mock(return_value=answer(GONE, 404))
    desk.router.get(f"{API}/comment/10006/properties/cxbridge.marker").mock(return_value=answer(MINE[0]))
    found = desk.find("comment.add_once", cx.AddComment(visibility="public", body="x"), "10042")
    assert found is not None
    assert found.key == "10006"


def test_all_recent_comments_are_looked_through_and_no_more(desk) -> None:
    rows = [comment(20_000 + number, properties=[]) for number in range(100)]
    listed = commented(desk, *rows, total=5_000)
    assert desk.find("comment.add_once", cx.AddComment(visibility="public", body="x"), "10042") is None
    assert [call.request.url.params["startAt"] for call in listed.calls] == ["0", "100", "200", "300", "400"]


# link.ensure

LINK = cx.EnsureLink(
    system="zendesk",
    key="5512",
    ref="desk/tickets/5512",
    url="https://acme.zendesk.com/agent/tickets/5512",
    title="Export",
)
REMOTE = {
    "id": 10000,
    "globalId": "system=zendesk&id=5512",
    "application": {"type": "cxbridge", "name": "zendesk"},
    "relationship": "escalated to",
    "object": {"url": LINK.url, "title": "Export", "status": {"resolved": False}},
}
LINKS = f"{API}/issue/10042/remotelink"


@pytest.mark.parametrize(
    "held",
    [
        answer({"errorMessages": ["The remote issue link does not exist."], "errors": {}}, 404),
        answer([]),
        answer({**REMOTE, "object": {**REMOTE["object"], "title": "Old"}}),  # type: ignore[dict-item]  # a plain dictionary
        answer({**REMOTE, "object": {**REMOTE["object"], "status": {"resolved": True}}}),  # type: ignore[dict-item]  # likewise
    ],
)
def test_a_link_is_made_or_brought_up_to_date_whole(desk, held: httpx.Response) -> None:
    asked = desk.router.get(LINKS).mock(return_value=held)
    desk.router.post(LINKS).mock(return_value=answer({"id": 10000, "self": f"{LINKS}/10000"}, 201))
    receipt = desk.perform("link.ensure", LINK, "10042")
    assert asked.calls.last.request.url.params["globalId"] == "system=zendesk&id=5512"
    assert sent(desk) == {key: value for key, value in REMOTE.items() if key != "id"}
    assert (receipt.stream, receipt.key, receipt.changed) == ("issues", "10042", True)


@pytest.mark.parametrize("held", [REMOTE, [REMOTE]])
def test_a_link_that_is_so_already_is_left_alone(desk, held: Any) -> None:
    desk.router.get(LINKS).mock(return_value=answer(held))
    assert not desk.perform("link.ensure", LINK, "10042").changed
    assert desk.writes == []


def test_a_link_needs_an_address(desk) -> None:
    with pytest.raises(cx.Rejected, match="zendesk 5512 has no address"):
        desk.perform("link.ensure", cx.EnsureLink(system="zendesk", key="5512", ref="d/t/5512"), "10042")


# all of them


@pytest.mark.parametrize("name", ["issue.set", "issue.transition", "comment.add_once", "link.ensure"])
@pytest.mark.parametrize("target", [None, "", "../../myself", "10042/comment"])
def test_a_target_that_is_no_issue_is_refused(desk, name: str, target: str | None) -> None:
    inputs = {
        "issue.set": cx.SetTicket(subject="x"),
        "issue.transition": cx.Transition(to="open"),
        "comment.add_once": cx.AddComment(visibility="internal", body="x"),
        "link.ensure": LINK,
    }[name]
    with pytest.raises(cx.Rejected, match="is neither"):
        desk.perform(name, inputs, target)
    assert not desk.router.calls


def test_the_inputs_of_another_action_are_a_mistake_of_the_caller(desk) -> None:
    with pytest.raises(cx.PluginError, match="expected SetTicket"):
        desk.perform("issue.set", LINK, "10042")


def test_looking_for_earlier_writes_only_reads(connect) -> None:
    desk = connect(read_only=True)
    no_such_marker(desk)
    commented(desk)
    assert desk.find("issue.ensure", cx.EnsureTicket(subject="x", project="ENG")) is None
    assert desk.find("comment.add_once", cx.AddComment(visibility="public", body="x"), "10042") is None
