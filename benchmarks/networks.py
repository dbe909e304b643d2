"""A network's inference and training step beside PyTorch, in one run, engines in turn."""

import statistics
import time

import numpy as np

import ninc


def _interleaved(engines, rounds, seconds):
    """Median seconds a call of each engine; every round gives each one its turn."""
    times = {name: [] for name in engines}
    for call in engines.values():
        call()
    for _ in range(rounds):
        for name, call in engines.items():
            end = time.perf_counter() + seconds / rounds
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                times[name].append(now - start)
                if now >= end:
                    break
    return {name: statistics.median(values) for name, values in times.items()}


def _report(title, batch, medians):
    best_peer = min(value for name, value in medians.items() if name != "ninc")
    print(title)
    for name, seconds in medians.items():
        print(f"  {name:22} {seconds * 1e3:9.2f} ms {batch / seconds:9.1f} images/s")
    print(f"  ninc is {best_peer / medians['ninc']:.2f} times as fast as the best of torch")
    return {"title": title, "batch": batch, "seconds": medians}


def compare_inference(network, input_shape, threads, rounds=5, seconds=2.0):
    """Forward passes; outputs are checked against each other first."""
    import torch

    from benchmarks.torch_peer import from_ninc

    torch.set_num_threads(threads)
    ninc.set_num_threads(threads)
    x = np.random.default_rng(0).standard_normal(input_shape, dtype=np.float32)
    peer = from_ninc(network).eval()
    last = from_ninc(network).eval().to(memory_format=torch.channels_last)
    contiguous = torch.from_numpy(x)
    channels_last = contiguous.contiguous(memory_format=torch.channels_last)
    with torch.inference_mode():
        difference = np.abs(peer(contiguous).numpy() - network(x)).max()
        if difference > 1e-3 * max(1.0, np.abs(network(x)).max()):
            raise RuntimeError(f"outputs differ by {difference}")
        medians = _interleaved(
            {
                "ninc": lambda: network(x),
                "torch": lambda: peer(contiguous),
                "torch channels-last": lambda: last(channels_last),
            },
            rounds,
            seconds,
        )
    return _report(f"inference, batch {input_shape[0]}", input_shape[0], medians)


def compare_training(network, input_shape, threads, rounds=3, seconds=6.0):
    """Training steps: forward, cross entropy, backward, SGD with momentum and weight decay."""
    import torch

    from benchmarks.torch_peer import from_ninc

    torch.set_num_threads(threads)
    ninc.set_num_threads(threads)
    rng = np.random.default_rng(0)
    x = rng.standard_normal(input_shape, dtype=np.float32)
    labels = rng.integers(0, 10, input_shape[0])

    def torch_step(memory_format):
        module = from_ninc(network).train().to(memory_format=memory_format)
        optimizer = torch.optim.SGD(module.parameters(), 1e-3, momentum=0.9, weight_decay=1e-4)
        images = torch.from_numpy(x).contiguous(memory_format=memory_format)
        targets = torch.from_numpy(labels)

        def step():
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(module(images), targets).backward()
            optimizer.step()

        return step

    trainer = ninc.Trainer(
        network, optimizer=ninc.SGD(lr=1e-3, momentum=0.9, weight_decay=1e-4), seed=0
    )
    medians = _interleaved(
        {
            "ninc": lambda: float(trainer.step(x, labels)),
            "torch": torch_step(torch.contiguous_format),
            "torch channels-last": torch_step(torch.channels_last),
        },
        rounds,
        seconds,
    )
    return _report(f"training step, batch {input_shape[0]}", input_shape[0], medians)
