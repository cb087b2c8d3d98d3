"""What a script makes of a conversation: the items so far in, the next step out.

There is no state but the conversation. Every answer begins from its first item, so nothing is lost
when an engine restarts, and two engines with the same script answer alike. What costs time, the
matching of patterns, is remembered: an older turn then costs microseconds.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.control import (
    DELEGATE_TOOL,
    HANDOFF_TOOL,
    HANGUP_TOOL,
    TaskReport,
    read_task_report,
)
from models.llm.dialogue.matching import Match, match
from models.llm.dialogue.script import Agent, Rule, Script, Variants
from models.llm.dialogue.state import (
    Called,
    Pending,
    State,
    Step,
    arguments_of,
    ends_with,
    escalated,
    handed_to,
    started_task,
    unsaid,
    variant,
)
from models.llm.dialogue.template import parsed
from models.llm.dialogue.words import Token, tokens

REMEMBERED = 2048
"""Utterances whose matches are remembered."""

PENDING_BONUS = 0.75
"""What an answer to an open question counts more than a rule that fits as well."""

Fit = tuple[Rule, Match]


@attrs.define
class Dialogue:
    """A script, and the matches it has found. Answers depend on the arguments alone."""

    script: Script
    _fits: dict[tuple[str, str], tuple[Fit, ...]] = attrs.field(factory=dict, init=False)

    def answer(self, context: Sequence[Item], agent: str = "") -> Step:
        """What `agent` says and does after `context`.

        Args:
            agent: "" is who has the floor.
        Raises:
            KeyError: the script knows no such agent.
        """
        state = self.replay(context, agent)
        if state.settled:
            return Step(variant(state.agent.silence, state.turn, state) or "")
        if state.interrupted and state.unsaid:
            return Step(state.unsaid)  # nothing was said over the agent after all
        return state.step

    def replay(self, context: Sequence[Item], agent: str = "") -> State:
        """Where `context` has led.

        Raises:
            KeyError: the script knows no such agent.
        """
        state = self.opening(agent)
        if agent and any(isinstance(i, ToolCalled) and i.name == HANDOFF_TOOL for i in context):
            state = self.opening(self.script.entry)
        for item in context:
            state = self.after(state, item)
        if agent and agent != state.agent.name:
            state = self._arrive(state, self.script.agents[agent])
        return state

    def opening(self, agent: str = "") -> State:
        """Before anything was said."""
        who = self.script.agents[agent or self.script.entry]
        state = State(who, Step(""))
        return _saying(state, Step(variant(who.greeting, 0, state) or ""))

    def after(self, state: State, item: Item) -> State:
        """Where one more item leads."""
        match item:
            case UserSaid():
                return self._heard(state, item)
            case AgentSaid():
                return self._spoke(state, item)
            case ToolCalled():
                return _called(state, item)
            case ToolAnswered():
                return self._answered(state, item)
            case Instruction():
                report = read_task_report(item)
                return state if report is None else self._reported(state, report)

    # -- what happened -----------------------------------------------------------------------

    def _heard(self, state: State, item: UserSaid) -> State:
        state = attrs.evolve(
            state,
            heard=item.text,
            turn=item.turn,
            planned="",
            spoken=False,
            settled=False,
            handed=False,
        )
        state = self._react(state, handoffs=True)
        rule = state.step.rule
        # "Wait." "Sure." "Go on.": what was cut off is not forgotten in between.
        kept = rule is None or rule.interrupted is True
        return attrs.evolve(state, interrupted=False, unsaid=state.unsaid if kept else "")

    def _spoke(self, state: State, item: AgentSaid) -> State:
        speaker = self.script.agents.get(item.agent)
        if speaker is not None and speaker is not state.agent and not state.handed:
            state = self._arrive(state, speaker)
        if item.interrupted:
            rest = unsaid(state.planned, item.text) or unsaid(state.step.text, item.text)
            return attrs.evolve(state, interrupted=True, unsaid=rest, spoken=True, settled=False)
        # What was said before a tool call may be told after the tool's answer: the answer is owed.
        told = bool(state.step.text) and ends_with(state.planned, item.text)
        settled = told and not state.step.tool
        return attrs.evolve(state, interrupted=False, spoken=True, settled=settled)

    def _answered(self, state: State, item: ToolAnswered) -> State:
        called = state.calls.get(item.id)
        if called is None:
            return state
        if called.name == HANDOFF_TOOL and not item.failed:
            target = handed_to(self.script, called.arguments)
            if target is not None:
                return self._arrive(attrs.evolve(state, handed=True), target)
        late = called.turn != state.turn  # the user has said something else meanwhile
        if late and item.failed:
            return state
        task = started_task(item.output) if called.name == DELEGATE_TOOL else None
        if task is not None and not item.failed:
            state = attrs.evolve(state, tasks={**state.tasks, task: called})
            waiting = variant(called.rule.waiting, state.turn, state) if called.rule else None
            step = Step(_with_question(state, waiting or ""), rule=called.rule)
            return state if late else _saying(state, step)
        after = self._outcome(state, called, item.output, item.failed)
        return _also(after, state.step) if late and not state.spoken else after

    def _reported(self, state: State, report: TaskReport) -> State:
        called = state.tasks.get(report.task)
        if called is None:
            called = Called(DELEGATE_TOOL, "{}", None, state.turn)
        tasks = {id: task for id, task in state.tasks.items() if id != report.task}
        state = attrs.evolve(state, tasks=tasks, interrupted=False, unsaid="", planned="")
        after = self._outcome(state, called, report.output, report.failed)
        late = called.turn != state.turn
        return _also(after, state.step) if late and not state.spoken else after

    def _outcome(self, state: State, called: Called, output: str, failed: bool) -> State:
        """A tool's work is done: say what came of it."""
        if not failed:
            state = attrs.evolve(state, outputs={**state.outputs, called.name: output})
        rule = called.rule
        text = _of_outcome(state, rule, output, failed)
        if rule is not None and not failed:
            state = _forgetting(state, rule)
        return _saying(state, Step(_with_question(state, text), rule=rule))

    # -- what to do about it -----------------------------------------------------------------

    def _arrive(self, state: State, agent: Agent) -> State:
        """The floor is `agent`'s: it introduces itself, and sees to what the user said last."""
        state = attrs.evolve(state, agent=agent, pending=None, misses=0, settled=False)
        if not state.heard:
            return _saying(state, Step(variant(agent.greeting, 0, state) or ""))
        hello = variant(agent.arrival, state.turn, state) or ""
        state = attrs.evolve(state, planned="")
        # Without handoffs of its own: two who each know somebody better would never come to rest.
        reacted = self._react(state, handoffs=False)
        if reacted.misses:
            offer = variant(agent.offer, state.turn, state) or ""
            return _saying(state, Step(_joined(hello, offer)))
        step = attrs.evolve(reacted.step, text=_joined(hello, reacted.step.text))
        return attrs.evolve(reacted, step=step, planned=step.text)

    def _react(self, state: State, *, handoffs: bool) -> State:
        heard = tokens(state.heard)
        best = self._best(state, handoffs)
        pending = state.pending
        filled = _filled(pending, state, heard)
        enough = 0.0 if best is None else best[1].score - PENDING_BONUS
        if pending is not None and filled is not None and filled.score >= enough:
            state = attrs.evolve(state, slots={**state.slots, **filled.slots}, misses=0)
            return self._begin(attrs.evolve(state, pending=None), pending.rule)
        if best is not None:
            rule, found = best
            state = attrs.evolve(state, slots={**state.slots, **found.slots}, misses=0)
            return self._begin(state, rule)
        if pending is not None:
            return self._ask(state, pending.rule, pending.slot, pending.asked)
        text = escalated(state.agent.fallback, state.misses, state) or ""
        return _saying(attrs.evolve(state, misses=state.misses + 1), Step(text))

    def _begin(self, state: State, rule: Rule) -> State:
        """A rule is chosen: ask for what it needs, or do it."""
        sets = {name: value.fill(state.slots, state.outputs) for name, value in rule.sets.items()}
        known = {name: value for name, value in sets.items() if value is not None}
        state = attrs.evolve(state, slots={**state.slots, **known})
        for slot in rule.needs:
            if slot not in state.slots:
                return self._ask(state, rule, slot, 0)
        call = rule.call
        leaves = call is not None and call.tool in (HANDOFF_TOOL, HANGUP_TOOL)
        if rule.abandon or leaves or (state.pending and state.pending.rule is rule):
            state = attrs.evolve(state, pending=None)
        text = variant(rule.say, state.turn, state) or ""
        if rule.resume:
            text = _joined(text, state.unsaid)
        elif state.interrupted and rule.interrupted is None:
            text = _joined(variant(state.agent.interrupted, state.turn, state) or "", text)
        if call is not None:
            arguments = arguments_of(call, state, self.script.numbers)
            return _saying(state, Step(text, call.tool, arguments, rule))
        state = _forgetting(state, rule)
        return _saying(state, Step(_with_question(state, text), rule=rule))

    def _ask(self, state: State, rule: Rule, slot: str, asked: int) -> State:
        text = escalated(state.agent.asks[slot].say, asked, state) or ""
        state = attrs.evolve(state, pending=Pending(rule, slot, asked + 1))
        return _saying(state, Step(text))

    # -- which rule --------------------------------------------------------------------------

    def _best(self, state: State, handoffs: bool) -> Fit | None:
        """The rule that fits best; of two that fit as well, the first in the script."""
        best: Fit | None = None
        for rule, found in self._matches(state.agent, state.heard):
            if best is not None and found.score <= best[1].score:
                continue
            if not handoffs and rule.call is not None and rule.call.tool == HANDOFF_TOOL:
                continue
            if _applies(rule, state, found):
                best = (rule, found)
        return best

    def _matches(self, agent: Agent, text: str) -> tuple[Fit, ...]:
        key = (agent.name, text)
        known = self._fits.get(key)
        if known is None:
            heard = tokens(text)
            found = (
                (rule, fit)
                for rule in agent.rules
                for pattern in rule.patterns
                if (fit := match(pattern, heard)) is not None
            )
            known = tuple(found)
            if len(self._fits) >= REMEMBERED:
                self._fits.pop(next(iter(self._fits)))  # the oldest
            self._fits[key] = known
        return known


def _applies(rule: Rule, state: State, found: Match) -> bool:
    """Do the rule's conditions hold, and can it say something?"""
    if rule.interrupted is not None and rule.interrupted is not state.interrupted:
        return False
    if rule.resume and not state.unsaid:
        return False
    if not all(condition.holds(state.slots) for condition in rule.when):
        return False
    known = {*state.slots, *found.slots, *rule.needs, *rule.sets}
    return not rule.say or any(
        all(path in known or path.split(".")[0] in state.outputs for path in template.paths)
        for template in rule.say
    )


def _called(state: State, item: ToolCalled) -> State:
    """A tool was called: by the rule that wanted to, or by another model before this one."""
    step = state.step
    rule = step.rule if step.tool == item.name else None
    if rule is not None:
        step = attrs.evolve(step, tool="")  # that is done, and not to be done again
    called = Called(item.name, item.arguments, rule, state.turn)
    calls = {**state.calls, item.id: called}
    return attrs.evolve(state, step=step, calls=calls, settled=False)


def _of_outcome(state: State, rule: Rule | None, output: str, failed: bool) -> str:
    """What is said about what a tool has answered."""
    if not failed and rule is None and isinstance(parsed(output), str):
        return output  # nobody in the script asked for it, so nobody knows better words
    if not failed and rule is not None and not rule.answers:
        return ""
    extra = {"error": output} if failed else {}
    ways: tuple[Variants, ...] = (state.agent.unavailable,)
    if rule is not None:
        ways = (rule.failed, *ways) if failed else (rule.answers, rule.failed, *ways)
    known = (variant(way, state.turn, state, extra) for way in ways)
    return next((text for text in known if text is not None), "")


def _filled(pending: Pending | None, state: State, heard: Sequence[Token]) -> Match | None:
    if pending is None:
        return None
    fits = (match(pattern, heard) for pattern in state.agent.asks[pending.slot].patterns)
    found = [fit for fit in fits if fit is not None]
    return max(found, key=lambda fit: fit.score, default=None)


def _forgetting(state: State, rule: Rule) -> State:
    kept = {name: value for name, value in state.slots.items() if name not in rule.forget}
    return attrs.evolve(state, slots=kept)


def _with_question(state: State, text: str) -> str:
    """`text`, and the question that is still open: the user asked something else meanwhile."""
    if state.pending is None:
        return text
    ask = state.agent.asks.get(state.pending.slot)
    return _joined(text, variant(ask.say, 0, state) or "") if ask is not None else text


def _also(state: State, step: Step) -> State:
    """What the agent is about to say, and then `step`, which has not had its turn yet."""
    first = state.step.text
    repeated = bool(step.text) and first.endswith(step.text)  # the open question
    both = attrs.evolve(step, text=first if repeated else _joined(first, step.text))
    return attrs.evolve(state, step=both, planned=both.text)


def _joined(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _saying(state: State, step: Step) -> State:
    planned = _joined(state.planned, step.text)
    return attrs.evolve(state, step=step, planned=planned, settled=False)
