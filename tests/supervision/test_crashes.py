"""Crash reports, the last messages before a fault, poison, and what a dying node leaves behind."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    BlockingActor,
    ChildSpec,
    DynamicSupervisor,
    NodeFailed,
    Refuse,
    Request,
    SupervisionConfig,
    Supervisor,
    System,
    handles,
    open_system,
)
from supervision.crashes import CrashReport, write_crash_dump
from supervision.secret import MASK, Secret
from supervision.testing import SystemUnderTest


@attrs.frozen
class Say(Request[str]):
    text: str
    password: Secret | None = None


@attrs.frozen
class SayLater(Request[str]):
    text: str


@attrs.frozen
class Note:
    text: str


class Parrot(Actor[Say | SayLater | Note]):
    @handles
    def on_say(self, message: Say) -> str:
        if message.text == "boom":
            raise ValueError(f"cannot say {message.text}")
        if message.text == "no":
            raise Refuse("will not say no")
        return message.text

    @handles
    async def on_say_later(self, message: SayLater) -> str:
        await trio.sleep(1)
        if message.text == "boom":
            raise ValueError("boom")
        return message.text

    @handles
    def on_note(self, message: Note) -> None:
        if message.text == "boom":
            raise ValueError("boom")


async def parrot(system: SystemUnderTest) -> ActorRef[Any]:
    """Restarts as often as it likes."""
    system.expect_crash("/sup/parrot")
    await system.spawn(Supervisor, [ChildSpec("parrot", Parrot)], intensity=1000, path="/sup")
    return system.ref("/sup/parrot")


async def crash(ref: ActorRef[Any], message: Any = Say("boom")) -> None:
    with pytest.raises(ActorCrashed):
        await ref.ask(message)


# -- reports ------------------------------------------------------------------------------


async def test_a_report_says_what_happened_to_whom_and_why(system: SystemUnderTest) -> None:
    ref = await parrot(system)
    with pytest.raises(ActorCrashed) as caught:
        await ref.ask(Say("boom", Secret("hunter2")))
    report = system.crash(caught.value.report)
    assert (report.path, report.life, report.where) == ("/sup/parrot", 1, "handler")
    assert (report.error_type, report.error) == ("ValueError", "cannot say boom")
    assert (report.message_type, report.cause_id) == ("Say", 0)
    text = str(report)
    assert "crash-1: /sup/parrot crashed in its life 1" in text
    assert "Say(text='boom', password=***)" in text
    assert 'raise ValueError(f"cannot say {message.text}")' in text
    assert "hunter2" not in text
    told = json.loads(json.dumps(report.as_dict()))
    assert told["traceback"][-1] == "ValueError: cannot say boom"
    assert told["message"] == "Say(text='boom', password=***)"
    assert report.as_dict(bodies=False)["message"] is None
    assert "Say(text" not in report.render(bodies=False)
    assert "boom" not in repr(report.message_type)
    assert "Say(" not in repr(report)


async def test_reports_are_found_by_id_as_long_as_they_are_kept() -> None:
    async with open_system(SupervisionConfig(crash_reports=2)) as system:
        await system.spawn(Supervisor, [ChildSpec("a", Parrot)], intensity=9, path="/sup")
        for _ in range(3):
            await crash(system.ref("/sup/a"))
        assert [report.id for report in system.crashes()] == ["crash-2", "crash-3"]
        assert system.crash("crash-3").life == 3
        with pytest.raises(LookupError, match=r"of 3 so far the newest are kept.*crash-2, crash-3"):
            system.crash("crash-1")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even its name")


async def test_an_exception_that_cannot_be_told_is_reported_all_the_same(
    system: SystemUnderTest,
) -> None:
    class Mute(Actor[Note]):
        @handles
        def on_note(self, _message: Note) -> None:
            raise Unspeakable

    system.expect_crash("/mute")
    mute = await system.spawn(Mute, path="/mute")
    mute.tell(Note("hello"))
    await system.settle()
    (report,) = system.crashes()
    assert report.error == "<Unspeakable, whose text failed with RuntimeError>"
    assert "Unspeakable" in str(report)
    assert mute.alive


async def test_a_very_long_error_is_kept_short(system: SystemUnderTest) -> None:
    class Verbose(Actor[Note]):
        @handles
        def on_note(self, _message: Note) -> None:
            def deeper(level: int) -> None:
                if level == 0:
                    raise ValueError("x" * 1_000_000)
                deeper(level - 1)

            deeper(300)

    system.expect_crash("/verbose")
    verbose = await system.spawn(Verbose, path="/verbose")
    verbose.tell(Note("hello"))
    await system.settle()
    (report,) = system.crashes()
    assert len(report.error) < 3000
    assert len(str(report)) < 30_000


# -- the last messages --------------------------------------------------------------------


async def test_the_last_messages_before_a_fault_are_in_its_report(
    system: SystemUnderTest,
) -> None:
    ref = await parrot(system)
    system.keep_messages("/sup/*", 3)
    for text in "abcd":
        await ref.ask(Say(text, Secret("hunter2")))
    await crash(ref)
    (report,) = system.crashes()
    kept = [(event.message.text, event.outcome) for event in report.last_messages]
    assert kept == [("c", "ok"), ("d", "ok"), ("boom", "ValueError")]
    assert "the last messages up to the fault:" in str(report)
    assert "hunter2" not in str(report) + json.dumps(report.as_dict())
    assert len(report.as_dict()["last_messages"]) == 3
    # The ring goes on over the restart, and `state` shows it.
    await ref.ask(Say("again"))
    last = system.state("/sup/parrot").last_messages
    assert [event.message.text for event in last] == ["d", "boom", "again"]


async def test_rings_reach_actors_that_come_later_and_end_when_told(
    system: SystemUnderTest,
) -> None:
    system.keep_messages("/calls/**", 5)
    await system.spawn(DynamicSupervisor, path="/calls")
    call = await system.spawn(Parrot, path="/calls/c-7")
    other = await system.spawn(Parrot, path="/other")
    await call.ask(Say("hello"))
    await other.ask(Say("hello"))
    assert len(system.state("/calls/c-7").last_messages) == 1
    assert not system.state("/other").last_messages
    system.keep_messages("/calls/c-8", 0)  # a later pattern overrides an earlier one
    await system.spawn(Parrot, path="/calls/c-8")
    assert system.ref("/calls/c-8")._cell.ring is None
    system.keep_messages("/calls/**", 0)
    assert call._cell.ring is None
    assert not system._node.rings
    with pytest.raises(ValueError, match="not -1"):
        system.keep_messages("*", -1)


async def test_a_blocking_actor_keeps_its_messages_too(system: SystemUnderTest) -> None:
    class Blocks(BlockingActor[Say]):
        @handles
        def on_say(self, message: Say) -> str:
            return message.text

    system.keep_messages("*", 2)
    blocks = await system.spawn(Blocks, path="/blocks")
    await blocks.ask(Say("a"))
    await system.settle()
    assert [e.message.text for e in system.state("/blocks").last_messages] == ["a"]


# -- the dump of a dying node -------------------------------------------------------------


async def test_a_dump_holds_all_there_is_to_know(
    system: SystemUnderTest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    system.expect_dead_letters("/gone")
    ref = await parrot(system)
    system.keep_messages("*", 2)
    await crash(ref, Say("boom", Secret("hunter2")))
    gone = await system.spawn(Parrot, path="/gone")
    await system.stop("/gone")
    gone.tell(Note("a private word"))
    path = write_crash_dump(tmp_path / "new" / "folder", system, ValueError("the end"))
    assert path is not None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert str(path) in capfd.readouterr().err
    text = path.read_text()
    dump = json.loads(text)
    assert (dump["format"], dump["version"], dump["reason"]) == ("troupe-crash-dump", 1, "the end")
    assert dump["tree"]["children"][0]["path"] == "/sup"
    assert dump["crashes"][0]["traceback"][-1] == "ValueError: cannot say boom"
    assert dump["crashes"][0]["last_messages"][0]["message_type"] == "Say"
    assert dump["dead_letters"][0]["path"] == "/gone"
    assert dump["waits"] == []
    assert MASK in text
    assert "hunter2" not in text
    assert "a private word" not in text
    assert os.listdir(path.parent) == [path.name]


async def test_a_node_that_is_closed_can_be_dumped(tmp_path: Path) -> None:
    class Hopeless(Actor[Note]):
        @handles
        def on_note(self, _message: Note) -> None:
            raise ValueError("hopeless")

    systems: list[System] = []

    async def give_up() -> None:
        async with open_system() as system:
            systems.append(system)
            hopeless = await system.spawn(Hopeless, path="/hopeless")
            for _ in range(5):
                hopeless.tell(Note("x"))
            await trio.sleep_forever()

    with pytest.raises(NodeFailed) as caught:
        await give_up()
    path = write_crash_dump(tmp_path, systems[0], caught.value)
    assert path is not None
    dump = json.loads(path.read_text())
    assert "gave up" in dump["reason"]
    assert dump["crashes"][0]["error"] == "hopeless"
    assert "NoSuchActor" in dump["tree"]["unavailable"]


async def test_a_dump_that_cannot_be_written_fails_nothing(
    system: SystemUnderTest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert write_crash_dump(tmp_path / "file", system, "the end") is None
    assert "no crash dump could be written" in capfd.readouterr().err


async def test_two_dumps_in_one_second_are_two_files(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    paths = {write_crash_dump(tmp_path, system, "the end") for _ in range(3)}
    assert len(paths) == 3
    assert None not in paths


async def test_a_dump_can_be_written_by_a_thread_while_the_loop_hangs(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    await parrot(system)
    path = await trio.to_thread.run_sync(write_crash_dump, tmp_path, system, "hangs")
    assert path is not None
    assert json.loads(path.read_text())["tree"]["children"][0]["path"] == "/sup"


def test_a_report_without_a_stack_still_says_what_it_knows() -> None:
    report = CrashReport(
        at=1.0,
        path="/a",
        id="crash-1",
        error_type="ValueError",
        error="boom",
        where="on_start",
        message_type="",
        message_id=0,
        cause_id=0,
        life=1,
    )
    assert "in on_start" in str(report)
    assert "ValueError: boom" in str(report)
