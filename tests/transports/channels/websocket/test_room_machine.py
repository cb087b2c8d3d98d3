"""The protocol without a socket or a clock."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any

import attrs
import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.rooms.event import RoomEvent
from models.rooms.traffic import InboundResult
from tests.transports.channels.websocket.places import event_of
from transports.channels.websocket.config import RoomWireConfig
from transports.channels.websocket.decisions import (
    Chunk,
    ComeIn,
    Decision,
    Fetch,
    Hang,
    Join,
    Part,
    Say,
    Submit,
)
from transports.channels.websocket.machine import RoomWireMachine
from transports.channels.websocket.messages import item_of
from transports.channels.websocket.news import RoomNews


def say(kind: str, **fields: Any) -> str:
    return orjson.dumps({"type": kind, **fields}).decode()


def said(decisions: Sequence[Decision]) -> list[dict[str, Any]]:
    return [orjson.loads(it.text) for it in decisions if isinstance(it, Say)]


def entered(config: RoomWireConfig | None = None, **hello: Any) -> RoomWireMachine:
    machine = RoomWireMachine(config or RoomWireConfig(), at=0.0)
    [come_in] = machine.text_came(say("hello", participant_id="ada", **hello), 0.0)
    assert isinstance(come_in, ComeIn)
    [ready] = said(machine.entered("web", "w-1"))
    assert ready["type"] == "ready"
    return machine


def subscribed(machine: RoomWireMachine, events: Sequence[RoomEvent] = ()) -> int:
    """Subscribe to "r" from its beginning; returns the epoch."""
    [join] = machine.text_came(say("subscribe", room_id="r", after_index=-1), 0.0)
    assert isinstance(join, Join)
    assert machine.joined("r", join.epoch) == [Fetch("r", join.epoch, -1)]
    machine.page("r", join.epoch, [item_of(event) for event in events], full=False)
    return join.epoch


def indices(decisions: Sequence[Decision]) -> list[int]:
    return [frame["event"]["index"] for frame in said(decisions) if frame["type"] == "event"]


def test_what_is_told_during_a_fetch_comes_after_what_was_fetched() -> None:
    machine = entered()
    [join] = machine.text_came(say("subscribe", room_id="r"), 0.0)
    assert isinstance(join, Join)
    machine.joined("r", join.epoch)
    assert machine.event_came(item_of(event_of("r", 2))) == []
    page = [item_of(event_of("r", index)) for index in (0, 1, 2)]
    decisions = machine.page("r", join.epoch, page, full=False)
    assert [frame["type"] for frame in said(decisions)] == [
        "subscribed",
        "event",
        "event",
        "event",
        "caught_up",
    ]
    assert indices(decisions) == [0, 1, 2]
    assert said(decisions)[0]["latest_index"] == 2
    assert machine.event_came(item_of(event_of("r", 2))) == []
    assert indices(machine.event_came(item_of(event_of("r", 3)))) == [3]


def test_more_than_is_held_during_a_fetch_is_fetched_once_more() -> None:
    machine = entered(RoomWireConfig(live=1))
    [join] = machine.text_came(say("subscribe", room_id="r"), 0.0)
    assert isinstance(join, Join)
    machine.joined("r", join.epoch)
    for index in (1, 2):
        machine.event_came(item_of(event_of("r", index)))
    decisions = machine.page("r", join.epoch, [item_of(event_of("r", 0))], full=False)
    assert indices(decisions) == [0]
    assert decisions[-1] == Fetch("r", join.epoch, 0)
    page = [item_of(event_of("r", index)) for index in (1, 2)]
    assert indices(machine.page("r", join.epoch, page, full=False)) == [1, 2]


def test_answers_to_an_older_question_count_for_nothing() -> None:
    machine = entered()
    epoch = subscribed(machine, [event_of("r", 0)])
    [join] = machine.text_came(say("subscribe", room_id="r", after_index=-1), 0.0)
    assert isinstance(join, Join)
    assert join.epoch != epoch
    assert machine.joined("r", epoch) == []
    assert machine.page("r", epoch, [item_of(event_of("r", 0))], full=False) == []
    assert machine.room_failed("r", epoch, "x", "y") == []


def test_subscribing_again_without_an_index_goes_on_where_one_stands() -> None:
    machine = entered()
    subscribed(machine, [event_of("r", 0), event_of("r", 1)])
    [join] = machine.text_came(say("subscribe", room_id="r"), 0.0)
    assert isinstance(join, Join)
    assert machine.joined("r", join.epoch) == [Fetch("r", join.epoch, 1)]


def test_who_unsubscribes_during_a_fetch_gets_nothing() -> None:
    machine = entered()
    [join] = machine.text_came(say("subscribe", room_id="r"), 0.0)
    assert isinstance(join, Join)
    machine.joined("r", join.epoch)
    part, _ = machine.text_came(say("unsubscribe", room_id="r"), 0.0)
    assert part == Part("r")
    assert machine.page("r", join.epoch, [item_of(event_of("r", 0))], full=False) == []
    assert machine.event_came(item_of(event_of("r", 1))) == []


def test_a_message_is_accepted_by_its_echo_or_by_its_answer_whichever_is_first() -> None:
    for echo_first in (True, False):
        machine = entered(display_name="Ada")
        subscribed(machine)
        [submit] = machine.text_came(say("message", room_id="r", id="m", text="hi"), 0.0)
        assert isinstance(submit, Submit)
        assert submit.message.metadata == {"display_name": "Ada"}
        key = submit.message.idempotency_key
        assert key is not None
        event = event_of("r", 0, idempotency_key=key)
        echo = [machine.event_came, item_of(event)]
        answered = [machine.answered, key, InboundResult(event)]
        heard = []
        for call, *arguments in (echo, answered) if echo_first else (answered, echo):
            heard += said(call(*arguments))  # type: ignore[operator]
        assert [frame["type"] for frame in heard] == ["accepted", "event"]


def test_a_message_that_is_accepted_while_its_room_is_being_fetched_is_told_so() -> None:
    machine = entered()
    [join] = machine.text_came(say("subscribe", room_id="r"), 0.0)
    assert isinstance(join, Join)
    [submit] = machine.text_came(say("message", room_id="r", id="m", text="hi"), 0.0)
    assert isinstance(submit, Submit)
    event = event_of("r", 7, idempotency_key=submit.message.idempotency_key)
    [accepted] = said(machine.event_came(item_of(event)))
    assert (accepted["type"], accepted["index"]) == ("accepted", 7)


def test_a_message_that_no_room_keeps_is_accepted_without_an_index() -> None:
    machine = entered()
    subscribed(machine)
    [submit] = machine.text_came(say("message", room_id="r", id="m", text="hi"), 0.0)
    assert isinstance(submit, Submit)
    [accepted] = said(machine.answered("ada/m", InboundResult()))
    assert (accepted["event_id"], accepted["index"]) == (None, None)


def test_the_end_of_a_stream_does_not_repeat_an_event_that_is_there() -> None:
    machine = entered(stream=True)
    subscribed(machine)
    chunk = Chunk("r", "s", "hi", "hi")
    assert len(machine.stream_came(say("stream_start"), chunk)) == 2
    event = event_of("r", 0)
    machine.event_came(item_of(event))
    [end] = said(machine.stream_ended("r", "s", item_of(event), segmented=False, error=None))
    assert (end["type"], end["event"], end["event_id"]) == ("stream_end", None, "e-0")


def test_a_machine_that_is_over_says_nothing_more() -> None:
    machine = entered()
    subscribed(machine)
    machine.over()
    assert machine.event_came(item_of(event_of("r", 0))) == []
    assert machine.text_came(say("ping"), 0.0) == ()
    assert machine.binary_came(0.0) == ()
    assert machine.answered("k", InboundResult()) == []


def test_the_hello_has_a_deadline() -> None:
    machine = RoomWireMachine(RoomWireConfig(hello_timeout=3), at=10.0)
    assert machine.deadline == 13.0
    assert machine.time_passed(12.9) == ()
    assert machine.time_passed(13.0)[-1] == Hang(4408, "no_hello")


def test_a_token_is_kept_nowhere() -> None:
    machine = RoomWireMachine(RoomWireConfig(), at=0.0)
    [come_in] = machine.text_came(say("hello", participant_id="ada", token="sesame"), 0.0)
    assert isinstance(come_in, ComeIn)
    assert come_in.token is not None
    assert come_in.token.reveal() == "sesame"
    assert "sesame" not in repr(come_in)
    assert come_in.hello.token is None


# -- whatever comes when ----------------------------------------------------------------------

MINE = "web"


@attrs.define
class World:
    """One room, one client, and a network between them whose every step is drawn."""

    config: RoomWireConfig
    page: int
    events: list[RoomEvent] = attrs.field(factory=list)
    hidden: set[int] = attrs.field(factory=set)
    """Indices of events that this channel may not see."""
    news: RoomNews = attrs.field(factory=lambda: RoomNews(2))
    machine: RoomWireMachine | None = None
    joined: bool = False
    deliveries: deque[RoomEvent] = attrs.field(factory=deque)
    """Told by the room, not yet by the channel."""
    joins: deque[Join] = attrs.field(factory=deque)
    fetches: deque[Fetch] = attrs.field(factory=deque)
    pages: deque[tuple[Fetch, list[RoomEvent]]] = attrs.field(factory=deque)
    up: deque[str] = attrs.field(factory=deque)
    down: deque[str] = attrs.field(factory=deque)
    heard: list[int] = attrs.field(factory=list)

    def step(self, action: str) -> None:
        getattr(self, action)()

    # each of these is one step; those that have nothing to do do nothing

    def commit(self) -> None:
        event = event_of("r", len(self.events))
        self.events.append(event)
        self.deliveries.append(event)

    def commit_hidden(self) -> None:
        self.hidden.add(len(self.events))
        self.events.append(event_of("r", len(self.events)))

    def deliver(self) -> None:
        if self.deliveries:
            event = self.deliveries.popleft()
            if self.joined and self.machine is not None:
                self.do(self.machine.event_came(item_of(event)))

    def deliver_again(self) -> None:
        """A room that was restarted delivers the last one once more."""
        visible = [event for event in self.events if event.index not in self.hidden]
        if visible and not self.deliveries and self.joined and self.machine is not None:
            self.do(self.machine.event_came(item_of(visible[-1])))

    def connect(self) -> None:
        if self.machine is None:
            self.machine = entered(self.config)
            self.up.extend(self.news.connected())

    def lose(self) -> None:
        """The connection breaks, with all that is on it."""
        self.machine, self.joined = None, False
        for line in (self.joins, self.fetches, self.pages, self.up, self.down):
            line.clear()

    def channel_fails(self) -> None:
        """It forgets the connection, which enters again."""
        if self.machine is not None:
            self.joined = False
            self.do(self.machine.entered("web", "w-1"))

    def look_again(self) -> None:
        if self.machine is not None:
            self.do(self.machine.fell_behind("r"))

    def hear_client(self) -> None:
        if self.up and self.machine is not None:
            self.do(self.machine.text_came(self.up.popleft(), 0.0))

    def hear_server(self) -> None:
        if self.down:
            self.news.take(self.down.popleft())

    def join(self) -> None:
        if self.joins and self.machine is not None:
            join = self.joins.popleft()
            self.joined = True
            self.do(self.machine.joined(join.room_id, join.epoch))

    def fetch(self) -> None:
        """The store reads; the answer is on its way."""
        if self.fetches:
            fetch = self.fetches.popleft()
            after = [
                event
                for event in self.events
                if event.index > fetch.after_index and event.index not in self.hidden
            ]
            self.pages.append((fetch, after[: self.page]))

    def answer(self) -> None:
        if self.pages and self.machine is not None:
            fetch, events = self.pages.popleft()
            items = [item_of(event) for event in events]
            full = len(events) >= self.page
            self.do(self.machine.page(fetch.room_id, fetch.epoch, items, full=full))

    def subscribe(self) -> None:
        """The program subscribes again, from where it stands."""
        room = self.news.rooms.get("r")
        frame = self.news.subscribe("r", -1 if room is None else room.last)
        if self.machine is not None:
            self.up.append(frame)

    def read(self) -> None:
        """The program reads what there is."""
        while (news := self.news.next()) is not None:
            if isinstance(news, RoomEvent):
                self.heard.append(news.index)
        frames = self.news.caught_up_reading()
        if self.machine is not None:
            self.up.extend(frames)

    def read_one(self) -> None:
        """It reads one thing, and turns to something else."""
        news = self.news.next()
        if isinstance(news, RoomEvent):
            self.heard.append(news.index)

    def do(self, decisions: Sequence[Decision]) -> None:
        for decision in decisions:
            match decision:
                case Say(text=text):
                    self.down.append(text)
                case Join():
                    self.joins.append(decision)
                case Fetch():
                    self.fetches.append(decision)
                case _:
                    raise AssertionError(decision)

    def settle(self) -> None:
        """Nothing is under way any more between client and room; not all is delivered."""
        for _ in range(5):
            for step in ("connect", "hear_client", "join", "fetch", "answer", "hear_server"):
                self.step(step)

    def happen(self) -> None:
        """Something is committed and told at once."""
        self.commit()
        while self.deliveries:
            self.deliver()

    def run_out(self) -> None:
        """Everything that is under way comes to its end, on a connection that holds."""
        steps = ("connect", "hear_client", "join", "fetch", "answer", "deliver", "hear_server")
        for _ in range(500):
            for step in steps:
                self.step(step)
            self.read()


ACTIONS = (
    "commit",
    "commit",
    "commit_hidden",
    "deliver",
    "deliver",
    "deliver_again",
    "connect",
    "lose",
    "channel_fails",
    "look_again",
    "hear_client",
    "hear_server",
    "join",
    "fetch",
    "answer",
    "subscribe",
    "read",
    "read_one",
    "settle",
    "settle",
    "happen",
    "happen",
    "happen",
)


@settings(max_examples=300, deadline=None)
@given(
    actions=st.lists(st.sampled_from(ACTIONS), max_size=150),
    live=st.integers(0, 3),
    page=st.integers(1, 4),
)
@example(actions=["settle", "channel_fails", "happen", "join", "happen"], live=3, page=4)
@example(
    actions=["settle", "read", "happen", "happen", "happen", "settle", "read_one", "happen"],
    live=3,
    page=4,
)
@example(
    actions=[
        *("settle", "read", "happen", "happen", "happen"),
        *("hear_server", "hear_server", "hear_server", "happen", "read", "hear_server"),
    ],
    live=3,
    page=4,
)
def test_whatever_breaks_each_event_is_news_once_and_in_order(
    actions: list[str], live: int, page: int
) -> None:
    config = RoomWireConfig(live=live, page=page, frames_per_second=1e5)
    world = World(config, page)
    world.connect()
    world.subscribe()
    for action in actions:
        world.step(action)
        assert world.heard == sorted(set(world.heard))
    world.run_out()
    visible = [event.index for event in world.events if event.index not in world.hidden]
    assert world.heard == visible
