"""How texts are weighed: their words, and phrases in them."""

from __future__ import annotations

import pytest

from actors.machines.barge_in import contains_test, phrase_test, words_of


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("...", 0),
        ("Hello, world!", 2),
        ("it's mm-hm", 2),
        ("你好世界", 2),
        ("你好世", 2),
        ("สวัสดี", 3),
    ],
)
def test_words_are_counted_in_any_script(text: str, count: int) -> None:
    assert len(words_of(text)) == count


def test_phrases_are_whole_texts_or_several_in_a_row() -> None:
    test = phrase_test(("mm hm", "yeah", "i see"))
    assert all(test(t) for t in ("Mm-hm.", "yeah, yeah", "I see! Yeah."))
    assert not any(test(t) for t in ("", "yeah no", "see", "i"))


def test_an_end_word_is_found_anywhere_but_not_inside_another() -> None:
    test = contains_test(("stop", "hang up", "停止"))
    assert all(test(t) for t in ("please STOP it", "now hang up.", "stop", "请停止"))
    assert not any(test(t) for t in ("stopping", "hang it up", ""))
