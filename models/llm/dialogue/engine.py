"""The dialogue engine as a provider: it says what the script says, at the pace of a model."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from itertools import count

import attrs
from attrs.validators import ge, le, min_len

from models.conversation import Item, ToolAnswered, ToolCalled
from models.faults import FaultKind, ModelFault
from models.llm.dialogue.dialogue import Dialogue
from models.llm.dialogue.reading import demo_script, load_script
from models.llm.dialogue.script import Script
from models.llm.dialogue.state import Step
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

_TOKEN = re.compile(r"\s*\S{1,8}|\s+")
"""A token of English is a word, or a part of a long one, with the space before it."""


def _finite(_: object, attribute: attrs.Attribute[float], value: float) -> None:
    if not math.isfinite(value):
        raise ValueError(f"'{attribute.name}' must be a finite number: {value}")


@attrs.frozen
class DialogueConfig:
    """The scripted dialogue engine: an LLM that needs no key and no network."""

    name: str = attrs.field(default="dialogue", validator=min_len(1))
    """What its faults call it."""

    script: str = ""
    """Path of the script, a TOML file as docs/dialogue.md describes. "": the demo team."""

    first_token: float = attrs.field(default=0.25, validator=[_finite, ge(0)])
    """Seconds until the first token: a hosted model needs 0.3 to 0.7. 0: at once."""

    tokens_per_second: float = attrs.field(default=25.0, validator=[_finite, ge(0)])
    """Tokens per second after it, 0.75 words each. 0: all at once, as one delta."""

    generations: int = attrs.field(default=256, validator=[ge(1), le(100_000)])
    """Answers under way at the same time; one more is refused as RATE_LIMITED."""


@attrs.frozen
class Tick:
    """The next token of a generation is due. The engine's own."""

    generation: str
    serial: int
    """Of the generation: its name may have been used again since."""


@attrs.frozen
class DialogueStatistics:
    """What the engine has done since it started."""

    under_way: int
    generated: int
    cancelled: int
    refused: int
    unoffered: int
    """Tools that the script wanted and nobody offered."""


@attrs.define(eq=False)
class _Generation:
    """An answer under way."""

    request: Generate
    promise: Promise[Generated | ModelFault]
    serial: int
    pieces: Sequence[str]
    step: Step
    began: float
    usage: Usage
    finish: Finish
    sent: int = 0
    timer: Timer | None = None


class DialogueLlm(Actor[Generate | CancelGeneration | Tick]):
    """A provider that follows a script. It takes `LlmMessage`.

    It keeps nothing of a conversation: all it says follows from `Generate.context`. Tools that the
    request does not offer are not called; the rule that wanted one goes on as if it had failed.

    Args:
        script: instead of the one that `config` names.
    Raises:
        ScriptError: the script cannot be used.
    """

    def __init__(
        self, config: DialogueConfig | None = None, *, script: Script | None = None
    ) -> None:
        super().__init__()
        self._config = config if config is not None else DialogueConfig()
        if script is None:
            script = load_script(self._config.script) if self._config.script else demo_script()
        self._dialogue = Dialogue(script)
        self._under_way: dict[str, _Generation] = {}
        self._serials = count(1)
        self._generated = self._cancelled = self._refused = self._unoffered = 0

    def statistics(self) -> DialogueStatistics:
        """What it has done since it started."""
        return DialogueStatistics(
            len(self._under_way),
            self._generated,
            self._cancelled,
            self._refused,
            self._unoffered,
        )

    # -- messages ----------------------------------------------------------------------------

    @handles
    def on_generate(self, message: Generate) -> ModelFault | None:
        fault = self._objection(message)
        if fault is not None:
            self._refused += 1
            return fault
        step = self._offered(message, self._dialogue.answer(message.context, message.agent))
        pieces, finish = self._pieces(step.text, message.max_tokens)
        if finish is Finish.STOP and step.tool:
            finish = Finish.TOOLS
        usage = Usage(prompt=_tokens(message.context), completion=len(pieces))
        generation = _Generation(
            message, self.defer(), next(self._serials), pieces, step, self.now, usage, finish
        )
        self._under_way[message.generation] = generation
        self._go_on(generation)
        return None

    @handles
    def on_cancel(self, message: CancelGeneration) -> None:
        generation = self._under_way.pop(message.generation, None)
        if generation is not None:  # else it ended while the message was on its way
            self._cancel(generation)

    @handles
    def on_tick(self, message: Tick) -> None:
        generation = self._under_way.get(message.generation)
        if generation is not None and generation.serial == message.serial:
            self._go_on(generation)

    # -- saying it ---------------------------------------------------------------------------

    def _objection(self, message: Generate) -> ModelFault | None:
        script = self._dialogue.script
        if message.generation in self._under_way:
            return self._fault(FaultKind.REJECTED, "there is a generation of this name under way")
        if message.agent and message.agent not in script.agents:
            known = ", ".join(script.agents)
            detail = f"the script has no agent {message.agent!r}; it has {known}"
            return self._fault(FaultKind.REJECTED, detail)
        if len(self._under_way) >= self._config.generations:
            detail = f"{self._config.generations} generations are under way"
            return attrs.evolve(self._fault(FaultKind.RATE_LIMITED, detail), retry_after=1.0)
        return None

    def _fault(self, kind: FaultKind, detail: str = "") -> ModelFault:
        return ModelFault(self._config.name, kind, detail)

    def _offered(self, message: Generate, step: Step) -> Step:
        """`step`, or what is said instead because nobody offers its tool."""
        if not step.tool or any(tool.name == step.tool for tool in message.tools):
            return step
        self._unoffered += 1
        refused = (
            ToolCalled("unoffered", step.tool, step.arguments),
            ToolAnswered("unoffered", "not available", failed=True),
        )
        return self._dialogue.answer((*message.context, *refused), message.agent)

    def _pieces(self, text: str, most: int | None) -> tuple[Sequence[str], Finish]:
        """The deltas of a text, and whether it was cut short."""
        pieces = _TOKEN.findall(text)
        finish = Finish.STOP
        if most is not None and len(pieces) > most:
            pieces, finish = pieces[: max(0, most)], Finish.LENGTH
        if self._config.tokens_per_second == 0 and pieces:
            pieces = ["".join(pieces)]
        return pieces, finish

    def _go_on(self, generation: _Generation) -> None:
        """Send what is due, and wake up for the next piece or end."""
        if not generation.request.to.alive:
            del self._under_way[generation.request.generation]
            self._cancel(generation)
            return
        while (due := self._due(generation)) <= self.now:
            if generation.sent == len(generation.pieces):
                self._end(generation)
                return
            text = generation.pieces[generation.sent]
            generation.request.to.tell(TextDelta(generation.request.generation, text))
            generation.sent += 1
        tick = Tick(generation.request.generation, generation.serial)
        generation.timer = self.send_after(due - self.now, tick)

    def _due(self, generation: _Generation) -> float:
        """When the next piece is to be sent, or the end: with the last piece."""
        config = self._config
        place = min(generation.sent, max(0, len(generation.pieces) - 1))
        pace = 1 / config.tokens_per_second if config.tokens_per_second else 0.0
        return generation.began + config.first_token + place * pace

    def _end(self, generation: _Generation) -> None:
        request, step = generation.request, generation.step
        del self._under_way[request.generation]
        if generation.finish is Finish.TOOLS:
            call = f"{request.generation}-{step.tool}"
            request.to.tell(ToolCallDelta(request.generation, call, step.tool, step.arguments))
        self._generated += 1
        generation.promise.resolve(
            Generated(request.generation, generation.finish, generation.usage)
        )

    def _cancel(self, generation: _Generation) -> None:
        if generation.timer is not None:
            generation.timer.cancel()
        self._cancelled += 1
        generation.promise.resolve(self._fault(FaultKind.CANCELLED))


def _tokens(context: Sequence[Item]) -> int:
    return sum(len(_TOKEN.findall(_text(item))) for item in context)


def _text(item: Item) -> str:
    match item:
        case ToolCalled():
            return item.arguments
        case ToolAnswered():
            return item.output
        case _:
            return item.text
