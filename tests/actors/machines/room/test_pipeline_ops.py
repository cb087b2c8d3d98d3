"""The pipeline as traces (§11, §41): what is stored, who gets it, who is asked, in which order."""

from __future__ import annotations

from typing import Any

import pytest

from actors.machines.room.core import PersistencePolicy, RoomSettings
from actors.machines.room.hooking import HookTrigger, InjectedEvent, Verdict
from actors.machines.room.steps import BeginTurn, Carry, Fire, Keep, RunHooks
from models.rooms.content import Media, Text
from models.rooms.errors import StoreUnavailable
from models.rooms.event import DeliveryError, DeliveryResult, EventSource, RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelType,
    DeliveryOutcome,
    EventStatus,
    EventType,
)
from models.rooms.room import ChannelCapabilities
from models.rooms.traffic import Observation, Task
from models.rooms.turns import Reaction
from tests.actors.machines.room import operations
from tests.actors.machines.room.driver import SMS, SOMEBODY_DECIDES, T0, WEB, Driver


def open_room(*bound: str, **parts: Any) -> Driver:
    return Driver.of_room(**parts).attach(*bound).forget_effects()


def said(room: Driver) -> list[tuple[str, str | None]]:
    """The talk: what was said, and what blocked it."""
    return [
        (event.content.body, event.blocked_by)
        for event in room.timeline()
        if isinstance(event.content, Text)
    ]


# -- plain exchange ----------------------------------------------------------------------------


def test_t1_committed_asked_answered_delivered_in_this_order() -> None:
    room = open_room("web", "ai", hooks=SOMEBODY_DECIDES)
    cascade = room.say("web", "hi")
    (begun,) = room.thinking
    assert begun.context.recent_events == ()
    room.answer("hello")
    assert not cascade.settled
    room.deliver_all()
    assert cascade.settled
    hi, hello = room.timeline()[2:]
    assert (hi.status, hello.status) == (EventStatus.DELIVERED, EventStatus.DELIVERED)
    assert (hello.index, hello.chain_depth, hello.source.channel_id) == (hi.index + 1, 1, "ai")
    assert not room.thinking  # it is not offered what it said itself
    judged = [wait.payload.index for wait in room.waits if isinstance(wait, RunHooks)]
    assert judged == [hi.index, hello.index]
    after = [
        effect.payload.id
        for effect in room.done(Fire)
        if effect.trigger is HookTrigger.AFTER_BROADCAST
    ]
    assert after == [hi.id, hello.id]
    assert [(carry.channel_id, carry.event.id) for carry in room.done(Carry)] == [("web", hello.id)]


def test_nothing_is_delivered_that_is_not_on_disk() -> None:
    room = open_room("web", "sms", "ai")
    room.objections[Keep] = StoreUnavailable("disk full")
    with pytest.raises(StoreUnavailable):
        room.say("web", "hi")
    assert not room.done(Carry)
    assert not room.done(BeginTurn)
    assert room.core.recent == ()
    room.objections.clear()
    assert room.say("web", "hi again").event.index == 3


@pytest.mark.parametrize(
    ("policy", "depths"),
    [
        (AgentResponsePolicy.AGENT_CHAIN, [0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]),
        (AgentResponsePolicy.ADDRESSED_ONLY, [0, 1, 1]),
    ],
)
def test_t2_two_agents_answer_each_other_until_it_is_enough(
    policy: AgentResponsePolicy, depths: list[int]
) -> None:
    room = open_room("web", "ai", "ai2")
    room.run(operations.set_agent_response_policy(room.pipeline, policy))
    cascade = room.say("web", "discuss")
    while room.thinking:
        room.answer("indeed")
        room.deliver_all()
    talk = [event for event in room.timeline() if event.type is EventType.MESSAGE]
    assert [event.chain_depth for event in talk] == depths
    blocked = [event.chain_depth for event in talk if event.blocked]
    assert set(blocked) == ({5} if len(depths) > 3 else set())
    assert all(e.blocked_by == "event_chain_depth_limit" for e in talk if e.blocked)
    seen = [one.category for one in room.backend.list_observations("r")]
    assert seen == ["event_chain_depth_exceeded"] * len(blocked)
    assert cascade.settled


# -- hooks that decide ---------------------------------------------------------------------------


def test_t3_a_hook_blocks_and_what_it_adds_stays() -> None:
    room = open_room("web", "sms", "ai", hooks=SOMEBODY_DECIDES)
    system = EventSource("guard", ChannelType.SYSTEM)
    notice = RoomEvent("n1", "r", system, Text("please do not"), T0)
    task = Task("t1", "r", "look into it", T0)

    def judge(event: RoomEvent) -> Verdict:
        return Verdict(
            event,
            blocked=True,
            blocked_by="guard",
            injected=(InjectedEvent(notice, ("web",)),),
            tasks=(task,),
        )

    room.judge = judge
    cascade = room.say("web", "my number is 123")
    assert cascade.reason == "guard"
    assert said(room) == [("my number is 123", "guard"), ("please do not", None)]
    assert [(c.channel_id, c.event.id) for c in room.done(Carry)] == [("web", "n1")]
    assert not room.thinking
    assert list(room.backend.list_tasks("r", None)) == [task]
    room.deliver_all()
    fired = [(e.trigger, e.payload.id) for e in room.done(Fire)]
    assert (HookTrigger.AFTER_BROADCAST, cascade.event.id) not in fired
    assert room.fired().count(HookTrigger.ON_TASK_CREATED) == 1
    assert cascade.settled
    assert room.core.delivered_index == room.core.room.latest_index


def test_a_hook_changes_what_is_stored_and_names_it_nothing_else() -> None:
    room = open_room("web", "sms", hooks=SOMEBODY_DECIDES)
    room.judge = lambda event: Verdict(
        RoomEvent("other", "elsewhere", event.source, Text("****"), event.created_at)
    )
    event = room.say("web", "swearword", response_visibility="sms").event
    assert (event.content, event.room_id) == (Text("****"), "r")
    assert event.id != "other"
    assert event.response_visibility == "sms"


# -- idempotency and threads -------------------------------------------------------------------


@pytest.mark.parametrize("hooks", [True, False])
def test_t4_a_replay_is_the_first_event_and_is_not_delivered_again(hooks: bool) -> None:
    room = open_room("web", "sms", **({"hooks": SOMEBODY_DECIDES} if hooks else {}))
    cascades = [room.say("web", f"take {n}", idempotency_key="k") for n in range(10)]
    assert {cascade.event.id for cascade in cascades} == {cascades[0].event.id}
    assert said(room) == [("take 0", None)]
    assert len(room.done(Carry)) == 1
    assert all(cascade.settled for cascade in cascades[1:])


def test_a_replay_of_what_was_blocked_is_blocked_for_the_same_reason() -> None:
    room = open_room("web")
    room.run(operations.mute(room.pipeline, "web"))
    first = room.say("web", "hi", idempotency_key="k")
    room.run(operations.unmute(room.pipeline, "web"))
    again = room.say("web", "hi", idempotency_key="k")
    assert (again.reason, again.event.id) == ("source_muted", first.event.id)


def test_the_same_key_in_two_rooms_is_two_messages() -> None:
    one = open_room("web")
    other = Driver.of_room(room=type(one.core.room)("r2", T0, T0), backend=one.backend).attach(
        "web"
    )
    events = [room.say("web", "hi", idempotency_key="k").event for room in (one, other)]
    assert [event.room_id for event in events] == ["r", "r2"]
    assert all(not event.blocked for event in events)


def test_threads_are_flat_and_agents_stay_in_them(caplog: pytest.LogCaptureFixture) -> None:
    room = open_room("web", "ai")
    root = room.say("web", "root").event
    room.answer()
    reply = room.say("web", "reply", parent_event_id=root.id).event
    room.answer("in the thread")
    deeper = room.say("web", "deeper", parent_event_id=reply.id).event
    room.answer()
    stray = room.say("web", "stray", parent_event_id="elsewhere").event
    assert [e.parent_event_id for e in (reply, deeper, stray)] == [root.id, root.id, None]
    answer = next(e for e in room.timeline() if e.content == Text("in the thread"))
    assert answer.parent_event_id == root.id
    assert "answers to an event that is not here" in caplog.text


# -- rights and visibility ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("access", "muted", "reason"),
    [
        (Access.READ_WRITE, False, None),
        (Access.WRITE_ONLY, False, None),
        (Access.READ_ONLY, False, "source_read_only"),
        (Access.NONE, False, "source_read_only"),
        (Access.READ_WRITE, True, "source_muted"),
        (Access.READ_ONLY, True, "source_muted"),
    ],
)
def test_t5_who_may_not_write_is_stored_and_reaches_nobody(
    access: Access, muted: bool, reason: str | None
) -> None:
    room = open_room("sms", "ai", hooks=SOMEBODY_DECIDES)
    task = Task("t1", "r", "noticed", T0)
    room.judge = lambda event: Verdict(event, tasks=(task,))
    room.run(operations.attach_channel(room.pipeline, "web", access=access, muted=muted))
    cascade = room.say("web", "hi")
    assert cascade.reason == reason
    assert said(room) == [("hi", reason)]
    assert bool(room.done(Carry)) == bool(room.thinking) == (reason is None)
    assert list(room.backend.list_tasks("r", None)) == [task]


def test_t6_a_muted_agent_thinks_and_is_not_heard() -> None:
    room = open_room("web", "ai")
    room.run(operations.mute(room.pipeline, "ai"))
    room.say("web", "hi")
    task = Task("t1", "r", "noticed", T0)
    seen = Observation("o1", "r", "ai", "angry", T0)
    reaction = Reaction(tasks=(task,), observations=(seen,), metadata_updates={"mood": "bad"})
    turn = room.thinking[0].turn
    room.turns.said(turn, "I would say")
    room.answer(reaction=reaction)
    assert said(room) == [("hi", None), ("I would say", "source_muted")]
    assert not room.done(Carry)
    assert list(room.backend.list_tasks("r", None)) == [task]
    assert list(room.backend.list_observations("r")) == [seen]
    assert room.core.room.metadata["mood"] == "bad"


def test_t7_what_an_agent_may_not_see_it_neither_answers_nor_remembers() -> None:
    room = open_room("web", "sms", "ai")
    room.say("web", "between us", visibility="web,sms")
    assert [carry.channel_id for carry in room.done(Carry)] == ["sms"]
    assert not room.thinking
    room.say("web", "to all")
    assert room.thinking[0].context.recent_events == ()


def test_answers_go_where_the_question_lets_them() -> None:
    room = open_room("web", "sms", "ai")
    room.say("web", "tell me alone", response_visibility="web")
    room.forget_effects()
    room.answer("alone")
    assert [carry.channel_id for carry in room.done(Carry)] == ["web"]
    assert room.timeline()[-1].visibility == "web"


def test_who_is_asked_by_name_is_asked_alone() -> None:
    room = open_room("web", "ai", "ai2")
    room.say("web", "you", addressed_to=("ai2",))
    assert [begun.channel_id for begun in room.thinking] == ["ai2"]


# -- what cannot be brought --------------------------------------------------------------------


def test_t8_what_a_channel_cannot_carry_is_put_so_that_it_can() -> None:
    short = ChannelCapabilities(max_length=160)
    sms = type(SMS)("sms", ChannelType.SMS, capabilities=short, recipient_key="phone")
    rich = ChannelCapabilities(media_types=())
    web = type(WEB)("web", ChannelType.WEBSOCKET, capabilities=rich, sender_is_participant=True)
    room = open_room("web", "sms", channels=(web, sms))
    room.say("web", Media("https://x/cat.jpg", "image/jpeg", filename="cat.jpg"))
    room.say("web", "x" * 200)
    assert [carry.event.content for carry in room.done(Carry)] == [
        Text("[Media: cat.jpg]"),
        Text("x" * 157 + "..."),
    ]


def test_who_has_no_address_is_not_tried_and_the_others_are() -> None:
    room = Driver.of_room().attach("web", "ai")
    room.run(operations.attach_channel(room.pipeline, "sms"))
    cascade = room.say("web", "hi")
    room.answer()
    assert cascade.settled
    error = cascade.results["sms"].error
    assert error is not None
    assert (error.code, error.retryable) == ("no_recipient", False)
    (failure,) = room.announced("broadcast_partial_failure")
    assert failure.data["failed"] == 1
    stored = room.backend.get_event("r", cascade.event.id)
    assert stored is not None
    assert stored.delivery_results.keys() == {"sms"}


def test_what_cannot_be_brought_does_not_hide_that_something_else_is_still_on_its_way() -> None:
    def transcode(content: Any, _capabilities: Any) -> Any:
        return None if content == Text("🎉") else content

    room = open_room("web", "sms", settings=RoomSettings(transcode=transcode))
    first = room.say("web", "on its way").event
    second = room.say("web", "🎉").event
    again = room.restarted().redrive()
    assert [carry.event.id for carry in again.done(Carry)] == [first.id]
    again.deliver_all()
    assert again.core.delivered_index == second.index


def test_an_agent_of_another_node_fails_the_delivery_and_nothing_else() -> None:
    room = open_room("web", "sms", "ai")
    room.core.channels = {name: info for name, info in room.core.channels.items() if name != "ai"}
    cascade = room.say("web", "hi")
    room.deliver_all()
    error = cascade.results["ai"].error
    assert error is not None
    assert error.code == "channel_not_registered"
    assert cascade.results["sms"].status is DeliveryOutcome.SENT
    assert cascade.settled


def test_results_are_stored_if_one_failed() -> None:
    room = open_room("web", "sms")
    event = room.say("web", "hi").event
    failed = DeliveryResult("sms", DeliveryOutcome.FAILED, error=DeliveryError("gone", "410"))
    room.deliver("sms", failed)
    stored = room.backend.get_event("r", event.id)
    assert stored is not None
    assert stored.delivery_results == {"sms": failed}
    assert [told.data["code"] for told in room.announced("delivery_failed")] == ["gone"]


# -- what is not kept --------------------------------------------------------------------------


def test_what_is_not_kept_is_delivered_and_has_no_place() -> None:
    policy = PersistencePolicy(frozenset({EventType.PRESENCE}))
    room = open_room("web", "sms", settings=RoomSettings(persistence=policy))
    count = room.core.room.event_count
    cascade = room.say("web", "here", event_type=EventType.PRESENCE)
    assert [carry.channel_id for carry in room.done(Carry)] == ["sms"]
    room.deliver_all()
    assert cascade.settled
    assert not room.kept()
    assert room.core.room.event_count == count


def test_an_instruction_reaches_the_agents_it_names_and_is_never_seen_again() -> None:
    room = open_room("web", "sms", "ai", "ai2")
    room.send("web", "be brief", type=EventType.INSTRUCTION, addressed_to=("ai",))
    assert [begun.channel_id for begun in room.thinking] == ["ai"]
    assert not room.done(Carry)
    assert said(room) == []


# -- a restart ---------------------------------------------------------------------------------


def test_a_restart_brings_what_was_not_brought_once_each() -> None:
    room = open_room("web", "sms", "ai")
    room.say("web", "one")
    room.answer("two")
    room.deliver("sms")
    room.say("sms", "three")
    assert room.core.delivered_index < room.core.room.latest_index
    again = room.restarted().redrive()
    brought = [(carry.channel_id, carry.event.content) for carry in again.done(Carry)]
    # Both had a "two" coming, the WebSocket a "three"; the agent had answered the first only.
    assert brought == [("web", Text("two")), ("sms", Text("two")), ("web", Text("three"))]
    assert [begun.event.content for begun in again.thinking] == [Text("three")]
    assert [e.content for e in again.thinking[0].context.recent_events] == [
        Text("one"),
        Text("two"),
    ]
    again.deliver_all()
    again.answer()
    assert again.core.delivered_index == again.core.room.latest_index
