"""Prints what commands say so that any terminal can show it: encodings, odd names, remarks."""

from __future__ import annotations

import contextlib
import sys
import unicodedata
import warnings
from collections.abc import Iterator
from typing import Any

from .._base.plain_text import one_line
from ..errors import Remark

# Letters of Chinese, Japanese and Korean take two columns.
_TWO_COLUMNS = ("W", "F")


def width(text: str) -> int:
    """How many columns of a terminal the text takes; a combining sign lies over its letter."""
    drawn = [sign for sign in text if not unicodedata.combining(sign)]
    return len(drawn) + sum(unicodedata.east_asian_width(sign) in _TWO_COLUMNS for sign in drawn)


def left(text: str, columns: int) -> str:
    """The text with blanks after it, so many columns wide."""
    return text + " " * (columns - width(text))


def right(text: str, columns: int) -> str:
    """The text with blanks before it, so many columns wide."""
    return " " * (columns - width(text)) + text


@contextlib.contextmanager
def speaking() -> Iterator[None]:
    """Within the block, any text can be printed, and each remark is a line on stderr, told once.

    A character that the terminal's encoding does not have is written as an escape: an ASCII
    terminal must not end a command that was asked about a picture with a Japanese name.
    """
    told: set[str] = set()
    before = [(stream, getattr(stream, "errors", None)) for stream in (sys.stdout, sys.stderr)]
    with warnings.catch_warnings():
        show = warnings.showwarning

        def tell(message: Any, category: type[Warning], *where: Any, **more: Any) -> None:
            if not issubclass(category, Remark):
                show(message, category, *where, **more)
            elif str(message) not in told:
                told.add(str(message))
                say(str(message))

        warnings.showwarning = tell
        warnings.simplefilter("always", Remark)
        try:
            for stream, _ in before:
                _set_errors(stream, "backslashreplace")
            yield
        finally:
            for stream, errors in before:
                _set_errors(stream, errors)


def say(message: str) -> None:
    """Prints one line on stderr, with the program's name."""
    print(f"ninc: {one_line(message)}", file=sys.stderr)


def _set_errors(stream: Any, errors: str | None) -> None:
    # In a notebook or a test, an object without an encoding may take a stream's place; and a stream
    # that was closed meanwhile cannot be set any more.
    if errors is not None and hasattr(stream, "reconfigure"):
        with contextlib.suppress(ValueError, OSError):
            stream.reconfigure(errors=errors)
