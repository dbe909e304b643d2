"""ResNet-20 and MobileNetV1 of `benchmarks.networks` in torch, as people write them there."""

from benchmarks.networks import MOBILENET_LAYERS


def torch_resnet20(classes=10):
    """`resnet20`, its parameters in the same order."""
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
    """`mobilenet_v1`."""
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
