"""The speaker: text becomes sound, piece by piece, in one voice after another if need be.

Text comes in deltas, is cut into pieces (`machines/speech_text`) and asked for from the first
healthy voice. A voice that fails or stalls in mid-piece is replaced by the next one, which goes on
with the first word that was not spoken.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import attrs

from actors.call.outbound import Sound, SoundEnds
from actors.call.speech import Piece, Speech
from actors.call.told_by_speaker import (
    FromSpeaker,
    PieceBegins,
    PieceEnds,
    PieceGoesOn,
    PieceSounds,
    SpeakerHere,
    SpeechEnds,
    VoiceFailed,
)
from actors.machines.decisions import CutSpeech, Heard, Utter
from actors.machines.fallback import RETRY_AFTER, ROUNDS, Chain, Progress
from actors.machines.ledger import Span, spans_of
from actors.machines.speech_text import Segment, SpeechText, SpeechTextConfig
from models.faults import FaultKind, ModelFault
from models.tts.protocol import CancelSpeech, SpeechAudio, Synthesize, Synthesized, TtsMessage
from supervision import Actor, ActorRef, Request, Wake, handles

FIRST_WITHIN = 1.0
"""Seconds to the first sound of a piece."""

NEXT_WITHIN = 1.0
"""Seconds from one sound to the next, while more is due."""

ASKED_AHEAD = 2
"""Pieces that a voice is asked for at the same time."""


@attrs.frozen
class SpeechDelta:
    """More text of an utterance."""

    epoch: int
    text: str


@attrs.frozen
class SpeechDone:
    """No more text of the utterance comes."""

    epoch: int


@attrs.frozen
class SpeakTo:
    """These are the tracks to speak to, in any order."""

    tracks: tuple[ActorRef[Sound | SoundEnds], ...]


@attrs.frozen
class PieceOver:
    """A voice has answered for a piece."""

    utterance: str
    piece: int
    outcome: Synthesized | ModelFault


@attrs.frozen
class TryAgain:
    """Another round of the voices is due."""

    epoch: int


@attrs.frozen
class Recalled:
    """What was heard of an utterance, and what was not."""

    heard: str
    rest: str
    complete: bool
    """That is all there was to say."""


@attrs.frozen
class Recall(Request[Recalled]):
    """What was heard of that utterance, when it was heard up to there?"""

    epoch: int
    position: float


SpeakerMessage = (
    SpeechDelta
    | SpeechDone
    | Utter
    | CutSpeech
    | Heard
    | SpeakTo
    | SpeechAudio
    | PieceOver
    | TryAgain
    | Recall
    | Wake
)


class Speaker(Actor[SpeakerMessage]):
    """Speaks for one call."""

    realtime = True

    _session: ActorRef[FromSpeaker]

    def __init__(
        self,
        call: str,
        voices: tuple[str, ...],
        text: SpeechTextConfig,
        voice: str = "",
        language: str = "en",
        most_ahead: float = 120.0,
    ) -> None:
        """`call` and `voices` are paths; `most_ahead` is seconds of sound that may wait unheard."""
        super().__init__()
        self._call = call
        self._voice_paths = voices
        self._voices: tuple[ActorRef[TtsMessage], ...] = ()
        self._text_config = text
        self._voice = voice
        self._language = language
        self._most_ahead = most_ahead
        self._chain = Chain(max(1, len(voices)))
        self._progress = Progress(FIRST_WITHIN, NEXT_WITHIN)
        self._tracks: tuple[ActorRef[Sound | SoundEnds], ...] = ()
        self._utterance: Speech | None = None
        self._last: Speech | None = None
        """The newest one, even if it is over."""
        self._cut_to = 0
        """Utterances up to this one are over."""
        self.stale = 0
        """Messages about utterances that are over."""

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._voices = tuple(map(self.system.ref, self._voice_paths))
        self._session.tell(SpeakerHere())

    def __repr__(self) -> str:
        utterance = self._utterance
        doing = f"utterance {utterance.epoch}" if utterance is not None else "silent"
        return f"<Speaker: {doing}>"

    # -- text -----------------------------------------------------------------------------

    @handles
    def on_tracks(self, message: SpeakTo) -> None:
        self._tracks = message.tracks

    @handles
    def on_delta(self, message: SpeechDelta) -> None:
        utterance = self._at(message.epoch)
        if utterance is not None:
            self._push(utterance, message.text)

    @handles
    def on_done(self, message: SpeechDone) -> None:
        utterance = self._at(message.epoch)
        if utterance is not None and not utterance.complete:
            utterance.complete = True
            self._cut_pieces(utterance, utterance.text.end(self.now))
            self._may_end(utterance)

    @handles
    def on_utter(self, message: Utter) -> None:
        utterance = self._at(message.epoch)
        if utterance is None:
            return
        if message.filler:
            self._add(utterance, message.text, message.text, spans_of(message.text), filler=True)
            self._ask_ahead(utterance)
        else:
            self._push(utterance, message.text)
        if message.last:
            self.on_done(SpeechDone(message.epoch))
        self._arm()

    @handles
    def on_cut(self, message: CutSpeech) -> None:
        self._cut_to = max(self._cut_to, message.epoch)
        utterance = self._utterance
        if utterance is not None and utterance.epoch <= self._cut_to:
            self._utterance = None
            self._cancel(utterance)
            self._progress.stop()
            self._arm()

    @handles
    def on_heard(self, message: Heard) -> None:
        utterance = self._utterance
        if utterance is not None and utterance.epoch == message.epoch:
            utterance.heard = message.position
            self._ask_ahead(utterance)

    def _cancel(self, utterance: Speech) -> None:
        """No voice need go on with what it was asked for."""
        for take, voice in {(p.take, p.voice) for p in utterance.pieces if p.voice is not None}:
            self._voices[voice].tell(CancelSpeech(self._name(utterance, take)))

    def _at(self, epoch: int) -> Speech | None:
        """The utterance of this number; one that is new replaces the one before."""
        utterance = self._utterance
        if utterance is not None and utterance.epoch == epoch:
            return utterance
        if epoch <= self._cut_to or (utterance is not None and epoch < utterance.epoch):
            self.stale += 1
            return None
        self._utterance = self._last = Speech(epoch, SpeechText(self._text_config))
        self._progress.stop()
        return self._utterance

    def _push(self, utterance: Speech, text: str) -> None:
        utterance.source += text
        self._cut_pieces(utterance, utterance.text.push(text, self.now))

    def _cut_pieces(self, utterance: Speech, segments: Sequence[Segment]) -> None:
        for segment in segments:
            start, end = segment.source_start, segment.source_end
            spans = tuple(
                Span(word.text, word.source_start - start, word.source_end - start)
                for word in segment.words
            )
            self._add(utterance, segment.text, utterance.source[start:end], spans)
        self._ask_ahead(utterance)
        self._arm()

    def _add(
        self,
        utterance: Speech,
        text: str,
        source: str,
        spans: tuple[Span, ...],
        *,
        filler: bool = False,
    ) -> None:
        piece = Piece(utterance.count, text, source, spans, filler)
        utterance.count += 1
        utterance.pieces.append(piece)
        utterance.ledger.add_piece(piece.number, source, spans)
        self._session.tell(PieceBegins(utterance.epoch, piece.number, source, spans, filler))

    # -- voices ---------------------------------------------------------------------------

    def _ask_ahead(self, utterance: Speech) -> None:
        """Ask for the next pieces; one voice speaks at a time."""
        if utterance.waits or utterance.ahead > self._most_ahead:
            return
        pieces = list(utterance.pieces)[:ASKED_AHEAD]
        for index, piece in enumerate(pieces):
            if piece.voice is not None:
                continue
            before = pieces[index - 1].voice if index else None
            voice = before if before is not None else self._pick(piece)
            if voice is None:
                self._all_failed(utterance, piece)
                return
            self._ask(utterance, piece, voice)
        self._arm()

    def _pick(self, piece: Piece) -> int | None:
        return self._chain.pick(self.now, piece.tried) if self._voices else None

    def _ask(self, utterance: Speech, piece: Piece, voice: int) -> None:
        piece.voice, piece.take = voice, utterance.takes
        name = self._name(utterance, piece.take)
        number, provider = piece.number, self._voices[voice].path
        request = Synthesize(
            name, number, piece.text, self.ref, self._voice, self._language, last=False
        )
        self.pipe(
            self._voices[voice].ask(request, timeout=math.inf),
            to=lambda outcome: PieceOver(name, number, outcome),
            failed=lambda error: PieceOver(name, number, ModelFault.of_ask(provider, error)),
        )
        self._progress.asked(self.now)

    def _name(self, utterance: Speech, take: int) -> str:
        """The utterance as a voice knows it: another one each time that a voice has a try."""
        return f"{self._call}/{utterance.epoch}/{take}"

    def _find(self, name: str, number: int) -> tuple[Speech, Piece] | None:
        utterance = self._utterance
        if utterance is not None:
            for piece in utterance.pieces:
                asked = piece.voice is not None and piece.number == number
                if asked and self._name(utterance, piece.take) == name:
                    return utterance, piece
        self.stale += 1
        return None

    @handles
    def on_audio(self, message: SpeechAudio) -> None:
        found = self._find(message.utterance, message.piece)
        if found is None:
            return
        utterance, piece = found
        seconds = len(message.pcm) / (2 * message.rate)
        piece.seconds += seconds
        piece.words.extend(message.words)
        if message.pcm:
            sound = Sound(utterance.epoch, message.pcm, message.rate)
            for track in self._tracks:
                track.tell(sound)
        utterance.ledger.sounded(piece.number, seconds, message.words)
        self._session.tell(PieceSounds(utterance.epoch, piece.number, seconds, message.words))
        self._progress.came(self.now, more=True)
        self._arm()

    @handles
    def on_over(self, message: PieceOver) -> None:
        found = self._find(message.utterance, message.piece)
        if found is None:
            return
        utterance, piece = found
        if isinstance(message.outcome, ModelFault):
            self._voice_failed(utterance, piece, message.outcome)
            return
        assert piece.voice is not None
        self._chain.succeeded(piece.voice)
        piece.over = True
        self._end_piece(utterance, piece.number)
        while utterance.pieces and utterance.pieces[0].over:
            utterance.pieces.popleft()
        more = any(later.voice is not None for later in utterance.pieces)
        self._progress.came(self.now, more=more)
        self._ask_ahead(utterance)
        self._may_end(utterance)
        self._arm()

    def _voice_failed(self, utterance: Speech, piece: Piece, fault: ModelFault) -> None:
        """The next voice speaks what this one did not."""
        assert piece.voice is not None
        failed = piece.voice
        self._chain.failed(failed, fault.kind, self.now, fault.retry_after)
        self._cancel(utterance)
        self._progress.stop()
        utterance.takes += 1
        for later in utterance.pieces:
            if later.voice == failed and not later.over:
                self._keep_rest(utterance, later)
                later.voice = None
                later.tried |= {failed}
        last = self._pick(piece) is None and piece.rounds + 1 >= ROUNDS
        self._session.tell(VoiceFailed(utterance.epoch, fault, last))
        while utterance.pieces and utterance.pieces[0].finished:
            done = utterance.pieces.popleft()
            if not done.over:
                self._end_piece(utterance, done.number)
        self._ask_ahead(utterance)
        self._may_end(utterance)
        self._arm()

    def _keep_rest(self, utterance: Speech, piece: Piece) -> None:
        kept = piece.keep_rest()
        if kept is not None:
            rest, spans = kept
            utterance.ledger.abandoned(piece.number, rest, spans)
            self._session.tell(PieceGoesOn(utterance.epoch, piece.number, rest, spans))

    def _all_failed(self, utterance: Speech, piece: Piece) -> None:
        """Every voice has failed for this piece."""
        piece.rounds += 1
        if self._voices and piece.rounds < ROUNDS:
            for left in utterance.pieces:
                left.tried = frozenset()
            utterance.waits = True
            self.send_after(RETRY_AFTER, TryAgain(utterance.epoch))
            return
        # The rest of the utterance stays unspoken; people were told so.
        for left in utterance.pieces:
            self._end_piece(utterance, left.number)
        utterance.pieces.clear()
        utterance.complete = True
        self._may_end(utterance)

    @handles
    def on_try_again(self, message: TryAgain) -> None:
        utterance = self._utterance
        if utterance is not None and utterance.epoch == message.epoch:
            utterance.waits = False
            self._ask_ahead(utterance)

    def _end_piece(self, utterance: Speech, number: int) -> None:
        utterance.ledger.finished(number)
        self._session.tell(PieceEnds(utterance.epoch, number))

    @handles
    def on_recall(self, message: Recall) -> Recalled:
        utterance = self._last
        if utterance is None or utterance.epoch != message.epoch:
            return Recalled("", "", complete=False)
        ledger, position = utterance.ledger, message.position
        return Recalled(ledger.heard(position), ledger.rest(position), utterance.complete)

    def _may_end(self, utterance: Speech) -> None:
        if utterance.complete and not utterance.pieces and not utterance.ended:
            utterance.ended = True
            self._progress.stop()
            for track in self._tracks:
                track.tell(SoundEnds(utterance.epoch))
            self._session.tell(SpeechEnds(utterance.epoch))

    # -- time -----------------------------------------------------------------------------

    def _arm(self) -> None:
        utterance = self._utterance
        text = utterance.text.deadline if utterance is not None else math.inf
        self.wake_at(min(text, self._progress.deadline))

    @handles
    def on_wake(self, message: Wake) -> None:
        utterance, now = self._utterance, self.now
        if utterance is None:
            return
        if now >= utterance.text.deadline:
            self._cut_pieces(utterance, utterance.text.time_passed(now))
        if now >= self._progress.deadline and utterance.pieces:
            piece = utterance.pieces[0]
            if piece.voice is not None:
                provider = self._voices[piece.voice].path
                fault = ModelFault(provider, FaultKind.TIMEOUT, "no sound in time")
                self._voice_failed(utterance, piece, fault)
                return
            self._progress.stop()
        self._arm()
