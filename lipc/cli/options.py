"""The options that ask the question, shared by all commands, and what they mean."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lipc.cli.streams import say
from lipc.errors import QueryError

if TYPE_CHECKING:
    from lipc.ir import Floats, Polytope
    from lipc.query import Goal, Query

Command = TypeVar("Command", bound=Callable[..., Any])

_OPTIONS = (
    click.argument("model", metavar="MODEL"),
    click.option(
        "--box", nargs=2, metavar="LO HI", help="The domain LO <= x <= HI: numbers, or .npy/.csv files.  [default: 0 1]"
    ),
    click.option("--center", metavar="FILE", help="The center of an l_inf ball: a .npy/.csv file (or one number)."),
    click.option("--radius", type=float, metavar="R", help="The radius of that ball."),
    click.option("--clip", nargs=2, type=float, metavar="LO HI", help="Cut the ball to LO <= x <= HI."),
    click.option(
        "--norm",
        type=click.Choice(["linf", "l1"]),
        default="linf",
        show_default=True,
        help="What perturbations of the input are measured in.",
    ),
    click.option(
        "--output",
        metavar="EXPR",
        help="A linear expression like 'y[0] - y[1]', or an index; max and min need one of several.  "
        "[default: all outputs, measured in l_inf]",
    ),
    click.option(
        "--objective",
        type=click.Choice(["lipschitz", "max", "min"]),
        default="lipschitz",
        show_default=True,
        help="The Lipschitz constant, or the range of the output.",
    ),
    click.option(
        "--mode",
        type=click.Choice(["auto", "reverse", "forward"]),
        default="auto",
        show_default=True,
        help="How the Jacobian is written; auto: by the number of inputs.",
    ),
    click.option(
        "--bounds",
        type=click.Choice(["linear", "interval"]),
        default="linear",
        show_default=True,
        help="How the values of the network are bounded.",
    ),
    click.option("--drop-softmax", is_flag=True, help="Leave out a Softmax at the end of the network."),
)


def question_options(command: Command) -> Command:
    """Add the model argument and the options of the question to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def query_from(
    box: tuple[str, str] | None,
    center: str | None,
    radius: float | None,
    clip: tuple[float, float] | None,
    norm: str,
    output: str | None,
    objective: Goal,
) -> Query:
    """Return the query that the options ask.

    Raises
    ------
    QueryError
        If options contradict each other or a file cannot be read.
    """
    from lipc.ir import Norm
    from lipc.query import Query

    if output is not None and not output.strip():
        raise QueryError("--output is empty", hint="write a linear expression like 'y[0] - y[1]'")
    domain = _domain(box, center, radius, clip)
    return Query(domain, output, Norm(norm), objective)


def note_default_domain(query: Query) -> None:
    """Say on stderr that nobody named a domain; once the model has been read, so that an error stands alone."""
    if query.domain is None:
        say("lipc: note: no domain given, taking 0 <= x <= 1 for every input (see --box, --center)")


def _domain(
    box: tuple[str, str] | None, center: str | None, radius: float | None, clip: tuple[float, float] | None
) -> Polytope | None:
    from lipc import query

    if box is not None and center is not None:
        raise QueryError("--box and --center are two domains", hint="give one of them")
    if (center is None) != (radius is None):
        raise QueryError("--center and --radius belong together", hint="give both")
    if clip is not None and center is None:
        raise QueryError("--clip cuts a ball", hint="give --center and --radius too, or use --box")
    if center is not None and radius is not None:
        return query.ball(read_numbers(center, "--center"), radius, clip)
    if box is not None:
        low, high = (read_numbers(text, "--box") for text in box)
        if low.size != high.size and 1 not in (low.size, high.size):
            raise QueryError(f"--box has {low.size} lower and {high.size} upper bounds", hint="give as many of both")
        return query.box(low, high)
    return None


def read_numbers(text: str, option: str) -> Floats:
    """Return the numbers in a .npy or text file, or the one number that the text is; shape ``(n,)``.

    Raises
    ------
    QueryError
        If there is no such file, or it holds something else than numbers.
    """
    import numpy as np

    try:
        return np.array([float(text)])
    except ValueError:
        pass
    if "\0" in text:
        raise QueryError("cannot be read: no path holds a NUL character", where=f"{option} {text!r}")
    path = Path(text)
    try:
        numbers = _npy_numbers(path) if path.suffix == ".npy" else _text_numbers(path)
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=f"{option} {text}") from None
    except (ValueError, TypeError, OverflowError, MemoryError, SyntaxError, TokenError) as error:
        # NumPy evaluates the header of a .npy file: a broken one fails in many ways.
        raise QueryError(f"holds something else than numbers: {error}", where=f"{option} {text}") from None
    if not numbers.size:
        raise QueryError("holds no number", where=f"{option} {text}")
    return numbers


def _text_numbers(path: Path) -> Floats:
    import numpy as np

    content = path.read_text(encoding="utf-8").replace(",", " ").replace(";", " ").split()
    return np.array([float(word) for word in content])


def _npy_numbers(path: Path) -> Floats:
    import numpy as np

    # Not `np.load`, which goes by the content: a zip archive would be opened as one, whatever its name.
    with path.open("rb") as handle, warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("ignore")  # of files that Python 2 wrote
        read_array: Callable[..., Any] = np.lib.format.read_array  # untyped in older numpy
        entries = read_array(handle, allow_pickle=False)
        if entries.dtype.kind not in "buif":
            raise ValueError(f"its entries are of type {entries.dtype}")
        return np.asarray(entries, np.float64).reshape(-1)
