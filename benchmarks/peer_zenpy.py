"""Pulls tickets into SQLite as a script with Zenpy does, as a process of its own in an environment that holds Zenpy.

    python -m benchmarks.peer_zenpy --url http://127.0.0.1:PORT --folder EMPTY_FOLDER

Zenpy speaks to an address of Zendesk's only: an adapter sends its requests to the mock instead. Prints one line of JSON.
"""

import argparse
import json
import sqlite3
from pathlib import Path
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from zenpy import Zenpy

_ADDRESS = "https://measured.zendesk.com"
_ABREAST = 1000


class _Redirected(HTTPAdapter):
    """Sends what is meant for Zendesk to the mock; Zenpy knows an answer by the address that it was asked for."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def send(self, request: Any, *words: Any, **options: Any) -> Any:
        sent = request.copy()
        sent.url = request.url.replace(_ADDRESS, self._url, 1)
        answer = super().send(sent, *words, **options)
        answer.request.url = answer.url = sent.url.replace(self._url, _ADDRESS, 1)
        return answer


def main() -> None:
    """Pull everything once."""
    parser = argparse.ArgumentParser(description="pull the tickets of a mock with Zenpy")
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    session = requests.Session()
    # The pages name the next ones by the mock's own address.
    for address in (_ADDRESS, asked.url):
        session.mount(address, _Redirected(asked.url))
    desk = Zenpy(subdomain="measured", email="somebody@example.com", token="made-up", session=session)
    store = sqlite3.connect(asked.folder / "zenpy.db")
    store.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, updated_at TEXT, status TEXT, subject TEXT, raw TEXT)")
    for number, ticket in enumerate(desk.tickets.incremental(start_time=0, paginate_by_time=False), 1):
        body = ticket.to_dict()
        row = (body["id"], body["updated_at"], body["status"], body["subject"], json.dumps(body))
        store.execute("INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?)", row)
        if number % _ABREAST == 0:
            store.commit()
    store.commit()
    [(rows,)] = store.execute("SELECT count(*) FROM tickets")
    store.close()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
