"""What patterns fit, how well, and what they keep."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.llm.dialogue.matching import match
from models.llm.dialogue.pattern import MOST_SENTENCES, BadPattern, read_pattern, sentences
from models.llm.dialogue.slots import KINDS, Kind
from models.llm.dialogue.words import FILLERS, MOST_WORDS, tokens

ROOM = Kind("room", ("single room",), {("single",): "single", ("single", "room"): "single"})
GUEST = Kind("word", ("john",))
ALL_KINDS = {**KINDS, "room": ROOM, "guest": GUEST}
SETS = {"yes": ("yes", "of course"), "i_want": ("i want to", "i'd like to")}


def slots(pattern: str, said: str) -> Mapping[str, str] | None:
    found = match(read_pattern(pattern, ALL_KINDS, SETS), tokens(said))
    return None if found is None else found.slots


def score(pattern: str, said: str) -> float:
    found = match(read_pattern(pattern, ALL_KINDS, SETS), tokens(said))
    assert found is not None
    return found.score


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("what time is breakfast", "What time is breakfast?"),
        ("what time is breakfast", "what time's breakfast"),
        ("what's new", "what is new"),
        ("i'd like tea", "I would like tea."),
        ("i do not know", "I don't know!"),
        ("yes", "Yeah, please."),
        ("hello", "hi"),
        ("hello", "Um, hello"),
        ("check in", "check-in"),
        ("room 12", "room twelve"),
        ("room twelve", "room 12"),
        ("[the] menu [please]", "menu"),
        ("[the] menu [please]", "the menu please"),
        ("(tea|green tea) for me", "green tea for me"),
        ("<yes> i do", "of course I do"),
        ("* breakfast *", "and when exactly is breakfast served"),
        ("breakfast", "when is breakfast"[5:]),
        ("book a table", "well I book a table"),
        ("book a table", "book please a table uh"),
        ("[i want|i'd like] [to] book", "i'd like to book"),
        ("*", ""),
        ("*", "anything at all"),
    ],
)
def test_these_fit(pattern: str, said: str) -> None:
    assert slots(pattern, said) == {}


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("what time is breakfast", "what time is dinner"),
        ("yes", ""),
        ("yes", "no"),
        ("book a table", "book table a"),
        ("stop", "the bus will stop near the hotel"),
        ("(tea|coffee) please", "please"),
        ("{n:number} nights", "many nights"),
        ("my name is {guest}", "my name is"),
        ("{room}", "a big one"),
    ],
)
def test_these_do_not_fit(pattern: str, said: str) -> None:
    assert slots(pattern, said) is None


@pytest.mark.parametrize(
    ("pattern", "said", "kept"),
    [
        ("my name is {guest}", "My name is Ada.", {"guest": "Ada"}),
        ("my name is {who}", "my name is Ada Maria King", {"who": "Ada Maria King"}),
        ("{n:number} nights", "two nights", {"n": "2"}),
        ("{n:number} nights", "2 nights", {"n": "2"}),
        ("{n:number} nights", "twenty five nights", {"n": "25"}),
        ("{n:number} nights", "twenty-five nights", {"n": "25"}),
        ("{n:number} nights", "three hundred and ten nights", {"n": "310"}),
        ("{n:number} nights", "two thousand and one nights", {"n": "2001"}),
        ("{n:number} and {m:number}", "two and three", {"n": "2", "m": "3"}),
        ("{n:number}", "12345", {"n": "12345"}),
        ("a {room}", "a single", {"room": "single"}),
        ("a {room}", "a single room please", {"room": "single"}),
        ("on {day}", "on Friday", {"day": "Friday"}),
        ("[on] {day}", "tomorrow evening", {"day": "tomorrow evening"}),
        ("at {time}", "at seven", {"time": "7"}),
        ("at {time}", "at seven thirty", {"time": "7:30"}),
        ("at {time}", "at half past seven", {"time": "7:30"}),
        ("at {time}", "at quarter to eight", {"time": "7:45"}),
        ("at {time}", "at 19:05", {"time": "19:05"}),
        ("at {time}", "at seven o'clock", {"time": "7"}),
        ("at {time}", "at seven pm", {"time": "7 pm"}),
        ("at {time}", "at noon", {"time": "noon"}),
        ("{it:word} works", "that's works", {"it": "that's"}),
        ("say {what}", "say one two", {"what": "one two"}),
        ("[for {n:number}] book", "book", {}),
    ],
)
def test_slots_keep_values(pattern: str, said: str, kept: Mapping[str, str]) -> None:
    assert slots(pattern, said) == kept


@pytest.mark.parametrize(
    ("better", "worse", "said"),
    [
        ("book a table", "a table", "book a table"),
        ("book a table", "* table", "book a table"),
        ("book a table", "book {what}", "book a table"),
        ("book {what}", "*", "book a table"),
        ("book a {room}", "book a {what}", "book a single room"),
        ("book a table for {n:number}", "book a table", "book a table for two"),
        ("[a] table", "table", "a table"),
    ],
)
def test_the_one_that_says_more_fits_better(better: str, worse: str, said: str) -> None:
    assert score(better, said) > score(worse, said)


@pytest.mark.parametrize(
    ("pattern", "problem"),
    [
        ("", "an empty pattern matches nothing"),
        ("   ", "an empty pattern matches nothing"),
        ("[a", "'[' is not closed in '[a'; add ']'"),
        ("(a|b", "'(' is not closed"),
        ("a]", "']' closes nothing"),
        ("a|b", "'|' closes nothing"),
        ("[a|]", "an alternative is empty"),
        ("()", "an alternative is empty"),
        ("{a", "'{' has no counterpart"),
        ("a}", "'}' has no counterpart"),
        ("<yes", "'<' has no counterpart"),
        ("<maybe>", "there is no set <maybe>; sets are: i_want, yes"),
        ("{Name}", "{Name} is no slot"),
        ("{}", "{} is no slot"),
        ("{n:nummber}", "there is no kind 'nummber' for {n}; kinds are: day, guest, number"),
        ("a" * 301, "301 characters are more than 300"),
        ("[" * 150 + "a", "is not closed"),
    ],
)
def test_a_pattern_that_cannot_be_read_says_why(pattern: str, problem: str) -> None:
    with pytest.raises(BadPattern) as bad:
        read_pattern(pattern, ALL_KINDS, SETS)
    assert problem in str(bad.value)


# -- properties --------------------------------------------------------------------------------

WORDS = st.sampled_from(["book", "a", "table", "seven", "don't", "green", "lighthouse"])
LEAVES = WORDS | st.sampled_from(["{room}", "{n:number}", "{day}", "{guest}", "<yes>", "*"])


def _series(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(parts, min_size=1, max_size=3).map(" ".join)


def _bracketed(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    options = st.lists(_series(parts), min_size=1, max_size=3).map("|".join)
    return options.flatmap(lambda inside: st.sampled_from([f"[{inside}]", f"({inside})"]))


PATTERNS = _series(st.recursive(LEAVES, _bracketed, max_leaves=8))


@given(PATTERNS)
def test_every_sentence_of_a_pattern_fits_it(source: str) -> None:
    pattern = read_pattern(source, ALL_KINDS, SETS)
    written = sentences(pattern)
    assert len(written) <= MOST_SENTENCES
    for sentence in written:
        assert match(pattern, tokens(sentence)) is not None, sentence


@given(PATTERNS, st.data())
def test_fillers_and_case_and_punctuation_do_not_matter(source: str, data: st.DataObject) -> None:
    pattern = read_pattern(source, ALL_KINDS, SETS)
    for sentence in sentences(pattern)[:3]:
        filler = data.draw(st.sampled_from(sorted(FILLERS)))
        for said in (f"{filler}, {sentence}", f"{sentence}... {filler}", sentence.upper() + "!"):
            assert match(pattern, tokens(said)) is not None, said


@given(PATTERNS, st.text())
def test_anything_may_be_said(source: str, said: str) -> None:
    pattern = read_pattern(source, ALL_KINDS, SETS)
    heard = tokens(said)
    assert len(heard) <= MOST_WORDS
    assert match(pattern, heard) == match(pattern, heard)


@given(st.integers(0, 9999))
def test_a_number_is_itself(number: int) -> None:
    assert slots("{n:number}", str(number)) == {"n": str(number)}


def test_a_long_speech_is_looked_at_in_bounded_time() -> None:
    pattern = read_pattern("* a * a * a * {x} * {y} * b", ALL_KINDS, SETS)
    assert match(pattern, tokens("a " * 5000)) is None
    assert match(pattern, tokens("a b " * 5000)) is not None
