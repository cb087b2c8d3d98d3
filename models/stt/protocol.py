"""Speech to text: the conversation with a recogniser.

A provider is an actor that takes `SttMessage`. Whoever wants to be understood asks it `OpenStream`
(with `timeout=math.inf`) and tells it audio; transcripts are told to `to`. The ask is answered when
the stream is over: `StreamClosed` after `CloseStream`, a `ModelFault` if it could not go on; it
ends in `ActorCrashed` if the provider crashed. So nobody waits for a recogniser that is no more.

Times are seconds of audio since the stream's first sample, whenever it was sent.
"""

from __future__ import annotations

import attrs

from models.faults import ModelFault
from models.words import Word
from supervision import ActorRef, Request


@attrs.frozen
class Transcript:
    """What was understood so far of the speech since the last final one."""

    stream: str
    text: str
    final: bool
    """This speech is finished; the next transcript is about what comes after. May be empty: it was
    asked for by `Flush` and there was nothing."""
    start: float = 0.0
    end: float = 0.0
    """Until where the audio has been understood."""
    confidence: float = 1.0
    words: tuple[Word, ...] = ()
    flush: int = 0
    """The number of the `Flush` that this final answers; 0 if the recogniser ended it by itself."""


@attrs.frozen
class StreamClosed:
    """The stream ended as asked; no transcript of it follows."""

    stream: str


@attrs.frozen
class OpenStream(Request[StreamClosed | ModelFault]):
    """Begin to listen. Answered when the stream is over, one way or the other."""

    stream: str
    """Its name, chosen by who asks; unique among the open ones."""
    rate: int
    """Of the audio that follows, samples per second: mono s16le. Engines convert if they must."""
    to: ActorRef[Transcript]
    language: str = "en"
    phrases: tuple[str, ...] = ()
    """What is likely to be said; engines that can, listen for it."""


@attrs.frozen
class Audio:
    """The next sound of a stream. Of a stream that is not open it is dropped and counted."""

    stream: str
    pcm: bytes


@attrs.frozen
class Flush:
    """The user paused: say what was understood, as a final transcript carrying this number."""

    stream: str
    number: int


@attrs.frozen
class CloseStream:
    """No more audio comes; what is unfinished is finished, then the ask is answered."""

    stream: str


SttMessage = OpenStream | Audio | Flush | CloseStream
