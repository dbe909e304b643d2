"""`Network`: a model of the core with what people do with it around."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, BinaryIO, overload

from . import _core
from ._base.arguments import input_told, integer, one_of, shown
from ._base.array_types import Floats, FloatsLike, OnGpu
from ._base.arrays import on_gpu
from ._base.graph import Nodes, graph_of
from ._base.locks import fork_safe_lock
from .data.dataset import Data
from .errors import ArgumentError, ShapeError
from .formats.described import Described
from .formats.head import with_new_head
from .formats.model_file import pickled, save_model, unpickled
from .formats.onnx_export.export import export_onnx
from .formats.weights import LoadedWeights, load_weights
from .inference.calibrate import calibrate
from .inference.class_maps import class_maps
from .inference.evaluation import Evaluation, evaluate
from .inference.least_size import least_told, size_told
from .inference.outputs import outputs
from .inference.plan import Plan, image_shape
from .inference.predict import Pictures, predict, predict_each
from .inference.probabilities import squeezed
from .inference.summary import summary

PRECISIONS = ("float32", "strict", "fast")

# Held while a network's model is made, or set to what the network notes besides: two threads may
# use or set the same network at the same time.
making = fork_safe_lock()


class Network(Described):
    """A network with its weights. Made by `nn.Sequential`, `nn.Graph`, `ninc.models` and `load`.

    Several threads may use one network at once, and so may the child of a fork. Weights change
    through `load_state_dict` and a `Trainer` alone; whoever runs, saves, pickles or copies the
    network meanwhile has all of them from before a change or all from after it.
    """

    # None in a graph alone, until it is first used; it has a `core` of its own.
    _core_model: _core.Model | None

    def __init__(self, model: _core.Model | None) -> None:
        self._core_model = model
        name = os.environ.get("NINC_PRECISION", "float32")
        self._set_precision(one_of("NINC_PRECISION", "precision", name, PRECISIONS))

    @property
    def core(self) -> _core.Model:
        """The core's model, which is this network without its Python: for ninc's own use."""
        return self._core_model  # type: ignore[return-value]  # see `_core_model`

    # ---- Weights ---------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Floats]:
        """Name -> float32 array: parameters in order of appearance, then batch norm's buffers.

        Arrays are read-only and stay as they are: what trains or loads weights afterwards makes
        new ones. All are of one moment, whatever other threads do meanwhile.
        """
        return self.core.parameters()

    def parameters(self) -> dict[str, Floats]:
        """The trainable part of `state_dict`."""
        values = self.core.parameters()
        return {name: values[name] for name, _, trained in self.core.specs() if trained}

    @property
    def num_parameters(self) -> int:
        """How many numbers are trained: weights, biases, batch norm's scales and shifts."""
        return sum(math.prod(dims) for _, dims, trained in self.core.specs() if trained)

    def load_state_dict(
        self, values: Mapping[str, FloatsLike], strict: bool = True, match: str = "name"
    ) -> LoadedWeights:
        """Takes over weights by name or by order; on an error none.

        strict: all of the network's, and `values` holds nothing else. False: those that fit by
            name and shape; by order, those before the first that does not fit.
        match: what belongs together. "name": equal names; where all of `values` begin with one name
            and a dot that none of the network's has, such as torch's "module.", they are taken
            without it. "order": the first parameter with the first, and so on; and likewise the
            buffers, in `values` what ends in running_mean or running_var. Scalars and what ends in
            num_batches_tracked are passed over, shapes may differ by ones at their end (K×C fits
            K×C×1×1), and a weight never gets what is called bias, nor a bias a weight.

        Returns which names were taken and which were not, as `LoadedWeights`. Raises, where strict,
        ModelError for names missing or unknown and ShapeError for shapes that differ, by name with
        all of them listed, by order with the first pair that does not fit and what stands before
        it; and DTypeError for what is no float32 array.
        """
        if not isinstance(values, Mapping):
            raise ArgumentError(f"load_state_dict: a dictionary is needed, got {shown(values)}")
        return load_weights(self.core, values, strict, match)

    def new_head(self, classes: Sequence[str] | int, seed: int = 0) -> Network:
        """A new network with a fresh last layer for other classes, and all else kept, bit for bit.

        classes: their names, which the new network then has, or how many there are.
        seed: of the last layer's weights, He's as in `nn`; batch norm and PReLU behind begin anew.

        Weights, statistics and preprocessing are copies, on the CPU; this network stays as it is.
        The last layer is the convolution or linear layer that gives the output through layers alone
        which leave each channel its class: pools, activations, normalisations, dropout, Flatten and
        Softmax, slices and pads of rows and columns, arithmetic with a Constant of one channel.
        Raises ModelError, naming the layer, where the network ends in another way.
        """
        seed = integer("new_head", "seed", seed, 0)
        renewed = Network(with_new_head(self.core, classes, seed))
        renewed.precision = self.precision
        return renewed

    # ---- Running ---------------------------------------------------------------------------------

    # Where a tensor of torch lies its type does not tell, nor then which result it gives.
    @overload
    def __call__(self, x: OnGpu) -> Any: ...

    @overload
    def __call__(self, x: FloatsLike) -> Floats: ...

    def __call__(self, x: Any) -> Any:
        """The network's output in inference mode.

        x: N×C×H×W float32 of any strides, any H and W the layers can take, N = 0 too.

        Returns N×classes where each output map is one number, else N×C'×H'×W'; of several outputs
        the first, see `outputs`. Raises ShapeError with the name of the layer that x does not fit.

        An array of another library in the CPU's memory, such as a torch tensor, is read there, too,
        by DLPack or `__array__`; here and wherever else ninc takes arrays. Masked values are a
        DTypeError.

        An array in a GPU's memory, of any library that offers `__cuda_array_interface__` or
        DLPack, is read there; the result, a `DeviceArray` with both, stays there too. It needs the
        network on "cuda"; DeviceError otherwise.
        """
        if on_gpu(x):
            return self.core.run_on_device(x)
        try:
            y = self.core.run(x)
        except ShapeError as error:
            raise self._told(error, x) from None
        return squeezed(y)

    def outputs(self, x: Any, names: Sequence[str] | None = None) -> dict[str, Any]:
        """What several layers give, computed in one pass in inference mode: name -> array.

            both = net.outputs(x)                        # of a network with several outputs
            features = net.outputs(x, ["gap"])["gap"]    # inside a network

        x: as of `net(x)`, which gives the first of the network's outputs alone.
        names: of layers, as `net.graph` has them; where there are none, the network's outputs.

        Arrays and errors are as of `net(x)`; ArgumentError for a name that is no layer's.
        """
        return outputs(self.core, x, names)

    def predict(self, images: Pictures, batch_size: int = 64, tta: str | None = None) -> Floats:
        """Class probabilities of pictures: N×classes float32, each row's sum 1.

        images: one picture or many, of any sizes and kinds: the path of a picture file or of a
            folder, whose pictures are all taken, sub-folders too, in the order of their names; the
            bytes of a picture file, or a file object open for reading bytes; a Pillow image; uint8
            arrays, N×H×W×C, N×H×W, H×W×C or H×W; a Dataset; or an iterable of such, mixed as you
            like, which is read a batch at a time. They are resized, cropped and normalised as the
            network's `preprocessing` says.
        batch_size: pictures computed at a time; changes memory and speed, not results.
        tta: "flip" has the network look at each picture's mirror image, too, and takes the mean of
            both scores before the softmax: a little more accurate, at twice the work.

        Raises ArgumentError where the network has no preprocessing and for what is no picture,
        ShapeError for an array of other numbers or with its channels first, FileError for a file
        that is no picture. `predict_each` tells which row is whose, and goes on after a bad file if
        you like.
        """
        return predict(self.core, images, batch_size, tta)

    def predict_each(
        self,
        images: Pictures,
        batch_size: int = 64,
        on_error: str = "raise",
        tta: str | None = None,
    ) -> Iterator[tuple[Any, Floats]]:
        """(picture, class probabilities) for one picture after another, as results come.

            for path, probabilities in net.predict_each("holiday"):
                print(path, net.classes[probabilities.argmax()])

        images, batch_size, tta: as of `predict`; of a folder, each picture is its file's path.
            However many there are, no more than a few batches are in memory; the next are decoded
            while the network computes.
        on_error: what to do about a picture that cannot be read, or whose size the network cannot
            take: "raise", after the results before it; or "skip", which leaves it out with a
            `ninc.Remark`, a warning, that names it.
        """
        return predict_each(self.core, images, batch_size, on_error, tta)

    def calibrate(self, data: Data, batch_size: int = 128) -> float:
        """Fits the `temperature` to labelled pictures, stores it and returns it.

            net.calibrate(ninc.data.load("pets", "validation", size=(32, 32)))

        data: as of `evaluate`; pictures that the network was neither trained on nor will be tested
            on, some hundreds at least.

        Answers stay as they are; their probabilities become as high as answers are right (Guo et
        al. 2017). Raises ArgumentError, and stores nothing, where no temperature fits: of answers
        that are all right, or no better than chance.
        """
        return calibrate(self, data, batch_size)

    def evaluate(self, data: Data, batch_size: int = 128, tta: str | None = None) -> Evaluation:
        """Loss, accuracy and confusion matrix on labelled pictures, in inference mode.

            print(net.evaluate(ninc.data.load("pets", "test", size=(32, 32))).accuracy)

        data: a Dataset, or (x, y) as `Dataset` takes them.
        batch_size: images computed at a time; changes memory and speed, not results.
        tta: as of `predict`.

        Raises ArgumentError where the data's classes or pictures are not the network's.
        """
        return evaluate(self, data, batch_size, tta=tta)

    def class_maps(self, x: FloatsLike) -> Floats:
        """N×classes×H'×W': the maps whose means are the scores (paper, section 3.2).

        x: N×C×H×W float32.

        Raises ArgumentError unless global average pooling gives the network's output, or is
        followed by one linear layer, whose sums are then taken at every place.
        """
        try:
            return class_maps(self.core, x)
        except ShapeError as error:
            raise self._told(error, x) from None

    def _told(self, error: ShapeError, x: Any) -> ShapeError:
        """The core's error about an input, with what helps."""
        return size_told(self.core, input_told(self.core, error, x), getattr(x, "shape", ()))

    # ---- What it is ------------------------------------------------------------------------------

    @property
    def graph(self) -> Nodes:
        """The network's operations in order, read-only: a sequence of `Node`, see `Nodes`.

        Layers that are added to a `nn.Graph` later are in the next one.
        """
        return graph_of(self.core)

    def summary(self, input_shape: Sequence[int]) -> str:
        """A table of layers: output shape, parameters, millions of multiplications a picture.

        input_shape: (N, C, H, W) or (C, H, W).
        """
        shape = image_shape("summary", input_shape)
        with least_told(self.core, shape, [node.name for node in self.graph]):
            return summary(self.core, shape)

    def plan(self, input_shape: Sequence[int], training: bool = False) -> Plan:
        """How it runs, all its outputs, on (N, C, H, W) or (C, H, W); see `Plan.describe`."""
        shape = image_shape("plan", input_shape)
        with least_told(self.core, shape):
            return Plan(self.core, shape, training)

    # ---- Where and how it runs -------------------------------------------------------------------

    def to(self, device: str) -> Network:
        """Moves the network to a device, "cpu" or "cuda", and returns it.

        It then runs and trains there; arrays go in and come out as before. Files and copies of it
        are on the CPU. Raises DeviceError, with the reason, where there is no such device.
        """
        if not (isinstance(device, str) and device.isascii()):
            raise ArgumentError(f"to: device must be 'cpu' or 'cuda', got {shown(device)}")
        self.core.move_to(device)
        return self

    @property
    def device(self) -> str:
        """Where the network runs: "cpu" or "cuda"."""
        return self.core.device

    @property
    def precision(self) -> str:
        """How exactly it computes: "float32" (the default), "strict" or "fast".

        "float32": within 2e-5 of the output's largest magnitude. "strict": plain float32 without
        algorithms that trade digits for speed (Winograd's convolution, tensor cores), training
        included. "fast": what the device does fastest with about three digits, TF32 on a GPU; a
        processor does as for "float32".
        The environment's NINC_PRECISION sets what networks begin with; files do not store it.
        """
        return self._precision

    @precision.setter
    def precision(self, name: str) -> None:
        self._set_precision(one_of("network", "precision", name, PRECISIONS))

    def _set_precision(self, name: str) -> None:
        with making:
            self._precision = name
            if self._core_model is not None:  # a graph makes its model when first used
                self._core_model.set_precision(name)

    @property
    def plan_cache_limit(self) -> int:
        """The most bytes kept for the next runs: plans, packed weights and idle arenas; 512 MiB.

        Each input shape has a plan of its own, made when it is first seen; those used longest ago
        go first. The plan used last stays even where it is larger. A run under way takes its
        arena besides, and a `Trainer` keeps the memory of its steps while it lives. Set it to a
        number of bytes; files and copies do not store it.
        """
        return self.core.plan_cache_limit

    @plan_cache_limit.setter
    def plan_cache_limit(self, limit: int) -> None:
        self.core.set_plan_cache_bytes(integer("plan_cache_limit", "bytes", limit, 0))

    @property
    def plan_cache_bytes(self) -> int:
        """How much of `plan_cache_limit` is in use now."""
        return self.core.plan_cache_bytes

    # ---- Files and copies ------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str], dtype: str = "float32") -> None:
        """Writes a safetensors file with graph, weights, preprocessing and class names.

        dtype: "float32", "float16" or "bfloat16", of weights of two dimensions and more; all else
            is float32. A network computes in float32 whatever its file has.

        The file appears whole or not at all. Raises FileError where it cannot be written, which is
        also Python's FileNotFoundError, PermissionError or IsADirectoryError where it is one of
        these; ModelError for a graph that has other outputs than when its classes were named;
        ArgumentError where a weight is beyond float16.
        """
        save_model(self.core, path, dtype)

    def export_onnx(self, path: str | os.PathLike[str] | BinaryIO, *, opset: int = 17) -> None:
        """Writes an ONNX file, which gives what this network gives, in inference mode.

        path: the file's name, which appears whole or not at all; or a file object open for writing
            bytes, which is not closed.
        opset: the version of ONNX's operators, from 13 to the newest that the package onnx knows.

        Input and output have the names of the first and the last node, weights those of
        `state_dict`. Batch, height and width are any that the network takes. Preprocessing and
        class names are JSON in the metadata, "ninc.preprocess" and "ninc.classes"; so is a
        temperature, "ninc.temperature", by which the file's own numbers do not change.

        Needs the package onnx: ArgumentError without it. Raises FileError as `save` does, and
        ModelError where layers have no counterpart, with all of their names, and for more than
        2 GiB of weights.
        """
        export_onnx(self.core, path, opset)

    def __getstate__(self) -> dict[str, Any]:
        saved = pickled(self.core)  # first: a graph makes its model now if it has not yet
        return {**self.__dict__, "_core_model": saved}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._core_model = unpickled(state["_core_model"])
        self._core_model.set_precision(self._precision)

    def __repr__(self) -> str:
        layers = len(self.graph) - 1  # the input is none
        return f"<Network of {layers} layers, {self.num_parameters:,} parameters>"
