"""The functions of the language: a table from names to parameters and what they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from lipc.frontends.lip.arithmetic import apply as operate
from lipc.frontends.lip.arithmetic import finite, mismatch
from lipc.frontends.lip.indexing import whole, whole_number
from lipc.frontends.lip.report import Mistake
from lipc.frontends.lip.values import Constant, Linear, Value, reference, shape_words
from lipc.frontends.lip.writer import Operand, Writer, plain
from lipc.ir import Floats

Arguments: TypeAlias = "tuple[Operand, ...]"


@dataclass(frozen=True)
class Function:
    """One function.

    Parameters
    ----------
    parameters
        Their names.
    apply
        From the program and the arguments to the value.
    optional
        How many of the last parameters may be missing.
    repeats
        Whether any number of further arguments may follow.
    """

    parameters: tuple[str, ...]
    apply: Callable[[Writer, Arguments], Value]
    optional: int = 0
    repeats: bool = False

    def usage(self, name: str) -> str:
        """Return how it is called: ``clip(x, lower, upper)``."""
        return f"{name}({', '.join(self.parameters)}{', ..' if self.repeats else ''})"

    def bind(self, name: str, positional: Arguments, named: Mapping[str, Operand]) -> Arguments:
        """Return the arguments in the order of the parameters.

        Raises
        ------
        Mistake
            If there are too few or too many, or one is unknown or given twice.
        """
        given = list(positional)
        for parameter in self.parameters[len(given) :]:
            if parameter not in named:
                break
            given.append(named[parameter])
        for word, argument in named.items():
            if word not in self.parameters:
                raise Mistake(f"{name} has no argument '{word}'", f"it is {self.usage(name)}", argument.node)
            if self.parameters.index(word) < len(positional) or self.repeats:
                raise Mistake(f"'{word}' is given twice", f"it is {self.usage(name)}", argument.node)
        least = len(self.parameters) - self.optional
        if len(given) < least or (len(given) > len(self.parameters) and not self.repeats):
            count = f"{len(given)} argument{'s' * (len(given) != 1)}"
            raise Mistake(f"{name} does not take {count}", f"it is {self.usage(name)}")
        return tuple(given)


def constant(operand: Operand, what: str) -> Constant:
    """Return an operand that must be constant.

    Raises
    ------
    Mistake
        If it depends on the input.
    """
    value = plain(operand)
    if isinstance(value, Linear):
        raise Mistake(f"{what} must be a constant, but {operand.words} depends on the input", node=operand.node)
    return value


def _for_size(operand: Operand, size: int, what: str) -> Floats:
    """Return a constant as a vector of a size; a number is repeated."""
    value = constant(operand, what)
    if value.array.ndim == 2 or (not value.is_single and value.array.size != size):
        raise Mistake(f"{what} must be a number or have {size} entries, but {operand}", node=operand.node)
    return value.of_size(size)


# --- piecewise linear functions ---


def _relu(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    if isinstance(value, Constant):
        return Constant(np.maximum(value.array, 0.0))
    return reference(writer.builder.relu(writer.real(value)), value.size)


def _abs(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    if isinstance(value, Constant):
        return Constant(np.abs(value.array))
    return reference(writer.builder.abs(writer.real(value)), value.size)


def _identity(_: Writer, arguments: Arguments) -> Value:
    return plain(arguments[0])


def _leaky_relu(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    if isinstance(value, Constant):
        slope = constant(arguments[1], "the slope")
        if value.shape != slope.shape and not slope.is_single:
            raise mismatch(arguments[0], arguments[1])
        factor = slope.array.reshape(()) if slope.is_single else slope.array
        with np.errstate(all="ignore"):
            return finite(np.where(value.array > 0, value.array, factor * value.array))
    slopes = _for_size(arguments[1], value.size, "the slope")
    return reference(writer.builder.leaky_relu(writer.real(value), slopes), value.size)


def _clip(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    size = value.array.size if isinstance(value, Constant) else value.size
    lower, upper = (_for_size(argument, size, "a limit") for argument in arguments[1:])
    crossed = np.flatnonzero(lower > upper)
    if len(crossed):
        low, high = lower[crossed[0]], upper[crossed[0]]
        raise Mistake(f"the lower limit {low:g} is above the upper one {high:g}", node=arguments[1].node)
    if isinstance(value, Constant):
        return Constant(np.clip(value.array.reshape(-1), lower, upper).reshape(value.shape))
    return reference(writer.builder.clip(writer.real(value), lower, upper), value.size)


def _extreme(writer: Writer, arguments: Arguments, sign: float) -> Value:
    """Return the largest (sign 1) or smallest (-1): of one vector its entry, of several entry by entry."""
    if len(arguments) == 1:
        value = plain(arguments[0])
        if isinstance(value, Constant):
            return Constant(np.asarray(sign * (sign * value.array).max()))
        return _largest(writer, value, np.arange(value.size)[None, :], sign)
    return reduce(lambda left, right: _larger(writer, left, right, sign), arguments).value


def _larger(writer: Writer, left: Operand, right: Operand, sign: float) -> Operand:
    first, second = plain(left), plain(right)
    if first.shape != second.shape and not (first.is_single or second.is_single):
        raise mismatch(left, right)
    words = f"{left.words}, {right.words}"
    if isinstance(first, Constant) and isinstance(second, Constant):
        a = first.array.reshape(()) if first.is_single and not second.is_single else first.array
        b = second.array.reshape(()) if second.is_single and not first.is_single else second.array
        return Operand(Constant(np.maximum(a, b) if sign > 0 else np.minimum(a, b)), right.node, words)
    # max(a, b) = a + relu(b - a), and min(a, b) = a - relu(a - b); a constant stands first.
    if isinstance(second, Constant):
        left, right = right, left
    base, other = (left, right) if sign > 0 else (right, left)
    gain = _relu(writer, (Operand(operate(writer, "-", other, base), right.node, words),))
    return Operand(operate(writer, "+" if sign > 0 else "-", left, Operand(gain, right.node, words)), right.node, words)


def _max(writer: Writer, arguments: Arguments) -> Value:
    return _extreme(writer, arguments, 1.0)


def _min(writer: Writer, arguments: Arguments) -> Value:
    return _extreme(writer, arguments, -1.0)


def _largest(writer: Writer, value: Linear, groups: NDArray[np.int64], sign: float = 1.0) -> Linear:
    signed = value if sign > 0 else writer.scale(value, np.full(value.size, -1.0))
    found = reference(writer.builder.maximum_of_groups(writer.real(signed), groups), len(groups))
    return found if sign > 0 else writer.scale(found, np.full(found.size, -1.0))


def _maxpool(writer: Writer, arguments: Arguments) -> Value:
    """Return the largest entry of each group: rows of a matrix of indices, or one list of them per argument."""
    value = plain(arguments[0])
    if len(value.shape) != 1:
        raise Mistake(f"maxpool needs a vector, but {arguments[0]}", node=arguments[0].node)
    groups = []
    for argument in arguments[1:]:
        entries = whole(argument, "a group")
        outside = entries[(entries < 0) | (entries >= value.shape[0])]
        if outside.size:
            message = f"index {outside.reshape(-1)[0]} is out of range: {arguments[0]}"
            raise Mistake(message, f"groups hold indices from 0 to {value.shape[0] - 1}", argument.node)
        groups += list(np.atleast_2d(entries))
    longest = max(map(len, groups))
    writer.budget.spend(longest * len(groups))
    table = np.array([np.pad(group, (0, longest - len(group)), constant_values=-1) for group in groups])
    if isinstance(value, Constant):
        return Constant(np.where(table < 0, -np.inf, value.array[table]).max(axis=1))
    writer.check_size(len(table))
    return _largest(writer, value, table)


def _sum(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    if isinstance(value, Constant):
        with np.errstate(all="ignore"):
            return finite(np.asarray(value.array.sum()))
    return Linear({writer.value(value): np.ones((1, value.size))}, np.zeros(1))


# --- the primitives ---


def _conditional(writer: Writer, arguments: Arguments) -> Value:
    value = plain(arguments[0])
    if isinstance(value, Constant):
        if not value.array.all():
            raise Mistake("conditional of the constant 0 is either 0 or 1", "write the bit that you mean")
        return Constant((value.array > 0).astype(np.float64))
    return reference(writer.builder.conditional(writer.real(value)), value.size)


def _switch(writer: Writer, arguments: Arguments) -> Value:
    """Return a value where its bit is 1, and 0 elsewhere."""
    given, chooser = arguments
    bits = plain(chooser)
    if isinstance(bits, Constant):
        if not np.isin(bits.array, (0.0, 1.0)).all():
            raise Mistake("the second argument of switch must be bits, 0 or 1", node=chooser.node)
        return operate(writer, ".*", given, chooser)
    if not writer.is_bits(bits):
        hint = "bits come from conditional(..); what is computed from them is a vector of reals"
        raise Mistake(f"the second argument of switch must be bits, but {chooser.words} is not", hint, chooser.node)
    vector = writer.linear(given)
    if vector.size not in (1, bits.size):
        raise mismatch(given, chooser)
    operand = writer.real(writer.repeat(vector, bits.size))
    return reference(writer.builder.switch(operand, writer.value(bits)), bits.size)


# --- constants ---


def _sizes(writer: Writer, arguments: Arguments) -> tuple[int, ...]:
    sizes = tuple(whole_number(argument, "a size") for argument in arguments)
    for size, argument in zip(sizes, arguments, strict=True):
        if size < 1:
            raise Mistake(f"a size must be positive, not {size}", node=argument.node)
    writer.budget.spend(int(np.prod([int(size) for size in sizes], dtype=object)))
    return sizes


def _zeros(writer: Writer, arguments: Arguments) -> Value:
    return Constant(np.zeros(_sizes(writer, arguments)))


def _ones(writer: Writer, arguments: Arguments) -> Value:
    return Constant(np.ones(_sizes(writer, arguments)))


def _eye(writer: Writer, arguments: Arguments) -> Value:
    (size, _) = _sizes(writer, (arguments[0], arguments[0]))
    return Constant(np.eye(size))


def _diag(writer: Writer, arguments: Arguments) -> Value:
    value = constant(arguments[0], "a diagonal")
    if value.array.ndim != 1:
        raise Mistake(f"diag needs a vector, but {arguments[0]}", node=arguments[0].node)
    writer.budget.spend(value.array.size**2)
    return Constant(np.diag(value.array))


def transpose(_: Writer, arguments: Arguments) -> Value:
    """Return a matrix transposed; a vector is row and column alike."""
    value = plain(arguments[0])
    return Constant(value.array.T) if isinstance(value, Constant) else value


def _reshape(writer: Writer, arguments: Arguments) -> Value:
    """Return the numbers of a constant in another shape, row by row."""
    value = constant(arguments[0], "what reshape changes")
    sizes = tuple(whole_number(argument, "a size") for argument in arguments[1:])
    if any(size < 1 for size in sizes) or int(np.prod(sizes, dtype=object)) != value.array.size:
        count = shape_words((value.array.size,))
        raise Mistake(f"{arguments[0].words} has {count}, which do not make {shape_words(sizes)}")
    writer.budget.spend(value.array.size)
    return Constant(value.array.reshape(sizes))


def _flatten(_: Writer, arguments: Arguments) -> Value:
    return Constant(constant(arguments[0], "what flatten changes").array.reshape(-1))


FUNCTIONS: Mapping[str, Function] = MappingProxyType(
    {
        "relu": Function(("x",), _relu),
        "leaky_relu": Function(("x", "slope"), _leaky_relu),
        "abs": Function(("x",), _abs),
        "clip": Function(("x", "lower", "upper"), _clip),
        "max": Function(("a", "b"), _max, optional=1, repeats=True),
        "min": Function(("a", "b"), _min, optional=1, repeats=True),
        "maxpool": Function(("x", "groups"), _maxpool, repeats=True),
        "identity": Function(("x",), _identity),
        "sum": Function(("x",), _sum),
        "conditional": Function(("x",), _conditional),
        "switch": Function(("x", "bits"), _switch),
        "zeros": Function(("rows", "columns"), _zeros, optional=1),
        "ones": Function(("rows", "columns"), _ones, optional=1),
        "eye": Function(("n",), _eye),
        "diag": Function(("v",), _diag),
        "transpose": Function(("W",), transpose),
        "reshape": Function(("A", "rows", "columns"), _reshape, optional=1),
        "flatten": Function(("A",), _flatten),
    }
)
"""All but load(), which takes a text, and lipschitz(), which stands in a query only."""

NOT_PIECEWISE_LINEAR = (
    *("sigmoid", "logistic", "tanh", "exp", "log", "sqrt", "sin", "cos", "softmax", "log_softmax", "softplus", "gelu"),
    *("elu", "selu", "silu", "swish", "mish", "erf", "pow", "square", "norm"),
)

OTHER_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "maximum": "write max(a, b)",
        "minimum": "write min(a, b)",
        "amax": "write max(x)",
        "fabs": "write abs(x)",
        "clamp": "write clip(x, lower, upper)",
        "hardtanh": "write clip(x, -1, 1)",
        "relu6": "write clip(x, 0, 6)",
        "max_pool": "write maxpool(x, groups)",
        "dot": "write a * b",
        "matmul": "write A * b",
        "linear": "write W * x + b",
        "dense": "write W * x + b",
        "affine": "write W * x + b",
        "concat": "write [a; b]",
        "concatenate": "write [a; b]",
        "cat": "write [a; b]",
        "vstack": "write [a; b]",
        "hstack": "write [a; b]",
        "array": "write [1, 2, 3]",
        "identity_matrix": "write eye(n)",
        "where": "write switch(x, conditional(z))",
        "lipschitz": "it stands in a query: maximize lipschitz(y)",
    }
)
"""Functions of other languages, and how to say it here."""
