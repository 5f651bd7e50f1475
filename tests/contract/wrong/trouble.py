"""Connectors that make trouble worse: refusals, limits, cut answers, bad records."""

import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, Walk, breaks


def forgiving(right: Right, *kinds: type[Exception]) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            try:
                yield from walk(client, cursor)
            except kinds:
                return

        return pages

    return right.with_pages(spoil)


@breaks("refusals_mean_what_the_error_table_says")
def swallows_a_refused_credential(right: Right) -> Lab:
    return forgiving(right, cx.Unauthorized)


def with_refusal(right: Right, refusal: Callable[[cx.Reply], cx.VendorError | None]) -> type[cx.Connector]:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        def endpoint(self) -> Any:
            return replace(super().endpoint(), refusal=refusal)

    return Wrong


@breaks("refusals_mean_what_the_error_table_says")
def takes_a_missing_right_for_a_bad_credential(right: Right) -> Lab:
    def refusal(reply: cx.Reply) -> cx.VendorError | None:
        return cx.Unauthorized("no") if reply.status == 403 else None

    return right.lab(with_refusal(right, refusal))


@breaks("an_answer_that_is_no_data_stops_the_stream")
def takes_a_web_page_for_the_end(right: Right) -> Lab:
    return forgiving(right, cx.WireFormat)


@breaks("a_cut_answer_is_read_again")
def takes_half_an_answer_for_the_end(right: Right) -> Lab:
    return forgiving(right, cx.Retryable)


@breaks("limits_are_obeyed")
def takes_a_limit_for_a_refusal(right: Right) -> Lab:
    def refusal(reply: cx.Reply) -> cx.VendorError | None:
        return cx.Rejected("too many") if reply.status == 429 else None

    return right.lab(with_refusal(right, refusal))


@breaks("trouble_between_pages_loses_nothing")
def skips_what_fails(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            try:
                yield from walk(client, cursor)
            except cx.Retryable:
                yield cx.Page([], cursor="9999")
                raise

        return pages

    return right.with_pages(spoil)


@breaks("a_page_given_twice_is_harmless")
def counts_what_it_was_given(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            count = int(cursor or 0)
            for page in walk(client, cursor):
                count += len(page.entities)
                yield replace(page, cursor=str(count))

        return pages

    return right.with_pages(spoil)


@breaks("pages_that_go_in_circles_are_noticed")
def follows_in_circles(right: Right) -> Lab:
    def scores(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        after, more = cursor, True
        while more:
            body = client.get("/scores", {"after": after}).json()
            after, more = body["after"], body["more"]
            rows = msgspec.convert(body["scores"], list[right.pulse.Score])  # type: ignore[name-defined]
            yield cx.Page([right.pulse.to_feedback(row) for row in rows], cursor=after)

    return right.with_streams(lambda one: replace(one, pages=scores) if one.name == "scores" else one)


def reading_rows(right: Right, refuse: Callable[[Any, Exception], list[str]]) -> Lab:
    def scores(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        after, more = cursor, True
        while more:
            body = client.get("/scores", {"after": after}).json()
            after, more = body["after"], body["more"]
            found, refused = [], []
            for row in body["scores"]:
                try:
                    found.append(right.pulse.to_feedback(msgspec.convert(row, right.pulse.Score)))
                except msgspec.ValidationError as error:
                    refused += refuse(row, error)
            yield cx.Page(found, cursor=after, refused=refused)

    return right.with_streams(lambda one: replace(one, pages=scores) if one.name == "scores" else one)


@breaks("a_malformed_record_is_refused_alone")
def breaks_over_a_bad_record(right: Right) -> Lab:
    def refuse(row: Any, error: Exception) -> list[str]:
        raise error

    return reading_rows(right, refuse)


@breaks("a_malformed_record_is_refused_alone")
def drops_a_bad_record_without_a_word(right: Right) -> Lab:
    return reading_rows(right, lambda row, error: [])


@breaks("a_malformed_record_is_refused_alone")
def quotes_a_bad_record(right: Right) -> Lab:
    return reading_rows(right, lambda row, error: [f"cannot read {row}"])


@breaks("a_malformed_record_is_refused_alone")
def takes_a_bad_record(right: Right) -> Lab:
    def scores(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        body = client.get("/scores", {"after": cursor}).json()
        keys = [f"s-{number}" for number, _ in enumerate(body["scores"], 1)]
        yield cx.Page([cx.Feedback(source_id=key, kind="nps") for key in keys], cursor=body["after"])

    return right.with_streams(lambda one: replace(one, pages=scores) if one.name == "scores" else one)


@breaks("reading_only_reads")
def reads_by_writing(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            client.post("/scores/s-1/replies", {"text": "seen", "public": False})
            yield from walk(client, cursor)

        return pages

    return right.with_pages(spoil)


@breaks("no_secret_escapes")
def logs_its_credential(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        def streams(self) -> list[cx.Stream]:
            logging.getLogger("pulse").debug("reading with %s", self.token.get_secret_value())
            return list(super().streams())

    return right.lab(Wrong)


@breaks("no_secret_escapes")
def quotes_its_credential_in_an_error(right: Right) -> Lab:
    class Wrong(right.Pulse):  # type: ignore[misc, name-defined]
        def check(self, client: cx.Client) -> Any:
            try:
                return super().check(client)
            except cx.Unauthorized as error:
                raise cx.Unauthorized(f"{self.token.get_secret_value()} is not accepted") from error

    return right.lab(Wrong)
