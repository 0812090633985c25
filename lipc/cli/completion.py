"""``lipc completion SHELL``: what makes a shell complete the command line with Tab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from lipc.cli.streams import put

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

VARIABLE = "_LIPC_COMPLETE"
"""Set by the shell when it asks what could come next."""


class FileName(click.types.StringParamType):
    """A text that names a file: shells complete it as one."""

    def shell_complete(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        param: click.Parameter,  # noqa: ARG002
        incomplete: str,
    ) -> list[CompletionItem]:
        """Return the word that makes the shell complete files itself."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


FILE = FileName()


HELP = """Print the script that makes a shell complete the commands, options and files of lipc.

\b
bash: lipc completion bash > ~/.local/share/bash-completion/completions/lipc
zsh:  lipc completion zsh > DIR/_lipc, where DIR is in $fpath and compinit is run
fish: lipc completion fish > ~/.config/fish/completions/lipc.fish

For one session of bash or zsh: eval "$(lipc completion bash)".
"""


@click.command("completion", help=HELP, short_help="Print what makes a shell complete commands, options and files.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print the script of a shell."""
    from click.shell_completion import get_completion_class

    from lipc.cli.group import cli

    found = get_completion_class(shell)
    assert found is not None
    put(found(cli, {}, "lipc", VARIABLE).source().strip("\n"))
