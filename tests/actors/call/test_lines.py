"""Lines that break, come back, come twice, or no longer read; and the end of a call."""

from __future__ import annotations

import pytest
import trio

from actors.call.exchange import OpenCalls
from actors.call.session import HangUp, Say
from actors.testing import CallRig, heard, heard_words, noise, say
from models.llm.protocol import Generate
from models.llm.scripted import Reply, speak
from supervision import Refused
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    LONG,
    SEEDS,
    SOME_SEEDS,
    WORD,
    check_history_is_what_was_heard,
    run,
    texts,
    user_said,
    words_heard,
)
from transports.leg import CloseWire

STATES = {"thinking": 0.3, "speaking": 1.6, "held": 2.3, "idle": 8.0}


def reply(request: Generate) -> Reply | str:
    said = user_said(request.context)
    if "again" in said:
        return "Welcome back."
    return speak(COUNT, first=1.0)


async def caller(system: SystemUnderTest, rig: CallRig, state: str):  # type: ignore[no-untyped-def]
    """Somebody whose agent is in that state now."""
    system.expect_dead_letters("/loopbackwire*")
    person = await rig.call()
    await trio.sleep(STATES[state])
    if state == "held":
        person.speak(noise(0.12))
        await trio.sleep(0.25)
    return person


async def until_no_call(rig: CallRig) -> None:
    while await rig.exchange.ask(OpenCalls()):  # noqa: ASYNC110 - the exchange tells nobody
        await trio.sleep(0.05)


@pytest.mark.parametrize("seconds", [1, 5, 25])
@pytest.mark.parametrize("state", STATES)
async def test_a_line_that_is_lost_in_any_state(
    system: SystemUnderTest, state: str, seconds: int
) -> None:
    """Row 41: back within 20 s the agent goes on, as one; after that the call is over."""
    rig = await CallRig.open(system, reply)
    person = await caller(system, rig, state)
    person.drop()
    await trio.sleep(seconds)
    if seconds > 20:
        with pytest.raises(Refused, match="over"):
            await person.reattach()
        assert await rig.exchange.ask(OpenCalls()) == 0
        return
    await person.reattach()
    await trio.sleep(12.0)
    assert await rig.exchange.ask(OpenCalls()) == 1
    await check_history_is_what_was_heard(rig, person)
    assert [w for w in words_heard(person) if w in COUNT.split()] == COUNT.split()
    person.speak(say("hello again"))
    await trio.sleep(4.0)
    assert heard_words(person).endswith("Welcome back.")
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_line_lost_at_any_moment_costs_no_word(seed: int) -> None:
    """Row 41, with every order of what happens."""

    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, ["Hi.", COUNT])
        system.expect_dead_letters("/loopbackwire*")
        person = await rig.call()
        await trio.sleep(1.0)
        person.speak(say("count"))
        await trio.sleep(0.3 + 0.011 * 9 * seed)
        person.drop()
        await trio.sleep(0.2 + seed % 3)
        await person.reattach()
        await trio.sleep(8.0)
        history = await rig.history(person)
        said = texts(history)
        if ("user", "count") in said:
            assert said[-1] == ("agent", COUNT)
            assert words_heard(person) == ["Hi.", *COUNT.split()]
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)


async def test_a_short_word_before_going_on_when_the_line_was_away_for_long(
    system: SystemUnderTest,
) -> None:
    rig = await CallRig.open(system, [COUNT])
    system.expect_dead_letters("/loopbackwire*")
    person = await rig.call()
    await trio.sleep(1.0)
    person.drop()
    await trio.sleep(8.0)
    await person.reattach()
    await trio.sleep(6.0)
    said = texts(await rig.history(person))
    assert said[1][1].startswith("I am back. As I was saying:")
    assert said[1][1].endswith("nine ten")
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("step", range(10))
async def test_a_second_connection_takes_over_from_one_that_is_not_known_to_be_lost(
    system: SystemUnderTest, step: int
) -> None:
    rig = await CallRig.open(system, [COUNT])
    system.expect_dead_letters("/loopbackwire*")
    person = await rig.call()
    await trio.sleep(0.5 + 0.13 * step)
    await person.reattach()
    await trio.sleep(6.0)
    assert words_heard(person) == COUNT.split()
    again = len([w for w in heard(person, WORD) if w.text in COUNT.split()]) - len(COUNT.split())
    assert again <= 1
    await check_history_is_what_was_heard(rig, person)


async def test_nobody_takes_a_leg_over_without_its_token(system: SystemUnderTest) -> None:
    from supervision.secret import Secret

    rig = await CallRig.open(system, ["Hi."])
    person = await rig.call()
    with pytest.raises(Refused):
        await person.reattach(Secret("c-1.a.wrong"))
    assert person.attached is not None


@pytest.mark.parametrize("state", STATES)
async def test_a_far_end_that_no_longer_reads_cannot_hold_the_end_up(
    system: SystemUnderTest, state: str
) -> None:
    """Row 25: gone in less than three seconds."""
    rig = await CallRig.open(system, reply)
    person = await caller(system, rig, state)
    system.expect_dead_letters("/calls/*")  # it does not read that the call is over
    person.stop_reading()
    system.ref(f"{rig.path(person)}/call").tell(HangUp("enough"))
    with trio.fail_after(3.0):
        await person.wait_gone()
        await until_no_call(rig)


@pytest.mark.parametrize("state", STATES)
async def test_who_hangs_up_is_gone_at_once(system: SystemUnderTest, state: str) -> None:
    rig = await CallRig.open(system, reply)
    person = await caller(system, rig, state)
    person.hang_up()
    with trio.fail_after(1.0):
        await until_no_call(rig)


async def test_the_end_of_one_call_leaves_the_others_alone(system: SystemUnderTest) -> None:
    """Row 28."""
    rig = await CallRig.open(system, lambda _request: LONG)
    people = [await rig.call() for _ in range(3)]
    for n, person in enumerate(people):
        await trio.sleep(0.7)
        system.ref(f"{rig.path(person)}/call").tell(HangUp(f"end {n}"))
        await trio.sleep(0.2)
        assert person.of_type(CloseWire)[0].reason == f"end {n}"
        for other in people[n + 1 :]:
            assert other.playing()
            await check_prefix(rig, other)


async def check_prefix(rig: CallRig, person) -> None:  # type: ignore[no-untyped-def]
    words = words_heard(person)
    assert words == LONG.split()[: len(words)]


@pytest.mark.parametrize("seed", SOME_SEEDS)
def test_what_is_said_during_protected_speech_is_answered_after_it(seed: int) -> None:
    """Row 39: a legal text is heard to its end, whatever is said or typed meanwhile."""

    async def scenario(system: SystemUnderTest) -> None:
        legal = "this call may be recorded for training and for quality"
        rig = await CallRig.open(system, ["Hi.", "I see."])
        person = await rig.call()
        await trio.sleep(1.0)
        system.ref(f"{rig.path(person)}/call").tell(Say(legal, protected=True))
        await trio.sleep(0.02 + 0.11 * seed)
        person.speak(say("wait stop a moment"))
        await trio.sleep(8.0)
        assert texts(await rig.history(person)) == [
            ("agent", "Hi."),
            ("agent", legal),
            ("user", "wait stop a moment"),
            ("agent", "I see."),
        ]
        await check_history_is_what_was_heard(rig, person)

    run(scenario, seed)
