"""What of an utterance was heard, and where to go on."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.ledger import (
    RESUME_BACK,
    Ledger,
    Span,
    estimated_ends,
    join,
    spans_of,
    told_ends,
)
from models.words import Word


def told(text: str, each: float = 0.5) -> list[Word]:
    """The words of a text, one every so many seconds."""
    return [Word(word, n * each, (n + 1) * each) for n, word in enumerate(text.split())]


def spoken(*sources: str, each: float = 0.5) -> Ledger:
    """An utterance whose pieces have all sounded, word by word."""
    ledger = Ledger()
    for number, source in enumerate(sources):
        ledger.add_piece(number, source)
        ledger.sounded(number, each * len(source.split()), told(source, each))
        ledger.finished(number)
    return ledger


@pytest.mark.parametrize(
    ("position", "heard"),
    [
        (-1.0, ""),
        (0.0, ""),
        (0.49, ""),
        (0.5, "One"),
        (0.99, "One"),
        (1.0, "One two."),
        (1.49, "One two."),
        (1.5, "One two. Three"),
        (2.0, "One two. Three four!"),
        (99.0, "One two. Three four!"),
    ],
)
def test_a_word_is_heard_when_it_has_ended(position: float, heard: str) -> None:
    assert spoken("One two.", "Three four!").heard(position) == heard


def test_words_are_told_in_the_source_s_own_spelling() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "  **Hello,**   world ", (Span("Hello", 2, 12), Span("world", 15, 20)))
    ledger.sounded(0, 1.0, told("hello world"))
    assert ledger.heard(0.5).strip() == "**Hello,**"


def test_half_of_what_is_said_in_two_words_is_none_of_it() -> None:
    ledger = Ledger()
    spans = (Span("costs", 0, 5), Span("two", 6, 8), Span("million", 6, 8), Span("now", 9, 12))
    ledger.add_piece(0, "costs 2M now", spans)
    ledger.sounded(0, 2.0, told("costs two million now"))
    assert [ledger.heard(at) for at in (0.5, 1.0, 1.5, 2.0)] == [
        "costs",
        "costs",
        "costs 2M",
        "costs 2M now",
    ]


# -- voices that tell little, late, or in other words ----------------


def test_without_word_times_they_are_estimated_once_the_piece_is_whole() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "aaaa bbbb")
    ledger.sounded(0, 1.0)
    assert ledger.heard(0.9) == ""
    ledger.finished(0)
    assert [ledger.heard(at) for at in (0.4, 0.6, 0.99, 1.0)] == [
        "",
        "aaaa",
        "aaaa",
        "aaaa bbbb",
    ]


def test_words_may_come_bit_by_bit() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "one two three four")
    ledger.sounded(0, 0.5, [Word("one", 0.0, 0.5)])
    assert ledger.heard(9.0) == "one"
    ledger.sounded(0, 0.5, [Word("two", 0.5, 1.0)])
    assert ledger.heard(9.0) == "one two"
    ledger.finished(0)
    assert ledger.heard(9.0) == "one two three four"


@pytest.mark.parametrize(
    ("words", "position", "heard"),
    [
        ("at ten thirty we leave", 0.5, "At"),
        ("at ten thirty we leave", 1.0, "At"),  # half of 10:30
        ("at ten thirty we leave", 1.5, "At 10:30"),
        ("at ten thirty we leave", 2.0, "At 10:30 we"),
        ("at ten thirty we leave", 2.5, "At 10:30 we leave."),
        ("At 10:30 we leave .", 1.5, "At 10:30 we"),
        ("at1030 we leave", 0.5, "At 10:30"),
        ("um at 1030 we leave", 0.5, ""),
        ("At half we leave", 1.0, "At 10:30"),  # as many words: one by one
        ("other words altogether", 1.0, ""),
        ("other words altogether", 1.5, "At 10:30 we leave."),
    ],
)
def test_a_voice_may_count_its_words_otherwise(words: str, position: float, heard: str) -> None:
    ledger = Ledger()
    ledger.add_piece(0, "At 10:30 we leave.")
    ledger.sounded(0, 0.5 * len(words.split()), told(words))
    ledger.finished(0)
    assert ledger.heard(position) == heard


def test_what_is_counted_otherwise_and_not_all_told_is_not_said_ahead_of_its_time() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "At 10:30 we leave.")
    ledger.sounded(0, 1.5, told("at ten thirty"))
    assert ledger.heard(1.5) == "At"  # whether "10:30" is over will show when "we" is told
    ledger.sounded(0, 0.5, [Word("we", 1.5, 2.0)])
    assert ledger.heard(1.5) == "At 10:30"


def test_sound_that_comes_out_a_little_shorter_is_heard_to_its_end() -> None:
    """A resampler gives a sample less; the last word is not lost for it."""
    ledger = spoken("One two.", "Three four!")
    assert ledger.heard(2.0 - 1 / 8000) == "One two. Three four!"


# -- what has no sound ----------------


def test_what_no_voice_could_speak_was_not_heard() -> None:
    ledger = spoken("One two.")
    ledger.add_piece(1, "Never spoken.")
    ledger.finished(1)
    assert ledger.heard(99.0) == "One two."
    assert ledger.rest(99.0) == "Never spoken."
    ledger.add_piece(2, "But this was.")
    ledger.sounded(2, 1.5, told("But this was."))
    ledger.finished(2)
    assert ledger.heard(99.0) == "One two. But this was."


def test_what_there_is_nothing_to_say_of_goes_with_what_was_heard() -> None:
    ledger = spoken("One two.")
    ledger.add_piece(1, "—")
    ledger.finished(1)
    assert ledger.heard(0.9) == "One"
    assert ledger.heard(1.0) == "One two. —"
    assert ledger.rest(1.0) == ""


def test_an_empty_utterance() -> None:
    ledger = Ledger()
    assert (ledger.text, ledger.seconds) == ("", 0.0)
    assert (ledger.heard(1.0), ledger.rest(1.0), ledger.resume_at(0.0)) == ("", "", 0.0)
    assert not ledger.last_sentence_is_question(1.0)


def test_sound_of_a_piece_that_was_never_announced_is_a_fault() -> None:
    with pytest.raises(KeyError, match="no piece 7"):
        Ledger().sounded(7, 1.0)


# -- another voice takes over ----------------


def test_another_voice_speaks_the_rest_of_a_piece() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "one two three four")
    ledger.sounded(0, 1.0, told("one two three"))  # "three" was told, but not sounded
    ledger.abandoned(0, "three four")
    assert ledger.text == "one two three four"
    assert ledger.heard(9.0) == "one two"
    ledger.sounded(0, 2.0, told("three four", each=1.0))
    ledger.finished(0)
    assert [ledger.heard(at) for at in (0.5, 1.0, 1.9, 2.0, 3.0)] == [
        "one",
        "one two",
        "one two",
        "one two three",
        "one two three four",
    ]


def test_a_piece_of_which_nothing_counts_is_spoken_anew() -> None:
    ledger = Ledger()
    ledger.add_piece(0, "one two")
    ledger.sounded(0, 0.7)
    ledger.abandoned(0, "one two")
    ledger.sounded(0, 1.0, told("one two"))
    ledger.finished(0)
    assert ledger.text == "one two"
    assert [ledger.heard(at) for at in (0.7, 1.2, 1.7)] == ["", "one", "one two"]


# -- going on ----------------


@pytest.mark.parametrize(
    ("position", "at"),
    [
        (0.0, 0.0),
        (0.1, 0.0),
        (0.2, 0.0),
        (0.45, 0.15),  # no further back than 300 ms
        (0.5, 0.5),
        (0.6, 0.5),
        (1.1, 1.0),  # in the pause after a word nothing of it is repeated
        (1.4, 1.1),
        (1.55, 1.5),
    ],
)
def test_it_goes_on_at_the_last_edge_of_a_word(position: float, at: float) -> None:
    ledger = Ledger()
    ledger.add_piece(0, "one two three")
    words = [Word("one", 0.0, 0.5), Word("two", 0.5, 1.0), Word("three", 1.5, 2.0)]
    ledger.sounded(0, 2.0, words)
    assert ledger.resume_at(position) == pytest.approx(at)


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Shall I book it?", True),
        ("Shall I book it? It is cheap", True),  # the last one that is finished
        ("Shall I book it? It is cheap.", False),
        ("Shall I book it? It costs 2.5", True),
        ('He asked "why?"', True),
        ("Really?!", True),
        ("何時ですか？", True),
        ("何時です。", False),
        ("Hello", False),
    ],
)
def test_whether_the_last_sentence_asked_something(text: str, question: bool) -> None:
    assert spoken(text).last_sentence_is_question(99.0) is question


def test_a_question_is_one_only_when_it_was_heard_to_its_end() -> None:
    ledger = spoken("Hello there. Shall we?")
    assert not ledger.last_sentence_is_question(1.5)
    assert ledger.last_sentence_is_question(2.0)


# -- whatever is spoken ----------------


@attrs.frozen
class Part:
    """One piece as a voice speaks it."""

    source: str
    words: tuple[Word, ...]
    seconds: float
    over: bool


some_words = st.lists(
    st.sampled_from(["one", "two,", "three.", "10:30", "a", "—", "mm-hm?", "Ünter"]),
    min_size=1,
    max_size=6,
)


@st.composite
def parts(draw: st.DrawFn) -> list[Part]:
    """Pieces of which all but the last are over."""
    pieces = []
    count = draw(st.integers(1, 4))
    for number in range(count):
        source = " ".join(draw(some_words))
        spoken_as = source.split()
        match draw(st.sampled_from(["as it is", "otherwise", "untold"])):
            case "otherwise":
                spoken_as = draw(some_words)
            case "untold":
                spoken_as = []
        at, words = 0.0, []
        for word in spoken_as:
            start = at + draw(st.sampled_from([0.0, 0.05]))
            at = start + draw(st.sampled_from([0.1, 0.25, 0.5]))
            words.append(Word(word, start, at))
        over = number < count - 1 or draw(st.booleans())
        pieces.append(Part(source, tuple(words), at or 0.75, over))
    return pieces


def ledger_of(pieces: Sequence[Part]) -> Ledger:
    ledger = Ledger()
    for number, piece in enumerate(pieces):
        ledger.add_piece(number, piece.source)
    for number, piece in enumerate(pieces):
        half = len(piece.words) // 2
        ledger.sounded(number, piece.seconds / 2, piece.words[:half])
        ledger.sounded(number, piece.seconds / 2, piece.words[half:])
        if piece.over:
            ledger.finished(number)
    return ledger


@given(parts())
def test_what_was_heard_only_grows_and_is_a_beginning_of_the_text(pieces: list[Part]) -> None:
    ledger = ledger_of(pieces)
    tokens = ledger.text.split()
    before = ""
    for tick in range(round(ledger.seconds / 0.02) + 3):
        at = tick * 0.02
        heard = ledger.heard(at)
        assert heard.startswith(before)
        assert ledger.text.startswith(heard)
        assert heard.split() == tokens[: len(heard.split())]  # whole words
        assert join([heard, ledger.rest(at)]) == ledger.text
        before = heard
    if pieces[-1].over:
        assert ledger.heard(ledger.seconds) == ledger.text
        assert ledger.rest(ledger.seconds) == ""


@given(parts(), st.floats(0, 10))
def test_it_never_goes_on_ahead_of_what_was_heard_nor_far_behind(
    pieces: list[Part], position: float
) -> None:
    at = ledger_of(pieces).resume_at(position)
    assert max(0.0, position - RESUME_BACK) <= at <= position


@given(parts(), st.integers(0, 3))
def test_a_voice_that_gives_up_loses_no_word(pieces: list[Part], which: int) -> None:
    ledger = Ledger()
    for number, piece in enumerate(pieces):
        ledger.add_piece(number, piece.source)
    text = ledger.text
    which %= len(pieces)
    for number, piece in enumerate(pieces[: which + 1]):
        ledger.sounded(number, piece.seconds, piece.words)
        if number < which:
            ledger.finished(number)
    spans = spans_of(pieces[which].source)
    kept = min(len(pieces[which].words), len(spans) - 1)
    rest = pieces[which].source[spans[kept].start :]
    ledger.abandoned(which, rest)
    assert ledger.text == text
    heard = ledger.heard(99.0)
    assert join([heard, ledger.rest(99.0)]) == text
    assert text.startswith(heard)
    ledger.sounded(which, 1.0)
    ledger.finished(which)
    for number in range(which + 1, len(pieces)):
        ledger.sounded(number, 1.0)
        ledger.finished(number)
    assert ledger.heard(ledger.seconds) == text


@given(some_words, st.floats(0.1, 20))
def test_estimated_words_end_in_order_and_within_the_sound(
    words: list[str], seconds: float
) -> None:
    ends = estimated_ends(spans_of(" ".join(words)), seconds)
    assert all(a < b for a, b in pairwise([0.0, *ends]))
    assert ends[-1] == pytest.approx(seconds)


@given(some_words, some_words, st.booleans())
def test_told_words_end_their_spans_in_order(
    said: list[str], words: list[str], whole: bool
) -> None:
    spans = spans_of(" ".join(said))
    ends = told_ends(spans, told(" ".join(words)), whole=whole)
    assert len(ends) == len(spans)
    assert all(a <= b for a, b in pairwise(ends))
    if whole:
        assert ends[len(spans) - 1] <= 0.5 * len(words)
