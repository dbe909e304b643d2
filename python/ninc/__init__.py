"""ninc: Network in Network, trained and run fast without a framework.

Networks: `ninc.models`, `ninc.nn`, `ninc.load`. Training: `ninc.Trainer`, `ninc.SGD`,
`ninc.schedules`, `ninc.averages`, `ninc.augment`, `ninc.data`. Pictures: `Network.predict`,
`ninc.explain`, `ninc.preprocess`. Operations on arrays: `ninc.functional`. Control:
`ninc.set_num_threads`, `ninc.set_target`, `ninc.build_info`.

Everything is imported when first used, so that `import ninc` costs next to nothing.
"""

from . import _old_paths
from .errors import (
    ArgumentError,
    DeviceError,
    DivergedError,
    DTypeError,
    Error,
    FileError,
    ModelError,
    OutOfMemoryError,
    Remark,
    ShapeError,
)

TYPE_CHECKING = False  # typing's own, without importing typing
if TYPE_CHECKING:
    from . import data, functional, models, nn, preprocess
    from ._base.interrupt import Interrupted
    from ._core import __version__
    from .control import (
        build_info,
        devices,
        get_cmake_dir,
        get_include,
        get_num_threads,
        set_num_threads,
        set_target,
        target,
        targets,
    )
    from .data import Dataset
    from .explanation import Explanation, explain
    from .formats.weights import LoadedWeights
    from .inference.evaluation import Evaluation
    from .inference.plan import Plan
    from .network import Network, load
    from .training import augment, averages, schedules
    from .training.optim import SGD
    from .training.record.history import History
    from .training.trainer import Trainer

# Where each name lives.
_MODULES = frozenset(
    "_core augment averages data functional models nn preprocess schedules".split()
)
_HOMES = {
    "_base.interrupt": "Interrupted",
    "_core": "__version__",
    "control": "build_info devices get_cmake_dir get_include get_num_threads set_num_threads "
    "set_target target targets",
    "data": "Dataset",
    "explanation": "Explanation explain",
    "formats.weights": "LoadedWeights",
    "inference.evaluation": "Evaluation",
    "inference.plan": "Plan",
    "network": "Network load",
    "training.optim": "SGD",
    "training.record.history": "History",
    "training.trainer": "Trainer",
}
_NAMES = {name: home for home, names in _HOMES.items() for name in names.split()}

__all__ = [
    "ArgumentError",
    "DTypeError",
    "Dataset",
    "DeviceError",
    "DivergedError",
    "Error",
    "Evaluation",
    "Explanation",
    "FileError",
    "History",
    "Interrupted",
    "LoadedWeights",
    "ModelError",
    "Network",
    "OutOfMemoryError",
    "Plan",
    "Remark",
    "SGD",
    "ShapeError",
    "Trainer",
    "__version__",
    "augment",
    "averages",
    "build_info",
    "data",
    "devices",
    "explain",
    "functional",
    "get_cmake_dir",
    "get_include",
    "get_num_threads",
    "load",
    "models",
    "nn",
    "preprocess",
    "schedules",
    "set_num_threads",
    "set_target",
    "target",
    "targets",
]


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
