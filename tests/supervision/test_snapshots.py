"""Snapshots: what an operator sees of a running system, and what nobody sees."""

from __future__ import annotations

import dataclasses
import json
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    BlockingActor,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    NoSuchActor,
    Request,
    Strategy,
    Supervisor,
    Wake,
    handles,
    open_system,
)
from supervision.resilience import Backoff, CircuitBreaker
from supervision.secret import MASK, Secret
from supervision.showing import plain
from supervision.testing import SystemUnderTest


@attrs.frozen
class Add:
    """Count so many more.

    Not less.
    """

    amount: int
    reason: str = ""


@attrs.frozen
class Total(Request[int]):
    pass


@dataclasses.dataclass(frozen=True)
class Listing(Request[Sequence[str]]):
    limit: int | None


@attrs.frozen
class Wait:
    seconds: float


@attrs.frozen
class Boom:
    pass


@attrs.frozen
class CounterStatistics:
    adds: int
    provider: Any
    spare: Mapping[str, Any]
    password: str = "hunter2"


class Counter(Actor[Add | Total | Listing | Wait | Boom | Wake]):
    mailbox = Mailbox(7)

    def __init__(self, api_key: Secret | None = None) -> None:
        super().__init__()
        self.total = 0
        self.api_key = api_key
        self.token = "abc-123"
        self.max_tokens = 100
        self.headers = {"Authorization": "Bearer abc", "Accept": "*/*"}
        self.history: deque[int] = deque(maxlen=1000)
        self.breaker = CircuitBreaker()
        self.adds = 0

    @handles
    def on_add(self, message: Add) -> None:
        self.total += message.amount
        self.adds += 1
        self.history.append(message.amount)

    @handles
    def on_total(self, _message: Total) -> int:
        return self.total

    @handles
    def on_listing(self, _message: Listing) -> Sequence[str]:
        self.defer()
        return []

    @handles
    async def on_wait(self, message: Wait) -> None:
        await trio.sleep(message.seconds)

    @handles
    def on_boom(self, _message: Boom) -> None:
        raise ValueError("boom")

    @handles
    def on_wake(self, _message: Wake) -> None:
        self.start_task(trio.sleep_forever, name="listening")
        self.send_after(60, Add(1))

    def statistics(self) -> CounterStatistics:
        statistics = self.breaker.statistics()
        return CounterStatistics(self.adds, statistics, {"b": [statistics]})


# -- the tree -----------------------------------------------------------------------------


async def test_the_tree_shows_every_actor_with_its_figures(system: SystemUnderTest) -> None:
    system.expect_crash("/sup/a")
    children = [ChildSpec("a", Counter), ChildSpec("b", Counter)]
    await system.spawn(Supervisor, children, Strategy.REST_FOR_ONE, intensity=5, path="/sup")
    await system.spawn(DynamicSupervisor, path="/many")
    a = system.ref("/sup/a")
    for _ in range(3):
        a.tell(Add(1))
    a.tell(Boom())
    await system.settle()
    a.tell(Wait(10))
    await system.settle()
    a.tell(Add(1))
    a.tell(Add(1))
    tree = system.tree()
    assert [actor.path for actor in tree] == ["/", "/sup", "/sup/a", "/sup/b", "/many"]
    assert tree.strategy == tree.find("/many").strategy == "dynamic"
    sup = tree.find("/sup")
    assert (sup.kind, sup.strategy, sup.intensity, sup.period) == (
        "Supervisor",
        "rest_for_one",
        5,
        5.0,
    )
    busy = tree.find("/sup/a")
    assert (busy.kind, busy.phase, busy.restarts, busy.handled) == ("Counter", "running", 1, 5)
    assert (busy.mailbox, busy.capacity, busy.dropped) == (2, 7, 0)
    assert (busy.doing, busy.doing_since) == ("Wait", system.now)
    assert busy.last_exit == "crashed: ValueError"
    assert tree.find("/sup/b").restarts == 1
    assert tree.find("/sup/b").last_exit == "shutdown"
    with pytest.raises(LookupError, match="no actor at /sup/c"):
        tree.find("/sup/c")
    await trio.sleep(11)


async def test_the_tree_as_text_is_one_line_an_actor(system: SystemUnderTest) -> None:
    await system.spawn(Supervisor, [ChildSpec(name, Counter) for name in "ab"], path="/sup")
    await system.spawn(Counter, path="/lone")
    system.suspend("/lone")
    system.ref("/lone").tell(Add(1))
    await system.settle()
    lines = str(system.tree()).splitlines()
    assert [line.split("  ")[0] for line in lines] == ["/", "├─ sup", "│", "│", "└─ lone"]
    assert lines[2].startswith("│  ├─ a  Counter  running  handled 0  busy ")
    assert lines[3].startswith("│  └─ b  Counter")
    assert "Supervisor (one_for_one, 3 in 5 s)" in lines[1]
    assert "suspended  waiting 1/7 for " in lines[4]
    system.resume("/lone")


class OwnMachine(Actor[Add]):
    """Has a machine, as many actors do, and supervises nobody."""

    def __init__(self) -> None:
        super().__init__()
        self._machine = object()


async def test_an_actor_with_a_machine_of_its_own_is_no_supervisor(system: SystemUnderTest) -> None:
    await system.spawn(OwnMachine, path="/own")
    assert system.tree("/own").strategy == ""
    assert system.state("/own").actor.path == "/own"


async def test_a_part_of_the_tree_can_be_had(system: SystemUnderTest) -> None:
    await system.spawn(Supervisor, [ChildSpec(name, Counter) for name in "abc"], path="/sup")
    assert [actor.path for actor in system.tree("/sup/a")] == ["/sup/a"]
    top = system.tree(depth=1)
    assert [(actor.path, actor.more) for actor in top] == [("/", 0), ("/sup", 3)]
    few = system.tree(limit=3)
    assert [(actor.path, actor.more) for actor in few] == [("/", 0), ("/sup", 2), ("/sup/a", 0)]
    assert "… 2 more" in str(few)
    with pytest.raises(NoSuchActor):
        system.tree("/nowhere")


async def test_a_large_tree_can_be_had_without_holding_the_loop(system: SystemUnderTest) -> None:
    await system.spawn(DynamicSupervisor, path="/many")
    for number in range(1000):
        await system.spawn(Counter, path=f"/many/{number}")
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await trio.lowlevel.checkpoint()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        tree = await system.tree_in_slices()
        nursery.cancel_scope.cancel()
    assert turns > 3
    assert [actor.path for actor in tree] == [actor.path for actor in system.tree()]
    assert len((await system.tree_in_slices("/many", limit=11)).children) == 10


async def test_a_child_that_waits_for_its_restart_says_when_it_is_due(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/a")
    spec = ChildSpec("a", Counter, backoff=Backoff(base=10, maximum=10))
    await system.spawn(Supervisor, [spec], path="/sup")
    system.ref("/sup/a").tell(Boom())
    await system.settle()
    waiting = system.tree("/sup/a")
    assert waiting.phase == "ended"
    assert waiting.kind == ""
    assert system.now < waiting.restarts_at <= system.now + 10
    assert "starts again at" in str(waiting)
    await trio.sleep(11)
    assert system.tree("/sup/a").restarts_at == 0


async def test_a_child_that_was_stopped_is_still_in_the_tree(system: SystemUnderTest) -> None:
    await system.spawn(Supervisor, [ChildSpec(name, Counter) for name in "ab"], path="/sup")
    await system.stop("/sup/a")
    sup = system.tree("/sup")
    assert [(child.path, child.phase) for child in sup.children] == [
        ("/sup/a", "gone"),
        ("/sup/b", "running"),
    ]


async def test_breakers_show_their_states(system: SystemUnderTest) -> None:
    system.expect_crash("/counter")
    counter = await system.spawn(Counter, path="/counter")
    assert system.tree("/counter").breakers == {"provider": "closed", "spare.b.0": "closed"}
    assert "provider" not in str(system.tree("/counter"))
    counter.tell(Boom())
    await system.settle()
    assert system.tree("/counter").breakers["message Boom"] == "closed"
    actor: Counter = counter._cell.actor
    for _ in range(5):
        permit = actor.breaker.allow(0)
        actor.breaker.failed(permit, 0)  # type: ignore[arg-type]
    assert "provider open" in str(system.tree("/counter"))


async def test_statistics_that_fail_are_said_to_and_harm_nobody(system: SystemUnderTest) -> None:
    class Broken(Counter):
        def statistics(self) -> CounterStatistics:
            raise KeyError("gone")

    await system.spawn(Broken, path="/broken")
    assert system.tree("/broken").breakers == {}
    assert system.state("/broken").statistics == "statistics() failed: KeyError"
    assert system.ref("/broken").alive


async def test_the_oldest_message_says_for_how_long_it_waits() -> None:
    async with open_system() as system:
        counter = await system.spawn(Counter, path="/counter")
        system.suspend("/counter")
        await trio.sleep(0.02)
        counter.tell(Add(1))
        await trio.sleep(0.2)
        counter.tell(Add(1))
        oldest = system.tree("/counter").oldest_wait
        assert 0.1 < oldest < 2
        system.resume("/counter")
        await counter.ask(Total())
        assert system.tree("/counter").oldest_wait == 0


async def test_a_tree_is_made_of_plain_values(system: SystemUnderTest) -> None:
    await system.spawn(Supervisor, [ChildSpec("a", Counter)], path="/sup")
    told = json.loads(json.dumps(plain(system.tree())))
    assert told["children"][0]["children"][0]["path"] == "/sup/a"


# -- one actor ----------------------------------------------------------------------------


async def test_attributes_are_shown_bounded_and_without_secrets(system: SystemUnderTest) -> None:
    counter = await system.spawn(Counter, Secret("sk-live-1"), path="/counter")
    for _ in range(100):
        counter.tell(Add(1)) if len(counter._cell.inbox) < 7 else await system.settle()
    await system.settle()
    state = system.state("/counter")
    shown_ = state.attributes
    assert shown_["api_key"] == shown_["token"] == MASK
    assert shown_["max_tokens"] == "100"
    assert shown_["headers"] == "{'Authorization': ***, 'Accept': '*/*'}"
    assert "more" in shown_["history"]
    assert len(shown_["history"]) < 200
    assert "_cell" not in shown_
    everything = f"{state}{plain(state)}"
    for secret in ("sk-live-1", "abc-123", "Bearer abc", "hunter2"):
        assert secret not in everything


async def test_what_an_actor_accepts_is_told_with_fields_and_types(
    system: SystemUnderTest,
) -> None:
    await system.spawn(Counter, path="/counter")
    state = system.state("/counter")
    assert state.type == f"{__name__}:Counter"
    accepts = {schema.name: schema for schema in state.accepts}
    assert set(accepts) == {"Add", "Total", "Listing", "Wait", "Boom", "Wake"}
    add = accepts["Add"]
    assert [(field.name, field.type, field.required) for field in add.fields] == [
        ("amount", "int", True),
        ("reason", "str", False),
    ]
    assert (add.doc, add.answer, add.handler) == ("Count so many more.", "", "on_add")
    assert add.type == f"{__name__}:Add"
    assert accepts["Total"].answer == "int"
    assert accepts["Listing"].answer == "Sequence[str]"
    assert accepts["Listing"].fields[0].type == "int | None"
    assert accepts["Wait"].handler == "on_wait"
    assert not state.accepts_anything


async def test_what_an_actor_owns_and_owes_is_counted(system: SystemUnderTest) -> None:
    system.expect_crash("/counter")
    counter = await system.spawn(Counter, path="/counter")
    counter.tell(Boom())
    await system.settle()
    counter.tell(Wake(0))
    _ = counter.ask(Listing(1))
    await system.settle()
    state = system.state("/counter")
    assert (state.tasks, state.timers, state.owed) == (("listening",), 1, 1)
    assert state.crashes == ("crash-1",)
    assert state.statistics["adds"] == 0
    assert state.statistics["provider"]["state"] == "closed"
    assert state.statistics["password"] == MASK


async def test_the_state_of_an_actor_with_no_instance_can_be_asked(
    system: SystemUnderTest,
) -> None:
    system.expect_crash("/sup/a")
    spec = ChildSpec("a", Counter, backoff=Backoff(base=10, maximum=10))
    await system.spawn(Supervisor, [spec], path="/sup")
    system.ref("/sup/a").tell(Boom())
    await system.settle()
    state = system.state("/sup/a")
    assert (state.type, state.attributes, state.statistics) == ("", {}, None)
    assert len(state.accepts) == 6


async def test_an_actor_with_slots_shows_them(system: SystemUnderTest) -> None:
    class Slotted(Actor[Add]):
        __slots__ = ("__hidden", "count", "never_set")

        def __init__(self) -> None:
            super().__init__()
            self.count = 3
            self.__hidden = 4

        @handles
        def on_add(self, message: Add) -> None:
            pass

    await system.spawn(Slotted, path="/slotted")
    assert system.state("/slotted").attributes == {"__hidden": "4", "count": "3"}


async def test_a_blocking_actor_is_not_asked_for_statistics(system: SystemUnderTest) -> None:
    """Its thread may hold the very lock that they need."""

    class Blocks(BlockingActor[Add]):
        @handles
        def on_add(self, message: Add) -> None:
            pass

        def statistics(self) -> None:
            raise AssertionError("on the wrong thread")

    await system.spawn(Blocks, path="/blocks")
    assert system.state("/blocks").statistics is None
