"""Cuts streamed text into sentences and clauses. Nothing is lost: the raw segments are the text.

A cut is decided by the text up to it and a few characters behind it, never by how the text was
pushed. Each character is looked at once; a terminator waits where it stands until what follows
tells.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from actors.machines.speech_text.languages import DETECTED_FROM, detect_language
from actors.machines.speech_text.terminators import (
    CLOSING,
    SPANISH_TITLE,
    STARTERS,
    STRONG,
    TITLES,
    UNSPACED,
    WEAK,
    abbreviations_of,
)
from actors.machines.speech_text.tokens import ACRONYM_BEFORE_DOT, UNBREAKABLE

LONGEST = 600
"""Characters without any cut after which one is made at a blank."""
_TOKEN_REACH = 200
"""Characters on either side of a terminator in which the token it belongs to is looked for."""

WAIT = -1
"""The verdict on a terminator that only more text can judge."""
NO_CUT = -2
"""The verdict on a terminator that ends nothing."""

_BLANK = re.compile(r"\s")
_BLANKS = re.compile(r"[^\S\n]*")
_WORD = re.compile(r"[^\W\d_]*")
_ATTACHED = re.compile(r"[\w/\\@&=#%+~-]", re.ASCII)
# "J. K. Rowling": an acronym with blanks. One initial alone may as well be "plan B".
_INITIAL = re.compile("[A-Z]")
_INITIAL_AND_DOT = re.compile(rf"{_INITIAL.pattern}\.")
_ENDS_WITH_INITIAL = re.compile(rf"(?<![^\s(\[\"']){_INITIAL.pattern}\.\s*\Z")
_UNSPACED = re.compile(f"[{UNSPACED}]")
_OPENING = "([{\"'“‘«<*_¿¡"


class _Marks:
    """The terminators as patterns: Greek asks with `;`."""

    def __init__(self, strong: str, weak: str) -> None:
        self.strong = strong
        self.weak = weak
        closing = re.escape(CLOSING)
        self.any = re.compile(f"[\n{re.escape(strong + weak)}]")
        self.strong_run = re.compile(f"(?:[{re.escape(strong)}]{{1,64}}[{closing}]*)+")
        self.weak_run = re.compile(f"[{re.escape(weak)}]{{1,64}}[{closing}]*") if weak else None
        self.strong_end = re.compile(f"[{re.escape(strong)}][{closing}]*\\s*\\Z")


class Cutter:
    """The text stream's cuts; `Chunker` adds the clock."""

    def __init__(
        self,
        language: str,
        min_length: int,
        first_min_length: int,
        abbreviations: frozenset[str] | None,
        strong: str = STRONG,
        weak: str = WEAK,
    ) -> None:
        self._language = language
        self._min_length = min_length
        self._first_min_length = first_min_length
        self._abbreviations = abbreviations
        self._plain_marks = _Marks(strong, weak)
        self._greek_marks = _Marks(strong + ";\u037e", weak.replace(";", ""))
        self.reset()

    def reset(self) -> None:
        """Ready for another turn."""
        self.buffer = ""
        """What was pushed and not cut off yet."""
        self._scan = 0
        self._start = ""  # of the stream, to tell its script
        self._cut_off = 0
        self._at_line_start = True
        self._first = True

    def push(self, text: str) -> Sequence[str]:
        """The raw segments that end with what is known now."""
        self.buffer += text
        if len(self._start) < DETECTED_FROM:
            self._start += text[: DETECTED_FROM - len(self._start)]
        return self._cut(final=False)

    def rest(self) -> Sequence[str]:
        """Everything that is left, cut as if the text ended here."""
        segments = [*self._cut(final=True)]
        if self.buffer:
            segments.append(self._take(len(self.buffer)))
        return segments

    def idle_cut(self, min_length: int) -> Sequence[str]:
        """What can be spoken of an unfinished sentence; nothing if that is less than `min_length`.

        All of it behind a strong terminator, else up to the last blank.
        """
        if self._ends_strongly():
            return self.rest()
        end = self._last_break(len(self.buffer))
        if end is None or len(self.buffer[:end].strip()) < min_length:
            return []
        return [self._take(end)]

    def _ends_strongly(self) -> bool:
        match = self._marks(len(self.buffer)).strong_end.search(self.buffer)
        if match is None:
            return False
        if self.buffer[match.start()] != ".":
            return True
        return self._end_of_dot(match.start(), len(self.buffer), final=True) == WAIT

    def _take(self, end: int) -> str:
        segment, self.buffer = self.buffer[:end], self.buffer[end:]
        self._cut_off += end
        self._scan = 0
        if segment.strip():
            self._first = False
        line = segment.rpartition("\n")
        self._at_line_start = not line[2].strip() and (bool(line[1]) or self._at_line_start)
        return segment

    def _cut(self, final: bool) -> Sequence[str]:
        segments: list[str] = []
        while True:
            end = self._next_cut(final)
            if end is None:
                return segments
            segments.append(self._take(end))

    def _next_cut(self, final: bool) -> int | None:
        while True:
            match = self._marks(self._scan).any.search(self.buffer, self._scan)
            at = len(self.buffer) if match is None else match.start()
            if at > LONGEST or (match is not None and at == LONGEST):
                return self._last_break(LONGEST) or self._hard_break()
            if match is None:
                self._scan = at
                return None
            end, resume = self._judged(at, final)
            if end == WAIT:
                self._scan = at
                return None
            if end != NO_CUT:
                return end
            self._scan = resume

    def _marks(self, at: int) -> _Marks:
        if self._language == "auto":
            # Only Greek differs, and only a text with Greek letters can be Greek.
            return self._greek_marks if self._language_at(at) == "el" else self._plain_marks
        return self._greek_marks if self._language == "el" else self._plain_marks

    def _language_at(self, at: int) -> str:
        if self._language != "auto":
            return self._language
        return detect_language(self._start[: self._cut_off + at])

    def _judged(self, at: int, final: bool) -> tuple[int, int]:
        """Where the terminator at `at` cuts (or `WAIT`, `NO_CUT`), and where to look next."""
        marks = self._marks(at)
        if self.buffer[at] == "\n":
            return self._judged_newline(at, final)
        match = marks.strong_run.match(self.buffer, at)
        if match is not None:
            return self._judged_strong(at, match.end(), final), match.end()
        assert marks.weak_run is not None
        match = marks.weak_run.match(self.buffer, at)
        assert match is not None
        return self._judged_weak(at, match.end(), final), match.end()

    def _judged_newline(self, at: int, final: bool) -> tuple[int, int]:
        end = at
        while self.buffer[end : end + 1] == "\n":
            end += 1
        if not self.buffer[:at].strip():
            return NO_CUT, end  # blank lines go with what follows them
        if not self.buffer[end:].strip():
            return (NO_CUT if final else WAIT), len(self.buffer) if final else end
        return end, end

    def _judged_strong(self, at: int, end: int, final: bool) -> int:
        after = self._after_blanks(end)
        if after == len(self.buffer):
            return NO_CUT if final else WAIT
        following = self.buffer[after]
        if following == "\n":
            return end
        if after == end and following in self._marks(at).weak:
            return NO_CUT
        if self.buffer[at:end].rstrip(CLOSING) == ".":
            return self._end_of_dot(at, end, final)
        return self._outside_token(at, end, final)

    def _judged_weak(self, at: int, end: int, final: bool) -> int:
        after = self._after_blanks(end)
        if after == len(self.buffer):
            return NO_CUT if final else WAIT
        shortest = self._first_min_length if self._first else self._min_length
        if len(self.buffer[:end].strip()) < shortest:
            return NO_CUT
        marks = self._marks(at)
        if self.buffer[after] == "\n" or self.buffer[after] in marks.strong + marks.weak:
            return NO_CUT
        return self._outside_token(at, end, final)

    def _after_blanks(self, at: int) -> int:
        match = _BLANKS.match(self.buffer, at)
        assert match is not None
        return match.end()

    def _outside_token(self, at: int, end: int, final: bool) -> int:
        """`end`, unless the terminator stands inside an address, a number or the like."""
        if _ATTACHED.match(self.buffer, end) is None or not self.buffer[at].isascii():
            dash_in_number = (
                self.buffer[at - 1 : at].isdigit() and self.buffer[end : end + 1].isdigit()
            )
            return NO_CUT if dash_in_number else end
        blank = _BLANK.search(self.buffer, end, end + _TOKEN_REACH)
        if blank is None and len(self.buffer) < end + _TOKEN_REACH and not final:
            return WAIT
        stop = min(len(self.buffer), end + _TOKEN_REACH) if blank is None else blank.start()
        start = self._token_start(at)
        for match in UNBREAKABLE.finditer(self.buffer[start:stop]):
            if match.start() <= at - start and match.end() > end - start:
                return NO_CUT
        return NO_CUT if self._inside_abbreviation(at, start, stop) else end

    def _inside_abbreviation(self, at: int, start: int, stop: int) -> bool:
        """Whether the dot at `at` is not the last one of "Ph.D" and its like."""
        token = self.buffer[start:stop].lstrip(_OPENING).casefold()
        inside = at - (stop - len(token))
        return any(
            len(word) > inside and token.startswith(word) and not token[len(word) :][:1].isalnum()
            for word in self._known_abbreviations(at)
            if "." in word
        )

    def _token_start(self, at: int) -> int:
        start = at
        while start > max(0, at - _TOKEN_REACH) and not self.buffer[start - 1].isspace():
            start -= 1
        return start

    def _end_of_dot(self, at: int, end: int, final: bool) -> int:
        """A single dot ends no sentence behind an abbreviation, an acronym or a list's number."""
        following = self.buffer[end : end + 1]
        if end == at + 1 and (following.isdigit() or following.islower()):
            return NO_CUT
        if following and not following.isspace() and end == at + 1:
            return self._outside_token(at, end, final)
        start = self._token_start(at)
        token = self.buffer[start:at].lstrip(_OPENING)
        if token.isdigit() and self._begins_line(start):
            return NO_CUT
        after = self._after_blanks(end)
        if _INITIAL.fullmatch(token):
            following = self.buffer[after : after + 2]
            if len(following) < 2 and after < len(self.buffer) and not final:
                return WAIT
            if _INITIAL_AND_DOT.fullmatch(following):
                return NO_CUT
        if not self._is_abbreviation(token, at, self.buffer[after : after + 1]):
            return end if after < len(self.buffer) else WAIT
        if token.casefold() in self._titles(at):
            return NO_CUT
        word = _WORD.match(self.buffer, after)
        assert word is not None
        if word.end() == len(self.buffer) and not final:
            return WAIT
        return end if word.group() in STARTERS else NO_CUT

    def _begins_line(self, at: int) -> bool:
        before, newline, line = self.buffer[:at].rpartition("\n")
        del before
        return not line.strip() and (bool(newline) or self._at_line_start)

    def _is_abbreviation(self, token: str, at: int, following: str) -> bool:
        if ACRONYM_BEFORE_DOT.fullmatch(token):
            return True
        if _INITIAL.fullmatch(token) and _ENDS_WITH_INITIAL.search(self.buffer, 0, at - 1):
            return True
        folded = token.casefold()
        if folded not in self._known_abbreviations(at):
            return False
        return folded != "no" or following.isdigit()

    def _known_abbreviations(self, at: int) -> frozenset[str]:
        if self._abbreviations is not None:
            return self._abbreviations
        return abbreviations_of(self._language_at(at))

    def _titles(self, at: int) -> frozenset[str]:
        if self._language_at(at) in ("es", "pt"):
            return TITLES | {SPANISH_TITLE}
        return TITLES

    def _last_break(self, limit: int) -> int | None:
        """The last place up to `limit` at which a word ends: a blank, or a letter of a script
        without blanks, unless it is the end.
        """
        for at in range(min(limit, len(self.buffer) - 1), 0, -1):
            if self.buffer[at].isspace() and self.buffer[:at].strip():
                return at
            if _UNSPACED.match(self.buffer[at - 1]) and not _combines(self.buffer[at]):
                return at
        return None

    def _hard_break(self) -> int:
        at = LONGEST
        while at > 1 and _combines(self.buffer[at]):
            at -= 1
        return at


def _combines(character: str) -> bool:
    return unicodedata.category(character).startswith("M") or character == "\u200d"
