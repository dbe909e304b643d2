"""Finds the state dict in what a checkpoint holds.

The rule: a mapping of names to tensors is a state dict, unless one of its entries with a usual name
is one by itself (then the tensors beside that are an accuracy, say). Where there are several, the
one with a usual name is meant; where that leaves none or several, the user has to say which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..._base.arguments import few, quoted, shown
from ...errors import ModelError
from .records import Inert, Tensor, Unreadable

USUAL = (
    "state_dict", "model_state_dict", "model_state", "model", "network", "net", "module", "weights",
    "params",
)  # fmt: skip

# Mappings lie in mappings so deep at most, and so many entries are looked at altogether, since a
# few bytes of a pickle can hold a mapping that contains itself or doubles again and again.
_DEEPEST = 4
_MOST_ENTRIES = 1_000_000

# And so many letters do the names of a TorchScript module's tensors have, those of the modules that
# they lie in before each.
_MOST_LETTERS = 16_000_000

_Tensors = dict[str, Any]  # name -> Tensor or Unreadable, in the file's order


def state_dict(value: Any, entry: str | None, is_script: bool) -> _Tensors:
    """Name -> tensor, out of the object in a file.

    entry: where the state dict lies, as names with dots between them; None for the rule above.
    """
    if is_script and entry is None:
        return _of_script(value)
    if entry is not None:
        value = _entry(value, entry)
        found = _tensors(value)
        if not found:
            raise ModelError(f"its entry {entry!r} is {_told(value)}, and no mapping with tensors")
        return found
    candidates = dict(_candidates(value, (), [_MOST_ENTRIES]))
    if not candidates:
        raise _without_tensors(value)
    if len(candidates) > 1:
        usual = [path for path in candidates if path[-1] in USUAL]
        if len(usual) != 1:
            places = quoted([".".join(name[:80] for name in path)[:100] for path in candidates])
            raise ModelError(
                f"holds {len(candidates)} mappings with tensors: {places}; "
                "load_torch(path, entry=...) takes the one that you name"
            )
        return candidates[usual[0]]
    return next(iter(candidates.values()))


def _candidates(
    value: Any, path: tuple[str, ...], left: list[int]
) -> Iterator[tuple[tuple[str, ...], _Tensors]]:
    """(names that lead there, tensors) of each state dict in a value."""
    tensors, inside = _tensors(value, left), []
    if len(path) < _DEEPEST:
        for name, item in _entries(value):
            # What an optimiser keeps for each weight has the weights' names and shapes.
            if not name.lower().startswith("optim"):
                inside.append((name, list(_candidates(item, (*path, name), left))))
    if tensors and not any(found and name in USUAL for name, found in inside):
        yield path, tensors
    else:
        for _, found in inside:
            yield from found


def _entries(value: Any) -> Iterator[tuple[str, Any]]:
    """The entries of a mapping or a list that may hold a state dict, with their names."""
    items: Any = ()
    if isinstance(value, Inert):
        items = value.items.items()
    elif isinstance(value, dict):
        items = value.items()
    elif isinstance(value, (list, tuple)):
        items = ((str(index), item) for index, item in enumerate(value))
    for name, item in items:
        if isinstance(name, str) and isinstance(item, (dict, list, tuple, Inert)):
            yield name, item


def _tensors(value: Any, left: list[int] | None = None) -> _Tensors:
    """The tensors among a mapping's items."""
    items = value.items if isinstance(value, Inert) else value
    if left is not None:
        left[0] -= 1 + (len(items) if isinstance(items, (dict, list, tuple)) else 0)
        if left[0] < 0:
            raise ModelError(f"holds more than {_MOST_ENTRIES:,} entries, too many to look through")
    if not isinstance(items, Mapping):
        return {}
    return {
        name: item
        for name, item in items.items()
        if isinstance(name, str) and isinstance(item, (Tensor, Unreadable))
    }


def _entry(value: Any, entry: str) -> Any:
    """What lies at names with dots between them.

    A name may have dots of its own; where several fit, the longest one is tried first.
    """
    waiting, ends = [(value, entry)], []
    while waiting:
        value, rest = waiting.pop()
        here = dict(_entries(value))
        if rest in here:
            return here[rest]
        fitting = [name for name in here if rest.startswith(name) and rest[len(name)] == "."]
        if not fitting:
            ends.append(here)
        for name in sorted(fitting, key=len):
            waiting.append((here[name], rest[len(name) + 1 :]))
    names = [name[:80] for name in ends[0]]
    known = f"here are {quoted(names)}" if names else "there are no mappings here"
    raise ModelError(f"has no entry {entry!r}; {known}")


# ---- TorchScript ---------------------------------------------------------------------------------


def _of_script(value: Any) -> _Tensors:
    """The tensors among a TorchScript module's attributes, named as torch's state_dict does.

    Modules lie in modules as attributes; each is entered once.
    """
    found: _Tensors = {}
    waiting, entered, left = [("", value)], {id(value)}, _MOST_LETTERS
    while waiting:
        prefix, module = waiting.pop()
        state = module.state if isinstance(module, Inert) else None
        inside = []
        if isinstance(state, dict):
            if id(state) in entered:
                raise ModelError("holds two TorchScript modules that share their attributes")
            entered.add(id(state))
        for name, item in state.items() if isinstance(state, dict) else ():
            if not isinstance(name, str):
                continue
            left -= len(prefix) + len(name)
            if left < 0:
                raise ModelError("holds TorchScript modules in modules without an end")
            if isinstance(item, (Tensor, Unreadable)):
                found[prefix + name] = item
            elif isinstance(item, Inert) and id(item) not in entered:
                entered.add(id(item))
                inside.append((f"{prefix}{name}.", item))
        waiting.extend(reversed(inside))
    if not found:
        raise ModelError(
            "is a TorchScript archive without parameters that can be read; in torch, "
            "torch.save(torch.jit.load(path).state_dict(), other_path) writes a state dict"
        )
    return found


# ---- What is none --------------------------------------------------------------------------------


def _without_tensors(value: Any) -> ModelError:
    for name, item in (("", value), *_entries(value)):
        if isinstance(item, Inert) and isinstance(item.state, dict):
            if "_modules" in item.state or "_parameters" in item.state:
                where = f" under {name[:80]!r}" if name else ""
                return ModelError(
                    f"holds a pickled model{where}, of the class {item.made_by}, which only "
                    "that class's code can read; in torch, torch.save(model.state_dict(), path) "
                    "writes the state dict that is needed"
                )
    return ModelError(
        f"holds {_told(value)}, and no state dict: a mapping of names to tensors is needed, as "
        "torch.save(model.state_dict(), path) writes it"
    )


def _told(value: Any) -> str:
    if isinstance(value, (Tensor, Unreadable)):
        return "a tensor"
    if isinstance(value, Inert):
        return f"an object of {value.made_by}"
    if isinstance(value, dict):
        names = [name[:80] for name in value if isinstance(name, str)]
        return f"a mapping with {few(names)}" if names else "a mapping without names"
    if isinstance(value, (list, tuple)):
        return f"a {type(value).__name__} of {len(value):,}"
    if value is None or isinstance(value, (str, bytes, bool, int, float)):
        return shown(value)
    return f"a {type(value).__name__}"
