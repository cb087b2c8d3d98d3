"""What contents refuse to be, and the words in them."""

from __future__ import annotations

from typing import Any

import pytest

from models.rooms.content import (
    Audio,
    Composite,
    Content,
    Delete,
    Edit,
    Media,
    Rich,
    System,
    Template,
    Text,
    Video,
    depth,
    text_of,
)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (Media, {"url": "ftp://x", "mime_type": "a/b"}),
        (Media, {"url": "", "mime_type": "a/b"}),
        (Audio, {"url": "javascript:alert(1)"}),
        (Video, {"url": "https://x", "thumbnail_url": "x"}),
        (Composite, {"parts": ()}),
        (Rich, {"body": "x", "format": "rtf"}),
    ],
)
def test_what_would_make_no_sense_is_refused(kind: Any, fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"url|part|format"):
        kind(**fields)


def test_composites_are_nested_five_deep_and_edits_do_not_hide_them() -> None:
    content: Content = Text("x")
    for level in range(1, 6):
        content = Composite((Text("y"), Edit("e", content)))
        assert depth(content) == level
    with pytest.raises(ValueError, match="5 deep"):
        Composite((content,))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (Text("a"), "a"),
        (Rich("a", plain_text="b"), "a"),
        (System("a"), "a"),
        (Media("http://x", "a/b", caption="a"), "a"),
        (Audio("http://x"), ""),
        (Template("t", body="a"), "a"),
        (Composite((Text("a"), Video("http://x"), Text("b"))), "a b"),
        (Edit("e", Text("a")), "a"),
        (Delete("e"), ""),
    ],
)
def test_the_words_in_a_content(content: Content, words: str) -> None:
    assert text_of(content) == words
