"""A channel without a wire, for tests: it keeps what it is given, and fails on cue.

    sms = ScriptedChannel("sms", recipient_key="phone_number")
    register(sms.spec(desk))
    await sms.says("+15550100", "hello")
    sms.fail(times=2, code="rate_limit", retry_after=3.0)
    assert sms.texts == ["hello back"]

The handle outlives the actor: what was delivered before a crash is still on record after it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import Any

import attrs
import trio

from models.rooms.channel import DeskMessage, Receive, TransportSpec
from models.rooms.content import Content, Text
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.room import TEXT_ONLY, ChannelBinding, ChannelCapabilities
from models.rooms.traffic import InboundMessage, InboundResult, ProviderResult
from supervision import ActorRef, Refuse
from transports.channels.bodies import body_of
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import failed, sent
from transports.channels.streams import StreamedAnswer


@attrs.define
class ScriptedDelivery:
    """One time that the channel was asked to bring an event to somebody."""

    event: RoomEvent
    to: str
    key: str
    at: float
    """The node's time, seconds."""
    result: ProviderResult | None = None
    """None while it is under way, and for ever if it hung."""


@attrs.define
class ScriptedStream:
    """An answer that was shown while it was made."""

    stream_id: str
    room_id: str
    pieces: list[tuple[float, str]] = attrs.field(factory=list)
    """Each with the node's time, seconds."""
    event: RoomEvent | None = None
    """As it was committed, once it is closed."""
    error: str | None = None
    closed: bool = False


@attrs.frozen
class _Failing:
    code: str
    retryable: bool
    retry_after: float | None


@attrs.frozen
class _Hanging:
    """Answers never, until its deadline."""


class ScriptedChannel:
    """What a test holds of the channel; its actor is made by `spec`.

    Attributes:
        calls: all deliveries it was asked for, also those that failed or hung, in order.
        streams: all answers it was shown while they were made.
        delay: seconds each delivery takes.
    """

    def __init__(
        self,
        channel_id: str = "scripted",
        channel_type: ChannelType = ChannelType.SMS,
        *,
        recipient_key: str = "",
        streams: bool = False,
        sender_is_participant: bool = False,
        capabilities: ChannelCapabilities = TEXT_ONLY,
        delay: float = 0.0,
        config: ChannelConfig | None = None,
    ) -> None:
        self.info = ChannelInfo(
            channel_id,
            channel_type,
            capabilities=capabilities,
            provider="scripted",
            sender_is_participant=sender_is_participant,
            recipient_key=recipient_key,
            streams=streams,
        )
        self.calls: list[ScriptedDelivery] = []
        self.streams: list[ScriptedStream] = []
        self.rooms: list[str] = []
        """That have the channel, in the order they were attached."""
        self.delay = delay
        self._config = config
        self._desk: ActorRef[DeskMessage] | None = None
        self._plans: deque[_Failing | _Hanging] = deque()
        self._refusal = ""
        self._changed = trio.Event()
        self._ids = 0

    # -- before ---------------------------------------------------------------------------

    def spec(self, desk: ActorRef[DeskMessage]) -> TransportSpec:
        """To register it with."""
        self._desk = desk
        actor = _StreamingActor if self.info.streams else _ScriptedActor
        return TransportSpec(self.info, partial(actor, self, desk, self._config))

    def fail(
        self,
        times: int = 1,
        code: str = "scripted",
        *,
        retryable: bool = True,
        retry_after: float | None = None,
    ) -> None:
        """Have the next deliveries fail that are not planned for already."""
        self._plans.extend([_Failing(code, retryable, retry_after)] * times)

    def hang(self, times: int = 1) -> None:
        """Have the next deliveries that are not planned for already never end by themselves."""
        self._plans.extend([_Hanging()] * times)

    def recover(self) -> None:
        """Forget all plans: from now on everything works."""
        self._plans.clear()
        self._refusal = ""

    def refuse_rooms(self, reason: str) -> None:
        """Refuse to be attached, until `recover`."""
        self._refusal = reason

    # -- during ---------------------------------------------------------------------------

    async def says(
        self,
        sender_id: str,
        content: Content | str,
        *,
        room_id: str | None = None,
        within: float = 60.0,
        **fields: Any,
    ) -> InboundResult:
        """Somebody sends something; returns when all that it caused is done.

        Args:
            within: seconds to wait for that.
            fields: more of `InboundMessage`.
        Raises:
            RefusedFor: the desk does not take it; `.error` says why.
        """
        if self._desk is None:
            raise RuntimeError(f"channel {self.info.id!r} has no desk yet; `spec` gives it one")
        said = Text(content) if isinstance(content, str) else content
        message = InboundMessage(self.info.id, sender_id, said, **fields)
        return await self._desk.ask(Receive(message, room_id), timeout=within)

    async def wait_delivered(self, count: int, within: float = 5.0) -> Sequence[ScriptedDelivery]:
        """The first `count` successful deliveries, once there are as many.

        Raises:
            trio.TooSlowError: there are fewer after `within` seconds.
        """
        with trio.fail_after(within):
            while len(self.delivered) < count:
                self._changed = trio.Event()
                await self._changed.wait()
        return self.delivered[:count]

    # -- after ----------------------------------------------------------------------------

    @property
    def delivered(self) -> Sequence[ScriptedDelivery]:
        """The deliveries that succeeded, in the order they were asked for."""
        return [call for call in self.calls if call.result is not None and call.result.success]

    @property
    def texts(self) -> Sequence[str]:
        """The words of all that was delivered, in order."""
        return [body_of(call.event.content) for call in self.delivered]

    # -- for its actor --------------------------------------------------------------------

    async def _carry_out(
        self, event: RoomEvent, to: str, key: str, at: float, took: float
    ) -> ProviderResult:
        call = ScriptedDelivery(event, to, key, at)
        self.calls.append(call)
        plan = self._plans.popleft() if self._plans else None
        if isinstance(plan, _Hanging):
            await trio.sleep_forever()
        if took:
            await trio.sleep(took)
        if isinstance(plan, _Failing):
            call.result = failed(plan.code, plan.retryable, retry_after=plan.retry_after)
        else:
            self._ids += 1
            call.result = sent(f"mock-{self._ids}")
        self._changed.set()
        return call.result

    def _attach(self, room_id: str) -> None:
        if self._refusal:
            raise Refuse(self._refusal)
        self.rooms.append(room_id)

    def __repr__(self) -> str:
        return f"<ScriptedChannel {self.info.id}: {len(self.delivered)} of {len(self.calls)} sent>"


class _ScriptedActor(Channel):
    def __init__(
        self,
        script: ScriptedChannel,
        desk: ActorRef[DeskMessage],
        config: ChannelConfig | None,
    ) -> None:
        super().__init__(script.info, desk, config)
        self._script = script

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        return await self._script._carry_out(event, to, key, self.now, self._script.delay)

    def attached(self, binding: ChannelBinding) -> None:
        self._script._attach(binding.room_id)

    def detached(self, room_id: str) -> None:
        if room_id in self._script.rooms:
            self._script.rooms.remove(room_id)


class _StreamingActor(_ScriptedActor):
    async def stream(self, answer: StreamedAnswer) -> ProviderResult:
        shown = ScriptedStream(answer.stream_id, answer.room_id)
        self._script.streams.append(shown)
        async for piece in answer:
            shown.pieces.append((self.now, piece))
            if self._script.delay:
                await trio.sleep(self._script.delay)
        shown.event, shown.error, shown.closed = answer.event, answer.error, True
        if answer.event is None:
            return sent()
        return await self._script._carry_out(
            answer.event, answer.to, answer.stream_id, self.now, 0.0
        )
