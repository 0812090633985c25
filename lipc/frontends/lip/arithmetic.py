"""The operators of expressions: ``+ - * / .* ./``, with their shape rules."""

from __future__ import annotations

import numpy as np

from lipc.frontends.lip.report import MAX_PRODUCT, Mistake
from lipc.frontends.lip.values import Constant, Linear
from lipc.frontends.lip.writer import Operand, Writer, plain
from lipc.ir import Floats

INNER_HINT = "'*' of two vectors is their inner product; entry by entry it is '.*'"


def apply(writer: Writer, operator: str, left: Operand, right: Operand) -> Constant | Linear:
    """Return the value of ``left operator right``.

    Raises
    ------
    Mistake
        If the shapes do not fit, or the result is not piecewise linear in the input.
    """
    first, second = plain(left), plain(right)
    if operator in ("/", "./"):
        _check_divisor(operator, right)
    if operator != "*" and first.shape != second.shape and not (first.is_single or second.is_single):
        raise mismatch(left, right, _transposed_hint(first, second))
    if isinstance(first, Constant):
        if isinstance(second, Constant):
            return _fold(writer, operator, left, right, first, second)
        return _mixed(writer, operator, (left, right), first, second)
    if isinstance(second, Constant):
        return _mixed(writer, operator, (left, right), second, first)
    if operator not in "+-":
        raise _not_linear(writer, left, right)
    size = max(first.size, second.size)
    subtrahend = second if operator == "+" else writer.scale(second, np.full(second.size, -1.0))
    return writer.add(writer.repeat(first, size), writer.repeat(subtrahend, size))


def negated(writer: Writer, operand: Operand) -> Constant | Linear:
    """Return ``-operand``."""
    value = plain(operand)
    if isinstance(value, Constant):
        return Constant(-value.array)
    return writer.scale(value, np.full(value.size, -1.0))


def finite(array: Floats) -> Constant:
    """Return an array of constants that did not overflow."""
    if not np.isfinite(array).all():
        raise Mistake("this constant is too large for double precision, or not a number")
    return Constant(np.asarray(array, np.float64))


def mismatch(left: Operand, right: Operand, hint: str = "") -> Mistake:
    """Return what is said of two operands whose shapes do not fit."""
    return Mistake(f"shape mismatch: {left}, {right}", hint)


def _transposed_hint(first: Constant | Linear, second: Constant | Linear) -> str:
    turned = len(first.shape) == len(second.shape) == 2 and first.shape == second.shape[::-1]
    return "transpose one of them, as in W'" if turned else ""


def _check_divisor(operator: str, divisor: Operand) -> None:
    value = plain(divisor)
    if isinstance(value, Linear):
        message = f"a division by {divisor.words}, which depends on the input: not piecewise linear"
        raise Mistake(message, "divide by constants only")
    if operator == "/" and not value.is_single:
        raise Mistake(f"'/' divides by one number, but {divisor}", "entry by entry it is './'", divisor.node)
    if not value.array.all():
        raise Mistake("division by zero", node=divisor.node)


def _fold(writer: Writer, operator: str, left: Operand, right: Operand, first: Constant, second: Constant) -> Constant:
    """Return the value of an operator on constants."""
    a = first.array if not first.is_single or first.shape == second.shape else first.array.reshape(())
    b = second.array if not second.is_single or first.shape == second.shape else second.array.reshape(())
    with np.errstate(all="ignore"):
        if operator == "*" and not (first.is_single or second.is_single):
            return finite(_matrix_product(writer, left, right, a, b))
        writer.budget.spend(max(a.size, b.size))
        if operator == "+":
            return finite(a + b)
        if operator == "-":
            return finite(a - b)
        return finite(a * b if operator in ("*", ".*") else a / b)


def _matrix_product(writer: Writer, left: Operand, right: Operand, a: Floats, b: Floats) -> Floats:
    if a.shape[-1] != b.shape[0]:
        raise mismatch(left, right, INNER_HINT if a.ndim == b.ndim == 1 else "")
    rows, columns = (a.shape[0] if a.ndim == 2 else 1), (b.shape[1] if b.ndim == 2 else 1)
    writer.budget.spend(rows * columns)
    if rows * columns * a.shape[-1] > MAX_PRODUCT:
        raise Mistake("this product of constants is too large", "keep the result in a file")
    return np.asarray(a @ b)


def _mixed(
    writer: Writer, operator: str, operands: tuple[Operand, Operand], constant: Constant, linear: Linear
) -> Linear:
    """Return the value of an operator on a constant and a vector, in either order."""
    left, right = operands
    first = left.value is constant
    array = constant.array
    if operator == "*" and array.ndim == 2:
        matrix = array if first else array.T
        if matrix.shape[1] != linear.size:
            name = left.words if first else right.words
            raise mismatch(left, right, f"{name}' would fit" if matrix.shape[0] == linear.size else "")
        return Linear({writer.value(linear): matrix}, np.zeros(len(matrix)))
    if operator == "*" and not (constant.is_single or linear.is_single):
        if array.size != linear.size:
            raise mismatch(left, right, INNER_HINT)
        return Linear({writer.value(linear): array[None, :]}, np.zeros(1))
    if array.ndim == 2:
        raise mismatch(left, right)
    size = max(array.size, linear.size)
    vector, entries = writer.repeat(linear, size), constant.of_size(size)
    if operator == "+":
        return writer.shift(vector, entries)
    if operator == "-" and first:
        return writer.shift(writer.scale(vector, np.full(size, -1.0)), entries)
    if operator == "-":
        return writer.shift(vector, -entries)
    if operator in ("*", ".*"):
        return writer.scale(vector, entries)
    with np.errstate(all="ignore"):
        return writer.scale(vector, finite(1.0 / entries).array)


def _not_linear(writer: Writer, left: Operand, right: Operand) -> Mistake:
    hint = "one factor must be a constant"
    for bits, other in ((left, right), (right, left)):
        if isinstance(bits.value, Linear) and writer.is_bits(bits.value):
            hint = f"a value times bits is switch({other.words}, {bits.words})"
    return Mistake(f"{left.words} and {right.words} both depend on the input: not piecewise linear", hint)
