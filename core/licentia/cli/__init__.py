"""The command line, `licentia`. `tree.py` lists every command; `docs/cli.md` tells how they behave."""

from licentia.cli.root import main

__all__ = ["main"]
