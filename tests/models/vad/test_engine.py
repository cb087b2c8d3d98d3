"""Slots: whose row is whose."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.vad.engine import NoSlot, Slots, rows_for, window_samples
from models.vad.protocol import VadLeg
from supervision.testing import SystemUnderTest


@given(st.lists(st.integers(0, 30), max_size=60))
def test_a_slot_has_one_owner_and_the_lowest_free_one_goes_first(steps: list[int]) -> None:
    slots, taken = Slots(limit=20), set[int]()
    for step in steps:
        if step % 3 == 0 and taken:
            slots.release(taken_one := sorted(taken)[step % len(taken)])
            taken.remove(taken_one)
        elif len(taken) < 20:
            slot = slots.allocate()
            assert slot == min(set(range(20)) - taken)
            taken.add(slot)
        assert slots.taken == len(taken)


def test_more_slots_than_allowed_are_refused() -> None:
    slots = Slots(limit=2)
    first = slots.allocate()
    slots.allocate()
    with pytest.raises(NoSlot):
        slots.allocate()
    slots.release(first)
    assert slots.allocate() == first


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_arrays_grow_to_what_is_needed_and_at_least_double(needed: int, at_hand: int) -> None:
    rows = rows_for(needed, at_hand)
    assert rows >= needed
    assert rows == needed or rows <= max(2 * at_hand, 16)


async def test_a_window_has_as_many_samples_for_the_engine_as_for_the_leg(
    system: SystemUnderTest,
) -> None:
    probe = await system.probe()
    for rate in (8000, 16000):
        assert VadLeg("a", rate, probe.ref).window == window_samples(rate)
    assert window_samples(16000) == 512
