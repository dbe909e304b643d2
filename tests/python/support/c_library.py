"""The C interface, called as a program in C calls it: through libninc and ctypes."""

import contextlib
import ctypes
from pathlib import Path

import numpy as np

import ninc

LIBRARY = Path(ninc._core.__file__).resolve().parent / "lib" / "libninc.so"

Int64 = ctypes.c_int64


class CError(Exception):
    """A status other than NINC_OK, with its number and the library's message."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


def library():
    lib = ctypes.CDLL(str(LIBRARY))
    lib.ninc_last_error.restype = ctypes.c_char_p
    return lib


class CModel:
    """A model in the hands of the C interface."""

    def __init__(self, lib, path):
        self._lib, self._handle = lib, ctypes.c_void_p()
        self.call("ninc_model_load", str(path).encode(), ctypes.byref(self._handle), model=False)

    def close(self):
        self._lib.ninc_model_free(self._handle)

    def call(self, function, *arguments, model=True):
        status = getattr(self._lib, function)(*[self._handle] * model, *arguments)
        if status != 0:
            raise CError(status, self._lib.ninc_last_error().decode())

    def number(self, function):
        value = Int64()
        self.call(function, ctypes.byref(value))
        return value.value

    def class_name(self, index):
        name = ctypes.c_char_p()
        self.call("ninc_model_class_name", Int64(index), ctypes.byref(name))
        return None if name.value is None else name.value.decode()

    def classify(self, pictures, top):
        """(classes, probabilities), N×top each, of N×H×W×C uint8."""
        pictures = np.ascontiguousarray(pictures)
        classes = np.empty((len(pictures), top), np.int64)
        probabilities = np.empty((len(pictures), top), np.float32)
        arrays = [ctypes.c_void_p(array.ctypes.data) for array in (classes, probabilities)]
        sizes = [Int64(number) for number in (*pictures.shape, top)]
        pixels = ctypes.c_void_p(pictures.ctypes.data)
        self.call("ninc_model_classify", pixels, *sizes, *arrays)
        return classes, probabilities

    def class_maps(self, x):
        shape = (Int64 * 4)(*x.shape)
        maps_shape = (Int64 * 4)()
        self.call("ninc_model_class_maps_shape", shape, maps_shape)
        maps = np.empty(tuple(maps_shape), np.float32)
        pointers = [ctypes.c_void_p(array.ctypes.data) for array in (x, maps)]
        self.call("ninc_model_class_maps", shape, *pointers, ctypes.c_size_t(maps.size))
        return maps


@contextlib.contextmanager
def in_c(network, folder):
    """The network, saved and read by the C interface."""
    path = folder / "network.safetensors"
    network.save(path)
    model = CModel(library(), path)
    try:
        yield model
    finally:
        model.close()
