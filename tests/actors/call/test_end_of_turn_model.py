"""An end-of-turn model, if there is one, is asked in each pause, and decides how long it may be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import trio

from actors.testing import CallRig, say
from models.spoken import Listener
from models.turn.protocol import JudgeTurn, TurnJudgement
from supervision import Actor, Promise, Refuse, handles
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import texts
from transports.leg import ShowTurn


class Judge(Actor[JudgeTurn]):
    """Judges as the test says, and keeps what it was asked."""

    def __init__(
        self, opinion: Callable[[JudgeTurn], float | None], asked: list[JudgeTurn]
    ) -> None:
        super().__init__()
        self._opinion = opinion
        self._asked = asked
        self._unanswered: list[Promise[TurnJudgement]] = []

    @handles
    def on_judge(self, message: JudgeTurn) -> TurnJudgement | None:
        self._asked.append(message)
        probability = self._opinion(message)
        if probability is None:
            self._unanswered.append(self.defer())
            return None
        if probability < 0:
            raise Refuse("no model")
        return TurnJudgement(probability, complete=probability > 0.5)


async def total_ms(system: SystemUnderTest, opinion: float | None, rate: int = 16000) -> float:
    asked: list[JudgeTurn] = []
    rig = await CallRig.open(
        system, ["Hi.", "Good."], judge=lambda: Judge(lambda _: opinion, asked)
    )
    person = await rig.call(rate=rate)
    await trio.sleep(1.0)
    person.speak(say("two pizzas please", rate=rate))
    await trio.sleep(6.0)
    assert texts(await rig.history(person))[1:] == [
        ("user", "two pizzas please"),
        ("agent", "Good."),
    ]
    assert len(asked) == 1
    assert 1.4 < len(asked[0].pcm) / 32000 < 1.8  # half a second, the turn, 0.2 s
    if rate == 16000:
        listener = Listener(16000)
        listener.hear(asked[0].pcm)
        assert " ".join(word.text for word in listener.words()) == "two pizzas please"
    return person.of_type(ShowTurn)[0].parts_ms["end_of_turn"]


async def test_what_sounds_finished_is_answered_sooner(system: SystemUnderTest) -> None:
    assert await total_ms(system, 0.9) < 340


async def test_what_sounds_unfinished_is_waited_for(system: SystemUnderTest) -> None:
    assert await total_ms(system, 0.1) > 2400


@pytest.mark.parametrize("opinion", [None, -1.0])
async def test_without_an_answer_the_delay_without_a_model_stands(
    system: SystemUnderTest, opinion: float | None
) -> None:
    assert await total_ms(system, opinion) == pytest.approx(500, abs=40)


async def test_a_telephones_sound_is_judged_at_its_rate(system: SystemUnderTest) -> None:
    assert await total_ms(system, 0.9, rate=8000) < 340


async def test_an_opinion_about_another_pause_counts_for_nothing(system: SystemUnderTest) -> None:
    """The first pause sounds like the end, but the answer comes when speech has gone on."""
    asked: list[JudgeTurn] = []

    def opinion(request: JudgeTurn) -> float:
        return 0.9 if len(asked) == 1 else 0.1

    rig = await CallRig.open(system, ["Hi.", "Good."], judge=lambda: Judge(opinion, asked))
    person = await rig.call()
    await trio.sleep(1.0)
    person.speak(say("two pizzas") + bytes(2 * 16 * 225) + say("please"))
    await trio.sleep(6.0)
    assert len(asked) == 2
    assert texts(await rig.history(person))[1:] == [
        ("user", "two pizzas please"),
        ("agent", "Good."),
    ]
