"""Every verb and message of rooms is told of, exists, and goes where the documents say."""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

import attrs

import actors.room
import actors.room.bus as bus
from actors.room.config import RoomsConfig
from actors.room.conversations import Conversations
from actors.room.testing import RoomRig
from supervision import Request
from supervision.testing import SystemUnderTest
from tests.docs.markdown import table
from tests.docs.room_code import (
    ROOMKIT,
    ROOMS,
    code,
)
from transports.stores.requests import StoreRequest

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
        (name, (code(row[0]) or [""])[0])
        for row in rows
        for name in code(row[1])
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
    known = {*dir(Conversations), "Hooks", "ephemeral_events"}
    assert hasattr(bus, "ephemeral_events")
    rows = table(ROOMKIT, "The verbs")
    assert len(rows) > 45
    for row in rows:
        verbs = [_verb(token) for token in code(row[1])]
        assert set(verbs) <= known, row
    helpers = {name for row in rows for name in re.findall(r"publish\((\w+)\(", row[1])}
    assert {name for name in helpers if not hasattr(bus, name)} == set()


def test_every_verb_stands_in_the_mapping() -> None:
    named = {_verb(token) for row in table(ROOMKIT, "The verbs") for token in code(row[1])}
    verbs = {name for name in dir(Conversations) if not name.startswith("_")}
    # What has no name of its own in a table of verbs: the ways to talk to actors directly.
    assert verbs - named == {"desk", "of", "perform", "room", "system"}


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
