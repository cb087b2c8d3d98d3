"""The Markdown documents of this repository, as tests see them: fences, links, headings, tables."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]

_FENCE = re.compile(r"^(?P<indent> *)(?P<ticks>`{3,}|~{3,})(?P<info>.*)$")
_LINK = re.compile(r"\[[^\]\n]*\]\((?P<target>[^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(?P<text>.+?) *$", re.MULTILINE)


@attrs.frozen
class Block:
    """A fenced block of a document."""

    document: Path
    line: int
    """Of its first line of content, counted from 1."""
    language: str
    text: str = attrs.field(repr=False)

    @property
    def name(self) -> str:
        """Where it is, for people."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def source(self) -> str:
        """Its text, moved down to where it stands, so that tracebacks name the document's lines."""
        return "\n" * (self.line - 1) + self.text


def documents() -> Sequence[Path]:
    """README.md and everything under docs/."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(document: Path) -> Iterator[Block]:
    """The fenced blocks of a document.

    Raises:
        ValueError: a fence is never closed.
    """
    opened: re.Match[str] | None = None
    begin = 0
    lines = document.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if opened is None:
            opened, begin = fence, number + 1
        elif fence and fence["ticks"].startswith(opened["ticks"]) and not fence["info"].strip():
            text = textwrap.dedent("\n".join(lines[begin - 1 : number - 1]))
            yield Block(document, begin, opened["info"].strip(), text + "\n")
            opened = None
    if opened is not None:
        raise ValueError(f"{document}:{begin - 1}: this fence is never closed")


def prose(document: Path) -> str:
    """A document without its fenced blocks and code spans."""
    kept: list[str] = []
    ticks = ""
    for line in document.read_text(encoding="utf-8").splitlines():
        fence = _FENCE.match(line)
        if ticks:
            if fence and fence["ticks"].startswith(ticks) and not fence["info"].strip():
                ticks = ""
        elif fence:
            ticks = fence["ticks"]
        else:
            kept.append(line)
    return "\n".join(kept)


def links(document: Path) -> Sequence[str]:
    """The targets of a document's links."""
    text = re.sub(r"`[^`\n]*`", "", prose(document))
    return [match["target"] for match in _LINK.finditer(text)]


def anchors(document: Path) -> set[str]:
    """What links may name behind the `#`, made from headings as GitHub makes it."""
    found: set[str] = set()
    for match in _HEADING.finditer(prose(document)):
        text = re.sub(r"[^\w\- ]", "", match["text"].lower())
        anchor = plain = text.replace(" ", "-")
        repeated = 0
        while anchor in found:
            repeated += 1
            anchor = f"{plain}-{repeated}"
        found.add(anchor)
    return found


def table(document: Path, heading: str) -> Sequence[Sequence[str]]:
    """The rows, without the head, of the first table below a heading.

    Raises:
        ValueError: there is no such heading, or no table below it.
    """
    lines = iter(prose(document).splitlines())
    for line in lines:
        if line.lstrip("#").strip() == heading and line.startswith("#"):
            break
    else:
        raise ValueError(f"{document} has no heading {heading!r}")
    rows: list[Sequence[str]] = []
    for line in lines:
        if line.startswith("|"):
            cells = line.strip("|").replace(r"\|", "\0").split("|")
            rows.append([cell.strip().replace("\0", "|") for cell in cells])
        elif rows:
            break
    if len(rows) < 3:
        raise ValueError(f"{document} has no table below {heading!r}")
    return rows[2:]
