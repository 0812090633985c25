"""Exact answers for small fully connected ReLU networks, by enumerating the regions on which they are linear.

Shares no code with lipc and uses no solver. Every region is a polytope kept as its vertices: the box is cut by the
half-spaces of the domain, then by one neuron's hyperplane after another, layer by layer (the double description
method). A pattern of active neurons counts if its region has an interior, that is, if some vertex of the polytope
before the cut lies beyond the hyperplane. The number of vertices grows quickly with the inputs: meant for up to five or
six of them.

Tolerances, on coordinates scaled so that the box is the unit cube and on normals of length 1:

* a point nearer than `ON` to a hyperplane lies on it;
* a region that reaches less than `DEPTH` beyond the hyperplane that bounds it has no interior;
* a sum smaller than `CANCELLED` times the absolute values that made it is zero (``W - W`` in floating point).

Whatever lies between rounding noise and a clear answer sets the flag `thin`: a depth in ``ON .. DEPTH``, or a
hyperplane through the region at hand that rounding (`ROUNDING` times the absolute values) moves by more than `ON`.
The answer may then be wrong, and a test should leave that network out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Norm: TypeAlias = Literal["linf", "l1"]
InputNorm: TypeAlias = Literal["linf", "l1", "l2"]
Sides: TypeAlias = tuple[Floats, Floats]
"""Half-spaces ``rows @ x <= limits``: shapes (k, inputs) and (k,)."""

ON = 1e-12
DEPTH = 1e-9
CANCELLED = 1e-14
ROUNDING = 2e-15


class LipschitzAnswer(NamedTuple):
    """The exact constant, where it is attained, and how many regions were looked at."""

    value: float
    gradient: Floats
    point: Floats
    regions: int
    thin: bool


class RangeAnswer(NamedTuple):
    """The exact smallest and largest value of a functional of the output, with points that attain them."""

    minimum: float
    maximum: float
    argmin: Floats
    argmax: Floats
    thin: bool


@dataclass(frozen=True)
class Region:
    """A polytope with an interior on which the network is ``jacobian @ x + constant``.

    `patterns` says per hidden layer which neurons are active; a neuron that is zero on the whole region is not.
    """

    vertices: Floats
    patterns: tuple[NDArray[np.bool_], ...]
    jacobian: Floats
    constant: Floats

    @property
    def point(self) -> Floats:
        """A point of the interior."""
        return np.asarray(self.vertices.mean(axis=0))


class _Polytope(NamedTuple):
    """Vertices, and which facets of the polytope (or of one that it was cut from) each of them lies on."""

    vertices: Floats
    incident: NDArray[np.bool_]


class _Map(NamedTuple):
    """``matrix @ y + constant`` with the sums of absolute values that entered each, the measure of their rounding."""

    matrix: Floats
    constant: Floats
    matrix_scale: Floats
    constant_scale: Floats

    def then(self, weight: Floats, bias: Floats) -> _Map:
        size = np.abs(weight)
        return _Map(
            weight @ self.matrix,
            weight @ self.constant + bias,
            size @ self.matrix_scale,
            size @ self.constant_scale + np.abs(bias),
        )

    def masked(self, active: NDArray[np.bool_]) -> _Map:
        return _Map(*(np.where(active.reshape(-1, *[1] * (part.ndim - 1)), part, 0.0) for part in self))


class _Halfspaces(NamedTuple):
    """Per neuron ``normals @ y + offsets`` with a normal of length 1 (or 0), and how far rounding moves that plane."""

    normals: Floats
    offsets: Floats
    noise: Floats


def lipschitz(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    lower: ArrayLike,
    upper: ArrayLike,
    functional: ArrayLike | None = None,
    input_norm: InputNorm = "linf",
    output_norm: Norm = "linf",
    sides: Sides | None = None,
) -> LipschitzAnswer:
    """The Lipschitz constant on a box; without a functional, of the vector of all outputs.

    Perturbations are measured in the input norm, so that the gradient is measured in its dual. The box may be cut by
    half-spaces.
    """
    outputs = len(np.asarray(biases[-1]))
    rows = _functionals(functional, outputs, output_norm)
    return _steepest(regions(weights, biases, lower, upper, sides), rows, input_norm)


def cross_lipschitz(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    lower: ArrayLike,
    upper: ArrayLike,
    of: int | None = None,
    input_norm: InputNorm = "linf",
    sides: Sides | None = None,
) -> LipschitzAnswer:
    """The largest Lipschitz constant of a difference of two outputs; with `of`, of that output and another."""
    unit = np.eye(len(np.asarray(biases[-1])))
    chosen = range(len(unit)) if of is None else [of]
    rows = np.array([unit[i] - unit[j] for i in chosen for j in range(len(unit)) if i != j])
    return _steepest(regions(weights, biases, lower, upper, sides), rows, input_norm)


def _steepest(listing: tuple[list[Region], bool], rows: Floats, input_norm: InputNorm) -> LipschitzAnswer:
    found, thin = listing
    best: tuple[float, Floats, Floats] | None = None
    for functional_row in rows:
        gradients = np.array([functional_row @ region.jacobian for region in found])
        sizes = {
            "linf": np.abs(gradients).sum(axis=1),
            "l1": np.abs(gradients).max(axis=1),
            "l2": np.linalg.norm(gradients, axis=1),
        }[input_norm]
        where = int(sizes.argmax())
        if best is None or sizes[where] > best[0]:
            best = float(sizes[where]), gradients[where], found[where].point
    assert best is not None
    return LipschitzAnswer(*best, len(found), thin)


def output_range(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    lower: ArrayLike,
    upper: ArrayLike,
    functional: ArrayLike,
    sides: Sides | None = None,
) -> RangeAnswer:
    """The smallest and the largest value of a functional of the output: both lie at vertices of regions."""
    row = np.asarray(functional, float)
    found, thin = regions(weights, biases, lower, upper, sides)
    points = np.concatenate([region.vertices for region in found])
    values = np.concatenate(
        [region.vertices @ (row @ region.jacobian) + row @ region.constant for region in found],
    )
    low, high = int(values.argmin()), int(values.argmax())
    return RangeAnswer(float(values[low]), float(values[high]), points[low], points[high], thin)


def l1_ball(center: ArrayLike, radius: float) -> Sides:
    """The facets of an l_1 ball, one for each combination of signs: for a few inputs only."""
    middle = np.asarray(center, float)
    signs = np.array(list(product((1.0, -1.0), repeat=len(middle))))
    return signs, signs @ middle + radius


def regions(
    weights: Sequence[ArrayLike],
    biases: Sequence[ArrayLike],
    lower: ArrayLike,
    upper: ArrayLike,
    sides: Sides | None = None,
) -> tuple[list[Region], bool]:
    """Every region with an interior inside the box cut by half-spaces, and the flag `thin`.

    Raises ValueError if the box, or what is left of it, has no interior.
    """
    low, high = np.asarray(lower, float), np.asarray(upper, float)
    width = high - low
    if not (width > 0).all():
        raise ValueError("a box without interior has no regions with interior")
    layers = [
        (np.asarray(weight, float), np.asarray(bias, float)) for weight, bias in zip(weights, biases, strict=True)
    ]
    rows, limits = sides or (np.zeros((0, len(low))), np.zeros(0))
    search = _Enumeration(layers, sum(len(bias) for _, bias in layers[:-1]), len(limits))
    start = _Map(np.diag(width), low, np.diag(width), np.abs(low))
    whole = search.cut_down(_unit_cube(len(low), search.facets + search.neurons), start, rows, limits)
    found = []
    for cell, patterns, last in search.run(whole, start, ()):
        jacobian = last.matrix / width
        vertices = np.clip(low + width * cell.vertices, low, high)
        found.append(Region(vertices, patterns, jacobian, last.constant - jacobian @ low))
    return found, search.thin


class _Enumeration:
    """The depth-first search over layers; collects the flag `thin`."""

    def __init__(self, layers: list[tuple[Floats, Floats]], neurons: int, facets: int) -> None:
        self.layers = layers
        self.neurons = neurons
        self.facets = facets
        self.thin = False

    def cut_down(self, cell: _Polytope, start: _Map, rows: Floats, limits: Floats) -> _Polytope:
        """Cut the box by ``rows @ x <= limits``."""
        normals, offsets, noise = _halfspaces(start.then(-rows, limits))
        first = 2 * cell.vertices.shape[1]
        for facet, (normal, offset, slack) in enumerate(zip(normals, offsets, noise, strict=True)):
            heights = cell.vertices @ normal + offset
            self.thin |= bool(slack > ON and heights.min() <= slack and heights.max() >= -slack)
            heights[np.abs(heights) <= ON] = 0.0
            if heights.max() < 0 or (normal.any() and not self.has_interior(heights.max())):
                raise ValueError("a polytope without interior has no regions with interior")
            if heights.min() < 0:
                self.has_interior(-heights.min())
                cell = _cut(cell, heights, first + facet)
        return cell

    def run(
        self, cell: _Polytope, inputs: _Map, patterns: tuple[NDArray[np.bool_], ...]
    ) -> Iterator[tuple[_Polytope, tuple[NDArray[np.bool_], ...], _Map]]:
        """Yield the regions within a cell on which the layers so far are the map `inputs`."""
        sums = inputs.then(*self.layers[len(patterns)])
        if len(patterns) == len(self.layers) - 1:
            yield cell, patterns, sums
            return
        halfspaces = _halfspaces(sums)
        first_facet = 2 * cell.vertices.shape[1] + self.facets + sum(len(pattern) for pattern in patterns)
        for piece, pattern in self.split(cell, halfspaces, first_facet):
            yield from self.run(piece, sums.masked(pattern), (*patterns, pattern))

    def split(
        self, cell: _Polytope, halfspaces: _Halfspaces, first_facet: int
    ) -> list[tuple[_Polytope, NDArray[np.bool_]]]:
        """Cut a cell along the hyperplanes of one layer."""
        pieces = [(cell, np.zeros(len(halfspaces.offsets), bool))]
        for neuron, (normal, offset, noise) in enumerate(zip(*halfspaces, strict=True)):
            after = []
            for piece, pattern in pieces:
                heights = piece.vertices @ normal + offset
                self.thin |= bool(noise > ON and heights.min() <= noise and heights.max() >= -noise)
                heights[np.abs(heights) <= ON] = 0.0
                above, below = self.has_interior(heights.max()), self.has_interior(-heights.min())
                if above:
                    active = pattern.copy()
                    active[neuron] = True
                    after.append((_cut(piece, heights, first_facet + neuron) if below else piece, active))
                if below:
                    after.append((_cut(piece, -heights, first_facet + neuron) if above else piece, pattern))
                if not above and not below:  # the zero function (a zero row): inactive, as good as active
                    after.append((piece, pattern))
            pieces = after
        return pieces

    def has_interior(self, depth: float) -> bool:
        self.thin |= bool(0.0 < depth < DEPTH)
        return bool(depth >= DEPTH)


def _halfspaces(sums: _Map) -> _Halfspaces:
    lengths = np.sqrt((sums.matrix**2).sum(axis=1))
    scales = np.sqrt((sums.matrix_scale**2).sum(axis=1))
    constant = lengths <= CANCELLED * scales
    divisor = np.where(constant, 1.0, lengths)
    normals = np.where(constant[:, None], 0.0, sums.matrix / divisor[:, None])
    # A neuron that is constant has a sign and no hyperplane: put that at a distance of 1, or everywhere.
    zero = np.abs(sums.constant) <= CANCELLED * sums.constant_scale
    signs = np.where(zero, 0.0, np.sign(sums.constant))
    unclear = ~zero & (np.abs(sums.constant) <= 1e3 * CANCELLED * sums.constant_scale)
    offsets = np.where(constant, signs, sums.constant / divisor)
    noise = np.where(constant, np.where(unclear, np.inf, 0.0), ROUNDING * (scales + sums.constant_scale) / divisor)
    return _Halfspaces(normals, offsets, noise)


def _unit_cube(inputs: int, neurons: int) -> _Polytope:
    corners = np.array(list(product((0.0, 1.0), repeat=inputs)))
    incident = np.zeros((len(corners), 2 * inputs + neurons), bool)
    incident[:, :inputs] = corners == 0.0
    incident[:, inputs : 2 * inputs] = corners == 1.0
    return _Polytope(corners, incident)


def _cut(cell: _Polytope, heights: Floats, facet: int) -> _Polytope:
    """Keep what has a height >= 0: the vertices there, and a new one on every edge that crosses height 0.

    Two vertices share an edge if and only if no third one lies on all the facets that both lie on.
    """
    kept = heights >= 0
    above, below = np.flatnonzero(heights > 0), np.flatnonzero(heights < 0)
    incident = cell.incident.astype(np.float32)
    first, second = np.meshgrid(above, below, indexing="ij")
    enough = (incident[above] @ incident[below].T) >= cell.vertices.shape[1] - 1
    first, second = first[enough], second[enough]
    common = cell.incident[first] & cell.incident[second]
    on_all = common.astype(np.float32) @ incident.T == common.sum(axis=1)[:, None]
    edge = on_all.sum(axis=1) == 2
    first, second, common = first[edge], second[edge], common[edge]
    share = (heights[first] / (heights[first] - heights[second]))[:, None]
    crossing = cell.vertices[first] + share * (cell.vertices[second] - cell.vertices[first])
    old = cell.incident[kept]
    old[:, facet] = heights[kept] == 0
    common[:, facet] = True
    return _Polytope(np.concatenate([cell.vertices[kept], crossing]), np.concatenate([old, common]))


def _functionals(functional: ArrayLike | None, outputs: int, output_norm: Norm) -> Floats:
    """The rows among which the largest gradient is sought: the corners of the unit ball of the dual norm."""
    if functional is not None:
        return np.asarray(functional, float)[None, :]
    if output_norm == "linf":
        return np.eye(outputs)
    return np.array([signs for signs in product((1.0, -1.0), repeat=outputs) if signs[0] > 0])
