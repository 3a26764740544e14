"""Markdown and the picture of what benchmarks/scoring.py measured."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

from scoring_engines import Measured, ratio

HEAD = (
    "| task | requests | asked | lm-eval forwards | forwarded | unique | forwarded / unique | lm-eval, s | assay, s "
    "| faster | with self-check | largest Δ, nats | differ |"
)
GROWTH_HEAD = "| | requests | unique | lm-eval forwards | forwarded | lm-eval, s | assay, s | faster |"
THEIRS, OURS = "#b45309", "#1d4ed8"
WIDTH, HEIGHT, MARGIN, RIGHT = 300, 200, 46, 24
"""Of one panel of the picture, in pixels."""


def rule(head: str) -> str:
    """The line below a table's head: names on the left, numbers on the right."""
    return "|---" + "|---:" * (head.count("|") - 2) + "|"


def tasks(rows: Sequence[Measured], rival: str = "lm-eval") -> list[str]:
    """A line a task, and the sums of all where there are several."""
    head = HEAD.replace("lm-eval", rival)
    lines = [head, rule(head), *(_task(r.key.rpartition("/")[2], [r]) for r in rows)]
    return [*lines, _task("**all**", rows)] if len(rows) > 1 else lines


def _task(name: str, rows: Sequence[Measured]) -> str:
    def of(value: Callable[[Measured], float]) -> float:
        return sum(map(value, rows))

    tokens = [of(lambda r: r.asked), of(_rival_tokens), of(lambda r: r.tokens), of(lambda r: r.unique)]
    cells = [
        *(f"{n:,.0f}" for n in (of(lambda r: r.requests), *tokens)),
        f"{tokens[2] / max(1, tokens[3]):.2f}",
        _seconds(of(_rival_seconds)),
        _seconds(of(lambda r: statistics.median(r.seconds))),
        f"{ratio(rows):.1f}",
        f"{ratio(rows, start=True):.1f}",
        f"{max(r.difference for r in rows):.1e}",
        f"{of(lambda r: r.predictions):.0f}, {of(lambda r: r.flags):.0f}",
    ]
    return f"| {name} | {' | '.join(cells)} |"


def _seconds(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}"


def _rival_seconds(row: Measured) -> float:
    return statistics.median(row.rival_s) * row.requests / row.rival_requests


def _rival_tokens(row: Measured) -> float:
    return row.rival_tokens * row.requests / row.rival_requests


def growth(rows: Sequence[Measured]) -> list[str]:
    """A line for each size; where lm-eval was not asked, a dash."""
    lines = [GROWTH_HEAD, rule(GROWTH_HEAD)]
    for r in rows:
        asked = bool(r.rival_requests)
        cells = [
            f"{r.requests:,}",
            f"{r.unique:,}",
            f"{r.rival_tokens:,}" if asked else "-",
            f"{r.tokens:,}",
            _seconds(statistics.median(r.rival_s)) if asked else "-",
            _seconds(statistics.median(r.seconds)),
            f"{ratio([r]):.1f}" if asked else "-",
        ]
        lines.append(f"| {r.key.rpartition('/')[2]} | {' | '.join(cells)} |")
    return lines


def picture(panels: dict[str, Sequence[Measured]], logarithmic: str, path: Path) -> None:
    """Seconds against size, a panel each, side by side; the axes of one are logarithmic."""
    drawn = [_panel(title, rows, title == logarithmic, i * WIDTH) for i, (title, rows) in enumerate(panels.items())]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH * len(drawn)} {HEIGHT}" '
        'font-family="sans-serif" font-size="11"><rect width="100%" height="100%" fill="white"/>'
        f"{''.join(drawn)}</svg>\n"
    )


def _panel(title: str, rows: Sequence[Measured], logarithmic: bool, left: float) -> str:
    def scale(value: float) -> float:
        return math.log10(value) if logarithmic else value

    lines = {
        THEIRS: [(float(r.key.rpartition("/")[2]), statistics.median(r.rival_s)) for r in rows if r.rival_s],
        OURS: [(float(r.key.rpartition("/")[2]), statistics.median(r.seconds)) for r in rows],
    }
    xs, ys = zip(*(point for line in lines.values() for point in line))
    low = (scale(min(xs)), scale(min(ys)) if logarithmic else 0.0)
    size = (max(1e-9, scale(max(xs)) - low[0]), max(1e-9, scale(max(ys)) - low[1]))

    def at(x: float, y: float) -> tuple[float, float]:
        across = left + MARGIN + (scale(x) - low[0]) / size[0] * (WIDTH - MARGIN - RIGHT)
        return across, HEIGHT - MARGIN - (scale(y) - low[1]) / size[1] * (HEIGHT - 2 * MARGIN)

    shapes = [f'<text x="{left + MARGIN}" y="16" font-weight="bold">{title}</text>']
    for i, (colour, name) in enumerate(((THEIRS, "lm-eval"), (OURS, "assay"))):
        points = " ".join("{:.1f},{:.1f}".format(*at(*point)) for point in lines[colour])
        shapes.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>')
        shapes.append(f'<text x="{left + MARGIN + 60 * i}" y="32" fill="{colour}">{name}</text>')
    for x in sorted(set(xs)):
        across = at(x, min(ys))[0]
        shapes.append(f'<text x="{across:.1f}" y="{HEIGHT - MARGIN + 16}" text-anchor="middle">{x:g}</text>')
    for y in (min(ys), max(ys)):
        up = at(min(xs), y)[1]
        shapes.append(f'<text x="{left + MARGIN - 6}" y="{up + 4:.1f}" text-anchor="end">{y:.2g} s</text>')
    floor, right = HEIGHT - MARGIN, left + WIDTH - RIGHT
    shapes.append(f'<path d="M{left + MARGIN} {MARGIN}V{floor}H{right}" fill="none" stroke="#888"/>')
    return "".join(shapes)
