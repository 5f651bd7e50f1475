"""Connectors whose actions write wrongly, or tell wrongly what they wrote."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import httpx

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, breaks


@breaks("actions_say_what_they_do")
def has_no_find(right: Right) -> Lab:
    return right.with_action(find=None)


@breaks("actions_say_what_they_do")
def has_a_verb_of_its_own_without_inputs(right: Right) -> Lab:
    return right.with_action(name="score.celebrate")


@breaks("actions_say_what_they_do")
def acts_on_an_unknown_stream(right: Right) -> Lab:
    return right.with_action(stream="people")


@breaks("every_action_has_a_trial")
def is_never_tried(right: Right) -> Lab:
    return right.lab(trials=())


@breaks("a_write_is_one_call_and_the_last")
def writes_twice(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        client.post(f"/scores/{call.target}/replies", {"text": "one moment", "public": False})
        return right.pulse.reply(client, call)

    return right.with_action(perform=perform)


@breaks("a_write_is_one_call_and_the_last")
def reads_behind_its_write(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        right.pulse.reply(client, call)
        found = right.pulse.find_reply(client, call)
        assert found is not None
        return found

    return right.with_action(perform=perform)


@breaks("a_write_repeated_acts_once")
def calls_itself_idempotent(right: Right) -> Lab:
    lab = right.with_action(effect=cx.Idempotent())
    lab.effects = lambda: len(right.fake.rows["/replies"])
    return lab


def keyed(right: Right, *, remembers: float, claims: float, lasting: bool = True) -> Lab:
    """A vendor that drops what comes under a key that it has, for so many seconds, and a connector that claims it does."""
    known: dict[str, tuple[datetime, httpx.Response]] = {}
    lab: Lab

    def vendor(request: httpx.Request) -> httpx.Response:
        key = request.headers.get("idempotency-key")
        if key in known and (lab.clock.now() - known[key][0]).total_seconds() < remembers:
            return httpx.Response(200, content=known[key][1].content)
        answer: httpx.Response = right.fake(request)
        if key is not None:
            known[key] = (lab.clock.now(), answer)
        return answer

    def perform(client: cx.Client, call: cx.Call) -> Any:
        assert isinstance(call.inputs, cx.AddComment)
        # It looks first, as a careful connector does, so that only the vendor can tell whether the key counts.
        found = find(client, call)
        if found is not None:
            return found
        body = {"text": call.inputs.body, "public": False, "reference": call.marker}
        reply = client.post(f"/scores/{call.target}/replies", body, headers={"Idempotency-Key": call.marker})
        return right.pulse.receipt(reply.decode(right.pulse.Reply))

    def find(client: cx.Client, call: cx.Call) -> Any:
        if not lasting and (lab.clock.now() - known[call.marker][0]).total_seconds() >= remembers:
            return None
        return right.pulse.find_reply(client, call)

    lab = right.with_action(perform=perform, find=find, effect=cx.Keyed(claims, settle=1))
    lab = replace(lab, vendor=vendor, effects=lambda: len(right.fake.rows["/replies"]))
    return lab


@breaks("a_write_repeated_acts_once")
def sends_a_key_that_the_vendor_does_not_heed(right: Right) -> Lab:
    return keyed(right, remembers=0, claims=7200)


@breaks("a_write_repeated_acts_once")
def claims_a_key_for_longer_than_it_is_good(right: Right) -> Lab:
    return keyed(right, remembers=3000, claims=7200)


@breaks("a_write_repeated_acts_once")
def finds_only_as_long_as_the_key_is_good(right: Right) -> Lab:
    return keyed(right, remembers=7200, claims=7200, lasting=False)


def late(right: Right, *, shown_after: float, settle: float) -> Lab:
    """A vendor whose search shows a write late, and a connector that says how late."""
    written: dict[str, datetime] = {}
    lab: Lab

    def perform(client: cx.Client, call: cx.Call) -> Any:
        found = find(client, call)
        if found is not None:
            return found
        written.setdefault(call.marker, lab.clock.now())
        return right.pulse.reply(client, call)

    def find(client: cx.Client, call: cx.Call) -> Any:
        found = right.pulse.find_reply(client, call)
        at = written.get(call.marker)
        return found if at is not None and (lab.clock.now() - at).total_seconds() >= shown_after else None

    lab = right.with_action(perform=perform, find=find, effect=cx.Findable(settle))
    return lab


@breaks("a_write_repeated_acts_once")
def settles_sooner_than_its_vendor(right: Right) -> Lab:
    return late(right, shown_after=31, settle=30)


@breaks("a_lost_answer_is_settled")
def settles_much_sooner_than_its_vendor(right: Right) -> Lab:
    # A second look, another `settle` later, comes too soon as well.
    return late(right, shown_after=61, settle=30)


@breaks("a_lost_answer_is_settled")
def calls_itself_idempotent_and_says_it_twice(right: Right) -> Lab:
    lab = right.with_action(effect=cx.Idempotent())
    lab.effects = lambda: len(right.fake.rows["/replies"])
    return lab


@breaks("a_lost_answer_is_settled")
def calls_itself_blind_and_repeats_by_itself(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        try:
            return right.pulse.reply(client, call)
        except cx.Retryable:
            return right.pulse.reply(client, call)

    return right.with_action(perform=perform, find=None, effect=cx.Blind())


@breaks("a_write_repeated_acts_once")
def plants_no_marker(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        return right.pulse.reply(client, replace(call, marker="cxb:always-the-same"))

    return right.with_action(perform=perform)


@breaks("a_lost_answer_is_settled")
def never_finds_what_it_wrote(right: Right) -> Lab:
    return right.with_action(find=lambda client, call: None)


@breaks("a_lost_answer_is_settled")
def takes_no_answer_for_a_refusal(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        try:
            return right.pulse.reply(client, call)
        except cx.Retryable as error:
            raise cx.Rejected("it did not work") from error

    return right.with_action(perform=perform)


@breaks("a_lost_answer_is_settled")
def repeats_its_write_by_itself(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        try:
            return right.pulse.reply(client, call)
        except cx.Retryable:
            return right.pulse.reply(client, call)

    return right.with_action(perform=perform)


@breaks("a_write_that_never_arrived_is_made_up_for")
def finds_what_it_never_wrote(right: Right) -> Lab:
    return right.with_action(find=lambda client, call: cx.Receipt("replies", "r-1"))


@breaks("failed_writes_are_told")
def makes_up_a_receipt(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        try:
            return right.pulse.reply(client, call)
        except cx.VendorError:
            return cx.Receipt("replies", "r-1", changed=False)

    return right.with_action(perform=perform)


@breaks("failed_writes_are_told")
def says_that_nothing_was_sent(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        try:
            return right.pulse.reply(client, call)
        except cx.Retryable as error:
            error.sent = False
            raise

    return right.with_action(perform=perform)


def telling(right: Right, **wrongly: Any) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        return replace(right.pulse.reply(client, call), **wrongly)

    return right.with_action(perform=perform)


@breaks("receipts_lead_to_what_was_written")
def names_another_key(right: Right) -> Lab:
    return telling(right, key="r-999")


@breaks("receipts_lead_to_what_was_written")
def says_it_wrote_something_else(right: Right) -> Lab:
    return telling(right, wrote={"body_text": "Something else."})


@breaks("receipts_lead_to_what_was_written")
def made_what_never_comes(right: Right) -> Lab:
    return telling(right, made=("replies/r-999",))


@breaks("comments_are_seen_by_nobody_else")
def leaves_the_visibility_to_the_vendor(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        assert isinstance(call.inputs, cx.AddComment)
        body = {"text": call.inputs.body, "public": True, "reference": call.marker}
        return right.pulse.receipt(client.post(f"/scores/{call.target}/replies", body).decode(right.pulse.Reply))

    return right.with_action(perform=perform)


@breaks("comments_are_seen_by_nobody_else")
def widens_what_the_vendor_does_not_have(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        inputs = call.inputs
        assert isinstance(inputs, cx.AddComment)
        if inputs.visibility == "restricted":
            call = replace(call, inputs=cx.AddComment(visibility="public", body=inputs.body))
        return right.pulse.reply(client, call)

    return right.with_action(perform=perform)


@breaks("looking_up_only_reads")
def writes_while_looking(right: Right) -> Lab:
    def find(client: cx.Client, call: cx.Call) -> Any:
        client.post("/scores/s-1/replies", {"text": "was this here?", "public": False})
        return right.pulse.find_reply(client, call)

    return right.with_action(find=find)
