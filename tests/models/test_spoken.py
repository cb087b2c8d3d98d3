from __future__ import annotations

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

from models.spoken import SECONDS_PER_LETTER, Listener, speech_pcm, word_samples
from models.words import Word

WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=8).filter(
    lambda word: word.split() == [word]
)


def heard(pcm: bytes, rate: int = 16000) -> str:
    listener = Listener(rate)
    listener.hear(pcm)
    return " ".join(word.text for word in listener.words())


def gained(pcm: bytes, gain: float) -> bytes:
    louder = np.frombuffer(pcm, "<i2") * gain
    return np.clip(louder, -32768, 32767).astype("<i2").tobytes()


@given(st.lists(WORDS, max_size=4), st.sampled_from([8000, 11025, 16000, 22050, 24000, 48000]))
def test_what_is_spoken_is_heard_at_any_rate(words: list[str], rate: int) -> None:
    assert heard(speech_pcm(" ".join(words), rate), rate).split() == words


@given(st.lists(WORDS, min_size=1, max_size=3), st.data())
def test_it_does_not_matter_how_the_sound_is_cut_into_pieces(
    words: list[str], data: st.DataObject
) -> None:
    pcm = bytes(500) + speech_pcm(" ".join(words)) + bytes(500)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pcm)), max_size=8)))
    whole, pieces = Listener(16000), Listener(16000)
    whole.hear(pcm)
    for start, end in zip([0, *cuts], [*cuts, len(pcm)], strict=True):
        pieces.hear(pcm[start:end])
    assert pieces.words() == whole.words()
    assert [word.text for word in whole.words()] == words


@given(st.integers(0, 3 * 4800))
def test_what_is_cut_off_in_front_is_missing_letter_by_letter(cut: int) -> None:
    text = "abcdefghijklmnopqrstuvwx"  # in three words of eight letters, 600 samples each
    pcm = speech_pcm(f"{text[:8]} {text[8:16]} {text[16:]}")
    rest = heard(pcm[2 * cut :]).replace(" ", "")
    assert rest in (text[-(-cut // 600) :], text[-(-cut // 600) - 1 :])
    # A few samples of the sync may be spared, half a cell at most.
    if cut % 600 > 2 or cut % 600 == 0:
        assert rest == text[-(-cut // 600) :]


def test_words_lie_where_they_sound() -> None:
    listener = Listener(16000)
    listener.hear(bytes(3200) + speech_pcm("two pizzas") + bytes(6400) + speech_pcm("please"))
    assert listener.words() == (
        Word("two", 0.1, 0.4),
        Word("pizzas", 0.4, 0.7),
        Word("please", 0.9, 1.2),
    )
    listener.forget()
    assert listener.words() == ()
    listener.hear(speech_pcm("yes"))
    assert listener.words() == (Word("yes", 1.2, 1.5),)


@pytest.mark.parametrize("gain", [0.02, 0.1, 0.5, 3.9, 20.0])
def test_gain_and_clipping_do_not_matter(gain: float) -> None:
    assert heard(gained(speech_pcm("two pizzas please"), gain)) == "two pizzas please"


@pytest.mark.parametrize("there", [8000, 24000, 48000])
@pytest.mark.parametrize("quality", ["LQ", "MQ", "HQ", "VHQ"])
def test_it_survives_resampling_there_and_back(there: int, quality: str) -> None:
    text = "Hello there, two pizzas for Größe 你好"
    samples = np.frombuffer(speech_pcm(text), "<i2")
    over = soxr.resample(samples, 16000, there, quality=quality)
    assert heard(over.tobytes(), there) == text
    back = soxr.resample(over, there, 16000, quality=quality)
    assert heard(back.tobytes()) == text


def test_noise_and_tones_say_nothing() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 160_000).astype("<i2")
    tone = (8000 * np.sin(np.arange(160_000) * 2 * np.pi * 440 / 16000)).astype("<i2")
    assert heard(tone.tobytes()) == ""
    assert len(heard(noise.tobytes())) <= 10  # one bit in a thousand rows of noise fits


def test_every_word_takes_its_time_or_what_its_letters_need() -> None:
    assert len(speech_pcm("a bb ccc", 16000, 0.25)) == 2 * 3 * 4000
    assert word_samples("x" * 100, 16000, 0.25) == round(100 * SECONDS_PER_LETTER * 16000)


def test_a_rate_that_can_carry_no_letters_is_refused() -> None:
    with pytest.raises(ValueError, match="8000"):
        speech_pcm("two", 7999)
