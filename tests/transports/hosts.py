"""What stands for a call in the tests of wires: a host that answers, and the two ends of a leg."""

from __future__ import annotations

from typing import Any

import attrs

from models.audio import Frame
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest
from transports.leg import (
    Attach,
    Attached,
    Cleared,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    Typed,
)


@attrs.frozen
class FakeHost:
    """A call that lets everybody in."""

    host: Probe
    audio: Probe
    events: Probe

    @property
    def frames(self) -> list[Frame]:
        return self.audio.received

    @property
    def heard(self) -> bytes:
        return b"".join(frame.pcm for frame in self.frames)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events.received if isinstance(event, kind)]

    @property
    def attaches(self) -> list[Attach]:
        return [message for message in self.host.received if isinstance(message, Attach)]


async def fake_host(system: SystemUnderTest) -> FakeHost:
    host = await system.probe(Attach)
    audio = await system.probe(Frame)
    events = await system.probe(Played, Cleared, MarkPlayed, Dtmf, Typed, Muted, HungUp)

    def attached(request: Attach) -> Attached:
        resumed = request.resume is not None
        return Attached("c-7", "a", audio.ref, events.ref, Secret("the-way-back"), resumed)

    host.answer(Attach, attached)
    return FakeHost(host, audio, events)
