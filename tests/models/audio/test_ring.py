"""The newest sound, by absolute sample numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import SampleRing


def numbered(start: int, end: int) -> bytes:
    """Samples that say their own number."""
    return np.arange(start, end).astype("<i2").tobytes()


@given(st.integers(1, 60), st.lists(st.integers(0, 150), max_size=30), st.integers(-5, 4600))
def test_it_gives_what_a_list_of_all_samples_would(
    capacity: int, lengths: list[int], asked: int
) -> None:
    ring = SampleRing(capacity / 1000, 1000)
    end = 0
    for length in lengths:
        ring.append(numbered(end, end + length))
        end += length
        for sample in (asked, end - 1, end - capacity, end - capacity // 2):
            start, pcm = ring.since(sample)
            assert start == min(max(sample, 0, end - capacity), end)
            assert pcm == numbered(start, end)
    assert (ring.start, ring.end) == (max(0, end - capacity), end)


def test_the_pre_roll_before_an_onset_is_there_with_its_number() -> None:
    ring = SampleRing(0.5, 16000)
    for frame in range(100):
        ring.append(numbered(frame * 320, frame * 320 + 320))
    onset = 31_000
    assert ring.since(onset - 7000) == (24_000, numbered(24_000, 32_000))
    assert ring.since(onset) == (31_000, numbered(31_000, 32_000))


def test_what_has_not_come_yet_gives_nothing_at_the_end() -> None:
    ring = SampleRing(1, 8000)
    ring.append(bytes(20))
    assert ring.since(500) == (10, b"")
    assert ring.since(10) == (10, b"")


def test_views_are_taken_too_and_nothing_of_them_is_kept() -> None:
    source = bytearray(numbered(0, 10))
    ring = SampleRing(1, 8000)
    ring.append(memoryview(source))
    source[:] = bytes(20)
    assert ring.since(0) == (0, numbered(0, 10))


def test_half_a_sample_changes_nothing() -> None:
    ring = SampleRing(1, 8000)
    with pytest.raises(ValueError, match="3 bytes"):
        ring.append(b"abc")
    assert ring.end == 0


def test_no_room_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        SampleRing(0, 8000)


def test_it_shows_what_it_holds() -> None:
    ring = SampleRing(0.01, 8000)
    ring.append(bytes(2 * 100))
    assert repr(ring) == "<SampleRing 20..100>"
