"""The ladder of an interruption: duck, hold, and resume or cut."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.barge_in import (
    DUCK_SLACK,
    EVIDENCE_LAG,
    BargeIn,
    Rung,
    Verdict,
    Why,
    contains_test,
    phrase_test,
)
from actors.machines.profiles import (
    BALANCED,
    CALM,
    EAGER,
    ENGLISH_BACKCHANNELS,
    ENGLISH_END_WORDS,
    PROFILES,
    WINDOW,
    Profile,
)

DUCK, UNDUCK, HOLD = Verdict.DUCK, Verdict.UNDUCK, Verdict.HOLD
RESUME, CUT = Verdict.RESUME, Verdict.CUT


def ladder(profile: Profile = BALANCED, hold_max: float = 2.0) -> BargeIn:
    return BargeIn(
        profile, phrase_test(ENGLISH_BACKCHANNELS), contains_test(ENGLISH_END_WORDS), hold_max
    )


def speak(barge: BargeIn, windows: int, start: float = 0.0) -> list[tuple[float, Verdict]]:
    """Steady speech, told window by window as soon as it sounded."""
    verdicts = []
    for run in range(1, windows + 1):
        at = start + run * WINDOW
        verdict = barge.speech(run * WINDOW, run, at)
        if verdict is not None:
            verdicts.append((round(at - start, 3), verdict))
    return verdicts


# -- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "windows", "hold_after", "words", "backchannels", "cut_after", "resume", "grace"),
    [
        (EAGER, (1, 1), 0.032, 1, False, 0.3, 0.4, 0.0),
        (BALANCED, (2, 1), 0.064, 1, True, 0.7, 0.6, 0.25),
        (CALM, (2, 2), 0.3, 2, True, 1.2, 0.6, 0.5),
    ],
)
def test_the_profiles_are_those_of_the_specification(
    profile: Profile,
    windows: tuple[int, int],
    hold_after: float,
    words: int,
    backchannels: bool,
    cut_after: float,
    resume: float,
    grace: float,
) -> None:
    assert (profile.confirm_windows, profile.duck_windows) == windows
    assert profile.hold_after == hold_after
    assert profile.words_to_cut == words
    assert profile.heeds_backchannels is backchannels
    assert profile.cut_after == cut_after
    assert profile.resume_after == resume
    assert profile.grace == grace


@pytest.mark.parametrize(
    ("profile", "verdicts"),
    [
        (EAGER, [(0.032, HOLD), (0.32, CUT)]),  # the first window that holds 300 ms
        (BALANCED, [(0.032, DUCK), (0.064, HOLD), (0.704, CUT)]),
        (CALM, [(0.064, DUCK), (0.32, HOLD), (1.216, CUT)]),
    ],
)
def test_steady_speech_climbs_the_ladder(
    profile: Profile, verdicts: list[tuple[float, Verdict]]
) -> None:
    barge = ladder(profile)
    assert speak(barge, int(verdicts[-1][0] / WINDOW + 0.5)) == verdicts
    assert barge.why is Why.SPEECH
    assert barge.rung is Rung.CLEAR


@pytest.mark.parametrize(
    ("profile", "silence_at", "cut_at"),
    [(EAGER, 0.032, 0.3), (BALANCED, 0.064, 0.7), (CALM, 0.3, 1.2)],
)
def test_where_the_detector_tells_only_the_first_runs_the_deadlines_do_the_rest(
    profile: Profile, silence_at: float, cut_at: float
) -> None:
    barge = ladder(profile)
    verdicts = speak(barge, profile.confirm_windows)
    while not verdicts or verdicts[-1][1] is not CUT:
        at = barge.deadline
        verdict = barge.time_passed(at)
        assert verdict is not None
        verdicts.append((at, verdict))
    times = {verdict: at for at, verdict in verdicts}
    assert silence_at <= times[HOLD] <= silence_at + EVIDENCE_LAG + 1e-6
    assert cut_at <= times[CUT] <= cut_at + EVIDENCE_LAG + 1e-6


@pytest.mark.parametrize(("profile", "after"), [(EAGER, 0.4), (BALANCED, 0.6), (CALM, 0.6)])
def test_after_a_noise_the_agent_goes_on(profile: Profile, after: float) -> None:
    barge = ladder(profile)
    speak(barge, profile.hold_windows)
    ended = profile.hold_windows * WINDOW
    assert barge.rung is Rung.HELD
    assert barge.quiet(ended + 0.1, ended, ended) is None
    assert barge.deadline == pytest.approx(ended + after)
    assert barge.time_passed(barge.deadline - 0.001) is None
    assert barge.time_passed(barge.deadline) is RESUME
    assert barge.why is Why.NOISE
    assert (barge.rung, barge.deadline) == (Rung.CLEAR, inf)


@pytest.mark.parametrize("profile", [EAGER, BALANCED, CALM])
def test_nothing_holds_the_agent_while_it_has_just_begun(profile: Profile) -> None:
    barge = ladder(profile)
    barge.sounding(at=0.0)
    for at, verdict in speak(barge, 60):
        assert at >= profile.grace, verdict
        if verdict is CUT:
            break


def test_who_speaks_when_the_grace_is_over_is_heeded_then() -> None:
    barge = ladder(BALANCED)
    barge.sounding(at=0.0)
    assert barge.speech(WINDOW, 1, 0.1) is None
    assert barge.speech(2 * WINDOW, 2, 0.132) is None
    assert barge.deadline == 0.25
    assert barge.time_passed(0.25) is HOLD


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("profile", "text", "question", "verdict", "why"),
    [
        (BALANCED, "hello", False, CUT, Why.WORDS),
        (BALANCED, "mm-hm", False, RESUME, Why.BACKCHANNEL),
        (BALANCED, "Yeah, okay.", False, RESUME, Why.BACKCHANNEL),
        (BALANCED, "yes", True, CUT, Why.WORDS),
        (BALANCED, "yes but", False, CUT, Why.WORDS),
        (BALANCED, "stop", False, CUT, Why.END_WORDS),
        (BALANCED, " ,.! ", False, None, None),
        (EAGER, "mm-hm", False, CUT, Why.WORDS),
        (CALM, "hello", False, None, None),
        (CALM, "hello there", False, CUT, Why.WORDS),
        (CALM, "yes", False, RESUME, Why.BACKCHANNEL),
        (CALM, "yes", True, CUT, Why.WORDS),
        (CALM, "stop", False, CUT, Why.END_WORDS),
    ],
)
def test_words_after_short_speech(
    profile: Profile, text: str, question: bool, verdict: Verdict | None, why: Why | None
) -> None:
    barge = ladder(profile)
    barge.question = question
    assert HOLD in [v for _, v in speak(barge, profile.hold_windows)]
    ended = profile.hold_windows * WINDOW
    barge.quiet(ended + 0.1, ended, ended)
    assert barge.words(text, ended + 0.2) is verdict
    if verdict is not None:
        assert (barge.why, barge.rung) == (why, Rung.CLEAR)


def test_a_backchannel_is_weighed_when_its_speech_is_over() -> None:
    barge = ladder()
    speak(barge, 4)
    assert barge.words("yeah", 0.2) is None  # "but no" may follow
    assert barge.quiet(0.3, 0.2, 0.2) is RESUME


def test_a_backchannel_that_goes_on_is_more_than_that() -> None:
    barge = ladder()
    speak(barge, 4)
    assert barge.words("yeah", 0.2) is None
    assert barge.words("yeah but no", 0.4) is CUT


def test_a_sign_of_listening_is_not_speech_without_words() -> None:
    barge = ladder()  # which would be cut after 0.7 s
    speak(barge, 4)
    barge.words("yeah okay", 0.2)
    assert barge.time_passed(0.9) is None
    assert barge.quiet(1.0, 0.9, 0.9) is RESUME


def test_what_lasts_a_second_is_no_backchannel() -> None:
    barge = ladder(CALM)
    speak(barge, 10)
    assert barge.words("yeah yeah yeah", 0.5) is None
    assert barge.quiet(1.15, 1.05, 1.05) is CUT


def test_three_backchannels_never_add_up() -> None:
    barge = ladder()
    for start, voiced in ((0.0, 0.0), (0.5, 0.4), (1.0, 0.8)):
        for run in (1, 2):
            barge.speech(voiced + run * WINDOW, run, start + run * WINDOW)
        verdict = barge.words("mm-hm", start + 0.3)
        assert verdict is None
        assert barge.quiet(start + 0.45, start + 0.4, voiced + 0.4) is RESUME


def test_three_backchannels_that_are_understood_late_do_not_add_up_either() -> None:
    barge = ladder(CALM)
    for start, voiced in ((0.0, 0.0), (0.5, 0.4), (1.0, 0.8)):
        for run in (1, 2, 10):
            barge.speech(voiced + run * WINDOW, run, start + run * WINDOW)
        assert barge.quiet(start + 0.45, start + 0.4, voiced + 0.4) is None
    assert barge.rung is Rung.HELD
    assert barge.words("mm-hm mm-hm mm-hm", 1.5) is RESUME


def test_words_may_come_without_any_sound() -> None:
    barge = ladder()
    assert barge.words("hello", 1.0) is CUT


def test_short_sounds_with_pauses_are_no_sustained_speech() -> None:
    barge = ladder(CALM)
    for cough in range(5):
        start, voiced = cough * 0.5, cough * 0.2
        for run in (1, 2):
            assert barge.speech(voiced + run * WINDOW, run, start + run * WINDOW) is not HOLD
        assert barge.quiet(start + 0.3, start + 0.2, voiced + 0.2) in (None, UNDUCK)
        if barge.rung is Rung.DUCKED:
            assert barge.time_passed(barge.deadline) is UNDUCK


# -- coming down ----------------------------------------------------------------------------------


def test_a_click_only_ducks() -> None:
    barge = ladder()
    assert barge.speech(WINDOW, 1, 1.0) is DUCK
    assert barge.click() is UNDUCK
    assert (barge.rung, barge.deadline) == (Rung.CLEAR, inf)


def test_a_click_that_silenced_the_agent_lets_it_go_on_at_once() -> None:
    barge = ladder(EAGER)
    assert barge.speech(WINDOW, 1, 1.0) is HOLD
    assert barge.click() is RESUME
    assert barge.why is Why.NOISE


def test_ducking_that_comes_to_nothing_ends() -> None:
    barge = ladder(CALM)
    speak(barge, 2)
    barge.quiet(0.2, 0.1, 0.1)
    assert barge.deadline == pytest.approx(0.2 + DUCK_SLACK)
    assert barge.time_passed(barge.deadline) is UNDUCK


def test_one_window_and_something_like_it_ducks_but_does_not_silence() -> None:
    barge = ladder()
    assert barge.speech(WINDOW, 1, 1.0) is DUCK
    assert barge.time_passed(barge.deadline) is UNDUCK
    assert barge.deadline == inf


def test_ducked_before_the_agent_began_is_unducked_within_its_grace() -> None:
    barge = ladder()
    assert barge.speech(WINDOW, 1, 1.0) is DUCK
    barge.sounding(1.01)
    barge.quiet(1.1, 1.0, WINDOW)
    assert barge.deadline < 1.25
    assert barge.time_passed(barge.deadline) is UNDUCK


@pytest.mark.parametrize("quick", [0.6, 2.0])
def test_a_hold_has_an_end_whether_anybody_speaks_or_not(quick: float) -> None:
    silent = ladder(CALM, quick)
    held = speak(silent, 10)[-1][0]
    silent.quiet(held + 0.05, held, held)
    assert silent.deadline <= held + quick
    speaking = ladder(CALM, quick)
    speak(speaking, 10)
    assert speaking.time_passed(speaking.deadline) is CUT
    assert speaking.why is (Why.HOLD_MAX if quick < 0.9 else Why.SPEECH)


def test_another_utterance_begins_with_nobody_on_its_ladder() -> None:
    barge = ladder()
    speak(barge, 3)
    barge.begin()
    assert (barge.rung, barge.deadline) == (Rung.CLEAR, inf)
    assert barge.quiet(0.5) is None


# -- whatever happens -----------------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from(["speech", "quiet", "click", "words", "sounding", "begin", "deadline"]),
        st.floats(0, 1.5),
        st.integers(1, 40),
        st.sampled_from(["", "yes", "mm-hm mm-hm", "hello", "hello there", "stop"]),
    ),
    max_size=40,
)
LEGAL = {
    DUCK: {Rung.CLEAR},
    UNDUCK: {Rung.DUCKED},
    HOLD: {Rung.CLEAR, Rung.DUCKED},
    RESUME: {Rung.HELD},
    CUT: set(Rung),
}


@given(st.sampled_from(sorted(PROFILES)), steps, st.sampled_from([0.0, 1e5, 1e9]), st.booleans())
def test_the_ladder_is_climbed_rung_by_rung_and_its_deadlines_always_mean_something(
    name: str, steps: list[tuple[str, float, int, str]], start: float, question: bool
) -> None:
    profile = PROFILES[name]
    barge = ladder(profile)
    barge.question = question
    at, voiced, speaking, held_at = start, 0.0, False, inf
    for kind, gap, run, text in steps:
        until = at + gap
        for _ in range(20):  # the owner wakes at each deadline that lies before what comes next
            due = barge.deadline
            if due > until:
                break
            at = max(at, due)
            rung = barge.rung
            verdict = barge.time_passed(at)
            assert verdict is not None, "the deadline came, and nothing was due"
            held_at = follow(barge, rung, verdict, held_at, at, speaking)
        else:
            pytest.fail("the deadlines never end")
        at, rung, verdict = until, barge.rung, None
        if kind == "speech":
            voiced, speaking = voiced + run * WINDOW, True
            verdict = barge.speech(voiced, run, at)
        elif kind == "quiet":
            verdict, speaking = barge.quiet(at, at - 0.064, voiced), False
        elif kind == "click":
            verdict, speaking, voiced = barge.click(), False, 0.0
        elif kind == "words":
            verdict = barge.words(text, at)
        elif kind == "sounding":
            barge.sounding(at)
        elif kind == "begin":
            barge.begin()
            held_at = inf
        held_at = follow(barge, rung, verdict, held_at, at, speaking)
        hold_max = barge.hold_max if profile.hold_max is None else profile.hold_max
        assert at <= held_at + hold_max


def follow(
    barge: BargeIn,
    before: Rung,
    verdict: Verdict | None,
    held_at: float,
    at: float,
    speaking: bool,
) -> float:
    """Check one verdict; returns since when the agent is held."""
    profile = barge.profile
    if verdict is not None:
        assert profile.interruptible
        assert before in LEGAL[verdict]
    if verdict in (DUCK, HOLD):
        assert speaking
        assert profile.hears_sound
        assert barge.rung is (Rung.DUCKED if verdict is DUCK else Rung.HELD)
    if verdict in (RESUME, CUT, UNDUCK):
        assert barge.rung is Rung.CLEAR
    if verdict is CUT and barge.why in (Why.WORDS, Why.END_WORDS):
        assert profile.hears_words
    return at if verdict is HOLD else held_at if barge.rung is Rung.HELD else inf
