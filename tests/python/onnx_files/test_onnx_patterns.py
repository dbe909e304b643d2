"""Functions that files write as several nodes are one layer, whatever the order of the nodes."""

import numpy as np
import pytest

pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
pytest.importorskip("onnxruntime", reason="says what is right")
import ninc  # noqa: E402
from support.formats.onnx_models import (  # noqa: E402
    assert_gives,
    load,
    model,
    node,
    nodes_of,
    random,
)

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

X = (2, 4, 9, 8)
NUMBERS = dict(
    zero=0, one=1, three=3, six=6, half=0.5, sixth=1 / 6, root2=2**0.5, inverse=0.5**0.5,
    beta=(2 / np.pi) ** 0.5, kappa=0.044715, both=0.044715 * (2 / np.pi) ** 0.5,
)  # fmt: skip


def nodes_from(text):
    """A node a line, "y = Op a b", the result and the names that the operation takes."""
    lines = [line.split() for line in text.strip().splitlines()]
    return [node(op, " ".join(inputs), y) for y, _, op, *inputs in lines]


CUBE, POWER = "s = Mul x x\nc = Mul x s\n", "c = Pow x three\n"
TANH, SHARE = "n = Mul i beta\nt = Tanh n\n", "g = Add t one\n"

# Name -> nodes from x to y, the layers that they become, and those of x scaled by each channel.
FUNCTIONS = {
    "silu": ("s = Sigmoid x\ny = Mul x s", "Silu"),
    "silu, the function first": ("s = Sigmoid x\ny = Mul s x", "Silu"),
    "hard swish by hard sigmoid": ("s = HardSigmoid x\ny = Mul s x", "HardSwish"),
    "hard swish, divided last": (
        "a = Add x three\nc = Clip a zero six\nm = Mul x c\ny = Div m six", "HardSwish",
    ),
    "hard swish, multiplied last": (
        "a = Add three x\nc = Clip a zero six\nm = Mul c x\ny = Mul sixth m", "HardSwish",
    ),
    "hard swish, divided before": (
        "a = Add x three\nc = Clip a zero six\ng = Div c six\ny = Mul g x", "HardSwish",
    ),
    "hard swish, x divided": (
        "a = Add x three\nc = Clip a zero six\nd = Div x six\ny = Mul d c", "HardSwish",
    ),
    "hard swish, clipped to 1": (
        "d = Div x six\na = Add d half\nc = Clip a zero one\ny = Mul x c", "HardSwish",
    ),
    "gelu": (
        "d = Div x root2\ne = Erf d\na = Add e one\nm = Mul x a\ny = Mul m half", "Gelu",
    ),
    "gelu, halved first": (
        "d = Mul x inverse\ne = Erf d\na = Add one e\nh = Mul x half\ny = Mul a h", "Gelu",
    ),
    "gelu, halved between": (
        "d = Div x root2\ne = Erf d\na = Add e one\nb = Mul half a\ny = Mul b x", "Gelu",
    ),
    # torch at opsets below 20, its older exporter and its newer one.
    "gelu by tanh, of torch": (
        f"{CUBE}k = Mul kappa c\ni = Add x k\n{TANH}{SHARE}m = Mul x g\ny = Mul half m",
        "GeluTanh",
    ),
    "gelu by tanh, of torch by Pow": (
        f"{POWER}k = Mul kappa c\ni = Add x k\n{TANH}{SHARE}m = Mul x g\ny = Mul half m",
        "GeluTanh",
    ),
    # transformers: "gelu_new" and "gelu_fast".
    "gelu by tanh, halved first": (
        f"h = Mul half x\n{POWER}k = Mul c kappa\ni = Add x k\n{TANH}{SHARE}y = Mul h g",
        "GeluTanh",
    ),
    "gelu by tanh, x³ taken apart": (
        "h = Mul x half\nl = Mul x beta\nk = Mul x kappa\ns = Mul k x\na = Add one s\n"
        "n = Mul l a\nt = Tanh n\ng = Add one t\ny = Mul h g",
        "GeluTanh",
    ),
    # BERT in TensorFlow, and ninc's own exporter.
    "gelu by tanh, x last": (
        f"{POWER}k = Mul kappa c\ni = Add x k\n{TANH}{SHARE}b = Mul half g\ny = Mul x b",
        "GeluTanh",
    ),
    "gelu by tanh, of ninc": (
        "s = Mul x x\nk = Mul s kappa\nl = Mul x beta\na = Add k one\nn = Mul l a\nt = Tanh n\n"
        "h = Mul x half\ng = Add one t\ny = Mul h g",
        "GeluTanh",
    ),
    "gelu by tanh, both factors in one": (
        f"{CUBE}k = Mul c both\nl = Mul beta x\nn = Add k l\nt = Tanh n\n{SHARE}h = Div x root2\n"
        "m = Mul h g\ny = Mul inverse m",
        "GeluTanh",
    ),
    "gelu by tanh, taken off": (
        f"{CUBE}j = Neg c\nk = Mul kappa j\ni = Sub x k\n{TANH}{SHARE}m = Mul x g\ny = Mul half m",
        "GeluTanh",
    ),
}  # fmt: skip


def made_of(name, before=()):
    text, layer = FUNCTIONS[name]
    nodes = [*before, *nodes_from(text)]
    for one in nodes:
        if one.op_type == "HardSigmoid":
            one.attribute.append(node("HardSigmoid", alpha=1 / 6).attribute[0])
    used = {each for one in nodes for each in one.input}
    told = {key: np.float32(value) for key, value in NUMBERS.items() if key in used}
    return nodes, told, layer


def operations(network):
    return [one["op"] for one in nodes_of(network)][1:]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_of_several_nodes_is_one_layer(name):
    nodes, told, layer = made_of(name)
    x = 3 * random(*X)
    for shape in ([None, 4, 9, 8], ["n", 4, "h", "w"]):
        network = assert_gives(model(nodes, shape, **told), x)
        assert operations(network) == [layer]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_it_is_found_behind_a_bias_and_beside_other_readers(name):
    """x is a sum by itself, and what comes out is added to it, as around a residual branch."""
    nodes, told, layer = made_of(name)
    nodes = [
        node("Conv", "p w", "conv"), node("Mul", "conv slope", "product"),
        node("Add", "product bias", "x"), *nodes, node("Add", "x y", "z"),
    ]  # fmt: skip
    told |= dict(w=random(4, 4, 1, 1), slope=random(4, 1, 1), bias=random(4, 1, 1))
    made = model(nodes, [None, 4, 9, 8], output="z", **told)
    made.graph.input[0].name = "p"
    network = assert_gives(made, random(*X))
    assert operations(network) == ["Conv2d", layer, "Add"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_of_rows(name):
    nodes, told, layer = made_of(name, [node("MatMul", "p w", "q"), node("Add", "q bias", "x")])
    made = model(nodes, [None, 6], w=random(6, 5), bias=random(5), **told)
    made.graph.input[0].name = "p"
    assert operations(assert_gives(made, random(2, 6))) == ["Linear", layer]


def test_a_swish_of_another_slope_is_a_scaled_silu():
    nodes = nodes_from("b = Mul x slope\ns = Sigmoid b\ny = Mul x s")
    made = model(nodes, [None, 4, 9, 8], slope=np.float32(1.702))
    assert operations(assert_gives(made, random(*X))) == [
        "Constant", "Mul", "Silu", "Constant", "Mul",
    ]  # fmt: skip


def test_small_numbers_are_told_apart():
    """x³ of a value of thousandths is small, and not to be overlooked where its factor is wrong."""
    text, _ = FUNCTIONS["gelu by tanh, of torch"]
    nodes = [node("Conv", "p w", "c0"), node("Mul", "c0 small", "x"), *nodes_from(text)]
    told = dict(w=1000 * random(4, 4, 1, 1), small=np.float32(1e-3))
    for kappa, found in ((0.044715, True), (0.05, False)):
        numbers = {one: np.float32(NUMBERS[one]) for one in ("one", "half", "beta")}
        made = model(nodes, [None, 4, 9, 8], kappa=np.float32(kappa), **numbers, **told)
        made.graph.input[0].name = "p"
        assert ("GeluTanh" in operations(assert_gives(made, random(*X)))) == found


# What looks like one of the functions, and is none: nodes, and layers that stay.
OTHERS = {
    "another x": ("r = Relu x\ns = Sigmoid r\ny = Mul x s", ["Relu", "Sigmoid", "Mul"]),
    "the sigmoid alone": ("s = Sigmoid x\ny = Mul s s", ["Sigmoid", "Mul"]),
    "another hard sigmoid": (
        "a = Add x one\nc = Clip a zero six\ny = Mul x c",
        ["Constant", "Add", "Relu6", "Mul"],
    ),
    "a square": ("s = Mul x x\nt = Sigmoid s\ny = Mul x t", ["Mul", "Sigmoid", "Mul"]),
    "a square that is gated": ("s = Mul x x\nt = Sigmoid x\ny = Mul s t",
                               ["Mul", "Sigmoid", "Mul"]),
    "a function of nothing": (
        "n = Sub x x\ns = Sigmoid n\ny = Mul x s", ["Sub", "Sigmoid", "Mul"],
    ),
    "tanh without the 1": ("t = Tanh x\ny = Mul x t", ["Tanh", "Mul"]),
    "tanh of x and 1": (
        "t = Tanh x\ng = Add t one\ny = Mul x g", ["Tanh", "Constant", "Add", "Mul"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_such_function_stays(name):
    text, layers = OTHERS[name]
    nodes = nodes_from(text)
    used = {each for one in nodes for each in one.input}
    told = {key: np.float32(value) for key, value in NUMBERS.items() if key in used}
    network = assert_gives(model(nodes, [None, 4, 9, 8], **told), random(*X))
    assert operations(network) == layers


def test_mish_is_refused_for_its_softplus():
    """x * tanh(softplus(x)) has the tanh of a GELU, and nothing else of it."""
    nodes = nodes_from("s = Softplus x\nt = Tanh s\ny = Mul x t")
    with pytest.raises(ninc.ModelError) as error:
        load(model(nodes, [None, 4, 9, 8]))
    assert str(error.value).endswith("node 1 (Softplus): ninc has no such operation")


def test_a_thousand_sums_and_products_cost_little():
    """Each product is looked at for what it may be a part of, and few steps before it are."""
    nodes = [node("Add", f"v{i} v{i}", f"v{i + 1}") for i in range(1000)]
    nodes = [node("Tanh", "x", "v0"), *nodes, node("Tanh", "v1000", "t"), node("Mul", "t v500")]
    network = assert_gives(model(nodes, [None, 4, 2, 2]), np.zeros((1, 4, 2, 2), np.float32))
    assert operations(network)[-2:] == ["Tanh", "Mul"]


def test_a_file_that_asks_for_much_arithmetic_gets_its_nodes_one_by_one(monkeypatch):
    """Hostile files can make comparing constants long: it ends, and the rest stays right."""
    monkeypatch.setattr("ninc.formats.onnx_files.walk._MOST_COMPARED", 0)
    made = model(nodes_from("s = Sigmoid x\ny = Mul x s"), [None, *X[1:]])
    network = assert_gives(made, random(*X))
    assert [one["op"] for one in nodes_of(network)][1:] == ["Sigmoid", "Mul"]
