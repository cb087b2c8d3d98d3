"""The journeys of rooms, from end to end: real sockets, a real store, the real clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import attrs
import pytest
import trio

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger, InjectedEvent
from actors.machines.room.identifying import IdentityHookResult, IdentitySettings
from actors.room.config import WebhookSection
from actors.room.identity import AddressBook, IdentityHook
from actors.room.plan import RoomsPlan
from actors.room.scripted_agent import Turn
from models.rooms.channel import React
from models.rooms.content import Delete, Edit, Rich, Text, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.kinds import (
    Access,
    ChannelType,
    EventType,
    IdentificationStatus,
)
from models.rooms.room import RoomContext
from models.rooms.traffic import InboundMessage, Observation, Task
from models.rooms.turns import Answer
from tests.live.rooms.house import SECRET, LiveRooms, live_rooms, until
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


async def blocked_by(live: LiveRooms, room_id: str) -> list[str | None]:
    events = await live.rooms.get_timeline(room_id, ALL)
    assert [event.index for event in events] == list(range(len(events)))
    return [event.blocked_by for event in events if event.blocked]


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
            assert await blocked_by(live, "support") == [reason] * 2


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
        assert await blocked_by(live, "r") == ["source_muted", "source_read_only"]
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


# -- 47.13 -----------------------------------------------------------------------------------------


async def test_a_number_that_should_not_be_texted_is_held_back_and_seen_to(
    store: StoreConfig,
) -> None:
    def scan(event: RoomEvent, context: RoomContext) -> HookResult:
        if "123-45-6789" not in text_of(event.content):
            return HookResult.allow()

        def injected(name: str, text: str, to: str) -> InjectedEvent:
            source = EventSource("system", ChannelType.SYSTEM)
            made = RoomEvent(
                f"{name}-{event.id}", event.room_id, source, Text(text), event.created_at
            )
            return InjectedEvent(made, (to,))

        seen = Observation(
            f"o-{event.id}", event.room_id, "sms", "a social security number", event.created_at
        )
        return HookResult.block(
            "ssn",
            injected_events=(
                injected("customer", "Please do not text such numbers.", "sms"),
                injected("advisor", "The customer sent a number; it was held back.", "websocket"),
            ),
            observations=(seen,),
        )

    async with live_rooms(store) as live:
        await live.rooms.add_hook(Hook(HookTrigger.BEFORE_BROADCAST, scan, name="ssn_scanner"))
        sms = await live.transport("sms")
        agent = await live.agent("ai", ["ok"])
        await live.room("r", "websocket", "sms", "ai")
        async with live.person("advisor", "r") as advisor:
            result = await sms.says(CUSTOMER, "it is 123-45-6789", room_id="r")
            await advisor.hears("The customer sent a number; it was held back.")
        assert result.blocked
        assert sms.texts == ["Please do not text such numbers."]
        assert advisor.texts == ["The customer sent a number; it was held back."]
        assert agent.seen == []
        assert await blocked_by(live, "r") == ["ssn_scanner"]
        (observation,) = await live.rooms.list_observations("r")
        assert observation.content == "a social security number"


async def test_a_phone_that_a_family_shares_is_somebodys_once_it_is_known_whose(
    store: StoreConfig,
) -> None:
    family = [Identity(f"id-{name}", display_name=name) for name in ("ann", "ben", "cy")]

    async def resolver(message: InboundMessage, context: RoomContext) -> IdentityResult:
        return IdentityResult(IdentificationStatus.AMBIGUOUS, candidates=family)

    async with live_rooms(store, plan=RESOLVES, identity={"resolver": resolver}) as live:
        rooms = live.rooms
        for one in family:
            await rooms.put_identity(one)
        sms = await live.transport("sms")
        await live.room("r", "websocket", "sms")
        assert not (await sms.says(CUSTOMER, "hello", room_id="r")).blocked
        (somebody,) = [p for p in await rooms.list_members("r") if p.candidates]
        assert somebody.identification is IdentificationStatus.PENDING
        assert list(somebody.candidates or ()) == [one.id for one in family]
        known = await rooms.resolve_participant("r", somebody.id, "id-ben")
        assert (known.identity_id, known.identification) == (
            "id-ben",
            IdentificationStatus.IDENTIFIED,
        )
        again = await sms.says(CUSTOMER, "it is me", room_id="r")
        assert again.event is not None
        assert again.event.source.participant_id == somebody.id


async def test_an_assistant_whispers_to_the_advisor_and_then_speaks_to_all(
    store: StoreConfig,
) -> None:
    whisper = Turn((Answer(Text("They sound angry."), visibility="websocket"),))
    async with live_rooms(store) as live:
        sms = await live.transport("sms")
        await live.agent("ai", [whisper, "Offer a discount.", "How can we help?"])
        await live.room("r", "websocket", "sms", "ai")
        async with live.person("advisor", "r") as advisor:
            await sms.says(CUSTOMER, "It still does not work!", room_id="r")
            await advisor.hears("They sound angry.")
            # The same by the binding: until it is told else, all that it says is for the advisor.
            await live.rooms.set_visibility("r", "ai", "websocket")
            await sms.says(CUSTOMER, "Well?", room_id="r")
            await advisor.hears("Offer a discount.")
            assert sms.texts == []
            await live.rooms.set_visibility("r", "ai", "all")
            await sms.says(CUSTOMER, "Hello?", room_id="r")
            await advisor.hears("How can we help?")
        assert sms.texts == ["How can we help?"]
        # What was said to one is not shown to another who catches up later.
        seen = await live.rooms.catch_up("r", "sms")
        assert "They sound angry." not in [text_of(event.content) for event in seen]


async def test_edits_and_deletes_reach_a_websocket_as_such_and_a_phone_as_text(
    store: StoreConfig,
) -> None:
    async with live_rooms(store, websockets=("websocket", "other")) as live:
        sms = await live.transport("sms")
        await live.room("r", "websocket", "other", "sms")
        async with (
            live.person("ada", "r") as ada,
            live.person("bob", "r", channel="other") as bob,
        ):
            said = await ada.client.send("r", "At five.")
            assert said.event_id is not None
            await bob.hears("At five.")
            edit = Edit(said.event_id, Text("At six."))
            await ada.client.send("r", edit, event_type=EventType.EDIT)
            await bob.wait(lambda me: any(e.type is EventType.EDIT for e in me.events))
            delete = Delete(said.event_id)
            await ada.client.send("r", delete, event_type=EventType.DELETE)
            await bob.wait(lambda me: any(e.type is EventType.DELETE for e in me.events))
            await until(lambda: len(sms.delivered) == 3)
        edited, deleted = bob.events[-2:]
        assert isinstance(edited.content, Edit)
        assert edited.content.target_event_id == said.event_id
        assert edited.content.new_content == edit.new_content
        assert isinstance(deleted.content, Delete)
        bodies: Sequence[object] = [call.event.content for call in sms.delivered]
        assert all(isinstance(body, Text) for body in bodies), bodies
        assert "At six." in sms.texts[1]
        kept = await live.rooms.get_event("r", said.event_id)
        assert kept.metadata.get("deleted")
        assert attrs.evolve(kept).index == said.index


# -- rooms that messages make ---------------------------------------------------------------------


async def test_many_first_messages_at_once_make_one_room_in_which_all_are_answered(
    store: StoreConfig,
) -> None:
    async with live_rooms(store, plan=RoomsPlan(newcomers=("ai",))) as live:
        agent = await live.agent("ai", [lambda react: f"re: {text_of(react.event.content)}"])
        sms = await live.transport("sms")
        async with trio.open_nursery() as nursery:
            for number in range(10):
                nursery.start_soon(
                    partial(sms.says, f"+1415555010{number}", f"hello {number}", room_id="new")
                )
        await until(partial(live.delivered, "new"))
        said = {f"hello {number}" for number in range(10)}
        assert {text_of(react.event.content) for react in agent.seen} == said
        assert len(agent.seen) == 10
        assert sorted(sms.texts) == sorted(f"re: {text}" for text in said)
        room = await live.rooms.get_room("new")
        assert room.metadata == {}
        names = [each.channel_id for each in (await live.rooms.look("new")).bindings]
        assert sorted(names) == ["ai", "sms"]
