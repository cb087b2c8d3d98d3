"""Hooks run, whatever they do, and nobody else notices."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextvars import copy_context
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
import trio

from actors.machines.room.hooking import (
    FAIL_CLOSED,
    SYNC,
    Hook,
    HookExecution,
    HookFault,
    HookResult,
    HookTrigger,
    Verdict,
)
from actors.room.hook_runner import (
    HookCall,
    HookFailed,
    HookRunner,
    HooksConfig,
    HookScope,
    RunAsync,
    RunSync,
    inside,
    inside_hook,
    waited_for_by,
)
from models.rooms.content import Text
from models.rooms.errors import Overloaded
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelType
from models.rooms.refusals import RefusedFor
from models.rooms.room import ChannelBinding, Room, RoomContext
from supervision import Actor, ActorRef, ActorStopped, AskTimeout, Refuse, Refused, handles
from supervision.testing import Probe, SystemUnderTest, simulate

TTS = HookTrigger.BEFORE_TTS
BEFORE = HookTrigger.BEFORE_BROADCAST
AFTER = HookTrigger.AFTER_BROADCAST
NOW = datetime(2026, 1, 1, tzinfo=UTC)
YES = HookResult.allow()

Function = Callable[[Any, Any], Any]


@attrs.define
class Bench:
    """A runner, who watches it, and what it says about itself."""

    system: SystemUnderTest
    runner: ActorRef[Any]
    observer: Probe

    async def ask(self, *hooks: Hook, payload: Any = "words", **more: Any) -> Verdict:
        trigger = hooks[0].trigger if hooks else BEFORE
        return await self.runner.ask(RunSync(trigger, payload, None, hooks, **more), timeout=100)

    def tell(self, payload: Any, *hooks: Hook) -> Awaitable[None]:
        return self.runner.ask(RunAsync(hooks[0].trigger, payload, None, hooks), timeout=1000)

    @property
    def statistics(self) -> dict[str, Any]:
        shown = self.system.state(self.runner.path).statistics
        assert isinstance(shown, dict)
        return shown


@pytest.fixture
async def bench(system: SystemUnderTest) -> Bench:
    return await set_up(system)


async def set_up(system: SystemUnderTest, **config: Any) -> Bench:
    observer: Probe = await system.probe(HookFailed)
    runner = await system.spawn(HookRunner, "r1", observer.ref, HooksConfig(**config))
    return Bench(system, runner, observer)


def on(trigger: HookTrigger, call: Any, name: str = "it", **more: Any) -> Hook:
    return Hook(trigger, call, name=name, **more)


# -- asking ----------------------------------------------------------------------------------------


async def test_functions_plain_and_async_are_asked_in_order(bench: Bench) -> None:
    async def louder(text: str, _context: object) -> HookResult:
        await trio.sleep(3)
        return HookResult.modify(text.upper())

    def politer(text: str, _context: object) -> HookResult:
        return HookResult.modify(f"{text}, please")

    started = trio.current_time()
    verdict = await bench.ask(on(TTS, louder, "louder"), on(TTS, politer, "politer"))
    assert verdict == Verdict("WORDS, please")
    assert trio.current_time() == started + 3


async def test_hooks_are_shown_the_room(bench: Bench) -> None:
    seen = []
    context = RoomContext(Room("r1", NOW, NOW))

    def look(payload: object, given: object) -> HookResult:
        seen.append((payload, given))
        return YES

    await bench.runner.ask(RunSync(BEFORE, "words", context, [on(BEFORE, look)]))
    assert seen == [("words", context)]


async def test_the_scope_of_answers_is_kept_by_what_the_room_has(bench: Bench) -> None:
    """A category is wider than a list, unless the room's bindings say otherwise."""
    source = EventSource("a", ChannelType.SMS)
    event = RoomEvent("e1", "r1", source, Text("x"), NOW, response_visibility="transport")
    bindings = [ChannelBinding("a", "r1", ChannelType.SMS, NOW, ChannelCategory.TRANSPORT)]
    context = RoomContext(Room("r1", NOW, NOW), bindings)

    def narrow(event: RoomEvent, _context: object) -> HookResult:
        return HookResult.modify(attrs.evolve(event, response_visibility="a"))

    verdict = await bench.runner.ask(RunSync(BEFORE, event, context, [on(BEFORE, narrow)]))
    assert verdict.event.response_visibility == "a"
    assert verdict.errors == ()


class Censor(Actor[HookCall]):
    @handles
    def on_call(self, message: HookCall) -> HookResult:
        if message.payload == "refuse":
            raise Refuse("not today")
        if message.payload == "crash":
            raise ValueError("oh")
        return HookResult.block(f"{message.scope.hook} says no")


async def test_an_actor_may_be_a_hook(bench: Bench) -> None:
    censor = await bench.system.spawn(Censor)
    verdict = await bench.ask(on(BEFORE, censor, "censor"))
    assert (verdict.blocked_by, verdict.reason) == ("censor", "censor says no")


@pytest.mark.parametrize(
    ("payload", "error_type"), [("refuse", "Refused"), ("crash", "ActorCrashed")]
)
async def test_an_actor_that_fails_has_failed_as_a_hook(
    bench: Bench, payload: str, error_type: str
) -> None:
    bench.system.expect_crash("*", ValueError)
    censor = await bench.system.spawn(Censor)
    verdict = await bench.ask(on(BEFORE, censor), payload=payload)
    assert not verdict.blocked
    assert [(e.fault, e.error_type) for e in verdict.errors] == [(HookFault.RAISED, error_type)]


async def test_an_actor_that_is_gone_or_takes_other_messages_has_failed_too(bench: Bench) -> None:
    gone = await bench.system.spawn(Censor, path="/gone")
    await bench.system.stop("/gone")
    deaf = await bench.system.spawn(Deaf)
    verdict = await bench.ask(on(BEFORE, gone, "gone"), on(BEFORE, deaf, "deaf"))
    assert [e.error_type for e in verdict.errors] == ["ActorStopped", "NotAccepted"]


class Deaf(Actor[int]):
    @handles
    def on_number(self, message: int) -> None: ...


class Silent(Actor[HookCall]):
    @handles
    async def on_call(self, _message: HookCall) -> None:
        await trio.sleep_forever()


async def test_an_actor_has_its_time_as_well(bench: Bench) -> None:
    silent = await bench.system.spawn(Silent)
    started = trio.current_time()
    verdict = await bench.ask(on(BEFORE, silent, timeout=2.0))
    assert trio.current_time() == started + 2
    assert [e.fault for e in verdict.errors] == [HookFault.TIMED_OUT]
    assert (await bench.observer.expect(HookFailed)).timeout == 2.0


async def test_who_watches_a_decision_is_shown_what_was_decided(bench: Bench) -> None:
    seen = []

    async def watch(payload: str, _context: object) -> None:
        await trio.sleep(9)
        seen.append(payload)

    def change(_payload: str, _context: object) -> HookResult:
        return HookResult.modify("other words")

    watching = on(TTS, watch, "watch", execution=HookExecution.ASYNC, priority=-100)
    started = trio.current_time()
    assert (await bench.ask(watching, on(TTS, change))).event == "other words"
    assert trio.current_time() == started  # nobody waits for who only watches
    await trio.sleep(10)
    assert seen == ["other words"]


async def test_what_is_blocked_is_shown_to_nobody(bench: Bench) -> None:
    seen = []
    watching = on(TTS, lambda p, c: seen.append(p), "watch", execution=HookExecution.ASYNC)
    block = on(TTS, lambda p, c: HookResult.block("secret"))
    assert (await bench.ask(block, watching)).blocked
    await bench.system.settle()
    assert seen == []


async def test_a_deadline_cuts_off_the_hook_in_hand_and_asks_no_other(bench: Bench) -> None:
    log: list[object] = []

    async def slow(_payload: object, _context: object) -> HookResult:
        try:
            await trio.sleep(20)
        finally:
            log.append(trio.current_time() - started)
        return YES

    def never(_payload: object, _context: object) -> HookResult:
        log.append("never")
        return YES

    started = trio.current_time()
    with pytest.raises(Refused, match="deadline"):
        await bench.ask(on(BEFORE, slow), on(BEFORE, never, "never"), deadline=started + 5)
    await trio.sleep(30)
    assert log == [5.0]
    assert bench.observer.received == []
    assert bench.statistics["asking"] == 0


async def test_a_deadline_that_has_passed_lets_no_hook_begin(bench: Bench) -> None:
    log: list[object] = []

    async def slow(_payload: object, _context: object) -> HookResult:
        log.append("begun")
        await trio.sleep(20)
        return YES

    with pytest.raises(Refused, match="deadline"):
        await bench.ask(on(BEFORE, slow), deadline=trio.current_time() - 1)
    await trio.sleep(30)
    assert log == []
    assert bench.statistics["unended"] == 0


# -- how hooks fail --------------------------------------------------------------------------------


class Unprintable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("cannot say")


class Strange:
    """Awaits something that trio knows nothing of."""

    def __await__(self) -> Generator[object, None, None]:
        yield "what?"


async def grouped(_payload: object, _context: object) -> HookResult:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.sleep, 1)
        raise ValueError("inside")


kept: list[trio.Cancelled] = []


async def stale_cancellation(_payload: object, _context: object) -> HookResult:
    with trio.CancelScope() as scope:
        scope.cancel()
        try:
            await trio.sleep(1)
        except trio.Cancelled as cancelled:
            kept.append(cancelled)
    raise kept.pop()


async def generator(_payload: object, _context: object) -> AsyncIterator[HookResult]:
    yield YES


def raising(error: BaseException) -> Function:
    def raises(_payload: object, _context: object) -> HookResult:
        raise error

    return raises


def raising_later(error: BaseException) -> Function:
    async def raises(_payload: object, _context: object) -> HookResult:
        await trio.sleep(0.5)
        raise error

    return raises


async def never(_payload: object, _context: object) -> HookResult:
    await trio.sleep_forever()


async def stubborn(_payload: object, _context: object) -> HookResult:
    with trio.CancelScope(shield=True):
        await trio.sleep(100)
    return YES


def answering(answer: object) -> Function:
    return lambda _payload, _context: answer


async def nothing(_payload: object, _context: object) -> None: ...


FAILURES: dict[str, tuple[Any, HookFault, str]] = {
    "raises": (raising(ValueError("x")), HookFault.RAISED, "ValueError"),
    "raises later": (raising_later(ValueError("x")), HookFault.RAISED, "ValueError"),
    "exits": (raising(SystemExit()), HookFault.RAISED, "SystemExit"),
    "exits later": (raising_later(SystemExit()), HookFault.RAISED, "SystemExit"),
    "interrupts": (raising_later(KeyboardInterrupt()), HookFault.RAISED, "KeyboardInterrupt"),
    "generator exit": (raising_later(GeneratorExit()), HookFault.RAISED, "GeneratorExit"),
    "cannot be printed": (raising(Unprintable()), HookFault.RAISED, "Unprintable"),
    "a group": (grouped, HookFault.RAISED, "ValueError"),
    "an old cancellation": (stale_cancellation, HookFault.RAISED, "Cancelled"),
    "refuses": (raising(Refuse("no")), HookFault.RAISED, "Refuse"),
    "wrong signature": (lambda: YES, HookFault.RAISED, "TypeError"),
    "not callable": ("words", HookFault.RAISED, "TypeError"),
    "strange awaitable": (answering(Strange()), HookFault.RAISED, "TypeError"),
    "never returns": (never, HookFault.TIMED_OUT, ""),
    "will not be cancelled": (stubborn, HookFault.TIMED_OUT, ""),
    "no result": (nothing, HookFault.NO_RESULT, ""),
    "other result": (answering("allow"), HookFault.NO_RESULT, ""),
    "async generator": (generator, HookFault.NO_RESULT, ""),
    "other payload": (answering(HookResult.modify(7)), HookFault.WRONG_PAYLOAD, ""),
}


@pytest.mark.parametrize("how", FAILURES)
@pytest.mark.parametrize("trigger", [BEFORE, TTS])
async def test_whatever_a_hook_does_it_is_a_failure_of_that_hook(
    bench: Bench, trigger: HookTrigger, how: str
) -> None:
    call, fault, error_type = FAILURES[how]
    asked = []

    def following(payload: object, _context: object) -> HookResult:
        asked.append(payload)
        return YES

    started = trio.current_time()
    bad = on(trigger, call, "bad", timeout=4.0)
    verdict = await bench.ask(bad, on(trigger, following, "next"))
    assert trio.current_time() - started <= 4.0
    assert [(e.hook, e.fault, e.error_type) for e in verdict.errors] == [("bad", fault, error_type)]
    assert verdict.event == "words"
    assert verdict.blocked_by == ("bad" if trigger in FAIL_CLOSED else None)
    assert asked == ([] if trigger in FAIL_CLOSED else ["words"])

    failed = await bench.observer.expect(HookFailed)
    timeout = 4.0 if fault is HookFault.TIMED_OUT else None
    assert failed == HookFailed("r1", "bad", trigger, timeout, error_type or fault.value, True)
    await trio.sleep(200)  # and the runner is as it was
    assert (await bench.ask(on(trigger, following, "next"))).errors == ()
    assert bench.system.crashes() == ()
    assert bench.statistics["unended"] == 0


@pytest.mark.parametrize("how", FAILURES)
async def test_b16_whatever_a_watching_hook_does_the_others_are_told_and_the_room_hears_of_it(
    bench: Bench, how: str
) -> None:
    call, fault, error_type = FAILURES[how]
    seen = []
    good = on(AFTER, lambda payload, _: seen.append(payload), "good")
    bad = on(AFTER, call, "bad", timeout=4.0)
    await bench.tell("one", bad, good)
    await bench.tell("two", bad, good)
    assert seen == ["one", "two"]
    await bench.system.settle()
    if fault in (HookFault.NO_RESULT, HookFault.WRONG_PAYLOAD):
        assert bench.observer.received == []  # what it returns counts for nothing
        return
    told = bench.observer.received[0]
    assert (told.hook_name, told.trigger, told.in_verdict) == ("bad", AFTER, False)
    assert told.error_type == (error_type or fault.value)
    await trio.sleep(200)
    await bench.tell("three", good)
    assert bench.system.crashes() == ()


async def test_who_has_answered_in_time_is_not_late_because_nobody_looked(bench: Bench) -> None:
    """The answer and the end of its time both wait in the mailbox, in that order."""

    async def quick(_payload: object, _context: object) -> HookResult:
        await trio.sleep(0.5)
        return YES

    reply = bench.runner.ask(RunSync(BEFORE, "words", None, [on(BEFORE, quick, timeout=1.0)]))
    await trio.sleep(0.1)
    bench.system.suspend(bench.runner.path)
    await trio.sleep(2)
    bench.system.resume(bench.runner.path)
    assert (await reply).errors == ()
    await bench.system.settle()
    assert bench.observer.received == []


async def test_failures_are_logged_without_what_people_said(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def quotes(payload: str, _context: object) -> HookResult:
        raise ValueError(f"cannot read {payload}")

    with caplog.at_level(logging.WARNING, "troupe.rooms"):
        verdict = await bench.ask(on(BEFORE, quotes, "quotes"), payload="4111 1111")
    assert verdict.errors[0].error == "cannot read 4111 1111"
    assert "4111" not in caplog.text
    assert "4111" not in repr(verdict)
    assert "hook 'quotes' on before_broadcast failed in room r1: ValueError at" in caplog.text
    assert "test_hook_runner.py" in caplog.text


async def test_code_for_another_loop_is_contained(bench: Bench) -> None:
    async def asyncio_hook(_payload: object, _context: object) -> HookResult:
        await asyncio.sleep(1)
        return YES

    verdict = await bench.ask(on(BEFORE, asyncio_hook))
    assert [(e.fault, e.error_type) for e in verdict.errors] == [(HookFault.RAISED, "RuntimeError")]


async def test_a_result_with_code_of_its_own_may_fail_as_well(bench: Bench) -> None:
    class Angry(HookResult):
        @property
        def action(self) -> Any:
            raise ZeroDivisionError

        @action.setter
        def action(self, value: Any) -> None: ...

    verdict = await bench.ask(on(BEFORE, lambda p, c: Angry()))
    assert [e.error_type for e in verdict.errors] == ["ZeroDivisionError"]


@pytest.mark.parametrize("trigger", sorted(SYNC))
async def test_a_hook_that_takes_too_long_blocks_where_hooks_fail_closed(
    bench: Bench, trigger: HookTrigger
) -> None:
    verdict = await bench.ask(on(trigger, never, timeout=1.0))
    assert verdict.blocked is (trigger in FAIL_CLOSED)
    assert [e.fault for e in verdict.errors] == [HookFault.TIMED_OUT]


async def test_where_hooks_fail_closed_is_configured(system: SystemUnderTest) -> None:
    bench = await set_up(system, fail_closed=(BEFORE,))
    assert (await bench.ask(on(BEFORE, raising(ValueError())))).blocked
    assert not (await bench.ask(on(TTS, raising(ValueError())))).blocked


async def test_a_hook_whose_calls_do_not_end_is_not_asked_until_some_have(
    system: SystemUnderTest,
) -> None:
    bench = await set_up(system, unended=2)
    hook = on(BEFORE, stubborn, timeout=1.0)
    faults = [(await bench.ask(hook)).errors[0].fault for _ in range(4)]
    assert faults == [HookFault.TIMED_OUT] * 2 + [HookFault.STILL_RUNNING] * 2
    assert bench.statistics["unended"] == 2
    await trio.sleep(100)
    assert (await bench.ask(hook)).errors[0].fault is HookFault.TIMED_OUT
    await trio.sleep(100)


async def test_only_so_many_decisions_are_asked_for_at_a_time(system: SystemUnderTest) -> None:
    bench = await set_up(system, runs=2)
    hook = on(BEFORE, never, timeout=1.0)
    request = RunSync(BEFORE, "words", None, [hook])
    replies = [bench.runner.ask(request) for _ in range(3)]
    with pytest.raises(RefusedFor) as caught:
        await replies[2]
    assert isinstance(caught.value.error, Overloaded)
    for reply in replies[:2]:
        assert not (await reply).blocked


async def test_a_decision_may_be_told_though_nobody_hears_of_it(bench: Bench) -> None:
    seen: list[object] = []
    hook = on(BEFORE, lambda p, c: seen.append(p))
    bench.runner.tell(RunSync(BEFORE, "words", None, [hook]))
    bench.runner.tell(RunAsync(BEFORE, "more", None, [hook]))
    await bench.system.settle()
    assert seen == ["words", "more"]


async def test_a_runner_that_stops_ends_its_hooks(system: SystemUnderTest) -> None:
    ended = []

    async def watch(_payload: object, _context: object) -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.append(trio.current_time())

    bench = await set_up(system)
    bench.runner.tell(RunAsync(AFTER, "one", None, [on(AFTER, watch)]))
    reply = bench.runner.ask(RunSync(BEFORE, "one", None, [on(BEFORE, never)]))
    await trio.sleep(1)
    await system.stop(bench.runner.path)
    assert len(ended) == 1
    with pytest.raises(ActorStopped, match=r"gone|stopped"):
        await reply


# -- telling ---------------------------------------------------------------------------------------


@attrs.define
class Slow:
    """A hook that takes its time and remembers."""

    seconds: float
    began: list[Any] = attrs.field(factory=list)
    ended: list[Any] = attrs.field(factory=list)

    async def __call__(self, payload: object, _context: object) -> None:
        self.began.append(payload)
        await trio.sleep(self.seconds)
        self.ended.append(payload)


async def test_hooks_are_told_at_the_same_time_and_waited_for(bench: Bench) -> None:
    hooks = [on(AFTER, Slow(seconds), str(seconds)) for seconds in (1.0, 3.0, 2.0)]
    started = trio.current_time()
    await bench.tell("one", *hooks)
    assert trio.current_time() == started + 3


async def test_each_hook_is_told_one_thing_after_the_other(bench: Bench) -> None:
    slow, fast = Slow(3.0), Slow(0.5)
    hooks = on(AFTER, slow, "slow"), on(AFTER, fast, "fast")
    started = trio.current_time()
    replies = [bench.tell(number, *hooks) for number in range(4)]
    await trio.sleep(2.1)
    assert (fast.ended, slow.began) == ([0, 1, 2, 3], [0])
    for number, reply in enumerate(replies):
        await reply
        assert trio.current_time() == started + 3 * (number + 1)
    assert slow.ended == [0, 1, 2, 3]


async def test_b3_what_piles_up_is_bounded_and_only_who_is_slow_misses_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    slow, fast = Slow(1.0), Slow(0.0)
    hooks = on(AFTER, slow, "slow"), on(AFTER, fast, "fast")
    replies = []
    for number in range(200):
        replies.append(bench.tell(number, *hooks))
        await trio.sleep(0.001)
    assert bench.statistics["waiting"] == 64
    for reply in replies:
        await reply
    assert fast.ended == list(range(200))
    assert slow.ended == [0, *range(136, 200)]
    figures = bench.statistics["hooks"]
    assert figures["after_broadcast/slow"]["missed"] == 135
    assert figures["after_broadcast/fast"]["missed"] == 0
    told = [record.args[-1] for record in caplog.records if isinstance(record.args, tuple)]
    assert told == [1, 2, 4, 8, 16, 32, 64, 128]  # in the log, less and less often


async def test_b3_a_slow_hook_does_not_hold_up_a_decision(bench: Bench) -> None:
    bench.runner.tell(RunAsync(AFTER, "one", None, [on(AFTER, Slow(20.0))]))
    started = trio.current_time()
    await bench.ask(on(BEFORE, lambda p, c: YES))
    assert trio.current_time() == started


async def test_who_takes_too_long_is_waited_for_no_longer(bench: Bench) -> None:
    slow = Slow(60.0)
    hook = on(AFTER, slow, timeout=2.0)
    started = trio.current_time()
    await bench.tell("one", hook)
    assert trio.current_time() == started + 2
    await bench.tell("two", hook)
    assert trio.current_time() == started + 4
    assert slow.began == ["one", "two"]
    await bench.system.settle()
    assert [failed.timeout for failed in bench.observer.received] == [2.0, 2.0]


async def test_who_does_not_end_is_told_nothing_more_until_it_has(bench: Bench) -> None:
    hook = on(AFTER, stubborn, timeout=1.0)
    started = trio.current_time()
    replies = [bench.tell(number, hook) for number in range(3)]
    for reply in replies:
        await reply
    assert trio.current_time() == started + 2  # its time and its grace
    await bench.tell(3, hook)
    assert trio.current_time() == started + 2
    figures = bench.statistics["hooks"]["after_broadcast/it"]
    assert (figures["calls"], figures["timeouts"], figures["missed"]) == (1, 1, 3)
    await trio.sleep(100)
    later = Slow(0.0)
    await bench.tell(4, on(AFTER, later))
    reply = bench.tell(5, hook)
    await trio.sleep(0.5)
    assert bench.statistics["hooks"]["after_broadcast/it"]["missed"] == 3
    await reply
    await trio.sleep(200)


# -- inside a hook ---------------------------------------------------------------------------------


async def test_code_knows_whether_it_runs_inside_a_hook(bench: Bench) -> None:
    seen: list[HookScope | None] = []

    def plain(_payload: object, _context: object) -> HookResult:
        seen.append(inside_hook())
        return YES

    async def waits(_payload: object, _context: object) -> HookResult:
        await trio.sleep(1)
        seen.append(inside_hook())
        seen.append(copy_context().run(inside_hook))  # as in a thread it starts
        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
        return YES

    async def look() -> None:
        seen.append(inside_hook())

    assert inside_hook() is None
    await bench.ask(on(BEFORE, plain, "plain"), on(BEFORE, waits, "waits"), depth=2, run="e1")
    scopes = [HookScope("r1", BEFORE, name, 3, "e1") for name in ("plain", "waits")]
    assert seen == [scopes[0], scopes[1], scopes[1], scopes[1]]
    assert inside_hook() is None


async def test_only_a_hook_that_its_room_waits_for_may_go_ahead(bench: Bench) -> None:
    seen: list[tuple[bool, bool]] = []

    async def look(_payload: object, _context: object) -> HookResult:
        seen.append((waited_for_by("r1") is not None, waited_for_by("r2") is not None))
        return YES

    watching = on(BEFORE, look, "watching", execution=HookExecution.ASYNC)
    await bench.ask(on(BEFORE, look), watching)
    await bench.tell("one", on(AFTER, look))
    assert seen == [(True, False), (False, False), (False, False)]
    assert waited_for_by("r1") is None


async def test_what_a_hook_leaves_running_is_outside_once_it_is_over(bench: Bench) -> None:
    seen: list[HookScope | None] = []

    async def look_twice() -> None:
        seen.append(inside_hook())
        await trio.sleep(10)
        seen.append(inside_hook())

    async with trio.open_nursery() as nursery:

        async def leaves(_payload: object, _context: object) -> HookResult:
            nursery.start_soon(look_twice)
            await trio.sleep(1)
            return YES

        await bench.ask(on(BEFORE, leaves, "leaves"))
    assert seen == [HookScope("r1", BEFORE, "leaves", 1), None]


async def test_who_is_late_is_outside_as_well(bench: Bench) -> None:
    seen: list[HookScope | None] = []

    async def shielded(_payload: object, _context: object) -> HookResult:
        with trio.CancelScope(shield=True):
            await trio.sleep(5)
            seen.append(inside_hook())
        return YES

    await bench.ask(on(BEFORE, shielded, timeout=1.0))
    await trio.sleep(10)
    assert seen == [None]


async def test_a_hook_may_speak_into_its_own_room(bench: Bench) -> None:
    """The nested message runs through the same runner while the first one waits in it."""
    depths = []

    async def speaks(payload: int, _context: object) -> HookResult:
        scope = inside_hook()
        assert scope is not None
        depths.append(scope.depth)
        if payload < 3:
            nested = RunSync(BEFORE, payload + 1, None, [hook], depth=scope.depth)
            verdict = await bench.runner.ask(nested)
            return HookResult.modify(verdict.event)
        return YES

    hook = on(BEFORE, speaks)
    assert (await bench.ask(hook, payload=0)).event == 3
    assert depths == [1, 2, 3, 4]


async def test_an_actor_that_is_a_hook_can_say_that_it_is_one(bench: Bench) -> None:
    class Speaking(Actor[HookCall]):
        @handles
        def on_call(self, message: HookCall) -> HookResult:
            assert inside_hook() is None
            with inside(message.scope):
                seen.append(inside_hook())
            return YES

    seen: list[HookScope | None] = []
    speaking = await bench.system.spawn(Speaking)
    await bench.ask(on(BEFORE, speaking))
    assert seen == [HookScope("r1", BEFORE, "it", 1)]


# -- any order -------------------------------------------------------------------------------------


async def busy_room(system: SystemUnderTest) -> dict[str, list[int]]:
    """Decisions and notices at once; every hook is told in order, and every asker answered."""
    bench = await set_up(system)
    told: dict[str, list[int]] = {name: [] for name in "abc"}

    def watching(name: str, seconds: float) -> Hook:
        async def watch(payload: int, _context: object) -> None:
            await trio.sleep(seconds)
            told[name].append(payload)
            if payload % 3 == 0:
                raise ValueError

        return on(AFTER, watch, name, timeout=1.0)

    hooks = [watching("a", 0.0), watching("b", 0.1), watching("c", 0.2)]

    async def add_one(payload: int, _context: object) -> HookResult:
        await trio.sleep(0.01 * (payload % 5))
        return HookResult.modify(payload + 1)

    deciding = [on(BEFORE, add_one, "one"), on(BEFORE, add_one, "two")]
    notices = [bench.tell(number, *hooks) for number in range(12)]
    asks = [bench.runner.ask(RunSync(BEFORE, number, None, deciding)) for number in range(12)]
    for number, ask in enumerate(asks):
        assert (await ask).event == number + 2
    for notice in notices:
        await notice
    return told


@pytest.mark.parametrize("seed", range(1000 if os.environ.get("SOAK") == "1" else 10))
def test_in_any_order_all_are_told_in_turn_and_all_are_answered(seed: int) -> None:
    told = simulate(busy_room, seed).result
    assert told == {name: list(range(12)) for name in "abc"}


async def just_in_time(system: SystemUnderTest) -> tuple[list[bool], int]:
    """Hooks that end at the very moment their time is up."""
    bench = await set_up(system)

    async def exactly(_payload: object, _context: object) -> HookResult:
        await trio.sleep(1.0)
        return YES

    hook = on(BEFORE, exactly, timeout=1.0)
    requests = [RunSync(BEFORE, "words", None, [hook]) for _ in range(8)]
    verdicts = [await reply for reply in [bench.runner.ask(each) for each in requests]]
    watching = [on(AFTER, exactly, name, timeout=1.0) for name in "abcd"]
    await bench.tell("one", *watching)
    await bench.tell("two", *watching)
    await trio.sleep(10)
    statistics = bench.statistics
    assert (statistics["asking"], statistics["waiting"], statistics["unended"]) == (0, 0, 0)
    figures = statistics["hooks"].values()
    return [bool(verdict.errors) for verdict in verdicts], sum(each["calls"] for each in figures)


@pytest.mark.parametrize("seed", range(1000 if os.environ.get("SOAK") == "1" else 10))
def test_who_ends_as_its_time_is_up_is_late_or_not_but_only_once(seed: int) -> None:
    late, calls = simulate(just_in_time, seed).result
    assert len(late) == 8
    assert calls == 16


# -- figures ---------------------------------------------------------------------------------------


async def test_what_hooks_take_is_on_record(bench: Bench) -> None:
    async def slow(seconds: float, _context: object) -> HookResult:
        await trio.sleep(seconds)
        if seconds == 0.5:
            raise ValueError
        return YES

    hook = on(BEFORE, slow, "slow", timeout=2.0)
    for seconds in (0.25, 0.5, 9.0):
        await bench.ask(hook, payload=seconds)
    assert bench.statistics["hooks"] == {
        "before_broadcast/slow": {
            "calls": 3,
            "failures": 2,
            "timeouts": 1,
            "missed": 0,
            "total_ms": 2750.0,
            "worst_ms": 2000.0,
        }
    }


@pytest.mark.parametrize(
    "wrong",
    [
        {"waiting": 0},
        {"runs": 0},
        {"grace": 0.0},
        {"unended": 0},
        {"fail_closed": ("before_tts",)},
        {"grace": float("nan")},
    ],
)
def test_what_cannot_be_configured(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        HooksConfig(**wrong)


async def test_an_asker_that_gives_up_does_not_stop_the_hooks_that_watch(bench: Bench) -> None:
    slow = Slow(3.0)
    with pytest.raises(AskTimeout):
        await bench.runner.ask(RunAsync(AFTER, 1, None, [on(AFTER, slow)]), timeout=1)
    await trio.sleep(3)
    assert slow.ended == [1]
