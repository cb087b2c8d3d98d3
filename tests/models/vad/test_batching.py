"""Legs and windows without actors: order, turns, what is dropped, what a gap means."""

from __future__ import annotations

from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from models.vad.batching import Batching, Taken
from models.vad.config import VadConfig
from models.vad.levels import Level
from models.vad.protocol import VadLeg, Voice, Window
from supervision import ActorRef

NOBODY = cast("ActorRef[Voice]", None)
"""These tests tell nobody anything."""


def leg(name: str, rate: int = 16000) -> VadLeg:
    return VadLeg(name, rate, NOBODY)


def window(who: VadLeg, number: int) -> Window:
    """The leg's window of that number, from 0; what is in it says so."""
    pcm = number.to_bytes(2, "little") * who.window
    return Window(who, pcm, (number + 1) * who.window)


def answer(batching: Batching, taken: Taken, probability: float = 0.9) -> list[Voice]:
    scores = tuple((probability,) * len(rows.slots) for rows in taken.rows)
    return [voice for _, voice in batching.scored(taken, scores)]


def test_a_leg_has_one_window_in_a_batch_and_they_go_in_order() -> None:
    batching, a, b = Batching(VadConfig()), leg("a"), leg("b")
    for number in range(3):
        assert batching.heard(window(a, number), 0)
    assert batching.heard(window(b, 0), 0)
    sent = []
    while batching.waiting:
        taken = batching.take("engine")
        sent.append([pcm[0] for pcm in taken.rows[0].pcm])
        answer(batching, taken)
    assert sent == [[0, 0], [1], [2]]


def test_rates_do_not_share_rows() -> None:
    batching, wide, narrow = Batching(VadConfig()), leg("w"), leg("n", 8000)
    batching.heard(window(narrow, 0), 0)
    batching.heard(window(wide, 0), 0)
    taken = batching.take("engine")
    assert [(rows.rate, rows.slots, len(rows.pcm[0])) for rows in taken.rows] == [
        (8000, (0,), 512),
        (16000, (0,), 1024),
    ]


def test_those_that_wait_longest_go_first() -> None:
    batching = Batching(VadConfig(max_batch=2))
    legs = [leg(str(n)) for n in range(3)]
    for each in legs:
        for number in range(2):
            batching.heard(window(each, number), 0)
    order = []
    while batching.waiting:
        taken = batching.take("engine")
        order.append([ear.leg.id for ear in taken.ears[0]])
        answer(batching, taken)
    assert order == [["0", "1"], ["2", "0"], ["1", "2"]]


def test_only_the_first_window_of_a_leg_is_fresh() -> None:
    batching, a = Batching(VadConfig()), leg("a")
    fresh = []
    for number in range(3):
        batching.heard(window(a, number), 0)
        taken = batching.take("engine")
        fresh.append(taken.rows[0].fresh)
        answer(batching, taken)
    assert fresh == [(0,), (), ()]
    assert batching.counts.gaps == 0


def test_windows_that_have_to_wait_too_long_give_way_to_newer_ones() -> None:
    batching, a = Batching(VadConfig(backlog=2)), leg("a")
    batching.heard(window(a, 0), 0)
    first = batching.take("engine")
    for number in range(1, 5):
        batching.heard(window(a, number), 0)
    assert answer(batching, first)[0].run == 1
    second = batching.take("engine")
    assert second.ends == ((4 * 512,),)
    assert second.rows[0].fresh == (0,), "what the engine remembers is not what came before"
    assert [(voice.run, voice.start) for voice in answer(batching, second)] == [(1, 3 * 512)]
    assert (batching.counts.dropped, batching.counts.gaps) == (2, 1)


def test_a_leg_is_told_at_the_runs_it_asked_for_only() -> None:
    batching = Batching(VadConfig())
    a = VadLeg("a", 16000, NOBODY, high_runs=frozenset({2}), low_runs=frozenset({1, 3}))
    told = []
    for number, probability in enumerate([0.9] * 4 + [0.4] + [0.1] * 4):
        batching.heard(window(a, number), 0)
        told += answer(batching, batching.take("engine"), probability)
    assert told == [
        Voice("a", Level.HIGH, 2, 0, 2 * 512, 0.9),
        Voice("a", Level.LOW, 1, 5 * 512, 6 * 512, 0.1),
        Voice("a", Level.LOW, 3, 5 * 512, 8 * 512, 0.1),
    ]


def test_a_lost_batch_costs_its_windows_and_begins_anew() -> None:
    batching, a = Batching(VadConfig()), leg("a")
    batching.heard(window(a, 0), 0)
    batching.lost(batching.take("engine"))
    batching.heard(window(a, 1), 0)
    taken = batching.take("engine")
    assert taken.rows[0].fresh == (0,)
    assert [(v.run, v.start) for v in answer(batching, taken)] == [(1, 512)]
    assert (batching.counts.lost, batching.counts.scored) == (1, 1)


def test_another_engine_has_heard_nothing() -> None:
    batching, a = Batching(VadConfig()), leg("a")
    for number, engine in enumerate(["silero", "energy", "energy", "silero"]):
        batching.heard(window(a, number), 0)
        taken = batching.take(engine)
        assert bool(taken.rows[0].fresh) == (number != 2)
        answer(batching, taken)


def test_what_is_under_way_for_a_leg_that_left_concerns_nobody() -> None:
    batching, a, b = Batching(VadConfig()), leg("a"), leg("b")
    batching.heard(window(a, 0), 0)
    taken = batching.take("engine")
    batching.heard(window(a, 1), 0)
    batching.forget("a")
    assert (len(batching), batching.waiting) == (0, 0)
    batching.heard(window(b, 0), 0)
    assert answer(batching, taken) == []
    later = batching.take("engine")
    assert later.rows[0].slots == taken.rows[0].slots, "the slot is used again"
    assert later.rows[0].fresh == later.rows[0].slots


def test_a_leg_may_describe_itself_anew_and_keeps_its_run() -> None:
    batching, a = Batching(VadConfig()), leg("a")
    batching.heard(window(a, 0), 0)
    answer(batching, batching.take("engine"))
    again = VadLeg("a", 16000, NOBODY, high_runs=frozenset({2}))
    batching.heard(window(again, 1), 0)
    assert [voice.run for voice in answer(batching, batching.take("engine"))] == [2]
    narrow = leg("a", 8000)
    batching.heard(window(narrow, 0), 0)
    assert [voice.run for voice in answer(batching, batching.take("engine"))] == [1]
    assert len(batching) == 1


def test_a_restarted_track_that_counts_from_the_start_again_is_a_new_run() -> None:
    batching, a = Batching(VadConfig()), leg("a")
    for number in (0, 1, 0):
        batching.heard(window(a, number), 0)
        taken = batching.take("engine")
        told = answer(batching, taken)
    assert taken.rows[0].fresh == (0,)
    assert [(voice.run, voice.start) for voice in told] == [(1, 0)]
    assert batching.counts.gaps == 1


def test_what_cannot_be_listened_to_is_refused_and_counted() -> None:
    batching = Batching(VadConfig(max_legs=1))
    assert batching.heard(window(leg("a"), 0), 0)
    assert not batching.heard(window(leg("b"), 0), 0), "no slot"
    assert batching.heard(window(leg("c", 8000), 0), 0), "slots are per rate"
    assert not batching.heard(window(leg("d", 48000), 0), 0), "no such rate"
    assert not batching.heard(Window(leg("e", 8000), b"12", 1), 0), "no window"
    assert batching.counts.refused == 3
    batching.forget("a")
    assert batching.heard(window(leg("b"), 0), 0)


def test_a_leg_whose_windows_have_the_wrong_length_takes_no_slot() -> None:
    batching = Batching(VadConfig())
    assert not batching.heard(Window(leg("a"), b"", 0), 0)
    assert len(batching) == 0


def test_silent_legs_are_forgotten() -> None:
    batching = Batching(VadConfig())
    batching.heard(window(leg("a"), 0), 0)
    batching.heard(window(leg("b"), 0), 10)
    assert batching.reap(5) == ["a"]
    assert (len(batching), batching.waiting, batching.counts.reaped) == (1, 1, 1)


@given(
    st.lists(st.tuples(st.sampled_from("hhhhtttlf"), st.integers(0, 4)), min_size=1, max_size=150),
    st.integers(1, 4),
    st.integers(1, 3),
)
def test_no_window_is_lost_unless_it_is_counted_and_none_overtakes(
    steps: list[tuple[str, int]], max_batch: int, backlog: int
) -> None:
    batching = Batching(VadConfig(max_batch=max_batch, backlog=backlog))
    legs = [leg(str(n), rate) for n, rate in enumerate([16000, 8000, 16000, 8000, 16000])]
    sent = dict.fromkeys(legs, 0)
    seen: dict[str, list[int]] = {each.id: [] for each in legs}
    forgotten = 0
    for what, number in steps:
        who = legs[number]
        if what == "h":
            assert batching.heard(window(who, sent[who]), 0)
            sent[who] += 1
        elif what == "f":
            before = batching.counts.heard
            forgotten += sum(len(e.waiting) for e in batching._ears.values() if e.leg is who)
            batching.forget(who.id)
            assert batching.counts.heard == before
        elif batching.waiting:
            taken = batching.take("engine")
            assert taken.windows <= max_batch
            for ears, ends in zip(taken.ears, taken.ends, strict=True):
                assert len({id(ear) for ear in ears}) == len(ears)
                for ear, end in zip(ears, ends, strict=True):
                    seen[ear.leg.id].append(end)
            if what == "t":
                answer(batching, taken)
            else:
                batching.lost(taken)
    waiting = sum(len(ear.waiting) for ear in batching._ears.values())
    counts = batching.counts
    assert counts.heard == counts.scored + counts.lost + counts.dropped + waiting + forgotten
    assert all(ends == sorted(set(ends)) for ends in seen.values())
