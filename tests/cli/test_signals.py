"""Signals: noticed whichever thread the system hands them to, and whenever they come."""

import signal
import subprocess
import sys

import pytest

_PROGRAM = """
import signal, sys, threading, time
from cxbridge.cli.signals import Signals

heard = []
signals = Signals()
signals.on(signal.SIGTERM, call=lambda number, frame: heard.append(number))

def strike():
    {strike}

threading.Thread(target=strike, daemon=True).start()
{before}
signals.wait()
print(heard)
"""
_TO_ANOTHER_THREAD = "time.sleep({after}); signal.pthread_kill(threading.get_ident(), signal.SIGTERM); time.sleep(600)"


@pytest.mark.process
@pytest.mark.parametrize(
    ("strike", "before", "heard"),
    [
        pytest.param(_TO_ANOTHER_THREAD.format(after=0.5), "", [signal.SIGTERM], id="another thread while it waits"),
        pytest.param(
            _TO_ANOTHER_THREAD.format(after=0), "time.sleep(0.5)", [signal.SIGTERM], id="another thread before"
        ),
        pytest.param("signals.wake()", "", [], id="no signal at all"),
        pytest.param("for _ in range(100_000): signals.wake()", "time.sleep(0.5)", [], id="more than the socket holds"),
    ],
)
def test_the_main_thread_hears_of_it(strike: str, before: str, heard: list[int]) -> None:
    program = _PROGRAM.format(strike=strike, before=before)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, str([int(one) for one in heard])), done.stderr
