"""Every public call with one argument that makes no sense: an error of ninc's own, or it is taken.

Nobody is to read a traceback that ends in somebody else's "TypeError: '<' not supported".
"""

import numpy as np
import pytest

import ninc
from support.calls import public_calls
from support.public_names import public_names
from support.weights import copies

pytest.importorskip("PIL.Image")


class Anything:
    """Can be made of all arguments, as functions of others' are called, and is good for nothing."""

    def __init__(self, *args, **kwargs):
        pass


def odd_values():
    """Made anew for each call: some can be used up."""
    return {
        "None": None, "empty text": "", "text": "abc", "text with NUL": "a\0b", "bytes": b"x",
        "half a letter": "\ud800",
        "-1": -1, "0": 0, "1.5": 1.5, "nan": np.nan, "inf": np.inf, "-inf": -np.inf,
        "True": True, "1j": 1j, "2**70": 2**70, "-2**70": -(2**70), "10**400": 10**400,
        "list": [], "tuple": (), "dict": {}, "set": {1}, "[None]": [None], "texts": ["a", "b"],
        "ragged": [[1, 2], [3]], "numbers": [1.5, 2.5], "negative": (-1, -1), "keyed": {"a": 1},
        "none": {None: None}, "object": object(), "type": Anything,
        "function": lambda *args, **kwargs: None, "generator": (x for x in (1, "a")),
        "range": range(3),
        "array": np.zeros(3), "0-d": np.array(5), "of texts": np.array(["a", "b"]),
        "of objects": np.array([None, 1], object), "complex": np.ones((2, 3, 4, 4), complex),
        "float32": np.ones((2, 3), np.float32), "no numbers": np.zeros((0, 3, 4, 4), np.float32),
        "big endian": np.ones((2, 3, 4, 4), ">f4"), "many axes": np.zeros((1,) * 9, np.float32),
        "numpy nan": np.float32("nan"), "labels": np.array([1, 2**62]), "bools": np.ones(4, bool),
    }  # fmt: skip


@pytest.fixture(autouse=True)
def as_it_was(tmp_path, monkeypatch):
    """Files go to a folder of the test's own; threads and target come back."""
    monkeypatch.chdir(tmp_path)
    threads, target = ninc.get_num_threads(), ninc.target()
    yield
    ninc.set_num_threads(threads)
    ninc.set_target(target)


def test_every_public_call_is_known_here():
    there, known = set(public_names()), set(public_calls.CALLS)
    assert there - known == set(), "add a valid call to public_calls.CALLS"
    assert known - there == set(), "these are gone"


@pytest.mark.parametrize("name", sorted(public_calls.CALLS))
def test_the_call_is_right_as_it_stands(name):
    public_calls.CALLS[name]().run()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", sorted(public_calls.CALLS))
def test_wrong_arguments_are_told(name):
    problems = []
    make = public_calls.CALLS[name]
    for argument in make().names():
        for kind in odd_values():
            call = make()
            before = weights(call)
            try:
                call.run(**{argument: odd_values()[kind]})
            except ninc.Error as error:
                if not str(error):
                    problems.append(f"{argument}={kind}: {type(error).__name__} without words")
                if not same(before, weights(call)):
                    problems.append(f"{argument}={kind}: the error left other weights")
            except BaseException as error:
                problems.append(f"{argument}={kind}: {type(error).__name__}: {error}"[:200])
            else:
                if not call.trains and not same(before, weights(call)):
                    problems.append(f"{argument}={kind}: other weights")
    assert not problems, "\n".join([f"{name}({len(problems)}):", *problems])


def weights(call):
    return call.network and copies(call.network)


def same(before, after):
    return before is None or all(np.array_equal(before[name], after[name]) for name in before)
