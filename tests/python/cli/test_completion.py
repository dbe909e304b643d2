"""Shell completion, in the shells themselves where they are installed."""

import os
import select
import shutil
import subprocess
import sys
import time

import pytest

from ninc import cli

pty = pytest.importorskip("pty")  # not on every system
pytest.importorskip("shtab")

# (what stands on the line, the words that may stand for its last one; None: file names)
CASES = [
    ("ninc tr", ["train"]),
    ("ninc ", list(cli.COMMANDS)),
    ("ninc train --rec", ["--recipe"]),
    ("ninc train data --recipe ", ["original", "fast"]),
    ("ninc train --model nin-c", ["nin-cifar10", "nin-cifar100"]),
    ("ninc completion z", ["zsh"]),
    ("ninc eval net data --split t", ["train", "test"]),
    ("ninc predict --t", ["--threads", "--top", "--tta"]),
    ("ninc predict net --top ", []),
    ("ninc train --checkpoint ", None),
    ("ninc train ", None),
    ("ninc train train -o ", None),
    ("ninc eval train --sp", ["--split"]),
    ("ninc eval train --rec", []),
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty home with two files in it, and the shell in there."""
    for name in ("one.txt", "two.txt"):
        (tmp_path / name).write_text("")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("ZDOTDIR", str(tmp_path))
    return tmp_path


def script(shell, folder, capsys, name):
    """The file that `ninc completion` writes."""
    assert cli.main(["completion", shell]) == 0
    path = folder / ".hidden" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(capsys.readouterr().out)
    return path


def needs(shell):
    return pytest.mark.skipif(shutil.which(shell) is None, reason=f"no {shell} here")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_it_knows_every_command_and_option(shell, folder, capsys):
    path = script(shell, folder, capsys, "script")
    text = path.read_text()
    for name in cli.COMMANDS:
        assert name in text
    for option in ("--checkpoint-every", "--label-smoothing", "--on-corrupt", "--top"):
        assert (option if shell != "fish" else f"-l {option[2:]}") in text
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(path)], check=True)


def test_without_shtab_it_is_told_how_to_have_it(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert cli.main(["completion", "bash"]) == 1
    assert capsys.readouterr().err == (
        "ninc: completion needs shtab: pip install 'ninc[completion]'\n"
    )


@needs("bash")
@pytest.mark.parametrize("line, expected", CASES)
def test_bash(line, expected, folder, capsys):
    words = line.split(" ")
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        f"source '{script('bash', folder, capsys, 'script')}'; "
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; "
        """$(complete -p ninc | sed 's/.* -F \\([^ ]*\\) .*/\\1/'); """
        'printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    wanted = ["one.txt", "two.txt"] if expected is None else expected
    got = [word for word in done.stdout.split() if word != ".hidden"]  # where the script lies
    assert sorted(got) == sorted(wanted), done.stderr


@needs("fish")
@pytest.mark.parametrize("line, expected", CASES)
def test_fish(line, expected, folder, capsys):
    asked = f"source '{script('fish', folder, capsys, 'ninc.fish')}'; complete -C '{line}'"
    command = ["fish", "--no-config", "-c", asked]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    got = [entry.split("\t")[0] for entry in done.stdout.splitlines()]
    assert sorted(got) == sorted(["one.txt", "two.txt"] if expected is None else expected)


class Zsh:
    """An interactive zsh, whose completion only works at a terminal."""

    def __init__(self, *commands):
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.environ.update(TERM="dumb", PS1="", COLUMNS="80")
            os.execvp("zsh", ["zsh", "-f", "-i"])
        self.run("unsetopt prompt_cr prompt_sp list_beep list_ambiguous; LISTMAX=1000; PS1=@")
        for command in commands:
            self.run(command)

    def run(self, command):
        """Runs it and waits for the prompt behind it: before, a TAB would be nothing but a TAB."""
        os.write(self.terminal, f"{command}; print DO''NE\n".encode())
        text, end = "", time.monotonic() + 300
        while "@" not in text.partition("DONE")[2]:
            assert time.monotonic() < end, text
            if select.select([self.terminal], [], [], 1.0)[0]:
                text += os.read(self.terminal, 65536).decode(errors="replace")
        return text

    def complete(self, line):
        """What is on the screen after TAB: the line with what was added, and perhaps a list."""
        os.write(self.terminal, f"{line}\t".encode())
        os.write(self.terminal, b"\x15")  # gives the line up, once it has been completed
        return self.run("")

    def close(self):
        os.write(self.terminal, b"\x15exit\n")
        os.waitpid(self.process, 0)
        os.close(self.terminal)


@needs("zsh")
@pytest.mark.parametrize("installed", ["fpath", "sourced"])
def test_zsh(installed, folder, capsys):
    path = script("zsh", folder, capsys, "_ninc")
    begin = "autoload -U compinit; compinit -u -D"
    shell = Zsh(
        *([f"fpath=({path.parent} $fpath)", begin] if installed == "fpath" else [begin]),
        *([f"source {path}"] if installed == "sourced" else []),
    )
    try:
        for line, expected in CASES:
            shown = shell.complete(line)
            words = set(shown.replace("\r", "\n").split())
            wanted = ["one.txt", "two.txt"] if expected is None else expected
            assert set(wanted) <= words, (line, shown)
            others = {"one.txt", "two.txt", "--recipe"} - {*wanted, *line.split()}
            assert not others & words, (line, shown)
    finally:
        shell.close()
