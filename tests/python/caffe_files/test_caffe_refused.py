"""Networks that ninc does not have, nets without sense, weights that do not fit: one sentence."""

import dataclasses
import functools

import numpy as np
import pytest

from ninc.formats.caffe import operations
from ninc.formats.caffe.builder import Builder
from support.formats.caffe_files import (
    DATA,
    Word,
    blob,
    field,
    layer,
    random,
    refusal,
    settings,
    small_net,
    stored,
    stored_layer,
    written,
)

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")


@pytest.fixture
def refused(tmp_path):
    return functools.partial(refusal, tmp_path)


def changed(index=0, **changes):
    """`small_net` with one layer told otherwise."""
    net = small_net()
    net[index]["told"].update(changes)
    return net


# ---- Layers that ninc does not have --------------------------------------------------------------


def test_all_layers_that_cannot_be_are_told_at_once_with_the_reasons(refused):
    net = [
        *small_net()[:2],
        layer("norm1", "LRN", "conv1", norm_region=Word("WITHIN_CHANNEL")),
        layer("norm2", "LRN", "norm1", local_size=4),
        layer("power", "Power", "norm2", power=2.0),
        layer("product", "Eltwise", "power power", coeff=[1, -1]),
        layer("scale", "Scale", "product", blobs=[random(4)]),
        layer("deconv", "Deconvolution", "scale"),
    ]  # fmt: skip
    expected = (
        "caffemodel: layers that ninc cannot take over: norm1 (LRN): norm_region is "
        "WITHIN_CHANNEL, only ACROSS_CHANNELS is known; norm2 (LRN): local_size must be odd, got "
        "4; power (Power): ninc has no such layer; product (Eltwise): coeff is 1, -1, only 1 "
        "is known; scale (Scale): only a Scale after a BatchNorm is known; deconv "
        "(Deconvolution): ninc has no such layer"
    )
    assert refused(stored(net)) == expected
    assert refused(stored(net), written(net, inputs=["data"])) == expected.replace(
        "caffemodel", "prototxt", 1
    )


POOL = dict(kernel_size=3)
UNSUPPORTED = {
    "an axis": (changed(axis=2), "conv1 (Convolution): axis is 2, only 1 is known"),
    "three axes": (changed(stride=[1, 1, 1]), "stride has 3 numbers, only pictures of two axes"),
    "no kernel": (changed(kernel_size=[]), "kernel_size is missing"),
    "a kernel of 0": (changed(kernel_size=0), "kernel_size must be from 1 to 65,535, got 0"),
    "a huge pad": (changed(pad=2**32 - 1), "pad must be from 0 to 65,535, got 4294967295"),
    "a negative stride": (changed(stride=-1), "stride must be from 1 to 65,535, got -1"),
    "a huge dilation": (changed(dilation=2**63), "dilation must be from 1 to 65,535, got -92233"),
    "no outputs": (changed(num_output=0), "num_output must be from 1 to 65,535, got 0"),
    "groups of 0": (changed(group=0), "group must be from 1 to 65,535, got 0"),
    "an unknown setting": (changed(fuse_type=0), "convolution_param has field 19, which is not"),
    "half a kernel": (
        [layer("p", "Pooling", kernel_h=3)], "p (Pooling): kernel_w is missing",
    ),
    "stochastic": ([layer("p", "Pooling", pool=Word("STOCHASTIC"), **POOL)], "pool is STOCHASTIC"),
    "another pool": ([layer("p", "Pooling", pool=7, **POOL)], "pool is 7, only MAX and AVE"),
    "another rounding": ([layer("p", "Pooling", round_mode=2, **POOL)], "round_mode is 2"),
    "a wide pad": ([layer("p", "Pooling", pad=2, **POOL)], "pad 2×2 is more than half of the ker"),
    "a global stride": (
        [layer("p", "Pooling", global_pooling=True, stride=2)], "global_pooling goes with stride 1",
    ),
    "all dropped": ([layer("d", "Dropout", dropout_ratio=1.0)], "dropout_ratio must lie in 0..1"),
    "a ratio of NaN": ([layer("d", "Dropout", dropout_ratio=np.nan)], "excluded, got nan"),
    "dropout in testing": ([layer("d", "Dropout", scale_train=False)], "scale_train is false"),
    "weighed sums": (
        [layer("e", "Eltwise", "data data", coeff=[1, -1])], "coeff is 1, -1, only 1 is known",
    ),
    "a sum of one": ([layer("e", "Eltwise")], "e (Eltwise): it takes 1 inputs instead of 2"),
    "a relu of two": ([layer("r", "ReLU", "data data")], "it takes 2 inputs instead of 1"),
    "a relu for two": ([layer("r", "ReLU", tops="a b")], "it gives 2 blobs instead of 1"),
    "a relu for none": ([layer("r", "ReLU", tops="")], "it gives 0 blobs instead of 1"),
    "concat in height": ([layer("c", "Concat", "data data", axis=2)], "axis is 2, only 1 is"),
    "softmax in height": ([layer("s", "Softmax", axis=2)], "axis is 2, only 1 is known: over"),
    "flattened in part": ([layer("f", "Flatten", end_axis=2)], "end_axis is 2, only -1 is known"),
    "an eps of 0": ([layer("b", "BatchNorm", eps=0.0)], "eps must be above 0, got 0"),
    "an eps of NaN": ([layer("b", "BatchNorm", eps=np.nan)], "eps must be above 0, got nan"),
    "a fraction above 1": (
        [layer("b", "BatchNorm", moving_average_fraction=3.0)], "must lie in 0..1, got 3",
    ),
    "a norm by each batch": (
        [layer("b", "BatchNorm", use_global_stats=False)],
        "b (BatchNorm): use_global_stats is false: it normalises by each batch's statistics in",
    ),
    "a scale of all": (
        [layer("b", "BatchNorm"), layer("s", "Scale", "b", num_axes=-1)], "num_axes is -1, only 1",
    ),
    "a scale of two": (
        [layer("b", "BatchNorm"), layer("s", "Scale", "b data")], "only a Scale after a BatchNorm",
    ),
    "a norm that feeds others, too": (
        [layer("b", "BatchNorm"), layer("s", "Scale", "b"), layer("e", "Eltwise", "s b")],
        "the BatchNorm before it feeds other layers, too",
    ),
    "a norm as it is scaled twice": (
        [layer("b", "BatchNorm"), layer("s", "Scale", "b"), layer("t", "Scale", "s")],
        "t (Scale): only a Scale after a BatchNorm is known",
    ),
    "a type without a name": ([layer("r", "")], "r (): ninc has no such layer"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_settings_that_ninc_does_not_have(name, refused):
    net, words = UNSUPPORTED[name]
    message = refused(stored([DATA, *net]))
    assert message.startswith("caffemodel: layers that ninc cannot take over: ")
    assert words in message


# ---- Nets that make no sense ---------------------------------------------------------------------


def without(net, **changes):
    net[-1].update(changes)
    return net


NONSENSE = {
    "nothing": ([], "describes no layers"),
    "data alone": ([DATA], "has no layers that compute anything in testing"),
    "no bottom": (without(small_net(), bottoms=[]), "gap (Pooling) has no bottom, and only layers"),
    "a bottom from nowhere": (
        without(small_net(), bottoms=["nothing"]), "gap (Pooling) takes 'nothing', which no layer",
    ),
    "round in a circle": (
        [layer("a", "Eltwise", "data b"), layer("b", "ReLU", "a")], "a (Eltwise) takes 'b', which",
    ),
    "fed by itself": ([DATA, layer("a", "Eltwise", "data a")], "a (Eltwise) takes 'a', which"),
    "later than its reader": (
        [layer("a", "ReLU"), layer("b", "ReLU", "a", "data")], "gives 'data', which another layer",
    ),
    "given twice": (
        [DATA, layer("a", "ReLU"), layer("b", "ReLU", tops="a")], "b (ReLU) gives 'a', which",
    ),
    "two inputs": (
        [layer("i", "Input", "", "a b"), layer("c", "Concat", "a b")], "this one takes 'a', 'b'",
    ),
    "labels taken": (
        [layer("d", "Data", "", "a label"), layer("c", "Eltwise", "a label")],
        "a network needs one input, and this one takes 'a', 'label'",
    ),
    "names of weights twice": (
        [*small_net()[:2], layer("conv1", "Convolution", "conv1", "c",
                                 [random(4, 4, 1, 1), random(4)], num_output=4, kernel_size=1)],
        "has weights for two layers of the name 'conv1'",
    ),
    "sums of other maps": (
        [*small_net()[:4], layer("e", "Eltwise", "cccp1 pool1")], "joins maps of 2 and 4 channels",
    ),
    "joins of other sizes": (
        [DATA, *small_net()[:3], layer("c", "Concat", "conv1 pool1")], "joins maps of 4×4 and 9×8",
    ),
    "a window larger than the map": (
        [DATA, layer("p", "Pooling", kernel_size=30)], "its window is larger than the map of 9×8",
    ),
    "a kernel larger than the map": (
        [DATA, layer("c", "Convolution", blobs=[random(1, 3, 20, 20)], num_output=1,
                     kernel_size=20, bias_term=False)],
        "c (Convolution): its window is larger than the map of 9×8",
    ),
    "groups that do not divide": (changed(group=3), "num_output is 4, no multiple of group"),
    "other channels": (
        [*small_net()[:3], *[one | {"blobs": [random(2, 5, 1, 1), random(2)]}
                             for one in small_net()[3:4]]],
        "cccp1 (Convolution): its weight is for 5 channels, and pool1 gives 4",
    ),
    "other features": (
        [DATA, layer("i", "InnerProduct", blobs=[random(5, 7)], num_output=5, bias_term=False)],
        "i (InnerProduct): its weight is for 7 channels, and flatten_i gives 216",
    ),
    "more channels than numbers count": (
        [DATA, *[layer(f"c{i + 1}", "Concat", f"c{i} c{i}" if i else "data data")
                 for i in range(40)]],
        "channels, which are too many",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", NONSENSE)
def test_nets_that_make_no_sense(name, refused):
    net, words = NONSENSE[name]
    assert words in refused(stored(net))


LONG = "n" * 3_000_000
LONG_NAMES = {
    "from nowhere": ([DATA, layer("a", "Eltwise", f"data {LONG}")], "which no layer before it"),
    "given twice": (
        [DATA, layer("a", "ReLU", tops=LONG), layer("b", "ReLU", tops=LONG)], "another layer gives",
    ),
    "two inputs": (
        [layer("i", "Input", "", f"a {LONG}"), layer("c", "Concat", f"a {LONG}")], "needs one inp",
    ),
    "weights twice": (
        [DATA, *[layer(LONG, "ReLU", tops=top, blobs=[random(1)]) for top in "ab"]],
        "weights for two",
    ),
    "of a layer": ([DATA, layer(LONG, LONG)], "ninc has no such layer"),
    "of many channels": (
        [DATA, *[layer(f"c{i + 1}", "Concat", f"c{i} c{i}" if i else "data data")
                 for i in range(29)], layer(LONG, "Concat", "c29 c29")],
        "channels, which are too many",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LONG_NAMES)
def test_names_without_an_end_are_cut_in_messages(case, refused):
    net, words = LONG_NAMES[case]
    message = refused(stored(net))  # which is held to 2,000 characters
    assert words in message and LONG[:81] not in message


def test_two_layers_of_one_long_name_that_take_the_same_weights(refused):
    name = LONG[:10_000]
    net = [DATA, *[one | {"name": name} if one["blobs"] else one for one in small_net()]]
    assert "two layers with weights have the name" in refused(stored(net[:2]), written(net))


def test_a_sum_is_one_number_a_channel_where_all_its_inputs_are():
    layer_of_it = operations.CaffeLayer("sum", "Eltwise", [], [], operations.Message(), 1)
    for flats in ((True, True), (True, False), (False, True), (True, True, False)):
        build = Builder("net")
        x = build.input("data", [], (3, None))
        maps = [dataclasses.replace(x, flat=flat) for flat in flats]
        job = operations.Job(layer_of_it, None, [])
        total = operations.OPERATIONS["Eltwise"].make(build, job, maps)
        assert total.flat == all(flats)


def test_formats_that_are_mixed_or_too_old(refused):
    both = stored(small_net()) + field(2, stored_layer(small_net()[0], old=True))
    assert "has both `layer` and `layers`" in refused(both)
    oldest = field(1, "net") + field(2, field(1, field(1, "conv1")) + field(2, "data"))
    assert "is in Caffe's first format, of 2013" in refused(oldest)
    assert "has 5,001 layers" in refused(field(100, b"") * 5_001)
    sums = [layer("e", "Eltwise", "data " * 4_000), layer("f", "Eltwise", "e " * 4_000)]
    assert "at most 5,000 layers" in refused(stored(sums))


# ---- Weights -------------------------------------------------------------------------------------


def shaped(dims, count, old=False):
    """A blob that says one shape and has so many numbers."""
    head = b"".join(field(n, d) for n, d in enumerate(dims, 1)) if old else field(
        7, b"".join(field(1, d) for d in dims)
    )  # fmt: skip
    return head + field(5, b"\0\0\0\0" * count)


def weighed(*blobs):
    """`small_net` whose first layer has these blobs."""
    net = small_net()
    net[0]["blobs"] = list(blobs)
    return net


GOOD, BIAS = random(4, 3, 3, 3), random(4)
WEIGHTS = {
    "none": (weighed(), "the number of blobs with weights is not what layers need: conv1 (Convolu"),
    "one": (weighed(GOOD), "conv1 (Convolution) has 1 of 2"),
    "three": (weighed(GOOD, BIAS, BIAS), "conv1 (Convolution) has 3 of 2"),
    "another kernel": (
        weighed(random(4, 3, 5, 5), BIAS),
        "its weight has the shape 4×3×5×5, and its layer's settings need 4×any×3×3",
    ),
    "other outputs": (weighed(random(5, 3, 3, 3), BIAS), "need 4×any×3×3"),
    "flat": (weighed(random(108), BIAS), "has the shape 108, and its layer's"),
    "another bias": (weighed(GOOD, random(5)), "its bias has the shape 5, and its layer's set"),
    "fewer numbers": (
        weighed(shaped((4, 3, 3, 3), 107), BIAS), "which are 108 numbers, and 107 are there",
    ),
    "more numbers": (weighed(shaped((4, 3, 3, 3), 109), BIAS), "and 109 are there"),
    "no numbers": (weighed(shaped((4, 3, 3, 3), 0), BIAS), "and 0 are there"),
    "no shape": (weighed(field(5, b"\0" * 8), BIAS), "0×0×0×0, which no weights have"),
    "a shape of 0": (weighed(shaped((4, 0, 3, 3), 0), BIAS), "4×0×3×3, which no weights have"),
    "a negative shape": (weighed(shaped((4, -3, 3, 3), 9), BIAS), "4×-3×3×3, which no weights"),
    "an old negative shape": (
        weighed(shaped((4, -3, 3, 3), 9, old=True), BIAS), "4×-3×3×3, which no weights have",
    ),
    "a product beyond 64 bits": (
        weighed(shaped((4, 2**31 - 1, 3, 3), 9), BIAS), "which are 77,309,411,292 numbers, and 9",
    ),
    "a shape beyond 31 bits": (weighed(shaped((4, 2**62, 3, 3), 9), BIAS), "which no weights"),
    "many dimensions": (weighed(shaped((1,) * 1000, 1), BIAS), "which no weights have"),
    "raw bytes of no type": (
        weighed(field(7, field(1, 4)) + field(10, 3) + field(12, b"\0" * 16), BIAS),
        "has the shape 4, and",
    ),
    "raw whole numbers": (
        weighed(
            blob(GOOD, "half").replace(field(10, 2), field(10, 3)), BIAS
        ), "bytes of type 3, which are no float64, float32 or float16",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_that_do_not_fit(name, refused):
    net, words = WEIGHTS[name]
    assert words in refused(stored(net))


def test_all_layers_without_weights_are_told(refused):
    net = [one | {"blobs": []} for one in small_net()]
    message = refused(stored(net), written(small_net(), inputs=["data"]))
    assert message.startswith("caffemodel: the number of blobs")
    assert "conv1 (Convolution) has 0 of 2; cccp1 (Convolution) has 0 of 2" in message


def test_a_description_that_asks_for_more_than_the_file_has_takes_no_memory(refused):
    text = written(changed(num_output=10**9, kernel_size=60_000), inputs=["data"])
    assert "need 1000000000×any×60000×60000" in refused(stored(small_net()), text)


def test_settings_are_written_as_they_are_read():
    assert settings("pooling_param", dict(pool=Word("AVE"))) == b"\x08\x01"
