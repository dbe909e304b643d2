"""Networks of Caffe give what Caffe gives: each layer, both formats, with or without a prototxt."""

import copy
import pickle

import numpy as np
import pytest

import ninc
from ninc import nn
from support.formats import caffe_reference
from support.formats.caffe_files import DATA, Word, layer, random, small_net, stored, written

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")


def load(tmp_path, content, text=None, **options):
    """The network of these bytes, with the prototxt of this text."""
    (tmp_path / "net.caffemodel").write_bytes(content)
    if text is not None:
        (tmp_path / "net.prototxt").write_text(text)
        options["prototxt"] = tmp_path / "net.prototxt"
    return ninc.load_caffe(tmp_path / "net.caffemodel", **options)


def assert_gives(network, layers, x):
    """The network gives what its layers give in float64, within float32's rounding.

    The sums here have some hundred terms of size one, and there are a few layers of them.
    """
    expected = caffe_reference.run(layers, x)
    if expected.shape[2:] == (1, 1):
        expected = expected[:, :, 0, 0]
    y = network(x)
    assert y.shape == expected.shape
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5 * max(1.0, np.abs(expected).max()))


def conv(name, bottom, channels, outputs, size=3, tops=None, bias=True, group=1, **told):
    """A convolution with random weights."""
    kernel = (size, size) if isinstance(size, int) else size
    blobs = [random(outputs, channels // group, *kernel, seed=sum(map(ord, name)))]
    blobs += [random(outputs)] if bias else []
    if "kernel_h" not in told:
        told["kernel_size"] = size
    told |= {"group": group} if group > 1 else {}
    return layer(name, "Convolution", bottom, tops, blobs, num_output=outputs, **told)


def norm(name, bottom, channels, factor=1.0, tops=None, **told):
    var = np.abs(random(channels, seed=1)) + np.float32(0.5)
    blobs = [random(channels) * factor, var * factor, np.float32([factor])]
    return layer(name, "BatchNorm", bottom, tops, blobs, **told)


MAX, AVE, FLOOR = Word("MAX"), Word("AVE"), Word("FLOOR")
RAMP = layer("data", "MemoryData", "", "data label", batch_size=1, channels=3, height=9, width=8)

# Nets for pictures of 3×9×8, each after its input.
NETS = {
    "as NIN is": small_net(),
    "a bias that is not": [conv("c", "data", 3, 4, bias=False, bias_term=False)],
    "one number for both axes": [conv("c", "data", 3, 4, pad=2, stride=3, dilation=2)],
    "a number for each axis": [conv("c", "data", 3, 4, pad=[1, 2], stride=[2, 1], dilation=[2, 1])],
    "height and width": [
        conv("c", "data", 3, 4, (5, 3), kernel_h=5, kernel_w=3, pad_h=2, pad_w=0, stride_h=1,
             stride_w=2)
    ],
    "groups": [
        conv("a", "data", 3, 4), conv("b", "a", 4, 6, group=2), conv("c", "b", 6, 6, group=6)
    ],
    "max pool, ceil": [layer("p", "Pooling", pool=MAX, kernel_size=3, stride=2)],
    "max pool, padded": [layer("p", "Pooling", pool=MAX, kernel_size=3, stride=2, pad=1)],
    "average pool, ceil": [layer("p", "Pooling", pool=AVE, kernel_size=3, stride=2)],
    "average pool, padded": [layer("p", "Pooling", pool=AVE, kernel_size=3, stride=2, pad=1)],
    "average pool, height and width": [
        layer("p", "Pooling", pool=AVE, kernel_h=4, kernel_w=2, stride_h=3, stride_w=2, pad_h=2,
              pad_w=0)
    ],
    "a pool that rounds down": [
        layer("p", "Pooling", pool=MAX, kernel_size=2, stride=2, round_mode=FLOOR)
    ],
    "a pool without words": [layer("p", "Pooling", kernel_size=2)],
    "average of all": [layer("p", "Pooling", pool=AVE, global_pooling=True)],
    "largest of all": [layer("p", "Pooling", pool=MAX, global_pooling=True)],
    "linear of maps": [
        layer("ip", "InnerProduct", blobs=[random(5, 216), random(5)], num_output=5)
    ],
    "linear twice, then softmax": [
        layer("a", "InnerProduct", blobs=[random(6, 216), random(6)], num_output=6),
        layer("r", "ReLU", "a", "a"),
        layer("drop", "Dropout", "a", "a", dropout_ratio=0.3),
        layer("b", "InnerProduct", "a", blobs=[random(4, 6)], num_output=4, bias_term=False),
        layer("prob", "Softmax", "b"),
    ],
    "linear, stored the other way": [
        layer("ip", "InnerProduct", blobs=[random(216, 5)], num_output=5, bias_term=False,
              transpose=True)
    ],
    "flattened by itself": [
        layer("flat", "Flatten"),
        layer("ip", "InnerProduct", "flat", blobs=[random(5, 216), random(5)], num_output=5),
    ],
    "linear of an average": [
        conv("a", "data", 3, 4), layer("p", "Pooling", "a", pool=AVE, kernel_h=7, kernel_w=6),
        layer("ip", "InnerProduct", "p", blobs=[random(5, 4), random(5)], num_output=5),
    ],
    "softmax of maps": [conv("c", "data", 3, 4), layer("s", "Softmax", "c")],
    "concat": [
        conv("a", "data", 3, 4, 1), conv("b", "data", 3, 2, 1), layer("both", "Concat", "a b a"),
        conv("c", "both", 10, 3, 1),
    ],
    "concat of an old kind": [
        conv("a", "data", 3, 4, 1), conv("b", "data", 3, 2, 1),
        layer("both", "Concat", "a b", concat_dim=1),
    ],
    "sums": [
        conv("a", "data", 3, 4, 1), conv("b", "data", 3, 4, 1),
        layer("s", "Eltwise", "a b a", operation=Word("SUM"), coeff=[1, 1, 1]),
        layer("r", "ReLU", "s", "s"), layer("t", "Eltwise", "s b"),
    ],
    "products": [
        conv("a", "data", 3, 4, 1), conv("b", "data", 3, 4, 1),
        layer("p", "Eltwise", "a b a", operation=Word("PROD")),
    ],
    "normalised as AlexNet is": [
        conv("a", "data", 3, 7), layer("n", "LRN", "a", local_size=5, alpha=0.5, beta=0.75),
        layer("m", "LRN", "n", local_size=3, alpha=2.0, beta=1.5, k=2.0), layer("l", "LRN", "m"),
    ],
    "sigmoid and tanh": [
        conv("a", "data", 3, 4), layer("s", "Sigmoid", "a"), layer("t", "TanH", "s", "s"),
    ],
    "a slope below zero": [
        conv("a", "data", 3, 4), layer("r", "ReLU", "a", "a", negative_slope=0.25),
    ],
    "splits as Caffe stores them": [
        conv("a", "data", 3, 4, 1), layer("a_split", "Split", "a", "a_0 a_1"),
        conv("b", "a_0", 4, 4, 1), layer("s", "Eltwise", "a_1 b"),
    ],
}  # fmt: skip
NORMED = {
    "batch norm": [conv("c", "data", 3, 4), norm("bn", "c", 4)],
    "batch norm of sums": [conv("c", "data", 3, 4), norm("bn", "c", 4, 999.5, eps=1e-3)],
    "batch norm that says what testing does": [norm("bn", "data", 3, use_global_stats=True)],
    "batch norm never trained": [conv("c", "data", 3, 4), norm("bn", "c", 4, 0.0)],
    "batch norm and scale, in place": [
        conv("c", "data", 3, 4, bias=False, bias_term=False), norm("bn", "c", 4, 2.0, "c"),
        layer("sc", "Scale", "c", "c", [random(4, seed=3), random(4, seed=4)], bias_term=True),
        layer("r", "ReLU", "c", "c"),
    ],
    "batch norm and scale without a bias": [
        norm("bn", "data", 3, 2.0), layer("sc", "Scale", "bn", blobs=[random(3, seed=3)]),
    ],
    "exponential units": [layer("e", "ELU"), layer("f", "ELU", "e", alpha=0.5)],
    "slopes that were trained": [
        layer("p", "PReLU", blobs=[random(3)]),
        layer("q", "PReLU", "p", blobs=[random(1)], channel_shared=True),
    ],
    "batch norms that feed two": [
        norm("bn", "data", 3), conv("a", "bn", 3, 3, 1), layer("s", "Eltwise", "a bn"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", [*NETS, *NORMED])
def test_it_gives_what_caffe_gives(name, tmp_path):
    layers = [DATA, *(NETS | NORMED)[name]]
    x = random(2, 3, 9, 8)
    network = load(tmp_path, stored(layers))
    assert_gives(network, layers, x)
    with_text = load(tmp_path, stored(layers), written(layers))
    np.testing.assert_array_equal(with_text(x), network(x))
    assert repr(with_text.core.graph_json()) == repr(network.core.graph_json())


@pytest.mark.parametrize("name", [one for one in NETS if "flattened" not in one])
def test_the_old_format_gives_the_same(name, tmp_path):
    layers = [RAMP, *copy.deepcopy(NETS[name])]
    for one in layers:
        one["told"].pop("axis", None)
    x = random(2, 3, 9, 8)
    content = stored(layers, old=True, form="legacy")
    network = load(tmp_path, content)
    assert_gives(network, layers, x)
    text = written(layers[1:], old=True, inputs=[("data", (1, 3, 9, 8))])
    np.testing.assert_array_equal(load(tmp_path, content, text)(x), network(x))


@pytest.mark.parametrize("form", ["legacy", "unpacked", "double", "half"])
def test_numbers_of_every_kind(form, tmp_path):
    layers = small_net()
    for one in layers:  # numbers that float16 holds
        one["blobs"] = [blob.astype(np.float16).astype(np.float32) for blob in one["blobs"]]
    x = random(2, 3, 9, 8)
    expected = load(tmp_path, stored(layers))(x)
    np.testing.assert_array_equal(load(tmp_path, stored(layers, form=form))(x), expected)


def test_weights_are_found_by_name_whatever_else_the_file_has(tmp_path):
    layers = small_net()
    others = [conv("other", "data", 3, 5), *reversed(layers)]
    others = [one | {"bottoms": ["nowhere"], "more": {}} for one in others]
    network = load(tmp_path, stored(others), written(layers, inputs=["data"]))
    assert_gives(network, layers, random(2, 3, 9, 8))


# ---- Phases and ends -----------------------------------------------------------------------------


def trained(layers):
    """The net as it is trained: with data for both phases, labels, a loss and an accuracy."""
    phase = {name: dict(include=dict(phase=Word(name))) for name in ("TRAIN", "TEST")}
    last = layers[-1]["tops"][0]
    return [
        layer("data", "Data", "", "data label", more=phase["TRAIN"], batch_size=64),
        layer("data", "Data", "", "data label", more=phase["TEST"], batch_size=100),
        *layers,
        layer("accuracy", "Accuracy", f"{last} label", more=phase["TEST"]),
        layer("loss", "SoftmaxWithLoss", f"{last} label"),
    ]  # fmt: skip


@pytest.mark.parametrize("old", [False, True])
def test_what_training_alone_needs_is_left_out(old, tmp_path):
    layers, x = small_net(), random(2, 3, 9, 8)
    expected = load(tmp_path, stored(layers))(x)
    all_of_it = trained(layers)
    saved = [one for one in all_of_it if one["more"] != dict(include=dict(phase="TEST"))]
    content = stored(saved, old)
    for text in (None, written(all_of_it, old), written(layers, old, inputs=["data"])):
        np.testing.assert_array_equal(load(tmp_path, content, text)(x), expected)


LABELS = layer("label_split", "Split", "label", "label_0 label_1")
PICTURES = layer("data_split", "Split", "data", "data_0 data_1")


@pytest.mark.parametrize("splits", [[LABELS], [PICTURES], [LABELS, PICTURES], [PICTURES, LABELS]])
def test_a_net_saved_in_training_whose_labels_have_two_readers(splits, tmp_path):
    """Caffe saves the net of training, its splits included, and the first may be of the labels."""
    layers, x = small_net(), random(2, 3, 9, 8)
    expected = load(tmp_path, stored(layers))(x)
    train = dict(include=dict(phase=Word("TRAIN")))
    if PICTURES in splits:
        layers[0] = layers[0] | {"bottoms": ["data_1"]}
    one, two = ("label_0", "label_1") if LABELS in splits else ("label", "label")
    saved = [
        layer("data", "Data", "", "data label", more=train, batch_size=64), *splits, *layers,
        layer("accuracy", "Accuracy", f"gap {one}", more=train),
        layer("loss", "SoftmaxWithLoss", f"gap {two}"),
    ]  # fmt: skip
    for old in (False, True):
        network = load(tmp_path, stored(saved, old), written(saved, old))
        np.testing.assert_array_equal(network(x), expected)
        np.testing.assert_array_equal(load(tmp_path, stored(saved, old))(x), expected)


def test_a_loss_before_all_else_takes_no_input_for_the_network(tmp_path):
    layers, x = small_net(), random(2, 3, 9, 8)
    expected = load(tmp_path, stored(layers))(x)
    silent = layer("silence", "Silence", "label", "")
    np.testing.assert_array_equal(load(tmp_path, stored([silent, *layers]))(x), expected)


RULES = {
    "train alone": (dict(include=dict(phase=Word("TRAIN"))), False),
    "test alone": (dict(include=dict(phase=Word("TEST"))), True),
    "either": (dict(include=[dict(phase=Word("TRAIN")), dict(phase=Word("TEST"))]), True),
    "not in testing": (dict(exclude=dict(phase=Word("TEST"))), False),
    "not in training": (dict(exclude=dict(phase=Word("TRAIN"))), True),
    "a stage that is": (dict(include=dict(stage="deploy")), True),
    "a stage that is not": (dict(include=dict(stage="other")), False),
    "not in a stage": (dict(exclude=dict(phase=Word("TEST"), stage="deploy")), False),
    "no such stage": (dict(include=dict(not_stage="deploy")), False),
    "from a level on": (dict(include=dict(min_level=2)), True),
    "from a higher one on": (dict(include=dict(min_level=4)), False),
    "up to a level": (dict(include=dict(max_level=2)), False),
}  # fmt: skip


@pytest.mark.parametrize("name", RULES)
def test_rules_say_what_is_part_of_the_net(name, tmp_path):
    more, is_there = RULES[name]
    layers = [conv("c", "data", 3, 4), layer("r", "ReLU", "c", "c", more=more)]
    head = 'state { level: 3 stage: "deploy" }'
    network = load(tmp_path, stored(layers), written(layers, inputs=["data"], head=head))
    assert (network(random(1, 3, 9, 8)).min() >= 0) == is_there


def test_other_ends_are_left_out_with_a_remark(tmp_path):
    layers = [
        conv("stem", "data", 3, 4), conv("side", "stem", 4, 2, 1), layer("odd", "Power", "side"),
        conv("main", "stem", 4, 3, 1),
    ]  # fmt: skip
    with pytest.warns(ninc.Remark, match=r"the output is what main .* gives.*left out: odd \(Po"):
        network = load(tmp_path, stored(layers))
    x = random(2, 3, 9, 8)
    assert_gives(network, [layers[0], layers[3]], x)
    assert set(network.state_dict()) == {"stem.weight", "stem.bias", "main.weight", "main.bias"}


# ---- Averages over the whole map -----------------------------------------------------------------


def ops(network):
    return [node.operation for node in network.graph]


def averaged(**told):
    return [conv("c", "data", 3, 4, 1), layer("p", "Pooling", "c", pool=AVE, **told)]


def test_a_window_as_large_as_the_map_is_an_average_over_all(tmp_path):
    covered = averaged(kernel_h=9, kernel_w=8)
    network = load(tmp_path, stored([DATA, *covered]))
    assert ops(network)[-1] == "GlobalAvgPool2d"
    assert network.class_maps(random(1, 3, 9, 8)).shape == (1, 4, 9, 8)
    assert network(random(1, 3, 20, 30)).shape == (1, 4)
    smaller = load(tmp_path, stored([DATA, *averaged(kernel_size=8)]))
    assert ops(smaller)[-1] == "AvgPool2d"
    assert_gives(smaller, averaged(kernel_size=8), random(2, 3, 9, 8))


def test_a_last_average_is_one_over_all_where_no_size_is_known(tmp_path):
    with pytest.warns(ninc.Remark, match="averages windows of 8×8.*average over the whole map"):
        assert ops(load(tmp_path, stored(averaged(kernel_size=8))))[-1] == "GlobalAvgPool2d"
    strided = load(tmp_path, stored(averaged(kernel_size=8, stride=2)))
    assert ops(strided)[-1] == "AvgPool2d"
    linear = layer("ip", "InnerProduct", "p", blobs=[random(5, 4), random(5)], num_output=5)
    network = load(tmp_path, stored([*averaged(kernel_size=7, stride=7), linear]))
    assert ops(network)[-2:] == ["GlobalAvgPool2d", "Linear"]
    assert network.class_maps(random(1, 3, 9, 8)).shape == (1, 5, 9, 8)
    wide = layer("ip", "InnerProduct", "p", blobs=[random(5, 16), random(5)], num_output=5)
    network = load(tmp_path, stored([*averaged(kernel_size=3, stride=3), wide]))
    assert ops(network)[-3:] == ["AvgPool2d", "Flatten", "Linear"]


# ---- What comes out is a network as any other ----------------------------------------------------


@pytest.fixture
def network(tmp_path):
    layers = [conv("stem", "data", 3, 3), norm("bn/one", "stem", 3), *small_net()]
    layers[2] = layers[2] | {"bottoms": ["bn/one"]}
    return load(tmp_path, stored([DATA, *layers]))


def test_it_is_saved_pickled_and_copied(network, tmp_path):
    x = random(2, 3, 9, 8)
    y = network(x)
    network.save(tmp_path / "m.safetensors")
    copies = [ninc.load(tmp_path / "m.safetensors"), pickle.loads(pickle.dumps(network))]
    for again in (*copies, copy.deepcopy(network)):
        np.testing.assert_array_equal(again(x), y)
    assert isinstance(network, nn.Graph) and "bn_one = BatchNorm2d(3" in repr(network)
    assert "conv1 (Conv2d)" in network.summary((3, 9, 8))
    assert network.new_head(["a", "b", "c"])(x).shape == (2, 3)


def test_it_trains(network):
    x, labels = random(8, 3, 9, 8), np.arange(8) % 2
    trainer = ninc.Trainer(network, ninc.SGD(0.05))
    losses = [float(trainer.step(x, labels)) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]


def test_it_can_be_added_to(network):
    network.add(nn.Softmax(), "gap")
    np.testing.assert_allclose(network(random(2, 3, 9, 8)).sum(axis=1), 1.0, rtol=1e-6)


def test_batch_norm_goes_on_as_caffe_trains_it(tmp_path):
    layers = [norm("bn", "data", 3, moving_average_fraction=0.95, eps=1e-3)]
    told = load(tmp_path, stored(layers)).graph[-1].attributes
    assert (told["momentum"], told["eps"]) == (pytest.approx(0.05), pytest.approx(1e-3))


# ---- Names ---------------------------------------------------------------------------------------


def test_names_that_ninc_cannot_have(tmp_path):
    layers = [
        conv("in/1x1", "data", 3, 4, 1), conv("in_1x1", "in/1x1", 4, 4, 1),
        conv("data", "in_1x1", 4, 4, 1, "third"), layer("", "ReLU", "third", "third"),
        layer("twice", "ReLU", "third", "t"), layer("twice", "ReLU", "t", "t"),
        layer("a\nb" + "é" * 300, "ReLU", "t", "t"),
    ]  # fmt: skip
    network = load(tmp_path, stored(layers))
    names = [node.name for node in network.graph]
    assert names[:7] == ["x", "in_1x1", "in_1x1_2", "data", "relu", "twice", "twice_2"]
    assert names[7].startswith("a_bé") and len(names[7].encode()) < 256
    assert_gives(network, layers, random(1, 3, 5, 5))
