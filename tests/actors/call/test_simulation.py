"""Calls drawn from seeds: whatever is said, fails and breaks, history is what was heard, nothing of
a dead utterance is heard or done, no state outlives its deadline, and nothing is left at the end.

A seed that fails is named by the test; `python -m tests.actors.call.simulation SEED` shows its run.
"""

from __future__ import annotations

import pytest

from tests.actors.call.simulation import simulate_call

SEEDS_AT_ONCE = 10
"""So many in a test: each has some messages to itself, and none is long."""

SAMPLE, SOAK = 200, 10_000


def check_seeds(first: int) -> None:
    """All of them, also after one that fails."""
    failed = []
    for seed in range(first, first + SEEDS_AT_ONCE):
        try:
            simulate_call(seed)
        except Exception as error:  # noqa: BLE001 - also a group, and all that may go wrong
            failed.append(f"seed {seed}: {type(error).__name__}: {_innermost(error)}")
    if failed:
        pytest.fail("\n".join(failed), pytrace=False)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


@pytest.mark.parametrize("first", range(0, SAMPLE, SEEDS_AT_ONCE))
def test_a_call_keeps_its_promises(first: int) -> None:
    check_seeds(first)


@pytest.mark.soak
@pytest.mark.parametrize("first", range(SAMPLE, SOAK, SEEDS_AT_ONCE))
def test_ten_thousand_calls_keep_their_promises(first: int) -> None:
    check_seeds(first)


@pytest.mark.parametrize("seed", [0, 3, 16])
def test_the_same_seed_is_the_same_call_to_the_last_message(seed: int) -> None:
    once, again = simulate_call(seed), simulate_call(seed)
    assert once.log == again.log
    assert once.result.timeline == again.result.timeline
