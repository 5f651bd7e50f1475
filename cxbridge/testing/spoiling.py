"""Finds the record of an entity in a vendor's JSON and gives every value in it the wrong type; it must not judge.

No connector has to say where its records stand: a record is an object in a list that holds the entity's key.
"""

from collections.abc import Callable, Iterator
from typing import Any

# What the spoilt values hold: it may turn up nowhere.
CANARY = "told-by-a-customer-in-confidence"

# The names on the way to a record, `*` for any place in a list.
Spot = tuple[str, ...]


class Spots:
    """Notes where in the answers that pass objects with that key stand, and changes nothing."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._found: dict[Spot, tuple[bool, int]] = {}

    def __call__(self, content: Any) -> Any:
        for spot, name in _records(content, self._key, ()):
            held = (name != "id", len(spot))
            self._found[spot] = min(held, self._found.get(spot, held))
        return content

    def found(self) -> list[Spot]:
        """List the places, the likeliest first."""
        return sorted(self._found, key=lambda spot: self._found[spot])


def spoiling(spot: Spot, key: str) -> Callable[[Any], Any]:
    """Give what spoils the record with that key wherever it stands there."""

    def spoil(content: Any) -> Any:
        for parent, index in _places(content, spot):
            record = parent[index]
            if isinstance(record, dict) and any(_is_key(value, key) for value in record.values()):
                parent[index] = {name: _wrong(value) for name, value in record.items()}
        return content

    return spoil


def _records(content: Any, key: str, at: Spot) -> Iterator[tuple[Spot, str]]:
    if isinstance(content, list):
        for item in content:
            if isinstance(item, dict):
                yield from (((*at, "*"), name) for name, value in item.items() if _is_key(value, key))
            yield from _records(item, key, (*at, "*"))
    elif isinstance(content, dict):
        for name, value in content.items():
            yield from _records(value, key, (*at, name))


def _places(content: Any, spot: Spot) -> Iterator[tuple[list[Any], int]]:
    first, rest = spot[0], spot[1:]
    if first == "*" and isinstance(content, list):
        for index, item in enumerate(content):
            if rest:
                yield from _places(item, rest)
            else:
                yield content, index
    elif isinstance(content, dict) and first in content:
        yield from _places(content[first], rest)


def _is_key(value: Any, key: str) -> bool:
    return isinstance(value, str | int) and not isinstance(value, bool) and str(value) == key


def _wrong(value: Any) -> Any:
    return CANARY if isinstance(value, dict | list) else [CANARY]
