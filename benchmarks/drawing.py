"""Draws bars and flames as SVG: the same input gives the same file, readable on light and on dark; measures nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

WIDTH = 860
_LABEL, _VALUE, _BAR, _GAP, _HEAD, _FOOT = 250, 120, 22, 8, 46, 14
_ROW, _LETTER = 17, 6.6
# Frames narrower than this share of the whole are cut: nobody can read them.
LEAST_SHARE = 0.005
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 15px }
.small { font-size: 11px }
.ground { fill: #ffffff }
.ours { fill: #0969da }
.theirs { fill: #8c959f }
.floor { fill: #bf8700 }
.frame { stroke: #ffffff; stroke-width: 0.5 }
.own { fill: #a5d0ff }
.library { fill: #ffd8a8 }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3 }
.ground { fill: #0d1117 }
.ours { fill: #4493f8 }
.theirs { fill: #7d8590 }
.floor { fill: #d29922 }
.frame { stroke: #0d1117 }
.own { fill: #1f4b7a }
.library { fill: #6b4716 }
}
</style>"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar. `kind` is `ours`, `theirs` or `floor`."""

    label: str
    value: float
    kind: str


def bars(title: str, unit: str, shown: Sequence[Bar], note: str = "") -> str:
    """Draw horizontal bars with their values and unit."""
    most = max((one.value for one in shown), default=0.0) or 1.0
    room = WIDTH - _LABEL - _VALUE
    height = _HEAD + len(shown) * (_BAR + _GAP) + _FOOT + (16 if note else 0)
    parts = [f'<text class="title" x="12" y="24">{escape(f"{title}, {unit}")}</text>']
    for place, one in enumerate(shown):
        top = _HEAD + place * (_BAR + _GAP)
        width = max(1.0, one.value / most * room)
        parts += [
            f'<text x="{_LABEL - 10}" y="{top + 16}" text-anchor="end">{escape(one.label)}</text>',
            f'<rect class="{one.kind}" x="{_LABEL}" y="{top}" width="{width:.1f}" height="{_BAR}" rx="2"/>',
            f'<text x="{_LABEL + width + 8:.1f}" y="{top + 16}">{figure(one.value)} {escape(unit)}</text>',
        ]
    if note:
        parts.append(f'<text class="small" x="12" y="{height - 10}">{escape(note)}</text>')
    return _framed(height, title, parts)


def figure(value: float) -> str:
    """Write a value with three digits that count, and no more."""
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2g}"


@dataclass(slots=True)
class Frame:
    """A function in a flame: how many samples were taken in it and in what it called."""

    samples: int = 0
    called: dict[str, "Frame"] = field(default_factory=dict)

    def depth(self, least: float) -> int:
        """Tell how many rows its callees need."""
        return max((1 + one.depth(least) for one in self.called.values() if one.samples >= least), default=0)


def folded(lines: Iterable[str]) -> Frame:
    """Put stacks together, each written as `outermost;…;innermost COUNT`."""
    root = Frame()
    for line in lines:
        stack, _, count = line.strip().rpartition(" ")
        if not stack:
            continue
        root.samples += int(count)
        at = root
        for name in stack.split(";"):
            at = at.called.setdefault(name, Frame())
            at.samples += int(count)
    return root


def flame(title: str, root: Frame) -> str:
    """Draw a flame graph: callers below, what they call above them, as wide as its share of the samples."""
    least = max(1.0, root.samples * LEAST_SHARE)
    rows = root.depth(least)
    height = _HEAD + rows * _ROW + 30
    parts = [f'<text class="title" x="12" y="24">{escape(title)}</text>']
    _flames(parts, root, 12.0, (WIDTH - 24) / max(1, root.samples), height - 26 - _ROW, root.samples, least)
    parts.append(
        f'<text class="small" x="12" y="{height - 10}">{root.samples:,} samples; frames below {LEAST_SHARE:.1%} are cut; '
        "blue: cxbridge, orange: others</text>"
    )
    return _framed(height, title, parts)


def _flames(parts: list[str], above: Frame, left: float, scale: float, top: float, whole: int, least: float) -> None:
    for name in sorted(above.called):
        one = above.called[name]
        if one.samples < least:
            continue
        width = one.samples * scale
        kind = "own" if "cxbridge/" in name else "library"
        room = int((width - 6) / _LETTER)
        text = name if len(name) <= room else f"{name[: room - 1]}…" if room > 3 else ""
        parts.append(
            f'<g><title>{escape(name)}: {one.samples / whole:.1%}</title><rect class="frame {kind}" x="{left:.1f}" '
            f'y="{top:.0f}" width="{width:.1f}" height="{_ROW}"/>'
            + (f'<text class="small" x="{left + 3:.1f}" y="{top + 12:.0f}">{escape(text)}</text>' if text else "")
            + "</g>"
        )
        _flames(parts, one, left, scale, top - _ROW, whole, least)
        left += width


def _framed(height: float, title: str, parts: Sequence[str]) -> str:
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" width="{WIDTH}" height="{height:.0f}" '
        f'role="img" aria-label="{escape(title, {chr(34): "&quot;"})}">'
    )
    return "\n".join((head, _STYLE, '<rect class="ground" width="100%" height="100%"/>', *parts, "</svg>", ""))
