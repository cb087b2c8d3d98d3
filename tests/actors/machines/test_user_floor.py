"""A person's floor: what the detector and the recogniser tell, and what it makes of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.profiles import WINDOW
from actors.machines.user_floor import UserEvent, UserFloor, UserState
from models.vad.levels import Level

HIGH, LOW, BETWEEN = Level.HIGH, Level.LOW, Level.BETWEEN
LETTERS = {"H": HIGH, "L": LOW, "b": BETWEEN}

ALL_RUNS = frozenset(range(1, 1000))
FEW_HIGH, FEW_LOW = frozenset({1, 2, 10}), frozenset({1, 2, 7})
"""What a leg asks to be told; 1 and what is confirmed by must be among them."""


@attrs.frozen
class Told:
    """One thing the detector tells."""

    level: Level
    run: int
    start_at: float
    end_at: float


def runs(
    windows: Iterable[Level], high: frozenset[int] = ALL_RUNS, low: frozenset[int] = ALL_RUNS
) -> list[Told]:
    """What a detector tells of these windows, at these lengths of a run."""
    told = []
    before, run = BETWEEN, 0
    for number, level in enumerate(windows):
        run = run + 1 if level is before else 1
        before = level
        if level is not BETWEEN and run in (high if level is HIGH else low):
            end = (number + 1) * WINDOW
            told.append(Told(level, run, (number + 1 - run) * WINDOW, end))
    return told


def hear(floor: UserFloor, told: Sequence[Told]) -> list[UserEvent]:
    events = [floor.voice(t.level, t.run, t.start_at, t.end_at) for t in told]
    return [event for event in events if event is not None]


ONSET, CLICK, CONFIRMED = UserEvent.ONSET, UserEvent.CLICK, UserEvent.CONFIRMED
VOICED, PAUSED, RESUMED = UserEvent.VOICED, UserEvent.PAUSED, UserEvent.RESUMED


@pytest.mark.parametrize(
    ("windows", "events", "state"),
    [
        ("LLL", [], UserState.QUIET),
        ("bbb", [], UserState.QUIET),
        ("H", [ONSET], UserState.ONSET),
        ("HL", [ONSET, CLICK], UserState.QUIET),
        ("Hb", [ONSET], UserState.ONSET),
        ("HbH", [ONSET, VOICED], UserState.ONSET),  # two windows, but not in a row
        ("HbL", [ONSET, CLICK], UserState.QUIET),
        ("HH", [ONSET, CONFIRMED], UserState.SPEAKING),
        ("HHL", [ONSET, CONFIRMED], UserState.SPEAKING),  # the closure of a "p"
        ("HHLbL", [ONSET, CONFIRMED], UserState.SPEAKING),  # not 64 ms in a row
        ("HHLL", [ONSET, CONFIRMED, PAUSED], UserState.TRAILING),
        ("HHLLLL", [ONSET, CONFIRMED, PAUSED], UserState.TRAILING),
        ("HHLLb", [ONSET, CONFIRMED, PAUSED], UserState.TRAILING),
        ("HHLLH", [ONSET, CONFIRMED, PAUSED, RESUMED], UserState.SPEAKING),
        ("HHbbbb", [ONSET, CONFIRMED], UserState.SPEAKING),
    ],
)
def test_the_floor_follows_the_windows(
    windows: str, events: list[UserEvent], state: UserState
) -> None:
    floor = UserFloor(confirm_windows=2)
    assert hear(floor, runs(LETTERS[w] for w in windows)) == events
    assert floor.state is state


def test_one_window_is_enough_where_the_profile_says_so() -> None:
    floor = UserFloor(confirm_windows=1)
    assert floor.voice(HIGH, 1, 1.0, 1.032) is CONFIRMED


def test_the_onset_lies_a_window_before_the_first_one_over_the_threshold() -> None:
    floor = UserFloor()
    floor.voice(HIGH, 1, 10.0, 10.032)
    assert floor.onset_at == pytest.approx(10.0 - WINDOW)


def test_pauses_are_no_speech() -> None:
    floor = UserFloor()
    hear(floor, runs(LETTERS[w] for w in "HHHHLLLLLLHHH"))
    assert floor.voiced == pytest.approx(7 * WINDOW)


def test_speech_ended_where_the_silence_began() -> None:
    floor = UserFloor()
    hear(floor, runs(LETTERS[w] for w in "HHHHLL"))
    assert floor.last_speech_at == pytest.approx(4 * WINDOW)
    assert floor.voiced == pytest.approx(4 * WINDOW)
    assert floor.run == 0


def test_a_word_confirms_what_one_window_began() -> None:
    floor = UserFloor(confirm_windows=3)
    floor.voice(HIGH, 1, 1.0, 1.032)
    assert floor.word(1.0, 1.2) is CONFIRMED
    assert floor.state is UserState.SPEAKING


def test_a_word_that_the_detector_missed_is_a_turn_that_has_paused() -> None:
    floor = UserFloor()
    assert floor.word(2.0, 2.4) is PAUSED
    assert floor.state is UserState.TRAILING
    assert floor.onset_at == pytest.approx(2.0 - WINDOW)
    assert floor.last_speech_at == 2.4
    assert floor.voiced == pytest.approx(0.4)


def test_a_word_in_the_midst_of_speech_is_no_news() -> None:
    floor = UserFloor()
    hear(floor, runs([HIGH, HIGH]))
    assert floor.word(0.0, 0.1) is None


def test_sound_that_stops_coming_is_a_pause() -> None:
    floor = UserFloor()
    assert floor.pause(1.0) is None
    hear(floor, runs([HIGH] * 5))
    assert floor.pause(0.3) is PAUSED
    assert floor.last_speech_at == 0.3


def test_after_a_turn_speech_is_counted_anew() -> None:
    floor = UserFloor()
    hear(floor, runs([HIGH] * 20))
    floor.pause(20 * WINDOW)
    floor.reset()
    assert floor.voice(HIGH, 1, 5.0, 5.032) is ONSET
    assert floor.voiced == pytest.approx(WINDOW)


def test_a_clock_that_steps_back_takes_no_speech_away() -> None:
    floor = UserFloor()
    hear(floor, runs([HIGH] * 4 + [LOW] * 2))
    floor.voice(HIGH, 1, 3 * WINDOW, 3 * WINDOW - 0.01)
    assert floor.voiced >= 4 * WINDOW - 1e-9


# -- whatever is told ---------------------------------------------------------------------------

levels = st.lists(st.sampled_from([HIGH, LOW, BETWEEN]), max_size=60)


@given(levels, st.integers(1, 4))
def test_no_more_is_voiced_than_there_was_time(windows: list[Level], confirm: int) -> None:
    floor = UserFloor(confirm)
    for told in runs(windows):
        floor.voice(told.level, told.run, told.start_at, told.end_at)
        assert 0 <= floor.voiced <= told.end_at + 1e-9
        if floor.state is not UserState.QUIET:
            assert floor.onset_at <= told.start_at
            assert floor.voiced <= told.end_at - floor.onset_at
        if floor.state is UserState.TRAILING:
            assert floor.run == 0
            assert floor.onset_at < floor.last_speech_at <= told.end_at
        if floor.state is UserState.QUIET:
            assert floor.voiced == floor.run == 0


@given(levels, st.integers(1, 2))
def test_whatever_runs_are_told_the_events_are_the_same(windows: list[Level], confirm: int) -> None:
    """Those that matter only to who asked for them (VOICED) aside."""
    all_told, few_told = UserFloor(confirm), UserFloor(confirm)
    everything = hear(all_told, runs(windows))
    little = hear(few_told, runs(windows, FEW_HIGH, FEW_LOW))
    assert [e for e in everything if e is not VOICED] == [e for e in little if e is not VOICED]
    assert all_told.state is few_told.state
    if not all_told.speaking:
        assert all_told.voiced == pytest.approx(few_told.voiced)
        assert all_told.last_speech_at == pytest.approx(few_told.last_speech_at)


@given(levels)
def test_events_come_in_the_order_of_the_states(windows: list[Level]) -> None:
    follows = {
        None: {ONSET},
        ONSET: {CLICK, CONFIRMED},
        CLICK: {ONSET},
        CONFIRMED: {PAUSED},
        PAUSED: {RESUMED},
        RESUMED: {PAUSED},
    }
    before: UserEvent | None = None
    for event in hear(UserFloor(2), runs(windows)):
        if event is not VOICED:
            assert event in follows[before]
            before = event


@given(levels)
def test_what_is_neither_speech_nor_silence_changes_nothing(
    before: list[Level],
) -> None:
    """A window between the thresholds is told to nobody; it only breaks the run it is in."""
    floor = UserFloor(2)
    hear(floor, runs(before))
    state, voiced = floor.state, floor.voiced
    assert floor.voice(BETWEEN, 1, 100.0, 100.032) is None
    assert (floor.state, floor.voiced) == (state, voiced)
