"""Who goes into a room first: the door by itself, and against a model of it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.line import Line, Passage
from actors.machines.room.steps import LOCK, FindKey, Keep, Lock, Resolve, RunHooks, Steps
from models.rooms.content import Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType
from models.rooms.traffic import InboundMessage
from tests.actors.machines.room.driver import T0

IDENTIFYING = Resolve(
    InboundMessage("sms", "x", Text("x")),
    RoomEvent("e", "r", EventSource("sms", ChannelType.SMS), Text("x"), T0),
)
HOOKS = RunHooks(HookTrigger.BEFORE_BROADCAST, None)


def nothing() -> Steps[None]:
    """A way through a room that these tests never take."""
    yield LOCK


def passage(sender: object = None, *, ready: bool = True, **parts: str) -> Passage:
    """One at the door; `ready` once it is known who sent it."""
    made = Passage(nothing(), lambda _value, _fault: None, sender=sender, **parts)  # type: ignore[arg-type]
    made.waits = LOCK if ready else IDENTIFYING
    return made


def at_the_door(*passages: Passage) -> Line:
    line = Line()
    for one in passages:
        line.come(one)
    return line


def order_of(line: Line) -> Iterator[Passage]:
    """Let one after the other in, and out again."""
    while (one := line.next()) is not None:
        yield one
        line.leave(one)


def test_passages_go_in_as_they_came() -> None:
    three = [passage("a"), passage("b"), passage("a")]
    assert list(order_of(at_the_door(*three))) == three


def test_only_one_is_inside() -> None:
    line = at_the_door(passage(), passage())
    assert line.next() is not None
    assert line.next() is None


def test_one_whose_sender_is_being_identified_lets_others_pass() -> None:
    unknown, other = passage("a", ready=False), passage("b")
    line = at_the_door(unknown, other)
    assert list(order_of(line)) == [other]
    unknown.waits = LOCK
    assert line.next() is unknown


def test_nobody_passes_an_earlier_message_of_the_same_sender() -> None:
    unknown, second, other = passage("a", ready=False), passage("a"), passage("b")
    line = at_the_door(unknown, second, other)
    assert list(order_of(line)) == [other]
    unknown.waits = LOCK
    assert list(order_of(line)) == [unknown, second]


def test_one_without_a_sender_passes_whoever_is_not_ready() -> None:
    unknown, operation = passage("a", ready=False), passage()
    assert list(order_of(at_the_door(unknown, operation))) == [operation]


def asked_about() -> tuple[Line, Passage]:
    """Somebody inside waits for what hooks say of it."""
    outer = passage("a", name="outer")
    line = at_the_door(outer)
    assert line.next() is outer
    outer.waits = HOOKS
    return line, outer


def test_what_a_hook_says_goes_before_what_it_is_asked_about() -> None:
    line, outer = asked_about()
    other, nested = passage("b"), passage("a", nested_in="outer")
    line.come(other)
    line.come(nested)
    assert line.next() is nested
    assert line.inside == [outer, nested]
    assert line.leave(nested) is outer
    assert line.next() is None
    assert line.leave(outer) is None
    assert line.next() is other


def test_a_hook_may_say_two_things_at_once() -> None:
    line, outer = asked_about()
    one, two = passage("a", nested_in="outer"), passage("a", nested_in="outer")
    line.come(one)
    line.come(two)
    assert line.next() is one
    assert line.next() is None
    assert line.leave(one) is outer
    assert line.next() is two


def test_what_a_hook_says_too_late_waits_like_others() -> None:
    line, outer = asked_about()
    late = passage("a", nested_in="outer")
    line.come(late)
    outer.waits = Keep(None)  # type: ignore[arg-type]
    assert line.next() is None
    line.leave(outer)
    assert line.next() is late


def test_a_nested_passage_waits_until_it_is_known_who_sent_it() -> None:
    line, outer = asked_about()
    nested = passage("x", ready=False, nested_in="outer")
    line.come(nested)
    assert line.next() is None
    line.leave(outer)
    other = passage("b", name="other")
    line.come(other)
    assert line.next() is other
    other.waits = HOOKS
    nested.waits = LOCK
    assert line.next() is None


def test_one_that_gives_up_at_the_door_is_forgotten() -> None:
    unknown, second = passage("a", ready=False), passage("a")
    line = at_the_door(unknown, second)
    assert line.leave(unknown) is None
    assert line.next() is second


def test_the_lowest_of_a_nest_may_leave_first() -> None:
    line, outer = asked_about()
    nested = passage(nested_in="outer")
    line.come(nested)
    assert line.next() is nested
    assert line.leave(outer) is nested
    assert line.leave(nested) is None
    assert not list(line)


def test_what_is_on_its_way_to_disk_does_not_expire() -> None:
    one = passage()
    assert one.can_expire
    one.waits = FindKey("k")
    assert one.can_expire
    one.waits = Keep(None)  # type: ignore[arg-type]
    assert not one.can_expire


# -- against a model -------------------------------------------------------------------------------


@attrs.define(eq=False)
class Door:
    """The line, and the model beside it: a list of who came, in order."""

    line: Line = attrs.field(factory=Line)
    came: list[Passage] = attrs.field(factory=list)
    inside: Passage | None = None

    def expected(self) -> Passage | None:
        """The first that is ready and has no earlier message of its sender before it."""
        for k, one in enumerate(self.came):
            earlier = self.came[:k]
            blocked = one.sender is not None and any(e.sender == one.sender for e in earlier)
            if isinstance(one.waits, Lock) and not blocked:
                return one
        return None

    def come(self, sender: str | None, ready: bool) -> None:
        one = passage(sender, ready=ready)
        self.line.come(one)
        self.came.append(one)

    def identified(self, number: int) -> None:
        if self.came:
            self.came[number % len(self.came)].waits = LOCK

    def give_up(self, number: int) -> None:
        if self.came:
            one = self.came.pop(number % len(self.came))
            assert self.line.leave(one) is None

    def next(self) -> None:
        expected = None if self.inside is not None else self.expected()
        assert self.line.next() is expected
        if expected is not None:
            self.inside = expected
            self.came.remove(expected)

    def out(self) -> None:
        if self.inside is not None:
            assert self.line.leave(self.inside) is None
            self.inside = None


STEPS = st.one_of(
    st.tuples(st.just("come"), st.sampled_from([None, "a", "b", "c"]), st.booleans()),
    st.tuples(st.just("identified"), st.integers(0, 9)),
    st.tuples(st.just("give_up"), st.integers(0, 9)),
    st.tuples(st.just("next")),
    st.tuples(st.just("out")),
)


@settings(max_examples=300, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_the_door_lets_in_whom_the_model_lets_in(steps: list[tuple[object, ...]]) -> None:
    door = Door()
    for name, *arguments in steps:
        getattr(door, str(name))(*arguments)
        assert set(door.line) == {*door.came, *([door.inside] if door.inside else [])}
    for one in door.came:
        one.waits = LOCK
    door.out()
    while door.came:
        door.next()
        assert door.inside is not None
        door.out()
    assert not list(door.line)
