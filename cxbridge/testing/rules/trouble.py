"""Rules about what comes between while reading: refusals, limits, cut answers, pages that repeat, records that drifted."""

import contextlib
import io
import logging
import traceback
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from cxbridge.core.connector import (
    Page,
    RateLimited,
    Rejected,
    Retryable,
    Stream,
    Unauthorized,
    VendorError,
    WireFormat,
)
from cxbridge.testing import line
from cxbridge.testing.findings import Finding, Ruled, each, rule
from cxbridge.testing.lab import Endless, Lab, Reading, name_error
from cxbridge.testing.rules.resuming import lost
from cxbridge.testing.spoiling import CANARY, Spots, spoiling

_LET_THROUGH = "let the client's error through; catch only what the stream can really go on without"
# What a status means for a read; the default table of the client.
_TABLE: tuple[tuple[int, type[VendorError]], ...] = (
    (401, Unauthorized),
    (403, Rejected),
    (404, Rejected),
    (500, Retryable),
)


class TroubleRules(Ruled):
    """What a pull does when the vendor, the way to it or a record is not as it should be."""

    @rule
    def test_refusals_mean_what_the_error_table_says(self, lab: Lab) -> Iterator[Finding]:
        """401 is `Unauthorized`, 403 and 404 are `Rejected`, 500 is `Retryable`; a stream that is refused gives no page."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            for status, expected in _TABLE:
                with lab.line.broken(line.answers(status)):
                    reading = lab.read(stream.name)
                yield from _stopped(reading, expected, f"{stream.name} {status}", f"where the vendor answers {status}")

        yield from each(lab.streams(), inspect)

    @rule
    def test_an_answer_that_is_no_data_stops_the_stream(self, lab: Lab) -> Iterator[Finding]:
        """A web page with status 200 is `WireFormat`, a dead host `Retryable`, and neither gives a page."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            with lab.line.broken(line.shows_web_page):
                page = lab.read(stream.name)
            yield from _stopped(page, WireFormat, stream.name, "where a page to sign in on comes with status 200")
            with lab.line.broken(line.is_unreachable):
                dead = lab.read(stream.name)
            yield from _stopped(dead, Retryable, stream.name, "where no connection can be made")

        yield from each(lab.streams(), inspect)

    @rule
    def test_a_cut_answer_is_read_again(self, lab: Lab) -> Iterator[Finding]:
        """Half an answer is none: it is asked for again, and when it stays cut the stream stops with `Retryable`."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            with lab.line.broken(line.cuts_answer, times=1):
                once = lab.read(stream.name)
            if once.error is not None or once.content != whole.content:
                wrong = f"did not get over one cut answer: {name_error(once.error) if once.error else 'it lost some'}"
                yield Finding(stream.name, wrong, "read with client.get(), which asks again")
            with lab.line.broken(line.cuts_answer):
                always = lab.read(stream.name)
            yield from _stopped(always, Retryable, stream.name, "where every answer is cut")

        yield from each(lab.streams(), inspect)

    @rule
    def test_limits_are_obeyed(self, lab: Lab) -> Iterator[Finding]:
        """A short Retry-After is waited for, a long one ends the pull with `RateLimited` and the time to come back."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            asked = len(lab.line.sent)
            with lab.line.broken(line.answers(429, {"retry-after": "7"}), times=1):
                reading = lab.read(stream.name)
            if reading.error is not None or reading.content != whole.content:
                told = name_error(reading.error) if reading.error else "it lost some"
                yield Finding(stream.name, f"did not get over a Retry-After of 7 seconds: {told}", _LET_THROUGH)
            sent = lab.line.sent[asked:]
            if len(sent) > 1 and sent[1].at - sent[0].at < timedelta(seconds=7):
                yield Finding(stream.name, "asked again before the vendor's Retry-After", "leave waiting to the client")
            began = lab.clock.now()
            with lab.line.broken(line.answers(429, {"retry-after": "900"})):
                reading = lab.read(stream.name)
            yield from _stopped(reading, RateLimited, stream.name, "where the vendor says to come back in 15 minutes")
            until = getattr(reading.error, "retry_at", None)
            if isinstance(reading.error, RateLimited) and (until is None or until < began + timedelta(seconds=899)):
                remedy = "let the client read Retry-After, or give retry_at in the endpoint's refusal()"
                yield Finding(stream.name, f"would come back at {until}, before the vendor allows it", remedy)

        yield from each(lab.streams(), inspect)

    @rule
    def test_trouble_between_pages_loses_nothing(self, lab: Lab) -> Iterator[Finding]:
        """When the vendor fails behind a page, the pull that follows goes on from that page."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            if len(whole.pages) < 2 or stream.pages is None:
                return
            got: list[Page] = []
            error: Exception | None = None
            with lab.client() as client:
                pages = stream.pages(client, None)
                got.append(next(pages).mapped(stream.name))
                try:
                    with lab.line.broken(line.answers(500)):
                        got += (page.mapped(stream.name) for page in pages)
                except Exception as raised:  # noqa: BLE001  # whatever it is, it is judged below
                    error = raised
            reading = Reading(stream.name, tuple(got), error=error)
            if not isinstance(error, Retryable):
                yield Finding(stream.name, f"where the vendor fails behind a page: {_ended(reading)}", _LET_THROUGH)
            yield from _recovers(lab, stream, whole, reading, "after the vendor failed behind a page")

        yield from each(lab.changing(), inspect)

    @rule
    def test_a_page_given_twice_is_harmless(self, lab: Lab) -> Iterator[Finding]:
        """A vendor that gives a page again costs time only: the stream gets over it, or stops without losing anything."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            with lab.line.broken(line.Repeats(1)):
                reading = lab.read(stream.name)
            if reading.error is not None and not isinstance(reading.error, VendorError):
                yield Finding(stream.name, f"broke over a page given twice: {name_error(reading.error)}", _CIRCLES)
            yield from _recovers(lab, stream, whole, reading, "after a page came twice")

        yield from each(lab.streams(), inspect)

    @rule
    def test_pages_that_go_in_circles_are_noticed(self, lab: Lab) -> Iterator[Finding]:
        """A vendor that gives the same page for ever does not keep the pull for ever."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            with lab.line.broken(line.Repeats()):
                reading = lab.read(stream.name, most=len(whole.pages) + _MOST_AGAIN)
            if isinstance(reading.error, Endless):
                yield Finding(stream.name, f"read the same page {len(reading.pages)} times and went on", _CIRCLES)
            elif reading.error is not None and not isinstance(reading.error, VendorError):
                yield Finding(stream.name, f"broke over the same page: {name_error(reading.error)}", _CIRCLES)
            else:
                yield from _recovers(lab, stream, whole, reading, "after its pages went in circles")

        yield from each(lab.streams(), inspect)

    @rule
    def test_a_malformed_record_is_refused_alone(self, lab: Lab) -> Iterator[Finding]:
        """A record whose every value has the wrong type is in `refused`, with a reason that quotes none; the others come."""

        def inspect(stream: Stream) -> Iterator[Finding]:
            whole = lab.whole(stream.name)
            fullest = max(whole.pages, key=lambda page: len(page.entities), default=None)
            if fullest is None or not fullest.entities:
                return
            key = fullest.entities[0].source_id
            spots = Spots(key)
            with lab.line.broken(line.rewrites(spots)):
                lab.read(stream.name)
            for spot in spots.found():
                with lab.line.broken(line.rewrites(spoiling(spot, key))):
                    reading = lab.read(stream.name)
                keys = {entity.source_id for entity in reading.own}
                if reading.error is None and key in keys:
                    continue
                yield from _refused(stream, whole, reading, key)
                return
            if spots.found():
                wrong = f"took the record of {key} although every value in it had the wrong type"
                yield Finding(stream.name, wrong, "decode records one by one into types, and refuse what does not fit")
            else:
                wrong = f"the record of {key} was not found in the vendor's JSON"
                yield Finding(stream.name, wrong, "waive this rule for the stream, and test a bad record by hand")

        yield from each(lab.streams(), inspect)

    @rule
    def test_reading_only_reads(self, lab: Lab) -> Iterator[Finding]:
        """`check` and all streams work with a client that lets no write pass, as a plan uses it."""
        asked = len(lab.line.sent)
        with lab.client(read_only=True) as client:
            lab.connect().check(client)

        def inspect(stream: Stream) -> Iterator[Finding]:
            reading = lab.read(stream.name, read_only=True)
            if reading.error is not None:
                remedy = "read with client.get(), or name a post that only reads in Endpoint(reads=…)"
                yield Finding(stream.name, f"cannot be read without writing: {name_error(reading.error)}", remedy)

        yield from each(lab.streams(), inspect)
        for sent in lab.line.sent[asked:]:
            if sent.writes:
                remedy = "read with client.get(), or name a post that only reads in Endpoint(reads=…)"
                yield Finding("", f"reading sent {sent.told}", remedy)

    @rule
    def test_no_secret_escapes(self, lab: Lab) -> Iterator[Finding]:
        """No secret shows in errors, their causes, the log or the output, whatever the vendor answers."""
        faults = {
            "nothing in the way": None,
            "401": line.answers(401),
            "500": line.answers(500),
            "a web page": line.shows_web_page,
            "a dead host": line.is_unreachable,
        }
        for what, fault in faults.items():
            told, errors = _overheard(lab, fault)
            secrets = {**lab.secrets(), **lab.obtained()}
            for error in errors:
                told += "".join(traceback.format_exception(error)) + repr(error)
            for name, secret in secrets.items():
                if secret in told:
                    remedy = "put no settings and no headers into messages and logs"
                    yield Finding(name, f"is readable in errors, log or output, with {what}", remedy)


_CIRCLES = "note every cursor of a walk with cx.Unrepeating, or end where the vendor's page brings nothing further"
_MOST_AGAIN = 60


def _ended(reading: Reading) -> str:
    if reading.error is None:
        return f"it ended as if all were read, after {len(reading.pages)} pages"
    return f"it gave {name_error(reading.error)}"


def _stopped(reading: Reading, expected: type[VendorError], about: str, where: str) -> Iterator[Finding]:
    if not isinstance(reading.error, expected):
        yield Finding(about, f"{where}, {_ended(reading)} instead of {expected.__name__}", _LET_THROUGH)
    elif reading.pages:
        remedy = "yield a page only after its answer was read: its cursor is stored with it"
        yield Finding(about, f"{where}, it gave {len(reading.pages)} pages before it stopped", remedy)


def _recovers(lab: Lab, stream: Stream, whole: Reading, reading: Reading, where: str) -> Iterator[Finding]:
    if stream.order != "changed":
        if reading.error is None:
            yield from lost(stream, whole.content, reading.content, reading, where)
        return
    rest = lab.read(stream.name, reading.cursor)
    yield from lost(stream, whole.content, {**reading.content, **rest.content}, rest, where)


def _refused(stream: Stream, whole: Reading, reading: Reading, key: str) -> Iterator[Finding]:
    remedy = "decode records one by one, and put the reason why one does not fit into Page.refused"
    if reading.error is not None:
        yield Finding(stream.name, f"one bad record stopped it: {name_error(reading.error)}", remedy)
        return
    if len(reading.refused) <= len(whole.refused):
        yield Finding(stream.name, f"the bad record of {key} vanished without a word", remedy)
    missing = sorted({entity.source_id for entity in whole.own} - {entity.source_id for entity in reading.own} - {key})
    if missing:
        yield Finding(stream.name, f"the bad record of {key} took {missing[0]} with it", remedy)
    if any(CANARY in reason for reason in reading.refused):
        remedy = "name the place and the expected type, never the value: it may be a customer's words"
        yield Finding(stream.name, "the reason for a refused record quotes what was in it", remedy)


class _Ear(logging.Handler):
    """Hears everything that is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.heard: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.heard.append(f"{record.getMessage()} {record.args!r} {record.exc_info!r}")


def _overheard(lab: Lab, fault: line.Fault | None) -> tuple[str, list[Exception]]:
    """Check, read and write everything; give what was said on the way and the errors that came of it."""
    ear, root, output = _Ear(), logging.getLogger(), io.StringIO()
    level = root.level
    errors: list[Exception] = []
    root.addHandler(ear)
    root.setLevel(logging.DEBUG)
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(contextlib.redirect_stdout(output))
            stack.enter_context(contextlib.redirect_stderr(output))
            if fault is not None:
                stack.enter_context(lab.line.broken(fault))
            with lab.client() as client:
                try:
                    told: Any = lab.connect().check(client)
                    output.write(repr(told))
                except Exception as error:  # noqa: BLE001  # judged by its text alone
                    errors.append(error)
            for stream in lab.streams():
                reading = lab.read(stream.name)
                output.write(" ".join(reading.refused))
                if reading.error is not None:
                    errors.append(reading.error)
            for tried in lab.tried():
                try:
                    output.write(repr(lab.perform(tried.action, lab.call(tried))))
                except Exception as error:  # noqa: BLE001  # judged by its text alone
                    errors.append(error)
    finally:
        root.removeHandler(ear)
        root.setLevel(level)
    return "\n".join([*ear.heard, output.getvalue()]), errors
