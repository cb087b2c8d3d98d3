"""A room's actor begins: it reads its room, meets its siblings, and goes on where it stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import attrs

from actors.machines.room.broadcast import redrive
from actors.machines.room.cascade import Cascade
from actors.machines.room.core import RoomCore
from actors.machines.room.hooking import HookTable
from actors.machines.room.line import Line, Passage
from actors.machines.room.pipeline import Pipeline
from actors.machines.room.turns import Turns
from actors.room.around import Around
from actors.room.delivery import CutStreams
from actors.room.hook_runner import HookRunner
from actors.room.household import Household
from actors.room.messages import Rest, RoomMessage
from actors.room.outbox import Outbox, agent_name, delivery_name
from actors.room.plan import RoomsPlan
from actors.room.registrations import CurrentRegistrations
from actors.room.waiting import Waiting
from models.rooms.errors import (
    RoomNotFound,
)
from models.rooms.event import RoomEvent
from models.rooms.kinds import ChannelCategory
from supervision import Actor, ChildSpec, Mailbox, Overflow, Promise
from supervision.timers import Timer
from transports.stores.backend import EventFilter, Page, RoomRecord
from transports.stores.requests import GetTimeline, LoadRoom

WITH_BLOCKED = EventFilter(include_blocked=True)
HOOKS = "hooks"


@attrs.define(eq=False)
class KeptHooks:
    """A room's own hooks outlive a crash of its actor: nobody would notice that one is missing."""

    table: HookTable = attrs.field(factory=HookTable)


class OpenedRoom(Actor[RoomMessage]):
    """The first layer: what the room knows, and how it came to know it."""

    # Admission counts cascades, below; this only has to hold what those lead to.
    mailbox = Mailbox(100_000, Overflow.REFUSE)

    def __init__(self, room_id: str, plan: RoomsPlan, kept: KeptHooks | None = None) -> None:
        super().__init__()
        self._id = room_id
        self._plan = plan
        self._status = "opening"
        self._kept = kept or KeptHooks()
        self._line = Line()
        self._arrived: list[Passage] = []
        self._callers: dict[Cascade, tuple[Promise[Any], Callable[[Cascade], Any]]] = {}
        self._refused = 0
        self._passages = 0
        self._told = -1
        """The delivery cursor that the store knows."""
        self._unsure = False
        """A commit may or may not have been made: the store knows."""
        self._away = False
        """It takes nothing more, and waits to be stopped."""
        self._used_at = 0.0
        self._timer: Timer | None = None
        self._late: Timer | None = None

    @property
    def _own_hooks(self) -> HookTable:
        return self._kept.table

    @_own_hooks.setter
    def _own_hooks(self, table: HookTable) -> None:
        self._kept.table = table

    # -- what the layers above add ----------------------------------------------------------

    def _settle(self, cascade: Cascade) -> None:
        """All that a message caused is done."""

    def _flush(self) -> None:
        """Do what was decided."""

    def _after_step(self) -> None:
        """Whatever was waited for may have come."""

    def _arm_timers(self) -> None:
        """Be told when the room's timers have something to do."""

    # -- beginning ------------------------------------------------------------------------

    async def on_start(self) -> None:
        plan = self._plan
        self._registrations = await self.system.ref(plan.registry).ask(CurrentRegistrations())
        self._store = self.system.ref(plan.store)
        record, events = await self._read(-1)
        self._begin(record, events)

    async def _read(self, known: int) -> tuple[RoomRecord, Sequence[RoomEvent]]:
        """The room as it is on disk, and what of it was not brought to everybody.

        Args:
            known: events up to here are in hand already.
        """
        settings = self._plan.settings
        asked = [info.recent_events_window for info in self._registrations.infos.values()]
        window = min(max([settings.window, *asked]), settings.most_window)
        timeout = self._plan.store_timeout
        record = await self._store.ask(LoadRoom(self._id, window), timeout=timeout)
        if record is None:
            raise RoomNotFound("room", self._id)
        room = record.context.room
        events: list[RoomEvent] = []
        after = max(room.delivered_index, known)
        while after < room.latest_index:
            page = Page(limit=1000, after_index=after)
            request = GetTimeline(self._id, WITH_BLOCKED, page)
            more = await self._store.ask(request, timeout=timeout)
            if not more:
                break
            events += more
            after = more[-1].index
        return record, events

    def _begin(self, record: RoomRecord, events: Sequence[RoomEvent]) -> None:
        plan, registrations = self._plan, self._registrations
        self._core = RoomCore.restored(
            record,
            channels=registrations.infos,
            settings=plan.settings,
            hooks=registrations.hooks.and_of_room(self._own_hooks),
            new_id=plan.new_id,
            now=plan.wall(),
        )
        self._turns = Turns(self._core)
        self._pipeline = Pipeline(self._core, self._turns, plan.identity)
        self._household = Household(self.system.ref(f"{plan.rooms}/{self._id}"), self.pipe)
        around = Around(
            self,
            plan,
            self._id,
            self._store,
            self._household,
            partial(ChildSpec, HOOKS, partial(HookRunner, self._id, self.ref, plan.hooks)),
            lambda: self._registrations,
            lambda: self._core.hooks,
            lambda: self._core.context,
        )
        self._waiting = Waiting(around)
        self._outbox = Outbox(around, self._settle)
        self._told = self._core.delivered_index
        self._meet_siblings()
        redrive(self._core, self._turns, events)
        self._flush()
        self.send_after(plan.rest_after, Rest())

    def _meet_siblings(self) -> None:
        """They may have outlived an earlier life of this actor.

        Deliveries go on, and know what they were given; what agents were making has nobody any
        more to make it for.
        """
        here = f"{self._plan.rooms}/{self._id}"
        refs = self._household.refs
        for name, binding in self._core.bindings.items():
            agent = binding.category is ChannelCategory.INTELLIGENCE
            member = agent_name(name) if agent else delivery_name(name)
            sibling = self.system.find(f"{here}/{member}")
            if sibling is None:
                continue
            refs[member] = sibling
            if agent:
                self._household.dismiss(member)
            else:
                sibling.tell(CutStreams())
        runner = self.system.find(f"{here}/{HOOKS}")
        if runner is not None:
            refs[HOOKS] = runner
