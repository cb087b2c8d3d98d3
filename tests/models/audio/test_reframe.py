"""Frames of one size out of pieces of any size."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.audio import Encoding, Reframer

pieces = st.lists(st.binary(max_size=700), max_size=20)


@given(pieces, st.integers(1, 200), st.sampled_from(Encoding))
def test_whatever_the_pieces_the_frames_are_the_stream_cut_evenly(
    pieces: list[bytes], samples: int, encoding: Encoding
) -> None:
    reframer = Reframer(samples, encoding)
    frames = [frame for piece in pieces for frame in reframer.push(piece)]
    stream = b"".join(pieces)
    size = samples * encoding.sample_bytes
    whole = len(stream) // size * size
    assert frames == [stream[at : at + size] for at in range(0, whole, size)]
    assert reframer.pending == (len(stream) - whole) // encoding.sample_bytes
    rest = stream[whole:]
    assert (
        reframer.flush(pad=False)
        == rest[: len(rest) // encoding.sample_bytes * encoding.sample_bytes]
    )
    assert reframer.pending == 0


@pytest.mark.parametrize("length", [0, 1, 2, 319, 320, 321, 639, 640, 641, 642, 1280, 5000])
def test_tiny_exact_and_empty_pieces_never_stop_the_stream(length: int) -> None:
    reframer = Reframer(320)
    frames = [frame for _ in range(1280) for frame in reframer.push(bytes(length))]
    assert len(frames) == 1280 * length // 640


def test_a_thousand_bytes_are_one_frame_and_forty_bytes_that_wait() -> None:
    reframer = Reframer(480)  # 20 ms at 24 kHz
    assert [len(frame) for frame in reframer.push(bytes(1000))] == [960]
    assert reframer.pending == 20


def test_a_piece_that_is_a_frame_is_handed_on_as_it_is() -> None:
    reframer, frame = Reframer(320), bytes(640)
    assert reframer.push(frame)[0] is frame


@pytest.mark.parametrize(
    ("encoding", "silence"),
    [(Encoding.S16LE, b"\0\0"), (Encoding.MULAW, b"\xff"), (Encoding.ALAW, b"\xd5")],
)
def test_the_end_is_filled_up_with_silence_of_its_encoding(
    encoding: Encoding, silence: bytes
) -> None:
    reframer = Reframer(4, encoding)
    reframer.push(b"\x01" * encoding.sample_bytes)
    assert reframer.flush() == b"\x01" * encoding.sample_bytes + silence * 3


def test_half_a_sample_at_the_end_is_dropped() -> None:
    reframer = Reframer(3)
    reframer.push(b"\x01\x02\x03")
    assert reframer.flush() == b"\x01\x02\0\0\0\0"
    reframer.push(b"\x01")
    assert reframer.flush() == b""


def test_nothing_held_ends_in_nothing_and_the_reframer_goes_on() -> None:
    reframer = Reframer(2)
    assert reframer.flush() == b""
    reframer.push(b"\x01\x02")
    reframer.clear()
    assert reframer.push(b"abcd") == [b"abcd"]


def test_a_frame_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        Reframer(0)


def test_it_shows_what_it_holds() -> None:
    reframer = Reframer(320)
    reframer.push(bytes(6))
    assert repr(reframer) == "<Reframer 320 samples of s16le, 3 held>"
