"""The registry: which channels and hooks the node has. All rooms share its snapshot."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from actors.machines.room.hooking import Hook, HookTable
from actors.room.plan import RoomsPlan
from actors.room.registrations import (
    CurrentRegistrations,
    Registrations,
    RegistrationsChanged,
)
from models.rooms.channel import ChannelSpec, TransportSpec
from models.rooms.errors import AlreadyThere, RoomsError
from models.rooms.info import ChannelInfo
from models.rooms.refusals import RefuseFor
from models.rooms.traffic import FrameworkEvent
from supervision import Actor, ChildSpec, Refused, Request, SupervisionError, System, handles
from supervision.supervisor import StartChild, TerminateChild, WhichChildren


@attrs.frozen
class RegisterChannel(Request[None]):
    """One more channel; a transport is started.

    Refused with AlreadyThere, and with a RoomsError that says why if it does not start.
    """

    spec: ChannelSpec


@attrs.frozen
class UnregisterChannel(Request[ChannelInfo | None]):
    """Let go of a channel: its actor stops, its bindings stay. None if there was none."""

    channel_id: str


@attrs.frozen
class AddHook(Request[None]):
    """A hook for all rooms. Refused with AlreadyThere."""

    hook: Hook


@attrs.frozen
class RemoveHook(Request[bool]):
    """Whether there was one of that name."""

    name: str


@attrs.define(eq=False)
class Kept:
    """What was registered: it outlives a crash of the registry, or the rooms would lose it all."""

    registrations: Registrations | None = None


RegistryMessage = RegisterChannel | UnregisterChannel | AddHook | RemoveHook | CurrentRegistrations


class Registry(Actor[RegistryMessage]):
    """Holds what is registered, tells the rooms, and starts the transports."""

    def __init__(
        self,
        plan: RoomsPlan,
        initial: Callable[[System], Registrations],
        kept: Kept | None = None,
    ) -> None:
        """`initial`: makes what the composition root knows of, if nothing is kept yet."""
        super().__init__()
        self._plan = plan
        self._initial = initial
        self._kept = kept or Kept()
        self._now = Registrations()

    async def on_start(self) -> None:
        registrations = self._kept.registrations or self._initial(self.system)
        for spec in registrations.channels.values():
            await self._start(spec)
        await self._change(registrations)

    def __repr__(self) -> str:
        return f"<Registry: {len(self._now.channels)} channels, {len(self._now.hooks)} hooks>"

    @handles
    def on_current(self, request: CurrentRegistrations) -> Registrations:
        return self._now

    @handles
    async def on_register(self, request: RegisterChannel) -> None:
        info = request.spec.info
        if info.id in self._now.channels:
            raise RefuseFor(AlreadyThere("channel", info.id))
        try:
            await self._start(request.spec)
        except Refused as refused:
            raise RefuseFor(RoomsError(str(refused))) from refused
        channels = {**self._now.channels, info.id: request.spec}
        await self._change(attrs.evolve(self._now, channels=channels))
        self._announce("channel_registered", info.id, {"channel_type": info.type.value})

    @handles
    async def on_unregister(self, request: UnregisterChannel) -> ChannelInfo | None:
        name = request.channel_id
        spec = self._now.channels.get(name)
        if spec is None:
            return None
        channels = {k: v for k, v in self._now.channels.items() if k != name}
        await self._change(attrs.evolve(self._now, channels=channels))
        if isinstance(spec, TransportSpec):
            try:
                await self.system.ref(self._plan.channels).ask(TerminateChild(name))
            except Refused:
                pass  # it had failed for good: there is nothing left to stop
        self._announce("channel_unregistered", name, {"channel_type": spec.info.type.value})
        return spec.info

    @handles
    async def on_add_hook(self, request: AddHook) -> None:
        try:
            hooks: HookTable = self._now.hooks.with_hook(request.hook)
        except RoomsError as error:
            raise RefuseFor(error) from None
        await self._change(attrs.evolve(self._now, hooks=hooks))

    @handles
    async def on_remove_hook(self, request: RemoveHook) -> bool:
        hooks = self._now.hooks.without(request.name)
        if hooks is self._now.hooks:
            return False
        await self._change(attrs.evolve(self._now, hooks=hooks))
        return True

    async def _start(self, spec: ChannelSpec) -> None:
        """An agent's actors are begun by the rooms it is in."""
        name = spec.info.id
        if not isinstance(spec, TransportSpec):
            return
        if self.system.find(f"{self._plan.channels}/{name}") is not None:
            return  # it outlived an earlier life of this actor
        child = ChildSpec(name, spec.start)
        await self.system.ref(self._plan.channels).ask(StartChild(child))

    async def _change(self, registrations: Registrations) -> None:
        """From now on that is how it is: tell those who keep a snapshot."""
        self._now = self._kept.registrations = registrations
        told = RegistrationsChanged(registrations)
        rooms = await self.system.ref(self._plan.rooms).ask(WhichChildren())
        paths = [f"{self._plan.rooms}/{room.id}/room" for room in rooms]
        for path in (self._plan.desk, *paths):
            ref = self.system.find(path)
            if ref is None:
                continue
            try:
                ref.tell(told)
            except SupervisionError:
                pass  # it stops just now, and asks again when it starts

    def _announce(self, kind: str, channel_id: str, data: dict[str, str]) -> None:
        if self.system.events.wants(FrameworkEvent):
            plan = self._plan
            self.system.events.publish(
                FrameworkEvent(plan.new_id(), kind, plan.wall(), channel_id=channel_id, data=data)
            )
