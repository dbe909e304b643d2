"""Modules under the paths they had before: what imports or unpickles by one gets the same module.

`import ninc.files` gives `ninc._base.files` itself, under both names. This is asked last of all
that finds modules, so that other imports do not pay for it.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # typing's own, without importing typing
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Room -> what lay directly in ninc before and is there now under its old name.
_ROOMS = {
    "_base": "arguments files interrupt plain_json progress",
    "data": "batches digits",
    "formats": "head held_out weights",
    "inference": "class_maps matching plan predict summary",
    "training": "augment averages fit_checks freezing guessing monitor optim schedules trainer",
    "training.record": "checkpoint history plot run_folder run_settings",
}
# Old path -> new, of what lay elsewhere or was called otherwise.
_RENAMED = {
    "data.memory": "_base.memory",
    "data.parallel": "_base.parallel",
    "evaluate": "inference.evaluation",
    "loss": "training.pending_loss",
    "recipes": "training.recipes",
}
_READERS = "cifar_binary cifar_pickle folder idx layout npz plain_pickle records svhn table"
MOVED = {
    **{f"ninc.{name}": f"ninc.{room}.{name}" for room in _ROOMS for name in _ROOMS[room].split()},
    **{f"ninc.data.{name}": f"ninc.data.readers.{name}" for name in _READERS.split()},
    **{f"ninc.{old}": f"ninc.{new}" for old, new in _RENAMED.items()},
}


class _OldPath:
    """What Python's import system finds a module by under its old path, and loads it by."""

    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def find_spec(cls, name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if name not in MOVED:
            return None
        from importlib.machinery import ModuleSpec

        return ModuleSpec(name, cls(MOVED[name]))  # type: ignore[arg-type]  # it loads, unnamed

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        from importlib import import_module

        module = import_module(self._path)
        self._own_spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self._own_spec  # the import system has put the old path's there


sys.meta_path.append(_OldPath)
