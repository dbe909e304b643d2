"""Elements of HTML and SVG, with all text escaped."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import Union

from .._base.plain_text import one_line


class Markup(str):
    """Text that is HTML already, and goes into a page as it is."""

    __slots__ = ()


# What an element may hold. A plain text is escaped wherever it comes from, so that a class named
# "<b>" stays a name; nothing but `tag` and `joined` makes Markup of it.
Content = Union[str, int, None, "Iterable[Content]"]

_VOID = frozenset(("br", "img", "link", "meta"))

# A line's end behind these keeps the file readable and changes nothing that is shown.
_BLOCKS = frozenset(
    "body caption dd details div dl dt figure footer g h1 h2 h3 head header html li main meta nav "
    "ol p section style summary svg table tbody thead title tr ul".split()
)


def text(value: str) -> Markup:
    """A plain text as HTML, in one line: control characters, which HTML lacks, become escapes."""
    return Markup(html.escape(one_line(value)))


def joined(*content: Content) -> Markup:
    """All of the content, one after the other."""
    parts: list[str] = []
    for part in content:
        if part is None:
            continue
        if isinstance(part, Markup):
            parts.append(part)
        elif isinstance(part, str):
            parts.append(text(part))
        elif isinstance(part, int):
            parts.append(f"{part:,}")
        else:
            parts.append(joined(*part))
    return Markup("".join(parts))


def tag(name: str, /, *content: Content, **attributes: str | int | bool | None) -> Markup:
    """An element. A name's "_" stands for "-", and one at its end is left out: `class_`, `for_`.

    An attribute that is None or False is left out; True has no value.
    """
    written = []
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        written.append(f" {key}" if value is True else f' {key}="{_value(value)}"')
    opened = f"<{name}{''.join(written)}>"
    end = "\n" if name in _BLOCKS else ""
    if name in _VOID:
        return Markup(opened + end)
    return Markup(f"{opened}{joined(*content)}</{name}>{end}")


def _value(value: str | int) -> str:
    return text(value) if isinstance(value, str) else str(value)
