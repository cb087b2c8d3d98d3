"""A model for tests: it says exactly what the test gives it, when it says so, and fails on cue.

    plan = LlmPlan(["Good morning.", Reply(Say("One ", after=0.2), Say("moment."), Fail())])
    llm = await system.spawn(partial(ScriptedLlm, plan))

Here the first generation says "Good morning." at once and is done; the second says two deltas, the
first of them after 0.2 seconds, and then ends in a `ModelFault`. `plan.asked` has every `Generate`
that came. The plan outlives restarts: the count goes on after a `Crash`. Delays are timers of the
node, so under the `system` fixture they cost no time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from typing import assert_never

import attrs
from attrs.validators import ge

from models.faults import FaultKind, ModelFault, ScriptedCrash
from models.llm.protocol import (
    CancelGeneration,
    Finish,
    Generate,
    Generated,
    TextDelta,
    ToolCallDelta,
    Usage,
)
from supervision import Actor, Promise, handles
from supervision.timers import Timer


def _after() -> float:
    delay: float = attrs.field(default=0.0, validator=ge(0), kw_only=True)
    return delay


@attrs.frozen
class Say:
    """Tell one `TextDelta`."""

    text: str
    after: float = _after()
    """Seconds since what came before it."""


@attrs.frozen
class CallTool:
    """Tell one `ToolCallDelta`."""

    name: str
    arguments: str = "{}"
    """Sent as they are: what is no JSON is what a model may send too."""
    id: str = ""
    """ "": the generation's name and a number."""
    after: float = _after()


@attrs.frozen
class Fail:
    """End in a `ModelFault`; before the first token, if it stands first."""

    kind: FaultKind = FaultKind.UNAVAILABLE
    retry_after: float = 0.0
    after: float = _after()


@attrs.frozen
class Stall:
    """Say no more, and never end: whoever waits must have a deadline, or cancel."""


@attrs.frozen
class Crash:
    """The provider crashes, and everything under way with it."""

    after: float = _after()


@attrs.frozen
class End:
    """End. A reply that does not say how ends with STOP, or TOOLS after a tool call."""

    finish: Finish = Finish.STOP
    usage: Usage = attrs.field(factory=Usage)
    after: float = _after()


Move = Say | CallTool | Fail | Stall | Crash | End


@attrs.frozen(init=False)
class Reply:
    """What one generation does, move by move."""

    moves: tuple[Move, ...]

    def __init__(self, *moves: Move) -> None:
        self.__attrs_init__(moves)

    def ending(self) -> End:
        """How it ends if no move says so."""
        tools = any(isinstance(move, CallTool) for move in self.moves)
        return End(Finish.TOOLS if tools else Finish.STOP)


Source = Sequence[Reply | str] | Callable[[Generate], Reply | str]


def speak(text: str, *, first: float = 0.25, every: float = 0.04) -> Reply:
    """`text` word by word, as a model would: `first` seconds to the first, `every` between."""
    words = text.split(" ")
    pieces = [words[0], *(f" {word}" for word in words[1:])]
    delays = [first, *(every for _ in words[1:])]
    return Reply(*(Say(piece, after=delay) for piece, delay in zip(pieces, delays, strict=True)))


class LlmPlan:
    """What a scripted model says, over all its lives, and what it was asked.

    Args:
        replies: one for each generation, in order, or a function of the `Generate`. A text is said
            as one delta at once. A generation that finds no reply left ends in `REJECTED`.
    """

    def __init__(self, replies: Source = ()) -> None:
        self._replies = replies if callable(replies) else tuple(replies)
        self.asked: list[Generate] = []
        """Every `Generate` that came."""
        self.cancelled: list[str] = []
        """The generations that were cancelled while they were under way."""

    def next_reply(self, request: Generate) -> Reply:
        """What to do about `request`."""
        self.asked.append(request)
        if callable(self._replies):
            reply = self._replies(request)
        elif len(self.asked) <= len(self._replies):
            reply = self._replies[len(self.asked) - 1]
        else:
            reply = Reply(Fail(FaultKind.REJECTED))
        return reply if isinstance(reply, Reply) else Reply(Say(reply))


@attrs.frozen
class Due:
    """The next move of a generation is due. The model's own."""

    serial: int


@attrs.frozen
class ScriptedLlmStatistics:
    """What a scripted model has done over all its lives."""

    asked: int
    under_way: int
    cancelled: int


@attrs.define(eq=False)
class _Generation:
    request: Generate
    promise: Promise[Generated | ModelFault]
    reply: Reply
    made: int = 0
    """Moves so far."""
    timer: Timer | None = None


class ScriptedLlm(Actor[Generate | CancelGeneration | Due]):
    """Does what its plan says; see the module. It takes `LlmMessage`."""

    def __init__(self, plan: LlmPlan | None = None, *, name: str = "scripted") -> None:
        super().__init__()
        self._plan = plan if plan is not None else LlmPlan()
        self._name = name
        self._under_way: dict[int, _Generation] = {}
        self._serials = count(1)

    def statistics(self) -> ScriptedLlmStatistics:
        """What it has done."""
        return ScriptedLlmStatistics(
            len(self._plan.asked), len(self._under_way), len(self._plan.cancelled)
        )

    @handles
    def on_generate(self, message: Generate) -> None:
        serial = next(self._serials)
        reply = self._plan.next_reply(message)
        self._under_way[serial] = _Generation(message, self.defer(), reply)
        self._go_on(serial, due=False)

    @handles
    def on_cancel(self, message: CancelGeneration) -> None:
        for serial, generation in list(self._under_way.items()):
            if generation.request.generation == message.generation:
                if generation.timer is not None:
                    generation.timer.cancel()
                self._plan.cancelled.append(message.generation)
                self._over(serial, ModelFault(self._name, FaultKind.CANCELLED))

    @handles
    def on_due(self, message: Due) -> None:
        if message.serial in self._under_way:
            self._go_on(message.serial, due=True)

    def _go_on(self, serial: int, due: bool) -> None:
        """Make the moves whose time has come; `due` says that of the next one."""
        while (generation := self._under_way.get(serial)) is not None:
            moves = generation.reply.moves
            move = moves[generation.made] if generation.made < len(moves) else None
            move = move if move is not None else generation.reply.ending()
            if isinstance(move, Stall):
                return
            if move.after > 0 and not due:
                generation.timer = self.send_after(move.after, Due(serial))
                return
            due = False
            generation.made += 1
            self._make(serial, generation, move)

    def _make(
        self, serial: int, generation: _Generation, move: Say | CallTool | Fail | Crash | End
    ) -> None:
        name = generation.request.generation
        match move:
            case Say(text):
                generation.request.to.tell(TextDelta(name, text))
            case CallTool(tool, arguments, id):
                id = id or f"{name}-{generation.made}"
                generation.request.to.tell(ToolCallDelta(name, id, tool, arguments))
            case Fail(kind, retry_after):
                self._over(serial, ModelFault(self._name, kind, "planned", retry_after))
            case Crash():
                raise ScriptedCrash(f"planned, in generation {name}")
            case End(finish, usage):
                self._over(serial, Generated(name, finish, usage))
            case _:
                assert_never(move)

    def _over(self, serial: int, answer: Generated | ModelFault) -> None:
        self._under_way.pop(serial).promise.resolve(answer)
