"""Where queued proactive deliveries wait."""

from __future__ import annotations

import attrs
import pytest
import trio

from actors.machines.room.proactive import Item, ItemStatus
from actors.room.delivery_backend import MemoryBackend
from models.rooms.content import Text
from models.rooms.errors import Overloaded


def item(name: str, max_retries: int = 3) -> Item:
    return Item(name, "r", Text(name), max_retries=max_retries)


async def test_items_are_taken_in_order_and_acknowledged(autojump_clock: object) -> None:
    backend = MemoryBackend()
    for name in "abc":
        await backend.enqueue(item(name))
    taken = await backend.dequeue("w", 2)
    assert [(one.id, one.status) for one in taken] == [
        ("a", ItemStatus.IN_PROGRESS),
        ("b", ItemStatus.IN_PROGRESS),
    ]
    await backend.ack(taken[0])
    assert await backend.get_queue_depth() == 1
    assert repr(backend) == "<MemoryBackend: 1 pending, 1 in progress, 0 dead>"


async def test_who_takes_waits_for_an_item_but_not_for_ever(autojump_clock: object) -> None:
    backend = MemoryBackend()
    assert await backend.dequeue("w", within=5.0) == []
    assert trio.current_time() == pytest.approx(5.0)
    async with trio.open_nursery() as nursery:

        async def later() -> None:
            await trio.sleep(1.0)
            await backend.enqueue(item("a"))

        nursery.start_soon(later)
        (taken,) = await backend.dequeue("w")
    assert taken.id == "a"
    assert trio.current_time() == pytest.approx(6.0)


async def test_what_failed_comes_back_later_and_is_given_up_in_the_end(
    autojump_clock: object,
) -> None:
    backend = MemoryBackend(delay=lambda retries: 2.0 * retries)
    await backend.enqueue(item("a", max_retries=3))
    came = []
    for _ in range(3):
        (taken,) = await backend.dequeue("w", within=60.0)
        came.append((taken.retry_count, trio.current_time()))
        left = await backend.nack(taken, "away")
    assert came == [(0, 0.0), (1, pytest.approx(2.0)), (2, pytest.approx(6.0))]
    assert (left.status, left.retry_count, left.error) == (ItemStatus.DEAD_LETTER, 3, "away")
    assert await backend.get_dead_letter_items() == (left,)
    assert await backend.dequeue("w", within=1.0) == []


async def test_one_too_many_is_refused_and_old_dead_letters_go(autojump_clock: object) -> None:
    backend = MemoryBackend(capacity=2, dead_letters=2)
    await backend.enqueue(item("a"))
    await backend.enqueue(item("b"))
    await backend.dequeue("w")
    with pytest.raises(Overloaded):
        await backend.enqueue(item("c"))
    for name in "xyz":
        await backend.dead_letter(item(name), "no")
    assert [dead.id for dead in await backend.get_dead_letter_items()] == ["y", "z"]
    assert [dead.id for dead in await backend.get_dead_letter_items(1)] == ["z"]


async def test_what_a_worker_had_in_hand_is_pending_again(autojump_clock: object) -> None:
    backend = MemoryBackend()
    for name in "abc":
        await backend.enqueue(item(name))
    mine = await backend.dequeue("mine", 2)
    await backend.dequeue("other")
    await backend.recover("mine")
    again = await backend.dequeue("mine", 5)
    assert again == [attrs.evolve(one, status=ItemStatus.IN_PROGRESS) for one in mine]
