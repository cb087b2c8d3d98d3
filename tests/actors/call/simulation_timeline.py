"""A simulated call, told to people: what happened in it, in the order of time."""

from __future__ import annotations

from collections.abc import Sequence

import attrs

from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.scripted import CallTool, Move, Say
from tests.actors.call.simulation_record import Run, whole_words
from transports.leg import ShowNotice, ShowSaid


def brief(moves: Sequence[Move]) -> str:
    """A reply in a line."""
    out = []
    for move in moves:
        match move:
            case Say(text):
                out.append(text.strip() if not move.after else f"{move.after:.2f}:{text.strip()}")
            case CallTool(name, arguments):
                out.append(f"{name}({arguments})")
            case _:
                out.append(type(move).__name__)
    return " ".join(out)


def timeline(run: Run) -> str:
    """What happened, in the order of time."""
    lines = list(run.timeline)
    lines += [
        (word.at, f"        hears {word.text}" + ("" if word.whole else " …"))
        for word in whole_words(run)
    ]
    for event in run.person.events:
        if isinstance(event.message, ShowSaid):
            cut = " (cut)" if event.message.interrupted else ""
            lines.append((event.at, f"    said{cut}: {event.message.text}"))
        elif isinstance(event.message, ShowNotice):
            lines.append((event.at, f"    notice: {event.message.text}"))
    told = [f"{at:8.3f}  {what}" for at, what in sorted(lines, key=lambda line: line[0])]
    return "\n".join(
        [*map(str, attrs.asdict(run.traits).items()), *told, "history:", *map(_item, run.history)]
    )


def _item(item: Item) -> str:
    match item:
        case UserSaid(text):
            return f"  user: {text}"
        case AgentSaid(text, _, agent, interrupted):
            return f"  {agent}: {text}{' (cut)' if interrupted else ''}"
        case ToolCalled(id, name):
            return f"  call {id} {name} {item.arguments}"
        case ToolAnswered(id, output):
            return f"  answer {id} {output}"
        case Instruction(text):
            return f"  note: {text}"
