"""History has what was heard: to the word, however and whenever the agent is cut."""

from __future__ import annotations

import pytest
import trio

from actors.call.call import CallEnded
from actors.call.session import HangUp
from actors.testing import CallRig, say
from models.conversation import AgentSaid
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import (
    COUNT,
    SEEDS,
    SOME_SEEDS,
    check_history_is_what_was_heard,
    run,
    texts,
    words_heard,
)
from transports.leg import WireCapabilities

FARS = {
    "page": None,
    "silent page": WireCapabilities(False, False, False, True),
    "telephone": WireCapabilities(False, False, True, False, send_ahead=0.2),
}


@pytest.mark.parametrize("far", FARS)
@pytest.mark.parametrize("step", range(0, 60, 3 if len(SEEDS) < 100 else 1))
def test_what_was_committed_is_the_words_that_had_ended(step: int, far: str) -> None:
    """Row 9: cut at each 20 ms of an utterance (at every third, if time is short)."""

    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, [COUNT, "Right."])
        capabilities = FARS[far]
        options = {} if capabilities is None else {"capabilities": capabilities, "buffer": 0.0}
        person = await rig.call(**options)
        await trio.sleep(0.02 * step)
        person.speak(say("please stop now"))
        await trio.sleep(4.0)
        await check_history_is_what_was_heard(rig, person)
        said = [item for item in await rig.history(person) if isinstance(item, AgentSaid)]
        assert said[-1].text == "Right."
        assert all(item.interrupted for item in said[:-1])

    run(scenario, step)


async def test_nothing_is_committed_of_what_nobody_heard(system: SystemUnderTest) -> None:
    """Row 9: cut before the first frame."""
    rig = await CallRig.open(system, [COUNT, "Right."])
    person = await rig.call()
    person.write("hello")
    await trio.sleep(2.0)
    assert texts(await rig.history(person)) == [("user", "hello"), ("agent", "Right.")]


@pytest.mark.parametrize("seed", SOME_SEEDS)
@pytest.mark.parametrize("how", ["person hangs up", "ended from outside"])
def test_the_end_of_the_call_commits_what_was_heard(seed: int, how: str) -> None:
    async def scenario(system: SystemUnderTest) -> None:
        rig = await CallRig.open(system, [COUNT])
        person = await rig.call()
        system.expect_dead_letters("/loopbackwire*")  # what is said to somebody who hangs up
        owner = system.ref(f"{rig.path(person)}/call")
        await trio.sleep(0.35 + 0.137 * (seed % 17))
        with system.events.subscribe(CallEnded) as ended:
            if how == "person hangs up":
                person.hang_up()
            else:
                owner.tell(HangUp("that is all"))
            with trio.fail_after(1.0):
                async for event in ended:
                    said = " ".join(text for _who, text in texts(event.history)).split()
                    break
        heard = words_heard(person)
        assert said in (heard, heard[:-1])  # the far end plays on for its buffer when it is left

    run(scenario, seed)


@pytest.mark.parametrize("step", range(10))
async def test_typing_interrupts_too(system: SystemUnderTest, step: int) -> None:
    rig = await CallRig.open(system, [COUNT, "Right."])
    person = await rig.call()
    await trio.sleep(0.7 + 0.07 * step)
    person.write("never mind")
    await trio.sleep(3.0)
    assert texts(await rig.history(person))[1:] == [("user", "never mind"), ("agent", "Right.")]
    await check_history_is_what_was_heard(rig, person)


async def test_what_was_said_before_typing_goes_with_it(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, ["Hi.", "Right."])
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("my number is"))
    await trio.sleep(0.9 + 0.1)
    person.write("12345")
    await trio.sleep(3.0)
    assert ("user", "my number is 12345") in texts(await rig.history(person))
