"""Runs that hold part of a network still: its bits, its batch norms, averages, checkpoints."""

import numpy as np
import pytest

import ninc
from ninc import functional as F
from ninc import nn
from ninc.averages import EMA, SWA
from ninc.errors import ArgumentError
from ninc.training.freezing import frozen_parameters
from ninc.training.stepper import Stepper
from support.small_training import bars, batch, everything, small_network
from support.weights import copies, same_bits

NAMES = ["conv1.weight", "bn_conv1.weight", "bn_conv1.bias", "cccp1.weight", "cccp1.bias"]


def trained(network=None):
    """A network whose statistics and weights are none of the beginning."""
    network = network or small_network()
    ninc.Trainer(network, ninc.SGD(0.05)).fit(bars(), epochs=1, batch_size=16, progress=False)
    return network


# ---- Patterns ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "patterns, expected",
    [
        ((), []),
        ("conv1", NAMES[:1]),
        (("conv1.*",), NAMES[:1]),
        (["*conv1"], NAMES[:3]),
        ("bn_*", NAMES[1:3]),
        ("*.bias", [NAMES[2], NAMES[4]]),
        (("cccp1.bias", "conv1", "conv1.weight"), [NAMES[0], NAMES[4]]),
        ("c*1.weight", [NAMES[0], NAMES[3]]),
    ],
)
def test_patterns_are_of_parameters_and_of_layers(patterns, expected):
    assert frozen_parameters(NAMES, patterns) == expected


@pytest.mark.parametrize(
    "freeze, words",
    [
        ("conv9", r"freeze 'conv9' matches none of .* or layers \(conv1.weight, "),
        (("conv1", "Conv1.*"), "freeze 'Conv1.*' matches none"),
        ("*.running_mean", "matches none"),
        ("*", "holds every parameter still"),
        (("*.weight", "*.bias"), "holds every parameter still"),
        (3, "freeze must be patterns of names, got 3"),
        ((None,), "freeze must be patterns of names, got None"),
    ],
)
def test_a_pattern_for_nothing_or_for_everything_is_refused(freeze, words):
    network = small_network()
    before = copies(network)
    trainer = ninc.Trainer(network)
    with pytest.raises(ArgumentError, match=f"fit: .*{words}"):
        trainer.fit(bars(), epochs=1, progress=False, freeze=freeze)
    assert same_bits(before, network) == set(before)


# ---- Bits ----------------------------------------------------------------------------------------

FIRST = {f"bn_conv1.{n}" for n in ("weight", "bias", "running_mean", "running_var")}


@pytest.mark.parametrize("average", [None, EMA(0.5, norm_batches=2), SWA(0.3, norm_batches=2)])
def test_what_is_frozen_keeps_its_bits(average):
    network = trained()
    before = copies(network)
    trainer = everything(network, average=average)
    trainer.fit(
        bars(), bars(32, seed=1), 3, 16, progress=False, freeze=("conv1.*", "bn_conv1", "conv2")
    )
    assert same_bits(before, network) == FIRST | {"conv1.weight", "conv2.weight", "conv2.bias"}
    # The next run of the same trainer holds nothing still.
    trainer.fit(bars(), bars(32, seed=1), epochs=1, batch_size=16, progress=False)
    assert same_bits(before, network) == set()


def test_statistics_move_with_a_batch_norm_that_still_trains():
    network = trained()
    before = copies(network)
    ninc.Trainer(network).fit(
        bars(), epochs=1, batch_size=16, progress=False, freeze=["bn_conv1.weight", "conv1"]
    )
    statistics = {"bn_conv1.running_mean", "bn_conv1.running_var", "bn_conv1.bias"}
    assert same_bits(before, network) == {"conv1.weight", "bn_conv1.weight"}
    assert not same_bits(before, network) & statistics


def test_early_stopping_ends_with_the_frozen_bits():
    network = trained()
    before = copies(network)
    ninc.Trainer(network, ninc.SGD(0.5, momentum=0.9)).fit(
        bars(), bars(32, seed=1), 4, 16, progress=False, patience=1, freeze="*1"
    )
    assert {name for name in before if "1." in name} <= same_bits(before, network)
    assert "cccp2.weight" not in same_bits(before, network)


def test_only_the_new_head_is_trained_and_learns():
    base = small_network()
    ninc.Trainer(base, ninc.SGD(0.1, momentum=0.9)).fit(
        bars(), epochs=4, batch_size=16, progress=False
    )
    network = base.new_head(["upright", "lying"])
    before = copies(network)
    data = bars(seed=7)
    history = ninc.Trainer(network, ninc.SGD(0.1, momentum=0.9)).fit(
        ninc.Dataset(data.images, 1 - data.labels, ["upright", "lying"]),
        epochs=4,
        batch_size=16,
        progress=False,
        freeze=("conv*", "bn_*", "cccp1"),
    )
    assert same_bits(before, network) == set(before) - {"cccp2.weight", "cccp2.bias"}
    assert history.rows[-1]["loss"] < 0.7 * history.rows[0]["loss"]


# ---- What is computed ----------------------------------------------------------------------------


def test_a_frozen_batch_norm_computes_in_training_as_in_inference():
    network = trained(
        nn.Sequential(*(layer for layer in small_network() if not isinstance(layer, nn.Dropout)))
    )
    x, labels = batch()
    core = ninc.Trainer(network).stepper.core
    wanted, _ = F.softmax_cross_entropy(network(x), labels)
    as_trained, _, _ = core.gradients(x, labels, seed=0, step=0)
    core.set_frozen([name for name in network.parameters() if name.startswith("bn_")])
    frozen, _, gradients = core.gradients(x, labels, seed=0, step=0)
    assert frozen == pytest.approx(wanted, abs=1e-6) and abs(as_trained - wanted) > 1e-4
    assert not gradients["bn_conv1.weight"].any() and gradients["conv1.weight"].any()


def test_gradients_through_a_frozen_batch_norm_are_those_of_numpy(rng):
    """conv -> frozen batch norm -> ReLU -> mean: dw = x^T (dy * [y > 0] * scale), by hand."""
    graph = nn.Graph(seed=2)
    z = graph.add(nn.Conv2d(3, 5, 1, bias=False), graph.input(), name="conv")
    y = graph.add(nn.ReLU(), graph.add(nn.BatchNorm2d(5), z, name="bn"))
    graph.add(nn.GlobalAvgPool2d(), y)
    state = copies(graph)
    for name in ("bn.weight", "bn.bias", "bn.running_mean", "bn.running_var"):
        state[name] = rng.uniform(0.2, 2, 5).astype(np.float32)
    graph.load_state_dict(state)
    x = rng.standard_normal((4, 3, 6, 7)).astype(np.float32)
    labels = np.array([0, 4, 2, 1])
    core = ninc.Trainer(graph).stepper.core
    core.set_frozen(["bn.weight", "bn.bias"])
    loss, _, gradients = core.gradients(x, labels, seed=0, step=0)

    double = {name: value.astype(np.float64) for name, value in state.items()}
    scale = double["bn.weight"] / np.sqrt(double["bn.running_var"] + 1e-5)
    z = np.einsum("nchw,kc->nkhw", x.astype(np.float64), double["conv.weight"][:, :, 0, 0])
    y = (z - double["bn.running_mean"][:, None, None]) * scale[:, None, None]
    y = np.maximum(y + double["bn.bias"][:, None, None], 0)
    logits = y.mean(axis=(2, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert loss == pytest.approx(-np.log(shares[range(4), labels]).mean(), rel=1e-6)
    dlogits = (shares - np.eye(5)[labels]) / 4
    dz = dlogits[:, :, None, None] / 42 * (y > 0) * scale[:, None, None]
    dweight = np.einsum("nkhw,nchw->kc", dz, x)
    np.testing.assert_allclose(gradients["conv.weight"][:, :, 0, 0], dweight, rtol=2e-5, atol=1e-7)


def test_a_frozen_front_takes_no_backward_steps():
    network = small_network()
    core = ninc.Trainer(network).stepper.core
    x, labels = batch()
    core.set_frozen([name for name in network.parameters() if not name.startswith("cccp2")])
    core.gradients(x, labels, seed=0, step=0)
    table = core.describe()
    backward = [line for line in table.splitlines() if "backward" in line]
    assert backward and not any("conv1" in line or "cccp1" in line for line in backward), table
    with pytest.raises(ArgumentError, match="set_frozen: the network has no trainable parameter"):
        core.set_frozen(["bn_conv1.running_mean"])


# ---- Checkpoints ---------------------------------------------------------------------------------


def test_a_resumed_run_must_freeze_the_same(tmp_path):
    def fit(freeze, epochs=2):
        ninc.Trainer(small_network(), ninc.SGD(0.1)).fit(
            bars(), epochs=epochs, batch_size=16, progress=False, checkpoint_dir=tmp_path / "run",
            resume=True, freeze=freeze,
        )  # fmt: skip

    fit("*conv1")
    fit(("conv1.*", "bn_conv1"))  # the same parameters by other patterns
    with pytest.raises(ArgumentError, match="frozen conv1.weight, bn.*, now it is none"):
        fit(())
    with pytest.raises(ArgumentError, match="frozen conv1.weight, .*, now it is conv1.weight"):
        fit(("*conv1", "conv2"))


def test_a_resumed_run_ends_with_the_bits_of_one_never_stopped(tmp_path, monkeypatch):
    options = dict(epochs=3, batch_size=16, progress=False, freeze=("*conv1", "cccp2.bias"))
    whole = small_network()
    everything(whole).fit(bars(), bars(32, seed=1), **options)

    def stop_in_time(*args):
        if len(trainer.history) == 1:
            raise RuntimeError("the machine went down")
        return update(*args)

    update = Stepper.update
    options["checkpoint_dir"] = tmp_path / "run"
    with monkeypatch.context() as patch, pytest.raises(RuntimeError):
        patch.setattr(Stepper, "update", stop_in_time)
        trainer = everything(small_network())
        trainer.fit(bars(), bars(32, seed=1), **options)
    resumed = small_network()
    everything(resumed).fit(bars(), bars(32, seed=1), resume=True, **options)
    assert same_bits(whole, resumed) == set(whole.state_dict())
