"""What is said about texts that are no programs: the place, between « and », the message and the hint."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from lipc.diagnostics import SourceError
from lipc.ir import parse_program

SYNTAX = [
    ("«»", "the text ends before the program does", "expected 'constants' or 'program'"),
    ("program«»", "the text ends before the program does", "expected '{'"),
    ("«progam» {", "expected 'constants' or 'program', found 'progam'", "did you mean 'program'?"),
    ("«{»", "a program begins with 'program {'", "expected 'constants' or 'program', found '{'"),
    (
        "«%0»: vec[2] = input space",
        "a program begins with 'program {'",
        "expected 'constants' or 'program', found '%0'",
    ),
    (
        "program {\n  %0: vec[2] = input space\n  output %0«»\n",
        "the text ends before the program does",
        "expected '}' or a new statement",
    ),
    (
        'program {\n  %0: vec[2] = input space @ "x"«»\n',
        "the text ends before the program does",
        "expected 'kept', '}', a text in quotes or a new statement",
    ),
    (
        "program {\n  %0: vec[2] = «affin» [1.0, 2.0]\n output %0 }",
        "expected 'affine', 'conditional', 'input' or 'switch', found 'affin'",
        "did you mean 'affine'?",
    ),
    (
        "program {\n  %0: vec[2] = input space\n}\n«}»",
        "after the end of the program stands something",
        "expected the end of the text, found '}'",
    ),
    (
        "program { %0: vec «=» input space output %0 }",
        "the size of the value is missing: write vec[3] or bits[3]",
        "expected '[', found '='",
    ),
    (
        "program { %0 «=» input space output %0 }",
        "a value is defined here; that is written %1: vec[3] = ..., and a product MATRIX * VALUE",
        "expected ':', found '='",
    ),
    (
        "program { %0: vec[2] =«=» input space }",
        "a single '=' defines a value",
        "expected 'affine', 'conditional', 'input' or 'switch', found '='",
    ),
    ("program«\x00»{", "a program begins with 'program {'", "expected '{', found the character U+0000"),
    (
        "program {«\u200b»}",
        "expected '}' or a new statement, found the character U+200B ZERO WIDTH SPACE",
        "",
    ),
    ("program { %0: vec[2] «:»= input space }", "a single '=' defines a value", "expected '=', found ':'"),
    ("program { %0: «mat»[2] = input space }", "expected 'vec' or 'bits', found 'mat'", ""),
    (
        "program {\n  %0: vec[2] = affine [«1.0», 2.0\n  output %0\n}",
        "a list is not closed, or the rows of a matrix are not in brackets of their own",
        "expected a list of numbers in brackets, found '1.0'",
    ),
    (
        "program {\n  %0: vec[2] = affine [«[»1.0, 2.0\n  output %0\n}",
        "a list is not closed, or the rows of a matrix are not in brackets of their own",
        "expected a list of numbers in brackets, found '['",
    ),
    (
        "program {\n  %0: vec[2] = affine [[1.0, 2.0], «3.0»]\n  output %0\n}",
        "a list is not closed, or the rows of a matrix are not in brackets of their own",
        "expected a list of numbers in brackets, found '3.0'",
    ),
    (
        "program {\n  %0: vec[2] = affine [[1.0, 2.0], [2.0, 3.0] «*» %0\n  output %0\n}",
        "a matrix is not closed: its ']' is missing",
        "expected ',' or ']', found '*'",
    ),
    (
        "program {\n  %0: vec[2] = affine [[1.0, 2.0] «[»2.0, 3.0]] * %0\n  output %0\n}",
        "a comma is missing between two rows",
        "expected ',' or ']', found '['",
    ),
    (
        "program {\n  %0: vec[2] = affine 2.0 «%0»\n  output %0\n}",
        "between a factor and a value stands a '*'",
        "expected '*', found '%0'",
    ),
    (
        "program {\n  %0: vec[2] = affine [[1.0, 2.0]] %0\n  «output» %0\n}",
        "a value is defined here; that is written %1: vec[3] = ..., and a product MATRIX * VALUE",
        "expected ':', found 'output'",
    ),
    (
        "program {\n  %0: vec[2] = input box [1.0, 2.0]«,» [2.0, 3.0]\n  output %0\n}",
        "bounds are written LOWER .. UPPER",
        "expected '..', found ','",
    ),
    (
        "program {\n  %0: vec[2] = input box [1.0, 2.0] «[»2.0, 3.0]\n  output %0\n}",
        "bounds are written LOWER .. UPPER",
        "expected '..', found '['",
    ),
    (
        "program {\n  %0: vec[2] = input «[»1.0, 2.0] .. [2.0, 3.0]\n  output %0\n}",
        "a domain is written box [0.0] .. [1.0], or space",
        "expected 'box' or 'space', found '['",
    ),
    (
        "program {\n  %0: vec[2] = input box 0 «..» 1\n  output %0\n}",
        "a vector is written [1.0, 2.0], or 0.5 * ones(2)",
        "expected '*', found '..'",
    ),
    (
        "program {\n  %0: vec[2] = switch %1 «%2»\n",
        "a switch reads a value and bits: switch %1, %2",
        "expected ',', found '%2'",
    ),
    (
        "program {\n  %0: vec[2] = input space @ «x»\n output %0 }",
        "the name of an origin stands in quotes, on one line",
        "expected a text in quotes, found 'x'",
    ),
    (
        'program {\n  %0: vec[2] = input space @ «"»x\n output %0 }',
        "the name of an origin stands in quotes, on one line",
        "expected a text in quotes, found '\"'",
    ),
    (
        "program {\n  %0: vec[2] = input space\n  «maximise» %0 }",
        "expected '@', 'ball', 'rows', '}' or a new statement, found 'maximise'",
        "did you mean 'maximize'?",
    ),
    (
        "program {\n  %0: vec[2] = input space\n  maximize «lipshitz»(%0, norm = linf) }",
        "expected 'lipschitz' or a value such as %1, found 'lipshitz'",
        "did you mean 'lipschitz'?",
    ),
    (
        "program {\n  %0: vec[2] = input space\n  maximize lipschitz(%0, norm «linf») }",
        "expected '=', found 'linf'",
        "",
    ),
    ("program {\n  %0: vec[2] = input space\n  maximize lipschitz(%0«)» }", "expected ',', found ')'", ""),
    (
        "program {\n  %0: vec[2] = input space\n  bounds %0: [1.0, 2.0]«,» [2.0, 3.0] }",
        "bounds are written LOWER .. UPPER",
        "expected '..', found ','",
    ),
    (
        "program {\n  %0: vec[2] = input space «$» \n",
        "expected '@', 'ball', 'rows', '}' or a new statement, found '$'",
        "",
    ),
    (
        "program {\n  %0: vec[2] = «relu» %0\n",
        "expected 'affine', 'conditional', 'input' or 'switch', found 'relu'",
        "a relu is two operations: %2: bits[3] = conditional %1, then %3: vec[3] = switch %1, %2",
    ),
    (
        "program {\n  %0: vec[2] = affine 2.0 * [[1.0, 2.0], [3.0, 4.0]] * %0«»",
        "the text ends before the program does",
        "expected '+', '@', '}' or a new statement",
    ),
    (
        "program {\n  %0: vec[2] = affine select([0, 1] «of» 2) * %0",
        "bounds are written LOWER .. UPPER",
        "expected ',', found 'of'",
    ),
    (
        "program {\n  %0: vec[2] = affine csr<2x2> {0: {0 1.0}} * %0«»",
        "the text ends before the program does",
        "expected '+', '@', '}' or a new statement",
    ),
    (
        "program {\n  %0: vec[2] = affine csr<2x2> {0: {0: 1.0} «1»: {1: 1.0}} * %0",
        "a comma is missing between two rows",
        "expected ',' or '}', found '1'",
    ),
    ("program {\n  %0: vec[2] = affine csr<«2»> {} * %0", "expected a shape such as 3x4, found '2'", ""),
    (
        "program {\n  %0: vec[2] = input box [1.0, 2.0] .. [2.0, 3.0] rows [[1.0, 1.0]] «[»1.0] .. [2.0]",
        "expected 'in', found '['",
        "",
    ),
    (
        "program {\n  %0: vec[2] = affine %0 «*» 2.0\n output %0}",
        "the matrix stands before the value: 2.0 * %0",
        "expected '+', '@', '}' or a new statement, found '*'",
    ),
    (
        "program {\n  %0: vec[2] = affine %0 «-» %1\n output %0}",
        "terms are added: write + -1.0 * %1",
        "expected '+', '@', '}' or a new statement, found '-'",
    ),
    (
        "program {\n  %0: vec[2] = conditional %0«,» %1 output %0}",
        "expected '@', '}' or a new statement, found ','",
        "",
    ),
    ("program {\n  %0: vec[2] = affine «x» * %0", "expected a value such as %1 or a vector or matrix, found 'x'", ""),
    (
        "program { %x«-1»: vec[2] = input space output %0 }",
        "a value is defined here; that is written %1: vec[3] = ..., and a product MATRIX * VALUE",
        "expected ':', found '-1'",
    ),
    (
        "program { «0»: vec[2] = input space output %0 }",
        "the name of a value begins with %",
        "expected '}' or a new statement, found '0'",
    ),
    ("program { %0: vec[«-2»] = input space output %0 }", "expected a whole number, found '-2'", ""),
]
SEMANTICS = [
    ("%y: vec[2] = affine «%z»", "there is no value %z", ""),
    ("%y: vec[2] = affine «%xx»", "there is no value %xx", "did you mean '%x'?"),
    (
        "%y: vec[2] = affine «%w»\n  %w: vec[2] = affine %x",
        "%w is used before it is defined",
        "operations stand in the order in which they are computed",
    ),
    (
        "%y: vec[2] = affine «%y»",
        "%y is used before it is defined",
        "operations stand in the order in which they are computed",
    ),
    ("«%x»: vec[2] = affine [1.0, 2.0]", "%x is defined twice, first in line 2", ""),
    (
        "%y: vec[3] = affine «[[1.0, 2.0], [3.0, 4.0]]» * %x",
        "the matrix is 2 x 2, but it maps %x (2 entries) to %y (3 entries)",
        "",
    ),
    ("%y: vec[2] = affine [[1.0, 2.0], «[3.0]»] * %x", "row 1 has 1 entry, row 0 has 2", ""),
    (
        "%y: vec[2] = affine «[1.0, 2.0]» * %x",
        "a vector stands where a matrix is needed",
        "a matrix of one row is written [[1.0, 2.0]]",
    ),
    (
        "%y: vec[2] = affine «[[1.0, 2.0], [3.0, 4.0]]»",
        "a matrix stands where a vector is needed",
        "a vector is written [1.0, 2.0]",
    ),
    ("%y: vec[3] = affine «%x»", "%x (2 entries) cannot be added to %y (3 entries)", "write MATRIX * VALUE"),
    ("%y: vec[2] = affine %x + 2.0 * «%x»", "%x is read twice", "add the two matrices"),
    ("%y: vec[2] = affine %x + [1.0, 2.0] + «[1.0, 2.0]»", "a second constant", "add it to the first"),
    ("%y: vec[2] = affine %x + [1.0, «inf»]", "the constant of %y: all numbers are finite", ""),
    ("%y: vec[2] = affine %x + [1.0, «nan»]", "a program holds no nan", ""),
    ("%y: vec[2] = affine %x + [1.0, «1e400»]", "1e400 is beyond double precision", ""),
    ("%y: vec[2] = affine [[1.0, «-inf»], [3.0, 4.0]] * %x", "the numbers of a matrix are finite", ""),
    ("%y: vec[2] = affine «inf» * %x", "the numbers of a matrix are finite", ""),
    ("%y: vec[2] = affine «inf» * eye(2) * %x", "the numbers of a matrix are finite", ""),
    ("%y: vec[2] = affine «nan» * eye(2) * %x", "a program holds no nan", ""),
    ("%y: vec[2] = affine %x + [1.0, «]»", "a number is missing", ""),
    ("%y: vec[2] = affine %x + «[1.0, 2,0]»", "the constant of %y: 3 entries, where 2 are needed", ""),
    ("%y: vec[2] = affine %x + [1.0, «abc»]", "'abc' is not a number", ""),
    ("%y: vec[2] = affine %x + [«1.0 2.0», 3.0]", "'1.0 2.0' is not a number", ""),
    ("%y: vec[2] = affine %x + [«1_0», 3.0]", "'1_0' is not a number", ""),
    (
        "%y: vec[2] = affine «2.0» * [[1.0, 2.0], [3.0, 4.0]] * %x",
        "this matrix cannot be multiplied by a number",
        "only ones, eye, select and scatter can be; write the numbers out",
    ),
    (
        "%y: vec[2] = affine %x + «2.0» * [1.0, 2.0]",
        "only a vector ones(..) can be multiplied by a number",
        "write the numbers out",
    ),
    ("%y: vec[2] = affine «zeros(2)» * %x", "a vector stands where a matrix is needed", "write zeros(rows, columns)"),
    ("%y: vec[2] = affine «zeros(2, 2)»", "a matrix stands where a vector is needed", "a vector is written [1.0, 2.0]"),
    (
        "%y: vec[2] = affine «zeros(2, 1000000000000)» * %x",
        "the matrix is 2 x 1000000000000, but it maps %x (2 entries) to %y (2 entries)",
        "",
    ),
    ("%y: vec[«1000000000000»] = affine zeros(1000000000000)", "a value has at most 4194304 entries", ""),
    ("%y: vec[2] = affine select([0, «2»], of 2) * %x", "there is no entry 2: there are 2, counted from 0", ""),
    ("%y: vec[2] = affine select([0, «-2»], of 2) * %x", "there is no entry -2: there are 2, counted from 0", ""),
    (
        "%y: vec[2] = affine «select([0, 1], of 1000000000000000)» * %x",
        "the matrix is 2 x 1000000000000000, but it maps %x (2 entries) to %y (2 entries)",
        "",
    ),
    ("%y: vec[2] = affine select([0, «1.5»], of 2) * %x", "'1.5' is not a whole number", ""),
    (
        "%y: vec[2] = affine «select(0:1000000000000000, of 2)» * %x",
        "the matrix is 1000000000000000 x 2, but it maps %x (2 entries) to %y (2 entries)",
        "",
    ),
    ("%y: vec[2] = affine select(«2:0», of 2) * %x", "the range 2:0 ends before it begins", ""),
    ("%y: vec[2] = affine scatter([0, «2»], into 2) * %x", "there is no entry 2: there are 2, counted from 0", ""),
    ("%y: vec[2] = affine «diag([1.0])» * %x", "the matrix is 1 x 1, but it maps %x (2 entries) to %y (2 entries)", ""),
    ("%y: vec[2] = affine csr<2x2> {0: {0: 1.0, «0: 2.0»}} * %x", "the columns of a sparse row ascend", ""),
    ("%y: vec[2] = affine csr<2x2> {1: {0: 1.0}, «0: {0: 2.0}»} * %x", "the rows of a sparse matrix ascend", ""),
    ("%y: vec[2] = affine csr<2x2> {«2: {0: 1.0}»} * %x", "there are 2 rows only", ""),
    ("%y: vec[2] = affine csr<2x2> {«0: {2: 1.0}»} * %x", "there is no column 2: there are 2, counted from 0", ""),
    ("%y: vec[2] = affine csr<2x2> {0: {«0 1.0»}} * %x", "an entry of a sparse row is written COLUMN: NUMBER", ""),
    ("%y: vec[2] = affine csr<2x2> {0: {«0: inf»}} * %x", "this must be finite", ""),
    ("%y: vec[2] = affine csr<2x2> {0: {«0: x»}} * %x", "'x' is not a number", ""),
    ("%y: vec[2] = affine csr<2x2> {0: {0: 1.0,«}»} * %x", "an entry of a sparse row is written COLUMN: NUMBER", ""),
    (
        "%y: vec[2] = affine dense<2x2, «elided»> * %x",
        "this constant was elided when the program was printed",
        "print the program without --elide",
    ),
    ("%y: vec[2] = affine dense<2x2, «$c0»> * %x", "there is no constant c0", "the program names no file of constants"),
    (
        "%y: vec[2] = affine csr<2x2, 3 entries, «elided»> * %x",
        "this constant was elided when the program was printed",
        "print the program without --elide",
    ),
    (
        "%y: bits[2] = conditional «%b»",
        "%b holds bits, not real numbers",
        "an affine reads them as the numbers 0 and 1",
    ),
    ("%y: «vec[2]» = conditional %x", "a conditional makes bits", "write bits[2]"),
    ("%y: «bits[2]» = affine %x", "an affine makes real numbers", "write vec[2]"),
    ("%y: bits[3] = conditional «%x»", "%x (2 entries) and %y (3 entries) differ in size", ""),
    (
        "%y: vec[2] = switch %x, «%x»",
        "%x holds real numbers, not bits",
        "a switch reads a value and bits: switch %1, %2",
    ),
    ("%y: vec[2] = switch «%b», %b", "%b holds bits, not real numbers", "an affine reads them as the numbers 0 and 1"),
    ("%y: vec[3] = switch «%x», %b", "%x (2 entries) and %y (3 entries) differ in size", ""),
    ("%y: vec[2] = input box «[0.0]» .. [1.0]", "the lower bound of %y: 1 entry, where 2 are needed", ""),
    (
        "%y: vec[2] = input box [0.0, «2.0»] .. [1.0, 1.0]",
        "the lower bound 2 of entry 1 is above the upper bound 1",
        "",
    ),
    ("%y: bits[2] = input box [0.0, 0.0] .. [1.0, «2.0»]", "bits lie within [0, 1]", "write box zeros(n) .. ones(n)"),
    ("%y: bits[2] = input «space»", "bits lie within [0, 1]", "write box zeros(n) .. ones(n)"),
    (
        "%y: bits[2] = input box 2.0 * ones(2) .. «3.0 * ones(2)»",
        "bits lie within [0, 1]",
        "write box zeros(n) .. ones(n)",
    ),
    (
        "%y: vec[2] = input space rows «[[1.0]]» in [0.0] .. [1.0]",
        "the matrix is 1 x 1, but the input has 2 entries",
        "",
    ),
    (
        "%y: vec[2] = input space rows [[1.0, 1.0]] in «[0.0, 1.0]» .. [1.0]",
        "the bounds of the rows: 2 entries, where 1 is needed",
        "",
    ),
    (
        "%y: vec[2] = input space rows [[1.0, 1.0]] in [«2.0»] .. [1.0]",
        "the lower bound 2 of entry 0 is above the upper bound 1",
        "",
    ),
    (
        "%y: vec[2] = input space ball l1 center «[0.0]» radius 1.0",
        "the center of the ball: 1 entry, where 2 are needed",
        "",
    ),
    (
        "%y: vec[2] = input space ball l1 center [0.0, «inf»] radius 1.0",
        "the center of the ball: all numbers are finite",
        "",
    ),
    (
        "%y: vec[2] = input space ball l1 center [0.0, 0.0] radius «-1.0»",
        "a radius is a finite number and not negative",
        "",
    ),
    (
        "%y: vec[2] = input space ball l1 center [0.0, 0.0] radius «inf»",
        "a radius is a finite number and not negative",
        "",
    ),
    (
        "%y: bits[2] = input box zeros(2) .. ones(2) «ball l1 center [0.0, 0.0] radius 1.0»",
        "bits have no l_1 ball",
        "bits are restricted by rows",
    ),
    ("bounds %x: «[0.0]» .. [1.0]", "the bounds of %x: 1 entry, where 2 are needed", ""),
    ("bounds %x: [0.0, «2.0»] .. [1.0, 1.0]", "the lower bound 2 of entry 1 is above the upper bound 1", ""),
    ("bounds «%z»: [0.0, 2.0] .. [1.0, 1.0]", "there is no value %z", ""),
    (
        "bounds %x: [0.0, 0.0] .. [1.0, 1.0]\n  bounds «%x»: [0.0, 0.0] .. [1.0, 1.0]",
        "there are bounds of %x already",
        "",
    ),
    (
        "bounds %x: «[[0.0, 0.0]]» .. [1.0, 1.0]",
        "a matrix stands where a vector is needed",
        "a vector is written [1.0, 2.0]",
    ),
    ('%y: vec[2] = affine %x @ "a«\\q»"', 'unknown escape; there are \\" \\\\ \\n \\t \\u{41}', ""),
    ('%y: vec[2] = affine %x @ "«\\u{110000}»"', "there is no such character", ""),
    ('%y: vec[2] = affine %x @ "a" "b" kept [0, «x»]', "'x' is not a whole number", ""),
    ("output «%z»", "there is no value %z", ""),
    ("output %x\n  «output %b»", "a second question; the first is in line 4", ""),
    (
        "«maximize %x»",
        "only a single number can be maximized; %x (2 entries) has more",
        "pick one: affine select([0], of 2) * %x",
    ),
    ("«minimize» lipschitz(%x, norm = l1)", "a Lipschitz constant can only be maximized", ""),
    ("maximize lipschitz(%x, norm = «l3»)", "there is no norm 'l3'", "write linf or l1 or l2"),
    ("maximize lipschitz(%x, norm = l2, outputs = «l2»)", "there is no norm 'l2' of outputs", "write linf or l1"),
]

BEFORE = "program {\n  %x: vec[2] = input space\n  %b: bits[2] = conditional %x\n  "


def check(marked: str, message: str, hint: str, before: str = "", after: str = "") -> None:
    """Parse a text and compare the one error with what is expected, the line and the column too."""
    text = before + marked.replace("«", "").replace("»", "") + after
    start = len(before) + marked.index("«")
    token = marked[marked.index("«") + 1 : marked.index("»")]
    with pytest.raises(SourceError) as caught:
        parse_program(text, "net.lir")
    (error,) = caught.value.diagnostics
    assert (error.message, error.hint) == (message, hint)
    line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
    assert (error.span.line, error.span.column) == (line, column)
    assert text[error.span.start : error.span.end].strip() == token
    assert str(caught.value).splitlines()[0] == f"net.lir:{line}:{column}: error: {message}"


@pytest.mark.parametrize(("marked", "message", "hint"), SYNTAX)
def test_mistakes_in_the_grammar(marked: str, message: str, hint: str) -> None:
    check(marked, message, hint)


@pytest.mark.parametrize(("marked", "message", "hint"), SEMANTICS)
def test_mistakes_in_the_meaning(marked: str, message: str, hint: str) -> None:
    asks = any(word in marked for word in ("output", "imize"))
    check(marked, message, hint, BEFORE, "\n}" if asks else "\n  output %x\n}")


def messages(text: str, constants: dict[str, np.ndarray] | None = None) -> list[tuple[int, int, str]]:
    with pytest.raises(SourceError) as caught:
        parse_program(text, constants=constants or {})
    return [(error.span.line, error.span.column, error.message) for error in caught.value.diagnostics]


def test_all_errors_at_once_in_order() -> None:
    """A value whose definition is wrong is known all the same, so that nothing follows from one mistake."""
    text = """program {
  %0: vec[2] = input box [0.0, 3.0] .. [1.0, 2.0] @ "\\x" kept [x]
  %1: vec[3] = affine [[1.0, 2.0]] * %0
  %2: vec[3] = conditional %1
  %3: vec[3] = switch %1, %2
  %4: vec[99999999999999999999] = affine %3
  %5: vec[2] = affine %4 + %9
  bounds %3: ones(3) .. zeros(3)
}"""
    assert messages(text) == [
        (2, 32, "the lower bound 3 of entry 1 is above the upper bound 2"),
        (2, 54, 'unknown escape; there are \\" \\\\ \\n \\t \\u{41}'),
        (2, 64, "'x' is not a whole number"),
        (3, 23, "the matrix is 1 x 2, but it maps %0 (2 entries) to %1 (3 entries)"),
        (4, 7, "a conditional makes bits"),
        (6, 11, "a value has at most 4194304 entries"),
        (8, 14, "the lower bound 1 of entry 0 is above the upper bound 0"),
        (9, 1, "the program does not say what its result is"),
    ]


def test_not_too_many_errors() -> None:
    lines = "\n".join(f"%{k}: vec[1] = affine [nan]" for k in range(30))
    found = messages(f"program {{\n{lines}\noutput %0\n}}")
    assert found[:20] == [(k + 2, len(f"%{k}: vec[1] = affine [") + 1, "a program holds no nan") for k in range(20)]
    assert found[20:] == [(22, 23, "and 10 more errors")]


def test_constants_that_are_not_there() -> None:
    header = f'constants "net.lir.npz" sha256 "{"0" * 64}"\n'
    text = "program {\n  %0: vec[2] = affine vec<2, $c0>\n  output %0\n}"
    assert messages(header + text) == [(1, 11, 'the constants of this program are in the file "net.lir.npz"')]
    assert messages(header + text, {"c1": np.zeros(2)}) == [(3, 30, "there is no constant c0")]
    assert messages(text) == [(2, 30, "there is no constant c0")]


@pytest.mark.parametrize(
    ("operation", "constants", "message"),
    [
        ("vec<2, $c>", {"c": np.zeros(3)}, "the constant c has the shape (3,), not (2,)"),
        ("vec<2, $c>", {"c": np.zeros(2, np.float32)}, "the constant c holds float32, not float64"),
        ("vec<2, $c>", {"c": np.array([0, np.nan])}, "the constant of %1: all numbers are finite"),
        ("vec<3, $c>", {"c": np.zeros(3)}, "the constant of %1: 3 entries, where 2 are needed"),
        ("dense<2x2, $c> * %0", {"c": np.zeros((2, 1))}, "the constant c has the shape (2, 1), not (2, 2)"),
        ("dense<2x2, $c> * %0", {"c": np.full((2, 2), np.inf)}, "the numbers of a matrix are finite"),
        ("select(ints<2, $c>, of 2) * %0", {"c": np.array([0, 2])}, "there is no entry 2: there are 2, counted from 0"),
        ("select(ints<2, $c>, of 2) * %0", {"c": np.zeros(2)}, "the constant c holds float64, not int64"),
        ("csr<2x2, $c> * %0", {"c": np.zeros(2)}, "there is no constant c.data"),
    ],
)
def test_constants_that_do_not_fit(operation: str, constants: dict[str, np.ndarray], message: str) -> None:
    text = f"program {{ %0: vec[2] = input space %1: vec[2] = affine {operation} output %1 }}"
    ((_, _, found),) = messages(text, constants)
    assert found == message


@pytest.mark.parametrize(
    ("data", "indices", "indptr", "message"),
    [
        ([1.0, 2.0], [0, 1], [0, 1, 3], "the arrays of $c are no sparse matrix of 2 x 2"),
        ([1.0, 2.0], [0, 2], [0, 1, 2], "the arrays of $c are no sparse matrix of 2 x 2"),
        ([1.0, 2.0], [0, -1], [0, 1, 2], "the arrays of $c are no sparse matrix of 2 x 2"),
        ([1.0, 2.0], [0, 1], [1, 1, 2], "the arrays of $c are no sparse matrix of 2 x 2"),
        ([1.0, 2.0], [0, 1], [0, 3, 2], "the arrays of $c are no sparse matrix of 2 x 2"),
        ([1.0, 2.0], [0, 1], [0, 2], "the constant c.indptr has the shape (2,), not (3,)"),
        ([1.0, 2.0], [0], [0, 1, 2], "the constant c.indices has the shape (1,), not (2,)"),
        ([1.0, 2.0], [1, 0], [0, 2, 2], "the columns in the rows of $c do not ascend"),
        ([1.0, 2.0], [0, 0], [0, 2, 2], "the columns in the rows of $c do not ascend"),
        ([1.0, np.inf], [0, 1], [0, 1, 2], "the numbers of a matrix are finite"),
    ],
)
def test_sparse_constants_that_do_not_fit(
    data: list[float], indices: list[int], indptr: list[int], message: str
) -> None:
    constants = {"c.data": np.array(data), "c.indices": np.array(indices), "c.indptr": np.array(indptr)}
    text = "program { %0: vec[2] = input space %1: vec[2] = affine csr<2x2, $c> * %0 output %1 }"
    assert messages(text, constants) == [(1, 65, message)] or messages(text, constants) == [(1, 56, message)]


@pytest.mark.parametrize(
    "operation",
    [
        "input space rows zeros(4194305, 2) in zeros(2) .. ones(2)",
        "affine zeros(2, 99999999) * %x",
        "input space rows csr<1000000000000x2> {} in zeros(2) .. ones(2)",
        "input space rows select(0:99999999, of 2) in zeros(2) .. ones(2)",
        f'input space @ "" kept 0:{"9" * 10_000}',
        'input space @ "" kept 0:4194305',
        f"affine [{'9' * 10_000}.0, 1.0]",
        f"affine select([0, {'9' * 10_000}], of 2) * %x",
        f"affine csr<2x2> {{{'9' * 10_000}: {{0: 1.0}}}} * %x",
        f"affine csr<2x2> {{0: {{{'9' * 10_000}: 1.0}}}} * %x",
        f"affine csr<{'9' * 10_000}x2> {{}} * %x",
    ],
)
def test_absurd_sizes_are_refused_at_once(operation: str) -> None:
    text = f"program {{ %x: vec[2] = input space %y: vec[2] = {operation} output %y }}"
    tracemalloc.start()
    try:
        assert len(messages(text)) == 1
        assert tracemalloc.get_traced_memory()[1] < 2**26
    finally:
        tracemalloc.stop()


def test_many_large_values_are_refused() -> None:
    values = "\n".join(f"%{k}: vec[4194304] = input space" for k in range(5))
    ((line, _, message),) = messages(f"program {{\n{values}\noutput %0\n}}")[-1:]
    assert (line, message) == (
        6,
        "too large: the constants of a program that are not written out hold at most 33554432 numbers",
    )


def test_a_text_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lipc.ir.text_syntax.LONGEST_TEXT", 20)
    assert messages("program {" + " " * 20) == [(1, 1, "a program of more than 20 characters")]
