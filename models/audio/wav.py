"""WAV files: what tests, tools and background sound are read from and written to."""

from __future__ import annotations

import wave
from io import BytesIO
from os import PathLike, fspath
from typing import BinaryIO

import attrs
import numpy as np

from models.audio.frames import Frame


@attrs.define(eq=False)
class WavError(Exception):
    """This is not a WAV file that can be used; the message says why and what would help."""

    file: str
    problem: str

    def __str__(self) -> str:
        return (
            f"{self.file}: {self.problem}. Usable are WAV files with 16-bit PCM in one or two "
            "channels; `sox IN -b 16 -c 1 OUT.wav` makes one of almost any sound."
        )


def read_wav(source: str | PathLike[str] | bytes | BinaryIO) -> Frame:
    """The whole file as mono; of two channels the mean.

    Reads from a disk, so it does not belong on the event loop while calls are running.

    Args:
        source: a path, a file's content, or a file open for reading.
    Raises:
        WavError: it is no WAV file, of another kind, or shorter than it says.
        OSError: it cannot be read at all.
    """
    file = source if isinstance(source, str | PathLike) else "the given sound"
    name = fspath(file)
    opened = BytesIO(source) if isinstance(source, bytes) else source
    try:
        with wave.open(fspath(opened) if isinstance(opened, PathLike) else opened, "rb") as wav:
            return _read(wav, name)
    except EOFError:
        raise WavError(name, "it ends before its first sample") from None
    except (wave.Error, RuntimeError) as error:
        # `wave` itself has a bare RuntimeError for a piece that is longer than what it is part of.
        why = str(error) or "its parts do not fit into one another"
        raise WavError(name, f"it is not understood ({why})") from None


def _read(wav: wave.Wave_read, name: str) -> Frame:
    channels, width, count = wav.getnchannels(), wav.getsampwidth(), wav.getnframes()
    if width != 2:
        raise WavError(name, f"its samples have {8 * width} bits")
    if channels not in (1, 2):
        raise WavError(name, f"it has {channels} channels")
    if not 1 <= wav.getframerate() <= 192_000:
        raise WavError(name, f"it has {wav.getframerate()} samples per second")
    data = wav.readframes(count)
    present = len(data) // (2 * channels)
    if len(data) != 2 * channels * count:
        # What was written into a pipe often says a length that its writer did not know yet.
        raise WavError(name, f"it says that it has {count} samples and has {present}")
    if channels == 2:
        both = np.frombuffer(data, "<i2").reshape(-1, 2)
        data = (both.sum(axis=1, dtype=np.int32) // 2).astype("<i2").tobytes()
    return Frame(data, wav.getframerate())


def write_wav(target: str | PathLike[str] | BinaryIO, sound: Frame) -> None:
    """Write mono 16-bit PCM; a path's file is replaced. For a place of the disk, see `read_wav`.

    Raises:
        OSError: it cannot be written.
    """
    with wave.open(fspath(target) if isinstance(target, PathLike) else target, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(sound.rate)
        wav.writeframes(sound.pcm)
