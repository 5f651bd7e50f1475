"""The fault proxy over real loopback TCP: each toxic as a client and a server see it, the control API, a database behind it."""

import contextlib
import itertools
import json
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from cxbridge.sandbox.proxy import ATTRIBUTES, Proxies, RefusedError, UnknownToxicError
from cxbridge.sandbox.server import Sandbox


class Echo(socketserver.ThreadingTCPServer):
    """Sends back what it hears, and remembers it."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.ends: list[str] = []
        self.ended = threading.Semaphore(0)
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(socketserver.BaseRequestHandler):
    server: Echo

    def handle(self) -> None:
        end = "closed"
        try:
            while chunk := self.request.recv(65536):
                self.server.heard.append(chunk)
                self.request.sendall(chunk)
        except OSError:
            end = "reset"
        self.server.ends.append(end)
        self.server.ended.release()


@pytest.fixture
def echo() -> Iterator[Echo]:
    with Echo() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def proxies(echo: Echo) -> Iterator[Proxies]:
    with Proxies(control_port=0) as running:
        running.add("echo", echo.address)
        yield running


@contextlib.contextmanager
def dialled(proxies: Proxies, name: str = "echo") -> Iterator[socket.socket]:
    host, _, port = proxies.address(name).rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as line:
        yield line


def hear(line: socket.socket, size: int) -> bytes:
    """What comes until so much has come, or the other side ends."""
    heard = b""
    while len(heard) < size and (chunk := line.recv(65536)):
        heard += chunk
    return heard


def test_without_toxics_everything_comes_through_both_ways(proxies: Proxies, echo: Echo) -> None:
    words = b"0123456789" * 50_000
    with dialled(proxies) as line:
        sender = threading.Thread(target=line.sendall, args=(words,))
        sender.start()
        assert hear(line, len(words)) == words
        sender.join()
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b"", "the end is passed on as well"
    assert b"".join(echo.heard) == words
    assert echo.ended.acquire(timeout=10)
    assert echo.ends == ["closed"]


def test_latency_comes_late(proxies: Proxies) -> None:
    proxies.toxic("echo", "latency", latency=120, jitter=20)
    with dialled(proxies) as line:
        started = time.monotonic()
        line.sendall(b"x" * 500)
        assert len(hear(line, 500)) == 500
        # How much later than told is the machine's affair; earlier than told it must not be.
        assert time.monotonic() - started >= 0.1
        assert proxies.connections("echo") == 1


def test_latency_holds_in_its_own_direction_only(proxies: Proxies, echo: Echo) -> None:
    proxies.toxic("echo", "latency", stream="upstream", latency=60_000)
    with dialled(proxies) as line:
        line.sendall(b"x")
        line.settimeout(0.05)
        with pytest.raises(TimeoutError):
            line.recv(1)
    assert echo.heard == []


def test_bandwidth_lets_no_more_through_than_it_says(proxies: Proxies) -> None:
    proxies.toxic("echo", "bandwidth", rate=100)
    with dialled(proxies) as line:
        started = time.monotonic()
        line.sendall(b"x" * 20_000)
        assert len(hear(line, 20_000)) == 20_000
        assert time.monotonic() - started >= 0.19


def test_slow_close_tells_the_end_late(proxies: Proxies) -> None:
    proxies.toxic("echo", "slow_close", delay=100)
    with dialled(proxies) as line:
        line.sendall(b"x")
        assert hear(line, 1) == b"x"
        started = time.monotonic()
        line.shutdown(socket.SHUT_WR)
        assert line.recv(1) == b""
        assert time.monotonic() - started >= 0.1


def test_timeout_lets_nothing_through_and_closes(proxies: Proxies, echo: Echo) -> None:
    proxies.toxic("echo", "timeout", timeout=100, stream="upstream")
    with dialled(proxies) as line:
        line.sendall(b"x")
        assert line.recv(1) == b"", "closed in order"
    assert echo.heard == []


def test_timeout_zero_keeps_the_connection_until_it_is_taken_away(proxies: Proxies, echo: Echo) -> None:
    proxies.toxic("echo", "timeout", timeout=0, stream="upstream", name="silence")
    with dialled(proxies) as line:
        line.sendall(b"lost")
        line.settimeout(0.1)
        with pytest.raises(TimeoutError):
            line.recv(1)
        proxies.heal("echo", "silence")
        line.settimeout(10)
        line.sendall(b"kept")
        assert hear(line, 4) == b"kept"
    assert b"".join(echo.heard) == b"kept"


def test_reset_peer_resets_both_sides(proxies: Proxies, echo: Echo) -> None:
    proxies.toxic("echo", "reset_peer", timeout=0)
    with dialled(proxies) as line:
        line.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert echo.ended.acquire(timeout=10)
    assert echo.ends == ["reset"]
    assert echo.heard == [b"x"], "it is the answer that is lost"


def test_slicer_cuts_into_small_pieces(proxies: Proxies, echo: Echo) -> None:
    # A pause between the pieces keeps them apart on the wire.
    proxies.toxic("echo", "slicer", stream="upstream", average_size=10, size_variation=3, delay=5000)
    with dialled(proxies) as line:
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line.sendall(b"x" * 100)
        assert len(hear(line, 100)) == 100
    assert len(echo.heard) >= 5
    assert max(map(len, echo.heard)) < 100


def test_limit_data_lets_so_many_bytes_through_in_all(proxies: Proxies) -> None:
    proxies.toxic("echo", "limit_data", bytes=25)
    with dialled(proxies) as line:
        line.sendall(b"0123456789")
        assert hear(line, 10) == b"0123456789"
        line.sendall(b"0123456789" * 5)
        assert hear(line, 100) == b"012345678901234", "then it is closed in order"
    with dialled(proxies) as line:
        line.sendall(b"abc")
        assert hear(line, 3) == b"abc", "each connection has its own count"


@pytest.mark.parametrize("answered", [True, False])
def test_cut_when_waits_for_its_bytes_however_they_come(proxies: Proxies, echo: Echo, answered: bool) -> None:
    proxies.toxic("echo", "cut_when", stream="upstream", match="COMMIT", after=1, times=1, answered=answered)
    with dialled(proxies) as line:
        for words in (b"BEGIN;", b"COMMIT;", b"BEGIN;COM"):
            line.sendall(words)
            assert hear(line, len(words)) == words
        line.sendall(b"MIT;")
        with pytest.raises(ConnectionResetError):
            line.recv(1)
    assert echo.ended.acquire(timeout=10)
    assert (b"".join(echo.heard) == b"BEGIN;COMMIT;BEGIN;COMMIT;") is answered
    with dialled(proxies) as line:
        line.sendall(b"COMMIT;")
        assert hear(line, 7) == b"COMMIT;", "it cut as often as it was told"


def test_toxicity_is_the_share_of_connections_that_get_it(proxies: Proxies) -> None:
    proxies.toxic("echo", "reset_peer", toxicity=0.5, timeout=0)
    cut = 0
    for _ in range(40):
        with dialled(proxies) as line:
            line.sendall(b"x")
            try:
                cut += hear(line, 1) != b"x"
            except ConnectionResetError:
                cut += 1
    assert 8 <= cut <= 32, "drawn with a seed, so the same at every run"


def test_disabled_refuses_and_closes_what_stands(proxies: Proxies) -> None:
    with dialled(proxies) as line:
        line.sendall(b"x")
        assert hear(line, 1) == b"x"
        address = proxies.address("echo")
        proxies.enable("echo", False)
        assert line.recv(1) == b""
        with pytest.raises(ConnectionRefusedError), dialled(proxies):
            pass
    proxies.enable("echo")
    assert proxies.address("echo") == address, "the free port it once took stays its own"
    with dialled(proxies) as line:
        line.sendall(b"y")
        assert hear(line, 1) == b"y"


def test_an_upstream_that_is_not_there_ends_the_connection(proxies: Proxies) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxies.add("nobody", f"127.0.0.1:{bound.getsockname()[1]}")
        with dialled(proxies, "nobody") as line:
            assert line.recv(1) == b""


def test_toxics_follow_one_another(proxies: Proxies) -> None:
    proxies.toxic("echo", "slicer", average_size=4)
    proxies.toxic("echo", "limit_data", bytes=6)
    with dialled(proxies) as line:
        line.sendall(b"0123456789")
        assert hear(line, 100) == b"012345"


def test_a_toxic_strikes_connections_that_stand(proxies: Proxies) -> None:
    with dialled(proxies) as line:
        line.sendall(b"x")
        assert hear(line, 1) == b"x"
        proxies.toxic("echo", "timeout", timeout=50)
        assert line.recv(1) == b""


def test_the_control_api_has_toxiproxys_shape(proxies: Proxies, echo: Echo) -> None:
    with httpx.Client(base_url=proxies.control_url, trust_env=False) as api:
        assert "cxbridge" in api.get("/version").text
        made = api.post("/proxies", json={"name": "pg", "listen": "127.0.0.1:0", "upstream": echo.address})
        assert made.status_code == 201
        assert sorted(made.json()) == ["enabled", "listen", "name", "toxics", "upstream"]
        assert sorted(api.get("/proxies").json()) == ["echo", "pg"]
        toxic = {"type": "latency", "attributes": {"latency": 100}}
        assert api.post("/proxies/pg/toxics", json=toxic).json() == {
            "name": "latency_downstream",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 1.0,
            "attributes": {"latency": 100, "jitter": 0},
        }
        assert api.post("/proxies/pg/toxics", json=toxic).status_code == 409
        changed = api.post("/proxies/pg/toxics/latency_downstream", json={"attributes": {"jitter": 5}, "toxicity": 0.5})
        assert (changed.json()["attributes"], changed.json()["toxicity"]) == ({"latency": 100, "jitter": 5}, 0.5)
        assert [one["name"] for one in api.get("/proxies/pg/toxics").json()] == ["latency_downstream"]
        assert api.post("/proxies/pg", json={"enabled": False}).json()["enabled"] is False
        assert api.post("/reset").status_code == 204
        assert api.get("/proxies/pg").json()["enabled"] is True
        assert api.get("/proxies/pg").json()["toxics"] == []
        assert api.delete("/proxies/pg/toxics/latency_downstream").status_code == 404
        assert api.delete("/proxies/pg").status_code == 204
        assert api.get("/proxies/pg").json() == {"error": "proxy not found: pg", "status": 404}
        assert proxies.names() == ["echo"]


@pytest.mark.parametrize(
    ("path", "body", "status", "told"),
    [
        ("/proxies", {"name": "x"}, 400, "upstream"),
        ("/proxies", {"name": "echo", "upstream": "127.0.0.1:1"}, 409, "already exists"),
        ("/proxies/echo/toxics", {"type": "noise"}, 400, "slow_close"),
        ("/proxies/echo/toxics", {"type": "latency", "attributes": {"delay": 1}}, 400, "jitter"),
        ("/proxies/echo/toxics", {"type": "latency", "attributes": {"latency": "1s"}}, 400, "'1s'"),
        ("/proxies/echo/toxics", {"type": "latency", "stream": "sideways"}, 400, "sideways"),
        ("/proxies/echo/toxics", {"type": "cut_when"}, 400, "match"),
        ("/proxies/nobody/toxics", {"type": "latency"}, 404, "nobody"),
    ],
)
def test_what_cannot_be_is_refused_in_words(proxies: Proxies, path: str, body: object, status: int, told: str) -> None:
    reply = httpx.post(f"{proxies.control_url}{path}", json=body, trust_env=False)
    assert (reply.status_code, reply.json()["status"]) == (status, status)
    assert told in reply.json()["error"]


def test_the_manual_names_every_toxic_and_its_attributes() -> None:
    from cxbridge.sandbox.proxy import toxics

    manual = toxics.__doc__ or ""
    for name, attributes in ATTRIBUTES.items():
        [line] = [one for one in manual.splitlines() if one.split()[:1] == [name]]
        assert all(attribute in line for attribute in attributes), name


def test_a_taken_port_is_told_and_nothing_is_left_behind(proxies: Proxies) -> None:
    port = int(proxies.address("echo").rpartition(":")[2])
    with pytest.raises(OSError, match="choose another"):
        proxies.add("again", "127.0.0.1:1", listen=f"127.0.0.1:{port}")
    with pytest.raises(RefusedError, match="already exists"):
        proxies.add("echo", "127.0.0.1:1")
    with pytest.raises(UnknownToxicError):
        proxies.toxic("echo", "noise")
    assert proxies.names() == ["echo"]


def test_vendors_of_the_sandbox_stand_behind_proxies(proxies: Proxies) -> None:
    with Sandbox(vendors=("zendesk", "jira"), proxies=proxies) as sandbox:
        assert sandbox.zendesk_url == f"http://{proxies.address('zendesk')}"
        url, auth = f"{sandbox.zendesk_url}/api/v2/users/me.json", ("bridge@example.test/token", "sandbox-token")
        assert httpx.get(url, auth=auth, trust_env=False).status_code == 200
        proxies.toxic("zendesk", "limit_data", bytes=200)
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(url, auth=auth, trust_env=False)
        assert httpx.get(f"{sandbox.jira_url}/rest/api/3/serverInfo", trust_env=False).status_code in (200, 401)
    assert proxies.names() == ["echo"]


@pytest.mark.postgres
@pytest.mark.parametrize("answered", [True, False], ids=["done-and-not-told", "never-arrived"])
def test_a_database_behind_it_is_cut_at_commit(postgresql, answered: bool) -> None:
    import psycopg

    url = postgresql.empty()
    with psycopg.connect(url, autocommit=True) as direct:
        direct.execute("CREATE TABLE seen (n int)")
        info = psycopg.conninfo.conninfo_to_dict(url)
        host, port = str(info["host"]), str(info.get("port") or "5432")
        upstream = f"unix:{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"
        with Proxies() as proxies:
            address = proxies.add("pg", upstream).rpartition(":")
            through = psycopg.conninfo.make_conninfo(url, host=address[0], port=address[2], sslmode="disable")
            proxies.toxic("pg", "cut_when", stream="upstream", match="COMMIT", answered=answered)
            with contextlib.suppress(psycopg.OperationalError), psycopg.connect(through) as line:
                line.execute("INSERT INTO seen VALUES (1)")
                with pytest.raises(psycopg.OperationalError):
                    line.commit()
            with psycopg.connect(through) as line:
                line.execute("INSERT INTO seen VALUES (2)")
                line.commit()
        rows = [row[0] for row in direct.execute("SELECT n FROM seen ORDER BY n").fetchall()]
    assert rows == ([1, 2] if answered else [2])


@pytest.mark.process
def test_the_command_puts_a_proxy_before_every_vendor() -> None:
    ports = [f"--{name}-port=0" for name in ("control", "zendesk", "jira", "gainsight", "qualtrics", "slack", "proxy")]
    child = subprocess.Popen(
        [sys.executable, "-m", "cxbridge.cli", "sandbox", *ports, "--json", "--until-eof"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert child.stdout is not None
        told = json.loads("".join(itertools.takewhile(lambda line: line != "}\n", child.stdout)) + "}")
        proxied = httpx.get(f"{told['proxies']}/proxies", trust_env=False).json()
        assert {name: f"http://{one['listen']}" for name, one in proxied.items()} == {
            name: told[name] for name in ("zendesk", "jira", "gainsight", "qualtrics", "slack")
        }
        toxic = {"type": "reset_peer", "stream": "upstream"}
        assert httpx.post(f"{told['proxies']}/proxies/slack/toxics", json=toxic, trust_env=False).status_code == 200
        with pytest.raises(httpx.TransportError):
            httpx.get(f"{told['slack']}/api/auth.test", trust_env=False)
        assert httpx.get(f"{told['zendesk']}/api/v2/users/me.json", trust_env=False).status_code == 200
    finally:
        child.communicate(timeout=30)
    assert child.returncode == 0
