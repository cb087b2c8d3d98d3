"""The journeys of rooms, from end to end: real sockets, a real store, the real clock."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookTrigger, InjectedEvent
from actors.machines.room.identifying import IdentityHookResult, IdentitySettings
from actors.room.config import WebhookSection
from actors.room.identity import AddressBook, IdentityHook
from actors.room.plan import RoomsPlan
from actors.room.scripted_agent import Turn
from models.rooms.channel import React
from models.rooms.content import Rich, Text, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.kinds import (
    Access,
    ChannelType,
    EventType,
    IdentificationStatus,
)
from models.rooms.room import RoomContext
from models.rooms.traffic import InboundMessage, Task
from tests.live.rooms.house import SECRET, live_rooms, until
from tests.live.rooms.world import Road, post_until_taken, receiver
from transports.channels.webhook import WebhookConfig, webhook_channel
from transports.channels.webhook_in import InboundWebhook
from transports.stores.backend import EventFilter
from transports.stores.config import StoreConfig

ALL = EventFilter(include_blocked=True)
CUSTOMER = "+14155550100"
RESOLVES = RoomsPlan(identity=IdentitySettings(resolves=True))


def note(title: str, react: React) -> Task:
    return Task(f"t-{react.event.index}", react.event.room_id, title, react.event.created_at)


# -- J1 ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["mute", "read_only"])
async def test_j1_a_human_takes_over_and_the_assistant_only_takes_notes(
    how: str, store: StoreConfig
) -> None:
    takes_notes = Turn(("I would ...",), tasks=(lambda react: note("call back", react),))
    with receiver() as phone:
        sms = WebhookSection(
            WebhookConfig(phone.url, SECRET, allow_private=True),
            InboundWebhook((SECRET,), room_id="support"),
        )
        async with live_rooms(store, webhooks={"hook": sms}) as live:
            rooms = live.rooms
            await rooms.register_channel(webhook_channel("hook", sms.send, rooms.desk))
            agent = await live.agent("ai", ["Is it plugged in?", takes_notes])
            await live.room("support", "websocket", "ai")
            await rooms.attach_channel("support", "hook", metadata={"recipient_id": CUSTOMER})
            way = Road(int(live.address.rsplit(":", 1)[1]))
            async with live.person("ada", "support") as ada:
                await post_until_taken(way, "My router is broken.", "m1")
                await ada.hears("Is it plugged in?")
                await until(lambda: phone.texts() == ["Is it plugged in?"])

                if how == "mute":
                    await rooms.mute("support", "ai")
                else:
                    await rooms.set_access("support", "ai", Access.READ_ONLY)
                await ada.client.send("support", "Ada here, let me look.")
                await post_until_taken(way, "Please call me.", "m2")
                await ada.hears("Please call me.")
                await until(lambda: len(phone.texts()) == 2)
                await until(lambda: len(agent.seen) == 3)
            await until(partial(live.delivered, "support"))
            tasks = await rooms.list_tasks("support")
            assert phone.texts() == ["Is it plugged in?", "Ada here, let me look."]
            assert [post.body["recipient_id"] for post in phone.taken] == [CUSTOMER] * 2
            assert "I would ..." not in ada.texts
            assert ada.texts == [
                "My router is broken.",
                "Is it plugged in?",
                "Ada here, let me look.",
                "Please call me.",
            ]
            assert agent.histories[-1][-1] == "Ada here, let me look."
            assert [task.title for task in tasks] == ["call back"] * 2
            reason = "source_muted" if how == "mute" else "source_read_only"
            assert await live.blocked_by("support") == [reason] * 2


# -- J2 ----------------------------------------------------------------------------------------


async def test_j2_one_notification_reaches_each_channel_as_it_can_carry_it(
    store: StoreConfig,
) -> None:
    words = "Your order is on its way. " * 100
    html = f"<p>{words}</p>"
    track = {"text": "Track", "url": "https://example.org/t"}
    told = Rich(html, "html", plain_text=words, buttons=(track,))
    async with live_rooms(store) as live:
        email = await live.transport("email", ChannelType.EMAIL, recipient_key="email_address")
        rcs = await live.transport("rcs", ChannelType.RCS)
        sms = await live.transport("sms", ChannelType.SMS)
        await live.room("r", "websocket", "rcs", "sms")
        await live.rooms.attach_channel("r", "email", metadata={"email_address": "c@example.org"})
        async with live.person("ada", "r") as ada:
            await live.transport("notices", ChannelType.SYSTEM)
            await live.rooms.attach_channel("r", "notices")
            event = await live.rooms.send_event("r", "notices", told, event_type=EventType.SYSTEM)
            await ada.wait(lambda me: bool(me.events))
            await until(lambda: email.delivered and rcs.delivered and sms.delivered)
        (seen,) = (e for e in ada.events if e.id == event.id)
        assert seen.content == told
        (mail,) = email.delivered
        assert isinstance(mail.event.content, Rich)
        assert (mail.event.content.body, mail.to) == (html, "c@example.org")
        (rich,) = rcs.delivered
        assert isinstance(rich.event.content, Rich)
        assert rich.event.content.buttons == told.buttons
        (text,) = sms.delivered
        assert isinstance(text.event.content, Text)
        assert len(text.event.content.body) <= 1600
        assert text.event.content.body.startswith("Your order is on its way.")


# -- J3 ----------------------------------------------------------------------------------------


def ask_for_code(
    event: RoomEvent, context: RoomContext, result: IdentityResult
) -> IdentityHookResult:
    if text_of(event.content) == "4711":
        return IdentityHookResult.resolved(Identity("id-carol", display_name="Carol"))
    question = RoomEvent(
        f"ask-{event.id}",
        event.room_id,
        EventSource("system", ChannelType.SYSTEM),
        Text("Who are you? Send your code."),
        event.created_at,
    )
    return IdentityHookResult.challenge(InjectedEvent(question, ("sms",)))


async def test_j3_a_stranger_is_asked_first_and_let_in_by_the_answer(store: StoreConfig) -> None:
    hook = IdentityHook(HookTrigger.ON_IDENTITY_UNKNOWN, ask_for_code, name="code")
    known = {"resolver": AddressBook()}
    async with live_rooms(store, plan=RESOLVES, identity=known) as live:
        rooms = live.rooms
        await rooms.add_identity_hook(hook)
        await rooms.put_identity(Identity("id-carol", display_name="Carol"))
        sms = await live.transport("sms")
        agent = await live.agent("ai", ["Hello Carol."])
        await live.room("r", "websocket", "sms", "ai")
        async with live.person("ada", "r") as ada:
            first = await sms.says(CUSTOMER, "Where is my parcel?", room_id="r")
            assert (first.blocked, first.reason) == (True, "identity_challenge_sent")
            assert sms.texts == ["Who are you? Send your code."]
            assert agent.seen == []
            second = await sms.says(CUSTOMER, "4711", room_id="r")
            assert not second.blocked
            third = await sms.says(CUSTOMER, "Where is my parcel?", room_id="r")
            assert not third.blocked
            await ada.hears("Where is my parcel?")
        assert sms.texts[1:] == ["Hello Carol."] * 2
        (carol,) = [p for p in await rooms.list_members("r") if p.identity_id is not None]
        assert carol.identity_id == "id-carol"
        assert carol.identification is IdentificationStatus.IDENTIFIED
        assert third.event is not None
        assert third.event.source.participant_id == carol.id


# -- J5 ----------------------------------------------------------------------------------------


async def test_j5_what_is_typed_during_a_call_is_answered_in_text_only(store: StoreConfig) -> None:
    async with live_rooms(store) as live:
        voice = await live.transport("voice", ChannelType.VOICE)
        await live.agent("ai", ["Here is the link."])
        await live.room("r", "websocket", "voice", "ai")
        async with live.person("ada", "r") as ada:
            typed = InboundMessage(
                "websocket", "ada", Text("Send me a link"), response_visibility="websocket"
            )
            await live.rooms.process_inbound(typed, "r")
            await ada.hears("Here is the link.")
            assert voice.texts == ["Send me a link"]
            await voice.says("caller", "And say it", room_id="r")
            assert voice.texts == ["Send me a link", "Here is the link."]


# -- J6 ----------------------------------------------------------------------------------------


async def test_j6_what_is_done_to_an_agent_is_on_record_and_told_to_hooks_and_listeners(
    store: StoreConfig,
) -> None:
    async with live_rooms(store) as live, trio.open_nursery() as nursery:
        rooms = live.rooms
        hooked: list[str] = []
        told: list[str] = []

        def noted(event: RoomEvent, context: object) -> None:
            hooked.append(event.type.value)

        for trigger in ("attached", "detached", "muted", "unmuted"):
            kind = HookTrigger(f"on_channel_{trigger}")
            await rooms.add_hook(Hook(kind, noted, HookExecution.ASYNC, name=trigger))

        async def listen(
            task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
        ) -> None:
            async with rooms.events() as events:
                task_status.started()
                async for event in events:
                    told.append(event.type)  # noqa: PERF401  it is read while it grows

        await nursery.start(listen)
        agent = await live.agent("ai", ["Hello."])
        await live.room("r", "websocket")
        async with live.person("ada", "r") as ada:

            async def say(text: str) -> None:
                await ada.client.send("r", text)
                await ada.hears(text)
                await until(partial(live.delivered, "r"))

            await rooms.attach_channel("r", "ai")
            await say("one")
            await ada.hears("Hello.")
            await rooms.mute("r", "ai")
            await say("two")
            await rooms.set_access("r", "ai", Access.READ_ONLY)
            await rooms.unmute("r", "ai")
            await say("three")
            await rooms.set_access("r", "ai", Access.READ_WRITE)
            await say("four")
            await ada.wait(lambda me: me.texts.count("Hello.") == 2)
            await rooms.detach_channel("r", "ai")
            await say("five")
        nursery.cancel_scope.cancel()
        assert ada.texts == ["one", "Hello.", "two", "three", "four", "Hello.", "five"]
        assert [text_of(react.event.content) for react in agent.seen] == [
            "one", "two", "three", "four",
        ]  # fmt: skip
        assert await live.blocked_by("r") == ["source_muted", "source_read_only"]
        events = await rooms.get_timeline("r", ALL)
        records = [
            event.type.value
            for event in events
            if event.type.value.startswith("channel_")
            and getattr(event.content, "data", {}).get("channel_id") == "ai"
        ]
        assert records == [
            "channel_attached",
            "channel_muted",
            "channel_updated",
            "channel_unmuted",
            "channel_updated",
            "channel_detached",
        ]
        assert hooked == [
            "channel_attached",  # of the WebSocket
            "channel_attached",
            "channel_muted",
            "channel_unmuted",
            "channel_detached",
        ]
        assert told.count("room_channel_attached") == 2
        assert told.count("room_channel_detached") == 1
