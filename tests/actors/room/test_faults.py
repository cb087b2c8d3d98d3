"""A store that fails in the middle: whoever wanted something is told, and nothing is half done.

The nth commit fails before it was made, or after, or nobody ever hears of it again.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from actors.room.testing import RoomRig
from models.rooms.content import Text, text_of
from models.rooms.errors import ChannelNotFound, RoomsError, StoreUnavailable
from models.rooms.kinds import ChannelType, EventType
from models.rooms.traffic import InboundMessage, InboundResult
from supervision import ChildSpec, handles
from supervision.testing import SystemUnderTest
from transports.channels.scripted import ScriptedChannel
from transports.stores.actor import RECONNECT, MemoryStore
from transports.stores.backend import EventFilter
from transports.stores.memory import MemoryBackend
from transports.stores.requests import Commit, StoreRequest

WS = ChannelType.WEBSOCKET
WITH_BLOCKED = EventFilter(include_blocked=True)
PATIENCE = 2.0
"""Seconds a room waits for the store here."""


class Fails(enum.Enum):
    """When a commit fails."""

    BEFORE = "before"
    """It was not made."""
    AFTER = "after"
    """It was made, and the answer was lost."""
    UNHEARD = "unheard"
    """It was not made, and nobody says so."""
    MADE_UNHEARD = "made_unheard"
    """It was made, and nobody says so."""


@attrs.define(eq=False)
class Script:
    """What the store does, and what it was asked; it outlives the store's crashes."""

    backend: MemoryBackend = attrs.field(factory=MemoryBackend)
    commits: int = 0
    fails: dict[int, Fails] = attrs.field(factory=dict)
    """By the number of the commit, from 1."""
    away: bool = False

    def next_fails(self, how: Fails, times: int = 1) -> None:
        """The commits that come next fail."""
        for number in range(times):
            self.fails[self.commits + 1 + number] = how

    @property
    def spec(self) -> ChildSpec[Any]:
        return ChildSpec("store", partial(FailingStore, self), backoff=RECONNECT)


class FailingStore(MemoryStore):
    poison = None

    def __init__(self, script: Script) -> None:
        super().__init__(script.backend)
        self._script = script

    @handles
    def on_request(self, request: StoreRequest[Any]) -> Any:
        if self._script.away:
            raise StoreUnavailable("the disk is full")
        how = None
        if isinstance(request, Commit):
            self._script.commits += 1
            how = self._script.fails.get(self._script.commits)
        if how in (None, Fails.AFTER, Fails.MADE_UNHEARD):
            answer = super().on_request(request)
        match how:
            case None:
                return answer
            case Fails.BEFORE | Fails.AFTER:
                raise StoreUnavailable("the connection is gone")
            case Fails.UNHEARD | Fails.MADE_UNHEARD:
                self.defer()
                return None


async def start(system: SystemUnderTest) -> tuple[RoomRig, Script]:
    system.expect_crash("/store", StoreUnavailable)
    script = Script()
    rig = await RoomRig.start(system, store=script.spec, store_timeout=PATIENCE)
    return rig, script


def said(text: str, **parts: Any) -> InboundMessage:
    return InboundMessage("web", "user", Text(text), **parts)


async def record(rig: RoomRig, room_id: str = "r") -> list[str]:
    """The messages on record; the indices have no gaps."""
    events = await rig.rooms.get_timeline(room_id, WITH_BLOCKED)
    assert [event.index for event in events] == list(range(len(events)))
    return [text_of(e.content) for e in events if e.type is EventType.MESSAGE]


async def is_settled(rig: RoomRig, room_id: str = "r") -> None:
    """All is delivered, as far as the store knows."""
    with trio.fail_after(120):
        while True:
            room = next(r for r in await rig.rooms.find_rooms() if r.id == room_id)
            if room.delivered_index == room.latest_index:
                return
            await trio.sleep(0.1)


def brought(channel: ScriptedChannel) -> list[str]:
    """What a channel brought: nothing twice."""
    assert len({call.key for call in channel.delivered}) == len(channel.delivered)
    return list(channel.texts)


# -- one message -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [Fails.BEFORE, Fails.UNHEARD])
async def test_a_commit_that_was_not_made_is_told_to_its_sender_alone(
    system: SystemUnderTest, how: Fails
) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    agent = await rig.agent("ai", ["hello"])
    await rig.room("r", "web", "ws", "ai")
    before = await rig.rooms.get_timeline("r", WITH_BLOCKED)
    script.next_fails(how)
    with pytest.raises(StoreUnavailable):
        await rig.rooms.process_inbound(said("lost"), "r")
    await trio.sleep(1.0)
    assert await rig.rooms.get_timeline("r", WITH_BLOCKED) == before
    assert (brought(ws), agent.seen) == ([], [])
    await rig.rooms.process_inbound(said("kept"), "r")
    assert brought(ws) == await record(rig) == ["kept", "hello"]
    await is_settled(rig)


@pytest.mark.parametrize("how", [Fails.AFTER, Fails.MADE_UNHEARD])
async def test_a_commit_that_was_made_unheard_is_found_again_and_brought_once(
    system: SystemUnderTest, how: Fails
) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.agent("ai", ["hello"])
    await rig.room("r", "web", "ws", "ai")
    script.next_fails(how)
    with pytest.raises(StoreUnavailable):
        await rig.rooms.process_inbound(said("hi", idempotency_key="k"), "r")
    again = await rig.rooms.process_inbound(said("hi", idempotency_key="k"), "r")
    assert again.event is not None
    await is_settled(rig)
    assert brought(ws) == await record(rig) == ["hi", "hello"]


@pytest.mark.parametrize("how", [Fails.AFTER, Fails.MADE_UNHEARD])
async def test_what_was_made_unheard_is_brought_though_nobody_says_anything_more(
    system: SystemUnderTest, how: Fails
) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    script.next_fails(how)
    with pytest.raises(StoreUnavailable):
        await rig.rooms.process_inbound(said("hi"), "r")
    await is_settled(rig)
    assert brought(ws) == await record(rig) == ["hi"]


@pytest.mark.parametrize("how", list(Fails))
async def test_a_room_beside_it_notices_nothing(system: SystemUnderTest, how: Fails) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    await rig.room("other", "web", "ws")
    script.next_fails(how)
    errors: list[RoomsError] = []

    async def fail() -> None:
        try:
            await rig.rooms.process_inbound(said("lost"), "r")
        except StoreUnavailable as error:
            errors.append(error)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(fail)
        await trio.sleep(0.5)
        result = await rig.rooms.process_inbound(said("elsewhere"), "other")
        assert not result.blocked
    assert len(errors) == 1
    assert await record(rig, "other") == ["elsewhere"]
    await is_settled(rig, "other")


async def test_a_store_that_is_away_is_waited_for_by_nobody(system: SystemUnderTest) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web", "ws")
    await rig.rooms.process_inbound(said("first"), "r")
    script.away = True
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            await rig.rooms.process_inbound(said("lost"), "r")
        with pytest.raises(StoreUnavailable):
            await rig.rooms.send_event("r", "web", "lost")
        with pytest.raises(StoreUnavailable):
            await rig.rooms.mute("r", "ws")
        with pytest.raises(StoreUnavailable):
            await rig.rooms.get_timeline("r")
    script.away = False
    await trio.sleep(10.0)
    await rig.rooms.process_inbound(said("last"), "r")
    await is_settled(rig)
    assert brought(ws) == await record(rig) == ["first", "last"]


# -- other commits ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", list(Fails))
async def test_a_binding_that_is_not_kept_is_not_there(system: SystemUnderTest, how: Fails) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.room("r", "web")
    script.next_fails(how)
    with pytest.raises(StoreUnavailable):
        await rig.rooms.attach_channel("r", "ws")
    made = how in (Fails.AFTER, Fails.MADE_UNHEARD)
    context = await rig.rooms.look("r")
    assert (context.get_binding("ws") is not None) is made
    if not made:
        with pytest.raises(ChannelNotFound):
            await rig.rooms.mute("r", "ws")
        assert ws.rooms == []
    await rig.rooms.attach_channel("r", "ws")
    await rig.rooms.process_inbound(said("hi"), "r")
    assert brought(ws) == ["hi"]


@pytest.mark.parametrize("how", list(Fails))
async def test_an_answer_that_is_not_kept_ends_its_turn(
    system: SystemUnderTest, how: Fails
) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    await rig.agent("ai", ["one", "two"])
    await rig.room("r", "web", "ws", "ai")
    script.fails[script.commits + 2] = how
    result = await rig.rooms.process_inbound(said("first"), "r")
    assert result.error is not None
    await rig.rooms.process_inbound(said("second"), "r")
    await is_settled(rig)
    made = how in (Fails.AFTER, Fails.MADE_UNHEARD)
    said_so_far = ["first", "one", "second", "two"] if made else ["first", "second", "two"]
    assert sorted(brought(ws)) == sorted(await record(rig)) == sorted(said_so_far)


# -- every commit of a conversation ----------------------------------------------------------------


async def converse(rig: RoomRig, told: Callable[[str, object], None]) -> None:
    """Two people and an agent: every verb tries again until it is done."""

    async def until_done(what: str, verb: Callable[[], Any]) -> None:
        for _ in range(10):
            try:
                told(what, await verb())
            except StoreUnavailable as error:
                told(what, error)
                await trio.sleep(0.5)
            else:
                return
        raise AssertionError(f"{what} was never done")

    rooms = rig.rooms
    await until_done("attach web", lambda: rooms.attach_channel("r", "web"))
    await until_done("attach ws", lambda: rooms.attach_channel("r", "ws"))
    await until_done("attach ai", lambda: rooms.attach_channel("r", "ai"))
    for text in ("a", "b"):
        message = said(text, idempotency_key=text)
        await until_done(text, partial(rooms.process_inbound, message, "r"))
    await until_done("mute", lambda: rooms.mute("r", "ai"))
    message = said("c", idempotency_key="c")
    await until_done("c", partial(rooms.process_inbound, message, "r"))
    await until_done("look", lambda: rooms.look("r"))


@pytest.mark.parametrize("how", list(Fails))
@pytest.mark.parametrize("number", range(1, 11))
async def test_whichever_commit_fails_the_conversation_is_whole(
    system: SystemUnderTest, number: int, how: Fails
) -> None:
    rig, script = await start(system)
    await rig.channel("web", WS)
    ws = await rig.channel("ws", WS)
    agent = await rig.agent("ai", [lambda react: f"re {text_of(react.event.content)}"])
    await rig.room("r")
    told: list[tuple[str, object]] = []
    script.fails[number] = how
    await converse(rig, lambda what, outcome: told.append((what, outcome)))
    await is_settled(rig)
    assert script.commits >= 10
    kept = await record(rig)
    assert all(count == 1 for count in Counter(kept).values())
    heard = [text_of(react.event.content) for react in agent.seen]
    assert sorted(set(heard)) == ["a", "b", "c"]
    assert {"a", "b", "c"} <= set(kept)
    unmuted = [text for text in kept if text != "re c"]
    assert sorted(brought(ws)) == sorted(unmuted)
    for what, outcome in told:
        if isinstance(outcome, InboundResult):
            assert outcome.event is not None, what
            assert text_of(outcome.event.content) == what
