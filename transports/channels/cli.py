"""A conversation in a terminal: what people type goes into a room, what is said there is shown.

    cli = cli_channel(desk)            # register it, and attach it to a room
    await run_cli(ref, "lobby")        # `ref` is its actor; returns when somebody says "quit"

Answers are shown while they are made. If input and output are pipes it reads and writes them the
same, without prompts and colours, so that a conversation can come from a file.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Callable
from functools import partial

import attrs
import trio

from models.rooms.channel import DeskMessage, TransportSpec
from models.rooms.content import Content, Text, ToolCall
from models.rooms.ephemeral import Listen
from models.rooms.event import RoomEvent
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelMediaType, ChannelType, EphemeralType
from models.rooms.refusals import RefusedFor
from models.rooms.room import ChannelBinding, ChannelCapabilities
from models.rooms.traffic import EphemeralEvent, InboundResult, ProviderResult
from supervision import ActorRef, Promise, Refuse, Request, SupervisionError, handles
from transports.channels.cli_text import (
    CLEAR_LINE,
    CliConfig,
    formatted,
    painted,
    speaker,
    tool_line,
    words_of,
)
from transports.channels.config import ChannelConfig
from transports.channels.kit import Channel
from transports.channels.results import sent
from transports.channels.streams import StreamedAnswer
from transports.channels.terminal import Terminal, harmless

CAPABILITIES = ChannelCapabilities(
    media_types=(ChannelMediaType.TEXT, ChannelMediaType.RICH), supports_rich_text=True
)
_THOUGHTS = (
    EphemeralType.THINKING_START,
    EphemeralType.THINKING_DELTA,
    EphemeralType.THINKING_END,
)
_PROMPT = "the prompt"
_TIMING = ChannelConfig(receive_timeout=3600.0)  # people wait, and can press Ctrl-C


@attrs.frozen
class Talk(Request[None]):
    """Let somebody talk at the terminal; answered when they have ended it.

    Refused while somebody else talks there.
    """

    room_id: str | None = None
    """The room they talk in; None lets the router find one."""
    sender_id: str = "user"
    """The participant they are."""
    welcome: str = ""


@attrs.frozen
class _Listening:
    """The bus has answered; to itself."""

    answer: object


async def run_cli(
    cli: ActorRef[Talk], room_id: str | None = None, sender_id: str = "user", welcome: str = ""
) -> None:
    """Let somebody talk until they end it.

    Args:
        cli: the actor of a channel that `cli_channel` made.
    """
    await cli.ask(Talk(room_id, sender_id, welcome), timeout=math.inf)


class CliChannel(Channel):
    """Owns a terminal."""

    def __init__(
        self,
        info: ChannelInfo,
        desk: ActorRef[DeskMessage],
        terminal: Terminal,
        look: CliConfig,
        ephemeral: ActorRef[Listen] | None = None,
        content: Callable[[str], Content] = Text,
    ) -> None:
        """The terminal is not touched before the actor starts.

        Args:
            ephemeral: where agents think aloud; None shows no thoughts.
            content: makes what is said of what was typed.
        """
        super().__init__(info, desk, _TIMING)
        self._terminal = terminal
        self._look = look
        self._ephemeral = ephemeral
        self._content = content
        self._talking = False
        self._asking = False
        """A line is being waited for."""
        self._line: str | None = None
        """What the line begins with where the cursor is; None is an empty line."""
        self._colours = look.colours
        if look.colours is None:
            self._colours = terminal.interactive and not os.environ.get("NO_COLOR")

    def open(self) -> None:
        self.start_task(self._terminal.show, name="screen")

    async def close(self) -> None:
        with trio.move_on_after(1):
            await self._terminal.flushed()

    # -- talking --------------------------------------------------------------------------

    @handles
    def on_talk(self, message: Talk) -> None:
        if self._talking:
            raise Refuse("somebody talks at this terminal already")
        self._talking = True
        self.start_task(self._talk, message, self.defer(), name="talk")

    async def _talk(self, talk: Talk, promise: Promise[None]) -> None:
        if talk.welcome:
            self._terminal.write(f"{talk.welcome}\n")
        while (line := await self._asked()) is not None:
            words = line.strip()
            if words.lower() in self._look.quit_words:
                break
            if words:
                await self._say(talk, words)
        await self._terminal.flushed()
        self._talking = False
        promise.resolve(None)

    async def _asked(self) -> str | None:
        """What somebody types next; None if they have gone."""
        self._asking = True
        self._prompt_again()
        line = await self._terminal.read_line()
        self._asking = False
        self._line = None
        if not self._terminal.interactive and line is not None:
            self._terminal.write(f"{self._look.prompt}{line}\n")
        elif self._terminal.interactive and line is None:
            self._terminal.write("\n")  # Ctrl-D leaves the cursor behind the prompt
        return line

    async def _say(self, talk: Talk, words: str) -> None:
        said = self._content(words)
        try:
            result = await self.receive(talk.sender_id, said, room_id=talk.room_id)
        except RefusedFor as refused:
            self._notice(str(refused.error))
        except SupervisionError as error:
            self._notice(f"nobody could take it ({type(error).__name__})")
        else:
            self._outcome(result)

    def _outcome(self, result: InboundResult) -> None:
        if result.blocked:
            self._notice(f"not sent: {result.reason or 'it was blocked'}")
        elif result.error:
            self._notice(f"no answer: {result.error}")

    # -- showing --------------------------------------------------------------------------

    async def send(self, event: RoomEvent, to: str, key: str) -> ProviderResult:
        if isinstance(event.content, ToolCall):
            self._block(painted(tool_line(event.content, self._look), "tool", self._in_colour))
        else:
            words = self._laid_out(words_of(event.content))
            if words:
                self._block(f"{self._name(event)}{words}")
        await self._terminal.flushed()
        return sent()

    async def stream(self, answer: StreamedAnswer) -> ProviderResult:
        shown = False
        async for piece in answer:
            if not self._look.markdown:
                self._more(answer.stream_id, self._name(answer.draft), harmless(piece))
                shown = True
        if answer.event is not None and not shown:
            return await self.send(answer.event, answer.to, answer.stream_id)
        if answer.error is not None and shown:
            cut = painted(f" [{harmless(answer.error)}]", "fault", self._in_colour)
            self._more(answer.stream_id, self._name(answer.draft), cut)
        if self._line == answer.stream_id:
            self._end_line()
            self._prompt_again()
        await self._terminal.flushed()
        return sent()

    @handles
    def on_ephemeral(self, message: EphemeralEvent) -> None:
        owner = f"thoughts of {message.user_id}"
        if message.type is EphemeralType.THINKING_DELTA:
            text = harmless(str(message.data.get("delta", "")))
            name = painted(f"({harmless(message.user_id)}) ", "aside", self._in_colour)
            self._more(owner, name, painted(text, "aside", self._in_colour))
        elif message.type is EphemeralType.THINKING_END and self._line == owner:
            self._end_line()
            self._prompt_again()

    def attached(self, binding: ChannelBinding) -> None:
        if self._ephemeral is not None:
            listen = Listen(binding.room_id, self.ref, _THOUGHTS)
            self.pipe(self._ephemeral.ask(listen), to=_Listening, failed=_Listening)

    @handles
    def on_listening(self, message: _Listening) -> None:
        """Without thoughts a conversation is still one, so that it failed is no matter."""

    # -- lines ------------------------------------------------------------------------------

    @property
    def _in_colour(self) -> bool:
        return bool(self._colours)

    def _name(self, event: RoomEvent) -> str:
        return painted(f"{speaker(event)}: ", "name", self._in_colour)

    def _laid_out(self, words: str) -> str:
        if not words or not (self._look.markdown and self._in_colour):
            return words
        return "\n" + formatted(words, shutil.get_terminal_size().columns)

    def _notice(self, text: str) -> None:
        self._block(painted(f"({harmless(text)})", "fault", self._in_colour))

    def _block(self, text: str) -> None:
        """Lines of their own, wherever the cursor is."""
        self._end_line()
        self._terminal.write(f"{text}\n")
        self._prompt_again()

    def _more(self, owner: str, beginning: str, text: str) -> None:
        """More of somebody's line; it begins anew if somebody else has spoken meanwhile."""
        if self._line != owner:
            self._end_line()
            self._terminal.write(beginning)
            self._line = owner
        self._terminal.write(text)

    def _end_line(self) -> None:
        if self._line == _PROMPT:
            self._terminal.write(CLEAR_LINE)
        elif self._line is not None:
            self._terminal.write("\n")
        self._line = None

    def _prompt_again(self) -> None:
        if self._asking and self._line is None and self._terminal.interactive:
            self._terminal.write(self._look.prompt)
            self._line = _PROMPT


def cli_channel(
    desk: ActorRef[DeskMessage],
    *,
    channel_id: str = "cli",
    terminal: Terminal | None = None,
    look: CliConfig | None = None,
    ephemeral: ActorRef[Listen] | None = None,
    content: Callable[[str], Content] = Text,
) -> TransportSpec:
    """A terminal to register; see `CliChannel`. By default it is the one the program runs in."""
    info = ChannelInfo(
        channel_id,
        ChannelType.CLI,
        capabilities=CAPABILITIES,
        provider="terminal",
        sender_is_participant=True,
        streams=True,
    )
    screen = terminal or Terminal()
    start = partial(CliChannel, info, desk, screen, look or CliConfig(), ephemeral, content)
    return TransportSpec(info, start)
