"""Print what makes a shell complete ninc's commands, options and their values

The script is made from the commands' own options, so it knows all of them.

examples:
  ninc completion bash > ~/.local/share/bash-completion/completions/ninc
  ninc completion zsh > ~/.zfunc/_ninc        # with ~/.zfunc in fpath, before compinit
  ninc completion fish > ~/.config/fish/completions/ninc.fish
"""

from __future__ import annotations

import argparse
import dataclasses


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=sorted(_SHELLS), help="the shell to write for")


def run(args: argparse.Namespace) -> int:
    from . import build_parser

    print(_SHELLS[args.shell](commands(build_parser())), end="")
    return 0


@dataclasses.dataclass(frozen=True)
class Option:
    """names: "-o", "--output"; values: those there are to choose from; files: it takes a file."""

    names: tuple[str, ...]
    summary: str
    takes_value: bool
    values: tuple[str, ...]
    files: bool


@dataclasses.dataclass(frozen=True)
class Command:
    name: str
    summary: str
    options: tuple[Option, ...]
    values: tuple[str, ...]  # of its positional arguments; the others are files


def commands(parser: argparse.ArgumentParser) -> list[Command]:
    """What the parsers know: every command with its options."""
    subparsers = next(a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return [
        Command(
            name,
            command.description or "",
            tuple(_option(command, action) for action in command._actions if action.option_strings),
            tuple(
                str(value)
                for action in command._actions
                if not action.option_strings
                for value in action.choices or ()
            ),
        )
        for name, command in subparsers.choices.items()
    ]


def _option(command: argparse.ArgumentParser, action: argparse.Action) -> Option:
    # As the help shows it: "(default %(default)s)" filled in, "%%" a percent sign.
    summary = (action.help or "") % {**vars(action), "prog": command.prog}
    values = tuple(str(value) for value in action.choices or ())
    files = action.metavar in ("FILE", "DIR")
    return Option(tuple(action.option_strings), summary, action.nargs != 0, values, files)


def _bash(known: list[Command]) -> str:
    cases = []
    for command in known:
        names = " ".join(name for option in command.options for name in option.names)
        values = [
            f'            {"|".join(option.names)}) words="{" ".join(option.values)}" ;;'
            for option in command.options
            if option.values
        ]
        for option in command.options:
            if option.takes_value and not option.values:
                # Nothing where file names make no sense either.
                then = "" if option.files else "compopt +o default 2> /dev/null; "
                values.append(f"            {'|'.join(option.names)}) {then}return ;;")
        values.append(f'            *) words="{" ".join(command.values)}"; options="{names}" ;;')
        cases.append(
            f"    {command.name})\n        case $previous in\n"
            + "\n".join(values)
            + "\n        esac ;;\n"
        )
    names = " ".join(command.name for command in known)
    return (
        "# bash completion of ninc\n"
        "_ninc() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
        '    local words="" options=""\n'
        "    COMPREPLY=()\n"
        "    if ((COMP_CWORD == 1)); then\n"
        f'        COMPREPLY=($(compgen -W "{names}" -- "$current"))\n'
        "        return\n"
        "    fi\n"
        "    case ${COMP_WORDS[1]} in\n" + "".join(cases) + "    esac\n"
        "    if [[ $current == -* ]]; then words=$options; fi\n"
        '    COMPREPLY=($(compgen -W "$words" -- "$current"))\n'
        "}\n"
        "complete -o default -F _ninc ninc  # default: file names where there is nothing else\n"
    )


def _zsh(known: list[Command]) -> str:
    cases = []
    for command in known:
        lines = []
        for option in command.options:
            for name in option.names:
                value = ""
                if option.values:
                    value = f":value:({' '.join(option.values)})"
                elif option.takes_value:
                    value = ":value:_files" if option.files else ":value: "
                lines.append(_quoted(f"{name}[{_escaped(option.summary)}]{value}"))
        rest = f"({' '.join(command.values)})" if command.values else "_files"
        lines.append(_quoted(f"*:argument:{rest}"))
        joined = " \\\n            ".join(lines)
        cases.append(
            f"        {command.name})\n            _arguments \\\n            {joined} ;;\n"
        )
    names = "\n".join(
        f"        {_quoted(f'{command.name}:{_escaped(command.summary)}')}" for command in known
    )
    return (
        "#compdef ninc\n"
        "_ninc() {\n"
        "    local -a commands\n"
        f"    commands=(\n{names}\n    )\n"
        "    if ((CURRENT == 2)); then\n"
        "        _describe command commands\n"
        "        return\n"
        "    fi\n"
        "    local command=${words[2]}\n"
        "    shift words\n"
        "    ((CURRENT--))\n"
        "    case $command in\n" + "".join(cases) + "    esac\n"
        "}\n"
        # Read through fpath the file is the function's body; sourced, it has to register itself.
        'if [[ $funcstack[1] == _ninc ]]; then _ninc "$@"; else compdef _ninc ninc; fi\n'
    )


def _escaped(text: str) -> str:
    """Text within zsh's own brackets and colons."""
    for sign in "\\[]:":
        text = text.replace(sign, f"\\{sign}")
    return text


def _fish(known: list[Command]) -> str:
    # fish's own __fish_seen_subcommand_from would also find a command's name among file names.
    lines = [
        "# fish completion of ninc",
        "function __ninc_command",
        "    set -l words (commandline -opc)",
        "    test (count $words) -gt 1; and test $words[2] = $argv[1]",
        "end",
    ]
    for command in known:
        lines.append(
            "complete -c ninc -n 'test (count (commandline -opc)) -eq 1' -f "
            f"-a {command.name} -d {_quoted(command.summary)}"
        )
        seen = f"-n '__ninc_command {command.name}'"
        for option in command.options:
            words = [f"complete -c ninc {seen}"]
            for name in option.names:
                words.append(f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}")
            if option.values:
                words.append(f"-x -a {_quoted(' '.join(option.values))}")
            elif option.takes_value:
                words.append("-r -F" if option.files else "-x")
            words.append(f"-d {_quoted(option.summary)}")
            lines.append(" ".join(words))
        if command.values:
            lines.append(f"complete -c ninc {seen} -f -a {_quoted(' '.join(command.values))}")
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """In single quotes, as all three shells read them."""
    return "'" + text.replace("'", "'\\''") + "'"


_SHELLS = {"bash": _bash, "zsh": _zsh, "fish": _fish}
