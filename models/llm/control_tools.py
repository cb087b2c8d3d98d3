"""The control tools as a model is offered them. Their names and meaning are in `control.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from models.llm.control import DELEGATE_TOOL, HANDOFF_TOOL, HANGUP_TOOL
from models.llm.protocol import Tool


def handoff_tool(agents: Mapping[str, str]) -> Tool:
    """Pass the conversation on to one of `agents`: what each is for, by its name.

    Raises:
        ValueError: there is nobody to hand off to.
    """
    who = "; ".join(f"{name}: {purpose}" for name, purpose in agents.items())
    return Tool(
        HANDOFF_TOOL,
        f"Pass the conversation on to a colleague who is better placed to help. {who}",
        _schema({"agent": _one_of(tuple(agents)), "reason": _text("Why, in a few words.")}),
    )


def delegate_tool(workers: Mapping[str, str]) -> Tool:
    """Have one of `workers` do something meanwhile: what each can do, by its name.

    Raises:
        ValueError: there is nobody to delegate to.
    """
    who = "; ".join(f"{name}: {purpose}" for name, purpose in workers.items())
    return Tool(
        DELEGATE_TOOL,
        "Have work done in the background while the conversation goes on; the result comes later."
        f" {who}",
        _schema(
            {"worker": _one_of(tuple(workers)), "task": _text("What to find out or do, in words.")}
        ),
    )


def _schema(properties: Mapping[str, object]) -> str:
    return json.dumps(
        {
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    )


def _text(description: str) -> Mapping[str, str]:
    return {"type": "string", "description": description}


def _one_of(names: Sequence[str]) -> Mapping[str, object]:
    if not names:
        raise ValueError("there is nobody to choose from; leave the tool out instead")
    return {"type": "string", "enum": list(names)}


HANG_UP = Tool(
    HANGUP_TOOL,
    "End the call, after what you said has been heard. Say goodbye first.",
    _schema({"reason": _text("Why, in a few words.")}),
)
