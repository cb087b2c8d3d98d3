"""Nodes that are killed at every step of a message's way, and what is left of it: all, and once.

J8 of the specification. Messages come by room WebSocket and by signed webhook, each with a name of
its own; what was not acknowledged when the node died is sent again. They go out by webhook, to a
receiver that keeps idempotency keys, by room WebSocket with resume, and to an agent that answers.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest
import trio

from models.rooms.content import text_of
from models.rooms.event import RoomEvent
from models.rooms.kinds import EventType
from supervision.resilience import Backoff
from tests.live.rooms.house import until
from tests.live.rooms.node import ROOM, Orders
from tests.live.rooms.world import (
    Disk,
    Node,
    OnDisk,
    Receiver,
    Road,
    Sent,
    disk,
    post_until_taken,
    receiver,
    road,
)
from transports.channels.websocket.client import RoomClient, RoomClientConfig, open_room_client
from transports.stores.config import StoreConfig, make_backend
from transports.stores.sql import SqlBackend

STEPS = (
    "hook.before",  # it is in the room, and nowhere else
    "write.before",
    "write.after",  # written, not committed
    "commit.before",
    "commit.after",  # committed, and nobody knows
    "deliver.before",  # planned, and not brought
    "deliver.after",  # brought, and the room does not know
    "turn.begun",  # an agent has begun to answer
    "turn.middle",
    "turn.done",
    "hook.after",  # all is done but to say so
    "cursor.before",  # delivered, and the store does not know
    "cursor.after",
)
EACH = 4
"""Messages of each of the two senders."""
QUICK = RoomClientConfig(backoff=Backoff(base=0.05, factor=1.5, maximum=0.3), answer_timeout=60.0)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_every_step_with_sqlite(
    step: str, sqlite: StoreConfig, tmp_path: Path
) -> None:
    await survive([f"{step}:3"], sqlite, tmp_path)


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_every_step_with_postgres(
    step: str, postgres: StoreConfig, tmp_path: Path
) -> None:
    await survive([f"{step}:3"], postgres, tmp_path)


@pytest.mark.parametrize("step", ["load.before", "deliver.before", "deliver.after", "turn.middle"])
async def test_killed_again_while_it_goes_on_where_it_stopped(
    step: str, sqlite: StoreConfig, tmp_path: Path
) -> None:
    await survive(["commit.after:3", f"@{step}:1", f"@{step}:1"], sqlite, tmp_path)


@pytest.mark.parametrize(
    "fuse",
    ["create.before:1", "create.after:1"]
    + [f"{step}:{n}" for step in ("commit.before", "commit.after") for n in (1, 2, 3, 4, 5)],
)
async def test_killed_while_a_first_message_makes_its_room(
    fuse: str, sqlite: StoreConfig, tmp_path: Path
) -> None:
    log = tmp_path / "node.log"
    with receiver() as outside, trio.fail_after(60):
        orders = attrs.evolve(Orders.of(sqlite, outside.url), newcomers=True)
        async with road() as way, trio.open_nursery() as nursery:
            first = await live(orders, fuse, log)
            assert first is not None
            way.target = first.port
            story = Story()
            nursery.start_soon(story.shop_writes, way, 2)
            await first.wait_dead()
            last = await live(orders, "", log)
            assert last is not None
            way.target = last.port
            answers = ["re: shop 0", "re: shop 1"]
            with disk(sqlite) as kept, trio.move_on_after(10):
                await until(lambda: len(story.shop) == 2 and outside.texts() == answers)
                await until(lambda: kept.look().delivered)
            nursery.cancel_scope.cancel()
            await last.stop()
    with disk(sqlite) as kept:
        found = kept.look()
    assert found.delivered
    texts = [text_of(event.content) for event in messages(found.events)]
    assert sorted(texts) == [*answers, "shop 0", "shop 1"]
    attached = [event for event in found.events if event.type is EventType.CHANNEL_ATTACHED]
    assert len(attached) == 3
    names = {binding.channel_id for binding in found.record.context.bindings}
    assert names == {"websocket", "ai", "hook"}


async def test_acknowledged_means_on_disk_by_the_settings_of_the_store(
    store: StoreConfig, tmp_path: Path
) -> None:
    """A kill cannot show it: what a dead process has written, the system still has in memory."""
    backend = make_backend(store)()
    assert isinstance(backend, SqlBackend)
    backend.open()
    try:
        read = backend._database.read
        if store.engine == "sqlite":
            assert read("PRAGMA synchronous") == [(2,)]  # FULL
            assert read("PRAGMA journal_mode") == [("wal",)]
            assert read("PRAGMA fullfsync") == [(1,)]
        else:
            assert list(read("SHOW synchronous_commit")) == [("on",)]
            assert list(read("SHOW fsync")) == [("on",)]
    finally:
        backend.close()


# -- one run ---------------------------------------------------------------------------------------


@attrs.define(eq=False)
class Story:
    """What the senders know, and who watches has seen."""

    ada: list[Sent] = attrs.field(factory=list)
    shop: list[Sent] = attrs.field(factory=list)
    seen: list[RoomEvent] = attrs.field(factory=list)
    """By somebody who watches the room, through all deaths of the node."""

    @property
    def over(self) -> bool:
        return len(self.ada) == len(self.shop) == EACH

    async def ada_writes(self, way: Road) -> None:
        async with open_room_client(way.wire, participant_id="ada", config=QUICK) as client:
            await client.subscribe(ROOM)
            for number in range(EACH):
                told = await client.send(ROOM, f"ada {number}", id=f"a{number}")
                assert told.event_id is not None
                assert told.index is not None
                self.ada.append(Sent(f"ada {number}", told.event_id, told.index))

    async def shop_writes(self, way: Road, messages: int = EACH) -> None:
        for number in range(messages):
            self.shop.append(await post_until_taken(way, f"shop {number}", f"s{number}"))

    async def bob_watches(
        self, way: Road, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        async with open_room_client(way.wire, participant_id="bob", config=QUICK) as client:
            await client.subscribe(ROOM)
            task_status.started()
            await self._watch(client)

    async def _watch(self, client: RoomClient) -> None:
        async for news in client:
            if isinstance(news, RoomEvent):
                self.seen.append(news)


async def survive(fuses: Sequence[str], store: StoreConfig, folder: Path) -> None:
    """Messages through a node that dies of these fuses, one after the other; "@" counts from the
    start of that life. The last life has none.
    """
    log = folder / "node.log"
    story = Story()
    with receiver() as outside, trio.fail_after(90):
        orders = Orders.of(store, outside.url)
        async with road() as way, trio.open_nursery() as nursery:
            first = await live(orders, fuses[0], log)
            assert first is not None
            way.target = first.port
            await nursery.start(story.bob_watches, way)
            nursery.start_soon(story.ada_writes, way)
            nursery.start_soon(story.shop_writes, way)
            await first.wait_dead()
            for fuse in fuses[1:]:
                node = await live(orders, fuse, log)
                if node is not None:
                    way.target = node.port
                    await node.wait_dead()
            last = await live(orders, "", log)
            assert last is not None
            way.target = last.port
            with disk(store) as kept:
                found = await settled(kept, story, outside)
            nursery.cancel_scope.cancel()
        await last.stop()
    check(found, story, outside)


async def live(orders: Orders, fuse: str, log: Path) -> Node | None:
    changed = attrs.evolve(orders, fuse=fuse.lstrip("@"), armed_at_once=fuse.startswith("@"))
    return await Node.start(changed, log)


async def settled(kept: Disk, story: Story, outside: Receiver) -> OnDisk:
    """Once all has been said, answered, brought and written down, and a little later."""
    quiet = 0
    patience = trio.current_time() + 20
    while True:
        found = kept.look()
        answers = sum(event.source.channel_id == "ai" for event in found.events)
        done = story.over and found.delivered and answers >= 2 * EACH
        quiet = quiet + 1 if done and story.seen and len(messages(story.seen)) >= 4 * EACH else 0
        if quiet == 3 or trio.current_time() > patience:  # `check` says what is missing
            return found
        await trio.sleep(0.1)


def messages(events: Sequence[RoomEvent]) -> list[RoomEvent]:
    return [event for event in events if event.type is EventType.MESSAGE]


def check(found: OnDisk, story: Story, outside: Receiver) -> None:
    events = found.events
    said = messages(events)
    # Indices without gaps, and each message and each answer once.
    assert [event.index for event in events] == list(range(len(events)))
    texts = [text_of(event.content) for event in said]
    own = [f"{who} {n}" for who in ("ada", "shop") for n in range(EACH)]
    assert Counter(texts) == Counter([*own, *(f"re: {text}" for text in own)])
    # What was acknowledged is there, as it was acknowledged, and in the order it was sent.
    by_id = {event.id: event for event in events}
    for sent in (*story.ada, *story.shop):
        event = by_id[sent.event_id]
        assert (text_of(event.content), event.index) == (sent.text, sent.index)
    for sender in (story.ada, story.shop):
        assert [one.index for one in sender] == sorted(one.index for one in sender)
    # Each binding has had all of it, in order, once by its key.
    assert found.delivered
    owed = [event.id for event in said if event.source.channel_id != "hook"]
    assert [post.event_id for post in outside.taken] == owed
    assert len({post.event_id for post in outside.taken}) == len(owed)
    assert [event.id for event in messages(story.seen)] == [event.id for event in said]
    last = found.record.context.room.latest_index
    cursors = found.record.cursors
    assert all(index <= last for index in cursors.values())


# -- at random -----------------------------------------------------------------------------------


@pytest.mark.soak
@pytest.mark.parametrize("seed", range(60))
async def test_killed_again_and_again_at_random(
    seed: int, sqlite: StoreConfig, tmp_path: Path
) -> None:
    rng = random.Random(seed)
    fuses = [f"{rng.choice(STEPS)}:{rng.randint(1, 5)}"]
    fuses += [f"@{rng.choice(STEPS)}:1" for _ in range(rng.randint(0, 3))]
    await survive(fuses, sqlite, tmp_path)
