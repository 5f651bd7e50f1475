"""Imprints: each thing that one stands for makes another of it."""

import sys
from types import ModuleType

import msgspec
import pytest

from cxbridge.core.imprints import HEAD, code_of, imprint_of, mapping_of

MAPPING = mapping_of(b"code")
DIGEST = b"d" * 16


def test_each_part_makes_another_imprint() -> None:
    made = [
        imprint_of(MAPPING, b"row", DIGEST, 1, False),
        imprint_of(mapping_of(b"other"), b"row", DIGEST, 1, False),
        imprint_of(MAPPING, b"row ", DIGEST, 1, False),
        imprint_of(MAPPING, b"row", b"e" * 16, 1, False),
        imprint_of(MAPPING, b"row", DIGEST, 2, False),
        imprint_of(MAPPING, b"row", DIGEST, 1, True),
        imprint_of(MAPPING, b"row", DIGEST, 1, False, b"beside"),
        imprint_of(MAPPING, b"rowbeside", DIGEST, 1, False),
    ]
    assert len(set(made)) == len(made)
    assert {len(one) for one in made} == {HEAD + 16}


def test_a_slice_of_an_answer_has_the_imprint_of_its_bytes() -> None:
    [row] = msgspec.json.decode(b'[ {"id": 1} ]', type=list[msgspec.Raw])
    assert imprint_of(MAPPING, row, DIGEST, 1, False) == imprint_of(MAPPING, b'{"id": 1}', DIGEST, 1, False)


def test_the_same_mapping_is_known_by_its_head() -> None:
    one, other = (imprint_of(MAPPING, row, DIGEST, 1, False) for row in (b"1", b"2"))
    assert one[:HEAD] == other[:HEAD] != imprint_of(mapping_of(b"other"), b"1", DIGEST, 1, False)[:HEAD]


def test_a_mapping_is_all_of_its_parts_in_whatever_order_settings_come() -> None:
    assert mapping_of(b"c", {"a": 1, "b": 2}) == mapping_of(b"c", {"b": 2, "a": 1})
    assert len({mapping_of("a", "b"), mapping_of("ab"), mapping_of("b", "a"), mapping_of("a", {"b": None})}) == 4


def test_code_is_known_by_what_is_in_its_files() -> None:
    assert code_of("cxbridge.core.ledger") == code_of("cxbridge.core.ledger") != code_of("cxbridge.core.errors")


def test_code_that_cannot_be_read_is_another_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "made_up", ModuleType("made_up"))
    assert code_of("made_up") != code_of("made_up")
