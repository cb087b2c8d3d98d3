from __future__ import annotations

import gc
import logging
from collections.abc import Iterator

import pytest

import actors.interpreter
from actors.interpreter import LEAST_GROWTH, MIB, CollectionPolicy, Collector, resident_memory


@pytest.mark.parametrize(
    ("floor", "in_use", "due"),
    [
        (100 * MIB, 100 * MIB + LEAST_GROWTH - 1, False),  # a small process only breathes
        (100 * MIB, 100 * MIB + LEAST_GROWTH, True),
        (1000 * MIB, 1000 * MIB + LEAST_GROWTH, False),  # a large one breathes deeper
        (1000 * MIB, 1250 * MIB - 1, False),
        (1000 * MIB, 1250 * MIB, True),
    ],
)
def test_memory_asks_for_a_full_collection_when_it_grew_by_a_quarter(
    floor: int, in_use: int, due: bool
) -> None:
    assert CollectionPolicy(floor).due(in_use) is due


def test_after_a_collection_the_same_growth_is_forgiven_again() -> None:
    policy = CollectionPolicy(100 * MIB)
    assert policy.due(500 * MIB)
    policy.collected(490 * MIB)
    assert not policy.due(600 * MIB)
    assert policy.due(613 * MIB)


def test_memory_is_measured_in_bytes() -> None:
    before = resident_memory()
    ballast = b"\1" * (100 * MIB)
    assert 90 * MIB < resident_memory() - before < 200 * MIB
    del ballast


@pytest.fixture
def collector_as_it_was() -> Iterator[None]:
    thresholds = gc.get_threshold()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


class Cyclic:
    """Garbage that only the collector frees."""

    freed = 0

    def __init__(self) -> None:
        self.me = self

    def __del__(self) -> None:
        Cyclic.freed += 1


@pytest.mark.usefixtures("collector_as_it_was")
def test_a_full_collection_waits_until_memory_asks(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    in_use = 100 * MIB
    monkeypatch.setattr(actors.interpreter, "resident_memory", lambda: in_use)
    collector = Collector()
    garbage = Cyclic()
    gc.collect(1)  # it is in the oldest generation now
    del garbage
    before = Cyclic.freed
    collector.look()
    assert Cyclic.freed == before
    in_use = 200 * MIB
    with caplog.at_level(logging.WARNING):
        collector.look()
    assert Cyclic.freed == before + 1
    assert "memory grew to 200 MiB, so all garbage was collected" in caplog.text


@pytest.mark.usefixtures("collector_as_it_was")
def test_what_exists_at_the_start_is_looked_at_no_more() -> None:
    Collector()
    assert gc.get_freeze_count() > 10_000
    assert gc.get_threshold()[2] == 2**31 - 1
