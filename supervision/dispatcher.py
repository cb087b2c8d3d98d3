"""The dispatcher: one trio task that runs the handlers of all actors, a slice at a time.

Its bounds: an actor handles at most 16 messages in a turn, fewer when many are ready, so that a
round of all of them stays short; all actors together run for a millisecond, then trio has its turn
(sockets, timers, other tasks). Realtime actors go before ordinary ones, which keep one turn in
nine. Signals (stop, suspend, a child's end) go before all.

Handlers run with KeyboardInterrupt protection: Ctrl-C is delivered to the main task, never into
the middle of a state change.
"""

from __future__ import annotations

from contextvars import copy_context
from time import perf_counter
from typing import TYPE_CHECKING

import trio
from trio.lowlevel import Abort, RaiseCancelT, enable_ki_protection

from supervision.errors import Refuse
from supervision.messages import IDLE

if TYPE_CHECKING:
    from supervision.cell import Cell
    from supervision.node import Node

REALTIME_TURNS = 8
"""Realtime turns in a row before an ordinary actor that waits has one."""

ROUND = 256
"""Messages in a round of all ready ordinary actors, about: with many ready, each gets fewer."""


class Dispatcher:
    """Runs ready actors until the node closes."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.slice_s = node.config.slice_ms / 1000
        self.messages = node.config.slice_messages
        self._realtime_turns = 0

    @enable_ki_protection
    async def run(self) -> None:
        """Dispatch for ever; run by the node under its shield."""
        node = self.node
        node.dispatcher = trio.lowlevel.current_task()
        # Tasks that handlers start inherit the context they run in, so a slice that runs in
        # another task runs in a copy of the dispatcher's context.
        run_here = copy_context().run

        def lend() -> None:
            if not node.asleep and node.current is IDLE:
                run_here(self.slice)

        node.lend = lend
        urgent, realtime, ordinary = node.urgent, node.realtime, node.ordinary
        while True:
            if not (urgent or realtime or ordinary):
                node.asleep = True
                await trio.lowlevel.wait_task_rescheduled(self._stop_sleeping)
            self.slice()
            if urgent or realtime or ordinary:
                await trio.lowlevel.checkpoint()
                # trio may give the timers' own task its turn after ours: a whole slice late.
                node.timers.fire_due()

    def _stop_sleeping(self, _raise_cancel: RaiseCancelT) -> Abort:
        self.node.asleep = False
        return Abort.SUCCEEDED

    def slice(self) -> None:
        """Run ready actors for a slice of time."""
        node = self.node
        urgent, realtime, ordinary = node.urgent, node.realtime, node.ordinary
        messages, few = self.messages, ROUND // self.messages
        now = node.turn_started = perf_counter()
        end = now + self.slice_s
        while now < end:
            if urgent:
                urgent.popleft().take_signals()
                now = node.turn_started = perf_counter()
                continue
            if realtime and (self._realtime_turns < REALTIME_TURNS or not ordinary):
                self._realtime_turns += 1
                cell = realtime.popleft()
            elif ordinary:
                self._realtime_turns = 0
                cell = ordinary.popleft()
            else:
                return
            if cell.halt:
                cell.parked = True
                continue
            ready = len(ordinary)
            self.turn(cell, messages if ready <= few else max(1, ROUND // ready))
            started, now = now, perf_counter()
            cell.busy += now - started
            node.turn_started = now

    def turn(self, cell: Cell, limit: int) -> None:
        """Let one actor handle up to `limit` messages."""
        node = self.node
        node.turns += 1
        inbox = cell.inbox
        if (
            cell.remote
            or cell.ring is not None
            or cell.poison is not None
            or (node.tap is not None and node.tap.at(cell.path))
        ):
            self._unusual_turn(cell, limit)
        else:
            # The hot loop of the whole product: every line here is paid for by every message.
            popleft = inbox.popleft
            actor = cell.actor
            table = cell.table
            node.running = cell
            count = 0
            try:
                while inbox and count < limit:
                    count += 1
                    node.current = envelope = popleft()
                    message = envelope[2]
                    value = table[type(message)](actor, message)
                    # `defer`, `stash` and async handlers take the reply out of `current`.
                    reply = node.current[3]
                    if reply is not None:
                        reply.settle(value, None)
                    if cell.halt:
                        break
            except BaseException as error:  # noqa: BLE001  whatever it is, it is this actor's crash
                self._raised(cell, error)
            node.current = IDLE
            node.running = None
            cell.handled += count
        if cell.room is not None:
            cell.made_room()
        if cell.halt:
            cell.parked = True
        elif inbox:
            cell.lane.append(cell)
            if cell.backlog_since == 0.0:
                cell.backlog_since = node.turn_started
        else:
            cell.ready = False
            cell.backlog_since = 0.0

    def _raised(self, cell: Cell, error: BaseException) -> None:
        """A handler raised: a refusal is an answer, anything else the end of this life."""
        node = self.node
        envelope = node.current
        life = cell.life
        assert life is not None
        if isinstance(error, Refuse):
            life.refuse(envelope[3], error)
        else:
            life.in_hand = envelope
            cell.signal(life.crash, error, envelope)

    def _unusual_turn(self, cell: Cell, limit: int) -> None:
        """A turn of an actor that runs elsewhere, or that somebody observes."""
        node = self.node
        if cell.remote:
            if cell.life is not None and cell.life.executor is not None:
                cell.life.executor.feed()
            return
        node.running = cell
        count = 0
        while cell.inbox and count < limit and not cell.halt:
            count += 1
            node.current = envelope = cell.inbox.popleft()
            if cell.poison is not None and not cell.poison.admits(envelope):
                continue
            # By the node's clock, so that the durations of a simulation are repeatable too.
            started = node.time()
            error: BaseException | None = None
            try:
                value = cell.table[type(envelope[2])](cell.actor, envelope[2])
                reply = node.current[3]
                if reply is not None:
                    reply.settle(value, None)
            except BaseException as raised:  # noqa: BLE001  whatever it is, it is this actor's crash
                error = raised
            ended = node.time()
            node.observed(cell, envelope, ended - started, error, at=ended)
            if error is not None:
                self._raised(cell, error)
                break
        node.current = IDLE
        node.running = None
        cell.handled += count
