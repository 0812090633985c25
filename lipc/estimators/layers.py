"""A network as a chain of affine maps with ReLUs between: what methods that are stated for layers see of a program."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lipc.bounds.interval import is_relu
from lipc.bounds.unrolled import derivative_slack
from lipc.estimators.base import RefusedError
from lipc.ir import Affine, Floats, Kind, Program, Switch
from lipc.ir.matrix import Matrix, as_dense, as_matrix, selection


@dataclass(frozen=True, eq=False)
class Layers:
    """``W_n relu(... relu(W_1 x + b_1) ...) + b_n``.

    Parameters
    ----------
    weights
        ``W_1`` to ``W_n``, dense or CSR; ``W_i`` has shape ``(n_i, n_{i-1})``.
    biases
        ``b_1`` to ``b_n``, shape ``(n_i,)``.
    slack
        Shape ``(n_n,)``: for all bits, and all directions with entries within -1 and 1, the derivative of each output
        that these layers have is at most so far from the network's. What is proven for the layers holds for the network
        with this added.
    """

    weights: tuple[Matrix, ...]
    biases: tuple[Floats, ...]
    slack: Floats

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of inputs, of neurons by layer, and of outputs."""
        return (int(self.weights[0].shape[1]), *(int(weight.shape[0]) for weight in self.weights))

    @property
    def neurons(self) -> int:
        """The number of neurons in all hidden layers."""
        return sum(self.sizes[1:-1])

    def dense(self) -> tuple[Floats, ...]:
        """Return the weights as dense arrays."""
        return tuple(map(as_dense, self.weights))


def layers_of(program: Program) -> Layers:
    """Return a network as a chain of layers.

    Affine maps that follow one another are multiplied out; `Layers.slack` bounds what that rounds away.

    Raises
    ------
    RefusedError
        If it is no chain of affine maps and ReLUs: with residual connections, or other activations.
    """
    chain = _Chain(program)
    weights, biases = [], []
    value: int | None = program.result
    while value is not None:
        weight, bias, value = chain.affine_to(value)
        weights.append(weight)
        biases.append(bias)
    return Layers(tuple(reversed(weights)), tuple(reversed(biases)), derivative_slack(program))


class _Chain:
    """A program read from its result to its input."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.input, _ = program.network_input()

    def affine_to(self, value: int) -> tuple[Matrix, Floats, int | None]:
        """Return a value as an affine map of the operand of the ReLU before it; `None`: of the input."""
        ops = self.program.ops
        weight: Matrix = selection(np.arange(ops[value].size), ops[value].size)
        bias = np.zeros(ops[value].size)
        while value != self.input:
            op = ops[value]
            if is_relu(self.program, op):
                assert isinstance(op, Switch)
                return weight, bias, op.operand
            if not isinstance(op, Affine) or len(op.terms) != 1 or ops[op.terms[0].operand].kind is Kind.BIT:
                where = op.origin.source or op.origin.name
                message = "the network is no chain of affine maps and ReLUs, and the method needs one"
                raise RefusedError(message, where=where)
            bias = bias + weight @ op.bias
            weight = as_matrix(weight @ op.terms[0].matrix)
            value = op.terms[0].operand
        return weight, bias, None
