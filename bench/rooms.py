"""The load scenario of `room`: people and an instant agent, in real time, on one pinned core.

A message is one `process_inbound`, from its call to its return: what a person said is committed and
brought to the agent, the agent's answer is committed and brought to the person. Everything between
the channel and the store is the product. The channel is made with the channel kit and takes each
delivery at once; the agent answers at once. Each load runs in a process of its own, tuned as
`troupe run` tunes a node. Costs are of all threads of that process.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from statistics import median
from time import perf_counter, process_time
from typing import Any, Literal

import attrs
import trio

from actors.channels import kept
from actors.interpreter import Collector, share_among_threads
from actors.room.conversations import Conversations
from actors.room.plan import RoomsPlan
from actors.room.registrations import Registrations
from actors.room.services import room_services
from bench.measure import percentile, pin
from models.rooms.channel import AgentSpec, BindingChanged, CancelTurn, React, TransportSpec
from models.rooms.content import Text
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelCategory, ChannelType
from models.rooms.traffic import InboundMessage, ProviderResult
from models.rooms.turns import Answer, Reaction
from supervision import Actor, ChildSpec, System, handles, open_system
from supervision.secret import Secret
from transports.channels.kit import Channel
from transports.channels.results import sent
from transports.stores.config import StoreConfig

WEBSOCKET = "ws"
AGENT = "ai"
QUESTION = Text("When does the next train to Basel leave, and from which platform?")
ANSWER = Answer(Text("At noon, from platform 7."))
WARM = 400
"""Messages before anything is measured; the windows of rooms are full then."""
SWITCH_MS = 0.5
"""How often threads take turns, as a node has it."""
CHECK_SECONDS = 10.0
"""For the last delivery cursors to reach the store."""


@attrs.frozen
class Kept:
    """Where rooms are kept, in words that another process understands."""

    engine: Literal["memory", "sqlite", "postgres"] = "memory"
    place: str = attrs.field(default="", repr=False)
    """The file, or the database's address."""
    schema: str = "troupe"

    def config(self) -> StoreConfig:
        """As a node is told."""
        match self.engine:
            case "memory":
                return StoreConfig("memory")
            case "sqlite":
                return StoreConfig("sqlite", path=self.place)
            case "postgres":
                return StoreConfig("postgres", dsn=Secret(self.place), schema=self.schema)


@attrs.frozen
class Load:
    """What one run gave."""

    per_s: tuple[float, ...]
    """Messages a second, of each repetition."""
    cpu_ms: tuple[float, ...]
    """Milliseconds of processor per message, of each repetition."""
    latency_ms: tuple[float, ...] = attrs.field(repr=False)
    """Of every message of all repetitions."""

    @property
    def rate(self) -> float:
        return median(self.per_s)

    @property
    def cpu(self) -> float:
        return median(self.cpu_ms)

    @property
    def p50(self) -> float:
        return median(self.latency_ms)

    @property
    def p99(self) -> float:
        return percentile(self.latency_ms, 0.99)


# -- who is in the rooms -----------------------------------------------------------------------


class QuickLine(Channel):
    """A WebSocket without a wire: whoever is there has it already."""

    def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        return sent()


class QuickAgent(Actor[React | CancelTurn | BindingChanged]):
    """Answers everything at once."""

    def __init__(self, room_id: str) -> None:
        super().__init__()

    @handles
    def on_react(self, react: React) -> Reaction:
        return Reaction((ANSWER,))

    @handles(CancelTurn, BindingChanged)
    def on_anything(self, message: CancelTurn | BindingChanged) -> None:
        """It is done already, and says the same to everybody."""


def line_info(channel_id: str, kind: ChannelType) -> ChannelInfo:
    """A transport whose senders are participants, and whose recipients it knows itself."""
    return ChannelInfo(channel_id, kind, sender_is_participant=True)


def registered(system: System) -> Registrations:
    """One WebSocket, one agent."""
    socket = line_info(WEBSOCKET, ChannelType.WEBSOCKET)
    agent = ChannelInfo(AGENT, ChannelType.AI, ChannelCategory.INTELLIGENCE)
    desk = system.ref(RoomsPlan().desk)
    return Registrations(
        {
            WEBSOCKET: TransportSpec(socket, partial(QuickLine, socket, desk)),
            AGENT: AgentSpec(agent, QuickAgent),
        }
    )


async def start_node(system: System, store: ChildSpec[Any]) -> Conversations:
    """All that rooms need, with the channels above."""
    plan = RoomsPlan()
    for spec in room_services(plan, store, registered, resolver=None):
        await system.start_child(spec)
    return Conversations(system, plan)


async def make_room(node: Conversations, room_id: str) -> None:
    """A room with both."""
    await node.create_room(room_id)
    await node.attach_channel(room_id, WEBSOCKET)
    await node.attach_channel(room_id, AGENT)


async def say(node: Conversations, room_id: str, sender_id: str = "guest") -> None:
    """One message, and all that it causes.

    Raises:
        RuntimeError: it was not let in, or the agent failed.
    """
    said = InboundMessage(WEBSOCKET, sender_id, QUESTION)
    result = await node.process_inbound(said, room_id)
    if result.blocked or result.error:
        raise RuntimeError(f"a message got nowhere: {result}")


# -- the load ----------------------------------------------------------------------------------


def run_load(rooms: int, messages: int, repetitions: int, where: Kept, core: int = -1) -> Load:
    """Run the scenario. For a process of its own: it pins and tunes itself as `troupe run` does.

    Args:
        rooms: each with one person, who says something as soon as the answer is there.
        messages: of all rooms together, in each repetition.
    """
    pin({core} - {-1})
    share_among_threads(SWITCH_MS)
    return trio.run(_load, rooms, messages, repetitions, where)


async def _load(rooms: int, messages: int, repetitions: int, where: Kept) -> Load:
    rates: list[float] = []
    costs: list[float] = []
    latencies: list[float] = []
    async with open_system(name="bench") as system:
        node = await start_node(system, kept(where.config()))
        names = [f"room-{number}" for number in range(rooms)]
        for name in names:
            await make_room(node, name)
        await _everybody_talks(node, names, max(1, WARM // rooms), [])
        Collector()
        each = max(1, messages // rooms)
        for _ in range(repetitions):
            cpu, begun = process_time(), perf_counter()
            await _everybody_talks(node, names, each, latencies)
            seconds = perf_counter() - begun
            costs.append(1000 * (process_time() - cpu) / (each * rooms))
            rates.append(each * rooms / seconds)
        await _check(node, rooms, max(1, WARM // rooms) + each * repetitions)
    return Load(tuple(rates), tuple(costs), tuple(latencies))


async def _everybody_talks(
    node: Conversations, names: Sequence[str], each: int, latencies: list[float]
) -> None:
    async with trio.open_nursery() as nursery:
        for name in names:
            nursery.start_soon(_talk, node, name, each, latencies)


async def _talk(node: Conversations, room_id: str, count: int, latencies: list[float]) -> None:
    for _ in range(count):
        begun = perf_counter()
        await say(node, room_id)
        latencies.append(1000 * (perf_counter() - begun))


async def _check(node: Conversations, rooms: int, messages: int) -> None:
    """Figures of work that was not done are none: all is stored, and the store knows it delivered.

    Raises:
        RuntimeError: it is not.
    """
    with trio.move_on_after(CHECK_SECONDS):
        while True:
            stored = await node.find_rooms(limit=rooms)
            if len(stored) == rooms and all(
                room.event_count >= 2 * messages and room.delivered_index == room.latest_index
                for room in stored
            ):
                return
            await trio.sleep(0.05)
    raise RuntimeError(f"{messages} messages to each room did not all get through")


# -- one slow target ---------------------------------------------------------------------------

MESSAGES = 5
APART = 0.02
SMS_SECONDS = 0.5


@attrs.frozen
class SlowTarget:
    """A room with a WebSocket and a slow SMS, spoken to by a third; all in milliseconds."""

    websocket_ms: tuple[float, ...]
    """Of each message, from its call to its delivery by the WebSocket."""
    sms_ms: tuple[float, ...]
    """When each was delivered by SMS, since the first call."""
    callers_ms: tuple[float, ...]
    """How long each caller waited."""
    ordered: bool
    """Both had the messages in the order in which they were said, and so the callers returned."""


class _Noting(Channel):
    """Takes its time, and notes when each message was with its people."""

    def __init__(self, seconds: float, noted: list[tuple[float, str]], *kit: Any) -> None:
        super().__init__(*kit)
        self._seconds = seconds
        self._noted = noted

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        if self._seconds:
            await trio.sleep(self._seconds)
        assert isinstance(event.content, Text)
        self._noted.append((perf_counter(), event.content.body))
        return sent()


def run_slow_target(core: int = -1) -> SlowTarget:
    """B1 and B2: five messages 20 ms apart, a WebSocket, an SMS of half a second."""
    pin({core} - {-1})
    share_among_threads(SWITCH_MS)
    return trio.run(_slow_target)


async def _slow_target() -> SlowTarget:
    lines: dict[str, list[tuple[float, str]]] = {"caller": [], WEBSOCKET: [], "sms": []}
    called: list[float] = []
    returned: list[tuple[float, int]] = []
    async with open_system(name="bench") as system:
        node = await start_node(system, kept(Kept().config()))
        await node.create_room("r1")
        kinds = (ChannelType.WEBHOOK, ChannelType.WEBSOCKET, ChannelType.SMS)
        for (name, noted), kind in zip(lines.items(), kinds, strict=True):
            if name != WEBSOCKET:
                info = line_info(name, kind)
                seconds = SMS_SECONDS if name == "sms" else 0.0
                start = partial(_Noting, seconds, noted, info, node.desk)
                await node.register_channel(TransportSpec(info, start))
        await _swap_websocket(node, lines[WEBSOCKET])
        for name in lines:
            await node.attach_channel("r1", name)
        Collector()

        async def call(number: int) -> None:
            said = InboundMessage("caller", "guest", Text(str(number)))
            called.append(perf_counter())
            await node.process_inbound(said, "r1")
            returned.append((perf_counter(), number))

        async with trio.open_nursery() as nursery:
            begun = trio.current_time()
            for number in range(MESSAGES):
                await trio.sleep_until(begun + APART * number)
                nursery.start_soon(call, number)
    return _slow_figures(called, lines[WEBSOCKET], lines["sms"], returned)


async def _swap_websocket(node: Conversations, noted: list[tuple[float, str]]) -> None:
    """The WebSocket of this scenario notes when it delivers."""
    await node.unregister_channel(WEBSOCKET)
    info = line_info(WEBSOCKET, ChannelType.WEBSOCKET)
    start = partial(_Noting, 0.0, noted, info, node.desk)
    await node.register_channel(TransportSpec(info, start))


def _slow_figures(
    called: Sequence[float],
    websocket: Sequence[tuple[float, str]],
    sms: Sequence[tuple[float, str]],
    returned: Sequence[tuple[float, int]],
) -> SlowTarget:
    said = [str(number) for number in range(MESSAGES)]
    orders = (
        [text for _, text in websocket],
        [text for _, text in sms],
        [str(number) for _, number in sorted(returned)],
    )
    return SlowTarget(
        tuple(1000 * (at - called[int(text)]) for at, text in websocket),
        tuple(1000 * (at - called[0]) for at, _ in sms),
        tuple(1000 * (at - called[number]) for at, number in sorted(returned)),
        all(order == said for order in orders),
    )
