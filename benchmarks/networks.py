"""Networks that other people use, of layers of ninc's, with the layers' own first weights: He's.

Batch norm is a layer of its own, with running statistics as they are before training. One network
more comes from a file, with the weights that it was trained to.
"""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import ninc
from ninc import nn

# A MobileNetV3 in the package rapidocr-onnxruntime of PyPI; it tells whether a line of text is
# upside down. It is too large for the repository.
TEXT_DIRECTION = Path(
    os.environ.get("NINC_TEST_DATA", "absent"), "ch_ppocr_mobile_v2.0_cls_infer.onnx"
)


def resnet20(classes=10, seed=0):
    """The ResNet of 20 layers for CIFAR-10 with shortcuts without parameters.

    He, Zhang, Ren, Sun 2016, section 4.2, option A: where maps shrink, every other row and column
    of the input is taken, and the channels that are missing are zeros, half on either side.
    """
    graph = nn.Graph(seed=seed)
    x = _relu(graph, _convolution(graph, graph.input(), 3, 16, 3))
    inputs = 16
    for outputs in (16, 32, 64):
        for _ in range(3):
            stride = outputs // inputs
            y = _relu(graph, _convolution(graph, x, inputs, outputs, 3, stride))
            y = _convolution(graph, y, outputs, outputs, 3)
            if stride > 1:
                x = graph.add(nn.Slice(height=(0, None, 2), width=(0, None, 2)), x)
                x = graph.add(nn.Pad(channels=(outputs // 4, outputs // 4)), x)
            x, inputs = _relu(graph, graph.add(nn.Add(), y, x)), outputs
    graph.add(nn.Linear(64, classes), graph.add(nn.GlobalAvgPool2d(), x))
    return graph


def resnet50(classes=1000, seed=0):
    """ResNet-50 (the same paper, table 1) as torchvision has it.

    Where maps shrink, the 3×3 convolution of a block has the stride, not its first 1×1.
    """
    graph = nn.Graph(seed=seed)
    x = _relu(graph, _convolution(graph, graph.input(), 3, 64, 7, 2))
    x = graph.add(nn.MaxPool2d(3, 2, padding=1), x)
    inputs = 64
    for width, blocks in ((64, 3), (128, 4), (256, 6), (512, 3)):
        for block in range(blocks):
            stride = 2 if block == 0 and width > 64 else 1
            y = _relu(graph, _convolution(graph, x, inputs, width, 1))
            y = _relu(graph, _convolution(graph, y, width, width, 3, stride))
            y = _convolution(graph, y, width, 4 * width, 1)
            if block == 0:
                x = _convolution(graph, x, inputs, 4 * width, 1, stride)
            x, inputs = _relu(graph, graph.add(nn.Add(), y, x)), 4 * width
    graph.add(nn.Linear(inputs, classes), graph.add(nn.GlobalAvgPool2d(), x))
    return graph


def vgg19(classes=1000, seed=0):
    """The convolutions and pools of VGG-19 (Simonyan, Zisserman 2015), then one linear layer.

    The paper's three would be matrix products of 124 million weights with one picture.
    """
    layers, inputs = [], 3
    for outputs, convolutions in ((64, 2), (128, 2), (256, 4), (512, 4), (512, 4)):
        for _ in range(convolutions):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1), nn.ReLU()]
            inputs = outputs
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Linear(inputs, classes), seed=seed)


# Of SqueezeNet 1.1's fire modules behind each pool: squeezed channels, and those of each expansion.
FIRES = (
    ((16, 64), (16, 64)),
    ((32, 128), (32, 128)),
    ((48, 192), (48, 192), (64, 256), (64, 256)),
)


def squeezenet(classes=1000, seed=0):
    """SqueezeNet 1.1 (Iandola et al. 2016, and the authors' later version of it)."""
    graph = nn.Graph(seed=seed)

    def convolution(x, inputs, outputs, size, stride=1, padding=0):
        return _relu(graph, graph.add(nn.Conv2d(inputs, outputs, size, stride, padding), x))

    x, inputs = convolution(graph.input(), 3, 64, 3, 2), 64
    for fires in FIRES:
        x = graph.add(nn.MaxPool2d(3, 2, ceil_mode=True), x)
        for squeezed, expanded in fires:
            x = convolution(x, inputs, squeezed, 1)
            small = convolution(x, squeezed, expanded, 1)
            large = convolution(x, squeezed, expanded, 3, padding=1)
            x, inputs = graph.add(nn.Concat(), small, large), 2 * expanded
    x = convolution(graph.add(nn.Dropout(0.5), x), inputs, classes, 1)
    graph.add(nn.GlobalAvgPool2d(), x)
    return graph


# Of MobileNetV1's separable layers (Howard et al. 2017, table 1): output channels and stride.
MOBILENET_LAYERS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2),
    (512, 1), (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip


def mobilenet_v1(classes=10, width=1.0, seed=0):
    """MobileNetV1, all of whose channels are `width` times the paper's."""
    inputs = int(32 * width)
    layers = [nn.Conv2d(3, inputs, 3, 2, padding=1, bias=False), nn.BatchNorm2d(inputs), nn.ReLU()]
    for outputs, stride in (
        (int(width * channels), stride) for channels, stride in MOBILENET_LAYERS
    ):
        layers += [
            nn.Conv2d(inputs, inputs, 3, stride, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs), nn.ReLU(),
            nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
        ]  # fmt: skip
        inputs = outputs
    return nn.Sequential(*layers, nn.GlobalAvgPool2d(), nn.Linear(inputs, classes), seed=seed)


def text_direction():
    """The network of the file TEXT_DIRECTION, with its weights."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ninc.Remark)  # it has no word about its pictures
        return ninc.load_onnx(TEXT_DIRECTION)


def _convolution(graph, x, inputs, outputs, size, stride=1):
    """A convolution that keeps maps' sizes at stride 1, and its batch norm."""
    layer = nn.Conv2d(inputs, outputs, size, stride, padding=size // 2, bias=False)
    return graph.add(nn.BatchNorm2d(outputs), graph.add(layer, x))


def _relu(graph, x):
    return graph.add(nn.ReLU(), x)
