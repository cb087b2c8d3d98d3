"""The identity desk: resolvers and hooks answer in time, whatever they do."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.hooking import HookTrigger
from actors.machines.room.identifying import IdentityHookResult
from actors.room.identity import (
    AddIdentityHook,
    AddressBook,
    AskIdentityHooks,
    IdentityConfig,
    IdentityDesk,
    IdentityHook,
    IdentityMessage,
    RemoveIdentityHook,
    Resolver,
    ResolveSender,
    identity_spec,
)
from models.rooms.content import Text
from models.rooms.errors import AlreadyThere, Overloaded
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.kinds import ChannelDirection, ChannelType, IdentificationStatus
from models.rooms.refusals import RefusedFor
from models.rooms.room import Room, RoomContext
from models.rooms.traffic import FrameworkEvent, InboundMessage
from supervision import Actor, ActorRef, ActorStopped, Refuse, handles
from supervision.events import Subscription
from supervision.faults import Fault, InjectedFault
from supervision.testing import SystemUnderTest
from transports.stores.requests import ResolveIdentity

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ADA = Identity("ada", display_name="Ada")
Status = IdentificationStatus
UNKNOWN = IdentityResult(Status.UNKNOWN, address="415 555 2671", channel_type=ChannelType.SMS)
CONTEXT = RoomContext(Room("r-1", NOW, NOW, organization_id="acme"))
PENDING = IdentityHookResult.pending("Somebody")


def event(channel_type: ChannelType = ChannelType.SMS, channel_id: str = "sms-1") -> RoomEvent:
    source = EventSource(channel_id, channel_type)
    return RoomEvent("e-1", "r-1", source, Text("my secret"), created_at=NOW)


def sender(address: str = "415 555 2671", **fields: Any) -> ResolveSender:
    happened = event(**fields)
    message = InboundMessage(happened.source.channel_id, address, Text("my secret"))
    return ResolveSender(message, happened, CONTEXT)


async def desk(
    system: SystemUnderTest,
    resolver: Resolver | None = None,
    *hooks: IdentityHook,
    **config: Any,
) -> ActorRef[IdentityMessage]:
    return await system.start_child(identity_spec(resolver, hooks, IdentityConfig(**config)))


@pytest.fixture
def told(system: SystemUnderTest) -> Iterator[Subscription[FrameworkEvent]]:
    with system.events.subscribe(FrameworkEvent) as events:
        yield events


# -- resolvers ----------------------------------------------------------------------------------


async def test_a_resolver_is_shown_message_and_context(system: SystemUnderTest) -> None:
    seen: list[tuple[InboundMessage, RoomContext]] = []

    async def resolver(message: InboundMessage, context: RoomContext) -> IdentityResult:
        seen.append((message, context))
        return IdentityResult(Status.IDENTIFIED, ADA)

    asked = sender()
    found = await (await desk(system, resolver)).ask(asked)
    assert found.identity is ADA
    assert seen == [(asked.message, CONTEXT)]


async def test_what_the_resolver_leaves_out_of_address_and_type_is_filled_in(
    system: SystemUnderTest,
) -> None:
    answers = iter(
        [
            IdentityResult(Status.UNKNOWN),
            IdentityResult(Status.UNKNOWN, address="+14155552671"),
            IdentityResult(Status.UNKNOWN, channel_type=ChannelType.VOICE),
        ]
    )

    async def resolver(_message: InboundMessage, _context: RoomContext) -> IdentityResult:
        return next(answers)

    ref = await desk(system, resolver)
    found = [await ref.ask(sender()) for _ in range(3)]
    assert [(each.address, each.channel_type) for each in found] == [
        ("415 555 2671", ChannelType.SMS),
        ("+14155552671", ChannelType.SMS),
        ("415 555 2671", ChannelType.VOICE),
    ]


async def test_without_a_resolver_everybody_is_unknown(system: SystemUnderTest) -> None:
    assert await (await desk(system)).ask(sender()) == UNKNOWN


async def test_a_resolver_that_takes_too_long_leaves_the_sender_unknown(
    system: SystemUnderTest, told: Subscription[FrameworkEvent]
) -> None:
    async def resolver(_message: InboundMessage, _context: RoomContext) -> IdentityResult:
        await trio.sleep_forever()
        raise AssertionError

    ref = await desk(system, resolver)
    began = system.now
    assert await ref.ask(sender(), timeout=30) == UNKNOWN
    assert system.now == began + 10
    published = await anext(told)
    assert published.type == "identity_timeout"
    assert published.data == {"timeout": 10.0}
    assert (published.room_id, published.channel_id, published.event_id) == ("r-1", "sms-1", "e-1")
    assert system.state("/identity").statistics["timeouts"] == 1


async def test_a_resolver_that_fails_leaves_the_sender_unknown_and_logs_no_words(
    system: SystemUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    async def resolver(message: InboundMessage, _context: RoomContext) -> IdentityResult:
        raise ValueError(f"cannot make sense of {message.content}")

    ref = await desk(system, resolver)
    assert await ref.ask(sender()) == UNKNOWN
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "ValueError" in record.getMessage()
    assert "my secret" not in caplog.text
    assert system.state("/identity").statistics["failures"] == 1


@pytest.mark.parametrize(
    "error", [SystemExit(), ExceptionGroup("both", [ValueError()]), trio.TooSlowError()]
)
async def test_whatever_a_resolver_raises_the_desk_goes_on(
    system: SystemUnderTest, error: BaseException
) -> None:
    async def resolver(_message: InboundMessage, _context: RoomContext) -> IdentityResult:
        raise error

    ref = await desk(system, resolver)
    assert await ref.ask(sender()) == UNKNOWN


async def test_a_desk_that_is_stopped_answers_nobody_any_more(system: SystemUnderTest) -> None:
    async def resolver(_message: InboundMessage, _context: RoomContext) -> IdentityResult:
        await trio.sleep_forever()
        raise AssertionError

    ref = await desk(system, resolver)
    reply = ref.ask(sender())
    await system.settle()
    await system.stop("/identity")
    with pytest.raises(ActorStopped):
        await reply


async def test_a_resolver_that_answers_something_else_has_failed(system: SystemUnderTest) -> None:
    async def resolver(_message: InboundMessage, _context: RoomContext) -> Any:
        return ADA

    assert await (await desk(system, resolver)).ask(sender()) == UNKNOWN


async def test_only_so_many_are_looked_up_at_once_and_so_many_wait(system: SystemUnderTest) -> None:
    async def resolver(_message: InboundMessage, _context: RoomContext) -> IdentityResult:
        await trio.sleep(1)
        return IdentityResult(Status.IDENTIFIED, ADA)

    ref = await desk(system, resolver, concurrent=1, queue=1)
    began = system.now
    replies = [ref.ask(sender()) for _ in range(3)]
    assert await replies[2] == UNKNOWN  # turned away at once
    assert system.now == began
    assert (await replies[0]).status is Status.IDENTIFIED
    assert (await replies[1]).status is Status.IDENTIFIED
    assert system.now == began + 2
    statistics = system.state("/identity").statistics
    assert (statistics["turned_away"], statistics["under_way"]) == (1, 0)
    assert statistics["resolved"] == {"identified": 2}


async def test_an_actor_may_be_the_resolver(system: SystemUnderTest) -> None:
    probe = await system.probe(ResolveSender)
    probe.answer(ResolveSender, with_=IdentityResult(Status.IDENTIFIED, ADA))
    ref = await desk(system, probe.ref)
    assert (await ref.ask(sender())).identity is ADA


async def test_an_actor_that_refuses_to_resolve_has_failed(system: SystemUnderTest) -> None:
    class Closed(Actor[ResolveSender]):
        @handles
        def on_resolve(self, _message: ResolveSender) -> IdentityResult:
            raise Refuse("not today")

    ref = await desk(system, await system.spawn(Closed))
    assert await ref.ask(sender()) == UNKNOWN


# -- the address book ------------------------------------------------------------------------------


async def test_the_address_book_compares_addresses_as_rooms_do(system: SystemUnderTest) -> None:
    store = await system.probe(ResolveIdentity)
    store.answer(ResolveIdentity, with_=ADA)
    ref = await desk(system, AddressBook(store.ref.path))
    assert await ref.ask(sender("(415) 555-2671")) == IdentityResult(
        Status.IDENTIFIED, ADA, address="+14155552671", channel_type=ChannelType.SMS
    )
    await ref.ask(sender("Ada <Ada@Example.org>", channel_type=ChannelType.EMAIL))
    assert store.received == [
        ResolveIdentity(ChannelType.SMS, "+14155552671", "acme"),
        ResolveIdentity(ChannelType.EMAIL, "ada@example.org", "acme"),
    ]


async def test_whom_the_address_book_does_not_have_is_unknown(system: SystemUnderTest) -> None:
    store = await system.probe(ResolveIdentity)
    ref = await desk(system, AddressBook(store.ref.path))
    found = await ref.ask(sender())
    assert (found.status, found.address) == (Status.UNKNOWN, "+14155552671")


async def test_a_picture_comes_from_the_number_that_texts_come_from(
    system: SystemUnderTest,
) -> None:
    store = await system.probe(ResolveIdentity)
    store.answer(
        ResolveIdentity,
        with_=lambda asked: ADA if asked.channel_type is ChannelType.SMS else None,
    )
    ref = await desk(system, AddressBook(store.ref.path))
    assert (await ref.ask(sender(channel_type=ChannelType.MMS))).identity is ADA


async def test_a_store_that_is_away_leaves_the_sender_unknown(system: SystemUnderTest) -> None:
    store = await system.probe(ResolveIdentity, path="/store")
    ref = await desk(system, AddressBook(store.ref.path))
    await system.stop("/store")
    assert await ref.ask(sender()) == UNKNOWN


# -- hooks -----------------------------------------------------------------------------------

ON_UNKNOWN = HookTrigger.ON_IDENTITY_UNKNOWN


@attrs.define(eq=False)
class Saying:
    """A hook that answers the same every time, and notes that it was asked."""

    name: str
    log: list[str]
    answer: IdentityHookResult | None = None

    async def __call__(
        self, _event: RoomEvent, _context: RoomContext, _result: IdentityResult
    ) -> IdentityHookResult | None:
        self.log.append(self.name)
        return self.answer


def question(trigger: HookTrigger = ON_UNKNOWN, **fields: Any) -> AskIdentityHooks:
    return AskIdentityHooks(trigger, event(**fields), CONTEXT, UNKNOWN)


async def test_hooks_are_asked_by_priority_until_one_says_something(
    system: SystemUnderTest,
) -> None:
    log: list[str] = []
    hooks = [
        IdentityHook(ON_UNKNOWN, Saying("never", log), "never", priority=9),
        IdentityHook(ON_UNKNOWN, Saying("second", log), "second"),
        IdentityHook(ON_UNKNOWN, Saying("third", log, PENDING), "third"),
        IdentityHook(ON_UNKNOWN, Saying("first", log), "first", priority=-1),
    ]
    ref = await desk(system, None, *hooks)
    assert await ref.ask(question()) is PENDING
    assert log == ["first", "second", "third"]


async def test_no_hook_says_nothing(system: SystemUnderTest) -> None:
    log: list[str] = []
    hook = IdentityHook(ON_UNKNOWN, Saying("silent", log), "silent")
    ref = await desk(system, None, hook)
    assert await ref.ask(question()) is None
    assert await ref.ask(question(HookTrigger.ON_IDENTITY_AMBIGUOUS)) is None
    assert log == ["silent"]


@pytest.mark.parametrize(
    ("conditions", "asked"),
    [
        ({"channel_types": [ChannelType.SMS]}, True),
        ({"channel_types": [ChannelType.EMAIL]}, False),
        ({"channel_ids": ["sms-1", "sms-2"]}, True),
        ({"channel_ids": ["sms-2"]}, False),
        ({"directions": [ChannelDirection.INBOUND]}, True),
        ({"directions": [ChannelDirection.OUTBOUND]}, False),
        ({"channel_types": [ChannelType.SMS], "channel_ids": ["sms-2"]}, False),
    ],
)
async def test_filters_say_whose_senders_a_hook_is_asked_about(
    system: SystemUnderTest, conditions: dict[str, Any], asked: bool
) -> None:
    hook = IdentityHook(ON_UNKNOWN, Saying("hook", [], PENDING), "hook", **conditions)
    ref = await desk(system, None, hook)
    assert await ref.ask(question()) is (PENDING if asked else None)


async def test_a_plain_function_may_be_a_hook(system: SystemUnderTest) -> None:
    def reject(event: RoomEvent, context: RoomContext, result: IdentityResult) -> Any:
        assert (event.id, context, result) == ("e-1", CONTEXT, UNKNOWN)
        return IdentityHookResult.reject()

    hook = IdentityHook(ON_UNKNOWN, reject)
    assert hook.name == "reject"
    answer = await (await desk(system, None, hook)).ask(question())
    assert answer == IdentityHookResult.reject("unknown_sender")


async def test_an_actor_may_be_a_hook(system: SystemUnderTest) -> None:
    probe = await system.probe(AskIdentityHooks, path="/doorman")
    probe.answer(AskIdentityHooks, with_=PENDING)
    hook = IdentityHook(ON_UNKNOWN, probe.ref)
    assert hook.name == "/doorman"
    assert await (await desk(system, None, hook)).ask(question()) is PENDING


async def test_hooks_that_fail_or_take_too_long_are_passed_over(
    system: SystemUnderTest,
    told: Subscription[FrameworkEvent],
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(event: RoomEvent, _c: RoomContext, _r: IdentityResult) -> None:
        raise ValueError(event.content)

    async def slow(_e: RoomEvent, _c: RoomContext, _r: IdentityResult) -> None:
        await trio.sleep_forever()

    def confused(_e: RoomEvent, _c: RoomContext, _r: IdentityResult) -> Any:
        return "let them in"

    hooks = [
        IdentityHook(ON_UNKNOWN, broken),
        IdentityHook(ON_UNKNOWN, slow, timeout=2.0),
        IdentityHook(ON_UNKNOWN, confused),
        IdentityHook(ON_UNKNOWN, Saying("sane", [], PENDING), "sane"),
    ]
    ref = await desk(system, None, *hooks)
    began = system.now
    assert await ref.ask(question()) is PENDING
    assert system.now == began + 2
    published = [await anext(told) for _ in range(3)]
    assert [(each.type, each.data["hook"]) for each in published] == [
        ("hook_error", "broken"),
        ("hook_timeout", "slow"),
        ("hook_error", "confused"),
    ]
    assert len(caplog.records) == 3
    assert "my secret" not in caplog.text
    assert system.state("/identity").statistics["hook_failures"] == 3


async def test_hooks_come_and_go(system: SystemUnderTest) -> None:
    ref = await desk(system)
    hook = IdentityHook(ON_UNKNOWN, Saying("late", [], PENDING), "late")
    await ref.ask(AddIdentityHook(hook))
    assert await ref.ask(question()) is PENDING
    with pytest.raises(RefusedFor) as refused:
        await ref.ask(AddIdentityHook(hook))
    assert isinstance(refused.value.error, AlreadyThere)
    assert await ref.ask(RemoveIdentityHook("late")) is True
    assert await ref.ask(RemoveIdentityHook("late")) is False
    assert await ref.ask(question()) is None


async def test_hooks_that_were_added_outlive_a_crash_of_the_desk(system: SystemUnderTest) -> None:
    ref = await desk(system)
    hook = IdentityHook(ON_UNKNOWN, Saying("late", [], PENDING), "late")
    await ref.ask(AddIdentityHook(hook))
    system.expect_crash("/identity", InjectedFault)
    system.inject("/identity", Fault("crash", RemoveIdentityHook, times=1))
    ref.tell(RemoveIdentityHook("late"))
    assert await ref.ask(question()) is PENDING


async def test_only_so_many_hooks_may_be_under_way(system: SystemUnderTest) -> None:
    async def slow(_e: RoomEvent, _c: RoomContext, _r: IdentityResult) -> IdentityHookResult:
        await trio.sleep(1)
        return PENDING

    ref = await desk(system, None, IdentityHook(ON_UNKNOWN, slow), concurrent=1, queue=0)
    replies = [ref.ask(question()) for _ in range(2)]
    with pytest.raises(RefusedFor) as refused:
        await replies[1]
    assert isinstance(refused.value.error, Overloaded)
    assert await replies[0] is PENDING


def test_identity_hooks_are_of_the_two_triggers_that_ask_them() -> None:
    with pytest.raises(ValueError, match="trigger"):
        IdentityHook(HookTrigger.BEFORE_BROADCAST, Saying("hook", []), "hook")


def test_two_hooks_of_one_name_on_one_trigger_are_refused_before_anything_starts() -> None:
    hook = partial(IdentityHook, call=Saying("hook", []), name="hook")
    with pytest.raises(AlreadyThere):
        identity_spec(None, [hook(ON_UNKNOWN), hook(ON_UNKNOWN)])
    identity_spec(None, [hook(ON_UNKNOWN), hook(HookTrigger.ON_IDENTITY_AMBIGUOUS)])


async def test_the_desk_says_what_it_is_doing(system: SystemUnderTest) -> None:
    made: list[IdentityDesk] = []

    def make() -> IdentityDesk:
        made.append(IdentityDesk(None))
        return made[-1]

    await system.spawn(make)
    assert repr(made[0]) == "<IdentityDesk 0 being looked up, 0 hooks>"
