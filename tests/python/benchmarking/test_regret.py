"""The benchmark of the choice of algorithms: its shapes, what may be chosen and how it counts."""

import json

import pytest

from benchmarks import regret

SMALL = regret.Shape(1, 16, 8, 16, 3, 1)
PLAIN = regret.Shape(1, 16, 8, 16, 1, 1)


@pytest.fixture(autouse=True)
def target(monkeypatch):
    """The target that methods are asked for, whatever this processor is; may be set anew."""

    def use(name):
        monkeypatch.setattr(regret._core, "target", lambda: name)

    use("avx512")
    return use


def test_the_shapes_are_fixed_and_of_every_kind():
    shapes = regret.shapes()
    assert shapes == regret.shapes()
    assert shapes[5:] != regret.shapes(5)[5:]
    assert len(set(shapes)) == regret.SHAPES
    assert sum(shape.has_choice for shape in shapes) == 120
    assert {shape.kernel for shape in shapes} == {1, 3, 5, 7, 11}
    assert {shape.stride for shape in shapes} == {1, 2, 4}
    assert {1, 512} <= {shape.channels for shape in shapes}
    assert {1, 64} <= {shape.batch for shape in shapes}
    assert {4, 224} <= {shape.size for shape in shapes}


@pytest.mark.parametrize(
    ("shape", "which", "names"),
    [
        (PLAIN, "forward", ["direct"]),
        (SMALL, "forward", ["direct", "winograd4", "winograd6", "winograd8"]),
        (regret.Shape(1, 16, 8, 16, 5, 1), "forward", ["direct", "winograd6", "winograd8"]),
        (regret.Shape(1, 512, 8, 16, 3, 1), "forward", ["direct", "winograd4", "winograd6"]),
        (regret.Shape(1, 16, 8, 512, 3, 1), "backward_data", ["direct", "winograd4", "winograd6"]),
        (regret.Shape(1, 16, 8, 512, 3, 2), "forward", ["direct"]),
    ],
)
def test_what_may_be_chosen(shape, which, names):
    assert regret.methods(shape, which) == names


def test_matrix_units_are_one_choice_more(target):
    target("amx")
    assert regret.methods(PLAIN, "forward") == ["direct", "split"]
    assert regret.methods(SMALL, "forward")[:3] == ["direct", "split", "winograd4"]


@pytest.mark.parametrize(
    ("shape", "which", "terms"),
    [
        (regret.Shape(1, 8, 8, 10, 1, 1), "forward", 8),
        (regret.Shape(1, 8, 8, 10, 1, 1), "backward_data", 10),
        (regret.Shape(2, 8, 8, 3, 3, 4), "backward_weights", 2 * 2 * 2),
        (regret.Shape(1, 8, 8, 3, 3, 2), "backward_data", 2 * 2 * 3),
    ],
)
def test_sums_of_few_terms_are_not_split(target, shape, which, terms):
    target("amx")
    assert shape.terms(which) == terms
    assert regret.methods(shape, which) == ["direct"]


def test_a_suspicious_choice_is_timed_again():
    calls = []

    def time(shape, which, method, threads, repeats):
        calls.append(method)
        disturbed = method == "auto" and calls.count("auto") <= 4
        return {"direct": 4.0, "winograd8": 3.0}.get(method, 2.0) * (2 if disturbed else 1)

    row = regret.measure(SMALL, "forward", 1, time)
    assert row["seconds"] == {
        "auto": 2.0,
        "direct": 4.0,
        "winograd4": 2.0,
        "winograd6": 2.0,
        "winograd8": 3.0,
    }
    assert regret.regret(row) == 0.0
    assert len(calls) == 5 * (1 + 3) + 5 * (1 + 12)


@pytest.mark.parametrize(("truth", "expected"), [(1.0, 0.0), (1.2, 0.2)])
def test_what_still_looks_wrong_is_settled_by_a_longer_timing(truth, expected):
    longest = {}

    def time(shape, which, method, threads, repeats):
        longest[method] = max(longest.get(method, 0), repeats)
        if method == "auto":
            return truth if repeats > 3 else 1.3  # short timings of it are disturbed
        return {"direct": 1.0}.get(method, 2.0)

    row = regret.measure(SMALL, "forward", 1, time)
    assert regret.regret(row) == pytest.approx(expected)
    assert longest == {"auto": 30, "direct": 30, "winograd4": 3, "winograd6": 3, "winograd8": 3}


def test_summary_counts_shapes_without_a_choice():
    rows = [
        {"pass": "forward", "shape": SMALL.__dict__, "seconds": {"auto": 1.1, "direct": 1, "w": 2}},
        {"pass": "forward", "shape": PLAIN.__dict__, "seconds": {"auto": 1.1, "direct": 1.0}},
    ]
    lines = regret.summary(rows)
    assert "2 shapes: mean  5.0%, worst 10.0%; the 1 with a choice: 10.0%" in lines[0]
    assert lines[0].endswith("3% and 15% not reached")
    assert regret.summary(rows[1:] * 9 + rows)[0].endswith("3% and 15% reached")
    assert lines[1:] == [
        " 10.0%  1×16×8×8 -> 16, 3×3 stride 1, forward: auto 1100000, direct 1000000, w 2000000 us"
    ]


def test_it_runs_and_keeps_its_results(tmp_path, capsys):
    path = tmp_path / "regret.json"
    shapes = regret.shapes()
    index = min(range(len(shapes)), key=lambda i: shapes[i].flops)
    regret.main(["--shapes", f"{index}:{index + 1}", "--passes", "forward", "--json", str(path)])
    (row,) = json.loads(path.read_text()).values()
    assert regret.Shape(**row["shape"]) == shapes[index]
    regret.main(["--report", "--json", str(path)])
    assert capsys.readouterr().out.count("1 shapes: mean") == 2


def test_wrong_usage_is_told(capsys):
    for arguments, text in [(["--shapes", "all"], "two numbers"), (["--report"], "--json FILE")]:
        with pytest.raises(SystemExit):
            regret.main(arguments)
        assert text in capsys.readouterr().err
