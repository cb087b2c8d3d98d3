"""Playing an utterance out: paced, held, resumed, and counted to the sample."""

from __future__ import annotations

from collections import deque
from math import inf

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.playout import KEPT, LATE, FarEnd, Playout, PlayState

RATE = 8000
FRAME = RATE // 50


def samples(count: int, first: int = 0) -> bytes:
    """Each sample is its number, so that one can see what was sent."""
    return (np.arange(first, first + count) % 30000 + 1).astype("<i2").tobytes()


def playout(send_ahead: float = 0.06, rate: int = RATE, *, reports: bool = False) -> Playout:
    out = Playout(FarEnd(rate, reports), send_ahead=send_ahead)
    out.begin(1)
    return out


def run(
    out: Playout, start: float, until: float, every: float = 0.005
) -> list[tuple[float, bytes]]:
    """Tick from `start` to `until`: what was sent, and when."""
    sent = []
    for tick in range(round((until - start) / every) + 1):
        at = start + tick * every
        sent += [(at, pcm) for pcm in out.frames(at)]
    return sent


# -- pacing ---------------------------------------------------------------------------------------


def test_the_far_end_gets_its_start_and_then_a_frame_every_20_ms() -> None:
    out = playout(send_ahead=0.06)
    out.add(1, samples(RATE), 10.0)
    assert len(out.frames(10.0)) == 3
    assert out.deadline == pytest.approx(10.02)
    assert out.frames(10.01) == []
    assert [len(out.frames(10.0 + n * 0.02)) for n in range(1, 6)] == [1] * 5


@pytest.mark.parametrize(("late", "frames", "skipped"), [(0.02, 1, 0), (0.1, 5, 0), (0.3, 3, 1)])
def test_a_late_clock_makes_up_for_100_ms_and_no_more(
    late: float, frames: int, skipped: int
) -> None:
    out = playout(send_ahead=0.06)
    out.add(1, samples(RATE), 0.0)
    out.frames(0.0)
    assert len(out.frames(late)) == frames
    assert out.statistics.skipped == skipped


def test_after_a_skip_the_clock_goes_on_from_there() -> None:
    out = playout(send_ahead=0.06)
    out.add(1, samples(RATE), 0.0)
    out.frames(0.0)
    out.frames(0.5)
    assert [len(out.frames(0.5 + n * 0.02)) for n in range(1, 6)] == [1] * 5


def test_sound_in_drops_is_not_sent_ahead_of_its_time() -> None:
    """A voice that is ten times faster than time, in pieces of less than `send_ahead`."""
    out = playout(send_ahead=0.06)
    sent = 0
    for n in range(200):
        at = n * 0.002
        out.add(1, samples(FRAME), at)
        sent += sum(len(pcm) // 2 for pcm in out.frames(at))
        assert sent / RATE <= at + 0.06 + 1e-9


def test_a_starved_track_goes_on_when_there_is_sound_again() -> None:
    out = playout()
    out.add(1, samples(2 * FRAME), 0.0)
    assert len(out.frames(0.0)) == 2
    assert out.deadline == inf
    assert out.frames(0.5) == []
    assert out.statistics.starved == 0  # not before it is known that there is more
    out.add(1, samples(FRAME, 2 * FRAME), 1.0)
    assert out.frames(1.0) == [samples(FRAME, 2 * FRAME)]
    assert (out.statistics.starved, out.statistics.skipped) == (1, 0)
    assert out.position(1.01) == pytest.approx(0.05)


def test_what_fills_no_frame_is_sent_when_the_end_is_told() -> None:
    out = playout()
    out.add(1, samples(FRAME + 7), 0.0)
    assert out.frames(0.0) == [samples(FRAME)]
    assert out.frames(0.02) == []
    out.end(1)
    assert out.frames(0.02) == [samples(7, FRAME)]
    assert not out.drained(0.02)
    assert out.drained(0.02 + 0.02)


def test_the_end_told_long_after_the_last_sound_skips_no_clock() -> None:
    out = playout()
    out.add(1, samples(FRAME + 7), 0.0)
    out.frames(0.0)
    out.frames(0.02)
    out.end(1)
    assert out.frames(5.0) == [samples(7, FRAME)]
    assert out.statistics.skipped == 0


@pytest.mark.parametrize("send_ahead", [0.0, 0.01, 0.02, 0.2])
def test_any_send_ahead_is_kept(send_ahead: float) -> None:
    out = playout(send_ahead)
    out.add(1, samples(RATE), 0.0)
    sent = 0
    for at, pcm in run(out, 0.0, 0.8):
        sent += len(pcm) // 2
        assert sent / RATE <= at + max(send_ahead, 0.02) + 1e-3


def test_a_rate_whose_frames_have_half_samples_keeps_time() -> None:
    out = playout(rate=11025)
    out.add(1, samples(11025 * 10), 0.0)
    sent = sum(len(pcm) // 2 for _, pcm in run(out, 0.0, 5.0))
    assert sent / 11025 == pytest.approx(5.06, abs=0.025)


def test_a_dead_utterance_is_not_played() -> None:
    out = playout()
    assert not out.add(2, samples(100), 0.0)
    out.cut()
    assert not out.add(1, samples(100), 0.0)
    out.end(1)
    assert not out.ended
    assert out.statistics.stale_dropped == 2
    assert out.frames(1.0) == []


def test_an_utterance_without_sound_is_drained_when_it_ends() -> None:
    out = playout()
    assert not out.drained(0.0)
    out.end(1)
    assert out.drained(0.0)


def test_memory_stays_bounded_over_ten_minutes() -> None:
    out = playout()
    most = 0
    for second in range(600):
        out.add(1, samples(RATE), float(second))
        for tick in range(50):
            out.frames(second + tick * 0.02)
        most = max(most, len(out._sound))
    out.end(1)
    out.frames(600.0)
    assert out.total == 600 * RATE
    assert out.drained(600.0)
    assert most <= 2 * RATE * (2 * KEPT + 2)
    assert len(out._stretches) == 1


# -- hold and resume ------------------------------------------------------------------------------


def test_what_was_held_goes_on_where_it_is_told_to_from_silence() -> None:
    out = playout()
    out.add(1, samples(RATE), 0.0)
    run(out, 0.0, 0.5)
    out.hold()
    assert out.frames(0.6) == []
    out.cleared(None, 0, 0.5)
    assert out.position(0.5) == out.position(9.0) == pytest.approx(0.5)
    out.resume(0.4, 1.0)
    assert out.state is PlayState.PLAYING
    frames = run(out, 1.0, 1.2)
    sent = np.frombuffer(b"".join(pcm for _, pcm in frames), "<i2")
    expected = np.frombuffer(samples(RATE)[2 * 3200 :], "<i2")
    assert abs(sent[0]) < 100
    assert (sent[FRAME:] == expected[FRAME : sent.size]).all()
    assert out.position(1.1) == pytest.approx(0.5)
    assert out.position(1.15) == pytest.approx(0.55)


def test_an_answer_to_the_clear_that_comes_after_the_resume_changes_no_position() -> None:
    out = playout()
    out.add(1, samples(RATE), 0.0)
    run(out, 0.0, 0.5)  # 0.56 s are out
    out.hold()
    out.resume(0.5, 0.51)
    frames = out.frames(0.51)
    since = sum(len(pcm) // 2 for pcm in frames)
    out.cleared(round(0.5 * RATE), since, 0.52)
    assert out.position(0.52) == pytest.approx(0.5)
    assert out.position(0.55) == pytest.approx(0.53)


def test_resumed_at_its_very_end_it_is_drained_at_once() -> None:
    out = playout()
    out.add(1, samples(RATE), 0.0)
    out.end(1)
    run(out, 0.0, 1.0)
    out.hold()
    out.cleared(None, 0, 1.0)
    out.resume(1.0, 1.5)
    assert out.drained(1.5)
    assert out.frames(1.5) == []


def test_another_wire_knows_nothing_of_what_the_last_one_had() -> None:
    out = playout()
    out.add(1, samples(RATE), 0.0)
    run(out, 0.0, 0.5)
    out.hold()
    out.move_to(FarEnd(RATE), 0.5)
    assert out.position(7.0) == pytest.approx(0.5)
    out.resume(0.5, 8.0)
    run(out, 8.0, 8.1)
    assert out.position(8.1) == pytest.approx(0.6)


def test_a_wire_that_changes_in_mid_sound_takes_over_on_time() -> None:
    out = playout()
    out.add(1, samples(RATE), 0.0)
    run(out, 0.0, 0.3)
    out.move_to(FarEnd(RATE), 0.31)
    assert len(out.frames(0.31)) == 3
    assert out.statistics.skipped == 0


def test_ducking_is_quieter_and_ends() -> None:
    out = playout()
    out.add(1, np.full(RATE, 10000, "<i2").tobytes(), 0.0)
    run(out, 0.0, 0.1)
    out.duck(0.178)
    quiet = np.frombuffer(run(out, 0.12, 0.2)[-1][1], "<i2")
    assert set(quiet) == {1780}
    out.duck(1.0)
    assert set(np.frombuffer(run(out, 0.22, 0.3)[-1][1], "<i2")) == {10000}


def test_an_utterance_drains_although_the_reports_have_stopped() -> None:
    out = playout(reports=True)
    out.add(1, samples(4 * RATE), 0.0)
    out.end(1)
    run(out, 0.0, 5.0)
    out.far.report(400, 0.1)
    assert not out.drained(4.9)
    assert out.drained(5.2)


# -- whatever happens -----------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 1000), max_size=40),
    st.lists(st.floats(0, 0.2), min_size=1, max_size=40),
    st.sampled_from([0.0, 0.02, 0.06, 0.2]),
)
def test_every_sample_is_sent_once_whatever_pieces_it_came_in(
    pieces: list[int], gaps: list[float], send_ahead: float
) -> None:
    out, sent, fed, at = playout(send_ahead), b"", b"", 1e5
    for number, size in enumerate(pieces):
        piece = samples(size, len(fed) // 2)
        fed += piece
        at += gaps[number % len(gaps)]
        out.add(1, piece[:1], at)  # half a sample
        sent += b"".join(out.frames(at))
        out.add(1, piece[1:], at)
        sent += b"".join(out.frames(at))
        assert out.position(at) <= len(sent) / 2 / RATE
    out.end(1)
    for _ in range(2000):
        if out.deadline == inf:
            break
        at = max(at, out.deadline)
        sent += b"".join(out.frames(at))
    assert sent == fed
    assert out.drained(out.far.empty_at + 0.001)
    assert out.position(at + 1) * RATE == pytest.approx(len(fed) // 2)


@given(
    st.lists(st.tuples(st.floats(0, 0.4), st.integers(0, 2000)), max_size=40),
    st.sampled_from([0.02, 0.06, 0.12]),
)
def test_no_more_than_send_ahead_is_ever_under_way_and_never_a_burst(
    moments: list[tuple[float, int]], send_ahead: float
) -> None:
    """However late the clock is and however the sound comes."""
    out, at = playout(send_ahead), 0.0
    out.add(1, samples(RATE), at)
    for gap, more in moments:
        at += gap
        out.add(1, samples(more), at)
        frames = out.frames(at)
        assert len(frames) * 0.02 <= max(LATE, 0.0) + send_ahead + 0.02
        if gap > LATE + send_ahead:
            assert len(frames) * 0.02 <= send_ahead + 1e-9
    # What was made up for is ahead of a far end that stood still meanwhile, by no more than that.
    assert out.far.empty_at <= at + send_ahead + LATE + 1e-9


@attrs.define
class Page:
    """A far end that plays in real time what reaches it, `delay` after it was sent."""

    delay: float
    at: float = 0.0
    queue: bytes = b""
    heard: bytes = b""
    _arriving: deque[tuple[float, bytes]] = attrs.field(factory=deque)

    def send(self, pcm: bytes, at: float) -> None:
        self._arriving.append((at + self.delay, pcm))

    def play(self, until: float) -> int:
        """How many samples it has played by then."""
        while self._arriving and self._arriving[0][0] <= until:
            when, pcm = self._arriving.popleft()
            self._run(when)
            self.queue += pcm
        self._run(until)
        return len(self.heard) // 2

    def _run(self, until: float) -> None:
        size = 2 * (round(until * RATE) - round(self.at * RATE))
        self.heard += self.queue[:size]
        self.queue = self.queue[size:]
        self.at = until

    def clear(self, at: float) -> int:
        played = self.play(at)
        self.queue = b""
        self._arriving.clear()
        return played


@given(
    st.sampled_from([0.0, 0.01, 0.037, 0.08]),
    st.lists(st.tuples(st.integers(1, 20), st.floats(0, 0.3)), max_size=4),
    st.sampled_from([0.02, 0.1, 0.3]),
)
def test_held_and_resumed_to_the_sample(
    delay: float, holds: list[tuple[int, float]], report_every: float
) -> None:
    """Where the playout says it stands is what its far end has played, through any holds."""
    out, page = playout(reports=True), Page(delay)
    whole = samples(RATE)
    out.add(1, whole, 0.0)
    out.end(1)
    ticks, resumed, played_then, ramp = 0, 0, 0, 0

    def tick(frames: int) -> float:
        nonlocal ticks
        for _ in range(frames):
            at = ticks * 0.02
            ticks += 1
            for pcm in out.frames(at):
                page.send(pcm, at)
            played = page.play(at)
            if round(at / 0.02) % round(report_every / 0.02) == 0:
                out.far.report(played, at)
            heard = resumed + played - played_then
            if played > played_then:  # until then, it stands where it was held
                assert out.position(at) * RATE <= heard + (report_every + delay) * RATE + 1
        return ticks * 0.02

    for frames, back in holds:
        at = tick(frames)
        out.hold()
        played = page.clear(at)
        out.cleared(played, 0, at)
        heard = resumed + played - played_then
        if played > played_then:
            assert out.position(at) * RATE == pytest.approx(heard)
            said, meant = page.heard[2 * played_then :], whole[2 * resumed : 2 * heard]
            assert len(said) == len(meant)
            assert said[ramp:] == meant[ramp:]
        position = out.position(at)
        resumed, played_then = round(max(0.0, position - back) * RATE), played
        out.resume(resumed / RATE, at)
        ramp = 2 * FRAME  # from silence
    at = tick(75)
    out.far.report(page.play(at), at)
    assert out.drained(at)
    assert out.position(at) == 1.0
    assert resumed + len(page.heard) // 2 - played_then == RATE
