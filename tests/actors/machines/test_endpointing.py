"""When a turn is over."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.endpointing import AnswerTimes, EndOfTurn, TurnStep
from actors.machines.profiles import TurnConfig, wait_for_turn

CANDIDATE, COMMIT, EMPTY = TurnStep.CANDIDATE, TurnStep.COMMIT, TurnStep.EMPTY


def spoken(
    turn: EndOfTurn, text: str = "hello", *, final: bool = True, until: float = 1.0
) -> EndOfTurn:
    """A turn whose speech ended at `until`, and whose words came with it."""
    turn.speech(until - 1.0)
    turn.transcript(text, False, until - 0.1)
    turn.pause(until)
    if final:
        turn.transcript(text, True, until + 0.1)
    return turn


def steps(turn: EndOfTurn, until: float = 99.0, now: float = 0.0) -> list[tuple[float, TurnStep]]:
    """What is due from now on, deadline by deadline; the turn is taken when it is over."""
    found = []
    while turn.deadline <= until:
        at = max(turn.deadline, now)
        step = turn.time_passed(at)
        assert step is not None
        found.append((round(at, 6), step))
        if step is not CANDIDATE:
            turn.take()
    return found


@pytest.mark.parametrize(
    ("has_model", "p", "commit_at"),
    [
        (False, None, 1.5),
        (True, None, 1.5),  # the model does not answer
        (True, 0.9, 1.25),
        (True, 0.5, 1.25),
        (True, 0.49, 3.5),
        (True, 0.0, 3.5),
    ],
)
def test_the_silence_that_ends_a_turn(has_model: bool, p: float | None, commit_at: float) -> None:
    turn = spoken(EndOfTurn(has_model=has_model))
    assert turn.deadline == pytest.approx(1.2)
    assert turn.time_passed(1.2) is CANDIDATE
    if p is not None:
        turn.opinion(turn.token, p)
    assert steps(turn) == [(commit_at, COMMIT)]


@pytest.mark.parametrize(
    ("transcripts", "over"),
    [
        ([("hello", True, 1.1)], (1.5, COMMIT)),
        ([("hello", True, 1.7)], (1.7, COMMIT)),  # as soon as it is there
        ([("hel", False, 1.1)], (2.0, COMMIT)),  # later than the recogniser ever is
        ([("", True, 1.3)], (1.5, EMPTY)),
        ([], (2.5, EMPTY)),  # a commit waits no longer than 1.5 s
        ([("hello", True, 1.1), ("and", False, 1.2)], (2.0, COMMIT)),  # a final, and more to come
        ([("hello", True, 1.1), ("and", False, 1.2), ("and on", True, 1.3)], (1.5, COMMIT)),
    ],
)
def test_the_words_that_a_turn_waits_for(
    transcripts: list[tuple[str, bool, float]], over: tuple[float, TurnStep]
) -> None:
    turn = EndOfTurn()
    turn.speech(0.0)
    turn.pause(1.0)
    found, now = [], 1.0
    for text, final, at in transcripts:
        found += steps(turn, at, now)
        turn.transcript(text, final, at)
        now = at
    found += steps(turn, now=now)
    assert found == [(1.2, CANDIDATE), over]


def test_a_final_that_comes_before_the_pause_is_followed_by_a_flush() -> None:
    turn = EndOfTurn()
    turn.speech(0.0)
    turn.transcript("hello", True, 0.9)
    turn.pause(1.0)
    assert turn.time_passed(1.2) is CANDIDATE
    turn.transcript("", True, 1.25)  # nothing more
    assert steps(turn) == [(1.5, COMMIT)]


def test_speech_that_goes_on_takes_the_candidate_back() -> None:
    turn = spoken(EndOfTurn(has_model=True))
    assert turn.time_passed(1.2) is CANDIDATE
    asked = turn.token
    turn.speech(1.3)
    assert turn.deadline == inf
    turn.opinion(asked, 1.0)  # about the pause that is over
    turn.pause(2.0)
    turn.opinion(asked, 1.0)
    turn.transcript("world", True, 2.1)
    assert steps(turn)[-1] == (2.5, COMMIT)


def test_an_opinion_nobody_asked_for_is_none() -> None:
    turn = spoken(EndOfTurn(has_model=True))
    turn.opinion(turn.token, 1.0)
    assert steps(turn) == [(1.2, CANDIDATE), (1.5, COMMIT)]


@pytest.mark.parametrize(("p", "at"), [(nan, 3.5), (-3.0, 3.5), (7.0, 1.25)])
@pytest.mark.parametrize("mode", ["default", "adaptive"])
def test_an_opinion_that_is_no_probability_is_bounded(p: float, at: float, mode: str) -> None:
    turn = spoken(EndOfTurn(TurnConfig(mode=mode), has_model=True))
    turn.time_passed(1.2)
    turn.opinion(turn.token, p)
    assert steps(turn) == [(at, COMMIT)]


def test_without_a_recogniser_nothing_is_waited_for() -> None:
    turn = EndOfTurn(hears=False)
    turn.speech(0.0)
    turn.pause(1.0)
    assert steps(turn) == [(1.2, CANDIDATE), (1.5, EMPTY)]


def test_the_text_is_all_finals_and_the_last_partial() -> None:
    turn = EndOfTurn()
    turn.speech(0.0)
    for text, final in (("one", False), ("one two", True), (" three ", True), ("fo", False)):
        turn.transcript(text, final, 0.5)
    assert (turn.text, turn.final) == ("one two three fo", False)
    assert turn.take() == "one two three fo"
    assert (turn.text, turn.open, turn.deadline) == ("", False, inf)


# -- what is learnt -----------------------------------------------------------------------------


def pauses(turn: EndOfTurn, lengths: list[float], *, agent: bool = False) -> None:
    at = 0.0
    for length in lengths:
        turn.speech(at)
        turn.pause(at + 1.0)
        if agent:
            turn.agent_spoke()
        at += 1.0 + length
    turn.speech(at)


def test_the_short_delay_learns_from_the_user_s_pauses() -> None:
    turn = EndOfTurn()
    pauses(turn, [0.75])
    assert turn.min_delay == pytest.approx(0.9 * 0.25 + 0.1 * 0.75)
    pauses(turn, [0.8] * 100)
    assert turn.min_delay == pytest.approx(0.8, abs=0.001)


@pytest.mark.parametrize(("length", "learnt"), [(0.01, 0.25), (2.4, 1.0)])
def test_what_is_learnt_has_a_floor_and_a_ceiling(length: float, learnt: float) -> None:
    turn = EndOfTurn()
    pauses(turn, [length] * 200)
    assert turn.min_delay == pytest.approx(learnt)
    pauses(turn, [0.5] * 30)
    assert turn.min_delay == pytest.approx(0.5, abs=0.05)  # and neither sticks


@pytest.mark.parametrize("length", [2.6, 100.0])
def test_a_pause_longer_than_any_turn_has_is_not_learnt_from(length: float) -> None:
    turn = EndOfTurn()
    pauses(turn, [length])
    assert turn.min_delay == 0.25


def test_a_pause_in_which_the_agent_spoke_is_not_learnt_from() -> None:
    turn = EndOfTurn()
    pauses(turn, [0.9] * 10, agent=True)
    assert turn.min_delay == 0.25


def test_a_recogniser_is_judged_by_its_answers_once_there_are_ten() -> None:
    times = AnswerTimes()
    for _ in range(9):
        times.add(0.1)
    assert times.p99 == 1.0
    times.add(0.3)
    assert times.p99 == 0.3
    for _ in range(190):
        times.add(0.2)
    assert times.p99 == 0.2
    for _ in range(3):
        times.add(0.9)
    assert times.p99 == 0.9
    for _ in range(200):
        times.add(-1.0)
    assert times.p99 == 0.0


# -- the modes of the agents' specification, 12 -------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "p", "delay"),
    [
        ("default", None, 0.5),
        ("default", 0.74, 0.8),
        ("default", 0.75, 0.5),
        ("adaptive", 0.0, 0.8),
        ("adaptive", 0.5, 0.65),
        ("adaptive", 1.0, 0.5),
    ],
)
def test_fixed_waits(mode: str, p: float | None, delay: float) -> None:
    config = wait_for_turn(mode="adaptive" if mode == "adaptive" else "default")
    turn = spoken(EndOfTurn(config, has_model=p is not None))
    assert turn.time_passed(1.2) is CANDIDATE
    if p is not None:
        turn.opinion(turn.token, p)
    assert steps(turn) == [(round(1.2 + delay, 6), COMMIT)]


def test_no_wait_at_all_is_a_wait() -> None:
    turn = spoken(EndOfTurn(wait_for_turn((0, 0))))
    assert steps(turn) == [(1.2, CANDIDATE), (1.2, COMMIT)]


@pytest.mark.parametrize(
    "waits", [(), (1.0,), (1.0, 2.0, 3.0), (-0.1, 0.5), (0.8, 0.5), (nan, 1.0), (0.1, inf), "ab"]
)
def test_waits_that_make_no_sense_are_refused(waits: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="waits are two numbers"):
        wait_for_turn(waits)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.1}, {"threshold": -0.1}, {"mode": "guess"}, {"candidate_after": 0}]
)
def test_modes_that_make_no_sense_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        wait_for_turn(**wrong)  # type: ignore[arg-type]  # that it is refused is the point


# -- whatever happens ---------------------------------------------------------------------------

events = st.lists(
    st.tuples(
        st.sampled_from(["speech", "pause", "partial", "final", "opinion", "stale", "agent"]),
        st.floats(0, 2),
        st.sampled_from(["", "hello", "and so on"]),
        st.floats(0, 1),
    ),
    max_size=40,
)


@given(
    events,
    st.sampled_from([TurnConfig(), TurnConfig(mode="adaptive"), wait_for_turn((0, 0))]),
    st.booleans(),
    st.sampled_from([0.0, 1e5, 1e9]),
)
def test_a_turn_is_never_over_before_its_candidate_nor_after_its_limits(
    events: list[tuple[str, float, str, float]], config: TurnConfig, has_model: bool, start: float
) -> None:
    turn = EndOfTurn(config, has_model)
    limit = max(config.max_delay, config.delay, config.transcript_wait) + 1e-6
    at, candidate = start, False
    for kind, gap, text, p in events:
        until = at + gap
        while turn.deadline <= until:
            at = max(at, turn.deadline)
            ended = turn.last_speech_at
            step = turn.time_passed(at)
            assert step is not None, "the deadline came, and nothing was due"
            assert config.candidate_after - 1e-6 <= at - ended <= limit
            if step is CANDIDATE:
                assert not candidate
                candidate = True
                continue
            assert candidate
            assert (step is COMMIT) == bool(turn.text)
            turn.take()
            candidate = False
        at = until
        assert turn.last_speech_at == inf or at <= turn.last_speech_at + limit
        match kind:
            case "speech":
                turn.speech(at)
                candidate = False
            case "pause" if turn.last_speech_at == inf:
                turn.pause(at)
            case "partial" | "final":
                turn.transcript(text, kind == "final", at)
            case "opinion":
                turn.opinion(turn.token, p)
            case "stale":
                before = turn.deadline
                turn.opinion(turn.token - 1, p)
                assert turn.deadline == before
            case "agent":
                turn.agent_spoke()
        assert config.min_delay <= turn.min_delay <= config.min_delay_ceiling


def test_a_word_heard_in_a_breath_and_taken_back_delays_nothing() -> None:
    turn = EndOfTurn(TurnConfig())
    turn.speech(0.0)
    turn.pause(1.0)
    assert turn.time_passed(1.2) is TurnStep.CANDIDATE
    turn.transcript("that is enough", final=True, at=1.21)
    turn.transcript("a", final=False, at=1.3)
    assert turn.deadline > 1.5
    turn.transcript("", final=False, at=1.4)
    assert turn.deadline == 1.5
    assert turn.time_passed(1.5) is TurnStep.COMMIT
    assert turn.take() == "that is enough"
