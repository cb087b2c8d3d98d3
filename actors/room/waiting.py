"""Carrying out what passages wait for: asks whose answers come back to the room as `Came`."""

from __future__ import annotations

from typing import Any

import attrs

from actors.machines.room.line import Passage
from actors.machines.room.steps import (
    EraseEvent,
    FindEvent,
    FindIdentity,
    FindKey,
    FindTask,
    Keep,
    Resolve,
    RunHooks,
    RunIdentityHooks,
    TellAttached,
    TellDetached,
    Wait,
)
from actors.room.around import Around
from actors.room.hook_runner import RunSync
from actors.room.identity import AskIdentityHooks, ResolveSender
from models.rooms.channel import RoomAttached, RoomDetached, TransportSpec
from models.rooms.errors import NotFound, RoomsError
from models.rooms.refusals import RefusedFor
from supervision import ActorRef, Refused
from transports.stores.requests import (
    Commit,
    DeleteEvent,
    GetEvent,
    GetEventByKey,
    GetIdentity,
    GetTask,
    StoreRequest,
    store_fault,
)


@attrs.frozen
class Came:
    """What a passage waited for has come. To the room."""

    passage: Passage
    number: int
    """Of the wait."""
    value: Any = attrs.field(default=None, repr=False)
    error: RoomsError | None = None


@attrs.define(eq=False)
class Waiting:
    """Asks on behalf of one room."""

    around: Around

    def carry_out(self, passage: Passage, wait: Wait) -> None:
        """Ask whoever knows."""
        stored = self._of_store(wait)
        if stored is not None:
            self._ask_store(passage, stored)
            return
        match wait:
            case RunHooks():
                self._ask_hooks(passage, wait)
            case Resolve(message=message, event=event):
                request = ResolveSender(message, event, self.around.context())
                self._ask(passage, self.around.actor.system.ref(self.around.plan.senders), request)
            case RunIdentityHooks(trigger=trigger, event=event, result=result):
                asked = AskIdentityHooks(trigger, event, self.around.context(), result)
                self._ask(passage, self.around.actor.system.ref(self.around.plan.senders), asked)
            case TellAttached(binding=binding):
                self._tell_channel(passage, binding.channel_id, RoomAttached(binding))
            case TellDetached(channel_id=channel_id):
                self._tell_channel(passage, channel_id, RoomDetached(self.around.room_id))

    def _of_store(self, wait: Wait) -> StoreRequest[Any] | None:
        """What the store is asked for it, if it is the store that knows."""
        room_id = self.around.room_id
        match wait:
            case Keep(change=change):
                return Commit(change)
            case FindEvent(event_id=event_id):
                return GetEvent(room_id, event_id)
            case FindKey(key=key):
                return GetEventByKey(room_id, key)
            case FindIdentity(identity_id=identity):
                return GetIdentity(identity, self.around.context().room.organization_id)
            case EraseEvent(event_id=event_id, cascade_replies=cascade):
                return DeleteEvent(room_id, event_id, cascade)
            case FindTask(task_id=task_id):
                return GetTask(task_id)
            case _:
                return None

    def _ask_store(self, passage: Passage, request: StoreRequest[Any]) -> None:
        number = passage.number
        self.around.actor.pipe(
            self.around.store.ask(request, timeout=self.around.plan.store_timeout),
            to=lambda value: Came(passage, number, value),
            failed=lambda error: Came(passage, number, error=store_fault(error)),
        )

    def _ask(self, passage: Passage, ref: ActorRef[Any], request: Any) -> None:
        number = passage.number
        self.around.actor.pipe(
            ref.ask(request, timeout=self.around.plan.settings.process_timeout),
            to=lambda value: Came(passage, number, value),
            failed=lambda error: Came(passage, number, error=_fault(error)),
        )

    def _ask_hooks(self, passage: Passage, wait: RunHooks) -> None:
        context = self.around.context()
        hooks = wait.part.of(self.around.hooks().matching(wait.trigger, wait.payload))
        request = RunSync(
            wait.trigger,
            wait.payload,
            context,
            hooks,
            depth=passage.depth,
            run=passage.name,
            deadline=passage.deadline,
        )
        number = passage.number

        def ask(ref: ActorRef[Any] | None) -> None:
            if ref is None:
                gone = NotFound("hook runner of the room", self.around.room_id)
                self.around.actor.ref.tell(Came(passage, number, error=gone))
            else:
                self._ask(passage, ref, request)

        self.around.household.have("hooks", self.around.hook_runner, ask)

    def _tell_channel(self, passage: Passage, channel_id: str, request: Any) -> None:
        """Agents need not be told: they are begun with their first turn."""
        number = passage.number
        if not isinstance(self.around.registrations().channels.get(channel_id), TransportSpec):
            self.around.actor.ref.tell(Came(passage, number))
            return
        channel = self.around.actor.system.find(f"{self.around.plan.channels}/{channel_id}")
        if channel is None:
            self.around.actor.ref.tell(Came(passage, number))
        else:
            self._ask(passage, channel, request)


def _fault(error: Exception) -> RoomsError:
    if isinstance(error, RefusedFor):
        return error.error
    if isinstance(error, Refused):
        return RoomsError(error.reason)
    return RoomsError(f"{type(error).__name__}: {error}")
