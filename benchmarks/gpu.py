"""NIN-CIFAR and NIN-ImageNet on a GPU in ninc and, where it is installed for CUDA, in torch.

python -m benchmarks.gpu
python -m benchmarks.gpu --models nin-cifar10 --batches 1 128 --seconds 1
python -m benchmarks.gpu --json gpu.json

torch computes with cuDNN, its algorithms tuned (cudnn.benchmark). Engines run in turn, each on a
batch in the processor's memory, which it copies to the GPU, and give back logits or the loss there.
Results are checked against each other first. ninc's "float32" takes three TF32 products on tensor
cores for one of float32, and is as precise; torch's is plain float32. Both "tf32" take one.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable

import numpy as np

import ninc
from ninc.cli.common import INPUTS
from ninc.control import device_info

from . import write_json
from .peers.own import copy_of
from .timing import interleaved

MODELS = ("nin-cifar10", "nin-imagenet")
# Of the largest output; TF32 keeps 10 bits of each factor, through a dozen layers.
TOLERANCE = {"float32": 1e-3, "tf32": 3e-2}
PRECISIONS = {"float32": "float32", "tf32": "fast"}
TRAINING_BATCH = {"nin-cifar10": 128, "nin-imagenet": 64}
RATE = 1e-9  # the work is the same, and the weights cannot run away

Calls = dict[str, Callable[[], object]]


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    problem = next(info["problem"] for info in device_info() if info["name"] == "cuda")
    if problem:
        print(problem, file=sys.stderr)
        return 1
    torch = _torch_with_cuda()
    if torch is None:
        print("no torch with CUDA here: ninc alone", file=sys.stderr)
    rows = []
    for model in options.models:
        network = ninc.models.create(model, batch_norm=True)
        tasks = [("inference", batch) for batch in options.batches]
        if options.training:
            tasks.append(("training", TRAINING_BATCH[model]))
        for task, batch in tasks:
            calls = (_training if task == "training" else _inference)(network, model, batch, torch)
            times = interleaved(calls, 5, options.seconds)
            medians = {name: statistics.median(seconds) for name, seconds in times.items()}
            rows.append({"model": model, "task": task, "batch": batch, "seconds": medians})
            _print(rows[-1])
    write_json(options.json, {"devices": device_info(), "rows": rows})
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gpu", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--models", nargs="+", choices=MODELS, default=list(MODELS))
    parser.add_argument("--batches", nargs="*", type=int, default=[1, 16, 128], metavar="N")
    parser.add_argument("--no-training", dest="training", action="store_false")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each engine in a row")
    parser.add_argument("--json", metavar="FILE", help="write the results there too")
    return parser


def _torch_with_cuda():
    try:
        import torch
    except ImportError:
        return None
    if not torch.cuda.is_available():
        return None
    torch.backends.cudnn.benchmark = True
    return torch


def _batch(model: str, count: int) -> np.ndarray:
    size, channels = INPUTS[model]
    return np.random.default_rng(0).standard_normal((count, channels, size, size), np.float32)


def _inference(network: ninc.Network, model: str, batch: int, torch) -> Calls:
    """One call of each engine: N×classes float32 in the processor's memory."""
    x = _batch(model, batch)
    calls: Calls = {}
    for name, precision in PRECISIONS.items():
        own = copy_of(network).to("cuda")
        own.precision = precision
        calls[f"ninc {name}"] = lambda own=own: own(x)
    if torch is not None:
        from .peers.torch import from_ninc

        layout = torch.channels_last
        for name in PRECISIONS:
            module = from_ninc(network).eval().cuda().to(memory_format=layout)

            def run(module=module, tf32=name == "tf32"):
                _allow_tf32(torch, tf32)
                with torch.inference_mode():
                    images = torch.from_numpy(x).cuda().contiguous(memory_format=layout)
                    return module(images).cpu().numpy()

            calls[f"torch {name}"] = run
    want = network(x)
    for name, call in calls.items():
        _check(name, call(), want)
    return calls


def _training(network: ninc.Network, model: str, batch: int, torch) -> Calls:
    """One call of each engine: a step of SGD with momentum; its loss."""
    x = _batch(model, batch)
    labels = np.arange(batch) % network(x[:1]).shape[1]
    calls: Calls = {}
    for name, precision in PRECISIONS.items():
        own = copy_of(network).to("cuda")
        own.precision = precision
        trainer = ninc.Trainer(own, ninc.SGD(RATE, momentum=0.9))
        calls[f"ninc {name}"] = lambda trainer=trainer: float(trainer.step(x, labels))
    if torch is not None:
        from .peers.torch import from_ninc

        layout = torch.channels_last
        for name in PRECISIONS:
            module = from_ninc(network).train().cuda().to(memory_format=layout)
            optimizer = torch.optim.SGD(module.parameters(), RATE, momentum=0.9)

            def step(module=module, optimizer=optimizer, tf32=name == "tf32"):
                _allow_tf32(torch, tf32)
                images = torch.from_numpy(x).cuda().contiguous(memory_format=layout)
                optimizer.zero_grad(set_to_none=True)
                logits = module(images)
                loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels).cuda())
                loss.backward()
                optimizer.step()
                return loss.item()

            calls[f"torch {name}"] = step
    return calls


def _allow_tf32(torch, allowed: bool) -> None:
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def _check(name: str, got: np.ndarray, want: np.ndarray) -> None:
    difference = float(np.abs(got - want).max() / np.abs(want).max())
    if not difference <= TOLERANCE[name.split()[-1]]:
        raise SystemExit(f"{name} is {difference:.1e} of the largest output off the processor's")


def _print(row: dict) -> None:
    print(f"{row['model']} {row['task']}, batch {row['batch']}:")
    for name, seconds in row["seconds"].items():
        line = f"  {name:<14} {1e3 * seconds:10.3f} ms  {row['batch'] / seconds:12,.0f} images/s"
        peer = row["seconds"].get(name.replace("ninc", "torch"))
        if name.startswith("ninc") and peer is not None:
            line += f"  {peer / seconds:5.2f} times torch"
        print(line)


if __name__ == "__main__":
    sys.exit(main())
