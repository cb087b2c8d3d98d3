"""A channel made with the kit: deliveries, their limits and their faults, and what comes in."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import httpx
import pytest
import trio

from models.faults import FaultKind
from models.net.faults import ProviderFault
from models.rooms.content import Text
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.traffic import ProviderResult
from supervision import ActorRef
from supervision.testing import SystemUnderTest, simulate
from tests.transports.channels.channel_values import (
    DeskUnderTest,
    deliver,
    desk_in,
)
from transports.channels.bodies import body_of
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import DeliveryFailed, sent

INFO = ChannelInfo("sms", ChannelType.SMS)


class Gateway(Channel):
    """Sends by a function that the test gives it."""

    def __init__(self, sending: Any, *args: Any) -> None:
        super().__init__(*args)
        self._sending = sending

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        result: ProviderResult = await self._sending(event, to, key)
        return result


@pytest.fixture
async def desk(system: SystemUnderTest) -> DeskUnderTest:
    return await desk_in(system)


async def gateway(
    system: SystemUnderTest,
    desk: DeskUnderTest,
    sending: Any,
    info: ChannelInfo = INFO,
    config: ChannelConfig | None = None,
) -> ActorRef[Any]:
    return await system.spawn(Gateway, sending, info, desk.ref, config, path="/sms")


async def at_once(event: RoomEvent, to: str, key: str) -> ProviderResult:
    return sent(f"{key} to {to}: {body_of(event.content)}")


# -- deliveries -------------------------------------------------------------------------------


async def test_what_send_returns_is_the_answer(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = await gateway(system, desk, at_once)
    result = await sms.ask(deliver("good morning"))
    assert result == ProviderResult(True, "k-1 to +15550100: good morning")
    assert system.state("/sms").statistics["sent"] == 1


async def test_a_plain_send_is_answered_without_a_task(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    class Plain(Channel):
        def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
            if not to:
                raise DeliveryFailed("no_recipient")
            return sent(key)

    plain = await system.spawn(Plain, INFO, desk.ref)
    assert (await plain.ask(deliver(key="k-9"))).provider_message_id == "k-9"
    assert (await plain.ask(deliver(to=""))).error == "no_recipient"


async def test_a_channel_that_needs_a_recipient_makes_no_request_without_one(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    info = attrs.evolve(INFO, recipient_key="phone_number")
    sms = await gateway(system, desk, at_once, info)
    result = await sms.ask(deliver(to=""))
    assert not result.success
    assert result.metadata == {"code": "no_recipient", "retryable": False}
    assert (await sms.ask(deliver())).success


REQUEST = httpx.Request("POST", "https://user:secret@example.org/")

FAULTS: list[tuple[Exception, dict[str, Any]]] = [
    (
        DeliveryFailed("rate_limit", True, 3.0, "slow down"),
        {"code": "rate_limit", "retryable": True, "retry_after": 3.0, "message": "slow down"},
    ),
    (DeliveryFailed("auth_error"), {"code": "auth_error", "retryable": False}),
    (httpx.ReadTimeout("", request=REQUEST), {"code": "timeout", "retryable": True}),
    (trio.TooSlowError(), {"code": "timeout", "retryable": True}),
    (
        httpx.ConnectError("https://user:secret@example.org/", request=REQUEST),
        {"code": "connection_error", "retryable": True, "message": "ConnectError"},
    ),
    (
        ConnectionResetError("secret"),
        {"code": "connection_error", "retryable": True, "message": "ConnectionResetError"},
    ),
    (
        ProviderFault(FaultKind.RATE_LIMITED, "HTTP 429", 12.0),
        {"code": "rate_limit", "retryable": True, "retry_after": 12.0, "message": "HTTP 429"},
    ),
    (
        ProviderFault(FaultKind.UNAUTHORIZED, "HTTP 403"),
        {"code": "auth_error", "retryable": False, "message": "HTTP 403"},
    ),
    (
        ExceptionGroup("two", [ExceptionGroup("one", [DeliveryFailed("inner", True)])]),
        {"code": "inner", "retryable": True},
    ),
    (KeyError("what somebody said"), {"code": "KeyError", "retryable": True}),
]


@pytest.mark.parametrize(("error", "told"), FAULTS, ids=lambda value: type(value).__name__)
async def test_an_exception_is_an_answer_too(
    system: SystemUnderTest,
    desk: DeskUnderTest,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    told: dict[str, Any],
) -> None:
    async def failing(*_: object) -> ProviderResult:
        raise error

    sms = await gateway(system, desk, failing)
    result = await sms.ask(deliver())
    assert (result.success, result.error, result.metadata) == (False, told["code"], told)
    assert system.state("/sms").statistics["failed"] == {told["code"]: 1}
    assert "secret" not in caplog.text + str(result)
    assert "what somebody said" not in caplog.text
    assert ("failed at a delivery: KeyError" in caplog.text) == isinstance(error, KeyError)


async def test_a_send_that_forgets_to_answer_is_told_and_not_tried_again(
    system: SystemUnderTest, desk: DeskUnderTest, caplog: pytest.LogCaptureFixture
) -> None:
    async def forgets(*_: object) -> None:
        await trio.lowlevel.checkpoint()

    sms = await gateway(system, desk, forgets)
    with caplog.at_level(logging.ERROR):
        result = await sms.ask(deliver())
    assert result.metadata == {"code": "bad_result", "retryable": False}
    assert "not a ProviderResult" in caplog.text


async def test_a_send_that_hangs_is_cut_off_at_its_deadline(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    async def hangs(*_: object) -> ProviderResult:
        await trio.sleep_forever()
        raise AssertionError

    sms = await gateway(system, desk, hangs)
    started = system.now
    result = await sms.ask(deliver(), timeout=60)
    assert system.now == started + 10
    assert result.metadata == {"code": "timeout", "retryable": True}


async def test_so_many_at_a_time_in_the_order_they_came(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    log: list[tuple[float, str]] = []
    started = system.now

    async def slowly(_event: RoomEvent, _to: str, key: str) -> ProviderResult:
        log.append((system.now - started, key))
        await trio.sleep(1)
        return sent()

    sms = await gateway(system, desk, slowly, config=ChannelConfig(concurrent=2, queue=3))
    replies = [sms.ask(deliver(key=f"k-{n}")) for n in range(6)]
    results = [await reply for reply in replies]
    # What begins at the same moment begins in any order.
    assert sorted(log) == [(0, "k-0"), (0, "k-1"), (1, "k-2"), (1, "k-3"), (2, "k-4")]
    assert [result.error for result in results] == [None] * 5 + ["overloaded"]
    assert results[5].metadata["retryable"] is True


async def test_nothing_waits_for_its_turn_for_ever(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    async def very_slowly(*_: object) -> ProviderResult:
        await trio.sleep(8)
        return sent()

    config = ChannelConfig(concurrent=1, queue_wait=3)
    sms = await gateway(system, desk, very_slowly, config=config)
    first, second = sms.ask(deliver(key="1"), timeout=20), sms.ask(deliver(key="2"), timeout=20)
    assert (await second).error == "overloaded"
    assert (await first).success
    assert (await sms.ask(deliver(key="3"), timeout=20)).success  # the line is not stuck
    assert system.state("/sms").statistics["slots"]["withdrawn"] == 1


async def test_a_delivery_that_is_asked_for_again_while_it_is_made_is_made_once(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    made: list[str] = []

    async def slowly(_event: RoomEvent, _to: str, key: str) -> ProviderResult:
        made.append(key)
        await trio.sleep(1)
        return sent("m-1")

    sms = await gateway(system, desk, slowly)
    replies = [sms.ask(deliver(key="same")), sms.ask(deliver(key="same"))]
    assert [(await reply).provider_message_id for reply in replies] == ["m-1", "m-1"]
    assert made == ["same"]


# -- what comes in ----------------------------------------------------------------------------


async def test_what_comes_in_goes_to_the_desk(system: SystemUnderTest, desk: DeskUnderTest) -> None:
    class Listening(Channel):
        def open(self) -> None:
            self.start_task(self._listen)

        async def _listen(self) -> None:
            result = await self.receive("+15550100", "hello", external_id="x-1")
            assert result.event is not None
            await self.receive("+15550100", Text("again"), room_id="lobby", metadata={"n": 2})

    await system.spawn(Listening, INFO, desk.ref)
    await system.settle()
    first, second = desk.received
    assert (first.message.channel_id, first.message.sender_id) == ("sms", "+15550100")
    assert (first.message.content, first.room_id) == (Text("hello"), None)
    assert (first.message.external_id, first.message.idempotency_key) == ("x-1", "sms:x-1")
    assert (second.room_id, second.message.metadata) == ("lobby", {"n": 2})
    assert second.message.idempotency_key is None


# -- whatever the order -----------------------------------------------------------------------


class Counted(Channel):
    """How many of its deliveries run at the same time, at most."""

    def __init__(self, most: list[int], *args: Any) -> None:
        super().__init__(*args)
        self._most = most
        self._inside = 0

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        self._inside += 1
        self._most[0] = max(self._most[0], self._inside)
        await trio.sleep(event.index % 3 * 0.1)
        self._inside -= 1
        if event.index % 5 == 0:
            raise DeliveryFailed("fifth")
        return sent(key)


async def many_at_once(system: SystemUnderTest) -> tuple[int, dict[str | None, int]]:
    most = [0]
    desk = await desk_in(system)
    config = ChannelConfig(concurrent=3, queue=20, queue_wait=100)
    counted = await system.spawn(Counted, most, INFO, desk.ref, config, path="/counted")
    asked = [deliver(key=f"k-{number % 20}", index=number % 20) for number in range(40)]
    results = [await reply for reply in [counted.ask(each, timeout=60) for each in asked]]
    assert system.state("/counted").statistics["slots"]["inside"] == 0
    errors = [result.error for result in results]
    return most[0], {error: errors.count(error) for error in dict.fromkeys(errors)}


@pytest.mark.parametrize("seed", range(10))
def test_every_delivery_is_answered_and_never_too_many_run(seed: int) -> None:
    most, outcomes = simulate(many_at_once, seed).result
    assert most <= 3
    assert outcomes == {"fifth": 8, None: 32}
