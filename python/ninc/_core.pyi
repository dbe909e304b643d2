# What type checkers know of the core, which cpp/bindings/ makes. `make types` holds it to the
# module: its names, their arguments and defaults, and the classes of what they give.
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar

import numpy as np
from typing_extensions import CapsuleType, TypeAlias

from ._base.array_types import Bytes, Floats, FloatsLike, OnGpu, WholeNumbers

_Pair: TypeAlias = Sequence[int]  # height, width
_Sides: TypeAlias = Sequence[int]  # top, left, bottom, right
_Nchw: TypeAlias = Sequence[int]
_Step: TypeAlias = tuple[float, int, bool]  # mean loss, how many were right, whether it updated
_Triple: TypeAlias = tuple[Floats, Floats, Floats]
# A dictionary is of one kind of array, and which kind is all the same.
_Array = TypeVar("_Array", bound=FloatsLike)
_ArrayOrNone = TypeVar("_ArrayOrNone", bound=FloatsLike | None)

__version__: str

# ---- Control -------------------------------------------------------------------------------------

def build_info() -> dict[str, str]: ...  # version, compiler, cuda
def devices() -> list[dict[str, str]]: ...  # name, description, problem
def free_memory() -> int | None: ...
def get_num_threads() -> int: ...
def set_num_threads(threads: int) -> None: ...
def target() -> str: ...
def targets() -> list[str]: ...
def set_target(name: str) -> None: ...
def measure_peak_gflops(threads: int) -> float: ...
def time_conv2d(
    input_shape: _Nchw,
    out_channels: int,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Sides,
    dilation: _Pair,
    groups: int,
    which: str,
    repeats: int,
    threads: int,
    method: str = "auto",
) -> tuple[float, list[float]]: ...  # FLOPs, seconds of each run

# ---- Convolution and linear layers ---------------------------------------------------------------

def conv2d(
    x: FloatsLike,
    weight: FloatsLike,
    bias: FloatsLike | None,
    stride: _Pair,
    padding: _Sides,
    dilation: _Pair,
    groups: int,
) -> Floats: ...
def conv2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    weight: FloatsLike,
    stride: _Pair,
    padding: _Sides,
    dilation: _Pair,
    groups: int,
) -> _Triple: ...  # dx, dweight, dbias
def linear(
    x: FloatsLike, weight: FloatsLike, bias: FloatsLike | None, threads: int = 0
) -> Floats: ...
def linear_backward(dy: FloatsLike, x: FloatsLike, weight: FloatsLike) -> _Triple: ...

# ---- Pooling -------------------------------------------------------------------------------------

def max_pool2d(
    x: FloatsLike, kernel_size: _Pair, stride: _Pair, padding: _Pair, ceil_mode: bool
) -> Floats: ...
def max_pool2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Pair,
    ceil_mode: bool,
) -> Floats: ...
def avg_pool2d(
    x: FloatsLike,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Pair,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Floats: ...
def avg_pool2d_backward(
    dy: FloatsLike,
    x_shape: _Nchw,
    kernel_size: _Pair,
    stride: _Pair,
    padding: _Pair,
    ceil_mode: bool,
    count_include_pad: bool,
) -> Floats: ...
def global_avg_pool2d(x: FloatsLike) -> Floats: ...
def global_avg_pool2d_backward(dy: FloatsLike, x_shape: _Nchw) -> Floats: ...
def global_max_pool2d(x: FloatsLike) -> Floats: ...
def global_max_pool2d_backward(dy: FloatsLike, x: FloatsLike) -> Floats: ...

# ---- Element by element, batch norm, the loss ----------------------------------------------------

def clip(name: str, x: FloatsLike, low: float, high: float) -> Floats: ...
def clip_backward(name: str, dy: FloatsLike, y: FloatsLike, low: float, high: float) -> Floats: ...
def elementwise(name: str, x: FloatsLike, a: float = ..., b: float = ...) -> Floats: ...
def elementwise_backward(
    name: str, dy: FloatsLike, v: FloatsLike, a: float = ..., b: float = ...
) -> Floats: ...
def binary(
    name: str, a: FloatsLike, b: FloatsLike, a_name: str = ..., b_name: str = ...
) -> Floats: ...
def sum_to(name: str, dy: FloatsLike, shape: Sequence[int], factor: float = ...) -> Floats: ...
def prelu(x: FloatsLike, slope: FloatsLike) -> Floats: ...
def prelu_backward(dy: FloatsLike, x: FloatsLike, slope: FloatsLike) -> tuple[Floats, Floats]: ...
def local_response_norm(
    x: FloatsLike, size: int, alpha: float, beta: float, k: float
) -> Floats: ...
def local_response_norm_backward(
    dy: FloatsLike, x: FloatsLike, size: int, alpha: float, beta: float, k: float
) -> Floats: ...
def dropout(x: FloatsLike, p: float, seed: int, step: int, layer: int) -> Floats: ...
def batch_norm2d(
    x: FloatsLike,
    mean: FloatsLike,
    var: FloatsLike,
    weight: FloatsLike,
    bias: FloatsLike,
    eps: float,
) -> Floats: ...
def batch_norm2d_backward(
    dy: FloatsLike,
    x: FloatsLike,
    mean: FloatsLike,
    var: FloatsLike,
    weight: FloatsLike,
    eps: float,
) -> _Triple: ...  # dx, dweight, dbias
def batch_norm2d_training(
    x: FloatsLike,
    mean: FloatsLike,
    var: FloatsLike,
    weight: FloatsLike,
    bias: FloatsLike,
    momentum: float,
    eps: float,
) -> tuple[Floats, Floats, Floats, Floats, Floats]: ...

# y, running mean, running variance, the batch's mean and its 1 / sqrt(variance + eps)
def batch_norm2d_training_backward(
    dy: FloatsLike,
    x: FloatsLike,
    weight: FloatsLike,
    batch_mean: FloatsLike,
    batch_inv_std: FloatsLike,
) -> _Triple: ...  # dx, dweight, dbias
def softmax(x: FloatsLike) -> Floats: ...
def softmax_backward(dy: FloatsLike, y: FloatsLike) -> Floats: ...
def softmax_cross_entropy(
    logits: FloatsLike, labels: WholeNumbers, label_smoothing: float
) -> tuple[float, Floats]: ...  # mean loss, dlogits

# ---- Networks ------------------------------------------------------------------------------------

class _Operation(TypedDict):
    stem: str
    once: bool
    places: Literal["kept", "whole", "moved"]
    channels_field: str  # "" where no field says how many channels it gives

OPERATIONS: dict[str, _Operation]

class Draft:
    def __init__(self) -> None: ...
    def __len__(self) -> int: ...
    def add(self, nodes_json: str) -> None: ...

class _PlanInfo(TypedDict):
    flops: float
    arena_bytes: int
    packed_bytes: int

class Model:
    def __init__(self, graph_json: str) -> None: ...
    @staticmethod
    def load(path: str | bytes) -> Model: ...
    @staticmethod
    def load_memory(data: bytes, name: str | bytes) -> Model: ...
    def save(
        self,
        path: str | bytes,
        more_metadata: Mapping[str, str] = {},
        more_extras: dict[str, _ArrayOrNone] = {},
        dtype: str = ...,
    ) -> None: ...
    def graph_json(self) -> str: ...
    def before_softmax(self) -> str | None: ...
    def channels(self) -> dict[str, int | None]: ...
    def output_channels(self) -> int | None: ...
    def classes_from(self, name: str) -> str | None: ...
    def specs(self) -> list[tuple[str, tuple[int, ...], bool]]: ...  # name, shape, whether trained
    def state(self) -> tuple[dict[str, Floats], dict[str, str], dict[str, Floats]]: ...
    # parameters, metadata, extras
    def stored(self) -> tuple[dict[str, str], dict[str, Floats]]: ...  # metadata, extras
    def parameters(self) -> dict[str, Floats]: ...
    def set_parameters(self, values: dict[str, _Array]) -> None: ...
    def initialize(self, seed: int, stds: Mapping[str, float] = {}) -> None: ...
    @property
    def version(self) -> int: ...
    def metadata(self) -> dict[str, str]: ...
    def extras(self) -> dict[str, Floats]: ...
    def change(
        self, metadata: Mapping[str, str | None] = {}, extras: dict[str, _ArrayOrNone] = {}
    ) -> None: ...
    def run_on_device(self, x: OnGpu) -> DeviceArray: ...
    def output_names(self) -> list[str]: ...
    def run_outputs(self, x: FloatsLike, names: Sequence[str]) -> list[Floats]: ...
    def run_outputs_on_device(self, x: OnGpu, names: Sequence[str]) -> list[DeviceArray]: ...
    def run_pictures(self, pictures: Bytes, scale: FloatsLike, shift: FloatsLike) -> Floats: ...
    def run(self, x: FloatsLike, output: str | None = None) -> Floats: ...
    def run_with_parameters(
        self, x: FloatsLike, output: str | None = None
    ) -> tuple[Floats, dict[str, Floats]]: ...
    def output_shape(
        self, input_shape: _Nchw, output: str | None = None
    ) -> tuple[int, int, int, int]: ...
    def describe(
        self, input_shape: _Nchw, training: bool = False, label_smoothing: float = 0.0
    ) -> str: ...
    def plan_info(self, input_shape: _Nchw, training: bool = False) -> _PlanInfo: ...
    def move_to(self, device: str) -> None: ...
    @property
    def device(self) -> str: ...
    def set_precision(self, name: str) -> None: ...
    def set_plan_cache_bytes(self, bytes: int) -> None: ...
    @property
    def plan_cache_limit(self) -> int: ...
    @property
    def plan_cache_bytes(self) -> int: ...

class _CudaArrayInterface(TypedDict):
    version: int
    shape: tuple[int, ...]
    typestr: str
    data: tuple[int, bool]
    strides: None

class DeviceArray:
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[np.float32]: ...
    @property
    def __cuda_array_interface__(self) -> _CudaArrayInterface: ...
    def __dlpack__(self, *args: Any, **kwargs: Any) -> CapsuleType: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...
    def numpy(self) -> Floats: ...

# ---- Training ------------------------------------------------------------------------------------

OPTIMIZER_ARRAYS: tuple[str, ...]  # what the update rules keep, each of another name

class SgdRule:
    def __init__(self, momentum: float, nesterov: bool) -> None: ...

class AdamRule:
    def __init__(self, beta1: float, beta2: float, eps: float, decoupled_decay: bool) -> None: ...

class PendingStep:
    def wait(self) -> _Step: ...

class ShardTree:  # see ninc/training.h
    def __init__(self, examples: int, shards: int) -> None: ...
    @property
    def count(self) -> int: ...
    def rows(self, begin: int, end: int) -> tuple[int, int]: ...
    def roots(self, begin: int, end: int) -> list[tuple[int, int]]: ...
    @staticmethod
    def middle(begin: int, end: int) -> int: ...

class Trainer:
    def __init__(self, model: Model, label_smoothing: float = 0.0) -> None: ...
    def step(
        self,
        x: FloatsLike,
        labels: WholeNumbers,
        lr: FloatsLike,
        weight_decay: FloatsLike,
        rule: SgdRule | AdamRule,
        seed: int,
        step: int,
        clip_norm: float = 0.0,
        average_rate: float = 0.0,
        shards: int = 1,
        sync_batch_norm: bool = False,
    ) -> _Step: ...
    def launch(
        self,
        x: FloatsLike,
        labels: WholeNumbers,
        lr: FloatsLike,
        weight_decay: FloatsLike,
        rule: SgdRule | AdamRule,
        seed: int,
        step: int,
        clip_norm: float = 0.0,
        average_rate: float = 0.0,
        shards: int = 1,
        sync_batch_norm: bool = False,
    ) -> PendingStep: ...
    def add_shards(
        self,
        x: FloatsLike,
        labels: WholeNumbers,
        lr: FloatsLike,
        weight_decay: FloatsLike,
        rule: SgdRule | AdamRule,
        seed: int,
        step: int,
        clip_norm: float,
        average_rate: float,
        shards: int,
        sync_batch_norm: bool,
        begin: int,
        end: int,
        gather: Callable[[Floats, int], Floats] | None = None,
    ) -> Floats: ...
    def add_sum(self, part: FloatsLike, total: Floats) -> None: ...
    def update_by_sum(
        self,
        sum: FloatsLike,
        shape: Sequence[int],
        lr: FloatsLike,
        weight_decay: FloatsLike,
        rule: SgdRule | AdamRule,
        seed: int,
        step: int,
        clip_norm: float,
        average_rate: float,
        shards: int,
        sync_batch_norm: bool,
    ) -> _Step: ...
    def gradients(
        self, x: FloatsLike, labels: WholeNumbers, seed: int, step: int
    ) -> tuple[float, int, dict[str, Floats]]: ...  # mean loss, how many were right, gradients
    def find_non_finite(
        self, x: FloatsLike, labels: WholeNumbers, seed: int, step: int, shards: int = 1
    ) -> str: ...
    def estimate_statistics(self, x: FloatsLike, momentum: float) -> None: ...
    def set_frozen(self, names: Sequence[str]) -> None: ...
    def set_class_weights(self, weights: Sequence[float]) -> None: ...
    def optimizer_state(self) -> dict[str, dict[str, Floats]]: ...  # array -> parameter -> values
    def set_optimizer_state(self, values: dict[str, dict[str, _Array]]) -> None: ...
    def averages(self) -> dict[str, Floats]: ...
    def set_averages(self, values: dict[str, _Array]) -> None: ...
    def swap_averages(self) -> None: ...
    def describe(self) -> str: ...

# ---- Timelines -----------------------------------------------------------------------------------

# Times are nanoseconds of one clock.
class _Loop(TypedDict):
    begin: int
    end: int
    work: list[tuple[int, int, int, int]]  # thread, tasks, begin, end

class _TimelineStep(TypedDict):
    kind: str
    layers: list[str]
    flops: float
    algorithms: list[str]
    begin: int
    end: int
    loops: list[_Loop]

class _Timeline(TypedDict):
    begin: int
    end: int
    steps: list[_TimelineStep]

def record_timeline(work: Callable[[], object]) -> _Timeline: ...
