"""OpenAI's chat format, both ways, as pure functions: a conversation in, an answer out.

Made for the many servers that speak it with an accent of their own: calls without an index or an
id, several calls under one index, `stop` after tool calls, usage in a chunk of its own.
Source: OpenAI API reference, "Create chat completion" and "The chat completion chunk object".
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any

import attrs
import orjson

from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, ToolCalled, UserSaid
from models.faults import FaultKind
from models.llm.protocol import Finish, Tool, Usage
from models.llm.thinking import ThinkFilter
from models.net.faults import ProviderFault, code_of, garbled

NO_ANSWER = "error: this call was never answered"
"""What a tool call without an answer is answered with: the API accepts no call without."""

LONGEST_ANSWER = 1 << 20
"""Characters of text and tool calls together. A model that does not stop is stopped."""

MOST_CALLS = 128

Message = dict[str, Any]


def to_messages(context: Sequence[Item], system_role: str = "system") -> list[Message]:
    """The conversation as the API wants it.

    All instructions become one first message. Each group of tool calls is followed at once by its
    answers, in order: one that comes later is moved there, a missing one is made up, and an answer
    to nothing is left out. Neighbours of one role are merged: many a server insists on turns.
    """
    instructions = [item.text for item in context if isinstance(item, Instruction) and item.text]
    messages: list[Message] = []
    if instructions:
        messages.append({"role": system_role, "content": "\n\n".join(instructions)})
    answers = _answers(context)
    group: list[ToolCalled] = []
    for item in context:
        if isinstance(item, ToolCalled):
            group.append(item)
            continue
        if isinstance(item, Instruction):
            continue
        _add_calls(messages, group, answers)
        group = []
        if isinstance(item, UserSaid):
            _add_text(messages, "user", item.text, item.leg)
        elif isinstance(item, AgentSaid):
            _add_text(messages, "assistant", item.text)
    _add_calls(messages, group, answers)
    return messages


def _answers(context: Iterable[Item]) -> dict[str, deque[ToolAnswered]]:
    """The answers by the id of their call; servers that count from 0 each time repeat ids."""
    answers: dict[str, deque[ToolAnswered]] = {}
    for item in context:
        if isinstance(item, ToolAnswered):
            answers.setdefault(item.id, deque()).append(item)
    return answers


def _add_text(messages: list[Message], role: str, text: str, speaker: str = "") -> None:
    if not text.strip():
        return
    name = re.sub(r"[^A-Za-z0-9_-]", "_", speaker)[:64]
    last = messages[-1] if messages else {}
    if last.get("role") == role and last.get("name", "") == name and "tool_calls" not in last:
        last["content"] += f"\n{text}"
        return
    messages.append({"role": role, "content": text, **({"name": name} if name else {})})


def _add_calls(
    messages: list[Message], group: list[ToolCalled], answers: dict[str, deque[ToolAnswered]]
) -> None:
    if not group:
        return
    last = messages[-1] if messages else {}
    if last.get("role") != "assistant":
        last = {"role": "assistant", "content": None}
        messages.append(last)
    last["tool_calls"] = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": _json_object(call.arguments)},
        }
        for call in group
    ]
    for call in group:
        waiting = answers.get(call.id)
        output = waiting.popleft().output if waiting else NO_ANSWER
        messages.append({"role": "tool", "tool_call_id": call.id, "content": output})


def _json_object(arguments: str) -> str:
    """The arguments of a call; what the model got wrong then, it is shown as it was."""
    try:
        if isinstance(orjson.loads(arguments), dict):
            return arguments
    except orjson.JSONDecodeError:
        pass
    return orjson.dumps({"raw": arguments}).decode()


def to_tools(tools: Sequence[Tool]) -> list[Message]:
    """The tools as the API wants them.

    Raises:
        ProviderFault: REJECTED, the parameters of one are no JSON object.
    """
    return [
        {
            "type": "function",
            "function": {
                "name": tool.name,
                "description": tool.description,
                "parameters": _schema(tool),
            },
        }
        for tool in tools
    ]


def _schema(tool: Tool) -> object:
    try:
        schema = orjson.loads(tool.parameters)
    except orjson.JSONDecodeError:
        schema = None
    if not isinstance(schema, dict):
        detail = f"the parameters of tool {tool.name} are no JSON object"
        raise ProviderFault(FaultKind.REJECTED, detail)
    return schema


@attrs.define
class CallParts:
    """A tool call that comes in pieces."""

    id: str
    name: str = ""
    arguments: str = ""


_FINISHES = {
    "stop": Finish.STOP,
    "tool_calls": Finish.TOOLS,
    "function_call": Finish.TOOLS,
    "length": Finish.LENGTH,
    "content_filter": Finish.FILTERED,
}


@attrs.define
class Answer:
    """A streamed answer, put together chunk by chunk."""

    done: bool = False
    """`[DONE]` came: nothing follows."""
    usage: Usage = attrs.field(factory=Usage)
    _finish: Finish | None = None
    _think: ThinkFilter = attrs.field(factory=ThinkFilter)
    _calls: list[CallParts] = attrs.field(factory=list)
    _by_index: dict[int, CallParts] = attrs.field(factory=dict)
    _size: int = 0
    _useful: bool = False
    _begun: bool = False

    def feed(self, data: str) -> tuple[str, bool]:
        """One event of the stream: text to be said, and whether it was of any use.

        A chunk is useful if it says something, calls something or ends something: thoughts and
        empty chunks keep nobody waiting who listens for a voice.

        Raises:
            ProviderFault: it reports an error, or is no chunk of a completion.
        """
        self._begun = True
        if data.strip() == "[DONE]":
            self.done = True
            return "", True
        chunk = _parsed(data)
        self._useful = False
        try:
            text = self._chunk(chunk)
        except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
            raise garbled("not a chunk of a chat completion") from error
        return text, self._useful

    def finish(self) -> tuple[str, list[CallParts], Finish]:
        """The stream is over: the rest of its text, its tool calls, and why it ended.

        Raises:
            ProviderFault: it ended in the middle, or was none.
        """
        if self._finish is None and not self._begun:
            raise garbled("no stream of events")
        if self._finish is None and not self.done:
            raise ProviderFault(FaultKind.UNAVAILABLE, "the answer was cut short")
        finish = self._finish or Finish.STOP
        calls = [call for call in self._calls if call.name]
        if finish in (Finish.LENGTH, Finish.FILTERED):
            calls = [call for call in calls if _is_object(call.arguments)]  # the others are cut off
        elif calls:
            finish = Finish.TOOLS  # some servers say "stop" after tool calls
        elif finish is Finish.TOOLS:
            finish = Finish.STOP
        return self._think.finish(), calls, finish

    def _chunk(self, chunk: dict[str, Any]) -> str:
        if chunk.get("usage"):
            self.usage = _usage(chunk["usage"])
        choices = chunk.get("choices") or []
        if not choices:
            return ""
        choice = choices[0]
        delta = choice.get("delta") or {}
        content = delta.get("content") or ""
        text = self._think.feed(self._bounded(content)) if content else ""
        for part in delta.get("tool_calls") or []:
            self._call_part(part)
        reason = choice.get("finish_reason")
        if reason:
            self._finish = _FINISHES.get(reason, Finish.STOP)
        self._useful = bool(text or delta.get("tool_calls") or reason)
        return text

    def _call_part(self, part: dict[str, Any]) -> None:
        index, id_, function = part.get("index"), part.get("id") or "", part.get("function") or {}
        call = self._by_index.get(index) if isinstance(index, int) else self._latest()
        if call is None or (id_ and call.id and id_ != call.id):
            # Another id under the same index is another call: some servers number them all 0.
            if len(self._calls) >= MOST_CALLS:
                raise garbled(f"more than {MOST_CALLS} tool calls")
            call = CallParts(id_)
            self._calls.append(call)
            if isinstance(index, int):
                self._by_index[index] = call
        call.id = call.id or id_
        call.name = call.name or self._bounded(function.get("name") or "")
        arguments = function.get("arguments") or ""
        if isinstance(arguments, dict):  # as one family of local servers has it
            arguments = orjson.dumps(arguments).decode()
        call.arguments += self._bounded(arguments)

    def _latest(self) -> CallParts | None:
        return self._calls[-1] if self._calls else None

    def _bounded(self, text: str) -> str:
        if not isinstance(text, str):
            raise TypeError(f"text is a str, not {type(text).__name__}")
        self._size += len(text)
        if self._size > LONGEST_ANSWER:
            raise garbled(f"an answer of more than {LONGEST_ANSWER} characters")
        return text


def _parsed(data: str) -> dict[str, Any]:
    try:
        chunk = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise garbled("an event that is not JSON") from None
    if not isinstance(chunk, dict):
        raise garbled("an event that is no object")
    if chunk.get("error"):
        raise _reported(chunk)
    return chunk


def _reported(chunk: dict[str, Any]) -> ProviderFault:
    """An error that comes where the answer should: the status was 200 by then."""
    error = chunk["error"]
    code = error.get("code") if isinstance(error, dict) else None
    kind = FaultKind.UNAVAILABLE
    if code == 429 or code_of(chunk) in ("rate_limit_exceeded", "rate_limit_error"):
        kind = FaultKind.RATE_LIMITED
    elif isinstance(code, int) and 400 <= code < 500:
        kind = FaultKind.REJECTED
    return ProviderFault(kind, f"error in the stream: {code_of(chunk) or code or 'unnamed'}")


def _usage(usage: dict[str, Any]) -> Usage:
    details = usage.get("prompt_tokens_details") or {}
    return Usage(
        prompt=int(usage.get("prompt_tokens") or 0),
        completion=int(usage.get("completion_tokens") or 0),
        cached=int(details.get("cached_tokens") or 0),
    )


def _is_object(arguments: str) -> bool:
    try:
        return isinstance(orjson.loads(arguments or "{}"), dict)
    except orjson.JSONDecodeError:
        return False
