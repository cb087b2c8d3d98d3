"""What the agent tells the session, and asks it."""

from __future__ import annotations

import attrs

from models.conversation import Item
from models.faults import ModelFault
from supervision import Request


@attrs.frozen
class AgentHere:
    """The agent runs (again): what it was thinking is lost."""


@attrs.frozen
class Token:
    """The answer's first text is there."""

    epoch: int


@attrs.frozen
class AnswerEnds:
    """No more text of it comes; this was all."""

    epoch: int
    text: str


@attrs.frozen
class AdmitTool(Request[bool]):
    """May this tool start?"""

    epoch: int
    call: str


@attrs.frozen
class Record:
    """This was done, and belongs to history."""

    epoch: int
    item: Item


@attrs.frozen
class ChangeAgent:
    """Another agent goes on."""

    epoch: int
    name: str
    reason: str


@attrs.frozen
class WantFloor:
    """It has something to say by itself."""

    reason: str
    note: Item | None = None
    """What it is about, for history."""


@attrs.frozen
class WantEnd:
    """It wants to end the call, once what it says is said."""

    epoch: int
    reason: str


@attrs.frozen
class ToolNews:
    """For whoever looks on."""

    id: str
    name: str
    state: str
    detail: str = ""


@attrs.frozen
class ModelFailed:
    """A model could not go on; another one is tried."""

    epoch: int
    fault: ModelFault
    given_up: bool


FromAgent = (
    AgentHere
    | Token
    | AnswerEnds
    | AdmitTool
    | Record
    | ChangeAgent
    | WantFloor
    | WantEnd
    | ToolNews
    | ModelFailed
)
