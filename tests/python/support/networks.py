"""Networks that people know, of layers of ninc's, and the same ones in torch."""

from ninc import nn


def resnet20(classes=10, seed=0):
    """The ResNet of 20 layers for CIFAR-10 with shortcuts without parameters.

    He, Zhang, Ren, Sun 2016, section 4.2, option A: where maps shrink, every other row and column
    of the input is taken, and the channels that are missing are zeros, half on either side.
    """
    graph = nn.Graph(seed=seed)

    def convolution(x, inputs, outputs, stride=1):
        x = graph.add(nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False), x)
        return graph.add(nn.BatchNorm2d(outputs), x)

    x = graph.add(nn.ReLU(), convolution(graph.input(), 3, 16))
    inputs = 16
    for outputs in (16, 32, 64):
        for _ in range(3):
            stride = outputs // inputs
            y = graph.add(nn.ReLU(), convolution(x, inputs, outputs, stride))
            y = convolution(y, outputs, outputs)
            if stride > 1:
                x = graph.add(nn.Slice(height=(0, None, 2), width=(0, None, 2)), x)
                x = graph.add(nn.Pad(channels=(outputs // 4, outputs // 4)), x)
            x, inputs = graph.add(nn.ReLU(), graph.add(nn.Add(), y, x)), outputs
    graph.add(nn.Linear(64, classes), graph.add(nn.GlobalAvgPool2d(), x))
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


def torch_resnet20(classes=10):
    """The same in torch, its parameters in the same order."""
    import torch
    from torch.nn import functional as T

    class Block(torch.nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.stride = outputs // inputs
            self.conv1 = torch.nn.Conv2d(inputs, outputs, 3, self.stride, 1, bias=False)
            self.bn1 = torch.nn.BatchNorm2d(outputs)
            self.conv2 = torch.nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = torch.nn.BatchNorm2d(outputs)

        def forward(self, x):
            y = self.bn2(self.conv2(T.relu(self.bn1(self.conv1(x)))))
            if self.stride > 1:
                quarter = y.shape[1] // 4
                x = T.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
            return T.relu(y + x)

    channels = (16, 16, 16, 16, 32, 32, 32, 64, 64, 64)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 16, 3, 1, 1, bias=False), torch.nn.BatchNorm2d(16), torch.nn.ReLU(),
        *(Block(*pair) for pair in zip(channels, channels[1:])),
        torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(64, classes),
    )  # fmt: skip


def torch_mobilenet_v1(classes=10, width=1.0):
    """The same in torch."""
    import torch

    inputs = int(32 * width)
    layers = [
        torch.nn.Conv2d(3, inputs, 3, 2, 1, bias=False), torch.nn.BatchNorm2d(inputs),
        torch.nn.ReLU(),
    ]  # fmt: skip
    for outputs, stride in (
        (int(width * channels), stride) for channels, stride in MOBILENET_LAYERS
    ):
        layers += [
            torch.nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
            torch.nn.BatchNorm2d(inputs), torch.nn.ReLU(),
            torch.nn.Conv2d(inputs, outputs, 1, bias=False), torch.nn.BatchNorm2d(outputs),
            torch.nn.ReLU(),
        ]  # fmt: skip
        inputs = outputs
    return torch.nn.Sequential(
        *layers, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(inputs, classes)
    )
