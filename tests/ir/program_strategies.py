"""Programs of every kind for hypothesis, and their comparison field by field, independent of the textual form."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_array

from lipc.ir import (
    Affine,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    L1Ball,
    Lipschitz,
    Matrix,
    Norm,
    Objective,
    Op,
    Origin,
    Polytope,
    Program,
    Sense,
    Switch,
    Term,
    identity,
    scatter,
    selection,
)

EXTREME = (
    0.0,
    -0.0,
    1.0,
    -1.0,
    5e-324,
    -5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308,
    0.1,
    1e-5,
    1e16,
    1e22,
)
FINITE = st.sampled_from(EXTREME) | st.floats(allow_nan=False, allow_infinity=False)
ANY = FINITE | st.sampled_from([np.inf, -np.inf])
NAMES = st.text(st.characters(codec=None), max_size=6) | st.sampled_from(
    ["x", 'a"b', "a\\b", "line\nbreak", "é\u202e\ud800"]
)
SIZES = st.integers(0, 6)


def vectors(size: int, numbers: st.SearchStrategy[float] = FINITE) -> st.SearchStrategy[Floats]:
    one = numbers.map(lambda number: np.full(size, number))
    return one | st.lists(numbers, min_size=size, max_size=size).map(np.array).map(lambda v: v.astype(np.float64))


@st.composite
def origins(draw: st.DrawFn) -> Origin:
    kept = None
    if draw(st.booleans()):
        whole = st.integers(0, 20) | st.integers(-(10**17), 10**17)
        lists = st.lists(whole, max_size=5) | st.integers(-5, 5).map(lambda n: list(range(n, n + 4)))
        kept = np.array(draw(lists), np.int64)
    return Origin(draw(NAMES), draw(st.just("") | NAMES), kept)


@st.composite
def sparse_matrices(draw: st.DrawFn, rows: int, columns: int) -> csr_array:
    """Return CSR matrices of every pattern, with stored zeros."""
    kind = draw(st.sampled_from(["pattern", "select", "scatter", "full", "sums"]))
    scale = draw(FINITE)
    if kind == "select":
        return selection(draw(st.lists(st.integers(-1, columns - 1), min_size=rows, max_size=rows)), columns, scale)
    if kind == "scatter" and columns <= rows:
        order = np.array(draw(st.permutations(range(rows))), np.int64)
        return scale * scatter(order[:columns], rows)
    if kind == "sums" and columns and rows:
        places = draw(st.lists(st.integers(0, rows - 1), min_size=columns, max_size=columns))
        return csr_array((np.full(columns, scale), (places, np.arange(columns))), shape=(rows, columns))
    stored = st.just(True) if kind == "full" else st.booleans()
    pattern = np.array(draw(st.lists(stored, min_size=rows * columns, max_size=rows * columns)), bool)
    pattern = pattern.reshape(rows, columns)
    counts = pattern.sum(axis=1)
    data = draw(vectors(int(counts.sum())))
    return csr_array(
        (data, np.nonzero(pattern)[1], np.concatenate([[0], np.cumsum(counts)])), shape=(rows, columns), dtype=float
    )


@st.composite
def matrices(draw: st.DrawFn, rows: int, columns: int) -> Matrix:
    kind = draw(st.sampled_from(["dense", "sparse", "identity", "diagonal", "dense identity"]))
    if rows == columns and kind == "identity":
        return identity(rows, draw(FINITE))
    if rows == columns and kind == "diagonal":
        return identity(rows, draw(vectors(rows)))
    if rows == columns and kind == "dense identity":
        return np.eye(rows)
    if kind == "dense":
        return draw(vectors(rows * columns)).reshape(rows, columns)
    return draw(sparse_matrices(rows, columns))


def _sorted(left: Floats, right: Floats) -> tuple[Floats, Floats]:
    swapped = left > right
    return np.where(swapped, right, left), np.where(swapped, left, right)


@st.composite
def domains(draw: st.DrawFn, size: int, kind: Kind) -> Polytope:
    if kind is Kind.BIT:
        numbers = st.sampled_from([0.0, 1.0, -0.0, 0.5])
        low, high = _sorted(draw(vectors(size, numbers)), draw(vectors(size, numbers)))
    elif draw(st.booleans()):
        low, high = np.full(size, -np.inf), np.full(size, np.inf)
    else:
        low, high = _sorted(draw(vectors(size, ANY)), draw(vectors(size, ANY)))
        low, high = np.where(low == np.inf, 0.0, low), np.where(high == -np.inf, 0.0, high)
        low, high = _sorted(low, high)
    domain = Polytope.box(low, high)
    count = draw(st.integers(0, 3))
    if size and count and draw(st.booleans()):
        row_low, row_high = _sorted(draw(vectors(count)), draw(vectors(count)))
        open_side = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
        row_high = np.where(open_side, np.inf, row_high)
        rows = draw(sparse_matrices(count, size))
        domain = Polytope(domain.lower, domain.upper, rows, row_low, row_high)
    if kind is Kind.REAL and draw(st.booleans()):
        ball = L1Ball(draw(vectors(size)), abs(draw(FINITE)))
        domain = Polytope(domain.lower, domain.upper, domain.rows, domain.row_lower, domain.row_upper, ball)
    return domain


@st.composite
def operations(draw: st.DrawFn, ops: list[Op]) -> Op:
    origin = draw(origins())
    of_kind = {kind: [index for index, op in enumerate(ops) if op.kind is kind] for kind in Kind}
    choice = draw(st.sampled_from(["input", "affine", "affine", "conditional", "switch"]))
    if choice == "conditional" and of_kind[Kind.REAL]:
        operand = draw(st.sampled_from(of_kind[Kind.REAL]))
        return Conditional(origin, operand, ops[operand].size)
    if choice == "switch":
        pairs = [(a, b) for a in of_kind[Kind.REAL] for b in of_kind[Kind.BIT] if ops[a].size == ops[b].size]
        if pairs:
            operand, bit = draw(st.sampled_from(pairs))
            return Switch(origin, operand, bit, ops[operand].size)
    if choice == "affine":
        size = draw(SIZES)
        operands = draw(st.lists(st.sampled_from(range(len(ops))), max_size=3, unique=True)) if ops else []
        same = [ops[operand].size for operand in operands]
        if same and draw(st.booleans()):
            size = same[0]
        terms = tuple(Term(operand, draw(matrices(size, ops[operand].size))) for operand in operands)
        return Affine(origin, terms, draw(vectors(size)))
    kind = draw(st.sampled_from(Kind))
    return Input(origin, draw(domains(draw(SIZES), kind)), kind)


@st.composite
def programs(draw: st.DrawFn) -> Program:
    """Return valid programs; what they compute makes no sense."""
    ops: list[Op] = []
    for _ in range(draw(st.integers(1, 6))):
        ops.append(draw(operations(ops)))
    result = draw(st.sampled_from(range(len(ops))))
    objectives: list[Objective | None] = [None, *(Objective(Sense.MAXIMIZE, Lipschitz(norm)) for norm in Norm)]
    objectives.append(Objective(Sense.MAXIMIZE, Lipschitz(Norm.L1, Norm.L1)))
    if ops[result].size == 1:
        objectives += [Objective(sense) for sense in Sense]
    bounds = {}
    for value in draw(st.lists(st.sampled_from(range(len(ops))), max_size=3, unique=True)):
        size = ops[value].size
        bounds[value] = Interval(*_sorted(draw(vectors(size, ANY)), draw(vectors(size, ANY))))
    return Program(tuple(ops), result, draw(st.sampled_from(objectives))).with_bounds(bounds)


def assert_same_array(left: Any, right: Any) -> None:
    """Compare shape, kind and every bit."""
    assert left.shape == right.shape
    assert left.dtype == right.dtype
    assert np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()


def assert_same_matrix(left: Matrix, right: Matrix) -> None:
    assert isinstance(left, csr_array) == isinstance(right, csr_array)
    if not isinstance(left, csr_array):
        assert_same_array(left, right)
        return
    assert left.shape == right.shape
    assert left.data.dtype == right.data.dtype == np.float64
    assert left.data.tobytes() == right.data.tobytes()
    assert left.indices.tolist() == right.indices.tolist()
    assert left.indptr.tolist() == right.indptr.tolist()


def assert_same_origin(left: Origin, right: Origin) -> None:
    assert (left.name, left.source) == (right.name, right.source)
    assert (left.kept is None) == (right.kept is None)
    if left.kept is not None:
        assert_same_array(left.kept, right.kept)


def assert_same_domain(left: Polytope, right: Polytope) -> None:
    for field in ("lower", "upper", "row_lower", "row_upper"):
        assert_same_array(getattr(left, field), getattr(right, field))
    assert_same_matrix(left.rows, right.rows)
    assert (left.l1 is None) == (right.l1 is None)
    if left.l1 is not None:
        assert right.l1 is not None
        assert_same_array(left.l1.center, right.l1.center)
        assert left.l1.radius.hex() == right.l1.radius.hex()


def assert_same_op(left: Op, right: Op) -> None:
    assert type(left) is type(right)
    assert (left.kind, left.size, left.operands) == (right.kind, right.size, right.operands)
    assert_same_origin(left.origin, right.origin)
    if isinstance(left, Input):
        assert isinstance(right, Input)
        assert_same_domain(left.domain, right.domain)
    if isinstance(left, Affine):
        assert isinstance(right, Affine)
        assert_same_array(left.bias, right.bias)
        for mine, other in zip(left.terms, right.terms, strict=True):
            assert_same_matrix(mine.matrix, other.matrix)


def assert_same_program(left: Program, right: Program) -> None:
    """Compare two programs field by field; floats by their bits."""
    for mine, other in zip(left.ops, right.ops, strict=True):
        assert_same_op(mine, other)
    assert (left.result, left.objective) == (right.result, right.objective)
    assert left.bounds.keys() == right.bounds.keys()
    for value, interval in left.bounds.items():
        assert_same_array(interval.lower, right.bounds[value].lower)
        assert_same_array(interval.upper, right.bounds[value].upper)
