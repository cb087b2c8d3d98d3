"""A voice for tests: it speaks `speech_pcm` (models/spoken.py), and fails on cue.

Each word takes exactly `seconds_per_word` (a very long one as long as its letters need), so a test
knows what is heard at every sample, and a `ScriptedStt` at the other end understands it back. The
pace is a timer of the node: under the `system` fixture it costs no time.

    plan = TtsPlan([TtsFault(TtsTrouble.FAIL, piece=2, after_words=3)])
    tts = await system.spawn(partial(ScriptedTts, ScriptedTtsConfig(), plan))

Here the second piece that is asked for ends in a `ModelFault` after three words. The plan outlives
restarts: the count goes on after a `CRASH`.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from typing import assert_never

import attrs
from attrs.validators import ge, gt

from models.faults import FaultKind, ModelFault, ScriptedCrash
from models.spoken import word_pcm
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from models.words import Word
from supervision import Actor, Promise


@attrs.frozen
class ScriptedTtsConfig:
    """How it speaks, and how quick it is."""

    name: str = "scripted"
    """What it is called in faults."""
    rate: int = attrs.field(default=16000, validator=ge(8000))
    """Samples per second."""
    seconds_per_word: float = attrs.field(default=0.3, validator=gt(0))
    """How long a word sounds."""
    first_byte: float = attrs.field(default=0.05, validator=ge(0))
    """Seconds from the moment a piece's turn comes to its first word."""
    real_time_factor: float = attrs.field(default=0.0, validator=ge(0))
    """Seconds it takes to make a second of sound; 0: all words come at once, 1: just in time."""


class TtsTrouble(enum.Enum):
    """What can go wrong with a piece."""

    FAIL = "fail"
    """It ends in a `ModelFault` of the given kind."""
    CRASH = "crash"
    """The voice crashes, and all it was asked for with it."""
    STALL = "stall"
    """It says no more, and does not answer; the utterance is stuck behind it."""


@attrs.frozen
class TtsFault:
    """What goes wrong with one piece, and where in it."""

    trouble: TtsTrouble = attrs.field(converter=TtsTrouble)
    piece: int = attrs.field(default=1, validator=ge(0))
    """The nth that is asked for, of all utterances, counted from 1; 0: every one."""
    after_words: int = attrs.field(default=0, validator=ge(0))
    """Words of it that are still spoken."""
    at_word: str = ""
    """If given, it happens instead of this word."""
    kind: FaultKind = FaultKind.UNAVAILABLE
    """Of a failure."""

    def meant(self, piece: int, spoken: int, word: str) -> bool:
        """Whether it happens now, instead of this word of the nth piece ("" after the last)."""
        if self.piece not in (0, piece):
            return False
        return word == self.at_word if self.at_word else spoken >= self.after_words


class TtsPlan:
    """The faults of one voice, over all its lives."""

    def __init__(self, faults: Sequence[TtsFault] = ()) -> None:
        self._faults = tuple(faults)
        self.asked = 0
        """Pieces so far."""

    def next_piece(self) -> int:
        """The number of the piece that is asked for now."""
        self.asked += 1
        return self.asked

    def trouble(self, piece: int, spoken: int, word: str) -> TtsFault | None:
        """What happens instead of this word."""
        for fault in self._faults:
            if fault.meant(piece, spoken, word):
                return fault
        return None


@attrs.frozen
class TtsStatistics:
    """What a scripted voice has done since it was started."""

    utterances: int
    """Under way now."""
    pieces: int
    words: int
    cancelled: int


@attrs.define(eq=False)
class _Piece:
    """A piece that is to be spoken."""

    request: Synthesize
    answer: Promise[Synthesized | ModelFault]
    number: int
    words: Sequence[str]
    spoken: int = 0
    samples: int = 0


@attrs.define(eq=False)
class _Utterance:
    """The pieces of one utterance, the first of them being spoken."""

    pieces: deque[_Piece] = attrs.field(factory=deque)


@attrs.frozen
class _Next:
    """The next word of this utterance is due."""

    name: str
    utterance: _Utterance


class ScriptedTts(Actor[TtsMessage | _Next]):
    """Speaks `speech_pcm`; see the module. Utterances are spoken beside each other."""

    def __init__(
        self, config: ScriptedTtsConfig | None = None, plan: TtsPlan | None = None
    ) -> None:
        super().__init__()
        self._config = config or ScriptedTtsConfig()
        self._plan = plan or TtsPlan()
        self._utterances: dict[str, _Utterance] = {}
        self._words = 0
        self._asked = 0
        self._cancelled = 0

    def statistics(self) -> TtsStatistics:
        return TtsStatistics(len(self._utterances), self._asked, self._words, self._cancelled)

    def on_receive(self, message: TtsMessage | _Next) -> Synthesized | ModelFault | None:
        match message:
            case Synthesize():
                self._take(message)
            case CancelSpeech(name):
                self._cancel(name)
            case _Next(name, utterance):
                if self._utterances.get(name) is utterance:  # else it was cancelled meanwhile
                    self._speak(name, utterance)
            case _:
                assert_never(message)
        return None

    def _take(self, message: Synthesize) -> None:
        self._asked += 1
        utterance = self._utterances.setdefault(message.utterance, _Utterance())
        number = self._plan.next_piece()
        piece = _Piece(message, self.defer(), number, message.text.split())
        utterance.pieces.append(piece)
        if len(utterance.pieces) == 1:
            self._begin(message.utterance, utterance)

    def _begin(self, name: str, utterance: _Utterance) -> None:
        """The first piece's turn has come."""
        wait = self._config.first_byte if utterance.pieces[0].words else 0.0
        self.send_after(wait, _Next(name, utterance))

    def _speak(self, name: str, utterance: _Utterance) -> None:
        """Speak the words that are due, and say when the next one is."""
        piece = utterance.pieces[0]
        while True:
            word = piece.words[piece.spoken] if piece.spoken < len(piece.words) else ""
            fault = self._plan.trouble(piece.number, piece.spoken, word)
            if fault is not None:
                self._suffer(fault, name, utterance)
                return
            if not word:
                break
            seconds = self._say(piece, word)
            if self._config.real_time_factor > 0:
                self.send_after(seconds * self._config.real_time_factor, _Next(name, utterance))
                return
        request = piece.request
        seconds = piece.samples / self._config.rate
        self._answer(name, utterance, Synthesized(request.utterance, request.piece, seconds))

    def _say(self, piece: _Piece, word: str) -> float:
        config = self._config
        pcm = word_pcm(word, config.rate, config.seconds_per_word)
        start = piece.samples
        piece.samples += len(pcm) // 2
        piece.spoken += 1
        self._words += 1
        times = Word(word, start / config.rate, piece.samples / config.rate)
        request = piece.request
        request.to.tell(SpeechAudio(request.utterance, request.piece, pcm, config.rate, (times,)))
        return times.end - times.start

    def _suffer(self, fault: TtsFault, name: str, utterance: _Utterance) -> None:
        match fault.trouble:
            case TtsTrouble.CRASH:
                number = utterance.pieces[0].number
                raise ScriptedCrash(f"piece {number} was planned to crash its voice")
            case TtsTrouble.FAIL:
                fault_ = ModelFault(self._config.name, fault.kind, "as planned")
                self._answer(name, utterance, fault_)
            case TtsTrouble.STALL:
                pass  # nothing is due any more, so nothing happens until it is cancelled
            case _:
                assert_never(fault.trouble)

    def _answer(self, name: str, utterance: _Utterance, answer: Synthesized | ModelFault) -> None:
        """Settle the first piece, and go on with the next."""
        utterance.pieces.popleft().answer.resolve(answer)
        if utterance.pieces:
            self._begin(name, utterance)
        else:
            del self._utterances[name]

    def _cancel(self, name: str) -> None:
        utterance = self._utterances.pop(name, None)
        if utterance is None:
            return
        for piece in utterance.pieces:
            self._cancelled += 1
            piece.answer.resolve(ModelFault(self._config.name, FaultKind.CANCELLED))
