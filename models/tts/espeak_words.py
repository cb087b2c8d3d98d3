"""From espeak-ng's events to the words of the text: a pure machine.

espeak-ng says at which character it is at which sample. It says so once or several times a word
("3.50" is three), or once for several words ("in the"), never for a dash. What belongs together is
a *group*: the words from one event to the next. A group's time is shared among its words by their
letters, and its last word ends where the voice falls silent, not after the pause.
"""

from __future__ import annotations

import re
from bisect import bisect_right

import numpy as np

from models.words import Word

_SILENT = 64
"""Samples that are no louder are no voice; in its pauses espeak-ng writes zeros."""


class WordTimes:
    """The words of one text, as their times become known. Times are seconds from its start."""

    def __init__(self, text: str, rate: int) -> None:
        found = list(re.finditer(r"\S+", text))
        self._texts = [match.group() for match in found]
        self._places = [match.start() for match in found]
        self._rate = rate
        self._told = 0
        """Words whose times are known: the group begins with the next."""
        self._current = 0
        """The word the latest event was about; the group has come at least so far."""
        self._start = 0
        """The first sample of the group."""
        self._begun = False
        self._pause: int | None = None
        """The sample at which a clause ended in the group."""
        self._sound = b""
        """What was heard since `_sound_from`."""
        self._sound_from = 0

    def sound(self, pcm: bytes) -> None:
        """The next audio. Events about it may come before or after."""
        self._sound += pcm

    def word(self, character: int, sample: int) -> tuple[Word, ...]:
        """It says the word at that character (from 0) from that sample on.

        Returns: the words that are over by that.
        """
        index = max(bisect_right(self._places, character) - 1, 0)
        if not self._begun and index == 0:
            self._start = sample
        self._begun = True
        if index <= self._current:
            return ()
        self._current = index
        return self._close(index, sample)

    def clause_ended(self, sample: int) -> None:
        """A clause has ended there, with its pause."""
        if self._pause is None:
            self._pause = sample

    def finish(self, samples: int) -> tuple[Word, ...]:
        """There is no more. Returns: the words that were left."""
        return self._close(len(self._texts), samples)

    def _close(self, until: int, sample: int) -> tuple[Word, ...]:
        """The group ends before that word and that sample."""
        end = sample if self._pause is None else min(self._pause, sample)
        end = max(self._start, self._voice_until(end))
        texts = self._texts[self._told : until]
        letters = [sum(c.isalnum() for c in text) for text in texts]
        total = sum(letters)
        words, spoken = [], 0
        for text, count in zip(texts, letters, strict=True):
            begin, spoken = spoken, spoken + count
            words.append(Word(text, self._time(begin, total, end), self._time(spoken, total, end)))
        self._told, self._start, self._pause = until, sample, None
        drop = 2 * max(0, sample - self._sound_from)
        self._sound, self._sound_from = self._sound[drop:], max(sample, self._sound_from)
        return tuple(words)

    def _time(self, spoken: int, total: int, end: int) -> float:
        share = spoken / total if total else 0.0
        return (self._start + round(share * (end - self._start))) / self._rate

    def _voice_until(self, sample: int) -> int:
        """One past the last sample before that one that is voice, in the group."""
        count = max(0, sample - self._sound_from)
        samples = np.frombuffer(self._sound[: 2 * count], "<i2")
        loud = np.flatnonzero((samples > _SILENT) | (samples < -_SILENT))
        return self._sound_from + int(loud[-1]) + 1 if len(loud) else self._start
