"""What a program hears from its rooms, and what its client knows of them: pure.

Frames of the server go in; news for the program, answers to its messages and frames to send come
out. Of a room each event is news once, in order, whatever connections break: where one stands is
known here, and not only on the server.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import orjson

from models.rooms.errors import BadValue
from models.rooms.event import SEGMENTED, RoomEvent
from models.rooms.traffic import EphemeralEvent
from models.rooms.wire import from_wire
from transports.channels.websocket import messages

# -- news -----------------------------------------------------------------------------------------


@attrs.frozen
class StreamBegan:
    """Somebody begins to make an answer."""

    room_id: str
    stream_id: str
    source: Mapping[str, Any]


@attrs.frozen
class StreamGrew:
    """More of it."""

    room_id: str
    stream_id: str
    delta: str = attrs.field(repr=False)
    text: str = attrs.field(repr=False)
    """All of it so far."""


@attrs.frozen
class StreamOver:
    """There is no more of it. Its event, if there is one, comes by itself."""

    room_id: str
    stream_id: str
    error: str | None = None
    """Why it was cut off."""


@attrs.frozen
class CaughtUp:
    """All older events of a room have come; the next ones are new."""

    room_id: str
    index: int


@attrs.frozen
class BindingNews:
    """What the channel may do in a room has changed."""

    room_id: str
    access: str
    muted: bool
    output_muted: bool


@attrs.frozen
class RoomOver:
    """There is no more of a room."""

    room_id: str
    reason: str


@attrs.frozen
class Problem:
    """The server could not use something that was sent."""

    code: str
    message: str
    room_id: str | None = None


@attrs.frozen
class ConnectionLost:
    """The connection broke. It comes back by itself, and nothing is missed."""

    reason: str


@attrs.frozen
class ConnectionBack:
    """It is there again."""


News = (
    RoomEvent
    | EphemeralEvent
    | StreamBegan
    | StreamGrew
    | StreamOver
    | CaughtUp
    | BindingNews
    | RoomOver
    | Problem
    | ConnectionLost
    | ConnectionBack
)


@attrs.frozen
class Accepted:
    """A message is in its room."""

    event_id: str | None
    index: int | None
    """Both None if the room does not keep such messages."""


@attrs.frozen
class Refused:
    """It is not, and why."""

    code: str
    reason: str


@attrs.define(eq=False)
class _Room:
    last: int
    """The index of the last event that was news."""
    asked: bool = False
    """A `subscribe` is on its way: what comes until it is answered belongs to an older one."""
    latest: int | None = None
    """As the server said when it answered; None until it did for the first time."""
    create: bool = False
    """The room is to be made if there is none."""
    behind: bool = False
    """The program did not keep up, and events were passed over: they are asked for again."""


class RoomNews:
    """One client's view of its rooms. Not bound to a connection."""

    def __init__(self, most: int) -> None:
        """Keep so many news at most for a program that is busy."""
        self._most = most
        self.waiting: deque[News] = deque()
        self.rooms: dict[str, _Room] = {}
        self.unanswered: dict[str, str] = {}
        """Messages that have no answer yet: their frames by id, to be said again."""
        self.answers: dict[str, Accepted | Refused] = {}
        """Of messages and, by "subscribe room", of subscriptions that were refused."""
        self.dropped = 0
        """News that were passed over because nobody read them. Events come again."""

    def __repr__(self) -> str:
        return f"<RoomNews of {len(self.rooms)} rooms: {len(self.waiting)} waiting>"

    # -- what to send ---------------------------------------------------------------------------

    def subscribe(self, room_id: str, after_index: int, create: bool = False) -> str:
        """The program wants a room's events."""
        room = self.rooms[room_id] = _Room(after_index, create=create)
        return self._ask(room_id, room)

    def unsubscribe(self, room_id: str) -> str | None:
        """It wants no more of them."""
        if self.rooms.pop(room_id, None) is None:
            return None
        return messages.frame("unsubscribe", room_id=room_id)

    def connected(self) -> Sequence[str]:
        """There is a new connection: what to say on it."""
        asks = [self._ask(room_id, room) for room_id, room in self.rooms.items()]
        return [*asks, *self.unanswered.values()]

    def _ask(self, room_id: str, room: _Room) -> str:
        room.asked = True
        room.behind = False
        create = {"create": True} if room.create else {}
        return messages.frame("subscribe", room_id=room_id, after_index=room.last, **create)

    # -- what the program reads -------------------------------------------------------------------

    def next(self) -> News | None:
        """The oldest news; None if there are none."""
        return self.waiting.popleft() if self.waiting else None

    def caught_up_reading(self) -> Sequence[str]:
        """The program has read all there was: what to say to get what was passed over."""
        if self.waiting:
            return []
        return [self._ask(name, room) for name, room in self.rooms.items() if room.behind]

    def add(self, news: News) -> bool:
        """Keep something for the program. False: there was no room for it."""
        if len(self.waiting) >= self._most:
            self.dropped += 1
            return False
        self.waiting.append(news)
        return True

    # -- what the server says -------------------------------------------------------------------

    def take(self, text: str) -> None:
        """A frame of the server.

        Raises:
            BadValue: it is none that can be read; the connection is worth nothing.
        """
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            raise BadValue(["a frame is one JSON object"]) from None
        if not isinstance(frame, dict):
            raise BadValue(["a frame is one JSON object"])
        try:
            self._take(frame)
        except (KeyError, TypeError) as error:
            raise BadValue([f"a frame of type {frame.get('type')!r} lacks {error}"]) from None

    def _take(self, frame: Mapping[str, Any]) -> None:
        match frame["type"]:
            case "event":
                self._event(from_wire(frame["event"], RoomEvent, unknown_keys=True))
            case "ephemeral":
                self.add(from_wire(frame["event"], EphemeralEvent, unknown_keys=True))
            case "accepted":
                self._answer(frame["id"], Accepted(frame["event_id"], frame["index"]))
            case "refused":
                self._answer(frame["id"], Refused(frame["code"], frame["reason"]))
            case "subscribed" | "caught_up" | "unsubscribed" | "binding":
                self._about_room(frame)
            case "stream_start" | "stream_chunk" | "stream_end" | "stream_error":
                self._about_stream(frame)
            case "error":
                self._error(frame)
            case _:
                pass  # `ready`, `pong`, and what newer servers say

    def _event(self, event: RoomEvent) -> None:
        room = self.rooms.get(event.room_id)
        if room is None or room.asked or room.behind or event.index <= room.last:
            return
        if self.add(event):
            room.last = event.index
        else:
            room.behind = True

    def _answer(self, name: str, answer: Accepted | Refused) -> None:
        if self.unanswered.pop(name, None) is not None:
            self.answers[name] = answer

    def _about_room(self, frame: Mapping[str, Any]) -> None:
        room_id = frame["room_id"]
        room = self.rooms.get(room_id)
        if room is None:
            return
        match frame["type"]:
            case "subscribed":
                room.asked = False
                room.latest = frame["latest_index"]
            case "caught_up" if not room.asked and not room.behind:
                self.add(CaughtUp(room_id, frame["index"]))
            case "binding":
                muted, output_muted = frame["muted"], frame["output_muted"]
                self.add(BindingNews(room_id, frame["access"], muted, output_muted))
            case "unsubscribed":
                del self.rooms[room_id]
                self.add(RoomOver(room_id, frame.get("reason", "")))
            case _:
                pass

    def _about_stream(self, frame: Mapping[str, Any]) -> None:
        room_id, stream_id = frame["room_id"], frame["stream_id"]
        match frame["type"]:
            case "stream_start":
                self.add(StreamBegan(room_id, stream_id, frame["source"]))
            case "stream_chunk":
                self.add(StreamGrew(room_id, stream_id, frame["delta"], frame["text"]))
            case "stream_error":
                self.add(StreamOver(room_id, stream_id, frame["error"]))
            case _:
                self.add(StreamOver(room_id, stream_id))
                if frame["event"] is not None:
                    event = from_wire(frame["event"], RoomEvent, unknown_keys=True)
                    if not event.metadata.get(SEGMENTED):
                        self._event(event)

    def _error(self, frame: Mapping[str, Any]) -> None:
        name, room_id = frame.get("id"), frame.get("room_id")
        refusal = Refused(frame["code"], frame["message"])
        if frame.get("about") == "message" and name in self.unanswered:
            self._answer(name, refusal)
        elif frame.get("about") == "subscribe" and room_id in self.rooms:
            self.answers[f"subscribe {room_id}"] = refusal
            if self.rooms[room_id].latest is not None:
                self.add(RoomOver(room_id, refusal.code))
            del self.rooms[room_id]
        else:
            self.add(Problem(refusal.code, refusal.reason, room_id))
