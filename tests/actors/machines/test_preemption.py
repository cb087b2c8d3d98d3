"""Thinking before the turn is over."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.preemption import Basis, Preemption, normalised

BASIS = Basis("what time is it", 3, 7)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("What time is it?", "what time is it", True),
        ("  what   TIME is it ?! ", "What time is it.", True),
        ("what time; is it", "what time is it", False),  # inner punctuation matters
        ("what time is it now", "what time is it", False),
        ("Straße", "STRASSE", True),
    ],
)
def test_texts_that_ask_the_same(one: str, other: str, same: bool) -> None:
    assert (normalised(one) == normalised(other)) is same


@pytest.mark.parametrize("text", ["", " ", "?!", ". , ;"])
def test_of_nothing_nothing_is_thought(text: str) -> None:
    assert Preemption().begin(Basis(normalised(text), 0, 0), 1.0) is None


def test_a_thought_that_holds_is_used() -> None:
    thinking = Preemption()
    assert thinking.begin(BASIS, 1.0) == 1
    assert thinking.settle(BASIS) == 1
    assert (thinking.wasted, thinking.thinking) == (0, False)


@pytest.mark.parametrize(
    "changed",
    [
        attrs.evolve(BASIS, text="what time"),
        attrs.evolve(BASIS, history=4),
        attrs.evolve(BASIS, epoch=8),
    ],
)
def test_a_thought_holds_only_on_its_basis(changed: Basis) -> None:
    thinking = Preemption()
    thinking.begin(BASIS, 1.0)
    assert thinking.settle(changed) is None
    assert thinking.wasted == 1


def test_speech_that_goes_on_takes_the_thought_back() -> None:
    thinking = Preemption()
    thinking.begin(BASIS, 1.0)
    assert thinking.withdraw() == 1
    assert thinking.withdraw() is None
    assert thinking.settle(BASIS) is None
    assert thinking.wasted == 1


def test_a_turn_is_thought_about_three_times_at_most() -> None:
    thinking = Preemption()
    numbers = [thinking.begin(Basis(f"word {n}", 0, 0), 1.0) for n in range(5)]
    assert numbers == [1, 2, 3, None, None]
    assert thinking.settle(Basis("word 2", 0, 0)) == 3
    assert thinking.begin(BASIS, 1.0) == 4  # the next turn's first


def test_the_same_is_not_thought_twice() -> None:
    thinking = Preemption()
    assert thinking.begin(BASIS, 1.0) == 1
    assert thinking.begin(BASIS, 1.5) is None
    assert thinking.settle(BASIS) == 1


@pytest.mark.parametrize(("seconds", "number"), [(10.0, 1), (10.1, None)])
def test_long_turns_are_not_thought_about_early(seconds: float, number: int | None) -> None:
    assert Preemption().begin(BASIS, seconds) == number


@given(st.lists(st.tuples(st.sampled_from(["begin", "withdraw", "settle"]), st.integers(0, 2))))
def test_every_thought_is_used_or_counted_as_wasted(steps: list[tuple[str, int]]) -> None:
    thinking, begun, used = Preemption(), 0, 0
    for step, which in steps:
        basis = Basis(f"text {which}", 0, 0)
        match step:
            case "begin":
                begun += thinking.begin(basis, 1.0) is not None
            case "withdraw":
                thinking.withdraw()
            case _:
                used += thinking.settle(basis) is not None
        assert begun == used + thinking.wasted + thinking.thinking
        assert thinking.number == begun
