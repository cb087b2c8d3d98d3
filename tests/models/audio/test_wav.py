"""WAV files: what is read, what is refused and how."""

from __future__ import annotations

import struct
import wave
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import Frame, WavError, read_wav, write_wav

SOUND = Frame(np.arange(-50, 50).astype("<i2").tobytes(), 22050)


def wav(channels: int = 1, width: int = 2, rate: int = 16000, data: bytes = bytes(600)) -> bytes:
    file = BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate)
        writer.writeframes(data)
    return file.getvalue()


def test_what_was_written_is_read_again_by_path_name_file_and_content(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    write_wav(path, SOUND)
    assert read_wav(path) == read_wav(str(path)) == SOUND
    assert read_wav(path.read_bytes()) == SOUND
    with path.open("rb") as file:
        assert read_wav(file) == SOUND
    written = BytesIO()
    write_wav(written, SOUND)
    assert written.getvalue() == path.read_bytes()


def test_no_samples_are_a_sound_too() -> None:
    assert read_wav(wav(data=b"")) == Frame(b"", 16000)


def test_two_channels_become_their_mean() -> None:
    both = np.array([[100, 300], [32767, 32767], [-32768, -32768], [-5, 5]], "<i2")
    mean = np.frombuffer(read_wav(wav(channels=2, data=both.tobytes())).pcm, "<i2")
    assert mean.tolist() == [200, 32767, -32768, 0]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (wav(width=1), "8 bits"),
        (wav(width=3), "24 bits"),
        (wav(channels=3), "3 channels"),
        (wav(rate=400_000), "400000 samples per second"),
        (wav()[:-100], "says that it has 300 samples and has 250"),
        (wav()[:20], "not understood|ends before"),
        (b"", "ends before its first sample"),
        (wav().replace(b"fmt \x10\0\0", b"fmt \x10\0\x01"), "not understood .*do not fit"),
        (b"ID3\x04" + bytes(200), "not understood .*RIFF"),
        (wav().replace(b"fmt \x10\0\0\0\x01", b"fmt \x10\0\0\0\x03"), "not understood .*format: 3"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason_and_the_remedy(
    content: bytes, problem: str, tmp_path: Path
) -> None:
    path = tmp_path / "odd.wav"
    path.write_bytes(content)
    with pytest.raises(WavError, match=problem) as refused:
        read_wav(path)
    assert str(refused.value).startswith(str(path))
    assert "16-bit PCM" in str(refused.value)


def test_a_file_that_is_not_there_is_the_system_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_wav(tmp_path / "none.wav")


def test_a_length_its_writer_did_not_know_is_refused() -> None:
    piped = bytearray(wav())
    piped[40:44] = struct.pack("<I", 0x7FFFF000)
    with pytest.raises(WavError, match="and has 300"):
        read_wav(bytes(piped))


@given(st.data())
def test_a_broken_file_is_refused_or_read_and_nothing_else(data: st.DataObject) -> None:
    content = bytearray(wav(channels=data.draw(st.integers(1, 2))))
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, 60))] = data.draw(st.integers(0, 255))
    try:
        read_wav(bytes(content[: data.draw(st.integers(0, len(content)))]))
    except WavError as error:
        assert error.file == "the given sound"
