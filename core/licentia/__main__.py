"""`python -m licentia` is the command `licentia`."""

from licentia.cli import main

main()
