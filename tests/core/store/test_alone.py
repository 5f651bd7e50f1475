"""One process at a time performs deliveries, on either database; the hold ends with its process."""

import subprocess
import sys

import pytest

from cxbridge.core.clock import SystemClock
from cxbridge.core.errors import StoreError
from cxbridge.core.store import Store

HOLDER = """
import sys
from cxbridge.core.clock import SystemClock
from cxbridge.core.store import Store
store = Store.open(sys.argv[1], clock=SystemClock())
with store.alone("run"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_second_process_is_told_who_is_at_work_and_kill_ends_the_hold(store_url):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, store_url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    try:
        assert holder.stdout.readline() == "held\n"
        store = Store.open(store_url, clock=SystemClock())
        try:
            with pytest.raises(StoreError, match="is at work on this store"), store.alone("push"):
                pytest.fail("two processes at once")
            with store.write(), store.read():
                pass  # reading and mending need no hold
            holder.kill()
            holder.wait()
            for _ in range(200):
                # A server notices in its own time that a client is gone.
                try:
                    with store.alone("push"):
                        break
                except StoreError:
                    store.clock.wait(0.05)
            else:
                pytest.fail("the hold outlived its process")
        finally:
            store.close()
    finally:
        holder.kill()
        holder.wait()
        holder.stdin.close()
        holder.stdout.close()


def test_within_a_process_the_hold_comes_back_when_it_is_let_go(store):
    with store.alone("run"):
        pass
    with store.alone("run"):
        pass
