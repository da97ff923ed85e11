"""A page of HTML as its readers meet it: with eyes, with a screen reader, without a network."""

from __future__ import annotations

from collections import Counter
from html.parser import HTMLParser

_VOID = {"meta", "link", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """A page, and what is wrong with it.

    Args:
        text: the page.

    Attributes:
        texts: what stands in elements of every kind.
        ids: of all elements.
        links: what links in the page lead to.
        rows: the cells of every row of every table, the headings included.
        faults: what is wrong, in words.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.texts: dict[str, list[str]] = {}
        self.ids: list[str] = []
        self.links: list[str] = []
        self.rows: list[list[str]] = []
        self.faults: list[str] = []
        self._open: list[str] = []
        self._level = 0
        self._within: list[set[str]] = []
        self.feed(text)
        self.close()
        self.faults += [f"<{name}> is never closed" for name in self._open]
        self.faults += [f"id {i} stands twice" for i, n in Counter(self.ids).items() if n > 1]
        self.faults += [f"no element #{name}" for name in self.links if name not in self.ids]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        facts = dict(attrs)
        self._check_loads(tag, facts)
        if "id" in facts:
            self.ids.append(str(facts["id"]))
        if tag == "a":
            self.links.append(str(facts["href"]).removeprefix("#"))
        if tag in ("h1", "h2", "h3", "h4"):
            if int(tag[1]) > self._level + 1:
                self.faults.append(f"<{tag}> follows <h{self._level}>")
            self._level = int(tag[1])
        if tag == "svg" and facts.get("role") != "img":
            self.faults.append("a picture without a role")
        if tag == "th" and facts.get("scope") not in ("col", "row"):
            self.faults.append("a heading of a table without a scope")
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        for within in self._within:
            within.add(tag)
        if tag not in _VOID:
            self._open.append(tag)
            self._within.append(set())
            self.texts.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")
        needed = {"svg": "title", "table": "caption", "details": "summary"}.get(tag)
        if self._within.pop().isdisjoint({needed}) and needed:
            self.faults.append(f"<{tag}> without <{needed}>")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_data(self, data: str) -> None:
        for tag in self._open:
            self.texts[tag][-1] += data
        if {"td", "th"} & set(self._open):
            self.rows[-1][-1] += data

    def _check_loads(self, tag: str, facts: dict[str, str | None]) -> None:
        loads = {name for name in ("src", "srcset", "data", "action") if name in facts}
        elsewhere = tag == "a" and not str(facts["href"]).startswith("#")
        if loads or elsewhere or tag in ("link", "img", "iframe", "object"):
            self.faults.append(f"<{tag}> loads something")
