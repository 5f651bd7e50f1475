"""Connectors whose actions write wrongly, or tell wrongly what they wrote."""

from dataclasses import replace
from typing import Any

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
