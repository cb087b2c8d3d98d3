"""What a channel is made with: override `send`, and the rest is done.

    class Pager(Channel):
        async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
            answer = await self.gateway.page(to, body_of(event.content))
            return sent(answer.id)

`Channel` carries deliveries out beside each other, so many at a time, each under a deadline; makes
answers of exceptions; and answers for what is unfinished when it stops. What comes in goes to the
desk by `receive`.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Awaitable, Callable
from inspect import isawaitable, iscoroutinefunction
from typing import Any

import trio

from models.rooms.channel import (
    BindingChanged,
    Deliver,
    DeskMessage,
    Receive,
    Report,
    RoomAttached,
    RoomDetached,
    StreamClosed,
    StreamOpened,
    StreamText,
)
from models.rooms.content import Content, Text
from models.rooms.event import SEGMENTED, RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.room import ChannelBinding
from models.rooms.traffic import (
    SENT,
    DeliveryStatus,
    InboundMessage,
    InboundResult,
    ProviderResult,
    keyed,
)
from supervision import Actor, ActorRef, Promise, Refuse, Reply, handles
from supervision.resilience import Admitted, Bulkhead, Rejected
from transports.channels.config import ChannelConfig, ChannelStatistics
from transports.channels.results import (
    BAD_RESULT,
    NO_RECIPIENT,
    OVERLOADED,
    STOPPED,
    TIMEOUT,
    failed,
    result_of,
)
from transports.channels.streams import StreamedAnswer
from transports.channels.work import Bindings, Job, Show

logger = logging.getLogger("troupe.transports.channels")


class Channel(Actor[Any]):
    """A transport. Override `send`; the other hooks do nothing unless they are overridden.

    Hooks may be plain or `async def`, but for `stream` and `binding_changed`. A plain hook runs in
    a handler, and must not wait. Names that begin with `_kit_` are this class's.
    """

    def __init__(
        self,
        info: ChannelInfo,
        desk: ActorRef[DeskMessage],
        config: ChannelConfig | None = None,
    ) -> None:
        """Nothing is opened before `open`.

        Args:
            info: what it says about itself; the same that it is registered with.
            desk: whom it hands what comes in.
        """
        super().__init__()
        self.info = info
        self.desk = desk
        self.config = config or ChannelConfig()
        self.bindings = Bindings(self.config.rooms)
        """By room, as far as this instance has heard of them lately."""
        self._kit_slots: Bulkhead[str] = Bulkhead(self.config.concurrent, self.config.queue)
        self._kit_jobs: dict[str, Job] = {}
        """By key: what is under way or waits for its turn."""
        self._kit_shows: dict[str, Show] = {}
        """By the stream's id."""
        self._kit_finished = trio.Event()
        self._kit_waits = iscoroutinefunction(self.send)
        self._kit_streams = type(self).stream is not Channel.stream
        self._kit_sent = self._kit_repeated = self._kit_unstreamed = 0
        self._kit_failed: dict[str, int] = {}

    # -- to override ----------------------------------------------------------------------

    def send(
        self, event: RoomEvent, to: str, key: str
    ) -> ProviderResult | Awaitable[ProviderResult]:
        """Bring an event to `to`, and say how it went: `sent(...)`, or raise `DeliveryFailed`.

        Args:
            event: its content is one this channel can carry, and no longer than it can carry.
            to: the recipient's address; "" where `info.recipient_key` is.
            key: the same whenever the same delivery is asked for; a provider that takes such keys
                sends nothing twice.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `send`")

    async def stream(self, answer: StreamedAnswer) -> ProviderResult:
        """Show an answer while it is made: `async for piece in answer`, then look at its `event`.

        Not overridden, answers are sent when they are made.
        """
        raise NotImplementedError(f"{type(self).__name__} has no `stream`")

    def attached(self, binding: ChannelBinding) -> Awaitable[None] | None:
        """A room wants the channel; `raise Refuse(reason)` if it cannot have it."""

    def detached(self, room_id: str) -> Awaitable[None] | None:
        """A room no longer has the channel."""

    def binding_changed(self, binding: ChannelBinding) -> None:
        """It was muted, unmuted or otherwise changed."""

    def open(self) -> Awaitable[None] | None:
        """Runs before the first delivery, at every restart too: connect, start tasks, timers."""

    def close(self) -> Awaitable[None] | None:
        """Runs when it stops in order: say goodbye."""

    # -- what comes in ----------------------------------------------------------------------

    def receive(
        self, sender_id: str, content: Content | str, *, room_id: str | None = None, **fields: Any
    ) -> Reply[InboundResult]:
        """Hand the desk what somebody sent; `await` it in a task, or `self.pipe` it in a handler.

        Awaited, it raises `RefusedFor` with `.error`: ChannelNotRegistered, RoomNotFound,
        RoomClosed, BadValue, Overloaded or StoreUnavailable.

        Args:
            room_id: the room it belongs to; None lets the router find one.
            fields: more of `InboundMessage`. With an `external_id`, what a provider brings twice is
                written once, unless an `idempotency_key` says otherwise.
        """
        said = Text(content) if isinstance(content, str) else content
        if external_id := fields.get("external_id"):
            fields.setdefault("idempotency_key", keyed(self.info.id, external_id))
        message = InboundMessage(self.info.id, sender_id, said, **fields)
        return self.desk.ask(Receive(message, room_id), timeout=self.config.receive_timeout)

    def report(self, status: DeliveryStatus) -> Reply[None]:
        """Hand the desk what a provider tells of an earlier delivery."""
        return self.desk.ask(Report(status))

    # -- deliveries -------------------------------------------------------------------------

    @handles
    def on_deliver(self, message: Deliver) -> ProviderResult | None:
        self.bindings.keep(message.binding)
        return self._kit_deliver(message.event, message.to, message.key)

    def _kit_deliver(self, event: RoomEvent, to: str, key: str) -> ProviderResult | None:
        """The result; None if it comes later."""
        if self.info.recipient_key and not to:
            return self._kit_counted(NO_RECIPIENT)
        if not self._kit_waits:
            return self._kit_counted(self._kit_at_once(event, to, key))
        job = self._kit_jobs.get(key)
        if job is not None:  # whoever asked first has lost patience, or was restarted
            self._kit_repeated += 1
            job.promises.append(self.defer())
            return None
        entered = self._kit_slots.enter(key)
        if isinstance(entered, Rejected):
            return self._kit_counted(OVERLOADED)
        job = self._kit_jobs[key] = Job(event, to, key, [self.defer()])
        if isinstance(entered, Admitted):
            job.admitted.set()
        self.start_task(self._kit_carry_out, job, name="delivery")
        return None

    def _kit_at_once(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        try:
            return self._kit_checked(self.send(event, to, key))
        except Exception as error:  # noqa: BLE001 - what a send raises is its result
            return self._kit_told(error)

    async def _kit_carry_out(self, job: Job) -> None:
        if not job.admitted.is_set():
            with trio.move_on_after(self.config.queue_wait):
                await job.admitted.wait()
        if job.admitted.is_set():
            scope = trio.CancelScope(deadline=self.now + self.config.timeout)
            result = await self._kit_attempt(lambda: self.send(job.event, job.to, job.key), scope)
            for following in self._kit_slots.leave(job.key):
                self._kit_jobs[following].admitted.set()
        else:
            self._kit_slots.withdraw(job.key)
            result = OVERLOADED
        del self._kit_jobs[job.key]
        self._kit_finished.set()
        self._kit_counted(result)
        job.answer(result)

    async def _kit_attempt(
        self, work: Callable[[], Any], scope: trio.CancelScope
    ) -> ProviderResult:
        """What came of it, however it ended."""
        result = TIMEOUT
        with scope:
            try:
                result = self._kit_checked(await work())
            except Exception as error:  # noqa: BLE001 - as above
                result = self._kit_told(error)
        return result

    def _kit_checked(self, result: object) -> ProviderResult:
        if isinstance(result, ProviderResult):
            return result
        logger.error(f"{self.path} answers a delivery with {type(result)}, not a ProviderResult")
        return BAD_RESULT

    def _kit_told(self, error: Exception) -> ProviderResult:
        """An exception as a result. What nobody expects of networks is logged."""
        result = result_of(error)
        if result is None:
            self._kit_log("a delivery", error)
            result = failed(type(error).__name__, True)
        return result

    def _kit_log(self, what: str, error: Exception) -> None:
        """Where it failed, without the exception's text, which may quote what was said."""
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error(f"{self.path} failed at {what}: {type(error).__name__}\n{where}")

    def _kit_counted(self, result: ProviderResult) -> ProviderResult:
        if result.success:
            self._kit_sent += 1
        else:
            code = str(result.metadata.get("code") or result.error or "failed")
            self._kit_failed[code] = self._kit_failed.get(code, 0) + 1
        return result

    # -- streams ----------------------------------------------------------------------------

    @handles
    def on_stream_opened(self, message: StreamOpened) -> None:
        if not self._kit_streams:
            return
        if len(self._kit_shows) >= self.config.streams:
            self._kit_unstreamed += 1
            return
        to = self._kit_address(message.room_id)
        idle = self.config.stream_idle
        answer = StreamedAnswer(message.room_id, message.stream_id, message.event, to, idle)
        show = self._kit_shows[message.stream_id] = Show(answer)
        self.start_task(self._kit_show, show, name="stream")

    @handles
    def on_stream_text(self, message: StreamText) -> None:
        show = self._kit_shows.get(message.stream_id)
        if show is not None and not show.answer.add(message.delta):
            self._kit_unstreamed += 1

    @handles
    def on_stream_closed(self, message: StreamClosed) -> ProviderResult | None:
        show = self._kit_shows.get(message.stream_id)
        if show is not None and not show.answer.closed:
            show.promise = self.defer()
            show.scope.deadline = self.now + self.config.timeout
            show.answer.close(message.event, message.error)
            return None
        event = message.event
        if event is None or event.metadata.get(SEGMENTED):
            return SENT
        # The key that a `Deliver` of it would have, for the next try comes as one.
        key = f"{event.id}:{self.info.id}"
        return self._kit_deliver(event, self._kit_address(message.room_id), key)

    async def _kit_show(self, show: Show) -> None:
        result = await self._kit_attempt(lambda: self.stream(show.answer), show.scope)
        del self._kit_shows[show.answer.stream_id]
        self._kit_finished.set()
        if show.promise is None:  # it gave up; the whole is sent when it is made
            self._kit_unstreamed += 1
        else:
            show.promise.resolve(self._kit_counted(result))

    def _kit_address(self, room_id: str) -> str:
        binding = self.bindings.get(room_id)
        address = binding.metadata.get(self.info.recipient_key) if binding else None
        return address if isinstance(address, str) else ""

    # -- rooms --------------------------------------------------------------------------------

    @handles
    def on_room_attached(self, message: RoomAttached) -> None:
        binding = message.binding
        self._kit_hook(
            "attached", lambda: self.attached(binding), lambda: self.bindings.keep(binding)
        )

    @handles
    def on_room_detached(self, message: RoomDetached) -> None:
        self.bindings.forget(message.room_id)
        self._kit_hook("detached", lambda: self.detached(message.room_id), lambda: None)

    @handles
    def on_binding_changed(self, message: BindingChanged) -> None:
        self.bindings.keep(message.binding)
        self.binding_changed(message.binding)

    def _kit_hook(
        self,
        name: str,
        hook: Callable[[], Awaitable[None] | None],
        then: Callable[[], None],
    ) -> None:
        """Answer the request in hand when a hook is done; a refusal if it fails."""
        try:
            outcome = hook()
        except Refuse:
            raise
        except Exception as error:  # noqa: BLE001 - whoever asked is told, and the rest goes on
            self._kit_log(name, error)
            raise Refuse(f"{name} failed: {type(error).__name__}") from None
        if isawaitable(outcome):
            self.start_task(self._kit_hooked, name, outcome, then, self.defer(), name=name)
        else:
            then()

    async def _kit_hooked(
        self, name: str, outcome: Awaitable[None], then: Callable[[], None], promise: Promise[None]
    ) -> None:
        try:
            with trio.fail_after(self.config.timeout):
                await outcome
        except Refuse as refuse:
            promise.fail(refuse.answer(self.path))
        except Exception as error:  # noqa: BLE001 - as above
            self._kit_log(name, error)
            promise.refuse(f"{name} failed: {type(error).__name__}")
        else:
            then()
            promise.resolve(None)

    # -- its life -----------------------------------------------------------------------------

    async def on_start(self) -> None:
        opening = self.open()
        if isawaitable(opening):
            await opening

    async def on_stop(self) -> None:
        for show in self._kit_shows.values():
            show.answer.close(None, "channel_stopped")
        with trio.move_on_after(self.config.drain):
            while self._kit_jobs or self._kit_shows:
                self._kit_finished = trio.Event()
                await self._kit_finished.wait()
        for job in self._kit_jobs.values():
            job.answer(STOPPED)
        for show in self._kit_shows.values():
            if show.promise is not None:
                show.promise.resolve(STOPPED)
        closing = self.close()
        if isawaitable(closing):
            await closing

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(
            slots=self._kit_slots.statistics(),
            streams=len(self._kit_shows),
            sent=self._kit_sent,
            failed=dict(self._kit_failed),
            repeated=self._kit_repeated,
            unstreamed=self._kit_unstreamed,
        )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.info.id}: {len(self._kit_jobs)} under way>"
