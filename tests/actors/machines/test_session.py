"""The session's machine: who has the floor, what history keeps, and that nobody waits for ever."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.machines import decisions as do
from actors.machines.decisions import Decision
from actors.machines.ledger import spans_of
from actors.machines.profiles import FloorConfig
from actors.machines.session import Session
from models.conversation import AgentSaid, Item, ToolAnswered, ToolCalled, UserSaid
from models.vad.levels import Level
from models.words import Word

TEXT = "one two three four five"


def begun(config: FloorConfig | None = None) -> Session:
    session = Session(config or FloorConfig())
    session.join("a", 0.0)
    return session


def of(kind: type, decisions: Sequence[Decision]) -> list[Decision]:
    return [decision for decision in decisions if isinstance(decision, kind)]


def speak(session: Session, text: str, at: float) -> None:
    """Everything of the present utterance has come, and has begun to sound."""
    assert session.utterance is not None
    epoch = session.utterance.epoch
    session.token(epoch, at)
    session.piece(epoch, 0, text, spans_of(text), at)
    words = [Word(w, 0.3 * n, 0.3 * (n + 1)) for n, w in enumerate(text.split())]
    session.sound(epoch, 0, 0.3 * len(words), words, at)
    session.piece_done(epoch, 0, at)
    session.answer_ended(epoch, at, text)
    session.speech_ended(epoch, at)
    session.started("a", epoch, at)


def said(history: tuple[Item, ...]) -> list[str]:
    return [item.text for item in history if isinstance(item, AgentSaid | UserSaid)]


def test_typed_text_is_answered_at_once() -> None:
    session = begun()
    decided = session.typed("a", " hello ", 1.0)
    (turn,) = of(do.TakeTurn, decided)
    assert isinstance(turn, do.TakeTurn)
    assert said(turn.history) == ["hello"]
    assert turn.turn == 1


def test_what_was_drained_is_history() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    speak(session, TEXT, 1.1)
    session.drained("a", 1, 1.5, 2.7)
    assert said(session.history) == ["hello", TEXT]
    assert session.utterance is None


def test_a_cut_waits_for_the_exact_position_but_not_for_long() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    speak(session, TEXT, 1.1)
    session.progress("a", 1, 0.35, 1.5)
    session.typed("a", "no", 1.7)
    assert said(session.history) == ["hello"]
    assert session.deadline == pytest.approx(1.75)
    session.held("a", 1, 0.65, True, 1.71)
    assert said(session.history) == ["hello", "one two", "no"]


def test_the_last_position_told_counts_if_no_exact_one_comes() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    speak(session, TEXT, 1.1)
    session.progress("a", 1, 0.35, 1.5)
    session.typed("a", "no", 1.7)
    session.time_passed(1.75)
    assert said(session.history) == ["hello", "one", "no"]


def test_messages_of_an_old_utterance_are_dropped_and_counted() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    session.typed("a", "no", 1.1)
    for told in (
        session.token(1, 1.2),
        session.piece(1, 0, TEXT, (), 1.2),
        session.sound(1, 0, 0.3, (), 1.2),
        session.piece_done(1, 0, 1.2),
        session.started("a", 1, 1.2),
        session.drained("a", 1, 0.3, 1.2),
        session.hang_up(1, "bye", 1.2),
        session.answer_ended(1, 1.2),
    ):
        assert told == []
    assert sum(session.stale.values()) == 8
    assert session.may_start_tool(1, 1.2) is False
    assert session.may_start_tool(2, 1.2) is True


def test_a_tool_waits_while_the_agent_is_held() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    epoch = session.epoch
    session.token(epoch, 1.1)
    session.piece(epoch, 0, TEXT, spans_of(TEXT), 1.1)
    session.sound(epoch, 0, 1.5, (), 1.1)
    session.started("a", epoch, 1.1)
    session.voice("a", Level.HIGH, 1, 1.5, 1.532, 1.54)
    session.voice("a", Level.HIGH, 2, 1.5, 1.564, 1.57)
    assert session.agent_state() == "held"
    assert session.may_start_tool(epoch, 1.6) is None
    session.voice("a", Level.LOW, 2, 1.57, 1.63, 1.64)
    session.time_passed(session.deadline)
    while session.agent_state() == "held":
        session.time_passed(session.deadline)
    assert session.may_start_tool(epoch, 3.0) is True


def test_a_goodbye_that_is_cut_hangs_up_on_nobody() -> None:
    session = begun()
    session.typed("a", "bye then", 1.0)
    session.hang_up(1, "done", 1.05)
    speak(session, TEXT, 1.1)
    decided = [*session.typed("a", "one more thing", 1.5), *session.held("a", 1, 0.3, True, 1.5)]
    assert not of(do.EndCall, decided)
    assert len(of(do.TakeTurn, decided)) == 1


def test_a_goodbye_that_nobody_plays_ends_a_second_after_its_length() -> None:
    session = begun()
    session.typed("a", "bye then", 1.0)
    session.hang_up(1, "done", 1.05)
    speak(session, TEXT, 1.1)
    assert session.deadline == pytest.approx(1.1 + 1.5 + 1.0)
    decided = list(session.time_passed(session.deadline))
    decided += session.time_passed(session.deadline)
    assert of(do.EndCall, decided) == [do.EndCall("done")]


def test_no_call_of_a_lost_agent_stays_without_an_answer() -> None:
    session = begun()
    session.typed("a", "look", 1.0)
    session.committed(ToolCalled("1", "look", "{}"), 1, 1.1)
    decided = session.lost("agent", 1.2)
    answers = [item for item in session.history if isinstance(item, ToolAnswered)]
    assert [answer.id for answer in answers] == ["1"]
    assert [turn.reason for turn in of(do.TakeTurn, decided) if isinstance(turn, do.TakeTurn)] == [
        "again"
    ]
    session.committed(ToolAnswered("1", "late"), 1, 1.3)
    assert len([item for item in session.history if isinstance(item, ToolAnswered)]) == 1


def test_what_a_lost_speaker_had_not_got_to_is_said_anew() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    epoch = session.epoch
    session.token(epoch, 1.1)
    session.piece(epoch, 0, "one two", spans_of("one two"), 1.1)
    session.sound(epoch, 0, 0.6, [Word("one", 0, 0.3), Word("two", 0.3, 0.6)], 1.1)
    session.started("a", epoch, 1.1)
    session.answer_ended(epoch, 1.2, TEXT)
    decided = [*session.lost("speaker", 1.5), *session.held("a", epoch, 0.4, True, 1.5)]
    (utter,) = of(do.Utter, decided)
    assert isinstance(utter, do.Utter)
    assert utter.text == "two three four five"
    assert said(session.history) == ["hello", "one"]


def test_a_lost_agent_that_had_said_all_it_had_to_say_is_not_missed() -> None:
    session = begun()
    session.typed("a", "hello", 1.0)
    speak(session, TEXT, 1.1)
    assert not of(do.Hold, session.lost("agent", 1.3))


def test_an_answer_waits_for_somebody_else_who_speaks_but_not_for_ever() -> None:
    session = begun()
    session.join("b", 0.0)
    session.voice("b", Level.HIGH, 2, 0.9, 0.96, 1.0)
    assert not of(do.TakeTurn, session.typed("a", "hello", 1.0))
    assert session.deadline == pytest.approx(3.0)
    assert of(do.TakeTurn, session.time_passed(3.0))


# -- nobody waits for ever ------------------------------------------------------------------------

LEGS = st.sampled_from(["a", "b"])
EVENTS = st.one_of(
    st.tuples(st.just("voice"), LEGS, st.sampled_from([Level.HIGH, Level.LOW]), st.integers(1, 25)),
    st.tuples(
        st.just("understood"), LEGS, st.sampled_from(["", "yes", "go on", "stop"]), st.booleans()
    ),
    st.tuples(st.just("typed"), LEGS),
    st.tuples(st.just("silence"), LEGS),
    st.tuples(st.just("join"), LEGS),
    st.tuples(st.just("leave"), LEGS),
    st.tuples(st.just("away"), LEGS),
    st.tuples(st.just("back"), LEGS),
    st.tuples(st.just("token")),
    st.tuples(st.just("speak")),
    st.tuples(st.just("started"), LEGS),
    st.tuples(st.just("progress"), LEGS, st.floats(0, 1.5)),
    st.tuples(st.just("held"), LEGS, st.floats(0, 1.5), st.booleans()),
    st.tuples(st.just("starved"), LEGS),
    st.tuples(st.just("drained"), LEGS),
    st.tuples(st.just("say"), st.booleans()),
    st.tuples(st.just("hang_up")),
    st.tuples(st.just("lost"), st.sampled_from(["agent", "speaker", "outbound"])),
    st.tuples(st.just("answer_ended")),
    st.tuples(st.just("speech_ended")),
    st.tuples(st.just("changed_agent")),
)


class World:
    """A session and everything that may happen to it, in any order."""

    def __init__(self) -> None:
        self.session = Session(FloorConfig())
        self.at = 0.0
        self.told: list[Decision] = []
        self.pieces: dict[int, int] = {}
        self.do(("join", "a"))

    def do(self, event: tuple[object, ...]) -> None:  # noqa: C901 - one line for each event
        s, at, name = self.session, self.at, event[0]
        leg = str(event[1]) if len(event) > 1 else ""
        epoch = s.epoch
        match event:
            case ("voice", _, Level() as level, int() as run):
                decided = s.voice(leg, level, run, at - 0.032 * run, at, at)
            case ("understood", _, str() as text, bool() as final):
                decided = s.understood(leg, text, final, at - 0.5, at, at)
            case ("typed", _):
                decided = s.typed(leg, "typed", at)
            case ("progress", _, float() as position):
                decided = s.progress(leg, epoch, position, at)
            case ("held", _, float() as position, bool() as exact):
                decided = s.held(leg, epoch, position, exact, at)
            case ("started", _):
                decided = s.started(leg, epoch, at)
            case ("starved", _):
                decided = s.starved(leg, epoch, at)
            case ("drained", _):
                decided = s.drained(leg, epoch, 1.5, at)
            case ("say", bool() as protected):
                decided = s.say("said", at, protected=protected)
            case ("token",):
                decided = s.token(epoch, at)
            case ("speak",):
                number = self.pieces[epoch] = self.pieces.get(epoch, -1) + 1
                decided = [
                    *s.piece(epoch, number, TEXT, spans_of(TEXT), at),
                    *s.sound(epoch, number, 1.5, (), at),
                    *s.piece_done(epoch, number, at),
                ]
            case ("hang_up",):
                decided = s.hang_up(epoch, "bye", at)
            case ("answer_ended",):
                decided = s.answer_ended(epoch, at, TEXT)
            case ("speech_ended",):
                decided = s.speech_ended(epoch, at)
            case ("changed_agent",):
                decided = s.changed_agent(epoch, "other", at)
            case ("lost", str() as who):
                decided = s.lost(who, at)
            case ("join", _) if leg in s.people or s.ended:
                decided = []
            case _:
                decided = getattr(s, str(name))(leg, at)
        self.told += decided

    def wait(self, seconds: float) -> None:
        """Time passes, with every deadline acted on when it comes."""
        until, steps = self.at + seconds, 0
        while self.session.deadline <= until:
            steps += 1
            assert steps < 500, "the same deadline comes again and again"
            self.at = max(self.at, self.session.deadline)
            self.told += self.session.time_passed(self.at)
        self.at = until


@settings(max_examples=300)
@given(st.lists(st.tuples(st.floats(0, 3), EVENTS), max_size=40))
def test_whatever_happens_nobody_waits_for_ever(
    story: list[tuple[float, tuple[object, ...]]],
) -> None:
    """V7: after any story somebody is asked for something, or everything is at rest."""
    world = World()
    for seconds, event in story:
        world.wait(seconds)
        world.do(event)
        assert all(
            later.epoch > earlier.epoch
            for earlier, later in zip(
                of(do.Begin, world.told), of(do.Begin, world.told)[1:], strict=False
            )
            if isinstance(earlier, do.Begin) and isinstance(later, do.Begin)
        )
    session = world.session
    # The agent answers at last, and everybody hears it to the end; then nothing is under way.
    for leg in ("a", "b"):
        world.do(("back", leg))
        world.do(("silence", leg))
    for _ in range(60):
        world.wait(4.0)
        for step in ("token", "speak", "answer_ended", "speech_ended"):
            world.do((step,))
        for leg in list(session.people):
            world.do(("started", leg))
        world.wait(2.0)
        for leg in list(session.people):
            world.do(("held", leg, 1.0, True))
            world.do(("drained", leg))
    world.wait(30.0)
    assert session.ended or session.utterance is None
    assert session.deadline == inf
    assert session.ended == (len(of(do.EndCall, world.told)) == 1)
