"""Hyphenation, word times for voices without them, and the plain segmenter (17.11, 17.12)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.speech_text import PlainSegmenter, estimate_word_times, hyphenate


@pytest.mark.parametrize(
    "pieces",
    [
        "hy-phen-ation",
        "com-put-er",
        "al-go-rithm",
        "as-so-ciate",
        "as-so-ciates",
        "dec-li-na-tion",
        "oblig-a-tory",
        "phil-an-thropic",
        "present",
        "presents",
        "project",
        "projects",
        "reci-procity",
        "re-cog-ni-zance",
        "ref-or-ma-tion",
        "ret-ri-bu-tion",
        "ta-ble",
        "word",
        "su-per-cal-ifrag-ilis-tic",
    ],
)
def test_words_part_where_liang_and_knuth_part_them(pieces: str) -> None:
    assert hyphenate(pieces.replace("-", "")) == pieces.split("-")


def test_case_is_kept_and_what_is_no_word_stays_whole() -> None:
    assert hyphenate("HyphenATION") == ["Hy", "phen", "ATION"]
    assert hyphenate("Table") == ["Ta", "ble"]
    for whole in ("", "ever", "don't", "12345678", "naïveté", "hyphenation."):
        assert hyphenate(whole) == [whole]


@given(st.text("abcdefghijklmnopqrstuvwxyzABC", max_size=30))
def test_the_pieces_are_the_word_and_no_end_is_torn_off(word: str) -> None:
    pieces = hyphenate(word)
    assert "".join(pieces) == word
    if len(pieces) > 1:
        assert len(pieces[0]) >= 2
        assert len(pieces[-1]) >= 2


WORDS = ["Hello", "there,", "my", "dear", "friend.", "How", "are", "you", "today?"]


def test_words_share_the_time_by_their_length_with_pauses_at_punctuation() -> None:
    times = estimate_word_times(WORDS, 3.0)
    assert [word.text for word in times] == WORDS
    assert times[0].start == 0
    assert times[-1].end == pytest.approx(3.0)
    gaps = [after.start - before.end for before, after in pairwise(times)]
    assert [gap > 0.05 for gap in gaps] == [word in ("there,", "friend.") for word in WORDS[:-1]]
    assert gaps[4] > gaps[1]
    lengths = [word.end - word.start for word in times]
    assert lengths[5] < lengths[4]


def test_pauses_found_in_the_audio_lie_between_or_inside_words_but_start_none() -> None:
    times = estimate_word_times(["one", "two"], 3.0, pauses=[(1.0, 2.0)])
    assert [(word.start, word.end) for word in times] == [(0.0, 1.0), (2.0, 3.0)]


@given(
    st.lists(st.sampled_from([*WORDS, "5", "你", "नमस्ते", "—", ""]), max_size=30),
    st.floats(0, 100),
    st.lists(st.floats(0, 100), max_size=6),
)
def test_times_are_in_order_and_within_the_audio(
    words: Sequence[str], total: float, bounds: Sequence[float]
) -> None:
    inside = sorted(bound for bound in bounds if bound <= total)
    pauses = list(zip(inside[::2], inside[1::2], strict=False))
    times = estimate_word_times(words, total, pauses)
    assert [word.text for word in times] == words
    flat = [moment for word in times for moment in (word.start, word.end)]
    assert all(later - earlier >= -1e-9 for earlier, later in pairwise(flat))
    assert all(-1e-9 <= moment <= total + 1e-9 for moment in flat)


def test_impossible_times_are_refused() -> None:
    for total in (-1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="length"):
            estimate_word_times(["a"], total)
    with pytest.raises(ValueError, match="order"):
        estimate_word_times(["a"], 1.0, [(0.5, 0.4)])
    with pytest.raises(ValueError, match="order"):
        estimate_word_times(["a"], 1.0, [(0.5, 1.4)])


@pytest.mark.parametrize("delimiter", ".?!,;:\n")
def test_the_plain_segmenter_cuts_at_every_mark(delimiter: str) -> None:
    segmenter = PlainSegmenter()
    assert segmenter.push(
        f"One{delimiter}two",
    ) == [f"One{delimiter}".strip()]
    assert segmenter.end() == ["two"]


def test_without_a_mark_it_cuts_when_many_words_wait() -> None:
    segmenter = PlainSegmenter()
    assert segmenter.push("word " * 23) == []
    (segment,) = segmenter.push("word")
    assert segment.split() == ["word"] * 23
    assert segmenter.end() == ["word"]


def test_without_a_mark_it_cuts_when_many_characters_wait() -> None:
    segmenter = PlainSegmenter()
    assert segmenter.push("a" * 599) == []
    assert segmenter.push("a" * 51) == ["a" * 600]
    assert segmenter.push(" " + "b" * 560) == ["a" * 50]
    assert segmenter.end() == ["b" * 560]


def test_marks_alone_are_not_spoken_alone() -> None:
    segmenter = PlainSegmenter()
    assert segmenter.push("Wait... now. Go") == ["Wait.", ".. now."]
    assert segmenter.end() == ["Go"]
