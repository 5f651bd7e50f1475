"""Connectors that ask for several at once, rightly and wrongly."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.testing import Lab
from tests.contract.wrong.right import Right, breaks, changed

Several = Callable[[cx.Client, Sequence[str]], cx.ReadOne]
Planted = Callable[[cx.Client, Sequence[str]], Collection[str]]


def reading(right: Right, spoil: Callable[[cx.Stream, Several], Several] | None = None) -> Lab:
    """One entity is looked for in all pages; of several all pages are gone through once."""

    def of(stream: cx.Stream) -> cx.Stream:
        pages = stream.pages
        if pages is None:
            return stream

        def several(client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
            found = {one.source_id: one for page in pages(client, None) for one in page.entities}
            return lambda _, key: cx.Page([found[key]], None) if key in found else None

        def one(client: cx.Client, key: str) -> cx.Page | None:
            return several(client, [key])(client, key)

        made = replace(stream, one=one, several=several)
        return made if spoil is None else replace(made, several=spoil(made, several))

    return right.with_streams(of)


@breaks("several_are_read_as_one_by_one")
def reads_several_and_not_one(right: Right) -> Lab:
    lab = reading(right)
    return replace(lab, connector=_streams(lab.connector, lambda stream: replace(stream, one=None)))


@breaks("several_are_read_as_one_by_one")
def leaves_something_out_of_several(right: Right) -> Lab:
    def spoil(_: cx.Stream, several: Several) -> Several:
        def spoilt(client: cx.Client, keys: Sequence[str]) -> cx.ReadOne:
            read = several(client, keys)

            def one(client: cx.Client, key: str) -> cx.Page | None:
                page = read(client, key)
                return page and replace(
                    page, entities=[changed(entity, custom={"seen": "together"}) for entity in page.entities]
                )

            return one

        return spoilt

    return reading(right, spoil)


@breaks("several_are_read_as_one_by_one")
def knows_nothing_of_several(right: Right) -> Lab:
    return reading(right, lambda _, several: lambda client, keys: lambda client, key: None)


@breaks("several_are_read_as_one_by_one")
def asks_for_several_one_by_one(right: Right) -> Lab:
    return reading(right, lambda stream, _: lambda client, keys: stream.one or (lambda client, key: None))


def beside(right: Right, spoil: Callable[[cx.Page], cx.Page] = lambda page: page) -> Lab:
    """Replies are read beside a score."""

    def of(stream: cx.Stream) -> cx.Stream:
        pages, name = stream.pages, stream.name
        if pages is None or name != "scores":
            return stream

        def one(client: cx.Client, key: str) -> cx.Page | None:
            found = (one for page in pages(client, None) for one in page.entities if one.source_id == key)
            return next((cx.Page([one], None) for one in found), None)

        def aside(client: cx.Client, key: str) -> cx.Page | None:
            said = cx.Comment(source_id=f"c-{key}", ticket=f"{name}/{key}", visibility="internal", body_text="x")
            return spoil(cx.Page([], None, beside={"replies": [said]}))

        return replace(stream, one=one, beside=aside)

    return right.with_streams(of)


@breaks("what_stands_beside_is_not_the_entity")
def reads_beside_and_not_one(right: Right) -> Lab:
    lab = beside(right)
    return replace(lab, connector=_streams(lab.connector, lambda stream: replace(stream, one=None)))


@breaks("what_stands_beside_is_not_the_entity")
def shows_itself_beside(right: Right) -> Lab:
    return beside(right, lambda page: replace(page, entities=page.beside["replies"]))


@breaks("what_stands_beside_is_not_the_entity")
def shows_the_same_twice(right: Right) -> Lab:
    def with_replies(stream: cx.Stream) -> cx.Stream:
        one = stream.one
        if one is None:
            return stream

        def spoilt(client: cx.Client, key: str) -> cx.Page | None:
            page = one(client, key)
            said = cx.Comment(source_id=f"c-{key}", ticket=f"scores/{key}", visibility="internal", body_text="x")
            return page and replace(page, beside={"replies": [said]})

        return replace(stream, one=spoilt)

    lab = beside(right)
    return replace(lab, connector=_streams(lab.connector, with_replies))


@breaks("what_stands_beside_is_not_the_entity")
def shows_beside_what_it_does_not_name(right: Right) -> Lab:
    lab = beside(right)
    return replace(lab, connector=_streams(lab.connector, lambda one: replace(one, beside_streams=("scores",))))


def writing(right: Right, planted: Planted | None = None, *, looks: bool = False) -> Lab:
    """A reply is looked for among those of its score, unless it is known to be new; `looks` looks all the same."""

    def perform(client: cx.Client, call: cx.Call) -> Any:
        found = right.pulse.find_reply(client, call) if looks or not call.fresh else None
        return found or right.pulse.reply(client, call)

    def named(client: cx.Client, markers: Sequence[str]) -> Collection[str]:
        inputs = cx.AddComment(visibility="internal", body="")
        calls = [cx.Call(inputs, marker, "s-1") for marker in markers]
        return [call.marker for call in calls if right.pulse.find_reply(client, call) is not None]

    return right.with_action(perform=perform, planted=planted or named)


@breaks("planted_names_what_was_written")
def names_what_nothing_carries(right: Right) -> Lab:
    return writing(right, lambda client, markers: markers)


@breaks("planted_names_what_was_written")
def names_nothing(right: Right) -> Lab:
    return writing(right, lambda client, markers: ())


@breaks("planted_names_what_was_written")
def looks_for_what_is_new(right: Right) -> Lab:
    return writing(right, looks=True)


@breaks("planted_names_what_was_written")
def writes_to_find_out(right: Right) -> Lab:
    def planted(client: cx.Client, markers: Sequence[str]) -> Collection[str]:
        client.post("/scores/s-1/replies", {"text": "was this here?", "public": False})
        return ()

    return writing(right, planted)


@breaks("planted_names_what_was_written")
def takes_new_for_done(right: Right) -> Lab:
    def perform(client: cx.Client, call: cx.Call) -> Any:
        if call.fresh:
            return cx.Receipt("replies", "r-1")
        return right.pulse.find_reply(client, call) or right.pulse.reply(client, call)

    lab = writing(right)
    return replace(lab, connector=_actions(lab.connector, perform=perform))


def _streams(connector: type[cx.Connector], spoil: Callable[[cx.Stream], cx.Stream]) -> type[cx.Connector]:
    class Wrong(connector):  # type: ignore[misc, valid-type]  # whichever it is
        def streams(self) -> list[cx.Stream]:
            return [spoil(stream) for stream in super().streams()]

    return Wrong


def _actions(connector: type[cx.Connector], **changed: Any) -> type[cx.Connector]:
    class Wrong(connector):  # type: ignore[misc, valid-type]  # whichever it is
        def actions(self) -> list[cx.Action]:
            return [replace(action, **changed) for action in super().actions()]

    return Wrong
