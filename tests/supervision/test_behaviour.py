"""What an actor class accepts, and which of its methods handles what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Generic, Optional, TypeVar, Union, cast

import attrs
import pytest

from supervision import Actor, NotAccepted, Reply, Request, handles
from supervision.behaviour import Table
from supervision.testing import SystemUnderTest

T = TypeVar("T")


@attrs.frozen
class Add:
    number: int = 1


@attrs.frozen
class Sub:
    number: int = 1


@attrs.frozen
class Mul:
    number: int = 2


class Total(Request[int]):
    """How much it is by now."""


class Event:
    """A base of messages."""


@attrs.frozen
class Joined(Event):
    name: str = "Ada"


@attrs.frozen
class JoinedLate(Joined):
    minutes: int = 5


@attrs.frozen
class Get(Request[T], Generic[T]):
    """A request that is generic in what it asks for."""

    kind: type[T]


def accepted(cls: type[Actor[Any]]) -> set[type]:
    return set(cls._rt_table().accepted)


def handler(cls: type[Actor[Any]], message_type: type) -> str:
    """The name of the method that handles a type."""
    table = cls._rt_table()
    assert table.admits(message_type)
    return getattr(table[message_type], "__qualname__", "?")


# -- where the types come from -----------------------------------------------------------


class Annotations(Actor[Any]):
    @handles
    def plain(self, message: Add) -> None: ...

    @handles
    def union(self, message: Sub | Mul) -> None: ...

    @handles
    def typing_union(self, message: Union[Total, Joined]) -> None: ...  # noqa: UP007  on purpose


def test_a_handler_takes_what_its_message_parameter_is_annotated_with() -> None:
    assert accepted(Annotations) == {Add, Sub, Mul, Total, Joined}
    assert handler(Annotations, Mul) == "Annotations.union"


class Spelled(Actor[Any]):
    @handles
    def quoted(self, message: "Add") -> None: ...  # noqa: UP037  on purpose

    @handles
    def quoted_inside(self, message: Union["Sub", "Mul"]) -> None: ...  # noqa: UP007, UP037

    @handles
    def optional(self, message: Optional[Total]) -> None: ...  # noqa: UP045  on purpose

    @handles
    def annotated(self, message: Annotated[Joined, "when they come in"]) -> None: ...

    @handles
    def generic(self, message: Get[int]) -> None: ...


def test_annotations_may_be_quoted_optional_annotated_or_generic() -> None:
    assert accepted(Spelled) == {Add, Sub, Mul, Total, type(None), Joined, Get}


def test_arguments_of_handles_win_over_the_annotation() -> None:
    class Explicit(Actor[Any]):
        @handles(Add, Sub)
        def both(self, message: Any) -> None: ...

    assert accepted(Explicit) == {Add, Sub}


def test_message_classes_defined_inside_a_function_are_named_to_handles() -> None:
    @attrs.frozen
    class Local:
        pass

    class ByArgument(Actor[Any]):
        @handles(Local)
        def local(self, message: Local) -> None: ...

    class ByAnnotation(Actor[Any]):
        @handles
        def local(self, message: Local) -> None: ...

    assert accepted(ByArgument) == {Local}
    with pytest.raises(TypeError, match=r"cannot resolve .*Local.*@handles\(TheMessage\)"):
        ByAnnotation._rt_table()


def test_on_receive_accepts_what_it_is_annotated_with() -> None:
    class Receiver(Actor[Any]):
        def on_receive(self, message: Add | Sub) -> None: ...

    assert accepted(Receiver) == {Add, Sub}
    assert not Receiver._rt_table().admits(Mul)
    assert Receiver._rt_table().names() == ("Add", "Sub")


@pytest.mark.parametrize("annotation", [None, Any, object, T])
def test_on_receive_without_a_type_accepts_anything(annotation: Any) -> None:
    def on_receive(self: Any, message: Any) -> None: ...

    if annotation is None:
        del on_receive.__annotations__["message"]
    else:
        on_receive.__annotations__["message"] = annotation
    kind: Any = type("Receiver", (Actor,), {"on_receive": on_receive})
    table = kind._rt_table()
    assert table.admits(Add)
    assert table.admits(str)
    assert table.names() == ("anything",)


def test_handlers_go_before_on_receive() -> None:
    class Mixed(Actor[Any]):
        def on_receive(self, message: Any) -> None: ...

        @handles
        def add(self, message: Add) -> None: ...

    assert handler(Mixed, Add).endswith("Mixed.add")
    assert handler(Mixed, Sub).endswith("Mixed.on_receive")


def test_an_actor_without_handlers_accepts_nothing() -> None:
    class Deaf(Actor[Any]):
        pass

    assert not Deaf._rt_table().admits(Add)


# -- inheritance of messages --------------------------------------------------------------


def test_a_handler_of_a_base_class_takes_its_subclasses_and_the_nearest_one_wins() -> None:
    class Listener(Actor[Any]):
        @handles
        def event(self, message: Event) -> None: ...

        @handles
        def joined(self, message: Joined) -> None: ...

    assert handler(Listener, Event).endswith("Listener.event")
    assert handler(Listener, JoinedLate).endswith("Listener.joined")


def test_subclasses_met_at_run_time_do_not_show_as_accepted() -> None:
    class Listener(Actor[Any]):
        @handles
        def event(self, message: Event) -> None: ...

    assert Listener._rt_table().admits(JoinedLate)
    assert accepted(Listener) == {Event}


# -- inheritance of actors ----------------------------------------------------------------


class Counter(Actor[Any]):
    total = 0

    @handles
    def add(self, message: Add) -> None:
        self.total += message.number

    @handles
    def how_many(self, _message: Total) -> int:
        return self.total


class Doubling(Counter):
    """Overrides a handler as one overrides any method: without marking it again."""

    def add(self, message: Add) -> None:
        super().add(Add(2 * message.number))


class Marking(Counter):
    @handles
    def add(self, message: Add) -> None:
        super().add(Add(3 * message.number))


class Widening(Counter):
    def add(self, message: Add | Sub) -> None:
        self.total += message.number if isinstance(message, Add) else -message.number


class Adding(Counter):
    @handles
    def multiply(self, message: Mul) -> None:
        self.total *= message.number


class Receiving(Counter):
    def on_receive(self, message: Sub) -> None:
        self.total -= message.number


@pytest.mark.parametrize(
    ("kind", "messages", "total"),
    [
        (Counter, [Add(2), Add(3)], 5),
        (Doubling, [Add(2)], 4),
        (Marking, [Add(2)], 6),
        (Widening, [Add(7), Sub(2)], 5),
        (Adding, [Add(3), Mul(4)], 12),
        (Receiving, [Add(3), Sub(1)], 2),
    ],
)
async def test_a_subclass_overrides_and_adds_handlers(
    system: SystemUnderTest, kind: type[Counter], messages: Sequence[Any], total: int
) -> None:
    counter = await system.spawn(kind)
    for message in messages:
        counter.tell(message)
    assert await counter.ask(Total()) == total


async def test_a_subclass_adds_handlers_to_the_on_receive_it_inherits(
    system: SystemUnderTest,
) -> None:
    class Base(Actor[Any]):
        total = 0

        def on_receive(self, message: Add) -> None:
            self.total += message.number

    class More(Base):
        @handles
        def how_many(self, _message: Total) -> int:
            return self.total

    more = await system.spawn(More)
    more.tell(Add(4))
    assert await more.ask(Total()) == 4


async def test_an_async_handler_may_be_overridden_by_a_plain_one_and_back(
    system: SystemUnderTest,
) -> None:
    class Waits(Actor[Any]):
        @handles
        async def how_many(self, _message: Total) -> int:
            return 1

    class WaitsNot(Waits):
        def how_many(self, _message: Total) -> int:  # type: ignore[override]
            return 2

    class WaitsAgain(WaitsNot):
        async def how_many(self, _message: Total) -> int:  # type: ignore[override]
            return 3

    answers = [
        await (await system.spawn(kind)).ask(Total()) for kind in (Waits, WaitsNot, WaitsAgain)
    ]
    assert answers == [1, 2, 3]


def test_a_table_is_built_once_for_a_class_and_not_shared_with_its_subclasses() -> None:
    assert Counter._rt_table() is Counter._rt_table()
    assert Adding._rt_table() is not Counter._rt_table()
    assert not Counter._rt_table().admits(Mul)


# -- what is refused ----------------------------------------------------------------------


@attrs.define
class Mutable:
    number: int = 1


@attrs.define
class MutableWithValidator:
    """`attrs.define` gives it a `__setattr__` of its own, but no frozen one."""

    number: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@dataclasses.dataclass
class MutableDataclass:
    number: int = 1


@attrs.define
class MutableChild(Event):
    number: int = 1


@pytest.mark.parametrize("message", [Mutable, MutableWithValidator, MutableDataclass, MutableChild])
@pytest.mark.parametrize("explicit", [True, False])
def test_mutable_message_classes_are_refused(message: type, explicit: bool) -> None:
    def take(self: Any, message: Any) -> None: ...

    take.__annotations__["message"] = message
    body = {"take": handles(message)(take)} if explicit else {"on_receive": take}
    kind: Any = type("Careless", (Actor,), body)
    with pytest.raises(
        TypeError, match=f"{message.__name__}, whose instances can be changed.*froz"
    ):
        kind._rt_table()


@attrs.frozen
class FrozenWithValidator:
    number: int = attrs.field(default=1, validator=attrs.validators.ge(0))


@attrs.frozen
class FrozenWithoutSlots:
    number: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class FrozenDataclass:
    number: int = 1


class Plain:
    """Whoever writes a class without fields by hand is trusted."""


@pytest.mark.parametrize(
    "message", [FrozenWithValidator, FrozenWithoutSlots, FrozenDataclass, Plain, str, tuple]
)
def test_frozen_and_built_in_message_classes_are_taken(message: type) -> None:
    def take(self: Any, message: Any) -> None: ...

    kind = type("Careful", (Actor,), {"take": handles(message)(take)})
    assert accepted(kind) == {message}


def test_two_handlers_for_one_type_are_refused() -> None:
    class Torn(Actor[Any]):
        @handles
        def one(self, message: Add) -> None: ...

        @handles
        def other(self, message: Add | Sub) -> None: ...

    with pytest.raises(TypeError, match="Torn has two handlers for Add: one and other"):
        Torn._rt_table()


def test_two_handlers_for_one_type_are_refused_beside_an_on_receive_too() -> None:
    class Torn(Actor[Any]):
        def on_receive(self, message: Any) -> None: ...

        @handles
        def one(self, message: Add) -> None: ...

        @handles
        def other(self, message: Add) -> None: ...

    with pytest.raises(TypeError, match="two handlers for Add"):
        Torn._rt_table()


def test_a_subclass_cannot_handle_under_another_name_what_its_base_handles() -> None:
    class Torn(Counter):
        @handles
        def add_differently(self, message: Add) -> None: ...

    with pytest.raises(TypeError, match="add and add_differently"):
        Torn._rt_table()


def unannotated() -> Callable[..., Any]:
    @handles
    def take(self, message):  # type: ignore[no-untyped-def]
        ...

    return take


def takes_anything() -> Callable[..., Any]:
    @handles
    def take(self: Any, message: Any) -> None: ...

    return take


def takes_no_message() -> Callable[..., Any]:
    @handles
    def take(self: Any) -> None: ...

    return take


def takes_no_message_but_says_so() -> Callable[..., Any]:
    @handles(Add)
    def take(self: Any) -> None: ...

    return take


def takes_more() -> Callable[..., Any]:
    @handles
    def take(self: Any, message: Add, more: int) -> None: ...

    return take


def takes_no_class() -> Callable[..., Any]:
    @handles
    def take(self: Any, message: Callable[[], int] | 3) -> None: ...  # type: ignore[valid-type]

    return take


def is_static() -> Any:
    @handles
    def take(self: Any, message: Add) -> None: ...

    return staticmethod(take)


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (unannotated, "Odd.take handles what"),
        (takes_anything, "Odd.take handles what"),
        (takes_no_message, "cannot be called with a message"),
        (takes_no_message_but_says_so, "cannot be called with a message"),
        (takes_more, "cannot be called with a message.*more"),
        (takes_no_class, "no class and no union of classes|cannot resolve"),
        (is_static, "is a staticmethod"),
    ],
)
def test_a_handler_that_cannot_be_one_is_refused(make: Callable[[], Any], complaint: str) -> None:
    kind: Any = type("Odd", (Actor,), {"take": make()})
    with pytest.raises(TypeError, match=complaint):
        kind._rt_table()


async def test_a_class_that_is_wrong_does_not_start_and_says_why(system: SystemUnderTest) -> None:
    class Torn(Counter):
        @handles
        def add_differently(self, message: Add) -> None: ...

    system.expect_crash(error=TypeError)
    with pytest.raises(Exception, match="could not be started") as refused:
        await system.spawn(Torn)
    assert isinstance(refused.value.__cause__, TypeError)


# -- messages nobody handles --------------------------------------------------------------


async def test_what_nobody_handles_is_refused_to_the_sender(system: SystemUnderTest) -> None:
    counter = await system.spawn(Counter, path="/counter")
    with pytest.raises(NotAccepted) as refused:
        counter.tell(Mul())
    assert refused.value.message_type is Mul
    assert refused.value.accepted == ("Add", "Total")
    assert str(refused.value) == (
        "/counter does not accept Mul; it accepts Add, Total. "
        "Add a handler for it, or send it to another actor."
    )
    assert await counter.ask(Total()) == 0


async def test_mail_for_an_instance_of_another_class_reaches_no_handler_and_crashes_nobody(
    system: SystemUnderTest,
) -> None:
    """A spec's `start` may make another kind of actor each time; its mailbox stays."""
    lives: list[int] = []

    class Quiet(Actor[Any]):
        @handles
        def how_many(self, _message: Total) -> int:
            return len(lives)

    def start() -> Actor[Any]:
        lives.append(1)
        return Counter() if len(lives) == 1 else Quiet()

    ref = await system.spawn(start, path="/odd")
    system.suspend("/odd")
    ref.tell(Add())
    asked: Reply[Any] = ref.ask(cast(Any, Add()))
    await system.settle()
    system.expect_dead_letters("/odd")
    await system.restart("/odd")
    system.resume("/odd")
    assert await ref.ask(Total()) == 2
    with pytest.raises(NotAccepted):
        await asked
    assert [letter.message for letter in system.dead_letters()] == [Add()]


def test_a_copy_of_a_table_can_be_changed_by_itself() -> None:
    table = Counter._rt_table()
    twin = table.copy()
    twin.add(Mul, lambda _actor, _message: None)
    assert isinstance(twin, Table)
    assert twin.admits(Mul)
    assert not table.admits(Mul)
