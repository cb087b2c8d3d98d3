"""Sums of tracks, against the plainest way to make them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.audio import mix, mix_minus

track = st.lists(st.integers(-32768, 32767), max_size=12)
tracks = st.lists(track, max_size=6)


def pcm(samples: Sequence[int]) -> bytes:
    return np.array(samples, "<i2").tobytes()


def added(tracks: Sequence[Sequence[int]], length: int) -> bytes:
    sums = [sum(track[at] for track in tracks if at < len(track)) for at in range(length)]
    return pcm([min(max(each, -32768), 32767) for each in sums])


@given(tracks)
def test_a_mix_is_the_clipped_sum_with_short_tracks_padded(tracks: list[list[int]]) -> None:
    longest = max(map(len, tracks), default=0)
    assert mix([pcm(track) for track in tracks]) == added(tracks, longest)


@given(tracks)
def test_each_party_hears_the_clipped_sum_of_all_others(tracks: list[list[int]]) -> None:
    longest = max(map(len, tracks), default=0)
    heard = mix_minus([pcm(track) for track in tracks])
    assert heard == [added(tracks[:own] + tracks[own + 1 :], longest) for own in range(len(tracks))]


def test_what_clips_in_the_total_does_not_clip_for_who_is_not_in_it() -> None:
    loud, quiet = pcm([30000]), pcm([5])
    assert mix_minus([loud, loud, quiet]) == [pcm([30005]), pcm([30005]), pcm([32767])]


def test_a_hundred_and_thirty_parties_at_full_scale_do_not_wrap_around() -> None:
    heard = mix_minus([pcm([-32768])] * 130)
    assert set(heard) == {pcm([-32768])}


def test_alone_nothing_is_computed() -> None:
    one, other = pcm([1, 2]), pcm([3, 4])
    assert mix([one]) is one
    assert mix_minus([one, other])[0] is other
    assert mix_minus([one]) == [pcm([0, 0])]
    assert mix([]) == b""
    assert mix_minus([]) == []
