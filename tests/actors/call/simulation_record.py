"""What is known of a simulated call: what the world did, what the person heard, and when."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import attrs
import numpy as np
import trio

from actors.machines.session import Session as Machine
from models.conversation import Item
from models.spoken import LOUDNESS, Listener
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import WORD
from transports.leg import Clear
from transports.loopback import Loopback

ROUNDING = 1.5e-3
"""Seconds by which a position may be off: the ledger takes one of them less for the whole."""


SYLLABLES = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]


def unique_word(kind: str, number: int) -> str:
    """The nth word of a kind ("k": the model's): all are of one length, so that half a word is
    never another one.
    """
    first, second = divmod(number, len(SYLLABLES))
    return f"{kind}{SYLLABLES[first % len(SYLLABLES)]}{SYLLABLES[second]}"


def number_of(word: str) -> int:
    """Which word of its kind it is."""
    return SYLLABLES.index(word[1:3]) * len(SYLLABLES) + SYLLABLES.index(word[3:5])


@attrs.frozen
class Fault:
    """Something was made to fail."""

    at: float
    what: str


@attrs.frozen
class Sentence:
    """What the person said aloud; no words: a cough or a backchannel."""

    words: tuple[str, ...]
    start: float
    end: float
    begins: tuple[int, ...] = ()
    """Words that follow a pause."""


@attrs.frozen
class HeardWord:
    """A word in the person's ear."""

    text: str
    at: float
    end: float
    seconds: float

    @property
    def whole(self) -> bool:
        """To its end, or so nearly that it may count as that."""
        return self.seconds >= WORD - ROUNDING

    @property
    def barely(self) -> bool:
        """It may also count as broken off."""
        return self.seconds < WORD - 1e-4


@attrs.frozen
class Moment:
    """The session at one time."""

    at: float
    owes: bool
    """Somebody waits for the agent, and does not speak."""
    state: str


@attrs.define(eq=False)
class Run:
    """What happened in one run, as far as it is checked."""

    seed: int
    latency: float
    page: bool
    profile: str
    traits: Any = None
    person: Loopback = attrs.field(init=False)
    path: str = ""
    timeline: list[tuple[float, str]] = attrs.field(factory=list)
    faults: list[Fault] = attrs.field(factory=list)
    model_faults: list[float] = attrs.field(factory=list)
    sentences: list[Sentence] = attrs.field(factory=list)
    typed: list[tuple[float, str]] = attrs.field(factory=list)
    muted: list[tuple[float, float]] = attrs.field(factory=list)
    lost_words: set[str] = attrs.field(factory=set)
    """In turns that waited to be answered as the session crashed: they were in no history yet."""
    open_turns: list[tuple[float, float]] = attrs.field(factory=list)
    """When a turn had begun that was open as the session crashed, and when that was."""
    was_away: list[tuple[float, float]] = attrs.field(factory=list)
    away: bool = False
    tools_started: list[tuple[float, object]] = attrs.field(factory=list)
    moments: list[Moment] = attrs.field(factory=list)
    failures: list[str] = attrs.field(factory=list)
    history: tuple[Item, ...] = ()
    over: bool = False
    ended: trio.Event = attrs.field(factory=trio.Event)
    ended_at: float = inf
    rested_at: float = inf
    _since: dict[str, float] = attrs.field(factory=dict)
    _position: tuple[int, float, float] = (0, 0.0, 0.0)

    def cleared(self) -> Sequence[float]:
        """When the far end was sent a clear."""
        return [e.at for e in self.person.events if isinstance(e.message, Clear)]

    def fail(self, why: str) -> None:
        """A check failed; the run goes on, so that all are told."""
        if len(self.failures) < 8:
            self.failures.append(why)

    def note_open_turns(self, system: SystemUnderTest) -> None:
        """The session crashes now, with what it has understood and not committed."""
        machine = self.machine(system)
        if machine is None:
            return
        self.lost_words |= {w for _, text in machine._ended_turns for w in text.split()}
        for person in machine.people.values():
            if person.turn.open:
                self.open_turns.append((person.turn.started_at, system.now))

    def actor(self, system: SystemUnderTest, who: str) -> Any:
        """The present life of an actor of the call; None between two lives."""
        cell = system._node.cells.get(f"{self.path}/{who}")
        return None if cell is None or cell.life is None else cell.life.actor

    def machine(self, system: SystemUnderTest) -> Machine | None:
        """The session's machine; None while there is none."""
        session = self.actor(system, "session")
        machine: Machine | None = getattr(session, "_machine", None)
        return machine

    def busy(self, system: SystemUnderTest) -> bool:
        """Something is under way."""
        machine, agent = self.machine(system), self.actor(system, "agent")
        if machine is None or agent is None:
            return True
        waits = machine._ended_turns or machine._wishes or machine._closing is not None
        speaks = any(p.turn.open or p.floor.speaking for p in machine.people.values())
        # A thought that a crashed session had asked for stays until the next one.
        thinks = any(not work.thought for work in agent._works.values())
        works = thinks or agent._tasks or agent._background
        return bool(machine.utterance is not None or waits or speaks or works)

    def state(self, system: SystemUnderTest) -> str:
        """For people."""
        machine = self.machine(system)
        return f"{machine.agent_state() if machine else '-'}, {machine and machine.utterance}"


def whole_words(run: Run) -> Sequence[HeardWord]:
    """What was heard, word by word, broken ones too."""
    listener = Listener(run.person.rate_out)
    pieces = run.person.heard()
    for piece in pieces:
        # However quiet: where sound sets in, the first burst is in the ramp.
        signs = np.sign(np.frombuffer(piece.pcm, "<i2")).astype("<i2")
        listener.hear((signs * LOUDNESS).tobytes())
    starts, total = [], 0
    for piece in pieces:
        starts.append(total)
        total += len(piece.pcm) // 2
    out, index = [], 0
    for word in listener.words():
        first, last = (round(seconds * run.person.rate_out) for seconds in (word.start, word.end))
        while index + 1 < len(pieces) and starts[index + 1] <= first:
            index += 1
        at = pieces[index].start + (first - starts[index]) / run.person.rate_out
        later = index
        while later + 1 < len(pieces) and starts[later + 1] < last:
            later += 1
        end = pieces[later].start + (last - starts[later]) / run.person.rate_out
        out.append(HeardWord(word.text, at, end, word.end - word.start))
    return out
