"""The options that ask the question, shared by all commands, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from lipc.cli.completion import FILE
from lipc.cli.streams import say

if TYPE_CHECKING:
    from lipc.cli.warn import WarningFilter
    from lipc.frontends import Network
    from lipc.jobs.stated import Stated
    from lipc.models import SourceFormat
    from lipc.query import Query

Command = TypeVar("Command", bound=Callable[..., Any])

AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object on stdout.")
QUIET = click.option("-q", "--quiet", is_flag=True, help="No progress on stderr.")
DROP_SOFTMAX = click.option("--drop-softmax", is_flag=True, help="Leave out a Softmax at the end of the network.")
FROM = click.option(
    "--from",
    "source_format",
    type=click.Choice(["onnx", "lip", "lir"]),
    help="What MODEL holds; needed where it is '-', standard input.  [default: by its ending]",
)

_OBJECTIVE = click.option(
    "--objective",
    type=click.Choice(["lipschitz", "max", "min"]),
    help="The Lipschitz constant, or the range of the output.  [default: lipschitz]",
)

_QUESTION = (
    click.argument("model", type=FILE, metavar="MODEL"),
    FROM,
    click.option(
        "--box",
        nargs=2,
        type=FILE,
        metavar="LO HI",
        help="The domain LO <= x <= HI: numbers, or .npy/.csv files.  [default: 0 1]",
    ),
    click.option("--center", type=FILE, metavar="FILE", help="The center of a ball: a .npy/.csv file (or one number)."),
    click.option("--radius", type=float, metavar="R", help="The radius of that ball."),
    click.option("--ball", type=click.Choice(["linf", "l1"]), help="The norm of that ball.  [default: linf]"),
    click.option("--clip", nargs=2, type=float, metavar="LO HI", help="Cut the ball to LO <= x <= HI."),
    click.option(
        "--halfspaces", type=FILE, metavar="FILE", help="Cut the domain by A x <= b; a .npz file with A and b."
    ),
    click.option("--vnnlib", type=FILE, metavar="FILE", help="The domain is the input part of a VNN-LIB file."),
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
    _OBJECTIVE,
    DROP_SOFTMAX,
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


def shared_question_options(command: Command) -> Command:
    """Add what several questions have in common: no model, and no warnings."""
    return _add(_QUESTION[2:-1], command)  # the model and what it holds come first


def batch_question_options(command: Command) -> Command:
    """Add what the jobs of a batch have in common: `shared_question_options`, or a certified radius."""
    objectives = ["lipschitz", "max", "min", "radius"]
    text = "The Lipschitz constant, the range of the output, or a certified radius.  [default: lipschitz]"
    objective = click.option("--objective", type=click.Choice(objectives), help=text)
    return _add([objective if each is _OBJECTIVE else each for each in _QUESTION[2:-1]], command)


def pass_options(command: Command) -> Command:
    """Add the options that choose the passes."""
    return _add(_PASSES, command)


def _add(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


@dataclass(frozen=True)
class Question:
    """What the options ask, how the model is read, and what to do with warnings."""

    stated: Stated
    filter: WarningFilter
    drop_softmax: bool
    source_format: SourceFormat | None

    @staticmethod
    def of(
        *, drop_softmax: bool, source_format: SourceFormat | None, warning_words: tuple[str, ...], **words: Any
    ) -> Question:
        """Return the question of the options.

        Raises
        ------
        QueryError, ModelError
            If options contradict each other or a file cannot be read.
        """
        from lipc.cli.warn import WarningFilter
        from lipc.jobs.stated import Words

        shown = WarningFilter.of(warning_words)
        stated = Words(**words).understood()
        shown.show(stated.warnings)
        return Question(stated, shown, drop_softmax, source_format)

    def read(self, model: str) -> tuple[Network, Query | None]:
        """Return the network, and the question, as `Stated.of` does.

        Raises
        ------
        ModelError, QueryError
            If the model cannot be read, or the question does not fit it.
        """
        from lipc.models import read_model

        network = read_model(model, drop_softmax=self.drop_softmax, source_format=self.source_format)
        self.filter.show(network.warnings)
        query = self.stated.of(network)
        if query is not None and not self.stated.names_domain(network):
            say("lipc: note: no domain given, taking 0 <= x <= 1 for every input (see --box, --center)")
        return network, query
