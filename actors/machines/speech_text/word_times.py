"""When the words of an utterance sound, for voices that do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from actors.machines.speech_text.hyphenation import hyphenate
from actors.machines.speech_text.terminators import CLOSING, STRONG, WEAK
from models.words import Word

# Weights in units of a spoken letter, about 1/14 s. A syllable costs more than its letters, a
# digit is a word; a comma pauses for about 0.2 s and a full stop for 0.4 s.
_SYLLABLE = 1.5
_DIGIT = 4.0
_IDEOGRAPH = 2.5
_CLAUSE_PAUSE = 3.0
_SENTENCE_PAUSE = 6.0


def estimate_word_times(
    words: Sequence[str], total_seconds: float, pauses: Sequence[tuple[float, float]] = ()
) -> Sequence[Word]:
    """The words with their likely times, the last one ending at `total_seconds` at the latest.

    Args:
        words: as they are spoken, with their punctuation.
        total_seconds: the length of the audio.
        pauses: silences (start, end) found in the audio, in seconds, in order. Words then share
            the time between them; without any, pauses are assumed at punctuation.
    Raises:
        ValueError: `total_seconds` is no length, or the pauses are not in order within it.
    """
    if not (isfinite(total_seconds) and total_seconds >= 0):
        raise ValueError(f"the audio's length must be finite and not negative: {total_seconds}")
    bounds = [0.0, *(bound for pause in pauses for bound in pause), total_seconds]
    if bounds != sorted(bounds):
        raise ValueError(f"pauses must be in order, within {total_seconds} s: {list(pauses)}")
    lengths = [_length(word) for word in words]
    rests = [0.0 if pauses else _pause(word) for word in words[:-1]]
    voiced = total_seconds - sum(end - start for start, end in pauses)
    scale = voiced / (sum(lengths) + sum(rests) or 1.0)
    timed: list[Word] = []
    position = 0.0
    for index, word in enumerate(words):
        end = min(position + lengths[index] * scale, voiced)
        timed.append(Word(word, _in_audio(position, pauses, True), _in_audio(end, pauses, False)))
        position = end if index == len(rests) else min(end + rests[index] * scale, voiced)
    return timed


def _in_audio(voiced: float, pauses: Sequence[tuple[float, float]], starts: bool) -> float:
    """The audio's time of a time that leaves the pauses out. What starts with a pause's end
    starts behind it, what ends there ends before it.
    """
    at = voiced
    for start, end in pauses:
        if at < start or (at == start and not starts):
            break
        at += end - start
    return at


def _length(word: str) -> float:
    letters = sum(character.isalpha() and character.isascii() for character in word)
    others = sum(character.isalpha() and not character.isascii() for character in word)
    ideographs = sum("\u3041" <= character <= "\u9fff" for character in word)
    digits = sum(character.isdigit() for character in word)
    core = word.strip(STRONG + WEAK + CLOSING + "([{\"'“‘«")
    syllables = len(hyphenate(core)) if letters else others / 2.5
    spoken = letters + others - ideographs + _IDEOGRAPH * ideographs
    return max(1.0, spoken + _SYLLABLE * syllables + _DIGIT * digits)


def _pause(word: str) -> float:
    last = word.rstrip(CLOSING)[-1:]
    if last and last in STRONG:
        return _SENTENCE_PAUSE
    return _CLAUSE_PAUSE if last and last in WEAK else 0.0
