"""How a conversation looks in a terminal: text in, text out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import attrs
import orjson
from attrs.validators import ge

from models.rooms.content import Content, Rich, ToolCall, text_of
from models.rooms.event import RoomEvent
from models.rooms.kinds import ToolStatus
from transports.channels.terminal import harmless

CLEAR_LINE = "\r\x1b[K"
_STYLES = {"name": "1;36", "aside": "2", "tool": "33", "fault": "31"}


@attrs.frozen
class CliConfig:
    """How the terminal looks."""

    prompt: str = "You: "
    quit_words: tuple[str, ...] = ("quit", "exit", "q")
    """Said alone, in any case, they end the conversation; so does Ctrl-D."""
    colours: bool | None = None
    """None: if a person sits at the terminal, and NO_COLOR is not set."""
    markdown: bool = False
    """Show answers as formatted text, when they are done, instead of while they are made."""
    preview_lines: int = attrs.field(default=5, validator=ge(1))
    """Of what a tool answers."""
    preview_characters: int = attrs.field(default=200, validator=ge(1))


def painted(text: str, style: str, colours: bool) -> str:
    """`text` in one of the styles."""
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if colours else text


def speaker(event: RoomEvent) -> str:
    """Who says it."""
    return harmless(event.source.participant_id or event.source.channel_id).replace("\n", " ")


def words_of(content: Content) -> str:
    """What is shown of a content; "" is nothing."""
    if isinstance(content, Rich):
        return harmless(content.plain_text or content.body)
    return harmless(text_of(content))


def tool_line(call: ToolCall, config: CliConfig) -> str:
    """One tool call: what is asked of the tool, or what it says."""
    name = harmless(call.tool_name).replace("\n", " ")
    match call.status:
        case ToolStatus.PENDING:
            return f"→ {name}({preview(call.arguments, config)})"
        case ToolStatus.COMPLETED:
            return f"← {name}: {preview(call.result, config)}"
        case ToolStatus.FAILED:
            return f"✗ {name}: {preview(call.error or 'failed', config)}"


def preview(value: Any, config: CliConfig) -> str:
    """The beginning of a value."""
    if isinstance(value, Mapping):
        text = ", ".join(f"{name}={_json(given)}" for name, given in value.items())
    else:
        text = value if isinstance(value, str) else _json(value)
    lines = harmless(text).split("\n")
    short = "\n".join(lines[: config.preview_lines])[: config.preview_characters]
    return short + (" …" if len(short) < len(harmless(text)) else "")


def _json(value: Any) -> str:
    try:
        return orjson.dumps(value, default=str).decode()
    except TypeError:
        return str(type(value).__name__)


def formatted(markdown: str, width: int) -> str:
    """Markdown as a terminal shows it."""
    from rich.console import Console  # takes 60 ms to import, which few ever need
    from rich.markdown import Markdown

    page = io.StringIO()
    console = Console(file=page, force_terminal=True, width=width)
    console.print(Markdown(markdown))
    return page.getvalue().rstrip("\n")
