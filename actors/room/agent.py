"""An AI in a room: a language model that reads what it may see and answers while it thinks.

The agent issue gives it tools, memory and handoffs. Here it answers, streams, gives up in time,
goes on with the next model when one fails, and can be cut short.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import attrs
from attrs.validators import ge

from actors.machines.fallback import Chain
from models.conversation import AgentSaid, Instruction, Item, UserSaid
from models.faults import ModelFault
from models.llm.protocol import (
    CancelGeneration,
    Generate,
    Generated,
    LlmMessage,
    TextDelta,
    ToolCallDelta,
)
from models.rooms.capabilities import CAPABILITIES
from models.rooms.channel import (
    AgentSpec,
    BindingChanged,
    CancelTurn,
    React,
    Reaction,
    TurnText,
)
from models.rooms.content import text_of
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelCategory, ChannelType, EventType
from models.rooms.room import RoomContext
from supervision import Actor, ActorRef, Promise, handles


@attrs.frozen
class RoomAgentConfig:
    """What an agent is told, and how much it reads."""

    instructions: str = "Answer briefly and helpfully."
    """For its model."""
    character: str = ""
    """Who is to answer, for models that play several."""
    window: int = attrs.field(default=50, validator=ge(1))
    """Messages it reads."""
    temperature: float | None = None
    max_tokens: int | None = None


@attrs.frozen
class _Over:
    generation: str
    outcome: Generated | ModelFault


AgentActorMessage = React | CancelTurn | BindingChanged | TextDelta | ToolCallDelta | _Over


@attrs.define(eq=False)
class _Answering:
    """The turn in hand."""

    react: React
    promise: Promise[Reaction]
    generation: str
    model: int
    tried: frozenset[int] = frozenset()
    said: str = ""
    cancelled: bool = False


class RoomAgent(Actor[AgentActorMessage]):
    """One AI in one room."""

    def __init__(self, models: Sequence[str], config: RoomAgentConfig, room_id: str) -> None:
        """`models`: paths of language models, the first healthy one answers."""
        super().__init__()
        self._models = models
        self._config = config
        self._room_id = room_id
        self._chain = Chain(len(models))
        self._numbers = itertools.count(1)
        self._turn: _Answering | None = None

    # -- turns ----------------------------------------------------------------------------

    @handles
    def on_react(self, react: React) -> Reaction | None:
        if self._turn is not None:
            return Reaction(error="one turn at a time")
        model = self._chain.pick(self.now, frozenset())
        if model is None:
            return Reaction(error="no language model is well just now")
        self._turn = _Answering(react, self.defer(), "", model)
        self._generate(self._turn)
        return None

    def _generate(self, turn: _Answering) -> None:
        turn.generation = f"{self._room_id}-{next(self._numbers)}"
        request = Generate(
            turn.generation,
            conversation(turn.react, self._config.instructions, turn.said),
            self.ref,
            agent=self._config.character,
            temperature=self._config.temperature,
            max_tokens=self._config.max_tokens,
        )
        path = self._models[turn.model]
        over = partial(_Over, turn.generation)
        self.pipe(
            self._model(turn).ask(request, timeout=60.0),
            to=over,
            failed=lambda error: over(ModelFault.of_ask(path, error)),
        )

    def _model(self, turn: _Answering) -> ActorRef[LlmMessage]:
        return self.system.ref(self._models[turn.model])

    @handles
    def on_text(self, message: TextDelta) -> None:
        turn = self._turn
        if turn is None or turn.generation != message.generation or turn.cancelled:
            return
        turn.said += message.text
        turn.react.progress.tell(TurnText(turn.react.turn, message.text))

    @handles
    def on_tool(self, message: ToolCallDelta) -> None:
        """It was offered none."""

    @handles
    def on_over(self, message: _Over) -> None:
        turn = self._turn
        if turn is None or turn.generation != message.generation:
            return
        outcome = message.outcome
        if isinstance(outcome, Generated):
            self._chain.succeeded(turn.model)
            self._end(turn, Reaction(cancelled=turn.cancelled))
        elif turn.cancelled:
            self._end(turn, Reaction(cancelled=True))
        else:
            self._failed(turn, outcome)

    def _failed(self, turn: _Answering, fault: ModelFault) -> None:
        """The next model goes on where this one stopped."""
        self._chain.failed(turn.model, fault.kind, self.now, fault.retry_after)
        turn.tried |= {turn.model}
        following = self._chain.pick(self.now, turn.tried)
        if following is None:
            self._end(turn, Reaction(error=f"no language model answered: {fault.kind.value}"))
            return
        turn.model = following
        self._generate(turn)

    def _end(self, turn: _Answering, reaction: Reaction) -> None:
        self._turn = None
        turn.promise.resolve(reaction)

    @handles
    def on_cancel(self, message: CancelTurn) -> None:
        turn = self._turn
        if turn is not None and turn.react.turn == message.turn and not turn.cancelled:
            turn.cancelled = True
            self._model(turn).tell(CancelGeneration(turn.generation))

    @handles
    def on_binding(self, message: BindingChanged) -> None:
        """A muted agent thinks all the same: its room keeps its words from others."""


GO_ON = "Your last words were cut off by a fault. Go on exactly where they end; repeat nothing."


def conversation(react: React, instructions: str, said: str) -> tuple[Item, ...]:
    """What the model reads: the room as this agent may see it, then what it is to answer."""
    me = react.binding.channel_id
    items: list[Item] = [Instruction(instructions)] if instructions else []
    events = (*react.context.recent_events, react.event)
    several = len({_speaker(event) for event in events if _is_said(event, me)}) > 1
    for turn, event in enumerate(events):
        text = text_of(event.content)
        if not text:
            continue
        if event.type is EventType.INSTRUCTION:
            items.append(Instruction(text))
        elif event.source.channel_id == me:
            items.append(AgentSaid(text, turn, me))
        else:
            name = _name(react.context, event)
            items.append(UserSaid(f"{name}: {text}" if several and name else text, turn))
    if said:
        items += [AgentSaid(said, len(events), me), Instruction(GO_ON)]
    return tuple(items)


def _is_said(event: RoomEvent, me: str) -> bool:
    """By somebody else, aloud."""
    return event.source.channel_id != me and event.type is not EventType.INSTRUCTION


def _speaker(event: RoomEvent) -> str:
    return event.source.participant_id or event.source.channel_id


def _name(context: RoomContext, event: RoomEvent) -> str:
    """How somebody is called in front of the others."""
    who = event.source.participant_id
    person = next((p for p in context.participants if p.id == who), None)
    return (person.display_name if person is not None else None) or who or event.source.channel_id


def agent_spec(
    channel_id: str, models: Sequence[str], config: RoomAgentConfig | None = None
) -> AgentSpec:
    """An AI as a channel, to be registered.

    Args:
        models: paths of language models, in the order they are tried.
    """
    settings = config or RoomAgentConfig()
    info = ChannelInfo(
        channel_id,
        ChannelType.AI,
        ChannelCategory.INTELLIGENCE,
        capabilities=CAPABILITIES[ChannelType.AI],
        provider="llm",
        recent_events_window=settings.window,
    )
    return AgentSpec(info, partial(RoomAgent, models, settings))
