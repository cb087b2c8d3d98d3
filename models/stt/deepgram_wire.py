"""One Deepgram stream as a pure machine: audio and messages in, messages and transcripts out.

It outlives its connections. The last seconds of audio are kept; after a reconnect what was not
understood yet is sent again, and words that were told already are recognised by their time. The
same ring is the queue to the socket: what no connection takes in time is dropped, oldest first.

Sources: Deepgram API reference "Live Audio"; guides "Finalize", "Audio Keep Alive".
"""

from __future__ import annotations

from collections import deque
from math import inf
from typing import Any

import attrs
import orjson

from models.faults import FaultKind
from models.net.faults import ProviderFault, code_of, garbled
from models.stt.protocol import Transcript
from models.words import Word

KEEP_ALIVE = '{"type":"KeepAlive"}'
FINALIZE = '{"type":"Finalize"}'
CLOSE = '{"type":"CloseStream"}'

_CHUNK = 0.1
"""Seconds of audio in one message at most."""

_LEAD = 0.5
"""Seconds of understood audio that are sent once more after a reconnect, for the word that the cut
went through; what was told of them is not told again."""

_MOST_PENDING = 16

_NEAR = 0.25
"""Seconds by which the end of a result may miss the flush that it answers."""


@attrs.define(eq=False)
class _Pending:
    """A flush that the server has not answered."""

    number: int
    position: int
    """Bytes of the stream that came before it."""
    deadline: float
    sent: bool = False
    answered: bool = False
    """It was answered without the server, which may answer yet."""


@attrs.define(repr=False)
class DeepgramLine:
    """A stream of mono s16le. Times `at` are the node's seconds, all others the stream's."""

    stream: str
    rate: int
    keep: float = 5.0
    """Seconds of audio that are kept."""
    patience: float = 1.5
    """Seconds until a flush is answered with what is understood by then."""
    chunk: float = 0.0
    """Seconds of audio that are sent together, if nothing asks for less."""
    understood: float = attrs.field(default=0.0, init=False)
    """Until where finals have been told, seconds."""
    lost: int = attrs.field(default=0, init=False)
    """Bytes of audio that no connection took in time."""
    closed: bool = attrs.field(default=False, init=False)
    """No more audio comes."""
    close_sent: bool = attrs.field(default=False, init=False)
    _audio: bytearray = attrs.field(factory=bytearray, init=False)
    _base: int = attrs.field(default=0, init=False)
    """Bytes of the stream before `_audio`."""
    _sent: int = attrs.field(default=0, init=False)
    """Bytes of the stream that this connection, or the ones before it, were given."""
    _origin: int = attrs.field(default=0, init=False)
    """Where this connection's time 0 lies, in bytes of the stream."""
    _pending: deque[_Pending] = attrs.field(factory=deque, init=False)
    _interim: Transcript | None = attrs.field(default=None, init=False)
    """The latest partial transcript, if no final has followed it."""

    # -- from the user --------------------------------------------------------------------

    def append(self, pcm: bytes) -> int:
        """More audio. Returns the bytes that were lost for it."""
        self._audio += pcm
        excess = len(self._audio) - 2 * int(self.rate * self.keep)
        if excess <= 0:
            return 0
        excess = (excess + 1) // 2 * 2  # never half a sample
        del self._audio[:excess]
        self._base += excess
        gap = max(0, self._base - self._sent)
        if gap:
            self._sent += gap
            self._origin += gap  # the connection's clock knows nothing of what it was not sent
            self.lost += gap
        return gap

    def flush(self, number: int, at: float) -> None:
        """Have what came so far answered as a final with this number."""
        self._pending.append(_Pending(number, self._end, at + self.patience))

    def close(self) -> None:
        """No more audio comes."""
        self.closed = True

    # -- to and from the server -----------------------------------------------------------

    def connected(self) -> None:
        """A new connection: it is given what was not understood, as far as that is kept."""
        lead = int(max(0.0, self.understood - _LEAD) * self.rate) * 2
        self._sent = self._origin = max(self._base, min(lead, self._sent))
        self.close_sent = False
        self._pending = deque(flush for flush in self._pending if not flush.answered)
        for flush in self._pending:
            flush.sent = False

    @property
    def ready(self) -> bool:
        """Whether enough audio waits to be worth a message of its own."""
        return self._end - self._sent >= 2 * self.rate * self.chunk

    def next_to_send(self) -> bytes | str | None:
        """The next message to the server; None if there is nothing to say now."""
        flush = next((flush for flush in self._pending if not flush.sent), None)
        limit = flush.position if flush is not None else self._end
        size = min(limit - self._sent, int(self.rate * _CHUNK) * 2) // 2 * 2
        if size > 0 and (flush is not None or self.closed or self.ready):
            start = self._sent - self._base
            self._sent += size
            return bytes(self._audio[start : start + size])
        if flush is not None:
            flush.sent = True
            return FINALIZE
        if self.closed and not self.close_sent:
            self.close_sent = True
            return CLOSE
        return None

    def received(self, text: str | bytes) -> list[Transcript]:
        """A message of the server: what is to be told.

        Raises:
            ProviderFault: it reports an error, or is no message of this protocol.
        """
        try:
            message = orjson.loads(text)
            kind = message["type"]
            if kind == "Error":
                raise ProviderFault(FaultKind.UNAVAILABLE, f"error {code_of(message) or 'unnamed'}")
            return self._results(message) if kind == "Results" else []
        except (
            orjson.JSONDecodeError,
            TypeError,
            ValueError,
            KeyError,
            AttributeError,
            IndexError,
        ) as error:
            raise garbled("not a message of Deepgram's") from error

    # -- time -----------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When `time_passed` is next worth calling; `inf` if it is not."""
        return min((flush.deadline for flush in self._pending if not flush.answered), default=inf)

    def time_passed(self, at: float) -> list[Transcript]:
        """Flushes that the server has not answered in time are answered without it."""
        told: list[Transcript] = []
        for flush in self._pending:
            if not flush.answered and at >= flush.deadline:
                flush.answered = True
                told.append(self._promoted(flush.number))
        while len(self._pending) > _MOST_PENDING and self._pending[0].answered:
            self._pending.popleft()  # a server that answers no flush
        return told

    def concluded(self) -> list[Transcript]:
        """The stream is over: what is still owed."""
        told = [self._promoted(flush.number) for flush in self._pending if not flush.answered]
        self._pending.clear()
        if self._interim is not None:
            told.append(self._promoted(0))
        return told

    # -- results --------------------------------------------------------------------------

    @property
    def _end(self) -> int:
        return self._base + len(self._audio)

    def _results(self, message: dict[str, Any]) -> list[Transcript]:
        shift = self._origin / (2 * self.rate)
        start = shift + float(message["start"])
        end = start + float(message["duration"])
        best = message["channel"]["alternatives"][0]
        heard = [
            (
                Word(
                    str(w.get("punctuated_word") or w["word"]),
                    shift + float(w["start"]),
                    shift + float(w["end"]),
                )
            )
            for w in best.get("words") or ()
        ]
        words = tuple(w for w in heard if (w.start + w.end) / 2 > self.understood)
        text = str(best["transcript"]).strip()
        if len(words) < len(heard):
            text = " ".join(word.text for word in words)
        elif not heard and end <= self.understood:
            text = ""
        confidence = float(best.get("confidence") or 0.0)
        transcript = Transcript(
            self.stream,
            text,
            bool(message.get("is_final")),
            max(start, min(self.understood, end)),
            end,
            confidence,
            words,
        )
        if not transcript.final:
            return self._partial(transcript)
        return self._final(transcript, bool(message.get("from_finalize")))

    def _partial(self, transcript: Transcript) -> list[Transcript]:
        if not transcript.text:
            return []
        self._interim = transcript
        return [transcript]

    def _final(self, transcript: Transcript, finalized: bool) -> list[Transcript]:
        numbers = self._answered_by(transcript.end) if finalized else []
        told = [
            attrs.evolve(transcript, text="", words=(), flush=number) for number in numbers[:-1]
        ]
        if numbers or transcript.text:
            told.append(attrs.evolve(transcript, flush=numbers[-1] if numbers else 0))
        self.understood = max(self.understood, transcript.end)
        self._interim = None
        return told

    def _answered_by(self, end: float) -> list[int]:
        """The numbers of the flushes that a result until `end` answers; they are done."""
        sent = [flush for flush in self._pending if flush.sent]
        met = [flush for flush in sent if flush.position / (2 * self.rate) <= end + _NEAR]
        done = met or sent[:1]
        for flush in done:
            self._pending.remove(flush)
        return [flush.number for flush in done if not flush.answered]

    def _promoted(self, number: int) -> Transcript:
        """What was understood so far, as a final."""
        interim, self._interim = self._interim, None
        if interim is None:
            end = self._sent / (2 * self.rate)
            return Transcript(self.stream, "", True, min(self.understood, end), end, flush=number)
        self.understood = max(self.understood, interim.end)
        return attrs.evolve(interim, final=True, flush=number)

    def __repr__(self) -> str:
        return (
            f"<DeepgramLine {self.stream}: understood {self.understood:.1f} s, "
            f"{(self._end - self._sent) / (2 * self.rate):.1f} s to send>"
        )
