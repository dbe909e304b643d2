"""The NINs, and networks of others, in ninc, torch, ONNX Runtime and OpenVINO, engines in turn.

pip install -r benchmarks/requirements.txt
python -m benchmarks.compare                                    # the NINs: about half an hour
python -m benchmarks.compare --rows imported                    # ResNets, MobileNets and others
python -m benchmarks.compare --rows cifar-b1 'imagenet-*' --threads 2
python -m benchmarks.compare --rows training --engines 'torch [Nc]*' --target avx2 --json out.json
python -m benchmarks.compare --report --json results.json --plot results.png

Each row has a process of its own on each instruction set, in which the peers are held to that set
where they obey. Results are checked against each other first. `--json` adds to what the
file holds, so that the comparison can be made in pieces; a row measured again takes the place of
its older self.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import operator
import os
import platform
import sys

import ninc

from . import peers, write_json
from .comparison import goals, memory, report, worker
from .comparison import rows as table


def main(arguments: list[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if options.report and not options.json:
        parser.error("--report needs --json FILE, the results to show")
    if options.plot and importlib.util.find_spec("matplotlib") is None:
        parser.error("--plot needs matplotlib; benchmarks/requirements.txt has it")
    try:
        names = table.select(options.rows)
        peers.chosen((), options.engines)
        results = _stored(options.json)
    except ValueError as error:
        parser.error(str(error))
    if not options.report:
        try:
            _measure(names, options, results)
        except RuntimeError as error:
            print(error, file=sys.stderr)
            return 1
    _print(results)
    if options.plot and results["rows"]:
        from .comparison.plot import plot

        plot(results["rows"], options.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.compare", description=__doc__.splitlines()[0]
    )
    threads = sorted({ninc.get_num_threads(), 1}, reverse=True)
    narrower = [name for name in ninc.targets()[1:] if name in ("avx512", "avx2")]
    parser.add_argument(
        "--rows",
        "--only",
        nargs="+",
        metavar="ROW",
        default=[*table.NINS, table.MEMORY],
        help=f"names or patterns; there are {', '.join(table.NAMES)}; inference and training are "
        "the NINs' rows of a kind, imported those of other networks; default: the NINs and memory",
    )
    parser.add_argument(
        "--engines",
        nargs="+",
        metavar="ENGINE",
        default=["*"],
        help="names or patterns of peers, not for memory; bf16 takes torch half a minute a step on "
        "processors without instructions for it",
    )
    parser.add_argument("--threads", type=int, nargs="+", default=threads, help="default: all, 1")
    parser.add_argument(
        "--target",
        nargs="+",
        default=["best", *narrower],
        choices=["best", *ninc.targets()],
        help="instruction sets; default: best, avx512 and avx2",
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="an engine a row; default: 2")
    parser.add_argument("--rounds", type=int, default=5, help="turns of an engine; default: 5")
    parser.add_argument("--quick", action="store_true", help="2 rounds, 0.2 seconds: a look only")
    parser.add_argument("--json", metavar="FILE", help="add the results to those in the file")
    parser.add_argument("--plot", metavar="FILE", help="draw the ratios of all results")
    parser.add_argument("--report", action="store_true", help="measure nothing, show the file")
    return parser


def machine() -> dict:
    """The processor and the versions of the engines, what results of different runs must share."""
    model = platform.processor() or platform.machine()
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            lines = dict(line.split(":", 1) for line in file if ":" in line)
        fields = {key.strip(): value.strip() for key, value in lines.items()}
        # Virtual machines give several processors one name; family, model and stepping tell more.
        model = fields.get("model name", model)
        numbers = [fields[k] for k in ("cpu family", "model", "stepping") if k in fields]
        model += f" ({'/'.join(numbers)})" if numbers else ""
    packages = sorted({name for engine in peers.INFERENCE for name in engine.packages} - {"ninc"})
    versions = {
        name: importlib.metadata.version(name)
        for name in packages
        if importlib.util.find_spec(name) is not None
    }
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "targets": ninc.targets(),
        "versions": {"ninc": ninc.__version__, **versions},
    }


def _stored(path: str | None) -> dict:
    """What the file holds, or nothing yet. ValueError where another machine's figures stand."""
    here = machine()
    results = {"machine": here, "rows": [], "memory": []}
    if path is None or not os.path.exists(path):
        return results
    with open(path) as file:
        results = json.load(file)
    for engine in results["memory"]:  # of files from before training's was measured
        engine.setdefault("row", table.MEMORY_ROWS[0])
    if results["machine"]["processor"] != here["processor"]:
        raise ValueError(
            f"{path} was measured on {results['machine']['processor']}, this is "
            f"{here['processor']}: figures of two machines do not go into one file"
        )
    return results


def _measure(names: list[str], options, results: dict) -> None:
    """Adds to `results`, and writes them after each row."""
    rounds, seconds = (2, 0.2) if options.quick else (options.rounds, options.seconds)
    best = ninc.targets()[0]
    targets = list(dict.fromkeys(best if name == "best" else name for name in options.target))
    asked = [table.row(name) for name in names if name != table.MEMORY]
    for row in asked:
        if row.missing:
            print(f"{row.name} is left out: {row.missing}", file=sys.stderr)
    present = [row for row in asked if not row.missing]
    results["machine"]["versions"].update(machine()["versions"])
    for target in targets:
        for threads in options.threads:
            for row in present:
                measured = worker.run(row.name, target, threads, rounds, seconds, options.engines)
                results["rows"] = _merged(results["rows"], measured)
                write_json(options.json, results)
    if table.MEMORY in names and os.path.exists("/proc/self/status"):
        found, left_out = memory.measure(
            max(options.threads), lambda text: worker.show("memory", text)
        )
        results["memory"] = found
        for gone in left_out:
            worker.show("memory", f"{gone['name']}: {gone['reason']}")
        write_json(options.json, results)
    if sys.stderr.isatty():
        print(file=sys.stderr)


def _merged(rows: list[dict], measured: dict) -> list[dict]:
    """Rows with the one measured anew in the place of its older self, in the order of printing."""
    key = operator.itemgetter("row", "target", "threads")
    kept = {key(row): row for row in (*rows, measured)}
    order = {name: index for index, name in enumerate(table.NAMES)}
    return sorted(
        kept.values(),
        key=lambda row: (not row["best_target"], row["target"], -row["threads"], order[row["row"]]),
    )


def _print(results: dict) -> None:
    described = results["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in described["versions"].items())
    print(f"{described['processor']}, {described['cores']} cores; {versions}\n")
    for row in results["rows"]:
        print(report.row_table(row), end="\n\n")
    if results["rows"]:
        print(report.summary(results["rows"]), end="\n\n")
    for name in table.MEMORY_ROWS:
        measured = [engine for engine in results["memory"] if engine["row"] == name]
        if measured:
            print(report.memory_table(measured), end="\n\n")
    print("\n".join(goals.lines(results["rows"], results["memory"])))


if __name__ == "__main__":
    sys.exit(main())
