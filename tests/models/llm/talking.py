"""A conversation with a script, as an agent would have it: tools are run, floors handed over."""

from __future__ import annotations

import json
from collections.abc import Callable

from models.conversation import AgentSaid, Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.control import HANDOFF_TOOL
from models.llm.dialogue import Dialogue, Script, Step

Tools = Callable[[str, str], str]


def no_tools(name: str, arguments: str) -> str:
    raise ValueError(f"nobody expected {name}({arguments})")


class Talk:
    """Says things to a script and keeps the history."""

    def __init__(self, script: Script, tools: Tools = no_tools) -> None:
        self.dialogue = Dialogue(script)
        self.context: list[Item] = []
        self.agent = script.entry
        self.steps: list[Step] = []
        self._tools = tools
        self._turn = 0

    def say(self, text: str) -> str:
        """All that is answered to `text`, after all tools."""
        self._turn += 1
        self.context.append(UserSaid(text, self._turn))
        return self.go_on()

    def go_on(self) -> str:
        texts: list[str] = []
        for _ in range(8):
            step = self.dialogue.answer(self.context, self.agent)
            self.steps.append(step)
            if step.text:
                texts.append(step.text)
                self.context.append(AgentSaid(step.text, self._turn, self.agent))
            if not step.tool:
                return " ".join(texts)
            self._call(step)
        raise AssertionError(f"they never come to rest: {texts}")

    def _call(self, step: Step) -> None:
        id = f"call-{len(self.context)}"
        self.context.append(ToolCalled(id, step.tool, step.arguments, self._turn))
        if step.tool == HANDOFF_TOOL:
            self.agent = json.loads(step.arguments)["agent"]
            self.context.append(ToolAnswered(id, "{}", turn=self._turn))
            return
        try:
            output, failed = self._tools(step.tool, step.arguments), False
        except ValueError as error:
            output, failed = str(error), True
        self.context.append(ToolAnswered(id, output, failed, self._turn))

    def interrupt(self, heard: int) -> None:
        """The user heard only so many words of the last answer."""
        last = self.context[-1]
        assert isinstance(last, AgentSaid)
        text = " ".join(last.text.split()[:heard])
        self.context[-1] = AgentSaid(text, last.turn, last.agent, interrupted=True)
