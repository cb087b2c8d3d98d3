"""What the recogniser hears: from before the onset on, each sample once."""

from __future__ import annotations

import pytest
import trio

from actors.testing import CallRig, say
from models.stt.protocol import Audio, Flush
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import COUNT


@pytest.mark.parametrize("at", [0.903, 1.0, 1.017, 1.25])
async def test_a_barge_in_is_heard_from_300_ms_before_its_onset(
    system: SystemUnderTest, at: float
) -> None:
    """Row 12: sample exact, and without a gap."""
    rig = await CallRig.open(system, [COUNT, "Yes."])
    person = await rig.call()
    await trio.sleep(at)
    sound = say("please stop that now")
    pcm = bytearray()
    with system.trace("/models/stt", types=(Audio, Flush)) as trace:
        person.speak(sound)
        await trio.sleep(3.0)
        async for event in trace:
            if isinstance(event.message, Audio):
                pcm += event.message.pcm
            else:
                break
    before = bytes(pcm).index(sound[:640]) / 32000
    # The onset is a window before the first that is loud; the window grid may cost another.
    assert 0.3 <= before <= 0.3 + 2 * 0.032 + 0.02
    assert bytes(pcm)[round(before * 32000) :].startswith(sound)
