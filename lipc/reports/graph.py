"""A program drawn: its operations as boxes, what they read as lines, from the input down."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

import numpy as np
from scipy.sparse import csr_array

from lipc.ir import Affine, Conditional, Kind, Op, Program, Switch
from lipc.ir.matrix import entries

BOX, GAP, MARGIN = (190, 46), (44, 34), 16
"""Width and height of a box and of what lies between two, and around all."""

SWING = (20.0, 16.0, 100.0)
"""How far lines swing around boxes: at least, more for each row, at most."""

MOST_OPS = 2000
"""Beyond, a picture shows nothing to anybody."""


@dataclass(frozen=True)
class Box:
    """An operation in the picture.

    Parameters
    ----------
    value
        Its number.
    kind
        For its colour: ``input``, ``affine``, ``conditional``, ``switch``.
    title, text
        Its two lines.
    x, y
        The upper left corner.
    result
        Whether it is the program's result.
    """

    value: int
    kind: str
    title: str
    text: str
    x: float
    y: float
    result: bool


def boxes_of(program: Program) -> list[Box]:
    """Return the operations of a program, each below all that it reads.

    In a row the operations stand in the order of the places of what they read.
    """
    ranks = _ranks(program)
    rows: list[list[int]] = [[] for _ in range(max(ranks) + 1)]
    for value, rank in enumerate(ranks):
        rows[rank].append(value)
    places = np.zeros(len(ranks))
    widest = max(map(len, rows))
    boxes = []
    for rank, row in enumerate(rows):
        row.sort(key=lambda value: (np.mean([places[each] for each in program.ops[value].operands] or [0.0]), value))
        for number, value in enumerate(row):
            places[value] = number + (widest - len(row)) / 2
            x = MARGIN + places[value] * (BOX[0] + GAP[0])
            y = MARGIN + rank * (BOX[1] + GAP[1])
            op = program.ops[value]
            title = f"%{value} {_name(op)}"
            boxes.append(Box(value, _name(op), title, _text(program, value), x, y, value == program.result))
    return sorted(boxes, key=lambda box: box.value)


def _ranks(program: Program) -> list[int]:
    """Return the length of the longest way to each operation."""
    ranks: list[int] = []
    for op in program.ops:
        ranks.append(1 + max((ranks[operand] for operand in op.operands), default=-1))
    return ranks


def _name(op: Op) -> str:
    return type(op).__name__.lower()


def _text(program: Program, value: int) -> str:
    """Return the second line of a box: what the operation makes, and what is known of it."""
    op = program.ops[value]
    made = f"{op.origin.name}: {op.kind.value}[{op.size}]" if op.origin.name else f"{op.kind.value}[{op.size}]"
    if isinstance(op, Affine):
        sparse = any(isinstance(term.matrix, csr_array) for term in op.terms)
        return f"{made}, {sum(entries(term.matrix) for term in op.terms)} {'nonzeros' if sparse else 'weights'}"
    known = program.bounds.get(value)
    if isinstance(op, Conditional) and known is not None:
        return f"{made}, {int((known.lower < known.upper).sum())} unstable"
    return made


def svg(program: Program, title: str) -> str:
    """Return the picture as an SVG file, light or dark as its reader likes."""
    boxes = boxes_of(program)
    by_value = {box.value: box for box in boxes}
    sides = [
        by_value[source].x + 0.75 * _swing(by_value[source], by_value[target]) for source, target, _ in _edges(program)
    ]
    width = max([*sides, *(box.x for box in boxes)]) + BOX[0] + MARGIN
    height = max(box.y for box in boxes) + BOX[1] + MARGIN
    lines = [_line(by_value[operand], by_value[value], bit) for operand, value, bit in _edges(program)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" role="img">'
    return "\n".join([head, f"<title>{escape(title)}</title>", _STYLE, *lines, *map(_shape, boxes), "</svg>", ""])


def _edges(program: Program) -> Iterator[tuple[int, int, bool]]:
    """Yield what reads what, and whether a bit is read."""
    for value, op in enumerate(program.ops):
        for operand in dict.fromkeys(op.operands):
            bit = (isinstance(op, Switch) and operand == op.bit) or program.ops[operand].kind is Kind.BIT
            yield operand, value, bit


def _swing(source: Box, target: Box) -> float:
    """Return how far a line swings aside, around the boxes between; 0 for one that has none between."""
    rows = round((target.y - source.y) / (BOX[1] + GAP[1]))
    if rows <= 1:
        return 0.0
    if source.x < target.x:
        return -SWING[0]  # on the left, past the column of the target
    return min(SWING[0] + SWING[1] * rows, SWING[2]) if source.x == target.x else SWING[0]


def _line(source: Box, target: Box, bit: bool) -> str:
    swing = _swing(source, target)
    if swing:  # from side to side
        side = BOX[0] if swing > 0 else 0
        start, end = (source.x + side, source.y + BOX[1] / 2), (target.x + side, target.y + BOX[1] / 2)
        first, second = (start[0] + swing, start[1]), (end[0] + swing, end[1])
        if source.x != target.x:  # down first, then in
            first, second = (first[0], (start[1] + end[1]) / 2), second
    else:
        start, end = (source.x + BOX[0] / 2, source.y + BOX[1]), (target.x + BOX[0] / 2, target.y)
        bend = max(20.0, (end[1] - start[1]) / 2)
        first, second = (start[0], start[1] + bend), (end[0], end[1] - bend)
    path = " ".join(f"{x:g} {y:g}" for x, y in (first, second, end))
    return f'<path class="{"bit" if bit else "real"}" d="M{start[0]:g} {start[1]:g} C{path}"/>'


def _shape(box: Box) -> str:
    kinds = f"{box.kind} result" if box.result else box.kind
    middle = box.x + BOX[0] / 2
    return (
        f'<g class="{kinds}"><rect x="{box.x:g}" y="{box.y:g}" width="{BOX[0]}" height="{BOX[1]}" rx="7"/>'
        f'<text class="title" x="{middle:g}" y="{box.y + 19:g}">{escape(box.title)}</text>'
        f'<text x="{middle:g}" y="{box.y + 36:g}">{escape(_short(box.text))}</text>'
        f"<title>{escape(box.text)}</title></g>"
    )


def _short(text: str, most: int = 32) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def dot(program: Program, title: str) -> str:
    """Return the picture as a file for Graphviz."""
    lines = [f"digraph {_quoted(title)} {{", '  node [shape=box, style=rounded, fontname="sans-serif"];']
    for box in boxes_of(program):
        extra = ", penwidth=2" if box.result else ""
        label = _quoted(f"{box.title}\n{box.text}")
        lines.append(f"  v{box.value} [label={label}{extra}];")
    for operand, value, bit in _edges(program):
        lines.append(f"  v{operand} -> v{value}{' [style=dashed]' if bit else ''};")
    return "\n".join([*lines, "}", ""])


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


_STYLE = """<style>
svg { color-scheme: light dark; background: light-dark(#ffffff, #0d1117); font: 12px system-ui, sans-serif; }
rect { fill: light-dark(#ffffff, #161b22); stroke: light-dark(#8b949e, #6e7681); stroke-width: 1.2; }
text { fill: light-dark(#57606a, #9aa5b1); text-anchor: middle; font-size: 11px; }
.title { fill: light-dark(#101418, #e6edf3); font-weight: 600; font-size: 12px; }
path { fill: none; stroke: light-dark(#8b949e, #6e7681); stroke-width: 1.3; }
.bit { stroke-dasharray: 4 3; }
.input rect { stroke: light-dark(#1f6feb, #58a6ff); }
.conditional rect, .switch rect { fill: light-dark(#fff4ec, #2b1d12); stroke: light-dark(#c2410c, #f0883e); }
.result rect { stroke-width: 3; }
</style>"""
