"""Trained networks that come with the package, ready to predict, explain and start from.

A network is one file here, NAME.safetensors, whose weights are float16 and which holds its classes
and its preprocessing; beside it NAME.json says what made it. Whoever replaces the two with
`tools/package_network.py` has nothing else to change.
"""

from __future__ import annotations

import json
import os
from importlib import resources
from typing import TYPE_CHECKING, Any

from .._base.arguments import shown
from ..errors import ArgumentError, FileError, remark
from ..formats.load import load

if TYPE_CHECKING:
    from ..network import Network

NAMES = ("cifar10",)
DEFAULT = "cifar10"


def pretrained(name: str = DEFAULT) -> Network:
    """A trained network that comes with the package; nothing is downloaded.

        [probabilities] = ninc.pretrained().predict("cat.jpg")

    name: "cifar10", which tells airplane, automobile, bird, cat, deer, dog, frog, horse, ship and
        truck apart, trained on the 32×32 RGB pictures of CIFAR-10 (Krizhevsky, "Learning Multiple
        Layers of Features from Tiny Images", 2009).

    Its classes and preprocessing come with it, so that `Network.predict` takes pictures of any
    size. It ends in global average pooling (Lin, Chen, Yan, arXiv 1312.4400, section 3.2), so that
    `ninc.explain` shows where it looks; `Network.new_head` begins a network of other classes. What
    it was trained by, and how often it is right, `ninc info cifar10` says. Each call reads it anew.

    Raises ArgumentError for other names, and FileError where the installation lacks the file.
    """
    file = f"{_known('pretrained', name)}.safetensors"
    try:
        # The package may lie in an archive, where a file has no path of its own.
        with _resource(file).open("rb") as opened:
            return load(opened)
    except FileNotFoundError as error:
        raise _missing(file) from error


def get_pretrained_path(name: str = DEFAULT) -> str:
    """The model file of `pretrained`, for programs in C and C++ and whatever else takes a path.

    name: as of `pretrained`.

    Raises ArgumentError for other names, and FileError where the file is missing or the package
    lies in an archive, in which no file has a path.
    """
    file = f"{_known('get_pretrained_path', name)}.safetensors"
    found = _resource(file)
    if not found.is_file():
        raise _missing(file)
    if not isinstance(found, os.PathLike):
        raise FileError(
            f"get_pretrained_path: {file} lies in an archive and has no path of its own; "
            "ninc.pretrained reads it there"
        )
    return os.fspath(found)


def about(name: str) -> dict[str, Any]:
    """What made a network, and how often it is right: the content of NAME.json."""
    file = f"{_known('about', name)}.json"
    try:
        told: dict[str, Any] = json.loads(_resource(file).read_text("utf-8"))
    except FileNotFoundError as error:
        raise _missing(file) from error
    return told


def is_meant(word: str) -> bool:
    """Whether a word where a model file is expected means a packaged network.

    A file of this name is meant where there is one, and a remark says so. A folder is not: it is no
    model file, and the folder of a data set is often called as the network trained on it.
    """
    if word not in NAMES:
        return False
    is_file = os.path.isfile(word)
    if is_file:
        remark(
            f"{word}: the file of this name is taken, not the packaged network {word}; rename "
            "it, or run ninc in another folder, for that one"
        )
    return not is_file


def _known(function: str, name: str) -> str:
    """The name; ArgumentError where no network has it."""
    if not isinstance(name, str) or name not in NAMES:
        raise ArgumentError(
            f"{function}: no network named {shown(name)} comes with ninc; there is "
            f"{', '.join(map(repr, NAMES))}"
        )
    return name


def _resource(file: str) -> Any:
    return resources.files(__name__) / file


def _missing(file: str) -> FileError:
    return FileError(
        f"{file}: missing from this installation of ninc; install the wheel again", filename=file
    )
