from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import attrs
import httpx
import pytest
import trio

from models.conversation import Instruction, UserSaid
from models.faults import FaultKind, ModelFault
from models.llm.openai import OpenAiLlm, OpenAiLlmConfig, openai_llm_spec
from models.llm.protocol import (
    CancelGeneration,
    Finish,
    Generate,
    Generated,
    LlmMessage,
    TextDelta,
    Tool,
    ToolCallDelta,
    Usage,
)
from supervision import Actor, ActorRef, Restart, handles
from supervision.resilience import BreakerConfig
from supervision.secret import Secret
from supervision.testing import Probe, SystemUnderTest, system_under_test
from tests.models.net.servers import (
    Answer,
    HttpServer,
    cut,
    gibberish,
    hang,
    hang_up,
    http_server,
    parts,
    sse,
    whole,
)

CONTEXT = (Instruction("Be brief."), UserSaid("hello", 1))
FAULT = {"error": {"message": "sk-12345 said hello", "code": "context_length_exceeded"}}


def chunk(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


HELLO = sse(chunk(content="Hel"), chunk(content="lo."), chunk("stop"), "[DONE]")


@attrs.define(eq=False)
class Rig:
    """A model, its server, and who listens."""

    system: SystemUnderTest
    server: HttpServer
    llm: ActorRef[LlmMessage]
    probe: Probe

    async def generate(self, name: str = "g-1", **more: Any) -> Generated | ModelFault:
        with trio.fail_after(10):
            request = Generate(name, CONTEXT, self.probe.ref, **more)
            answer = await self.llm.ask(request, timeout=math.inf)
            await self.system.settle()  # an answer may overtake what was told to another actor
            return answer

    async def fault(self) -> ModelFault:
        answer = await self.generate()
        assert isinstance(answer, ModelFault)
        return answer

    @property
    def text(self) -> str:
        return "".join(m.text for m in self.probe.received if isinstance(m, TextDelta))


@asynccontextmanager
async def rig(*answers: Answer, **config: Any) -> AsyncIterator[Rig]:
    async with http_server(*answers) as server, system_under_test() as system:
        settings = OpenAiLlmConfig("m-1", Secret("sk-12345"), base_url=server.url, **config)
        llm = await system.start_child(openai_llm_spec(settings, "llm"))
        yield Rig(system, server, llm, await system.probe(TextDelta, ToolCallDelta))


async def test_a_streamed_answer_is_told_as_it_comes_and_then_answered() -> None:
    usage = {
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 2,
            "prompt_tokens_details": {"cached_tokens": 4},
        },
        "choices": [],
    }
    events = sse(
        chunk(role="assistant"),
        chunk(content="Hel"),
        chunk(content="lo."),
        chunk("stop"),
        usage,
        "[DONE]",
    )
    async with rig(parts(events)) as r:
        tool = Tool("look", "Look it up.", '{"type": "object"}')
        answer = await r.generate(tools=(tool,), temperature=0.5, max_tokens=20)
        assert answer == Generated("g-1", Finish.STOP, Usage(9, 2, 4))
        assert await r.probe.expect(TextDelta) == TextDelta("g-1", "Hel")
        assert await r.probe.expect(TextDelta) == TextDelta("g-1", "lo.")
        (request,) = r.server.received
        assert request.target == "/v1/chat/completions"
        assert request.headers["authorization"] == "Bearer sk-12345"
        assert request.json == {
            "model": "m-1",
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "user", "content": "hello"},
            ],
            "stream": True,
            "stream_options": {"include_usage": True},
            "tools": [
                {
                    "type": "function",
                    "function": {
                        "name": "look",
                        "description": "Look it up.",
                        "parameters": {"type": "object"},
                    },
                }
            ],
            "temperature": 0.5,
            "max_completion_tokens": 20,
        }


async def test_a_connection_whose_answer_was_read_is_used_again() -> None:
    async with rig(parts(HELLO)) as r:
        assert await r.generate("g-1") == Generated("g-1")
        assert await r.generate("g-2") == Generated("g-2")
        assert (r.server.connections, r.text) == (1, "Hello.Hello.")


async def test_tool_calls_are_told_whole_after_the_text() -> None:
    def part(index: int, arguments: str, **more: Any) -> dict[str, Any]:
        name = more.pop("name", None)
        function = {"arguments": arguments, **({"name": name} if name else {})}
        return {"index": index, "function": function, **more}

    events = sse(
        chunk(tool_calls=[part(0, "", id="a", name="add")]),
        chunk(tool_calls=[part(0, '{"x"')]),
        chunk(tool_calls=[part(1, "{}", id="b", name="bye"), part(0, ":1}")]),
        chunk(content="Wait."),
        chunk("tool_calls"),
        "[DONE]",
    )
    async with rig(parts(events)) as r:
        assert await r.generate() == Generated("g-1", Finish.TOOLS)
        assert r.probe.received == [
            TextDelta("g-1", "Wait."),
            ToolCallDelta("g-1", "a", "add", '{"x":1}'),
            ToolCallDelta("g-1", "b", "bye", "{}"),
        ]


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, FaultKind.REJECTED),
        (401, FaultKind.UNAUTHORIZED),
        (403, FaultKind.UNAUTHORIZED),
        (404, FaultKind.REJECTED),
        (422, FaultKind.REJECTED),
        (429, FaultKind.RATE_LIMITED),
        (500, FaultKind.UNAVAILABLE),
        (529, FaultKind.UNAVAILABLE),
        (504, FaultKind.TIMEOUT),
        (302, FaultKind.GARBLED),
    ],
)
async def test_a_status_is_a_kind_of_fault(status: int, kind: FaultKind) -> None:
    body = b'{"error": {"message": "sk-12345 said hello", "code": "some_code"}}'
    async with rig(whole(status, body)) as r:
        fault = await r.fault()
        assert (fault.provider, fault.kind) == ("llm", kind)
        assert fault.detail == f"HTTP {status}, some_code"
        assert len(r.server.received) == (2 if kind is FaultKind.UNAVAILABLE else 1)


async def test_a_rate_limit_is_kept_without_asking_again() -> None:
    async with rig(whole(429, retry_after="30")) as r:
        assert (await r.fault()).retry_after == 30
        again = await r.fault()
        assert again.kind is FaultKind.RATE_LIMITED
        assert 20 < again.retry_after <= 30
        assert len(r.server.received) == 1


@pytest.mark.parametrize("first", [whole(500), hang_up, cut([])])
async def test_what_fails_before_the_first_word_is_tried_once_more(first: Answer) -> None:
    async with rig(first, parts(HELLO)) as r:
        assert await r.generate() == Generated("g-1")
        assert r.text == "Hello."


async def test_what_breaks_after_a_word_is_not_tried_again() -> None:
    async with rig(cut(HELLO[:1]), parts(HELLO)) as r:
        assert (await r.fault()).kind is FaultKind.UNAVAILABLE
        assert (r.text, len(r.server.received)) == ("Hel", 1)


async def test_an_answer_without_an_end_was_cut_short() -> None:
    async with rig(parts(HELLO[:2])) as r:
        assert (await r.fault()).kind is FaultKind.UNAVAILABLE


@pytest.mark.parametrize(
    "answer",
    [
        gibberish,
        whole(200, b"<html>Sign in to the hotel's network</html>", content_type="text/html"),
        whole(200, b'{"choices": []}', content_type="application/json"),
        parts([b"data: {nonsense\n\n"]),
        parts([b"data: 17\n\n"]),
        parts(sse({"choices": "none"})),
        parts(sse({"choices": [{"delta": {"content": 5}}]})),
        parts([b"data: \xff\n\n"]),
        parts([b"data: " + b"x" * 2_000_000]),
    ],
)
async def test_what_is_not_the_protocol_is_garbled(answer: Answer) -> None:
    async with rig(answer) as r:
        assert (await r.fault()).kind is FaultKind.GARBLED
        assert r.text == ""


async def test_an_error_in_the_stream_is_a_fault() -> None:
    async with rig(parts(sse(FAULT))) as r:
        fault = await r.fault()
        assert fault.detail == "error in the stream: context_length_exceeded"


async def test_nobody_there_is_unavailable() -> None:
    async with rig(parts(HELLO)) as r:
        config = OpenAiLlmConfig(base_url="http://127.0.0.1:1/v1")
        r.llm = await r.system.start_child(openai_llm_spec(config, "nobody"))
        fault = await r.fault()
        assert (fault.kind, fault.detail) == (FaultKind.UNAVAILABLE, "ConnectError")


@pytest.mark.parametrize("said", [[], sse(chunk(role="assistant"), chunk(reasoning="hm"))])
async def test_a_server_that_says_nothing_useful_is_given_up(said: list[bytes]) -> None:
    async with rig(hang(said), first=0.3) as r:
        fault = await r.fault()
        assert (fault.kind, fault.detail) == (FaultKind.TIMEOUT, "nothing within 0.3 s")
        with trio.fail_after(2):
            await r.server.hung_up.wait()


async def test_a_server_that_stalls_is_given_up() -> None:
    async with rig(hang(HELLO[:1]), stall=0.1) as r:
        fault = await r.fault()
        assert (fault.kind, fault.detail) == (FaultKind.TIMEOUT, "no progress for 0.1 s")


async def test_a_cancelled_generation_says_no_more_and_hangs_up() -> None:
    async with rig(hang(HELLO[:1])) as r:
        reply = r.llm.ask(Generate("g-1", CONTEXT, r.probe.ref), timeout=math.inf)
        await r.probe.expect(TextDelta, within=5)
        r.llm.tell(CancelGeneration("g-1"))
        answer = await reply
        assert isinstance(answer, ModelFault)
        assert answer.kind is FaultKind.CANCELLED
        with trio.fail_after(2):
            await r.server.hung_up.wait()
        assert r.text == "Hel"


async def test_a_listener_that_is_gone_ends_its_generation() -> None:
    class Listener(Actor[TextDelta | ToolCallDelta]):
        @handles
        def on_text(self, message: TextDelta) -> None: ...

    async with rig(hang(HELLO[:1])) as r:
        listener = await r.system.spawn(Listener, path="/listener", restart=Restart.TEMPORARY)
        reply = r.llm.ask(Generate("g-1", CONTEXT, listener), timeout=math.inf)
        await r.server.first.wait()
        await r.system.stop("/listener")
        answer = await reply
        assert isinstance(answer, ModelFault)
        assert answer.kind is FaultKind.CANCELLED


async def test_as_many_generations_as_may_be_under_way() -> None:
    async with rig(hang(HELLO[:1]), concurrent=1) as r:
        first = r.llm.ask(Generate("g-1", CONTEXT, r.probe.ref), timeout=math.inf)
        await r.probe.expect(TextDelta, within=5)
        fault = await r.generate("g-2")
        assert isinstance(fault, ModelFault)
        assert fault.kind is FaultKind.RATE_LIMITED
        same = await r.generate("g-1")
        assert isinstance(same, ModelFault)
        assert same.kind is FaultKind.REJECTED
        r.llm.tell(CancelGeneration("g-1"))
        await first


async def test_the_breaker_opens_after_failures_in_a_row_and_not_for_rejections() -> None:
    async with rig(whole(400), whole(401), whole(401), breaker=BreakerConfig(failures=2)) as r:
        kinds = [(await r.fault()).kind for _ in range(5)]
        assert kinds == [
            FaultKind.REJECTED,
            FaultKind.UNAUTHORIZED,
            FaultKind.UNAUTHORIZED,
            FaultKind.BREAKER_OPEN,
            FaultKind.BREAKER_OPEN,
        ]
        assert len(r.server.received) == 3


# -- on virtual time ------------------------------------------------------------------------


class Slow(httpx.AsyncByteStream):
    def __init__(self, *said: tuple[float, bytes]) -> None:
        self._said = said

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for pause, data in self._said:
            await trio.sleep(pause)
            yield data


async def on_virtual_time(
    system: SystemUnderTest, stream: httpx.AsyncByteStream, **config: Any
) -> tuple[ActorRef[LlmMessage], Probe]:
    async def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, stream=stream)

    settings = OpenAiLlmConfig(base_url="http://llm.test/v1", **config)
    llm = await system.spawn(partial(OpenAiLlm, settings, "llm", httpx.MockTransport(answer)))
    return llm, await system.probe(TextDelta, ToolCallDelta)


async def test_three_seconds_without_a_word_are_too_long(system: SystemUnderTest) -> None:
    thought = sse(chunk(content="<think>hm, "), chunk(content="well"))
    llm, probe = await on_virtual_time(
        system, Slow((1, thought[0]), (1, b": alive\n\n"), (0.9, thought[1]), (1, HELLO[0]))
    )
    began = system.now
    fault = await llm.ask(Generate("g-1", CONTEXT, probe.ref), timeout=math.inf)
    assert isinstance(fault, ModelFault)
    assert (fault.kind, system.now - began) == (FaultKind.TIMEOUT, 3.0)


async def test_an_answer_may_take_long_if_it_goes_on(system: SystemUnderTest) -> None:
    slowly = [(2.9, event) for event in HELLO]
    llm, probe = await on_virtual_time(system, Slow(*slowly))
    answer = await llm.ask(Generate("g-1", CONTEXT, probe.ref), timeout=math.inf)
    assert answer == Generated("g-1")


async def test_no_word_follows_a_cancellation(system: SystemUnderTest) -> None:
    many = sse(*[chunk(content=f"{n} ") for n in range(200)], chunk("stop"))
    for moment in range(0, 40, 3):
        llm, probe = await on_virtual_time(system, Slow(*[(0.001, b"".join(many))]))
        reply = llm.ask(Generate("g-1", CONTEXT, probe.ref), timeout=math.inf)
        await trio.sleep(0.001)
        for _ in range(moment):
            await trio.lowlevel.checkpoint()
        llm.tell(CancelGeneration("g-1"))
        answer = await reply
        told = len(probe.received)
        await system.settle()
        if isinstance(answer, ModelFault):
            assert len(probe.received) <= told + 1, "what was told before may still be on its way"
