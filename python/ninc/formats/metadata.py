"""What a model says of itself beside graph and weights: preprocessing, classes, what was held out.

These are JSON entries of its metadata, which its file stores; the arrays that a preprocessing needs
lie beside the weights. ModelError where a stored entry makes no sense, ArgumentError for a new one.
"""

from __future__ import annotations

import functools
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from .. import _core
from .._base.arguments import is_iterable, positive, quoted, shown
from ..errors import ArgumentError, ModelError
from ..preprocess import WHITENING_ARRAYS, Preprocessing
from .held_out import HeldOut

# The lowest and the highest temperature, and how long the text of one may be.
TEMPERATURES = (0.01, 100.0)
_LONGEST_NUMBER = 64


def entry(model: _core.Model, key: str, kind: type) -> Any:
    """The entry, which is of this kind, or None where there is none."""
    return _parsed(key, model.metadata().get(key), kind)


def _parsed(key: str, text: str | None, kind: type) -> Any:
    if text is None:
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:  # deeply nested text raises the latter
        raise ModelError(f"the network's stored {key} cannot be read: {error}") from error
    if not isinstance(value, kind):
        raise ModelError(
            f"the network's stored {key} must be a {kind.__name__}, got {reprlib.repr(text)}"
        )
    return value


def _store(model: _core.Model, key: str, value: Any) -> None:
    model.change({key: _written(value)})


def _written(value: Any) -> str | None:
    return None if value is None else json.dumps(value)


def copy_stored(old: _core.Model, new: _core.Model) -> None:
    """Lets a new model say of itself all that another says, with the arrays beside it."""
    new.change(*old.stored())


def stored_preprocessing(model: _core.Model) -> Preprocessing | None:
    """What is done to pictures first, with its arrays, or None."""
    texts, arrays = model.stored()  # of one moment, since the arrays belong to the entry
    text = texts.get("preprocessing")
    if text is None:
        return None
    arrays = {name: arrays[name] for name in WHITENING_ARRAYS if name in arrays}
    return _read_preprocessing(text, arrays) if arrays else _known_preprocessing(text)


def _read_preprocessing(text: str, arrays: Mapping[str, Any]) -> Preprocessing:
    settings = _parsed("preprocessing", text, dict)
    try:
        return Preprocessing.from_dict(settings, arrays)
    except ArgumentError as error:
        raise ModelError(f"the network's stored {error}") from error


@functools.lru_cache(maxsize=16)
def _known_preprocessing(text: str) -> Preprocessing:
    """Remembers what a text says: reading it took a twentieth of a prediction of one picture."""
    return _read_preprocessing(text, {})


def needed_preprocessing(model: _core.Model, where: str) -> Preprocessing:
    """Does as `stored_preprocessing`, but raises ArgumentError, from `where`, for none."""
    preprocessing = stored_preprocessing(model)
    if preprocessing is None:
        raise ArgumentError(
            f"{where}: the network has no preprocessing for pictures stored; train it on pictures, "
            "set network.preprocessing, or call the network on N×C×H×W float32"
        )
    return preprocessing


def store_preprocessing(
    model: _core.Model, settings: Preprocessing | Mapping[str, Any] | None
) -> None:
    """See `Network.preprocessing`."""
    if settings is not None and not isinstance(settings, Preprocessing):
        settings = Preprocessing.from_dict(settings, model.extras())
    arrays = dict.fromkeys(WHITENING_ARRAYS)
    if settings is not None:
        arrays.update(settings.arrays())
    model.change({"preprocessing": _written(settings and settings.to_dict())}, arrays)


def stored_classes(model: _core.Model) -> list[str] | None:
    """The classes' names in the order of the outputs, or None."""
    names = entry(model, "classes", list)
    if names is not None and not all(map(_is_name, names)):
        raise ModelError(
            "the network's stored classes must be names without control characters, got "
            f"{reprlib.repr(names)}"
        )
    return names


def store_classes(model: _core.Model, names: Sequence[str] | None) -> None:
    """See `Network.classes`."""
    if names is not None:
        ordered = is_iterable(names) and not isinstance(names, (str, set, frozenset))
        listed = list(names) if ordered else []
        if not listed or not all(map(_is_name, listed)):
            raise ArgumentError(
                "classes must be a list of names without control characters, got "
                f"{reprlib.repr(names)}"
            )
        _check_count(model, listed, "classes")
        names = listed
    _store(model, "classes", names)


def check_stored_classes(model: _core.Model, where: str) -> None:
    """ModelError where the names are not as many as the outputs: layers may be added behind them.

    Whoever reads such a file would have names for some of the classes, or for some that are none.
    """
    names = stored_classes(model)
    if names is not None:
        try:
            _check_count(model, names, where)
        except ArgumentError as error:
            raise ModelError(f"{error}; net.classes = [...] names them all") from None


def _check_count(model: _core.Model, names: list[str], where: str) -> None:
    outputs = model.output_channels()
    if outputs is not None and outputs != len(names):
        raise ArgumentError(
            f"{where}: the network has {outputs} output{'' if outputs == 1 else 's'}, got "
            f"{len(names)} name{'' if len(names) == 1 else 's'}: {quoted(names)}"
        )


def class_names(model: _core.Model, count: int) -> list[str]:
    """A name for each of `count` outputs: the stored one, or the output's number."""
    names = (stored_classes(model) or [])[:count]
    return names + [str(index) for index in range(len(names), count)]


def stored_held_out(model: _core.Model) -> HeldOut | None:
    """What was held out of data without a test set when the network was trained, or None."""
    stored = entry(model, "held_out", dict)
    try:
        return None if stored is None else HeldOut.from_dict(stored)
    except ArgumentError as error:
        raise ModelError(f"the network's stored {error}") from error


def store_held_out(model: _core.Model, record: HeldOut | None) -> None:
    """See `Network.held_out`."""
    if record is not None and not isinstance(record, HeldOut):
        raise ArgumentError(f"held_out must be a HeldOut or None, got {shown(record)}")
    _store(model, "held_out", None if record is None else record.to_dict())


def stored_temperature(model: _core.Model) -> float | None:
    """What scores are divided by before the softmax, or None where nothing is stored.

    The core reads it likewise (cpp/preprocess/temperature.cc).
    """
    text = model.metadata().get("temperature")
    if text is None:
        return None
    value: Any = _parsed("temperature", text, object) if len(text) <= _LONGEST_NUMBER else text
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (is_number and TEMPERATURES[0] <= value <= TEMPERATURES[1]):
        low, high = TEMPERATURES
        raise ModelError(
            f"the network's stored temperature must be a number from {low:g} to {high:g}, got "
            f"{reprlib.repr(text)}"
        )
    return float(value)


def store_temperature(model: _core.Model, temperature: float | None) -> None:
    """See `Network.temperature`."""
    if temperature is not None:
        low, high = TEMPERATURES
        temperature = positive("network", "temperature", temperature)
        if not low <= temperature <= high:
            raise ArgumentError(
                f"network: temperature must lie in {low:g}..{high:g}, got {temperature:g}"
            )
    _store(model, "temperature", temperature)


def _is_name(name: object) -> bool:
    """True for a text that can be printed: no control characters, no halves of surrogate pairs."""
    return isinstance(name, str) and not any(
        code < 0x20 or 0x7F <= code < 0xA0 or 0xD800 <= code < 0xE000 for code in map(ord, name)
    )
