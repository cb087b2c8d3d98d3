"""Sound that spells what it says, for tests: `speech_pcm` makes it, `Listener` understands it.

Every byte of a word (UTF-8) is a *letter*: a short burst that carries it, then a tone for the rest
of the letter's time. The letters of a word share its time evenly. So what is cut off, lost or
overlaid is missing from the text, letter by letter, and the place of each letter is known to the
sample: "two pizzas" without its first 0.3 s is "pizzas", and without another 60 ms, "izzas".

All samples are at plus or minus one loudness, and only their signs mean anything. So the text
survives gain, clipping, mu-law and A-law; silence between letters does not hurt it. Any detector
takes it for sound, though not for a human voice (pair it with the loudness detector, not silero).

A burst is a row of cells of 1/4000 s, each a sign: the sync `+++---`, which occurs nowhere else,
then ten bits of two cells each (1 is `+-`, 0 is `-+`): whether a word begins here, the byte from
its highest bit, and even parity over these nine. The tone is `++--`: 1 kHz.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

import attrs
import numpy as np
from numpy.typing import NDArray

from models.words import Word

CELLS_PER_SECOND = 4000
LOUDNESS = 8000
"""Of every sample, plus or minus: -12 dB, as a voice near the microphone."""
_FLOOR = 64
"""What is no louder is silence: the idle noise of a line, the smallest codes of mu-law."""
_SYNC = (1, 1, 1, -1, -1, -1)
_BITS = 10
_BURST = len(_SYNC) + 2 * _BITS
SECONDS_PER_LETTER = _BURST / CELLS_PER_SECOND
"""The least a letter takes, 6.5 ms; a word of more letters than fit its time takes longer."""


def cell_samples(rate: int) -> int:
    """Samples of one cell.

    Args:
        rate: samples per second, 8000 or more; others than multiples of 4000 have shorter cells.

    Raises:
        ValueError: the rate is too low to carry letters.
    """
    if rate < 2 * CELLS_PER_SECOND:
        raise ValueError(f"speech that spells itself takes at least 8000 samples/s, not {rate}")
    return rate // CELLS_PER_SECOND


def word_samples(word: str, rate: int, seconds_per_word: float) -> int:
    """How long a word sounds, in samples: `seconds_per_word`, or what its letters need at least."""
    letters = len(word.encode())
    return max(round(seconds_per_word * rate), letters * _BURST * cell_samples(rate))


def speech_pcm(text: str, rate: int = 16000, seconds_per_word: float = 0.3) -> bytes:
    """The words of a text, without pauses: mono s16le.

    Args:
        rate: samples per second, 8000 or more.
        seconds_per_word: each word takes exactly so long, if its letters fit (6.5 ms for one).
    """
    return b"".join(word_pcm(word, rate, seconds_per_word) for word in text.split())


@lru_cache(maxsize=512)
def word_pcm(word: str, rate: int, seconds_per_word: float) -> bytes:
    """One word; kept, for scripts say the same things again and again."""
    letters = word.encode()
    cell = cell_samples(rate)
    total = word_samples(word, rate, seconds_per_word)
    tone = np.repeat(np.array((1, 1, -1, -1), np.int16), cell)
    signs = np.resize(tone, total)
    for number, letter in enumerate(letters):
        burst = np.repeat(_burst(letter, first=number == 0), cell)
        start = number * total // len(letters)
        end = (number + 1) * total // len(letters)
        # The tone begins anew with each letter, so that it never makes a sync with what follows.
        signs[start:end] = np.resize(tone, end - start)
        signs[start : start + len(burst)] = burst
    return (signs * LOUDNESS).astype("<i2").tobytes()


def _burst(letter: int, *, first: bool) -> NDArray[np.int16]:
    bits = [int(first), *(letter >> shift & 1 for shift in range(7, -1, -1))]
    bits.append(sum(bits) % 2)
    cells = [sign for bit in bits for sign in ((1, -1) if bit else (-1, 1))]
    return np.array((*_SYNC, *cells), np.int16)


@attrs.define
class _Letter:
    """A letter that was heard."""

    byte: int
    first: bool
    at: int
    """The first sample of its burst."""
    end: int
    """One past the last sample that sounded, before the next letter's or so far."""


class Listener:
    """Understands `speech_pcm`, piece by piece. Positions are samples since the first one heard."""

    def __init__(self, rate: int) -> None:
        cell = cell_samples(rate)
        self.rate = rate
        self.heard = 0
        """Samples so far."""
        self.voiced = 0
        """One past the last sample that was no silence."""
        self._voiced_before = 0
        """The same of what has left `_signs`."""
        self._cell = cell
        self._burst = _BURST * cell
        half = max(cell // 2, 1)
        # Filters on the way round the corners, so a run may be half a cell short; a run in the
        # bits or the tone is two cells at most. Where sound sets in with a ramp more is missing.
        run = 3 * cell - half
        self._sync = re.compile(rb"1{%d}(?=0{%d})" % (2 * cell + 1, run))
        self._signs = b""
        """Of the samples not yet understood: 1, 0, or a blank where there was silence."""
        self._letters: list[_Letter] = []
        self._broken = b""

    def hear(self, pcm: bytes) -> None:
        """Take the next sound: mono s16le of any length; half a sample is kept for the next."""
        pcm = self._broken + pcm
        even = len(pcm) & ~1
        self._broken = pcm[even:]
        samples = np.frombuffer(pcm[:even], "<i2")
        if not len(samples):
            return
        signs = np.full(len(samples), ord(" "), np.uint8)
        signs[samples > _FLOOR] = ord("1")
        signs[samples < -_FLOOR] = ord("0")
        text = signs.tobytes()
        loud = len(text.rstrip())
        if loud:
            self.voiced = self.heard + loud
        self._signs += text
        self.heard += len(samples)
        self._understand()
        if self._letters:
            self._letters[-1].end = self.voiced

    def words(self) -> tuple[Word, ...]:
        """The words since the last `forget`; the last one may be unfinished.

        A word ends where the next one begins, or where it fell silent.
        """
        starts = [n for n, letter in enumerate(self._letters) if n == 0 or letter.first]
        words = []
        for this, following in pairwise([*starts, len(self._letters)]):
            letters = self._letters[this:following]
            text = bytes(letter.byte for letter in letters).decode(errors="replace")
            words.append(Word(text, letters[0].at / self.rate, letters[-1].end / self.rate))
        return tuple(words)

    def forget(self) -> None:
        """What was heard so far is finished: `words` begins with what comes."""
        self._letters.clear()
        self._drop(len(self._signs))

    def _understand(self) -> None:
        signs = self._signs
        origin = self.heard - len(signs)
        at = 0
        while (match := self._sync.search(signs, at)) is not None:
            begin = match.end() - 3 * self._cell  # the edge within the sync tells the time
            if begin + self._burst > len(signs):
                break
            letter = self._letter(signs, begin, origin)
            if letter is not None:
                if self._letters:
                    self._letters[-1].end = self._voiced_until(max(begin, 0))
                self._letters.append(letter)
            at = match.end()
        # What may still become a letter: a burst that has begun, or the start of a sync.
        keep = match.start() if match is not None else max(at, len(signs) - 6 * self._cell)
        self._drop(max(keep, 0))

    def _voiced_until(self, here: int) -> int:
        """One past the last sample that sounded before that place in `_signs`."""
        loud = len(self._signs[:here].rstrip())
        return self.heard - len(self._signs) + loud if loud else self._voiced_before

    def _drop(self, count: int) -> None:
        self._voiced_before = self._voiced_until(count)
        self._signs = self._signs[count:]

    def _letter(self, signs: bytes, begin: int, origin: int) -> _Letter | None:
        cell = self._cell
        middle = begin + len(_SYNC) * cell + cell // 2
        first = signs[middle : middle + 2 * cell * _BITS : 2 * cell]
        second = signs[middle + cell : middle + cell + 2 * cell * _BITS : 2 * cell]
        bits = [pair == (ord("1"), ord("0")) for pair in zip(first, second, strict=False)]
        if len(bits) < _BITS or first.translate(_FLIPPED) != second or sum(bits) % 2:
            return None  # overlaid or cut: a letter less
        if b" " in first:
            return None  # silence, after a noise that looked like a sync
        byte = sum(bit << 7 - n for n, bit in enumerate(bits[1:9]))
        at = max(origin + begin, 0)
        return _Letter(byte, bits[0], at, at)


_FLIPPED = bytes.maketrans(b"01", b"10")
