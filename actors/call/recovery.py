"""A session that begins again finds out where everybody stands."""

from __future__ import annotations

from contextlib import suppress

import attrs

from actors.call.inbound import InboundMessage
from actors.call.line import LineMessage
from actors.call.listener import ListenerMessage
from actors.call.outbound import OutboundMessage, WhereAreYou
from actors.call.speaker import Recall, Recalled, SpeakerMessage
from models.conversation import Item
from supervision import ActorRef, Request, SupervisionError, System

ASK_WITHIN = 0.5
"""Seconds that the siblings have to tell where they stand."""


@attrs.frozen
class Leg:
    """The actors of one leg that the session talks to."""

    name: str
    outbound: ActorRef[OutboundMessage]
    inbound: ActorRef[InboundMessage]
    listener: ActorRef[ListenerMessage]
    line: ActorRef[LineMessage]


@attrs.frozen
class Standing:
    """What the call knows, for a session that begins, or begins again."""

    history: tuple[Item, ...]
    epoch: int
    """Beyond every utterance so far."""
    turn: int
    agent: str
    legs: tuple[Leg, ...]
    under_way: int
    """The utterance that had begun and was not over; 0 if there was none."""
    heard: str
    """What of it had been heard not long ago."""
    first: bool
    """Nothing was ever said or done."""


@attrs.frozen
class WhatStands(Request[Standing]):
    """Asked of the call by a session that starts."""


@attrs.frozen
class Recovered:
    """What was found out about the utterance that a crashed session left behind."""

    standing: Standing
    last: Recalled | None
    """None if none was under way."""


async def recover(system: System, path: str) -> Recovered:
    """Ask the call at that path what stands, the tracks how far they were heard, and the speaker
    what that was. Everybody is silent after that.
    """
    owner: ActorRef[WhatStands] = system.ref(f"{path}/call")
    standing = await owner.ask(WhatStands(), timeout=ASK_WITHIN)
    epoch = standing.under_way
    if not epoch:
        return Recovered(standing, None)
    positions = []
    replies = [leg.outbound.ask(WhereAreYou(), timeout=ASK_WITHIN) for leg in standing.legs]
    for reply in replies:
        with suppress(SupervisionError):  # a track that cannot tell has played nothing that counts
            where = await reply
            if where.epoch == epoch:
                positions.append(where.position)
    try:
        speaker: ActorRef[SpeakerMessage] = system.ref(f"{path}/speaker")
        recall = Recall(epoch, min(positions, default=0.0))
        last = await speaker.ask(recall, timeout=ASK_WITHIN)
    except SupervisionError:
        last = Recalled("", "", complete=False)
    if not last.heard and not last.rest:  # the speaker, too, has forgotten
        last = Recalled(standing.heard, "", complete=False)
    return Recovered(standing, last)
