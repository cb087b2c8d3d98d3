"""Stores as actors: group commit, refusals, faults, several members, memory."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pytest
import trio

from models.rooms.errors import AlreadyThere, Conflict, StoreUnavailable
from models.rooms.refusals import RefusedFor
from models.rooms.room import Room
from supervision import ActorCrashed, ActorRef, AskTimeout, ChildSpec, Supervisor
from supervision.testing import SystemUnderTest
from tests.transports.stores.values import a_change, a_room, an_event, grown, ids
from transports.stores.actor import (
    PoolStatistics,
    ask_store,
    memory_spec,
    store_spec,
)
from transports.stores.backend import StoreBackend
from transports.stores.memory import MemoryBackend
from transports.stores.requests import (
    Commit,
    CreateRoom,
    DeleteRoom,
    FindRooms,
    GetRoom,
    GetTimeline,
    StoreMessage,
    store_fault,
)
from transports.stores.usage import GetUsage, StoreStatistics


class Disk:
    """What connections write to, and what they can be told to do wrong."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.done: list[str] = []
        """Everything that happened, in order."""
        self.away = False
        self.full = False

    def connection(self) -> StoreBackend:
        return Connection(self)


class Connection(MemoryBackend):
    """Keeps rooms on the disk when it is flushed, and only then."""

    def __init__(self, disk: Disk) -> None:
        super().__init__()
        self._disk = disk
        self._number = f"{sum(what.endswith('opens') for what in disk.done)}"

    def _note(self, what: str) -> None:
        self._disk.done.append(f"{self._number} {what}")

    def open(self) -> None:
        if self._disk.away:
            raise StoreUnavailable("nobody answers")
        self._note("opens")
        for room in self._disk.rooms.values():
            super().create_room(room)

    def create_room(self, room: Room) -> None:
        if self._disk.away:
            raise StoreUnavailable("the connection was closed")
        super().create_room(room)
        self._note(f"creates {room.id}")

    def get_room(self, room_id: str) -> Room | None:
        if room_id == "bug":
            raise KeyError(room_id)
        self._note(f"reads {room_id}")
        return super().get_room(room_id)

    def flush(self) -> None:
        if self._disk.full:
            self._disk.full = False
            raise StoreUnavailable("the disk is full")
        rooms = self.find_rooms(None, None, {}, 1000, 0)
        self._disk.rooms = {room.id: room for room in rooms}
        self._note("flushes")

    def abandon(self) -> None:
        self._note("abandons")

    def close(self) -> None:
        self._note("closes")


@attrs.frozen
class Stored:
    """A store under a supervisor, and its disk."""

    disk: Disk
    ref: ActorRef[StoreMessage]


async def started(system: SystemUnderTest, spec: ChildSpec[StoreMessage]) -> ActorRef[StoreMessage]:
    await system.spawn(Supervisor, [spec], path="/node")
    return system.ref("/node/store")


@pytest.fixture
async def stored(system: SystemUnderTest) -> Stored:
    disk = Disk()
    return Stored(disk, await started(system, store_spec(disk.connection)))


async def outcomes(replies: Sequence[object]) -> list[object]:
    """What asks ended in: answers, and errors as a room would see them."""
    found: list[object] = []
    for reply in replies:
        try:
            found.append(await reply)  # type: ignore[misc]
        except Exception as error:  # noqa: BLE001  compared by the tests
            found.append(type(store_fault(error)))
    return found


def creating(store: ActorRef[StoreMessage], *names: str) -> list[object]:
    return [store.ask(CreateRoom(a_room(name))) for name in names]


# -- group commit -------------------------------------------------------------------------


async def test_requests_that_come_together_share_one_commit(stored: Stored) -> None:
    answers = creating(stored.ref, "a", "b")
    answers.append(stored.ref.ask(GetRoom("a")))
    assert await outcomes(answers) == [None, None, a_room("a")]
    assert stored.disk.done == ["0 opens", "0 creates a", "0 creates b", "0 reads a", "0 flushes"]


async def test_an_answer_means_that_it_is_on_the_disk(stored: Stored) -> None:
    await stored.ref.ask(CreateRoom(a_room("a")))
    assert stored.disk.rooms == {"a": a_room("a")}


async def test_a_refusal_spoils_nothing_that_came_with_it(stored: Stored) -> None:
    answers = creating(stored.ref, "a", "a", "b")
    assert await outcomes(answers) == [None, AlreadyThere, None]
    assert sorted(stored.disk.rooms) == ["a", "b"]


async def test_a_refusal_says_why(stored: Stored) -> None:
    await stored.ref.ask(CreateRoom(a_room("a")))
    stale = grown(a_room("a"), [an_event(0)])
    with pytest.raises(RefusedFor) as caught:
        await stored.ref.ask(Commit(a_change(stale)))
    assert isinstance(caught.value.error, Conflict)
    assert (caught.value.error.expected, caught.value.error.found) == (1, 0)
    with pytest.raises(AlreadyThere):
        await ask_store(stored.ref, CreateRoom(a_room("a")))


async def test_a_store_that_stops_closes_its_backend(
    stored: Stored, system: SystemUnderTest
) -> None:
    await system.stop("/node")
    assert stored.disk.done == ["0 opens", "0 closes"]


async def test_a_store_says_how_it_is_used(stored: Stored) -> None:
    await outcomes(creating(stored.ref, "a", "b", "a"))
    await stored.ref.ask(GetRoom("a"))
    assert await stored.ref.ask(GetUsage()) == StoreStatistics(4, 1, 2, 2.0, 0)


# -- faults -------------------------------------------------------------------------------


async def test_what_could_not_be_committed_is_acknowledged_to_nobody(
    stored: Stored, system: SystemUnderTest
) -> None:
    await stored.ref.ask(CreateRoom(a_room("before")))
    stored.disk.full = True
    system.expect_crash("/node/store", StoreUnavailable)
    answers = creating(stored.ref, "a", "b")
    assert await outcomes(answers) == [StoreUnavailable, StoreUnavailable]
    assert await stored.ref.ask(GetRoom("a")) is None
    assert await stored.ref.ask(GetRoom("before")) == a_room("before")
    after = stored.disk.done.index("0 abandons")
    assert stored.disk.done[after : after + 3] == ["0 abandons", "0 closes", "1 opens"]
    assert (await stored.ref.ask(GetUsage())).failures == 1


async def test_a_fault_names_what_is_wrong_with_the_database(
    stored: Stored, system: SystemUnderTest
) -> None:
    stored.disk.full = True
    system.expect_crash("/node/store", StoreUnavailable)
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        await ask_store(stored.ref, CreateRoom(a_room("a")))


async def test_a_bug_in_one_request_loses_its_batch_and_no_more(
    stored: Stored, system: SystemUnderTest
) -> None:
    system.expect_crash("/node/store", KeyError)
    before = await outcomes(creating(stored.ref, "kept"))
    answers = [*creating(stored.ref, "a"), stored.ref.ask(GetRoom("bug"))]
    later = creating(stored.ref, "later")
    assert before == [None]
    assert await outcomes(answers) == [StoreUnavailable, StoreUnavailable]
    assert await outcomes(later) == [None]
    assert sorted(stored.disk.rooms) == ["kept", "later"]
    after = stored.disk.done.index("0 abandons")
    assert stored.disk.done[after : after + 3] == ["0 abandons", "0 closes", "1 opens"]


async def test_a_database_that_was_away_for_a_minute_is_used_again(
    stored: Stored, system: SystemUnderTest
) -> None:
    system.expect_crash("/node/store", StoreUnavailable)
    stored.disk.away = True
    assert await outcomes(creating(stored.ref, "a")) == [StoreUnavailable]
    with pytest.raises(AskTimeout):
        await stored.ref.ask(CreateRoom(a_room("b")), timeout=1)
    await trio.sleep(60)
    stored.disk.away = False
    await trio.sleep(6)
    assert sorted(stored.disk.rooms) == ["b"]  # asked too early, and carried out after all
    assert await outcomes(creating(stored.ref, "c")) == [None]
    assert stored.ref.alive


async def test_faults_of_one_kind_of_request_do_not_close_the_store(
    stored: Stored, system: SystemUnderTest
) -> None:
    system.expect_crash("/node/store", KeyError)
    for _ in range(10):
        with pytest.raises(ActorCrashed):
            await stored.ref.ask(GetRoom("bug"), timeout=60)
    assert await stored.ref.ask(GetRoom("a"), timeout=60) is None


# -- several members ----------------------------------------------------------------------


@pytest.fixture
async def pool(system: SystemUnderTest) -> Stored:
    disk = Disk()
    return Stored(disk, await started(system, store_spec(disk.connection, members=3)))


async def test_what_concerns_one_room_goes_to_one_member_in_order(pool: Stored) -> None:
    for name in ("a", "b", "c", "d", "e"):
        answers = [
            pool.ref.ask(CreateRoom(a_room(name))),
            pool.ref.ask(Commit(a_change(a_room(name), an_event(0, room_id=name)))),
            pool.ref.ask(GetTimeline(name)),
            pool.ref.ask(GetRoom(name)),
        ]
        created, committed, timeline, room = await outcomes(answers)
        assert (created, committed) == (None, None)
        assert ids(timeline) == [f"{name}-e0"]  # type: ignore[arg-type]
        assert isinstance(room, Room)
    readers = {what.split()[0] for what in pool.disk.done if "creates" in what}
    assert len(readers) > 1


async def test_other_requests_take_turns(pool: Stored, system: SystemUnderTest) -> None:
    for _ in range(6):
        assert await pool.ref.ask(FindRooms()) == ()
    for member in range(3):
        usage = await system.ref(f"/node/store/{member}").ask(GetUsage())
        assert usage.requests == 2
    assert (await pool.ref.ask(GetUsage())).requests == 6
    shown = system.state("/node/store").statistics
    assert shown == attrs.asdict(PoolStatistics(3, 6, 0))


async def test_refusals_and_faults_of_a_member_are_those_of_the_pool(
    pool: Stored, system: SystemUnderTest
) -> None:
    system.expect_crash("/node/store/*", KeyError)
    assert await outcomes(creating(pool.ref, "a", "a")) == [None, AlreadyThere]
    with pytest.raises(ActorCrashed) as caught:
        await pool.ref.ask(GetRoom("bug"))
    assert isinstance(caught.value.__cause__, KeyError)
    assert await pool.ref.ask(GetRoom("bug2"), timeout=60) is None


async def test_a_member_that_is_away_is_away_alone(pool: Stored, system: SystemUnderTest) -> None:
    system.expect_crash("/node/store/*")
    pool.disk.away = True  # to whoever connects anew
    assert await outcomes([pool.ref.ask(GetRoom("bug"))]) == [StoreUnavailable]
    found = await outcomes([pool.ref.ask(FindRooms(), timeout=1) for _ in range(3)])
    assert sorted(map(str, found)) == ["()", "()", str(StoreUnavailable)]
    pool.disk.away = False
    await trio.sleep(6)
    assert await outcomes([pool.ref.ask(FindRooms()) for _ in range(3)]) == [(), (), ()]
    assert len([what for what in pool.disk.done if "abandons" in what]) == 1


def test_a_store_has_a_member() -> None:
    with pytest.raises(ValueError, match="at least one member"):
        store_spec(MemoryBackend, members=0)


# -- memory -------------------------------------------------------------------------------


async def test_the_store_in_memory_answers_and_refuses_likewise(system: SystemUnderTest) -> None:
    store = await started(system, memory_spec())
    answers = [*creating(store, "a", "a"), store.ask(GetRoom("a")), store.ask(DeleteRoom("a"))]
    assert await outcomes(answers) == [None, AlreadyThere, a_room("a"), True]
    shown = system.state("/node/store").statistics
    assert shown == attrs.asdict(StoreStatistics(4, 1, 4, 1.0, 0))


async def test_the_rooms_in_memory_outlive_a_crash_of_their_store(system: SystemUnderTest) -> None:
    store = await started(system, memory_spec())
    await store.ask(CreateRoom(a_room("a")))
    system.expect_crash("/node/store", AttributeError)
    with pytest.raises(ActorCrashed):
        await store.ask(CreateRoom(None))  # type: ignore[arg-type]
    assert await store.ask(GetRoom("a")) == a_room("a")


async def test_two_stores_in_memory_know_nothing_of_each_other(system: SystemUnderTest) -> None:
    for path in ("/one", "/two"):
        await system.spawn(Supervisor, [memory_spec()], path=path)
    await system.ref("/one/store").ask(CreateRoom(a_room("a")))
    assert await system.ref("/two/store").ask(GetRoom("a")) is None
