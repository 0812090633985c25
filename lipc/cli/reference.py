"""The reference of the command line as Markdown, from the code: ``python -m lipc.cli.reference > docs/cli.md``."""

from __future__ import annotations

import sys

import click

from lipc.cli.group import COMMANDS, cli

WIDTH = 110

INTRODUCTION = """\
# The command line

Written by `python -m lipc.cli.reference > docs/cli.md`, from what `--help` prints. Tab completes commands, options and
files once the shell has read what `lipc completion bash` (or `zsh`, `fish`) prints.
"""


def reference() -> str:
    """Return the text of docs/cli.md."""
    with click.Context(
        cli, info_name="lipc", terminal_width=WIDTH, max_content_width=WIDTH, **cli.context_settings
    ) as top:
        parts = [INTRODUCTION, _section("lipc", cli, top)]
        for name in COMMANDS:
            command = cli.get_command(top, name)
            assert command is not None
            ctx = click.Context(command, parent=top, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
            parts.append(_section(f"lipc {name}", command, ctx))
    return "\n".join(parts)


def _section(title: str, command: click.Command, ctx: click.Context) -> str:
    return f"## {title}\n\n```text\n{command.get_help(ctx)}\n```\n"


if __name__ == "__main__":
    sys.stdout.write(reference())
