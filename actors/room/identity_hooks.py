"""Identity hooks: people's code that decides about senders whom the resolver does not know."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from math import inf
from typing import Any

import attrs
from attrs.validators import gt, in_, instance_of, lt

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.identifying import IdentityHookResult
from models.rooms.errors import AlreadyThere
from models.rooms.event import RoomEvent
from models.rooms.identity import IdentityResult
from models.rooms.kinds import ChannelDirection, ChannelType
from models.rooms.room import RoomContext
from supervision import ActorRef, Request


@attrs.frozen
class AskIdentityHooks(Request[IdentityHookResult | None]):
    """What the hooks make of a sender nobody knows for certain; None if none of them says.

    An actor that is a hook is asked this very thing. Refused (`RefusedFor`) with Overloaded.
    """

    trigger: HookTrigger
    event: RoomEvent
    context: RoomContext = attrs.field(repr=False)
    result: IdentityResult


IdentityFunction = Callable[
    [RoomEvent, RoomContext, IdentityResult],
    IdentityHookResult | Awaitable[IdentityHookResult | None] | None,
]

_TRIGGERS = (HookTrigger.ON_IDENTITY_AMBIGUOUS, HookTrigger.ON_IDENTITY_UNKNOWN)


def _set_or_none(values: Iterable[Any] | None) -> frozenset[Any] | None:
    return None if values is None else frozenset(values)


@attrs.frozen(eq=False)
class IdentityHook:
    """Is asked about senders that the resolver does not know, or is not sure of."""

    trigger: HookTrigger = attrs.field(converter=HookTrigger, validator=in_(_TRIGGERS))
    call: IdentityFunction | ActorRef[AskIdentityHooks] = attrs.field(repr=False)
    """A function, plain or async, of event, context and the resolver's result; or an actor. A
    plain one runs on the loop, so it must not wait. None leaves the decision to the next hook."""
    name: str = attrs.field(validator=instance_of(str))
    priority: int = 0
    """The lowest goes first; of equals, who came first."""
    timeout: float = attrs.field(default=30.0, validator=[gt(0), lt(inf)])
    """Seconds it may take; then it is passed over."""
    channel_types: frozenset[ChannelType] | None = attrs.field(default=None, converter=_set_or_none)
    """Senders on these only. Of all three filters: None is any."""
    channel_ids: frozenset[str] | None = attrs.field(default=None, converter=_set_or_none)
    directions: frozenset[ChannelDirection] | None = attrs.field(
        default=None, converter=_set_or_none
    )

    @name.default
    def _named_after_call(self) -> str:
        if isinstance(self.call, ActorRef):
            return self.call.path
        return getattr(self.call, "__name__", type(self.call).__name__)

    def wants(self, trigger: HookTrigger, event: RoomEvent) -> bool:
        """Whether it is asked about the sender of that event."""
        source = event.source
        return (
            self.trigger is trigger
            and (self.channel_types is None or source.channel_type in self.channel_types)
            and (self.channel_ids is None or source.channel_id in self.channel_ids)
            and (self.directions is None or source.direction in self.directions)
        )


@attrs.define
class IdentityHooks:
    """The hooks of a node, in the order they are asked. They outlive the desk's restarts."""

    _hooks: list[IdentityHook] = attrs.field(factory=list)

    @classmethod
    def of(cls, hooks: Iterable[IdentityHook]) -> IdentityHooks:
        """In the order of their registration.

        Raises:
            AlreadyThere: two on one trigger have the same name.
        """
        table = cls()
        for hook in hooks:
            table.add(hook)
        return table

    def add(self, hook: IdentityHook) -> None:
        """One more.

        Raises:
            AlreadyThere: its trigger has one of that name.
        """
        for other in self._hooks:
            if other.trigger is hook.trigger and other.name == hook.name:
                raise AlreadyThere(f"hook on {hook.trigger.value}", hook.name)
        self._hooks.append(hook)
        self._hooks.sort(key=lambda each: each.priority)  # keeps the order of equals

    def remove(self, name: str) -> bool:
        """None of that name any more; whether there was one."""
        before = len(self._hooks)
        self._hooks = [hook for hook in self._hooks if hook.name != name]
        return len(self._hooks) < before

    def matching(self, trigger: HookTrigger, event: RoomEvent) -> Sequence[IdentityHook]:
        """Those that are to be asked, in this order."""
        return [hook for hook in self._hooks if hook.wants(trigger, event)]

    def __len__(self) -> int:
        return len(self._hooks)
