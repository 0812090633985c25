"""What an operator function sees of a node: checked inputs and attributes, and ways to append operations.

A tensor is a numpy array if it is known now, or `Computed` if it depends on the network's input.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray
from onnx import AttributeProto

from lipc.errors import ModelError
from lipc.ir import Builder, Floats, Matrix, add, selection

Shape: TypeAlias = tuple[int, ...]
Index: TypeAlias = NDArray[np.int64]

LARGEST = 2**28
"""No tensor or matrix may have more entries: a broken file must not fill the memory."""


@dataclass(frozen=True)
class Computed:
    """A tensor that depends on the network's input: a value of the program, read in row-major order."""

    value: int
    shape: Shape

    @property
    def index(self) -> Index:
        """The position of each entry within the value, in the tensor's shape: what data movement works on."""
        return np.arange(math.prod(self.shape)).reshape(self.shape)

    def reshaped(self, shape: Iterable[int]) -> Computed:
        """Return the same value read in another shape."""
        return Computed(self.value, tuple(int(size) for size in shape))


Tensor: TypeAlias = Computed | NDArray[Any]
Part: TypeAlias = tuple[Computed, Index, ArrayLike]
"""A summand of `Node.combine`: a tensor, where each entry is taken from (negative: nowhere), and its factor."""


def shape_of(tensor: Tensor) -> Shape:
    """Return the shape of any tensor."""
    return tuple(int(size) for size in tensor.shape)


@dataclass(frozen=True, eq=False)
class Node:
    """One node: its names, its inputs, its attributes and the program under construction.

    Parameters
    ----------
    operator, opset
        What it does, and the version of the operator set that says what this means.
    where
        For messages: ``file.onnx: node 'Relu_3' (Relu) -> 'out_7'``.
    inputs, names
        The input tensors (`None`: left out) and their names.
    outputs
        The names of the outputs, empty where left out.
    attributes
        As in the file, by name.
    builder
        Where operations are appended.
    """

    operator: str
    opset: int
    where: str
    inputs: tuple[Tensor | None, ...]
    names: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    builder: Builder

    def error(self, message: str, hint: str = "") -> ModelError:
        """Return an error that names this node."""
        return ModelError(message, where=self.where, hint=hint)

    # --- inputs ---

    def has(self, position: int) -> bool:
        """Whether the node has this input."""
        return position < len(self.inputs) and self.inputs[position] is not None

    def tensor(self, position: int) -> Tensor:
        """Return an input of either kind."""
        tensor = self.inputs[position] if position < len(self.inputs) else None
        if tensor is None:
            raise self.error(f"input {position} is missing")
        return tensor

    def tensors(self) -> list[Tensor]:
        """Return all inputs of a variadic operator."""
        return [self.tensor(position) for position in range(len(self.inputs))]

    def computed(self, position: int, least_rank: int = 0) -> Computed:
        """Return an input that must depend on the network's input."""
        tensor = self.tensor(position)
        if not isinstance(tensor, Computed):
            name = self.names[position]
            raise self.error(f"input {position} ('{name}') is constant but another input is computed by the network")
        if len(tensor.shape) < least_rank:
            raise self.error(f"input '{self.names[position]}' has shape {tensor.shape}, less than rank {least_rank}")
        return tensor

    def constant(self, position: int) -> NDArray[Any]:
        """Return an input that must be known now."""
        tensor = self.tensor(position)
        if isinstance(tensor, Computed):
            message = f"input {position} ('{self.names[position]}') is computed from the network's input"
            raise self.error(message, f"{self.operator} needs a constant there")
        return tensor

    def numbers(self, position: int) -> Floats:
        """Return a constant input as finite float64."""
        return self.finite(self.constant(position), self.names[position])

    def scalar(self, position: int) -> float:
        """Return a constant input of one number, which may be infinite."""
        array = as_floats(self.constant(position))
        if array.size != 1 or np.isnan(array).any():
            raise self.error(f"input {position} ('{self.names[position]}') must be one number")
        return float(array.reshape(()))

    def whole_numbers(self, position: int) -> Shape:
        """Return a constant input of integers: a shape, axes, pads, ..."""
        array = self.constant(position)
        if not np.issubdtype(array.dtype, np.integer) or array.ndim > 1:
            raise self.error(f"input {position} ('{self.names[position]}') must be a list of integers")
        return tuple(int(number) for number in array.reshape(-1))

    def finite(self, array: NDArray[Any], name: str) -> Floats:
        """Return an array as float64 if it is finite."""
        try:
            numbers = as_floats(array)
        except (TypeError, ValueError) as error:
            raise self.error(f"'{name}' does not hold real numbers but {array.dtype}") from error
        if not np.isfinite(numbers).all():
            raise self.error(f"constant '{name}' holds NaN or infinite numbers")
        return numbers

    # --- attributes ---

    def _attribute(self, name: str, kind: int, word: str) -> Any:
        attribute = self.attributes.get(name)
        if attribute is not None and attribute.type != kind:
            raise self.error(f"attribute '{name}' must be {word}")
        return attribute

    def integer(self, name: str, default: int) -> int:
        """Return an attribute that is an integer."""
        attribute = self._attribute(name, AttributeProto.INT, "an integer")
        return default if attribute is None else int(attribute.i)

    def integers(self, name: str) -> Shape | None:
        """Return an attribute that is a list of integers, `None` if the node does not have it."""
        attribute = self._attribute(name, AttributeProto.INTS, "a list of integers")
        return None if attribute is None else tuple(int(number) for number in attribute.ints)

    def number(self, name: str, default: float) -> float:
        """Return an attribute that is a number; defaults are in single precision, as attributes are."""
        attribute = self._attribute(name, AttributeProto.FLOAT, "a number")
        number = float(np.float32(default)) if attribute is None else float(attribute.f)
        if math.isnan(number):
            raise self.error(f"attribute '{name}' is not a number")
        return number

    def text(self, name: str, default: str) -> str:
        """Return an attribute that is a string."""
        attribute = self._attribute(name, AttributeProto.STRING, "a string")
        return default if attribute is None else attribute.s.decode("utf-8", "replace")

    def integers_of(self, name: str, position: int, as_input: bool) -> Shape | None:
        """Return integers that older operator sets give as an attribute and newer ones as an input."""
        if not as_input:
            return self.integers(name)
        return self.whole_numbers(position) if self.has(position) else None

    def axis(self, axis: int, rank: int) -> int:
        """Return an axis counted from the front."""
        if not -rank <= axis < rank:
            raise self.error(f"axis {axis} is out of range for rank {rank}")
        return axis % rank

    def axes(self, axes: Sequence[int], rank: int) -> Shape:
        """Return axes counted from the front, each at most once."""
        positive = tuple(self.axis(axis, rank) for axis in axes)
        if len(set(positive)) < len(positive):
            raise self.error(f"an axis is repeated in {tuple(axes)}")
        return positive

    # --- operations ---

    def broadcast(self, *shapes: Shape) -> Shape:
        """Return the shape that these shapes broadcast to."""
        try:
            shape = np.broadcast_shapes(*shapes)
        except ValueError as error:
            shown = " and ".join(str(shape) for shape in shapes)
            raise self.error(f"shapes {shown} cannot be broadcast together") from error
        return self.sized(shape)

    def sized(self, shape: Iterable[int], what: str = "a tensor") -> Shape:
        """Return a shape as integers if a program can hold this many entries."""
        checked = tuple(int(size) for size in shape)
        if min(checked, default=0) < 0:
            raise self.error(f"{what} would have the shape {checked}")
        if math.prod(checked) > LARGEST:
            raise self.error(f"{what} of shape {checked} is too large (more than {LARGEST} entries)")
        return checked

    def affine(self, terms: Iterable[tuple[Computed, Matrix]], bias: ArrayLike, shape: Sequence[int]) -> Computed:
        """Append ``sum(matrix @ tensor) + bias``; a tensor may stand in several terms."""
        merged: dict[int, Matrix] = {}
        for tensor, matrix in terms:
            merged[tensor.value] = add(merged[tensor.value], matrix) if tensor.value in merged else matrix
        offset = np.broadcast_to(np.asarray(bias, np.float64), tuple(shape)).reshape(-1)
        return Computed(self.builder.affine(merged, offset), tuple(shape))

    def combine(self, parts: Iterable[Part], bias: ArrayLike, shape: Shape) -> Computed:
        """Append ``sum(factor * tensor[index]) + bias``: every index array and factor broadcasts to the shape."""
        terms = []
        for tensor, index, factor in parts:
            entries = np.broadcast_to(index, shape).reshape(-1)
            scale = np.broadcast_to(np.asarray(factor, np.float64), shape).reshape(-1)
            terms.append((tensor, selection(entries, math.prod(tensor.shape), scale)))
        return self.affine(terms, bias, shape)

    def select(self, tensor: Computed, index: Index, fill: float = 0.0) -> Computed:
        """Append entries in the order and shape of an index array; `fill` stands where it is negative.

        An index array that leaves every entry in its place is another shape of the same value: no operation.
        """
        shape = self.sized(index.shape)
        if np.array_equal(index.reshape(-1), tensor.index.reshape(-1)):
            return tensor.reshaped(shape)
        return Computed(self.builder.select(tensor.value, index, fill), shape)

    def expand(self, tensor: Computed, shape: Shape) -> Computed:
        """Append a tensor broadcast to a shape."""
        return self.select(tensor, np.broadcast_to(tensor.index, shape))


def as_floats(array: NDArray[Any]) -> Floats:
    """Return an array of any real type (bfloat16 included) in float64.

    Raises
    ------
    TypeError, ValueError
        If it holds complex numbers, strings or objects.
    """
    if array.dtype.kind in "cOSUM":
        raise TypeError("not real numbers")
    return array.astype(np.float64)
