"""A conversation in a terminal: over pipes, and on a pseudo-terminal as a person has it."""

from __future__ import annotations

import math
import os
import pty
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import attrs
import pytest
import trio

from models.rooms.channel import (
    DeskMessage,
    Receive,
    RoomAttached,
    StreamClosed,
    StreamOpened,
    StreamText,
)
from models.rooms.content import Rich, Text, ToolCall
from models.rooms.ephemeral import Listen
from models.rooms.errors import RoomClosed
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType, EphemeralType, ToolStatus
from models.rooms.refusals import RefuseFor
from models.rooms.traffic import EphemeralEvent, InboundResult
from supervision import Actor, ActorRef, AskTimeout, Refused, handles
from supervision.testing import SystemUnderTest
from tests.transports.channels.channel_values import AT, binding, deliver
from transports.channels.cli import Talk, cli_channel, run_cli
from transports.channels.cli_text import CliConfig, preview, tool_line
from transports.channels.terminal import Terminal, harmless


def answer(text: str) -> RoomEvent:
    source = EventSource("bot", ChannelType.AI, participant_id="Ines")
    return RoomEvent("e-9", "lobby", source, Text(text), AT, index=9)


class Room(Actor[DeskMessage]):
    """Answers everything in a stream of words, and some words in another way."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Receive] = []

    @handles
    async def on_message(self, message: Receive) -> InboundResult:
        self.heard.append(message)
        said = message.message.content
        assert isinstance(said, Text)
        cli: ActorRef[Any] = self.system.ref("/cli")
        match said.body:
            case "secret":
                return InboundResult(blocked=True, reason="not_here")
            case "closed":
                raise RefuseFor(RoomClosed("lobby", "closed"))
            case "crash":
                raise KeyError("state")
            case "fail":
                return InboundResult(error="the model is gone")
        words = f"You said {said.body}."
        cli.tell(StreamOpened("lobby", "s-1", answer("")))
        for word in words.split(" "):
            cli.tell(StreamText("lobby", "s-1", f"{word} "))
            await trio.sleep(0.1)
        await cli.ask(StreamClosed("lobby", "s-1", answer(words)))
        return InboundResult()


@attrs.define
class Pipes:
    """Both ends of what a terminal is made of."""

    terminal: Terminal
    keyboard: int
    screen: int
    patience: float = 10.0
    """Seconds of virtual time; `inf` where the kernel does its part in real time."""

    def type(self, text: str) -> None:
        os.write(self.keyboard, text.encode())

    def hang_up(self) -> None:
        os.close(self.keyboard)
        self.keyboard = -1

    async def seen(self, until: str) -> str:
        """What is shown up to a text."""
        shown = b""
        with trio.fail_after(self.patience):
            while not shown.decode(errors="replace").endswith(until):
                await trio.lowlevel.wait_readable(self.screen)
                # One byte, so that the rest is there for the next look; terminals add the CR.
                shown = (shown + os.read(self.screen, 1)).replace(b"\r\n", b"\n")
        return shown.decode()


@contextmanager
def pipes() -> Iterator[Pipes]:
    source, keyboard = os.pipe()
    screen, sink = os.pipe()
    ends = Pipes(Terminal(source, sink), keyboard, screen)
    try:
        yield ends
    finally:
        for end in (source, sink, ends.keyboard, screen):
            if end >= 0:
                os.close(end)


@contextmanager
def pseudo_terminal() -> Iterator[Pipes]:
    """What a person sits at, without the echo of what is typed."""
    outer, inner = pty.openpty()
    tty.setcbreak(inner)
    try:
        yield Pipes(Terminal(inner, inner), outer, outer, patience=math.inf)
    finally:
        os.close(outer)
        os.close(inner)


@pytest.fixture
async def room(system: SystemUnderTest) -> Room:
    rooms: list[Room] = []

    def make() -> Room:
        rooms.append(Room())
        return rooms[-1]

    await system.spawn(make, path="/room")
    return rooms[0]


async def cli_in(
    system: SystemUnderTest, terminal: Terminal, look: CliConfig | None = None, **others: Any
) -> ActorRef[Any]:
    spec = cli_channel(system.ref("/room"), terminal=terminal, look=look, **others)
    return await system.spawn(spec.start, path="/cli")


@pytest.fixture
async def wires() -> AsyncIterator[Pipes]:
    with pipes() as ends:
        yield ends


# -- over pipes -------------------------------------------------------------------------------


async def test_a_conversation_can_come_from_a_pipe(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    wires.type("hello\n\n  good bye \nQUIT\nnever said\n")
    await run_cli(cli, "lobby", "ada", welcome="Welcome.")
    assert await wires.seen("QUIT\n") == (
        "Welcome.\n"
        "You: hello\nInes: You said hello. \n"
        "You: \n"
        "You:   good bye \nInes: You said good bye. \n"
        "You: QUIT\n"
    )
    assert [heard.message.sender_id for heard in room.heard] == ["ada", "ada"]
    assert [heard.room_id for heard in room.heard] == ["lobby", "lobby"]


async def test_the_end_of_the_input_ends_it_and_the_last_line_needs_no_end(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    wires.type("héllo")
    wires.hang_up()
    await run_cli(cli)
    assert [heard.message.content for heard in room.heard] == [Text("héllo")]


async def test_an_answer_is_shown_while_it_is_made(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    ended = cli.ask(Talk("lobby"), timeout=math.inf)
    wires.type("hello\n")
    started = system.now
    await wires.seen("You said ")
    assert system.now - started < 0.2
    await wires.seen("hello. \n")
    assert system.now - started == pytest.approx(0.3, abs=0.05)
    wires.type("q\n")
    await ended


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("secret", "(not sent: not_here)\n"),
        ("closed", "(room 'lobby' is closed and takes nothing more; reopen it first)\n"),
        ("fail", "(no answer: the model is gone)\n"),
    ],
)
async def test_what_did_not_work_is_told_and_the_conversation_goes_on(
    system: SystemUnderTest, room: Room, wires: Pipes, said: str, shown: str
) -> None:
    cli = await cli_in(system, wires.terminal)
    wires.type(f"{said}\nq\n")
    await run_cli(cli)
    assert await wires.seen("You: q\n") == f"You: {said}\n{shown}You: q\n"


async def test_a_desk_that_crashes_is_told(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    system.expect_crash("/room", KeyError)
    cli = await cli_in(system, wires.terminal)
    wires.type("crash\nq\n")
    await run_cli(cli)
    assert "(nobody could take it (ActorCrashed))\n" in await wires.seen("q\n")


async def test_one_talks_at_a_time(system: SystemUnderTest, room: Room, wires: Pipes) -> None:
    cli = await cli_in(system, wires.terminal)
    first = cli.ask(Talk(), timeout=math.inf)
    with pytest.raises(Refused, match="talks at this terminal already"):
        await cli.ask(Talk())
    wires.type("q\n")
    await first
    wires.type("q\n")
    await run_cli(cli)


async def test_it_stops_while_it_waits_for_somebody_to_type(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    with pytest.raises(AskTimeout):
        await cli.ask(Talk(), timeout=1)
    started = system.now
    await system.stop("/cli")
    assert system.now - started < 0.1


async def test_input_may_be_a_file(system: SystemUnderTest, room: Room, tmp_path: Any) -> None:
    said, shown = tmp_path / "said", tmp_path / "shown"
    said.write_text("hello\nbye\n")
    with said.open() as source, shown.open("w") as sink:
        cli = await cli_in(system, Terminal(source.fileno(), sink.fileno()))
        await run_cli(cli)
    assert shown.read_text() == (
        "You: hello\nInes: You said hello. \nYou: bye\nInes: You said bye. \n"
    )


# -- what is shown ----------------------------------------------------------------------------


async def test_messages_tools_and_formatted_words_are_shown(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    result = await cli.ask(deliver("good morning", to=""))
    assert result.success
    await cli.ask(deliver(ToolCall("find", "t-1", {"name": "Ada"}), to="", key="k-2"))
    done = ToolCall("find", "t-1", result="a\nb\nc\nd\ne\nf", status=ToolStatus.COMPLETED)
    await cli.ask(deliver(done, to="", key="k-3"))
    await cli.ask(deliver(Rich("<b>yes</b>", "html", plain_text="yes"), to="", key="k-4"))
    assert await wires.seen("yes\n") == (
        'ada: good morning\n→ find(name="Ada")\n← find: a\nb\nc\nd\ne …\nada: yes\n'
    )


async def test_others_cannot_write_on_the_terminal_what_they_like(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    await cli.ask(deliver("\x1b[2J\x07evil\r\x9b1mtwo\tlines\r\nhere", to=""))
    assert await wires.seen("here\n") == "ada: [2Jevil1mtwo\tlines\nhere\n"


async def test_who_speaks_in_between_has_a_line_of_their_own(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    cli.tell(StreamOpened("lobby", "s-1", answer("")))
    cli.tell(StreamText("lobby", "s-1", "One "))
    await system.settle()
    await cli.ask(deliver("sorry?", to=""))
    cli.tell(StreamText("lobby", "s-1", "two"))
    await system.settle()
    await cli.ask(StreamClosed("lobby", "s-1", None, "cancelled"))
    assert await wires.seen("]\n") == "Ines: One \nada: sorry?\nInes: two [cancelled]\n"


async def test_an_answer_of_which_nothing_was_streamed_is_shown_whole(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    cli.tell(StreamOpened("lobby", "s-1", answer("")))
    await cli.ask(StreamClosed("lobby", "s-1", answer("Good morning")))
    assert await wires.seen("\n") == "Ines: Good morning\n"


async def test_thoughts_are_shown_above_the_answer(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    bus = await system.probe(Listen)
    bus.answer(Listen, with_="subscription-1")
    cli = await cli_in(system, wires.terminal, ephemeral=bus.ref)
    await cli.ask(RoomAttached(binding("cli")))
    assert (await bus.expect(Listen)).room_id == "lobby"
    for kind, text in (
        (EphemeralType.THINKING_START, ""),
        (EphemeralType.THINKING_DELTA, "who "),
        (EphemeralType.THINKING_DELTA, "is it"),
        (EphemeralType.THINKING_END, ""),
    ):
        cli.tell(EphemeralEvent("x", "lobby", kind, "Ines", AT, data={"delta": text}))
    await cli.ask(deliver("good morning", to=""))
    assert await wires.seen("morning\n") == "(Ines) who is it\nada: good morning\n"


async def test_markdown_is_shown_formatted_when_the_answer_is_done(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    look = CliConfig(markdown=True, colours=True)
    cli = await cli_in(system, wires.terminal, look)
    cli.tell(StreamOpened("lobby", "s-1", answer("")))
    cli.tell(StreamText("lobby", "s-1", "**yes**"))
    await cli.ask(StreamClosed("lobby", "s-1", answer("**yes**")))
    shown = await wires.seen("\n") + await wires.seen("\n")
    assert "**" not in shown
    assert "\x1b[1myes\x1b[0m" in shown


def test_a_preview_is_short_and_says_that_there_is_more() -> None:
    look = CliConfig(preview_lines=2, preview_characters=10)
    assert preview("one\ntwo\nthree", look) == "one\ntwo …"
    assert preview("a" * 30, look) == "a" * 10 + " …"
    assert preview({"a": 1, "b": "x"}, look) == 'a=1, b="x"'
    assert preview(None, look) == "null"
    failed = ToolCall("find", "t", status=ToolStatus.FAILED, error="no")
    assert tool_line(failed, look) == "✗ find: no"


def test_harmless_text_is_left_alone() -> None:
    for text in ("", "Grüße, 你好 👋\n\tand more", "a\r\nb"):
        assert harmless(text) == text.replace("\r\n", "\n")


# -- on a terminal ----------------------------------------------------------------------------


async def test_a_person_is_prompted_and_the_prompt_comes_back_below_what_others_say(
    system: SystemUnderTest, room: Room
) -> None:
    with pseudo_terminal() as ends:
        cli = await cli_in(system, ends.terminal, CliConfig(colours=False))
        ended = cli.ask(Talk("lobby"), timeout=math.inf)
        assert await ends.seen("You: ") == "You: "
        await cli.ask(deliver("anybody here?", to=""))
        assert await ends.seen("You: ") == "\r\x1b[Kada: anybody here?\nYou: "
        ends.type("yes\n")
        assert await ends.seen("You: ") == "Ines: You said yes. \nYou: "
        ends.type("q\n")
        await ended
        await system.stop("/cli")


async def test_colours_are_for_people(
    system: SystemUnderTest, room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    with pseudo_terminal() as ends:
        cli = await cli_in(system, ends.terminal)
        await cli.ask(deliver("hi", to=""))
        assert await ends.seen("hi\n") == "\x1b[1;36mada: \x1b[0mhi\n"
        await system.stop("/cli")
        monkeypatch.setenv("NO_COLOR", "1")
        cli = await cli_in(system, ends.terminal)
        await cli.ask(deliver("hi", to=""))
        assert await ends.seen("hi\n") == "ada: hi\n"
        await system.stop("/cli")


async def test_a_terminal_that_takes_nothing_holds_up_nobody(
    system: SystemUnderTest, room: Room, wires: Pipes
) -> None:
    cli = await cli_in(system, wires.terminal)
    long = deliver("x" * 300_000, to="")  # more than a pipe holds
    result = await cli.ask(long, timeout=60)
    assert result.error == "timeout"
    for number in range(10):
        await cli.ask(deliver("y" * 200_000, to="", key=f"k-{number}"), timeout=60)
    assert wires.terminal.left_out > 0
    await system.stop("/cli")
