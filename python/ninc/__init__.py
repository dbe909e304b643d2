"""ninc: Network in Network, trained and run fast without a framework.

Networks: `ninc.pretrained`, `ninc.models`, `ninc.nn`, `ninc.load`, `ninc.load_caffe`,
`ninc.load_onnx`, `ninc.load_torch`. Training: `ninc.Trainer`, `ninc.SGD`, `ninc.Adam`,
`ninc.AdamW`, `ninc.schedules`, `ninc.averages`, `ninc.augment`, `ninc.data`.
Pictures: `Network.predict`, `ninc.explain`, `ninc.contact_sheet`, `ninc.preprocess`; by the million
`ninc.distributed`. Operations on arrays: `ninc.functional`. Control: `ninc.set_num_threads`,
`ninc.set_target`, `ninc.build_info`.

Everything is imported when first used, so that `import ninc` costs next to nothing.
"""

from . import _old_paths

TYPE_CHECKING = False  # typing's own, without importing typing
if TYPE_CHECKING:  # what editors and type checkers know; `as` tells them that users may, too
    # isort: off
    from . import (
        data as data,
        distributed as distributed,
        errors as errors,
        functional as functional,
        models as models,
        nn as nn,
        preprocess as preprocess,
    )
    from ._base.graph import Node as Node, Nodes as Nodes
    from ._base.interrupt import Interrupted as Interrupted
    from ._core import __version__ as __version__
    from .control import (
        build_info as build_info,
        devices as devices,
        get_cmake_dir as get_cmake_dir,
        get_include as get_include,
        get_num_threads as get_num_threads,
        set_num_threads as set_num_threads,
        set_target as set_target,
        target as target,
        targets as targets,
    )
    from .data import Dataset as Dataset
    from .errors import (
        ArgumentError as ArgumentError,
        DeviceError as DeviceError,
        DivergedError as DivergedError,
        DTypeError as DTypeError,
        Error as Error,
        FileError as FileError,
        ModelError as ModelError,
        OutOfMemoryError as OutOfMemoryError,
        Remark as Remark,
        ShapeError as ShapeError,
    )
    from .explanation import (
        Explanation as Explanation,
        contact_sheet as contact_sheet,
        explain as explain,
    )
    from .formats.caffe.reader import load_caffe as load_caffe
    from .formats.load import load as load
    from .formats.onnx_files.reader import load_onnx as load_onnx
    from .formats.torch_files.read import load_torch as load_torch
    from .formats.weights import LoadedWeights as LoadedWeights
    from .inference.evaluation import Evaluation as Evaluation
    from .inference.plan import Plan as Plan
    from .network import Network as Network
    from .packaged import (
        get_pretrained_path as get_pretrained_path,
        pretrained as pretrained,
    )
    from .training import augment as augment, averages as averages, schedules as schedules
    from .training.optim import SGD as SGD, Adam as Adam, AdamW as AdamW
    from .training.record.history import History as History
    from .training.trainer import Trainer as Trainer

# Where each name lives.
_MODULES = frozenset(
    "_core augment averages data distributed errors functional models nn preprocess "
    "schedules".split()
)
_HOMES = {
    "_base.graph": "Node Nodes",
    "_base.interrupt": "Interrupted",
    "_core": "__version__",
    "control": "build_info devices get_cmake_dir get_include get_num_threads set_num_threads "
    "set_target target targets",
    "data": "Dataset",
    "errors": "ArgumentError DTypeError DeviceError DivergedError Error FileError ModelError "
    "OutOfMemoryError Remark ShapeError",
    "explanation": "Explanation contact_sheet explain",
    "formats.caffe.reader": "load_caffe",
    "formats.load": "load",
    "formats.onnx_files.reader": "load_onnx",
    "formats.torch_files.read": "load_torch",
    "formats.weights": "LoadedWeights",
    "inference.evaluation": "Evaluation",
    "inference.plan": "Plan",
    "network": "Network",
    "packaged": "get_pretrained_path pretrained",
    "training.optim": "Adam AdamW SGD",
    "training.record.history": "History",
    "training.trainer": "Trainer",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = sorted({*_NAMES, *_MODULES} - {"_core"})


if not TYPE_CHECKING:  # a checker would take any name at all for one that is there

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _MODULES or f"{__name__}.{name}" in _old_paths.MOVED:
            return import_module(f".{name}", __name__)
        if name in _NAMES:
            value = getattr(import_module(f".{_NAMES[name]}", __name__), name)
            globals()[name] = value  # the next use does not come here
            return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(set(__all__) | set(globals()))
