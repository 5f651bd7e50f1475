"""Pulls tickets into SQLite with a pipeline of dlt, as a process of its own in an environment that holds dlt.

    python -m benchmarks.peer_dlt --url http://127.0.0.1:PORT --folder EMPTY_FOLDER

Lists inside a ticket stay JSON in its one table, which is several times as fast as the child tables that dlt makes by itself.
Prints one line of JSON.
"""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

os.environ.update(RUNTIME__DLTHUB_TELEMETRY="false", RUNTIME__LOG_LEVEL="ERROR")

# It is installed in an environment of its own, where nothing is checked.
import dlt  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client import RESTClient  # type: ignore[import-not-found]
from dlt.sources.helpers.rest_client.paginators import JSONLinkPaginator  # type: ignore[import-not-found]


class _Export(JSONLinkPaginator):  # type: ignore[misc]  # its base is not seen here
    """Walks an export of Zendesk's, whose last page names a next one, too."""

    def __init__(self) -> None:
        super().__init__(next_url_path="after_url")

    def update_state(self, response: Any, data: Any = None) -> None:
        super().update_state(response, data)
        if response.json()["end_of_stream"]:
            self._has_next_page = False


def main() -> None:
    """Pull everything once."""
    parser = argparse.ArgumentParser(description="pull the tickets of a mock with dlt")
    parser.add_argument("--url", required=True)
    parser.add_argument("--folder", type=Path, required=True)
    asked = parser.parse_args()
    os.environ["DLT_DATA_DIR"] = str(asked.folder / "data")

    def tickets() -> Iterator[Any]:
        client = RESTClient(base_url=f"{asked.url}/api/v2/", paginator=_Export(), data_selector="tickets")
        yield from client.paginate("incremental/tickets/cursor.json", params={"start_time": 0, "per_page": 1000})

    resource = dlt.resource(tickets, name="tickets", primary_key="id", write_disposition="append", max_table_nesting=0)
    pipeline = dlt.pipeline(
        "measured",
        destination=dlt.destinations.sqlalchemy(f"sqlite:///{asked.folder / 'dlt.db'}"),
        dataset_name="desk",
        pipelines_dir=str(asked.folder / "pipelines"),
    )
    pipeline.run(resource)
    with pipeline.sql_client() as store:
        [(rows,)] = store.execute_sql("SELECT count(*) FROM tickets")
    print(json.dumps({"rows": rows}))


if __name__ == "__main__":
    main()
