"""The report of what CUDA kernels cost: what it reads, how it judges and what it estimates."""

import pytest

from benchmarks import cuda_report
from benchmarks.cuda import counts, estimate, ptxas

LOG = """\
ptxas info    : Compiling entry function 'ninc_a' for 'sm_80'
ptxas info    : Function properties for ninc_a
    0 bytes stack frame, 8 bytes spill stores, 4 bytes spill loads
ptxas info    : Used 71 registers, used 1 barriers, 16384 bytes smem, 528 bytes cmem[0]
ptxas info    : Compiling entry function 'ninc_a' for 'sm_90'
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 63 registers, used 1 barriers
"""

COUNTS = {
    "launches": 1,
    "blocks": 66,
    "warps": 396,
    "warp_instructions": 1000,
    "lane_instructions": 31000,
    "fma_operations": 0,
    "mma_operations": 3300,
    "global_load_sectors": 70,
    "global_store_sectors": 40,
    "shared_accesses": 100,
    "bank_conflicts": 2,
    "branches": 20,
    "divergent_branches": 1,
    **{name: 10 for name in cuda_report._CLASSES},
}


def row(layer="conv2", which="forward", **counts):
    least = {"multiply_adds": 1000, "sectors": 100, "memory_bytes": 800, "tiled": 1100}
    return {
        "layer": layer,
        "kernel_size": 5,
        "in_channels": 96,
        "out_channels": 192,
        "size": 16,
        "pass": which,
        "chained": False,
        "dynamic_bytes": 0,
        "least": {**least, "blocks": 66},
        "full": {**{key: 2 * value for key, value in least.items()}, "blocks": 132},
        "kernels": {"ninc_a": {**COUNTS, **counts}, "ninc_conv2d_pack": {**COUNTS}},
    }


def test_what_ptxas_says_is_read(tmp_path):
    (tmp_path / "a.log").write_text(LOG)
    assert ptxas.read_logs(tmp_path) == {
        "ninc_a": {"sm_80": ptxas.Figures(71, 12, 16384), "sm_90": ptxas.Figures(63, 0, 0)}
    }


# By hand from the tables of the programming guide.
@pytest.mark.parametrize(
    ("architecture", "registers", "threads", "shared", "blocks"),
    [
        ("sm_80", 32, 256, 0, 8),  # all 64 warps
        ("sm_120", 32, 256, 0, 6),  # all 48
        ("sm_80", 128, 256, 0, 2),  # 16 warps of 4096 registers
        ("sm_80", 133, 192, 0, 2),  # 136 registers: 15 warps, 12 of each four schedulers
        ("sm_80", 16, 32, 0, 32),
        ("sm_80", 32, 128, 53 << 10, 3),  # 54 KiB each of 164
        ("sm_90", 32, 128, 53 << 10, 4),  # of 228
        ("sm_120", 32, 128, 53 << 10, 1),  # of 100
    ],
)
def test_blocks_that_fit_on_a_multiprocessor(architecture, registers, threads, shared, blocks):
    assert ptxas.resident_blocks(architecture, registers, threads, shared) == blocks


def test_work_is_compared_with_the_least():
    assert counts.ratios(row(), "float32") == pytest.approx((1.1, 1.1, 0.02))
    assert counts.ratios(row(), "fast")[0] == pytest.approx(3.3)
    rows = [row(), row("conv1", bank_conflicts=50), row("conv3", bank_conflicts=6)]
    assert counts.beyond_limits(rows, "float32") == [
        "conv3 forward: bank conflicts 0.06, at most 0.05"
    ]


def test_an_estimate_is_that_of_the_busiest_unit():
    cost = estimate.cost(row("cccp3, cccp4"))
    h100 = estimate.H100
    issue = 2 * 990 / (4 * 132 * 1.83e9)  # twice the work at the full batch
    tensor = 2 * 2 * 3300 / (495e12 * 0.62)
    traffic = 2 * 110 * 32 / 5.5e12
    assert cost.units == pytest.approx((2 * tensor, 0, 2 * issue, 2 * traffic, 2 * 1600 / 3.35e12))
    assert cost.busy == 1 and cost.launches == 2
    assert cost.seconds == pytest.approx(2 * max(issue, tensor, traffic) + 2 * h100.launch)


def test_the_report_goes_between_the_marks(tmp_path):
    for architecture in ptxas.ARCHITECTURES:
        (tmp_path / f"{architecture}.log").write_text(LOG.replace("sm_90", architecture))
        with open(tmp_path / "pack.log", "a") as log:
            log.write(LOG.replace("ninc_a", "ninc_conv2d_pack").replace("sm_90", architecture))
    rows = {"nin-cifar10": [row(), row("mlpconv2", "inference")]}
    text = cuda_report.report(rows, {"nin-cifar10": 2}, "float32", tmp_path)
    assert "| conv2 | 5×5 96→192, 16×16 | forward | 0.0 | 1.100 | 0.000 | 1.100 | 2.0 % |" in text
    assert "first layer aside: nothing." in text
    assert "| a | 192 | 16.0 | 71 / 12 / 38 % | 63 / 0 / 47 % |" in text
    assert "estimated, never measured" in text

    document = tmp_path / "a.md"
    document.write_text(
        "before\n<!-- cuda-report begins -->\nold\n<!-- cuda-report ends -->\nafter\n"
    )
    cuda_report.write_between_marks(document, text)
    assert document.read_text().startswith("before\n<!-- cuda-report begins -->\n### Work")
    assert document.read_text().endswith("\n<!-- cuda-report ends -->\nafter\n")
    document.write_text("no marks")
    with pytest.raises(SystemExit, match="needs the lines"):
        cuda_report.write_between_marks(document, text)
