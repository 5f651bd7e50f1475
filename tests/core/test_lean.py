"""What keeps a process quick while it goes on: what it has loaded is looked through no more, and that keeps nothing for ever."""

import gc
import weakref
from collections.abc import Iterator

import pytest

from cxbridge.core.lean import settle_in


class Circle:
    """Something that does not go by itself."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    gc.unfreeze()


def test_what_is_there_is_looked_through_no_more_and_what_comes_later_is() -> None:
    there = Circle()
    settle_in()
    loaded, came = weakref.ref(there), weakref.ref(Circle())
    del there
    gc.collect()
    assert loaded() is not None
    assert came() is None


def test_called_again_it_lets_go_of_what_has_come_to_be_of_no_use() -> None:
    there = Circle()
    settle_in()
    loaded = weakref.ref(there)
    del there
    settle_in()
    assert loaded() is None
