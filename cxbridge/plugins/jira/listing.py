"""Follows the vendor's offset pages to their end; what the rows mean is for others.

`developer.atlassian.com/cloud/jira/platform/rest/v3/intro/#pagination`.
"""

from collections.abc import Iterator, Mapping

import msgspec

from cxbridge.core import connector as cx
from cxbridge.plugins.jira import wire


def beans(client: cx.Client, path: str, asked: Mapping[str, object], size: int) -> Iterator[list[msgspec.Raw]]:
    """Page through a list by the rows that came, since the vendor may lower the size that was asked for.

    Raises:
        WireFormat: when a page comes again instead of the next one.
    """
    start, first = 0, b""
    while True:
        page = client.get(path, {**asked, "startAt": start, "maxResults": size}).decode(wire.Bean)
        begins = bytes(page.values[0]) if page.values else b""
        if start and begins == first:
            raise cx.WireFormat("the pages of a list go in circles", operation=f"GET {path}")
        yield page.values
        first = begins
        start += len(page.values)
        if page.is_last or not page.values or (page.total is not None and start >= page.total):
            return
