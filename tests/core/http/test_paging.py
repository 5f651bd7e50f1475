"""A walk over pages that goes in circles ends within three pages."""

import pytest

from cxbridge.core.errors import WireFormat
from cxbridge.core.http.paging import Unrepeating


@pytest.mark.parametrize("circle", [["a"], ["a", "b"], ["a", "b", "c"]])
def test_a_circle_is_found_when_it_closes(circle: list[str]) -> None:
    once = Unrepeating()
    for cursor in ("x", "y"):
        once(cursor)
    for cursor in circle:
        once(cursor)
    with pytest.raises(WireFormat, match="go in circles"):
        once(circle[0])


def test_a_long_walk_passes() -> None:
    once = Unrepeating()
    for cursor in range(10_000):
        once(cursor)
