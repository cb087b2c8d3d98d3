"""The talk page's ears and mouth, in a real browser: frames, exact counts, silence on demand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.transports.browser import open_browser, open_page, snapshot, wait_for, write_wav
from tests.transports.page_server import PageCall, PageServer, tone

MICROPHONE_RATE = 44100  # of Chromium's false microphone
TONE = 700.0


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    file = tmp_path_factory.mktemp("sound") / "tone.wav"
    with open_browser(_tone_file(file)) as browser:
        yield browser


@pytest.fixture
def server() -> Iterator[PageServer]:
    with PageServer() as server:
        yield server


@pytest.fixture
def page(browser: Any) -> Iterator[Any]:
    with open_page(browser) as page:
        yield page


def _tone_file(path: Path) -> Path:
    return write_wav(path, tone(1.0, MICROPHONE_RATE, TONE, 0.5), MICROPHONE_RATE)


def _samples(sound: bytes) -> Any:
    return np.frombuffer(sound, "<i2").astype(np.float64)


def _pitch(samples: Any, rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum)) * rate / len(samples)


def _call(
    page: Any, server: PageServer, query: str = "", button: str = "#connect-text"
) -> PageCall:
    page.goto(server.address + query)
    page.click(button)
    call = server.wait_for_call()
    wait_for(page, "it.state === 'live'")
    return call


def test_the_microphone_comes_in_frames_of_20_ms_at_the_rate_that_was_said(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server, "?processing=off", "#connect")
    assert call.start["rate"] == 16000
    assert call.start["format"] == "s16le"
    call.wait_until(lambda: len(call.frames) >= 50, "a second of frames")
    assert {len(frame) for frame in list(call.frames)} == {640}
    gaps = np.diff(call.arrivals[:50])
    assert 0.015 < float(np.mean(gaps)) < 0.025
    middle = _samples(b"".join(call.frames[10:40]))
    assert _pitch(middle, 16000) == pytest.approx(TONE, abs=5)
    counted = snapshot(page)["line"]
    page.click("#hang-up")
    call.wait_for("stop")
    assert counted["framesDropped"] == 0
    assert len(call.sound) == 2 * snapshot(page)["line"]["samplesSent"]


def test_at_the_microphones_own_rate_every_sample_arrives_as_it_was(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server, "?processing=off&rate=44100", "#connect")
    call.wait_until(lambda: len(call.frames) >= 65, "the whole tone")
    heard = np.frombuffer(call.sound, "<i2")
    sent = np.frombuffer(tone(1.0, MICROPHONE_RATE, TONE, 0.5), "<i2")
    # What is spoken before the line is up is not sent: look for the second half.
    half = sent[len(sent) // 2 :]
    starts = np.flatnonzero(heard[: len(heard) - len(half) + 1] == half[0])
    assert any(np.array_equal(heard[at : at + len(half)], half) for at in starts)


def test_all_that_was_sent_is_counted_as_played_and_not_one_sample_more(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    sound = tone(0.7301, 24000)
    call.play(sound)
    call.send(type="mark", name="end")
    call.wait_for("mark")
    call.wait_until(lambda: call.of("played")[-1]["samples"] == len(sound) // 2, "all of it played")
    counts = [message["samples"] for message in call.of("played")]
    assert counts == sorted(set(counts))
    steps = np.diff([0, *counts])
    assert max(steps) <= 2400 + 128  # every 100 ms, to the next block of the audio thread
    assert snapshot(page)["speaker"]["waiting"] == 0


def test_a_mark_comes_back_when_all_before_it_was_played_and_not_earlier(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    call.play(tone(0.2, 24000))
    call.send(type="mark", name="first")
    call.play(tone(0.2, 24000))
    call.send(type="mark", name="second")
    call.wait_for("mark", 2)
    kinds = [text["name"] for text in call.of("mark")]
    assert kinds == ["first", "second"]
    before = call.texts[: call.texts.index(call.of("mark")[0])]
    played = [text["samples"] for text in before if text["type"] == "played"]
    assert max(played) >= 4800 - 2400 - 128


def test_a_clear_is_answered_exactly_and_silence_follows(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    sent = len(tone(2.0, 24000)) // 2
    call.play(tone(2.0, 24000))
    call.send(type="mark", name="never")
    call.wait_for("played", 3)
    call.send(type="clear", id=7)
    answer = call.wait_for("cleared")
    assert answer["id"] == 7
    assert answer["dropped"] > 0
    wait_for(page, f"it.speaker.received === {sent}")
    assert answer["played"] + answer["dropped"] == sent
    wait_for(page, "it.speaker.level === 0")
    # A later sound goes on counting from what was played, not from what was sent.
    call.play(tone(0.1, 24000))
    call.wait_until(lambda: call.of("played")[-1]["samples"] == answer["played"] + 2400, "the rest")
    assert call.of("mark") == []
    assert snapshot(page)["clears"] == [
        {"id": 7, "played": answer["played"], "dropped": answer["dropped"]}
    ]


def test_a_clear_with_nothing_to_drop_says_so(page: Any, server: PageServer) -> None:
    call = _call(page, server)
    call.send(type="clear", id=1)
    assert call.wait_for("cleared") == {"type": "cleared", "id": 1, "played": 0, "dropped": 0}


def test_more_than_the_queue_holds_is_dropped_and_owned_up_to(
    page: Any, server: PageServer
) -> None:
    call = _call(page, server)
    silence = bytes(2 * 24000 * 36)
    call.play(silence)
    wait_for(page, f"it.speaker.received === {len(silence) // 2} && it.speaker.dropped > 0")
    call.send(type="clear", id=2)
    answer = call.wait_for("cleared")
    assert answer["played"] + answer["dropped"] == len(silence) // 2


def test_the_server_chooses_the_rate_of_its_sound(page: Any) -> None:
    with PageServer(rate=8000) as server:
        call = _call(page, server, "?out_rate=48000")
        assert call.start["out_rate"] == 48000
        call.play(tone(0.3, 8000))
        call.wait_until(
            lambda: bool(call.of("played")) and call.of("played")[-1]["samples"] == 2400, "all"
        )
        assert snapshot(page)["speaker"]["rate"] == 8000


def test_a_muted_microphone_sends_silence_and_says_so(page: Any, server: PageServer) -> None:
    call = _call(page, server, "?processing=off", "#connect")
    page.click("#mute")
    assert call.wait_for("mute")["muted"] is True
    heard = len(call.frames)
    call.wait_until(lambda: len(call.frames) >= heard + 10, "frames while muted")
    assert not any(b"".join(call.frames[heard + 5 : heard + 10]))
    page.click("#mute")
    assert call.wait_for("mute", 2)["muted"] is False


def test_the_pages_own_resampler_keeps_a_tone_and_its_level(page: Any, server: PageServer) -> None:
    page.goto(server.address)
    for source, target in [(48000, 16000), (44100, 16000), (16000, 24000)]:
        output = page.evaluate(
            """async ([source, target]) => {
              const { Resampler } = await import('/resampler.js');
              const resampler = new Resampler(source, target);
              const output = [];
              for (let at = 0; at < source; at += 128) {
                const block = new Float32Array(Math.min(128, source - at));
                for (let i = 0; i < block.length; i += 1) {
                  block[i] = 0.5 * Math.sin((2 * Math.PI * 1000 * (at + i)) / source);
                }
                output.push(...resampler.push(block));
              }
              return output;
            }""",
            [source, target],
        )
        assert target - 100 < len(output) <= target
        at = np.arange(len(output)) / target
        wanted = 0.5 * np.sin(2 * np.pi * 1000 * at)
        error = (np.array(output) - wanted)[400:]
        assert np.sqrt(np.mean(error**2)) < 0.5 * 10 ** (-55 / 20)


def test_what_a_lower_rate_cannot_hold_does_not_come_back_as_another_tone(
    page: Any, server: PageServer
) -> None:
    page.goto(server.address)
    loudest = page.evaluate(
        """async () => {
          const { Resampler } = await import('/resampler.js');
          const input = Float32Array.from({ length: 48000 }, (_, i) =>
            Math.sin((2 * Math.PI * 10000 * i) / 48000));
          return Math.max(...new Resampler(48000, 16000).push(input).slice(200));
        }"""
    )
    assert loudest < 10 ** (-60 / 20)
