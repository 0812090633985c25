"""Questions as users state them, on the command line or in a file of jobs: words, numbers and names of files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, TypeAlias

import numpy as np

from lipc import query as queries
from lipc.diagnostics import Diagnostic
from lipc.errors import QueryError
from lipc.frontends import Network
from lipc.frontends.vnnlib import InputProperty, read_vnnlib
from lipc.ir import Floats, Norm, Polytope
from lipc.jobs.arrays import read_halfspaces, read_numbers
from lipc.passes.base import Pass
from lipc.passes.bounds import Method
from lipc.passes.jacobian import Mode
from lipc.passes.pipeline import Level, named_pipeline, parse_pipeline
from lipc.query import Query

Numbers: TypeAlias = "str | Floats"
"""The name of a .npy or text file, one number as a text, or the numbers themselves."""

RADIUS = "radius"
"""The objective that asks for a certified radius (`lipc.certify_radius`) instead of one constant."""


@dataclass(frozen=True, eq=False)
class Words:
    """The options of a question, as they were given; `None`: not given.

    Parameters
    ----------
    box
        Lower and upper bounds of the domain.
    center, radius, ball, clip
        A ball in the norm `ball`, ``linf`` or ``l1``, cut by the box of all ``clip[0] <= x <= clip[1]``.
    halfspaces
        A .npz file of half-spaces that cut the domain.
    vnnlib
        A VNN-LIB file whose input part is the domain.
    norm, output, output_norm, objective
        As the fields of a `Query` say; the norms by name. The objective ``radius`` asks for a certified radius.
    label, max_radius, tolerance
        Of a certified radius, as `lipc.certify_radius` takes them.
    """

    box: tuple[Numbers, Numbers] | None = None
    center: Numbers | None = None
    radius: float | None = None
    ball: str | None = None
    clip: tuple[float, float] | None = None
    halfspaces: str | None = None
    vnnlib: str | None = None
    norm: str | None = None
    output: str | None = None
    output_norm: str | None = None
    objective: str | None = None
    label: int | None = None
    max_radius: float | None = None
    tolerance: float | None = None

    @property
    def asks_radius(self) -> bool:
        """Whether a certified radius is asked for."""
        return self.objective == RADIUS

    def check(self) -> None:
        """Check what can be seen without reading a file.

        Raises
        ------
        QueryError
            If words contradict each other, or the output cannot be read.
        """
        if self.asks_radius:
            self._check_radius()
            return
        for name in ("label", "max_radius", "tolerance"):
            if getattr(self, name) is not None:
                raise QueryError(f"--{name.replace('_', '-')} is of a certified radius", hint="--objective radius")
        domains = [
            name
            for name, value in (("--box", self.box), ("--center", self.center), ("--vnnlib", self.vnnlib))
            if value is not None
        ]
        if len(domains) > 1:
            raise QueryError(f"{' and '.join(domains)} are {len(domains)} domains", hint="give one of them")
        if (self.center is None) != (self.radius is None):
            raise QueryError("--center and --radius belong together", hint="give both")
        for name, value, verb in (("--clip", self.clip, "cuts"), ("--ball", self.ball, "is the shape of")):
            if value is not None and self.center is None:
                raise QueryError(f"{name} {verb} a ball", hint="give --center and --radius too, or use --box")
        if self.output is not None:
            if not self.output.strip():
                raise QueryError("--output is empty", hint="write a linear expression like 'y[0] - y[1]'")
            queries.parse_output(self.output)

    def _check_radius(self) -> None:
        """Check what asks for a certified radius: a center and no domain, for the radius is what is looked for."""
        for name in ("box", "radius", "ball", "halfspaces", "vnnlib", "output", "output_norm"):
            if getattr(self, name) is not None:
                hint = "--max-radius says where to stop" if name == "radius" else "leave it out"
                raise QueryError(f"--{name.replace('_', '-')} says nothing of a certified radius", hint=hint)
        if self.center is None:
            raise QueryError("a certified radius is that of an input", hint="give --center, or --points")
        if self.norm == Norm.L2.value:
            raise QueryError("a radius is certified in l_inf or l_1", hint="--norm linf or l1")

    def understood(self) -> Stated:
        """Return what they mean, the files read.

        Raises
        ------
        QueryError, ModelError
            If they contradict each other or a file cannot be read.
        """
        self.check()
        if self.asks_radius:
            raise QueryError("a certified radius is many questions", hint="lipc certify-radius, or lipc batch")
        found = None if self.vnnlib is None else read_vnnlib(self.vnnlib)
        fields = {
            "domain": found.domain if found else self._domain(),
            "output": self.output,
            "norm": self.norm and Norm(self.norm),
            "goal": self.objective,
            "output_norm": self.output_norm and Norm(self.output_norm),
        }
        given = {name: value for name, value in fields.items() if value is not None}
        cut = None if self.halfspaces is None else (self.halfspaces, *read_halfspaces(self.halfspaces))
        return Stated(given, found, cut, tuple(found.warnings) if found else ())

    def point(self) -> Floats:
        """Return the center; one number stands for all of its entries.

        Raises
        ------
        QueryError
            If it cannot be read.
        """
        assert self.center is not None
        return _numbers(self.center, "--center")

    def _domain(self) -> Polytope | None:
        if self.center is not None and self.radius is not None:
            return queries.ball(self.point(), self.radius, self.clip, Norm(self.ball or "linf"))
        if self.box is not None:
            low, high = (_numbers(each, "--box") for each in self.box)
            if low.size != high.size and 1 not in (low.size, high.size):
                message = f"--box has {low.size} lower and {high.size} upper bounds"
                raise QueryError(message, hint="give as many of both")
            return queries.box(low, high)
        return None


@dataclass(frozen=True)
class PassWords:
    """The options that choose the passes, as they were given; `None`: not given.

    Parameters
    ----------
    level, mode, bounds
        Of a named pipeline, as `named_pipeline` takes them.
    passes
        A pipeline as a text, instead.
    """

    level: Level | None = None
    passes: str | None = None
    mode: Mode | None = None
    bounds: Method | None = None

    def understood(self, default: Level = 2) -> tuple[Pass, ...]:
        """Return the passes; `default` is the level if none is named.

        Raises
        ------
        SourceError
            If `passes` cannot be read.
        QueryError
            If options contradict each other.
        """
        if self.passes is None:
            level = default if self.level is None else self.level
            return named_pipeline(level, self.mode or "auto", self.bounds or "linear")
        for name, value, instead in (
            (f"-O{self.level}", self.level, "name the passes alone"),
            ("--mode", self.mode, f"write jacobian{{mode={self.mode}}} there"),
            ("--bounds", self.bounds, f"write bounds{{method={self.bounds}}} there"),
        ):
            if value is not None:
                raise QueryError(f"{name} and --passes both choose the passes", hint=instead)
        return parse_pipeline(self.passes)


def _numbers(given: Numbers, option: str) -> Floats:
    return read_numbers(given, option) if isinstance(given, str) else np.asarray(given, np.float64)


@dataclass(frozen=True, eq=False)
class Stated:
    """What the words of a question mean: the fields of a `Query` that were named.

    Parameters
    ----------
    given
        Those fields.
    vnnlib
        What a VNN-LIB file says of the inputs.
    halfspaces
        The name of a file, A and b: what cuts every domain.
    warnings
        What is suspicious in the files.
    """

    given: dict[str, Any]
    vnnlib: InputProperty | None = None
    halfspaces: tuple[str, Floats, Floats] | None = None
    warnings: Sequence[Diagnostic] = field(default=())

    def of(self, network: Network) -> Query | None:
        """Return the question of a network: what was named, over what the file asks.

        Returns
        -------
        Query or None
            `None` for a program that states its own question, or that nothing can be asked of.

        Raises
        ------
        ModelError, QueryError
            If it is a program that cannot be asked anything else, or the question does not fit.
        """
        if network.program.objective is not None:
            if self.given or self.halfspaces:
                hint = "leave out the options of the question, or edit the program"
                raise QueryError("the program asks a question of its own", where=network.source, hint=hint)
            return None
        if self.vnnlib is not None:
            self.vnnlib.check_fits(network)
        if not network.input_shape:
            return None
        query = replace(network.query or Query(), **self.given)
        return query if self.halfspaces is None else self._cut(query, prod(network.input_shape))

    def names_domain(self, network: Network) -> bool:
        """Return whether anybody, the words or the file of the network, names a domain."""
        return "domain" in self.given or (network.query is not None and network.query.domain is not None)

    def _cut(self, query: Query, inputs: int) -> Query:
        """Return the question with every domain cut by the half-spaces of the file."""
        assert self.halfspaces is not None
        file, matrix, sides = self.halfspaces
        if matrix.shape[1] != inputs:
            message = f"A has {matrix.shape[1]} columns, but the network has {inputs} inputs"
            raise QueryError(message, where=f"--halfspaces {file}")
        domains = [piece.fitting_domain(inputs).with_rows(matrix, -np.inf, sides) for piece in query.pieces()]
        return replace(query, domain=domains[0] if len(domains) == 1 else tuple(domains))
