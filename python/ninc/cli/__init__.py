"""The command line. A command is one module here: `add_arguments(parser)` and `run(args)`.

Results go to stdout, progress and errors to stderr; with --json a number that is not finite is
null. Exit status 0, 1 for an error told in one line, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from ..errors import Error
from . import bench, completion, demo, eval, explain, info, predict, train

COMMANDS = {
    "demo": demo,
    "train": train,
    "eval": eval,
    "predict": predict,
    "explain": explain,
    "info": info,
    "bench": bench,
    "completion": completion,
}


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ninc",
        description="Network in Network, trained and run fast without a framework.",
        epilog="`ninc demo` shows it all in a minute or two. `ninc COMMAND --help` says more.",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, module in COMMANDS.items():
        summary, _, example = (module.__doc__ or "").partition("\n\n")
        command = commands.add_parser(
            name,
            help=summary,
            description=summary,
            epilog=example,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run, parser=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    args = build_parser().parse_args(argv)
    args.argv = list(sys.argv[1:] if argv is None else argv)
    try:
        status = args.run(args)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # The reader (`ninc ... | head`) has had enough. Point stdout at nothing, or Python would
        # complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _fail("interrupted")
    except (Error, OSError, ImportError) as error:
        # ImportError: the core refuses a NINC_TARGET or NINC_NUM_THREADS that makes no sense.
        return _fail(str(error))
    except MemoryError as error:
        return _fail(str(error) or "out of memory")


def _fail(message: str) -> int:
    print("ninc: " + " ".join(message.split()), file=sys.stderr)
    return 1
