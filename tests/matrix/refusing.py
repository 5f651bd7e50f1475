"""F4 to F6, F20: the vendor wants us to wait, fails, cannot be reached, answers too late or refuses us, on any bench."""

import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest import mock

import httpx

from cxbridge.core.errors import RateLimited, Retryable
from cxbridge.core.http import DirectTransport
from tests.matrix.play import Play, Table

HOUR = 3600.0

# -- the vendor refuses for a while ------------------------------------------------------------------------------------

RETRY_AFTER: tuple[Mapping[str, Any], ...] = (
    {"retry_after": 20},
    {"retry_after": 900},
    {"retry_after": "http-date", "seconds": 25},
    {"retry_after": "absent"},
    {"retry_after": "garbled"},
    {"retry_after": "absurd"},
)


def rate_limited(table: Table) -> None:
    """F4: whatever form Retry-After has, nothing is asked before, and an absurd one is believed for an hour at most."""
    for how in RETRY_AFTER:
        with table.playing() as play:
            play.bad_read("rate_limited", **how)
            play.bad_writes("rate_limited", **how)
            play.people()
            began = play.now()
            play.rest()
            for error in play.errors:
                assert isinstance(error, RateLimited), error
                assert error.retry_at is not None
            took = (play.now() - began).total_seconds()
            assert took < 3 * HOUR + 900, f"{how}: {took:.0f} s"
            assert len(play.requests(status=429)) <= 6, "asked again and again"
            play.ends_well()


def failing(table: Table) -> None:
    """F5: the vendor fails, for a moment and for an hour; or cannot be reached at all."""
    for code, other in ((500, 502), (503, 504)):
        with table.playing() as play:
            play.bad_read("status", code=code)
            play.bad_writes("status", code=other)
            play.people()
            play.ends_well()
    with table.playing() as play:
        before = play.place()
        play.people()
        play.fault("status", ".", times=None, code=503)
        for _ in range(15):
            play.cycle()
        assert all(isinstance(one, Retryable) for one in play.errors), play.errors
        assert play.errors
        assert play.place() == before
        assert len(play.requests(status=503)) <= 40, "it is asked less and less"
        play.heal()
        play.ends_well()
    for how in (_refused, _unknown_host):
        with table.playing() as play:
            play.people()
            before = play.place()
            with how(play):
                failed = play.pull_one()
                play.stage.bridge.plan()
                play.stage.bridge.push(table.bench.vendor)
            assert isinstance(failed, Retryable), failed
            assert not failed.sent
            assert play.place() == before
            play.ends_well()
    with table.playing() as play:
        # What is to be written meets the closed door: it certainly never left, and is no doubt.
        play.people()
        play.pull()
        play.stage.bridge.plan()
        with _refused(play):
            play.stage.bridge.push(table.bench.vendor)
        assert {one.state for one in play.stage.deliveries()} == {"retry"}
        play.ends_well()


@contextmanager
def _over(play: Play, transport: httpx.BaseTransport) -> Iterator[None]:
    """Send the connection's requests over something else for a while."""
    clients = play.stage.bridge.clients
    usual = clients.transport_of
    clients.close()
    clients.transport_of = lambda _: transport
    try:
        yield
    finally:
        clients.close()
        clients.transport_of = usual


class _Redirected(httpx.BaseTransport):
    """Goes to the real network, to another host or port."""

    def __init__(self, **there: Any) -> None:
        self._there = there
        self._inner = DirectTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.url = request.url.copy_with(**self._there)
        return self._inner.handle_request(request)

    def close(self) -> None:
        self._inner.close()


@contextmanager
def _refused(play: Play) -> Iterator[None]:
    """Nobody listens where the vendor is."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with _over(play, _Redirected(port=bound.getsockname()[1])):
            yield


@contextmanager
def _unknown_host(play: Play) -> Iterator[None]:
    """The vendor's name cannot be resolved."""
    gone = socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    with _over(play, _Redirected(host="vendor.invalid")), mock.patch("socket.getaddrinfo", side_effect=gone):
        yield


class _Raises(httpx.BaseTransport):
    """Every request ends so, before it has left."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        raise self._error


def timing_out(table: Table) -> None:
    """F6: no connection in time, none free, or no answer in time, whether the vendor acts at once or after we have gone."""
    for never_left in (httpx.ConnectTimeout("connect"), httpx.PoolTimeout("pool")):
        with table.playing() as play:
            play.people()
            play.pull()
            play.stage.bridge.plan()
            with _over(play, _Raises(never_left)):
                play.stage.bridge.push(table.bench.vendor)
            assert {one.state for one in play.stage.deliveries()} == {"retry"}, "it certainly never left"
            play.ends_well()
    for name, seconds in (("ghost", 45), ("latency", 31)):
        with table.playing() as play:
            play.bad_read(name, seconds=seconds)
            play.bad_writes(name, seconds=seconds)
            play.people()
            play.pull()
            play.stage.bridge.plan()
            pushed = play.stage.bridge.push(table.bench.vendor)
            repeated = len(play.requests(path=table.bench.writes[0][0]))
            assert pushed.unknown or repeated > 1, (
                "a write without an answer is a doubt, where it may not just be repeated"
            )
            play.ends_well()


# -- credentials -------------------------------------------------------------------------------------------------------


def revoked(table: Table) -> None:
    """F20: a token that is revoked, or loses a scope, in mid-sync: no storm, and it goes on where it was."""
    with table.playing() as play:
        play.people()
        play.pull()
        play.stage.bridge.plan()
        play.fault("revoke_token", ".", times=None)
        play.stage.bridge.push(table.bench.vendor)
        assert play.paused()
        before, asked = play.place(), len(play.requests())
        for _ in range(6):
            play.cycle()
        assert len(play.requests()) == asked, "a connection that is paused is asked again"
        assert play.place() == before
        play.heal()
        play.stage.bridge.check(table.bench.vendor)
        play.ends_well()
    with table.playing() as play:
        play.people()
        before = play.place()
        play.bad_read("scope_removed", times=None)
        for _ in range(6):
            play.cycle()
        assert play.errors or play.refused(), "nobody was told"
        assert play.place() == before
        # Once in each cycle; of files there is one a survey.
        assert len(play.requests(path=table.bench.reads.path)) <= 6 * (3 if table.bench.files else 1) + 1, (
            "a retry storm"
        )
        play.heal()
        if play.paused():
            play.stage.bridge.check(table.bench.vendor)
        play.ends_well()
