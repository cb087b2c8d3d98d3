"""Stacks: where an actor that does not move stands."""

from __future__ import annotations

import attrs
import trio

from supervision import (
    Actor,
    ActorRef,
    BlockingActor,
    handles,
)
from supervision.testing import SystemUnderTest


@attrs.frozen
class Add:
    """Count so many more.

    Not less.
    """

    amount: int
    reason: str = ""


@attrs.frozen
class Wait:
    seconds: float


async def test_stacks_show_where_an_actor_waits(system: SystemUnderTest) -> None:
    class Busy(Actor[Wait | Add]):
        @handles
        async def on_wait(self, message: Wait) -> None:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self.listen)
                await trio.sleep(message.seconds)
                nursery.cancel_scope.cancel()

        async def listen(self) -> None:
            await trio.sleep_forever()

        @handles
        def on_add(self, message: Add) -> None:
            self.start_task(self.listen, name="listening")

    busy = await system.spawn(Busy, path="/busy")
    busy.tell(Add(1))
    await system.settle()
    assert [stack.name for stack in system.stacks("/busy")] == ["listening"]
    begun = system.now
    busy.tell(Wait(5))
    await system.settle()
    stacks = {stack.name: stack for stack in system.stacks("/busy")}
    assert set(stacks) == {"handlers", "handlers / listen", "listening"}
    handler = stacks["handlers"]
    assert (handler.message_type, handler.since) == ("Wait", begun)
    assert "await trio.sleep(message.seconds)" in handler.stack
    assert "await trio.sleep_forever()" in stacks["listening"].stack
    assert stacks["listening"].message_type == "Add"
    await trio.sleep(6)
    assert [stack.name for stack in system.stacks("/busy")] == ["listening"]


async def test_the_stack_of_a_thread_is_shown_too(system: SystemUnderTest) -> None:
    import threading

    go_on = threading.Event()
    begun = threading.Event()

    class Blocks(BlockingActor[Add]):
        @handles
        def on_add(self, _message: Add) -> None:
            begun.set()
            go_on.wait(10)

    blocks: ActorRef[Add] = await system.spawn(Blocks, path="/blocks")
    blocks.tell(Add(1))
    while not begun.is_set():
        await trio.lowlevel.checkpoint()
    (stack,) = system.stacks("/blocks")
    tree = system.tree("/blocks")
    go_on.set()
    assert (stack.name, stack.message_type) == ("thread", "Add")
    assert "go_on.wait(10)" in stack.stack
    assert tree.doing == "Add"
    await system.settle()
