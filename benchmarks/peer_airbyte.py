"""Pulls tickets into SQLite with a declarative source of airbyte-cdk, as a process of its own in an environment that holds it.

    python -m benchmarks.peer_airbyte --url http://127.0.0.1:PORT --folder EMPTY_FOLDER

The manifest says what a connector of Airbyte's says of this endpoint; the records are stored as a plain script stores them. Prints
one line of JSON.
"""

import argparse
import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

# It is installed in an environment of its own, where nothing is checked.
from airbyte_cdk.models import (  # type: ignore[import-not-found]
    ConfiguredAirbyteCatalog,
    ConfiguredAirbyteStream,
    DestinationSyncMode,
    SyncMode,
    Type,
)
from airbyte_cdk.sources.declarative.concurrent_declarative_source import (  # type: ignore[import-not-found]
    ConcurrentDeclarativeSource,
)

_ABREAST = 1000


def _manifest(url: str) -> dict[str, Any]:
    paginator = {
        "type": "DefaultPaginator",
        "page_token_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "cursor"},
        "page_size_option": {"type": "RequestOption", "inject_into": "request_parameter", "field_name": "per_page"},
        "pagination_strategy": {
            "type": "CursorPagination",
            "page_size": 1000,
            "cursor_value": "{{ response['after_cursor'] }}",
            "stop_condition": "{{ response['end_of_stream'] }}",
        },
    }
    retriever = {
        "type": "SimpleRetriever",
        "requester": {
            "type": "HttpRequester",
            "url_base": f"{url}/api/v2/",
            "path": "incremental/tickets/cursor.json",
            "http_method": "GET",
            "request_parameters": {"start_time": "{{ '0' if not next_page_token }}"},
        },
        "record_selector": {
            "type": "RecordSelector",
            "extractor": {"type": "DpathExtractor", "field_path": ["tickets"]},
        },
        "paginator": paginator,
    }
    schema = {"type": "object", "additionalProperties": True, "properties": {"id": {"type": "integer"}}}
    stream = {
        "type": "DeclarativeStream",
        "name": "tickets",
        "primary_key": ["id"],
        "retriever": retriever,
        "schema_loader": {"type": "InlineSchemaLoader", "schema": schema},
    }
    return {
        "version": "6.0.0",
        "type": "DeclarativeSource",
        "check": {"type": "CheckStream", "stream_names": ["tickets"]},
        "streams": [stream],
        "spec": {"type": "Spec", "connection_specification": {"type": "object", "properties": {}}},
    }


def _source(catalog: ConfiguredAirbyteCatalog | None, url: str) -> ConcurrentDeclarativeSource:
    return ConcurrentDeclarativeSource(catalog=catalog, config={}, state=None, source_config=_manifest(url))


def main() -> None:
    """Pull everything once."""
    parser = argparse.ArgumentParser(description="pull the tickets of a mock with airbyte-cdk")
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    log = logging.getLogger("airbyte")
    catalog = ConfiguredAirbyteCatalog(
        streams=[
            ConfiguredAirbyteStream(
                stream=stream, sync_mode=SyncMode.full_refresh, destination_sync_mode=DestinationSyncMode.append
            )
            for stream in _source(None, asked.url).discover(log, {}).streams
        ]
    )
    store = sqlite3.connect(asked.folder / "airbyte.db")
    store.execute("CREATE TABLE tickets (id INTEGER PRIMARY KEY, updated_at TEXT, status TEXT, subject TEXT, raw TEXT)")
    number = 0
    for message in _source(catalog, asked.url).read(log, {}, catalog, []):
        if message.type is not Type.RECORD or message.record is None:
            continue
        body = message.record.data
        row = (body["id"], body["updated_at"], body["status"], body["subject"], json.dumps(body))
        store.execute("INSERT OR REPLACE INTO tickets VALUES (?, ?, ?, ?, ?)", row)
        number += 1
        if number % _ABREAST == 0:
            store.commit()
    store.commit()
    [(rows,)] = store.execute("SELECT count(*) FROM tickets")
    store.close()
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
