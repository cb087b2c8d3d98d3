"""What an event source is: somebody who listens, and hands on what comes.

class Clock(Source):
name = "clock"

async def run(self, emit: Feed) -> None:
emit.connected()
while True:
await trio.sleep(3600)
await emit(InboundMessage(emit.channel_id, "clock", Text("It is an hour later.")))
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
import orjson

from models.rooms.content import Text
from models.rooms.event import NOTHING
from models.rooms.traffic import InboundMessage, InboundResult, keyed


@attrs.define(eq=False)
class SourceFailed(Exception):
    """A source cannot go on. It is started again, after a while."""

    detail: str
    """For people, and for logs: neither secrets nor what was said."""
    final: bool = False
    """To connect again at once would be of no use."""

    def __str__(self) -> str:
        return self.detail


class Feed(Protocol):
    """What a source hands on what it hears with, and says how it is."""

    @property
    def channel_id(self) -> str:
        """The channel it listens for."""

    async def __call__(self, message: InboundMessage) -> InboundResult:
        """Hand a message on, and wait until all that it causes is done.

        Raises:
            RefusedFor: it was refused, see `Receive`.
            AskTimeout: it takes too long; it may be done all the same.
        """

    async def post(self, message: InboundMessage) -> None:
        """Hand a message on, and wait only while too many are under way. The order is kept.

        What is refused is logged and counted, and the source goes on.
        """

    def connected(self) -> None:
        """It hears now. The first message says so too."""

    def lost(self, detail: str) -> None:
        """It does not hear at the moment, and tries again by itself."""


class Source(ABC):
    """Somebody who listens. The same instance runs again after a failure."""

    name: str

    @abstractmethod
    async def run(self, emit: Feed) -> None:
        """Listen, until there is nothing more to hear.

        To be stopped, it is cancelled. What it raises is a failure: it is run again, after a while.
        """

    def details(self) -> Mapping[str, Any]:
        """What only this kind of source knows about its health."""
        return NOTHING


Parser = Callable[[str | bytes, str], InboundMessage | None]
"""Makes a message of what came, for the channel of that id; None if it is nothing for people."""


def json_message(payload: str | bytes, channel_id: str) -> InboundMessage | None:
    """The default parser: `{"sender_id", "text", "external_id"?, "metadata"?}`, else None.

    Keys of metadata that begin with "_" mean something to rooms, so they are left out.
    """
    try:
        fields = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(fields, dict):
        return None
    sender, text = fields.get("sender_id"), fields.get("text")
    external, metadata = fields.get("external_id"), fields.get("metadata") or {}
    if not (isinstance(sender, str) and sender and isinstance(text, str) and text):
        return None
    if not isinstance(external, str | None) or not isinstance(metadata, dict):
        return None
    kept = {name: value for name, value in metadata.items() if not name.startswith("_")}
    message = InboundMessage(channel_id, sender, Text(text), metadata=kept)
    return identified(message, external) if external else message


def identified(message: InboundMessage, external_id: str) -> InboundMessage:
    """The message under the id its source has for it: what comes twice is written once."""
    key = keyed(message.channel_id, external_id)
    return attrs.evolve(message, external_id=external_id, idempotency_key=key)
