"""However much a model says, only so much sound waits to be played."""

from __future__ import annotations

from itertools import pairwise

import attrs
import trio

from actors.machines.profiles import FloorConfig
from actors.testing import CallRig, heard_words
from models.scripted import ScriptedTtsConfig
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import check_history_is_what_was_heard

SENTENCES = " ".join(f"This is the sentence number {n} of many." for n in range(40))


async def test_no_more_is_asked_of_a_voice_than_may_wait(system: SystemUnderTest) -> None:
    floor = FloorConfig(max_utterance=10.0)
    rig = await CallRig.open(system, [SENTENCES], floor=floor)
    person = await rig.call()
    waiting = []
    for _ in range(95):
        await trio.sleep(1.0)
        played = person.played() / person.rate_out
        words = system.state("/models/tts").statistics
        assert words is not None
        spoken = 0.3 * words["words"]
        waiting.append(spoken - played)
    # A sentence or two beyond the limit: what was asked for is finished.
    assert max(waiting) < 10.0 + 3 * 2.4
    assert max(waiting) > 8.0
    await trio.sleep(10.0)
    assert heard_words(person) == SENTENCES
    await check_history_is_what_was_heard(rig, person)


async def test_a_pause_for_breath_is_not_heard(system: SystemUnderTest) -> None:
    """Asking begins again long before the sound runs out."""
    floor = FloorConfig(max_utterance=5.0)
    rig = await CallRig.open(
        system, [SENTENCES], floor=floor, tts=ScriptedTtsConfig(first_byte=0.3)
    )
    person = await rig.call()
    await trio.sleep(100.0)
    pieces = [attrs.astuple(piece)[:2] for piece in person.heard()]
    gaps = [b[0] - a[1] for a, b in pairwise(pieces)]
    assert max(gaps) < 0.001
