"""One pull of the tickets stream by a real bridge into a fresh embedded store, as a process of its own.

    python -m benchmarks.bridge_pull --url http://127.0.0.1:PORT --folder EMPTY_FOLDER [--again]

Everything a user's pull does is in it: settings, store set-up, credential, paging, mapping, digests, change log, payloads, commits.
`--again` forgets the checkpoint and pulls a second time, when nothing has changed. Prints one line of JSON.
"""

import argparse
import json
import time
from pathlib import Path

from cxbridge.core.lean import collect_seldom, end_quickly


def write_settings(folder: Path, url: str) -> Path:
    """Write a configuration of one Zendesk connection and give its path."""
    for name in ("secrets", "recipes"):
        (folder / name).mkdir(exist_ok=True)
    (folder / "secrets" / "token").write_text("made-up-token")
    path = folder / "cxbridge.toml"
    path.write_text(
        f'[connections.zendesk]\nconnector = "zendesk"\nurl = "{url}"\naccess_token = {{ secret = "token" }}\n'
    )
    return path


def main() -> None:
    """Pull once, or twice."""
    # As a command does, before anything large is imported.
    collect_seldom()
    from cxbridge.core.config import load
    from cxbridge.core.engine.bridge import Bridge
    from cxbridge.core.store import changes, checkpoints, condition, records

    begun = time.perf_counter()
    parser = argparse.ArgumentParser(description="pull the tickets stream of a mock into a fresh store")
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--again", action="store_true")
    asked = parser.parse_args()
    with Bridge(load(write_settings(asked.folder, asked.url))) as bridge:
        opened = time.perf_counter()
        pulled = bridge.pull("zendesk", "tickets")
        done = time.perf_counter()
        told: dict[str, object] = {"seconds": done - opened, "opening": opened - begun, "refused": pulled.refused}
        if asked.again:
            with bridge.store.write() as tx:
                checkpoints.reset(tx, "zendesk", "tickets")
            done = time.perf_counter()
            second = bridge.pull("zendesk", "tickets")
            told["again_seconds"] = time.perf_counter() - done
            told["again_changed"] = second.changed
        with bridge.store.read() as tx:
            counts = records.count(tx)
            told["rows"] = counts[("zendesk", "tickets")]
            told["records"] = sum(counts.values())
            told["changes"] = changes.last_seq(tx)
            told["store_mb"] = round(condition.size(tx) / 1e6)
    print(json.dumps(told))
    # As a command does.
    end_quickly()


if __name__ == "__main__":
    main()
