"""An agent whose every turn is planned, for tests and examples of rooms.

    helper = ScriptedAgent("helper", ["Hello!", Turn(streams=("It is ", "5."))])
    await rooms.register_channel(helper.spec)

Each turn takes the next plan, the last one for ever. The handle outlives the actors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs
import trio

from models.rooms.channel import (
    AgentSpec,
    BindingChanged,
    CancelTurn,
    React,
    Reaction,
    TurnMessage,
    TurnText,
    TurnTool,
)
from models.rooms.content import Text, ToolCall, text_of
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelCategory, ChannelType, ToolStatus
from models.rooms.traffic import Observation, Task
from models.rooms.turns import Answer
from supervision import Actor, Promise, handles
from supervision.tasks import Task as OwnedTask


class AgentCrash(Exception):
    """The plan says so."""


@attrs.frozen
class Use:
    """The turn uses a tool, in the middle of what it streams."""

    tool: str
    result: Any = None
    seconds: float = 0.0


@attrs.frozen
class Turn:
    """What one turn does, in this order."""

    answers: Sequence[str | Answer] = ()
    streams: Sequence[str | Use] = ()
    """Pieces of text, and tool calls between them."""
    every: float = 0.0
    """Seconds before each piece."""
    after: float = 0.0
    """Seconds before anything."""
    tasks: Sequence[Callable[[React], Task]] = ()
    observations: Sequence[Callable[[React], Observation]] = ()
    error: str | None = None
    crash: bool = False
    """After what it streams."""


Plan = str | Turn | Callable[[React], "str | Turn"]


class ScriptedAgent:
    """What a test holds of the agent."""

    def __init__(self, channel_id: str, plans: Sequence[Plan], window: int = 50) -> None:
        self.plans = list(plans)
        self.seen: list[React] = []
        """Every turn it was asked for, in order."""
        self.info = ChannelInfo(
            channel_id,
            ChannelType.AI,
            ChannelCategory.INTELLIGENCE,
            provider="scripted",
            recent_events_window=window,
        )

    @property
    def spec(self) -> AgentSpec:
        """To register it with."""
        return AgentSpec(self.info, partial(_ScriptedAgent, self))

    @property
    def histories(self) -> list[list[str]]:
        """The texts it could read at each turn, without the one it answered."""
        return [[text_of(e.content) for e in r.context.recent_events] for r in self.seen]

    def next_plan(self, react: React) -> Turn:
        """Note the turn, and what it is to do."""
        plan = self.plans[min(len(self.seen), len(self.plans) - 1)]
        self.seen.append(react)
        chosen = plan(react) if callable(plan) else plan
        return Turn((chosen,)) if isinstance(chosen, str) else chosen


@attrs.frozen
class _Ended:
    turn: str
    promise: Promise[Reaction]
    reaction: Reaction


class _ScriptedAgent(Actor[React | CancelTurn | BindingChanged | _Ended]):
    def __init__(self, handle: ScriptedAgent, room_id: str) -> None:
        super().__init__()
        self._handle = handle
        self._room_id = room_id
        self._running: dict[str, OwnedTask] = {}

    @handles
    def on_react(self, react: React) -> Reaction | None:
        plan = self._handle.next_plan(react)
        if not plan.streams and not plan.after and not plan.crash:
            return self._reaction(plan, react)
        promise = self.defer()
        self._running[react.turn] = self.start_task(
            self._play,
            plan,
            react,
            to=lambda reaction: _Ended(react.turn, promise, reaction),
            cancelled=lambda: _Ended(react.turn, promise, Reaction(cancelled=True)),
        )
        return None

    @handles
    def on_ended(self, message: _Ended) -> None:
        del self._running[message.turn]
        message.promise.resolve(message.reaction)

    @handles
    def on_cancel(self, message: CancelTurn) -> None:
        task = self._running.get(message.turn)
        if task is not None:
            task.cancel()

    @handles
    def on_binding(self, message: BindingChanged) -> None:
        """It plays its plan whatever the room thinks of it."""

    async def _play(self, plan: Turn, react: React) -> Reaction:
        await trio.sleep(plan.after)
        for number, piece in enumerate(plan.streams):
            await trio.sleep(plan.every)
            if isinstance(piece, str):
                self._tell(react, TurnText(react.turn, piece))
                continue
            call = ToolCall(piece.tool, f"call-{number}")
            self._tell(react, TurnTool(react.turn, call))
            await trio.sleep(piece.seconds)
            done = attrs.evolve(call, result=piece.result, status=ToolStatus.COMPLETED)
            self._tell(react, TurnTool(react.turn, done))
        if plan.crash:
            raise AgentCrash("as planned")
        return self._reaction(plan, react)

    def _tell(self, react: React, message: TurnMessage) -> None:
        react.progress.tell(message)

    def _reaction(self, plan: Turn, react: React) -> Reaction:
        answers = tuple(
            Answer(Text(answer)) if isinstance(answer, str) else answer for answer in plan.answers
        )
        return Reaction(
            answers,
            tuple(make(react) for make in plan.tasks),
            tuple(make(react) for make in plan.observations),
            error=plan.error,
        )
