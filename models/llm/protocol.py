"""Language models: the conversation with one.

A provider is an actor that takes `LlmMessage`. `Generate` is asked; text and tool calls are told
to `to` as they come, and the ask is answered after the last of them: `Generated`, or a
`ModelFault`. It ends in `ActorCrashed` if the provider crashed.
"""

from __future__ import annotations

import enum

import attrs

from models.conversation import Item
from models.faults import ModelFault
from supervision import ActorRef, Request


@attrs.frozen
class Tool:
    """What the model may call."""

    name: str
    description: str
    parameters: str
    """JSON schema of its arguments, as JSON: an object."""


@attrs.frozen
class TextDelta:
    """Some more text."""

    generation: str
    text: str


@attrs.frozen
class ToolCallDelta:
    """A whole tool call: arguments are put together by the engine before they are told."""

    generation: str
    id: str
    name: str
    arguments: str
    """A JSON object, as the model wrote it: it may not parse, and then it is the model's fault."""


class Finish(enum.Enum):
    """Why a generation ended."""

    STOP = "stop"
    TOOLS = "tools"
    """It waits for the answers to its tool calls."""
    LENGTH = "length"
    FILTERED = "filtered"


@attrs.frozen
class Usage:
    """Tokens, as the provider counts them."""

    prompt: int = 0
    completion: int = 0
    cached: int = 0


@attrs.frozen
class Generated:
    """All of it has been sent."""

    generation: str
    finish: Finish = Finish.STOP
    usage: Usage = Usage()


@attrs.frozen
class Generate(Request[Generated | ModelFault]):
    """Answer this conversation. Answered when all of it has been sent."""

    generation: str
    """Its name, chosen by who asks; unique among those under way."""
    context: tuple[Item, ...]
    to: ActorRef[TextDelta | ToolCallDelta]
    tools: tuple[Tool, ...] = ()
    agent: str = ""
    """Who is to answer: a provider with several characters (the dialogue engine) picks by it."""
    temperature: float | None = None
    max_tokens: int | None = None


@attrs.frozen
class CancelGeneration:
    """Stop it. The ask is answered `CANCELLED`; no delta follows."""

    generation: str


LlmMessage = Generate | CancelGeneration
