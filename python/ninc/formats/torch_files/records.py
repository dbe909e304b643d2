"""What the names in a torch pickle stand for: inert records, of which arrays are made afterwards.

A pickle is a program that calls functions by their names. Here nothing is called: a name is a
`Name`, the few functions that rebuild tensors give a `Tensor`, and all others an `Inert`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import ModelError

MOST_DIMENSIONS = 32  # of an array of numpy's before its version 2


class Name:
    """A class or function that a pickle names."""

    __slots__ = ("module", "name")

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __str__(self) -> str:
        """As messages show it: cut where it is long."""
        return f"{self.module}.{self.name}"[:200]


class Inert:
    """What a function or class that is not known would have made.

    made_by: whose name it is, to be shown. items, members: what the pickle put into it as into a
    dict or a list.
    """

    __slots__ = ("made_by", "arguments", "state", "items", "members")

    def __init__(self, made_by: Any, arguments: Any = ()) -> None:
        # The name itself: a pickle of a few bytes makes objects of one long name by the thousand.
        self.made_by = made_by if isinstance(made_by, Name) else "something without a name"
        self.arguments = arguments
        self.state: Any = None
        self.items: dict[Any, Any] = {}
        self.members: list[Any] = []


class Storage:
    """Numbers in a row, which tensors are views of.

    kind: the name of its class, such as FloatStorage. key: its name in the file. count: how many
    numbers it has. first, length: the part of it that is meant, all of it but in old files.
    """

    __slots__ = ("kind", "key", "count", "first", "length")

    def __init__(self, kind: str, key: str, count: int, first: int, length: int) -> None:
        self.kind, self.key, self.count = kind, key, count
        self.first, self.length = first, length


class Tensor:
    """A view of a storage: element (i, j, ...) is its number offset + i * strides[0] + ...

    dtype: its name where it is another than the storage's, such as uint16; else None.
    """

    __slots__ = ("storage", "offset", "shape", "strides", "dtype")

    def __init__(
        self,
        storage: Storage,
        offset: int,
        shape: tuple[int, ...],
        strides: tuple[int, ...],
        dtype: str | None = None,
    ) -> None:
        self.storage, self.offset = storage, offset
        self.shape, self.strides, self.dtype = shape, strides, dtype


class Unreadable:
    """A tensor of a kind that numpy has no array for: an error only where it is asked for.

    what: in words, or the name of the function that makes it.
    """

    __slots__ = ("_what",)

    def __init__(self, what: str | Name) -> None:
        self._what = what

    @property
    def what(self) -> str:
        return f"what {self._what} makes" if isinstance(self._what, Name) else self._what


class OpaqueKey:
    """Stands for a key of a dict that is no plain value; equal to itself alone."""

    __slots__ = ()


# Larger integers may share one hash by the thousand, which makes a dict of them endlessly slow.
_LARGEST_KEY = 1 << 64


def dict_key(key: Any) -> Any:
    """The key as a dict here has it.

    Hashing a tuple walks through all that is nested in it, without a bound on depth or number; so
    of such keys, which no weights have, only their being there is kept.
    """
    kind = type(key)
    if kind in (str, bytes, bool, float, type(None)):
        return key
    return key if kind is int and abs(key) < _LARGEST_KEY else OpaqueKey()


def call(function: Any, arguments: Any, spend: Callable[[int], None]) -> Any:
    """What a pickle's call gives here; nothing foreign is run.

    spend: is told how many elements the arguments have, before they are looked at.
    """
    if _is_subclass(function) and isinstance(arguments, tuple):
        # A tensor of a subclass, or with attributes: the plain tensor that the arguments make.
        if not 3 <= len(arguments) <= 4:
            raise _unlike(function)
        function, _, arguments = arguments[:3]
        if _is_subclass(function):
            raise ModelError("the pickle makes a tensor of a subclass of a subclass")
    if isinstance(function, Name) and isinstance(arguments, tuple):
        known = _KNOWN.get((function.module, function.name))
        if known is not None:
            least, most = _TAKEN[known]
            if not least <= len(arguments) <= most:
                raise _unlike(function)
            spend(sum(len(one) for one in arguments if isinstance(one, (list, tuple))))
            return known(*arguments)
        if function.module == "torch._utils" and function.name.startswith("_rebuild_"):
            return Unreadable(function)
    return Inert(function, arguments)


def storage(pid: Any) -> Any:
    """What a persistent id stands for: a storage, or in old files a class with its source."""
    if not isinstance(pid, tuple) or not pid or pid[0] not in ("storage", "module"):
        raise ModelError("the pickle asks for an object outside of it that is no storage")
    if pid[0] == "module":
        return pid[1] if len(pid) > 1 else None
    kind: Any = None
    key: Any = None
    count: Any = None
    if len(pid) in (5, 6):
        kind, key, count = pid[1], pid[2], pid[4]
    # Old files have the key as a number now and then.
    key = str(key) if type(key) is int and 0 <= key < _LARGEST_KEY else key
    if not isinstance(kind, Name) or not isinstance(key, str) or not _is_count(count):
        raise ModelError("the pickle names a storage without a type, a key or a number of elements")
    first, length = 0, count
    if len(pid) == 6 and pid[5] is not None:
        view = pid[5]
        if not (isinstance(view, tuple) and len(view) == 3 and all(map(_is_count, view[1:]))):
            raise ModelError(f"the pickle names a part of storage {key[:80]!r} without its bounds")
        first, length = view[1:]
        if first + length > count:
            raise ModelError(
                f"the pickle names elements {first:,}..{first + length:,} of storage "
                f"{key[:80]!r}, which has {count:,}"
            )
    return Storage(kind.name, key, count, first, length)


# ---- The functions that are known ----------------------------------------------------------------


def _ordered_dict(pairs: Any = ()) -> Any:
    """Also from a list of pairs, as Python 2 pickled it."""
    made = {}
    for pair in pairs if isinstance(pairs, (list, tuple)) else ():
        if not isinstance(pair, (list, tuple)) or len(pair) != 2:
            raise ModelError("the pickle makes an OrderedDict of what are no pairs")
        made[dict_key(pair[0])] = pair[1]
    return made


def _tensor(
    stored: Any, offset: Any, size: Any, stride: Any,
    _: Any = None, hooks: Any = None, metadata: Any = None,
) -> Any:  # fmt: skip
    return _marked(metadata) or _view(stored, offset, size, stride, None)


def _tensor_with_dtype(
    stored: Any, offset: Any, size: Any, stride: Any, _: Any, hooks: Any, dtype: Any,
    metadata: Any = None,
) -> Any:  # fmt: skip
    if not isinstance(dtype, Name):
        raise ModelError("the pickle makes a tensor of a dtype without a name")
    return _marked(metadata) or _view(stored, offset, size, stride, dtype.name)


def _marked(metadata: Any) -> Unreadable | None:
    """What a tensor is whose numbers are others than its storage's; None for a plain one."""
    if metadata is None or metadata == {}:
        return None
    known = _MARKS.items() if isinstance(metadata, dict) else ()
    for mark, what in known:
        if mark in metadata:
            return Unreadable(what)
    return Unreadable("a tensor with marks that are not known")


_MARKS = {"conj": "a conjugated view", "neg": "a negated view"}


def _view(stored: Any, offset: Any, size: Any, stride: Any, dtype: str | None) -> Any:
    if isinstance(stored, Unreadable):
        return stored
    sizes, strides = _counts(size), _counts(stride)
    right = isinstance(stored, Storage) and _is_count(offset) and sizes is not None
    if not right or strides is None or sizes is None or len(sizes) != len(strides):
        raise ModelError(
            "the pickle makes a tensor that lacks a storage, or whose offset, sizes and strides "
            "are not numbers of 0 or more, as many of each"
        )
    return Tensor(stored, offset, sizes, strides, dtype)


def _same(tensor: Any, *_: Any) -> Any:
    return tensor


def _size(sizes: Any = ()) -> Any:
    fits = isinstance(sizes, (list, tuple)) and len(sizes) <= MOST_DIMENSIONS
    return tuple(sizes) if fits else Inert(None)


_SUBCLASS = tuple(
    (module, name)
    for module in ("torch._tensor", "torch.tensor")
    for name in ("_rebuild_from_type", "_rebuild_from_type_v2")
)
_KNOWN: dict[tuple[str, str], Callable[..., Any]] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("torch", "Size"): _size,
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_with_dtype,
    ("torch._utils", "_rebuild_parameter"): _same,
    ("torch._utils", "_rebuild_parameter_with_state"): _same,
}

# How many arguments each takes, at least and at most.
_TAKEN: dict[Callable[..., Any], tuple[int, int]] = {
    _ordered_dict: (0, 1), _size: (0, 1), _tensor: (4, 7), _tensor_with_dtype: (7, 8), _same: (1, 4)
}  # fmt: skip


def _is_subclass(function: Any) -> bool:
    return isinstance(function, Name) and (function.module, function.name) in _SUBCLASS


def _unlike(function: Name) -> ModelError:
    return ModelError(f"the pickle calls {function} with a wrong number of arguments")


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 1 << 62


def _counts(values: Any) -> tuple[int, ...] | None:
    """Sizes or strides as a tuple; None where they are not whole numbers of 0 or more."""
    if not isinstance(values, (list, tuple)):
        return None
    if len(values) > MOST_DIMENSIONS:
        raise ModelError(
            f"the pickle makes a tensor of {len(values):,} dimensions; an array has at most "
            f"{MOST_DIMENSIONS}"
        )
    return tuple(values) if all(map(_is_count, values)) else None
