"""Solve a question: compile it, and run it until the pair is proven or a limit is reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from math import isfinite
from time import monotonic

from lipc.compiler import Compiled, compile  # noqa: A004 - the verb of a compiler
from lipc.errors import QueryError
from lipc.frontends import Network
from lipc.mip import Formulation
from lipc.models import Model, read_model
from lipc.options import Options, Report
from lipc.passes.base import Pass
from lipc.passes.bounds import Method
from lipc.passes.jacobian import Mode
from lipc.passes.pipeline import Level
from lipc.query import Query
from lipc.record import Asked, model_record, question_record
from lipc.result import Result
from lipc.solvers.base import Solver
from lipc.solving.run import Run
from lipc.solving.union import Union

__all__ = ["Options", "Report", "solve"]


def solve(
    model: Model | Compiled,
    query: Query | None = None,
    *,
    mode: Mode = "auto",
    method: Method = "linear",
    level: Level = 2,
    passes: Sequence[Pass] | None = None,
    options: Options | None = None,
    solver: Solver | None = None,
    on_report: Callable[[Report], None] = lambda _: None,
    drop_softmax: bool = False,
    trust_bounds: bool = False,
    formulation: Formulation = "bigm",
) -> Result:
    """Return the exact answer, or the valid pair reached within the limits.

    The solver's optimum is a claim about a pattern. The pattern counts only if its region has an interior; then the
    gradient there, re-computed exactly, is the lower bound. A pattern that has none is excluded by a cut and the solve
    goes on; one of which neither can be proven stays in the upper bound.

    Parameters
    ----------
    model
        As for `compile`, or what `compile` returned; that has its question already.
    query
        The question; default: what the file asks, else the Lipschitz constant over the box [0, 1]. Over several
        domains the answer is that for their union.
    mode, method, level, passes, drop_softmax, trust_bounds, formulation
        As for `compile`. With another formulation than big-M, the search ``auto`` is ``mip``.
    options
        Limits and tolerances.
    solver
        Default: SCIP. With one given, the search ``auto`` is ``mip``.
    on_report
        Called often with the progress.

    Raises
    ------
    ModelError, QueryError, SolverError
        As their names say.
    KeyboardInterrupt
        On an interrupt while compiling, or on a second one; the first during the search ends it with a valid pair.
    """
    started = monotonic()
    options = options or Options()
    if options.search == "auto" and (solver is not None or formulation != "bigm"):
        options = replace(options, search="mip")
    if solver is None:
        from lipc.solvers.scip import Scip

        solver = Scip()
    if isinstance(model, Compiled):
        if query is not None:
            raise QueryError("the model is compiled already", hint="ask the question when compiling")
        solver.capabilities.check_formulation(model.formulation, solver.title)
        compiled = _certifiable(model)
        record = _record(compiled.network, compiled.query, options)
        return replace(Run.of(compiled, solver, options, on_report, started).summary(), asked=record)

    solver.capabilities.check_formulation(formulation, solver.title)

    def compile_with(network: Network, question: Query | None) -> Compiled:
        return _certifiable(
            compile(
                network,
                question,
                mode=mode,
                method=method,
                level=level,
                passes=passes,
                trust_bounds=trust_bounds,
                formulation=formulation,
            )
        )

    network = read_model(model, drop_softmax=drop_softmax)
    question = query if query is not None else network.query
    if question is None or len(question.pieces()) <= 1:
        compiled = compile_with(network, query)
        record = _record(network, compiled.query, options)
        return replace(Run.of(compiled, solver, options, on_report, started).summary(), asked=record)
    record = _record(network, question, options)
    result = Union(question, partial(compile_with, network), solver, options, on_report, started).result()
    return replace(result, asked=record)


def _record(network: Network, query: Query | None, options: Options) -> Asked:
    """Return what a result says of what was asked, and of which files."""
    limits = {name: _finite(value) for name, value in asdict(options).items()}
    question = {} if query is None else question_record(query, network)
    return Asked(model_record(network), question, limits)


def _finite(value: float | str) -> float | str | None:
    return value if isinstance(value, str) or isfinite(value) else None


def _certifiable(compiled: Compiled) -> Compiled:
    """Refuse what asks no question of one network."""
    if compiled.query is None:
        message = (
            "without one input, of reals, an answer cannot be certified; the program can only be written for a solver"
        )
        raise QueryError(message, where=compiled.network.source, hint="solve the network from before the pass jacobian")
    return compiled
