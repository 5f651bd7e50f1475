"""Connectors that lose or repeat things when they are read again."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, Walk, breaks, changed


@breaks("streams_come_to_an_end")
def never_ends(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            while True:
                for page in walk(client, cursor):
                    cursor = page.cursor
                    yield page

        return pages

    return right.with_pages(spoil)


@breaks("streams_come_to_an_end")
def leaves_its_last_page_without_an_end(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, more=True)

        return pages

    return right.with_pages(spoil)


@breaks("streams_have_pages")
def is_shown_one_page_only(right: Right) -> Lab:
    right.fake.rows = {path: rows[:1] for path, rows in right.fake.rows.items()}
    return right.lab()


def with_cursors(right: Right, write: Callable[[Any], Any], read: Callable[[Any], Any]) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, None if cursor is None else read(cursor)):
                yield replace(page, cursor=write(page.cursor))

        return pages

    return right.with_pages(spoil)


@breaks("cursors_survive_the_store")
def has_a_cursor_that_is_no_json(right: Right) -> Lab:
    return with_cursors(right, lambda after: {int(after): "after"}, lambda cursor: next(iter(cursor)))


@breaks("cursors_survive_the_store")
def goes_by_the_order_of_its_keys(right: Right) -> Lab:
    return with_cursors(right, lambda after: {"a": after, "b": "0"}, lambda cursor: next(iter(cursor.values())))


@breaks("the_size_of_pages_makes_no_difference")
def takes_the_first_row_of_a_page_for_the_last_of_the_one_before(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, entities=page.entities[1:] if cursor is not None else page.entities)
                cursor = page.cursor

        return pages

    return right.with_pages(spoil)


@breaks("two_full_reads_agree")
def maps_by_chance(right: Right) -> Lab:
    return right.with_entities(lambda one: changed(one, custom={"mood": random.random()}))


@breaks("two_full_reads_agree")
def remembers_what_it_has_read(right: Right) -> Lab:
    seen: set[str] = set()

    def fresh(key: str) -> bool:
        return key not in seen and not seen.add(key)  # type: ignore[func-returns-value]  # that is the trick

    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            for page in walk(client, cursor):
                yield replace(page, entities=[one for one in page.entities if fresh(one.source_id)])

        return pages

    return right.with_pages(spoil)


@breaks("resuming_behind_any_page_loses_nothing")
def gives_the_cursor_before_the_data(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            held: list[Any] = []
            for page in walk(client, cursor):
                yield replace(page, entities=held)
                held, cursor = list(page.entities), page.cursor
            yield cx.Page(held, cursor=cursor)

        return pages

    return right.with_pages(spoil)


@breaks("the_end_is_quiet")
def has_no_cursor_at_its_end(right: Right) -> Lab:
    return with_cursors(right, lambda after: None, lambda cursor: cursor)


@breaks("the_end_is_quiet")
def goes_by_its_own_clock(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            del cursor
            for page in walk(client, None):
                told = [changed(one, custom={"age": str(client.now)}) for one in page.entities]
                yield replace(page, entities=told)

        return pages

    return right.with_pages(spoil)


@breaks("a_change_comes_behind_the_cursor")
def runs_ahead_at_its_end(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            yield from walk(client, cursor)
            yield cx.Page([], cursor="9999")

        return pages

    return right.with_pages(spoil)


@breaks("the_oldest_change_comes_first")
def has_the_newest_first(right: Right) -> Lab:
    epoch = datetime.fromisoformat("2026-05-01T00:00:00+00:00")
    return right.with_entities(lambda one: changed(one, updated_at=epoch - (one.updated_at - epoch)))


@breaks("leaving_a_stream_early_is_clean")
def reads_all_before_the_first_page(right: Right) -> Lab:
    return right.with_pages(lambda walk: lambda client, cursor: iter(list(walk(client, cursor))))


@breaks("leaving_a_stream_early_is_clean")
def says_good_bye(right: Right) -> Lab:
    def spoil(walk: Walk) -> Walk:
        def pages(client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
            try:
                yield from walk(client, cursor)
            finally:
                client.get("/me")

        return pages

    return right.with_pages(spoil)
