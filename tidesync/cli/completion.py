"""`tidesync completion SHELL`: click's own script for a shell, which asks `tidesync` what may come next."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_TIDESYNC_COMPLETE"
"""Set by the script; click looks at it before anything else."""


@click.command("completion")
@click.argument("shell", type=click.Choice(("bash", "zsh", "fish")))
def command(shell: str) -> None:
    """Print the script that makes SHELL complete commands, options and their values.

    \b
    bash, in ~/.bashrc:  eval "$(tidesync completion bash)"
    zsh, in ~/.zshrc:    eval "$(tidesync completion zsh)"
    fish:  tidesync completion fish > ~/.config/fish/completions/tidesync.fish
    """  # noqa: D301 - click's sign for lines that stay as they are
    kind = get_completion_class(shell)
    assert kind is not None
    root = click.get_current_context().find_root().command
    click.echo(kind(root, {}, "tidesync", VARIABLE).source())
