"""What the pure parts of `models/net` decide: faults, guard, event streams."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.faults import FaultKind
from models.net import Guard, ProviderFault, SseReader
from models.net.faults import error_code, parse_retry_after, status_fault
from supervision.resilience import BreakerConfig, Circuit

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("30", 30),
        ("0.5", 0.5),
        ("0", 0),
        ("-3", 0),
        ("", 0),
        ("soon", 0),
        ("nan", 0),
        ("inf", 0),
        ("1e400", 0),
        ("Sun, 01 Mar 2026 12:00:20 GMT", 20),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("Sun, 01 Mar 2026 12:00:20 -0000", 20),
        ("Sunday, 01-Mar-26 12:00:20 GMT", 20),
        ("Sun, 99 Mar 2026 12:00:20 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    assert parse_retry_after(value, NOON) == seconds


@given(st.text())
def test_any_retry_after_is_a_number_of_seconds(value: str) -> None:
    assert parse_retry_after(value, NOON) >= 0


def test_nobody_is_left_alone_for_days() -> None:
    assert status_fault(429, {"retry-after": "1000000"}, b"", NOON).retry_after == 600
    assert status_fault(429, {"retry-after-ms": "250"}, b"", NOON).retry_after == 0.25
    assert status_fault(400, {"retry-after": "30"}, b"", NOON).retry_after == 0


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"error": {"code": "model_not_found"}}', "model_not_found"),
        (b'{"error": {"code": null, "type": "server_error"}}', "server_error"),
        (b'{"error": "busy"}', "busy"),
        (b'{"error": "You said: hello"}', ""),
        (b'{"detail": {"status": "voice_not_found", "message": "x"}}', "voice_not_found"),
        (b'{"err_code": "INVALID_AUTH"}', "INVALID_AUTH"),
        (b'{"error": {"code": 5}}', ""),
        (b"[1]", ""),
        (b"<html>", ""),
        (b"", ""),
        (b"\xff", ""),
    ],
)
def test_of_an_error_body_a_short_code_is_taken_over_and_nothing_else(
    body: bytes, code: str
) -> None:
    assert error_code(body) == code


def test_an_empty_account_is_no_matter_of_waiting() -> None:
    body = b'{"error": {"code": "insufficient_quota"}}'
    assert status_fault(429, {}, body, NOON).kind is FaultKind.UNAUTHORIZED


# -- the guard ------------------------------------------------------------------------------


def a_guard(concurrent: int = 2, failures: int = 2) -> Guard:
    return Guard("p", concurrent, BreakerConfig(failures=failures, rest=10.0))


def test_a_guard_lets_so_many_in_and_tells_the_next_one() -> None:
    guard = a_guard()
    assert guard.enter(1, 0.0) is None
    assert guard.enter(2, 0.0) is None
    refused = guard.enter(3, 0.0)
    assert refused is not None
    assert refused.kind is FaultKind.RATE_LIMITED
    guard.leave(1, None, 1.0)
    assert guard.enter(3, 1.0) is None


def test_a_guard_opens_after_failures_and_says_for_how_long() -> None:
    guard = a_guard()
    for key in (1, 2):
        assert guard.enter(key, 0.0) is None
        guard.leave(key, FaultKind.UNAVAILABLE, 0.0)
    denied = guard.enter(3, 4.0)
    assert denied is not None
    assert (denied.kind, denied.retry_after) == (FaultKind.BREAKER_OPEN, 6.0)
    assert guard.statistics().under_way == 0
    assert guard.enter(4, 10.0) is None  # the probe
    guard.leave(4, None, 10.1)
    assert guard.statistics().breaker.state is Circuit.CLOSED


@pytest.mark.parametrize("kind", [FaultKind.REJECTED, FaultKind.CANCELLED])
def test_what_is_no_fault_of_the_provider_trips_nothing(kind: FaultKind) -> None:
    guard = a_guard()
    for key in range(10):
        assert guard.enter(key, 0.0) is None
        guard.leave(key, kind, 0.0)
    assert guard.statistics().breaker.state is Circuit.CLOSED


def test_a_pause_is_kept_and_passes() -> None:
    guard = a_guard()
    assert guard.enter(1, 0.0) is None
    guard.leave(1, FaultKind.RATE_LIMITED, 0.0, pause=5.0)
    refused = guard.enter(2, 2.0)
    assert refused is not None
    assert (refused.kind, refused.retry_after) == (FaultKind.RATE_LIMITED, 3.0)
    assert guard.enter(2, 5.0) is None


def test_a_stream_proves_its_provider_well_before_it_ends() -> None:
    guard = a_guard(failures=1)
    assert guard.enter(1, 0.0) is None
    guard.outcome(1, None, 1.0)
    guard.leave(1, FaultKind.UNAVAILABLE, 3600.0)  # only the first outcome counts
    assert guard.statistics().breaker.state is Circuit.CLOSED


# -- event streams --------------------------------------------------------------------------


def test_events_end_at_blank_lines_and_comments_are_none() -> None:
    reader = SseReader()
    stream = (
        b"\xef\xbb\xbf: hi\nid: 7\ndata: one\n\nevent: x\r\ndata:two\r\ndata: 3\r\n\r\ndata\n\n"
    )
    assert reader.feed(stream) == ["one", "two\n3", ""]


def test_the_last_event_may_lack_its_blank_line() -> None:
    reader = SseReader()
    assert reader.feed(b"data: one") == []
    assert reader.finish() == ["one"]
    assert reader.finish() == []


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", codec="utf-8")), max_size=5),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.lists(st.integers(0, 60), max_size=8),
)
def test_events_are_the_same_however_their_bytes_are_cut(
    texts: list[str], newline: str, cuts: list[int]
) -> None:
    stream = "".join(f"data: {text}{newline}{newline}" for text in texts).encode()
    reader = SseReader()
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[a:b] for a, b in pairwise(edges)]
    events = [event for piece in pieces for event in reader.feed(piece)]
    assert events + reader.finish() == texts


@pytest.mark.parametrize("piece", [b"data: xxxxxxxxxx\n", b"x"])
def test_an_event_without_an_end_is_refused(piece: bytes) -> None:
    reader = SseReader(longest=100)

    def feed_on() -> None:
        for _ in range(200):
            reader.feed(piece)

    with pytest.raises(ProviderFault):
        feed_on()
