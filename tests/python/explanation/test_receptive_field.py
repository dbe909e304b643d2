"""Where the places of inner maps look, by arithmetic and by trying every pixel."""

import numpy as np
import pytest

import ninc
from ninc import _core, nn
from ninc._base.graph import Node, Nodes
from ninc.explanation.receptive_field import centres
from ninc.inference.class_maps import pooled_node


def of_maps(network, height, width):
    """Centres of the class maps' places: down, across."""
    name, _ = pooled_node(network.graph)
    return [axis.centres for axis in centres(network.graph, name, height, width)]


@pytest.mark.parametrize(
    "network, size, wanted",
    [
        # Pools 3×3 at stride 2: 2 i + 1, then 4 j + 3. The last windows hang over the edge: 30..31
        # of the picture, whose middle is 30.5, then places 14 and 15, which look at 29 and 30.5.
        (ninc.models.nin_cifar10(), 32, [3, 7, 11, 15, 19, 23, 27, 29.75]),
        # Conv 11×11 at stride 4: 4 i + 5; pools: 8 i + 9, 16 i + 17, 32 i + 33.
        (ninc.models.nin_imagenet(num_classes=2), 224, [33, 65, 97, 129, 161, 193]),
    ],
)
def test_the_published_networks(network, size, wanted):
    down, across = of_maps(network, size, size)
    assert down.tolist() == across.tolist() == wanted


def test_every_layer_is_known():
    """Those that say of themselves that their outputs look elsewhere have their rule here."""
    moved = {name for name, facts in _core.OPERATIONS.items() if facts["places"] == "moved"}
    layers = {
        "Conv2d": nn.Conv2d(1, 2, 3), "MaxPool2d": nn.MaxPool2d(2), "AvgPool2d": nn.AvgPool2d(2),
        "Slice": nn.Slice(height=(1, 4)), "Pad": nn.Pad(height=(1, 1)),
    }  # fmt: skip
    assert moved == layers.keys()
    for layer in layers.values():
        network = nn.Sequential(layer)
        down, across = centres(network.graph, network.graph.output.name, 6, 7)
        shape = network.core.output_shape((1, 1, 6, 7))
        assert (len(down.centres), len(across.centres)) == shape[2:]
    unfold = Node("y", "Unfold", {}, ("x",), {})
    graph = Nodes((Node("x", "Input", {}, (), {}), unfold), (unfold,))
    with pytest.raises(ninc.ArgumentError, match=r"y \(Unfold\): nobody has said"):
        centres(graph, "y", 3, 3)


def test_axes_and_sides_are_told_apart():
    layer = nn.Conv2d(1, 2, (3, 5), stride=(2, 1), padding=(0, 1, 2, 4), dilation=(1, 2))
    down, across = of_maps(nn.Sequential(layer, nn.GlobalAvgPool2d()), 9, 10)
    assert down.tolist() == [1, 3, 5, 7, 9]  # 2 p + 1; of the last window only row 8 is there
    assert across.tolist() == [3, 4, 5, 6, 7, 8, 9]  # q - 1 + 2 * 2


def test_a_pools_window_counts_where_the_picture_is():
    pools = (nn.MaxPool2d(3, 2, padding=1), nn.AvgPool2d(3, 2, padding=1))
    for pool in pools:
        down, _ = of_maps(nn.Sequential(pool, nn.Conv2d(1, 2, 1), nn.GlobalAvgPool2d()), 7, 7)
        assert down.tolist() == [0.5, 2, 4, 5.5]


def test_places_beyond_the_edge_go_on_at_the_strides_pace():
    layers = nn.MaxPool2d(2, 2), nn.Conv2d(1, 2, 1, padding=1), nn.GlobalAvgPool2d()
    down, _ = of_maps(nn.Sequential(*layers), 6, 6)
    assert down.tolist() == [-1.5, 0.5, 2.5, 4.5, 6.5]


LAYERS = [
    (nn.Conv2d(1, 1, 4, padding=(1, 2, 2, 1)), nn.MaxPool2d(2, 2), nn.Conv2d(1, 1, 3, dilation=2)),
    (nn.Conv2d(1, 1, 3, stride=2), nn.AvgPool2d(3, 1, padding=1), nn.Conv2d(1, 1, 2)),
    (nn.MaxPool2d(3, 2, ceil_mode=True), nn.Conv2d(1, 1, 5, padding=2), nn.MaxPool2d(3, 3)),
]


@pytest.mark.parametrize("layers", LAYERS)
def test_centres_are_the_middles_of_what_is_seen(layers):
    network = nn.Sequential(*layers, nn.GlobalAvgPool2d())
    network.load_state_dict({n: np.ones_like(v) for n, v in network.state_dict().items()})
    height, width = 36, 41
    pixels = np.eye(height * width, dtype=np.float32).reshape(-1, 1, height, width)
    least = 0.01  # every pixel adds 1/9 or more where it is seen; rounding adds 1e-5 elsewhere
    seen = network.class_maps(pixels)[:, 0] > network.class_maps(0 * pixels[:1])[0, 0] + least
    places = list(np.ndindex(seen.shape[1:]))
    windows = [np.nonzero(seen[:, p, q].reshape(height, width)) for p, q in places]
    spans = np.array([[(w.min(), w.max()) for w in window] for window in windows])  # place×axis×2
    sizes = spans[:, :, 1] - spans[:, :, 0]
    whole = (sizes == sizes.max(axis=0)).all(axis=1)  # the others are cut at an edge
    assert whole.sum() >= 9
    down, across = of_maps(network, height, width)
    wanted = np.array([(down[p], across[q]) for p, q in places])
    np.testing.assert_array_equal(spans[whole].mean(axis=2), wanted[whole])


def branches(second):
    """A 1×1 convolution and `second`, joined."""
    graph = nn.Graph()
    x = graph.input()
    joined = graph.add(nn.Concat(), graph.add(nn.Conv2d(1, 2, 1), x), graph.add(second, x))
    graph.add(nn.GlobalAvgPool2d(), joined)
    return graph


def test_branches_that_agree_and_that_do_not():
    down, _ = of_maps(branches(nn.Conv2d(1, 2, 3, padding=1)), 5, 5)
    assert down.tolist() == [0, 1, 2, 3, 4]
    # One branch looks at p, the other at p + 1: all its padding is at the bottom and right.
    down, _ = of_maps(branches(nn.Conv2d(1, 2, 3, padding=(0, 0, 2, 2))), 5, 5)
    assert down.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
