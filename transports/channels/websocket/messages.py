"""The JSON of the room wire, read and written. Pure; docs/room-wire.md is the table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import attrs
import orjson
from attrs.validators import max_len, min_len, optional

from models.rooms.content import (
    Composite,
    Content,
    Delete,
    Edit,
    System,
    ToolCall,
)
from models.rooms.errors import BadValue
from models.rooms.event import NOTHING, RoomEvent
from models.rooms.kinds import DeleteType, EventType
from models.rooms.room import ChannelBinding, check_id
from models.rooms.traffic import EphemeralEvent
from models.rooms.wire import from_wire, to_wire
from transports.frame_link import MOST_MESSAGE

LONGEST_ID = 200
"""Characters of a message's, an event's, a stream's id."""
LONGEST_STATUS = 100
"""Characters of a presence or an emoji."""

MOST_BODY = MOST_MESSAGE - 1024
"""Bytes of one event's JSON."""

_SAID = (EventType.MESSAGE, EventType.EDIT, EventType.DELETE)
_short: list[Any] = [min_len(1), max_len(LONGEST_ID)]


def _name(_instance: object, field: attrs.Attribute[str], value: str) -> None:
    check_id(field.name, value)


# -- what a client says -------------------------------------------------------------------------


@attrs.frozen
class Hello:
    """Who comes: the first frame of every wire."""

    participant_id: str = attrs.field(validator=_name)
    token: str | None = attrs.field(default=None, repr=False)
    display_name: str | None = attrs.field(default=None, validator=optional(max_len(LONGEST_ID)))
    stream: bool = False
    """It shows answers while they are being made."""
    channel: str | None = None
    """The channel it comes by; None if there is but one."""

    @display_name.validator
    def _some(self, _field: object, value: str | None) -> None:
        if value == "":
            raise ValueError("display_name is left out, or says something")


@attrs.frozen
class Subscribe:
    """Have the events of a room, those after an index first."""

    room_id: str = attrs.field(validator=_name)
    after_index: int | None = None
    """-1 is from the beginning; None goes on where this connection stands, or begins."""
    create: bool = False
    """Make the room, or let this channel into it, if need be."""


@attrs.frozen
class Unsubscribe:
    """Have no more of them."""

    room_id: str


@attrs.frozen
class Message:
    """Say something in a room."""

    room_id: str
    id: str = attrs.field(validator=_short)
    """The client's own, the same for every attempt: it is written once."""
    content: Content = attrs.field(repr=False)
    """Or "text", for what is nothing but words."""
    event_type: EventType = EventType.MESSAGE
    parent_event_id: str | None = None
    visibility: str = "all"
    addressed_to: Sequence[str] | None = None


@attrs.frozen
class Typing:
    """Somebody types, or no longer does."""

    room_id: str
    on: bool


@attrs.frozen
class Presence:
    """Somebody is online, away, offline, or anything else they call it."""

    room_id: str
    status: str = attrs.field(validator=[min_len(1), max_len(LONGEST_STATUS)])


@attrs.frozen
class Read:
    """Somebody has read up to an event."""

    room_id: str
    event_id: str = attrs.field(validator=_short)


@attrs.frozen
class React:
    """Somebody puts an emoji to an event, or takes it away."""

    room_id: str
    event_id: str = attrs.field(validator=_short)
    emoji: str = attrs.field(validator=[min_len(1), max_len(LONGEST_STATUS)])
    action: Literal["add", "remove"] = "add"


@attrs.frozen
class Ping:
    """Is anybody there? For clients that cannot send pings of the protocol."""

    id: str | None = attrs.field(default=None, validator=optional(max_len(LONGEST_ID)))


Said = Subscribe | Unsubscribe | Message | Typing | Presence | Read | React | Ping

_KINDS: Mapping[str, type[Any]] = {
    "hello": Hello,
    "subscribe": Subscribe,
    "unsubscribe": Unsubscribe,
    "message": Message,
    "typing": Typing,
    "presence": Presence,
    "read": Read,
    "reaction": React,
    "ping": Ping,
}
NAMES: Mapping[type[Any], str] = {kind: name for name, kind in _KINDS.items()}
"""What a client calls each of these."""


@attrs.define(eq=False)
class Unfit(Exception):
    """What a client sent cannot be used; it is told all of this."""

    code: str
    problem: str
    fields: Mapping[str, Any] = NOTHING
    """What it said that tells which of its frames is meant, as far as that can be read."""
    faults: Sequence[str] = ()

    def __str__(self) -> str:
        return self.problem


def read(text: str) -> Hello | Said:
    """A frame of a client.

    Raises:
        Unfit: it is none, and why.
    """
    fields = _object(text)
    name = fields.get("type")
    if not isinstance(name, str):
        raise Unfit("bad_frame", 'a frame is a JSON object with a "type"')
    about = {"about": name[:LONGEST_ID], **_named(fields)}
    kind = _KINDS.get(name)
    if kind is None:
        raise Unfit("unknown_type", f"there is no type {name[:40]!r}", about)
    try:
        if kind is Message:
            fields = _with_content(fields)
        # What a newer client adds is passed over.
        said: Hello | Said = from_wire(fields, kind, unknown_keys=True)
        if isinstance(said, Message):
            _check_message(said)
    except BadValue as error:
        raise Unfit("bad_frame", str(error), about, error.faults) from None
    return said


def _object(text: str) -> Mapping[str, Any]:
    try:
        fields = orjson.loads(text)
    except orjson.JSONDecodeError:
        raise Unfit("bad_json", "a frame is one JSON object") from None
    if not isinstance(fields, dict):
        raise Unfit("bad_json", "a frame is one JSON object")
    return fields


def _named(fields: Mapping[str, Any]) -> Mapping[str, str]:
    return {
        name: fields[name]
        for name in ("room_id", "id")
        if isinstance(fields.get(name), str) and len(fields[name]) <= LONGEST_ID
    }


def _with_content(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """A message's fields with a content, whichever way it was written."""
    if "text" not in fields:
        return fields
    rest = {name: value for name, value in fields.items() if name != "text"}
    if "content" in fields:
        raise BadValue(['a message has either "content" or "text"'])
    if not isinstance(fields["text"], str):
        raise BadValue(["text: expected a string"])
    return {**rest, "content": {"type": "text", "body": fields["text"]}}


def _check_message(message: Message) -> None:
    faults = _content_faults(message.content, message.event_type)
    if message.event_type not in _SAID:
        faults.append(f"event_type: expected one of {', '.join(_SAID)}")
    if faults:
        raise BadValue(faults)


def _content_faults(content: Content, kind: EventType) -> list[str]:
    """What people may not say: what only the room or an agent can vouch for."""
    wanted = {EventType.EDIT: Edit, EventType.DELETE: Delete}.get(kind)
    if wanted is not None and not isinstance(content, wanted):
        return [f"content: {kind} events hold a content of that type"]
    match content:
        case System() | ToolCall():
            return [f"content: {content.type} is not for people to say"]
        case Edit(new_content=new, edit_source=source) if kind is EventType.EDIT:
            theirs = ["content.edit_source: expected sender"] if source == "system" else []
            return theirs + _content_faults(new, EventType.MESSAGE)
        case Delete(delete_type=how) if kind is EventType.DELETE:
            return [] if how is DeleteType.SENDER else ["content.delete_type: expected sender"]
        case Edit() | Delete():
            return [f"content: {content.type} needs the event_type {content.type}"]
        case Composite(parts=parts):
            return [fault for part in parts for fault in _content_faults(part, EventType.MESSAGE)]
        case _:
            return []


# -- what we say --------------------------------------------------------------------------------


@attrs.frozen
class Item:
    """An event as it goes to clients: written once for all of them."""

    room_id: str
    index: int
    event_id: str
    key: str | None
    """The idempotency key: whoever waits for it hears that the event is there."""
    body: bytes = attrs.field(repr=False)
    """Its JSON."""

    @property
    def text(self) -> str:
        """The frame that carries it as itself."""
        return (b'{"type":"event","event":' + self.body + b"}").decode()


def item_of(event: RoomEvent) -> Item:
    """An event for clients, without what only its provider and the node need to know."""
    document = to_wire(event)
    document["source"]["raw_payload"] = {}
    document["delivery_results"] = {}
    # What a program put into its metadata must not take the channel down.
    body = orjson.dumps(document, default=str)
    if len(body) > MOST_BODY:
        # A client could not take the frame, and would come back to it for ever.
        note = {"body": "this is too large to be shown here", "code": "too_large", "data": {}}
        body = orjson.dumps({**document, "content": {"type": "system", **note}, "metadata": {}})
    return Item(event.room_id, event.index, event.id, event.idempotency_key, body)


def key_of(participant_id: str, message_id: str) -> str:
    """The idempotency key of a client's message: two clients may use the same ids."""
    return f"{participant_id}/{message_id}"  # no participant's id holds a "/"


def frame(kind: str, **fields: Any) -> str:
    """A frame of ours."""
    return orjson.dumps({"type": kind, **fields}).decode()


def ready(channel_id: str, connection: str, participant_id: str) -> str:
    return frame("ready", channel=channel_id, connection=connection, participant_id=participant_id)


def accepted(message_id: str, room_id: str, event_id: str | None, index: int | None) -> str:
    return frame("accepted", id=message_id, room_id=room_id, event_id=event_id, index=index)


def refused(message_id: str, room_id: str, code: str, reason: str) -> str:
    return frame("refused", id=message_id, room_id=room_id, code=code, reason=reason)


def fault(unfit: Unfit) -> str:
    more = {"faults": list(unfit.faults)} if unfit.faults else {}
    return frame("error", code=unfit.code, message=unfit.problem, **unfit.fields, **more)


def passing(event: EphemeralEvent) -> str:
    return frame("ephemeral", event=to_wire(event))


def binding(changed: ChannelBinding) -> str:
    return frame(
        "binding",
        room_id=changed.room_id,
        access=changed.access.value,
        muted=changed.muted,
        output_muted=changed.output_muted,
    )


def stream_start(room_id: str, stream_id: str, event: RoomEvent) -> str:
    source = to_wire(event.source)
    source["raw_payload"] = {}
    return frame("stream_start", room_id=room_id, stream_id=stream_id, source=source)


def stream_chunk(room_id: str, stream_id: str, delta: str, text: str) -> str:
    return frame("stream_chunk", room_id=room_id, stream_id=stream_id, delta=delta, text=text)


def stream_error(room_id: str, stream_id: str, error: str) -> str:
    return frame("stream_error", room_id=room_id, stream_id=stream_id, error=error)


def stream_end(room_id: str, stream_id: str, item: Item, *, known: bool) -> str:
    """The end of a stream, with its event; without it for those who have it already."""
    event = None if known else orjson.Fragment(item.body)
    return frame(
        "stream_end", room_id=room_id, stream_id=stream_id, event_id=item.event_id, event=event
    )
