"""Languages of India: their sentences and their scripts (agents.md 17.10)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings

from actors.machines.speech_text import (
    Chunker,
    ChunkerConfig,
    RawChunker,
    SpeechText,
    SpeechTextConfig,
    transliterate,
)
from actors.machines.speech_text.indic import INDIC_CHUNKED
from tests.actors.machines.speech_text.splits import split_texts


def segments(text: str, language: str = "hi") -> Sequence[str]:
    chunker = Chunker(ChunkerConfig(language=language, indic=True))
    return [*chunker.push(text, at=0), *chunker.end()]


@pytest.mark.parametrize("language", sorted(INDIC_CHUNKED))
@pytest.mark.parametrize("terminator", "।॥!?")
def test_a_sentence_of_any_length_ends_with_its_own_terminators(
    language: str, terminator: str
) -> None:
    assert segments(f"हाँ{terminator} ठीक है", language) == [f"हाँ{terminator}", "ठीक है"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("यह बहुत अच्छा दिन है. ठीक", ["यह बहुत अच्छा दिन है.", "ठीक"]),
        ("यह 3.5 है. ठीक", ["यह 3.5 है. ठीक"]),  # four letters attach to what follows
        ("हमारा नाम क. शर्मा है", ["हमारा नाम क. शर्मा है"]),
        ("हमारे साथ डॉ. शर्मा हैं", ["हमारे साथ डॉ. शर्मा हैं"]),
        ("हाँ, यह बहुत अच्छा दिन है, ठीक", ["हाँ, यह बहुत अच्छा दिन है, ठीक"]),
    ],
)
def test_a_dot_is_trusted_less(text: str, expected: Sequence[str]) -> None:
    assert segments(text) == expected


def test_urdu_has_a_full_stop_of_its_own() -> None:
    assert segments("جی ہاں۔ ٹھیک ہے", "ur") == ["جی ہاں۔", "ٹھیک ہے"]


def test_it_waits_longer_for_idle_text_and_speaks_the_shortest() -> None:
    chunker = Chunker(ChunkerConfig(language="hi", indic=True))
    assert chunker.push("हाँ जी", at=1) == []
    assert chunker.deadline == 1.4
    assert chunker.time_passed(at=1.4) == ["हाँ"]


def test_the_stage_uses_it_for_these_languages_unless_told_otherwise() -> None:
    text = "हाँ, यह बहुत अच्छा दिन है, ठीक"
    for indic, count in ((True, 1), (False, 2)):
        stage = SpeechText(SpeechTextConfig(language="hi-IN", indic=indic))
        assert len([*stage.push(text, at=0), *stage.end(at=0)]) == count


@settings(max_examples=100, deadline=None)
@given(pushes=split_texts())
def test_no_split_changes_the_segments(pushes: Sequence[str]) -> None:
    config = ChunkerConfig(language="hi", indic=True)
    whole, streamed = RawChunker(config), RawChunker(config)
    text = "".join(pushes)
    at_once = [*whole.push(text, at=0), *whole.end()]
    pushed = [segment for push in pushes for segment in streamed.push(push, at=0)]
    assert [*pushed, *streamed.end()] == at_once
    assert "".join(at_once) == text


def test_one_script_is_written_in_another() -> None:
    assert transliterate("दुनिया", "hi", "te") == "దునియా"
    assert transliterate("దునియా", "te", "hi") == "दुनिया"
    assert transliterate("दुनिया। ok", "hi", "bn") == "দুনিযা। ok"


def test_a_letter_that_the_target_lacks_stays() -> None:
    assert transliterate("ख", "hi", "ta") == "ख"


def test_scripts_that_are_laid_out_otherwise_are_refused() -> None:
    with pytest.raises(ValueError, match="'ur'"):
        transliterate("x", "hi", "ur")
