from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.tts.espeak_words import WordTimes
from models.words import Word

VOICE, PAUSE = b"\0\x10", b"\0\0"


def test_a_word_lasts_until_the_next_and_not_into_the_pause() -> None:
    times = WordTimes("Yes, two.", 10)
    times.sound(VOICE * 5 + PAUSE * 5 + VOICE * 10)
    assert times.word(0, 0) == ()
    times.clause_ended(10)
    assert times.word(5, 10) == (Word("Yes,", 0.0, 0.5),)
    times.clause_ended(20)
    assert times.finish(20) == (Word("two.", 1.0, 2.0),)


def test_words_said_as_one_share_its_time_by_their_letters() -> None:
    times = WordTimes("in the — way", 10)
    times.sound(VOICE * 20)
    assert times.word(0, 0) == ()
    assert times.word(9, 10) == (
        Word("in", 0.0, 0.4),
        Word("the", 0.4, 1.0),
        Word("—", 1.0, 1.0),
    )
    assert times.finish(20) == (Word("way", 1.0, 2.0),)


def test_a_word_said_in_parts_is_one_word() -> None:
    times = WordTimes("3.50 please", 10)
    times.sound(VOICE * 30)
    assert [times.word(at, at * 5) for at in (0, 1, 1, 2)] == [(), (), (), ()]
    assert times.word(5, 20) == (Word("3.50", 0.0, 2.0),)


def test_a_word_begins_where_it_is_said_to_begin() -> None:
    times = WordTimes("— hm", 10)
    times.sound(PAUSE * 10 + VOICE * 10)
    assert times.word(2, 10) == (Word("—", 0.0, 0.0),)
    assert times.finish(20) == (Word("hm", 1.0, 2.0),)


def test_what_is_never_said_takes_no_time() -> None:
    times = WordTimes("... !!!", 10)
    times.sound(PAUSE * 10)
    assert times.finish(10) == (Word("...", 0.0, 0.0), Word("!!!", 0.0, 0.0))
    assert WordTimes("", 10).finish(0) == ()


@given(
    st.text(" ab.—é", max_size=30),
    st.lists(st.tuples(st.integers(-2, 40), st.integers(0, 9), st.booleans()), max_size=20),
    st.binary(max_size=200),
)
def test_whatever_it_is_told_all_words_come_once_in_order(
    text: str, events: list[tuple[int, int, bool]], sound: bytes
) -> None:
    times = WordTimes(text, 10)
    times.sound(sound[: len(sound) & ~1])
    sample = 0
    words: list[Word] = []
    for character, step, clause in events:
        sample += step
        if clause:
            times.clause_ended(sample)
        else:
            words += times.word(character, sample)
    words += times.finish(sample + 5)
    assert [word.text for word in words] == text.split()
    edge = 0.0
    for word in words:
        assert edge <= word.start <= word.end <= (sample + 5) / 10
        edge = word.end
