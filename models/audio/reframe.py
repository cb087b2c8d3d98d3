"""Cutting what comes in any size into frames of one size."""

from __future__ import annotations

from models.audio.frames import Encoding
from models.audio.g711 import silence


class Reframer:
    """Cuts a stream of bytes into frames of exactly `samples` samples; the rest waits for more.

    A piece may have any length: none, half a sample, a minute. Never more than one frame less one
    byte is held, and every byte is copied at most twice however small the pieces are; a piece that
    already is a frame, when nothing is held, is handed on as it is.
    """

    def __init__(self, samples: int, encoding: Encoding = Encoding.S16LE) -> None:
        """Frames of `samples` mono samples in `encoding`.

        Raises:
            ValueError: `samples` is not positive.
        """
        if samples < 1:
            raise ValueError(f"A frame has at least one sample, not {samples}.")
        self.samples = samples
        self.encoding = encoding
        self._size = samples * encoding.sample_bytes
        self._held = bytearray()

    def __repr__(self) -> str:
        return f"<Reframer {self.samples} samples of {self.encoding.value}, {self.pending} held>"

    @property
    def pending(self) -> int:
        """Whole samples held."""
        return len(self._held) // self.encoding.sample_bytes

    def push(self, data: bytes) -> list[bytes]:
        """The frames that are complete now, in order; often one, often none."""
        size = self._size
        if not self._held:
            if len(data) == size:
                return [data]
            end = len(data) - len(data) % size
            self._held += data[end:]
            return [data[at : at + size] for at in range(0, end, size)]
        self._held += data
        end = len(self._held) - len(self._held) % size
        if not end:
            return []
        with memoryview(self._held) as view:
            frames = [bytes(view[at : at + size]) for at in range(0, end, size)]
        del self._held[:end]  # a bytearray moves its start: nothing is copied
        return frames

    def flush(self, *, pad: bool = True) -> bytes:
        """The end of the stream: what was held, filled up with silence if `pad`; empty if nothing.

        Half a sample at the very end cannot be played and is dropped.
        """
        width = self.encoding.sample_bytes
        rest = bytes(self._held[: self.pending * width])
        self._held.clear()
        if rest and pad:
            rest += silence(self.encoding, self.samples - len(rest) // width)
        return rest

    def clear(self) -> None:
        """Forget what is held: after a cut it belongs to nobody."""
        self._held.clear()
