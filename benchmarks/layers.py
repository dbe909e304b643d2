"""Each convolution of a network, each pass, against the machine's multiply-add limit."""

import statistics

from ninc import _core

PASSES = ("forward", "backward_data", "backward_weights")


def convolutions(network, input_shape):
    """The network's Conv2d nodes with their input shapes (N, C, H, W), in order."""
    for node in network.graph:
        if node.operation == "Conv2d":
            (source,) = node.inputs
            yield node, network.core.output_shape(input_shape, source)


def is_first(node, graph_input_channels):
    """A network's first layer has no data gradient to compute."""
    return node.attributes["in_channels"] == graph_input_channels and node.name == "conv1"


def measure(network, input_shape, threads, repeats=7):
    """Yields one dict a layer: name, GFLOP a pass and, for each pass, median GFLOP/s."""
    for node, shape in convolutions(network, input_shape):
        told = node.attributes
        row = {"name": node.name, "input": shape}
        for which in PASSES:
            if which == "backward_data" and is_first(node, input_shape[1]):
                continue
            flops, seconds = _core.time_conv2d(
                shape,
                told["out_channels"],
                told["kernel_size"],
                told["stride"],
                told["padding"],
                told["dilation"],
                told["groups"],
                which,
                repeats,
                threads,
            )
            row["gflop"] = flops / 1e9
            row[which] = flops / 1e9 / statistics.median(seconds)
        yield row


def print_table(network, input_shape, threads):
    """Prints GFLOP/s and percent of the limit for every layer and pass.

    The limit is measured before and after the layers, and the larger of the two is the one that
    counts: a machine shared with others is slower at some times than at others.
    """
    peak = _core.measure_peak_gflops(threads)
    rows = list(measure(network, input_shape, threads))
    peak = max(peak, _core.measure_peak_gflops(threads))
    print(
        f"batch {input_shape[0]}, {threads} threads, target {_core.target()}: "
        f"multiply-add limit {peak:.0f} GFLOP/s"
    )
    print(f"{'layer':8} {'GFLOP':>8}" + "".join(f"{name:>24}" for name in PASSES))
    for row in rows:
        cells = ""
        for which in PASSES:
            cell = f"{row[which]:.0f} GFLOP/s {row[which] / peak:4.0%}" if which in row else "-"
            cells += f"{cell:>24}"
        print(f"{row['name']:8} {row['gflop']:8.3f}{cells}")
    return {"input": list(input_shape), "threads": threads, "peak": peak, "layers": rows}
