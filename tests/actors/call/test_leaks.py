"""A call that ends leaves nothing behind: no actor, task, timer or stream."""

from __future__ import annotations

import gc
from collections.abc import Mapping

import pytest
import trio

from actors.call.exchange import OpenCalls
from actors.testing import CallRig, say
from models.llm.scripted import speak
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import COUNT, LONG


def tasks() -> list[str]:
    """Tasks of trio, all told."""
    root = trio.lowlevel.current_root_task()
    assert root is not None
    todo, names = [root], []
    while todo:
        task = todo.pop()
        names.append(task.name)
        for nursery in task.child_nurseries:
            todo += nursery.child_tasks
    return sorted(names)


def statistics(system: SystemUnderTest, model: str) -> Mapping[str, object]:
    found = system.state(f"/models/{model}").statistics
    assert isinstance(found, Mapping)
    return found


@pytest.mark.parametrize("how", ["hang up", "drop", "stop reading"])
async def test_short_calls_leave_nothing(system: SystemUnderTest, how: str) -> None:
    """Rows 26 and 27: two hundred calls, ended in mid-speech, ten at a time."""
    rig = await CallRig.open(system, lambda _request: speak(LONG, every=0.02))
    system.expect_dead_letters()
    before = system.tree("/").children
    names = {child.path for child in before}
    first = await rig.call()  # whatever starts with the first call stays for the others
    await trio.sleep(1.0)
    first.hang_up()
    await trio.sleep(1.0)
    assert await rig.exchange.ask(OpenCalls()) == 0
    await system.settle()
    running = tasks()
    rounds = 20 if how == "hang up" else 2
    for _ in range(rounds):
        people = [await rig.call(record=False) for _ in range(10)]
        await trio.sleep(1.0)
        for person in people:
            person.speak(say("one two"))
        await trio.sleep(0.4)
        for person in people:
            if how == "hang up":
                person.hang_up()
            elif how == "drop":
                person.drop()
            else:
                person.stop_reading()
        await trio.sleep(0.5 if how == "hang up" else 30.0)
    assert await rig.exchange.ask(OpenCalls()) == 0
    await system.settle()
    gc.collect()
    assert {child.path for child in system.tree("/").children} == names
    assert tasks() == running
    assert statistics(system, "stt")["open"] == 0
    assert statistics(system, "llm")["under_way"] == 0
    assert statistics(system, "tts")["utterances"] == 0


async def test_an_idle_call_does_next_to_nothing(system: SystemUnderTest) -> None:
    """Row 27: ten idle minutes; nothing but silence comes, and nothing grows."""
    rig = await CallRig.open(system, [COUNT])
    person = await rig.call(frame=0.1)
    await trio.sleep(10.0)
    path = rig.path(person)

    def handled(who: str) -> int:
        return system.tree(f"{path}/{who}").handled

    actors = ["session", "speaker", "agent", "call", "legs/a/outbound", "legs/a/listener", "bridge"]
    before = [handled(who) for who in actors]
    events = len(person.events)
    await trio.sleep(600.0)
    assert [handled(who) for who in actors] == before
    assert len(person.events) == events


async def test_a_person_alone_costs_no_mixing(system: SystemUnderTest) -> None:
    rig = await CallRig.open(system, [COUNT])
    person = await rig.call()
    person.speak(say("hello hello"))
    await trio.sleep(5.0)
    assert system.tree(f"{rig.path(person)}/bridge").handled == 0
