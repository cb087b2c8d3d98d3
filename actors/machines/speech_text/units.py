"""Where the filter may cut its text: at white space at which everything opened is closed."""

from __future__ import annotations

import re
from collections.abc import Iterator

import attrs

from actors.machines.speech_text.markdown_rules import METADATA_LINE_LIMIT
from actors.machines.speech_text.number_tables import SCALE_INITIALS, SYMBOL_CURRENCIES
from actors.machines.speech_text.tracked import Tracked

LONGEST_UNIT = 2000
"""Characters that may wait for something to close; with more they are passed on as they are."""

_MARKS = " \t|:*_=>#+-"
_SIGNS = "-&"
_FENCE = re.compile("`{3,}")
_LANDMARK = re.compile(r"[\s*_`\[\]()]")
_RULE_LINE = re.compile(r"[ \t]*([-*_])(?:[ \t]*\1){2,}[ \t]*")
_MARKS_ONLY = re.compile(r"[ \t|:*_=>#+-]*")
_LINE_MARKS_SO_FAR = re.compile(r"(?:[ \t]*(?:#{1,6}|>|[-*+]|\d{1,3}\.)[ \t]+)+|[ \t]*>?[ \t]*")
_CAPITALS_GO_ON = re.compile("[A-Z_ :]")
_CAPITALS_ONLY = re.compile(r"[A-Z_ ]+")
_METADATA_SO_FAR = re.compile(
    rf"(?=[ _]*[A-Z])[A-Z_ ]{{3,}}:[^\n=]{{0,{METADATA_LINE_LIMIT}}}(?:=[^\n]*)?"
)
_BLANKS = " \t\u00a0\u202f"

Unit = tuple[Tracked, str]
"""A unit, and a context of one or two characters that stands for what came before it."""


@attrs.frozen
class _Balance:
    """What is open: parities of the double and backtick marks, depths of the brackets."""

    stars: int = 0
    underscores: int = 0
    backticks: int = 0
    square: int = 0
    round: int = 0

    def closed(self) -> bool:
        return self == _CLOSED

    def after(self, mark: str, doubled: bool) -> _Balance:
        match mark:
            case "*" if doubled:
                return attrs.evolve(self, stars=self.stars ^ 1)
            case "_" if doubled:
                return attrs.evolve(self, underscores=self.underscores ^ 1)
            case "`":
                return attrs.evolve(self, backticks=self.backticks ^ 1)
            case "[" | "(":
                return self._deeper(mark, 1)
            case "]" | ")":
                return self._deeper(mark, -1)
            case _:
                return self

    def _deeper(self, mark: str, by: int) -> _Balance:
        # A bracket that closes nothing ("a) first") must not hold up the rest of the turn.
        if mark in "[]":
            return attrs.evolve(self, square=max(0, self.square + by))
        return attrs.evolve(self, round=max(0, self.round + by))


_CLOSED = _Balance()


class UnitScanner:
    """Cuts streamed text into units that can be rewritten one by one."""

    def __init__(self, markdown: bool, metadata: bool) -> None:
        self._markdown = markdown
        self._metadata = metadata
        self._buffer = ""
        self._offset = 0  # of the buffer in the source
        self._start = 0  # of the unit in the buffer; the three below are in the buffer too
        self._scan = 0
        self._line = 0  # -1: the line began before the unit
        self._single = -1  # a mark whose twin behind it makes the two a double mark
        self._fenced = False
        self._context = "\n"
        self._balance = self._line_balance = _CLOSED

    def push(self, text: str) -> Iterator[Unit]:
        self._drop_done()
        self._buffer += text
        yield from self._cut(final=False)
        if len(self._buffer) - self._start > LONGEST_UNIT and not self._fenced:
            yield self._take(len(self._buffer))

    def end(self) -> Iterator[Unit]:
        yield from self._cut(final=True)
        if self._start < len(self._buffer) and not self._fenced:
            yield self._take(len(self._buffer))

    def unfinished(self, most: int) -> str:
        """The first characters that were pushed and are in no unit yet, at most `most`."""
        return self._buffer[self._start : self._start + most]

    def _drop_done(self) -> None:
        done = self._start
        self._buffer = self._buffer[done:]
        self._offset += done
        self._start = 0
        self._scan -= done
        self._single -= done
        self._line = max(-1, self._line - done)

    def _take(self, end: int) -> Unit:
        unit = self._buffer[self._start : end]
        taken = Tracked.copied(unit, self._offset + self._start), self._context
        self._context = self._context_after(unit)
        self._start = self._scan = end
        self._line = end if self._context == "\n" else -1
        self._balance = self._line_balance = _CLOSED
        self._single = -1
        return taken

    def _context_after(self, unit: str) -> str:
        line = unit[unit.rfind("\n") + 1 :]
        at_line_start = len(line) < len(unit) or self._context == "\n"
        if not line or (at_line_start and _LINE_MARKS_SO_FAR.fullmatch(line)):
            return "\n"  # marks of a list in a quotation are all at the start of their line
        if not line[-1].isspace():
            return "x" if line[-1].isalnum() else ","
        return "x " if line[-1] == " " and line[-2:-1].isalnum() else ", "

    def _cut(self, final: bool) -> Iterator[Unit]:
        while True:
            if self._fenced and not self._leave_fence(final):
                return
            match = _LANDMARK.search(self._buffer, self._scan)
            if match is None:
                self._scan = len(self._buffer)
                return
            at, mark = match.start(), match.group()
            if mark == "`" and self._markdown:
                run = self._backticks(at)
                if run >= 3 and at > self._start:
                    yield self._take(at)
                    at = self._start
                if at + run == len(self._buffer) and not final:
                    self._scan = at
                    return  # more of them may come
                if run >= 3:
                    self._enter_fence(at + run)
                    continue
            if not mark.isspace():
                self._count(mark, at)
            else:
                ends = self._ends_unit(at)
                if ends is None:
                    self._scan = at
                    return
                if ends:
                    yield self._take(at + 1)
            self._scan = at + 1

    def _backticks(self, at: int) -> int:
        if self._buffer[at - 1 : at] == "`" and at > self._start:
            return 1  # inside a run that was looked at
        end = at
        while self._buffer[end : end + 1] == "`":
            end += 1
        return end - at

    def _count(self, mark: str, at: int) -> None:
        doubled = mark in "*_" and at > 0 and self._single == at - 1
        doubled = doubled and self._buffer[at - 1] == mark
        self._balance = self._balance.after(mark, doubled)
        self._single = -1 if doubled or mark not in "*_" else at

    def _enter_fence(self, at: int) -> None:
        self._fenced = True
        self._start = self._scan = at

    def _leave_fence(self, final: bool) -> bool:
        match = _FENCE.search(self._buffer, self._scan)
        if match is None:
            # Two backticks at the end may be the first of a closing fence.
            self._start = self._scan = max(self._start, len(self._buffer) - 2)
            return False
        if match.end() == len(self._buffer) and not final:
            self._start = self._scan = match.start()
            return False
        self._fenced = False
        self._start = self._scan = match.end()
        self._context = ", "
        self._line = -1
        self._single = -1
        self._balance = self._line_balance = _CLOSED
        return True

    def _ends_unit(self, at: int) -> bool | None:
        """Whether a unit ends with the white space at `at`; None: the next character tells."""
        following = self._buffer[at + 1 : at + 2]
        if self._buffer[at] == "\n":
            if self._line >= 0 and _RULE_LINE.fullmatch(self._buffer, self._line, at):
                self._balance = self._line_balance  # "***" opens nothing
            self._line = at + 1
            self._line_balance = self._balance
            return self._balance.closed()
        if not self._balance.closed():
            return False
        if self._line >= 0:
            goes_on = self._line_goes_on(at, following)
            if goes_on is not False:
                return None if goes_on is None else False
        if not self._may_join(at):
            return True
        if not following:
            return None
        return not self._joins(at, following)

    def _line_goes_on(self, at: int, following: str) -> bool | None:
        """Whether the line so far can only be judged with more of it: a rule, a table's separator,
        metadata. None: the next character tells.
        """
        line, end = self._line, at + 1
        if self._markdown and _MARKS_ONLY.fullmatch(self._buffer, line, end):
            return None if not following else following == "\n" or following in _MARKS
        if not self._metadata:
            return False
        if _CAPITALS_ONLY.fullmatch(self._buffer, line, end):
            return None if not following else _CAPITALS_GO_ON.match(following) is not None
        return _METADATA_SO_FAR.fullmatch(self._buffer, line, end) is not None

    def _may_join(self, at: int) -> bool:
        """Whether what stands before the white space makes one with what may follow."""
        if at == self._start or self._buffer[at] not in _BLANKS:
            return False
        last, before = self._buffer[at - 1], self._buffer[self._start : at - 1][-1:]
        if last in _SIGNS:
            return not before or before.isspace()
        return last.isdigit() or last in SYMBOL_CURRENCIES or (last == ")" and before.isdigit())

    def _joins(self, at: int, following: str) -> bool:
        last = self._buffer[at - 1]
        if last in _SIGNS:
            return following.isalnum()
        if last in SYMBOL_CURRENCIES:
            return following.isdigit()
        return following.isdigit() or following == "(" or following in SCALE_INITIALS
