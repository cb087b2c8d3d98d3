"""Which provider is used next, and when one counts as stuck."""

from __future__ import annotations

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.fallback import REST, Chain, Progress
from models.faults import FaultKind


def test_the_first_provider_is_used_as_long_as_it_is_well() -> None:
    chain = Chain(3)
    assert chain.pick(0.0) == 0
    chain.failed(0, FaultKind.UNAVAILABLE, 0.0)
    assert chain.pick(0.0) == 1
    assert chain.pick(4.9) == 1
    assert chain.pick(5.0) == 0


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_fault_has_its_rest(kind: FaultKind) -> None:
    chain = Chain(2)
    chain.failed(0, kind, 100.0)
    assert chain.pick(100.0 + REST[kind]) == 0
    assert chain.pick(100.0) == (1 if REST[kind] else 0)


def test_a_provider_that_says_how_long_is_taken_at_its_word() -> None:
    chain = Chain(2)
    chain.failed(0, FaultKind.RATE_LIMITED, 0.0, retry_after=60.0)
    assert chain.pick(59.9) == 1
    chain.failed(0, FaultKind.UNAVAILABLE, 1.0)  # which makes it no shorter
    assert chain.pick(59.9) == 1
    assert chain.pick(60.0) == 0


def test_within_one_piece_of_work_each_is_tried_once() -> None:
    chain = Chain(2)
    assert chain.pick(0.0, frozenset({0})) == 1
    assert chain.pick(0.0, frozenset({0, 1})) is None


def test_if_all_rest_the_one_that_has_rested_most_is_tried() -> None:
    chain = Chain(3)
    chain.failed(0, FaultKind.UNAUTHORIZED, 0.0)
    chain.failed(1, FaultKind.UNAVAILABLE, 1.0)
    chain.failed(2, FaultKind.UNAVAILABLE, 0.0)
    assert chain.pick(2.0) == 2
    assert chain.pick(2.0, frozenset({2})) == 1


def test_success_ends_a_rest() -> None:
    chain = Chain(2)
    chain.failed(0, FaultKind.UNAUTHORIZED, 0.0)
    chain.succeeded(0)
    assert chain.pick(0.1) == 0


def test_a_chain_of_nobody_is_refused() -> None:
    with pytest.raises(ValueError, match="size"):
        Chain(0)


@given(
    st.integers(1, 4),
    st.lists(st.tuples(st.sampled_from(list(FaultKind)), st.floats(0, 50), st.booleans())),
)
def test_somebody_is_always_tried_until_all_were(
    size: int, history: list[tuple[FaultKind, float, bool]]
) -> None:
    chain, at = Chain(size), 0.0
    for number, (kind, gap, well) in enumerate(history):
        at += gap
        if well:
            chain.succeeded(number % size)
        else:
            chain.failed(number % size, kind, at)
    tried: frozenset[int] = frozenset()
    for _ in range(size):
        index = chain.pick(at, tried)
        assert index is not None
        assert index not in tried
        tried |= {index}
    assert chain.pick(at, tried) is None


# -- progress -------------------------------------------------------------------------------------


def test_work_has_to_begin_and_to_go_on() -> None:
    progress = Progress(first_within=1.0, next_within=0.5)
    assert progress.deadline == inf
    progress.asked(10.0)
    assert progress.deadline == 11.0
    progress.asked(10.9)  # asking again wins no time
    assert progress.deadline == 11.0
    progress.came(10.8, more=True)
    assert progress.deadline == 11.3
    progress.came(11.2, more=False)
    assert progress.deadline == inf
    progress.asked(20.0)
    assert progress.deadline == 21.0
    progress.stop()
    assert progress.deadline == inf
