"""Does a script hold together? What it names must be there, and what it says must be known."""

from __future__ import annotations

from collections.abc import Iterator

from models.llm.control import DELEGATE_TOOL, HANDOFF_TOOL
from models.llm.dialogue.script import Agent, Rule, Script, Variants
from models.llm.dialogue.tables import ScriptFault, meant
from models.llm.dialogue.template import Template


def check(script: Script) -> list[ScriptFault]:
    """What is wrong with `script` as a whole."""
    return [fault for agent in script.agents.values() for fault in _Check(script, agent).faults()]


class _Check:
    """The checks of one agent."""

    def __init__(self, script: Script, agent: Agent) -> None:
        self._script = script
        self._agent = agent
        self._slots = sorted(_slots(script))
        self._tools = sorted(_tools(script))

    def faults(self) -> Iterator[ScriptFault]:
        agent = self._agent
        place = f"agents.{agent.name}"
        for name, variants in _sayings(agent):
            yield from self._said(f"{place}.{name}", variants)
        for slot, ask in agent.asks.items():
            where = f"{place}.asks.{slot}"
            yield from self._said(where, ask.say)
            if not all(slot in pattern.slots for pattern in ask.patterns):
                yield ScriptFault(where, f"each pattern must have {{{slot}}}; add it")
        seen: set[str] = set()
        for rule in agent.rules:
            where = f"{place}.rules.{rule.id}"
            if rule.id in seen:
                yield ScriptFault(where, "there are two rules of this id; rename one")
            seen.add(rule.id)
            yield from self._rule(where, rule)

    def _rule(self, where: str, rule: Rule) -> Iterator[ScriptFault]:
        yield from self._said(where, rule.say + rule.waiting + rule.answers)
        yield from self._said(where, rule.failed, "error")
        yield from self._said(where, tuple(rule.sets.values()))
        for slot in (*rule.forget, *(condition.slot for condition in rule.when)):
            if slot not in self._slots:
                yield ScriptFault(where, f"no pattern has {{{slot}}}; {meant(slot, self._slots)}")
        for slot in rule.needs:
            if slot not in self._agent.asks:
                question = f"[agents.{self._agent.name}.asks.{slot}]"
                yield ScriptFault(where, f"needs '{slot}', which nobody asks for; write {question}")
        yield from self._call(where, rule)

    def _call(self, where: str, rule: Rule) -> Iterator[ScriptFault]:
        call = rule.call
        if call is None:
            for name, said in (("answers", rule.answers), ("failed", rule.failed)):
                if said:
                    yield ScriptFault(where, f"has {name}, but no call; add one or remove them")
        if rule.waiting and (call is None or call.tool != DELEGATE_TOOL):
            yield ScriptFault(where, "has waiting, but delegates nothing; use answers")
        if call is None:
            return
        templates = tuple(t for t in call.arguments.values() if isinstance(t, Template))
        yield from self._said(where, templates)
        for tool, argument, known in (
            (HANDOFF_TOOL, "agent", list(self._script.agents)),
            (DELEGATE_TOOL, "worker", list(self._script.workers)),
        ):
            target = call.arguments.get(argument) if call.tool == tool else None
            if isinstance(target, Template) and not target.paths and target.source not in known:
                remedy = meant(target.source, known)
                yield ScriptFault(where, f"there is no {argument} '{target.source}'; {remedy}")

    def _said(self, where: str, said: Variants, *extra: str) -> Iterator[ScriptFault]:
        known = [*self._slots, *self._tools, *extra]
        for template in said:
            for path in template.paths:
                if path.split(".")[0] not in known:
                    yield ScriptFault(
                        where, f"nothing gives {{{path}}} a value; {meant(path, known)}"
                    )


def _sayings(agent: Agent) -> tuple[tuple[str, Variants], ...]:
    return (
        ("greeting", agent.greeting),
        ("arrival", agent.arrival),
        ("offer", agent.offer),
        ("fallback", agent.fallback),
        ("interrupted", agent.interrupted),
        ("unavailable", agent.unavailable),
        ("silence", agent.silence),
    )


def _slots(script: Script) -> set[str]:
    """All that patterns keep and rules set: what is known stays known across a handoff."""
    found: set[str] = set()
    for agent in script.agents.values():
        for ask in agent.asks.values():
            found.update(*(pattern.slots for pattern in ask.patterns))
        for rule in agent.rules:
            found.update(rule.sets, *(pattern.slots for pattern in rule.patterns))
    return found


def _tools(script: Script) -> set[str]:
    rules = (rule for agent in script.agents.values() for rule in agent.rules)
    return {rule.call.tool for rule in rules if rule.call is not None}
