"""What a dialogue knows at one point of a conversation. All of it follows from the items so far."""

from __future__ import annotations

import json
from collections.abc import Mapping

import attrs

from models.llm.dialogue.script import Agent, Call, Rule, Script
from models.llm.dialogue.template import Template, parsed


@attrs.frozen
class Step:
    """What the agent says, and then does."""

    text: str
    tool: str = ""
    """The tool that is called; "" is none."""
    arguments: str = "{}"
    rule: Rule | None = None
    """Where it comes from; None: a greeting, a fallback, and their like."""


@attrs.frozen
class Pending:
    """A question that is open."""

    rule: Rule
    """What goes on once it is answered."""
    slot: str
    asked: int = 1
    """How often."""


@attrs.frozen
class Called:
    """A tool call, and the rule that made it."""

    name: str
    arguments: str
    rule: Rule | None
    turn: int
    """The user's turn that it was made in."""


@attrs.frozen
class State:
    """A point of a conversation."""

    agent: Agent
    step: Step
    """What the agent does about the newest of what happened."""
    turn: int = 0
    heard: str = ""
    """The user's last words."""
    slots: Mapping[str, str] = attrs.field(factory=dict)
    pending: Pending | None = None
    misses: int = 0
    """Turns in a row that nothing fitted."""
    planned: str = ""
    """All that was to be said since the user's last words."""
    spoken: bool = False
    """The agent has spoken since."""
    settled: bool = False
    """It has said all it had to say, and the user heard it."""
    interrupted: bool = False
    """The agent was cut short, and the user has said nothing since."""
    unsaid: str = ""
    """What was cut off."""
    handed: bool = False
    """The floor was handed over since the user's last words."""
    calls: Mapping[str, Called] = attrs.field(factory=dict)
    outputs: Mapping[str, str] = attrs.field(factory=dict)
    """What tools answered last, by their names."""
    tasks: Mapping[str, Called] = attrs.field(factory=dict)
    """Delegated work under way, by its id."""


def variant(
    variants: tuple[Template, ...],
    number: int,
    state: State,
    extra: Mapping[str, str] | None = None,
) -> str | None:
    """The variant of this number, counted round, of those whose values are all known."""
    values = {**state.slots, **(extra or {})}
    known = [template.fill(values, state.outputs) for template in variants]
    usable = [text for text in known if text is not None]
    return usable[number % len(usable)] if usable else None


def escalated(variants: tuple[Template, ...], number: int, state: State) -> str | None:
    """The variant of this number, or the last one."""
    return variant(variants, min(number, len(variants) - 1), state) if variants else None


def arguments_of(call: Call, state: State, numbers: frozenset[str]) -> str:
    """The arguments of a call as JSON; those whose values are not known are left out."""
    found: dict[str, object] = {}
    for name, given in call.arguments.items():
        if not isinstance(given, Template):
            found[name] = given
            continue
        text = given.fill(state.slots, state.outputs)
        if text is not None:
            # "{nights}" and nothing else is the number itself; "{nights} nights" is a text.
            number = given.source.strip("{}") in numbers and text.isdecimal()
            found[name] = int(text) if number else text
    return json.dumps(found)


def unsaid(planned: str, heard: str) -> str:
    """What of `planned` was not heard, from the start of the sentence that was cut.

    "" if what was heard is not how it begins: then somebody else chose the words.
    """
    words = planned.split()
    known = [_bare(word) for word in heard.split()]
    count = len(known)
    if [_bare(word) for word in words[:count]] != known:
        return ""
    while count and not words[count - 1].endswith((".", "!", "?")):
        count -= 1
    return " ".join(words[count:])


def ends_with(planned: str, heard: str) -> bool:
    """Was the end of `planned` heard?"""
    known = [_bare(word) for word in heard.split()]
    return bool(known) and [_bare(word) for word in planned.split()][-len(known) :] == known


def _bare(word: str) -> str:
    # Words may lose their punctuation on the way through a voice.
    return word.strip(".,;:!?\"'").lower()


def started_task(output: str) -> str | None:
    """The id of the task that a `delegate` call was answered with, or None: it is the result."""
    match parsed(output):
        case {"status": "started", "task": str(task)}:
            return task
    return None


def handed_to(script: Script, arguments: str) -> Agent | None:
    """Who a `handoff` call passes the floor to, or None: the script knows no such agent."""
    match parsed(arguments):
        case {"agent": str(name)}:
            return script.agents.get(name)
    return None
