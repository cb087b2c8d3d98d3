"""Random trees of real actors, random faults and messages, on random schedules.

Hypothesis draws a tree and a plan of steps; each runs under a scheduler seed. After every step the
living actors must be those of `Tree`, a model that does everything at once and has no mailboxes.
Meanwhile senders send numbered notes and ask: nobody may lose, repeat or reorder a note between two
actors, and no ask may stay open. At the end nothing may be left.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from functools import partial
from math import inf
from typing import Any

import attrs
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from supervision import (
    Actor,
    ActorRef,
    AutoShutdown,
    ChildSpec,
    DynamicSupervisor,
    Exhausted,
    Refused,
    Reply,
    Request,
    Restart,
    Strategy,
    SupervisionError,
    Supervisor,
    handles,
)
from supervision.messages import How
from supervision.supervisor import RestartChild, StartChild, TerminateChild, WhichChildren
from supervision.testing import SystemUnderTest, simulate
from tests.supervision.supervisor_kit import (
    NORMAL_WAYS,
    Boom,
    Child,
    Diary,
    End,
    GiveUp,
    Life,
    Way,
    pause,
)

PERIOD = 4.55
"""Steps are a second apart and faults take 0.1 s at most, so no restart is exactly this old."""


# -- plans: what the tree looks like, and what is done to it ------------------------------


@attrs.frozen
class LeafPlan:
    name: str
    restart: Restart
    significant: bool


@attrs.frozen
class SupervisorPlan:
    name: str
    restart: Restart
    strategy: Strategy | None
    """None: a dynamic supervisor."""
    intensity: int
    auto_shutdown: AutoShutdown = AutoShutdown.NEVER
    exhausted: Exhausted = Exhausted.END_CHILD
    children: Sequence[LeafPlan | SupervisorPlan] = ()
    significant: bool = False


AnyPlan = LeafPlan | SupervisorPlan


@attrs.frozen
class Step:
    """One thing done to the tree, at the choice-th actor it can be done to, amid some mail."""

    what: str
    choice: int
    way: Way = Way.RETURNS
    added: LeafPlan | None = None
    failing: int = 0
    """So many of the actor's next starts fail."""
    notes: int = 0


restarts = st.sampled_from(Restart)


@st.composite
def plans(draw: st.DrawFn, depth: int, name: str, auto: AutoShutdown) -> AnyPlan:
    restart = draw(restarts)
    may_be = restart is not Restart.PERMANENT and auto is not AutoShutdown.NEVER
    significant = may_be and draw(st.booleans())
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return LeafPlan(name, restart, significant)
    if draw(st.integers(0, 3)) == 0:
        return SupervisorPlan(
            name,
            restart,
            None,
            draw(st.integers(0, 2)),
            exhausted=draw(st.sampled_from(Exhausted)),
            significant=significant,
        )
    count = draw(st.integers(1, 4))
    auto = draw(st.sampled_from([AutoShutdown.NEVER, *AutoShutdown]))
    return SupervisorPlan(
        name,
        restart,
        draw(st.sampled_from(Strategy)),
        draw(st.integers(0, 3)),
        auto,
        children=[draw(plans(depth - 1, "abcd"[n], auto)) for n in range(count)],
        significant=significant,
    )


@st.composite
def trees(draw: st.DrawFn) -> SupervisorPlan:
    count = draw(st.integers(1, 4))
    return SupervisorPlan(
        "top",
        Restart.TEMPORARY,
        draw(st.sampled_from(Strategy)),
        draw(st.integers(1, 6)),
        children=[draw(plans(2, "abcd"[n], AutoShutdown.NEVER)) for n in range(count)],
    )


steps = st.builds(
    Step,
    what=st.sampled_from(["end", "end", "end", "give up", "stop", "restart", "add"]),
    choice=st.integers(0, 1000),
    way=st.sampled_from([way for way in Way if way is not Way.ASYNC_ON_STOP]),
    added=st.builds(LeafPlan, st.sampled_from(["e", "f", "g"]), restarts, st.just(False)),
    failing=st.sampled_from([0, 0, 0, 1, 2]),
    notes=st.integers(0, 4),
)


# -- the model ---------------------------------------------------------------------------


@attrs.define(eq=False)
class Tree:
    """A node of the tree as it must be. Everything happens at once and in order."""

    plan: AnyPlan
    path: str
    parent: Tree | None
    world: World
    alive: bool = False
    children: dict[str, Tree] = attrs.field(factory=dict)
    restarts: list[float] = attrs.field(factory=list)

    def living(self) -> Iterator[Tree]:
        if self.alive:
            yield self
        for child in self.children.values():
            yield from child.living()

    def grow(self, plan: AnyPlan) -> Tree:
        child = Tree(plan, f"{self.path}/{plan.name}", self, self.world)
        self.children[plan.name] = child
        return child

    def start(self) -> bool:
        """False if it failed, or something in it."""
        self.restarts = []
        if isinstance(self.plan, LeafPlan):
            self.world.lives[self.path] += 1
            if self.world.failing[self.path]:
                self.world.failing[self.path] -= 1
                return False
        else:
            self.children = {}
            started = [self.grow(plan) for plan in self.plan.children]
            for child in started:
                if not child.start():
                    self.stop()
                    return False
        self.alive = True
        return True

    def stop(self) -> None:
        self.alive = False
        for child in self.children.values():
            child.stop()

    def remove(self, child: Tree) -> None:
        del self.children[child.plan.name]

    # -- what a supervisor decides --------------------------------------------------------

    def ended(self, child: Tree, how: How) -> None:
        child.stop()
        restart = child.plan.restart
        abnormal = how not in (How.NORMAL, How.SHUTDOWN)
        if how is How.ESCALATED:
            self.end(How.CRASHED)
        elif restart is Restart.PERMANENT or (restart is Restart.TRANSIENT and abnormal):
            self.restart(child)
        else:
            if restart is Restart.TEMPORARY or self.dynamic:
                self.remove(child)
            if child.plan.significant and self.last_significant():
                self.end(How.SHUTDOWN)

    @property
    def dynamic(self) -> bool:
        return isinstance(self.plan, SupervisorPlan) and self.plan.strategy is None

    def last_significant(self) -> bool:
        assert isinstance(self.plan, SupervisorPlan)
        if self.plan.auto_shutdown is AutoShutdown.ALL_SIGNIFICANT:
            return not any(c.alive and c.plan.significant for c in self.children.values())
        return self.plan.auto_shutdown is AutoShutdown.ANY_SIGNIFICANT

    def end(self, how: How) -> None:
        self.stop()
        if self.parent is not None:
            self.parent.ended(self, how)

    def restart(self, child: Tree) -> None:
        assert isinstance(self.plan, SupervisorPlan)
        again: Tree | None = child
        while again is not None:
            counter = again if self.dynamic else self
            counter.restarts = [at for at in counter.restarts if self.world.now - at <= PERIOD]
            counter.restarts.append(self.world.now)
            if len(counter.restarts) > self.plan.intensity:
                if self.dynamic:
                    self.remove(again)
                if not self.dynamic or self.plan.exhausted is Exhausted.ESCALATE:
                    self.end(How.SHUTDOWN)
                return
            counted = counter.restarts
            again = self.start_group(self.group(again))
            if self.dynamic:
                child.restarts = counted  # a start clears the count of the child's own children

    def group(self, child: Tree) -> list[Tree]:
        assert isinstance(self.plan, SupervisorPlan)
        siblings = list(self.children.values())
        if self.plan.strategy is Strategy.ONE_FOR_ALL:
            group = siblings
        elif self.plan.strategy is Strategy.REST_FOR_ONE:
            group = siblings[siblings.index(child) :]
        else:
            group = [child]
        for sibling in reversed(group):
            if sibling.alive and sibling.plan.restart is Restart.TEMPORARY:
                self.remove(sibling)
            sibling.stop()
        return [sibling for sibling in group if sibling.plan.name in self.children]

    def start_group(self, group: list[Tree]) -> Tree | None:
        """The child whose start failed, if one's did."""
        return next((child for child in group if not child.start()), None)

    # -- by hand --------------------------------------------------------------------------

    def stop_by_hand(self, child: Tree) -> None:
        child.stop()
        if child.plan.restart is Restart.TEMPORARY or self.dynamic:
            self.remove(child)

    def restart_by_hand(self, child: Tree) -> None:
        child.stop()
        counted = child.restarts
        started = child.start()
        if self.dynamic:
            child.restarts = counted
        if started:
            return
        if child.plan.restart is Restart.TEMPORARY:
            self.remove(child)
        else:
            self.restart(child)

    def add(self, plan: LeafPlan) -> None:
        if plan.name not in self.children:
            child = self.grow(plan)
            if not child.start():
                self.remove(child)


@attrs.define
class World:
    """What all nodes of the model share."""

    now: float = 0.0
    lives: Counter[str] = attrs.field(factory=Counter)
    """Instances made of each leaf."""
    failing: Counter[str] = attrs.field(factory=Counter)


# -- the real thing ----------------------------------------------------------------------


@attrs.frozen
class Note:
    sender: str
    number: int


@attrs.frozen
class Read(Request[tuple[str, int]]):
    sender: str
    number: int


@attrs.frozen
class Write:
    """Send a target so many notes, and ask it as often."""

    target: ActorRef[Any]
    notes: int


class Leaf(Child):
    """A `Child` that reads its notes, and may not start for a while."""

    poison = None

    @handles
    def on_note(self, message: Note) -> None:
        self.diary.write(f"{self.name} {message.sender} {message.number}")

    @handles
    def on_read(self, message: Read) -> tuple[str, int]:
        self.on_note(Note(message.sender, message.number))
        return message.sender, message.number


class Sender(Actor[Any]):
    """Writes notes to whomever it is told to."""

    def __init__(self, replies: list[Reply[Any]]) -> None:
        super().__init__()
        self.replies = replies
        self.sent: Counter[str] = Counter()

    @handles
    def on_write(self, message: Write) -> None:
        path = message.target.path
        for _ in range(message.notes):
            self.sent[path] += 1
            message.target.tell(Note(self.path, self.sent[path]))
            self.sent[path] += 1
            request = Read(self.path, self.sent[path])
            self.replies.append(message.target.ask(request, timeout=inf))

    @handles
    def on_sent(self, message: Sent) -> dict[str, int]:
        return dict(self.sent)


@attrs.frozen
class Sent(Request[dict[str, int]]):
    """How many notes to whom."""


def spec(plan: AnyPlan, path: str, diary: Diary) -> ChildSpec[Any]:
    path = f"{path}/{plan.name}"
    if isinstance(plan, LeafPlan):
        start: Callable[[], Actor[Any]] = partial(Leaf, path, diary)
    elif plan.strategy is None:
        start = partial(
            DynamicSupervisor,
            intensity=plan.intensity,
            period=PERIOD,
            exhausted=plan.exhausted,
        )
    else:
        start = partial(
            Supervisor,
            [spec(child, path, diary) for child in plan.children],
            plan.strategy,
            intensity=plan.intensity,
            period=PERIOD,
            auto_shutdown=plan.auto_shutdown,
        )
    return ChildSpec(plan.name, start, plan.restart, significant=plan.significant)


class Run:
    """One tree in one system."""

    def __init__(self, system: SystemUnderTest) -> None:
        self.system = system
        self.diary = Diary()
        self.replies: list[Reply[Any]] = []
        self.senders: list[ActorRef[Any]] = []
        self.refs: dict[str, ActorRef[Any]] = {}
        """Every ref ever seen, dead ones too: people keep them."""
        system.expect_crash("/top*")
        system.expect_dead_letters("/top*")

    async def plant(self, plan: SupervisorPlan) -> None:
        self.tasks = len(self.nursery.child_tasks)
        self.senders = [
            await self.system.spawn(Sender, self.replies, path=f"/sender{n}") for n in range(2)
        ]
        await self.system.start_child(spec(plan, "", self.diary))
        self.remember()

    @property
    def nursery(self) -> trio.Nursery:
        nursery = self.system._node.nursery
        assert nursery is not None
        return nursery

    def remember(self) -> None:
        for path, cell in self.system._node.cells.items():
            if path.startswith("/top"):
                self.refs[path] = cell.ref

    def write(self, choice: int, notes: int) -> None:
        leaves = [path for path in sorted(self.refs) if self.diary.lives.get(path)]
        for number, sender in enumerate(self.senders):
            if leaves and notes:
                target = self.refs[leaves[(choice + number) % len(leaves)]]
                sender.tell(Write(target, notes))

    def living(self) -> set[str]:
        return {path for path in self.system._node.cells if path.startswith("/top")}

    # -- what must always hold ------------------------------------------------------------

    def check_order(self) -> None:
        """Per pair of actors: no note twice, none out of order."""
        last: dict[tuple[str, str], int] = {}
        for line in self.diary.lines:
            if " " in line:
                target, sender, number = line.split()
                assert last.get((target, sender), 0) < int(number), line
                last[target, sender] = int(number)

    async def check_account(self) -> None:
        """At the end: every note was read or buried, every ask answered."""
        read = Counter(line.rsplit(" ", 1)[0] for line in self.diary.lines if " " in line)
        buried = Counter(
            f"{letter.path} {letter.message.sender}"
            for letter in self.system._letters
            if isinstance(letter.message, Note)
        )
        failed = Counter[str]()
        for reply in self.replies:
            assert reply.done
            failed.update([type(reply.error).__name__] if reply.error is not None else [])
        assert set(failed) <= {"ActorStopped"}
        sent = 0
        for sender in self.senders:
            sent += sum((await sender.ask(Sent())).values())
        assert sum(read.values()) + sum(buried.values()) + failed["ActorStopped"] == sent

    async def finish(self) -> None:
        if "/top" in self.living():
            await self.system.stop("/top")
        await self.system.settle()
        assert self.living() == set()
        await self.check_account()
        for sender in self.senders:
            await self.system.stop(sender.path)
        assert len(self.nursery.child_tasks) == self.tasks
        assert len(self.system._node.timers) == 0


def supervised(top: Tree) -> list[Tree]:
    """The nodes a supervisor that lives has a spec of, living or not."""
    return [child for node in top.living() for child in node.children.values()]


async def do(run: Run, top: Tree, step: Step) -> None:
    """Do a step to the real tree and to the model."""
    world, system = top.world, run.system
    world.now = system.now
    leaves = [node for node in top.living() if isinstance(node.plan, LeafPlan)]
    match step.what:
        case "end" | "give up" if leaves:
            victim = leaves[step.choice % len(leaves)]
            assert victim.parent is not None
            fail_starts(run, victim, step)
            ref = run.refs[victim.path]
            if step.what == "give up":
                ref.tell(GiveUp())
                victim.parent.ended(victim, How.ESCALATED)
                return
            ref.tell(End(step.way))
            if step.way in (Way.ASYNC_HANDLER, Way.TASK, Way.TIMER):
                world.now += 0.1
            how = How.NORMAL if step.way in NORMAL_WAYS else How.CRASHED
            victim.parent.ended(victim, how)
        case "stop" | "restart" if supervised(top):
            nodes = supervised(top)
            child = nodes[step.choice % len(nodes)]
            parent = child.parent
            assert parent is not None
            if parent.dynamic and not child.alive:
                return
            fail_starts(run, child, step)
            if step.what == "stop":
                await outcome(run.refs[parent.path].ask(TerminateChild(child.plan.name)))
                parent.stop_by_hand(child)
            else:
                await outcome(run.refs[parent.path].ask(RestartChild(child.plan.name)))
                parent.restart_by_hand(child)
        case "add":
            parents = [node for node in top.living() if isinstance(node.plan, SupervisorPlan)]
            parent = parents[step.choice % len(parents)]
            assert step.added is not None
            if step.failing and step.added.name not in parent.children:
                path = f"{parent.path}/{step.added.name}"
                run.diary.failing[f"{path} on_start"] = world.failing[path] = step.failing
            request = StartChild(spec(step.added, parent.path, run.diary))
            await outcome(run.refs[parent.path].ask(request))
            parent.add(step.added)


def fail_starts(run: Run, node: Tree, step: Step) -> None:
    run.diary.failing[f"{node.path} on_start"] = step.failing
    node.world.failing[node.path] = step.failing


async def outcome(reply: Awaitable[Any]) -> None:
    try:
        await reply
    except Refused:
        pass


async def follow(plan: SupervisorPlan, todo: Sequence[Step], system: SystemUnderTest) -> None:
    """Do the steps one after the other; the tree must follow the model."""
    run = Run(system)
    top = Tree(plan, "/top", None, World())
    top.start()
    await run.plant(plan)
    for number, step in enumerate(todo):
        if not top.alive:
            break
        run.write(step.choice, step.notes)
        await do(run, top, step)
        run.write(step.choice + 1, step.notes)
        await pause(1.0)
        run.remember()
        where = f"after step {number}, {step}"
        assert run.living() == {node.path for node in top.living()}, where
        assert run.diary.lives == top.world.lives, where
        run.check_order()
        for reply in run.replies:
            assert reply.done, where
    await run.finish()


@settings(
    suppress_health_check=[HealthCheck.too_slow], max_examples=max(100, settings().max_examples)
)
@given(trees(), st.lists(steps, min_size=1, max_size=12), st.integers(0, 2**16))
def test_a_tree_is_what_the_model_says_after_every_step(
    plan: SupervisorPlan, todo: list[Step], seed: int
) -> None:
    simulate(partial(follow, plan, todo), seed)


# -- several faults at once: no model can say who is first, but much still holds ----------


async def bedlam(
    plan: SupervisorPlan, todo: Sequence[Sequence[Step]], system: SystemUnderTest
) -> None:
    run = Run(system)
    await run.plant(plan)
    asked: list[Reply[Any]] = []
    for together in todo:
        for step in together:
            run.write(step.choice, step.notes)
            asked += break_something(run, step)
            if step.choice % 3 == 0:
                await trio.sleep((step.choice % 7) / 20)
        await pause(0.01 if len(together) % 2 else 1.0)
        run.remember()
        run.check_order()
    await pause(10.0)
    for reply in [*asked, *run.replies]:
        assert reply.done
        assert reply.error is None or isinstance(reply.error, SupervisionError)
    await agree(run)
    await run.finish()


def break_something(run: Run, step: Step) -> list[Reply[Any]]:
    run.remember()
    living = sorted(run.living())
    leaves = [path for path in living if run.diary.lives.get(path)]
    supervisors = [path for path in living if path not in leaves]
    if step.what == "end" and leaves:
        path = leaves[step.choice % len(leaves)]
        run.diary.failing[f"{path} on_start"] = step.failing
        run.refs[path].tell(End(step.way))
        return [run.refs[path].ask(Life(), timeout=inf)]
    if step.what == "give up" and leaves and step.choice % 4 == 0:
        run.refs[leaves[step.choice % len(leaves)]].tell(GiveUp())
    elif step.what == "add" and supervisors:
        path = supervisors[step.choice % len(supervisors)]
        assert step.added is not None
        request = StartChild(spec(step.added, path, run.diary))
        return [run.refs[path].ask(request, timeout=inf)]
    elif len(living) > 1:
        parent, _, name = living[1 + step.choice % (len(living) - 1)].rpartition("/")
        kind = TerminateChild if step.what == "stop" else RestartChild
        return [run.refs[parent].ask(kind(name), timeout=inf)]
    return []


async def agree(run: Run) -> None:
    """Once all is quiet, every supervisor's view of its children is what really lives."""
    run.remember()  # an actor that had ended for good has a new ref if its supervisor restarted
    living = run.living()
    for path in sorted(living):
        if path in run.diary.lives:
            assert await run.refs[path].ask(Life()) == run.diary.lives[path]
        else:
            infos = await run.refs[path].ask(WhichChildren())
            running = {f"{path}/{info.id}" for info in infos if info.running}
            assert running == {p for p in living if p.rpartition("/")[0] == path}


@settings(
    suppress_health_check=[HealthCheck.too_slow], max_examples=max(100, settings().max_examples)
)
@given(
    trees(),
    st.lists(st.lists(steps, min_size=1, max_size=4), min_size=1, max_size=6),
    st.integers(0, 2**16),
)
def test_in_bedlam_nothing_is_lost_and_nobody_waits_for_ever(
    plan: SupervisorPlan, todo: list[list[Step]], seed: int
) -> None:
    simulate(partial(bedlam, plan, todo), seed)


@pytest.mark.parametrize("seed", range(3))
def test_a_run_is_repeated_exactly_by_its_seed(seed: int) -> None:
    plan = SupervisorPlan(
        "top",
        Restart.TEMPORARY,
        Strategy.ONE_FOR_ALL,
        100,
        children=[LeafPlan(name, Restart.PERMANENT, False) for name in "abc"],
    )
    todo = [[Step("end", choice, way, notes=3) for choice, way in enumerate(Way)] for _ in range(2)]
    first, second = (simulate(partial(bedlam, plan, todo), seed) for _ in range(2))
    assert first.log == second.log
    assert first.log
    assert any(line.outcome == Boom.__qualname__ for line in first.log)
