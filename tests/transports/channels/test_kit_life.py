"""A channel made with the kit: the rooms that have it, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest
import trio

from models.rooms.channel import (
    BindingChanged,
    Deliver,
    RoomAttached,
    RoomDetached,
)
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType
from models.rooms.room import ChannelBinding
from models.rooms.traffic import ProviderResult
from supervision import Refuse, Refused, Request, handles
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import (
    DeskUnderTest,
    binding,
    deliver,
    desk_in,
)
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import sent

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


# -- rooms ------------------------------------------------------------------------------------


@attrs.frozen
class Known(Request[int]):
    """How many bindings does the channel know?"""


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

    @handles
    def on_known(self, message: Known) -> int:
        return len(self.bindings)

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


async def test_bindings_are_not_collected_for_ever(
    system: SystemUnderTest, desk: DeskUnderTest
) -> None:
    choosy = await system.spawn(Choosy, [], INFO, desk.ref, ChannelConfig(rooms=3))
    for number in range(10):
        choosy.tell(BindingChanged(binding(room_id=f"room-{number}")))
    assert await choosy.ask(Known()) == 3


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
    assert await choosy.ask(Known()) == 0


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
