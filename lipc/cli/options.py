"""The options that ask the question, shared by all commands, and what they mean."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from lipc.cli.streams import say
from lipc.errors import QueryError

if TYPE_CHECKING:
    from lipc.cli.warn import WarningFilter
    from lipc.frontends import Network
    from lipc.frontends.vnnlib import InputProperty
    from lipc.ir import Floats, Polytope
    from lipc.passes.base import Pass
    from lipc.passes.bounds import Method
    from lipc.passes.jacobian import Mode
    from lipc.passes.pipeline import Level
    from lipc.query import Query

Command = TypeVar("Command", bound=Callable[..., Any])

_QUESTION = (
    click.argument("model", metavar="MODEL"),
    click.option(
        "--box", nargs=2, metavar="LO HI", help="The domain LO <= x <= HI: numbers, or .npy/.csv files.  [default: 0 1]"
    ),
    click.option("--center", metavar="FILE", help="The center of a ball: a .npy/.csv file (or one number)."),
    click.option("--radius", type=float, metavar="R", help="The radius of that ball."),
    click.option("--ball", type=click.Choice(["linf", "l1"]), help="The norm of that ball.  [default: linf]"),
    click.option("--clip", nargs=2, type=float, metavar="LO HI", help="Cut the ball to LO <= x <= HI."),
    click.option("--halfspaces", metavar="FILE", help="Cut the domain by A x <= b; a .npz file with A and b."),
    click.option("--vnnlib", metavar="FILE", help="The domain is the input part of a VNN-LIB file."),
    click.option(
        "--norm", type=click.Choice(["linf", "l1", "l2"]), help="What perturbations are measured in.  [default: linf]"
    ),
    click.option(
        "--output",
        metavar="EXPR",
        help="A linear expression like 'y[0] - y[1]', or an index; max and min need one of several. 'cross': the "
        "differences of all pairs of outputs; 'cross:3': those of y[3] with the others.  [default: all]",
    ),
    click.option(
        "--output-norm",
        type=click.Choice(["linf", "l1"]),
        help="What changes of all outputs are measured in.  [default: linf, the largest]",
    ),
    click.option(
        "--objective",
        type=click.Choice(["lipschitz", "max", "min"]),
        help="The Lipschitz constant, or the range of the output.  [default: lipschitz]",
    ),
    click.option("--drop-softmax", is_flag=True, help="Leave out a Softmax at the end of the network."),
    click.option(
        "-W",
        "warning_words",
        multiple=True,
        metavar="WORD",
        help="-Wno-NAME, -Wnone: without that warning, without any; -Werror=NAME, -Werror: as an error. A warning ends "
        "with its [-WNAME].",
    ),
)

_PASSES = (
    click.option(
        "-O",
        "level",
        type=click.IntRange(0, 3),
        metavar="N",
        help="A named pipeline, 0 to 3.  [default: 2; of opt: none]",
    ),
    click.option("--passes", metavar="PIPELINE", help="The passes to run instead; 'lipc opt --list' shows them."),
    click.option(
        "--mode",
        type=click.Choice(["auto", "reverse", "forward"]),
        help="How the Jacobian is written; auto: by the number of inputs.  [default: auto]",
    ),
    click.option(
        "--bounds",
        type=click.Choice(["linear", "interval"]),
        help="How the values of the network are bounded.  [default: linear]",
    ),
)

FORMULATION = click.option(
    "--formulation",
    type=click.Choice(["bigm", "indicator", "sos1"]),
    default="bigm",
    show_default=True,
    help="How bits switch rows; what not all solvers take: indicator constraints, special ordered sets.",
)

TRUST_BOUNDS = click.option("--trust-bounds", is_flag=True, help="Take the bounds in a .lir file for proven.")


def question_options(command: Command) -> Command:
    """Add the model argument and the options of the question to a command."""
    return _add(_QUESTION, command)


def pass_options(command: Command) -> Command:
    """Add the options that choose the passes."""
    return _add(_PASSES, command)


def _add(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


def passes_from(
    level: int | None, passes: str | None, mode: Mode | None, bounds: Method | None, default: Level
) -> tuple[Pass, ...]:
    """Return the passes that the options name.

    Raises
    ------
    SourceError
        If `passes` cannot be read.
    QueryError
        If options contradict each other.
    """
    from lipc.passes.pipeline import named_pipeline, parse_pipeline

    if passes is None:
        return named_pipeline(cast("Level", default if level is None else level), mode or "auto", bounds or "linear")
    for name, value, instead in (
        (f"-O{level}", level, "name the passes alone"),
        ("--mode", mode, f"write jacobian{{mode={mode}}} there"),
        ("--bounds", bounds, f"write bounds{{method={bounds}}} there"),
    ):
        if value is not None:
            raise QueryError(f"{name} and --passes both choose the passes", hint=instead)
    return parse_pipeline(passes)


@dataclass(frozen=True)
class Question:
    """What the options ask: the fields of a `Query` that were named, and what to do with warnings."""

    given: dict[str, Any]
    filter: WarningFilter
    drop_softmax: bool
    vnnlib: InputProperty | None
    halfspaces: tuple[str, Floats, Floats] | None

    @staticmethod
    def of(
        box: tuple[str, str] | None,
        center: str | None,
        radius: float | None,
        ball: str | None,
        clip: tuple[float, float] | None,
        halfspaces: str | None,
        vnnlib: str | None,
        norm: str | None,
        output: str | None,
        output_norm: str | None,
        objective: str | None,
        drop_softmax: bool,
        warning_words: tuple[str, ...],
    ) -> Question:
        """Return the question of the options.

        Raises
        ------
        QueryError, ModelError
            If options contradict each other or a file cannot be read.
        """
        from lipc.cli.warn import WarningFilter
        from lipc.ir import Norm

        shown = WarningFilter.of(warning_words)
        domains = [name for name, value in (("--box", box), ("--center", center), ("--vnnlib", vnnlib)) if value]
        if len(domains) > 1:
            raise QueryError(f"{' and '.join(domains)} are {len(domains)} domains", hint="give one of them")
        if output is not None and not output.strip():
            raise QueryError("--output is empty", hint="write a linear expression like 'y[0] - y[1]'")
        found = None
        if vnnlib is not None:
            from lipc.frontends.vnnlib import read_vnnlib

            found = read_vnnlib(vnnlib)
            shown.show(found.warnings)
        domain = found.domain if found else _domain(box, center, radius, ball, clip)
        fields = {"domain": domain, "output": output, "norm": norm and Norm(norm), "goal": objective}
        fields["output_norm"] = output_norm and Norm(output_norm)
        given = {name: value for name, value in fields.items() if value is not None}
        cut = None if halfspaces is None else (halfspaces, *read_halfspaces(halfspaces))
        return Question(given, shown, drop_softmax, found, cut)

    def read(self, model: str) -> tuple[Network, Query | None]:
        """Return the network, and the question: what the options name, over what the file asks.

        Returns
        -------
        Network, Query or None
            `None` for a program that states its own question, or that nothing can be asked of.

        Raises
        ------
        ModelError, QueryError
            If the model cannot be read, or is a program that cannot be asked anything else.
        """
        from lipc.models import read_model
        from lipc.query import Query

        network = read_model(model, drop_softmax=self.drop_softmax)
        self.filter.show(network.warnings)
        if network.program.objective is not None:
            if self.given or self.halfspaces:
                hint = "leave out the options of the question, or edit the program"
                raise QueryError("the program asks a question of its own", where=model, hint=hint)
            return network, None
        if self.vnnlib is not None:
            self.vnnlib.check_fits(network)
        if not network.input_shape:
            return network, None
        query = replace(network.query or Query(), **self.given)
        if query.domain is None:
            say("lipc: note: no domain given, taking 0 <= x <= 1 for every input (see --box, --center)")
        return network, query if self.halfspaces is None else self._cut(query, prod(network.input_shape))

    def _cut(self, query: Query, inputs: int) -> Query:
        """Return the question with every domain cut by the half-spaces of the file."""
        import numpy as np

        assert self.halfspaces is not None
        file, matrix, sides = self.halfspaces
        if matrix.shape[1] != inputs:
            message = f"A has {matrix.shape[1]} columns, but the network has {inputs} inputs"
            raise QueryError(message, where=f"--halfspaces {file}")
        domains = [piece.fitting_domain(inputs).with_rows(matrix, -np.inf, sides) for piece in query.pieces()]
        return replace(query, domain=domains[0] if len(domains) == 1 else tuple(domains))


def _domain(
    box: tuple[str, str] | None,
    center: str | None,
    radius: float | None,
    ball: str | None,
    clip: tuple[float, float] | None,
) -> Polytope | None:
    from lipc import query
    from lipc.ir import Norm

    if (center is None) != (radius is None):
        raise QueryError("--center and --radius belong together", hint="give both")
    for name, value, verb in (("--clip", clip, "cuts"), ("--ball", ball, "is the shape of")):
        if value is not None and center is None:
            raise QueryError(f"{name} {verb} a ball", hint="give --center and --radius too, or use --box")
    if center is not None and radius is not None:
        return query.ball(read_numbers(center, "--center"), radius, clip, Norm(ball or "linf"))
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
    except _BROKEN as error:
        raise QueryError(f"holds something else than numbers: {error}", where=f"{option} {text}") from None
    if not numbers.size:
        raise QueryError("holds no number", where=f"{option} {text}")
    return numbers


def read_halfspaces(text: str) -> tuple[Floats, Floats]:
    """Return A, shape ``(m, n)``, and b, shape ``(m,)``, of a .npz file: the half-spaces ``A x <= b``.

    Raises
    ------
    QueryError
        If there is no such file, or it holds something else.
    """
    import numpy as np

    where = f"--halfspaces {text}"
    hint = "write it by numpy.savez(FILE, A=A, b=b)"
    if "\0" in text:
        raise QueryError("cannot be read: no path holds a NUL character", where=f"--halfspaces {text!r}")
    try:
        with Path(text).open("rb") as handle, zipfile.ZipFile(handle) as archive:
            arrays = {}
            for name in ("A", "b"):
                if f"{name}.npy" not in archive.namelist():
                    raise QueryError(f"holds no array '{name}'", where=where, hint=hint)
                with archive.open(f"{name}.npy") as member:
                    arrays[name] = _npy_array(member)
    except OSError as error:
        raise QueryError(f"cannot be read: {error.strerror or error}", where=where) from None
    except _BROKEN as error:
        raise QueryError(f"holds something else than numbers: {error}", where=where, hint=hint) from None
    matrix, sides = np.atleast_2d(arrays["A"]), np.atleast_1d(arrays["b"])
    if matrix.ndim != 2 or sides.ndim != 1 or len(matrix) != len(sides):
        shapes = f"A has shape {arrays['A'].shape}, b {arrays['b'].shape}"
        raise QueryError(shapes, where=where, hint="A needs a row for each entry of b, and a column for each input")
    if not (np.isfinite(matrix).all() and np.isfinite(sides).all()):
        raise QueryError("has a number that is not finite", where=where)
    return matrix, sides


# NumPy evaluates the header of a .npy file: a broken one fails in many ways; so does a broken archive.
_BROKEN = (
    ValueError,
    TypeError,
    OverflowError,
    MemoryError,
    SyntaxError,
    TokenError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    zipfile.BadZipFile,
    zlib.error,
)


def _text_numbers(path: Path) -> Floats:
    import numpy as np

    content = path.read_text(encoding="utf-8").replace(",", " ").replace(";", " ").split()
    return np.array([float(word) for word in content])


def _npy_numbers(path: Path) -> Floats:
    # Not `np.load`, which goes by the content: a zip archive would be opened as one, whatever its name.
    with path.open("rb") as handle:
        return _npy_array(handle).reshape(-1)


def _npy_array(handle: IO[bytes]) -> Floats:
    """Return the array in a .npy file."""
    import numpy as np

    with warnings.catch_warnings(), np.errstate(over="ignore"):
        warnings.simplefilter("ignore")  # of files that Python 2 wrote
        read_array: Callable[..., Any] = np.lib.format.read_array  # untyped in older numpy
        entries = read_array(handle, allow_pickle=False)
        if entries.dtype.kind not in "buif":
            raise ValueError(f"its entries are of type {entries.dtype}")
        return np.asarray(entries, np.float64)
