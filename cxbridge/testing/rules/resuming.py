"""Rules about cursors: what a stream gives when it is read again, from anywhere."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cxbridge.core.connector import Stream
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Endless, Lab, Place, Reading, name_error, stored


class ResumingRules(Ruled):
    """What keeps a pull from losing and repeating things."""

    @rule
    def test_streams_come_to_an_end(self, lab: Lab) -> Iterator[Finding]:
        """A stream ends when the vendor has no more for now."""
        lab.settle()
        for stream in lab.streams():
            reading = lab.read(stream.name)
            if isinstance(reading.error, Endless):
                remedy = "end at the vendor's word, or use cx.Unrepeating for its cursors"
                yield Finding(stream.name, f"gave {len(reading.pages)} pages and did not end", remedy)

    @rule
    def test_streams_have_pages(self, lab: Lab) -> Iterator[Finding]:
        """The lab's vendor shows two pages or more of each stream that goes on from a cursor, so that resuming is tried."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            filled = sum(bool(page.entities) for page in lab.whole(stream.name).pages)
            if filled < 2:
                remedy = "put more into the lab's vendor, or make its pages smaller: Lab(page_size={parameter: 2})"
                yield Finding(stream.name, f"showed {filled} page with entities on it", remedy)

        yield from each(lab.changing(), inspect)

    @rule
    def test_cursors_survive_the_store(self, lab: Lab) -> Iterator[Finding]:
        """A cursor is JSON, and means the same with its keys in another order."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            for page in lab.whole(stream.name).pages:
                try:
                    kept = stored(page.cursor)
                except TypeError as error:
                    yield Finding(stream.name, f"a cursor cannot be stored: {error}", "plain JSON values only")
                    return
                if kept != _listed(page.cursor):
                    wrong = f"the cursor {page.cursor!r} comes back as {kept!r}"
                    yield Finding(stream.name, wrong, "text for keys and times")
                    return
                turned = _turned(kept)
                if isinstance(kept, dict) and len(kept) > 1:
                    one, other = lab.read(stream.name, kept), lab.read(stream.name, turned)
                    if other.error is not None or one.content != other.content:
                        remedy = "read a cursor by its keys; a store may give them in another order"
                        yield Finding(
                            stream.name, "a cursor with its keys in another order gave something else", remedy
                        )
                        return

        yield from each(lab.changing(), inspect)

    @rule
    def test_the_size_of_pages_makes_no_difference(self, lab: Lab) -> Iterator[Finding]:
        """In small pages comes what comes in large ones: nothing falls between two pages."""
        if not lab.page_size:
            pytest.skip("the pages of this lab's vendor have one size: Lab(page_size=…)")

        def inspect(stream: Stream) -> Iterator[Finding]:
            small = lab.whole(stream.name)
            with lab.line.pages_as_asked():
                large = lab.read(stream.name)
            yield from lost(stream, large.content, small.content, large, "in small pages")
            yield from lost(stream, small.content, large.content, large, "in large pages")

        yield from each(lab.streams(), inspect)

    @rule
    def test_two_full_reads_agree(self, lab: Lab) -> Iterator[Finding]:
        """Reading all of it twice gives the same content, so that nothing seems to have changed."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            first, second = lab.whole(stream.name).content, lab.read(stream.name)
            if second.error is not None:
                yield Finding(
                    stream.name, f"a second read failed: {name_error(second.error)}", "keep nothing between reads"
                )
                return
            for place in sorted(set(first) ^ set(second.content)):
                remedy = "keep nothing between reads; a connector holds no state"
                yield Finding(stream.name, f"{'/'.join(place)} was in one of two full reads only", remedy)
                return
            for place, digest in first.items():
                if second.content[place] != digest:
                    remedy = "map the same record to the same entity: no clock, no chance, lists in one order"
                    yield Finding(stream.name, f"{'/'.join(place)} differs between two full reads", remedy)
                    return

        yield from each(lab.streams(), inspect)

    @rule
    def test_resuming_behind_any_page_loses_nothing(self, lab: Lab) -> Iterator[Finding]:
        """From the cursor of every page on, all is there that the pages up to it have not brought."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            for count, page in enumerate(whole.pages, 1):
                rest = lab.read(stream.name, page.cursor)
                before = Reading(stream.name, whole.pages[:count]).content
                yield from lost(stream, whole.content, {**before, **rest.content}, rest, f"behind page {count}")

        yield from each(lab.changing(), inspect)

    @rule
    def test_the_end_is_quiet(self, lab: Lab) -> Iterator[Finding]:
        """Behind the last page a stream has nothing new, however often and late it is asked, and its cursor stays good."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            cursor = whole.cursor
            if whole.own and cursor is None:
                remedy = "give the cursor that resumes behind the last page: None would read all of it again"
                yield Finding(stream.name, "the cursor behind its last page is None", remedy)
                return
            known = whole.content
            for seconds in (0.0, 60.0, 86_400.0):
                lab.clock.advance(seconds)
                again = lab.read(stream.name, cursor)
                if again.error is not None:
                    remedy = "a cursor from the end must stay good, even when nothing changes for a day"
                    yield Finding(stream.name, f"at its end it failed: {name_error(again.error)}", remedy)
                    return
                fresh = {place: digest for place, digest in again.content.items() if known.get(place) != digest}
                if fresh:
                    place = "/".join(min(fresh))
                    yield Finding(
                        stream.name, f"at its end it brought {place} as if it had changed", "map without a clock"
                    )
                    return
                cursor = again.cursor

        yield from each(lab.changing(), inspect)

    @rule
    def test_a_change_comes_behind_the_cursor(self, lab: Lab) -> Iterator[Finding]:
        """What somebody changes at the vendor comes as changed, also when a pull passed before the vendor showed it."""
        change = lab.change
        if change is None:
            pytest.skip("nobody can change anything at this lab's vendor: Lab(change=…)")

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            key = change(stream.name)
            if key is None:
                return
            # The vendor may not show the change yet; its place must not be passed all the same.
            soon = lab.read(stream.name, whole.cursor)
            lab.settle()
            rest = lab.read(stream.name, soon.cursor)
            place, shown = (stream.name, key), {**soon.content, **rest.content}
            for error in (soon.error, rest.error):
                if error is not None:
                    yield Finding(
                        stream.name, f"after a change it failed: {name_error(error)}", "read on from a cursor"
                    )
                    return
            if place not in shown:
                remedy = "a cursor must lie before whatever is shown next, late ones too: look back by the vendor's lag"
                yield Finding(stream.name, f"{key} was changed and did not come", remedy)
            elif shown[place] == whole.content.get(place):
                yield Finding(stream.name, f"{key} came as it was before its change", "map what was changed")

        yield from each(lab.changing(), inspect)

    @rule
    def test_the_oldest_change_comes_first(self, lab: Lab) -> Iterator[Finding]:
        """In a stream of order "changed", `updated_at` never goes back; what is shown again unchanged does not count."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            seen: set[str] = set()
            latest: Any = None
            for entity in lab.whole(stream.name).own:
                if entity.source_id in seen or entity.updated_at is None:
                    continue
                seen.add(entity.source_id)
                if latest is not None and entity.updated_at < latest:
                    remedy = 'ask the vendor for the oldest change first, or declare order="scan"'
                    yield Finding(stream.name, f"{entity.source_id} comes after a later change", remedy)
                    return
                latest = entity.updated_at

        yield from each(lab.changing(), inspect)

    @rule
    def test_leaving_a_stream_early_is_clean(self, lab: Lab) -> Iterator[Finding]:
        """Nothing is asked before the first page is wanted; left behind a page, a stream asks nothing more."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            threads = threading.active_count()
            with lab.client() as client:
                assert stream.pages is not None  # noqa: S101  # lab.streams() lists no others
                pages: Any = stream.pages(client, None)
                if not hasattr(pages, "close"):
                    yield Finding(stream.name, "pages() gave no generator", "yield each page as it is read")
                    return
                asked = len(lab.line.sent)
                next(pages, None)
                if len(lab.line.sent) == asked:
                    yield Finding(stream.name, "asked nothing for its first page", "read when asked, not before")
                asked = len(lab.line.sent)
                try:
                    pages.close()
                except RuntimeError:
                    yield Finding(stream.name, "goes on after it was closed", "let GeneratorExit through")
                if len(lab.line.sent) != asked:
                    yield Finding(stream.name, "asked for more when it was left", "no clean-up over the network")
            if threading.active_count() > threads:
                yield Finding(stream.name, "left a thread behind", "start none: the engine reads ahead by itself")
            again = lab.read(stream.name)
            if again.content != whole.content:
                yield Finding(stream.name, "reads differently after it was left", "keep nothing between reads")

        yield from each(lab.streams(), inspect)


def lost(
    stream: Stream, all_of_it: dict[Place, bytes], seen: dict[Place, bytes], rest: Reading, where: str
) -> Iterator[Finding]:
    """Tell what is missing of a stream after it was resumed; one thing is enough."""
    if rest.error is not None:
        yield Finding(stream.name, f"{where} it failed: {name_error(rest.error)}", "every page's cursor must resume")
        return
    missing = sorted(place for place, digest in all_of_it.items() if seen.get(place) != digest)
    if missing:
        remedy = "a page's cursor is the one behind that page: what it has not brought must still come"
        wrong = f"{where} it does not bring {'/'.join(missing[0])}"
        yield Finding(stream.name, wrong + (f" and {len(missing) - 1} more" if missing[1:] else ""), remedy)


def _turned(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _turned(value[key]) for key in reversed(value)}
    return [_turned(one) for one in value] if isinstance(value, list) else value


def _listed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _listed(one) for key, one in value.items()}
    return [_listed(one) for one in value] if isinstance(value, list | tuple) else value
