"""The table of what a channel is given in place of what it cannot carry."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rooms.capabilities import CAPABILITIES
from models.rooms.content import (
    Audio,
    Composite,
    Content,
    Delete,
    Edit,
    Location,
    Media,
    Rich,
    System,
    Template,
    Text,
    ToolCall,
    Video,
)
from models.rooms.kinds import ChannelMediaType, ChannelType
from models.rooms.room import TEXT_ONLY, ChannelCapabilities
from models.rooms.transcode import Transcoder, transcode, truncated
from tests.models.rooms.strategies import contents

URL = "https://example.org/f"
DATA = "data:image/png;base64,AAAA"

TABLE: list[tuple[Content, Content]] = [
    (Text("hi", "en"), Text("hi", "en")),
    (Rich("<b>hi</b>", "html", plain_text="hi"), Text("hi")),
    (Rich("**hi**", buttons=[{"title": "Yes"}]), Text("**hi**")),
    (Media(URL, "image/png", "cat.png", caption="My cat"), Text("[Media: My cat]")),
    (Media(URL, "image/png", "cat.png"), Text("[Media: cat.png]")),
    (Media(URL, "image/png"), Text(f"[Media: {URL}]")),
    (Media(DATA, "image/png"), Text("[Media: image/png]")),
    (Audio(URL, transcript="hello"), Text("hello")),
    (Audio(URL), Text(f"[Voice message: {URL}]")),
    (Audio("data:audio/ogg;base64,AAAA"), Text("[Voice message]")),
    (Video(URL), Text(f"[Video: {URL}]")),
    (Video("data:video/mp4;base64,AAAA"), Text("[Video]")),
    (Location(48.5, 2.25, "Paris", "1 Rue X"), Text("[Location: Paris (48.5, 2.25)]")),
    (Location(48.5, 2.25, None, "1 Rue X"), Text("[Location: 1 Rue X (48.5, 2.25)]")),
    (Location(-48.5, 0), Text("[Location:  (-48.5, 0)]")),
    (Template("welcome", body="Hello!"), Text("Hello!")),
    (Template("welcome"), Text("[Template: welcome]")),
    (Composite((Text("a"), Text("b"))), Text("a\nb")),
    (Composite((Text("a"), Rich("b"), Video(URL))), Text(f"a\nb\n[Video: {URL}]")),
    (Composite((Composite((Text("a"), Rich("b"))), Text("c"))), Text("a\nb\nc")),
    (Composite((Text("a"), System("b"))), Composite((Text("a"), System("b")))),
    (Edit("e", Text("new")), Text("Correction: new")),
    (Edit("e", Rich("new")), Text("Correction: new")),
    (Edit("e", Composite((Text("a"), Text("b")))), Text("Correction: a\nb")),
    (Edit("e", System("b")), System("b")),
    (Delete("e"), Text("[Message deleted]")),
    (System("joined", code="j"), System("joined", code="j")),
    (ToolCall("t", "1"), ToolCall("t", "1")),
]


@pytest.mark.parametrize(("content", "fallback"), TABLE)
def test_a_channel_of_texts_is_given_words(content: Content, fallback: Content) -> None:
    assert transcode(content, TEXT_ONLY) == fallback


@pytest.mark.parametrize("content", [content for content, _ in TABLE])
def test_a_channel_that_carries_everything_is_given_the_very_thing(content: Content) -> None:
    everything = ChannelCapabilities(
        tuple(ChannelMediaType), supports_edit=True, supports_delete=True
    )
    texts = transcode(content, TEXT_ONLY)
    given = transcode(content, everything)
    if isinstance(content, Composite) and all(isinstance(part, Text) for part in content.parts):
        assert given == texts  # texts are joined wherever they go
    elif not isinstance(content, Composite | Edit):
        assert given is content


def test_an_edit_goes_where_edits_go_with_words_that_can_go_there() -> None:
    telegram = CAPABILITIES[ChannelType.TELEGRAM]
    fits, too_much = Edit("e", Rich("**new**")), Edit("e", Audio(URL, transcript="new"))
    assert transcode(fits, telegram) is fits
    assert transcode(too_much, telegram) == Edit("e", Text("new"))


def test_a_composite_keeps_what_the_channel_carries() -> None:
    parts = (Text("look"), Media(URL, "image/png"), Location(1.0, 2.0, "here"))
    whatsapp, sms = CAPABILITIES[ChannelType.WHATSAPP], CAPABILITIES[ChannelType.SMS]
    composite = Composite(parts)
    assert transcode(composite, whatsapp) is composite
    assert transcode(composite, sms) == Composite((*parts[:2], Text("[Location: here (1.0, 2.0)]")))


@pytest.mark.parametrize("content", [content for content, _ in TABLE])
def test_nothing_is_delivered_to_a_channel_that_carries_nothing(content: Content) -> None:
    assert transcode(content, ChannelCapabilities(media_types=())) is None


@pytest.mark.parametrize(
    ("media", "words"),
    [
        (Media(URL, "image/png", "cat.png", caption="My cat"), f"[Media: My cat {URL}]"),
        (Media(URL, "image/png", "cat.png"), f"[Media: cat.png {URL}]"),
        (Media(URL, "image/png"), f"[Media: {URL}]"),
        (Media(DATA, "image/png", "cat.png"), "[Media: cat.png]"),
    ],
)
def test_a_file_may_be_told_with_its_address(media: Media, words: str) -> None:
    linking: Transcoder = partial(transcode, media_links=True)
    assert linking(media, TEXT_ONLY) == Text(words)
    assert linking(Composite((media,)), TEXT_ONLY) == Text(words)
    assert linking(Edit("e", media), TEXT_ONLY) == Text(f"Correction: {words}")


@settings(max_examples=200, deadline=None)
@given(contents(3), st.sampled_from(list(ChannelType)))
def test_what_was_made_to_fit_fits(content: Content, channel_type: ChannelType) -> None:
    capabilities = CAPABILITIES[channel_type]
    once = transcode(content, capabilities)
    assert once is not None
    assert transcode(once, capabilities) == once


# -- length ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "limit", "shorter"),
    [
        ("abcdef", None, "abcdef"),
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc..."),
        ("abcdefg", 4, "a..."),
        ("abcdefg", 3, "..."),
        ("abcdefg", 1, "..."),
    ],
)
def test_a_text_is_cut_to_length(body: str, limit: int | None, shorter: str) -> None:
    assert truncated(Text(body, "en"), limit) == Text(shorter, "en")


def test_texts_inside_are_cut_too_and_nothing_else_is() -> None:
    content = Composite((Text("abcdef"), Rich("abcdef"), Edit("e", Text("abcdef"))))
    cut = Composite((Text("ab..."), Rich("abcdef"), Edit("e", Text("ab..."))))
    assert truncated(content, 5) == cut
    assert truncated(content, 6) is content


@settings(max_examples=100, deadline=None)
@given(contents(2), st.integers(3, 30))
def test_cutting_twice_cuts_once(content: Content, limit: int) -> None:
    once = truncated(content, limit)
    assert truncated(once, limit) is once
    assert not isinstance(once, Text) or len(once.body) <= limit
