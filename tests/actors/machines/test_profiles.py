"""Profiles: what is refused, and the interruption modes of other specifications."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, nan

import pytest

from actors.machines.barge_in import BargeIn, Verdict, Why, phrase_test
from actors.machines.profiles import (
    ENGLISH_BACKCHANNELS,
    PROFILES,
    WINDOW,
    FloorConfig,
    Profile,
    TurnConfig,
    confirmed,
    disabled,
    hybrid,
    immediate,
    semantic,
    stt_only,
    vad_only,
)

HOLD, RESUME, CUT = Verdict.HOLD, Verdict.RESUME, Verdict.CUT


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("confirm_windows", [0, -1, 101]),  # no windows would interrupt without any speech
        ("duck_windows", [0]),
        ("hold_after", [0.0, -1.0, nan]),
        ("words_to_cut", [0]),
        ("cut_after", [0.0, 0.05, inf]),  # less than it takes to fall silent
        ("resume_after", [0.0, nan]),
        ("grace", [-0.1]),
        ("hold_max", [0.0]),
    ],
)
def test_what_makes_no_sense_is_refused(field: str, values: list[float]) -> None:
    for value in values:
        with pytest.raises(ValueError, match=field):
            Profile(**{field: value})  # type: ignore[arg-type]  # by name, from a table


def test_turns_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="max_delay"):
        TurnConfig(min_delay=0.5, max_delay=0.4)
    with pytest.raises(ValueError, match="min_delay_ceiling"):
        TurnConfig(min_delay=0.5, min_delay_ceiling=0.4)


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_can_be_configured(name: str) -> None:
    assert FloorConfig(profile=name).profile == name


# -- the checks --------------------------------------------------------------------------------


def listen(
    profile: Profile,
    speech: float,
    until: float,
    words: dict[float, str] | None = None,
    sounding: float | None = None,
) -> list[tuple[float, Verdict]]:
    """Speech from 0 to `speech`, told in windows as it sounds; words as they are understood."""
    barge = BargeIn(profile, phrase_test(ENGLISH_BACKCHANNELS))
    if sounding is not None:
        barge.sounding(sounding)
    windows = int(speech / WINDOW + 1e-9)
    happens: list[tuple[float, str, float, str]] = [
        (run * WINDOW, "speech", run, "") for run in range(1, windows + 1)
    ]
    if windows and speech < until:
        happens.append((speech + 2 * WINDOW, "quiet", windows, ""))
    happens += [(at, "words", 0, text) for at, text in (words or {}).items()]
    verdicts: list[tuple[float, Verdict | None]] = []
    for moment, what, run, text in [*sorted(happens), (until, "", 0, "")]:
        while barge.deadline < moment:
            verdicts.append((barge.deadline, barge.time_passed(barge.deadline)))
        match what:
            case "speech":
                verdicts.append((moment, barge.speech(run * WINDOW, round(run), moment)))
            case "quiet":
                verdicts.append((moment, barge.quiet(moment, run * WINDOW, run * WINDOW)))
            case "words":
                verdicts.append((moment, barge.words(text, moment)))
    given = [(at, verdict) for at, verdict in verdicts if verdict is not None]
    cuts = [number for number, (_, verdict) in enumerate(given, 1) if verdict is CUT]
    return given[: cuts[0]] if cuts else given  # a cut is the end of the utterance


@pytest.mark.parametrize(
    ("profile", "speech", "words"),
    [
        (hybrid(), 0.30, {}),
        (vad_only(), 0.30, {}),
        (vad_only(), 0.30, {0.2: "stop it now please"}),  # words do not matter
        (stt_only(), 3.0, {}),  # and here sound does not
        (hybrid(), 0.2, {0.15: "stop"}),  # one word
        (stt_only(), 0.2, {0.15: "stop"}),
        (disabled(), 5.0, {0.5: "will you stop it now"}),
        (confirmed(), 0.04, {}),  # a click of 40 ms, whatever hangs over
        (confirmed(), 0.26, {}),
        (semantic(), 0.2, {0.2: "mm-hm"}),
    ],
)
def test_what_interrupts_nobody(profile: Profile, speech: float, words: dict[float, str]) -> None:
    assert listen(profile, speech, 10.0, words) == []


@pytest.mark.parametrize(
    ("profile", "speech", "words", "at"),
    [
        (hybrid(), 0.75, {}, (0.5, 0.6)),
        (vad_only(), 0.75, {}, (0.5, 0.6)),
        (vad_only(0.2), 0.75, {}, (0.2, 0.3)),
        (hybrid(), 0.4, {0.3: "stop it now"}, (0.3, 0.3)),
        (stt_only(), 3.0, {1.0: "stop it now"}, (1.0, 1.0)),
        (stt_only(4), 3.0, {1.0: "stop it now", 1.5: "stop it now please"}, (1.5, 1.5)),
        (immediate(), 0.5, {}, (WINDOW, WINDOW)),
        (confirmed(), 0.5, {}, (0.3, 0.35)),
        (confirmed(100), 0.5, {}, (0.1, 0.15)),
        (semantic(), 0.5, {0.45: "but no"}, (0.45, 0.45)),
    ],
)
def test_what_interrupts(
    profile: Profile, speech: float, words: dict[float, str], at: tuple[float, float]
) -> None:
    when, verdict = listen(profile, speech, 10.0, words)[-1]
    assert verdict is CUT
    assert at[0] - 1e-9 <= when <= at[1] + 1e-9


@pytest.mark.parametrize(
    "profile", [vad_only(resume_on_false_interrupt=True), hybrid(resume_on_false_interrupt=True)]
)
def test_a_false_interruption_pauses_and_resumes(profile: Profile) -> None:
    (paused, hold), (resumed, resume) = listen(profile, 0.6, 10.0)
    assert (hold, resume) == (HOLD, RESUME)
    assert paused == pytest.approx(0.5, abs=0.05)
    assert resumed - paused == pytest.approx(2.0)


def test_who_still_speaks_when_the_pause_is_over_has_interrupted() -> None:
    (paused, hold), (cut_at, cut) = listen(vad_only(resume_on_false_interrupt=True), 5.0, 4.0)
    assert (hold, cut) == (HOLD, CUT)
    assert cut_at - paused == pytest.approx(2.0)


def test_words_confirm_an_interruption_that_has_paused_the_agent() -> None:
    profile = hybrid(resume_on_false_interrupt=True)
    assert [v for _, v in listen(profile, 0.6, 10.0, {0.9: "wait"})] == [HOLD, RESUME]
    assert listen(profile, 0.6, 10.0, {0.9: "wait a moment"})[-1] == (0.9, CUT)


def test_phrases_interrupt_however_short() -> None:
    barge = BargeIn(stt_only(), is_end_word=phrase_test(("stop",)))
    assert barge.words("don't stop", 1.0) is CUT  # two words
    assert barge.words("go", 1.0) is None
    assert barge.words("Stop!", 1.0) is CUT
    assert barge.why is Why.END_WORDS


@pytest.mark.parametrize(("profile", "at"), [(immediate(400), 0.4), (confirmed(300, 400), 0.4)])
def test_the_beginning_of_an_utterance_may_be_kept(profile: Profile, at: float) -> None:
    assert listen(profile, 0.25, 10.0, sounding=0.0) == []
    when, verdict = listen(profile, 1.0, 10.0, sounding=0.0)[0]
    assert verdict is CUT
    assert at <= when <= at + 0.05


def test_a_sign_of_listening_only_pauses_the_agent() -> None:
    verdicts = listen(semantic(), 0.5, 10.0, {0.6: "mm-hm"})
    assert [verdict for _, verdict in verdicts] == [HOLD, RESUME]
    assert verdicts[-1][0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: vad_only(0.0),
        lambda: vad_only(-1.0),
        lambda: vad_only(0.5, 0.0),
        lambda: stt_only(0),
        lambda: hybrid(min_words=-1),
        lambda: immediate(-1),
        lambda: confirmed(0),
        lambda: semantic(-300),
    ],
)
def test_modes_that_make_no_sense_are_refused(wrong: Callable[[], Profile]) -> None:
    with pytest.raises(ValueError, match="must be"):
        wrong()
