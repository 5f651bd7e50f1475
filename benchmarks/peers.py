"""Installs other tools beside which cxbridge is measured, each into an environment of its own; knows no figure.

The environments stand in a folder of the system's temporary folder and are made once for each pinned version: virtual environments
of Python's, and folders of npm's where that is there. Where one cannot be installed, without a network for instance, it is left
out and the reason is printed: that is no failure of a measurement.
"""

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import measure

CACHE = Path(tempfile.gettempdir()) / "cxbridge-benchmarks"
# Seconds that one step of an installation may take; npm fetches up to 1,700 packages and compiles SQLite's binding.
_LIMIT, _NPM_LIMIT = 600, 2400


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool of Python's: what pip is asked for, and the program of ours that has it do the same work.

    `beside` is what that program, or the tool for what we have it do, needs further.
    """

    name: str
    version: str
    package: str
    module: str
    beside: tuple[str, ...] = ()

    @property
    def wanted(self) -> str:
        """What pip is asked for."""
        return " ".join((f"{self.package}=={self.version}", *self.beside))


@dataclass(frozen=True, slots=True)
class NodePeer:
    """Another tool of npm's.

    `script` is what node is started with, in its folder; it needs a node of `least_node`. `instead` are other versions of what it
    depends on, for those that cannot be had or do not fit. Where `built` names what is compiled, nothing else of what packages
    bring may run while it is installed.
    """

    name: str
    version: str
    package: str
    script: str
    least_node: int
    instead: Mapping[str, str] = field(default_factory=dict, hash=False)
    built: tuple[str, ...] = ()


PEERS = (
    Peer("airbyte-cdk", "7.39.1", "airbyte-cdk", "benchmarks.peer_airbyte"),
    Peer("dlt", "1.31.0", "dlt[sqlalchemy]", "benchmarks.peer_dlt"),
    Peer("zenpy", "2.0.57", "zenpy", "benchmarks.peer_zenpy"),
)
DBOS = Peer("DBOS", "3.4.0", "dbos", "benchmarks.peer_dbos", ("httpx==0.28.1",))
PROCRASTINATE = Peer(
    "procrastinate",
    "3.10.0",
    "procrastinate",
    "benchmarks.peer_procrastinate",
    ("psycopg[binary]==3.3.9", "httpx==0.28.1"),
)
NODE_RED = NodePeer("Node-RED", "4.1.15", "node-red", "node_modules/node-red/red.js", 18)
# One of its dependencies is not in the registry, the newest of another asks for a package that is not.
N8N = NodePeer(
    "n8n",
    "2.41.1",
    "n8n",
    "node_modules/n8n/bin/n8n",
    24,
    {"xlsx": "npm:xlsx@0.18.5", "linkedom": "0.18.14"},
    ("sqlite3", "isolated-vm"),
)
# What npm brings for a tool that the node of this machine is too old for.
NODE = "24.21.0"


@dataclass(frozen=True, slots=True)
class Node:
    """A node: its program and the numbers of its version."""

    program: Path
    version: str

    @property
    def major(self) -> int:
        """The first of the numbers; 0 where it did not start."""
        found = re.match(r"\d+", self.version)
        return int(found[0]) if found else 0


def installed(peers: Sequence[Peer] = PEERS) -> dict[Peer, Path]:
    """Install what is not there yet; gives the interpreter of each that is there, its program loaded once."""
    found = {}
    for peer in peers:
        python = environment(peer.name.lower(), peer.wanted)
        if python is None:
            continue
        try:
            measure.warm_up(peer.module, python=python)
        except subprocess.CalledProcessError as error:
            print(f"without {peer.name}: its program does not start ({error.returncode})", flush=True)
            continue
        found[peer] = python
    return found


def environment(name: str, wanted: str) -> Path | None:
    """Give the interpreter of an environment that holds packages, making it where it is not there; None where that fails."""

    def bring(place: Path) -> None:
        _call(sys.executable, "-m", "venv", str(place))
        _call(
            str(place / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            *wanted.split(),
        )

    place = _brought(name, wanted, f"{wanted} {platform.python_version()}", bring)
    return place and place / "bin" / "python"


def node_of(peer: NodePeer) -> Node | None:
    """Give the node that a tool runs on: the one of this machine, or one that npm brings; None where neither fits, and says why."""
    found = shutil.which("node") if shutil.which("npm") else None
    if found is None:
        print(f"without {peer.name}: node and npm are not there", flush=True)
        return None
    here = Node(Path(found), _version(found))
    if here.major >= peer.least_node:
        return here
    if int(NODE.partition(".")[0]) < peer.least_node:
        print(f"without {peer.name}: it needs node {peer.least_node}, npm is asked for {NODE}", flush=True)
        return None
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    package = f"node-{platform.system().lower()}-{machine}"
    place = _brought("node", f"{package}@{NODE}", package + NODE, lambda place: _npm(place, package, NODE))
    program = place and place / "node_modules" / package / "bin" / "node"
    if program is None:
        print(
            f"without {peer.name}: it needs node {peer.least_node}, here is {here.version or 'one that does not start'}"
        )
        return None
    return Node(program, NODE)


def _version(program: str) -> str:
    """Give the numbers of node's version; empty where it does not start."""
    try:
        done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip().removeprefix("v")


def node_installed(peer: NodePeer, node: Node) -> Path | None:
    """Give the folder of a tool of npm's, installing it where it is not there; None where that cannot be, and says why."""

    def bring(place: Path) -> None:
        words = ["--ignore-scripts", "--legacy-peer-deps"] if peer.built else []
        # What is compiled, and what compiles it, is to see the node that it will run on.
        more = {"PATH": f"{node.program.parent}{os.pathsep}{os.environ['PATH']}", **_headers(node)}
        _npm(place, peer.package, peer.version, *words, overrides=peer.instead, more=more)
        if peer.built:
            _call("npm", "rebuild", "--prefix", str(place), *peer.built, limit=_NPM_LIMIT, more=more)
        if not (place / peer.script).exists():
            raise OSError(f"npm brought no {peer.script}")

    return _brought(peer.name, f"{peer.package}@{peer.version}", f"{peer} {node.version}", bring)


def _brought(name: str, told: str, key: str, bring: Callable[[Path], None]) -> Path | None:
    """Give the folder of something, having it brought there once for each key; None where that fails, and says why."""
    place = _place(name.lower().replace(" ", "-"), key)
    if (place / "whole").exists():
        return place
    print(f"installing {told} beside, once …", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    try:
        place.mkdir(parents=True)
        bring(place)
    except (OSError, subprocess.SubprocessError) as error:
        _without(name, error, place)
        return None
    (place / "whole").touch()
    return place


def _npm(
    place: Path,
    package: str,
    version: str,
    *words: str,
    overrides: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> None:
    asked = {"private": True, "dependencies": {package: version}, "overrides": dict(overrides or {})}
    (place / "package.json").write_text(json.dumps(asked))
    _call("npm", "install", "--prefix", str(place), "--no-audit", "--no-fund", *words, limit=_NPM_LIMIT, more=more)


def _headers(node: Node) -> dict[str, str]:
    """Have what is compiled use the headers that came with node, where they did; nothing is fetched then."""
    root = node.program.resolve().parents[1]
    return {"npm_config_nodedir": str(root)} if (root / "include" / "node" / "node_api.h").exists() else {}


def _place(name: str, what: str) -> Path:
    return CACHE / f"{name}-{hashlib.blake2b(what.encode(), digest_size=4).hexdigest()}"


def _without(name: str, error: Exception, place: Path) -> None:
    """Say why it is left out, and leave nothing half made."""
    said = str(getattr(error, "stderr", "") or error).strip().splitlines()
    # npm's last line says where its log is, the one before what is wrong.
    said = [line for line in said if not line.startswith("npm error A complete log")]
    print(f"without {name}: {said[-1] if said else 'it cannot be installed'}", flush=True)
    shutil.rmtree(place, ignore_errors=True)


def _call(*words: str, limit: float = _LIMIT, more: Mapping[str, str] | None = None) -> None:
    env = {**os.environ, **(more or {})}
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=limit, env=env)
