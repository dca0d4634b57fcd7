"""A small line chart as SVG: powers of ten along x, values from zero up y, one line per name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 640, 340
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 44, 52
COLORS = ("#1f6feb", "#d1642a", "#1a7f50", "#8250df")


def line_chart(title: str, across: str, up: str, lines: Mapping[str, Sequence[tuple[float, float]]]) -> str:
    """The chart; `across` and `up` say what the axes are."""
    points = [point for line in lines.values() for point in line]
    lowest, highest = (math.log10(f(x for x, _ in points)) for f in (min, max))
    step, top = _scale(max(y for _, y in points))

    def x_of(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (math.log10(value) - lowest) / max(highest - lowest, 1e-9)

    def y_of(value: float) -> float:
        return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * value / top

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif"'
        ' font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        _text(LEFT, 22, title, size=15),
        _text(LEFT, TOP - 6, up, color="#666"),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, across, anchor="middle", color="#666"),
    ]
    for number in range(round(top / step) + 1):
        y = y_of(number * step)
        parts.append(f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#ddd"/>')
        parts.append(_text(LEFT - 8, y + 4, f"{number * step:,g}", anchor="end"))
    for x in sorted({x for x, _ in points}):
        parts.append(_text(x_of(x), HEIGHT - BOTTOM + 18, _short(x), anchor="middle"))
    labels: list[float] = []
    for color, (name, line) in zip(COLORS, lines.items(), strict=False):
        path = " ".join(f"{x_of(x):.1f},{y_of(y):.1f}" for x, y in line)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>')
        parts += [f'<circle cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="3" fill="{color}"/>' for x, y in line]
        labels.append(_free(y_of(line[-1][1]) + 4, labels))
        parts.append(_text(x_of(line[-1][0]) + 10, labels[-1], name, color=color))
    return "\n".join([*parts, "</svg>", ""])


def _text(x: float, y: float, text: str, *, anchor: str = "start", color: str = "#333", size: int = 12) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" fill="{color}" font-size="{size}">{escape(text)}</text>'
    )


def _free(y: float, taken: Sequence[float]) -> float:
    """The place nearest below or above where a label does not hide another."""
    offsets = sorted(range(-150, 151), key=abs)
    return next(y + offset for offset in offsets if all(abs(y + offset - other) >= 15 for other in taken))


def _scale(highest: float) -> tuple[float, float]:
    """The distance of the lines across, and the top."""
    power = 10 ** math.floor(math.log10(highest))
    step = next(power * part for part in (0.1, 0.2, 0.25, 0.5, 1, 2) if highest / (power * part) <= 6)
    return step, step * math.ceil(highest * 1.02 / step)


def _short(value: float) -> str:
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e4 else f"{value:g}"
