"""The command line. A command is one module here: `add_arguments(parser)` and `run(args)`.

Results go to stdout, progress and errors to stderr; with --json a number that is not finite is
null. Exit status 0, 1 for an error told in one line, 2 for wrong usage.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from ..errors import ArgumentError, Error
from . import bench, completion, convert, demo, eval, explain, info, predict, report, train
from .terminal import say, speaking

COMMANDS = {
    "demo": demo,
    "train": train,
    "eval": eval,
    "predict": predict,
    "explain": explain,
    "report": report,
    "convert": convert,
    "info": info,
    "bench": bench,
    "completion": completion,
}


class _Version(argparse.Action):
    """Prints the version; only then is the core loaded, which knows it."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        import ninc

        print(f"ninc {ninc.__version__}")
        parser.exit()


class WrongUsageError(SystemExit):
    """The end of a command that was given wrong arguments; `told` says what is wrong."""

    def __init__(self, told: str) -> None:
        super().__init__(2)
        self.told = told


class _Parser(argparse.ArgumentParser):
    """Reports wrong usage in two lines, since the usage of `ninc train` fills half a screen."""

    commands: dict[str, _Parser]  # the commands' parsers by name

    def error(self, message: str) -> NoReturn:
        usage = f"usage: {self.prog} --help shows it\n"
        self._print_message(f"{usage}{self.prog}: error: {message}\n", sys.stderr)
        raise WrongUsageError(f"error: {message}")

    def actions(self) -> list[argparse.Action]:
        return self._actions

    def options(self) -> list[str]:
        return [name for action in self._actions for name in action.option_strings]


def build_parser() -> _Parser:
    parser = _Parser(
        prog="ninc",
        description="Network in Network, trained and run fast without a framework.",
        epilog="`ninc demo` shows it all in a minute or two. `ninc COMMAND --help` says more.",
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
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
        command.set_defaults(run=module.run, parser=command, program=parser)
    parser.commands = commands.choices
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command line; returns the exit status."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # A program begun without a stream (`>&-`, some services) has None there; what it prints is
    # lost.
    sys.stdout = sys.stdout or open(os.devnull, "w")
    sys.stderr = sys.stderr or open(os.devnull, "w")
    with speaking():
        try:
            status = _run_together(argv) if argv[:1] == ["train"] else _run(argv)
            sys.stdout.flush()
            return status
        except BrokenPipeError:
            # The reader (`ninc ... | head`) has had enough. Point stdout at nothing, or Python
            # would complain once more when it flushes at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except KeyboardInterrupt:
            return _fail("interrupted")
        except Error as error:
            return _fail(str(error))
        except (OSError, ImportError, MemoryError) as error:
            # The core raises ImportError for a NINC_TARGET or NINC_NUM_THREADS that makes no sense.
            # Messages that are not ninc's may have several lines.
            return _fail(" ".join(str(error).split()) or "out of memory")


def _run(argv: list[str]) -> int:
    args = _parsed(argv)
    return int(args.run(args))


def _run_together(argv: list[str]) -> int:
    """Runs a command in all processes that mpiexec has begun, from its arguments on.

    One that is begun with wrong ones must not leave the others waiting.
    """
    from ..distributed.launched import launched_comm, run_together

    try:
        comm = launched_comm()
    except ArgumentError:
        _parsed(argv)  # --help and wrong usage end here, and need no MPI
        raise
    return run_together(comm, lambda: _parsed(argv), lambda args: int(args.run(args)))


def _parsed(argv: list[str]) -> argparse.Namespace:
    """The arguments; wrong usage ends the process with status 2 and says what was meant."""
    parser = build_parser()
    if not argv:
        parser.print_help(sys.stderr)
        parser.exit(2)
    if argv[0][:1] != "-" and argv[0] not in COMMANDS:
        parser.print_usage(sys.stderr)
        near = difflib.get_close_matches(argv[0], COMMANDS, 1)
        there = f"did you mean {near[0]}?" if near else f"there are {', '.join(COMMANDS)}"
        parser.exit(2, f"ninc: no command {argv[0]!r}, {there}\n")
    if argv[0][:1] == "-" and not any(name.startswith(argv[0]) for name in parser.options()):
        parser.error(f"unrecognized arguments: {argv[0]}{_near(parser, argv[0])}")
    args, unknown = parser.parse_known_args(argv)
    if unknown:
        meant = _near(args.parser, unknown[0])
        args.parser.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
    args.argv = argv
    return args


def _near(parser: _Parser, option: str) -> str:
    """Words for the option that may have been meant; "" where none is similar."""
    options = [name for name in parser.options() if name[:2] == "--"]
    near = difflib.get_close_matches(option.partition("=")[0], options, 1)
    return f", did you mean {near[0]}?" if near else ""


def _fail(message: str) -> int:
    say(message)
    return 1
