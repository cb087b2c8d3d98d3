"""The tables of docs/rooms.md say what the code says."""

from __future__ import annotations

import inspect
import json
import re
from datetime import UTC, datetime
from pathlib import Path

import attrs
import pytest

from actors.machines.room import pipeline
from actors.machines.room.core import RoomCore, RoomSettings
from actors.machines.room.hooking import (
    HookResult,
    HookTable,
    HookTrigger,
    InjectedEvent,
)
from actors.machines.room.identifying import IdentityHookResult, IdentitySettings, sender_of
from actors.machines.room.proactive import STRATEGIES, WaitForIdle
from actors.machines.room.steps import Resolve, RunIdentityHooks, Turned
from actors.room.hooks import Hooks
from actors.room.testing import RoomRig
from models.rooms import scope
from models.rooms.content import CONTENT_TYPES, Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, IdentificationStatus
from models.rooms.room import ChannelBinding, Room
from models.rooms.traffic import InboundMessage, InboundResult
from supervision.resilience import BreakerConfig
from supervision.testing import SystemUnderTest
from tests.docs.markdown import table
from tests.docs.room_code import (
    DOCS,
    ROOMS,
    beginnings,
    code,
    config,
    first_arguments,
    strings,
    tables,
    value,
)

# -- rooms.md --------------------------------------------------------------------------------------


def test_the_thirteen_steps_are_those_of_the_pipeline() -> None:
    told = re.findall(r"^ +(\d+)  (\w+(?:[ -]\w+)*)  ", pipeline.__doc__ or "", re.M)
    rows = table(ROOMS, "How a message goes through")
    assert [(row[0], row[1]) for row in rows] == told
    assert len(rows) == 13


def test_every_field_of_a_result_stands_in_the_table() -> None:
    results = tables(ROOMS, "What the sender is told")[0]
    named = [name for row in results for name in code(row[0])]
    assert named == [field.name for field in attrs.fields(InboundResult)]


def test_every_code_that_blocks_a_message_stands_in_the_table() -> None:
    codes = tables(ROOMS, "What the sender is told")[1]
    named = {name for row in codes for name in code(row[0])}
    rules = set(re.findall(r'"(source_\w+)"', inspect.getsource(scope)))
    assert named <= strings() | rules
    assert first_arguments("Turned") | rules <= named | {"nothing was sent"}


def test_the_fields_of_events_and_bindings_exist() -> None:
    events = {name for row in table(ROOMS, "Events") for name in code(row[0])}
    assert events <= {field.name for field in attrs.fields(RoomEvent)}
    rows = table(ROOMS, "Channels of a room")
    fields = attrs.fields_dict(ChannelBinding)
    for row in rows:
        for name in code(row[0]):
            default = fields[name].default
            told = code(row[1])
            if told:
                assert (name, told[0]) == (name, str(default))


def test_every_type_of_content_stands_in_the_table() -> None:
    rows = tables(ROOMS, "Events")[1]
    assert [code(row[0])[0] for row in rows] == list(CONTENT_TYPES)
    for row in rows:
        fields = attrs.fields_dict(CONTENT_TYPES[code(row[0])[0]])
        assert set(code(row[1])) <= set(fields)


def test_every_strategy_stands_in_the_table() -> None:
    rows = tables(ROOMS, "Telling agents something")[1]
    assert [code(row[0])[0] for row in rows] == list(STRATEGIES)
    usual = WaitForIdle()
    assert f"{usual.buffer:g} s; after {usual.timeout:g} s" in rows[1][1]


def test_every_code_of_a_failed_delivery_stands_in_the_table() -> None:
    named = {name for row in table(ROOMS, "Deliveries") for name in code(row[0])}
    codes = first_arguments("DeliveryError", "failed") - {"websocket_send_failed"}
    assert named <= strings()
    assert {code for code in codes if re.fullmatch(r"\w+", code)} <= named


def test_the_breaker_is_as_told() -> None:
    usual = BreakerConfig()
    assert usual.failures == 5  # "Five failed events in a row"
    assert f"for {usual.rest:g} s nothing" in ROOMS.read_text(encoding="utf-8")


def test_every_type_of_framework_event_stands_in_the_table() -> None:
    named = {name for row in table(ROOMS, "What a node tells") for name in code(row[0])}
    assert first_arguments("announce", "_announce") <= named
    prefixes = beginnings("announce")
    assert {p for p in prefixes if not any(name.startswith(p) for name in named)} == set()
    made = {name for name in named if name.startswith(tuple(prefixes))}
    assert named - made <= strings()
    of_sources = {word for word in strings() if re.fullmatch(r"source_[a-z]+ed|source_error", word)}
    assert of_sources - {"source_muted"} == {name for name in named if name[:7] == "source_"}


SMS = ChannelInfo("sms", ChannelType.SMS)
ADA = Identity("ada")
EARLY = datetime(2030, 1, 1, tzinfo=UTC)


def _outcome(status: str, answer: IdentityHookResult | None) -> tuple[str, str]:
    """What becomes of a message from somebody new: "in" and how they joined, or "out" and why."""
    room = Room("lobby", EARLY, EARLY)
    names = iter(map(str, range(99)))
    core = RoomCore(room, {"sms": SMS}, RoomSettings(), HookTable(), names.__next__, EARLY)
    message = InboundMessage("sms", "+15550100", Text("hello"))
    event = RoomEvent("e", "lobby", EventSource("sms", ChannelType.SMS), Text("hello"), EARLY)
    steps = sender_of(core, IdentitySettings(resolves=True), message, event, SMS)
    known = ADA if status == "identified" else None
    found = IdentityResult(IdentificationStatus(status), known, candidates=(ADA,))
    try:
        assert isinstance(next(steps), Resolve)
        assert isinstance(steps.send(found), RunIdentityHooks)
        steps.send(answer)
    except Turned as turned:
        return "out", turned.reason
    except StopIteration as stop:
        joining = stop.value.joining
        return "in", "nobody" if joining is None else joining.identification.value
    raise AssertionError("it waits for something else")


def _asked_question() -> InjectedEvent:
    source = EventSource("system", ChannelType.SYSTEM)
    return InjectedEvent(RoomEvent("q", "lobby", source, Text("who are you?"), EARLY))


def test_the_outcomes_of_identification_are_those_of_the_table() -> None:
    answers = {
        "pending": IdentityHookResult.pending(),
        "reject": IdentityHookResult(IdentificationStatus.REJECTED),
        "resolved": IdentityHookResult.resolved(ADA),
        "challenge": IdentityHookResult.challenge(_asked_question()),
    }
    four = ["ambiguous", "pending", "unknown", "rejected"]
    seen = set()
    for resolver, hook, told in table(ROOMS, "Who somebody is"):
        hooks = [answers[name] for name in code(hook)]
        for status in code(resolver) or four:
            for answer in [*hooks, *([None] if "none" in hook or not hooks else [])]:
                seen.add((status, answer and answer.status))
                assert _outcome(status, answer) == _told_outcome(told), (status, hook)
    asked = {answer.status for answer in answers.values()} | {None}
    assert seen >= {(status, answer) for status in four for answer in asked}


def _told_outcome(told: str) -> tuple[str, str]:
    if "is not" in told:
        return "out", code(told)[-1]
    if "nobody joins" in told:
        return "in", "nobody"
    return "in", "pending" if "joins, pending" in told else "identified"


def test_every_limit_in_the_table_has_the_value_of_the_code() -> None:
    for row in table(ROOMS, "Limits"):
        (name,) = code(row[0])
        assert (name, json.loads(row[1])) == (name, value(name))


@pytest.mark.parametrize("document", sorted(DOCS.glob("*room*.md")), ids=lambda path: path.name)
def test_settings_of_rooms_named_in_running_text_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:rooms|store)\.[a-z_.]+)`", text):
        config(name)  # else an AttributeError names it


# -- looking inside --------------------------------------------------------------------------------


async def test_the_figures_in_the_table_are_those_of_the_actors(system: SystemUnderTest) -> None:
    rig = await RoomRig.start(system)
    sms = await rig.channel("sms")
    web = await rig.channel("web")
    await rig.room("lobby", "sms", "web")
    hook = Hooks()
    hook.on(HookTrigger.BEFORE_BROADCAST, name="all")(lambda event, context: HookResult.allow())
    for one in hook.table():
        await rig.rooms.add_room_hook("lobby", one)
    await web.says("ada", "hello", room_id="lobby")
    assert sms.texts == ["hello"]
    for row in table(ROOMS, "Looking inside"):
        match = re.match(r'`system\.state\("(.+)"\)`', row[0])
        if match is None or not code(row[1]):
            continue
        told = list(code(re.sub(r"\(.*?\)", "", row[1])))
        assert (match[1], told) == (match[1], list(system.state(match[1]).statistics))
