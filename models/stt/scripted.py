"""A recogniser for tests: it understands `speech_pcm` (models/spoken.py) exactly, and fails on cue.

A test says what the caller says by sending `speech_pcm("two pizzas please")`; the transcript has
those words, and their times to the sample. What is missing of the audio is missing of the text.
Delays are timers of the node, so under the `system` fixture they cost no time and come true to the
microsecond.

    plan = SttPlan([SttFault(SttTrouble.FAIL, stream=2, after=1.0)])
    stt = await system.spawn(partial(ScriptedStt, ScriptedSttConfig(), plan))

Here the second stream that is opened ends in a `ModelFault` after its first second of audio. The
plan outlives restarts: the count goes on after a `CRASH`.
"""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from typing import assert_never

import attrs
from attrs.validators import ge, gt

from models.faults import FaultKind, ModelFault, ScriptedCrash
from models.spoken import Listener
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import Actor, ActorRef, Mailbox, Promise, Refuse, Terminated


@attrs.frozen
class ScriptedSttConfig:
    """How quick it is."""

    name: str = "scripted"
    """What it is called in faults."""
    partial_every: float = attrs.field(default=0.1, validator=gt(0))
    """Seconds of audio after which it looks for more to tell."""
    partial_latency: float = attrs.field(default=0.05, validator=ge(0))
    """Seconds from the audio to the partial transcript about it."""
    final_latency: float = attrs.field(default=0.1, validator=ge(0))
    """Seconds from a flush to its final transcript."""


class SttTrouble(enum.Enum):
    """What can go wrong with a stream."""

    FAIL = "fail"
    """It ends in a `ModelFault` of the given kind."""
    CRASH = "crash"
    """The recogniser crashes, and every stream with it."""
    SILENT = "silent"
    """It takes audio and says no more: no transcript, and no answer either."""
    LATE = "late"
    """Finals come `seconds` later than they would."""
    GARBAGE = "garbage"
    """Finals hold other words than were said, as many, with a confidence of 0.2."""


@attrs.frozen
class SttFault:
    """What goes wrong with one stream, and when."""

    trouble: SttTrouble = attrs.field(converter=SttTrouble)
    stream: int = attrs.field(default=1, validator=ge(1))
    """The nth that is opened, counted from 1."""
    after: float = attrs.field(default=0.0, validator=ge(0))
    """Seconds of its audio before it begins."""
    kind: FaultKind = FaultKind.UNAVAILABLE
    """Of a failure."""
    seconds: float = attrs.field(default=1.0, validator=gt(0))
    """How late is late."""


class SttPlan:
    """The faults of one recogniser, over all its lives."""

    def __init__(self, faults: Sequence[SttFault] = ()) -> None:
        self._faults = tuple(faults)
        self.opened = 0
        """Streams so far."""

    def next_stream(self) -> tuple[SttFault, ...]:
        """What will go wrong with the stream that is opened now."""
        self.opened += 1
        return tuple(fault for fault in self._faults if fault.stream == self.opened)


@attrs.frozen
class SttStatistics:
    """What a scripted recogniser has done since it was started."""

    open: int
    opened: int
    dropped: int
    """Messages about streams that were not open."""


@attrs.frozen
class _Due:
    """The first thing a stream has to tell is due."""

    stream: _Stream


@attrs.define(eq=False)
class _Stream:
    """One open stream."""

    name: str
    to: ActorRef[Transcript]
    over: Promise[StreamClosed | ModelFault]
    listener: Listener
    batch: int
    """Bytes of audio that are listened to at once."""
    faults: tuple[SttFault, ...]
    audio: bytearray = attrs.field(factory=bytearray)
    """Not listened to yet."""
    told: str = ""
    """The latest partial text."""
    queue: deque[Transcript | StreamClosed] = attrs.field(factory=deque)
    """What is to be told. In order, however late."""
    due: float = 0.0
    """When the last of it is."""
    closing: bool = False

    def suffers(self, trouble: SttTrouble) -> SttFault | None:
        """The fault of that kind that has begun, if any."""
        heard = self.listener.heard + len(self.audio) // 2
        for fault in self.faults:
            if fault.trouble is trouble and heard >= fault.after * self.listener.rate:
                return fault
        return None

    def listen(self) -> None:
        """Take in all the audio that has come."""
        self.listener.hear(bytes(self.audio))
        self.audio.clear()

    def transcript(self, *, final: bool, flush: int = 0) -> Transcript:
        """What was understood since the last final."""
        words = self.listener.words()
        confidence = 1.0
        if final and self.suffers(SttTrouble.GARBAGE):
            words = tuple(attrs.evolve(word, text=word.text[::-1] + "?") for word in words)
            confidence = 0.2
        end = self.listener.heard / self.listener.rate
        return Transcript(
            self.name,
            " ".join(word.text for word in words),
            final,
            words[0].start if words else end,
            end,
            confidence,
            words,
            flush,
        )


class ScriptedStt(Actor[SttMessage | _Due | Terminated]):
    """Understands `speech_pcm`; see the module."""

    mailbox = Mailbox(capacity=20_000)
    """Two seconds of 200 legs: all of them speak to this one actor, 50 times a second each."""

    def __init__(
        self, config: ScriptedSttConfig | None = None, plan: SttPlan | None = None
    ) -> None:
        super().__init__()
        self._config = config or ScriptedSttConfig()
        self._plan = plan or SttPlan()
        self._streams: dict[str, _Stream] = {}
        self._opened = 0
        self._dropped = 0

    def statistics(self) -> SttStatistics:
        return SttStatistics(len(self._streams), self._opened, self._dropped)

    def on_receive(
        self, message: SttMessage | _Due | Terminated
    ) -> StreamClosed | ModelFault | None:
        match message:
            case OpenStream():
                return self._open(message)
            case Audio():
                self._hear(message)
            case Flush():
                self._flush(message)
            case CloseStream():
                self._close(message)
            case _Due(stream):
                self._tell(stream)
            case Terminated(ref):
                self._left(ref)
            case _:
                assert_never(message)
        return None

    def _open(self, message: OpenStream) -> ModelFault | None:
        if message.stream in self._streams:
            raise Refuse(f"a stream {message.stream!r} is open already")
        try:
            listener = Listener(message.rate)
        except ValueError as error:
            return ModelFault(self._config.name, FaultKind.REJECTED, str(error))
        self._opened += 1
        stream = self._streams[message.stream] = _Stream(
            message.stream,
            message.to,
            self.defer(),
            listener,
            2 * round(self._config.partial_every * message.rate),
            self._plan.next_stream(),
        )
        self.watch(message.to)
        self._suffer(stream)
        return None

    def _of(self, name: str) -> _Stream | None:
        stream = self._streams.get(name)
        if stream is None or stream.closing:
            self._dropped += 1
            return None
        return stream

    def _hear(self, message: Audio) -> None:
        stream = self._of(message.stream)
        if stream is None:
            return
        stream.audio += message.pcm
        if self._suffer(stream) or len(stream.audio) < stream.batch:
            return
        stream.listen()
        partial = stream.transcript(final=False)
        if partial.text != stream.told:
            stream.told = partial.text
            self._say(stream, partial, self._config.partial_latency)

    def _flush(self, message: Flush) -> None:
        stream = self._of(message.stream)
        if stream is not None:
            self._finish(stream, message.number)

    def _close(self, message: CloseStream) -> None:
        stream = self._of(message.stream)
        if stream is None:
            return
        stream.closing = True
        stream.listen()
        if stream.listener.words():
            self._finish(stream, 0)
        self._say(stream, StreamClosed(stream.name), 0.0)

    def _finish(self, stream: _Stream, number: int) -> None:
        stream.listen()
        late = stream.suffers(SttTrouble.LATE)
        latency = self._config.final_latency + (late.seconds if late else 0.0)
        self._say(stream, stream.transcript(final=True, flush=number), latency)
        stream.listener.forget()
        stream.told = ""

    def _suffer(self, stream: _Stream) -> bool:
        """Fail as planned; whether the stream is over by that.

        Raises:
            ScriptedCrash: as planned.
        """
        if stream.suffers(SttTrouble.CRASH):
            raise ScriptedCrash(f"stream {stream.name!r} was planned to crash its recogniser")
        fault = stream.suffers(SttTrouble.FAIL)
        if fault is None:
            return False
        self._end(stream, ModelFault(self._config.name, fault.kind, "as planned"))
        return True

    def _say(self, stream: _Stream, what: Transcript | StreamClosed, latency: float) -> None:
        stream.queue.append(what)
        stream.due = max(stream.due, self.now + latency)
        if stream.due > self.now:
            self.send_after(stream.due - self.now, _Due(stream))
        else:
            self._tell(stream)

    def _tell(self, stream: _Stream) -> None:
        if not stream.queue or stream.suffers(SttTrouble.SILENT):
            return
        what = stream.queue.popleft()
        if isinstance(what, Transcript):
            stream.to.tell(what)
        else:
            self._end(stream, what)

    def _end(self, stream: _Stream, answer: StreamClosed | ModelFault) -> None:
        """The stream is over; whoever opened it is told so."""
        del self._streams[stream.name]
        stream.queue.clear()
        stream.over.resolve(answer)
        if all(other.to is not stream.to for other in self._streams.values()):
            self.unwatch(stream.to)

    def _left(self, listener: ActorRef[Transcript]) -> None:
        """Nobody listens any more, so there is nothing left to tell."""
        for stream in tuple(self._streams.values()):
            if stream.to is listener:
                self._end(stream, StreamClosed(stream.name))
