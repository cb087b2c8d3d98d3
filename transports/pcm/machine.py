"""The PCM wire as a pure machine: frames of a WebSocket in, events out, and back.

No socket, no clock, no waiting. What a peer does wrong never raises: it is dropped and counted, or,
before it has come in, answered by a `Fault` that ends the wire.
"""

from __future__ import annotations

import enum
from typing import Any

import attrs
import numpy as np

from models.audio import Encoding, Frame
from models.audio.g711 import decode, encode
from transports.leg import (
    Attached,
    Clear,
    Cleared,
    CloseWire,
    Dtmf,
    HungUp,
    MarkPlayed,
    Muted,
    Played,
    SendMark,
    Show,
    Typed,
    WireCapabilities,
    WireEvent,
)
from transports.pcm import messages
from transports.pcm.config import PcmConfig
from transports.pcm.messages import BadMessage, Start

MOST_BINARY = 256 * 1024
"""Bytes of sound in one frame; 1.4 s of the most that a wire may carry."""
MOST_TEXT = 64 * 1024
LONGEST_WRITING = 8000
"""Characters that a person writes at once."""
DIGITS = frozenset("0123456789*#ABCD")
MOST_MARKS = 1000
"""Marks and clears that wait for an answer; a peer that never answers costs no more than these."""


class Phase(enum.Enum):
    """How far a wire has come."""

    STARTING = "starting"
    """Its first frame has not come."""
    ATTACHING = "attaching"
    """The call is being asked."""
    OPEN = "open"
    OVER = "over"


@attrs.frozen
class Fault:
    """The peer cannot stay: tell it so and close."""

    code: str
    message: str
    close_code: int


@attrs.define
class PcmCounters:
    """What went over the wire, and what did not."""

    frames_in: int = 0
    samples_in: int = 0
    frames_out: int = 0
    samples_out: int = 0
    malformed: int = 0
    """Texts that are no JSON object with a type, or whose fields do not fit."""
    unknown: int = 0
    """Texts of a type we do not know, which is no fault."""
    oversized: int = 0
    over_rate: int = 0
    """Frames beyond what a peer may send."""
    stray: int = 0
    """Answers to what was never asked, or asked before a clear."""


@attrs.define(eq=False)
class _Allowance:
    """A bucket of tokens. Not `supervision.resilience`'s: this one is asked per frame."""

    rate: float
    burst: float
    level: float = attrs.field(init=False)
    at: float = attrs.field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        self.level = self.burst

    def take(self, amount: float, at: float) -> bool:
        level = self.level + (at - self.at) * self.rate
        self.at = at
        self.level = level = min(level, self.burst)
        if level < amount:
            return False
        self.level = level - amount
        return True


class PcmMachine:
    """One wire. Times are seconds on any one clock."""

    def __init__(self, config: PcmConfig, at: float) -> None:
        self.config = config
        self.phase = Phase.STARTING
        self.start: Start | None = None
        self.counters = PcmCounters()
        self.deadline = at + config.start_timeout
        """When `time_passed` is next worth calling."""
        self._messages = _Allowance(config.messages_per_second, 2 * config.messages_per_second)
        self._messages.at = at
        self._bytes = _Allowance(0.0, 0.0)
        self._unit = 1
        """Bytes of one sample of all channels."""
        self._plain = True
        """Mono s16le comes in: nothing to convert."""
        self._carry = b""
        """The beginning of a sample whose end is in the next frame."""
        self._played = 0
        self._clears: dict[int, int] = {}
        """Unanswered, by number: how many clears there were then."""
        self._marks: dict[str, int] = {}
        """Unanswered, by name: how many clears there were then."""
        self._generation = 0

    def __repr__(self) -> str:
        counters = self.counters
        return (
            f"<PcmMachine {self.phase.value}: {counters.frames_in} in, {counters.frames_out} out>"
        )

    # -- what comes -----------------------------------------------------------------------

    def sound_came(self, data: bytes, at: float) -> Frame | Fault | None:
        """A binary frame: mono s16le at the peer's rate, or None if nothing is left of it."""
        if self.phase is not Phase.OPEN:
            if self.phase is Phase.STARTING:
                return self._unfit("sound came before the start")
            return None
        if self._carry or len(data) % self._unit:
            data = self._whole_samples(data)
        counters = self.counters
        if len(data) > MOST_BINARY:
            counters.oversized += 1
            return None
        if not self._messages.take(1, at) or not self._bytes.take(len(data), at):
            counters.over_rate += 1
            return None
        start = self.start
        assert start is not None
        pcm = data if self._plain else _mono(data, start.format.encoding, start.format.channels)
        counters.frames_in += 1
        counters.samples_in += len(pcm) // 2
        return Frame(pcm, start.format.rate)

    def text_came(self, text: str | bytes, at: float) -> Start | WireEvent | Fault | None:
        """A text frame."""
        if self.phase in (Phase.OVER, Phase.ATTACHING):
            return None
        if len(text) > MOST_TEXT:
            self.counters.oversized += 1
            return self._unfit("the start is too long") if self.phase is Phase.STARTING else None
        if not self._messages.take(1, at):
            self.counters.over_rate += 1
            return None
        try:
            fields = messages.parse(text)
            if self.phase is Phase.STARTING:
                return self._started(fields)
            return self._event(fields)
        except BadMessage as error:
            self.counters.malformed += 1
            return self._unfit(str(error)) if self.phase is Phase.STARTING else None

    def time_passed(self, at: float) -> Fault | None:
        """The deadline has come."""
        if self.phase is not Phase.STARTING or at < self.deadline:
            return None
        self._over()
        return Fault("start-timeout", "no start came in time", 4408)

    # -- what goes ------------------------------------------------------------------------

    @property
    def capabilities(self) -> WireCapabilities:
        """What the peer said it can do."""
        start = self.start
        assert start is not None
        return WireCapabilities(
            reports_played=start.played,
            counts_cleared=start.clear,
            marks=start.marks,
            shows=start.shows,
            send_ahead=self.config.send_ahead,
        )

    def attached(self, attached: Attached, at: float) -> str:
        """The call lets it in; here is what to say."""
        start = self.start
        assert start is not None
        assert self.phase is Phase.ATTACHING
        self.phase = Phase.OPEN
        per_second = start.format.rate * start.format.sample_bytes
        config = self.config
        self._bytes = _Allowance(config.audio_factor * per_second, config.audio_burst * per_second)
        self._bytes.at = at
        return messages.ready(start, attached)

    def sound_to_send(self, frame: Frame) -> bytes:
        """A frame of the call as the peer wants it."""
        start = self.start
        assert start is not None
        self.counters.frames_out += 1
        self.counters.samples_out += frame.samples
        return encode(frame.pcm, start.format.encoding)

    def sound_was_dropped(self, samples: int) -> None:
        """What `sound_to_send` gave was never sent: it will not be played."""
        self.counters.frames_out -= 1
        self.counters.samples_out -= samples

    def hang_up(self) -> None:
        """The connection is over: nothing that still comes or goes counts."""
        self._over()

    def text_to_send(self, message: Clear | SendMark | CloseWire | Show) -> str | None:
        """An instruction of the call as a text frame; None if the peer cannot use it."""
        start = self.start
        assert start is not None
        match message:
            case Clear(number):
                self._generation += 1
                self._clears[number] = self._generation
                _bound(self._clears)
            case SendMark(name):
                if not start.marks:
                    return None
                self._marks[name] = self._generation
                _bound(self._marks)
            case CloseWire():
                self._over()
            case _:
                if not start.shows:
                    return None
        return messages.written(message)

    # -- inside ---------------------------------------------------------------------------

    def _started(self, fields: dict[str, Any]) -> Start:
        start = self.start = messages.parse_start(fields)
        self.phase = Phase.ATTACHING
        self._unit = start.format.sample_bytes
        self._plain = start.format.encoding is Encoding.S16LE and start.format.channels == 1
        return start

    def _event(self, fields: dict[str, Any]) -> WireEvent | None:
        match fields["type"]:
            case "played":
                self._believe(messages.count_of(fields, "samples"))
                return Played(self._played)
            case "cleared":
                return self._cleared(fields)
            case "mark":
                return self._mark(fields)
            case "dtmf":
                digit = messages.text_of(fields, "digit", 1).upper()
                if digit not in DIGITS:
                    raise BadMessage("a digit is one of 0-9 * # A-D")
                return Dtmf(digit)
            case "text":
                text = messages.text_of(fields, "text", LONGEST_WRITING)
                return Typed(text) if text.strip() else None
            case "mute":
                return Muted(messages.flag_of(fields, "muted"))
            case "stop":
                reason = messages.text_of(fields, "reason")
                self._over()
                return HungUp(reason)
            case _:
                self.counters.unknown += 1
                return None

    def _cleared(self, fields: dict[str, Any]) -> WireEvent | None:
        number = messages.count_of(fields, "id")
        played = messages.count_of(fields, "played")
        dropped = messages.count_of(fields, "dropped")
        generation = self._clears.pop(number, None)
        if generation is None:
            self.counters.stray += 1
            return None
        self._believe(played)
        # What was marked before this clear and has not come back was cleared with the sound.
        self._marks = {name: of for name, of in self._marks.items() if of >= generation}
        return Cleared(number, self._played, dropped)

    def _mark(self, fields: dict[str, Any]) -> WireEvent | None:
        name = messages.text_of(fields, "name")
        if self._marks.pop(name, None) is None:
            self.counters.stray += 1
            return None
        return MarkPlayed(name)

    def _believe(self, samples: int) -> None:
        """No peer has played more than it was sent, nor less than it once had."""
        self._played = max(self._played, min(samples, self.counters.samples_out))

    def _whole_samples(self, data: bytes) -> bytes:
        data = self._carry + data
        rest = len(data) % self._unit
        self._carry = data[len(data) - rest :]
        return data[: len(data) - rest]

    def _unfit(self, problem: str) -> Fault:
        self._over()
        return Fault("bad-start", problem, 4400)

    def _over(self) -> None:
        self.phase = Phase.OVER
        self.deadline = float("inf")


def _mono(data: bytes, encoding: Encoding, channels: int) -> bytes:
    pcm = decode(data, encoding)
    if channels == 1:
        return pcm
    pairs = np.frombuffer(pcm, np.int16).reshape(-1, 2)
    return ((pairs[:, 0].astype(np.int32) + pairs[:, 1]) >> 1).astype(np.int16).tobytes()


def _bound(waiting: dict[Any, int]) -> None:
    if len(waiting) > MOST_MARKS:
        del waiting[next(iter(waiting))]
