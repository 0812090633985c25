"""The commands: which one is meant, and how errors leave."""

from __future__ import annotations

import difflib
import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lipc import __version__
from lipc.cli.streams import INTERNAL_ERROR, INTERRUPTED, USER_ERROR, colours, fail, say
from lipc.errors import InternalError, LipcError

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

COMMANDS = {
    "compile": "lipc.cli.compile",
    "solve": "lipc.cli.solve",
    "batch": "lipc.cli.batch",
    "certify-radius": "lipc.cli.radius",
    "split": "lipc.cli.split",
    "estimate": "lipc.cli.estimate",
    "compare": "lipc.cli.compare",
    "verify": "lipc.cli.verify",
    "check": "lipc.cli.check",
    "solvers": "lipc.cli.solvers",
    "report": "lipc.cli.report",
    "graph": "lipc.cli.graph",
    "opt": "lipc.cli.opt",
    "completion": "lipc.cli.completion",
}
DEFAULT_COMMAND = "compile"
OWN_OPTIONS = ("--help", "--version", "-h")


HELP = """Compile a neural network and a question about it into a mixed-integer program.

\b
lipc MODEL -o model.mps   write the program of the exact local Lipschitz constant
lipc solve MODEL          solve it and certify the answer
lipc batch JOBS --out FILE solve many questions
lipc split MODEL -o DIR   cut a hard question into several files
lipc estimate MODEL --all bound it by the methods of the literature
lipc compare CASES ...    hold those methods against the exact values
lipc certify-radius MODEL how far an input may move before its class can change
lipc verify RESULT.json   check an answer again, without a solver
lipc check MAP SOLUTION   check what any solver made of a model that lipc wrote
lipc report RESULT.json   write a page about an answer
lipc graph MODEL          draw the network as lipc has it
lipc opt MODEL --passes   run passes one by one on the textual program
lipc solvers              which solvers are there, and what they can do

MODEL is an .onnx file, a .lip file (the language of lipc) or an .lir file (a textual program).

The options of the question stand in 'lipc solve --help'.
"""


class LazyGroup(click.Group):
    """Loads a command when it is called; what names no command is the model to compile."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the commands in the order of their help."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(COMMANDS[cmd_name]).command
        return command

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return the commands and options that a word may become; it may name a model, too."""
        from click.shell_completion import CompletionItem

        files = [] if incomplete.startswith("-") else [CompletionItem(incomplete, type="file")]
        return [*files, *super().shell_complete(ctx, incomplete)]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the default command in front where none is named.

        Raises
        ------
        click.UsageError
            If what stands there is a misspelt command: nearly one, followed by something, and no file.
        """
        if args and args[0] not in COMMANDS and args[0] not in OWN_OPTIONS:
            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            if close and len(args) > 1 and not Path(args[0]).exists():
                raise click.UsageError(f"no command '{args[0]}'; did you mean '{close[0]}'?", ctx)
            args = [DEFAULT_COMMAND, *args]
        return super().parse_args(ctx, args)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    help=HELP,
    subcommand_metavar="MODEL | COMMAND MODEL ...",
    epilog="Exit codes: 0 done; 1 no answer, or only a valid pair within the limits; 2 a mistake in the call or the "
    "model; 3 an error in lipc; 130 interrupted.",
)
@click.version_option(__version__, message="lipc %(version)s")
def cli() -> None:
    """Let click find the command."""


def call(args: Sequence[str] | None) -> int:
    """Run the command line and return its exit code; errors are told on stderr."""
    try:
        code = cli.main(args=None if args is None else list(args), prog_name="lipc", standalone_mode=False)
    except LipcError as error:
        say(error.render(colour=colours()))
        return USER_ERROR
    except click.exceptions.NoArgsIsHelpError as error:
        say(error.format_message())
        return USER_ERROR
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "lipc"
        return fail(f"{error.format_message().rstrip('.')}; see '{command} --help'", USER_ERROR)
    except click.ClickException as error:
        return fail(error.format_message(), USER_ERROR)
    except (KeyboardInterrupt, click.Abort):
        return fail("interrupted", INTERRUPTED)
    except OSError as error:
        return _stream_error(error)
    except MemoryError:
        return fail("out of memory; try --bounds interval, or a smaller network", USER_ERROR)
    except Exception as error:  # a bug, whatever it is: a user has no use for a traceback
        return _internal_error(error)
    return code if isinstance(code, int) else 0


def _internal_error(error: Exception) -> int:
    """Ask for a report; a developer sees where it happened."""
    if os.environ.get("LIPC_TRACEBACK"):
        traceback.print_exception(error)
    what = str(error) if isinstance(error, InternalError) else f"{type(error).__name__}: {error}"
    ask = "please report this with the model (LIPC_TRACEBACK=1 shows where it happened)"
    return fail(f"internal error: {what}; {ask}", INTERNAL_ERROR)


def _stream_error(error: OSError) -> int:
    """Report what click could not print: errors about files have become errors of our own by now."""
    from lipc.formats.output import discard

    discard(sys.stdout)
    where = error.filename or "standard output: cannot be written"
    return fail(f"{where}: {error.strerror or error}", USER_ERROR)
