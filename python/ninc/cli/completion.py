"""Print what makes a shell complete ninc's commands, options and their values

The script is made from the commands' own options, so it knows all of them. Needs shtab:
pip install 'ninc[completion]'.

examples:
  ninc completion bash > ~/.local/share/bash-completion/completions/ninc
  ninc completion zsh > ~/.zfunc/_ninc        # with ~/.zfunc in fpath, before compinit
  ninc completion fish > ~/.config/fish/completions/ninc.fish
"""

from __future__ import annotations

import argparse

from ..errors import ArgumentError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "fish", "zsh"), help="the shell to write for")


def run(args: argparse.Namespace) -> int:
    try:
        import shtab
    except ImportError as error:
        raise ArgumentError("completion needs shtab: pip install 'ninc[completion]'") from error
    for command in args.program.commands.values():
        for action in command.actions():
            is_positional = not (action.option_strings or action.choices)
            if is_positional or action.metavar in ("FILE", "DIR"):
                action.complete = shtab.FILE
    script = shtab.complete(args.program, args.shell)
    # shtab's script for zsh registers itself where it is evaluated; this also does where it is
    # sourced.
    print(script.replace("$zsh_eval_context[-1] == eval", "$zsh_eval_context[-1] == (eval|file)"))
    return 0
