"""Every fault of the table with every connector: played here, or a test elsewhere stands for it."""

import ast
from pathlib import Path

import pytest

from cxbridge.core.registry import GROUP
from tests.contract.test_shipped import SHIPPED, WITHOUT_CONNECTOR
from tests.matrix.benches import BENCHES
from tests.matrix.cells import PLAYED
from tests.matrix.play import Table
from tests.matrix.table import ELSEWHERE, FAULTS, NOTES
from tests.reliability.stage import Ground
from tests.reliability.volumes import matrix_seeds, soak

ROOT = Path(__file__).resolve().parents[2]
HERE = "tests/matrix/test_matrix.py::test_each_cell"


@pytest.mark.parametrize("seed", range(matrix_seeds()))
@pytest.mark.parametrize("vendor", list(BENCHES))
@pytest.mark.parametrize("fault", list(PLAYED))
def test_each_cell(ground: Ground, fault: str, vendor: str, seed: int) -> None:
    try:
        PLAYED[fault](Table(ground, BENCHES[vendor], seed))
    except Exception as error:
        more = f"CXBRIDGE_SOAK={soak():g} " if seed else ""
        error.add_note(f"again with: {more}.venv/bin/python -m pytest -q '{HERE}[{fault}-{vendor}-{seed}]'")
        error.add_note(f"{fault} is: {FAULTS[fault]} (seed {seed})")
        raise


def test_no_cell_is_missing() -> None:
    connectors = set(SHIPPED) - set(WITHOUT_CONNECTOR)
    assert set(BENCHES) == connectors, f"every connector of {GROUP} has a bench"
    assert list(FAULTS) == [f"F{number}" for number in range(1, 26)]
    assert set(PLAYED) | set(ELSEWHERE) == set(FAULTS)
    cells = {(fault, vendor) for fault in FAULTS for vendor in BENCHES}
    assert len(cells) == 125
    played = {(fault, vendor) for fault in PLAYED for vendor in BENCHES}
    for_all = {(fault, vendor) for fault in ELSEWHERE if fault not in PLAYED for vendor in BENCHES}
    assert played | for_all == cells
    assert len(played) == 85
    assert len(for_all) == 40
    assert set(NOTES) <= played
    assert all(len(reason) > 20 for reason in NOTES.values())


@pytest.mark.parametrize("named", [test for tests in ELSEWHERE.values() for test in tests])
def test_what_stands_for_a_cell_exists(named: str) -> None:
    place, _, name = named.partition("::")
    file = ROOT / place
    assert file.is_file(), f"{place} is not there: name the test that covers the fault now"
    tree = ast.parse(file.read_text(encoding="utf-8"))
    tests = [one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef)]
    assert name in tests, f"{name} is not in {place}"
