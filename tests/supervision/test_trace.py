"""Traces: messages as they are handled, what led to what, and diagrams of it."""

from __future__ import annotations

from typing import Any

import pytest
import trio

from supervision import Actor, BlockingActor, ChildSpec, handles
from supervision.dispatcher import Dispatcher
from supervision.observe import Tap, TraceEvent, TraceFilter, path_matches
from supervision.testing import SystemUnderTest
from tests.supervision.restaurant import (
    Boom,
    Brew,
    Later,
    Note,
    Order,
    collected,
    made,
    restaurant,
    told,
)

# -- what is seen -------------------------------------------------------------------------


async def test_an_async_handler_is_seen_when_it_begins_and_when_it_is_done(
    system: SystemUnderTest,
) -> None:
    waiter = await restaurant(system)
    with system.trace() as trace:
        begun = system.now
        assert await waiter.ask(Order("tea")) == "hot tea"
        events = await collected(trace)
    assert [told(event) for event in events] == [
        ("Order", "/waiter", "started"),
        ("Note", "/diary", "ok"),
        ("Brew", "/kitchen", "ok"),
        ("Order", "/waiter", "ok"),
    ]
    first, note, brew, last = events
    assert first.id == last.id == note.cause == brew.cause
    assert first.cause == 0
    assert (first.asked, note.asked, brew.asked) == (True, False, True)
    assert last.seconds == 2
    assert last.began == begun


@pytest.mark.parametrize(
    ("message", "outcome", "failed"),
    [
        (Brew("petrol"), "refused", False),
        (Later(), "deferred", False),
        (Boom(), "ValueError", True),
    ],
)
async def test_the_outcome_of_a_message_is_told(
    message: Any, outcome: str, failed: bool, system: SystemUnderTest
) -> None:
    system.expect_crash()
    await restaurant(system)
    with system.trace("/kitchen") as trace:
        _ = system.ref("/kitchen").ask(message)
        await system.settle()
        (event,) = await collected(trace)
    assert event.outcome == outcome
    assert event.failed == failed


async def test_a_stashed_message_is_seen_each_time_under_one_id(system: SystemUnderTest) -> None:
    class Patient(Actor[Note]):
        ready = False

        @handles
        def on_note(self, message: Note) -> None:
            if message.text == "go":
                self.ready = True
                self.unstash()
            elif not self.ready:
                self.stash()

    patient = await system.spawn(Patient, path="/patient")
    with system.trace() as trace:
        patient.tell(Note("early"))
        patient.tell(Note("go"))
        await system.settle()
        early, go, again = await collected(trace)
    assert [early.outcome, go.outcome, again.outcome] == ["stashed", "ok", "ok"]
    assert early.id == again.id != go.id


async def test_an_async_handler_that_is_cut_off_is_seen_to_end(system: SystemUnderTest) -> None:
    class Slow(Actor[Note]):
        @handles
        async def on_note(self, _message: Note) -> None:
            await trio.sleep_forever()

    slow = await system.start_child(ChildSpec("slow", Slow, shutdown=3))
    with system.trace() as trace:
        slow.tell(Note("hello"))
        await system.settle()
        await system.stop("/slow")
        events = await collected(trace)
    assert [event.outcome for event in events if event.path == "/slow"] == ["started", "killed"]
    assert max(event.seconds for event in events) == 3


async def test_a_blocking_actor_is_traced_too(system: SystemUnderTest) -> None:
    class Blocks(BlockingActor[Brew]):
        @handles
        def on_brew(self, message: Brew) -> str:
            return message.what

    blocks = await system.spawn(Blocks, path="/blocks")
    with system.trace("/blocks") as trace:
        assert await blocks.ask(Brew("tea")) == "tea"
        await system.settle()
        (event,) = await collected(trace)
    assert told(event) == ("Brew", "/blocks", "ok")


async def test_what_an_actor_arranges_for_itself_names_its_cause(system: SystemUnderTest) -> None:
    waiter = await restaurant(system)
    with system.trace("/waiter") as trace:
        waiter.tell(Note("remind"))
        await trio.sleep(2)
        events = [event for event in await collected(trace) if event.outcome == "ok"]
    first, second = events
    assert second.message == Note("never mind")
    assert second.cause == first.id


# -- filters ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "path", "matches"),
    [
        ("*", "/", True),
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a/*", "/a", False),
        ("/a/*", "/a/b", True),
        ("/a/*", "/a/b/c", True),
        ("/a/**", "/a", True),
        ("/a/**", "/a/b/c", True),
        ("/a/**", "/ab", False),
        ("*/session", "/calls/c-7/session", True),
        ("/calls/c-*/**", "/calls/c-7", True),
        ("/calls/c-*/**", "/calls/c-7/session", True),
        ("/a[1]", "/a[1]", True),
        ("/A", "/a", False),
    ],
)
def test_a_pattern_means_paths(pattern: str, path: str, matches: bool) -> None:
    assert path_matches(pattern, path) == matches


async def test_a_trace_shows_the_types_and_paths_it_was_asked_for(system: SystemUnderTest) -> None:
    waiter = await restaurant(system)
    with (
        system.trace("/waiter") as one,
        system.trace(types=[Note]) as notes,
        system.trace("/k*", types=["Brew"]) as brews,
        system.trace("/nobody/**") as none,
    ):
        await waiter.ask(Order("tea"))
        assert {event.path for event in await collected(one)} == {"/waiter"}
        assert {event.message_type for event in await collected(notes)} == {"Note"}
        assert [told(event) for event in await collected(brews)] == [("Brew", "/kitchen", "ok")]
        assert len(none) == 0


async def test_a_trace_of_a_cause_follows_it_through_all_actors(system: SystemUnderTest) -> None:
    waiter = await restaurant(system)
    with system.trace() as every:
        _ = waiter.ask(Order("tea"))
        _ = waiter.ask(Order("coffee"))
        await system.settle()
        tea = (await anext(every)).id
        with system.trace(cause=tea) as trace, system.trace("/k*", cause=tea) as in_kitchen:
            await trio.sleep(10)
            assert [told(event) for event in await collected(trace)] == [
                ("Brew", "/kitchen", "ok"),
                ("Order", "/waiter", "ok"),
            ]
            assert [event.path for event in await collected(in_kitchen)] == ["/kitchen"]


async def test_a_trace_nobody_reads_is_bounded_and_counts(system: SystemUnderTest) -> None:
    await restaurant(system)
    with system.trace("/diary", capacity=3) as trace:
        for number in range(10):
            system.ref("/diary").tell(Note(str(number)))
        await system.settle()
        assert trace.dropped == 7
        assert [event.message.text for event in await collected(trace)] == ["7", "8", "9"]


async def test_actors_that_nobody_observes_keep_the_fast_loop(
    system: SystemUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await restaurant(system)
    slow: list[str] = []
    unusual = Dispatcher._unusual_turn

    def spy(self: Dispatcher, cell: Any, limit: int) -> None:
        slow.append(cell.path)
        unusual(self, cell, limit)

    monkeypatch.setattr(Dispatcher, "_unusual_turn", spy)
    with system.trace("/diary"):
        for path in ("/kitchen", "/diary"):
            system.ref(path).tell(Note("hello"))
        await system.settle()
    assert slow == ["/diary"]
    assert system._node.tap is None
    system.ref("/diary").tell(Note("hello"))
    await system.settle()
    assert slow == ["/diary"]


def test_an_observer_that_fails_is_dropped_and_harms_nobody(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tap = Tap()
    seen: list[int] = []

    def fails(_event: TraceEvent) -> None:
        raise ValueError("my own fault")

    tap.add(TraceFilter(), fails)
    tap.add(TraceFilter(), lambda event: seen.append(event.id))
    for number in (1, 2):
        tap.show(made(number), tap.wanting("/a", "Note"))
    assert seen == [1, 2]
    assert len(tap) == 1
    assert "my own fault" in caplog.text
