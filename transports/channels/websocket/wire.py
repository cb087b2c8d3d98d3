"""The actor of one room WebSocket: it waits, and the machine decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import NoReturn, assert_never

import attrs
import trio

from supervision import (
    Actor,
    ActorRef,
    Mailbox,
    MailboxFull,
    Refused,
    SupervisionError,
    Terminated,
    handles,
)
from supervision.secret import Secret
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.decisions import (
    Chunk,
    ComeIn,
    Decision,
    Decisions,
    Fetch,
    Hang,
    Join,
    MarkRead,
    Part,
    Pass,
    Phase,
    Say,
    Submit,
)
from transports.channels.websocket.errands import Errand, Errands
from transports.channels.websocket.machine import RoomWireMachine
from transports.channels.websocket.outbox import Outbox, written
from transports.channels.websocket.outcomes import (
    Outcome,
    decide,
)
from transports.channels.websocket.protocol import (
    ChannelFailed,
    EndStream,
    Enter,
    Entered,
    FromChannel,
    FromWire,
    Give,
    LookAgain,
    Notice,
    Passing,
    RoomGone,
    Stream,
)
from transports.channels.websocket.statistics import RoomWireStatistics
from transports.connection import Connection
from transports.frame_link import FrameLink, HandshakeFailed, LinkClosed, OpenLink
from transports.link_writer import LinkWriter

FindChannel = Callable[[str | None], ActorRef[FromWire] | None]
"""The channel of that name, None if there is no such one; of None, the one that is meant then."""

MayBe = Callable[[Secret | None, str], bool]
"""Whether whoever shows that token may speak as that participant."""

COME_BACK = (1013, "too much waits for you: come back and resume")


@attrs.frozen
class _Check:
    """Is the client still there?"""


@attrs.frozen
class _Ended:
    """The connection is over, and closed."""


@attrs.frozen
class _Drained:
    """All that waited for the client is written."""


_Own = _Check | _Ended | _Drained | Outcome


class RoomWire(Actor[FromChannel | Entered | Terminated | _Own]):
    """One client on a WebSocket."""

    # A burst of a room's events reaches the queue, which has a policy, rather than be refused.
    mailbox = Mailbox(capacity=5000)

    def __init__(
        self,
        connection: Connection,
        find: FindChannel,
        open_link: OpenLink,
        may_come: MayBe,
        config: RoomWireConfig,
    ) -> None:
        """Take the connection over; whether this starts or not, it is closed in the end.

        Args:
            connection: its WebSocket request is still to be answered.
        """
        super().__init__()
        self._connection = connection
        self._find = find
        self._open_link = open_link
        self._may_come = may_come
        self._config = config
        self._outbox = Outbox(config.queue, config.queue_bytes, config.ephemerals)
        self._writer = LinkWriter(self._outbox, drained=self._drained)
        self._errands: Errands | None = None
        """Once the channel has let the client in."""
        self._postponed: list[Fetch] = []
        """Pages that are fetched when the client has read what waits for it."""
        self._gone = trio.Event()
        """The connection is closed."""

    def __repr__(self) -> str:
        return f"<RoomWire {self._connection.peer}: {self._machine!r}>"

    def on_start(self) -> None:
        self._machine = RoomWireMachine(self._config, self.now)
        self.start_task(self._run, name="socket", to=lambda _: _Ended())
        self.send_every(self._config.ping_interval, _Check())

    async def on_stop(self) -> None:
        self._leave()
        if self._writer.link is not None and self._machine.phase is Phase.OPEN:
            self._machine.over()
            self._writer.say_goodbye(1001, "the service stops")
            with trio.move_on_after(self._config.send_timeout):
                await self._gone.wait()
        self._connection.abort()

    def statistics(self) -> RoomWireStatistics:
        machine = self._machine
        return RoomWireStatistics(
            self._connection.peer,
            machine.phase.value,
            machine.participant_id,
            len(machine.rooms),
            machine.in_flight,
            attrs.evolve(machine.counters),
            len(self._outbox),
            self._outbox.dropped,
            self._outbox.joined,
        )

    # -- from the channel -------------------------------------------------------------------

    @handles
    def on_give(self, message: Give) -> None:
        self._do(self._machine.event_came(message.item))

    @handles
    def on_stream(self, message: Stream) -> None:
        self._do(self._machine.stream_came(message.start, message.chunk))

    @handles
    def on_end_stream(self, message: EndStream) -> None:
        self._do(
            self._machine.stream_ended(
                message.room_id,
                message.stream_id,
                message.item,
                segmented=message.segmented,
                error=message.error,
            )
        )

    @handles
    def on_passing(self, message: Passing) -> None:
        if self._listens_to(message.room_id) and not self._writer.sent_at_once(message.text):
            self._outbox.add_passing(message.text)
            self._writer.wake()

    @handles
    def on_notice(self, message: Notice) -> None:
        if self._listens_to(message.room_id):
            self._say(message.text)

    def _listens_to(self, room_id: str) -> bool:
        return room_id in self._machine.rooms and self._machine.phase is Phase.OPEN

    @handles
    def on_look_again(self, message: LookAgain) -> None:
        self._do(self._machine.fell_behind(message.room_id))

    @handles
    def on_room_gone(self, message: RoomGone) -> None:
        self._do(self._machine.left(message.room_id, "the room no longer has this channel"))

    @handles
    def on_channel_failed(self, message: ChannelFailed) -> None:
        """It comes back and knows nobody: enter again, and look what was missed."""
        if self._machine.phase is Phase.OPEN and self._errands is not None:
            self._errands.enter_again(self._enter())

    @handles
    def on_entered(self, message: Entered) -> None:
        self._do(self._machine.entered(message.channel_id, message.connection))

    @handles
    def on_terminated(self, message: Terminated) -> None:
        self._do([Hang(1001, "the channel is gone")])

    @handles
    def on_outcome(self, message: Outcome) -> None:
        """The channel or the desk has answered, or has not."""
        if self._machine.phase is Phase.OPEN:
            self._do(decide(self._machine, message, self._config.page))

    # -- what the machine decides ---------------------------------------------------------------

    def _do(self, decisions: Decisions) -> None:
        for decision in decisions:
            self._do_one(decision)
        if self._outbox.overflows and self._machine.phase is Phase.OPEN:
            # What waits is worth nothing any more: the client resumes by its last index.
            self._outbox.clear()
            self._do([Hang(*COME_BACK)])

    def _do_one(self, decision: Decision) -> None:
        match decision:
            case Say(text=text):
                self._say(text)
            case Chunk():
                if self._outbox or not self._writer.sent_at_once(written(decision)):
                    self._outbox.add_chunk(decision)
                    self._writer.wake()
            case Hang(code=code, reason=reason):
                self._machine.over()
                self._writer.say_goodbye(code, reason)
                self._leave()
            case Fetch():
                self._fetch(decision)
            case ComeIn():
                raise AssertionError("a client comes in once, before anything else")
            case Join() | Part() | Submit() | Pass() | MarkRead():
                self._ask_for(decision)
            case _:
                assert_never(decision)

    def _say(self, text: str) -> None:
        if not self._writer.sent_at_once(text):
            self._outbox.keep(text)
            self._writer.wake()

    def _leave(self) -> None:
        """Have the channel give it nothing more."""
        if self._errands is not None:
            self._errands.leave()

    def _fetch(self, fetch: Fetch) -> None:
        """Ask for a page; but a client that does not read has to read first."""
        if self._outbox.half_full:
            self._postponed.append(fetch)
        else:
            self._ask_for(fetch)

    def _ask_for(self, errand: Errand) -> None:
        assert self._errands is not None
        self._errands.run(errand)

    def _drained(self) -> None:
        if self._postponed:
            try:
                self.ref.tell(_Drained())
            except MailboxFull:
                pass  # the next check does it

    @handles
    def on_drained(self, message: _Drained) -> None:
        self._fetch_postponed()

    def _fetch_postponed(self) -> None:
        postponed, self._postponed = self._postponed, []
        if self._machine.phase is Phase.OPEN:
            for fetch in postponed:
                self._fetch(fetch)

    # -- life -----------------------------------------------------------------------------------

    @handles
    def on_check(self, message: _Check) -> None:
        config = self._config
        if not self._writer.look_for_life(self.now, config.ping_interval, config.silence_timeout):
            self._connection.abort()
        self._fetch_postponed()

    @handles
    def on_ended(self, message: _Ended) -> None:
        self.stop()

    # -- the task that owns the connection --------------------------------------------------------

    async def _run(self) -> None:
        try:
            async with self._open_link(self._connection) as link:
                try:
                    await self._converse(link)
                except LinkClosed:
                    await link.close()
        except HandshakeFailed:
            pass  # it never was a wire, and has been told why
        finally:
            self._machine.over()
            self._writer.close()
            self._connection.abort()
            self._gone.set()

    async def _converse(self, link: FrameLink) -> None:
        first, *rest = await self._first_frames(link)
        last_words = await self._come_in(first, link)
        if last_words:
            await link.send([it.text for it in last_words if isinstance(it, Say)])
            for goodbye in last_words:
                if isinstance(goodbye, Hang):
                    await link.close(goodbye.code, goodbye.reason)
            return
        await self._writer.run_beside(link, partial(self._read, rest, link))

    async def _first_frames(self, link: FrameLink) -> Sequence[bytes | str | None]:
        with trio.move_on_at(self._machine.deadline):
            return await link.receive()
        return [None]

    async def _come_in(self, first: bytes | str | None, link: FrameLink) -> Decisions:
        """Let the client in. If it may not, what to tell it."""
        machine = self._machine
        match first:
            case None:
                return machine.time_passed(max(self.now, machine.deadline))
            case str():
                decisions = machine.text_came(first, self.now)
            case _:
                decisions = machine.binary_came(self.now)
        if not isinstance(decisions[0], ComeIn):
            return decisions
        hello, token = decisions[0].hello, decisions[0].token
        if not self._may_come(token, hello.participant_id):
            return machine.turn_away("unauthorized", "the token is missing or wrong", 4401)
        channel = self._find(hello.channel)
        if channel is None:
            return machine.turn_away("channel_not_found", "there is no such channel", 4404)
        try:
            entered = await channel.ask(self._enter(), timeout=self._config.enter_timeout)
        except Refused as refused:
            return machine.turn_away("refused", str(refused.reason), 4403)
        except SupervisionError:
            return machine.turn_away("unavailable", "the channel is out of order", 1013)
        self._errands = Errands(self, channel, entered, self._config)
        self.watch(channel)
        self._writer.open(link)
        self._do(machine.entered(entered.channel_id, entered.connection))
        return ()

    def _enter(self) -> Enter:
        return Enter(self.ref, self._machine.participant_id, self._machine.shows_streams)

    async def _read(self, rest: Sequence[bytes | str | None], link: FrameLink) -> NoReturn:
        """Hand on what the client says, until the end."""
        machine = self._machine
        payloads: Sequence[bytes | str | None] = rest
        while True:
            for payload in payloads:
                if isinstance(payload, str):
                    self._do(machine.text_came(payload, self.now))
                elif payload is not None:
                    self._do(machine.binary_came(self.now))
            if link.unsent:
                self._writer.wake()
            payloads = await link.receive()
