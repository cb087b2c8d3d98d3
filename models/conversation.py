"""What was said and done in a conversation, as the values that history consists of.

History holds what was *heard*: an agent's item is committed with the words that were played, and
nothing else. Items are appended and never changed.
"""

from __future__ import annotations

import attrs


@attrs.frozen
class UserSaid:
    """A user's turn, as it was understood."""

    text: str
    turn: int
    at: float = 0.0
    """When its last speech ended: the node's seconds."""
    leg: str = ""
    """Who said it, where several people are in the call."""


@attrs.frozen
class AgentSaid:
    """What an agent said and the user heard."""

    text: str
    turn: int
    agent: str = ""
    interrupted: bool = False
    """The user cut it short; the text ends with the last word that was played whole."""
    at: float = 0.0


@attrs.frozen
class ToolCalled:
    """An agent's model asked for a tool. Each has exactly one `ToolAnswered`."""

    id: str
    name: str
    arguments: str
    """A JSON object."""
    turn: int = 0


@attrs.frozen
class ToolAnswered:
    """What came of a tool call."""

    id: str
    output: str
    failed: bool = False
    """It is an error, or "cancelled"."""
    turn: int = 0


@attrs.frozen
class Instruction:
    """What the system tells the model: the agent's instructions, a note about an interruption."""

    text: str


Item = UserSaid | AgentSaid | ToolCalled | ToolAnswered | Instruction
