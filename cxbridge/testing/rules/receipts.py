"""Rules about what a write tells: the receipt and the pull behind it agree, and a comment is seen by nobody else."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from cxbridge.core.connector import AddComment, Comment, Inputs, Receipt, Rejected, VendorError, Visibility
from cxbridge.core.ledger import plain
from cxbridge.testing import line
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Lab, Tried, name_error
from cxbridge.testing.rules.writes import trials_of

# By how many people see it.
_WIDTH: dict[Visibility, int] = {"restricted": 0, "internal": 1, "public": 2}
_PAIRS: tuple[tuple[Visibility, Visibility], ...] = (
    ("internal", "public"),
    ("restricted", "internal"),
    ("restricted", "public"),
)


class ReceiptRules(Ruled):
    """What the engine and a person are told about a write."""

    @rule
    def test_receipts_lead_to_what_was_written(self, lab: Lab) -> Iterator[Finding]:
        """The next pull brings the entity that the receipt names, with the values it says, and all that came into being."""
        streams = {stream.name: stream for stream in lab.connect().streams()}

        def inspect(tried: Tried) -> Iterator[Finding]:
            call = lab.call(tried)
            cursors = {stream.name: lab.whole(stream.name).cursor for stream in lab.changing()}
            receipt = lab.perform(tried.action, call)
            lab.settle()
            shown: dict[str, Any] = {}
            for stream in lab.streams():
                reading = lab.read(stream.name, cursors.get(stream.name))
                if reading.error is not None:
                    yield Finding(
                        tried.name, f"behind it, {stream.name} fails: {name_error(reading.error)}", "mend that"
                    )
                    return
                shown |= {f"{name}/{entity.source_id}": entity for name, entity in reading.placed}
            if receipt.stream not in streams:
                yield Finding(
                    tried.name, f"its receipt names {receipt.stream}, which is no stream", "name the entity's"
                )
                return
            entity = shown.get(f"{receipt.stream}/{receipt.key}")
            if entity is None:
                remedy = (
                    "give the stream and source_id of the entity written, and count its change in the cursor's order"
                )
                yield Finding(tried.name, f"the next pull has no {receipt.stream}/{receipt.key}", remedy)
                return
            yield from _shows(tried, receipt, entity)
            for ref in receipt.made:
                if ref not in shown:
                    remedy = "made lists local refs (stream/key) of entities that the next pull brings"
                    yield Finding(tried.name, f"the next pull has no {ref}, which it says it made", remedy)

        yield from each(trials_of(lab), inspect)

    @rule
    def test_comments_are_seen_by_nobody_else(self, lab: Lab) -> Iterator[Finding]:
        """The visibility is said in the request, each one differently; no comment is seen by more people than asked for."""

        def inspect(tried: Tried) -> Iterator[Finding]:
            asked = {
                visibility: replace(tried, trial=replace(tried.trial, inputs=_inputs(tried, visibility)))
                for visibility in _WIDTH
            }
            said = {visibility: text for visibility, one in asked.items() if (text := _request(lab, one)) is not None}
            for narrow, wide in _PAIRS:
                if narrow in said and said[narrow] == said.get(wide):
                    remedy = "say the visibility in every request: what is left out is the vendor's to decide"
                    yield Finding(tried.name, f"sends the same for {narrow} as for {wide}", remedy)
            for visibility in said:
                before = {key for key, _ in _comments(lab)}
                try:
                    lab.perform(tried.action, lab.call(asked[visibility]))
                except Rejected as error:
                    remedy = "refuse what the vendor does not have before anything is sent"
                    yield Finding(tried.name, f"sent {visibility}, and then {name_error(error)}", remedy)
                for key, comment in _comments(lab):
                    if key not in before and _WIDTH[comment.visibility] > _WIDTH[visibility]:
                        wrong = f"asked for {visibility}, it wrote a comment that is {comment.visibility}"
                        yield Finding(tried.name, wrong, "say the visibility in the call that writes, or refuse it")

        talking = [tried for tried in trials_of(lab) if isinstance(tried.trial.inputs, AddComment)]
        if not talking:
            pytest.skip("the connector writes no comments")
        yield from each(talking, inspect)


def _shows(tried: Tried, receipt: Receipt, entity: Any) -> Iterator[Finding]:
    for name, value in receipt.wrote.items():
        if name not in entity.__struct_fields__:
            yield Finding(tried.name, f"says it wrote {name}, which is no field of that kind", "canonical names only")
        elif not _same(plain(value), plain(getattr(entity, name))):
            told, shown = plain(value), plain(getattr(entity, name))
            remedy = "put into wrote what the next pull will show: an echo that looks different is taken for a change"
            yield Finding(tried.name, f"says it wrote {name} as {told!r}, and the pull shows {shown!r}", remedy)
    for name in ("source_key", "version"):
        told, shown = getattr(receipt, name), getattr(entity, name)
        if told is not None and shown is not None and told != shown:
            yield Finding(tried.name, f"gives the {name} {told!r}, and the pull shows {shown!r}", "give the same")


def _same(written: Any, shown: Any) -> bool:
    """Compare as the engine does: lists without regard to order, texts without regard to edges."""
    if isinstance(written, list) and isinstance(shown, list):
        return sorted(map(str, written)) == sorted(map(str, shown))
    if isinstance(written, str) and isinstance(shown, str):
        return written.strip() == shown.strip()
    return bool(written == shown)


def _comments(lab: Lab) -> list[tuple[str, Comment]]:
    lab.settle()
    found: list[tuple[str, Comment]] = []
    for stream in lab.streams():
        if Comment in stream.kinds:
            found += [(e.source_id, e) for e in lab.read(stream.name).own if isinstance(e, Comment)]
    return found


def _inputs(tried: Tried, visibility: Visibility) -> Inputs:
    changed: Inputs = msgspec.structs.replace(tried.trial.inputs, visibility=visibility)
    return changed


def _request(lab: Lab, tried: Tried) -> str | None:
    """Give what would be sent, without what differs from call to call; None where it is refused beforehand."""
    call = lab.call(tried)
    asked = len(lab.line.sent)
    # Nothing is done, so that all visibilities meet the vendor in the same state.
    with lab.line.broken(line.answers(500), which=line.is_write):
        with suppress(VendorError):
            lab.perform(tried.action, call)
    for sent in lab.line.sent[asked:]:
        if sent.writes:
            text = f"{sent.told}?{sent.url.query.decode()} {sent.content.decode(errors='replace')}"
            # A marker may be written in another form, but for its digits.
            return text.replace(call.marker, "").replace(call.marker.partition(":")[2], "")
    return None
