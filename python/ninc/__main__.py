"""`python -m ninc` is the command `ninc`."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
