"""Builds the form of a question, and the form it has once it is answered; reads what was pressed. Pure.

`docs.slack.dev/reference/block-kit/blocks`. Limits there: 50 blocks, 3,000 characters in a section, 25 buttons side by side,
75 characters on a button or option, 2,000 in a button's value, about 13,000 in all.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.slack import mrkdwn, wire

_LABEL: Final = 75
_VALUE: Final = 2_000
_BUTTONS: Final = 25
_OPTIONS: Final = 100
_FIELDS: Final = 20
_SECTIONS: Final = 3
_WHOLE: Final = 13_000

BUTTON: Final = "cxb_button_"
FIELD: Final = "cxb_field:"
_CHOICES: Final = "cxb_choices"
_SETTLED: Final = "cxb_settled"
# What is left of a question when it is answered.
_KEPT: Final = frozenset({"section", "context", "header", "divider", "rich_text", "image", "markdown"})


class Pressable(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a button carries: names, and nothing that anybody would have to believe."""

    approval: str
    choice: str


def question(text: str, inputs: cx.Ask) -> list[cx.Json]:
    """Give the blocks of a question: its text, the fields to fill in, the buttons.

    Raises:
        Rejected: when it passes a limit of the vendor's.
    """
    if not 1 <= len(inputs.buttons) <= _BUTTONS:
        raise cx.Rejected(f"a question in Slack has 1 to {_BUTTONS} buttons, not {len(inputs.buttons)}")
    if len(inputs.form) > _FIELDS or len({field.name for field in inputs.form}) < len(inputs.form):
        raise cx.Rejected(f"a question in Slack has up to {_FIELDS} fields, each with a name of its own")
    sections = [_section(part, f"cxb_text_{number}") for number, part in enumerate(mrkdwn.parts(text, _SECTIONS))]
    fields = [_field(field) for field in inputs.form]
    buttons = [_button(number, button, inputs.approval) for number, button in enumerate(inputs.buttons)]
    built = [*sections, *fields, {"type": "actions", "block_id": _CHOICES, "elements": buttons}]
    if len(msgspec.json.encode(built)) > _WHOLE:
        raise cx.Rejected("the question with its buttons and fields is too long for Slack: shorten its text")
    return built


def settled(row: wire.Message | None, decision: str) -> tuple[str, list[cx.Json], bool]:
    """Give text and blocks of an answered question, and whether it has them already.

    `row` is the message as it is now, or None where it cannot be read: then only the decision is left.
    """
    [shown] = mrkdwn.parts(decision, 1) or [""]
    last = _section(shown, _SETTLED)
    if row is None:
        return shown, [last], False
    held = [block for block in row.blocks or [] if isinstance(block, dict)]
    kept = [block for block in held if block.get("type") in _KEPT and block.get("block_id") != _SETTLED]
    if not kept and row.text:
        kept = [_section(part, f"cxb_text_{number}") for number, part in enumerate(mrkdwn.parts(row.text, _SECTIONS))]
    asked = "\n".join(words for block in kept if (words := _words(block)))
    already = [block for block in held if block.get("block_id") == _SETTLED]
    done = bool(already) and _words(already[-1]) == shown and len(held) == len(kept) + len(already)
    return mrkdwn.cut("\n\n".join(filter(None, (asked, shown)))), [*kept, last], done


def pressed(value: cx.Json) -> Pressable | None:
    """Read what a button carries; None when it is not one of ours."""
    if not isinstance(value, str) or len(value) > _VALUE:
        return None
    try:
        found = msgspec.json.decode(value, type=Pressable)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return found if found.approval and found.choice else None


def filled(values: cx.Json) -> dict[str, str]:
    """Read what was filled in, as text; what was left empty is left out."""
    form: dict[str, str] = {}
    for block, held in values.items() if isinstance(values, Mapping) else ():
        if not isinstance(block, str) or not block.startswith(FIELD) or not isinstance(held, Mapping):
            continue
        for one in held.values():
            answer = _answer(one)
            if answer:
                form[block.removeprefix(FIELD)] = answer
    return form


def _answer(one: cx.Json) -> str:
    if not isinstance(one, Mapping):
        return ""
    chosen = one.get("selected_option")
    found = chosen.get("value") if isinstance(chosen, Mapping) else one.get("value")
    return found.strip() if isinstance(found, str) else ""


def _section(text: str, ident: str) -> cx.Json:
    return {"type": "section", "block_id": ident, "text": {"type": "mrkdwn", "text": text}}


def _words(block: Mapping[str, cx.Json]) -> str:
    text = block.get("text")
    return text["text"] if isinstance(text, Mapping) and isinstance(text.get("text"), str) else ""


def _plain(text: str, what: str, limit: int = _LABEL) -> cx.Json:
    words = mrkdwn.clean(text)
    if not words:
        raise cx.Rejected(f"{what} has no label")
    # No entities here: such a text is shown as it is, and nothing in it is markup.
    return {"type": "plain_text", "text": words if len(words) <= limit else words[: limit - 1] + "\u2026"}


def _button(number: int, button: cx.Button, approval: str) -> cx.Json:
    value = msgspec.json.encode(Pressable(approval, button.choice)).decode()
    if not button.choice or not approval or len(value) > _VALUE:
        raise cx.Rejected("a button of the question has no choice, or one that is too long")
    made = {
        "type": "button",
        "action_id": f"{BUTTON}{number}",
        "text": _plain(button.label, f"the button {button.choice}"),
        "value": value,
    }
    return made if button.style == "plain" else {**made, "style": button.style}


def _field(field: cx.FormField) -> cx.Json:
    return {
        "type": "input",
        "block_id": f"{FIELD}{field.name}"[:255],
        "optional": field.optional,
        "label": _plain(field.label or field.name, f"the field {field.name}", 200),
        "element": _element(field),
    }


def _element(field: cx.FormField) -> cx.Json:
    match field.type:
        case "choice":
            return {"type": "static_select", "action_id": field.name[:255], "options": _options(field)}
        case "number":
            return {"type": "number_input", "action_id": field.name[:255], "is_decimal_allowed": True}
        case "text":
            return {"type": "plain_text_input", "action_id": field.name[:255], "max_length": 3_000}


def _options(field: cx.FormField) -> Sequence[cx.Json]:
    if not 1 <= len(field.of) <= _OPTIONS:
        raise cx.Rejected(f"the field {field.name} offers {len(field.of)} choices; Slack shows 1 to {_OPTIONS}")
    if any(not 1 <= len(mrkdwn.clean(choice)) <= _LABEL for choice in field.of):
        raise cx.Rejected(f"a choice of the field {field.name} is empty or longer than {_LABEL} characters")
    return [{"text": _plain(choice, field.name), "value": choice} for choice in field.of]
