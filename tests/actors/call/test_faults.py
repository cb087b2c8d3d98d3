"""Anything in a call may crash, in any state: the call goes on, and history is what was heard."""

from __future__ import annotations

import pytest
import trio

from actors.testing import CallRig, heard_words, noise, say
from models.conversation import AgentSaid
from models.llm.protocol import Generate
from models.llm.scripted import Reply, speak
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    FEW_SEEDS,
    HARMLESS,
    check_history_is_what_was_heard,
    crash,
    run,
    texts,
    user_said,
    words_heard,
)
from transports.leg import CloseWire

STATES = {"idle": 0.0, "listening": 0.2, "thinking": 1.3, "speaking": 2.6, "held": 2.6}
NUMBERS = COUNT.split()
SEEDS_EACH = range(len(FEW_SEEDS) // 3)


def reply(request: Generate) -> Reply | str:
    """A greeting; a long answer, of which the rest is given if it was cut; a short one."""
    said = user_said(request.context)
    if "really" in said:
        return "Yes I am sure."
    if "count" not in said:
        return "What was that?" if said else "Hi."
    so_far = [w for i in request.context if isinstance(i, AgentSaid) for w in i.text.split()]
    left = [n for n in NUMBERS if n not in so_far]
    return speak(" ".join(left), first=0.6, every=0.01)


async def until(rig: CallRig, state: str):  # type: ignore[no-untyped-def]
    """Somebody whose agent is in that state."""
    person = await rig.call()
    await trio.sleep(1.0)
    if state != "idle":
        person.speak(say("count please"))
        await trio.sleep(STATES[state])
    if state == "held":
        person.speak(noise(0.12))
        await trio.sleep(0.2)
    return person


async def check_it_goes_on(rig: CallRig, person, state: str) -> None:  # type: ignore[no-untyped-def]
    await trio.sleep(9.0)
    assert not person.of_type(CloseWire)
    person.speak(say("are you really there"))
    await trio.sleep(5.0)
    history = await rig.history(person)
    assert texts(history)[-2:] == [("user", "are you really there"), ("agent", "Yes I am sure.")]
    assert words_heard(person) == (await rig.said(person)).split()
    if state not in ("idle", "listening"):
        numbers = [word for word in words_heard(person) if word in NUMBERS]
        assert numbers == NUMBERS
    await check_history_is_what_was_heard(rig, person)


@pytest.mark.parametrize("who", HARMLESS)
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("seed", SEEDS_EACH)
def test_a_call_outlives_the_crash_of(who: str, state: str, seed: int) -> None:
    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, reply)
        person = await until(rig, state)
        crash(system, rig, person, who)
        await check_it_goes_on(rig, person, state)

    run(scenario, seed)


@pytest.mark.parametrize("seed", FEW_SEEDS)
@pytest.mark.parametrize("state", STATES)
def test_a_call_outlives_everything_at_once(state: str, seed: int) -> None:
    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, reply)
        person = await until(rig, state)
        for who in HARMLESS:
            crash(system, rig, person, who)
        await check_it_goes_on(rig, person, state)

    run(scenario, seed)


@pytest.mark.parametrize("seed", FEW_SEEDS)
@pytest.mark.parametrize("who", ["session", "speaker", "agent", "outbound", "listener", "inbound"])
def test_a_call_outlives_a_crash_at_any_moment(who: str, seed: int) -> None:
    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, reply)
        person = await until(rig, "listening")
        await trio.sleep(0.37 * seed % 3.7)
        crash(system, rig, person, who)
        await check_it_goes_on(rig, person, "listening")

    run(scenario, seed)


async def test_a_line_that_crashed_still_knows_its_token(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [COUNT])
    person = await rig.call()
    await system.restart(f"{rig.path(person)}/legs/a/line")
    await trio.sleep(0.5)
    system.expect_dead_letters("/loopbackwire*")
    person.drop()
    await trio.sleep(0.5)
    await person.reattach()
    await trio.sleep(5.0)
    assert heard_words(person).endswith("ten")
