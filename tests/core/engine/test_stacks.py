"""Where threads stand is told by the fault handler, and never by walking the frames of threads that run."""

import threading
from pathlib import Path

from cxbridge.core.engine.stacks import Call, parsed, stacks

ROOT = Path(__file__).resolve().parents[3]


def test_the_calls_of_a_waiting_thread_are_told_from_the_innermost() -> None:
    waiting, let_go = threading.Event(), threading.Event()

    def waits_here() -> None:
        waiting.set()
        let_go.wait(30)

    def began_here() -> None:
        waits_here()

    thread = threading.Thread(target=began_here)
    thread.start()
    try:
        assert waiting.wait(10)
        calls = stacks()[thread.ident or 0]
    finally:
        let_go.set()
        thread.join()
    ours = [call.function.rpartition(".")[2] for call in calls if call.file == __file__]
    assert ours == ["waits_here", "began_here"]
    assert all(call.line > 0 for call in calls)
    assert threading.get_ident() in stacks()


def test_what_is_of_another_form_is_passed_over() -> None:
    text = """Thread 0x00007f0a (most recent call first):
  File "/a/b.py", line 12 in turns
  File "/a/c.py", line ??? in <module>
  ...

Current thread 0x00007f0b [pytest] (most recent call first):
  <no Python frame>
what is this
"""
    assert parsed(text) == {0x7F0A: [Call("/a/b.py", 12, "turns"), Call("/a/c.py", 0, "<module>")], 0x7F0B: []}


def test_nobody_walks_the_frames_of_other_threads() -> None:
    """CPython 3.11 ends with a segmentation fault where that is done often enough, and a daemon does everything often."""
    sources = (ROOT / "cxbridge").rglob("*.py")
    walks = [file.name for file in sources if "_current_frames(" in file.read_text(encoding="utf-8")]
    assert walks == ["stacks.py"], "it is named there as what is not done"
