"""The thread that speaks with espeak-ng, one piece at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import attrs

from models.tts.espeak_library import ClauseEnd, Espeak, NoSuchVoice, WordAt
from models.tts.espeak_words import WordTimes
from models.tts.protocol import SpeechAudio
from models.words import Word
from supervision import ActorRef, BlockingActor, Refuse, Request, handles

_SILENCE_SAMPLES = 1323
"""A pause is told in chunks, too: 60 ms at the library's 22.05 kHz."""


@attrs.frozen
class Spoken:
    """All of it was told, or it was cancelled."""

    seconds: float


@attrs.frozen(eq=False)
class Speak(Request[Spoken]):
    """Speak a piece; its audio is told to `to`. Refused if there is no such voice."""

    utterance: str
    piece: int
    text: str
    to: ActorRef[SpeechAudio]
    voice: str
    words_per_minute: int
    pitch: int
    volume: int
    pause: float
    """Seconds of silence before it."""
    cancelled: threading.Event
    """Looked at after every chunk. No message could say so: they wait until the piece is spoken."""


class EspeakEngine(BlockingActor[Speak]):
    """Owns the library, as far as one can own what is one per process."""

    batch_size = 1
    """Answers go out when a batch is done, and nobody's should wait for another piece."""

    def __init__(self, engine: str) -> None:
        super().__init__()
        self._name = engine

    def on_start(self) -> None:
        """Open the library.

        Raises:
            EngineMissing: it is not installed, or does not work here.
        """
        self._espeak = Espeak(self._name)

    @handles
    def on_speak(self, message: Speak) -> Spoken:
        rate = self._espeak.rate
        times = WordTimes(message.text, rate)
        lead = round(message.pause * rate)
        samples = 0

        def say(pcm: bytes, words: tuple[Word, ...]) -> None:
            message.to.tell(SpeechAudio(message.utterance, message.piece, pcm, rate, words))

        def on_chunk(pcm: bytes, events: Sequence[WordAt | ClauseEnd]) -> bool:
            nonlocal samples
            if message.cancelled.is_set():
                return False
            times.sound(pcm)
            samples += len(pcm) // 2
            words: tuple[Word, ...] = ()
            for event in events:
                if isinstance(event, WordAt):
                    words += times.word(event.character, lead + event.sample)
                else:
                    times.clause_ended(lead + event.sample)
            if pcm or words:
                say(pcm, words)
            return True

        for at in range(0, lead, _SILENCE_SAMPLES):
            on_chunk(bytes(2 * min(_SILENCE_SAMPLES, lead - at)), ())
        try:
            self._espeak.speak(
                message.text,
                message.voice,
                on_chunk,
                words_per_minute=message.words_per_minute,
                pitch=message.pitch,
                volume=message.volume,
            )
        except NoSuchVoice:
            raise Refuse(f"there is no voice {message.voice!r}") from None
        if not message.cancelled.is_set() and (left := times.finish(samples)):
            say(b"", left)
        return Spoken(samples / rate)
