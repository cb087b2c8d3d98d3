"""Text to speech: the conversation with a voice.

A provider is an actor that takes `TtsMessage`. Each piece of an utterance (a sentence or less) is
asked for by `Synthesize`; audio is told to `to` as it comes, in order, and the ask is answered
after the last of it: `Synthesized`, or a `ModelFault`. It ends in `ActorCrashed` if the provider
crashed. Pieces of one utterance are asked for in order, several may be under way at once, and
their audio comes in that order too.
"""

from __future__ import annotations

import attrs

from models.faults import ModelFault
from models.words import Word
from supervision import ActorRef, Request


@attrs.frozen
class SpeechAudio:
    """Some of the sound of a piece, and the words that begin in it."""

    utterance: str
    piece: int
    pcm: bytes
    """Mono s16le; any length, also empty (words only)."""
    rate: int
    words: tuple[Word, ...] = ()
    """Words whose times are known, in seconds from the start of the *piece*. A word may be told
    before or after the audio it lies in, each exactly once, in order. A voice that knows no times
    sends none, and they are estimated (actors/machines)."""


@attrs.frozen
class Synthesized:
    """All audio of the piece has been sent."""

    utterance: str
    piece: int
    seconds: float


@attrs.frozen
class Synthesize(Request[Synthesized | ModelFault]):
    """Speak this text. Answered when all of it has been sent."""

    utterance: str
    piece: int
    text: str
    to: ActorRef[SpeechAudio]
    voice: str = ""
    """As the engine names it; "" is the configured one."""
    language: str = "en"
    last: bool = True
    """No further piece of this utterance follows. Engines with one connection per utterance close
    it then; a piece with empty text and `last` only says so."""


@attrs.frozen
class CancelSpeech:
    """Make no more audio of this utterance. What is asked for is answered `CANCELLED`."""

    utterance: str


TtsMessage = Synthesize | CancelSpeech
