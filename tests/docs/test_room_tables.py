"""The tables of the documents about rooms say what the code says."""

from __future__ import annotations

import ast
import inspect
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import Any

import attrs
import pytest

import actors.room
import actors.room.bus as bus
from actors.config import TroupeConfig
from actors.machines.room import pipeline
from actors.machines.room.hooking import FAIL_CLOSED, SYNC, HookFault, HookResult, HookTrigger
from actors.machines.room.identifying import IdentityHookResult
from actors.machines.room.proactive import STRATEGIES, WaitForIdle
from actors.room.config import RoomsConfig
from actors.room.conversations import Conversations
from actors.room.hook_config import HooksConfig
from actors.room.hooks import Hooks
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from models.rooms import scope
from models.rooms.content import CONTENT_TYPES
from models.rooms.event import RoomEvent
from models.rooms.room import ChannelBinding
from models.rooms.traffic import InboundResult
from supervision import Request
from supervision.resilience import BreakerConfig
from supervision.testing import SystemUnderTest
from tests.docs.markdown import ROOT, table
from transports.stores.config import StoreConfig
from transports.stores.requests import StoreRequest

DOCS = ROOT / "docs"
ROOMS = DOCS / "rooms.md"
HOOKS = DOCS / "room-hooks.md"
STORES = DOCS / "room-stores.md"
TESTING = DOCS / "room-testing.md"
ROOMKIT = DOCS / "from-roomkit.md"

SOURCES = [
    *sorted((ROOT / "actors" / "room").glob("*.py")),
    *sorted((ROOT / "actors" / "machines" / "room").glob("*.py")),
    ROOT / "transports" / "channels" / "websocket" / "channel.py",
]
ADDRESSED = (
    *(f"actors.room.{found.name}" for found in pkgutil.iter_modules(actors.room.__path__)),
    "models.rooms.channel",
    "models.rooms.ephemeral",
    "transports.stores.requests",
    "transports.stores.usage",
)
"""Modules with requests."""

NOT_FOR_OTHERS = {
    # Bases, and what the desk and the room say to each other and to their own.
    *("RoomOperation", "RoomMade", "ReportDelivery", "CurrentRegistrations", "RunSync", "RunAsync"),
    # Of these the documents tell elsewhere.
    *("GetUsage", "HookCall", "Deliver", "StreamClosed", "RoomAttached", "RoomDetached", "React"),
}
"""Requests that are in no table of what may be asked."""


def _code(cell: str) -> Sequence[str]:
    return re.findall(r"`([^`]+)`", cell)


def _tables(document: Path, heading: str) -> Sequence[Sequence[Sequence[str]]]:
    """All tables of one section, without their heads; `table` gives the first."""
    text = document.read_text(encoding="utf-8")
    section = re.split(rf"^#+ {re.escape(heading)}$", text, flags=re.M)[1].partition("\n## ")[0]
    found = re.findall(r"(?:^\|.*\n)+", section, re.M)
    return [
        [[cell.strip() for cell in row.strip("|").split(" | ")] for row in one.splitlines()[2:]]
        for one in found
    ]


def _config(name: str) -> object:
    return reduce(getattr, name.split("."), TroupeConfig())


def _value(name: str) -> object:
    """What stands at `rooms.admission`, or at a dotted name of a module, a class or its field."""
    if not name.startswith(("actors.", "models.", "transports.")):
        return _config(name)
    words = name.split(".")
    split = next(k for k, word in enumerate(words) if word != word.lower())
    found: Any = import_module(".".join(words[:split]))
    for word in words[split:]:
        if inspect.isclass(found) and attrs.has(found):
            found = attrs.fields_dict(found)[word].default
        else:
            found = getattr(found, word)
    return found


def _trees() -> Iterator[ast.AST]:
    for source in SOURCES:
        yield ast.parse(source.read_text(encoding="utf-8"))


def _strings() -> set[str]:
    """All string literals of the code of rooms, those with a word in them as patterns."""
    found: set[str] = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(node.value)
    return found


def _first_arguments(*functions: str) -> set[str]:
    """The literal first strings that calls of these functions are given."""
    found: set[str] = set()
    for tree in _trees():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = getattr(node.func, "attr", None) or getattr(node.func, "id", None)
            if name in functions:
                literals = [a.value for a in node.args if isinstance(a, ast.Constant)]
                found.update(word for word in literals[:1] if isinstance(word, str))
    return found


# -- rooms.md --------------------------------------------------------------------------------------


def test_the_thirteen_steps_are_those_of_the_pipeline() -> None:
    told = re.findall(r"^ +(\d+)  (\w+(?:[ -]\w+)*)  ", pipeline.__doc__ or "", re.M)
    rows = table(ROOMS, "How a message goes through")
    assert [(row[0], row[1]) for row in rows] == told
    assert len(rows) == 13


def test_every_field_of_a_result_stands_in_the_table() -> None:
    results = _tables(ROOMS, "What the sender is told")[0]
    named = [name for row in results for name in _code(row[0])]
    assert named == [field.name for field in attrs.fields(InboundResult)]


def test_every_code_that_blocks_a_message_stands_in_the_table() -> None:
    codes = _tables(ROOMS, "What the sender is told")[1]
    named = {name for row in codes for name in _code(row[0])}
    rules = set(re.findall(r'"(source_\w+)"', inspect.getsource(scope)))
    assert named <= _strings() | rules
    assert _first_arguments("Turned") | rules <= named | {"nothing was sent"}


def test_the_fields_of_events_and_bindings_exist() -> None:
    events = {name for row in table(ROOMS, "Events") for name in _code(row[0])}
    assert events <= {field.name for field in attrs.fields(RoomEvent)}
    rows = table(ROOMS, "Channels of a room")
    fields = attrs.fields_dict(ChannelBinding)
    for row in rows:
        for name in _code(row[0]):
            default = fields[name].default
            told = _code(row[1])
            if told:
                assert (name, told[0]) == (name, str(default))


def test_every_type_of_content_stands_in_the_table() -> None:
    rows = _tables(ROOMS, "Events")[1]
    assert [_code(row[0])[0] for row in rows] == list(CONTENT_TYPES)
    for row in rows:
        fields = attrs.fields_dict(CONTENT_TYPES[_code(row[0])[0]])
        assert set(_code(row[1])) <= set(fields)


def test_every_strategy_stands_in_the_table() -> None:
    rows = _tables(ROOMS, "Telling agents something")[1]
    assert [_code(row[0])[0] for row in rows] == list(STRATEGIES)
    usual = WaitForIdle()
    assert f"{usual.buffer:g} s; after {usual.timeout:g} s" in rows[1][1]


def test_every_code_of_a_failed_delivery_stands_in_the_table() -> None:
    named = {name for row in table(ROOMS, "Deliveries") for name in _code(row[0])}
    codes = _first_arguments("DeliveryError", "failed") - {"websocket_send_failed"}
    assert named <= _strings()
    assert {code for code in codes if re.fullmatch(r"\w+", code)} <= named


def test_the_breaker_is_as_told() -> None:
    usual = BreakerConfig()
    assert usual.failures == 5  # "Five failed events in a row"
    assert f"for {usual.rest:g} s nothing" in ROOMS.read_text(encoding="utf-8")


def test_every_type_of_framework_event_stands_in_the_table() -> None:
    named = {name for row in table(ROOMS, "What a node tells") for name in _code(row[0])}
    made = {"room_paused", "room_closed", "room_resumed", "room_reopened"}  # f"room_{word}"
    assert named - made <= _strings()
    assert _first_arguments("announce", "_announce") <= named
    assert {word for word in _strings() if word.startswith("source_")} & named == {
        name for name in named if name.startswith("source_")
    }


def test_every_limit_in_the_table_has_the_value_of_the_code() -> None:
    for row in table(ROOMS, "Limits"):
        (name,) = _code(row[0])
        assert (name, json.loads(row[1])) == (name, _value(name))


@pytest.mark.parametrize("document", sorted(DOCS.glob("*room*.md")), ids=lambda path: path.name)
def test_settings_of_rooms_named_in_running_text_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:rooms|store)\.[a-z_.]+)`", text):
        _config(name)  # else an AttributeError names it


# -- requests --------------------------------------------------------------------------------------


def _requests() -> Mapping[str, Sequence[type]]:
    """All that may be sent, by name: a room and its store have some names in common."""
    found: dict[str, list[type]] = {}
    for module in map(import_module, ADDRESSED):
        for name, value in vars(module).items():
            ours = inspect.isclass(value) and value.__module__ == module.__name__
            if ours and name[0] != "_" and (issubclass(value, Request) or name == "Publish"):
                found.setdefault(name, []).append(value)
    return found


def _addressed(cell: str) -> Iterator[tuple[str, str]]:
    """The messages of a cell, each with the path it goes to; "" is a room."""
    pending: list[str] = []
    for word in re.findall(r"`([^`]+)`|(to the room)", cell):
        name = word[0]
        if name.startswith("/") or word[1]:
            yield from ((message, name) for message in pending)
            pending = []
        else:
            pending.append(name)
    yield from ((message, "") for message in pending)


async def _refused_messages(system: SystemUnderTest, named: Sequence[tuple[str, str]]) -> set[str]:
    """Those of these messages that whom they are addressed to does not accept."""
    rig = await RoomRig.start(system)
    await rig.room("lobby")
    known = _requests()
    wrong = set()
    for name, path in named:
        accepts = system.ref(path or "/rooms/lobby/room").accepts
        if not any(issubclass(it, kind) for it in known.get(name, ()) for kind in accepts):
            wrong.add(f"{name} to {path or 'a room'}")
    return wrong


async def test_every_request_stands_in_the_table_with_whom_it_goes_to(
    system: SystemUnderTest,
) -> None:
    rows = table(ROOMS, "Everything is a message")
    named = [
        (name, (_code(row[0]) or [""])[0])
        for row in rows
        for name in _code(row[1])
        if not row[0].startswith("`/store`")
    ]
    assert await _refused_messages(system, named) == set()
    wanted = {
        name
        for name, kinds in _requests().items()
        if name not in NOT_FOR_OTHERS and not all(issubclass(it, StoreRequest) for it in kinds)
    }
    assert {name for name, _ in named} == wanted


# -- from-roomkit.md -------------------------------------------------------------------------------


def _verb(token: str) -> str:
    """The name that is called in `publish(typing(…))` or `async with rooms.events()`."""
    match = re.match(r"(?:async with )?(?:rooms\.)?(\w+)", token)
    assert match is not None, token
    return match[1]


def test_every_verb_that_roomkit_is_mapped_to_exists() -> None:
    known = {*vars(Conversations), "Hooks", "ephemeral_events"}
    assert hasattr(bus, "ephemeral_events")
    rows = table(ROOMKIT, "The verbs")
    assert len(rows) > 45
    for row in rows:
        verbs = [_verb(token) for token in _code(row[1])]
        assert set(verbs) <= known, row
    helpers = {name for row in rows for name in re.findall(r"publish\((\w+)\(", row[1])}
    assert {name for name in helpers if not hasattr(bus, name)} == set()


def test_every_verb_stands_in_the_mapping() -> None:
    named = {_verb(token) for row in table(ROOMKIT, "The verbs") for token in _code(row[1])}
    verbs = {name for name in vars(Conversations) if not name.startswith("_")}
    # What has no name of its own in a table of verbs: the ways to talk to actors directly.
    assert verbs - named == {"desk", "perform", "room"}


async def test_every_message_in_the_mapping_goes_where_it_says(system: SystemUnderTest) -> None:
    rows = table(ROOMKIT, "The verbs")
    named = [pair for row in rows for pair in _addressed(row[2]) if pair[0] != "FrameworkEvent"]
    assert await _refused_messages(system, named) == set()


def test_the_parts_of_a_kit_are_mapped_to_what_exists() -> None:
    text = ROOMKIT.read_text(encoding="utf-8")
    fields = {field.name for field in attrs.fields(RoomsConfig)}
    assert {"inbound_rate", "max_chain_depth", "process_timeout"} <= fields
    places = {
        "RoomsPlan": "actors.room.plan",
        "RoomSettings": "actors.machines.room.core",
        "PersistencePolicy": "actors.machines.room.core",
        "IdentitySettings": "actors.machines.room.identifying",
        "IdentityConfig": "actors.room.identity",
        "ProactiveConfig": "actors.room.proactive",
        "HooksConfig": "actors.room.hook_config",
        "StoreConfig": "transports.stores.config",
    }
    for name, option in re.findall(r"\b([A-Z]\w+)\((\w*)", text):
        if name in ("RoomKit", "Hooks"):
            continue
        kind = getattr(import_module(places[name]), name)
        assert not option or option in attrs.fields_dict(kind), f"{name}({option}=…)"


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
        if match is None or not _code(row[1]):
            continue
        told = list(_code(re.sub(r"\(.*?\)", "", row[1])))
        assert (match[1], told) == (match[1], list(system.state(match[1]).statistics))


# -- room-hooks.md ---------------------------------------------------------------------------------


def test_every_trigger_that_fires_stands_in_the_table() -> None:
    rows = table(HOOKS, "Triggers")
    named = {name: row[1] for row in rows for name in _code(row[0])}
    words = {f"HookTrigger.{trigger.name}": trigger for trigger in HookTrigger}
    fired: set[str] = set()
    for source in SOURCES:
        if source.name in ("hook_triggers.py", "hook_pipeline.py", "hook_config.py", "hooks.py"):
            continue
        found = re.findall(r"HookTrigger\.[A-Z_]+", source.read_text(encoding="utf-8"))
        fired.update(words[word].value for word in found if word in words)
    assert set(named) == fired
    for row in rows:
        for name, mode in zip(_code(row[0]), _modes(row), strict=True):
            assert (name, mode) == (name, "decides" if HookTrigger(name) in SYNC else "watches")


def _modes(row: Sequence[str]) -> Sequence[str]:
    """One for each trigger of the row; one word is for all."""
    modes = row[1].split(", ")
    return modes if len(modes) > 1 else modes * len(_code(row[0]))


def test_every_fault_of_a_hook_stands_in_the_table() -> None:
    rows = table(HOOKS, "What can go wrong")
    assert [_code(row[0])[0] for row in rows] == [fault.value for fault in HookFault]


def test_the_limits_of_hooks_are_those_of_the_code() -> None:
    rows = {_code(row[0])[0]: row[1] for row in table(HOOKS, "Limits")}
    assert _code(rows.pop("fail_closed")) == sorted(FAIL_CLOSED)
    fields = attrs.fields_dict(HooksConfig)
    assert {name: json.loads(told) for name, told in rows.items()} == {
        name: field.default for name, field in fields.items() if name != "fail_closed"
    }


def test_the_options_of_hooks_exist() -> None:
    options = inspect.signature(Hooks.on).parameters
    for row in table(HOOKS, "A hook in a minute"):
        assert set(_code(row[0])) <= set(options)
    text = HOOKS.read_text(encoding="utf-8")
    for kind in (HookResult, IdentityHookResult):
        for name in re.findall(rf"`{kind.__name__}\.(\w+)\(", text):
            assert hasattr(kind, name)


# -- room-stores.md --------------------------------------------------------------------------------


def test_every_setting_of_the_store_stands_in_the_table() -> None:
    rows = _tables(STORES, "Configuring a node")[0]
    told = {_code(row[0])[0]: row[1] for row in rows}
    assert told == {
        field.name: "none" if field.default is None else f"`{json.dumps(field.default)}`"
        for field in attrs.fields(StoreConfig)
    }


def test_every_setting_of_rooms_stands_in_the_table() -> None:
    rows = _tables(STORES, "Configuring a node")[1]
    named = [name for row in rows for name in _code(row[0])]
    assert sorted(named) == sorted(field.name for field in attrs.fields(RoomsConfig))
    usual = RoomsConfig()
    for row in rows:
        told = _code(row[1])
        if told and len(_code(row[0])) == 1 and told[0] != "assistant":
            value = getattr(usual, _code(row[0])[0])
            assert json.loads(told[0]) == (list(value) if isinstance(value, tuple) else value)


# -- room-testing.md -------------------------------------------------------------------------------


def test_every_part_of_a_planned_turn_stands_in_the_table() -> None:
    rows = table(TESTING, "Agents whose turns are planned")
    named = [name for row in rows for name in _code(row[0])]
    assert named == [field.name for field in attrs.fields(Turn)]


def test_what_the_rig_is_said_to_do_exists() -> None:
    options = [name for name in inspect.signature(RoomRig.start).parameters if name != "system"]
    told = _tables(TESTING, "The rig")[0]
    assert [_code(row[0])[0] for row in told] == [*options[:-1], "RoomsPlan"]
    parts = [name for row in _tables(TESTING, "The rig")[1] for name in _code(row[0])]
    names = {match[1] for part in parts if (match := re.search(r"rig\.(\w+)", part))}
    fields = {field.name for field in attrs.fields(RoomRig)}
    assert {name for name in names if name not in fields and not hasattr(RoomRig, name)} == set()


# -- README.md -------------------------------------------------------------------------------------


def test_the_readme_shows_what_the_support_room_prints(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("python examples/support_room.py\n```")[2].partition("```text\n")[2]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "support_room.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.partition("```")[0] == done.stdout
