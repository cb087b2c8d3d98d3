"""What channels make of contents, and of what comes in; and what HTTP's statuses mean."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

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
from transports.channels.bodies import body_of, inbound_content, media_urls, nothing_to_send
from transports.channels.results import http_failed

A = Media("https://example.org/a.png", "image/png")
B = Media("https://example.org/b.pdf", "application/pdf", caption="the bill")

CONTENTS: list[tuple[Content, str, Sequence[str]]] = [
    (Text("hello"), "hello", ()),
    (Rich("**hello**"), "**hello**", ()),
    (System("welcome"), "welcome", ()),
    (A, "", (A.url,)),
    (B, "the bill", (B.url,)),
    (Composite((Text("here:"), A, B, Text("bye"))), "here: the bill bye", (A.url, B.url)),
    (Composite((Composite((A, Text("in"))), Text("out"))), "in out", (A.url,)),
    (Location(1.0, 2.0, label="home"), "", ()),
    (Audio("https://example.org/a.ogg", transcript="hello"), "", ()),
    (Video("https://example.org/v.mp4"), "", ()),
    (Template("welcome", body="hello"), "", ()),
    (Edit("e-1", Text("hello")), "", ()),
    (Delete("e-1"), "", ()),
    (ToolCall("find", "t-1"), "", ()),
]


@pytest.mark.parametrize(
    ("content", "body", "urls"), CONTENTS, ids=lambda value: type(value).__name__
)
def test_the_words_and_files_of_a_content(content: Content, body: str, urls: Sequence[str]) -> None:
    assert body_of(content) == body
    assert tuple(media_urls(content)) == tuple(urls)
    assert not nothing_to_send(content)


@pytest.mark.parametrize(
    "content", [Text(""), Text(" \n"), Rich(""), System(""), Composite((Text(""), Rich("")))]
)
def test_words_without_a_word_are_not_sent(content: Content) -> None:
    assert nothing_to_send(content)


@pytest.mark.parametrize(
    ("body", "media", "content"),
    [
        ("hello", [], Text("hello")),
        ("", [A], A),
        ("look", [A], Media(A.url, "image/png", caption="look")),
        ("", [A, B], Composite((A, B))),
        ("look", [A, B], Composite((Text("look"), A, B))),
        ("", [Media(A.url, "")], Media(A.url, "application/octet-stream")),
    ],
)
def test_what_comes_in_becomes_one_content(body: str, media: list[Media], content: Content) -> None:
    assert inbound_content(body, media) == content


NOW = datetime(2026, 3, 2, 10, 0, tzinfo=UTC)

STATUSES: list[tuple[int, dict[str, str], dict[str, Any]]] = [
    (400, {}, {"code": "twilio_21211", "retryable": False}),
    (401, {}, {"code": "auth_error", "retryable": False}),
    (403, {}, {"code": "http_403", "retryable": False}),
    (404, {"retry-after": "5"}, {"code": "http_404", "retryable": False}),
    (408, {}, {"code": "http_408", "retryable": True}),
    (425, {}, {"code": "http_425", "retryable": True}),
    (429, {}, {"code": "rate_limit", "retryable": True}),
    (429, {"retry-after": "2.5"}, {"code": "rate_limit", "retryable": True, "retry_after": 2.5}),
    (
        503,
        {"retry-after": "Mon, 02 Mar 2026 10:00:30 GMT"},
        {"code": "http_503", "retryable": True, "retry_after": 30.0},
    ),
    (503, {"retry-after": "soon"}, {"code": "http_503", "retryable": True}),
    (502, {"retry-after": "-5"}, {"code": "http_502", "retryable": True}),
    (599, {"retry-after": "99999"}, {"code": "http_599", "retryable": True, "retry_after": 600.0}),
    (301, {}, {"code": "http_301", "retryable": False}),
]


@pytest.mark.parametrize(("status", "headers", "told"), STATUSES)
def test_what_a_status_means(status: int, headers: dict[str, str], told: dict[str, Any]) -> None:
    result = http_failed(status, headers, NOW, "twilio_21211" if status == 400 else "")
    assert (result.success, result.error, result.metadata) == (False, told["code"], told)


def test_a_400_without_a_code_is_an_invalid_request() -> None:
    assert http_failed(400, {}, NOW).error == "invalid_request"
