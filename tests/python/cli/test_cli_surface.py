"""What the command line says of itself, and how it says what is no result."""

import warnings

import numpy as np
import pytest

import ninc
from ninc import cli, errors
from ninc._base.plain_text import one_line
from ninc.cli import eval as eval_command
from ninc.cli.terminal import width
from ninc.inference.evaluation import Evaluation
from support.command_line import usage
from support.processes import python


def test_the_version():
    done = python("-m", "ninc", "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"ninc {ninc.__version__}\n", "")


def test_without_a_command_all_are_listed(capsys):
    done = python("-m", "ninc")
    assert done.returncode == 2 and done.stderr == usage(capsys)
    for name in cli.COMMANDS:
        assert f"    {name}" in done.stderr


@pytest.mark.parametrize(
    "typed, words",
    [
        (["trian", "data"], "ninc: no command 'trian', did you mean train?"),
        (["predcit", "m", "x"], "ninc: no command 'predcit', did you mean predict?"),
        (["segment"], "ninc: no command 'segment', there are demo, train, eval,"),
        (["--verison"], "unrecognized arguments: --verison, did you mean --version?"),
        (["--seed=3", "train"], "unrecognized arguments: --seed=3"),
        (["-x"], "unrecognized arguments: -x"),
        (["eval", "m", "d", "--bath-size", "3"], "--bath-size 3, did you mean --batch-size?"),
        (["info", "--colour"], "unrecognized arguments: --colour"),
    ],
)
def test_what_was_mistyped_is_told_with_what_is_near(typed, words, capsys):
    assert words in usage(capsys, *typed)


def test_explain_is_the_function_whatever_was_imported_before():
    code = (
        "import ninc; import ninc.cli.explain; from ninc.explanation import explain as same; "
        "from ninc import explain; assert callable(explain) and ninc.explain is explain is same; "
        "assert ninc.preprocess.Preprocessing and issubclass(ninc.Remark, UserWarning)"
    )
    done = python("-c", code)
    assert done.returncode == 0, done.stderr


# ---- Remarks -------------------------------------------------------------------------------------


def test_remarks_are_single_lines_and_told_once(capsys, monkeypatch):
    def run(args):
        for message in ("the same", "the same", "another\nwith \x07 signs", "the same"):
            errors.remark(message)
        warnings.warn("somebody else's", DeprecationWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(cli.info, "run", run)
    before = warnings.showwarning
    with pytest.warns(DeprecationWarning, match="somebody else's"):
        assert cli.main(["info"]) == 0
    assert capsys.readouterr().err == "ninc: the same\nninc: another\\nwith \\x07 signs\n"
    assert warnings.showwarning is before
    with pytest.warns(DeprecationWarning):
        cli.main(["info"])  # and told again by the next command
    assert capsys.readouterr().err.startswith("ninc: the same\n")


def test_errors_with_odd_names_are_one_line(capsys):
    assert cli.main(["info", "two\nlines\x1b[2J"]) == 1
    line = capsys.readouterr().err
    assert (
        line.startswith("ninc: two\\nlines\\x1b[2J: no such model file") and line[:-1].isprintable()
    )


def test_letters_stay_and_control_characters_are_escaped():
    kept = "a 犬 é \U0001f600 \\ x"
    assert one_line(kept) == kept
    assert one_line("\n\t\x1b\x85\u2028\udce9") == "\\n\\t\\x1b\\x85\\u2028\\udce9"


# ---- Tables of `ninc eval` -----------------------------------------------------------------------


def evaluated(classes, seed=0):
    confusion = np.random.default_rng(seed).integers(0, 3000, (len(classes), len(classes)))
    return Evaluation(0.25, confusion, list(classes))


NAMES = ["golden retriever", "犬", "e\u0301clair", "x"]


def test_tables_have_whole_names_and_plain_words(monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    result = evaluated(NAMES)
    text = eval_command._as_text(result, "4 pictures")
    lines = text.splitlines()
    head = next(line for line in lines if line.startswith("class "))
    assert head.split() == ["class", "images", "recall", "precision"]
    for row, name in enumerate(NAMES):
        table, matrix = (line for line in lines if line.startswith(name + " "))
        count, recall, precision = table[len(name) :].split()
        assert int(count.replace(",", "")) == result.confusion[row].sum()
        assert recall == f"{result.recall[row]:.1%}"
        assert precision == f"{result.precision[row]:.1%}"
        cells = [int(cell.replace(",", "")) for cell in matrix[len(name) :].split()]
        assert cells == result.confusion[row].tolist()
    # Columns stand below one another: all lines of a table are equally wide on a terminal.
    place = lines.index(head)
    assert len({width(line) for line in lines[place : place + 5]}) == 1
    assert len({width(line) for line in lines[-5:]}) == 1
    assert all(name in lines[-5] for name in NAMES)


def test_a_wide_matrix_goes_on_below(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    names = [f"class number {i}" for i in range(7)]
    result = evaluated(names)
    lines = eval_command._matrix(result)
    assert max(map(len, lines)) <= 40
    blocks = "\n".join(lines).split("\n\n")
    read = [[] for _ in names]
    for block in blocks:
        head, *rows = block.splitlines()
        assert len(rows) == 7
        for name, row, cells in zip(names, rows, read):
            assert row.startswith(name)
            cells += [int(cell.replace(",", "")) for cell in row[len(name) :].split()]
    assert read == result.confusion.tolist()
    monkeypatch.setenv("COLUMNS", "5")  # narrower than a single column
    assert len("\n".join(eval_command._matrix(result)).split("\n\n")) == 7


def test_shares_of_nothing_are_a_dash():
    result = Evaluation(0.5, np.array([[3, 0], [0, 0]]), ["here", "nowhere"])
    text = eval_command._as_text(result, "3 pictures")
    row = next(line for line in text.splitlines() if line.startswith("nowhere"))
    assert row.split() == ["nowhere", "0", "-", "-"]
