"""Event sources: attached, restarted when they fail, given up, detached, watched over."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import attrs
import pytest
import trio
import trio.lowlevel

from actors.room.sources import (
    AttachSource,
    DetachSource,
    ListSources,
    SourceHealth,
    SourcesConfig,
    SourcesMessage,
    sources_spec,
)
from models.rooms.channel import Receive
from models.rooms.content import Text
from models.rooms.errors import AlreadyThere, Overloaded, SourceNotFound
from models.rooms.kinds import SourceStatus
from models.rooms.refusals import RefusedFor, RefuseFor
from models.rooms.traffic import FrameworkEvent, InboundMessage, InboundResult
from supervision import Actor, ActorRef, Promise, handles
from supervision.events import Subscription
from supervision.faults import Fault, InjectedFault
from supervision.testing import Probe, SystemUnderTest, simulate
from transports.sources import Feed, Source, SourceFailed


class Scripted(Source):
    """Does what its script says, run by run; the last one again and again."""

    name = "scripted"

    def __init__(self, *script: Callable[[Feed], Awaitable[None]]) -> None:
        self.script = list(script)
        self.runs = 0
        self.cancelled = 0
        self.began: list[float] = []

    async def run(self, emit: Feed) -> None:
        play = self.script[min(self.runs, len(self.script) - 1)]
        self.runs += 1
        self.began.append(trio.current_time())
        try:
            await play(emit)
        except trio.Cancelled:
            self.cancelled += 1
            raise

    def details(self) -> dict[str, Any]:
        return {"runs": self.runs}


async def hear(emit: Feed) -> None:
    emit.connected()
    await trio.sleep_forever()


async def fail(emit: Feed) -> None:
    raise SourceFailed("nobody there")


async def finish(emit: Feed) -> None:
    return


def message(emit: Feed, text: str = "hello") -> InboundMessage:
    return InboundMessage(emit.channel_id, "ada", Text(text))


@attrs.define
class Office:
    """The sources of a node, and what stands for its rooms."""

    system: SystemUnderTest
    desk: ActorRef[SourcesMessage]
    rooms: Probe
    told: Subscription[FrameworkEvent]

    async def attach(self, source: Source, channel: str = "news", **options: Any) -> None:
        await self.desk.ask(AttachSource(channel, source, **options))

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        await self.system.settle()
        found = []
        while len(self.told):
            event = await anext(self.told)
            assert event.channel_id == "news"
            found.append((event.type, dict(event.data)))
        return found

    async def health(self, channel: str = "news") -> Any:
        return await self.desk.ask(SourceHealth(channel))


@pytest.fixture
def told(system: SystemUnderTest) -> Iterator[Subscription[FrameworkEvent]]:
    with system.events.subscribe(FrameworkEvent) as events:
        yield events


@pytest.fixture
async def office(system: SystemUnderTest, told: Subscription[FrameworkEvent]) -> Office:
    rooms = await system.probe(Receive)
    rooms.answer(Receive, with_=InboundResult())
    await system.start_child(sources_spec(rooms.ref, SourcesConfig(receive_timeout=60)))
    return Office(system, system.ref("/sources/desk"), rooms, told)


NAMED = {"source_name": "scripted"}


# -- attaching ----------------------------------------------------------------------------------


async def test_a_source_is_attached_and_hears(office: Office) -> None:
    await office.attach(Scripted(hear))
    assert await office.events() == [("source_attached", NAMED), ("source_connected", NAMED)]
    health = await office.health()
    assert (health.channel_id, health.name) == ("news", "scripted")
    assert health.status is SourceStatus.CONNECTED
    assert health.connected_at is not None
    assert health.last_message_at is None
    assert health.metadata == {"runs": 1}


async def test_what_it_emits_is_received_by_the_rooms(office: Office) -> None:
    results: list[InboundResult] = []

    async def emit_one(emit: Feed) -> None:
        results.append(await emit(message(emit)))
        await trio.sleep_forever()

    await office.attach(Scripted(emit_one))
    await office.system.settle()
    received = [each.message for each in office.rooms.received]
    assert received == [InboundMessage("news", "ada", Text("hello"))]
    assert results == [InboundResult()]
    health = await office.health()
    assert (health.messages_received, health.status) == (1, SourceStatus.CONNECTED)
    assert health.last_message_at is not None


async def test_a_channel_has_one_source(office: Office) -> None:
    await office.attach(Scripted(hear))
    with pytest.raises(RefusedFor) as refused:
        await office.attach(Scripted(hear))
    assert isinstance(refused.value.error, AlreadyThere)
    await office.attach(Scripted(hear), "other")
    assert [each.channel_id for each in await office.desk.ask(ListSources())] == ["news", "other"]


async def test_two_at_the_same_time_are_one_too_many(office: Office) -> None:
    replies = [office.desk.ask(AttachSource("news", Scripted(hear))) for _ in range(2)]
    await replies[0]
    with pytest.raises(RefusedFor):
        await replies[1]


async def test_a_source_speaks_for_no_other_channel(office: Office) -> None:
    async def lie(emit: Feed) -> None:
        await emit(InboundMessage("payments", "ada", Text("hello")))

    office.system.expect_crash("/sources/running/news", ValueError)
    await office.attach(Scripted(lie, hear))
    assert ("source_error", {**NAMED, "error": "ValueError", "attempt": 1}) in await office.events()
    assert office.rooms.received == []


def test_delays_that_do_not_fit_are_found_at_once() -> None:
    with pytest.raises(ValueError, match="maximum"):
        AttachSource("news", Scripted(hear), restart_delay=10, max_restart_delay=5)
    with pytest.raises(ValueError, match="channel id"):
        AttachSource("a/b", Scripted(hear))


# -- emitting -----------------------------------------------------------------------------------


class SlowRooms(Actor[Receive]):
    """Answers when it is told to, and notes how much is under way."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Promise[InboundResult]] = []
        self.most = 0
        self.bodies: list[str] = []

    @handles
    def on_receive_message(self, message: Receive) -> None:
        assert isinstance(message.message.content, Text)
        self.bodies.append(message.message.content.body)
        self._waiting.append(self.defer())
        self.most = max(self.most, len(self._waiting))

    def answer(self) -> None:
        self._waiting.pop(0).resolve(InboundResult())


@pytest.mark.parametrize("way", ["post", "emit"])
async def test_only_so_many_are_under_way_and_their_order_is_kept(
    system: SystemUnderTest, way: str
) -> None:
    made: list[SlowRooms] = []

    def make() -> SlowRooms:
        made.append(SlowRooms())
        return made[-1]

    rooms = await system.spawn(make)
    await system.start_child(sources_spec(rooms))

    async def many(emit: Feed) -> None:
        async with trio.open_nursery() as nursery:
            for number in range(25):
                if way == "post":
                    await emit.post(message(emit, str(number)))
                else:
                    nursery.start_soon(emit, message(emit, str(number)))

    await system.ref("/sources/desk").ask(AttachSource("news", Scripted(many)))
    for answered in range(25):
        await system.settle()
        assert len(made[0].bodies) == min(25, answered + 10)
        made[0].answer()
    assert made[0].most == 10
    if way == "post":
        assert made[0].bodies == [str(number) for number in range(25)]
    await system.settle()
    health = await system.ref("/sources/desk").ask(SourceHealth("news"))
    assert (health.messages_received, health.status) == (25, SourceStatus.STOPPED)


class Refusing(Actor[Receive]):
    @handles
    def on_receive_message(self, _message: Receive) -> InboundResult:
        raise RefuseFor(Overloaded("room", 1))


async def test_what_is_refused_is_counted_and_the_source_goes_on(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    await system.start_child(sources_spec(await system.spawn(Refusing)))

    async def speak(emit: Feed) -> None:
        for _ in range(3):
            await emit.post(message(emit, "my secret"))
        with pytest.raises(RefusedFor):
            await emit(message(emit))
        await trio.sleep_forever()

    source = Scripted(speak)
    desk = system.ref("/sources/desk")
    await desk.ask(AttachSource("news", source))
    await system.settle()
    health = await desk.ask(SourceHealth("news"))
    assert (health.messages_received, health.refused, source.runs) == (4, 3, 1)
    assert "Overloaded" in caplog.text
    assert "my secret" not in caplog.text


# -- failing --------------------------------------------------------------------------------------


async def test_a_source_that_fails_is_started_again(office: Office) -> None:
    office.system.expect_crash("/sources/running/news", SourceFailed)
    await office.attach(Scripted(fail, hear))
    await office.system.settle()
    health = await office.health()
    assert (health.status, health.error) == (SourceStatus.RECONNECTING, "nobody there")
    await trio.sleep(5)
    assert await office.events() == [
        ("source_attached", NAMED),
        ("source_error", {**NAMED, "error": "nobody there", "attempt": 1}),
        ("source_connected", NAMED),
    ]
    health = await office.health()
    assert (health.status, health.error, health.attempt) == (SourceStatus.CONNECTED, None, 1)


async def test_it_waits_longer_each_time_but_never_too_long(office: Office) -> None:
    office.system.expect_crash("/sources/running/news", SourceFailed)
    source = Scripted(fail)
    await office.attach(source)
    await trio.sleep(4000)
    pauses = [later - before for before, later in zip(source.began, source.began[1:], strict=False)]
    ceilings = [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0]
    for number, pause in enumerate(pauses):
        assert pause <= ceilings[min(number, 6)] + 0.001
    assert source.runs > 10  # also beyond the number that would make its messages poison
    assert max(pauses) > 100


async def test_attempts_may_be_limited(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.system.expect_crash("/sources/running/news", SourceFailed)
    source = Scripted(fail)
    await office.attach(source, max_restart_attempts=2)
    await trio.sleep(100)
    assert source.runs == 3
    assert [each for each in await office.events() if each[0] != "source_error"] == [
        ("source_attached", NAMED),
        ("source_exhausted", {"attempts": 2, "last_error": "nobody there"}),
    ]
    health = await office.health()
    assert (health.status, health.attempt) == (SourceStatus.ERROR, 3)
    assert "given up" in caplog.text
    await office.attach(Scripted(hear))  # there is room for another one
    await office.system.settle()
    assert (await office.health()).status is SourceStatus.CONNECTED


async def test_who_has_heard_for_a_while_is_forgiven(office: Office) -> None:
    async def hear_for_a_while(emit: Feed) -> None:
        emit.connected()
        await trio.sleep(61)
        raise SourceFailed("the other side went home")

    office.system.expect_crash("/sources/running/news", SourceFailed)
    source = Scripted(fail, hear_for_a_while)
    await office.attach(source, max_restart_attempts=1)
    await trio.sleep(600)
    assert source.runs > 5
    assert (await office.health()).attempt == 1


async def test_without_auto_restart_one_failure_is_the_end(office: Office) -> None:
    source = Scripted(fail)
    await office.attach(source, auto_restart=False)
    await trio.sleep(1000)
    assert source.runs == 1
    assert [kind for kind, _ in await office.events()] == ["source_attached", "source_error"]
    assert (await office.health()).status is SourceStatus.ERROR


async def test_the_words_of_foreign_errors_are_not_passed_on(office: Office) -> None:
    async def quote(emit: Feed) -> None:
        raise KeyError("my secret")

    await office.attach(Scripted(quote), auto_restart=False)
    events = await office.events()
    assert events[1] == ("source_error", {**NAMED, "error": "KeyError", "attempt": 1})


async def test_a_source_that_is_done_is_over(office: Office) -> None:
    source = Scripted(finish)
    await office.attach(source)
    await trio.sleep(1000)
    assert source.runs == 1
    assert (await office.health()).status is SourceStatus.STOPPED
    assert [kind for kind, _ in await office.events()] == ["source_attached"]
    await office.attach(Scripted(hear))


async def test_a_source_may_lose_and_find_its_connection_by_itself(office: Office) -> None:
    async def waver(emit: Feed) -> None:
        emit.connected()
        emit.lost("a cable")
        await trio.sleep(1)
        emit.connected()
        await trio.sleep_forever()

    await office.attach(Scripted(waver))
    await office.system.settle()
    assert (await office.health()).status is SourceStatus.RECONNECTING
    await trio.sleep(1)
    assert await office.events() == [
        ("source_attached", NAMED),
        ("source_connected", NAMED),
        ("source_error", {**NAMED, "error": "a cable", "attempt": 0}),
        ("source_connected", NAMED),
    ]
    assert (await office.health()).status is SourceStatus.CONNECTED


# -- detaching ------------------------------------------------------------------------------------


async def test_detaching_cancels_it_and_forgets_it(office: Office) -> None:
    source = Scripted(hear)
    await office.attach(source)
    await office.events()
    await office.desk.ask(DetachSource("news"))
    assert source.cancelled == 1
    assert await office.events() == [("source_detached", NAMED), ("source_disconnected", NAMED)]
    assert await office.desk.ask(ListSources()) == ()
    with pytest.raises(RefusedFor) as refused:
        await office.health()
    assert isinstance(refused.value.error, SourceNotFound)
    await office.attach(Scripted(hear))


async def test_what_is_not_there_cannot_be_detached(office: Office) -> None:
    with pytest.raises(RefusedFor) as refused:
        await office.desk.ask(DetachSource("news"))
    assert isinstance(refused.value.error, SourceNotFound)


async def test_detaching_while_it_waits_for_its_restart(office: Office) -> None:
    office.system.expect_crash("/sources/running/news", SourceFailed)
    source = Scripted(fail)
    await office.attach(source)
    await office.system.settle()
    await office.desk.ask(DetachSource("news"))
    await trio.sleep(1000)
    assert source.runs == 1


async def test_detaching_twice_and_while_it_is_being_attached(office: Office) -> None:
    attached = office.desk.ask(AttachSource("news", Scripted(hear)))
    detached = [office.desk.ask(DetachSource("news")) for _ in range(2)]
    await attached
    for reply in detached:
        await reply
    kinds = [kind for kind, _ in await office.events()]
    assert kinds.count("source_detached") == 1


async def test_one_that_is_over_can_be_detached(office: Office) -> None:
    await office.attach(Scripted(finish))
    await office.system.settle()
    await office.desk.ask(DetachSource("news"))
    assert await office.desk.ask(ListSources()) == ()


# -- the desk itself ------------------------------------------------------------------------------


async def test_sources_outlive_a_crash_of_the_desk(office: Office) -> None:
    source = Scripted(hear)
    await office.attach(source)
    await office.system.settle()
    office.system.expect_crash("/sources/desk", InjectedFault)
    office.system.inject("/sources/desk", Fault("crash", ListSources, times=1))
    office.desk.tell(ListSources())
    assert (await office.health()).status is SourceStatus.CONNECTED
    assert source.runs == 1
    await office.desk.ask(DetachSource("news"))
    assert source.cancelled == 1


async def test_the_desk_counts(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    async def speak(emit: Feed) -> None:
        await emit.post(message(emit))
        await trio.sleep_forever()

    await office.attach(Scripted(speak))
    await office.system.settle()
    statistics = office.system.state("/sources/desk").statistics
    assert statistics == {"attached": 1, "connected": 1, "messages_received": 1, "refused": 0}


# -- interleavings --------------------------------------------------------------------------------


async def attach_and_detach(system: SystemUnderTest) -> tuple[int, int]:
    """Sources that run at the end, and those that the desk knows of."""
    rooms = await system.probe(Receive)
    await system.start_child(sources_spec(rooms.ref))
    desk = system.ref("/sources/desk")
    sources = [Scripted(hear) for _ in range(4)]
    replies: list[Any] = []
    for source in sources:
        replies += [desk.ask(AttachSource("news", source)), desk.ask(DetachSource("news"))]
        await trio.lowlevel.checkpoint()
    replies.append(desk.ask(AttachSource("news", Scripted(hear))))
    for reply in replies:
        try:
            await reply
        except RefusedFor:
            pass  # who came when it was taken, or not there yet
    await system.settle()
    known = await desk.ask(ListSources())
    return len(system.tree("/sources/running").children), len(known)


@pytest.mark.parametrize("seed", range(20))
def test_what_the_desk_knows_of_is_what_runs(seed: int) -> None:
    running, known = simulate(attach_and_detach, seed).result
    assert running == known
