"""`python -m rnnlab`: the same as `rnnlab`."""

from rnnlab.cli import main

main()
