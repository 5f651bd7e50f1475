"""An app's request URL on this machine: keeps what Slack delivers, answers as told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cxbridge.core import connector as cx


@dataclass
class Receiver:
    """Deliveries in the order in which they came; `status` is what they are answered with."""

    url: str
    status: int = 200
    bodies: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    def inbound(self, at: datetime) -> list[cx.Inbound]:
        """Give the deliveries as the daemon's receiver would hand them on."""
        return [cx.Inbound("POST", headers, body, {}, at) for headers, body in self.bodies]


@contextmanager
def receiving() -> Iterator[Receiver]:
    """Listen on a free port of this machine while inside."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the name that the standard library calls
            body = self.rfile.read(int(self.headers["content-length"]))
            held.bodies.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(held.status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # as the standard library names it
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    held = Receiver(f"http://127.0.0.1:{server.server_address[1]}/slack")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
