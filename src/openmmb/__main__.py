"""Run the commands with ``python -m openmmb``."""

import sys

from openmmb.cli import main

if __name__ == "__main__":
    sys.exit(main())
