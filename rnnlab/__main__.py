"""`python -m rnnlab`: the same as `rnnlab`."""

import sys


def run() -> None:
    """Run the command line; a Ctrl-C while it is still being imported ends the process as a later one does."""
    try:
        from rnnlab.cli import main
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(130)
    main()


if __name__ == "__main__":
    run()
