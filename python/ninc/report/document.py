"""The frame of a page, and the pieces that every page is made of."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from .. import _core
from .markup import Content, Markup, joined, tag
from .style import style

# Nothing is loaded from anywhere: pictures are in the page, and there is no script.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


class Section:
    """A part of a page with its heading, which the list of contents leads to."""

    def __init__(self, ident: str, heading: str, content: Markup) -> None:
        self.ident, self.heading, self.content = ident, heading, content

    def markup(self) -> Markup:
        head = tag("h2", self.heading, id=f"{self.ident}-heading")
        return tag(
            "section",
            head,
            self.content,
            id=self.ident,
            aria_labelledby=f"{self.ident}-heading",
        )


def section(ident: str, heading: str, content: Markup) -> Section:
    return Section(ident, heading, content)


def document(title: str, below: Markup, sections: Sequence[Section]) -> str:
    """A whole page. below: what stands under the title."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        tag("meta", name="color-scheme", content="light dark"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(style())),
    )
    links = [tag("li", tag("a", part.heading, href=f"#{part.ident}")) for part in sections]
    body = tag(
        "body",
        tag("a", "To the results", href="#main", class_="skip"),
        tag(
            "div",
            tag("header", tag("h1", title), below),
            tag("nav", tag("ul", *links), aria_label="Contents"),
            tag("main", *(part.markup() for part in sections), id="main", tabindex="-1"),
            tag(
                "footer", f"Made by ninc {_core.__version__}. This page asks nothing of any server."
            ),
            class_="inner",
        ),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}"


def tiles(entries: Sequence[tuple[str, str, str]]) -> Markup:
    """(name, number, more about it) as large numbers side by side."""
    return tag(
        "dl",
        *(
            tag("div", tag("dt", name), tag("dd", value, tag("small", more) if more else None))
            for name, value, more in entries
        ),
        class_="tiles",
    )


def notes(sentences: Sequence[str]) -> Markup:
    """What a reader has to know about the results."""
    if not sentences:
        return Markup("")
    return tag("ul", *(tag("li", *_with_options(words)) for words in sentences), class_="notes")


def _with_options(sentence: str) -> Iterator[Content]:
    """The sentence with options of the command line set as code, which is not broken up."""
    for place, part in enumerate(re.split(r"(--[a-z-]+(?: [\d.]*\d)?)", sentence)):
        yield tag("code", part, class_="whole") if place % 2 else part


def typed(command: str) -> Markup:
    """A command, in which lines break between words alone: "--" stays with its option."""
    words = (tag("span", word, class_="word") for word in command.split(" "))
    return tag("code", *(part for word in words for part in (word, " ")))


def facts_list(entries: Sequence[tuple[str, Content]]) -> Markup:
    """Names with their values."""
    return tag(
        "dl",
        *(joined(tag("dt", name), tag("dd", value)) for name, value in entries),
        class_="facts",
    )
