"""Arrays as other libraries hand them out, without those libraries."""

import numpy as np


class ByDLPack:
    """An array in the processor's memory that offers DLPack alone, as most libraries' do."""

    def __init__(self, array, device=1):
        self._array, self._device = array, device
        self.shape, self.dtype = array.shape, f"their.{array.dtype}"

    def __dlpack__(self, **options):
        return self._array.__dlpack__(**options)

    def __dlpack_device__(self):
        return self._device, 0


class ByArray:
    """What numpy can only make an array of: a table's column, a named array."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return self._array if dtype is None else self._array.astype(dtype)


class Unreadable(ByDLPack):
    """Looks like an array in memory, and its library will not hand it out."""

    def __dlpack__(self, **options):
        raise BufferError("no DLPack of\n this")

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("use tensor.detach() first")


class OfUnknownType(ByDLPack):
    """Its type is none of numpy's, as bfloat16 is none; its library has no other way out."""

    def __init__(self, shape):
        super().__init__(np.zeros(shape, np.float32))
        self.dtype = "bfloat16"

    def __dlpack__(self, **options):
        raise BufferError("unsupported dtype")


def masked(array, count):
    """A masked array whose first `count` values are masked."""
    mask = np.zeros(array.shape, bool)
    mask.reshape(-1)[:count] = True
    return np.ma.masked_array(array, mask)
