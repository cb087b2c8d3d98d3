"""Where one connection stands in one room: what it has been sent, and what it is still to get.

What is committed can be fetched, and what is committed later is told. Between the two lies the time
of a fetch: what is told meanwhile is held, up to a number; beyond it, one fetches once more.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from transports.channels.websocket.messages import Item


@attrs.define(eq=False)
class Timeline:
    """One subscription."""

    room_id: str
    most_held: int
    sent: int = -1
    """The index of the last event that was sent; all up to it are done with."""
    epoch: int = 0
    """Of the last question asked about it; answers to older ones count for nothing."""
    live: bool = False
    """Nothing is being fetched: what is told goes on to the client at once."""
    announced: bool = False
    """The client has been told that it is subscribed."""
    held: list[Item] = attrs.field(factory=list)
    """What was told while older events were being fetched."""
    missed: bool = False
    """More than that was told."""
    create: bool = False
    """The client wants the room made if there is none."""
    streams: set[str] = attrs.field(factory=set)
    """Answers in the making of which the client has seen the beginning."""

    def begin(self, epoch: int) -> None:
        """Fetch what was missed, from the last one sent."""
        self.epoch = epoch
        self.live = self.missed = False
        self.held.clear()

    def hold(self, item: Item) -> None:
        """Something is told while the older events are not there yet."""
        if len(self.held) < self.most_held:
            self.held.append(item)
        else:
            self.missed = True

    def page(self, items: Sequence[Item], *, full: bool) -> tuple[Sequence[Item], bool]:
        """What was fetched came. Returns what to send now, and whether to fetch more.

        Args:
            full: there may be more after them.
        """
        fresh = self._new(items)
        # What was not held had been committed before it was told, so the next page has it. The
        # ones that were held may come after it: they are let go, and that page has them too.
        more = full or self.missed
        if self.missed:
            self.missed = False
            self.held.clear()
        if not more:
            fresh += self._new(sorted(self.held, key=lambda item: item.index))
            self.held.clear()
            self.live = True
        return fresh, more

    def _new(self, items: Sequence[Item]) -> list[Item]:
        fresh = []
        for item in items:
            if item.index > self.sent:
                self.sent = item.index
                fresh.append(item)
        return fresh
