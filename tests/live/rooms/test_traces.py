"""Worked traces of a room once more, over the real WebSocket, webhooks and SQLite."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger, InjectedEvent
from actors.room.config import WebhookSection
from actors.room.scripted_agent import Turn, Use
from models.rooms.content import Text, ToolCall, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EventStatus, EventType
from models.rooms.traffic import Task
from tests.live.rooms.house import SECRET, live_rooms, until
from tests.live.rooms.world import receiver
from transports.channels.webhook import WebhookConfig, webhook_channel
from transports.channels.websocket.client import NotDone
from transports.channels.websocket.news import StreamBegan, StreamGrew, StreamOver
from transports.stores.backend import EventFilter
from transports.stores.config import StoreConfig

ALL = EventFilter(include_blocked=True)
TALK = ("hi", "hello")


async def test_t1_a_plain_exchange(sqlite: StoreConfig) -> None:
    order: list[str] = []

    def before(event: RoomEvent, context: object) -> HookResult:
        order.append(f"before {text_of(event.content)}")
        return HookResult.allow()

    def after(event: RoomEvent, context: object) -> None:
        order.append(f"after {text_of(event.content)}")

    async with live_rooms(sqlite) as live:
        await live.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, before))
        await live.rooms.add_hook(Hook(HookTrigger.AFTER_BROADCAST, after, HookExecution.ASYNC))
        agent = await live.agent("ai", ["hello"])
        await live.room("r", "websocket", "ai")
        async with live.person("ada", "r") as ada:
            accepted = await ada.client.send("r", "hi")
            hello = await ada.hears("hello")
            await until(lambda: len(order) == 4)
            assert await live.delivered("r")
        hi = await live.rooms.get_event("r", accepted.event_id or "")
        assert (hi.status, hi.index) == (EventStatus.DELIVERED, accepted.index)
        assert agent.histories == [[]]
        # The WebSocket is brought "hi" too, to be seen on its people's other screens, while the
        # agent answers already: "after hi" may be later than "before hello".
        assert set(order) == {f"{when} {what}" for when in ("before", "after") for what in TALK}
        assert [word for word in order if word.startswith("before")] == [
            "before hi",
            "before hello",
        ]
        assert all(order.index(f"before {what}") < order.index(f"after {what}") for what in TALK)
        assert (hello.index, hello.chain_depth) == (hi.index + 1, 1)
        # Not offered back to who said it.
        assert len(agent.seen) == 1


async def test_t3_a_hook_blocks_and_adds_a_notice(sqlite: StoreConfig) -> None:
    told: list[str] = []

    def block(event: RoomEvent, context: Any) -> HookResult:
        source = EventSource("system", ChannelType.SYSTEM)
        notice = RoomEvent("notice", "r", source, Text("not like that"), event.created_at)
        task = Task("t1", "r", "look at it", event.created_at)
        injected = (InjectedEvent(notice, ("websocket",)),)
        return HookResult.block("rude", injected_events=injected, tasks=(task,))

    async with live_rooms(sqlite, websockets=("websocket", "other")) as live:
        await live.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, block, name="manners"))
        after = Hook(
            HookTrigger.AFTER_BROADCAST, lambda e, c: told.append(e.id), HookExecution.ASYNC
        )
        await live.rooms.add_hook(after)
        agent = await live.agent("ai", ["hello"])
        await live.room("r", "websocket", "other", "ai")
        async with (
            live.person("ada", "r") as ada,
            live.person("bob", "r", channel="other") as bob,
        ):
            with pytest.raises(NotDone) as refused:
                await ada.client.send("r", "hi")
            assert (refused.value.code, refused.value.reason) == ("manners", "rude")
            await ada.hears("not like that")
            await until(lambda: live.delivered("r"))
            assert (bob.texts, agent.seen) == ([], [])
        events = await live.rooms.get_timeline("r", ALL)
        hi, notice = events[-2:]
        assert (hi.status, hi.blocked_by) == (EventStatus.BLOCKED, "manners")
        assert (notice.id, notice.index) == ("notice", hi.index + 1)
        assert [task.id for task in await live.rooms.list_tasks("r")] == ["t1"]
        assert hi.id not in told


async def test_t4_the_same_message_ten_times_is_written_and_brought_once(
    sqlite: StoreConfig,
) -> None:
    async with live_rooms(sqlite, websockets=("websocket", "other")) as live:
        sms = await live.transport("sms")
        await live.room("r", "websocket", "other", "sms")
        ids: list[str | None] = []

        async def send() -> None:
            # A connection each: one alone would know that it has said this before.
            async with live.person("ada", "r") as ada:
                ids.append((await ada.client.send("r", "hi", id="k")).event_id)

        async with live.person("bob", "r", channel="other") as bob:
            async with trio.open_nursery() as nursery:
                for _ in range(10):
                    nursery.start_soon(send)
            await until(lambda: live.delivered("r"))
            assert bob.texts == ["hi"]
        assert len(ids) == 10
        assert len(set(ids)) == 1
        assert ids[0] is not None
        assert sms.texts == ["hi"]


async def test_t9_a_gateway_that_fails_is_left_alone(sqlite: StoreConfig) -> None:
    with receiver() as gateway:
        send = WebhookConfig(gateway.url, SECRET, allow_private=True, recipient_key="")
        section = {"gateway": WebhookSection(send)}
        async with live_rooms(sqlite, webhooks=section) as live:
            await live.rooms.register_channel(webhook_channel("gateway", send, live.rooms.desk))
            await live.room("r", "websocket", "gateway")
            gateway.refusing = 5
            async with live.person("ada", "r") as ada:
                for number in range(6):
                    await ada.client.send("r", f"{number}")
                await until(lambda: live.delivered("r"))
                # Who reads by another channel has all of it.
                assert ada.texts == [f"{number}" for number in range(6)]
            assert gateway.posts == []
            events = [e for e in await live.rooms.get_timeline("r") if e.type is EventType.MESSAGE]
            errors = [event.delivery_results["gateway"].error for event in events]
            assert [error.code for error in errors if error is not None][:5] == ["http_503"] * 5
            last = errors[5]
            assert last is not None
            assert (last.code, last.message) == ("DeliveryFailed", "circuit_breaker_open")


async def test_t11_an_answer_with_a_tool_in_its_middle(sqlite: StoreConfig) -> None:
    async with live_rooms(sqlite) as live:
        # Pieces of one handler would come joined.
        plan = Turn(streams=("Let me check.", Use("clock", "5", 0.05), "It is 5."), every=0.02)
        await live.agent("ai", [plan])
        await live.room("r", "websocket", "ai")
        async with (
            live.person("ada", "r", stream=True) as ada,
            live.person("bob", "r") as bob,
        ):
            await bob.client.send("r", "what time is it?")
            await ada.wait(lambda me: any(isinstance(n, StreamOver) for n in me.news))
            await bob.hears("It is 5.")

        def told(news: object) -> str:
            match news:
                case StreamBegan():
                    return "stream_start"
                case StreamGrew(delta=delta):
                    return f"stream_chunk {delta}"
                case StreamOver(error=None):
                    return "stream_end"
                case RoomEvent(type=EventType.MESSAGE, content=content):
                    return f"message {text_of(content)}"
                case RoomEvent(type=kind):
                    return kind.value
                case _:
                    return ""

        def answer(news: list[Any]) -> list[str]:
            heard = [word for word in map(told, news) if word]
            return heard[heard.index("message what time is it?") + 1 :]

        assert answer(list(ada.news)) == [
            "stream_start",
            "stream_chunk Let me check.",
            "message Let me check.",
            "tool_call_start",
            "tool_call_end",
            "stream_chunk It is 5.",
            "message It is 5.",
            "stream_end",
        ]
        assert answer(list(bob.news)) == [
            "message Let me check.",
            "tool_call_start",
            "tool_call_end",
            "message It is 5.",
        ]
        events = [e for e in await live.rooms.get_timeline("r") if e.correlation_id is not None]
        assert len(events) == 4
        assert len({event.correlation_id for event in events}) == 1
        assert all(event.chain_depth == 1 for event in events)
        assert isinstance(events[2].content, ToolCall)
        assert events[2].content.result == "5"
