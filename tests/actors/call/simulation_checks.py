"""What has to be true of a simulated call, whatever happened in it; each allowance with its reason.

The person's words, and what of the sound they heard were whole words, are known to the sample, and
no word of the model or the person is said twice. So history is compared with the truth word by
word; what may differ is only what could not be known to the call, near the moment of a fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

from actors.machines.session import Session as Machine
from actors.machines.session.floor import POSITION_WITHIN
from actors.machines.user_floor import UserState
from models.conversation import AgentSaid, ToolAnswered, ToolCalled, UserSaid
from supervision.testing import SystemUnderTest
from tests.actors.call.scenarios import WORD
from tests.actors.call.simulation_record import (
    ROUNDING,
    Moment,
    Run,
    Sentence,
    number_of,
    whole_words,
)

BACKCHANNELS = ("mm", "hm", "yeah", "okay")

EXPLAINED = {
    "voice": "the person is away, or the call is over",
    "started": "cut between its first frame and the news of it",
    "progress": "cut, and the news of its position was on its way",
    "held": "cut, and its position came after it was no longer waited for",
    "starved": "cut, and the news was on its way",
    "drained": "cut at the very end",
    "token": "cut while the model spoke",
    "piece": "cut while text came",
    "sound": "cut while the voice spoke",
    "piece_done": "cut while the voice spoke",
    "answer_ended": "cut as the model ended",
    "speech_ended": "cut as the voice ended",
    "tool": "cut before it was admitted",
    "tool_answer": "it was answered for when the agent was lost",
    "agent": "cut at the handoff",
    "hang_up": "cut before it took effect",
}
"""Kinds of messages about utterances that are over, and how they come about."""

LATE = 0.02
"""Seconds by which a deadline may be missed on a clock that does not run while others work."""

SAMPLE_ROUNDING = 0.1
"""Seconds: a moment is looked at so much later, at most."""

VOICE_WITHIN = 1.3
"""Seconds until another voice is tried, and speaks (spec 6)."""

FIRST_WITHIN, NEXT_WITHIN = 3.0, 5.0
"""V7: seconds to the first sound after a turn, and from one to the next while waiting."""

REPORT, BUFFER, SEND_AHEAD = 0.2, 0.03, {True: 0.06, False: 0.2}
"""Seconds: between two reports of a position, and of sound on the way to the far end."""


# -- now and then -------------------------------------------------------------------------------


def look(run: Run, system: SystemUnderTest) -> None:
    """No state outlives its deadline."""
    for failure in check_now(run, system):
        run.fail(f"at {system.now:.2f}: {failure}")


def check_now(run: Run, system: SystemUnderTest, *, tool: bool = False) -> list[str]:
    """What is wrong at this moment.

    Args:
        tool: one is being started.
    """
    machine, now = run.machine(system), system.now
    if machine is None:
        return []
    if tool:
        return [] if machine.utterance is not None else [f"at {now:.2f}: a tool starts for nobody"]
    wrong = []
    if machine.deadline < now - LATE:
        wrong.append(f"the session's deadline was {now - machine.deadline:.2f} s ago")
    unexplained = set(machine.stale) - set(EXPLAINED)
    if unexplained:
        wrong.append(f"stale messages of kinds {unexplained}")
    wrong += _other_deadlines(run, system)
    utterance, config = machine.utterance, machine.config
    held = utterance is not None and utterance.held and machine._suspended_at == inf
    wrong += _lasts(run, "held", held, now, config.hold_max + machine.profile.cut_after + 1.0)
    thinks = utterance is not None and not utterance.audible and not utterance.held
    wrong += _lasts(run, "thinking", thinks, now, config.give_up_after + 1.0)
    away = any(p.away for p in machine.people.values())
    wrong += _lasts(run, "away", away, now, config.leg_away_max + 0.5)
    wrong += _stuck(run, machine, now)
    speaks = any(
        p.floor.state in (UserState.SPEAKING, UserState.ONSET) for p in machine.people.values()
    )
    owes = bool(machine._ended_turns) or (utterance is not None and not utterance.held)
    owes = owes and not speaks and machine._suspended_at == inf and not machine.ended
    run.moments.append(Moment(now, owes, machine.agent_state()))
    return wrong


def _other_deadlines(run: Run, system: SystemUnderTest) -> list[str]:
    now, wrong = system.now, []
    speaker, agent = run.actor(system, "speaker"), run.actor(system, "agent")
    if speaker is not None and speaker._progress.deadline < now - LATE:
        wrong.append("the speaker waits for a voice beyond its deadline")
    if agent is not None:
        late = [w for w in agent._works.values() if w.progress.deadline < now - LATE]
        wrong += ["the agent waits for a model beyond its deadline"] * bool(late)
    return wrong


def _lasts(run: Run, what: str, true: bool, now: float, bound: float) -> list[str]:
    if not true:
        run._since.pop(what, None)
        return []
    since = run._since.setdefault(what, now)
    return [f"{what} for {now - since:.2f} s"] if now - since > bound else []


def _stuck(run: Run, machine: Machine, now: float) -> list[str]:
    """It speaks, and no sound comes: for longer than two rounds of voices and a model may take."""
    utterance = machine.utterance
    speaks = utterance is not None and utterance.audible and not utterance.held
    if not speaks or machine._suspended_at < inf:
        run._position = (0, 0.0, now)
        return []
    assert utterance is not None
    epoch, position, since = run._position
    here = machine._position(utterance)
    if (epoch, position) != (utterance.epoch, here):
        run._position = (utterance.epoch, here, now)
        return []
    return [f"speaking without a sound for {now - since:.2f} s"] if now - since > 16.0 else []


# -- at the end ---------------------------------------------------------------------------------


def check(run: Run) -> None:
    """All that can be said of a run once it is over.

    Raises:
        AssertionError: with everything that is not as it has to be.
    """
    _check_history_is_what_was_heard(run)
    _check_order_of_sound(run)
    _check_turns(run)
    _check_tools(run)
    _check_somebody_answers(run)
    if run.failures:
        raise AssertionError(f"seed {run.seed}: " + "; ".join(run.failures))


def _unknowable(run: Run, at: float) -> str:
    """Why the call may not know that a word which ended at `at` was heard; "" if it has to."""
    way = SEND_AHEAD[run.page] + run.latency + BUFFER
    for fault in run.faults:
        if fault.what == "drop" and fault.at - 2 * run.latency - REPORT <= at <= fault.at + way:
            return "what a far end plays when its line is lost cannot be told"
        both = any(
            other.what == "session"
            and (
                abs(other.at - fault.at) < 1.0
                or (_is_away(run, fault.at, fault.at) and _is_away(run, other.at, other.at))
            )
            for other in run.faults
        )
        if fault.what in ("outbound", "speaker") and both and at <= fault.at + way + run.latency:
            return "both who knew the position crashed"
        # The position that a crashed track reported last is all that is known (design, 6).
        if (
            fault.what == "outbound"
            and fault.at - REPORT - run.latency <= at <= fault.at + way + run.latency
        ):
            return "the track crashed"
    for cleared in run.cleared():
        # A cut waits for the exact position for 50 ms at most (spec 3): of a far end that is
        # farther away what it told last counts, and what it plays until the clear has come.
        far = 2 * run.latency > POSITION_WITHIN
        first, last = cleared - run.latency - POSITION_WITHIN, cleared + run.latency + ROUNDING
        if far and first <= at <= last:
            return "the far end is far away"
    if at >= run.ended_at - 2 * run.latency - 0.1:
        return "the far end plays on for its buffer when the call ends"
    return ""


def _check_history_is_what_was_heard(run: Run) -> None:
    """V3. In order, each word that history has was heard to its end, and no other was."""
    # Until a far end that is far away has reported, it is believed to play without a buffer.
    nearly = BUFFER if 2 * run.latency > POSITION_WITHIN else 0.0
    heard = [word for word in whole_words(run) if word.seconds >= WORD - ROUNDING - nearly]
    said = " ".join(i.text for i in run.history if isinstance(i, AgentSaid)).split()
    at = 0
    for n, word in enumerate(heard):
        if at < len(said) and said[at] == word.text:
            at += 1
            continue
        again = any(word.text == before.text for before in heard[max(0, n - 1) : n])
        before = [h for h in heard[max(0, n - 4) : n] if h.text == word.text]
        across = any(_unknowable(run, h.end) for h in before)
        if again or across or word.barely or _unknowable(run, word.end):
            continue
        expected = said[at] if at < len(said) else "nothing more"
        run.fail(f"heard {word.text} at {word.at:.2f}, but history has {expected}")
        return
    if at < len(said):
        run.fail(f"history has {' '.join(said[at : at + 5])}, which was not heard")


def _check_order_of_sound(run: Run) -> None:
    """V5: words are numbered in the order in which models thought of them, and a model is asked
    again only when the utterance before is over. A word out of order is sound of a dead one.
    """
    newest = 0
    recent: list[str] = []
    for word in whole_words(run):
        text = word.text.rstrip(".?")
        if not text.startswith("k") or len(text) != 5:
            continue
        number = number_of(text)
        if number < newest and text not in recent[-4:]:
            run.fail(f"heard {text} at {word.at:.2f}, of an utterance that was over")
            return
        newest = max(newest, number)
        recent.append(text)


def _check_turns(run: Run) -> None:
    """Each thing that the person said or wrote is in history once, whole, and in order."""
    firsts = {sentence.words[n] for sentence in run.sentences for n in sentence.begins}
    said = _mended(
        [w for i in run.history if isinstance(i, UserSaid) for w in i.text.split()], firsts
    )
    spoken = [word for sentence in run.sentences for word in sentence.words]
    typed = [word for _, word in run.typed]
    excused = {w for s in run.sentences if _not_understood(run, s) for w in s.words}
    excused |= run.lost_words
    unknown = [w for w in said if w not in spoken and w not in typed and w not in BACKCHANNELS]
    broken = [w for w in unknown if not any(_is_left_of(w, e) for e in (*excused, *BACKCHANNELS))]
    if broken:
        run.fail(f"turns hold {broken}, which nobody said")
    for words, what in ((spoken, "said"), (typed, "written")):
        mine = [word for word in said if word in words]
        if any(fault.what == "session" for fault in run.faults):
            # A turn that was committed before its final came is said once more by the recogniser.
            # Only the session that has crashed knew that it was the same speech.
            mine = list(dict.fromkeys(mine))
        if mine != sorted(set(mine), key=words.index):
            run.fail(f"what was {what} is in history twice, or in another order: {mine}")
    lost = [word for word in spoken if word not in said and word not in excused]
    if lost:
        run.fail(f"was said, and is in no turn: {lost}")
    late = [
        word
        for at, word in run.typed
        if not (word in said or word in run.lost_words or at >= run.ended_at - 0.2)
        and not _is_away(run, at - 0.05, at + 0.2)
    ]
    if late:
        run.fail(f"was written, and is in no turn: {late}")


def _mended(said: Sequence[str], firsts: set[str]) -> Sequence[str]:
    """With words put together that were understood in two halves.

    The first word after a pause may be: speech is noticed a window after it began, and by then the
    recogniser may just have been asked what it had understood before.
    """
    out: list[str] = []
    for word in said:
        if out and out[-1] + word in firsts:
            out[-1] += word
        elif whole := [first for first in firsts if first[1:] == word]:
            out += whole  # the very first letter fell between the two
        else:
            out.append(word)
    return out


def _is_left_of(what: str, word: str) -> bool:
    """Some letters of the word were lost, and these were understood."""
    letters = iter(word)
    return all(letter in letters for letter in what)


def _is_away(run: Run, start: float, end: float) -> bool:
    return any(start < back and gone < end for gone, back in run.was_away)


def _not_understood(run: Run, sentence: Sentence) -> str:
    """Why the words of a sentence may be missing or broken; "" if they have to be there."""
    start, end = sentence.start - 0.1, sentence.end + 1.0 + 2 * run.latency
    if run.traits.stt_faults:
        return "the recogniser was faulty"
    if any(sentence.end > began - 0.2 and sentence.start < at for began, at in run.open_turns):
        return "the session crashed, and nobody else knew what had been understood"
    crashed = {f.what for f in run.faults if start - 0.5 < f.at < end}
    if {"listener", "inbound"} <= crashed:
        return "both who had the sound crashed"
    if any(sentence.start < at < end for at, _ in run.typed):
        return "what is written ends the turn, with what was understood by then"
    if any(start < on and off < end for off, on in run.muted):
        return "the microphone was off"
    if _is_away(run, start - 0.5, end):
        return "the line was away"
    if end > run.ended_at - 1.0:
        return "the call was over"
    return ""


def _check_tools(run: Run) -> None:
    called = [item.id for item in run.history if isinstance(item, ToolCalled)]
    answered = [item.id for item in run.history if isinstance(item, ToolAnswered)]
    if sorted(called) != sorted(answered) or len(set(called)) != len(called):
        run.fail(f"tools called {called}, answered {answered}")
    numbers = [number for _, number in run.tools_started if number is not None]
    if len(set(numbers)) != len(numbers):
        run.fail(f"a tool was started twice: {numbers}")


def _audible(run: Run) -> Sequence[tuple[float, float]]:
    return [(piece.start, piece.end) for piece in run.person.heard() if not piece.silent]


def _check_somebody_answers(run: Run) -> None:
    """V7, in the person's ear."""
    sounds = _audible(run)
    mine = [(s.start, s.end) for s in run.sentences]
    slack = SEND_AHEAD[run.page] + 2 * run.latency + BUFFER + SAMPLE_ROUNDING
    if run.traits.tts_faults:
        slack += VOICE_WITHIN  # a voice may be silent for so long, also in a filler
    for moment in run.moments:
        if not moment.owes:
            continue
        heard = max((end for start, end in sounds if start <= moment.at), default=-inf)
        spoke = max((min(end, moment.at) for start, end in mine if start <= moment.at), default=0.0)
        spoke = max([spoke, *(at for at, _ in run.typed if at <= moment.at)])
        disturbed = [f.at for f in run.faults if f.at <= moment.at]
        since = max(min(heard, moment.at), spoke, *disturbed, 0.0)
        bound = FIRST_WITHIN if heard < spoke else NEXT_WITHIN
        if moment.at - since > bound + slack:
            run.fail(
                f"silence for {moment.at - since:.2f} s at {moment.at:.2f} ({moment.state}), "
                f"{'since the turn' if heard < spoke else 'since the last sound'}"
            )
            return
