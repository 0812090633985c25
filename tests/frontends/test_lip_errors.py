"""Every mistake that the front end of .lip files names: its line, its column, its words, and the hint."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lipc.diagnostics import SourceError
from lipc.errors import LipcError, ModelError
from lipc.frontends.lip import parse_lip, read_lip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of files to load, most of them broken."""
    path = tmp_path_factory.mktemp("data")
    np.savez(
        path / "w.npz",
        W1=np.ones((3, 2)),
        b1=np.zeros(3),
        nan=np.array([1.0, np.nan]),
        inf=np.array([[np.inf]]),
        text=np.array(["a"]),
        obj=np.array([{}], dtype=object),
        deep=np.zeros((1, 2, 3)),
        empty=np.zeros((0, 2)),
        cplx=np.array([1j]),
        big=np.array([2**53 + 1]),
    )
    np.save(path / "v.npy", np.arange(3.0))
    (path / "bad.npz").write_bytes(b"PK nothing")
    (path / "bad.npy").write_bytes(b"nothing")
    (path / "cut.npy").write_bytes((path / "v.npy").read_bytes()[:-3])
    (path / "ragged.csv").write_text("1,2\n3\n")
    (path / "words.csv").write_text("1,2\n3,x\n")
    (path / "none.csv").write_text("\n")
    (path / "folder.npy").mkdir()
    return path


def only(text: str, folder: Path = Path()) -> tuple[int, int, str, str]:
    """Return place, words and hint of the one error of a text."""
    with pytest.raises(SourceError) as raised:
        parse_lip(text, "t.lip", folder)
    (diagnostic,) = raised.value.diagnostics
    assert str(raised.value).startswith(f"t.lip:{diagnostic.span.line}:{diagnostic.span.column}: error: ")
    return diagnostic.span.line, diagnostic.span.column, diagnostic.message, diagnostic.hint


STATEMENTS = [
    ("h1 = relu(x); h2 = h3 + 1", 20, "unknown name 'h3'", "did you mean 'h1'?"),
    ("h = hidden", 5, "unknown name 'hidden'", ""),
    ("h = k; k = x", 5, "'k' is not defined yet", "line 3 defines it; move that before this"),
    ("h = h + 1", 5, "'h' is not defined yet", "it cannot stand in its own definition"),
    ("h = relu", 5, "'relu' is a function", "call it: relu(..)"),
    ("h = f", 5, "'f' is not defined yet", "it cannot stand in its own definition"),
    ("h = reluu(x)", 5, "unknown function 'reluu'", "did you mean 'relu'?"),
    ("h = sigmoid(x)", 5, "'sigmoid' is not piecewise linear", "relu, leaky_relu, abs, clip, max, min and maxpool are"),
    ("h = maximum(x, 0)", 5, "unknown function 'maximum'", "write max(a, b)"),
    ("h = ReLU(x)", 5, "unknown function 'ReLU'", "did you mean 'relu'?"),
    ("h = x(1)", 5, "'x' is a value, not a function", "x * (..) multiplies, x[..] selects"),
    ("h = x; h = x", 8, "'h' is defined already, on line 3", "every name is defined once"),
    ("x = 3", 1, "'x' is defined already, on line 2", "every name is defined once"),
    ("h = [1, 2, 3] + x", 5, "shape mismatch: [1, 2, 3] has 3 entries, x has 2 entries", ""),
    ("W = ones(8, 2)'; h = W * x", 22, "shape mismatch: W is 2x8, x has 2 entries", "W' would fit"),
    ("h = [[1, 2, 3]] * x", 5, "shape mismatch: [[1, 2, 3]] is 1x3, x has 2 entries", ""),
    (
        "h = [1,2,3] * x",
        5,
        "shape mismatch: [1,2,3] has 3 entries, x has 2 entries",
        "'*' of two vectors is their inner product; entry by entry it is '.*'",
    ),
    ("h = ones(2,2) + x", 5, "shape mismatch: ones(2,2) is 2x2, x has 2 entries", ""),
    ("h = [[1, 2], [3]]", 14, "rows of different lengths: [1, 2] has 2 entries, [3] has 1 entry", ""),
    ("h = [1, 2; 3]", 12, "rows of different lengths: the first has 2, this one 1", ""),
    ("h = [x, x]", 6, "a list with commas holds single entries here, but x has 2 entries", "one after another: [a; b]"),
    ("h = x[2]", 7, "index 2 is out of range: x has 2 entries", "the first is 0"),
    ("h = x[0:3]", 7, "the slice reaches to 3, but x has 2 entries", ""),
    ("h = x[0, 1]", 5, "2 indices, but x has 2 entries", ""),
    ("h = x[0.5]", 7, "an index must be a whole number, not 0.5", ""),
    ("h = x[99999999999999999999]", 7, "an index cannot be as large as 1e+20", ""),
    ("h = x[x]", 7, "an index must be a constant, but x depends on the input", ""),
    ("h = 3[0]", 5, "3 is a number and has no entries to choose from", ""),
    ("h = x[1:1]", 7, "the slice is empty", "it goes from the first to before the second: x[0:2]"),
    (
        "h = [ones(2,2), ones(2,2)]",
        6,
        "a list holds numbers or rows, but ones(2,2) is 2x2",
        "below one another: [A; B]",
    ),
    ("h = [ones(2,2); ones(3,3)]", 17, "rows of different lengths: ones(2,2) is 2x2, ones(3,3) is 3x3", ""),
    (
        "h = relu(ones(2,2)) + 1; k = h * h * x * ones(3)",
        30,
        "shape mismatch: h * h * x has 2 entries, ones(3) has 3 entries",
        "'*' of two vectors is their inner product; entry by entry it is '.*'",
    ),
    ("h = switch(x, conditional([x;x]))", 5, "shape mismatch: x has 2 entries, conditional([x;x]) has 4 entries", ""),
    ("h = max(x, [x; x])", 5, "shape mismatch: x has 2 entries, [x; x] has 4 entries", ""),
    ("h = x * x", 5, "x and x both depend on the input: not piecewise linear", "one factor must be a constant"),
    (
        "h = relu(x) .* x",
        5,
        "relu(x) and x both depend on the input: not piecewise linear",
        "one factor must be a constant",
    ),
    ("h = 1 / x", 5, "a division by x, which depends on the input: not piecewise linear", "divide by constants only"),
    (
        "a = conditional(x); h = a .* x",
        25,
        "a and x both depend on the input: not piecewise linear",
        "a value times bits is switch(x, a)",
    ),
    ("h = [1, 2] / [3, 4]", 14, "'/' divides by one number, but [3, 4] has 2 entries", "entry by entry it is './'"),
    ("h = x / 0", 9, "division by zero", ""),
    ("h = 1e200 * 1e200", 5, "this constant is too large for double precision, or not a number", ""),
    ("h = 1e999", 5, "this constant is too large for double precision, or not a number", ""),
    ("h = relu()", 5, "relu does not take 0 arguments", "it is relu(x)"),
    ("h = relu(x, x)", 5, "relu does not take 2 arguments", "it is relu(x)"),
    ("h = leaky_relu(x)", 5, "leaky_relu does not take 1 argument", "it is leaky_relu(x, slope)"),
    ("h = clip(x, 1, 0)", 13, "the lower limit 1 is above the upper one 0", ""),
    ("h = clip(x, x, 0)", 13, "a limit must be a constant, but x depends on the input", ""),
    ("h = clip(x, low = 0, upper = 1)", 19, "clip has no argument 'low'", "it is clip(x, lower, upper)"),
    ("h = leaky_relu(x, 0.1, slope = 0.2)", 32, "'slope' is given twice", "it is leaky_relu(x, slope)"),
    (
        "h = switch(x, x)",
        15,
        "the second argument of switch must be bits, but x is not",
        "bits come from conditional(..); what is computed from them is a vector of reals",
    ),
    (
        "a = conditional(x); h = switch(x, a[0])",
        35,
        "the second argument of switch must be bits, but a[0] is not",
        "bits come from conditional(..); what is computed from them is a vector of reals",
    ),
    ("h = switch(x, [1, 2])", 15, "the second argument of switch must be bits, 0 or 1", ""),
    ("h = conditional(0) * x", 5, "conditional of the constant 0 is either 0 or 1", "write the bit that you mean"),
    ("h = maxpool(x, [0, 2])", 16, "index 2 is out of range: x has 2 entries", "groups hold indices from 0 to 1"),
    ("h = zeros(0)", 11, "a size must be positive, not 0", ""),
    ("h = zeros(2.5)", 11, "a size must be a whole number, not 2.5", ""),
    ("h = zeros(100000, 100000)", 5, "this has 10000000000 entries; 268435456 are the most", ""),
    (
        "h = ones(1000, 2000) * ones(2000, 1000) * ones(1000,10000)",
        5,
        "this product of constants is too large",
        "keep the result in a file",
    ),
    ("h = reshape([1,2,3], 2, 2)", 5, "[1,2,3] has 3 entries, which do not make 2x2", ""),
    ("h = diag(x)", 10, "a diagonal must be a constant, but x depends on the input", ""),
    ('h = "abc"', 1, "'h' would be a text, which stands only in load(..)", ""),
    ('h = relu("abc")', 10, "a text stands only in load(..)", ""),
    ("h = x.T", 5, "x has no member 'T'", "write x'"),
    ("h = [1,2,3,4].W", 5, "[1,2,3,4] has no member 'W'", "only what load() reads from an .npz file has any"),
    ('w = load("nope.npz")', 5, "there is no file 'nope.npz'", "looked for in FOLDER"),
    ('w = load("w.txt")', 5, "cannot tell what 'w.txt' holds", "load() reads .npz, .npy, .csv"),
    ("w = load(w)", 10, "'w' is not defined yet", "it cannot stand in its own definition"),
    ('w = load("bad.npz")', 5, "'bad.npz' cannot be read: File is not a zip file", ""),
    ('w = load("bad.npy")', 5, "'bad.npy' cannot be read: EOF: reading magic string, expected 8 bytes got 7", ""),
    ('w = load("cut.npy")', 5, "'cut.npy' cannot be read: it is cut off", ""),
    ('w = load("ragged.csv")', 5, "'ragged.csv' cannot be read: line 2 has 1 numbers, the first has 2", ""),
    ('w = load("words.csv")', 5, "'words.csv' cannot be read: line 2: could not convert string to float: 'x'", ""),
    ('w = load("none.csv")', 5, "'none.csv' is empty: its shape is 0 entries", ""),
    (
        'w = load("w.npz"); h = w.W2',
        24,
        "w.npz holds no array 'W2'",
        "it holds W1, b1, nan, inf, text, obj, deep, empty, cplx, big",
    ),
    (
        'w = load("w.npz"); h = w.q',
        24,
        "w.npz holds no array 'q'",
        "it holds W1, b1, nan, inf, text, obj, deep, empty, cplx, big",
    ),
    ('w = load("w.npz"); h = w * x', 24, "w holds several arrays", "name one of them, e.g. w.W1"),
    ('w = load("w.npz"); h = w.nan', 24, "'w.npz: nan' holds nan at [1]", "numbers must be finite"),
    ('w = load("w.npz"); h = w.inf', 24, "'w.npz: inf' holds inf at [0, 0]", "numbers must be finite"),
    ('w = load("w.npz"); h = w.text', 24, "'w.npz' cannot be read: it holds <U1, not real numbers", ""),
    ('w = load("w.npz"); h = w.obj', 24, "'w.npz' cannot be read: it holds object, not real numbers", ""),
    (
        'w = load("w.npz"); h = w.deep',
        24,
        "'w.npz' cannot be read: it has 3 dimensions; vectors and matrices are read",
        "",
    ),
    ('w = load("w.npz"); h = w.empty', 24, "'w.npz: empty' is empty: its shape is 0x2", ""),
    ('w = load("w.npz"); h = w.cplx', 24, "'w.npz' cannot be read: it holds complex128, not real numbers", ""),
    (
        'w = load("w.npz"); h = w.big',
        24,
        "'w.npz: big' holds int64 numbers that double precision cannot hold",
        "round them first",
    ),
    ('w = load("d.npz")', 5, "there is no file 'd.npz'", "looked for in FOLDER"),
    ('w = load("folder.npy")', 5, "'folder.npy' is not a file", ""),
]
"""A statement in a network with the input x[2]; the column in it."""

LINES = [
    ("domain box [0, 0] .. [1, 1, 1]", (1, 22), "shape mismatch: x has 2 entries, [1, 1, 1] has 3 entries", ""),
    ("domain box 1 .. 0", (1, 8), "the box is empty: x[0] ranges from 1 to 0", ""),
    ("domain box x .. 1", (1, 12), "a lower bound must be a constant, but x depends on the input", ""),
    (
        "domain box 0 .. 1\n  domain box 0 .. 1",
        (2, 1),
        "a second domain; the first is on line 6",
        "the union of several is written: domain box .. or box ..",
    ),
    ("domain ball linf center [0,0] radius -1", (1, 38), "the radius is -1, which is negative", ""),
    ("domain ball linf center 0 radius [1, 2]", (1, 34), "the radius must be one number, but [1, 2] has 2 entries", ""),
    (
        "domain ball linf center 0 radius 1 clip 2 .. 3",
        (1, 8),
        "clip leaves nothing of the ball: x[0] ranges from 2 to 1",
        "",
    ),
    ("domain ball l1 center 0 radius 1 clip 3 .. 2", (1, 39), "clip is empty: 3 is above 2", ""),
    ("where x[0] + y[0] <= 1", (1, 7), "'y' is the output; a domain is described by the input 'x'", ""),
    ("where relu(x[0]) <= 1", (1, 7), "a domain is cut by linear constraints; this is not linear", ""),
    ("where 1 <= 2", (1, 7), "this says nothing about the input x", ""),
    ("where x[0] - x[0] <= 2", (1, 7), "this says nothing about the input x", ""),
    ("where x <= [1, 2, 3]", (1, 7), "shape mismatch: x has 2 entries, [1, 2, 3] has 3 entries", ""),
    ("maximize y", (1, 10), "one number is asked for, but y has 3 entries", "choose an entry, as in y[0]"),
    ("maximize x[0]", (1, 10), "'x' is the input; the question is about the output 'y'", ""),
    (
        "maximize relu(y[0])",
        (1, 10),
        "the question must be linear in 'y'",
        "make this a part of the network, and its output",
    ),
    ("minimize lipschitz(y)", (1, 1), "a Lipschitz constant can only be maximized", "maximize lipschitz(..)"),
    ("maximize lipschitz(y, norm = l3)", (1, 30), "unknown norm 'l3'", "norm = linf or norm = l1 or norm = l2"),
    ("maximize lipschitz(y, outputs = l2)", (1, 33), "unknown norm 'l2'", "outputs = linf or outputs = l1"),
    (
        "maximize lipschitz(y[0], outputs = l1)",
        (1, 20),
        "a norm of outputs is for all of them",
        "write lipschitz(y, outputs = l1)",
    ),
    (
        "maximize lipschitz(cross(x))",
        (1, 20),
        "cross takes the output and perhaps a number",
        "it is cross(y) or cross(y, 3)",
    ),
    ("maximize lipschitz(cross(y, 7))", (1, 29), "there is no output y[7]", "the last is y[2]"),
    ("maximize lipschitz(cross(y, 0.5))", (1, 29), "there is no output y[0.5]", "the last is y[2]"),
    (
        "maximize lipschitz(y, nrm = l1)",
        (1, 23),
        "lipschitz has no argument 'nrm'",
        "it is lipschitz(y, norm = linf, outputs = linf)",
    ),
    (
        "maximize lipschitz()",
        (1, 10),
        "lipschitz takes one output and a norm",
        "it is lipschitz(y, norm = linf, outputs = linf)",
    ),
    (
        "maximize 2 * lipschitz(y)",
        (1, 14),
        "unknown function 'lipschitz'",
        "it stands in a query: maximize lipschitz(y)",
    ),
    (
        "maximize lipschitz(y[0:2])",
        (1, 20),
        "one number is asked for, but y[0:2] has 2 entries",
        "choose an entry, as in y[0]",
    ),
    ("maximize y[0] - y[0]", (1, 10), "this does not depend on the output 'y'", ""),
    ("maximize y[0]\n  minimize y[0]", (2, 1), "a second question; the first is on line 6", "one file asks one"),
    ("maximize z[0]", (1, 10), "unknown name 'z'", ""),
    (
        "maximize y[0] * y[1]",
        (1, 10),
        "y[0] and y[1] both depend on the input: not piecewise linear",
        "one factor must be a constant",
    ),
    (
        "maximize max(y)",
        (1, 10),
        "the question must be linear in 'y'",
        "make this a part of the network, and its output",
    ),
    ("maximize lipschitz(y[5])", (1, 22), "index 5 is out of range: y has 3 entries", "the first is 0"),
    ("maximize 3", (1, 10), "this does not depend on the output 'y'", ""),
]
"""A line of a query about a network with two inputs x and three outputs y; line and column in it."""

FILES = [
    (
        "network f {\n  input x[2]\n  h = g(x)\n  output y = x\n}\nnetwork g { input x[2]; output y = x }",
        (3, 7),
        "unknown function 'g'",
        "a network is applied below its definition; this one starts on line 6",
    ),
    ("network f {\n  output y = 1\n}", (1, 9), "the network 'f' has no input", "as in: input x[2]"),
    ("network f {\n  input x[2]\n}", (1, 9), "the network 'f' has no output", "as in: output y = relu(x)"),
    (
        "network f {\n  input x[2]; input z[1]\n  output y = x\n}",
        (2, 15),
        "a second input; the first is on line 2",
        "take slices of one input: x[0:2]",
    ),
    (
        "network f {\n  input x[2]\n  output y = x\n  output z = x\n}",
        (4, 3),
        "a second output; the first is on line 3",
        "join them in one: output y = [a; b]",
    ),
    (
        "network f {\n  input x[0]\n  output y = x\n}",
        (2, 11),
        "the size of the input must be from 1 to 1048576, not 0",
        "",
    ),
    (
        "network f {\n  input x[10000000000]\n  output y = x\n}",
        (2, 11),
        "the size of the input must be from 1 to 1048576, not 10000000000",
        "",
    ),
    ("network f {\n  input x[2]\n  output y = eye(2)\n}", (3, 14), "a vector must stand here, but eye(2) is 2x2", ""),
    ("network f {\n  input x[2]\n  output z\n}", (3, 10), "unknown name 'z'", ""),
    ("c = 1\n", (1, 1), "there is no network here", "as in: network f { input x[2]; output y = relu(x) }"),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nnetwork f {\n  input x[2]\n  \n  output y = x\n}",
        (6, 9),
        "the network 'f' is defined already, on line 1",
        "",
    ),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nquery g { }",
        (6, 7),
        "unknown network 'g'",
        "the last one is 'f'",
    ),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nquery { }\nquery { }",
        (7, 1),
        "a second query; the first is on line 6",
        "one file asks one question",
    ),
    (
        "c = f([1,2])\nnetwork f {\n  input x[2]\n  \n  output y = x\n}",
        (1, 5),
        "unknown function 'f'",
        "a network is applied below its definition; this one starts on line 2",
    ),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nc = f([1,2])",
        (6, 5),
        "outside of networks stand constants",
        "apply networks inside of networks",
    ),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nnetwork g { input x[3]; output y = f(x) }",
        (6, 38),
        "shape mismatch: the network 'f' has 2 entries as its input, x has 3 entries",
        "",
    ),
    (
        "network f {\n  input x[2]\n  \n  output y = x\n}\nnetwork g { input x[3]; output y = f(x, x) }",
        (6, 36),
        "the network 'f' is applied to one vector",
        "",
    ),
]
"""A whole file."""

SYNTAX = [
    ("", (1, 1), "there is no network here", "as in: network f { input x[2]; output y = relu(x) }"),
    ("c = [1, 2", (1, 5), "'[' is never closed", "']' closes it"),
    ("c = [1,\n 2\nd = 3", (1, 5), "'[' is never closed", "']' closes it"),
    ("c = (1, 2]", (1, 7), "lists are written in square brackets", "as in: [1, 2, 3]"),
    ("c = (1 + 2]", (1, 11), "']' does not close the '(' of line 1, column 5", "')' does"),
    ("c = 1)", (1, 6), "')' closes nothing", ""),
    ("}", (1, 1), "'}' closes nothing", ""),
    ("network f {\n  input x[2]\n  output y = x", (1, 11), "'{' is never closed", "'}' closes it"),
    ("c = [1 2]", (1, 8), "',' or an operator is missing between '1' and '2'", "entries are separated by commas"),
    ("c = [1,\n  2 3]", (2, 5), "',' or an operator is missing between '2' and '3'", "entries are separated by commas"),
    (
        "c = [1\n  2\n  3]",
        (2, 3),
        "',' or an operator is missing between '1' and '2'",
        "entries are separated by commas",
    ),
    ("network f {\n  h = (x))\n}", (2, 10), "')' closes nothing", ""),
    ("c = f(1 a)", (1, 9), "',' or an operator is missing between '1' and 'a'", "entries are separated by commas"),
    (
        "c = 2 a",
        (1, 7),
        "an operator is missing between '2' and 'a'",
        "to multiply, write '*'; two statements stand on two lines, or have ';' between them",
    ),
    (
        "c = relu a",
        (1, 10),
        "an operator is missing between 'relu' and 'a'",
        "a function is called with brackets: relu(..)",
    ),
    ("c 1", (1, 3), "'=' is missing after 'c'", "as in: name = value"),
    ("netwrok f { }", (1, 9), "'=' is missing after 'netwrok'", "did you mean 'network'?"),
    ("network f { inptu x[2] }", (1, 19), "'=' is missing after 'inptu'", "did you mean 'input'?"),
    ("query { maximise lipschitz(y) }", (1, 18), "'=' is missing after 'maximise'", "did you mean 'maximize'?"),
    ("c == 1", (1, 4), "a definition is written with '='", "as in: name = value"),
    ("c = a = 1", (1, 7), "a definition has one '='", "define the other name on a line of its own"),
    ("c =", (1, 4), "what stands for 'c' is missing", "as in: name = value"),
    ("c = 1 +", (1, 8), "the operand after '+' is missing", ""),
    (
        "c = 2 ** 3",
        (1, 8),
        "two operators stand side by side",
        "there are no powers and no '//'; comments start with '#'",
    ),
    (
        "c = 1 // two",
        (1, 8),
        "two operators stand side by side",
        "there are no powers and no '//'; comments start with '#'",
    ),
    ("c = {1, 2}", (1, 5), "lists are written in square brackets", "as in: [1, 2, 3]"),
    ("c = (1, 2)", (1, 7), "lists are written in square brackets", "as in: [1, 2, 3]"),
    ("c = [1, , 2]", (1, 9), "an entry is missing between two separators", ""),
    ("c = [, 1]", (1, 6), "an entry is missing before ','", ""),
    ("c = []", (1, 6), "a list needs at least one entry", "for zeros write zeros(n)"),
    ("c = a[]", (1, 7), "the index is missing", "as in: x[0] or x[0:2]"),
    ("c = ()", (1, 6), "the brackets are empty", ""),
    ("c = w.", (1, 7), "a name must follow '.'", "as in: w.W1"),
    ("c = f(a: 1)", (1, 8), "named arguments are written with '='", "as in: norm = l1"),
    (
        "c = 5x",
        (1, 6),
        "an operator is missing between '5' and 'x'",
        "to multiply, write '*'; two statements stand on two lines, or have ';' between them",
    ),
    ("5 = x", (1, 1), "expected 'network', 'query', a name or the end of the file, but found '5'", ""),
    ("c := 1", (1, 3), "a definition is written with '='", "as in: name = value"),
    ("c += 1", (1, 3), "a definition is written with '='", "as in: name = value"),
    ("c <- 1", (1, 3), "a definition is written with '='", "as in: name = value"),
    (
        "w = load('w.npz')",
        (1, 10),
        "a text stands in double quotes",
        'as in load("weights.npz"); a single one transposes, as in W\'',
    ),
    ("network f {\n  input x\n}", (2, 10), "the input has no size", "as in: input x[2]"),
    ("network f {\n  input [2]\n}", (2, 9), "the input has no name", "as in: input x[2]"),
    ("network f {\n  output = 1\n}", (2, 10), "the output has no name", "as in: output y = relu(x)"),
    (
        "network f {\n  output y x\n}",
        (2, 12),
        "'=' is missing after the name of the output",
        "as in: output y = relu(x)",
    ),
    ("network {\n}", (1, 9), "the network has no name", "as in: network f { .. }"),
    ("network f\n  input x[2]", (1, 10), "'{' is missing after 'f'", "as in: network f { .. }"),
    (
        "network f(x) {\n}",
        (1, 10),
        "a network is defined without arguments",
        "its input has a line of its own: input x[2]",
    ),
    ("query", (1, 6), "'{' is missing after 'query'", "as in: query { maximize lipschitz(y) }"),
    ("maximize y", (1, 1), "'maximize' belongs into a query", "as in: query { maximize .. }"),
    ("input x[2]", (1, 1), "'input' belongs into a network", "as in: network f { input .. }"),
    ("network f {\n  domain box 0 .. 1\n}", (2, 3), "'domain' belongs into a query", "as in: query { domain .. }"),
    ("query {\n  input x[2]\n}", (2, 3), "'input' belongs into a network", "as in: network f { input .. }"),
    (
        "query {\n  domain 0 .. 1\n}",
        (2, 10),
        "'box' or 'ball' is missing after 'domain'",
        "as in: domain box 0 .. 1, or domain ball linf center c radius 0.1",
    ),
    (
        "query {\n  domain box 0 : 1\n}",
        (2, 16),
        "the bounds of a box have '..' between them",
        "as in: domain box 0 .. 1",
    ),
    (
        "query {\n  domain box 0, 1\n}",
        (2, 15),
        "the bounds of a box have '..' between them",
        "as in: domain box 0 .. 1",
    ),
    ("query {\n  domain box 0\n}", (2, 15), "the bounds of a box have '..' between them", "as in: domain box 0 .. 1"),
    (
        "query {\n  domain ball l2 center 0 radius 1\n}",
        (2, 15),
        "'linf' or 'l1' is missing after 'ball'",
        "balls in other norms are not polytopes",
    ),
    (
        "query {\n  domain ball linf c radius 1\n}",
        (2, 20),
        "'center' is missing after 'linf'",
        "as in: ball linf center c radius 0.1",
    ),
    (
        "query {\n  domain ball linf center c\n}",
        (2, 28),
        "'radius' is missing after the center",
        "as in: ball linf center c radius 0.1",
    ),
    ("query {\n  domain box 0 .. 1 where x <= 1\n}", (2, 21), "'where' stands on a line of its own", ""),
    ("query {\n  where x[0] = 1\n}", (2, 14), "equality is written '=='", "as in: where x[0] + x[1] == 1"),
    ("query {\n  where x[0]\n}", (2, 13), "a comparison is missing", "as in: where x[0] + x[1] <= 1"),
    ("query {\n  where x[0] <= 1 and x[1] <= 1\n}", (2, 19), "constraints are separated by commas", ""),
    ("query {\n  where x[0] < 1\n}", (2, 14), "strict comparisons make no closed domain", "write '<='"),
    ("query {\n  maximize\n}", (2, 11), "what to maximize is missing", "as in: maximize lipschitz(y)"),
    ("network f {\n  input x[2], output y = x\n}", (2, 13), "statements end at a new line or ';'", ""),
    ('c = "abc', (1, 5), "the text in quotes does not end on its line", ""),
    (
        "c = 'abc'",
        (1, 5),
        "a text stands in double quotes",
        'as in load("weights.npz"); a single one transposes, as in W\'',
    ),
    (
        "c = a ^ 2",
        (1, 7),
        "'^' is not in this language",
        "powers are not piecewise linear; W' is the transposed matrix",
    ),
    ("c = a @ b", (1, 7), "'@' is not in this language", "the product of matrices is '*'"),
    ("% comment", (1, 1), "'%' is not in this language", "comments start with '#'"),
    ("c = 1 \u2013 2", (1, 7), "this is a dash", "write '-'"),
    ("c = 2 \xd7 3", (1, 7), "'\xd7' is not in this language", "write '*'"),
    ("c = $", (1, 5), "the character '$' is not in this language", ""),
    ("c = 1\n\x00", (2, 1), "the character U+0000 is not in this language", ""),
    ("c\u00a0= 1", (1, 2), "the character U+00A0 NO-BREAK SPACE is not in this language", ""),
    ("c = €", (1, 5), "the character '€' is not in this language", ""),
    (
        "c = " + "(" * 101 + "1",
        (1, 105),
        "brackets are nested deeper than 100",
        "name a part of it on a line of its own",
    ),
]
"""A file that does not parse."""


@pytest.mark.parametrize(("statement", "column", "message", "hint"), STATEMENTS, ids=[case[0] for case in STATEMENTS])
def test_mistakes_in_statements(statement: str, column: int, message: str, hint: str, folder: Path) -> None:
    text = f"network f {{\n  input x[2]\n  {statement}\n  output y = x\n}}"
    hint = hint.replace("FOLDER", str(folder))
    assert only(text, folder) == (3, column + 2, message, hint)


@pytest.mark.parametrize(("line", "place", "message", "hint"), LINES, ids=[case[0] for case in LINES])
def test_mistakes_in_queries(line: str, place: tuple[int, int], message: str, hint: str) -> None:
    text = f"network f {{\n  input x[2]\n  output y = [x; x[0]]\n}}\nquery {{\n  {line}\n}}"
    assert only(text) == (place[0] + 5, place[1] + 2, message, hint)


@pytest.mark.parametrize(("text", "place", "message", "hint"), FILES + SYNTAX, ids=[case[0] for case in FILES + SYNTAX])
def test_mistakes_in_files(text: str, place: tuple[int, int], message: str, hint: str) -> None:
    assert only(text) == (*place, message, hint)


def test_an_excerpt_with_a_caret_under_the_whole_expression() -> None:
    with pytest.raises(SourceError) as raised:
        parse_lip("W1 = ones(8, 2)\nnetwork f {\n  input x[3]\n  output y = relu(W1 * x + 1)\n}", "net.lip")
    assert str(raised.value).splitlines() == [
        "net.lip:4:19: error: shape mismatch: W1 is 8x2, x has 3 entries",
        "      output y = relu(W1 * x + 1)",
        "                      ^^^^^^",
    ]


def test_several_errors_in_one_run_by_place_and_none_that_follows_from_another() -> None:
    text = """
c = [1, 2] + [1, 2, 3]
network f {
  input x[2]
  h1 = unknown + 1
  h2 = relu(h1) * [1, 2, 3, 4]  # h1 is broken: nothing to say
  h3 = x * x
  h4 = foo(x) + bar(c) + foo(unknown)
  output y = h3
}
network g { input z[2]; output y = f(z) + q }
query f { maximize y[7] + h3; domain box c .. r }
"""
    with pytest.raises(SourceError) as raised:
        parse_lip(text)
    found = [(diagnostic.span.line, diagnostic.message) for diagnostic in raised.value.diagnostics]
    assert found == [
        (2, "shape mismatch: [1, 2] has 2 entries, [1, 2, 3] has 3 entries"),
        (5, "unknown name 'unknown'"),
        (7, "x and x both depend on the input: not piecewise linear"),
        (8, "unknown function 'foo'"),
        (11, "unknown name 'q'"),
    ]


def test_a_broken_name_is_said_to_be_wrong_once() -> None:
    text = "network f {\n  input x[2]\n  a = oops\n  b = a + a * a\n  c = [a, b] * oops + oops\n  output y = c + b\n}"
    assert only(text) == (3, 7, "unknown name 'oops'", "")


def test_an_unknown_function_is_said_to_be_unknown_once() -> None:
    text = "network f {\n  input x[2]\n  a = oops(x)\n  output y = oops(x) + oops(a)\n}"
    assert only(text) == (3, 7, "unknown function 'oops'", "")


def test_at_most_twenty_errors_are_shown() -> None:
    text = "\n".join(f"c{line} = unknown{line}" for line in range(50))
    with pytest.raises(SourceError) as raised:
        parse_lip(text)
    messages = [diagnostic.message for diagnostic in raised.value.diagnostics]
    assert len(messages) == 21
    assert messages[-1] == "and 30 more errors, the first of them here"


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"network \xff {", "is not UTF-8 text"), (None, "cannot be read: No such file or directory")],
)
def test_files_that_cannot_be_read(data: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "net.lip"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(ModelError, match=message) as raised:
        read_lip(path)
    assert str(raised.value).startswith(str(path))


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        read_lip(tmp_path)


def test_limits() -> None:
    assert "characters; 16777216 are the most" in only("#" * (2**24 + 1))[2]
    assert "268435456 are the most" in only("c = ones(2 * 8192, 2 * 8192 + 1)")[2]
    assert "brackets are nested deeper than 100" in only("c = " + "[" * 101)[2]
    parse = "network f {{\n  input x[1]\n  output y = {}\n}}".format
    parse_lip(parse("(" * 99 + "x" + ")" * 99))
    parse_lip(parse("-" * 3000 + "x"))
    parse_lip(parse(" + ".join(["x"] * 3000)))
    parse_lip(parse("x" + "[0]" * 1000))


@pytest.mark.parametrize("most", [10_000, pytest.param(100_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("apply", ["f{0}(f{0}(x))", "f{0}(x) + f{0}(x)"])
def test_networks_that_double_with_every_line_are_refused(
    apply: str, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty lines that would make 2**30 operations."""
    if most < 100_000:
        monkeypatch.setattr("lipc.frontends.lip.writer.MAX_OPERATIONS", most)
    lines = ["network f0 { input x[3]; output y = relu(x) }"]
    lines += [f"network f{n + 1} {{ input x[3]; output y = {apply.format(n)} }}" for n in range(30)]
    with pytest.raises(LipcError, match=f"with this, the network has more than {most} operations"):
        parse_lip("\n".join(lines))


def test_vectors_that_double_with_every_line_are_refused() -> None:
    lines = [f"h{n + 1} = [h{n}; h{n}]" for n in range(40)]
    lines = ["network f {", "input x[3]", "h0 = x", *lines, "output y = h40", "}"]
    assert "1048576 are the most" in only("\n".join(lines))[2]


@pytest.mark.parametrize(
    ("line", "column", "message"),
    [
        ("input z[2]; h = relu(z); output y = h", 3, "a second input; the first is on line 2"),
        ("output y = x; output z = 2 * x; h = z", 17, "a second output; the first is on line 3"),
    ],
)
def test_the_name_of_a_second_end_is_known(line: str, column: int, message: str) -> None:
    found = only(f"network f {{\n  input x[2]\n  {line}\n}}")
    assert found[:3] == (3, column, message)
