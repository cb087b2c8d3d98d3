"""A session that begins again finds out where everybody stands."""

from __future__ import annotations

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

NOTHING = Recalled("", "", complete=True)


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
    first: bool


@attrs.frozen
class WhatStands(Request[Standing]):
    """Asked of the call by a session that starts."""


@attrs.frozen
class Recovered:
    """What was found out about the utterance that a crashed session left behind."""

    standing: Standing
    last: Recalled


async def recover(system: System, path: str) -> Recovered:
    """Ask the call at that path what stands, the tracks how far they were heard, and the speaker
    what that was. Everybody is silent after that.
    """
    owner: ActorRef[WhatStands] = system.ref(f"{path}/call")
    standing = await owner.ask(WhatStands(), timeout=ASK_WITHIN)
    if standing.first:
        return Recovered(standing, NOTHING)
    epoch, position = 0, 0.0
    replies = [leg.outbound.ask(WhereAreYou(), timeout=ASK_WITHIN) for leg in standing.legs]
    for reply in replies:
        try:
            where = await reply
        except SupervisionError:
            continue  # a track that cannot tell has played nothing that counts
        if where.epoch > epoch:
            epoch, position = where.epoch, where.position
        elif where.epoch == epoch:
            position = min(position, where.position)
    try:
        speaker: ActorRef[SpeakerMessage] = system.ref(f"{path}/speaker")
        last = await speaker.ask(Recall(epoch, position), timeout=ASK_WITHIN)
    except SupervisionError:
        return Recovered(standing, NOTHING)
    return Recovered(standing, last)
