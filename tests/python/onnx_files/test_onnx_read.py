"""`load_onnx`: where files come from, names and weights, what networks say of themselves."""

import io
import json
import os
import subprocess
import sys

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
import ninc  # noqa: E402
from ninc import nn  # noqa: E402
from support.command_line import ninc_command, printed  # noqa: E402
from support.formats.onnx_models import load, model, node, nodes_of, random  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")


def net(**told):
    """A convolution, batch norm, ReLU, mean and linear layer, named as torch names them."""
    numbers = dict(
        w=random(6, 3, 3, 3), s=random(6), b=random(6), m=random(6), v=random(6, low=0.5),
        u=random(5, 6), t=random(5),
    )  # fmt: skip
    made = model(
        [
            node("Conv", "x w", "c", "/features/0/Conv", pads=[1, 1, 1, 1]),
            node("BatchNormalization", "c s b m v", "n", "/features/1/BatchNormalization",
                 epsilon=1e-3, momentum=0.8),
            node("Relu", "n", "r", "/features/2/Relu"),
            node("GlobalAveragePool", "r", "g", "/pool/GlobalAveragePool"),
            node("Flatten", "g", "f", "/Flatten"),
            node("Gemm", "f u t", "y", "/classifier/Gemm", transB=1),
        ],
        [None, 3, 9, 8],
        **numbers,
    )  # fmt: skip
    for key, value in told.items():
        made.metadata_props.add(key=key.replace("_", "."), value=value)
    return made, numbers


MADE, NUMBERS = net()
CONTENT = MADE.SerializeToString()
X = random(2, 3, 9, 8)


def test_paths_bytes_and_file_objects(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(CONTENT)
    expected = ninc.load_onnx(CONTENT)(X)
    for source in (path, str(path), bytearray(CONTENT), memoryview(CONTENT), io.BytesIO(CONTENT)):
        np.testing.assert_array_equal(ninc.load_onnx(source)(X), expected)
    with open(path, "rb") as file:
        np.testing.assert_array_equal(ninc.load_onnx(file)(X), expected)


def test_what_is_no_source():
    with pytest.raises(ninc.ArgumentError, match="path must be a file name, the bytes of a file"):
        ninc.load_onnx(5)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(FileNotFoundError):
        ninc.load_onnx(tmp_path / "absent.onnx")
    with pytest.raises(IsADirectoryError):
        ninc.load_onnx(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    keeper = os.open(tmp_path / "pipe", os.O_RDWR)  # so that opening it does not wait
    try:
        with pytest.raises(ninc.FileError, match="is no regular file"):
            ninc.load_onnx(tmp_path / "pipe")
    finally:
        os.close(keeper)


def test_errors_name_the_file(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(CONTENT[:-30])
    with pytest.raises(ninc.ModelError) as error:
        ninc.load_onnx(path)
    assert str(error.value).startswith(f"{path}: no ONNX file, or a damaged one")


# ---- Names and weights ---------------------------------------------------------------------------


def test_layers_have_the_names_of_nodes():
    network = ninc.load_onnx(CONTENT)
    assert [one["name"] for one in nodes_of(network)] == [
        "x", "features_0_Conv", "features_1_BatchNormalization", "features_2_Relu",
        "pool_GlobalAveragePool", "classifier_Gemm",
    ]  # fmt: skip


def test_weights_are_the_files_and_statistics_are_buffers():
    network = ninc.load_onnx(CONTENT)
    state = network.state_dict()
    norm = "features_1_BatchNormalization"
    expected = {
        "features_0_Conv.weight": NUMBERS["w"],
        f"{norm}.weight": NUMBERS["s"],
        f"{norm}.bias": NUMBERS["b"],
        "classifier_Gemm.weight": NUMBERS["u"],
        "classifier_Gemm.bias": NUMBERS["t"],
        f"{norm}.running_mean": NUMBERS["m"],
        f"{norm}.running_var": NUMBERS["v"],
    }
    assert list(state) == list(expected)
    for name, numbers in expected.items():
        np.testing.assert_array_equal(state[name], numbers)
    assert set(expected) - set(network.parameters()) == {
        f"{norm}.running_mean", f"{norm}.running_var",
    }  # fmt: skip
    [about] = [one for one in nodes_of(network) if one["op"] == "BatchNorm2d"]
    assert (about["eps"], about["momentum"]) == (pytest.approx(1e-3), pytest.approx(0.2))


@pytest.mark.parametrize(
    "names",
    [
        ["", "", ""],
        ["a", "a", "a"],
        ["x", "x", "x"],
        ["a/b", "a\\b", "a_b"],
        ["é" * 300, "\n", "/"],
    ],
)
def test_names_that_the_core_cannot_have(names):
    nodes = [
        node("Relu", "x", "a", names[0]), node("Softmax", "a", "b", names[1], axis=1),
        node("Relu", "b", "y", names[2]),
    ]  # fmt: skip
    network = ninc.load_onnx(model(nodes, [None, 3, 9, 8]).SerializeToString())
    assert len(nodes_of(network)) == 4
    assert network(X).shape == X.shape


def test_it_trains_and_gets_a_new_head():
    network = ninc.load_onnx(CONTENT)
    before = network.state_dict()
    trainer = ninc.Trainer(network, ninc.SGD(0.01))
    losses = [float(trainer.step(X, np.array([0, 1]))) for _ in range(20)]
    assert losses[-1] < losses[0]
    after = network.state_dict()
    assert all((before[name] != after[name]).any() for name in before)
    assert ninc.load_onnx(CONTENT).new_head(2)(X).shape == (2, 2)


def test_it_is_saved_and_read_again(tmp_path):
    network = ninc.load_onnx(CONTENT)
    network.save(tmp_path / "net.safetensors")
    np.testing.assert_array_equal(ninc.load(tmp_path / "net.safetensors")(X), network(X))


def test_more_is_added_behind_it():
    network = ninc.load_onnx(CONTENT)
    network.add(nn.Softmax(), "classifier_Gemm")
    network.set_output("softmax")
    np.testing.assert_allclose(network(X).sum(1), 1, rtol=1e-5)


# ---- What it says of itself ----------------------------------------------------------------------

PREPROCESSING = ninc.preprocess.Preprocessing((9, 8), 3, (0.5,) * 3, (0.25,) * 3).to_dict()
CLASSES = ["a", "b", "c", "d", "e"]


def test_preprocessing_and_classes(recwarn):
    made, _ = net(ninc_preprocess=json.dumps(PREPROCESSING), ninc_classes=json.dumps(CLASSES))
    network = ninc.load_onnx(made.SerializeToString())
    assert network.preprocessing == PREPROCESSING
    assert network.classes == CLASSES
    assert not recwarn.list


def test_a_remark_where_there_is_no_preprocessing():
    with pytest.warns(ninc.Remark, match="bytes: it does not say how its pictures are prepared"):
        network = ninc.load_onnx(CONTENT)
    assert network.preprocessing is None and network.classes is None


WRONG = {
    "no JSON": dict(ninc_preprocess="{"),
    "deep JSON": dict(ninc_classes="[" * 100_000),
    "another kind": dict(ninc_preprocess="[]"),
    "another preprocessing": dict(ninc_preprocess='{"kind": "magic"}'),
    "names that are none": dict(ninc_classes="[1, 2, 3, 4, 5]"),
    "too few names": dict(ninc_classes='["a"]'),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_makes_no_sense_is_told(name):
    made, _ = net(**WRONG[name])
    with pytest.raises(ninc.ModelError, match="^bytes: "):
        ninc.load_onnx(made.SerializeToString())


# ---- The command line, and a machine without the package -----------------------------------------


def test_the_command_converts(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.onnx").write_bytes(CONTENT)
    said = printed(capsys, "convert", "net.onnx", "net.safetensors")
    assert said == "net.safetensors: 209 parameters, from onnx\n"
    np.testing.assert_array_equal(ninc.load("net.safetensors")(X), ninc.load_onnx("net.onnx")(X))


def test_the_command_tells_what_it_cannot_take_over(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    made = model(node("Selu", name="s"), [None, 3, 9, 8])
    (tmp_path / "net.onnx").write_bytes(made.SerializeToString())
    assert ninc_command("convert", "net.onnx", "net.safetensors") == 1
    assert capsys.readouterr().err == (
        "ninc: net.onnx: what ninc cannot take over: s (Selu): ninc has no such operation\n"
    )


def test_without_the_package_onnx():
    code = (
        "import sys; sys.modules['onnx'] = None\n"
        "import ninc\n"
        "try: ninc.load_onnx(b'abc')\n"
        "except ninc.ArgumentError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == (
        'load_onnx: reading ONNX files needs the package onnx: pip install "ninc[onnx]"\n'
    )


def test_the_package_is_imported_when_it_is_needed():
    code = "import sys, ninc; ninc.load_onnx; print('onnx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n"


def test_several_outputs_have_their_own_names():
    """Also where one value goes by two names, and one is scaled and shifted last."""
    made = model(
        [
            node("Conv", "x w", "c", "conv", pads=[1, 1, 1, 1]),
            node("Relu", "c", "r", "relu"),
            node("Mul", "r two", "m", "mul"),
            node("Add", "m two", "shifted", "add"),
            node("Identity", "r", "again", "identity"),
            node("GlobalAveragePool", "r", "mean", "pool"),
        ],
        [None, 3, 9, 8],
        output="mean shifted r again",
        w=random(6, 3, 3, 3),
        two=np.float32(2),
    )
    network = load(made)
    found = network.outputs(X)
    assert list(found) == ["mean", "shifted", "r", "again"]
    ort = pytest.importorskip("onnxruntime")
    session = ort.InferenceSession(made.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, expected in zip(found, session.run(None, {"x": X})):
        np.testing.assert_allclose(found[name].reshape(expected.shape), expected, atol=1e-4)
    np.testing.assert_array_equal(found["mean"], network(X))


def test_a_layer_that_is_an_output_keeps_its_own_value():
    """What follows it may not become part of it."""
    numbers = dict(w=random(4, 3, 1, 1), s=random(4, 1, 1))
    made = model(
        [node("Conv", "x w", "c"), node("Mul", "c s", "y")],
        [2, 3, 5, 5],
        output="y c",
        **numbers,
    )
    x = random(2, 3, 5, 5)
    found = load(made).outputs(x)
    conv = np.einsum("kc,nchw->nkhw", numbers["w"][:, :, 0, 0], x)
    np.testing.assert_allclose(found["c"], conv, atol=1e-5)
    np.testing.assert_allclose(found["y"], conv * numbers["s"], atol=1e-5)


# ---- Chosen outputs ------------------------------------------------------------------------------


def with_ends(*ends):
    """A network whose logits are l, with these nodes behind them."""
    nodes = [
        node("Conv", "x w", "c", "first"), node("Relu", "c", "r", "act"),
        node("GlobalAveragePool", "r", "g", "gap"), node("Flatten", "g", "f", "flat"),
        node("MatMul", "f v", "l", "fc"), *ends,
    ]  # fmt: skip
    outputs = " ".join(one.output[0] for one in ends) or "l"
    return model(nodes, [None, 3, 9, 8], output=outputs, w=random(4, 3, 3, 3), v=random(4, 5))


def test_outputs_that_are_chosen():
    content = with_ends(node("Softmax", "l", "p", "probabilities")).SerializeToString()
    x = random(2, 3, 9, 8)
    net = ninc.load_onnx(content, outputs=["l"])
    logits = net(x)
    # The same by the node that gives it; one layer alone is called as its node is.
    for name in ("fc", "l"):
        net = ninc.load_onnx(content, [name])
        assert [one.name for one in net.graph.outputs] == ["fc"]
        np.testing.assert_array_equal(net(x), logits)
    both = ninc.load_onnx(content, outputs=("p", "act"))
    found = both.outputs(x)
    assert list(found) == ["p", "act"]
    shifted = np.exp(logits - logits.max(1, keepdims=True))
    np.testing.assert_allclose(found["p"], shifted / shifted.sum(1, keepdims=True), rtol=1e-5)
    assert found["act"].shape == (2, 4, 7, 6) and found["act"].min() == 0
    # What only the file's own outputs need is left out.
    alone = ninc.load_onnx(content, outputs=["act"])
    assert list(alone.parameters()) == ["first.weight"]


@pytest.mark.parametrize("op", ["ArgMax", "LogSoftmax", "Selu"])
def test_a_message_names_the_outputs_that_can_be_read(op):
    made = with_ends(node(op, "l", "e", "end"))
    words = f"end ({op}): ninc has no such operation; what comes before it is read: "
    with pytest.raises(ninc.ModelError) as caught:
        ninc.load_onnx(made.SerializeToString())
    assert str(caught.value).endswith(words + "load_onnx(path, outputs=['l'])")
    assert ninc.load_onnx(made.SerializeToString(), outputs=["l"])(random(2, 3, 9, 8)).shape == (
        2,
        5,
    )
    # Beside an output that can be read, it is that one.
    both = with_ends(node("Relu", "l", "y", "yes"), node(op, "y", "e", "end"))
    with pytest.raises(ninc.ModelError, match=r"outputs=\['y'\]\)$"):
        ninc.load_onnx(both.SerializeToString())


def test_a_function_that_is_known_as_a_part_of_others_alone():
    made = with_ends(node("Erf", "l", "e", "end"))
    with pytest.raises(ninc.ModelError, match=r"part of GELU.*outputs=\['l'\]\)$"):
        ninc.load_onnx(made.SerializeToString())


def test_outputs_that_are_not_there():
    content = with_ends().SerializeToString()
    for outputs, words in (
        (["logits"], "bytes has no value and no node 'logits': its outputs are 'l'"),
        (["frst"], "no node 'frst': its outputs are 'l'; did you mean 'first'?"),
        (["fc", "l"], "outputs must be different values, and 'fc' and 'l' are one"),
        (["l", "l"], "outputs must be different values, and 'l' and 'l' are one"),
        ([], "outputs must be 1 to 1,000 names, got 0"),
        (["l"] * 1001, "outputs must be 1 to 1,000 names, got 1,001"),
        (["n" * 10_000], "no node 'nnnnnnnnnnnn...nnnnnnnnnnnnn': its outputs are 'l'"),
        ("fc", "outputs must be names of outputs, got 'fc'"),
        ([3], "outputs must be names, got 3"),
        ([""], "outputs must be names, got ''"),
    ):
        with pytest.raises(ninc.ArgumentError) as caught:
            ninc.load_onnx(content, outputs=outputs)
        assert words in str(caught.value)
    with pytest.raises(ninc.ArgumentError, match="has no value and no node 'w'"):
        ninc.load_onnx(content, outputs=["w"])  # which is a weight


def test_a_node_whose_first_output_is_left_out():
    made = with_ends()
    made.graph.node.append(node("Dropout", "l", "- mask", "drop"))
    made.graph.node[-1].output[:] = ["", "mask"]
    with pytest.raises(ninc.ModelError, match="its second output, mask, is used"):
        ninc.load_onnx(made.SerializeToString(), outputs=["drop"])


def test_names_that_are_long_make_no_long_message():
    made = with_ends(node("Selu", "l", "e", "end"))
    made.graph.node[4].output[0] = made.graph.node[5].input[0] = "l" * 1_000_000
    with pytest.raises(ninc.ModelError, match=r"^bytes: .{,200}$"):
        ninc.load_onnx(made.SerializeToString())
    made.graph.output[0].name = made.graph.node[5].output[0] = "e" * 1_000_000
    with pytest.raises(ninc.ArgumentError, match=r"^load_onnx: .{,300}$"):
        ninc.load_onnx(made.SerializeToString(), outputs=["x" * 1_000_000])
