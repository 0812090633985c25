"""Pictures of results, drawn by matplotlib: as SVG whose colours follow the page they stand in, or as PNG.

Every function here returns a `matplotlib.figure.Figure` that belongs to nobody: no state of pyplot is touched.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from lipc.errors import LipcError
from lipc.ir import Floats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH, HEIGHT = 3.3, 2.2
"""Inches: what is still readable on a phone, and stands twice beside one another on a desk."""

INK, MUTED, GRID, PAPER = "#101418", "#606a74", "#d8dde2", "#ffffff"
FIRST, SECOND, THIRD = "#1f6feb", "#d9480f", "#8b949e"
"""Blue, orange and grey: told apart by every kind of eye, and in print."""

VARIABLES: Mapping[str, str] = {
    INK: "--ink",
    MUTED: "--muted",
    GRID: "--line",
    PAPER: "--card",
    FIRST: "--first",
    SECOND: "--second",
    THIRD: "--third",
}
"""The colour of the page that takes the place of each colour of a picture."""

SMALL = 7.5
"""Points of the smallest text: 10 pixels on a phone."""

BINS = 30
DPI = 160

OPEN = 1e-3
"""A pair whose sides differ by more, relatively, is seen to be open."""


class MissingPlotError(LipcError):
    """Matplotlib is not installed."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A figure with its place in a report.

    Parameters
    ----------
    name
        Of its file, without an ending.
    title
        Above it.
    text
        What it shows, for people who do not see it, and below it for those who do.
    figure
        Of matplotlib.
    """

    name: str
    title: str
    text: str
    figure: Figure

    def svg(self) -> str:
        """Return an SVG element for an HTML page; its colours are the variables of the page."""
        from matplotlib import rc_context

        buffer = io.StringIO()
        with rc_context({"svg.fonttype": "none", "svg.hashsalt": self.name}):
            self.figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        drawn = buffer.getvalue()
        drawn = drawn[drawn.index("<svg") :]
        for colour, variable in VARIABLES.items():
            drawn = drawn.replace(colour, f"var({variable})")
        drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
        drawn = re.sub(r'<svg [^>]*?viewBox="([^"]*)"[^>]*>', r'<svg viewBox="\1" aria-hidden="true">', drawn, count=1)
        # An image is named by its content, so two equal ones would share a name; nothing refers to it.
        drawn = re.sub(r'(<image [^>]*?) id="[^"]*"', r"\1", drawn)
        # Names within a picture must not meet those of another one on the page.
        drawn = re.sub(r'id="([^"]+)"', rf'id="{self.name}-\1"', drawn)
        return re.sub(r'(url\(#|xlink:href="#)', rf"\1{self.name}-", drawn)

    def png(self) -> bytes:
        """Return the picture as a PNG file."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=DPI, facecolor=PAPER, metadata={"Software": None})
        return buffer.getvalue()


def has_matplotlib() -> bool:
    """Return whether pictures can be drawn."""
    return find_spec("matplotlib") is not None


def need_matplotlib() -> None:
    """Raise a `MissingPlotError` if pictures cannot be drawn."""
    if not has_matplotlib():
        raise MissingPlotError("pictures need matplotlib", hint="pip install 'lipc[plot]'")


@contextmanager
def drawing(height: float = HEIGHT, width: float = WIDTH) -> Iterator[Axes]:
    """Give the axes of a new figure in the style of the reports."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    style: Any = {
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "font.size": 8,
        "text.color": INK,
        "axes.labelcolor": MUTED,
        "axes.edgecolor": GRID,
        "axes.facecolor": "none",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.formatter.use_mathtext": False,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "legend.frameon": False,
        "legend.fontsize": SMALL,
        "lines.linewidth": 1.6,
    }
    with rc_context(style):
        yield Figure(figsize=(width, height), layout="constrained").add_subplot()


def figure_of(axes: Axes) -> Figure:
    """Return the figure that axes belong to."""
    from matplotlib.figure import Figure

    assert isinstance(axes.figure, Figure)
    return axes.figure


def pair_over_time(history: Sequence[Sequence[float | None]]) -> Picture:
    """Draw lower and upper over the seconds of a run.

    Parameters
    ----------
    history
        Rows of seconds, lower, upper and nodes; a side that is not known is `None`.
    """
    rows = np.array([[np.nan if each is None else each for each in row[:3]] for row in history], np.float64)
    seconds, lower, upper = rows.T
    with drawing() as axes:
        axes.step(seconds, upper, where="post", color=SECOND, label="upper")
        axes.step(seconds, lower, where="post", color=FIRST, label="lower")
        axes.fill_between(seconds, lower, upper, step="post", color=THIRD, alpha=0.18, linewidth=0)
        _logarithmic_if_wide(axes, np.concatenate([lower, upper]))
        axes.set_xlabel("seconds")
        # Above: within, it would lie on one of the lines, which end in a corner.
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    text = f"From {_span(lower[0], upper[0])} to {_span(lower[-1], upper[-1])} after {seconds[-1]:.3g} s."
    return Picture("pair", "Lower and upper over time", text, figure_of(axes))


def _span(lower: float, upper: float) -> str:
    low, high = ("?" if not np.isfinite(each) else f"{each:.6g}" for each in (lower, upper))
    return low if low == high else f"{low} .. {high}"


def _logarithmic_if_wide(axes: Axes, values: Floats) -> None:
    """Take a logarithmic scale where the values are positive and span more than a factor of 20."""
    finite = values[np.isfinite(values)]
    if len(finite) and finite.min() > 0 and finite.max() > 20 * finite.min():
        axes.set_yscale("log")


def _whole(axis: Axis) -> None:
    """Mark whole numbers only, on an axis of counts."""
    from matplotlib.ticker import MaxNLocator

    axis.set_major_locator(MaxNLocator(nbins="auto", steps=[1, 2, 5, 10], integer=True))


def neurons_by_pass(passes: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw, for each pass that changed them and each layer, the parts of neurons that are on, unstable and off."""
    stages = changed_stages(passes)
    rows = [(stage["name"] or "as read", layer) for stage in stages for layer in stage["layers"]]
    with drawing(height=0.9 + 0.2 * len(rows) + 0.12 * len(stages)) as axes:
        places, names = _row_places(stages)
        left = np.zeros(len(rows))
        for key, colour in (("on", FIRST), ("unstable", SECOND), ("off", THIRD)):
            share = np.array([layer[key] / max(1, layer["on"] + layer["off"] + layer["unstable"]) for _, layer in rows])
            axes.barh(places, share, left=left, height=0.8, color=colour, label=key)
            left += share
        for place, (_, layer) in zip(places, rows, strict=True):
            counts = f"{layer['on']} / {layer['unstable']} / {layer['off']}"
            axes.text(1.01, place, counts, va="center", fontsize=SMALL, color=MUTED)
        axes.set_yticks(places, names, fontsize=SMALL)
        axes.invert_yaxis()
        axes.set_xlim(0, 1)
        axes.set_xticks([])
        axes.grid(visible=False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3)
    first, last = (sum(layer["unstable"] for layer in stage["layers"]) for stage in (stages[0], stages[-1]))
    text = f"Unstable neurons: {first} before, {last} after all passes. The numbers: on / unstable / off."
    return Picture("neurons", "Neurons by layer, before and after passes", text, figure_of(axes))


def _row_places(stages: Sequence[Mapping[str, Any]]) -> tuple[Floats, list[str]]:
    """Return where each row of bars stands, stages apart from one another, and what it is called."""
    places, names, place = [], [], 0.0
    for stage in stages:
        for number, layer in enumerate(stage["layers"]):
            places.append(place)
            names.append(f"{stage['name'] or 'as read'}: {layer['name']}" if not number else str(layer["name"]))
            place += 1.0
        place += 0.6
    return np.array(places), names


def changed_stages(passes: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return the first stage and those after which the neurons differ from the stage before."""
    return [passes[0], *(after for before, after in pairwise(passes) if after["layers"] != before["layers"])]


def coefficient_ranges(passes: Sequence[Mapping[str, Any]]) -> Picture:
    """Draw the range of absolute coefficients after each pass, on a logarithmic scale."""
    low, high = (np.array([stage["size"][key] for stage in passes]) for key in ("smallest", "largest"))
    places = np.arange(len(passes))
    with drawing(height=0.8 + 0.17 * len(passes)) as axes:
        axes.hlines(places, low, high, color=FIRST, linewidth=4)
        axes.plot(low, places, "|", color=INK, markersize=7)
        axes.plot(high, places, "|", color=INK, markersize=7)
        axes.set_xscale("log")
        axes.set_yticks(places, [stage["name"] or "as read" for stage in passes], fontsize=SMALL)
        axes.invert_yaxis()
    text = f"From {low[0]:.2g} .. {high[0]:.2g} as read to {low[-1]:.2g} .. {high[-1]:.2g}."
    return Picture("coefficients", "Range of the coefficients", text, figure_of(axes))


def image(name: str, title: str, values: Floats, shape: tuple[int, int], *, signed: bool) -> Picture:
    """Draw a vector as an image.

    Parameters
    ----------
    values
        Shape ``(rows * columns,)``.
    signed
        Whether 0 is the middle of the colours.
    """
    pixels = np.asarray(values, np.float64).reshape(shape)
    with drawing(height=2.9, width=3.4) as axes:
        reach = float(np.abs(pixels).max(initial=0.0)) or 1.0
        limits = (-reach, reach) if signed else (float(pixels.min()), float(pixels.max()))
        drawn = axes.imshow(pixels, cmap="RdBu_r" if signed else "gray_r", vmin=limits[0], vmax=limits[1])
        bar = figure_of(axes).colorbar(drawn, ax=axes, shrink=0.85)
        bar.outline.set_visible(False)
        axes.set_axis_off()
    text = f"{shape[0]} x {shape[1]} entries from {pixels.min():.4g} to {pixels.max():.4g}."
    return Picture(name, title, text, figure_of(axes))


def bars(name: str, title: str, values: Floats) -> Picture:
    """Draw the entries of a vector as bars."""
    with drawing() as axes:
        axes.bar(np.arange(len(values)), values, color=FIRST, width=0.8)
        _whole(axes.xaxis)
        axes.set_xlabel("input")
        axes.grid(visible=False, axis="x")
    text = f"{len(values)} entries from {values.min():.4g} to {values.max():.4g}."
    return Picture(name, title, text, figure_of(axes))


def distribution(name: str, values: Floats, label: str) -> Picture:
    """Draw how many results have which value."""
    with drawing() as axes:
        axes.hist(values, bins=min(BINS, max(5, len(values) // 3)), color=FIRST)
        _whole(axes.yaxis)
        axes.set_xlabel(label)
        axes.set_ylabel("results")
        axes.grid(visible=False, axis="x")
    middle = float(np.median(values))
    text = f"{len(values)} values from {values.min():.6g} to {values.max():.6g}, median {middle:.6g}."
    return Picture(name, f"Distribution: {label}", text, figure_of(axes))


def scatter(name: str, title: str, at: Floats, values: Floats, x: str, y: str) -> Picture:
    """Draw points; the second axis is logarithmic where the values are wide apart."""
    with drawing() as axes:
        axes.plot(at, values, "o", color=FIRST, alpha=0.55, markersize=4, markeredgewidth=0)
        _logarithmic_if_wide(axes, values)
        if np.array_equal(at, np.round(at)):
            _whole(axes.xaxis)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
    return Picture(name, title, f"{len(at)} results.", figure_of(axes))


def against(name: str, title: str, lines: Mapping[str, tuple[Floats, Floats, Floats]], x: str, y: str) -> Picture:
    """Draw pairs against something: a line and points of the proven values for each name, and where they are open.

    Parameters
    ----------
    lines
        For each name x, proven values and their other sides, shape ``(n,)`` each; a side that is not known is NaN.
    x, y
        What the axes show.
    """
    with drawing() as axes:
        for number, (label, (at, values, others)) in enumerate(lines.items()):
            colour = (FIRST, SECOND, THIRD)[number] if len(lines) <= 3 else FIRST
            alpha = 1.0 if len(lines) <= 3 else max(0.15, 3 / len(lines))
            axes.plot(at, values, ".-", color=colour, alpha=alpha, markersize=4, label=label)
            axes.vlines(at, values, others, color=colour, alpha=0.35 * alpha, linewidth=4)
        axes.set_xlabel(x)
        axes.set_ylabel(y)
        if 1 < len(lines) <= 3:
            axes.legend(loc="best")
    count = sum(len(at) for at, *_ in lines.values())
    text = f"{count} results. A bar reaches from what is proven to the other side of a pair that is open."
    opened = any((np.abs(others - values) > OPEN * np.abs(others)).any() for _, values, others in lines.values())
    return Picture(name, title, text if opened else f"{count} results.", figure_of(axes))
