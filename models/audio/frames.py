"""A piece of sound, as it travels between actors."""

from __future__ import annotations

import enum

import attrs
from attrs.validators import ge, in_, le


class Encoding(enum.Enum):
    """How samples lie in bytes on a wire; inside the node it is always S16LE."""

    S16LE = "s16le"
    MULAW = "mulaw"
    ALAW = "alaw"

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of one channel."""
        return 2 if self is Encoding.S16LE else 1


@attrs.frozen
class AudioFormat:
    """What a wire carries."""

    rate: int = attrs.field(default=16000, validator=[ge(1), le(192_000)])
    """Samples per second of one channel."""
    channels: int = attrs.field(default=1, validator=in_((1, 2)))
    encoding: Encoding = Encoding.S16LE

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return self.encoding.sample_bytes * self.channels


FRAME_SECONDS = 0.02
"""What is sent at a time. What comes may have any length."""


@attrs.frozen
class Frame:
    """Mono sound in s16le, of any length, 0 included. Passed on, never rebuilt, by who can."""

    pcm: bytes
    rate: int

    @property
    def samples(self) -> int:
        return len(self.pcm) // 2

    @property
    def seconds(self) -> float:
        return len(self.pcm) / (2 * self.rate)
