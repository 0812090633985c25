"""The compiler: a network and a question through the passes into a mixed-integer program."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, TypeAlias, get_args

import numpy as np

from lipc.errors import ModelError, QueryError
from lipc.frontends.network import Network
from lipc.ir import Choices, Conditional, Floats, Program, Sense
from lipc.mip import MixedIntegerProgram, lower
from lipc.passes.bounds import Bounds, Method
from lipc.passes.fuse import Fuse
from lipc.passes.jacobian import Jacobian, Mode
from lipc.passes.prune_stable import PruneStable
from lipc.passes.run import Trail, run_passes
from lipc.query import Query

if TYPE_CHECKING:
    import onnx

Model: TypeAlias = "str | Path | Network | onnx.ModelProto"
"""A path to an ONNX file, a model in memory, or a network from any front end."""


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
        The question.
    asked
        The network with the question as its objective, nothing changed: what certificates are about.
    reduced
        How `asked` became the network of its unstable neurons.
    lowered
        How that became the program that was lowered: the Jacobian, and what followed.
    mip
        The mixed-integer program.
    seconds
        Time spent, by stage: ``import``, ``bounds``, ``lower``.
    """

    network: Network
    query: Query
    asked: Program
    reduced: Trail
    lowered: Trail
    mip: MixedIntegerProgram
    seconds: dict[str, float]

    @property
    def program(self) -> Program:
        """The program that was lowered, with bounds."""
        return self.lowered.program

    def recover(self, choices: Choices) -> dict[int, Floats]:
        """Return choices of `asked` from choices of the lowered program: NaN for bits that do not matter."""
        return self.reduced.recover(self.lowered.recover(choices))

    @property
    def neurons(self) -> Neurons:
        """The neurons of the network, counted."""
        total = sum(self.asked.ops[value].size for value in self.asked.find(Conditional))
        bounded = self.reduced.steps[0].result.program
        decided = [bounded.bounds[value] for value in bounded.find(Conditional)]
        on = sum(int((bits.lower == 1).sum()) for bits in decided)
        off = sum(int((bits.upper == 0).sum()) for bits in decided)
        return Neurons(total, on, off, total - on - off)

    @property
    def bound(self) -> float:
        """A rigorous bound of the objective from the bounds of its values alone: upper for a maximum.

        It is that of the program before `fuse`, the first pass that rounds coefficients.
        """
        bounded = next(step.result.program for step in self.lowered.steps if step.name == Bounds.name)
        known = bounded.bounds[bounded.result]
        maximize = bounded.objective is not None and bounded.objective.sense is Sense.MAXIMIZE
        return float(known.upper[0] if maximize else known.lower[0])

    def describe(self) -> dict[str, object]:
        """Return the model and the question as plain values for JSON."""
        return {"model": self.network.source, **self.query.describe(self.network.program)}

    def header(self) -> list[str]:
        """Return what the model file says of itself in comments."""
        question = self.describe()
        norm = f", norm {question['norm']}" if question["objective"] == "lipschitz" else ""
        return [f"model: {question['model']}", f"question: {question['objective']} of {question['output']}{norm}"]

    def facts(self) -> dict[str, object]:
        """Return what the sidecar says besides its columns: the question, and the neurons that bounds decided."""
        return {
            "query": self.describe(),
            "neurons": {"counts": asdict(self.neurons), "decided": self._decided_neurons()},
        }

    def _decided_neurons(self) -> list[dict[str, object]]:
        """Return, for each conditional of the network, which entries are always on or off."""
        bounded = self.reduced.steps[0].result.program
        decided: list[dict[str, object]] = []
        for value in bounded.find(Conditional):
            op, bits = bounded.ops[value], bounded.bounds[value]
            decided.append(
                {
                    "name": op.origin.name,
                    "source": op.origin.source,
                    "size": op.size,
                    "on": np.flatnonzero(bits.lower == 1).tolist(),
                    "off": np.flatnonzero(bits.upper == 0).tolist(),
                }
            )
        return decided


def read_model(model: Model, *, drop_softmax: bool = False) -> Network:
    """Return the network of a file or of a model in memory.

    Raises
    ------
    ModelError
        If it cannot be read or holds something that is not supported.
    """
    if isinstance(model, Network):
        return model
    from lipc.frontends.onnx import import_onnx, read_onnx

    if isinstance(model, str | Path):
        if not str(model):
            raise ModelError("no model is named")
        if "\0" in str(model):
            raise ModelError("cannot be read: no path holds a NUL character", where=repr(str(model)))
        with suppress(OSError):  # a name that is too long, say: reading it fails with a better error
            if Path(model).is_dir():
                raise ModelError("is a folder, not a model", where=str(model))
        return read_onnx(model, drop_softmax=drop_softmax)
    if not hasattr(model, "graph"):
        raise ModelError(f"a {type(model).__name__} is no model", hint="a path, a Network or an onnx.ModelProto")
    return import_onnx(model, drop_softmax=drop_softmax)


def _check_word(option: str, word: str, known: tuple[str, ...]) -> None:
    if word not in known:
        raise QueryError(f"unknown {option} {word!r}", hint=f"one of: {', '.join(known)}")


def compile(  # noqa: A001 - the verb of a compiler
    model: Model,
    query: Query | None = None,
    *,
    mode: Mode = "auto",
    method: Method = "linear",
    drop_softmax: bool = False,
) -> Compiled:
    """Compile a network and a question into a mixed-integer program.

    Parameters
    ----------
    model
        An ONNX file, an `onnx.ModelProto`, or a `Network` from a front end such as `from_weights`.
    query
        The question; default: the exact local Lipschitz constant over the box [0, 1], l_inf perturbations.
    mode
        How the Jacobian is written: ``reverse``, ``forward`` or ``auto``.
    method
        Bounds: ``linear`` or ``interval``.
    drop_softmax
        Leave out a trailing Softmax.

    Raises
    ------
    ModelError, QueryError
        If the model cannot be read, or the question does not fit it.
    """
    _check_word("mode", mode, get_args(Mode))
    _check_word("method", method, get_args(Method))
    query = query or Query()
    started = perf_counter()
    network = read_model(model, drop_softmax=drop_softmax)
    imported = perf_counter()
    asked = query.ask(network.program)
    reduced = run_passes(asked, [Bounds(method), PruneStable()])
    bounds = Bounds(method, only_new=True)
    lowered = run_passes(reduced.program, [Jacobian(mode), bounds, PruneStable(), Fuse(), PruneStable()])
    mip = lower(lowered.program)
    in_bounds = reduced.seconds(bounds.name) + lowered.seconds(bounds.name)
    seconds = {
        "import": imported - started,
        "bounds": in_bounds,
        "lower": perf_counter() - imported - in_bounds,
    }
    return Compiled(network, query, asked, reduced, lowered, mip, seconds)
