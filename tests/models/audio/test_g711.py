"""Both laws against their arithmetic, sample by sample and code by code."""

from __future__ import annotations

import numpy as np
import pytest

from models.audio import Encoding, g711

ALL_SAMPLES = list(range(-32768, 32768))
ALL_CODES = bytes(range(256))


def pcm(samples: list[int]) -> bytes:
    return np.array(samples, "<i2").tobytes()


def samples_of(data: bytes) -> list[int]:
    return [int(sample) for sample in np.frombuffer(data, "<i2")]


def mulaw_code(sample: int) -> int:
    s = sample >> 2
    a = min(abs(s), 8158) + 33
    e = a.bit_length() - 1 - 5
    return ~((128 if s < 0 else 0) | e << 4 | (a >> (e + 1)) & 15) & 255


def mulaw_sample(code: int) -> int:
    u = ~code & 255
    magnitude = ((8 * (u & 15) + 132) << ((u >> 4) & 7)) - 132
    return -magnitude if u & 128 else magnitude


def alaw_code(sample: int) -> int:
    a = sample if sample >= 0 else -sample - 1
    e = max(a.bit_length() - 1 - 7, 0)
    m = (a >> 4 if e == 0 else a >> (e + 3)) & 15
    return ((128 if sample >= 0 else 0) | e << 4 | m) ^ 0x55


def alaw_sample(code: int) -> int:
    u = code ^ 0x55
    e, m = (u >> 4) & 7, u & 15
    magnitude = 16 * m + 8 if e == 0 else (16 * m + 264) << (e - 1)
    return magnitude if u & 128 else -magnitude


def test_every_sample_becomes_its_mulaw_code() -> None:
    codes = g711.encode(pcm(ALL_SAMPLES), Encoding.MULAW)
    assert list(codes) == [mulaw_code(sample) for sample in ALL_SAMPLES]


def test_every_mulaw_code_becomes_its_sample() -> None:
    decoded = g711.decode(ALL_CODES, Encoding.MULAW)
    assert samples_of(decoded) == [mulaw_sample(code) for code in range(256)]


def test_every_sample_becomes_its_alaw_code() -> None:
    codes = g711.encode(pcm(ALL_SAMPLES), Encoding.ALAW)
    assert list(codes) == [alaw_code(sample) for sample in ALL_SAMPLES]


def test_every_alaw_code_becomes_its_sample() -> None:
    decoded = g711.decode(ALL_CODES, Encoding.ALAW)
    assert samples_of(decoded) == [alaw_sample(code) for code in range(256)]


@pytest.mark.parametrize(
    ("encoding", "sample", "code"),
    [  # from the tables of the standard, not from the formulas above
        (Encoding.MULAW, 0, 0xFF),
        (Encoding.MULAW, 32767, 0x80),
        (Encoding.MULAW, -32768, 0x00),
        (Encoding.ALAW, 0, 0xD5),
        (Encoding.ALAW, 32767, 0xAA),
        (Encoding.ALAW, -32768, 0x2A),
    ],
)
def test_silence_and_the_extremes_have_their_known_codes(
    encoding: Encoding, sample: int, code: int
) -> None:
    assert g711.encode(pcm([sample]), encoding) == bytes([code])


@pytest.mark.parametrize("encoding", [Encoding.MULAW, Encoding.ALAW])
def test_decoding_and_encoding_again_changes_nothing_but_the_second_zero(
    encoding: Encoding,
) -> None:
    again = g711.encode(g711.decode(ALL_CODES, encoding), encoding)
    changed = {code: new for code, new in zip(ALL_CODES, again, strict=True) if code != new}
    assert changed == ({0x7F: 0xFF} if encoding is Encoding.MULAW else {})


@pytest.mark.parametrize("encoding", Encoding)
def test_silence_decodes_to_zero_or_the_smallest_step(encoding: Encoding) -> None:
    wire = g711.silence(encoding, 160)
    assert len(wire) == 160 * encoding.sample_bytes
    expected = 8 if encoding is Encoding.ALAW else 0  # A-law has no zero
    assert samples_of(g711.decode(wire, encoding)) == [expected] * 160


def test_s16le_passes_as_the_same_object() -> None:
    frame = pcm([1, 2, 3])
    assert g711.encode(frame, Encoding.S16LE) is frame
    assert g711.decode(frame, Encoding.S16LE) is frame


@pytest.mark.parametrize("encoding", Encoding)
def test_views_do_as_well_as_bytes_and_nothing_gives_nothing(encoding: Encoding) -> None:
    frame = pcm([100, -100, 20000])
    wire = g711.encode(frame, encoding)
    assert g711.encode(memoryview(frame), encoding) == wire
    assert g711.decode(memoryview(wire), encoding) == g711.decode(wire, encoding)
    assert g711.encode(b"", encoding) == g711.decode(b"", encoding) == b""


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple of element size"):
        g711.encode(b"abc", Encoding.MULAW)
