"""The listener: one person's ears. Sound goes to a recogniser, words come back with their times.

Its stream is opened with the first sound and stays open for the call, for opening one takes a
network recogniser a second. If it ends other than asked, the next one in the chain hears what was
said since the last final words again, so that nothing is lost and nothing is told twice.
"""

from __future__ import annotations

import math
from collections import deque

import attrs

from actors.machines.decisions import AskWords
from actors.machines.fallback import Chain
from models.faults import ModelFault
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import Actor, ActorRef, Mailbox, Overflow, handles

REPLAY_SECONDS = 5.0
"""Sound kept to be heard again by another recogniser."""

SAME = 0.02
"""Seconds by which a replayed word's end may differ from the one told before."""

REOPEN_AFTER = 0.1
"""Seconds before a failed stream is opened again, doubled at each failure in a row, up to 5."""

TRIES = 6
"""Failures in a row after which the listener waits for the next words before it tries again."""


@attrs.frozen
class Hear:
    """The next sound of the leg."""

    pcm: bytes
    rate: int
    start_at: float
    """When its first sample was made."""

    @property
    def end_at(self) -> float:
        """When its last sample was over."""
        return self.start_at + len(self.pcm) / (2 * self.rate)


@attrs.frozen
class StreamOver:
    """The recogniser's stream ended."""

    stream: str
    outcome: StreamClosed | ModelFault


@attrs.frozen
class Reopen:
    """Time to try again."""


@attrs.frozen
class ListenerHere:
    """The listener runs (again): what it was listening to is lost."""

    told_until: float
    """Until when words have been told as final."""


ListenerMessage = Hear | AskWords | Transcript | StreamOver | Reopen


@attrs.frozen
class Understood:
    """What was understood since the last final; times are when the sound was made."""

    leg: str
    text: str
    final: bool
    start_at: float
    end_at: float


@attrs.frozen
class EarsFailed:
    """A recogniser could not go on; another one is tried."""

    leg: str
    fault: ModelFault


FromListener = Understood | EarsFailed


@attrs.define(eq=False)
class ListenerMemory:
    """What a listener knows over all its lives."""

    streams: int = 0
    """Opened so far: a recogniser may still have those of an instance that has crashed."""
    told_until: float = -math.inf
    """Until when words have been told as final."""


class Listener(Actor[ListenerMessage]):
    """Listens to one leg."""

    realtime = True
    mailbox = Mailbox(capacity=300, overflow=Overflow.DROP_OLDEST)

    _session: ActorRef[FromListener]

    def __init__(
        self,
        leg: str,
        call: str,
        recognisers: tuple[str, ...],
        phrases: tuple[str, ...] = (),
        language: str = "en",
        memory: ListenerMemory | None = None,
    ) -> None:
        """`call` and `recognisers` are paths."""
        super().__init__()
        self._leg = leg
        self._call = call
        self._recogniser_paths = recognisers
        self._recognisers: tuple[ActorRef[SttMessage], ...] = ()
        self._phrases = phrases
        self._language = language
        self._memory = memory if memory is not None else ListenerMemory()
        self._chain = Chain(max(1, len(recognisers)))
        self._stt: ActorRef[SttMessage] | None = None
        self._used = 0
        self._stream = ""
        self._rate = 0
        self._sent = 0
        """Samples of this stream."""
        self._places: deque[tuple[int, float]] = deque(maxlen=256)
        """Where in the stream which moment is: (sample, time), one for each stretch without gap."""
        self._ring: deque[Hear] = deque()
        self._ring_samples = 0
        self._asked = 0
        self._failures = 0

    def on_start(self) -> None:
        self._session = self.system.ref(f"{self._call}/session")
        self._recognisers = tuple(map(self.system.ref, self._recogniser_paths))
        inbound: ActorRef[ListenerHere] | None = self.system.find(
            f"{self._call}/legs/{self._leg}/inbound"
        )
        if inbound is not None:
            inbound.tell(ListenerHere(self._memory.told_until))

    def on_stop(self) -> None:
        if self._stt is not None:
            self._stt.tell(CloseStream(self._stream))

    def __repr__(self) -> str:
        return f"<Listener {self._leg}: {'listening' if self._stt is not None else 'idle'}>"

    # -- sound ----------------------------------------------------------------------------

    @handles
    def on_hear(self, message: Hear) -> None:
        if message.rate != self._rate:
            self._rate = message.rate
            self._close()
        self._keep(message)
        if self._stt is None:
            self._open()
        else:
            self._send(message)

    def _keep(self, message: Hear) -> None:
        self._ring.append(message)
        self._ring_samples += len(message.pcm) // 2
        while self._ring_samples > REPLAY_SECONDS * self._rate:
            self._ring_samples -= len(self._ring.popleft().pcm) // 2

    def _send(self, message: Hear) -> None:
        assert self._stt is not None
        places = self._places
        if not places or abs(self._moment(self._sent) - message.start_at) > SAME:
            places.append((self._sent, message.start_at))
        self._sent += len(message.pcm) // 2
        self._stt.tell(Audio(self._stream, message.pcm))

    def _moment(self, sample: float) -> float:
        """When the sample of this stream was made."""
        base, at = self._places[0]
        for place, moment in self._places:
            if place > sample:
                break
            base, at = place, moment
        return at + (sample - base) / self._rate

    # -- the stream -----------------------------------------------------------------------

    def _open(self) -> None:
        if not self._recognisers or self._failures > TRIES:
            return
        index = self._chain.pick(self.now)
        assert index is not None
        self._used = index
        self._memory.streams += 1
        self._stream = f"{self._call}/{self._leg}/{self._memory.streams}"
        self._stt = self._recognisers[index]
        self._sent = 0
        self._places.clear()
        stream, provider = self._stream, self._stt.path
        request = OpenStream(stream, self._rate, self.ref, self._language, self._phrases)
        self.pipe(
            self._stt.ask(request, timeout=math.inf),
            to=lambda outcome: StreamOver(stream, outcome),
            failed=lambda error: StreamOver(stream, ModelFault.of_ask(provider, error)),
        )
        for message in self._ring:
            if message.end_at > self._memory.told_until:
                self._send(message)
        if self._asked:
            self._stt.tell(Flush(self._stream, self._asked))

    def _close(self) -> None:
        if self._stt is not None:
            self._stt.tell(CloseStream(self._stream))
            self._stt = None
        self._ring.clear()
        self._ring_samples = 0

    @handles
    def on_over(self, message: StreamOver) -> None:
        if message.stream != self._stream or self._stt is None:
            return
        self._stt = None
        outcome = message.outcome
        if isinstance(outcome, StreamClosed):
            return
        self._failures += 1
        self._chain.failed(self._used, outcome.kind, self.now, outcome.retry_after)
        self._session.tell(EarsFailed(self._leg, outcome))
        if self._failures <= TRIES:
            wait = (
                0.0
                if len(self._recognisers) > self._failures
                else min(5.0, REOPEN_AFTER * 2 ** (self._failures - 1))
            )
            self.send_after(wait, Reopen())

    @handles
    def on_reopen(self, message: Reopen) -> None:
        if self._stt is None and self._ring:
            self._open()

    # -- words ----------------------------------------------------------------------------

    @handles
    def on_ask_words(self, message: AskWords) -> None:
        self._asked = message.number
        if self._failures > TRIES:
            self._failures = 0  # a person is speaking: it is worth another round
        if self._stt is not None:
            self._stt.tell(Flush(self._stream, message.number))
        elif self._ring:
            self._open()

    @handles
    def on_transcript(self, message: Transcript) -> None:
        if message.stream != self._stream or not self._places:
            return
        self._failures = 0
        self._chain.succeeded(self._used)
        start = self._moment(message.start * self._rate)
        end = self._moment(message.end * self._rate)
        if message.final:
            if message.flush == self._asked:
                self._asked = 0
            if message.text and end <= self._memory.told_until + SAME:
                return  # said before the stream was opened again
            self._memory.told_until = max(self._memory.told_until, end)
            self._forget(end)
        self._session.tell(Understood(self._leg, message.text, message.final, start, end))

    def _forget(self, until: float) -> None:
        """What was told as final need not be heard again."""
        ring = self._ring
        while ring and ring[0].end_at <= until:
            self._ring_samples -= len(ring.popleft().pcm) // 2
