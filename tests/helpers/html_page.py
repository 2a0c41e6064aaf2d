"""A page of HTML as tests look at it."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path

VOID = {"meta", "br", "hr", "img", "input", "link"}


class Page(HTMLParser):
    """A parsed page: every element's tag and attributes, texts by the element that holds them; whole or an error."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.source = path.read_text(encoding="utf-8")
        self.open: list[tuple[str, dict[str, str]]] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[str, str]] = []  # (element, text)
        self.edits: list[list[tuple[str, list[str]]]] = []  # of each block of differences: (kind, texts)
        self.feed(self.source)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.elements.append((tag, attributes))
        if tag in VOID:
            return
        parent = self.open[-1][1].get("class") if self.open else None
        if attributes.get("class") == "differences":
            self.edits.append([])
        elif parent == "differences":
            self.edits[-1].append((attributes["class"], []))
        self.open.append((tag, attributes))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop()[0] == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self.open:
            self.texts.append((self.open[-1][0], data.strip()))
            if any(attributes.get("class") == "differences" for _, attributes in self.open):
                self.edits[-1][-1][1].append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]

    def text(self, tag: str | None = None) -> str:
        return "\n".join(text for name, text in self.texts if tag in (None, name))


def table(page: Page, word: str) -> list[list[str]]:
    """The rows of the table that has `word` in its caption or header."""
    part = next(part for part in page.source.split("<table") if f">{word}<" in part).split("</table>")[0]
    rows = part.split("<tbody>")[1].split("</tr>")[:-1]
    return [[html.unescape(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row)] for row in rows]
