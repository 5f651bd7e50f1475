"""Where the threads of this process stand, told by the interpreter's own fault handler.

Not by `sys._current_frames()`: whoever walks the frames of threads that run meanwhile reads what they are freeing, and CPython 3.11
then ends with a segmentation fault, once in some hundred thousand looks. The fault handler stops nobody and makes no frame objects.
"""

import faulthandler
import re
import tempfile
from typing import NamedTuple

# `docs.python.org/3/library/faulthandler.html`: a line for each thread, below it one for each call, the latest first.
_THREAD = re.compile(r"^(?:Current thread|Thread) 0x([0-9a-f]+)\b")
_CALL = re.compile(r'^  File "(.*)", line (\d+|\?\?\?) in (.*)$')


class Call(NamedTuple):
    """One call on a thread's stack: the file of its code, the line that it is at (0 where that is not known), its function."""

    file: str
    line: int
    function: str


def stacks() -> dict[int, list[Call]]:
    """Give the calls of every thread, by its identifier, the innermost first; nothing where they cannot be had.

    A hundred threads and a hundred calls of each are told at the most.
    """
    try:
        # A file, since the handler writes to a descriptor and past a pipe's size would wait for its reader.
        with tempfile.TemporaryFile() as told:
            faulthandler.dump_traceback(told, all_threads=True)
            told.seek(0)
            text = told.read().decode("utf-8", "replace")
    except OSError:
        return {}
    return parsed(text)


def parsed(text: str) -> dict[int, list[Call]]:
    """Read what the fault handler wrote; lines of another form are passed over."""
    found: dict[int, list[Call]] = {}
    calls: list[Call] = []
    for line in text.splitlines():
        if head := _THREAD.match(line):
            calls = found.setdefault(int(head[1], 16), [])
        elif call := _CALL.match(line):
            calls.append(Call(call[1], int(call[2]) if call[2].isdigit() else 0, call[3]))
    return found
