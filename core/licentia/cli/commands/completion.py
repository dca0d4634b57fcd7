"""`licentia completion`: what a shell needs to complete commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from licentia.cli.command import command


@command(
    "completion",
    example='eval "$(licentia completion bash)"     # in ~/.bashrc\n'
    'eval "$(licentia completion zsh)"      # in ~/.zshrc\n'
    "licentia completion fish > ~/.config/fish/completions/licentia.fish",
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]), help="The shell.")
@click.pass_context
def completion(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell."""
    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(ctx.find_root().command, {}, "licentia", "_LICENTIA_COMPLETE").source())
