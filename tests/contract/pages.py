"""Takes the code out of the tutorial, so that what it shows is what is run."""

import re
from pathlib import Path

TUTORIAL = Path(__file__).resolve().parents[2] / "docs" / "connectors.md"

_BLOCK = re.compile(r"^```python\n# (?P<file>\w+\.py)[^\n]*\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(file: str) -> list[str]:
    """List what the tutorial tells to put into a file, step by step."""
    return [found["code"] for found in _BLOCK.finditer(TUTORIAL.read_text(encoding="utf-8")) if found["file"] == file]


def write(folder: Path, pulse: int, tests: int) -> Path:
    """Write the tutorial's two files as they are after that many steps each; later definitions take the place of earlier."""
    for file, steps in (("pulse.py", pulse), ("test_pulse.py", tests)):
        (folder / file).write_text("\n\n".join(blocks(file)[:steps]), encoding="utf-8")
    return folder


def table(heading: str) -> list[list[str]]:
    """Give the rows of the table whose first column is called so, without heading and rule."""
    lines = TUTORIAL.read_text(encoding="utf-8").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {heading} |"))
    rows: list[list[str]] = []
    for line in lines[start + 2 :]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return rows
