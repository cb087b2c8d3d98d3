"""`pykka.ActorRegistry`: public actors are in it, others never touch it; `stop_all` is refused."""

from __future__ import annotations

import logging
from typing import Any

import attrs
import pykka
import pytest
import trio

from supervision import (
    Actor,
    ChildSpec,
    Mailbox,
    Refused,
    Request,
    Restart,
    StartFailed,
    Strategy,
    Supervisor,
    handles,
    open_system,
)
from supervision.crashes import CrashReport
from supervision.events import ActorStarted, DeadLetterReason, StopAllRefused

Registry = pykka.ActorRegistry
on_thread = trio.to_thread.run_sync


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Notes(Request[tuple[str, ...]]):
    pass


class Notebook(Actor[Note | Notes]):
    def __init__(self) -> None:
        super().__init__()
        self.notes: tuple[str, ...] = ()

    @handles
    def note(self, message: Note) -> None:
        self.notes += (message.text,)

    @handles
    def all(self, _message: Notes) -> tuple[str, ...]:
        return self.notes


class Diary(Notebook):
    pass


class Listener(pykka.ThreadingActor):
    use_daemon_thread = True

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[Any] = []

    def on_receive(self, message: Any) -> Any:
        self.heard.append(message)
        return tuple(self.heard)


async def test_an_actor_with_a_path_is_in_the_registry_until_it_is_gone() -> None:
    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook", restart=Restart.TEMPORARY)
        assert Registry.get_all() == [notebook.pykka]
        await system.stop("/notebook")
        assert Registry.get_all() == []


async def test_closing_the_system_empties_the_registry_of_ours() -> None:
    async with open_system() as system:
        await system.spawn(Notebook, path="/one")
        await system.spawn(Diary, path="/two")
        assert len(Registry.get_all()) == 2
    assert Registry.get_all() == []


async def test_it_is_registered_before_on_start_runs_and_after_its_constructor() -> None:
    seen: list[bool] = []

    class Curious(Notebook):
        def __init__(self) -> None:
            super().__init__()
            seen.append(Registry.get_by_urn(self.actor_urn) is not None)

        def on_start(self) -> None:
            seen.append(Registry.get_by_urn(self.actor_urn) is self.actor_ref)

    async with open_system() as system:
        await system.spawn(Curious, path="/curious")
    assert seen == [False, True]


async def test_a_failed_start_leaves_nothing_in_the_registry() -> None:
    class Broken(Notebook):
        def on_start(self) -> None:
            raise OSError("no paper")

    async with open_system() as system:
        with pytest.raises(StartFailed):
            await system.spawn(Broken, path="/broken", restart=Restart.TEMPORARY)
        assert Registry.get_all() == []


async def test_a_restart_keeps_its_one_entry() -> None:
    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook")
        urn = notebook.pykka.actor_urn
        await system.restart("/notebook")
        assert Registry.get_all() == [notebook.pykka]
        assert Registry.get_by_urn(urn) is notebook.pykka


async def test_a_child_that_ended_for_good_and_comes_back_with_its_siblings_is_back_in_it() -> None:
    class Boom(Notebook):
        @handles
        def note(self, message: Note) -> None:
            raise ValueError(message.text)

    async with open_system() as system:
        specs = [
            ChildSpec("quiet", Diary, Restart.TRANSIENT, public=True),
            ChildSpec("loud", Boom, public=True),
        ]
        await system.spawn(Supervisor, specs, Strategy.ONE_FOR_ALL, path="/pair")
        quiet = system.ref("/pair/quiet")
        view = quiet.pykka
        await view.stop(block=False)
        assert not view.is_alive()
        assert Registry.get_by_class(Diary) == []  # type: ignore[type-var]
        with system.events.subscribe(ActorStarted) as starts:
            system.ref("/pair/loud").tell(Note("x"))
            assert (await anext(starts)).path == "/pair/quiet"
        assert Registry.get_by_class(Diary) == [view]  # type: ignore[type-var]
        assert await quiet.ask(Notes()) == ()


async def test_ten_thousand_actors_without_a_path_never_touch_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    touched: list[object] = []
    monkeypatch.setattr(Registry, "register", touched.append)
    monkeypatch.setattr(Registry, "unregister", touched.append)
    async with open_system() as system:
        refs = [await system.spawn(Notebook) for _ in range(10_000)]
        assert await refs[-1].ask(Notes()) == ()
        assert all(ref._cell.view is None for ref in refs)
    assert touched == []


async def test_a_view_that_somebody_registered_by_hand_leaves_with_its_actor() -> None:
    async with open_system() as system:
        notebook = await system.spawn(Notebook, restart=Restart.TEMPORARY)
        Registry.register(notebook.pykka)
        assert Registry.get_by_class(Notebook) == [notebook.pykka]  # type: ignore[type-var]
        await notebook.pykka.stop(block=False)
        assert Registry.get_all() == []


# -- looking up ---------------------------------------------------------------------------


async def test_look_up_by_class_by_superclass_by_name_and_by_urn() -> None:
    async with open_system() as system:
        notebook = (await system.spawn(Notebook, path="/notebook")).pykka
        diary = (await system.spawn(Diary, path="/diary")).pykka
        assert Registry.get_by_class(Diary) == [diary]  # type: ignore[type-var]
        assert set(Registry.get_by_class(Notebook)) == {notebook, diary}  # type: ignore[type-var]
        every: Any = pykka.Actor
        assert set(Registry.get_by_class(every)) == {notebook, diary}
        assert Registry.get_by_class_name("Notebook") == [notebook]
        assert Registry.get_by_urn(diary.actor_urn) is diary
        assert Registry.get_by_urn("urn:foo:bar") is None


# -- broadcast ----------------------------------------------------------------------------


async def test_a_broadcast_reaches_all_and_those_of_a_class() -> None:
    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook")
        diary = await system.spawn(Diary, path="/diary")
        Registry.broadcast(Note("all"))
        await on_thread(Registry.broadcast, Note("diaries"), Diary)  # type: ignore[arg-type]
        await on_thread(Registry.broadcast, Note("by name"), "Notebook")
        assert await notebook.ask(Notes()) == ("all", "by name")
        assert await diary.ask(Notes()) == ("all", "diaries")


async def test_an_actor_that_cannot_take_a_broadcast_keeps_it_from_nobody_else() -> None:
    class Full(Notebook):
        mailbox = Mailbox(1)

    async with open_system() as system:
        await system.spawn(Notebook, path="/notebook")
        full = await system.spawn(Full, path="/full")
        system.suspend("/full")
        full.tell(Note("one"))
        listener = Listener.start()  # the last in the registry
        await on_thread(Registry.broadcast, {"command": "listen"})
        Registry.broadcast(Note("hear"))
        heard: Any = await system.foreign(listener).ask("what have you heard?")
        assert heard[:2] == ({"command": "listen"}, Note("hear"))
        assert [(letter.path, letter.reason) for letter in system.dead_letters()] == [
            ("/notebook", DeadLetterReason.NOT_ACCEPTED),
            ("/full", DeadLetterReason.NOT_ACCEPTED),
            ("/full", DeadLetterReason.FULL),
        ]
        await on_thread(listener.stop)


# -- stop_all -----------------------------------------------------------------------------


async def test_stop_all_is_refused_and_reported_and_stops_the_foreign_ones(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook")
        listener = Listener.start()
        with system.events.subscribe(StopAllRefused) as refusals:
            assert await on_thread(Registry.stop_all) == [True, False]
            assert (await anext(refusals)).path == "/notebook"
            (future,) = await on_thread(lambda: Registry.stop_all(block=False))
            reply: Any = future
            assert await reply is False
            assert (await anext(refusals)).path == "/notebook"
        assert not listener.is_alive()
        assert Registry.get_all() == [notebook.pykka]
        assert await notebook.ask(Notes()) == ()
    assert [(r.levelno, r.args) for r in caplog.records] == [(logging.ERROR, ("/notebook",))] * 2
    assert "does not stop /notebook" in caplog.records[0].getMessage()


async def test_a_base_exception_in_a_foreign_actor_does_not_stop_ours() -> None:
    class Interrupted(pykka.ThreadingActor):
        use_daemon_thread = True

        def on_receive(self, message: Any) -> Any:
            raise KeyboardInterrupt

    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook")
        with system.events.subscribe(StopAllRefused) as refusals:
            Interrupted.start().tell("x")
            assert (await anext(refusals)).path == "/notebook"
        assert await notebook.ask(Notes()) == ()


async def test_a_base_exception_in_one_of_ours_is_its_crash_and_stops_nobody_else() -> None:
    class Exits(Actor[str]):
        def on_receive(self, message: str) -> None:
            raise SystemExit(message)

    async with open_system() as system:
        notebook = await system.spawn(Notebook, path="/notebook")
        listener = Listener.start()
        exits = await system.spawn(Exits, path="/exits")
        with system.events.subscribe(CrashReport) as crashes:
            exits.tell("bye")
            assert (await anext(crashes)).error_type == "SystemExit"
        assert await notebook.ask(Notes()) == ()
        assert await system.foreign(listener).ask("still there?") == ("still there?",)
        assert exits.alive
        await on_thread(listener.stop)


async def test_a_path_that_is_taken_is_not_registered_twice() -> None:
    async with open_system() as system:
        await system.spawn(Notebook, path="/notebook")
        with pytest.raises(Refused, match="already"):
            await system.spawn(Notebook, path="/notebook")
        assert len(Registry.get_all()) == 1
