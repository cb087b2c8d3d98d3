"""Where text is cut, where not, and when (agents.md 17.6 to 17.9)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actors.machines.speech_text import Chunker, ChunkerConfig, RawChunker, detect_language
from actors.machines.speech_text.languages import language_code
from actors.machines.speech_text.terminators import (
    ABBREVIATIONS,
    CLOSING,
    STARTERS,
    STRONG,
    TITLES,
    WEAK,
)
from tests.actors.machines.speech_text.splits import split_texts


def segments(text: str, config: ChunkerConfig | None = None) -> Sequence[str]:
    chunker = Chunker(config)
    return [*chunker.push(text, at=0), *chunker.end()]


@pytest.mark.parametrize("terminator", STRONG)
def test_a_strong_terminator_ends_a_segment_when_text_follows(terminator: str) -> None:
    chunker = Chunker()
    assert chunker.push(f"One{terminator}", at=0) == []
    assert chunker.push(" ", at=0) == []
    assert chunker.push("Two", at=0) == [f"One{terminator}"]
    assert chunker.end() == ["Two"]


@pytest.mark.parametrize("terminator", "。！？。")
def test_scripts_without_blanks_need_none_behind_the_terminator(terminator: str) -> None:
    assert segments(f"你好{terminator}世界") == [f"你好{terminator}", "世界"]


@pytest.mark.parametrize("terminator", WEAK)
def test_a_weak_terminator_ends_a_segment_of_twenty_characters(terminator: str) -> None:
    assert segments(f"{'a' * 19}{terminator} bc") == [f"{'a' * 19}{terminator}", "bc"]
    assert segments(f"{'a' * 18}{terminator} bc") == [f"{'a' * 18}{terminator} bc"]


def test_the_first_segment_may_be_shorter() -> None:
    config = ChunkerConfig(first_min_len=5)
    assert segments("Well, so, this is, then, it, ok", config) == [
        "Well,",
        "so, this is, then, it,",
        "ok",
    ]


@pytest.mark.parametrize("closing", CLOSING)
def test_closing_quotes_and_brackets_go_with_what_they_close(closing: str) -> None:
    assert segments(f"One.{closing} Two") == [f"One.{closing}", "Two"]
    assert segments(f"One!{closing}{closing} Two") == [f"One!{closing}{closing}", "Two"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What?! Really... Yes", ["What?!", "Really...", "Yes"]),
        ("(Is it (really?).) Yes", ["(Is it (really?).)", "Yes"]),
        ("One\nTwo\n\nThree", ["One", "Two", "Three"]),
        ("One.\n\nTwo", ["One.", "Two"]),
        ("One.  Two", ["One.", "Two"]),
        ("One.Two", ["One.", "Two"]),
        ('"Why?", he asked', ['"Why?", he asked']),
        ("  \n ", []),
        ("", []),
    ],
)
def test_where_sentences_end(text: str, expected: Sequence[str]) -> None:
    assert segments(text) == expected


def test_crossing_a_newline_needs_no_text_behind_it() -> None:
    assert Chunker().push("One.\n", at=0) == ["One."]


def test_greek_asks_with_a_semicolon() -> None:
    assert segments("Τι κάνεις; Καλά") == ["Τι κάνεις;", "Καλά"]
    assert segments("One; two") == ["One; two"]
    assert segments("One; two", ChunkerConfig(language="el")) == ["One;", "two"]


@pytest.mark.parametrize(
    "token",
    [
        "https://a.b/c?d=e!f",
        "www.example.com/x,y",
        "John.Smith@Example.Com",
        "/etc/App.D/conf.toml",
        "1.2.3",
        "U.S.A",
        "node.js",
        "module.function",
        "1,000,000",
        "3.14",
        "10:30",
        r"C:\Temp\a.Txt",
    ],
)
def test_nothing_is_cut_inside(token: str) -> None:
    text = f"This is quite a long text with {token} in it"
    assert segments(text) == [text]


@pytest.mark.parametrize(
    ("language", "word"),
    [(language, word) for language, words in ABBREVIATIONS.items() for word in sorted(words)],
)
def test_an_abbreviation_ends_no_sentence(language: str, word: str) -> None:
    follows = "5 x" if word == "no" else "Xyz x"
    for spelled in {word, word.capitalize(), word.upper()}:
        text = f"x {spelled}. {follows}"
        if spelled.casefold() == word:  # not every letter has a case of its own
            assert segments(text, ChunkerConfig(language=language)) == [text]


@pytest.mark.parametrize("starter", sorted(STARTERS))
@pytest.mark.parametrize("ended", ["at 5 p.m", "Acme Inc", "in the U.S", "and so on, etc"])
def test_an_abbreviation_before_a_starter_ends_the_sentence(ended: str, starter: str) -> None:
    assert segments(f"{ended}. {starter} is") == [f"{ended}.", f"{starter} is"]
    assert segments(f"{ended}. {starter}x is") == [f"{ended}. {starter}x is"]


@pytest.mark.parametrize("title", sorted(TITLES & ABBREVIATIONS["en"]))
def test_a_title_never_ends_a_sentence(title: str) -> None:
    assert segments(f"{title}. Who is here") == [f"{title}. Who is here"]


def test_several_initials_are_an_acronym_but_one_is_not() -> None:
    assert segments("By J. K. Rowling") == ["By J. K. Rowling"]
    assert segments("In the U. S. The end") == ["In the U. S.", "The end"]
    assert segments("This is plan B. Go on") == ["This is plan B.", "Go on"]


def test_no_is_an_abbreviation_only_before_a_digit() -> None:
    assert segments("No. 5 is alive") == ["No. 5 is alive"]
    assert segments("No. Five are") == ["No.", "Five are"]


def test_the_number_of_a_list_does_not_end_a_sentence() -> None:
    assert segments("1. One. 2. Two\n 3. Three") == ["1. One.", "2.", "Two", "3. Three"]


def test_abbreviations_can_be_replaced_and_disabled() -> None:
    assert segments("Dr. Foo", ChunkerConfig(abbreviations=frozenset())) == ["Dr.", "Foo"]
    assert segments("Xy. Foo", ChunkerConfig(abbreviations=frozenset({"XY."}))) == ["Xy. Foo"]


def test_terminators_and_length_can_be_replaced() -> None:
    config = ChunkerConfig(strong="|", weak="/", min_sentence_len=3, first_min_len=3)
    assert segments("One. two| three/ four", config) == ["One. two|", "three/", "four"]


def test_the_language_of_the_abbreviations_is_told_by_the_script() -> None:
    assert segments("यह डॉ. शर्मा हैं। ठीक") == ["यह डॉ. शर्मा हैं।", "ठीक"]
    assert segments("यह Dr. शर्मा हैं") == ["यह Dr.", "शर्मा हैं"]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("", "en"),
        ("Grüße!", "en"),
        ("漢字かな", "ja"),
        ("한국어 漢字漢字漢字", "ko"),
        ("中文", "zh"),
        ("नमस्ते", "hi"),
        ("বাংলা", "bn"),
        ("ਪੰਜਾਬੀ", "pa"),
        ("ગુજરાતી", "gu"),
        ("ଓଡ଼ିଆ", "or"),
        ("தமிழ்", "ta"),
        ("తెలుగు", "te"),
        ("ಕನ್ನಡ", "kn"),
        ("മലയാളം", "ml"),
        ("සිංහල", "si"),
        ("ไทย", "th"),
        ("ລາວ", "lo"),
        ("བོད་", "bo"),
        ("မြန်မာ", "my"),
        ("ខ្មែរ", "km"),
        ("አማርኛ", "am"),
        ("Հայերեն", "hy"),
        ("ქართული", "ka"),
        ("Ελληνικά", "el"),
        ("עברית", "he"),
        ("العربية", "ar"),
        ("Русский", "ru"),
        ("аб अआ", "hi"),  # a tie: the order of the table
        ("a" * 200 + "中文", "en"),
    ],
)
def test_the_script_tells_the_language(text: str, language: str) -> None:
    assert detect_language(text) == language


@pytest.mark.parametrize(
    ("code", "bare"),
    [("en-US", "en"), (" EN_us ", "en"), ("", "auto"), (None, "auto"), ("auto", "auto")],
)
def test_language_codes_are_cut_at_the_region(code: str | None, bare: str) -> None:
    assert language_code(code) == bare


def test_an_idle_text_is_spoken_up_to_its_last_blank() -> None:
    chunker = Chunker()
    assert chunker.push("Hello there my fri", at=1.0) == []
    assert chunker.deadline == 1.15
    assert chunker.time_passed(at=1.149) == []
    assert chunker.time_passed(at=1.15) == ["Hello there my"]
    assert chunker.deadline == inf
    assert chunker.push("end.", at=2.0) == []
    assert chunker.deadline == inf  # seven characters wait for more
    assert chunker.end() == ["friend."]


def test_an_idle_sentence_is_spoken_whole() -> None:
    chunker = Chunker()
    chunker.push('He said "hello." ', at=0)
    assert chunker.time_passed(at=0.15) == ['He said "hello."']


def test_an_abbreviation_at_the_end_of_an_idle_text_is_no_sentence() -> None:
    chunker = Chunker()
    chunker.push("Please ask for Dr.", at=0)
    assert chunker.time_passed(at=0.15) == ["Please ask for"]


def test_an_idle_text_waits_if_too_little_stands_before_its_last_blank() -> None:
    chunker = Chunker()
    chunker.push("Absolutely extraordinary", at=0)
    assert chunker.time_passed(at=0.15) == []
    assert chunker.deadline == inf


def test_an_idle_text_without_blanks_is_spoken_up_to_its_last_character() -> None:
    chunker = Chunker()
    chunker.push("今天我们一起去公园散步好不好", at=0)
    assert chunker.time_passed(at=0.15) == ["今天我们一起去公园散步好不"]


def test_the_deadline_follows_the_last_push_and_is_never_below_a_tenth() -> None:
    chunker = Chunker(ChunkerConfig(idle=0.01))
    chunker.push("a short text, it is", at=5)
    assert chunker.deadline == 5.1
    chunker.push("", at=5.05)
    assert chunker.deadline == 5.1
    chunker.push(" long", at=5.05)
    assert chunker.deadline == pytest.approx(5.15)


def test_a_long_text_without_any_cut_is_cut_at_a_blank() -> None:
    first, *rest = Chunker().push("word " * 130, at=0)
    assert len(first) == 599
    assert rest == []


def test_a_long_text_without_blanks_is_cut_behind_its_last_character() -> None:
    assert [len(part) for part in Chunker().push("字" * 1300, at=0)] == [600, 600]
    assert [len(part) for part in Chunker().push("a" * 700, at=0)] == [600]


def test_flush_gives_everything_and_the_turn_goes_on() -> None:
    chunker = Chunker()
    chunker.push("One. Two, three", at=0)
    assert chunker.flush() == ["Two, three"]
    assert chunker.deadline == inf
    assert chunker.push("Four. Five", at=1) == ["Four."]
    assert chunker.end() == ["Five"]


def test_a_segmenter_of_ones_own_decides_where_to_cut() -> None:
    chunker = Chunker(segmenter=lambda text: text.split("/"))
    assert chunker.push("one/tw", at=0) == ["one"]
    assert chunker.push("o/three", at=0) == ["/two"]
    assert chunker.end() == ["/three"]


@pytest.mark.parametrize("wrong", [ZeroDivisionError("planted"), ["not in the text", ""]])
def test_a_segmenter_that_fails_costs_no_words(wrong: Exception | Sequence[str]) -> None:
    def segmenter(_: str) -> Sequence[str]:
        if isinstance(wrong, Exception):
            raise wrong
        return wrong

    chunker = Chunker(segmenter=segmenter)
    assert chunker.push("One. Two", at=0) == ["One. Two"]
    assert chunker.end() == []


def test_settings_out_of_bounds_are_refused() -> None:
    with pytest.raises(ValueError, match="min_sentence_len"):
        ChunkerConfig(min_sentence_len=0)
    with pytest.raises(ValueError, match="idle"):
        ChunkerConfig(idle=inf)
    with pytest.raises(ValueError, match="strong"):
        ChunkerConfig(strong="ab")


@settings(max_examples=150, deadline=None)
@given(pushes=split_texts())
def test_raw_segments_are_the_text_and_no_split_changes_them(pushes: Sequence[str]) -> None:
    whole, streamed = RawChunker(), RawChunker()
    text = "".join(pushes)
    at_once = [*whole.push(text, at=0), *whole.end()]
    pushed = [segment for push in pushes for segment in streamed.push(push, at=0)]
    pushed += streamed.end()
    assert "".join(at_once) == text
    assert pushed == at_once


@settings(max_examples=100, deadline=None)
@given(pushes=split_texts(), waits=st.lists(st.floats(0, 0.4), min_size=40, max_size=40))
def test_with_pauses_nothing_is_lost_either(pushes: Sequence[str], waits: Sequence[float]) -> None:
    chunker = RawChunker()
    now = 0.0
    spoken: list[str] = []
    for push, wait in zip(pushes, waits, strict=False):
        spoken += chunker.push(push, at=now)
        assert chunker.deadline in (inf, now + 0.15) or not push
        now += wait
        due = chunker.deadline <= now
        flushed = chunker.time_passed(at=now)
        assert due or not flushed
        spoken += flushed
    spoken += chunker.end()
    assert "".join(spoken) == "".join(pushes[: len(waits)])
