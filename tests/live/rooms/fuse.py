"""What stops a node dead at one step of its work, as a power cut would."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import attrs

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from actors.room.scripted_agent import ScriptedAgent
from models.rooms.channel import (
    AgentSpec,
    BindingChanged,
    CancelTurn,
    DeskMessage,
    React,
    TurnText,
)
from models.rooms.content import Text, text_of
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.room import Room
from models.rooms.traffic import ProviderResult
from models.rooms.turns import Answer, Reaction
from supervision import Actor, ActorRef, handles
from transports.channels.webhook import WebhookChannel, WebhookConfig
from transports.stores.backend import Change, RoomRecord
from transports.stores.sql import SqlBackend
from transports.stores.sql_driver import SqlDatabase


@attrs.define(eq=False)
class Fuse:
    """Counts the passages of one step, and blows at the one that was asked for."""

    step: str
    """"" never blows."""
    left: int
    armed: bool = False
    _lock: threading.Lock = attrs.field(factory=threading.Lock)

    @classmethod
    def of(cls, text: str) -> Fuse:
        """From "step:count"."""
        step, _, count = text.partition(":")
        return cls(step, int(count or 0))

    def passes(self, step: str) -> None:
        """The node does this now."""
        with self._lock:
            if not self.armed or step != self.step:
                return
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGKILL)


class FusedBackend(SqlBackend):
    """A store that may end in the middle of a write. Only rooms and events are counted."""

    def __init__(self, database: SqlDatabase, fuse: Fuse) -> None:
        super().__init__(database)
        self._fuse = fuse
        self._wrote = False

    def create_room(self, room: Room) -> None:
        self._fuse.passes("create.before")
        super().create_room(room)
        self._wrote = True
        self._fuse.passes("create.after")

    def change(self, change: Change) -> None:
        counted = bool(change.events)
        if counted:
            self._fuse.passes("write.before")
        super().change(change)
        if counted:
            self._wrote = True
            self._fuse.passes("write.after")

    def flush(self) -> None:
        wrote, self._wrote = self._wrote, False
        if wrote:
            self._fuse.passes("commit.before")
        super().flush()
        if wrote:
            self._fuse.passes("commit.after")

    def advance(self, room_id: str, cursors: Any, delivered_index: int) -> None:
        self._fuse.passes("cursor.before")
        super().advance(room_id, cursors, delivered_index)
        self._fuse.passes("cursor.after")

    def load_room(self, room_id: str, window: int) -> RoomRecord | None:
        self._fuse.passes("load.before")
        return super().load_room(room_id, window)


class FusedWebhook(WebhookChannel):
    """A webhook that may end before or after the receiver has the event."""

    def __init__(
        self,
        info: ChannelInfo,
        desk: ActorRef[DeskMessage],
        webhook: WebhookConfig,
        fuse: Fuse,
    ) -> None:
        super().__init__(info, desk, webhook)
        self._fuse = fuse

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        self._fuse.passes("deliver.before")
        result = await super().send(event, to, key)
        self._fuse.passes("deliver.after")
        return result


def fused_hooks(fuse: Fuse) -> list[Hook]:
    """One that is asked before an event is kept, and one that is told after it was brought."""

    def before(event: RoomEvent, context: object) -> HookResult:
        fuse.passes("hook.before")
        return HookResult.allow()

    def after(event: RoomEvent, context: object) -> None:
        fuse.passes("hook.after")

    return [
        Hook(HookTrigger.BEFORE_BROADCAST, before),
        Hook(HookTrigger.AFTER_BROADCAST, after, execution=HookExecution.ASYNC),
    ]


def echoing(fuse: Fuse) -> AgentSpec:
    """An agent that answers "re: ..." to everything, and may end in the middle of it."""
    info = ScriptedAgent("ai", []).info
    return AgentSpec(info, lambda _room: _Echo(fuse.passes))


class _Echo(Actor[React | BindingChanged | CancelTurn]):
    def __init__(self, passes: Callable[[str], None]) -> None:
        super().__init__()
        self._passes = passes

    @handles
    def on_react(self, react: React) -> Reaction:
        self._passes("turn.begun")
        said = text_of(react.event.content)
        if said.endswith("0"):  # some answers are streamed, the others come whole
            react.progress.tell(TurnText(react.turn, "re: "))
            self._passes("turn.middle")
            react.progress.tell(TurnText(react.turn, said))
            self._passes("turn.done")
            return Reaction()
        self._passes("turn.middle")
        self._passes("turn.done")
        return Reaction((Answer(Text(f"re: {said}")),))

    @handles
    def on_rest(self, message: BindingChanged | CancelTurn) -> None:
        """What else a room tells an agent."""
