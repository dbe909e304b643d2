"""Damaged and hostile files give a ModelError, take little memory and read no other files."""

import os
import tracemalloc

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="the package onnx reads ONNX files")
from onnx import TensorProto, helper  # noqa: E402

import ninc  # noqa: E402
from support.formats.onnx_models import model, node, random  # noqa: E402

hypothesis = pytest.importorskip("hypothesis", reason="makes damaged files")
from hypothesis import strategies as st  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore::ninc.Remark")

W = random(6, 4, 3, 3)


def refusal(made):
    with pytest.raises(ninc.ModelError) as error:
        ninc.load_onnx(made if isinstance(made, bytes) else made.SerializeToString())
    return str(error.value)


# ---- Bombs ---------------------------------------------------------------------------------------

HUGE = np.array([2**40])
BOMBS = {
    "constant of shape": ([node("ConstantOfShape", "s", "c"), node("Add", "x c")], dict(s=HUGE)),
    "expand": ([node("Expand", "k s", "c"), node("Add", "x c")], dict(s=HUGE, k=random(1))),
    "tile": ([node("Tile", "k s", "c"), node("Add", "x c")], dict(s=HUGE, k=random(1))),
    "range": (
        [node("Range", "a s b", "c"), node("Cast", "c", "d", to=1), node("Add", "x d")],
        dict(s=np.array(2**40), a=np.array(0), b=np.array(1)),
    ),
    "broadcast": (
        [node("Add", "a b", "c"), node("Add", "x c")], dict(a=random(2**14, 1), b=random(2**14)),
    ),
    "gather": (
        [node("Gather", "a b", "c"), node("Add", "x c")],
        dict(a=random(4, 2**16), b=np.zeros(2**14, np.int64)),
    ),
    "where": (
        [node("Where", "t a b", "c"), node("Add", "x c")],
        dict(a=random(2**14, 1), b=random(2**14), t=np.array(True)),
    ),
    "one tensor a thousand times": (
        [node("Concat", " ".join(["a"] * 1000), "c", axis=0), node("Add", "x c")],
        dict(a=random(2**16)),
    ),
    "a doubling of doublings": (
        [node("Concat", f"c{i} c{i}", f"c{i + 1}", axis=0) for i in range(40)]
        + [node("Add", "x c40")],
        dict(c0=random(2)),
    ),
    "one weight in many layers": (
        [node("Conv", f"{'x' if i == 0 else f'c{i}'} w", f"c{i + 1}") for i in range(300)]
        + [node("Relu", "c300")],
        dict(w=random(512, 512, 1, 1)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_does_not_ask_for_much_memory(name):
    nodes, told = BOMBS[name]
    channels = 512 if name == "one weight in many layers" else 4
    content = model(nodes, [None, channels, 9, 8], **told).SerializeToString()
    tracemalloc.start()
    try:
        words = refusal(content)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "that constants and weights of a file of its size may take" in words
    # What a small file may take, and some copies of what was read by then.
    assert peak < 20 * len(content) + (160 << 20)


def test_too_many_nodes_and_layers():
    nodes = [node("Relu", f"r{i}" if i else "x", f"r{i + 1}") for i in range(6000)]
    assert "at most 5,000 layers" in refusal(model([*nodes, node("Relu", "r6000")], [1, 4, 9, 8]))


def test_sizes_that_multiply_without_an_end():
    nodes = [node("Shape", "x", "s"), node("Mul", "s s", "m0")]
    nodes += [node("Mul", f"m{i} m{i}", f"m{i + 1}") for i in range(60)]
    made = model([*nodes, node("Reshape", "x m60")], ["n", "c", "h", "w"])
    assert "multiplies more sizes than a shape has" in refusal(made)


# ---- External data -------------------------------------------------------------------------------


@pytest.fixture
def stored(tmp_path):
    """Writes a model whose weight is external, with the given entries; gives its path."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"\0" * 8 + W.tobytes())
    (tmp_path / "secret.bin").write_bytes(W.tobytes())

    def write(**told):
        told = {"location": "weights.bin", "offset": "8", "length": str(W.nbytes)} | told
        made = model(node("Conv", "x w"), [None, 4, 9, 8], w=W)
        tensor = made.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in told.items():
            if value is not None:
                tensor.external_data.add(key=key, value=value)
        path = folder / "net.onnx"
        path.write_bytes(made.SerializeToString())
        return path

    return write


def test_external_data_is_read_beside_the_model(stored):
    network = ninc.load_onnx(stored())
    [weight] = network.parameters().values()
    np.testing.assert_array_equal(weight, W)
    [weight] = ninc.load_onnx(stored(length=None)).parameters().values()
    np.testing.assert_array_equal(weight, W)


EXTERNAL = {
    "a path out of the folder": (dict(location="../secret.bin", offset="0"), "leads out of"),
    "an absolute path": (dict(location="/etc/passwd"), "names no file of the model's folder"),
    "a link out of the folder": (dict(location="link.bin", offset="0"), "leads out of"),
    "a link to a folder": (dict(location="folder/secret.bin", offset="0"), "leads out of"),
    "a NUL": (dict(location="weights.bin\0"), "names no file of the model's folder"),
    "nothing": (dict(location=""), "names no file of the model's folder"),
    "too little": (dict(length="16"), "needs 864 bytes, and is to have 16"),
    "too much": (dict(offset="9"), "needs 864 bytes, and is to have 864 from byte 9"),
    "a negative offset": (dict(offset="-8"), "is '-8', no number"),
    "an endless offset": (dict(offset="9" * 30), "no number"),
    "the folder itself": (dict(location="."), None),
    "what is absent": (dict(location="absent.bin"), None),
    "a pipe": (dict(location="pipe"), "is no regular file"),
}


@pytest.mark.parametrize("name", EXTERNAL)
def test_external_data_that_leads_elsewhere(stored, name, tmp_path):
    told, words = EXTERNAL[name]
    path = stored(**told)
    (path.parent / "link.bin").symlink_to(tmp_path / "secret.bin")
    (path.parent / "folder").symlink_to(tmp_path)
    if name == "a pipe":
        os.mkfifo(path.parent / "pipe")
        keeper = os.open(path.parent / "pipe", os.O_RDWR)  # so that opening it does not wait
    try:
        with pytest.raises((ninc.ModelError, ninc.FileError)) as error:
            ninc.load_onnx(path)
    finally:
        if name == "a pipe":
            os.close(keeper)
    assert words is None or words in str(error.value)


def test_external_data_of_bytes(stored):
    with pytest.raises(ninc.ModelError, match="finds it where it is given the model's path"):
        ninc.load_onnx(stored().read_bytes())


# ---- Damage --------------------------------------------------------------------------------------


def whole_net():
    """A model with a bit of everything."""
    return model(
        [
            node("Conv", "x w b", "c", pads=[1, 1, 1, 1], name="conv"),
            node("BatchNormalization", "c s s s v", "n"),
            node("Clip", "n zero six", "r"),
            node("MaxPool", "r", "p", kernel_shape=[2, 2], strides=[2, 2]),
            node("Slice", "p zeros ends axes", "q"),
            node("Shape", "q", "sh"), node("Gather", "sh zeros", "g"),
            node("Concat", "g minus", "d", axis=0), node("Reshape", "q d", "f"),
            node("Gemm", "f u t", "z", transB=1), node("Softmax", "z", axis=1),
        ],
        [None, 4, 9, 8], w=W, b=random(6), s=random(6), v=random(6, low=0.5),
        u=random(3, 96), t=random(3), zero=np.float32(0), six=np.float32(6),
        zeros=np.array([0]), ends=np.array([2**40]), axes=np.array([2]), minus=np.array([-1]),
    )  # fmt: skip


WHOLE = whole_net().SerializeToString()


def test_the_whole_one_is_read():
    ninc.load_onnx(WHOLE)


def read_or_refused(content):
    """Reads a damaged model: a network that runs, or is refused; or a ModelError."""
    try:
        network = ninc.load_onnx(content)
    except ninc.ModelError:
        return
    try:
        network(random(1, 4, 9, 8))
    except (ninc.ShapeError, ninc.OutOfMemoryError):
        pass


@hypothesis.settings(max_examples=300)
@hypothesis.given(st.data())
def test_bytes_that_were_changed(data):
    content = bytearray(WHOLE)
    for _ in range(data.draw(st.integers(1, 6))):
        place = data.draw(st.integers(0, len(content) - 1))
        kind = data.draw(st.sampled_from(["set", "cut", "repeat", "drop"]))
        if kind == "set":
            content[place] = data.draw(st.integers(0, 255))
        elif kind == "cut":
            del content[place:]
        elif kind == "drop":
            del content[place : place + data.draw(st.integers(1, 40))]
        else:
            content[place:place] = content[place : place + data.draw(st.integers(1, 40))]
        if not content:
            break
    read_or_refused(bytes(content))


NUMBERS = st.sampled_from([-(2**63), -(2**31), -2, -1, 0, 1, 2, 3, 5, 2**31 - 1, 2**40, 2**63 - 1])


OPERATIONS = (
    "Add Concat Conv Flatten Gemm Mul PRelu Pad ReduceMean Split Squeeze Transpose Unsqueeze"
).split()


@hypothesis.settings(max_examples=300)
@hypothesis.given(st.data())
def test_fields_that_were_changed(data):
    """The message stays whole, and what it says does not."""
    made = whole_net()
    graph = made.graph
    for _ in range(data.draw(st.integers(1, 3))):
        one = graph.node[data.draw(st.integers(0, len(graph.node) - 1))]
        tensor = graph.initializer[data.draw(st.integers(0, len(graph.initializer) - 1))]
        kind = data.draw(st.integers(0, 7))
        if kind == 0 and one.attribute:
            attribute = one.attribute[0]
            attribute.CopyFrom(helper.make_attribute(attribute.name, data.draw(NUMBERS)))
        elif kind == 1 and one.attribute:
            numbers = data.draw(st.lists(NUMBERS, max_size=5, min_size=1))
            attribute = one.attribute[0]
            attribute.CopyFrom(helper.make_attribute(attribute.name, numbers))
        elif kind == 2:
            one.input[data.draw(st.integers(0, len(one.input) - 1))] = data.draw(
                st.sampled_from(["x", "w", "zeros", "minus", "", "c", "u"])
            )
        elif kind == 3:
            one.op_type = data.draw(st.sampled_from(OPERATIONS))
        elif kind == 4:
            tensor.dims[:] = data.draw(st.lists(NUMBERS, max_size=4))
        elif kind == 5:
            tensor.data_type = data.draw(st.integers(0, 20))
        elif kind == 6:
            numbers = data.draw(st.lists(NUMBERS, max_size=4))
            fresh = onnx.numpy_helper.from_array(np.array(numbers, np.int64), tensor.name)
            tensor.CopyFrom(fresh)
        else:
            dims = graph.input[0].type.tensor_type.shape.dim
            if len(dims):
                dims[data.draw(st.integers(0, len(dims) - 1))].dim_value = data.draw(NUMBERS)
    read_or_refused(made.SerializeToString())


NO_MODELS = [
    b"",
    b"\x08",
    b"\x08\x07",
    b"x" * 100,
    WHOLE[:-7],
    WHOLE[3:],
    b"\x08\x07\x3a\x00",
    b"\x3a\x00",
    b"PK\x03\x04" + b"\0" * 99,
]


@pytest.mark.parametrize("content", NO_MODELS)
def test_what_is_no_model(content):
    refusal(content)


def test_an_output_of_a_type_that_is_not_known():
    made = model(node("Relu", "x", "z"), [None, 4, 9, 8], output="w", w=W)
    made.graph.initializer[0].data_type = 41
    assert "w (output): its 'w' is of ONNX's type 41" in refusal(made)


def test_a_tensor_that_is_empty_and_huge():
    made = model(node("Add", "x w"), [None, 4, 9, 8], w=W)
    tensor = made.graph.initializer[0]
    tensor.dims[:], tensor.raw_data = [0, 2**62, 2**62], b""
    assert "which is none" in refusal(made)
    tensor.dims[:] = [0, 1, 1]
    assert "its constant of 1×0×1×1 does not fit" in refusal(made)


def test_names_that_are_no_text():
    content = WHOLE.replace(b"conv", b"\xff\xfe\xff\xfe")
    read_or_refused(content)


def test_what_another_file_is_is_told():
    words = refusal(b"\x89PNG\r\n\x1a\n" + b"\0" * 100)
    assert words == ("bytes: no ONNX file, but a picture (PNG), which a network's predict takes")
