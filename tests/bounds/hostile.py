"""A plugin that does everything wrong, stream by stream and action by action, beside one that does everything right."""

import itertools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from cxbridge.core import connector as cx
from cxbridge.core.clock import Clock
from cxbridge.core.config import Configuration, Settings
from cxbridge.core.engine.bridge import Bridge
from cxbridge.core.registry import Registry
from cxbridge.core.store import checkpoints, records

Pages = Callable[[cx.Client, cx.Json], Iterator[Any]]


def ticket(key: object, **more: Any) -> cx.Ticket:
    return cx.Ticket(**{"source_id": str(key), "subject": "Export stops", **more})


def good(_client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    if cursor is None:
        yield cx.Page([ticket(1), ticket(2)], cursor=2)


def raising(error: BaseException) -> Pages:
    """Give one sound page, then raise."""

    def pages(_client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
        if cursor is None:
            yield cx.Page([ticket(1)], cursor=1)
        raise error

    return pages


def yielding(*given: object) -> Pages:
    """Yield something that is no page."""

    def pages(_client: cx.Client, _cursor: cx.Json) -> Iterator[Any]:
        yield from given

    return pages


def in_parts(entities: Sequence[cx.Ticket] = (), deleted: Sequence[str] = ()) -> Pages:
    """Give parts of a page, and never its end."""

    def pages(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
        while True:
            yield cx.Page(entities, cursor=None, deleted=deleted, more=True)

    return pages


def in_circles(*cursors: object) -> Pages:
    """Go round and round through the same pages."""

    def pages(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
        for cursor in itertools.cycle(cursors):
            yield cx.Page([ticket(f"of-{cursor}")], cursor=cursor)

    return pages


def growing(_client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Give the same records under ever longer cursors."""
    here = str(cursor or "")
    while True:
        here += "x"
        yield cx.Page([ticket(1)], cursor=here)


def always_empty(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    for number in itertools.count():
        yield cx.Page([], cursor=number)


def nothing_new(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    """Give the same empty page over and over."""
    while True:
        yield cx.Page([], cursor="here")


def huge(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    one = ticket(1)
    yield cx.Page([one] * 100_001, cursor=1)


def heavy(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    """A page within the number of records, and far above what it may weigh: one megabyte shared by all of them."""
    raw = b"x" * 1_048_576
    yield cx.Page([ticket(number) for number in range(130)], cursor=1, raw=[raw] * 130)


def without_end(_client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
    yield cx.Page((ticket(number) for number in itertools.count()), cursor=1)  # type: ignore[arg-type]  # that is the point


def no_generator(_client: cx.Client, _cursor: cx.Json) -> Any:
    raise SystemExit(3)


def nothing_at_all(_client: cx.Client, _cursor: cx.Json) -> Any:
    return None


def mutating(_client: cx.Client, cursor: cx.Json) -> Iterator[cx.Page]:
    """Change what was given and what was handed out."""
    mine: dict[str, Any] = cursor if isinstance(cursor, dict) else {"at": [0]}
    mine["at"].append(len(mine["at"]))
    entities = [ticket(len(mine["at"]))]
    page = cx.Page(entities, cursor=mine)
    yield page
    entities.clear()
    mine.clear()


def connector(name_: str, streams_: dict[str, Pages], **more: Any) -> cx.Connector:
    """Make a connector of these streams; `check_` and `actions_` say what it answers there."""

    class Made(cx.Connector):
        name = name_

        def endpoint(self) -> cx.Endpoint:
            return cx.Endpoint("https://vendor.test")

        def check(self, client: cx.Client) -> cx.Identity:
            answer = more.get("check_", lambda: cx.Identity("somebody"))
            return answer()  # type: ignore[no-any-return]  # whatever a test wants

        def streams(self) -> list[cx.Stream]:
            return [cx.Stream(name, (cx.Ticket,), pages=pages) for name, pages in streams_.items()]

        def actions(self) -> list[cx.Action]:
            return list(more.get("actions_", ()))

    return Made()


def opened(folder: Path, clock: Clock, *connectors: cx.Connector, **settings: Any) -> Bridge:
    """Open a bridge over them; each connection is called as its connector."""
    (folder / "recipes").mkdir(parents=True, exist_ok=True)
    configuration = Configuration(folder, Settings(**settings), Registry({}, []), {one.name: one for one in connectors})
    return Bridge(configuration, clock=clock)


def stored(bridge: Bridge, connection: str, stream: str) -> int:
    with bridge.store.read() as tx:
        return records.count(tx).get((connection, stream), 0)


def cursor_of(bridge: Bridge, connection: str, stream: str) -> Any:
    with bridge.store.read() as tx:
        kept = checkpoints.get(tx, connection, stream)
    return None if kept is None else kept.cursor


class Blocked:
    """A stream that does not come back until it is let go."""

    def __init__(self) -> None:
        self.began = threading.Event()
        self.let_go = threading.Event()

    def pages(self, _client: cx.Client, _cursor: cx.Json) -> Iterator[cx.Page]:
        self.began.set()
        self.let_go.wait()
        yield cx.Page([ticket(1)], cursor=1)
