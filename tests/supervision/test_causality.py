"""What led to what, and diagrams of it."""

from __future__ import annotations

import re

import pytest

from supervision.causality import follow, mermaid
from supervision.testing import SystemUnderTest
from tests.supervision.restaurant import (
    Order,
    collected,
    made,
    restaurant,
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
