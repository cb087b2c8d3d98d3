"""Faults in the middle of a call, over real sockets and on the real clock.

Whatever breaks, the call goes on, or ends with a reason that is spoken or shown, within the
deadlines of promise V7: three seconds to hear something, five more at most after that, and twenty
for a lost line. History stays what was heard.
"""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from actors.call.session import HangUp
from actors.machines.profiles import FloorConfig
from actors.testing import noise, say
from models.conversation import AgentSaid, UserSaid
from models.llm.protocol import Generate
from models.llm.scripted import Reply, Say, Stall
from models.scripted import ScriptedTtsConfig
from supervision.faults import Fault, InjectedFault
from tests.live.caller import Caller, caller
from tests.live.nodes import Rig, config_for_tests, rig, running_node
from tests.live.voice import a_voice, need_local_models

GREETING = "Good morning."
COUNTING = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
HEARS_SOMETHING = 3.0
"""Seconds from the end of a turn until the user hears something: V7."""

PER_WORD = 0.15
"""Seconds a word takes, said by either side."""

MODELS = {
    "stt": "/models/stt",
    "tts": "/models/tts",
    "llm": "/models/llm",
    "vad": "/models/vad/detector",
}
OWN = {
    "session": "session",
    "agent": "agent",
    "speaker": "speaker",
    "outbound": "legs/a/outbound",
    "inbound": "legs/a/inbound",
    "listener": "legs/a/listener",
    "line": "legs/a/line",
}
"""The parts of a call, below it."""


def replies(request: Generate) -> Reply | str:
    """What the scripted model says: to "count" a long row, to "hush" nothing at all."""
    said = [item.text for item in request.context if isinstance(item, UserSaid)]
    if not said:
        return GREETING
    if "hush" in said[-1]:
        return Reply(Stall())
    if "slowly" in said[-1]:
        return Reply(Say("At last. ", after=0.8))
    if "count" in said[-1]:
        long = COUNTING if "on and" not in said[-1] else " ".join([COUNTING] * 10)
        return Reply(*(Say(f"{word} ", after=0.01) for word in long.split()))
    return f"You said {said[-1]}."


@asynccontextmanager
async def talking(**options: Any) -> AsyncIterator[Rig]:
    tts = ScriptedTtsConfig(seconds_per_word=PER_WORD)
    async with rig(replies, tts=tts, **options) as node:
        node.system.expect_dead_letters("*")  # what was on its way to who crashed
        yield node


async def crash(rig: Rig, path: str) -> None:
    """Let it crash at its next message, and wait until it has."""
    rig.system.expect_crash(path, InjectedFault)
    before = len(rig.system.crashes())
    injection = rig.system.inject(path, Fault("crash", times=1))
    with trio.move_on_after(0.3):
        while not injection.hits:  # noqa: ASYNC110, messages come by themselves
            await trio.sleep(0.005)
    if not injection.hits:  # it had nothing to do; a restart is what a crash then comes to
        injection.remove()
        await rig.system.restart(path)
        return
    with trio.fail_after(5.0):
        while len(rig.system.crashes()) == before:  # noqa: ASYNC110
            await trio.sleep(0.005)


async def answers(person: Caller, text: str = "hello", within: float = 12.0) -> None:
    """The call still works: what is said is understood, and answered aloud."""
    await person.wait_quiet()
    person.say(say(text, PER_WORD))
    await person.wait(lambda: f"You said {text}." in person.heard_words(), f"{text} heard", within)
    assert trio.current_time() - person.spoke_until < HEARS_SOMETHING + 3.0


async def history_is_what_was_heard(rig: Rig, person: Caller) -> None:
    status = await rig.status(person.call)
    said = [item.text for item in status.history if isinstance(item, AgentSaid)]
    heard = person.heard_words()
    for text in said:
        assert text in heard, (text, heard)


async def greeted(person: Caller) -> None:
    await person.wait(lambda: person.heard_words() == GREETING, "the greeting")
    await person.wait_shown("said", text=GREETING)


async def test_a_part_that_crashes_while_the_agent_speaks_or_thinks_does_not_end_its_call() -> None:
    """Every part in a call of its own, all at the same time: none of the others notices."""
    async with talking() as node, trio.open_nursery() as nursery:
        for part in OWN:
            nursery.start_soon(_crash_a_part, node, part, "speaking")
            nursery.start_soon(_crash_a_part, node, part, "thinking")


async def _crash_a_part(node: Rig, part: str, state: str) -> None:
    async with caller(node.media) as person:
        await greeted(person)
        await bring_about(person, state)
        await crash(node, f"/calls/{person.call}/{OWN[part]}")
        try:
            if state == "thinking":
                await person.wait(lambda: "At last." in person.heard_words(), "the answer")
                assert trio.current_time() - person.spoke_until < HEARS_SOMETHING
            await answers(person)
        except AssertionError as error:
            raise AssertionError(f"{part}, {state}: {error}") from error
        assert not person.ended
        await history_is_what_was_heard(node, person)


async def test_models_that_crash_one_by_one_and_all_at_once_do_not_end_the_call() -> None:
    async def one(names: list[str]) -> None:
        async with talking() as node, caller(node.media) as person:
            await greeted(person)
            await counting(person)
            async with trio.open_nursery() as nursery:
                for name in names:
                    path = MODELS.get(name, f"/calls/{person.call}/{name}")
                    nursery.start_soon(crash, node, path)
            try:
                await answers(person, within=20.0)
            except AssertionError as error:
                raise AssertionError(f"{names}: {error}") from error
            assert not person.ended
            await history_is_what_was_heard(node, person)

    async with trio.open_nursery() as nursery:
        for model in MODELS:
            nursery.start_soon(one, [model])
        nursery.start_soon(one, [*MODELS, "session"])


async def test_a_recogniser_that_crashes_in_mid_sentence_misses_nothing_of_it() -> None:
    async with talking() as node, caller(node.media) as person:
        await greeted(person)
        person.say(say("these are six words of mine", 0.2))
        await trio.sleep(0.6)
        await crash(node, MODELS["stt"])
        answer = "You said these are six words of mine."
        await person.wait(lambda: answer in person.heard_words(), "all of it")


async def test_a_model_that_never_answers_is_apologised_for() -> None:
    floor = FloorConfig(filler_after=0.3, fillers=("Hm.",), give_up_after=2.0, apology="No luck.")
    async with talking(floor=floor) as node, caller(node.media) as person:
        await greeted(person)
        person.say(say("hush now"))
        await person.wait(lambda: "Hm." in person.heard_words(), "a filler")
        assert trio.current_time() - person.spoke_until < HEARS_SOMETHING
        await person.wait(lambda: "No luck." in person.heard_words(), "the apology")
        await answers(person)


async def counting(person: Caller) -> None:
    """The agent is in the middle of something long."""
    before = person.heard_words().count("three")
    person.say(say("count please", PER_WORD))
    await person.wait(lambda: person.heard_words().count("three") > before, "counting")


def agent_state(person: Caller) -> object:
    floors = person.all_shown("floors")
    return floors[-1].fields["agent"] if floors else ""


# -- the line ---------------------------------------------------------------------------------

AWAY = (1.0, pytest.param(5.5, marks=pytest.mark.soak), pytest.param(25.0, marks=pytest.mark.soak))


@pytest.mark.parametrize("away", AWAY)
async def test_row_41_a_line_that_is_cut_comes_back_to_the_same_conversation(away: float) -> None:
    """RC: the socket is cut in each agent state; one conversation goes on, not two, not none."""
    async with talking() as node, trio.open_nursery() as nursery:
        for state in ("thinking", "speaking", "held"):
            nursery.start_soon(_cut_and_come_back, node, state, away)


async def _cut_and_come_back(node: Rig, state: str, away: float) -> None:
    async with caller(node.media) as person:
        await greeted(person)
        await bring_about(person, state)
        person.cut()
        lost_at = trio.current_time()
    await trio.sleep_until(lost_at + away)
    if away > FloorConfig().leg_away_max:
        await gone(node, person.call)
        return
    async with caller(node.media, resume=person.ready["resume"]) as again:
        assert (again.call, again.ready["resumed"]) == (person.call, True)
        if state != "thinking":
            await again.wait(lambda: "fourteen" in again.heard_words(), f"{state}: it goes on")
        await answers(again, within=20.0)
        status = await node.status(again.call)
        heard = f"{person.heard_words()} {again.heard_words()}".split()
        said = " ".join(i.text for i in status.history if isinstance(i, AgentSaid)).split()
        assert set(said) <= set(heard), (state, said, heard)
    await gone(node, person.call)


async def bring_about(person: Caller, state: str) -> None:
    if state == "thinking":
        person.say(say("think slowly", PER_WORD))
    else:
        await counting(person)
    if state == "held":
        person.say(noise(0.5))
    await person.wait(lambda: agent_state(person) == state, state)


async def gone(node: Rig, call: str, within: float = 3.0) -> None:
    with trio.move_on_after(within) as scope:
        while node.alive(f"/calls/{call}"):  # noqa: ASYNC110
            await trio.sleep(0.01)
    assert not scope.cancelled_caught, f"{call} is still there after {within} s"


async def test_row_25_a_peer_that_stops_reading_holds_nobody() -> None:
    """RC: a socket that never drains, in mid-speech: the session is gone in under 3 s."""
    async with talking(floor=FloorConfig(leg_away_max=0.5)) as node:

        async def hung_up_on() -> None:
            async with caller(node.media, rate=48000) as person:
                await stop_reading(person)
                node.system.ref(f"/calls/{person.call}/call").tell(HangUp("enough"))
                await gone(node, person.call)

        async def left_alone() -> None:
            async with caller(node.media, rate=48000) as person:
                await stop_reading(person)
                # What the kernel keeps for a reader takes a while to fill; then it has 2 s.
                await gone(node, person.call, within=8.0)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(hung_up_on)
            nursery.start_soon(left_alone)


async def stop_reading(person: Caller) -> None:
    await greeted(person)
    await person.write(f"count {'on and ' * 30}on")
    await person.wait(lambda: "two" in person.heard_words(), "counting")
    person.stall()
    await trio.sleep(0.5)


async def test_garbage_and_oversized_frames_do_not_disturb_the_call() -> None:
    async with talking() as node, caller(node.media) as person:
        await greeted(person)
        for garbage in ("", "{", "[]", "null", '{"type":7}', '{"type":"played","samples":"x"}',
                        '{"type":"played","samples":-5}', '{"type":"played","samples":1e30}',
                        '{"type":"cleared","id":99}', '{"type":"mark"}', '{"type":"dtmf"}',
                        '{"type":"dtmf","digit":"??"}', '{"type":"text"}', '{"type":"mute"}',
                        '{"type":"start"}', b"", b"x", "y" * 70_000, b"\0" * 300_000):  # fmt: skip
            await person.link.send([garbage])
        await answers(person)
        await history_is_what_was_heard(node, person)


async def test_a_message_beyond_all_bounds_ends_the_wire_and_the_leg_can_come_back() -> None:
    async with talking() as node:
        async with caller(node.media) as person:
            await greeted(person)
            await person.link.send([b"\0" * (2 * 1024 * 1024)])
            await person.wait(lambda: person.link_lost, "lost")
        async with caller(node.media, resume=person.ready["resume"]) as again:
            assert again.ready["resumed"]
            await answers(again)


# -- real models ------------------------------------------------------------------------------


def workers() -> set[int]:
    """The worker processes of ours."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
            if parent == str(os.getpid()) and b"worker_main" in (process / "cmdline").read_bytes():
                found.add(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc")
def test_a_killed_recogniser_is_replaced_and_the_call_goes_on() -> None:
    """What was said is heard again if it is back in time; else the agent says that it was not."""
    need_local_models()
    voice = a_voice()
    before = workers()
    question = "tell me about the hotel"

    def understood(person: Caller) -> bool:
        return bool(person.all_shown("transcript", text=question, final=True))

    async def scenario(media: str) -> None:
        async with caller(media) as person:
            await person.wait_shown("speech", within=20.0)
            person.say(voice(question, person.rate))
            await trio.sleep(0.8)
            for pid in workers() - before:
                os.kill(pid, signal.SIGKILL)
            await person.wait(lambda: person.all_shown("speech", utterance=2), "an answer")
            assert trio.current_time() - person.spoke_until < 2.5 + HEARS_SOMETHING
            if not understood(person):
                person.say(voice(question, person.rate))
            await person.wait(lambda: understood(person), "understood", 15.0)
            await person.wait(lambda: "by the sea" in person.last_speech(), "answered")

    with running_node(config_for_tests()) as node:
        trio.run(scenario, node.address.replace("http", "ws") + "/media")
        assert len(node.crashes()) == 1
