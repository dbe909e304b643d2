"""Run by a wheel's own Python beside the installed wheel: computes, trains, tells what it is.

    python trial_program.py RESULTS.npz EXAMPLES [PICTURES]

EXAMPLES: the repository's examples; the one in C is compiled, by CC or gcc, and run where there is
such a compiler. Its network is kept beside RESULTS.npz, as net.safetensors.
PICTURES: a folder with a folder of pictures a class, to train on; where README.md lies beside
RESULTS.npz, its lines train on them, too, for two epochs. Prints a line for each thing it
tried, and ends with a status other than 0 where one failed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile

import numpy as np

import ninc
from ninc import nn


def results() -> dict[str, np.ndarray]:
    """By instruction set: what a network gives, and its weights after a training step."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((4, 3, 16, 16)).astype(np.float32)
    labels = np.arange(4) % 3
    found = {}
    for target in ninc.targets():
        ninc.set_target(target)
        net = nn.Sequential(
            nn.MlpConv(3, (24, 16), 5, padding=2, batch_norm=True),
            nn.MaxPool2d(3, 2, ceil_mode=True),
            nn.MlpConv(16, (12, 3), 3, padding=1, logits=True),
            nn.GlobalAvgPool2d(),
            seed=1,
        )
        found[f"{target}.y"] = net(x)
        ninc.Trainer(net, ninc.SGD(lr=0.1, momentum=0.9)).step(x, labels)
        for name, value in net.state_dict().items():
            found[f"{target}.{name}"] = value
    ninc.set_target(ninc.targets()[0])
    return found


def check_targets() -> None:
    """The instruction sets are those that the processor has, as the system tells them."""
    with open("/proc/cpuinfo") as file:
        flags = set(file.read().split())
    for target, flag in (("avx2", "avx2"), ("avx512", "avx512vl"), ("amx", "amx_bf16")):
        if (flag in flags) != (target in ninc.targets()):
            sys.exit(f"{flag} in the processor's flags, but targets are {ninc.targets()}")
    print(f"targets: {', '.join(ninc.targets())}")


def compile_and_run(examples: str, model: str) -> None:
    compiler = shutil.which(os.environ.get("CC", "gcc"))
    if compiler is None:
        return
    include = ninc.get_include()
    library = os.path.join(os.path.dirname(include), "lib")
    with tempfile.TemporaryDirectory() as folder:
        program = os.path.join(folder, "predict")
        source = os.path.join(examples, "predict.c")
        where = [f"-I{include}", f"-L{library}", f"-Wl,-rpath,{library}"]
        subprocess.run([compiler, source, *where, "-lninc", "-o", program], check=True)
        done = subprocess.run(
            [program, model, "16", "16"], check=True, capture_output=True, text=True
        )
    print(f"C program: {done.stdout.strip()}")


def answer(folder: str) -> None:
    """The packaged network says what is in a picture, while the network of the machine is away."""
    import socket

    from PIL import Image

    from ninc import cli

    def refused(*words: object, **named: object) -> None:
        sys.exit("ninc predict asked for the machine's network")

    picture = os.path.join(folder, "picture.png")
    Image.radial_gradient("L").convert("RGB").save(picture)
    whole, socket.socket = socket.socket, refused  # type: ignore[assignment, misc]
    try:
        status = cli.main(["predict", picture, "--top", "1"])
    finally:
        socket.socket = whole  # type: ignore[misc]
    if status != 0:
        sys.exit(f"ninc predict {picture}: ended with status {status}")


def train(pictures: str, folder: str) -> None:
    data = ninc.data.load(pictures)
    net = nn.Sequential(  # small, since some processors are emulated
        nn.MlpConv(3, (16, 16), 5, padding=2, batch_norm=True),
        nn.MaxPool2d(3, 2, ceil_mode=True),
        nn.MlpConv(16, (16, len(data.classes)), 3, padding=1, logits=True),
        nn.GlobalAvgPool2d(),
    )
    trainer = ninc.Trainer(net, ninc.SGD(lr=0.05, momentum=0.9))
    history = trainer.fit(data, epochs=2, batch_size=16, progress=False)
    path = os.path.join(folder, "trained.safetensors")
    net.save(path)
    net = ninc.load(path)
    probabilities = net.predict([data.images[0]])
    assert probabilities.shape == (1, len(data.classes)), probabilities.shape
    print(f"training on {len(data)} pictures of {len(data.classes)} classes: {history}")


def follow(readme: str, pictures: str, folder: str) -> None:
    """What the README says of Python, as somebody types it who has pictures of pets."""
    from PIL import Image

    with open(readme, encoding="utf-8") as file:
        program = file.read().split("```python\n")[1].split("```")[0]
    os.symlink(os.path.abspath(pictures), os.path.join(folder, "pets"))
    one = ninc.data.load(pictures).images[0]
    Image.fromarray(np.asarray(one)).save(os.path.join(folder, "cat.jpg"))
    program = program.replace("epochs=20", "epochs=2")
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, check=True, capture_output=True, text=True
    )
    print(f"README: {done.stdout.strip().splitlines()[-1]}")


def main() -> None:
    out, examples, *pictures = sys.argv[1:]
    info = ninc.build_info()
    print(
        f"ninc {ninc.__version__}, Python {sys.version.split()[0]}, numpy {np.__version__}, {info}"
    )
    if sysconfig.get_config_var("Py_GIL_DISABLED") and sys._is_gil_enabled():
        sys.exit("the import brought the global lock back")
    if os.uname().machine == "x86_64":
        check_targets()
    np.savez(out, **results())
    print("network and training step: computed")
    model = os.path.join(os.path.dirname(out), "net.safetensors")
    nn.Sequential(nn.Conv2d(3, 4, 3), nn.GlobalAvgPool2d()).save(model)
    compile_and_run(examples, model)
    with tempfile.TemporaryDirectory() as folder:
        answer(folder)
        if pictures:
            train(pictures[0], folder)
            readme = os.path.join(os.path.dirname(out), "README.md")
            if os.path.exists(readme):
                follow(readme, pictures[0], folder)


main()
