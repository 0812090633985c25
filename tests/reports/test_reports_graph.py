"""Programs drawn."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ET

import pytest

import lipc
from lipc.frontends.lip import parse_lip
from lipc.ir import Program
from lipc.reports.graph import BOX, boxes_of, dot, svg
from tests.nets import random_network

RESIDUAL = parse_lip(
    "network n {\n  input x[2]\n  h = relu([1, 2; 3, 4] * x) + x\n  output y = [1, 1] * h\n}\n"
).program
CHAIN = lipc.from_weights(*random_network(0, (3, 4, 4, 1))).program


@pytest.mark.parametrize("program", [RESIDUAL, CHAIN])
def test_boxes_stand_below_what_they_read_and_apart(program: Program) -> None:
    boxes = boxes_of(program)
    assert [box.value for box in boxes] == list(range(len(program.ops)))
    for box in boxes:
        for operand in program.ops[box.value].operands:
            assert boxes[operand].y + BOX[1] < box.y
    for one, other in itertools.combinations(boxes, 2):
        assert abs(one.x - other.x) >= BOX[0] or abs(one.y - other.y) >= BOX[1]
    assert [box.value for box in boxes if box.result] == [program.result]


@pytest.mark.parametrize("program", [RESIDUAL, CHAIN])
def test_the_picture_is_svg_with_every_operation_and_line(program: Program) -> None:
    root = ET.fromstring(svg(program, "a <net> & more"))
    space = "{http://www.w3.org/2000/svg}"
    assert root.findtext(f"{space}title") == "a <net> & more"
    assert len(root.findall(f"{space}g")) == len(program.ops)
    assert len(root.findall(f"{space}path")) == sum(len(set(op.operands)) for op in program.ops)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for box in boxes_of(program):
        assert 0 <= box.x <= width - BOX[0]
        assert 0 <= box.y <= height - BOX[1]


def test_graphviz_text_names_every_line() -> None:
    text = dot(CHAIN, 'say "hi"')
    assert text.startswith('digraph "say \\"hi\\"" {')
    assert text.count("->") == sum(len(set(op.operands)) for op in CHAIN.ops)
    assert "style=dashed" in text
