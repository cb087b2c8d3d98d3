"""What may stand in a slot of a pattern: numbers, days, times, choices, words.

A kind reads its value from the user's words at one place, and says all the places where the value
may end. Values are text: a number is its digits, a choice its name in the script.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs

from models.llm.dialogue.words import Token, said

LONGEST_TEXT = 6
"""Words that a slot of kind `text` takes at most."""

Reading = tuple[int, str]
"""Where the value ends (one past its last word), and the value."""


@attrs.frozen
class Kind:
    """What may stand in a slot."""

    name: str
    """`number`, `day`, `time`, `word`, `text`, or what the script calls it."""
    examples: tuple[str, ...] = ()
    """Values as they are spoken, for the recogniser. Without any, sentences with it are left
    out of what it listens for."""
    choices: Mapping[tuple[str, ...], str] = attrs.field(factory=dict)
    """Of a choice: what may be said, as plain words, and which value it means."""

    @property
    def weight(self) -> float:
        """What a value counts beside a word of the pattern, which counts 1."""
        return {"text": 0.4, "word": 0.5}.get(self.name, 0.9)

    def read(self, heard: Sequence[Token], at: int) -> Iterator[Reading]:
        """The values that begin at `at`, if any."""
        if self.choices:
            return _choices(self.choices, heard, at)
        return _READERS[self.name](heard, at)


def _choices(
    choices: Mapping[tuple[str, ...], str], heard: Sequence[Token], at: int
) -> Iterator[Reading]:
    for words, value in choices.items():
        end = at + len(words)
        if tuple(token.word for token in heard[at:end]) == words:
            yield end, value


def _number(heard: Sequence[Token], at: int) -> Iterator[Reading]:
    """Digits, or words up to 9999: "two", "twenty five", "three hundred and ten"."""
    value = 0
    group = 0
    room = 10_000  # what comes next in a number is smaller than what came before
    end = at
    for position in range(at, len(heard)):
        word = heard[position].word
        if word in ("hundred", "thousand") and group > 0:
            scale = 100 if word == "hundred" else 1000
            if group * scale >= 10_000:
                return
            value, group, room = value + group * scale, 0, scale
        elif word == "and" and value and not group and end == position:
            continue  # it belongs to the number only if more of it follows
        elif word.isdecimal() and int(word) < _room(group, room):
            group += int(word)
        elif word.isdecimal() and position == at:
            yield position + 1, word
            return
        else:
            return
        end = position + 1
        yield end, str(value + group)


def _room(group: int, room: int) -> int:
    """What the next word of a number must be below: after "twenty" 10, after "two" nothing fits."""
    if group == 0:
        return room
    return 10 if group in range(20, 100, 10) else 0


DAYS = (
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday",
    "today", "tonight", "tomorrow",
)  # fmt: skip


def _day(heard: Sequence[Token], at: int) -> Iterator[Reading]:
    if at < len(heard) and heard[at].word in DAYS:
        day = heard[at].word
        name = day.capitalize() if day in DAYS[:7] else day
        yield at + 1, name
        if at + 1 < len(heard) and heard[at + 1].word in ("morning", "afternoon", "evening"):
            yield at + 2, f"{name} {heard[at + 1].word}"


_HALVES = {"half": 30, "quarter": 15}


def _time(heard: Sequence[Token], at: int) -> Iterator[Reading]:
    """ "7:30", "seven", "seven thirty", "half past seven", "noon"; then "am", "pm", "o'clock"."""
    words = [token.word for token in heard[at : at + 4]]
    for taken, hour, minute in _clock(words):
        end = at + taken
        yield end, _spoken(hour, minute)
        if words[taken : taken + 1] == ["o'clock"]:
            yield end + 1, _spoken(hour, minute)
        elif words[taken : taken + 1] in (["am"], ["pm"]):
            yield end + 1, f"{_spoken(hour, minute)} {words[taken]}"
    if words[:1] in (["noon"], ["midnight"]):
        yield at + 1, words[0]


def _clock(words: Sequence[str]) -> Iterator[tuple[int, int, int]]:
    """How many words are a time, and which: hours, minutes."""
    if not words:
        return
    hour, colon, minute = words[0].partition(":")
    if colon and int(hour) < 24 and int(minute) < 60:
        yield 1, int(hour), int(minute)
    elif hour.isdecimal() and int(hour) < 24:
        yield 1, int(hour), 0
        if words[1:2] and words[1].isdecimal() and 10 <= int(words[1]) < 60:
            yield 2, int(hour), int(words[1])
    elif hour in _HALVES and len(words) > 2 and words[2].isdecimal() and 0 < int(words[2]) < 24:
        if words[1] == "past":
            yield 3, int(words[2]), _HALVES[hour]
        elif words[1] == "to" and hour == "quarter":
            yield 3, int(words[2]) - 1, 45


def _spoken(hour: int, minute: int) -> str:
    return f"{hour}:{minute:02}" if minute else str(hour)


def _word(heard: Sequence[Token], at: int) -> Iterator[Reading]:
    if at < len(heard) and heard[at].said:
        end = at + 1
        while end < len(heard) and not heard[end].said:  # the rest of a contraction
            end += 1
        yield end, heard[at].said


def _text(heard: Sequence[Token], at: int) -> Iterator[Reading]:
    for end in range(at + 1, min(at + LONGEST_TEXT, len(heard)) + 1):
        if heard[at].said:
            yield end, said(tuple(heard[at:end]))


_READERS: Mapping[str, Callable[[Sequence[Token], int], Iterator[Reading]]] = {
    "number": _number,
    "day": _day,
    "time": _time,
    "word": _word,
    "text": _text,
}

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("number", ("two", "three", "four")),
        Kind("day", ("friday", "tomorrow", "monday")),
        Kind("time", ("seven", "half past eight")),
        Kind("word"),
        Kind("text"),
    )
}
"""The kinds every script has."""
