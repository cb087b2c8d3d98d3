from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from supervision.resilience.bulkhead import (
    Admitted,
    AlreadyInBulkhead,
    Bulkhead,
    BulkheadStatistics,
    NotInBulkhead,
    Queued,
    Rejected,
)


def full(limit: int, queue: int) -> Bulkhead[str]:
    """A bulkhead with "in 1" … inside and "waiting 1" … in the line, up to its limits."""
    bulkhead = Bulkhead[str](limit, queue)
    for n in range(1, limit + 1):
        assert bulkhead.enter(f"in {n}") == Admitted()
    for n in range(1, queue + 1):
        assert bulkhead.enter(f"waiting {n}") == Queued(position=n)
    return bulkhead


def test_so_many_come_in_a_few_wait_and_the_rest_is_rejected() -> None:
    bulkhead = Bulkhead[str](limit=2, queue=1)
    assert bulkhead.enter("a") == Admitted()
    assert bulkhead.enter("b") == Admitted()
    assert bulkhead.enter("c") == Queued(position=1)
    assert bulkhead.enter("d") == Rejected()


def test_who_leaves_lets_in_who_has_waited_longest() -> None:
    bulkhead = full(limit=2, queue=2)
    assert bulkhead.leave("in 2") == ["waiting 1"]
    assert bulkhead.leave("waiting 1") == ["waiting 2"]
    assert bulkhead.leave("in 1") == []


def test_who_gives_up_waiting_lets_the_others_move_up() -> None:
    bulkhead = full(limit=1, queue=3)
    bulkhead.withdraw("waiting 2")
    assert bulkhead.enter("late") == Queued(position=3)
    assert bulkhead.leave("in 1") == ["waiting 1"]
    assert bulkhead.leave("waiting 1") == ["waiting 3"]


def test_without_a_line_nobody_waits() -> None:
    assert full(limit=1, queue=0).enter("one more") == Rejected()


def test_a_newcomer_does_not_overtake_the_line() -> None:
    bulkhead = full(limit=1, queue=1)
    bulkhead.leave("in 1")
    assert bulkhead.enter("newcomer") == Queued(position=1)


def test_who_was_rejected_or_has_gone_may_come_again() -> None:
    bulkhead = full(limit=1, queue=1)
    assert bulkhead.enter("again") == Rejected()
    bulkhead.withdraw("waiting 1")
    assert bulkhead.enter("again") == Queued(1)
    assert bulkhead.leave("in 1") == ["again"]
    assert bulkhead.enter("in 1") == Queued(1)


@pytest.mark.parametrize(("key", "where"), [("in 1", "inside"), ("waiting 1", "waiting")])
def test_nobody_enters_twice(key: str, where: str) -> None:
    with pytest.raises(AlreadyInBulkhead, match=f"'{key}' is already {where}"):
        full(limit=1, queue=1).enter(key)


@pytest.mark.parametrize(
    ("key", "remedy"),
    [("waiting 1", "still waiting: use `withdraw`"), ("stranger", "It never entered")],
)
def test_only_who_is_inside_can_leave(key: str, remedy: str) -> None:
    with pytest.raises(NotInBulkhead, match=f"'{key}' is not inside.*{remedy}"):
        full(limit=1, queue=1).leave(key)


@pytest.mark.parametrize(
    ("key", "remedy"),
    [("in 1", "has been admitted meanwhile: use `leave`"), ("stranger", "It never entered")],
)
def test_only_who_waits_can_withdraw(key: str, remedy: str) -> None:
    with pytest.raises(NotInBulkhead, match=f"'{key}' is not waiting.*{remedy}"):
        full(limit=1, queue=1).withdraw(key)


def test_its_state_can_be_looked_at() -> None:
    bulkhead = full(limit=3, queue=2)
    bulkhead.enter("one more")
    bulkhead.leave("in 1")
    bulkhead.withdraw("waiting 2")
    assert repr(bulkhead) == "<Bulkhead 3 of 3 inside, 0 waiting>"
    assert bulkhead.statistics() == BulkheadStatistics(
        limit=3, queue=2, inside=3, waiting=0, admitted=4, rejected=1, withdrawn=1
    )


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"limit": 0}, "'limit' must be >= 1"),
        ({"limit": 1, "queue": -1}, "'queue' must be >= 0"),
    ],
)
def test_a_bulkhead_that_makes_no_sense_is_refused(fields: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        Bulkhead[str](**fields)


@pytest.mark.parametrize("fields", [{"limit": 1.5}, {"limit": 1, "queue": 2.0}])
def test_what_is_counted_is_whole(fields: Any) -> None:
    with pytest.raises(TypeError, match="must be <class 'int'>"):
        Bulkhead[str](**fields)


keys = st.integers(0, 9)


class BulkheadMachine(RuleBasedStateMachine):
    """The model is one list in order of arrival: its first `limit` are inside, the rest wait."""

    @initialize(limit=st.integers(1, 4), queue=st.integers(0, 4))
    def begin(self, limit: int, queue: int) -> None:
        self.bulkhead = Bulkhead[int](limit, queue)
        self.limit, self.queue = limit, queue
        self.everyone: list[int] = []
        self.entered = self.rejected = self.withdrawn = self.left = 0

    @property
    def inside(self) -> list[int]:
        return self.everyone[: self.limit]

    @property
    def waiting(self) -> list[int]:
        return self.everyone[self.limit :]

    @rule(key=keys)
    def somebody_enters(self, key: int) -> None:
        if key in self.everyone:
            with pytest.raises(AlreadyInBulkhead) as caught:
                self.bulkhead.enter(key)
            assert caught.value.waiting == (key in self.waiting)
            return
        decision = self.bulkhead.enter(key)
        if len(self.everyone) == self.limit + self.queue:
            assert decision == Rejected()
            self.rejected += 1
            return
        self.everyone.append(key)
        self.entered += 1
        if key in self.inside:
            assert decision == Admitted()
        else:
            assert decision == Queued(self.waiting.index(key) + 1)

    @rule(key=keys)
    def somebody_leaves(self, key: int) -> None:
        if key not in self.inside:
            with pytest.raises(NotInBulkhead):
                self.bulkhead.leave(key)
            return
        next_in_line = self.waiting[:1]
        self.everyone.remove(key)
        self.left += 1
        assert self.bulkhead.leave(key) == next_in_line

    @rule(key=keys)
    def somebody_gives_up(self, key: int) -> None:
        if key not in self.waiting:
            with pytest.raises(NotInBulkhead):
                self.bulkhead.withdraw(key)
            return
        self.everyone.remove(key)
        self.withdrawn += 1
        self.bulkhead.withdraw(key)

    @invariant()
    def the_statistics_are_those_of_the_model(self) -> None:
        assert self.bulkhead.statistics() == BulkheadStatistics(
            limit=self.limit,
            queue=self.queue,
            inside=len(self.inside),
            waiting=len(self.waiting),
            admitted=self.left + len(self.inside),
            rejected=self.rejected,
            withdrawn=self.withdrawn,
        )

    def teardown(self) -> None:
        """Whoever is still there gets in and out, in order: no key is forgotten in the line."""
        while self.everyone:
            self.somebody_leaves(self.everyone[0])
        assert self.bulkhead.statistics().inside == 0


TestBulkheadMachine = BulkheadMachine.TestCase
