"""audio: what each piece of work on sound costs, in microseconds for 20 ms of one leg.

The peer is the bare library call at the heart of the same work, on arrays that are there already:
soxr's stream for resampling, one numpy expression for the rest. So the ratio says what turning
bytes into samples and back, and keeping state, add to it. 80 µs per frame is the whole budget of a
voice session without its wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from time import perf_counter

import numpy as np
import soxr

from bench.measure import Figure, in_turns, medians
from models.audio import (
    DUCK_GAIN,
    Encoding,
    GainRamp,
    Quality,
    Reframer,
    Resampler,
    SampleRing,
    g711,
    mix_minus,
    rms_dbfs,
)

FRAMES = 500
ROUNDS = 15
PATHS = (
    (8000, 16000),
    (16000, 8000),
    (24000, 16000),
    (16000, 24000),
    (48000, 16000),
    (16000, 48000),
    (22050, 16000),
)
PARTIES = 16
"""In the conference."""

NUMPY = "bare numpy"
SOXR = "bare soxr LQ"

Work = Callable[[], object]


def _microseconds(work: Work) -> float:
    started = perf_counter()
    for _ in range(FRAMES):
        work()
    return (perf_counter() - started) / FRAMES * 1e6


def _compared(name: str, ours: Work, peer: str, bare: Work, note: str = "") -> Figure:
    sides = {"ours": partial(_microseconds, ours), peer: partial(_microseconds, bare)}
    taken = medians(in_turns(ROUNDS, sides))
    return Figure(name, taken["ours"], "µs", peer, taken[peer], note=note)


def _noise(rate: int, seed: int = 1) -> bytes:
    """20 ms."""
    return (np.random.default_rng(seed).normal(size=rate // 50) * 3000).astype("<i2").tobytes()


def _resampling() -> Iterator[Figure]:
    for rate_in, rate_out in PATHS:
        frame = _noise(rate_in)
        samples = np.frombuffer(frame, "<i2").astype(np.float32)
        ours = Resampler(rate_in, rate_out)
        bare = soxr.ResampleStream(rate_in, rate_out, 1, dtype="float32", quality="LQ")
        most, given = 0.0, 0
        for frames in range(1, 101):
            given += len(bare.resample_chunk(samples))
            most = max(most, frames / 50 - given / rate_out)
        yield _compared(
            f"resample {rate_in / 1000:g} to {rate_out / 1000:g}",
            partial(ours.process, frame),
            SOXR,
            partial(bare.resample_chunk, samples),
            note=f"late by {ours.delay * 1e3:.2f} ms; soxr holds back up to {most * 1e3:.0f} ms",
        )
    frame = _noise(24000)
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    high = Resampler(24000, 16000, Quality.HIGH)
    bare = soxr.ResampleStream(24000, 16000, 1, dtype="float32", quality="HQ")
    yield _compared(
        "resample 24 to 16, HIGH",
        partial(high.process, frame),
        "bare soxr HQ",
        partial(bare.resample_chunk, samples),
    )


def _telephone() -> Iterator[Figure]:
    frame = _noise(8000)
    codes = g711.encode(frame, Encoding.MULAW)
    to_codes = np.zeros(65536, np.uint8)
    to_samples = np.zeros(256, np.int16)
    unsigned, indices = np.frombuffer(frame, "<u2"), np.frombuffer(codes, np.uint8)
    encode, decode = partial(g711.encode, frame), partial(g711.decode, codes)
    yield _compared(
        "encode mu-law", partial(encode, Encoding.MULAW), NUMPY, lambda: to_codes[unsigned]
    )
    yield _compared(
        "decode mu-law", partial(decode, Encoding.MULAW), NUMPY, lambda: to_samples[indices]
    )


def _loudness() -> Iterator[Figure]:
    frame = _noise(16000)
    samples = np.frombuffer(frame, "<i2")
    wide = samples.astype(np.float64)
    ducked, moving = GainRamp(DUCK_GAIN), GainRamp()
    curve = np.linspace(1, DUCK_GAIN, samples.size)
    yield _compared("level", partial(rms_dbfs, frame), NUMPY, partial(np.dot, wide, wide))
    yield _compared(
        "gain at rest", partial(ducked.apply, frame, 16000), NUMPY, lambda: samples * DUCK_GAIN
    )

    def ramp() -> None:
        moving.to(1.0 if moving.target < 1 else DUCK_GAIN, 20)
        moving.apply(frame, 16000)

    yield _compared("gain on a ramp", ramp, NUMPY, lambda: samples * curve)


def _mixing() -> Iterator[Figure]:
    tracks = [_noise(16000, seed) for seed in range(PARTIES)]
    rows = np.stack([np.frombuffer(track, "<i2") for track in tracks])
    note = f"for all {PARTIES} parties together"
    yield _compared(
        f"mix for {PARTIES}",
        partial(mix_minus, tracks),
        NUMPY,
        lambda: rows.sum(axis=0, dtype=np.int32) - rows,
        note,
    )


def _cutting() -> Iterator[Figure]:
    frame = _noise(16000)
    odd = frame[:500]
    reframer, ring = Reframer(320), SampleRing(0.5, 16000)
    room = np.zeros(640, np.uint8)
    source = np.frombuffer(frame, np.uint8)

    def copy() -> None:
        room[:] = source

    yield _compared("reframe 500 bytes", partial(reframer.push, odd), NUMPY, copy)
    yield _compared("ring append", partial(ring.append, frame), NUMPY, copy)
    yield _compared(
        "ring since, 500 ms", lambda: ring.since(ring.start), NUMPY, np.zeros(16000, "u1").tobytes
    )


def figures() -> Iterator[Figure]:
    """`audio`: microseconds per frame, piece by piece."""
    for part in (_resampling, _telephone, _loudness, _mixing, _cutting):
        yield from part()
