"""Hooks are collected by decorator."""

from __future__ import annotations

from typing import Any

import pytest

from actors.machines.room.hooking import Hook, HookExecution, HookResult, HookTrigger
from actors.room.hook_runner import HookCall
from actors.room.hooks import Hooks
from models.rooms.errors import AlreadyThere
from models.rooms.kinds import ChannelDirection, ChannelType
from supervision import Actor, handles
from supervision.testing import SystemUnderTest

BEFORE = HookTrigger.BEFORE_BROADCAST
AFTER = HookTrigger.AFTER_BROADCAST


def test_a_decorated_function_is_a_hook_and_stays_what_it_is() -> None:
    hooks = Hooks()

    @hooks.on(
        BEFORE,
        priority=-10,
        timeout=2.0,
        channel_types=[ChannelType.SMS],
        directions=[ChannelDirection.INBOUND],
        needs_lock=False,
    )
    async def no_spam(_event: Any, _context: Any) -> HookResult:
        return HookResult.block("spam")

    (hook,) = hooks.table()
    assert hook.call is no_spam
    assert (hook.name, hook.trigger, hook.priority, hook.timeout) == ("no_spam", BEFORE, -10, 2.0)
    assert hook.execution is HookExecution.SYNC
    assert hook.channel_types == frozenset({ChannelType.SMS})
    assert hook.channel_ids is None
    assert hook.directions == frozenset({ChannelDirection.INBOUND})
    assert not hook.needs_lock


def test_one_function_may_be_a_hook_of_several_triggers() -> None:
    hooks = Hooks()

    @hooks.on(BEFORE, AFTER, name="log", channel_ids=iter(["a"]), execution=HookExecution.ASYNC)
    def write(_event: Any, _context: Any) -> None: ...

    first, second = hooks.table()
    assert first.call is second.call is write
    assert {first.trigger, second.trigger} == {BEFORE, AFTER}
    assert first.channel_ids == second.channel_ids == frozenset({"a"})
    assert first.name == "log"


def test_a_table_that_was_handed_out_does_not_change() -> None:
    hooks = Hooks()
    before = hooks.table()
    hooks.add(Hook(BEFORE, lambda p, c: None, name="a"))
    assert len(before) == 0
    assert hooks.table().has(BEFORE)
    assert hooks.remove("a")
    assert not hooks.remove("a")
    assert not hooks.table().has(BEFORE)


def test_hooks_that_exist_already_keep_their_place() -> None:
    hooks = Hooks()
    first = hooks.add(Hook(BEFORE, lambda p, c: None, name="a"))
    with pytest.raises(AlreadyThere):
        hooks.on(BEFORE, name="a")(lambda p, c: None)
    assert list(hooks.table()) == [first]


def test_a_name_that_is_taken_on_one_of_several_triggers_registers_none() -> None:
    hooks = Hooks()
    hooks.add(Hook(AFTER, lambda p, c: None, name="a"))
    with pytest.raises(AlreadyThere):
        hooks.on(BEFORE, AFTER, name="a")(lambda p, c: None)
    assert not hooks.table().has(BEFORE)


class Censor(Actor[HookCall]):
    @handles
    def on_call(self, _message: HookCall) -> HookResult:
        return HookResult.allow()


async def test_an_actor_is_registered_by_its_reference(system: SystemUnderTest) -> None:
    hooks = Hooks()
    censor = await system.spawn(Censor, path="/censor")
    hook = hooks.ask(censor, BEFORE, priority=3)
    assert (hook.call, hook.name, hook.priority) == (censor, "/censor", 3)
