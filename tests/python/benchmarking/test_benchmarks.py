"""The comparison with peers: how it checks, what it measures and what it prints."""

import subprocess
import sys

import numpy as np
import pytest

import ninc
from benchmarks import compare, networks, peers, timing
from benchmarks.comparison import agreement, goals, report, rows, worker

# ---- Agreement -----------------------------------------------------------------------------------


def test_outputs_that_differ_are_told():
    right, wrong = np.ones((1, 3), np.float32), np.array([[1, 1, 1.1]], np.float32)
    engines = {
        "ninc": peers.Inference(lambda: right),
        "a": peers.Inference(lambda: right + np.float32(1e-5)),
        "b": peers.Inference(lambda: wrong),
        "c": peers.Inference(lambda: right * np.float32(1.02), peers.BF16),
    }
    found = agreement.compare_outputs("row", engines)
    assert {name: difference.agrees for name, difference in found.items()} == {
        "ninc": True,
        "a": True,
        "b": False,
        "c": True,
    }
    assert str(found["b"]) == "outputs differ by 0.1, at most 0.001 is agreement"


def test_ninc_alone_against_its_float32_peers_is_an_error():
    right, wrong = np.ones((1, 3), np.float32), np.full((1, 3), np.nan, np.float32)
    engines = {"ninc": peers.Inference(lambda: right), "a": peers.Inference(lambda: wrong)}
    with pytest.raises(agreement.Disagreement, match="row: ninc agrees with no float32 peer"):
        agreement.compare_outputs("row", engines)


class _Steps:
    """A `Training` that goes `rate` down each step from weights of 1."""

    precision = peers.FLOAT32

    def __init__(self, rate):
        self.rate = rate
        self.weights = np.ones(3, np.float32)

    def step(self):
        self.weights = self.weights - np.float32(self.rate)
        return 2.0

    def parameters(self):
        return {"weight": self.weights.copy()}


def test_an_update_that_differs_is_told_though_losses_agree():
    engines = {"ninc": _Steps(0.1), "same": _Steps(0.1), "other": _Steps(0.11)}
    found = agreement.compare_training("row", engines)
    assert found["same"].agrees
    assert not found["other"].agrees
    assert str(found["other"]).startswith("updates differ by 0.1,")


# ---- Turns and rows ------------------------------------------------------------------------------


def test_every_engine_has_its_turn_in_every_round(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", 0.0)
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    times = timing.interleaved(calls, rounds=3, seconds=0.0)
    # Two first calls each; then a warm and a timed call a turn, another engine first each round.
    assert "".join(order) == "aabbcc" + "aabbcc" + "bbccaa" + "ccaabb"
    assert {name: len(values) for name, values in times.items()} == {"a": 3, "b": 3, "c": 3}


def test_other_processes_are_noticed():
    with timing.Disturbance() as others:
        subprocess.run(
            [sys.executable, "-c", "import time\nwhile time.process_time() < 0.5: pass"], check=True
        )
    if others.cores is None:
        pytest.skip("no /proc/stat")
    assert others.cores > 0.2  # half a second of work, and a start-up, waited for all the while
    row = measured("cifar-b1", [engine("ninc", 1.0)], others=others.cores)
    assert "disturbed: other processes kept" in report.row_table(row)
    assert report.summary([row]).endswith("disturbed")
    quiet = measured("cifar-b1", [engine("ninc", 1.0)])
    assert "disturbed" not in report.row_table(quiet) + report.summary([quiet])


def test_rows_are_chosen_by_name_pattern_and_kind():
    assert rows.select(["memory", "cifar-b*"]) == ["cifar-b1", "cifar-b16", "cifar-b128", "memory"]
    assert rows.select(["training"]) == ["cifar-train", "cifar-train-bn", "imagenet-train"]
    assert rows.select(["imported"]) == [row.name for row in rows.IMPORTED_ROWS]
    assert rows.select(["imported", "resnet20-b*", "cifar-b1"])[:3] == [
        "cifar-b1",
        "resnet20-b1",
        "resnet20-b16",
    ]
    with pytest.raises(ValueError, match="no row is called 'cifar-b2'"):
        rows.select(["cifar-b2"])


def test_rows_of_other_networks_are_measured_when_asked_for():
    assert set(compare._parser().parse_args([]).rows) == {*rows.NINS, "memory"}
    goals_of = {goal.row for goal in (*goals.WIDE, *goals.AVX2)}
    assert goals_of <= {row.name for row in rows.ROWS}
    assert {row.name for row in rows.IMPORTED_ROWS} <= goals_of


# Millions of parameters, as torchvision, the MobileNets' authors and others count them.
PARAMETERS = {
    "resnet20-b1": (0.27, 10),
    "resnet50-b1": (25.56, 1000),
    "vgg19-b1": (20.54, 1000),
    "squeezenet-b1": (1.24, 1000),
    "mobilenet-0.25-b1": (0.47, 1000),
    "mobilenet-1.0-b1": (4.23, 1000),
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_network_is_what_others_call_so(name):
    row = rows.row(name)
    network = row.build()
    millions, classes = PARAMETERS[name]
    assert network.num_parameters / 1e6 == pytest.approx(millions, abs=0.006)
    assert network.core.output_shape(row.input_shape) == (1, classes, 1, 1)


def test_a_row_whose_file_is_missing_is_left_out_with_a_remark(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(networks, "TEXT_DIRECTION", tmp_path / "a.onnx")
    assert compare.main(["--rows", "text-direction-*"]) == 0
    told = capsys.readouterr().err
    assert "text-direction-b1 is left out: NINC_TEST_DATA names no folder with a.onnx" in told


def test_engines_are_chosen_by_name_and_pattern():
    names = [engine.name for engine in peers.chosen(peers.TRAINING, ["torch [Nc]*"])]
    assert names == ["ninc", "torch NCHW", "torch channels-last"]
    assert peers.chosen(peers.INFERENCE, ["*"]) == list(peers.INFERENCE)
    with pytest.raises(ValueError, match="no engine is called 'tensorflow'; there are ninc, torch"):
        peers.chosen(peers.INFERENCE, ["tensorflow"])


def test_two_threads_beside_one_and_beside_the_machine(monkeypatch, threads):
    threads(2)
    monkeypatch.setattr(worker, "_limit", lambda count: {1: 100.0, 2: 170.0}[count])
    used = []
    scaling = worker._scaling(
        lambda: used.append(ninc.get_num_threads()), 2, 2, 0.0, lambda text: None
    )
    assert {1, 2} == set(used) and scaling["limit_gain"] == 1.7
    assert worker._scaling(None, 1, 2, 0.0, None) is None


def test_a_row_measured_without_peers(monkeypatch):
    alone = (peers.INFERENCE[0], peers.INFERENCE[4])
    monkeypatch.setattr(peers, "INFERENCE", alone)
    monkeypatch.setattr(
        peers.Engine, "missing", lambda self: [] if self.name == "ninc" else ["onnxruntime"]
    )
    row = worker.measure(rows.row("cifar-b1"), 1, 1, 0.0, lambda text: None)
    assert [engine["name"] for engine in row["engines"]] == ["ninc"]
    text = report.row_table(row)
    assert "ONNX Runtime: onnxruntime not installed" in text
    assert "the best float32 peer" not in text
    assert row["gflop"] == pytest.approx(0.445, abs=1e-3)
    row = worker.measure(rows.row("cifar-b1"), 1, 1, 0.0, lambda text: None, ["ninc"])
    assert "ONNX Runtime: not asked for" in report.row_table(row)


# ---- What is printed -----------------------------------------------------------------------------


def engine(name, seconds, precision="float32", held=True, disagreement=None, isa="avx512"):
    return {
        "name": name,
        "precision": precision,
        "instruction_set": isa,
        "held": held,
        "difference": 0.0,
        "disagreement": disagreement,
        "seconds": seconds,
        "fastest": seconds,
        "calls": 5,
    }


def measured(name, engines, threads=2, target="avx512", others=0.0, scaling=None):
    return {
        "row": name,
        "title": "a title",
        "target": target,
        "best_target": target == "avx512",
        "threads": threads,
        "batch": 4,
        "gflop": 2.0,
        "limit_gflops": 400.0,
        "others_cores": others,
        "engines": engines,
        "left_out": [],
        "scaling": scaling,
    }


def test_ratio_counts_only_float32_peers_that_agree_and_obey():
    row = measured(
        "cifar-b1",
        [
            engine("ninc", 0.010),
            engine("wrong", 0.001, disagreement="outputs differ"),
            engine("free", 0.002, held=False, isa=None),
            engine("bf16", 0.003, precision="bf16"),
            engine("good", 0.015),
            engine("slow", 0.020),
        ],
    )
    assert report.best_peer(row)["name"] == "good"
    lines = report.row_table(row).splitlines()
    assert "2 threads, 2.00 GFLOP counted direct, float32 limit 400 GFLOP/s" in lines[0]
    assert lines[2].split() == ["ninc", "10.00", "400", "200", "50%"]
    assert "0.10  not counted: outputs differ" in lines[3]
    assert "0.20  not counted: cannot be held to this target" in lines[4]
    assert lines[5].split() == ["bf16", "3.00", "1,333", "667", "167%", "0.30", "bf16"]
    assert lines[-1] == "  ninc is 1.50 times as fast as the best float32 peer, good"
    assert "1.50  3.00   0.30" in report.summary([row])
    assert report.best_peer(row, ("bf16", "wrong"))["name"] == "bf16"


def test_goals_tell_what_is_reached():
    peer = peers.OPENVINO
    both = [
        measured(
            "cifar-b1",
            [engine("ninc", 0.010), engine(peer, 0.016)],
            scaling={
                "one_thread": 0.019,
                "all_threads": 0.010,
                "limit_gain": 1.95,
                "others_cores": 0.3,
            },
        ),
        measured("cifar-b1", [engine("ninc", 0.019), engine(peer, 0.020)], threads=1, others=0.5),
    ]
    memory = [
        {"name": "ninc", "row": "cifar-b128", "peak_mb": 100.0},
        {"name": peer, "row": "cifar-b128", "peak_mb": 300.0},
        {"name": "ninc", "row": "cifar-train", "peak_mb": 900.0},
    ]
    text = [" ".join(line.split()) for line in goals.lines(both, memory)]
    against = "OpenVINO float32"
    assert text[1:] == [
        f"cifar-b1 avx512, 2 threads {against} 1.60 1.50 1.70 reached, short of what is hoped",
        f"cifar-b1 avx512, 1 thread {against} 1.05 1.27 1.44 not reached (disturbed)",
        "cifar-b1 avx512, 2 threads 1 thread 1.90 1.80 1.80 reached; the machine 1.95 (disturbed)",
        f"memory batch 128, peak {against} 3.00 1.00 1.00 reached",
    ]
    assert goals.lines([], []) == []
    both[0]["scaling"] = None
    both[0]["row"], both[0]["engines"][1]["name"] = "cifar-train", "torch NCHW"
    both[0]["left_out"] = [{"name": "torch channels-last", "reason": "not asked for"}]
    assert "not reached; without torch channels-last" in goals.lines(both[:1], [])[1]


def test_a_row_measured_again_takes_its_old_place():
    old = measured("cifar-b1", [engine("ninc", 1.0)])
    other = measured("cifar-b1", [engine("ninc", 1.0)], target="avx2")
    new = measured("cifar-b1", [engine("ninc", 2.0)])
    assert compare._merged([other, old], new) == [new, other]


def test_the_plot_is_written(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmarks.comparison.plot import plot

    row = measured("cifar-b1", [engine("ninc", 1.0), engine(peers.OPENVINO, 2.0, held=False)])
    plot([row], str(tmp_path / "a.png"))
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_wrong_usage_is_told(capsys):
    with pytest.raises(SystemExit) as exit:
        compare.main(["--rows", "nonsense"])
    assert exit.value.code == 2
    assert "no row is called 'nonsense'" in capsys.readouterr().err
