"""The kept corpus: stored documents which every future Troupe must read, and what they mean.

A sample is one file: `stored` is the document as that version wrote it, `means` is all that was in
the value. Samples are never changed. After adding a class of values, a content type or a field, run
`python -m tests.models.rooms.samples`: it writes the samples that are missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs

from models.rooms.content import CONTENT_TYPES, Content, Media, Text
from models.rooms.event import RoomEvent
from models.rooms.wire import dumps, stored
from tests.models.rooms.shapes import VALUE_KINDS, fields_of, made

CORPUS = Path(__file__).parent / "corpus"
NEWEST = CORPUS / "v1"


class _Samples:
    """Something that is nobody's default."""

    def text(self, field: str) -> object:
        return "“süß” \\ \u2028 😀" if field == "body" else f"a {field}"

    def url(self) -> object:
        return "https://example.org/a%20b?c=d"

    def integer(self, low: int, high: int) -> object:
        return 7

    def number(self, low: float, high: float) -> object:
        return min(2.25, high / 2)

    def boolean(self, default: object) -> object:
        return not default

    def one_of(self, choices: Sequence[object], default: object) -> object:
        return next(choice for choice in reversed(choices) if choice != default)

    def instant(self) -> object:
        return datetime(2026, 1, 31, 12, 30, 0, 250_000, UTC)

    def json(self) -> object:
        return ["välue", 1, -2.5, True, None, {}, []]

    def json_object(self) -> object:
        return {"a key": self.json(), "": ""}

    def content(self) -> object:
        return full(Text)

    def value(self, kind: type) -> object:
        return full(kind)

    def optional(self, inner: object) -> object:
        return inner

    def several(self, inner: object, *, at_least: int) -> object:
        return (inner, full(Media)) if isinstance(inner, Text) else (inner, inner)

    def by_name(self, inner: object) -> object:
        return {"one": inner, "two": inner}


_SAMPLES = _Samples()


def full(kind: type, **others: object) -> Any:
    """A value in which no field has its default."""
    chosen = {name: made(_SAMPLES, kind, field) for name, field in fields_of(kind).items()}
    return kind(**{**chosen, **others})


def bare(kind: type) -> Any:
    """A value in which every field has its default that has one."""
    return kind(
        **{
            name: made(_SAMPLES, kind, field)
            for name, field in fields_of(kind).items()
            if field.default is attrs.NOTHING
        }
    )


def samples() -> Iterator[tuple[str, object]]:
    """All that there should be, by name: `RoomEvent.full`, `RoomEvent.bare`, `RoomEvent.text` …"""
    for name, kind in VALUE_KINDS.items():
        yield f"{name}.full", full(kind)
        yield f"{name}.bare", bare(kind)
    for tag, kind in CONTENT_TYPES.items():
        content: Content = full(kind)
        yield f"RoomEvent.{tag}", attrs.evolve(bare(RoomEvent), content=content)


def has_sample(kind: type, field: str) -> bool:
    """Whether some document of the class has something in the field."""
    return any(field in document["stored"] for document in documents(kind.__name__).values())


def documents(kind: str = "*") -> Mapping[Path, Mapping[str, Any]]:
    """The corpus, of all versions, by file."""
    return {
        path: json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(CORPUS.glob(f"v*/{kind}.*.json"))
    }


def write_missing() -> None:
    """See the module. A class that has a new field gets another full sample, beside its old one."""
    for name, value in samples():
        path = NEWEST / f"{name}.json"
        kind = type(value)
        if path.exists() and name.endswith(".full"):
            if all(has_sample(kind, field) for field in fields_of(kind)):
                continue
            count = len(list(NEWEST.glob(f"{name}*.json")))
            path = NEWEST / f"{name}.{count + 1}.json"
        if not path.exists():
            means = dumps(value).decode()
            sample = f'{{"stored": {stored(value).decode()},\n "means": {means}}}\n'
            path.write_text(sample, encoding="utf-8")


if __name__ == "__main__":
    write_missing()
