"""Installs other tools beside which a pull is measured, each into a virtual environment of its own; knows no figure.

The environments stand in a folder of the system's temporary folder and are made once for each pinned version. Where one cannot be
installed, without a network for instance, it is left out and the reason is printed: that is no failure of a measurement.
"""

import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks import measure

CACHE = Path(tempfile.gettempdir()) / "cxbridge-benchmarks"
_LIMIT = 600


@dataclass(frozen=True, slots=True)
class Peer:
    """Another tool: what pip is asked for, and the program of ours that has it pull tickets into SQLite."""

    name: str
    version: str
    package: str
    module: str

    @property
    def wanted(self) -> str:
        """What pip is asked for."""
        return f"{self.package}=={self.version}"


PEERS = (
    Peer("airbyte-cdk", "7.39.1", "airbyte-cdk", "benchmarks.peer_airbyte"),
    Peer("dlt", "1.31.0", "dlt[sqlalchemy]", "benchmarks.peer_dlt"),
    Peer("zenpy", "2.0.57", "zenpy", "benchmarks.peer_zenpy"),
)


def installed(peers: Sequence[Peer] = PEERS) -> dict[Peer, Path]:
    """Install what is not there yet; gives the interpreter of each that is there, its program loaded once."""
    found = {}
    for peer in peers:
        python = environment(peer.name, peer.wanted)
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
    """Give the interpreter of an environment that holds a package, making it where it is not there; None where that fails."""
    mark = hashlib.blake2b(f"{wanted} {platform.python_version()}".encode(), digest_size=4).hexdigest()
    place = CACHE / f"{name}-{mark}"
    python = place / "bin" / "python"
    if (place / "whole").exists():
        return python
    print(f"installing {wanted} beside, once …", flush=True)
    shutil.rmtree(place, ignore_errors=True)
    try:
        _call(sys.executable, "-m", "venv", str(place))
        _call(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wanted)
    except (OSError, subprocess.SubprocessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        print(f"without {name}: {said[-1] if said else 'it cannot be installed'}", flush=True)
        shutil.rmtree(place, ignore_errors=True)
        return None
    (place / "whole").touch()
    return python


def _call(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True, text=True, timeout=_LIMIT)
