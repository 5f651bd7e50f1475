"""Connectors whose streams, pages and entities are wrong."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any
from uuid import uuid4

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, Walk, breaks, changed


@breaks("streams_say_what_they_are")
def has_an_order_of_its_own(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, order="newest"))  # type: ignore[arg-type]  # on purpose


@breaks("streams_say_what_they_are")
def has_two_streams_of_one_name(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, name="rows"))


@breaks("every_stream_shows_something")
def declares_a_kind_that_never_comes(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, kinds=(*stream.kinds, cx.Agent)))


@breaks("every_stream_shows_something")
def refuses_what_is_fine(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, refused=["a row: too young"])

        return pages

    return right.with_pages(spoil)


@breaks("pages_hold_what_their_stream_declares")
def yields_another_kind(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, kinds=(cx.Ticket,)))


@breaks("pages_hold_what_their_stream_declares")
def has_less_raw_than_entities(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, raw=[b"{}"], beside={"nobody": page.entities})

        return pages

    return right.with_pages(spoil)


def _key_of(made: Mapping[Any, cx.AnyEntity], row: cx.Row) -> str:
    return made[row].source_id


def in_rows(right: Right, **wrong: Any) -> Lab:
    """Give what comes as rows, and something about them wrong."""

    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                made = {cx.msgspec.json.encode(entity): entity for entity in page.entities}
                rows = cx.Rows(list(made), made.__getitem__, b"1", partial(_key_of, made))
                stream = "replies" if any(isinstance(one, cx.Comment) for one in page.entities) else "scores"
                spoilt: dict[str, Any] = {
                    name: partial(one, made) if callable(one) else one for name, one in wrong.items()
                }
                yield replace(page, entities=[], rows={stream: replace(rows, **spoilt)})

        return pages

    return right.with_pages(spoil)


@breaks("rows_say_all_that_they_are_mapped_by")
def maps_by_the_moment(right: Right) -> Lab:
    count = itertools.count()
    return in_rows(right, make=lambda made, row: changed(made[row], custom={"mapped": str(next(count))}))


@breaks("rows_say_all_that_they_are_mapped_by")
def has_another_mapping_each_time(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, rows={"scores": cx.Rows([], lambda _: "", uuid4().bytes, lambda _: None)})

        return pages

    return right.with_pages(spoil)


@breaks("rows_say_all_that_they_are_mapped_by")
def tells_another_key(right: Right) -> Lab:
    return in_rows(right, key=lambda made, row: f"key of {made[row].source_id}")


@breaks("gaps_are_fields_that_stay_empty")
def fills_a_gap(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, gaps=("score", "body_text")))


@breaks("gaps_are_fields_that_stay_empty")
def has_a_gap_of_its_own_invention(right: Right) -> Lab:
    return right.with_streams(lambda stream: replace(stream, gaps=("mood",)))


@breaks("entities_survive_the_store")
def has_words_of_its_own(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, kind="smiley") if isinstance(one, cx.Feedback) else one)


@breaks("entities_survive_the_store")
def has_whole_numbers_for_floats(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, scale_min=0) if isinstance(one, cx.Feedback) else one)


@breaks("keys_name_one_entity")
def has_one_key_for_several(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, source_id=one.source_id[0]))


@breaks("keys_name_one_entity")
def has_an_empty_key(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, source_id=""))


@breaks("times_are_utc")
def has_naive_times(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, updated_at=one.updated_at.replace(tzinfo=None)))


@breaks("times_are_utc")
def has_local_times(right: Right) -> Lab:
    berlin = datetime.fromisoformat("2026-05-01T10:00:00+02:00").tzinfo
    return right.with_entities(lambda one: changed(one, updated_at=one.updated_at.astimezone(berlin)))


@breaks("refs_lead_to_declared_streams")
def refers_to_unknown_streams(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, contact="people/7") if isinstance(one, cx.Feedback) else one)


@breaks("refs_lead_to_declared_streams")
def refers_by_another_key(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, ticket="scores/1") if isinstance(one, cx.Comment) else one)
