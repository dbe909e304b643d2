"""`load_torch`: which kind a file is, and its state dict."""

from __future__ import annotations

import os
from typing import Any, BinaryIO

import numpy.typing as npt

from ..._base.arguments import shown
from ...errors import ArgumentError, ModelError
from ..foreign import kind_of
from .archive import read_archive
from .choose import state_dict
from .content import Content, opened
from .legacy import read_legacy
from .safetensors import is_safetensors, read_safetensors

# How an old file begins: with a pickle, of protocol 2 and later or of the first ones, of a number
# that tells its format.
_PICKLES = (b"\x80", b"L119547037146038801333356L\n")


def load_torch(
    path: str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO,
    entry: str | None = None,
) -> dict[str, npt.NDArray[Any]]:
    """The state dict in a file of PyTorch's: name -> array, in the file's order.

    path: the name of a file, its bytes, or a file object open for reading bytes, as of `load`.
        What it holds tells its kind: the zip format of torch.save (since PyTorch 1.6), the older
        one of pickles, TorchScript, or safetensors of any origin. torch is not needed, and nothing
        in the file is run.
    entry: which mapping of a checkpoint is meant, as names with dots between them, such as
        "generator" or "models.ema". None takes the one mapping of names to tensors; of several the
        one called state_dict, model_state_dict, model_state, model, network, net, module, weights
        or params; and what an optimiser keeps is left out. What in it is no tensor is left out,
        too.

    Arrays have the shapes and dtypes of the tensors; bfloat16, which numpy lacks, becomes float32.
    They are writable, and as in torch views of what is stored: tensors that share a storage in the
    file share memory. A network takes them over by `Network.load_state_dict`.

    Raises FileError where the file cannot be read; ModelError where it is damaged, holds no state
    dict or several, a pickled model, or tensors that numpy has no arrays for, such as sparse,
    quantised or float8 ones; OutOfMemoryError where there is no memory for them; ArgumentError for
    what is no path, no bytes and no file object open for bytes.
    """
    if entry is not None and not (isinstance(entry, str) and entry):
        raise ArgumentError(f"load_torch: entry must be a name or None, got {shown(entry)}")
    with opened("load_torch", path) as content:
        try:
            return _arrays(content, entry)
        except ModelError as error:
            raise ModelError(f"{content.name}: {error}") from None


def _arrays(content: Content, entry: str | None) -> dict[str, npt.NDArray[Any]]:
    begin = content.read(0, min(content.size, 512))
    is_script = False
    if begin.startswith(b"PK\x03\x04"):
        value, arrays, is_script = read_archive(content)
    elif begin.startswith(_PICKLES):
        value, arrays = read_legacy(content)
    elif is_safetensors(content):
        if entry is not None:
            raise ModelError(f"is safetensors, which has no entries such as {entry!r}")
        return read_safetensors(content)
    else:
        raise ModelError(_no_checkpoint(begin))
    found = {}
    for name, tensor in state_dict(value, entry, is_script).items():
        try:
            found[name] = arrays.array(tensor)
        except ModelError as error:
            raise ModelError(f"{name[:200]!r}: {error}") from None
    return found


def _no_checkpoint(begin: bytes) -> str:
    needed = "a file of torch.save or safetensors is needed"
    if not begin:
        return f"is empty; {needed}"
    if begin[257:262] == b"ustar":
        return "is a tar archive, as PyTorch 0.1 wrote; load and save it in a PyTorch of today"
    kind = kind_of(begin)
    if kind is not None:
        return f"is {kind}; {needed}"
    return f"begins with {begin[:8]!r}, as no file of PyTorch's does; {needed}"
