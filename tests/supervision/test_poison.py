"""Poison: a kind of message that crashes its actor again and again is refused for a while."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    BlockingActor,
    ChildSpec,
    Refuse,
    Refused,
    Request,
    Restart,
    Supervisor,
    handles,
)
from supervision.events import DeadLetterReason
from supervision.poison import POISON
from supervision.resilience import Backoff, BreakerConfig
from supervision.secret import Secret
from supervision.testing import SystemUnderTest


@attrs.frozen
class Say(Request[str]):
    text: str
    password: Secret | None = None


@attrs.frozen
class SayLater(Request[str]):
    text: str


@attrs.frozen
class Note:
    text: str


class Parrot(Actor[Say | SayLater | Note]):
    @handles
    def on_say(self, message: Say) -> str:
        if message.text == "boom":
            raise ValueError(f"cannot say {message.text}")
        if message.text == "no":
            raise Refuse("will not say no")
        return message.text

    @handles
    async def on_say_later(self, message: SayLater) -> str:
        await trio.sleep(1)
        if message.text == "boom":
            raise ValueError("boom")
        return message.text

    @handles
    def on_note(self, message: Note) -> None:
        if message.text == "boom":
            raise ValueError("boom")


async def parrot(system: SystemUnderTest) -> ActorRef[Any]:
    """Restarts as often as it likes."""
    system.expect_crash("/sup/parrot")
    await system.spawn(Supervisor, [ChildSpec("parrot", Parrot)], intensity=1000, path="/sup")
    return system.ref("/sup/parrot")


async def crash(ref: ActorRef[Any], message: Any = Say("boom")) -> None:
    with pytest.raises(ActorCrashed):
        await ref.ask(message)


async def test_a_type_that_crashed_five_times_in_a_row_is_refused(
    system: SystemUnderTest,
) -> None:
    ref = await parrot(system)
    for _ in range(5):
        await crash(ref)
    assert system.tree("/sup/parrot").breakers == {"message Say": "open"}
    with pytest.raises(Refused, match=r"5 messages of type Say in a row.*another 60 s"):
        await ref.ask(Say("boom"))
    with pytest.raises(Refused):
        await ref.ask(Say("even this, which would do no harm"))
    # Other types are none of its business.
    assert await ref.ask(SayLater("hello")) == "hello"
    assert len(system.crashes()) == 5
    assert system.tree("/sup/parrot").dropped == 2


async def test_told_poison_is_a_dead_letter(system: SystemUnderTest) -> None:
    system.expect_dead_letters("/sup/parrot")
    ref = await parrot(system)
    for _ in range(6):
        ref.tell(Note("boom"))
        await system.settle()
    (letter,) = system.dead_letters()
    assert (letter.reason, letter.message) == (DeadLetterReason.POISONED, Note("boom"))
    with system.trace("/sup/parrot") as trace:
        ref.tell(Note("boom"))
        await system.settle()
        assert (await anext(trace)).outcome == "poisoned"


async def test_a_restart_loop_over_one_message_ends(system: SystemUnderTest) -> None:
    """Somebody sends the same fatal message every second; back-off alone would go on for ever."""
    system.expect_crash("/sup/parrot")
    system.expect_dead_letters("/sup/parrot")
    spec = ChildSpec("parrot", Parrot, backoff=Backoff(base=0.1, maximum=0.5))
    await system.spawn(Supervisor, [spec], path="/sup")
    for _ in range(50):
        system.ref("/sup/parrot").tell(Note("boom"))
        await trio.sleep(1)
    assert len(system.crashes()) == 5
    assert len(system.dead_letters()) == 45


@pytest.mark.parametrize("well", [Say("fine"), Say("no")], ids=["answered", "refused"])
async def test_one_handled_well_between_starts_the_count_anew(
    well: Say, system: SystemUnderTest
) -> None:
    ref = await parrot(system)
    for _ in range(3):
        for _ in range(4):
            await crash(ref)
        if well.text == "no":
            with pytest.raises(Refused, match="will not"):
                await ref.ask(well)
        else:
            await ref.ask(well)
        assert ref._cell.poison is None  # and the fast loop is back


async def test_after_a_minute_one_is_let_through_as_a_probe(system: SystemUnderTest) -> None:
    ref = await parrot(system)
    for _ in range(5):
        await crash(ref)
    await trio.sleep(59)
    with pytest.raises(Refused, match="another 1 s"):
        await ref.ask(Say("hello"))
    await trio.sleep(1)
    await crash(ref)  # the probe fails, so it is refused for another minute
    with pytest.raises(Refused, match="another 60 s"):
        await ref.ask(Say("hello"))
    await trio.sleep(60)
    assert await ref.ask(Say("hello")) == "hello"
    assert await ref.ask(Say("again")) == "again"
    assert ref._cell.poison is None


async def test_async_handlers_poison_and_probe_like_plain_ones(system: SystemUnderTest) -> None:
    ref = await parrot(system)
    for _ in range(5):
        await crash(ref, SayLater("boom"))
    with pytest.raises(Refused):
        await ref.ask(SayLater("hello"))
    await trio.sleep(60)
    assert await ref.ask(SayLater("hello")) == "hello"
    assert ref._cell.poison is None


async def test_a_probe_that_is_stashed_or_cut_off_decides_nothing(
    system: SystemUnderTest,
) -> None:
    ref = await parrot(system)
    for _ in range(5):
        await crash(ref, SayLater("boom"))
    await trio.sleep(60)
    probe = ref.ask(SayLater("hello"))
    await system.settle()
    await system.restart("/sup/parrot")  # waits for the handler in hand
    assert await probe == "hello"
    for _ in range(5):
        await crash(ref, SayLater("boom"))
    await trio.sleep(60)
    probe = ref.ask(SayLater("hello"))
    await system.settle()
    ref._cell.signal(ref._cell.life.kill)  # type: ignore[union-attr]
    with pytest.raises(Exception, match="parrot"):
        await probe
    assert await ref.ask(SayLater("hello")) == "hello"


async def test_what_did_not_come_again_for_ten_minutes_is_forgotten(
    system: SystemUnderTest,
) -> None:
    ref = await parrot(system)
    await crash(ref)
    await trio.sleep(300)
    await crash(ref, SayLater("boom"))
    await trio.sleep(301)
    assert set(system.tree("/sup/parrot").breakers) == {"message SayLater"}
    await trio.sleep(301)
    assert ref._cell.poison is None


async def test_a_blocking_actor_is_spared_poison_too(system: SystemUnderTest) -> None:
    class Blocks(BlockingActor[Say]):
        @handles
        def on_say(self, message: Say) -> str:
            if message.text == "boom":
                raise ValueError("boom")
            return message.text

    system.expect_crash("/sup/blocks")
    await system.spawn(Supervisor, [ChildSpec("blocks", Blocks)], intensity=99, path="/sup")
    ref = system.ref("/sup/blocks")
    for _ in range(5):
        await crash(ref)
    with pytest.raises(Refused, match="5 messages"):
        await ref.ask(Say("hello"))
    await trio.sleep(60)
    assert await ref.ask(Say("hello")) == "hello"
    await system.settle()
    assert ref._cell.poison is None


async def test_an_actor_class_says_how_much_poison_it_takes(system: SystemUnderTest) -> None:
    class Frail(Parrot):
        poison = BreakerConfig(failures=1, rest=5)

    class Tough(Parrot):
        poison = None

    system.expect_crash()
    children = [ChildSpec("frail", Frail), ChildSpec("tough", Tough)]
    await system.spawn(Supervisor, children, intensity=100, path="/sup")
    await crash(system.ref("/sup/frail"))
    with pytest.raises(Refused, match="another 5 s"):
        await system.ref("/sup/frail").ask(Say("hello"))
    for _ in range(20):
        await crash(system.ref("/sup/tough"))
    assert system.ref("/sup/tough")._cell.poison is None
    config: BreakerConfig = POISON
    assert (config.failures, config.rest) == (5, 60.0)


async def test_what_an_actor_crashed_on_is_forgotten_with_it(system: SystemUnderTest) -> None:
    system.expect_crash("/temporary")
    ref = await system.spawn(Parrot, path="/temporary", restart=Restart.TEMPORARY)
    timers = len(system._node.timers)
    await crash(ref)
    assert not ref.alive
    assert ref._cell.poison is None
    assert len(system._node.timers) == timers
