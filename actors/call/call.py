"""The call: from the first leg to the last, and the history that is committed in between."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import inf
from typing import Any

import attrs

from actors.call.line import CloseLine, LegGone, TakeOver
from actors.call.recovery import Leg, Standing, WhatStands
from actors.call.session import Began, HangUp, LegJoins, LegLeaves, Over, Say
from actors.machines.decisions import Commit, EndCall, Spoken
from models.conversation import Item
from supervision import (
    Actor,
    ActorRef,
    ChildSpec,
    Promise,
    Refuse,
    Request,
    SupervisionError,
    Wake,
    handles,
)
from supervision.supervisor import StartChild, TerminateChild
from transports.leg import Attach, Attached

logger = logging.getLogger("troupe.call")

LegSpec = Callable[[str], ChildSpec[Any]]
"""Makes the spec of a leg's actors, from its name."""

EPOCHS_PER_LIFE = 1_000_000
"""A session that begins again numbers its utterances beyond those of the one before."""


CLOSE_WITHIN = 0.5
"""Seconds in which a line has to pass on that the call is over."""


class CallState(enum.Enum):
    """Where a call stands."""

    RINGING = "ringing"
    """Nobody is in it yet."""
    ACTIVE = "active"
    ENDED = "ended"


@attrs.frozen
class AddLeg(Request[Attached]):
    """Somebody comes into the call."""

    attach: Attach


@attrs.frozen
class LegStarted:
    """The leg's actors run."""

    leg: str
    attach: Attach


@attrs.frozen
class LegFailed:
    """The leg's actors would not start."""

    leg: str
    error: Exception


@attrs.frozen
class LegAttached:
    """The leg has its wire."""

    leg: str
    attached: Attached


@attrs.frozen
class LinesClosed:
    """Everybody was told that the call is over."""


@attrs.frozen
class CallStatus:
    """What is known of a call."""

    id: str
    state: CallState
    history: tuple[Item, ...]
    legs: tuple[str, ...]
    agent: str
    seconds: float


@attrs.frozen
class DescribeCall(Request[CallStatus]):
    """How does the call stand?"""


@attrs.frozen
class CallEnded:
    """A call is over. Published on the node's event stream."""

    id: str
    reason: str
    history: tuple[Item, ...] = attrs.field(repr=False)
    seconds: float
    """From its beginning."""


CallMessage = (
    AddLeg
    | LegStarted
    | LegFailed
    | LegAttached
    | LegGone
    | Began
    | Over
    | Spoken
    | Commit
    | EndCall
    | LinesClosed
    | WhatStands
    | DescribeCall
    | Say
    | HangUp
    | Wake
)


@attrs.define(eq=False)
class CallMemory:
    """What a call knows over all its lives: its crash is not to end a conversation."""

    agent: str
    began_at: float = -1.0
    state: CallState = CallState.RINGING
    history: list[Item] = attrs.field(factory=list)
    legs: dict[str, Leg] = attrs.field(factory=dict)
    names: int = 0
    """Legs there have been."""
    sessions: int = 0
    """Sessions there have been."""
    epoch: int = 0
    turn: int = 0
    under_way: int = 0
    """The utterance that has begun and is not over; 0 if there is none."""
    heard: str = ""
    """What was heard of it, as last told."""
    begun: bool = False
    """There was an utterance at all."""


class Call(Actor[CallMessage]):
    """One call's beginning, end and memory."""

    def __init__(
        self,
        path: str,
        memory: CallMemory,
        leg_spec: LegSpec,
        *,
        max_legs: int = 10,
        ring_for: float = 30.0,
    ) -> None:
        super().__init__()
        self._base = path
        self._id = path.rpartition("/")[2]
        self._memory = memory
        self._leg_spec = leg_spec
        self._max_legs = max_legs
        self._ring_for = ring_for
        self._joining: dict[str, Promise[Attached]] = {}

    def on_start(self) -> None:
        memory = self._memory
        if memory.began_at < 0:
            memory.began_at = self.now
        if memory.state is CallState.ENDED:  # it crashed while it was ending
            self.stop()
        if memory.state is CallState.RINGING:
            self.wake_at(self.now + self._ring_for)

    def __repr__(self) -> str:
        return f"<Call {self._id}: {self._memory.state.value}, {len(self._memory.legs)} legs>"

    # -- legs -----------------------------------------------------------------------------

    @handles
    def on_add(self, message: AddLeg) -> None:
        if self._memory.state is CallState.ENDED:
            raise Refuse("the call is over")
        if len(self._memory.legs) + len(self._joining) >= self._max_legs:
            raise Refuse(f"the call has {self._max_legs} people already")
        self._memory.names += 1
        leg = _letters(self._memory.names)
        self._joining[leg] = self.defer()
        legs = self.system.ref(f"{self._base}/legs")
        self.pipe(
            legs.ask(StartChild(self._leg_spec(leg))),
            to=lambda _ref: LegStarted(leg, message.attach),
            failed=lambda error: LegFailed(leg, error),
        )

    @handles
    def on_leg_started(self, message: LegStarted) -> None:
        line = self.system.ref(f"{self._base}/legs/{message.leg}/line")
        leg = message.leg
        self.pipe(
            line.ask(TakeOver(message.attach)),
            to=lambda attached: LegAttached(leg, attached),
            failed=lambda error: LegFailed(leg, error),
        )

    @handles
    def on_leg_attached(self, message: LegAttached) -> None:
        promise = self._joining.pop(message.leg, None)
        if self._memory.state is CallState.ENDED:
            if promise is not None:
                promise.refuse("the call is over")
            return
        path = f"{self._base}/legs/{message.leg}"
        ref = self.system.ref
        leg = Leg(
            message.leg,
            ref(f"{path}/outbound"),
            ref(f"{path}/inbound"),
            ref(f"{path}/listener"),
            ref(f"{path}/line"),
        )
        self._memory.legs[message.leg] = leg
        if self._memory.state is CallState.RINGING:
            self._memory.state = CallState.ACTIVE
            self.wake_at(inf)
            logger.info("%s is answered by %s", self._base, self._memory.agent)
        self._session().tell(LegJoins(leg))
        if promise is not None:
            promise.resolve(message.attached)

    @handles
    def on_leg_failed(self, message: LegFailed) -> None:
        promise = self._joining.pop(message.leg, None)
        if promise is not None:
            promise.refuse(f"the leg could not be set up: {message.error}")

    @handles
    def on_leg_gone(self, message: LegGone) -> None:
        if self._memory.legs.pop(message.leg, None) is None:
            return
        self._session().tell(LegLeaves(message.leg))
        if self._memory.legs:
            legs = self.system.ref(f"{self._base}/legs")
            legs.tell(TerminateChild(message.leg))

    # -- the conversation -------------------------------------------------------------------

    @handles
    def on_what_stands(self, message: WhatStands) -> Standing:
        self._memory.sessions += 1
        self._memory.epoch = max(self._memory.epoch, (self._memory.sessions - 1) * EPOCHS_PER_LIFE)
        return Standing(
            tuple(self._memory.history),
            self._memory.epoch,
            self._memory.turn,
            self._memory.agent,
            tuple(self._memory.legs.values()),
            self._memory.under_way,
            self._memory.heard,
            first=not self._memory.begun,
        )

    @handles
    def on_began(self, message: Began) -> None:
        self._memory.epoch = max(self._memory.epoch, message.epoch)
        self._memory.turn, self._memory.agent = message.turn, message.agent
        self._memory.under_way, self._memory.begun = message.epoch, True
        self._memory.heard = ""

    @handles
    def on_spoken(self, message: Spoken) -> None:
        if self._memory.under_way == message.epoch:
            self._memory.heard = message.text

    @handles
    def on_over(self, message: Over) -> None:
        if self._memory.under_way == message.epoch:
            self._memory.under_way = 0

    @handles
    def on_commit(self, message: Commit) -> None:
        self._memory.history.append(message.item)

    @handles
    def on_describe(self, message: DescribeCall) -> CallStatus:
        return CallStatus(
            self._id,
            self._memory.state,
            tuple(self._memory.history),
            tuple(self._memory.legs),
            self._memory.agent,
            self.now - self._memory.began_at,
        )

    @handles
    def on_steer(self, message: Say | HangUp) -> None:
        self._session().tell(message)

    # -- the end ----------------------------------------------------------------------------

    @handles
    def on_end(self, message: EndCall) -> None:
        if self._memory.state is CallState.ENDED:
            return
        self._memory.state = CallState.ENDED
        logger.info("%s has ended: %s", self._base, message.reason)
        lines = [leg.line for leg in self._memory.legs.values()]
        self.start_task(_close, lines, message.reason, name="close", to=lambda _none: LinesClosed())
        history, seconds = tuple(self._memory.history), self.now - self._memory.began_at
        self.system.events.publish(CallEnded(self._id, message.reason, history, seconds))

    @handles
    def on_lines_closed(self, message: LinesClosed) -> None:
        self.stop()

    @handles
    def on_wake(self, message: Wake) -> None:
        """Nobody came."""
        if self._memory.state is CallState.RINGING:
            self._memory.state = CallState.ENDED
            self.stop()

    def _session(self) -> ActorRef[LegJoins | LegLeaves | Say | HangUp]:
        return self.system.ref(f"{self._base}/session")


async def _close(lines: Sequence[ActorRef[CloseLine]], reason: str) -> None:
    replies = [line.ask(CloseLine(reason), timeout=CLOSE_WITHIN) for line in lines]
    for reply in replies:
        with suppress(SupervisionError):  # who cannot be told is stopped all the same
            await reply


def _letters(number: int) -> str:
    """Legs are called a, b, …, z, aa, ab, …

    >>> _letters(1), _letters(27)
    ('a', 'aa')
    """
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(ord("a") + rest) + name
    return name
