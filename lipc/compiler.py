"""The compiler: a network and a question through the passes into a mixed-integer program."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from time import perf_counter
from typing import get_args

import numpy as np

from lipc.bounds import interval_bounds
from lipc.errors import InternalError, QueryError
from lipc.evidence import evidence_record
from lipc.frontends.network import Network
from lipc.ir import Choices, Conditional, Floats, Input, Kind, Norm, Program, Sense
from lipc.mip import Formulation, MixedIntegerProgram, lower
from lipc.models import Model, read_model
from lipc.passes.base import Pass
from lipc.passes.bounds import Bounds, Method
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.pipeline import Level, named_pipeline
from lipc.passes.run import Step, Trail, run_passes
from lipc.query import Query


@dataclass(frozen=True)
class Neurons:
    """How the bounds decide the neurons of the network: always on, always off, or unstable."""

    total: int
    on: int
    off: int
    unstable: int


@dataclass(frozen=True, eq=False)
class Compiled:
    """A network and a question, compiled.

    Parameters
    ----------
    network
        As the front end returned it.
    query
        The question; `None` for a program of several inputs, which asks what its objective says.
    asked
        The network with the question as its objective, nothing changed: what certificates are about.
    trail
        How `asked` became the program that was lowered, pass by pass.
    mip
        The mixed-integer program.
    seconds
        Time spent, by stage: ``import``, ``bounds``, ``lower``.
    formulation
        Of `mip`.
    """

    network: Network
    query: Query | None
    asked: Program
    trail: Trail
    mip: MixedIntegerProgram
    seconds: dict[str, float]
    formulation: Formulation = "bigm"

    @property
    def program(self) -> Program:
        """The program that was lowered."""
        return self.trail.program

    @property
    def reduced(self) -> Program:
        """The last program of the trail that still asks the question of `asked`: before its Jacobian was made."""
        programs = [self.asked, *(step.after for step in self.trail.steps)]
        return [each for each in programs if each.objective == self.asked.objective][-1]

    @property
    def exact_trail(self) -> Trail:
        """The part of the trail that still asks the question of `asked`, before the first pass that rounds."""
        kept: list[Step] = []
        for step in self.trail.steps:
            if not step.transformation.exact or step.after.objective != self.asked.objective:
                break
            kept.append(step)
        return Trail(self.asked, tuple(kept))

    @property
    def reduced_exactly(self) -> Program:
        """The last program of `exact_trail`."""
        return self.exact_trail.program

    def recover(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of `asked` from choices of the lowered program: NaN for bits that do not matter."""
        return self.trail.recover(choices)

    def with_passes(self, passes: Sequence[Pass]) -> Compiled:
        """Return the same question after further passes, lowered anew.

        They may use a cutoff, below which the program need not stay the same: they are not validated on points.
        """
        more = run_passes(self.program, passes, validate=0)
        trail = Trail(self.trail.start, (*self.trail.steps, *more.steps))
        return replace(self, trail=trail, mip=_lowered(trail, self.formulation))

    def limited(self) -> Compiled:
        """Return the same question with the SDP bound of its Jacobian, if it has one, and later passes anew."""
        steps = self.trail.steps
        places = [at for at, step in enumerate(steps) if isinstance(step.transformation, Jacobian)]
        if len(places) != 1:
            return self
        (at,) = places
        passes = [_with_sdp(step.transformation) for step in steps[at:]]
        if passes[0] == steps[at].transformation:
            return self
        trail = Trail(self.trail.start, (*steps[:at], *run_passes(steps[at].before, passes).steps))
        return replace(self, trail=trail, mip=_lowered(trail, self.formulation)) if _sdp_steps(trail) else self

    def lowered(self, program: Program) -> MixedIntegerProgram:
        """Return the program of this question with other bounds, lowered as this one was, in its units."""
        return _lowered(self.trail, self.formulation, program, self.mip)

    @property
    def neurons(self) -> Neurons:
        """The neurons of the network, counted."""
        decided = self._decided_bits()
        total = sum(len(bits) for bits in decided.values())
        on = sum(int((bits == 1).sum()) for bits in decided.values())
        off = sum(int((bits == 0).sum()) for bits in decided.values())
        return Neurons(total, on, off, total - on - off)

    def _decided_bits(self) -> dict[int, Floats]:
        """Return, for each conditional of `asked`, 0 or 1 where the passes decided it, NaN elsewhere."""
        decided = self.trail.recover({})
        ops = self.asked.ops
        return {value: decided.get(value, np.full(ops[value].size, np.nan)) for value in self.asked.find(Conditional)}

    @property
    def bound(self) -> float:
        """A rigorous bound of the objective from the bounds of its values alone: upper for a maximum.

        It is the best one before the first pass that rounds coefficients.
        """
        found = _bounds_of_objective(self.trail)
        if not found:
            question = self.asked.objective.lipschitz if self.asked.objective else None
            mode: Mode = "forward" if question is not None and question.norm is Norm.L2 else "reverse"
            plain = [Bounds("interval"), Jacobian(mode), Bounds("interval", only_new=True)]
            found = _bounds_of_objective(run_passes(self.asked.with_bounds({}), plain))
        return min(found) if _maximizes(self.asked) else max(found)

    def describe(self) -> dict[str, object]:
        """Return the model and the question as plain values for JSON."""
        if self.query is None:
            question = {
                "objective": "max" if _maximizes(self.asked) else "min",
                "output": self.network.output_name or "the result",
            }
            return {"model": self.network.source, **question}
        return {"model": self.network.source, **self.query.describe(self.network.program)}

    def header(self) -> list[str]:
        """Return what the model file says of itself in comments."""
        question = self.describe()
        norm = f", norm {question['norm']}" if question["objective"] == "lipschitz" else ""
        return [f"model: {question['model']}", f"question: {question['objective']} of {question['output']}{norm}"]

    def facts(self) -> dict[str, object]:
        """Return what the sidecar says besides its columns: the question, the decided neurons, and the network."""
        decided: list[dict[str, object]] = [
            {
                "name": self.asked.ops[value].origin.name,
                "source": self.asked.ops[value].origin.source,
                "size": len(bits),
                "on": np.flatnonzero(bits == 1).tolist(),
                "off": np.flatnonzero(bits == 0).tolist(),
            }
            for value, bits in self._decided_bits().items()
        ]
        return {
            "query": self.describe(),
            "neurons": {"counts": asdict(self.neurons), "decided": decided},
            "network": evidence_record(self.asked, self.trail, self.mip),
        }


def _sdp_steps(trail: Trail) -> list[tuple[Jacobian, Program]]:
    """Return where the Jacobian was made with the SDP bound of its result, which not all have, and of which program."""
    return [
        (step.transformation, step.before)
        for step in trail.steps
        if isinstance(step.transformation, Jacobian)
        and step.transformation.known == "sdp"
        and step.after.result in step.after.bounds
    ]


def _is_limited(jacobian: Jacobian, network: Program) -> bool:
    """Return whether a row for the objective pays: beside bounds of the gradient it does not, in l_inf.

    (Measured: PERFORMANCE.md, "SDP rows".)
    """
    question = network.objective.lipschitz if network.objective is not None else None
    return jacobian.resolved(network) == "forward" or (question is not None and question.norm is Norm.L1)


def _with_sdp(transformation: Pass) -> Pass:
    return replace(transformation, known="sdp") if isinstance(transformation, Jacobian) else transformation


def _lowered(
    trail: Trail, formulation: Formulation, program: Program | None = None, like: MixedIntegerProgram | None = None
) -> MixedIntegerProgram:
    """Return the program at the end of a trail, or one like it, with the SDP bound as a row where that pays."""
    limit = any(_is_limited(*each) for each in _sdp_steps(trail))
    return lower(program or trail.program, limit=limit, formulation=formulation, like=like)


def _maximizes(program: Program) -> bool:
    return program.objective is not None and program.objective.sense is Sense.MAXIMIZE


def _bounds_of_objective(trail: Trail) -> list[float]:
    """Return the bounds of a scalar objective along a trail, until something is rounded; upper ones for a maximum."""
    found = []
    for step in trail.steps:
        if not step.transformation.exact:
            break
        program = step.after
        known = program.bounds.get(program.result)
        if known is not None and program.objective is not None and program.objective.lipschitz is None:
            found.append(float(known.upper[0] if _maximizes(program) else known.lower[0]))
    return found


def _check_word(option: str, word: object, known: tuple[object, ...]) -> None:
    if word not in known:
        raise QueryError(f"unknown {option} {word!r}", hint=f"one of: {', '.join(map(str, known))}")


def ask(network: Network, query: Query | None = None, *, trust_bounds: bool = False) -> tuple[Query | None, Program]:
    """Return the question asked of a network, and the network with it as its objective.

    Parameters
    ----------
    query
        Default: what the file itself asks, else the Lipschitz constant over the box [0, 1].
    trust_bounds
        Keep the bounds that a textual program carries.

    Raises
    ------
    QueryError
        If the question does not fit, or the network is a program that asks its own.
    """
    program = network.program
    _check_askable(network)
    if trust_bounds:
        _check_claimed(program, network.source)
    if program.objective is None:
        query = query or network.query or Query()
        return query, query.ask(program)
    if query is not None and query is not network.query:
        raise QueryError("the program asks a question of its own", where=network.source, hint="leave the query out")
    return network.query, program if trust_bounds else program.with_bounds({})


def _check_askable(network: Network) -> None:
    """Refuse a program that has no answer: it asks nothing that is known of its inputs, or has no result.

    Raises
    ------
    QueryError
        With what is in the way.
    """
    program = network.program
    if not program.ops[program.result].size:
        raise QueryError("the result of the program has no entries", where=network.source)
    if program.objective is not None and program.objective.lipschitz is None:
        return
    inputs = [op for op in program.ops if isinstance(op, Input)]
    what = "nothing can be asked of a program" if program.objective is None else "there is no Lipschitz constant"
    hint = "a network has one input, of reals; any other program states what is to be maximized: 'maximize %3'"
    if len(inputs) != 1:
        raise QueryError(f"{what} of {len(inputs)} inputs", where=network.source, hint=hint)
    if inputs[0].kind is Kind.BIT:
        raise QueryError(f"{what} of an input of bits", where=network.source, hint=hint)
    if not inputs[0].size:
        raise QueryError(f"{what} of an input without entries", where=network.source, hint=hint)


def _check_claimed(program: Program, source: str) -> None:
    """Refuse bounds that a program carries if interval arithmetic says that they cannot hold.

    Raises
    ------
    QueryError
        With the first operation and entry of which they do not.
    """
    computed = interval_bounds(program.with_bounds({})) if program.bounds else {}
    for value, claimed in sorted(program.bounds.items()):
        known = computed[value]
        apart = np.flatnonzero((claimed.lower > known.upper) | (claimed.upper < known.lower))
        if len(apart):
            at = int(apart[0])
            wrong, right = (f"{each.lower[at]:g} .. {each.upper[at]:g}" for each in (claimed, known))
            message = f"the bounds {wrong} of entry {at} of operation %{value} cannot hold: it lies within {right}"
            raise QueryError(message, where=source, hint="correct them, or leave them out")


def compile(  # noqa: A001 - the verb of a compiler
    model: Model,
    query: Query | None = None,
    *,
    mode: Mode = "auto",
    method: Method = "linear",
    level: Level = 2,
    passes: Sequence[Pass] | None = None,
    drop_softmax: bool = False,
    trust_bounds: bool = False,
    formulation: Formulation = "bigm",
    on_stage: Callable[[str], None] = lambda _: None,
) -> Compiled:
    """Compile a network and a question into a mixed-integer program.

    Parameters
    ----------
    model
        A file (``.onnx``, ``.lip``, ``.lir``), an `onnx.ModelProto`, a `Program`, or a `Network` from a front end such
        as `from_weights`.
    query
        The question; default: what the file asks, else the exact local Lipschitz constant over the box [0, 1], l_inf
        perturbations.
    mode
        How the Jacobian is written: ``reverse``, ``forward`` or ``auto``.
    method
        Bounds: ``linear`` or ``interval``.
    level
        Which of the named pipelines is run, 0 to 3.
    passes
        What is run instead; `mode`, `method` and `level` then mean nothing.
    drop_softmax
        Leave out a trailing Softmax.
    trust_bounds
        Take the bounds that a textual program carries for proven; otherwise they are forgotten.
    formulation
        How bits switch rows: ``bigm``, which every solver reads, ``indicator`` or ``sos1`` (`lipc.mip.lower`).
    on_stage
        Called before each pass with its name, and with ``lower`` at last.

    Raises
    ------
    ModelError, QueryError
        If the model cannot be read, or the question does not fit it.
    """
    _check_word("mode", mode, get_args(Mode))
    _check_word("method", method, get_args(Method))
    _check_word("level", level, get_args(Level))
    _check_word("formulation", formulation, get_args(Formulation))
    network = read_model(model, drop_softmax=drop_softmax)
    read = perf_counter()
    query, asked = ask(network, query, trust_bounds=trust_bounds)
    chosen = named_pipeline(level, mode, method) if passes is None else passes
    trail = run_passes(asked, chosen, on_stage=on_stage)
    objective = trail.program.objective
    if objective is not None and objective.lipschitz is not None:
        raise QueryError("the passes leave a Lipschitz question, which no program states", hint="add the pass jacobian")
    if objective is None:
        raise InternalError("the passes lost the objective")
    on_stage("lower")
    mip = _lowered(trail, formulation)
    in_bounds = trail.seconds(Bounds.name)
    seconds = {
        "import": network.seconds,
        "bounds": in_bounds,
        "lower": perf_counter() - read - in_bounds,
    }
    return Compiled(network, query, asked, trail, mip, seconds, formulation)
