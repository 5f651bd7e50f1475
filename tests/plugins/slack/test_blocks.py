"""The form of a question, the form of an answered one, and what a press carries."""

from typing import Any

import msgspec
import pytest

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import blocks, wire

YES = cx.Button(label="Approve", choice="approve", style="primary")
NO = cx.Button(label="Decline", choice="decline")


def ask(**changed: Any) -> cx.Ask:
    return cx.Ask(**{"to": "alerts", "text": "Refund?", "approval": "apr-9f2c", "buttons": [YES, NO], **changed})


def test_a_question_is_text_fields_and_buttons() -> None:
    form = [
        cx.FormField(name="reason", type="choice", label="Reason", of=["outage", "goodwill"]),
        cx.FormField(name="amount", type="number"),
        cx.FormField(name="note", label="Anything else?", optional=True),
    ]
    assert blocks.question("Refund &lt;now&gt;?", ask(form=form)) == [
        {"type": "section", "block_id": "cxb_text_0", "text": {"type": "mrkdwn", "text": "Refund &lt;now&gt;?"}},
        {
            "type": "input",
            "block_id": "cxb_field:reason",
            "optional": False,
            "label": {"type": "plain_text", "text": "Reason"},
            "element": {
                "type": "static_select",
                "action_id": "reason",
                "options": [
                    {"text": {"type": "plain_text", "text": "outage"}, "value": "outage"},
                    {"text": {"type": "plain_text", "text": "goodwill"}, "value": "goodwill"},
                ],
            },
        },
        {
            "type": "input",
            "block_id": "cxb_field:amount",
            "optional": False,
            "label": {"type": "plain_text", "text": "amount"},
            "element": {"type": "number_input", "action_id": "amount", "is_decimal_allowed": True},
        },
        {
            "type": "input",
            "block_id": "cxb_field:note",
            "optional": True,
            "label": {"type": "plain_text", "text": "Anything else?"},
            "element": {"type": "plain_text_input", "action_id": "note", "max_length": 3000},
        },
        {
            "type": "actions",
            "block_id": "cxb_choices",
            "elements": [
                {
                    "type": "button",
                    "action_id": "cxb_button_0",
                    "text": {"type": "plain_text", "text": "Approve"},
                    "value": '{"approval":"apr-9f2c","choice":"approve"}',
                    "style": "primary",
                },
                {
                    "type": "button",
                    "action_id": "cxb_button_1",
                    "text": {"type": "plain_text", "text": "Decline"},
                    "value": '{"approval":"apr-9f2c","choice":"decline"}',
                },
            ],
        },
    ]


def test_long_texts_are_split_and_long_labels_cut() -> None:
    shown = blocks.question("word " * 1500, ask(buttons=[cx.Button(label="y" * 200, choice="y")]))
    assert [block["type"] for block in shown] == ["section", "section", "section", "actions"]
    assert all(len(block["text"]["text"]) <= 3000 for block in shown[:-1])
    assert shown[-1]["elements"][0]["text"]["text"] == "y" * 74 + "…"


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"buttons": []}, "1 to 25 buttons, not 0"),
        ({"buttons": [YES] * 26}, "1 to 25 buttons, not 26"),
        ({"buttons": [cx.Button(label="Yes", choice="")]}, "has no choice"),
        ({"buttons": [cx.Button(label="Yes", choice="y" * 2000)]}, "has no choice, or one that is too long"),
        ({"approval": ""}, "has no choice"),
        ({"buttons": [cx.Button(label=" ", choice="y")]}, "the button y has no label"),
        ({"form": [cx.FormField(name="a"), cx.FormField(name="a")]}, "each with a name of its own"),
        ({"form": [cx.FormField(name="a", type="choice")]}, "offers 0 choices"),
        ({"form": [cx.FormField(name="a", type="choice", of=["x"] * 101)]}, "offers 101 choices"),
        ({"form": [cx.FormField(name="a", type="choice", of=["x" * 76])]}, "longer than 75 characters"),
        (
            {
                "form": [
                    cx.FormField(name=f"f{n}", label="L" * 200, type="choice", of=["o" * 75] * 20) for n in range(5)
                ]
            },
            "too long for Slack",
        ),
    ],
)
def test_what_passes_a_limit_is_refused_before_it_is_sent(changed: dict[str, Any], sentence: str) -> None:
    with pytest.raises(cx.Rejected, match=sentence):
        blocks.question("Refund?", ask(**changed))


def row(text: str, shown: list[Any] | None) -> wire.Message:
    return wire.Message(ts="1741082130.004519", text=text, blocks=shown)


def test_an_answered_question_keeps_its_text_and_loses_its_buttons() -> None:
    asked = blocks.question("Refund?", ask(form=[cx.FormField(name="note")]))
    text, shown, done = blocks.settled(row("Refund?", asked), "*Approved* by Ana")
    assert not done
    assert text == "Refund?\n\n*Approved* by Ana"
    assert [(block["type"], block["text"]["text"]) for block in shown] == [
        ("section", "Refund?"),
        ("section", "*Approved* by Ana"),
    ]
    # Again: nothing is left to do. Another decision replaces the first.
    assert blocks.settled(row(text, shown), "*Approved* by Ana") == (text, shown, True)
    again, other, done = blocks.settled(row(text, shown), "Withdrawn")
    assert (again, len(other), done) == ("Refund?\n\nWithdrawn", 2, False)


def test_a_message_without_blocks_is_settled_too() -> None:
    text, shown, done = blocks.settled(row("Refund?", None), "Approved")
    assert (text, len(shown), done) == ("Refund?\n\nApproved", 2, False)
    assert blocks.settled(row(text, shown), "Approved")[2]


def test_what_cannot_be_read_is_replaced_by_the_decision() -> None:
    text, shown, done = blocks.settled(None, "Approved")
    assert (text, [block["text"]["text"] for block in shown], done) == ("Approved", ["Approved"], False)


@pytest.mark.parametrize(
    "value",
    [
        None, 7, "", "apr_9f2c", "{}", '{"approval":"a"}', '{"approval":"a","choice":""}', '{"approval":1,"choice":"x"}',
        '{"approval":"a","choice":"b","who":"me"}', "[" * 5000, '{"approval":"' + "a" * 3000 + '","choice":"b"}',
    ],
)  # fmt: skip
def test_a_button_of_somebody_else_carries_nothing(value: Any) -> None:
    assert blocks.pressed(value) is None


def test_a_button_of_ours_carries_approval_and_choice() -> None:
    value = msgspec.json.encode(blocks.Pressable('apr 1 \u00e9"', "a,b")).decode()
    assert blocks.pressed(value) == blocks.Pressable('apr 1 \u00e9"', "a,b")


def test_a_form_is_read_as_text() -> None:
    values = {
        "cxb_field:reason": {"reason": {"type": "static_select", "selected_option": {"value": "outage", "text": {}}}},
        "cxb_field:amount": {"amount": {"type": "number_input", "value": "12.50"}},
        "cxb_field:note": {"note": {"type": "plain_text_input", "value": "  two\nlines "}},
        "cxb_field:empty": {"empty": {"type": "plain_text_input", "value": None}},
        "cxb_field:none": {"none": {"type": "static_select", "selected_option": None}},
        "cxb_field:odd": {"odd": {"type": "number_input", "value": 7}},
        "cxb_field:list": [],
        "somebody_elses": {"x": {"type": "plain_text_input", "value": "no"}},
    }
    assert blocks.filled(values) == {"reason": "outage", "amount": "12.50", "note": "two\nlines"}
    odds: tuple[Any, ...] = (None, [], "x", {"cxb_field:a": {"a": "x"}}, {"cxb_field:a": None})
    for odd in odds:
        assert blocks.filled(odd) == {}
