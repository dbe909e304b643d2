"""The command line, called within this process."""

import json

import pytest

from ninc import cli


def ninc_command(*words):
    """The exit status of `ninc WORDS`; a word may be a path or a number."""
    return cli.main([str(word) for word in words])


def printed(capsys, *words):
    """What a command that ends well prints."""
    capsys.readouterr()
    assert ninc_command(*words) == 0
    return capsys.readouterr().out


def printed_json(capsys, *words):
    """What a command says with --json."""
    return json.loads(printed(capsys, *words, "--json"))


def usage(capsys, *words):
    """What a command says of wrong usage, on stderr, before it ends with status 2."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        ninc_command(*words)
    assert stop.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err
