"""The client that connectors are handed: verbs, credential, limits and tries together; it must not know a vendor."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from random import Random, SystemRandom
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode

import msgspec

from cxbridge.core.clock import Clock
from cxbridge.core.errors import RateLimited, Rejected, Retryable, VendorError, WireFormat, Withheld
from cxbridge.core.http.address import Base, Params, raw_path
from cxbridge.core.http.auth import Grant
from cxbridge.core.http.breaker import Breaker, failure_of
from cxbridge.core.http.endpoint import Endpoint
from cxbridge.core.http.library import httpx
from cxbridge.core.http.limits import WHOLE, Budget, Limiter
from cxbridge.core.http.patience import Patience
from cxbridge.core.http.quotas import Quota
from cxbridge.core.http.reply import Reply
from cxbridge.core.http.request import Ask, RequestDone, lower
from cxbridge.core.http.retry import Backoff, tries
from cxbridge.core.http.tokens import Session, TokenStore
from cxbridge.core.http.verdict import UNREADABLE, located, verdict
from cxbridge.core.http.wire import USER_AGENT, Wire, open_way

_JSON: Mapping[str, str] = {"content-type": "application/json"}

# The token endpoint has a limit of its own, apart from the API's.
TOKEN_BUCKET = "token endpoint"  # noqa: S105 - the name of a bucket


class Client:
    """Speaks to one connection; share it among threads. Errors say whether a write can have had an effect (`sent`).

    `get` is tried again in line when it fails for the moment. Writes are tried again only when they certainly had no
    effect, or, with `repeatable=True`, whenever that may help. Waiting longer than the endpoint's `page_wait` is left
    to the caller: the error's `retry_at` says until when.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        connection: str,
        clock: Clock,
        tokens: TokenStore,
        limiter: Limiter,
        wire: Wire,
        on_request: Callable[[RequestDone], None] | None,
        may_send: Callable[[], None] | None,
        breaker: Breaker,
        random: Random,
    ) -> None:
        self._endpoint = endpoint
        self._base = Base(httpx.URL(endpoint.base_url), endpoint.hosts)
        self._headers = lower(endpoint.headers)
        self._connection = connection
        self._clock = clock
        self._limiter = limiter
        self._wire = wire
        self._on_request = on_request
        self._may_send = may_send
        self._breaker = breaker
        self._backoff = Backoff(clock, random)
        self._session = Session(endpoint.auth, connection, clock, tokens)
        self._server_clock: tuple[datetime, float] | None = None
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Client {self._connection}>"

    def get(self, path: str, params: Params | None = None, *, headers: Mapping[str, str] | None = None) -> Reply:
        """Read. `path` is under the base URL or a whole URL of its origin; parameters that are None are left out."""
        return self._send("GET", path, params, headers, None, repeatable=True)

    def get_until(
        self,
        done: Callable[[Reply], bool],
        path: str,
        params: Params | None = None,
        *,
        pause: float = 2.0,
        longest: float = 10.0,
    ) -> Reply:
        """Read again and again until `done(reply)`: `pause` seconds apart at first, later up to `longest`.

        Waits no longer than the endpoint's `page_wait` in all, and gives the last answer, done or not.
        """
        patience = Patience(self._clock, self._endpoint.page_wait, self._closed)
        while not done(reply := self.get(path, params)) and pause <= patience.left:
            patience.wait(pause)
            pause = min(1.5 * pause, longest)
        return reply

    def post(
        self,
        path: str,
        json: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """Send a new thing. `repeatable`: doing it twice is as good as once, as with a search or a keyed write."""
        return self._send("POST", path, params, headers, json, repeatable=repeatable)

    def put(
        self,
        path: str,
        json: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """Replace a thing."""
        return self._send("PUT", path, params, headers, json, repeatable=repeatable)

    def patch(
        self,
        path: str,
        json: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """Change parts of a thing."""
        return self._send("PATCH", path, params, headers, json, repeatable=repeatable)

    def delete(
        self,
        path: str,
        json: Any = None,
        *,
        params: Params | None = None,
        headers: Mapping[str, str] | None = None,
        repeatable: bool = False,
    ) -> Reply:
        """Remove a thing."""
        return self._send("DELETE", path, params, headers, json, repeatable=repeatable)

    @property
    def now(self) -> datetime:
        """The time by our clock, in UTC."""
        return self._clock.now()

    def server_now(self) -> datetime:
        """Give the time by the vendor's clock, as its last reply told it; before the first reply, by ours."""
        told = self._server_clock
        if told is None:
            return self._clock.now()
        return told[0] + timedelta(seconds=self._clock.monotonic() - told[1])

    @property
    def skew(self) -> timedelta | None:
        """How far the vendor's clock is ahead of ours, to a second; None before it told."""
        return None if self._server_clock is None else self.server_now() - self._clock.now()

    def left_alone_until(self) -> datetime | None:
        """Say until when the vendor is left alone because it failed too often; None when it may be asked now."""
        return self._breaker.until()

    def close(self) -> None:
        """End all waiting and close the connections; calls under way fail at once, as never sent or with a fate that is unknown."""
        self._closed.set()
        self._session.forget()
        self._wire.close()

    def _send(
        self,
        method: str,
        path: str,
        params: Params | None,
        headers: Mapping[str, str] | None,
        json: Any,
        *,
        repeatable: bool,
    ) -> Reply:
        ask = self._asked(method, path, params, headers, json)
        if self._closed.is_set():
            raise Withheld("the client is closed", connection=self._connection, operation=ask.operation, sent=False)
        patience = Patience(self._clock, self._endpoint.page_wait, self._closed)
        doubt, number = False, 1
        failed: Retryable | None = None
        try:
            try:
                # Nearly always there is no more to it than this.
                return self._attempt(ask, patience, 1)
            except Retryable as error:
                failed, doubt = error, error.sent
            harmless = repeatable or ask.reads
            for attempt in tries(self._backoff, harmless=harmless, left=lambda: patience.left, sleep=patience.wait):
                number = attempt.retry_state.attempt_number
                with attempt:
                    if number == 1:
                        raise failed
                    try:
                        return self._attempt(ask, patience, number)
                    except Retryable as error:
                        doubt = doubt or error.sent
                        # Kept back after a try that failed, the call failed as that try did.
                        if isinstance(error, Withheld):
                            raise _kept_back(failed, error) from failed.__cause__
                        failed = error
                        raise
        except VendorError as error:
            if isinstance(error, Retryable):
                # A try of unknown fate stays in doubt, however clearly a later one was refused.
                error.sent = doubt and not ask.reads
            if isinstance(error, RateLimited) and error.retry_at is None:
                error.retry_at = self._clock.now() + timedelta(seconds=self._backoff.after(error, number))
            located(error, self._connection, ask.operation)
            raise
        raise AssertionError("the last try neither answered nor failed")

    def _attempt(self, ask: Ask, patience: Patience, number: int) -> Reply:
        def obtain(grant: Grant, fields: Mapping[str, object]) -> Reply:
            return self._ask_token(grant, fields, patience, number)

        credential = self._session.credential(obtain)
        reply = self._exchange(ask, credential.headers, self._buckets(ask), patience, number)
        # A credential that was refused had no effect, so that even a write may be sent again, once.
        if reply.status == 401 and (renewed := self._session.renew(credential, obtain)) is not None:
            reply = self._exchange(ask, renewed.headers, self._buckets(ask), patience, number)
        error = verdict(reply, self._endpoint, safe=ask.reads)
        if error is not None:
            try:
                raise error
            finally:
                # It knows this frame and all that called it: they would not go by themselves if the frame knew it, too.
                del error
        return reply

    def _exchange(
        self, ask: Ask, proof: Mapping[str, str], buckets: tuple[str, ...] | None, patience: Patience, number: int
    ) -> Reply:
        headers = {**ask.headers, **proof}
        request = self._wire.request(ask.method, ask.url, headers, ask.content, reads=ask.reads)
        counted = [] if buckets == (TOKEN_BUCKET,) else self._counted(ask)
        self._breaker.check()
        drawn = self._limiter.acquire(self._connection, buckets, patience.for_bucket, counted)
        ticket = self._leave(drawn, counted)
        started = self._clock.monotonic()
        reply: Reply | None = None
        failure: str | None = None
        try:
            status, told, body = self._wire.exchange(request)
            ended = self._clock.monotonic()
            reply = Reply(
                ask.method,
                ask.path,
                status,
                told,
                body,
                self._clock.now(),
                self._connection,
                _request_id(told.get(self._endpoint.request_id_header)),
            )
            if buckets != (TOKEN_BUCKET,) and reply.server_time is not None:
                self._server_clock = (reply.server_time, ended)
            failure = failure_of(reply)
            return reply
        except (Retryable, WireFormat) as error:
            failure = error.detail
            raise
        finally:
            hold = reply.retry_after if reply is not None and reply.status in (429, 503) else None
            self._limiter.settle(self._connection, drawn, self._budgets(reply), hold, counted)
            if reply is None and failure is None:
                self._breaker.give_up(ticket)
            else:
                self._breaker.leave(ticket, failure)
            if self._on_request is not None:
                seconds = self._clock.monotonic() - started
                status_seen = None if reply is None else reply.status
                self._on_request(RequestDone(self._connection, ask.method, ask.path, status_seen, seconds, number))

    def _leave(self, drawn: tuple[str, ...], counted: Sequence[Quota]) -> int:
        """Ask whether this process may still send; when not, nothing is under way of what was drawn from the limits."""
        try:
            if self._may_send is not None:
                self._may_send()
            return self._breaker.enter()
        except BaseException:
            self._limiter.settle(self._connection, drawn, quotas=counted)
            raise

    def _ask_token(self, grant: Grant, fields: Mapping[str, object], patience: Patience, number: int) -> Reply:
        url = httpx.URL(grant.token_url)
        if grant.encoding == "json":
            content, kind = msgspec.json.encode(fields), "application/json"
        else:
            content, kind = urlencode(fields).encode(), "application/x-www-form-urlencoded"
        ask = Ask(
            method="POST",
            path=raw_path(url),
            url=url,
            headers={"content-type": kind},
            content=content,
            reads=False,
        )
        try:
            return self._exchange(ask, lower(grant.proof()), (TOKEN_BUCKET,), patience, number)
        except Retryable as error:
            error.sent = False  # whatever became of the token, the request it was for never left
            raise located(error, self._connection, ask.operation) from error.__cause__

    def _asked(
        self, method: str, path: str, params: Params | None, headers: Mapping[str, str] | None, json: Any
    ) -> Ask:
        try:
            url, shown = self._base.address(path, params)
        except Rejected as error:
            raise located(error, self._connection, method) from None
        content = None if json is None else msgspec.json.encode(json)
        kind = {} if content is None else _JSON
        given = {**kind, **self._headers, **lower(headers)} if headers else {**kind, **self._headers}
        reads = method == "GET" or (self._endpoint.reads is not None and self._endpoint.reads(method, shown))
        return Ask(method=method, path=shown, url=url, headers=given, content=content, reads=reads)

    def _buckets(self, ask: Ask) -> tuple[str, ...] | None:
        if self._endpoint.buckets is None:
            return None
        return (WHOLE, *self._endpoint.buckets(ask.method, ask.path))

    def _counted(self, ask: Ask) -> list[Quota]:
        quotas = self._endpoint.quotas
        return [quota for quota in quotas if quota.counts(ask.method, ask.path)] if quotas else []

    def _budgets(self, reply: Reply | None) -> Iterable[Budget]:
        if reply is None or self._endpoint.budgets is None:
            return ()
        try:
            return tuple(self._endpoint.budgets(reply))
        except UNREADABLE:
            return ()  # limits are told by the way; a header in another form must not lose the answer


def open_client(
    endpoint: Endpoint,
    *,
    connection: str,
    clock: Clock,
    tokens: TokenStore,
    limiter: Limiter | None = None,
    read_only: bool = False,
    transport: httpx.BaseTransport | None = None,
    on_request: Callable[[RequestDone], None] | None = None,
    may_send: Callable[[], None] | None = None,
    breaker: Breaker | None = None,
    user_agent: str = USER_AGENT,
    random: Random | None = None,
) -> Client:
    """Open a client for one connection; nothing is sent yet.

    Clients of the same connection should share `limiter`, `breaker` and `tokens`. With `read_only` no write can leave, only
    requests for a token. `on_request` hears of every try, also of those for tokens, in the thread that made it.
    `may_send` is called right before a request is put on the wire, after all waiting, for tokens too: when it raises, nothing
    is sent. It raises `Withheld`, which is not tried again in line.
    """
    token_url = endpoint.auth.token_url if isinstance(endpoint.auth, Grant) else None
    chance = random or SystemRandom()
    way = open_way(transport, read_only=read_only, token_url=token_url)
    return Client(
        endpoint,
        connection=connection,
        clock=clock,
        tokens=tokens,
        limiter=limiter or Limiter(clock),
        wire=Wire(way, clock, timeout=endpoint.timeout, max_body=endpoint.max_body, user_agent=user_agent),
        on_request=on_request,
        may_send=may_send,
        breaker=breaker or Breaker(connection, clock, chance),
        random=chance,
    )


def _kept_back(failed: Retryable, until: Withheld) -> Retryable:
    failed.retry_at = max(filter(None, (failed.retry_at, until.retry_at)), default=None)
    return failed


def _request_id(told: str | None) -> str | None:
    return told if told and len(told) <= 100 and told.isascii() and told.isprintable() else None
