"""What the CUDA kernels cost, without a GPU: `make cuda-report`.

Runs the convolutions of NIN-CIFAR on the emulated device, which executes the kernels' PTX and
counts, and prints the counts beside what ptxas says of each architecture's machine code; then a
roofline estimate of whole networks on an H100. Needs a build with tests:

    python -m benchmarks.cuda_report [--batch 32] [--precision float32] [--build build/release]
    python -m benchmarks.cuda_report --write docs/cuda-kernels.md   # between the marks there, too
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from .cuda import counts, estimate, ptxas

# Classes of instructions, as the emulated device names them; those that stay zero are left out.
_CLASSES = {
    "mma": "tensor",
    "fma": "fma",
    "float": "float",
    "convert": "convert",
    "integer": "integer",
    "move": "move",
    "control": "control",
    "shared": "shared",
    "async copy": "copy",
    "global": "global",
    "barrier": "barrier",
}
_BEGIN, _END = "<!-- cuda-report begins -->", "<!-- cuda-report ends -->"
_COUNTED_BATCH = {"nin-cifar10": 32, "nin-imagenet": 1}


def table(head: Sequence[str], rows: Sequence[Sequence[str]], words: int) -> str:
    """A Markdown table whose first `words` columns are words and the others numbers."""
    rule = ["---"] * words + ["--:"] * (len(head) - words)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, rule, *rows])


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "0 %"


def shape(row: dict) -> str:
    kernel, size = row["kernel_size"], row["size"]
    channels = f"{row['in_channels']}→{row['out_channels']}"
    return f"{kernel}×{kernel} {channels}, {size}×{size}"


def pass_table(rows: list[dict], precision: str) -> str:
    """Operations and traffic of each pass as multiples of the least there could be."""
    lines = []
    for row in rows:
        operations, sectors, _ = counts.ratios(row, precision)
        chain = row["layer"].startswith("mlpconv")
        lines.append(
            (
                row["layer"],
                "" if chain else shape(row),
                row["pass"],
                f"{row['least']['multiply_adds'] / 1e6:.1f}",
                f"{operations:.3f}",
                f"{row['least']['sectors'] / 1e6:.3f}",
                f"{sectors:.3f}",
                percent(counts.total(row, "bank_conflicts"), counts.total(row, "shared_accesses")),
            )
        )
    head = (
        *("layer", "shape", "pass", "least M multiply-adds", "done / least"),
        *("least M sectors", "moved / least", "bank conflicts"),
    )
    return table(head, lines, 3)


def kernel_table(rows: list[dict]) -> str:
    """Warp instructions of each kernel by class, in thousands, and how its branches part."""
    every = [done for row in rows for done in row["kernels"].values()]
    classes = [name for name in _CLASSES if any(done[name] for done in every)]
    lines = []
    for row in rows:
        for name, done in counts.kernels(row).items():
            lines.append(
                (
                    f"{row['layer']} {row['pass']}",
                    name[len("ninc_") :],
                    f"{done['blocks']:,}",
                    f"{done['warp_instructions'] / 1e3:,.0f}",
                    *(f"{done[c] / 1e3:,.0f}" for c in classes),
                    percent(done["divergent_branches"], done["branches"]),
                    percent(done["lane_instructions"], 32 * done["warp_instructions"]),
                )
            )
    head = ("pass", "kernel", "blocks", "all", *(_CLASSES[c] for c in classes))
    return table((*head, "divergent branches", "lanes at work"), lines, 2)


def static_table(rows: list[dict], logs: Path) -> str:
    """Registers a thread, spilled bytes and occupancy of the kernels that ran, by architecture."""
    figures = ptxas.read_logs(logs)
    lines, seen = [], set()
    for row in rows:
        for name, done in row["kernels"].items():
            if name in seen:
                continue
            seen.add(name)
            threads = 32 * done["warps"] // done["blocks"]
            cells = []
            for architecture in ptxas.ARCHITECTURES:
                found = figures[name][architecture]
                shared = found.shared + row["dynamic_bytes"]
                share = ptxas.occupancy(architecture, found.registers, threads, shared)
                cells.append(f"{found.registers} / {found.spills} / {100 * share:.0f} %")
            shared = figures[name]["sm_80"].shared + row["dynamic_bytes"]
            lines.append((name[len("ninc_") :], str(threads), f"{shared / 1024:.1f}", *cells))
    head = ("kernel", "threads", "shared KiB", *ptxas.ARCHITECTURES)
    return table(head, sorted(lines), 1)


def estimate_table(rows: list[dict], training: bool) -> tuple[str, float]:
    """The convolutions' passes on an H100 at the full batch, and the sum of their seconds."""
    costs = [estimate.cost(row) for row in estimate.passes(rows, training)]
    lines = [
        (
            f"{c.layer} {c.which}",
            *(f"{1e6 * unit:.1f}" for unit in c.units),
            f"{c.busy:.2f}",
            f"{1e6 * c.seconds:.1f}",
        )
        for c in costs
    ]
    head = ("pass, µs", *estimate.UNITS, "busy", "estimate")
    return table(head, lines, 1), sum(c.seconds for c in costs)


def network_estimate(
    name: str, rows: list[dict], precision: str, batch: int
) -> tuple[str, list[tuple[str, str, str]]]:
    """Inference and a training step of a network: tables, and the sums as rows of a summary."""
    network = estimate.NETWORKS[name]
    parts, sums = [], []
    for training in (False, True):
        what = "training step" if training else "inference"
        lines, convolutions = estimate_table(rows, training)
        others = estimate.others(network, rows, training)
        seconds = convolutions + others
        parts.append(
            f"### Estimate: {network.title} {what}, batch {network.full_batch}, {precision}, "
            f"counted at batch {batch}\n\n{lines}\n\n"
            f"Convolutions {1e6 * convolutions:.0f} µs + other layers {1e6 * others:.0f} µs = "
            f"{1e3 * seconds:.2f} ms: {network.full_batch / seconds:,.0f} images/s on an "
            f"{estimate.H100.name}, estimated, never measured."
        )
        what = f"{network.title} {what}, batch {network.full_batch}"
        sums.append((what, f"{1e3 * seconds:.2f}", f"{network.full_batch / seconds:,.0f}"))
    return "\n\n".join(parts), sums


def report(rows: dict[str, list[dict]], batches: dict[str, int], precision: str, logs: Path) -> str:
    """All of it, as Markdown. rows: by network, counted at its batch."""
    cifar = rows["nin-cifar10"]
    title = f"NIN-CIFAR, batch {batches['nin-cifar10']}, {precision}"
    beyond = counts.beyond_limits(cifar, precision)
    parts = [
        f"### Work beside the least: {title}\n\n{pass_table(cifar, precision)}",
        "Beyond the limits, the first layer aside: " + ("; ".join(beyond) or "nothing") + ".",
        f"### Warp instructions, thousands: {title}\n\n{kernel_table(cifar)}",
        "### Machine code: registers / bytes spilled / occupancy\n\n" + static_table(cifar, logs),
    ]
    summary = []
    for name in rows:
        text, sums = network_estimate(name, rows[name], precision, batches[name])
        parts.append(text)
        summary += sums
    head = (f"estimated for an {estimate.H100.name}, {precision}", "ms", "images/s")
    parts.append("### Estimates in short, none of them measured\n\n" + table(head, summary, 1))
    return "\n\n".join(parts) + "\n"


def write_between_marks(path: Path, text: str) -> None:
    """Replaces what stands between the two marks of a document."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not end:
        raise SystemExit(f"{path}: needs the lines '{_BEGIN}' and '{_END}'")
    path.write_text(f"{before}{begin}\n{text}{end}{after}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", type=Path, default=Path("build/release"))
    parser.add_argument("--batch", type=int, default=_COUNTED_BATCH["nin-cifar10"])
    parser.add_argument("--precision", choices=counts.PRECISIONS, default="float32")
    parser.add_argument("--write", type=Path, metavar="FILE", help="a document with the marks")
    arguments = parser.parse_args()
    batches = dict(_COUNTED_BATCH, **{"nin-cifar10": arguments.batch})
    rows = {
        name: counts.count(
            arguments.build, name, batches[name], arguments.precision, network.full_batch
        )
        for name, network in estimate.NETWORKS.items()
    }
    text = report(rows, batches, arguments.precision, arguments.build / "cuda")
    print(text, end="")
    if arguments.write:
        write_between_marks(arguments.write, text)


if __name__ == "__main__":
    main()
