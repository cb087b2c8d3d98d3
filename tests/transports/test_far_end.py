from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from transports.far_end import FarEnd

TONE = b"\x01\x02" * 160
"""20 ms at 8 kHz."""


def test_sound_is_played_after_the_buffer_and_without_gaps() -> None:
    ears = FarEnd(8000, buffer=0.03)
    ears.receive(TONE, 1.0)
    ears.receive(TONE, 1.02)
    assert ears.played(1.03) == 0
    assert ears.played(1.04) == 80
    assert ears.played(1.05) == 160
    assert ears.played(1.06) == 240
    assert ears.played(9.0) == 320
    assert [(piece.start, piece.end) for piece in ears.heard(9.0)] == [(1.03, 1.05), (1.05, 1.07)]


def test_a_clear_counts_what_was_played_and_what_is_dropped_to_the_sample() -> None:
    ears = FarEnd(8000)
    for _ in range(5):
        ears.receive(TONE, 0.0)
    assert ears.clear(0.05) == (400, 400)
    assert ears.played(1.0) == 400
    assert b"".join(piece.pcm for piece in ears.heard(1.0)) == (TONE * 3)[:800]
    assert ears.audible_until == 0.05
    ears.receive(TONE, 2.0)
    assert ears.played(2.01) == 480
    assert ears.clear(3.0) == (560, 0)


def test_marks_are_reached_when_all_before_them_was_played_and_never_after_a_clear() -> None:
    ears = FarEnd(8000)
    ears.mark("at once", 0.5)
    assert ears.marks_played(0.5) == ["at once"]
    ears.receive(TONE, 1.0)
    ears.mark("one", 1.0)
    ears.receive(TONE, 1.0)
    ears.mark("two", 1.0)
    assert ears.next_mark == 1.02
    assert ears.marks_played(1.019) == []
    assert ears.marks_played(1.02) == ["one"]
    ears.clear(1.03)
    assert ears.marks_played(9.0) == []


def test_silence_is_not_audible() -> None:
    ears = FarEnd(8000)
    ears.receive(TONE, 0.0)
    ears.receive(bytes(320), 0.0)
    assert ears.played(1.0) == 320
    assert ears.audible_until == 0.02


@given(
    st.lists(
        st.tuples(st.floats(0, 0.3), st.integers(0, 1000), st.booleans()), min_size=1, max_size=30
    ),
    st.floats(0, 0.1),
)
def test_nothing_is_lost_or_played_twice(
    steps: list[tuple[float, int, bool]], buffer: float
) -> None:
    ears = FarEnd(16000, buffer)
    now, sent, before = 0.0, b"", 0
    for wait, samples, clears in steps:
        now += wait
        if clears:
            ears.clear(now)
        pcm = len(sent).to_bytes(4, "little") * (samples // 2)
        sent += pcm
        ears.receive(pcm, now)
        played = ears.played(now)
        assert before <= played <= ears.received
        before = played
    assert ears.played(now + 100) + ears.dropped == ears.received == len(sent) // 2
    heard = ears.heard(now + 100)
    assert sum(len(piece.pcm) // 2 for piece in heard) == ears.played(now + 100)
    assert all(a.end <= b.start + 1e-6 for a, b in pairwise(heard))
