"""Run the commands with ``python -m openmmb``."""

import sys


def main() -> int:
    """Run a command, and end in silence where Ctrl-C comes before it has begun."""
    try:
        from openmmb.cli import main as run

        return run()
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
