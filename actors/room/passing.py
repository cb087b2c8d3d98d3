"""Passages through a room: begun, advanced when what they wait for has come, and ended in time."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from actors.machines.room.broadcast import redrive
from actors.machines.room.cascade import Cascade
from actors.machines.room.line import Passage
from actors.machines.room.steps import Lock, Steps, Turned
from actors.room.messages import Late, Pump, Reread
from actors.room.opening import OpenedRoom
from actors.room.waiting import Came
from models.rooms.errors import (
    Conflict,
    RoomsError,
    StoreUnavailable,
)
from supervision import handles
from transports.stores.requests import Advance

REREAD_PAUSE = 5.0
"""Seconds until a store that was away is asked again, if nobody at the door asks sooner."""


class PassingRoom(OpenedRoom):
    """The second layer: one passage at a time is inside."""

    # -- passages -------------------------------------------------------------------------

    def _arrive(
        self,
        steps: Steps[Any],
        done: Callable[[Any, Exception | None], None],
        *,
        cascade: Cascade | None = None,
        sender: object = None,
        run: str = "",
        depth: int = 0,
    ) -> None:
        """Begin a passage, in a step of its own: what it waits for must not inherit the patience
        of whoever asked.
        """
        deadline = self.now + self._plan.settings.process_timeout
        self._passages += 1
        name = f"p{self._passages}"
        passage = Passage(steps, done, cascade, sender, deadline, name, run, depth)
        if not self._arrived:
            self.ref.tell(Pump())
        self._arrived.append(passage)

    @handles
    def on_pump(self, message: Pump) -> None:
        arrived, self._arrived = self._arrived, []
        for passage in arrived:
            self._line.come(passage)
            self._advance(passage, None, None)
        self._flush()

    @handles
    def on_came(self, message: Came) -> None:
        passage = message.passage
        if passage.number != message.number:
            return  # it did not wait so long
        if isinstance(message.error, StoreUnavailable | Conflict):
            self._unsure = True
        if passage.inside and self._line.inside[-1] is not passage:
            passage.answer = (message.value, message.error)
            return
        self._advance(passage, message.value, message.error)
        self._flush()

    def _advance(self, passage: Passage, value: Any, error: Exception | None) -> None:
        """Go on with a passage until it waits, or is over."""
        self._core.now = self._plan.wall()
        passage.number += 1
        try:
            steps = passage.steps
            wait = steps.throw(error) if error is not None else steps.send(value)
        except StopIteration as stop:
            self._leave(passage, stop.value, None)
            return
        except (Turned, RoomsError) as fault:
            self._leave(passage, None, fault)
            return
        passage.waits = wait
        if not isinstance(wait, Lock):  # for that it waits at the door
            self._waiting.carry_out(passage, wait)
        if passage.can_expire and passage.deadline < math.inf:
            self._arm_late(passage.deadline)

    def _leave(self, passage: Passage, value: Any, fault: Exception | None) -> None:
        below = self._line.leave(passage)
        passage.done(value, fault)
        if below is not None and below.answer is not None:
            (value, error), below.answer = below.answer, None
            self._advance(below, value, error)

    def _flush(self) -> None:
        """Let in who may go in, and do what was decided, until nothing is left to do."""
        core = self._core
        while True:
            if not self._unsure:
                while (passage := self._line.next()) is not None:
                    self._advance(passage, None, None)
            elif not self._line.inside:
                self._reread()
            if not core.out:
                break
            out, core.out = core.out, []
            for effect in out:
                self._outbox.carry_out(effect)
        self._status = core.room.status.value
        self._used_at = self.now
        # While somebody waits for more, the cursor of the room as a whole has time: what was
        # delivered to whom is what a restart goes by.
        if core.moved or (core.delivered_index != self._told and not self._callers):
            self._told = core.delivered_index
            moved, core.moved = core.moved, {}
            self._store.tell(Advance(self._id, moved, self._told))
        self._after_step()
        self._arm_timers()

    # -- lateness ---------------------------------------------------------------------------

    def _arm_late(self, deadline: float) -> None:
        if self._late is None:
            self._late = self.send_after(max(0.0, deadline - self.now), Late())

    @handles
    def on_late(self, message: Late) -> None:
        """Passages that are not on their way to disk by now end, and leave no trace."""
        self._late = None
        soonest = math.inf
        for passage in list(self._line):
            suspended = passage.inside and self._line.inside[-1] is not passage
            if not passage.can_expire or passage.cascade is None or suspended:
                continue
            if passage.deadline <= self.now:
                timeout = self._plan.settings.process_timeout
                self._core.announce("process_timeout", {"timeout": timeout})
                self._advance(passage, None, Turned("process_timeout"))
            else:
                soonest = min(soonest, passage.deadline)
        if soonest < math.inf:
            self._arm_late(soonest)
        self._flush()

    # -- the store was away -------------------------------------------------------------------

    def _reread(self) -> None:
        """Nobody goes in before it is known what is on disk.

        With nobody at the door it is read all the same, but not without a pause: what was committed
        unheard has still to be brought.
        """
        if not self._rereading and (self._line.waiting or self.now >= self._reread_from):
            self._rereading = True
            self.start_task(
                self._read,
                self._core.room.latest_index,
                name="read again",
                to=Reread,
                failed=lambda error: Reread(None, str(error)),
            )

    _rereading = False
    _reread_from = -math.inf

    @handles
    def on_reread(self, message: Reread) -> None:
        self._rereading = False
        if message.found is None:
            fault = StoreUnavailable(message.problem)
            self._reread_from = self.now + REREAD_PAUSE
            self.send_after(REREAD_PAUSE, Pump())
            for passage in list(self._line.waiting):
                self._advance(passage, None, fault)
        else:
            record, events = message.found
            self._unsure = False
            self._reread_from = -math.inf
            self._core.reread(record)
            redrive(self._core, self._turns, events)
        self._flush()
