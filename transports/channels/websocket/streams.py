"""The answers that are being made in all rooms of a channel: what they say so far. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.rooms.channel import StreamClosed, StreamOpened, StreamText
from models.rooms.event import SEGMENTED
from transports.channels.websocket import messages
from transports.channels.websocket.decisions import Chunk
from transports.channels.websocket.protocol import EndStream, Stream


@attrs.define(eq=False)
class _Open:
    room_id: str
    start: str = attrs.field(repr=False)
    text: str = attrs.field(default="", repr=False)
    full: bool = False
    """It has become too long to be shown before its end."""


class Streams:
    """By their ids, the oldest first."""

    def __init__(self, most: int, most_text: int) -> None:
        """Bound them: so many at once, and so many characters of each that are shown."""
        self._most = most
        self._most_text = most_text
        self._open: dict[str, _Open] = {}
        self.given_up = 0
        """Answers that are shown no longer, because there were too many."""

    def __len__(self) -> int:
        return len(self._open)

    def opened(self, message: StreamOpened) -> Sequence[Stream | EndStream]:
        """One begins. What to show of it, and of those that had to make room."""
        shown: list[Stream | EndStream] = []
        while len(self._open) >= self._most:
            self.given_up += 1
            shown.append(self._give_up(next(iter(self._open)), "too many answers are being made"))
        room_id, stream_id = message.room_id, message.stream_id
        start = messages.stream_start(room_id, stream_id, message.event)
        self._open[stream_id] = _Open(room_id, start)
        return [*shown, Stream(start, Chunk(room_id, stream_id, "", ""))]

    def said(self, message: StreamText) -> Stream | None:
        """More of one. What to show of it."""
        stream = self._open.get(message.stream_id)
        if stream is None or stream.full or not message.delta:
            return None
        stream.text += message.delta
        if len(stream.text) > self._most_text:
            # Each chunk holds all of the text, so a long one costs more with every word.
            stream.full = True
            stream.text = ""
            return None
        chunk = Chunk(stream.room_id, message.stream_id, message.delta, stream.text)
        return Stream(stream.start, chunk)

    def closed(self, message: StreamClosed) -> EndStream:
        """One is made, or cut off."""
        self._open.pop(message.stream_id, None)
        event = message.event
        segmented = event is not None and bool(event.metadata.get(SEGMENTED))
        item = None if event is None else messages.item_of(event)
        return EndStream(message.room_id, message.stream_id, item, segmented, message.error)

    def room_gone(self, room_id: str) -> Sequence[EndStream]:
        """A room no longer has the channel."""
        gone = [stream_id for stream_id, it in self._open.items() if it.room_id == room_id]
        return [self._give_up(id, "the room no longer has this channel") for id in gone]

    def _give_up(self, stream_id: str, why: str) -> EndStream:
        """Show no more of it; its event comes all the same."""
        return EndStream(self._open.pop(stream_id).room_id, stream_id, None, False, why)
