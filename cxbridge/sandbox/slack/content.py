"""What a message may hold: how long its text, which blocks, how large its metadata. Keeps nothing.

`docs.slack.dev/reference/block-kit/blocks` and `…/block-elements`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from cxbridge.sandbox.slack.call import ApiError, Call, invalid

MOST_BLOCKS = 50
MOST_BYTES = 13_200
MOST_METADATA = 8_000

_TYPES = ("section", "header", "context", "divider", "actions", "input", "image", "rich_text", "markdown")
_INPUTS = ("plain_text_input", "number_input", "static_select", "datepicker", "checkboxes", "radio_buttons")


def content(call: Call, *, update: bool = False) -> tuple[str | None, list[Any] | None, dict[str, Any] | None]:
    """Read text, blocks and metadata of a message; None where one was not given.

    Raises:
        ApiError: one of them is not as it may be, or there is nothing at all.
    """
    text = call.text("text") if call.raw("text") is not None else None
    blocks = call.raw("blocks")
    if blocks is not None:
        blocks = checked(blocks)
    if not text and not blocks and not call.raw("attachments") and not (update and text is None and blocks == []):
        raise ApiError("no_text")
    return text, blocks, _metadata(call.raw("metadata"))


def checked(blocks: Any) -> list[Any]:
    """Blocks with the ids that Slack gives where none was.

    Raises:
        ApiError: a limit is passed or a form unknown.
    """
    if not isinstance(blocks, list):
        raise ApiError("invalid_blocks_format")
    problems = list(_problems(blocks))
    if len(blocks) > MOST_BLOCKS:
        problems.append(f"no more than {MOST_BLOCKS} items allowed [json-pointer:/blocks]")
    if problems:
        raise invalid("invalid_blocks", *problems)
    if len(msgspec.json.encode(blocks)) > MOST_BYTES:
        raise ApiError("msg_blocks_too_long")
    return [{"block_id": f"blk{number}", **block} for number, block in enumerate(blocks)]


def _problems(blocks: list[Any]) -> Iterator[str]:
    idents: set[str] = set()
    actions: set[tuple[str, str]] = set()
    for number, block in enumerate(blocks):
        at = f"/blocks/{number}"
        if not isinstance(block, Mapping) or block.get("type") not in _TYPES:
            yield f"unsupported type [json-pointer:{at}/type]"
            continue
        ident = block.get("block_id")
        if ident is not None:
            if not isinstance(ident, str) or not 0 < len(ident) <= 255 or ident in idents:
                yield f"block_id is too long or already used [json-pointer:{at}/block_id]"
                continue
            idents.add(ident)
        yield from _block(block, at)
        for element in block.get("elements") or ():
            if block["type"] == "actions" and isinstance(element, Mapping):
                name = (str(ident), str(element.get("action_id")))
                if name in actions:
                    yield f"action_id is already used [json-pointer:{at}/elements]"
                actions.add(name)


def _block(block: Mapping[str, Any], at: str) -> Iterator[str]:
    match block["type"]:
        case "section":
            if "text" not in block and not block.get("fields"):
                yield f"missing required field: text [json-pointer:{at}]"
            elif "text" in block:
                yield from _text(block["text"], f"{at}/text", 3_000)
        case "header":
            yield from _text(block.get("text"), f"{at}/text", 150, plain=True)
        case "context":
            elements = block.get("elements")
            if not isinstance(elements, list) or not 1 <= len(elements) <= 10:
                yield f"must have 1 to 10 elements [json-pointer:{at}/elements]"
        case "actions":
            elements = block.get("elements")
            if not isinstance(elements, list) or not 1 <= len(elements) <= 25:
                yield f"must have 1 to 25 elements [json-pointer:{at}/elements]"
                return
            for index, element in enumerate(elements):
                yield from _element(element, f"{at}/elements/{index}")
        case "input":
            yield from _text(block.get("label"), f"{at}/label", 2_000, plain=True)
            element = block.get("element")
            if not isinstance(element, Mapping) or element.get("type") not in _INPUTS:
                yield f"unsupported type [json-pointer:{at}/element/type]"
            else:
                yield from _element(element, f"{at}/element")


def _element(element: Any, at: str) -> Iterator[str]:
    if not isinstance(element, Mapping):
        yield f"must be an object [json-pointer:{at}]"
        return
    action = element.get("action_id")
    if action is not None and (not isinstance(action, str) or not 0 < len(action) <= 255):
        yield f"must be no more than 255 characters [json-pointer:{at}/action_id]"
    match element.get("type"):
        case "button":
            yield from _text(element.get("text"), f"{at}/text", 75, plain=True)
            value = element.get("value", "")
            if not isinstance(value, str) or len(value) > 2_000:
                yield f"must be no more than 2000 characters [json-pointer:{at}/value]"
            if element.get("style") not in (None, "primary", "danger"):
                yield f"failed to match all allowed schemas [json-pointer:{at}/style]"
        case "static_select":
            options = element.get("options")
            if not isinstance(options, list) or not 1 <= len(options) <= 100:
                yield f"must have 1 to 100 options [json-pointer:{at}/options]"
                return
            for index, option in enumerate(options):
                yield from _option(option, f"{at}/options/{index}")
        case "number_input":
            if not isinstance(element.get("is_decimal_allowed"), bool):
                yield f"missing required field: is_decimal_allowed [json-pointer:{at}]"
        case "plain_text_input":
            most = element.get("max_length", 3_000)
            if not isinstance(most, int) or not 1 <= most <= 3_000:
                yield f"must be between 1 and 3000 [json-pointer:{at}/max_length]"
        case kind if kind not in (*_INPUTS, "overflow", "image", "users_select"):
            yield f"unsupported type [json-pointer:{at}/type]"


def _option(option: Any, at: str) -> Iterator[str]:
    if not isinstance(option, Mapping):
        yield f"must be an object [json-pointer:{at}]"
        return
    yield from _text(option.get("text"), f"{at}/text", 75, plain=True)
    value = option.get("value")
    if not isinstance(value, str) or not 0 < len(value) <= 150:
        yield f"must be no more than 150 characters [json-pointer:{at}/value]"


def _text(text: Any, at: str, most: int, *, plain: bool = False) -> Iterator[str]:
    kinds = ("plain_text",) if plain else ("plain_text", "mrkdwn")
    if not isinstance(text, Mapping) or text.get("type") not in kinds or not isinstance(text.get("text"), str):
        yield f"missing required field: text [json-pointer:{at}]"
    elif not text["text"]:
        yield f"must be more than 0 characters [json-pointer:{at}/text]"
    elif len(text["text"]) > most:
        yield f"must be no more than {most} characters [json-pointer:{at}/text]"


def _metadata(metadata: Any) -> dict[str, Any] | None:
    if metadata is None or metadata == "":
        return None
    if not isinstance(metadata, dict):
        raise ApiError("invalid_metadata_format")
    if not metadata:
        return {}
    if not isinstance(metadata.get("event_type"), str) or not isinstance(metadata.get("event_payload"), dict):
        raise ApiError("invalid_metadata_schema")
    if len(msgspec.json.encode(metadata)) > MOST_METADATA:
        raise ApiError("metadata_too_large")
    return {"event_type": metadata["event_type"], "event_payload": metadata["event_payload"]}
