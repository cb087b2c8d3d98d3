"""Worked examples from end to end: real sockets, a real store, the real clock."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import trio

from actors.machines.room.hooking import Hook, HookResult, HookTrigger, InjectedEvent
from actors.machines.room.identifying import IdentitySettings
from actors.room.plan import RoomsPlan
from actors.room.scripted_agent import Turn
from models.rooms.content import Delete, Edit, Text, text_of
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.kinds import (
    ChannelType,
    EventType,
    IdentificationStatus,
)
from models.rooms.room import RoomContext
from models.rooms.traffic import InboundMessage, Observation
from models.rooms.turns import Answer
from tests.live.rooms.house import live_rooms, until
from transports.stores.config import StoreConfig

CUSTOMER = "+14155550100"
RESOLVES = RoomsPlan(identity=IdentitySettings(resolves=True))


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
        assert await live.blocked_by("r") == ["ssn_scanner"]
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
        assert kept.index == said.index


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
