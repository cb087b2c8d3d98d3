"""The actor of one PCM WebSocket: it waits, and the machine decides.

Sound that comes is told to the call from the task that reads; sound that goes is handed to the
kernel in the step that handles the message. Only when the kernel takes no more does a second task
write, and then a bounded queue grows: a peer that does not read within the write timeout is lost.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn

import attrs
import trio

from models.audio import Frame
from supervision import (
    Actor,
    ActorRef,
    MailboxFull,
    Refused,
    SupervisionError,
    Terminated,
    handles,
)
from supervision.secret import Secret
from transports.connection import Connection
from transports.frame_link import FrameLink, HandshakeFailed, LinkClosed, LinkLost, OpenLink
from transports.leg import (
    Attach,
    Attached,
    Clear,
    CloseWire,
    HungUp,
    SendMark,
    Show,
    WireEvent,
    WireMessage,
)
from transports.link_writer import LinkWriter
from transports.pcm import messages
from transports.pcm.config import PcmConfig
from transports.pcm.machine import Fault, PcmCounters, PcmMachine, Phase
from transports.pcm.messages import Start

MOST_TEXTS = 1000
"""Texts that wait for a peer that does not read. Sound is dropped, texts are not: it is lost."""

WRITE_BYTES = 8 * 1024
"""Taken from the queue for one write, at least: a quarter of a second at 16 kHz."""

UNAUTHORIZED = Fault("unauthorized", "the token is missing or wrong", 4401)


@attrs.frozen
class _Check:
    """Is the peer still there?"""


@attrs.frozen
class _Ended:
    """The connection is over, and closed."""


@attrs.define
class _Queue:
    """What waits for a peer, in order; sound beyond the capacity pushes the oldest sound out."""

    capacity: int
    items: deque[tuple[bytes | str, int]] = attrs.field(factory=deque, repr=False)
    """Payloads and their samples; 0 for a text. Not shown: they are what people say."""
    sounds: int = 0
    dropped: int = 0
    """Frames of sound that were pushed out."""

    def add_text(self, text: str) -> None:
        self.items.append((text, 0))

    def add_sound(self, data: bytes, samples: int) -> int:
        """Returns how many samples were pushed out."""
        self.items.append((data, samples))
        self.sounds += 1
        if self.sounds <= self.capacity:
            return 0
        index = next(i for i, (_, samples) in enumerate(self.items) if samples)
        pushed_out = self.items[index][1]
        del self.items[index]
        self.sounds -= 1
        self.dropped += 1
        return pushed_out

    def drop_sound(self) -> int:
        """Returns how many samples that were."""
        samples = sum(samples for _, samples in self.items)
        self.items = deque(item for item in self.items if not item[1])
        self.sounds = 0
        return samples

    def __bool__(self) -> bool:
        return bool(self.items)

    def take(self) -> Sequence[bytes | str]:
        """As much as is worth one write. What is taken can no longer be cleared, so not all."""
        payloads: list[bytes | str] = []
        size = 0
        while self.items and size < WRITE_BYTES:
            payload, samples = self.items.popleft()
            self.sounds -= samples > 0
            payloads.append(payload)
            size += len(payload)
        return payloads


@attrs.frozen
class WireStatistics:
    """What a wire has done so far."""

    peer: str
    phase: str
    traffic: PcmCounters
    waiting: int
    """Frames that wait for the peer."""
    pushed_out: int
    """Frames of sound that waited too long for it."""
    not_taken: int
    """Frames that the call had no room for."""


class PcmWire(Actor[WireMessage | Terminated | _Check | _Ended]):
    """One far end on a WebSocket."""

    realtime = True

    def __init__(
        self,
        connection: Connection,
        host: ActorRef[Attach],
        open_link: OpenLink,
        admits: Callable[[Secret | None], bool],
        config: PcmConfig,
    ) -> None:
        """Take the connection over; whether this starts or not, it is closed in the end.

        Args:
            connection: its WebSocket request is still to be answered.
            admits: whether a peer with that token may come in.
        """
        super().__init__()
        self._connection = connection
        self._host = host
        self._open_link = open_link
        self._admits = admits
        self._config = config
        self._queue = _Queue(config.queue)
        self._writer = LinkWriter(self._queue)
        """Open once the peer was told that it is in."""
        self._attached: Attached | None = None
        self._not_taken = 0
        self._gone = trio.Event()
        """The connection is closed."""

    def on_start(self) -> None:
        self._pcm = PcmMachine(self._config, self.now)
        self.start_task(self._run, name="socket", to=lambda _: _Ended())
        self.send_every(self._config.ping_interval, _Check())

    async def on_stop(self) -> None:
        if self._writer.link is not None and self._pcm.phase is Phase.OPEN:
            self._queue.add_text(messages.stop("the service stops"))
            self._writer.say_goodbye(1001, "the service stops")
            with trio.move_on_after(self._config.write_timeout):
                await self._gone.wait()
        self._connection.abort()

    def statistics(self) -> WireStatistics:
        return WireStatistics(
            self._connection.peer,
            self._pcm.phase.value,
            attrs.evolve(self._pcm.counters),
            len(self._queue.items),
            self._queue.dropped,
            self._not_taken,
        )

    # -- from the call --------------------------------------------------------------------

    @handles
    def on_frame(self, message: Frame) -> None:
        machine, queue = self._pcm, self._queue
        if machine.phase is Phase.OVER:
            return
        data = machine.sound_to_send(message)
        if not self._writer.sent_at_once(data):
            pushed_out = queue.add_sound(data, message.samples)
            if pushed_out:
                machine.sound_was_dropped(pushed_out)
            self._writer.wake()

    @handles
    def on_instruction(self, message: Clear | SendMark | CloseWire | Show) -> None:
        machine, queue = self._pcm, self._queue
        if machine.phase is Phase.OVER:
            return
        text = machine.text_to_send(message)
        if isinstance(message, Clear | CloseWire) and queue.sounds:
            machine.sound_was_dropped(queue.drop_sound())
        if text is not None and not self._writer.sent_at_once(text):
            queue.add_text(text)
            self._writer.wake()
            if len(queue.items) > MOST_TEXTS + queue.capacity:
                self._connection.abort()
        if isinstance(message, CloseWire):
            self._writer.say_goodbye(1000, "")

    @handles
    def on_terminated(self, message: Terminated) -> None:
        """The call has gone without a word."""
        self.on_instruction(CloseWire("the call is over"))

    # -- life -----------------------------------------------------------------------------

    @handles
    def on_check(self, message: _Check) -> None:
        config = self._config
        if not self._writer.look_for_life(self.now, config.ping_interval, config.silence_timeout):
            self._connection.abort()

    @handles
    def on_ended(self, message: _Ended) -> None:
        self.stop()

    # -- the task that owns the connection --------------------------------------------------

    async def _run(self) -> None:
        try:
            async with self._open_link(self._connection) as link:
                try:
                    await self._converse(link)
                except LinkClosed as closed:
                    self._link_closed(closed)
                    await link.close()
        except HandshakeFailed:
            pass  # it never was a wire, and has been told why
        finally:
            self._writer.close()
            self._connection.abort()
            self._gone.set()

    async def _converse(self, link: FrameLink) -> None:
        first, *rest = await self._first_frames(link)
        fault = await self._come_in(first, link)
        if fault is not None:
            await link.send([messages.error(fault.code, fault.message)])
            await link.close(fault.close_code, fault.code)
            return
        await self._writer.run_beside(link, partial(self._read, rest, link))

    async def _first_frames(self, link: FrameLink) -> Sequence[bytes | str | None]:
        with trio.move_on_at(self._pcm.deadline):
            return await link.receive()
        return [None]

    async def _come_in(self, first: bytes | str | None, link: FrameLink) -> Fault | None:
        machine = self._pcm
        match first:
            case None:
                event: object = machine.time_passed(max(self.now, machine.deadline))
            case str():
                event = machine.text_came(first, self.now)
            case _:
                event = machine.sound_came(first, self.now)
        if isinstance(event, Fault):
            return event
        assert isinstance(event, Start)
        if not self._admits(event.token):
            return UNAUTHORIZED
        return await self._attach(event, link)

    async def _attach(self, start: Start, link: FrameLink) -> Fault | None:
        request = Attach(
            self.ref,
            start.format.rate,
            start.rate_out,
            self._pcm.capabilities,
            call=start.call,
            resume=start.resume,
            agent=start.agent,
            params=start.params,
        )
        try:
            attached = await self._host.ask(request, timeout=self._config.attach_timeout)
        except Refused as refused:
            return Fault("refused", str(refused.reason), 4403)
        except SupervisionError:
            return Fault("unavailable", "nobody can take the call just now", 1013)
        self._attached = attached
        self.watch(attached.events)
        await link.send([self._pcm.attached(attached, self.now)])
        self._writer.open(link)  # the call may have spoken meanwhile
        return None

    async def _read(self, rest: Sequence[bytes | str | None], link: FrameLink) -> NoReturn:
        """Tell the call what comes, until the end. This is the hot path."""
        machine, attached = self._pcm, self._attached
        assert attached is not None
        payloads: Sequence[bytes | str | None] = rest
        while True:
            now = self.now
            for payload in payloads:
                if isinstance(payload, bytes):
                    event = machine.sound_came(payload, now)
                    if isinstance(event, Frame):
                        try:
                            attached.audio.tell(event)
                        except MailboxFull:
                            self._not_taken += 1
                elif payload is not None:
                    self._text_came(payload, now, attached.events)
            if link.unsent:
                self._writer.wake()
            payloads = await link.receive()

    def _text_came(self, text: str, now: float, events: ActorRef[WireEvent]) -> None:
        event = self._pcm.text_came(text, now)
        if event is None:
            return
        assert not isinstance(event, Start | Fault)
        try:
            events.tell(event)
        except MailboxFull:
            self._not_taken += 1
        if isinstance(event, HungUp):
            self._writer.say_goodbye(1000, "")

    def _link_closed(self, closed: LinkClosed) -> None:
        """Code 1000 without a `stop` is a goodbye too; anything else is a wire that was lost."""
        attached = self._attached
        if attached is None or self._pcm.phase is not Phase.OPEN:
            return
        self._pcm.hang_up()
        if closed.code == 1000 and not isinstance(closed, LinkLost):
            attached.events.tell(HungUp(closed.reason))
