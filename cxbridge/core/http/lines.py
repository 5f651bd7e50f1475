"""Lines to servers: TCP connections, few at a time and kept for what is asked next; they must not know what is said on them."""

import select
import socket
import ssl
import threading
from collections import deque
from contextlib import suppress
from time import monotonic

from cxbridge.core.baton import BATON, SHORT
from cxbridge.core.http.library import httpx

# Scheme, host and port.
Origin = tuple[str, str, int]

# So much is handed to the system at a time, each with the whole time-out: a large body may take its time.
PIECE = 256 * 1024
# For so many time-outs in all a request may drip out, and the head of its answer or a body in.
DRIP = 4


class Line:
    """One TCP connection, with or without TLS. It is used by one thread at a time, that which took it."""

    __slots__ = ("_look", "_socket", "_timeout", "origin", "since")

    def __init__(self, origin: Origin, opened: socket.socket) -> None:
        self.origin = origin
        # When it was given back last.
        self.since = 0.0
        self._socket = opened
        self._timeout = opened.gettimeout()
        self._look = select.poll()
        self._look.register(opened, select.POLLIN)

    def begin(self, trust: ssl.SSLContext | None) -> None:
        """Prepare it for use; with `trust`, agree on TLS with the origin's host.

        Raises:
            OSError: there is no agreement, or none in time.
        """
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if trust is not None:
            # An end that is not announced cannot be told from one that somebody else has made: it is an error. The
            # descriptor stays the same, and can be hung up while both agree.
            self._socket = secured = trust.wrap_socket(
                self._socket,
                server_hostname=self.origin[1],
                do_handshake_on_connect=False,
                suppress_ragged_eofs=False,
            )
            secured.do_handshake()

    def send(self, data: bytes, timeout: float | None) -> None:
        """Send all of it.

        Raises:
            httpx.WriteTimeout: the server took nothing for `timeout` seconds, or too little for a few times as long.
            httpx.WriteError: the connection broke; how much of it the server has got is not known.
        """
        try:
            self._wait_for(timeout)
            sent = self._socket.send(data if len(data) <= PIECE else data[:PIECE])
            if sent == len(data):
                return
            end = None if timeout is None else monotonic() + DRIP * timeout
            rest = memoryview(data)[sent:]
            while rest:
                if end is not None and monotonic() > end:
                    raise TimeoutError
                rest = rest[self._socket.send(rest[:PIECE]) :]
        except TimeoutError as error:
            raise httpx.WriteTimeout("the request was not taken in time") from error
        except OSError as error:
            raise httpx.WriteError("the connection broke while the request was sent") from error

    def receive(self, most: int, timeout: float | None) -> bytes:
        """Give what comes next, of at most so many bytes; nothing when the server has ended the connection in order.

        Raises:
            httpx.ReadTimeout: nothing came for `timeout` seconds.
            httpx.RemoteProtocolError: the server ended TLS without saying so.
            httpx.ReadError: the connection broke.
        """
        try:
            self._wait_for(timeout)
            if not BATON.takes_part or (BATON.is_mine and self._hears()):
                return self._socket.recv(most)
            with BATON.away():
                return self._socket.recv(most)
        except TimeoutError as error:
            raise httpx.ReadTimeout("nothing came in time") from error
        except ssl.SSLEOFError as error:
            raise httpx.RemoteProtocolError("the connection ended without a word") from error
        except OSError as error:
            raise httpx.ReadError("the connection broke while the answer came") from error

    def spoiled(self) -> bool:
        """Tell whether the server has ended it, or has said something that nobody asked for."""
        opened = self._socket
        return bool(self._look.poll(0)) or (isinstance(opened, ssl.SSLSocket) and opened.pending() > 0)

    def _hears(self) -> bool:
        """Tell whether something comes in a moment, which is not worth letting go of the baton."""
        opened = self._socket
        return (isinstance(opened, ssl.SSLSocket) and opened.pending() > 0) or bool(self._look.poll(SHORT))

    def hang_up(self) -> None:
        """End whatever another thread does with it right now; it is still that thread which closes it."""
        with suppress(OSError):
            # Not the method of a TLS socket: that one would let the other thread go on in the clear.
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def _wait_for(self, timeout: float | None) -> None:
        # Each setting is a call of the system, and nearly all requests have the same.
        if timeout != self._timeout:
            self._socket.settimeout(timeout)
            self._timeout = timeout


class Lines:
    """All lines of one client: at most `most`, in use or kept. What was kept for longer than `kept_for` seconds is closed.

    A line is dropped early because a write over one that the server has just closed is a write of unknown fate.
    """

    def __init__(self, trust: ssl.SSLContext, *, most: int, kept_for: float) -> None:
        self._trust = trust
        self._kept_for = kept_for
        self._lock = threading.Lock()
        # How many more may be in use.
        self._free = most
        # Who waits for that, each behind a lock of its own that is opened when its turn comes.
        self._waiting: deque[threading.Lock] = deque()
        # By when they were given back, the newest last.
        self._kept: list[Line] = []
        self._in_use: set[Line] = set()
        self.closed = False

    def take(self, origin: Origin, connect: float | None, patience: float | None) -> Line:
        """Give the line to the origin that was used last, or a new one, waiting up to `patience` seconds where all are in use.

        Raises:
            httpx.PoolTimeout: none became free in time.
            httpx.ConnectTimeout: no connection was made in `connect` seconds.
            httpx.ConnectError: none was made for another reason, which is the cause.
        """
        self._queue(patience)
        try:
            while (line := self._pick(origin)) is not None:
                if not line.spoiled():
                    return line
                self._end(line)
            with BATON.away():
                return self._open(origin, connect)
        except BaseException:
            self._next()
            raise

    def give(self, line: Line) -> None:
        """Keep a line for the next request: everything that was asked on it is answered."""
        with self._lock:
            self._in_use.discard(line)
            if self.closed:
                line.close()
            else:
                line.since = monotonic()
                self._kept.append(line)
        self._next()

    def drop(self, line: Line) -> None:
        """Close a line on which nothing more can be asked."""
        self._end(line)
        self._next()

    def close(self) -> None:
        """Close what is kept and hang up what is in use, for good; who waits for a line hears of it as never connected."""
        with self._lock:
            self.closed = True
            for line in self._kept:
                line.close()
            self._kept.clear()
            for line in self._in_use:
                line.hang_up()
            while self._waiting:
                self._waiting.popleft().release()

    def _queue(self, patience: float | None) -> None:
        with self._lock:
            if self._free and not self.closed:
                self._free -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            if not self.closed:
                self._waiting.append(turn)
        if not self.closed and not self._wait(turn, patience):
            with self._lock:
                # It may have come after all, between the two.
                if turn in self._waiting:
                    self._waiting.remove(turn)
                    raise httpx.PoolTimeout("all connections are in use")
        if self.closed:
            raise httpx.ConnectError("the client is closed")

    def _wait(self, turn: threading.Lock, patience: float | None) -> bool:
        with BATON.away():
            return turn.acquire(timeout=-1 if patience is None else patience)

    def _next(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._free += 1

    def _pick(self, origin: Origin) -> Line | None:
        with self._lock:
            oldest = monotonic() - self._kept_for
            while self._kept and self._kept[0].since < oldest:
                self._kept.pop(0).close()
            for place in range(len(self._kept) - 1, -1, -1):
                if self._kept[place].origin == origin:
                    line = self._kept.pop(place)
                    self._in_use.add(line)
                    return line
            # A new one takes the place of the oldest to other origins.
            while len(self._kept) > self._free:
                self._kept.pop(0).close()
        return None

    def _open(self, origin: Origin, timeout: float | None) -> Line:
        scheme, host, port = origin
        try:
            line = Line(origin, socket.create_connection((host, port), timeout))
            with self._lock:
                self._in_use.add(line)
                closed = self.closed
            try:
                if closed:
                    raise ConnectionAbortedError("the client is closed")
                line.begin(self._trust if scheme == "https" else None)
            except BaseException:
                self._end(line)
                raise
        except TimeoutError as error:
            raise httpx.ConnectTimeout("no connection was made in time") from error
        # A host that is no name at all is an error of its letters.
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError("no connection was made") from error
        return line

    def _end(self, line: Line) -> None:
        # Within the lock, so that it is not hung up when its descriptor is already another one's.
        with self._lock:
            self._in_use.discard(line)
            line.close()
