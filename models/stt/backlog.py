"""The audio of one stream on its way to a recogniser that may die: a pure machine.

Sound goes in as it comes and comes out in batches. What was sent is kept until a final transcript
covers it, so that the next life of the recogniser can be given it again; words are told once.

Positions are samples since the start of the stream, times seconds.
"""

from __future__ import annotations

from collections import deque

import attrs

from models.words import Word


@attrs.frozen
class Batch:
    """What the recogniser is to be given next."""

    pcm: bytes
    at: int
    """Its first sample."""
    mark: int | None
    """What follows it: a flush of this number, 0 for the end of the stream, None for more."""
    begin: bool
    """The recogniser knows nothing of the stream yet, or not any more."""


@attrs.define
class _Sound:
    pcm: bytes
    at: int


@attrs.frozen
class _Mark:
    number: int


@attrs.define
class Backlog:
    """One stream's audio. `next_batch`, then `heard` or `lost`, one at a time."""

    rate: int
    batch: float = 0.1
    """Seconds of audio that are sent at a time."""
    ring: float = 5.0
    """Seconds of audio that are kept until they are final."""
    limit: float = 10.0
    """Seconds of audio that may wait to be sent; beyond it the oldest is dropped."""
    largest: float = 1.0
    """Seconds of audio in one batch, when there is something to catch up with."""

    dropped: int = attrs.field(default=0, init=False)
    """Samples that were dropped unheard."""
    under_way: bool = attrs.field(default=False, init=False)
    """A batch was taken and neither heard nor lost yet."""
    end: int = attrs.field(default=0, init=False)
    """One past the last sample that was pushed."""
    _known: bool = attrs.field(default=False, init=False)
    """The recogniser knows the stream."""
    _sent: deque[_Sound] = attrs.field(factory=deque, init=False)
    """Sent since the last final."""
    _waiting: deque[_Sound | _Mark] = attrs.field(factory=deque, init=False)
    _mark: int | None = attrs.field(default=None, init=False)
    """Of the batch under way."""
    _words: tuple[Word, ...] = attrs.field(default=(), init=False)
    """The latest words since the last final."""
    _kept: tuple[Word, ...] = attrs.field(default=(), init=False)
    """Words of audio that is in the ring no more, and that a new life has never heard."""

    # -- what comes in --------------------------------------------------------------------

    def push(self, pcm: bytes) -> None:
        """The next sound: mono s16le."""
        last = self._waiting[-1] if self._waiting else None
        if isinstance(last, _Sound) and len(last.pcm) < self._bytes(self.batch):
            last.pcm += pcm
        elif pcm:
            self._waiting.append(_Sound(pcm, self.end))
        self.end += len(pcm) // 2
        self._shorten()

    def mark(self, number: int) -> None:
        """What was pushed so far is to be finished: a flush of this number, 0 for the end."""
        self._waiting.append(_Mark(number))

    # -- what goes out --------------------------------------------------------------------

    def next_batch(self) -> Batch | None:
        """What to send now; None while a batch is under way or there is not enough."""
        if self.under_way or not self._ready():
            return None
        sounds: list[_Sound] = []
        size = 0
        while self._waiting and size < self._bytes(self.largest):
            item = self._waiting[0]
            if isinstance(item, _Mark):
                break
            self._waiting.popleft()
            sounds.append(item)
            size += len(item.pcm)
        self._mark = None
        if self._waiting and isinstance(item := self._waiting[0], _Mark):
            self._waiting.popleft()
            self._mark = item.number
        self.under_way = True
        self._sent.extend(sounds)
        begin, self._known = not self._known, True
        at = sounds[0].at if sounds else self.end
        return Batch(b"".join(sound.pcm for sound in sounds), at, self._mark, begin)

    def heard(self, words: tuple[Word, ...], *, final: bool) -> tuple[Word, ...]:
        """The batch was understood; returns all words since the last final, none told twice."""
        self.under_way = False
        since = self._kept[-1].end if self._kept else 0.0
        fresh = tuple(word for word in words if not self._kept or _middle(word) >= since)
        self._words = (*self._kept, *fresh)
        understood = self._words
        if final:
            self._sent.clear()
            self._words = self._kept = ()
            self._mark = None
        else:
            self._forget_oldest()
        return understood

    def lost(self) -> None:
        """The recogniser is gone, and all it knew: the next batch begins anew from the ring."""
        self.under_way = self._known = False
        self._forget_oldest()
        if self._mark is not None:
            self._waiting.appendleft(_Mark(self._mark))
            self._mark = None
        if self._sent:
            start = self._sent[0].at / self.rate
            self._kept = tuple(word for word in self._words if _middle(word) < start)
        self._waiting.extendleft(reversed(self._sent))
        self._sent.clear()

    # -- inside ---------------------------------------------------------------------------

    def _bytes(self, seconds: float) -> int:
        return 2 * int(seconds * self.rate)

    def _ready(self) -> bool:
        if not self._waiting:
            return False
        first = self._waiting[0]
        more = len(self._waiting) > 1
        return more or isinstance(first, _Mark) or len(first.pcm) >= self._bytes(self.batch)

    def _forget_oldest(self) -> None:
        """Keep no more than the ring of what was sent."""
        size = sum(len(sound.pcm) for sound in self._sent)
        while size > self._bytes(self.ring):
            size -= len(self._sent.popleft().pcm)

    def _shorten(self) -> None:
        """Keep no more than the limit of what waits; marks are never dropped."""
        size = sum(len(item.pcm) for item in self._waiting if isinstance(item, _Sound))
        for item in tuple(self._waiting):
            if size <= self._bytes(self.limit):
                return
            if isinstance(item, _Sound):
                size -= len(item.pcm)
                self.dropped += len(item.pcm) // 2
                self._waiting.remove(item)


def _middle(word: Word) -> float:
    return (word.start + word.end) / 2
