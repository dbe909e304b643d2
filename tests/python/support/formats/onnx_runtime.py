"""Networks as ONNX files, and what ONNX Runtime makes of them."""

import io
import warnings

import numpy as np
import onnx
import onnxruntime

import ninc

# Of the output's largest magnitude. Both add in float32, in different orders.
TOLERANCE = 1e-5


def exported(network, **settings):
    """The file that the network is written to, checked as strictly as the package onnx can."""
    file = io.BytesIO()
    network.export_onnx(file, **settings)
    model = onnx.load_from_string(file.getvalue())
    onnx.checker.check_model(model, full_check=True)
    return model


def session_of(model):
    """A session that ends with an error wherever it is told an untruth, such as a wrong shape."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # errors: of a batch without pictures it warns
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


def answer(session, x):
    [taken], [given] = session.get_inputs(), session.get_outputs()
    [y] = session.run([given.name], {taken.name: np.ascontiguousarray(x)})
    assert len(given.shape) == y.ndim
    assert all(told == found for told, found in zip(given.shape, y.shape) if isinstance(told, int))
    return y


def assert_close(y, expected):
    assert y.shape == expected.shape and y.dtype == np.float32
    if expected.size:
        np.testing.assert_allclose(y, expected, rtol=0, atol=TOLERANCE * np.abs(expected).max())


def assert_agrees(network, *shapes, seed=0, **settings):
    """Exports the network; both give the same of inputs of these shapes. Returns the model."""
    network.precision = "strict"
    model = exported(network, **settings)
    session = session_of(model)
    for shape in shapes:
        x = np.random.default_rng(seed).standard_normal(shape, np.float32)
        assert_close(answer(session, x), network(x))
    return model


def assert_comes_back(network, **settings):
    """Exported, read and exported again, the network has the same steps under the same names.

    Returns the network that was read.
    """
    first = exported(network, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ninc.Remark)
        again = ninc.load_onnx(first.SerializeToString())
    # Branches may come in another order.
    assert steps_of(exported(again, **settings)) == steps_of(first)
    return again


def steps_of(model):
    return sorted((node.name, node.op_type) for node in model.graph.node)


def with_numbers(network, seed=1):
    """The network with weights that are none of the usual first ones; variances are positive."""
    rng = np.random.default_rng(seed)
    network.load_state_dict(
        {
            name: rng.uniform(0.5, 1.5, value.shape).astype(np.float32)
            if name.endswith(("running_var", "bn1.weight"))
            else (rng.standard_normal(value.shape, np.float32) / max(1, value[0].size) ** 0.5)
            for name, value in network.state_dict().items()
        }
    )
    return network


def operators(model):
    return [node.op_type for node in model.graph.node]
