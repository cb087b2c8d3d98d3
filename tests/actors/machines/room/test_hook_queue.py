"""Which watching hook is told what next."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from actors.machines.room.hook_queue import HookQueue, Step
from actors.machines.room.hooking import Hook, HookResult, HookTrigger

AFTER = HookTrigger.AFTER_BROADCAST


def nothing(_payload: object, _context: object) -> HookResult:
    return HookResult.allow()


def hook(name: str) -> Hook:
    return Hook(AFTER, nothing, name=name)


SLOW, FAST = hook("slow"), hook("fast")


def begun(step: Step[int]) -> list[tuple[str, int]]:
    return [(each.name, notice.payload) for each, notice in step.begin]


def given_up(step: Step[int]) -> list[tuple[str, int]]:
    return [(each.name, notice.payload) for each, notice in step.given_up]


def over(step: Step[int]) -> list[int]:
    return [notice.payload for notice in step.over]


def test_all_hooks_are_told_at_once_and_each_one_thing_at_a_time() -> None:
    queue: HookQueue[int] = HookQueue(64)
    assert begun(queue.add(1, [SLOW, FAST])) == [("slow", 1), ("fast", 1)]
    assert begun(queue.add(2, [SLOW, FAST])) == []
    step = queue.ended(FAST)
    assert (begun(step), over(step)) == ([("fast", 2)], [])
    step = queue.ended(SLOW)
    assert (begun(step), over(step)) == ([("slow", 2)], [1])


def test_nobody_to_tell_is_over_at_once() -> None:
    assert over(HookQueue[int](64).add(1, [])) == [1]


def test_who_is_named_twice_is_told_once() -> None:
    queue: HookQueue[int] = HookQueue(64)
    assert begun(queue.add(1, [FAST, FAST])) == [("fast", 1)]
    step = queue.ended(FAST)
    assert (begun(step), over(step)) == ([], [1])


def test_only_who_is_slow_misses_anything() -> None:
    queue: HookQueue[int] = HookQueue(2)
    for number in range(4):
        queue.add(number, [SLOW, FAST])
        queue.ended(FAST)
    assert queue.waiting == 2  # 2 and 3; 1 was given up
    step = queue.add(4, [SLOW, FAST])
    assert begun(step) == [("fast", 4)]
    assert given_up(step) == [("slow", 2)]
    assert over(step) == [2]
    assert begun(queue.ended(SLOW)) == [("slow", 3)]


def test_who_is_late_holds_up_what_waits_for_it_but_not_who_waits_for_that() -> None:
    queue: HookQueue[int] = HookQueue(64)
    queue.add(1, [SLOW])
    queue.add(2, [SLOW])
    step = queue.late(SLOW)
    assert (begun(step), over(step)) == ([], [1])
    step = queue.ended(SLOW)
    assert (begun(step), over(step)) == ([("slow", 2)], [])


def test_who_does_not_end_is_told_nothing_more_until_it_does() -> None:
    queue: HookQueue[int] = HookQueue(64)
    queue.add(1, [SLOW])
    queue.add(2, [SLOW, FAST])
    queue.late(SLOW)
    step = queue.stuck(SLOW)
    assert (given_up(step), over(step)) == ([("slow", 2)], [])
    step = queue.add(3, [SLOW])
    assert (given_up(step), over(step)) == ([("slow", 3)], [3])
    assert over(queue.ended(FAST)) == [2]
    queue.ended(SLOW)
    assert begun(queue.add(4, [SLOW])) == [("slow", 4)]


class Queueing(RuleBasedStateMachine):
    """Whatever happens: in order, one at a time, within bounds, and over exactly once."""

    MOST = 3

    def __init__(self) -> None:
        super().__init__()
        self.hooks = [hook(name) for name in "abc"]
        self.queue: HookQueue[int] = HookQueue(self.MOST)
        self.number = 0
        self.told: dict[int, set[Hook]] = {}
        self.done: dict[int, set[Hook]] = {}
        self.in_hand: dict[Hook, int] = {}
        self.late: set[Hook] = set()
        self.last: dict[Hook, int] = {}
        self.over: list[int] = []

    def took(self, step: Step[int]) -> None:
        for each, notice in step.given_up:
            assert each in self.told[notice.payload]
            self.done[notice.payload].add(each)
        for each, notice in step.begin:
            assert each not in self.in_hand
            assert self.last.get(each, -1) < notice.payload
            assert each not in self.done[notice.payload]
            self.in_hand[each] = self.last[each] = notice.payload
        for notice in step.over:
            assert notice.payload not in self.over
            assert self.done[notice.payload] == self.told[notice.payload]
            self.over.append(notice.payload)

    @rule(which=st.sets(st.integers(0, 2)))
    def add(self, which: set[int]) -> None:
        hooks = [self.hooks[at] for at in sorted(which)]
        self.told[self.number], self.done[self.number] = set(hooks), set()
        self.number += 1
        self.took(self.queue.add(self.number - 1, hooks))

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def ended(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(sorted(self.in_hand, key=lambda h: h.name)))
        self.done[self.in_hand.pop(each)].add(each)
        self.late.discard(each)
        self.took(self.queue.ended(each))

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def gets_late(self, data: st.DataObject) -> None:
        each = data.draw(st.sampled_from(sorted(self.in_hand, key=lambda h: h.name)))
        if each in self.late:
            self.took(self.queue.stuck(each))
        else:
            self.late.add(each)
            self.done[self.in_hand[each]].add(each)
            self.took(self.queue.late(each))

    @invariant()
    def bounded(self) -> None:
        assert self.queue.waiting <= self.MOST
        waiting = {n for n in self.told if n not in self.over and self._unbegun(n)}
        assert len(waiting) == self.queue.waiting

    @invariant()
    def nothing_is_forgotten(self) -> None:
        for number, told in self.told.items():
            assert (number in self.over) == (self.done[number] == told)

    def _unbegun(self, number: int) -> bool:
        return any(
            each not in self.done[number] and self.in_hand.get(each) != number
            for each in self.told[number]
        )


TestQueueing = Queueing.TestCase
TestQueueing.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


@given(st.integers(1, 200))
def test_a_single_hook_is_told_everything_in_order_while_it_keeps_up(count: int) -> None:
    queue: HookQueue[int] = HookQueue(1)
    seen = []
    for number in range(count):
        seen += begun(queue.add(number, [FAST]))
        queue.ended(FAST)
    assert seen == [("fast", number) for number in range(count)]
