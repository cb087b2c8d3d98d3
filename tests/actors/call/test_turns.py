"""When a turn is over, what is in it, and what becomes of words that come late."""

from __future__ import annotations

import pytest
import trio

from actors.machines.profiles import FloorConfig, Profile, TurnConfig
from actors.testing import CallRig, heard_words, noise, say
from models.llm.protocol import Generate
from models.llm.scripted import Reply, Say, speak
from models.scripted import ScriptedSttConfig, SttFault, SttPlan, SttTrouble
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    SOME_SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
)
from transports.leg import ShowTurn


@pytest.mark.parametrize("after", [0.3, 0.9, 1.5, 2.2, 3.3])
async def test_what_is_said_while_the_agent_thinks_is_in_history(
    system: SystemUnderTest, after: float
) -> None:
    """Row 13: four seconds of thought, and a second utterance in them."""

    def reply(request: Generate) -> Reply | str:
        said = user_said(request.context)
        if said == "one pizza":
            return Reply(Say("I have an answer.", after=4.0))
        return "Both, then." if said else "Hi."

    rig = await CallRig.open(system, reply)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("one pizza"))
    await trio.sleep(0.6 + 0.5 + after)
    person.speak(say("two salads"))
    await trio.sleep(8.0)
    history = await rig.history(person)
    assert user_said(history) == "one pizza | two salads"
    assert texts(history)[-1] == ("agent", "Both, then.")
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("late", [0.05, 0.2, 0.38, 0.4, 0.42, 0.8, 1.2, 2.0, 4.0])
async def test_a_late_final_loses_nothing_and_is_answered_once(
    system: SystemUnderTest, late: float
) -> None:
    """Row 14: before, at and after the commit."""
    plan = SttPlan([SttFault(SttTrouble.LATE, seconds=late)])
    rig = await CallRig.open(system, ["Hi.", "Two it is.", "And again."], stt_plan=plan)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("two pizzas please"))
    await trio.sleep(10.0)
    history = await rig.history(person)
    assert texts(history) == [
        ("agent", "Hi."),
        ("user", "two pizzas please"),
        ("agent", "Two it is."),
    ]
    await check_history_is_what_was_heard(rig, person)


async def test_a_recogniser_that_never_finishes_holds_nobody_up(system: SystemUnderTest) -> None:
    """Row 14: what was partly understood is the turn; the next turn has only its own words."""
    plan = SttPlan([SttFault(SttTrouble.LATE, seconds=60.0)])
    rig = await CallRig.open(system, ["Hi.", "Two it is.", "No salad."], stt_plan=plan)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("two pizzas please"))
    await trio.sleep(4.0)
    assert texts(await rig.history(person))[-1] == ("agent", "Two it is.")


@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_a_detector_that_hears_nothing_does_not_end_a_turn_in_mid_speech(seed: int) -> None:
    """Row 15: the words alone say that somebody speaks."""

    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, ["Hi.", "That was long."])
        person = await rig.call()
        await trio.sleep(1.0)
        person.speak(say("this takes quite a while to say"))
        await trio.sleep(0.5)
        # The session forgets that somebody is speaking, and the detector tells only changes.
        await system.restart(f"{rig.path(person)}/session")
        await trio.sleep(5.0)
        history = await rig.history(person)
        assert user_said(history) == "this takes quite a while to say"
        assert texts(history)[-1] == ("agent", "That was long.")

    run(scenario, seed)


@pytest.mark.parametrize("final", [0.0, 0.1, 0.15, 0.3])
async def test_the_end_of_speech_and_the_final_come_in_either_order(
    system: SystemUnderTest, final: float
) -> None:
    """Row 16: one turn, one answer."""
    config = ScriptedSttConfig(partial_latency=final, final_latency=final)
    rig = await CallRig.open(system, ["Hi.", "Good.", "Too much."], stt=config)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("that is it"))
    await trio.sleep(5.0)
    assert texts(await rig.history(person)) == [
        ("agent", "Hi."),
        ("user", "that is it"),
        ("agent", "Good."),
    ]


@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_the_parts_of_a_turn_are_never_negative_and_add_up(seed: int) -> None:
    """Row 17 and V8: against the times at which the person stopped and the agent was heard."""

    async def scenario(system: SystemUnderTest) -> None:
        thinking = 0.05 * (seed % 9)
        replies = ["Hi.", *(speak(f"Answer {n}.", first=thinking) for n in range(3)), COUNT, "Ok."]
        rig = await CallRig.open(system, replies)
        person = await rig.call()
        await trio.sleep(1.0)
        for n in range(3):
            spoken = person.speak(say(f"question number {n}"))
            await trio.sleep(3.0)
            turn = person.of_type(ShowTurn)[n]
            parts = turn.parts_ms
            assert all(ms >= 0 for ms in parts.values())
            assert sum(parts.values()) == pytest.approx(turn.total_ms, abs=1e-6)
            first = min(piece.start for piece in person.heard() if piece.start > spoken.end)
            # The far end waits 30 ms before it plays; a window of the detector is 32 ms.
            assert turn.total_ms == pytest.approx(1000 * (first - spoken.end) - 30, abs=33)

    run(scenario, seed)


@pytest.mark.parametrize("more", ["", "and a salad"])
async def test_a_thought_begun_early_is_used_or_thrown_away(
    system: SystemUnderTest, more: str
) -> None:
    """Row 18: nothing is said or done twice, and what was wasted is counted."""
    asked: list[str] = []

    def reply(request: object) -> str:
        asked.append(str(request))
        return "Hi." if len(asked) == 1 else "Fine."

    rig = await CallRig.open(system, reply)
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("two pizzas") + bytes(2 * 16 * 380) + (say(more) if more else b""))
    await trio.sleep(4.0)
    assert heard_words(person) == "Hi. Fine."
    assert len(asked) == (3 if more else 2)
    assert texts(await rig.history(person))[1:] == [
        ("user", f"two pizzas {more}".strip()),
        ("agent", "Fine."),
    ]


async def test_a_turn_of_which_nothing_is_understood_is_silence(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, ["Hi.", "Never."])
    person = await rig.call()
    await trio.sleep(1.5)
    person.speak(noise(0.5))
    await trio.sleep(5.0)
    assert texts(await rig.history(person)) == [("agent", "Hi.")]


def test_an_interruption_without_any_speech_is_refused() -> None:
    """Row 42."""
    for windows in (0, -1):
        with pytest.raises(ValueError, match="confirm_windows"):
            Profile(confirm_windows=windows)
        with pytest.raises(ValueError, match="duck_windows"):
            Profile(duck_windows=windows)
    with pytest.raises(ValueError, match="hold_after"):
        Profile(hold_after=0)
    with pytest.raises(ValueError, match="cut_after"):
        Profile(cut_after=0.01)
    with pytest.raises(ValueError, match="delay"):
        FloorConfig(turn=TurnConfig(delay=0))


@pytest.mark.parametrize("samples", [5, 7, 160, 319, 320, 511, 512, 513, 1024, 5000])
async def test_frames_of_any_size_are_heard(system: SystemUnderTest, samples: int) -> None:
    """Row 43 (and 35)."""
    rig = await CallRig.open(system, ["Hi.", "Good."])
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("this is what I said"), frame_samples=samples)
    await trio.sleep(5.0)
    assert texts(await rig.history(person))[1:] == [
        ("user", "this is what I said"),
        ("agent", "Good."),
    ]


async def test_empty_frames_freeze_nothing(system: SystemUnderTest) -> None:
    """Row 43."""
    from models.audio import Frame

    rig = await CallRig.open(system, ["Hi.", "Good."])
    person = await rig.call()
    await trio.sleep(1.0)
    assert person.attached is not None
    for _ in range(20):
        person.attached.audio.tell(Frame(b"", 16000))
    person.speak(say("still here"))
    await trio.sleep(3.0)
    assert heard_words(person) == "Hi. Good."
