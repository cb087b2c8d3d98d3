"""A world for one call, drawn from a seed: somebody who talks, coughs, types and loses the line, an
agent that talks, calls tools, hands off and fails, and actors that crash meanwhile.

`simulate_call(seed)` runs it on virtual time and checks it; the same seed is the same world to the
last message. `python -m tests.actors.call.simulation SEED` prints what happened in it.

Every word that the model or the person says is said once in a run: so what was heard, and what
history holds, can be compared word by word. What is checked is in `simulation_checks.py`.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any

import attrs
import trio

from actors.call.call import CallEnded
from actors.call.session import HangUp
from actors.call.team import AgentProfile, Team, TeamTool, Worker
from actors.machines.profiles import FloorConfig
from actors.testing import CallRig, noise, say
from models.conversation import ToolAnswered
from models.faults import FaultKind
from models.llm.control import HANGUP_TOOL
from models.llm.protocol import Generate, Tool
from models.llm.scripted import CallTool, Crash, Fail, Move, Reply, Say, Stall
from models.scripted import (
    SttPlan,
    TtsPlan,
)
from supervision import Refused
from supervision.events import DeadLetterReason
from supervision.testing import Simulation, SystemUnderTest, simulate
from tests.actors.call.scenarios import FRAGILE, crash
from tests.actors.call.simulation_checks import check, check_now, look
from tests.actors.call.simulation_record import Fault, Run, Sentence, unique_word
from tests.actors.call.simulation_timeline import brief, timeline
from tests.actors.call.simulation_traits import Traits, draw_traits
from transports.leg import WireCapabilities
from transports.loopback import Loopback

SAMPLE = 0.25
"""Seconds between two looks at the session."""

DRAIN_WITHIN = 60.0
"""Seconds after which whatever is under way has to be over."""


@attrs.define(eq=False)
class World:
    """One run."""

    seed: int
    system: SystemUnderTest
    traits: Traits
    rng: random.Random
    rig: CallRig = attrs.field(init=False)
    person: Loopback = attrs.field(init=False)
    run: Run = attrs.field(init=False)
    _words: Any = attrs.field(factory=count, init=False)
    _mine: Any = attrs.field(factory=count, init=False)
    _asked: Any = attrs.field(factory=count, init=False)

    def note(self, what: str) -> None:
        """A line of the timeline."""
        self.run.timeline.append((self.system.now, what))

    # -- the agent ------------------------------------------------------------------------

    def reply(self, request: Generate, *, healthy: bool = False) -> Reply:
        """What a model says: drawn for each generation by itself."""
        rng = random.Random(f"{self.seed}/{next(self._asked)}")
        moves: list[Move] = []
        first = rng.choice((0.0, 0.2, 0.4, 0.8, rng.uniform(1, 5)))
        every = rng.choice((0.0, 0.02, 0.1))
        for n, text in enumerate(self._sentences(rng)):
            moves.append(Say(text if n == 0 else f" {text}", after=first if n == 0 else every))
        called = isinstance(request.context[-1], ToolAnswered) if request.context else False
        if rng.random() < self.traits.tools and not called and request.tools:
            if rng.random() < 0.5:
                moves.clear()
            moves += [self._call(rng, request) for _ in range(rng.choice((1, 1, 2)))]
        if not healthy and rng.random() < self.traits.model_faults:
            del moves[rng.randint(0, len(moves)) :]
            kinds = (FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED, FaultKind.TIMEOUT)
            fault = rng.choice((Fail(rng.choice(kinds)), Stall(), Crash(after=0.1)))
            moves.append(fault)
            self.run.model_faults.append(self.system.now)
        self.note(f"model {request.generation} as {request.agent}: {brief(moves)}")
        return Reply(*moves)

    def _sentences(self, rng: random.Random) -> list[str]:
        """Words, most of them a delta of its own; a few sentences."""
        out = []
        for _ in range(rng.choice((1, 1, 2, 3))):
            words = [unique_word("k", next(self._words)) for _ in range(rng.randint(2, 7))]
            out += [*words[:-1], words[-1] + rng.choice((".", ".", "?"))]
        return out

    def _call(self, rng: random.Random, request: Generate) -> CallTool:
        names = [tool.name for tool in request.tools if tool.name != HANGUP_TOOL]
        if self.traits.hangs_up:
            names.append(HANGUP_TOOL)
        name = rng.choice(names or [HANGUP_TOOL])
        number = next(self._asked)
        arguments: dict[str, object] = {"number": number, "seconds": rng.choice((0.0, 0.3, 2.5))}
        match name:
            case "handoff":
                others = {"front": "billing", "billing": "front"}
                arguments = {"agent": others.get(request.agent, "front"), "reason": "because"}
            case "delegate":
                arguments = {"worker": "clerk", "task": "look it up"}
            case "hang_up":
                arguments = {"reason": "done"}
        written = json.dumps(arguments) if rng.random() > 0.05 else "not JSON"
        return CallTool(name, written, after=rng.choice((0.0, 0.1, 0.5)))

    def team(self) -> Team:
        """Two agents with three tools and a clerk."""

        def tool(name: str, *, fails: bool = False, cancellable: bool = True) -> TeamTool:
            async def work(arguments: Mapping[str, object]) -> str:
                number, seconds = arguments.get("number"), arguments.get("seconds", 0.1)
                self.run.tools_started.append((self.system.now, number))
                self.note(f"tool {name} {number} starts")
                self.run.failures += check_now(self.run, self.system, tool=True)
                assert isinstance(seconds, float)
                await trio.sleep(seconds)
                if fails:
                    raise ValueError("as planned")
                return f"{name} done"

            any_object = Tool(name, name, '{"type": "object"}')
            return TeamTool(any_object, work, timeout=2.0, cancellable=cancellable)

        async def clerk(task: str) -> str:
            await trio.sleep(1.5)
            return f"{task}: found"

        names = ("look", "book", "break")
        tools = {
            "look": tool("look"),
            "book": tool("book", cancellable=False),
            "break": tool("break", fails=True),
        }
        profiles = {
            "front": AgentProfile("front", "", "", names, ("billing",), ("clerk",)),
            "billing": AgentProfile("billing", "", "", names, ("front",), ("clerk",)),
        }
        return Team("front", profiles, tools, {"clerk": Worker(clerk)})

    # -- the person -----------------------------------------------------------------------

    async def act(self) -> None:
        """Do this and that until the time is up."""
        rng, until = self.rng, self.system.now + self.traits.seconds
        await trio.sleep(rng.choice((0.1, rng.uniform(0, 3))))
        while self.system.now < until and not self.run.over:
            act: Callable[[], Awaitable[None]] = rng.choices(
                (self.talk, self.listen_along, self.cough, self.type, self.mute),
                weights=(5, 2, 3, 1, 0.5),
            )[0]
            await act()
            await trio.sleep(rng.choice((rng.uniform(0.05, 0.5), rng.uniform(0.5, 4))))

    async def _say(
        self, pcm: bytes, what: str, words: tuple[str, ...] = (), begins: tuple[int, ...] = ()
    ) -> None:
        if self.run.away:
            return  # nobody talks into a line that is lost
        self.note(what)
        spoken = self.person.speak(pcm)
        end = max(self.system.now, spoken.start) + len(pcm) / 32000
        self.run.sentences.append(Sentence(words, self.system.now, end, begins))
        await trio.sleep(len(pcm) / 32000)

    async def talk(self) -> None:
        """A sentence; perhaps with a pause in it."""
        words = [unique_word("w", next(self._mine)) for _ in range(self.rng.randint(2, 7))]
        begins: tuple[int, ...] = (0,)
        pcm = say(" ".join(words))
        if len(words) > 3 and self.rng.random() < 0.3:  # one word alone is too short for some
            pause = bytes(32 * round(1000 * self.rng.uniform(0.1, 1.0)))
            half = len(words) // 2
            pcm = say(" ".join(words[:half])) + pause + say(" ".join(words[half:]))
            begins = (0, half)
        await self._say(pcm, f"says: {' '.join(words)}", tuple(words), begins)

    async def listen_along(self) -> None:
        word = self.rng.choice(("mm hm", "yeah", "okay"))
        await self._say(say(word), f"says: {word}")

    async def cough(self) -> None:
        seconds = self.rng.uniform(0.03, 0.4)
        await self._say(noise(seconds), f"coughs for {seconds:.2f} s")

    async def type(self) -> None:
        if self.run.away:
            return
        word = unique_word("t", next(self._mine))
        self.note(f"types: {word}")
        self.run.typed.append((self.system.now, word))
        self.person.write(word)

    async def mute(self) -> None:
        self.note("mutes")
        began = self.system.now
        self.person.mute(True)
        await trio.sleep(self.rng.uniform(0.3, 2))
        self.person.mute(False)
        self.run.muted.append((began, self.system.now))
        self.note("unmutes")

    # -- faults ---------------------------------------------------------------------------

    async def crash_things(self) -> None:
        began = self.system.now
        for at, who in self.traits.crashes:
            await trio.sleep(max(0.0, began + at - self.system.now))
            if self.run.over:
                return
            self.note(f"{who} crashes")
            self.run.faults.append(Fault(self.system.now, who))
            if who == "session":
                self.run.note_open_turns(self.system)
            crash(self.system, self.rig, self.person, who)

    async def lose_lines(self) -> None:
        began = self.system.now
        for at, seconds in self.traits.drops:
            await trio.sleep(max(0.0, began + at - self.system.now))
            if self.run.over:
                return
            await self._away(seconds)

    async def _away(self, seconds: float) -> None:
        self.note(f"the line is lost for {seconds:.2f} s")
        began = self.system.now
        self.run.faults.append(Fault(began, "drop"))
        self.run.away = True
        self.person.drop()
        self.person.shut_up()
        await trio.sleep(seconds)
        try:
            await self.person.reattach()
        except Refused as refused:
            self.note(f"it does not come back: {refused}")
            self.run.was_away.append((began, self.system.now + 1e9))
        else:
            self.note("the line is back")
            self.run.faults.append(Fault(self.system.now, "back"))
            self.run.was_away.append((began, self.system.now))
            self.run.away = False

    async def watch(self) -> None:
        """Look at the session again and again."""
        while True:
            await trio.sleep(SAMPLE)
            look(self.run, self.system)

    # -- the run --------------------------------------------------------------------------

    async def live(self) -> None:
        """From the first ring to the last check.

        Raises:
            AssertionError: something that may not be; the message begins with the seed.
        """
        traits, system = self.traits, self.system
        self.run = Run(self.seed, traits.latency, traits.page, traits.profile)
        for model in ("llm", "stt", "tts"):
            system.expect_crash(f"/models/{model}", "ScriptedCrash")
        system.expect_dead_letters("/loopbackwire*")
        system.expect_dead_letters("/calls/*")  # when the call ends: `_check_nothing_is_left`
        options: dict[str, Any] = {"latency": traits.latency}
        if not traits.page:
            telephone = WireCapabilities(False, False, True, True, send_ahead=0.2)
            options = {"capabilities": telephone, "buffer": 0.0}
        second: Any = lambda request: self.reply(request, healthy=True)  # noqa: E731
        self.rig = await CallRig.open(
            system,
            self.reply,
            team=self.team(),
            floor=FloorConfig(profile=traits.profile),
            stt=traits.stt,
            stt_plan=SttPlan(traits.stt_faults),
            tts=traits.tts,
            tts_plan=TtsPlan(traits.tts_faults),
            second_voice=traits.second_voice,
            second_model=second if traits.second_model else None,
        )
        self.person = self.rig.person(**options)
        self.run.person = self.person
        self.run.traits = traits
        async with trio.open_nursery() as nursery:
            with system.events.subscribe(CallEnded) as ended:
                await self.person.attach()
                self.run.path = self.rig.path(self.person)
                nursery.start_soon(self._await_end, ended)
                nursery.start_soon(self.watch)
                async with trio.open_nursery() as actions:
                    actions.start_soon(self.act)
                    actions.start_soon(self.crash_things)
                    actions.start_soon(self.lose_lines)
                await self._quieten()
                await self._end()
            nursery.cancel_scope.cancel()
        await self._check_nothing_is_left()
        check(self.run)

    async def _await_end(self, ended: Any) -> None:
        async for event in ended:
            self.run.over = True
            self.run.ended.set()
            self.run.ended_at = self.system.now
            self.run.history = event.history
            self.note(f"the call has ended: {event.reason}")

    async def _quieten(self) -> None:
        """Wait until nothing is under way."""
        deadline, quiet = self.system.now + DRAIN_WITHIN, 0.0
        while quiet < 2.5 and not self.run.over:
            await trio.sleep(0.1)
            busy = self.person.playing() or self.run.busy(self.system)
            quiet = 0.0 if busy else quiet + 0.1
            if self.system.now > deadline:
                self.run.fail(f"it never comes to rest: {self.run.state(self.system)}")
                return
        self.run.rested_at = self.system.now

    async def _end(self) -> None:
        run = self.run
        if not run.over:
            run.history = await self.rig.history(self.person)
            self.note(f"end: {self.traits.ends}")
            match self.traits.ends:
                case "hangs up":
                    self.person.hang_up()
                case "ended from outside":
                    self.system.ref(f"{run.path}/call").tell(HangUp("enough"))
                case _:
                    self.person.drop()
                    await trio.sleep(21.0)
            with trio.move_on_after(3.0):
                await run.ended.wait()
            if not run.over:
                run.fail(f"the call does not end when {self.traits.ends}")

    async def _check_nothing_is_left(self) -> None:
        """Nothing below /calls, and no model works for anybody."""
        await trio.sleep(3.0)
        run, system = self.run, self.system
        for letter in system._letters:
            late = letter.at >= run.ended_at or letter.reason is DeadLetterReason.STALE
            if letter.path.startswith("/calls/") and not late:
                run.fail(f"dead letter: {letter.message_type} to {letter.path}")
        left = [path for path in system._node.cells if path.startswith("/calls/")]
        if left:
            run.fail(f"left after the end: {left}")
        users = {
            "llm": ("under_way", "agent"),
            "stt": ("open", ""),
            "tts": ("utterances", "speaker"),
        }
        for name, (field, user) in users.items():
            statistics: Any = system.state(f"/models/{name}").statistics
            # A model that stalls never ends by itself, and nobody is left to cancel it if who
            # asked has crashed.
            crashed = sum(fault.what == user for fault in run.faults)
            if statistics[field] > crashed:
                run.fail(f"/models/{name} still has {statistics}")


def simulate_call(seed: int, *, told: list[World] | None = None) -> Simulation[Run]:
    """The whole run of a seed, with all its checks.

    Args:
        told: gets the world, also if a check fails.
    Raises:
        AssertionError: a check failed; the message begins with the seed.
    """

    async def scenario(system: SystemUnderTest) -> Run:
        rng = random.Random(seed)
        world = World(seed, system, draw_traits(rng), rng)
        if told is not None:
            told.append(world)
        await world.live()
        return world.run

    return simulate(scenario, seed, config=FRAGILE)


# -- replaying ----------------------------------------------------------------------------------


def main(seed: int) -> int:
    """Run a seed and print its timeline; 1 if a check failed."""
    told: list[World] = []
    try:
        simulate_call(seed, told=told)
    except AssertionError as error:
        failed = f"\nFAILED: {error}\n"
    else:
        failed = ""
    finally:  # also of a run that has crashed
        sys.stdout.write(timeline(told[0].run) + "\n")
    sys.stdout.write(failed)
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
