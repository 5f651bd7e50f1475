"""Waiting for signals in the main thread, whichever thread the system hands them to; what they mean, it does not know."""

import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


class Signals:
    """The signals of this process; made and waited on in the main thread, where their handlers are called.

    A main thread that waits for a lock or an event wakes up only where the system interrupts that very thread. The system may
    hand a signal to any other thread of the process, and Python then calls no handler until something else wakes the main one: a
    daemon that was told to end would go on for ever. So it waits on a socket, which every signal writes to.
    """

    def __init__(self) -> None:
        self._heard, self._told = socket.socketpair()
        # Written to inside a signal handler, which must not wait; a full buffer wakes as well.
        self._told.setblocking(False)
        signal.set_wakeup_fd(self._told.fileno(), warn_on_full_buffer=False)

    def on(self, *numbers: signal.Signals, call: Handler) -> None:
        """Have a handler called for some signals."""
        for number in numbers:
            signal.signal(number, call)

    def wait(self) -> None:
        """Wait for a signal, or for `wake`; the signal's handler has been called when this returns."""
        self._heard.recv(4096)

    def wake(self) -> None:
        """End the waiting, from any thread."""
        with suppress(BlockingIOError):
            self._told.send(b"\0")
