"""Traces: messages as they are handled, what led to what, and diagrams of it."""

from __future__ import annotations

import re
from typing import Any

import attrs
import pytest
import trio

from supervision import Actor, ActorRef, BlockingActor, ChildSpec, Refuse, Request, handles
from supervision.causality import follow, mermaid
from supervision.dispatcher import Dispatcher
from supervision.observe import Tap, Trace, TraceEvent, TraceFilter, path_matches
from supervision.testing import SystemUnderTest


@attrs.frozen
class Order(Request[str]):
    what: str


@attrs.frozen
class Brew(Request[str]):
    what: str


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Later(Request[str]):
    pass


@attrs.frozen
class Boom(Request[None]):
    pass


class Kitchen(Actor[Brew | Note | Later | Boom]):
    @handles
    def on_brew(self, message: Brew) -> str:
        if message.what == "petrol":
            raise Refuse("not a drink")
        return f"hot {message.what}"

    @handles
    def on_note(self, message: Note) -> None:
        pass

    @handles
    def on_later(self, _message: Later) -> None:
        self.defer()

    @handles
    def on_boom(self, _message: Boom) -> None:
        raise ValueError("boom")


class Waiter(Actor[Order | Note]):
    def __init__(self, kitchen: ActorRef[Any], diary: ActorRef[Note]) -> None:
        super().__init__()
        self.kitchen = kitchen
        self.diary = diary

    @handles
    async def on_order(self, message: Order) -> str:
        self.diary.tell(Note("ordered"))
        await trio.sleep(2)
        return await self.kitchen.ask(Brew(message.what))

    @handles
    async def on_note(self, _message: Note) -> None:
        self.send_after(1, Note("never mind")) if _message.text == "remind" else None


async def restaurant(system: SystemUnderTest) -> ActorRef[Any]:
    kitchen = await system.spawn(Kitchen, path="/kitchen")
    diary = await system.spawn(Kitchen, path="/diary")
    return await system.spawn(Waiter, kitchen, diary, path="/waiter")


async def collected(trace: Trace) -> list[TraceEvent]:
    return [await anext(trace) for _ in range(len(trace))]


def told(event: TraceEvent) -> tuple[str, str, str]:
    return (event.message_type, event.path, event.outcome)


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
        tap.put("/a", "Note", lambda number=number: made(number))  # type: ignore[misc]
    assert seen == [1, 2]
    assert len(tap) == 1
    assert "my own fault" in caplog.text


# -- causality ----------------------------------------------------------------------------


def made(
    number: int,
    cause: int = 0,
    path: str = "/a",
    *,
    kind: str = "Note",
    asked: bool = False,
    outcome: str = "ok",
    at: float | None = None,
    seconds: float = 0.0,
) -> TraceEvent:
    return TraceEvent(
        at=float(number) if at is None else at,
        id=number,
        cause=cause,
        path=path,
        message=Note("hush"),
        message_type=kind,
        asked=asked,
        seconds=seconds,
        outcome=outcome,
    )


def test_follow_goes_up_to_the_first_cause_and_down_to_the_last_effect() -> None:
    events = [made(1), made(2, 1), made(3, 1), made(4, 3), made(5), made(6, 4), made(7, 99)]
    turn = follow(events, 4)
    assert turn.root.event.id == 1
    assert [caused.event.id for caused in turn.root.led_to] == [2, 3]
    assert [event.id for event in turn] == [1, 2, 3, 4, 6]
    assert [event.id for event in follow(events, 7)] == [7]


def test_follow_takes_the_last_word_on_an_async_handler() -> None:
    events = [made(1, outcome="started"), made(2, 1), made(1, at=9.0, seconds=8.0)]
    turn = follow(events, 2)
    assert (turn.root.event.outcome, turn.root.event.seconds) == ("ok", 8.0)
    assert [event.id for event in turn] == [1, 2, 1]


def test_follow_says_when_it_has_never_seen_the_message() -> None:
    with pytest.raises(LookupError, match="no event of message 3 is here"):
        follow([made(1)], 3)


def test_follow_is_not_led_in_circles_by_a_forged_recording() -> None:
    events = [made(1, 2), made(2, 1), made(3, 3)]
    assert [event.id for event in follow(events, 3)] == [3]
    assert {event.id for event in follow(events, 2)} == {1, 2}


def test_a_long_turn_is_followed() -> None:
    events = [made(number, number - 1) for number in range(1, 20_001)]
    turn = follow(events, 20_000)
    assert sum(1 for _ in turn) == 20_000
    assert str(follow(events[:3], 1)).splitlines()[2].startswith("    Note → /a")


# -- diagrams -----------------------------------------------------------------------------


async def test_a_turn_becomes_a_sequence_diagram(system: SystemUnderTest) -> None:
    waiter = await restaurant(system)
    with system.trace() as trace:
        await waiter.ask(Order("tea"))
        events = await collected(trace)
    assert mermaid(follow(events, events[0].id)) == (
        "sequenceDiagram\n"
        "    participant a0 as outside\n"
        "    participant a1 as /waiter\n"
        "    participant a2 as /diary\n"
        "    participant a3 as /kitchen\n"
        "    a0->>a1: Order\n"
        "    a1-)a2: Note\n"
        "    a1->>a3: Brew\n"
        "    a3-->>a1: answer\n"
        "    a1-->>a0: answer\n"
    )
    assert "tea" in mermaid(events, bodies=True)


def test_what_went_wrong_is_drawn() -> None:
    diagram = mermaid(
        [
            made(1, asked=True, outcome="ValueError"),
            made(2, asked=True, outcome="refused"),
            made(3, outcome="poisoned"),
            made(4, asked=True, outcome="started"),
        ]
    )
    assert "a1--xa0: crashed, ValueError" in diagram
    assert "a1--xa0: refused" in diagram
    assert "Note over a1: poisoned" in diagram
    assert "Note over a1: not done yet" in diagram


def test_no_text_breaks_out_of_its_line() -> None:
    wild = made(1, path="/a;\nend: #b", kind="Ma;ke\nend")
    diagram = mermaid([wild])
    lines = diagram.splitlines()
    assert len(lines) == 4
    for line in lines[1:]:
        text = line.partition(":")[2] if "-" in line else line.partition(" as ")[2]
        assert re.sub(r"#\d+;", "", text).count(";") == 0
        assert "#" not in re.sub(r"#\d+;", "", text)
        assert not re.search(r"\bend\b", text)
