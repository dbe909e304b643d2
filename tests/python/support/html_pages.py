"""Reads a page as a browser does, and finds what a report must not have."""

import re
from html.parser import HTMLParser

VOID = {"br", "img", "link", "meta"}


class Element:
    def __init__(self, name, attributes, parent):
        self.name, self.attributes, self.parent = name, attributes, parent
        self.content = []  # texts and elements

    @property
    def text(self):
        return "".join(c if isinstance(c, str) else c.text for c in self.content)

    def all(self, name=None, class_=None, **attributes):
        """All elements inside, at any depth, with this name, class and these attributes."""
        found = []
        for child in self.content:
            if isinstance(child, Element):
                of_class = class_ is None or class_ in child.attributes.get("class", "").split()
                rest = all(child.attributes.get(k) == v for k, v in attributes.items())
                if name in (None, child.name) and of_class and rest:
                    found.append(child)
                found += child.all(name, class_, **attributes)
        return found

    def one(self, name=None, **attributes):
        [found] = self.all(name, **attributes)
        return found

    def rows(self):
        """A table's rows, each a list of its cells' texts."""
        return [
            [cell.text for cell in row.content if isinstance(cell, Element)]
            for row in self.all("tr")
        ]


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.root = self.here = Element("", {}, None)

    def handle_starttag(self, name, attributes):
        names = [key for key, _ in attributes]
        assert len(names) == len(set(names)), f"<{name}> has an attribute twice: {names}"
        # The parser gives names in small letters, as HTML has them; SVG's keep their own.
        made = Element(name, {key: value or "" for key, value in attributes}, self.here)
        self.here.content.append(made)
        if name not in VOID:
            self.here = made

    def handle_startendtag(self, name, attributes):
        raise AssertionError(f"<{name}/>: no element of these pages ends in itself")

    def handle_endtag(self, name):
        assert name == self.here.name, f"</{name}> where <{self.here.name}> is open"
        self.here = self.here.parent

    def handle_data(self, text):
        self.here.content.append(text)


def read(text):
    """The page's <html>; raises AssertionError where elements are not closed in their order."""
    assert text.startswith("<!DOCTYPE html>\n")
    reader = _Reader()
    reader.feed(text)
    reader.close()
    assert reader.here is reader.root, f"<{reader.here.name}> is not closed"
    return reader.root.one("html")


def check(text):
    """Reads a page and checks what holds for all of them: alone, without script, labelled."""
    page = read(text)
    every = page.all()
    names = {element.name for element in every}
    assert not names & {"script", "iframe", "object", "embed", "form", "base", "audio", "video"}
    for element in every:
        for name, value in element.attributes.items():
            assert not name.startswith("on"), f"<{element.name} {name}> is a script"
            if name in ("src", "href", "xlink:href", "srcset", "poster", "data", "action"):
                assert value.startswith(("data:", "#")), f"{name}={value[:60]}"
            assert "javascript:" not in value and "url(" not in value
    [style] = page.all("style")
    assert not re.search(r"url\(|@import|https?:|expression|</", style.text)
    policy = page.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")
    ids = [element.attributes["id"] for element in every if "id" in element.attributes]
    assert len(ids) == len(set(ids))
    _check_labels(page, set(ids))
    return page


def _check_labels(page, ids):
    assert page.attributes["lang"] == "en" and page.one("head").one("title").text.strip()
    [heading] = page.all("h1")
    assert heading.text == page.one("head").one("title").text
    for element in page.all():
        for reference in element.attributes.get("aria-labelledby", "").split():
            assert reference in ids
        if element.attributes.get("href", "").startswith("#"):
            assert element.attributes["href"][1:] in ids
    for image in page.all("img"):
        assert image.attributes["alt"].strip()
        assert int(image.attributes["width"]) > 0 and int(image.attributes["height"]) > 0
    for table in page.all("table"):
        assert table.one("caption").text.strip()
        heads = table.all("th")
        assert heads and all(head.attributes["scope"] in ("row", "col") for head in heads)
        widths = {len(row) for row in table.rows()}
        assert len(widths) == 1, f"{table.one('caption').text}: rows of {widths} cells"
    for drawing in page.all("svg"):
        if drawing.attributes.get("aria-hidden") != "true":
            assert drawing.attributes["role"] == "img"
            assert len(drawing.attributes["aria-labelledby"].split()) == 2
            assert drawing.one("desc").text.strip()
    for region in page.all(class_="scroll"):
        assert region.attributes["tabindex"] == "0" and region.attributes["role"] == "region"
        assert region.attributes["aria-labelledby"]
