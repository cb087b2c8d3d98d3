"""A script: who talks, what they understand, what they say and do. `reading.py` reads it from TOML.

A script is a value. What it does with a conversation is in `dialogue.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from models.llm.dialogue.pattern import Pattern
from models.llm.dialogue.slots import Kind
from models.llm.dialogue.template import Template

Variants = tuple[Template, ...]
"""Ways to say the same: one is chosen by the number of the turn."""


@attrs.frozen
class Call:
    """A tool that a rule calls."""

    tool: str
    arguments: Mapping[str, Template | int | float | bool]


@attrs.frozen
class Condition:
    """What must be known of a slot."""

    slot: str
    wanted: str | bool
    """True: known. False: not known. A text: it has this value."""

    def holds(self, slots: Mapping[str, str]) -> bool:
        """Is it so?"""
        if isinstance(self.wanted, bool):
            return (self.slot in slots) is self.wanted
        return slots.get(self.slot) == self.wanted


@attrs.frozen
class Rule:
    """What is said and done when one of the patterns fits."""

    id: str
    patterns: tuple[Pattern, ...]
    say: Variants = ()
    """Said first; then the call is made."""
    when: tuple[Condition, ...] = ()
    interrupted: bool | None = None
    """True: only if the user cut the agent short just before; False: only if not."""
    needs: tuple[str, ...] = ()
    """Slots that are asked for before anything is said or done."""
    sets: Mapping[str, Template] = attrs.field(factory=dict)
    call: Call | None = None
    waiting: Variants = ()
    """Said when delegated work has begun."""
    answers: Variants = ()
    """Said when the tool has answered."""
    failed: Variants = ()
    """Said when it could not."""
    forget: tuple[str, ...] = ()
    """Slots that are not known any more once the rule is done."""
    abandon: bool = False
    """The question that is open is given up."""
    resume: bool = False
    """Says what was left unsaid when the agent was interrupted; fits only if there is something."""


@attrs.frozen
class Ask:
    """How a slot is asked for."""

    say: Variants
    """The first time, the second time, and so on; the last one as often as it takes."""
    patterns: tuple[Pattern, ...]
    """What the answer may look like; if the script does not say, the value and nothing else."""


@attrs.frozen
class Agent:
    """One character."""

    name: str
    purpose: str
    instructions: str
    greeting: Variants
    """Said when nobody has said anything yet."""
    arrival: Variants
    """Said first when a colleague hands over."""
    offer: Variants
    """Said after it if nothing the user said so far is this agent's."""
    fallback: Variants
    """Said when nothing fits: the first time, the second time in a row, and so on."""
    interrupted: Variants
    """Said before an answer to who interrupted."""
    unavailable: Variants
    """Said when a tool failed and the rule knows nothing better."""
    silence: Variants
    """Said when the agent is to speak, and has answered already."""
    asks: Mapping[str, Ask]
    rules: tuple[Rule, ...]
    """Its own, then those for all."""

    def rule(self, id: str) -> Rule:
        """The rule of this name.

        Raises:
            KeyError: there is none.
        """
        for rule in self.rules:
            if rule.id == id:
                return rule
        raise KeyError(id)


@attrs.frozen
class Script:
    """A team of agents."""

    name: str
    entry: str
    """Who answers first."""
    agents: Mapping[str, Agent]
    kinds: Mapping[str, Kind]
    workers: Mapping[str, str] = attrs.field(factory=dict)
    """Who work can be delegated to, and what they do."""
    numbers: frozenset[str] = frozenset()
    """Slots that are always numbers: a tool gets them as JSON numbers."""
