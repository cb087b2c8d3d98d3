"""Language models behind OpenAI's chat completions: OpenAI's own, and the many that speak alike.

Local servers (llama.cpp, Ollama, vLLM) and other vendors are a `base_url` and a `model`.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import attrs
import httpx
import trio
from attrs.validators import ge, gt, instance_of, le, min_len, optional

from models.faults import FaultKind, ModelFault
from models.llm.chat import Answer, to_messages, to_tools
from models.llm.protocol import (
    CancelGeneration,
    Generate,
    Generated,
    LlmMessage,
    TextDelta,
    ToolCallDelta,
)
from models.net import (
    Call,
    HttpConfig,
    Patience,
    Provider,
    ProviderFault,
    SseReader,
)
from models.net.faults import garbled
from models.net.http import URL, check_key, hold, open_bearer_client, streamed, to_json
from supervision import ChildSpec, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret

_END = 0.05
"""Seconds to wait for the end of a stream after its last event, which comes with it as a rule."""


@attrs.frozen
class OpenAiLlmConfig:
    """A language model behind an OpenAI-style API."""

    model: str = attrs.field(default="gpt-4o-mini", validator=min_len(1))
    """As the server names it."""

    api_key: Secret | None = attrs.field(default=None, validator=check_key)
    """Sent as a bearer token. A local server needs none."""

    base_url: str = attrs.field(default="https://api.openai.com/v1", validator=URL)
    """Where `/chat/completions` is appended: `http://localhost:11434/v1` for Ollama, and so on."""

    temperature: float | None = attrs.field(default=None, validator=optional([ge(0), le(2)]))
    """Used where a generation names none. None: the server's own. Some models refuse any."""

    max_tokens: int | None = attrs.field(default=None, validator=optional(ge(1)))
    """Of an answer, where a generation names no limit. None: the server's own."""

    max_tokens_name: Literal["max_tokens", "max_completion_tokens"] = "max_completion_tokens"
    """What the API calls that limit. Older servers know `max_tokens` only."""

    system_role: Literal["system", "developer"] = "system"
    """Whose words the instructions are."""

    usage: bool = True
    """Ask for the count of tokens. Some older servers refuse the question."""

    first: float = attrs.field(default=3.0, validator=gt(0))
    """Seconds until the first word or tool call, a second attempt included. Thoughts do not count:
    a model that thinks before it speaks needs more."""

    stall: float = attrs.field(default=3.0, validator=gt(0))
    """Seconds that may pass without any progress once it has begun."""

    concurrent: int = attrs.field(default=100, validator=[instance_of(int), ge(1)])
    """Generations under way at the same time; one more is told so at once."""

    http: HttpConfig = attrs.field(factory=HttpConfig)
    breaker: BreakerConfig = attrs.field(factory=BreakerConfig)


class OpenAiLlm(Provider[LlmMessage]):
    """Answers conversations. A generation is one streamed request, and a task of this actor."""

    def __init__(
        self, config: OpenAiLlmConfig, name: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        super().__init__(name, config.breaker, config.concurrent)
        self._config = config
        self._transport = transport
        self._generations: dict[str, Call] = {}

    async def on_start(self) -> None:
        self._client = await open_bearer_client(self._config, self._transport)
        self.start_task(hold, self._client, name="connections")

    @handles
    def on_generate(self, message: Generate) -> ModelFault | None:
        if message.generation in self._generations:
            return self.fault(FaultKind.REJECTED, "a generation of that name is under way")
        call = self.open_call(message.generation, message.to)
        self._generations[message.generation] = call
        self.start_call(call, self._generate, message)
        return None

    @handles
    def on_cancel(self, message: CancelGeneration) -> None:
        call = self._generations.get(message.generation)
        if call is not None:
            self.cancel_call(call)

    def on_call_ended(self, call: Call, answer: object) -> None:
        if self._generations.get(call.name) is call:
            del self._generations[call.name]

    # -- in the task of a generation ------------------------------------------------------

    async def _generate(self, call: Call, request: Generate) -> Generated:
        body = to_json(self._body(request))
        patience = Patience(self._config.first, self._config.stall)
        with patience.waiting():
            try:
                return await self._attempt(call, body, patience)
            except ProviderFault as fault:
                if call.told or not fault.passing:
                    raise
            self.retries += 1
            return await self._attempt(call, body, patience)
        raise AssertionError("`waiting` has raised")

    def _body(self, request: Generate) -> dict[str, object]:
        config = self._config
        body: dict[str, object] = {
            "model": config.model,
            "messages": to_messages(request.context, config.system_role),
            "stream": True,
        }
        if config.usage:
            body["stream_options"] = {"include_usage": True}
        if request.tools:
            body["tools"] = to_tools(request.tools)
        temperature = config.temperature if request.temperature is None else request.temperature
        if temperature is not None:
            body["temperature"] = temperature
        limit = request.max_tokens or config.max_tokens
        if limit is not None:
            body[config.max_tokens_name] = limit
        return body

    async def _attempt(self, call: Call, body: bytes, patience: Patience) -> Generated:
        answer, reader = Answer(), SseReader()
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        async with streamed(
            self._client, "chat/completions", content=body, headers=headers
        ) as stream:
            if "json" in stream.content_type:
                raise garbled("one answer where a stream was asked for")
            while not answer.done and (data := await stream.next()) is not None:
                await self._take(call, answer, reader.feed(data), patience)
            if not answer.done:
                await self._take(call, answer, reader.finish(), patience)
            with patience.held():
                generated = await self._conclude(call, answer)
                # A connection whose answer was read to its end can be used again.
                with trio.move_on_after(_END):
                    await stream.next()
        return generated

    async def _take(
        self, call: Call, answer: Answer, events: list[str], patience: Patience
    ) -> None:
        for event in events:
            text, useful = answer.feed(event)
            if useful:
                patience.progress()
            if text:
                with patience.held():
                    await self.say(call, TextDelta(call.name, text))

    async def _conclude(self, call: Call, answer: Answer) -> Generated:
        text, calls, finish = answer.finish()
        if text:
            await self.say(call, TextDelta(call.name, text))
        for number, tool in enumerate(calls):
            await self.say(
                call,
                ToolCallDelta(
                    call.name,
                    tool.id or f"{call.name}-{number}",
                    tool.name,
                    tool.arguments or "{}",
                ),
            )
        return Generated(call.name, finish, answer.usage)


def openai_llm_spec(config: OpenAiLlmConfig, id: str = "openai") -> ChildSpec[LlmMessage]:
    """A child that answers conversations, called `id` in faults and statistics."""
    return ChildSpec(id, partial(OpenAiLlm, config, id))
