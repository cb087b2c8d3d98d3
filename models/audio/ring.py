"""The newest sound of a leg, addressed by absolute sample numbers."""

from __future__ import annotations


class SampleRing:
    """Holds the last `seconds` of mono s16le; what is older is overwritten.

    Samples are numbered from the first one ever appended, so a place in the stream keeps its number
    as long as the leg lives: "from sample 123 456 on" is what a listener asks for that starts in
    the middle, with the 500 ms before the onset (the pre-roll). Memory is what `seconds` takes,
    once.
    """

    def __init__(self, seconds: float, rate: int) -> None:
        """Room for `seconds` at `rate` samples per second.

        Raises:
            ValueError: that is not even one sample.
        """
        self.capacity = round(seconds * rate)
        """Samples held at most."""
        if self.capacity < 1:
            raise ValueError(f"A ring of {seconds} s at {rate} Hz has no room for a sample.")
        self.end = 0
        """One past the newest sample: how many were ever appended."""
        self._bytes = memoryview(bytearray(2 * self.capacity))

    def __repr__(self) -> str:
        return f"<SampleRing {self.start}..{self.end}>"

    @property
    def start(self) -> int:
        """The oldest sample still held."""
        return max(0, self.end - self.capacity)

    def append(self, pcm: bytes | memoryview) -> None:
        """Add whole samples behind the newest one.

        Raises:
            ValueError: half a sample at the end.
        """
        size = len(pcm)
        if size % 2:
            raise ValueError(f"{size} bytes are not whole samples of 2 bytes.")
        room = len(self._bytes)
        at = self.end * 2 % room
        self.end += size // 2
        if size > room:  # only its last part survives
            at = (at + size - room) % room
            pcm = memoryview(pcm)[size - room :]
            size = room
        first = min(size, room - at)
        self._bytes[at : at + first] = pcm[:first]
        self._bytes[: size - first] = pcm[first:]

    def since(self, sample: int) -> tuple[int, bytes]:
        """All from `sample` on, and the number of the first sample that is in there.

        That number differs from `sample` if that one is no longer held (then it is `start`) or has
        not come yet (then it is `end`, and nothing is in there).
        """
        start = min(max(sample, self.start), self.end)
        size = (self.end - start) * 2
        room = len(self._bytes)
        at = start * 2 % room
        if at + size <= room:
            return start, bytes(self._bytes[at : at + size])
        return start, b"".join((self._bytes[at:], self._bytes[: at + size - room]))
