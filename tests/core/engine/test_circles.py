"""What comes and goes with each webhook goes by itself: while the interpreter looks for circles, nobody is served."""

import asyncio
import gc
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cxbridge.console.endpoints import Endpoint, Verdict
from cxbridge.console.intake import Intake
from cxbridge.console.judges import Judges
from cxbridge.core import connector as cx
from cxbridge.core.clock import ManualClock
from cxbridge.core.connector import Inbound
from cxbridge.core.engine.reading import read
from cxbridge.core.http import open_client
from cxbridge.core.http.tokens import MemoryTokens
from cxbridge.core.store import Store
from tests.console.test_intake import arrival
from tests.console.test_judges import ENDPOINT
from tests.core.engine.test_inbox import Fake, connection, nothing
from tests.integration.scene import scene


@contextmanager
def nothing_left_over(*names: str) -> Iterator[None]:
    """See that nothing of these types is left for the interpreter to find, when what happens inside is over."""

    def there() -> Counter[str]:
        return Counter(name for one in gc.get_objects() if (name := type(one).__qualname__) in names)

    gc.collect()
    before = there()
    gc.disable()
    try:
        yield
        assert there() - before == Counter()
    finally:
        gc.enable()


def test_a_read_entity_leaves_no_circle(sqlite_store: Store, clock: ManualClock) -> None:
    def one(_: cx.Client, key: str) -> cx.Page:
        return cx.Page([cx.Ticket(source_id=key, subject="x")], cursor="never")

    held = connection(cx.Stream("tickets", (cx.Ticket,), nothing, one=one))
    with open_client(Fake().endpoint(), connection="desk", clock=clock, tokens=MemoryTokens()) as client:
        for keys, abreast in ((["1"], 1), (["1", "2", "3"], 2)):
            with nothing_left_over("_Round", "_Asking", "Prepared"):
                assert len(
                    read(sqlite_store, held, held.streams["tickets"], client, clock, keys, abreast=abreast)
                ) == len(keys)


def test_a_judged_webhook_leaves_no_circle(sqlite_store: Store, clock: ManualClock) -> None:
    intake = Intake(sqlite_store, clock, lambda _: None)
    intake.start()

    def judge(_: Endpoint, inbound: Inbound) -> Verdict:
        return Verdict(200, arrival=arrival(int(inbound.body), clock))

    async def some() -> None:
        made = Judges(judge, intake, 20.0)
        for number in range(3):
            assert (await made.verdict(ENDPOINT, Inbound("POST", {}, b"%d" % number, {}, clock.now()))).status == 200
        made.stop()

    with nothing_left_over("_Case", "Verdict", "Inbound", "Arrival"):
        asyncio.run(some())
        # A thread has the last one in hand until it ends.
        for thread in threading.enumerate():
            if thread.name == "judge":
                thread.join(20)
    intake.stop()


@pytest.mark.parametrize("abreast", [1, 3])
def test_a_turn_of_writes_leaves_no_circle(tmp_path: Path, abreast: int) -> None:
    with scene(tmp_path) as stage:
        stage.organization("Northwind", "enterprise")
        stage.ticket(1, tags=["needs-engineering"])
        for name, stream in stage.bridge.streams():
            stage.bridge.pull(name, stream)
        stage.bridge.plan()
        with nothing_left_over("Abreast", "Turn", "Fresh", "Pushed", "Scopes", "Counterparts"):
            assert stage.bridge.push("jira", abreast=abreast).confirmed
