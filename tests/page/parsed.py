"""A page read by Python's own parser: elements with attributes, and text."""

import base64
import json
import zlib
from html.parser import HTMLParser
from typing import Any

VOID = {"meta", "link", "img", "input", "br", "wbr", "hr"}


class Page(HTMLParser):
    """Elements as (tag, attributes) in order; ``faults`` of nesting.

    Attributes:
      texts: what stands in an element of that tag, in order.
    """

    def __init__(self, text: str):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: dict[str, list[str]] = {}
        self.faults: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{tag}> is not closed" for tag in self._open]

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else at {self.getpos()}")

    def handle_data(self, data):
        for tag in set(self._open):
            self.texts[tag][-1] += data

    def every(self, tag: str) -> list[dict[str, str]]:
        """The attributes of every element of a tag."""
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def words(self) -> str:
        """All text of the body, spaces folded, scripts and styles aside."""
        text = self.texts["body"][0]
        for tag in ("script", "style"):
            for inner in self.texts.get(tag, []):
                text = text.replace(inner, " ")
        return " ".join(text.split())


def unpacked(text: str) -> dict[str, Any]:
    """The data of the curves to explore. NaN, which is no JSON, is refused."""

    def refuse(name: str):
        raise ValueError(f"{name} is no JSON")

    return json.loads(zlib.decompress(base64.b64decode(text)), parse_constant=refuse)
