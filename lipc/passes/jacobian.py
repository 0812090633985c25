"""The Jacobian as a program transformation: a Lipschitz question becomes the maximum of one value.

``L = max c' J(x) v`` over x in the domain, v in the unit ball of the input norm and c in that of the dual of the output
norm (Jordan & Dimakis 2020, Theorem 1): an output's unit vector for l_inf, a vector of signs for l_1. The derivative of
`switch(u, a)` is the switch of the derivative over the *same* bits: the new program shares every conditional with the
network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
from scipy.sparse import hstack

from lipc.bounds.interval import intersect
from lipc.bounds.linear import linear_bounds
from lipc.bounds.lipschitz import lipschitz_bounds
from lipc.errors import InternalError, QueryError
from lipc.ir import (
    Affine,
    Builder,
    Conditional,
    Floats,
    Input,
    Interval,
    Kind,
    Lipschitz,
    Matrix,
    Norm,
    Objective,
    Origin,
    Polytope,
    Program,
    Sense,
    Switch,
    add,
    as_matrix,
    evaluate,
    identity,
    pullback,
    scatter,
    selection,
    transpose,
)
from lipc.ir.euclidean import euclidean_ball, euclidean_point
from lipc.ir.norms import steepest
from lipc.passes.base import Pass, PassResult, kept_whole

Mode = Literal["reverse", "forward", "auto"]
Known = Literal["nothing", "sdp"]

FEW_INPUTS = 32
"""Up to so many inputs `auto` takes reverse mode: its one bit per input then costs less than forward mode's looser
relaxation (measured: PERFORMANCE.md, "reverse or forward")."""


@dataclass(frozen=True)
class Jacobian(Pass):
    """Replace ``maximize lipschitz(result)`` by the maximum of a scalar over the network and its Jacobian.

    Parameters
    ----------
    mode
        ``reverse``: ``y = c`` then ``y <- W' switch(y, a)``; the norm of the gradient costs one bit per input (l_inf)
        or a choice among ``2n`` bits (l_1). ``forward``: ``u = v`` then ``u <- switch(W u, a)`` with v in the unit
        ball; no bits for the norm. ``auto``: reverse for few inputs, forward for many. For l_2 there is forward alone,
        and the ball is a polytope around it: the optimum may exceed the constant by `euclidean_factor`.
    known
        ``sdp``: the result, and in reverse mode the gradient, are bounded by the SDP bound (`lipschitz_bounds`), and
        the bound of the result becomes a row of the mixed-integer program where that pays. For l_inf and l_1, and
        small networks.
    """

    name: ClassVar[str] = "jacobian"
    exact: ClassVar[bool] = True
    mode: Mode = "auto"
    known: Known = "nothing"

    def apply(self, program: Program) -> PassResult:
        """Return the program of the Jacobian; a program without a Lipschitz question is returned as it is.

        Raises
        ------
        QueryError
            If the result is not continuous, because it reads bits other than through ``switch(z, conditional(z))``; or
            for reverse mode and l_2.
        """
        kept = kept_whole(program)
        question = program.objective.lipschitz if program.objective else None
        if question is None:
            return PassResult(program, kept)
        network_inputs = list(program.find(Input))
        if len(network_inputs) != 1:
            raise InternalError(f"jacobian: the network has {len(network_inputs)} inputs, not one")
        _check_continuous(program)
        writer = _Writer(program, question, network_inputs[0])
        reverse = self.resolved(program) == "reverse"
        result = writer.reverse() if reverse else writer.forward()
        transformed = writer.builder.program(result, Objective(Sense.MAXIMIZE), program.bounds)
        if self.known == "sdp":
            transformed = transformed.with_bounds(writer.sharper(transformed))
        return PassResult(transformed, kept, writer.complete)

    def resolved(self, program: Program) -> Mode:
        """Return the mode that is used for a program, with ``auto`` decided.

        Raises
        ------
        QueryError
            For reverse mode and l_2: the length of a gradient is not piecewise linear.
        """
        question = program.objective.lipschitz if program.objective else None
        if question is not None and question.norm is Norm.L2:
            if self.mode == "reverse":
                raise QueryError("reverse mode cannot measure in l_2", hint="--mode forward, or auto, which takes that")
            return "forward"
        if self.mode != "auto":
            return self.mode
        (network_input,) = program.find(Input)
        return "reverse" if program.ops[network_input].size <= FEW_INPUTS else "forward"


def _check_continuous(program: Program) -> None:
    """Refuse programs whose result jumps, for then there is no Lipschitz constant."""
    for op in program.ops:
        if isinstance(op, Affine) and any(program.ops[operand].kind is Kind.BIT for operand in op.operands):
            raise QueryError("the output jumps: it reads the bits of a conditional as numbers", where=op.origin.source)
        if isinstance(op, Switch):
            bit = program.ops[op.bit]
            if not isinstance(bit, Conditional) or bit.operand != op.operand:
                raise QueryError(
                    "the output may jump: a switch over the bits of another value has no Jacobian",
                    where=op.origin.source,
                    hint="write switch(z, conditional(z)), which is relu(z)",
                )


def gradient_program(program: Program, cotangent: Floats) -> Program:
    """Return a network with the gradient of a weighted sum of its outputs as the result.

    Parameters
    ----------
    program
        A network with a Lipschitz question; its bounds are kept.
    cotangent
        Shape ``(m,)``: the weights c of the ``m`` entries of its result.

    Returns
    -------
    Program
        The network, and ``J' c`` by the chain rule over its own bits, shape ``(n,)``. It asks nothing.

    Raises
    ------
    QueryError
        If the result is not continuous.
    """
    if program.objective is None or program.objective.lipschitz is None:
        raise InternalError("gradient_program: the program asks no Lipschitz question")
    _check_continuous(program)
    network_input, domain = program.network_input()
    writer = _Writer(program, program.objective.lipschitz, network_input)
    writer.builder.origin = Origin("c")
    gradient = writer.pull(writer.builder.constant(cotangent))
    if gradient is None:
        writer.builder.origin = Origin("gradient")
        gradient = writer.builder.constant(np.zeros(domain.size))
    return writer.builder.program(gradient, bounds=program.bounds)


def _signed(size: int) -> Matrix:
    """Return the identity beside its negative: what makes entries of two parts that are not negative."""
    return as_matrix(hstack([identity(size), -identity(size)], format="csr"))


class _Writer:
    """Appends the Jacobian to a copy of the network."""

    def __init__(self, program: Program, question: Lipschitz, network_input: int) -> None:
        self.program = program
        self.question = question
        self.network_input = network_input
        self.builder = Builder(program.ops)
        self.directions: int | None = None  # the input that ranges over v, or over the gradient entry chosen
        self.outputs: int | None = None  # the input of bits that choose c
        self.gradient: int | None = None  # c' J, in reverse mode
        self.chosen: int | None = None  # for l_1, its entries and minus these, all but one of them 0

    def forward(self) -> int:
        """Append ``u = J v`` from the input on; return the objective."""
        ops = self.program.ops
        tangents: dict[int, int] = {self.network_input: self._direction()}
        for value in range(self.network_input + 1, len(ops)):
            op = ops[value]
            self.builder.origin = replace(op.origin, name=f"d_{op.origin.name}")
            if isinstance(op, Affine):
                terms = {tangents[t.operand]: t.matrix for t in op.terms if t.operand in tangents}
                if terms:
                    tangents[value] = self.builder.affine(terms)
            elif isinstance(op, Switch) and op.operand in tangents:
                tangents[value] = self.builder.switch(tangents[op.operand], op.bit)
        self.builder.origin = Origin("objective")
        if self.program.result not in tangents:
            return self.builder.constant([0.0])
        return self._output_norm(tangents[self.program.result])

    def _direction(self) -> int:
        """Append v in the unit ball of the input norm."""
        size = self.program.ops[self.network_input].size
        if self.question.norm is Norm.LINF:
            self.directions = self.builder.input(Polytope.box(-np.ones(size), np.ones(size)), origin=Origin("v"))
            return self.directions
        if self.question.norm is Norm.L2:
            self.directions = self.builder.input(euclidean_ball(size), origin=Origin("v"))
            self.builder.origin = Origin("direction")
            return self.builder.select(self.directions, np.arange(size))
        # The cross-polytope has 2^n facets; v = p - n with (p, n) in a simplex needs one row.
        self.directions = self.builder.input(Polytope.simplex(2 * size), origin=Origin("v"))
        self.builder.origin = Origin("direction")
        return self.builder.affine({self.directions: _signed(size)})

    def _output_norm(self, tangent: int) -> int:
        """Append the norm of ``J v``: v and -v lie in the ball together, so the first entry may count with its sign."""
        size = self.builder.size(tangent)
        if size == 1:
            return tangent
        if self.question.output_norm is Norm.L1:
            magnitudes = self.builder.abs(self.builder.select(tangent, np.arange(1, size)))
            self.builder.origin = Origin("objective")
            return self.builder.affine({tangent: selection([0], size), magnitudes: np.ones((1, size - 1))})
        self.outputs = self.builder.input(Polytope.one_of(size), Kind.BIT, Origin("output"))
        return self.builder.affine({self.builder.switch(tangent, self.outputs): np.ones((1, size))})

    def reverse(self) -> int:
        """Append ``g = J' c`` from the result on; return the objective."""
        gradient = self.pull(self._cotangent())
        if gradient is None:
            self.builder.origin = Origin("objective")
            return self.builder.constant([0.0])
        return self._input_norm(gradient)

    def pull(self, cotangent: int) -> int | None:
        """Append ``J' c`` for a value c; `None` if the result does not depend on the input."""
        ops = self.program.ops
        adjoint_terms: dict[int, list[tuple[Matrix | None, int]]] = {self.program.result: [(None, cotangent)]}
        for value in range(self.program.result, self.network_input, -1):
            summands = adjoint_terms.pop(value, [])
            op = ops[value]
            if not summands or isinstance(op, Conditional | Input):
                continue
            origin = replace(op.origin, name=f"g_{op.origin.name}")
            adjoint = self._sum(origin, summands)
            if isinstance(op, Affine):
                for term in op.terms:
                    adjoint_terms.setdefault(term.operand, []).append((transpose(term.matrix), adjoint))
            else:
                switched = self.builder.switch(adjoint, op.bit, origin)
                adjoint_terms.setdefault(op.operand, []).append((None, switched))
        summands = adjoint_terms.get(self.network_input, [])
        return self._sum(Origin("gradient"), summands) if summands else None

    def _cotangent(self) -> int:
        """Append c: 1 for one output; for several a choice of one of them, or signs of which the first is positive."""
        size = self.program.ops[self.program.result].size
        self.builder.origin = Origin("c")
        if size == 1:
            return self.builder.constant([1.0])
        if self.question.output_norm is Norm.L1:
            self.outputs = self.builder.input(
                Polytope.box(np.zeros(size - 1), np.ones(size - 1)), Kind.BIT, Origin("output")
            )
            return self.builder.affine(
                {self.outputs: scatter(np.arange(1, size), size) * 2.0}, [1.0, *[-1.0] * (size - 1)]
            )
        self.outputs = self.builder.input(Polytope.one_of(size), Kind.BIT, Origin("output"))
        return self.builder.affine({self.outputs: identity(size)})

    def _sum(self, origin: Origin, summands: list[tuple[Matrix | None, int]]) -> int:
        """Append the sum of ``matrix @ value``; a matrix `None` is the identity."""
        if len(summands) == 1 and summands[0][0] is None:
            return summands[0][1]
        terms: dict[int, Matrix] = {}
        for matrix, value in summands:
            factor = identity(self.builder.size(value)) if matrix is None else matrix
            terms[value] = add(terms[value], factor) if value in terms else factor
        return self.builder.affine(terms, origin=origin)

    def _input_norm(self, gradient: int) -> int:
        """Append the norm of the gradient that is dual to the input norm."""
        size = self.builder.size(gradient)
        self.gradient = gradient
        if self.question.norm is Norm.LINF:
            self.builder.origin = Origin("sign")
            magnitude = self.builder.abs(gradient)
            self.builder.origin = Origin("objective")
            return self.builder.affine({magnitude: np.ones((1, size))})
        self.directions = self.builder.input(Polytope.one_of(2 * size), Kind.BIT, Origin("entry"))
        self.builder.origin = Origin("chosen")
        both = self.builder.affine({gradient: transpose(_signed(size))})
        self.chosen = self.builder.switch(both, self.directions)
        self.builder.origin = Origin("objective")
        return self.builder.affine({self.chosen: np.ones((1, 2 * size))})

    def sharper(self, transformed: Program) -> dict[int, Interval]:
        """Return the bounds of a program, with the SDP bound of the result and of the gradient.

        For l_1 of the chosen entry, that is: a sharper big-M for all of them took longer (PERFORMANCE.md, "SDP rows").
        """
        found = lipschitz_bounds(self.program, gradient=self.gradient is not None)
        bounds = dict(transformed.bounds)
        if found is None:
            return bounds
        new = {transformed.result: Interval(np.full(1, -found.constant), np.full(1, found.constant))}
        if found.gradient is not None and self.gradient is not None:
            lower, upper = found.gradient.lower, found.gradient.upper
            if self.chosen is None:
                new[self.gradient] = found.gradient
            else:
                low, high = np.concatenate([lower, -upper]), np.concatenate([upper, -lower])
                new[self.chosen] = Interval(np.minimum(low, 0.0), np.maximum(high, 0.0))
        # The SDP bound knows nothing of the domain, and the pass `bounds` leaves values alone that are bounded.
        others = linear_bounds(transformed, only_new=True)
        return {**bounds, **{value: intersect(known, others[value]) for value, known in new.items()}}

    def complete(self, choices: dict[int, Floats]) -> dict[int, Floats]:
        """Fill in v and c such that ``c' J v`` is the norm of the Jacobian at the given point and bits."""
        values = evaluate(self.program, choices)
        cotangents = np.eye(self.program.ops[self.program.result].size)
        spread = [np.repeat(array, len(cotangents), axis=0) for array in values]
        gradients = pullback(self.program, spread, cotangents, self.network_input)
        best = steepest(gradients, self.question.norm, self.question.output_norm)
        gradient = best @ gradients
        filled = dict(choices)
        if self.outputs is not None:
            filled[self.outputs] = best if self.question.output_norm is Norm.LINF else (best[1:] + 1) / 2
        if self.directions is not None:
            filled[self.directions] = self._extreme_direction(gradient)
        return filled

    def _extreme_direction(self, gradient: Floats) -> Floats:
        """Return the entries of the input of directions at which ``gradient @ v`` is the dual norm."""
        if self.question.norm is not Norm.L1:
            direction = self.question.norm.direction_of(gradient)
            return direction if self.question.norm is Norm.LINF else euclidean_point(direction)
        chosen = int(np.argmax(np.abs(gradient)))
        entries = np.zeros(2 * len(gradient))
        entries[chosen if gradient[chosen] >= 0 else chosen + len(gradient)] = 1.0
        return entries
