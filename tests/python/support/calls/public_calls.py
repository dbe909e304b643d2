"""A valid call of everything that users may call, for tests that change one argument at a time."""

import dataclasses
import inspect

import numpy as np
import pytest

import ninc
from ninc import augment, averages, data, models, nn, preprocess, schedules
from support.calls.call import LABELS, Call, X, calling, floats, pictures
from support.calls.distributed_calls import DISTRIBUTED
from support.calls.functions import FUNCTIONS
from support.formats.caffe_files import save_small_net


def network():
    made = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 1),
        nn.GlobalAvgPool2d(), seed=1,
    )  # fmt: skip
    made.preprocessing = preprocess.Preprocessing((6, 6), 3, (0.5,) * 3, (0.25,) * 3)
    made.classes = ["no", "yes"]
    return made


def dataset():
    return data.Dataset(pictures(), LABELS, ["no", "yes"])


def _of_network(name, trains=False, then=lambda result: None, **kwargs):
    def make():
        made = network()
        return Call(getattr(made, name), kwargs, then=then, network=made, trains=trains)

    return make


def _setter(make, name, value):
    def prepared():
        made = make()

        def assign(value):
            setattr(made, name, value)
            return getattr(made, name)

        return Call(assign, {"value": value}, network=made if name != "plan_cache_limit" else None)

    return prepared


def _layer(kind, *args, size=6, **kwargs):
    """A layer is right where a network with it can be made and run, or is refused."""

    def use(layer):
        repr(layer)
        nn.Sequential(layer)(floats(1, 3, size, size))

    names = list(inspect.signature(kind).parameters)
    return lambda: Call(kind, {**dict(zip(names, args)), **kwargs}, then=use)


def _model(function, channels=3):
    small = dict(num_classes=2, in_channels=channels)
    return lambda: Call(function, small)


def _schedule(kind, **kwargs):
    def use(schedule):
        repr(schedule)
        for epoch in (0.0, 0.5, 2.9):
            schedule(epoch, 3)

    return lambda: Call(kind, kwargs, then=use)


def rng():
    return np.random.default_rng(0)


def _augmentation(kind, *args, **kwargs):
    def use(made):
        repr(made)
        made(X, rng())

    return lambda: Call(kind, kwargs, args, then=use)


def _batches(made):
    return Call(made.__call__, dict(batch=X, rng=rng()))


def _trainer():
    made = network()

    def fit(trainer):
        trainer.fit(dataset(), epochs=1, batch_size=2, progress=False)

    return Call(ninc.Trainer, dict(network=made), then=fit, network=made, trains=True)


def _of_trainer(name, trains, **kwargs):
    def make():
        made = network()
        trainer = ninc.Trainer(made, ninc.SGD(0.01))
        return Call(getattr(trainer, name), kwargs, network=made, trains=trains)

    return make


def _graph_add():
    graph = nn.Graph()
    x = graph.input()
    return Call(graph.add, {"name": "n"}, (nn.ReLU(), x), then=lambda _: graph(X))


def _graph_output():
    graph = nn.Graph()
    value = graph.add(nn.ReLU(), graph.input())
    return Call(graph.set_output, {"value": value}, then=lambda _: graph(X))


def _load(function, then=repr, **kwargs):
    def make():
        preprocess.open_picture(pictures(1)[0]).save("6x6.png")
        np.savez("data.npz", x=pictures(8), y=np.arange(8) % 2)
        network().save("net.safetensors")
        save_small_net("net.caffemodel")
        return Call(function, kwargs, then=then)

    return make


def _history():
    return ninc.History([{"epoch": 1, "lr": 0.1, "loss": 0.5, "accuracy": 0.5}])


def _explanation():
    return ninc.explain(network(), pictures(1)[0])


WHITENING = preprocess.Whitening(np.zeros(108, np.float32), np.eye(108, dtype=np.float32), 55, 0.1)
SETTINGS = dict(size=(6, 6), channels=3, mean=(0.5,) * 3, std=(0.25,) * 3)


def _use_preprocessing(made):
    made.describe()
    preprocess.Preprocessing.from_dict(made.to_dict(), made.arrays())
    made.apply(made.resize_and_crop(pictures(1)[0])[None])


def _add_constant(constant):
    graph = nn.Graph()
    graph.add(nn.Mul(), graph.input(), graph.add(constant))
    graph(X)


CALLS = {
    **FUNCTIONS,
    **DISTRIBUTED,
    # Layers and networks
    "Conv2d": _layer(nn.Conv2d, 3, 4, 3),
    "MlpConv": _layer(nn.MlpConv, 3, (4, 2), 3),
    "Linear": _layer(nn.Linear, 3, 2, size=1),
    "BatchNorm2d": _layer(nn.BatchNorm2d, 3),
    "MaxPool2d": _layer(nn.MaxPool2d, 2),
    "AvgPool2d": _layer(nn.AvgPool2d, 2),
    "Dropout": _layer(nn.Dropout),
    "LocalResponseNorm": _layer(nn.LocalResponseNorm, 3),
    "LeakyReLU": _layer(nn.LeakyReLU, 0.1),
    "PReLU": _layer(nn.PReLU, 3),
    "ELU": _layer(nn.ELU, 0.5),
    "GELU": _layer(nn.GELU, "tanh"),
    "HardSigmoid": _layer(nn.HardSigmoid, 0.2, 0.5),
    "Clip": _layer(nn.Clip, -1.0, 1.0),
    "Slice": _layer(nn.Slice, (0, 2), (0, None, 2), slice(1, -1)),
    "Pad": _layer(nn.Pad, (0, 1), (1, 1), (1, -1), 0.5),
    "ChannelShuffle": _layer(nn.ChannelShuffle, 3),
    "Constant": lambda: Call(nn.Constant, {"value": floats(3, 1, 1)}, then=_add_constant),
    "Sequential": lambda: Call(nn.Sequential, {"seed": 1}, (nn.ReLU(), nn.ReLU6()), then=repr),
    "Graph": lambda: Call(nn.Graph, then=lambda graph: graph.add(nn.ReLU(), graph.input())),
    "Graph.input": lambda: Call(nn.Graph().input),
    "Graph.add": _graph_add,
    "Graph.set_output": _graph_output,
    "models.nin_cifar10": _model(models.nin_cifar10),
    "models.nin_cifar100": _model(models.nin_cifar100),
    "models.nin_svhn": _model(models.nin_svhn),
    "models.nin_mnist": _model(models.nin_mnist, 1),
    "models.nin_imagenet": _model(models.nin_imagenet),
    "models.fast_cifar10": _model(models.fast_cifar10),
    "models.create": lambda: Call(models.create, {"name": "nin-mnist"}, more=["seed", "colour"]),
    "pretrained": lambda: Call(ninc.pretrained, {"name": "cifar10"}, then=repr),
    "get_pretrained_path": lambda: Call(ninc.get_pretrained_path, {"name": "cifar10"}),
    "load": _load(ninc.load, path="net.safetensors"),
    "load_caffe": _load(ninc.load_caffe, path="net.caffemodel"),
    "load_onnx": lambda: _load_onnx(),
    "load_torch": _load(ninc.load_torch, path="net.safetensors"),
    "Network.load_state_dict": lambda: _load_state_dict(),
    "Network.new_head": _of_network("new_head", classes=["a", "b", "c"]),
    "Network.__call__": _of_network("__call__", x=floats(1, 3, 6, 6)),
    "Network.predict": _of_network("predict", images=pictures()),
    "Network.predict_each": _of_network("predict_each", then=list, images=pictures()),
    "Network.evaluate": _of_network("evaluate", data=dataset()),
    "Network.outputs": _of_network("outputs", x=floats(1, 3, 6, 6), names=["x"]),
    "Network.class_maps": _of_network("class_maps", x=floats(1, 3, 6, 6)),
    "Network.summary": _of_network("summary", input_shape=(3, 6, 6)),
    "Network.plan": _of_network("plan", then=lambda p: p.describe(), input_shape=(3, 6, 6)),
    "Network.to": _of_network("to", device="cpu"),
    "Network.save": _of_network("save", path="out.safetensors"),
    "Network.export_onnx": lambda: _export_onnx(),
    "Network.preprocessing =": _setter(network, "preprocessing", None),
    "Network.classes =": _setter(network, "classes", ["a", "b"]),
    "Network.held_out =": _setter(network, "held_out", None),
    "Network.temperature =": _setter(network, "temperature", 1.5),
    "Network.calibrate": lambda: _calibrate(),
    "Network.precision =": _setter(network, "precision", "strict"),
    "Network.plan_cache_limit =": _setter(network, "plan_cache_limit", 10**6),
    # Training
    "Trainer": _trainer,
    "Trainer.step": _of_trainer("step", True, x=floats(4, 3, 6, 6), labels=LABELS),
    "Trainer.fit": _of_trainer(
        "fit", True, train=dataset(), epochs=1, batch_size=2, progress=False
    ),
    "Trainer.evaluate": _of_trainer("evaluate", False, data=dataset()),
    "SGD": lambda: Call(ninc.SGD, dict(lr=0.1), then=lambda sgd: (repr(sgd), sgd.vectors(["a"]))),
    **{
        name: lambda kind=kind: Call(
            kind, dict(lr=0.1), then=lambda made: (repr(made), made.vectors(["a"]))
        )
        for name, kind in (("Adam", ninc.Adam), ("AdamW", ninc.AdamW))
    },
    **{
        f"{kind.__name__}.vectors": lambda kind=kind: Call(
            kind(0.1).vectors, dict(names=["conv1.weight"])
        )
        for kind in (ninc.SGD, ninc.Adam, ninc.AdamW)
    },
    **{
        f"{kind.__name__}.replaced": lambda kind=kind: Call(
            kind(0.1).replaced, more=["lr", "momentum", "betas", "groups", "speed"]
        )
        for kind in (ninc.SGD, ninc.Adam, ninc.AdamW)
    },
    "History": lambda: Call(ninc.History, then=lambda history: (repr(history), len(history))),
    "History.append": lambda: Call(_history().append, dict(row={"epoch": 2, "loss": 0.25})),
    "History.save": lambda: Call(_history().save, dict(path="history.jsonl")),
    "History.plot": lambda: Call(_history().plot, dict(path="history.png")),
    "Step": _schedule(schedules.Step, milestones=(1, 2)),
    "Cosine": _schedule(schedules.Cosine),
    "OneCycle": _schedule(schedules.OneCycle),
    "Plateau": _schedule(schedules.Plateau),
    "Warmup": _schedule(schedules.Warmup, epochs_up=1),
    "Plateau.observe": lambda: Call(schedules.Plateau().observe, dict(row={"val_loss": 0.5})),
    "Warmup.observe": lambda: Call(
        schedules.Warmup(1, schedules.Plateau()).observe, dict(row={"val_loss": 0.5})
    ),
    "Plateau.load_state": lambda: Call(schedules.Plateau().load_state, dict(state={})),
    "Warmup.load_state": lambda: Call(
        schedules.Warmup(1, schedules.Plateau()).load_state, dict(state={})
    ),
    **{
        f"{name}.__call__": lambda made=made: Call(made.__call__, dict(epoch=0.5, epochs=3))
        for name, made in {
            "schedules.Constant": schedules.Constant(),  # nn has a Constant, too
            "Step": schedules.Step((1, 2)),
            "Cosine": schedules.Cosine(),
            "OneCycle": schedules.OneCycle(),
            "Plateau": schedules.Plateau(),
            "Warmup": schedules.Warmup(1),
        }.items()
    },
    "PadCrop": _augmentation(augment.PadCrop),
    "Flip": _augmentation(augment.Flip),
    "Compose": _augmentation(augment.Compose, augment.Flip(), augment.PadCrop(1)),
    "PadCrop.__call__": lambda: _batches(augment.PadCrop(1)),
    "Flip.__call__": lambda: _batches(augment.Flip()),
    "Compose.__call__": lambda: _batches(augment.Compose(augment.Flip())),
    "Cutout": _augmentation(augment.Cutout),
    "RandomResizedCrop": _augmentation(augment.RandomResizedCrop),
    "Rotation": _augmentation(augment.Rotation, 20.0),
    "ColorJitter": lambda: Call(
        augment.ColorJitter, dict(hue=0.1), then=lambda made: made(pictures(), rng())
    ),
    "Until": _augmentation(augment.Until, 2, augment.Flip()),
    "Until.__call__": lambda: _batches(augment.Until(2, augment.Flip())),
    "AlternatingFlip.__call__": lambda: _batches(augment.AlternatingFlip()),
    "Cutout.__call__": lambda: _batches(augment.Cutout()),
    "RandomResizedCrop.__call__": lambda: _batches(augment.RandomResizedCrop()),
    "Rotation.__call__": lambda: _batches(augment.Rotation(20.0)),
    "ColorJitter.__call__": lambda: Call(
        augment.ColorJitter(hue=0.1).__call__, dict(batch=pictures(), rng=rng())
    ),
    "EMA": lambda: Call(averages.EMA, then=lambda made: (repr(made), made.rate(0.5, 3))),
    "SWA": lambda: Call(averages.SWA, then=lambda made: (repr(made), made.rate(0.9, 3))),
    "EMA.rate": lambda: Call(averages.EMA().rate, dict(progress=0.5, count=3)),
    "SWA.rate": lambda: Call(averages.SWA().rate, dict(progress=0.5, count=3)),
    # Data and pictures
    "Dataset": lambda: Call(
        data.Dataset, dict(images=pictures(), labels=LABELS), then=lambda made: made.fingerprint()
    ),
    "Dataset.subset": lambda: Call(dataset().subset, dict(indices=[0, 2])),
    "Dataset.split": lambda: Call(dataset().split, dict(fraction=0.5)),
    "Dataset.relabelled": lambda: Call(
        dataset().relabelled, dict(labels=np.array([1, 1, 0, 0]), classes=["a", "b"])
    ),
    "Dataset.with_classes": lambda: Call(dataset().with_classes, dict(classes=["yes", "no"])),
    "BatchStream": lambda: Call(
        data.BatchStream, dict(batches=[(pictures(), LABELS)]), then=lambda s: list(s.epoch())
    ),
    "PictureFiles": lambda: Call(
        data.PictureFiles, dict(files=["1.png"], framing=preprocess.Framing((6, 6), 3))
    ),
    "data.load": _load(data.load, path="data.npz", size=(6, 6)),
    "data.splits": _load(data.splits, path="data.npz"),
    "data.has_test": _load(data.has_test, path="data.npz"),
    "data.as_dataset": lambda: Call(data.as_dataset, dict(data=(pictures(), LABELS))),
    "Preprocessing": lambda: Call(preprocess.Preprocessing, SETTINGS, then=_use_preprocessing),
    "Preprocessing.fit": lambda: Call(
        preprocess.Preprocessing.fit, dict(images=pictures()), then=_use_preprocessing
    ),
    "Preprocessing.from_dict": lambda: Call(
        preprocess.Preprocessing.from_dict,
        dict(settings=preprocess.Preprocessing(**SETTINGS).to_dict()),
        then=_use_preprocessing,
    ),
    "Preprocessing.apply": lambda: Call(
        preprocess.Preprocessing(**SETTINGS).apply, dict(images=pictures())
    ),
    "Preprocessing.resize_and_crop": lambda: Call(
        preprocess.Preprocessing(**SETTINGS).resize_and_crop, dict(picture=pictures(1)[0])
    ),
    "Whitening": lambda: Call(
        preprocess.Whitening,
        dict(mean=WHITENING.mean, matrix=WHITENING.matrix, scale=55.0, epsilon=0.1),
    ),
    "Framing": lambda: Call(
        preprocess.Framing,
        dict(size=(6, 6), channels=3),
        then=lambda made: (made.pixels(pictures(1)[0]), made.box(5, 7)),
    ),
    "Framing.pixels": lambda: Call(
        preprocess.Framing((6, 6), 3).pixels, dict(picture=pictures(1)[0])
    ),
    "Framing.box": lambda: Call(preprocess.Framing((6, 6), 3).box, dict(width=5, height=7)),
    "Framing.lost": lambda: Call(preprocess.Framing((6, 6), 3).lost, dict(width=5, height=7)),
    "preprocess.open_picture": calling(preprocess.open_picture, picture=pictures(1)[0]),
    "preprocess.picture_name": calling(preprocess.picture_name, picture="cat.jpg"),
    "preprocess.picture_size": _load(preprocess.picture_size, picture="6x6.png"),
    "explain": lambda: _explain(),
    "contact_sheet": lambda: Call(
        ninc.contact_sheet,
        dict(explanations=[_explanation()], truths=["0"], columns=1, title="One"),
    ),
    "Explanation": lambda: Call(
        ninc.Explanation,
        {f.name: getattr(_explanation(), f.name) for f in dataclasses.fields(ninc.Explanation)},
    ),
    "Explanation.save": lambda: Call(_explanation().save, dict(path="map.png")),
    # The process
    "set_num_threads": lambda: Call(ninc.set_num_threads, dict(count=2)),
    "set_target": lambda: Call(ninc.set_target, dict(name=ninc.target())),
}


def _calibrate():
    """Of pictures that the network is right about now and then."""
    images = np.concatenate([pictures(n) for n in (1, 2, 3, 4, 5, 6)])
    data_given = (images, network().predict(images).argmax(axis=1) ^ (np.arange(21) % 3 == 0))
    made = network()
    return Call(made.calibrate, dict(data=data_given), network=made)


def _export_onnx():
    pytest.importorskip("onnx")
    return _of_network("export_onnx", path="out.onnx")()


def _load_onnx():
    pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
    from support.formats.onnx_models import model, node

    content = model(node("Relu"), [None, 3, 6, 6]).SerializeToString()
    with open("net.onnx", "wb") as file:
        file.write(content)
    return Call(ninc.load_onnx, {"path": "net.onnx"}, then=repr)


def _load_state_dict():
    made = network()
    return Call(made.load_state_dict, dict(values=made.state_dict()), network=made, trains=True)


def _explain():
    made = network()
    chosen = dict(label=1, method="grad-cam", layer="conv1")
    return Call(ninc.explain, dict(network=made, picture=pictures(1)[0], **chosen), network=made)
