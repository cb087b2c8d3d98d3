"""A channel made with the kit: deliveries, their limits and faults, streams, rooms, its end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import attrs
import httpx
import pytest
import trio

from models.faults import FaultKind
from models.net.faults import ProviderFault
from models.rooms.channel import (
    BindingChanged,
    Deliver,
    RoomAttached,
    RoomDetached,
    StreamClosed,
    StreamOpened,
    StreamText,
)
from models.rooms.content import Text
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.room import ChannelBinding
from models.rooms.traffic import ProviderResult
from supervision import ActorRef, Refuse, Refused
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import (
    DeskUnderTest,
    binding,
    deliver,
    desk_in,
    event,
)
from transports.channels.bodies import body_of
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import DeliveryFailed, sent
from transports.channels.streams import StreamedAnswer

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
    assert (first.message.external_id, first.message.idempotency_key) == ("x-1", "x-1")
    assert (second.room_id, second.message.metadata) == ("lobby", {"n": 2})
    assert second.message.idempotency_key is None


# -- streams ----------------------------------------------------------------------------------


class Ticker(Gateway):
    """Shows answers while they are made, at one piece a second."""

    shown: list[Any]

    def __init__(self, shown: list[Any], *args: Any) -> None:
        super().__init__(at_once, *args)
        self.shown = shown

    async def stream(self, answer: StreamedAnswer) -> ProviderResult:
        self.shown.append(("begins", answer.to))
        async for piece in answer:
            if piece == "break":
                raise DeliveryFailed("broken", True)
            self.shown.append(piece)
            await trio.sleep(1)
        self.shown.append((body_of(answer.event.content) if answer.event else None, answer.error))
        return sent("shown")


@pytest.fixture
def shown() -> list[Any]:
    return []


@pytest.fixture
async def ticker(system: SystemUnderTest, desk: DeskUnderTest, shown: list[Any]) -> ActorRef[Any]:
    config = ChannelConfig(stream_idle=30, streams=2)
    info = attrs.evolve(INFO, streams=True, recipient_key="phone_number")
    ticker = await system.spawn(Ticker, shown, info, desk.ref, config, path="/ticker")
    await ticker.ask(RoomAttached(binding(phone_number="+15550100")))
    return ticker


def opened(stream_id: str = "s-1") -> StreamOpened:
    return StreamOpened("lobby", stream_id, event(""))


def text(delta: str, stream_id: str = "s-1") -> StreamText:
    return StreamText("lobby", stream_id, delta)


def closed(answer: RoomEvent | None, stream_id: str = "s-1", error: str | None = None) -> Any:
    return StreamClosed("lobby", stream_id, answer, error)


async def test_an_answer_is_shown_while_it_is_made_and_late_pieces_come_joined(
    ticker: ActorRef[Any], shown: list[Any]
) -> None:
    ticker.tell(opened())
    for piece in ("Good", " mor", "ning"):
        ticker.tell(text(piece))
    await trio.sleep(0.5)
    ticker.tell(text(", Ada"))
    await trio.sleep(1)
    result = await ticker.ask(closed(event("Good morning, Ada")))
    assert result.provider_message_id == "shown"
    assert shown == [
        ("begins", "+15550100"),
        "Good morning",
        ", Ada",
        ("Good morning, Ada", None),
    ]


async def test_an_answer_that_was_cut_off_says_why(ticker: ActorRef[Any], shown: list[Any]) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    assert (await ticker.ask(closed(None, error="cancelled"))).success
    assert shown[1:] == ["Good", (None, "cancelled")]


async def test_what_a_broken_stream_did_not_show_is_sent_whole(
    ticker: ActorRef[Any], system: SystemUnderTest
) -> None:
    ticker.tell(opened())
    ticker.tell(text("break"))
    await system.settle()
    result = await ticker.ask(closed(event("the whole")))
    assert result.provider_message_id == "e-7:sms to +15550100: the whole"
    assert system.state("/ticker").statistics["unstreamed"] == 1


async def test_a_stream_that_breaks_at_its_end_is_a_failed_delivery(
    ticker: ActorRef[Any],
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await trio.sleep(0.5)
    ticker.tell(text("break"))
    result = await ticker.ask(closed(event("Good break")))
    assert result.metadata == {"code": "broken", "retryable": True}


async def test_of_too_many_streams_the_last_are_sent_whole(
    ticker: ActorRef[Any], system: SystemUnderTest, shown: list[Any]
) -> None:
    for stream_id in ("s-1", "s-2", "s-3"):
        ticker.tell(opened(stream_id))
        ticker.tell(text(stream_id, stream_id))
    await system.settle()
    assert sorted(piece for piece in shown if isinstance(piece, str)) == ["s-1", "s-2"]
    result = await ticker.ask(closed(event("s-3"), "s-3"))
    assert result.provider_message_id == "e-7:sms to +15550100: s-3"


async def test_a_stream_that_nobody_goes_on_with_ends(
    ticker: ActorRef[Any], system: SystemUnderTest, shown: list[Any]
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await trio.sleep(40)
    assert shown[1:] == ["Good", (None, "abandoned")]
    assert system.state("/ticker").statistics["streams"] == 0


async def test_an_answer_that_was_delivered_in_parts_is_not_sent_again(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = await gateway(system, desk, at_once)
    sms.tell(opened())
    sms.tell(text("Good"))
    assert (await sms.ask(closed(event("", metadata={"_segmented": True})))).success
    assert system.state("/sms").statistics["sent"] == 0


async def test_a_channel_without_streams_sends_the_answer_when_it_is_made(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    sms = await gateway(system, desk, at_once)
    sms.tell(opened())
    sms.tell(text("Good"))
    result = await sms.ask(closed(event("Good morning")))
    assert result.provider_message_id == "e-7:sms to : Good morning"


# -- rooms ------------------------------------------------------------------------------------


class Choosy(Channel):
    def __init__(self, log: list[str], *args: Any) -> None:
        super().__init__(*args)
        self._log = log

    def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        return sent()

    async def attached(self, binding: ChannelBinding) -> None:
        await trio.sleep(1)
        if binding.room_id == "forbidden":
            raise Refuse("not that room")
        if binding.room_id == "slow":
            await trio.sleep(100)
        if binding.room_id == "broken":
            raise KeyError(binding.room_id)
        self._log.append(f"attached {binding.room_id}")

    def detached(self, room_id: str) -> None:
        if room_id == "broken":
            raise KeyError(room_id)
        self._log.append(f"detached {room_id}")

    def binding_changed(self, binding: ChannelBinding) -> None:
        self._log.append(f"changed {binding.room_id}")


async def test_a_room_waits_for_the_channels_word(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    log: list[str] = []
    choosy = await system.spawn(Choosy, log, INFO, desk.ref, path="/choosy")
    await choosy.ask(RoomAttached(binding()))
    choosy.tell(BindingChanged(binding()))
    await choosy.ask(RoomDetached("lobby"))
    assert log == ["attached lobby", "changed lobby", "detached lobby"]


@pytest.mark.parametrize(
    ("room_id", "reason"),
    [
        ("forbidden", "not that room"),
        ("slow", "attached failed: TooSlowError"),
        ("broken", "attached failed: KeyError"),
    ],
)
async def test_a_room_that_cannot_have_the_channel_is_refused(
    system: SystemUnderTest, desk: DeskUnderTest, room_id: str, reason: str
) -> None:
    choosy = await system.spawn(Choosy, [], INFO, desk.ref, path="/choosy")
    with pytest.raises(Refused) as refused:
        await choosy.ask(RoomAttached(binding(room_id=room_id)), timeout=60)
    assert refused.value.reason == reason
    assert system.state("/choosy").attributes["bindings"] == "{}"


async def test_a_plain_hook_that_fails_refuses_too(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    choosy = await system.spawn(Choosy, [], INFO, desk.ref)
    with pytest.raises(Refused, match="detached failed: KeyError"):
        await choosy.ask(RoomDetached("broken"))


# -- its end ----------------------------------------------------------------------------------


async def test_a_channel_that_stops_finishes_what_is_short_and_answers_the_rest(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    closed: list[float] = []

    class Closing(Gateway):
        async def close(self) -> None:
            closed.append(self.now)

    async def by_key(_event: RoomEvent, _to: str, key: str) -> ProviderResult:
        await trio.sleep(float(key))
        return sent(key)

    sms = await system.spawn(Closing, by_key, INFO, desk.ref, path="/sms")
    quick, slow = sms.ask(deliver(key="1")), sms.ask(deliver(key="9"))
    await system.settle()
    started = system.now
    await system.stop("/sms")
    assert (await quick).provider_message_id == "1"
    assert (await slow).metadata == {"code": "channel_stopped", "retryable": True}
    assert closed == [started + 2]


async def test_a_channel_that_stops_while_it_shows_an_answer_answers(
    system: SystemUnderTest, ticker: ActorRef[Any], shown: list[Any]
) -> None:
    ticker.tell(opened())
    ticker.tell(text("Good"))
    await system.settle()
    reply = ticker.ask(closed(event("Good")))
    await system.stop("/ticker")
    assert (await reply).success
    assert shown[-1] == ("Good", None)


async def test_a_room_that_asks_again_after_a_crash_has_it_sent(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    asked: list[Deliver] = []

    class Frail(Gateway):
        def open(self) -> None:
            if not asked:
                self.start_task(self._fall_over)

        async def _fall_over(self) -> None:
            await trio.sleep(0.5)
            asked.append(deliver())
            raise OSError("the gateway is gone")

    async def slowly(*_: object) -> ProviderResult:
        await trio.sleep(1)
        return sent("late")

    system.expect_crash("/sms", OSError)
    sms = await system.spawn(Frail, slowly, INFO, desk.ref, path="/sms")
    with pytest.raises(Exception, match="sms"):
        await sms.ask(deliver())
    assert (await sms.ask(deliver())).provider_message_id == "late"


def test_a_channel_without_send_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    info: Callable[..., Any] = Channel.send
    with pytest.raises(NotImplementedError, match="Channel has no `send`"):
        info(Channel(INFO, None), None, "", "")  # type: ignore[arg-type]
