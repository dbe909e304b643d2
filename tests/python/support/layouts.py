"""Arrays of every layout that users hand in, and hypothesis's strategies for them."""

import numpy as np
from hypothesis import strategies as st


def misaligned(x):
    buffer = bytearray(x.nbytes + 1)
    buffer[1:] = x.tobytes()
    return np.frombuffer(buffer, x.dtype, offset=1).reshape(x.shape)


def channels_last(x):
    axis = min(1, x.ndim - 1)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(x, axis, -1)), -1, axis)


def every_second(x):
    wide = np.full((*x.shape[:-1], 2 * x.shape[-1]), np.nan, np.float32)
    wide[..., ::2] = x
    return wide[..., ::2]


def inside_bytes(x):
    """Strides that are no multiple of four bytes, as in a record."""
    records = np.zeros(x.shape, [("tag", "u1"), ("value", "<f4")])
    records["value"] = x
    return records["value"]


LAYOUTS = {
    "contiguous": lambda x: x,
    "transposed": lambda x: np.ascontiguousarray(x.T).T,
    "channels last": channels_last,
    "reversed": lambda x: np.ascontiguousarray(x[..., ::-1])[..., ::-1],
    "sliced": every_second,
    "misaligned": misaligned,
    "record": inside_bytes,
}


layouts = st.sampled_from(sorted(LAYOUTS))
seeds = st.integers(0, 2**32 - 1)


def draw_array(draw, rng, *shape):
    return LAYOUTS[draw(layouts)](rng.standard_normal(shape, np.float32))
