"""A recogniser that speaks Deepgram's wire format and hears what samples say: n is phrase n."""

from __future__ import annotations

from itertools import groupby
from math import inf

import attrs
import orjson
from trio_websocket import WebSocketConnection

from tests.models.net.servers import Talk

RATE = 16000
PHRASES = ("yes please", "two pizzas", "no thanks")


def say(phrase: str) -> bytes:
    """Half a second in which each sample tells the number of the phrase."""
    return (PHRASES.index(phrase) + 1).to_bytes(2, "little") * (RATE // 2)


@attrs.define(eq=False)
class FakeDeepgram:
    """One connection to it."""

    heard: int = 0
    """Bytes so far."""
    last: int = 0
    """The sample before."""
    words: list[tuple[str, float, float]] = attrs.field(factory=list)
    """All that were said, also those whose time has not come yet."""
    finished: float = 0.0
    """Until where finals have been sent."""
    got: list[str] = attrs.field(factory=list)
    """Control messages that came."""

    @property
    def now(self) -> float:
        return self.heard / (2 * RATE)

    def hear(self, pcm: bytes) -> None:
        for sample, run in groupby(memoryview(pcm).cast("H")):
            if sample and sample != self.last:
                start = self.now
                for n, word in enumerate(PHRASES[sample - 1].split()):
                    self.words.append((word, start + 0.2 * n, start + 0.2 * n + 0.15))
            self.last = sample
            self.heard += 2 * sum(1 for _ in run)

    def result(self, *, final: bool, finalized: bool = False) -> str:
        words = [w for w in self.words if self.finished < w[2] <= self.now]
        start, self.finished = self.finished, self.now if final else self.finished
        best = {
            "transcript": " ".join(w[0] for w in words),
            "confidence": 0.9,
            "words": [{"word": w, "start": a, "end": b, "confidence": 0.9} for w, a, b in words],
        }
        return orjson.dumps(
            {
                "type": "Results",
                "start": start,
                "duration": self.now - start,
                "is_final": final,
                "speech_final": final,
                "from_finalize": finalized,
                "channel": {"alternatives": [best]},
            }
        ).decode()


def recognises(
    connections: list[FakeDeepgram],
    *,
    cut_at: float = inf,
    finalizes: bool = True,
) -> Talk:
    """Understands; breaks the connection once it has heard `cut_at` seconds."""

    async def talk(socket: WebSocketConnection) -> None:
        fake = FakeDeepgram()
        connections.append(fake)
        while True:
            message = await socket.get_message()
            if isinstance(message, bytes):
                fake.hear(message)
                if fake.now >= cut_at:
                    await socket._stream.aclose()
                    return
                await socket.send_message(fake.result(final=False))
                continue
            fake.got.append(orjson.loads(message)["type"])
            match fake.got[-1]:
                case "Finalize" if finalizes:
                    await socket.send_message(fake.result(final=True, finalized=True))
                case "CloseStream":
                    await socket.send_message(fake.result(final=True))
                    await socket.send_message('{"type": "Metadata"}')
                    return
                case _:
                    pass

    return talk


async def says_nothing(socket: WebSocketConnection) -> None:
    """Takes everything and never answers."""
    while True:
        await socket.get_message()


def says(*messages: str) -> Talk:
    """Answers the first audio with these, whatever they are."""

    async def talk(socket: WebSocketConnection) -> None:
        await socket.get_message()
        for message in messages:
            await socket.send_message(message)
        await says_nothing(socket)

    return talk


def closes(code: int) -> Talk:
    """Closes the socket once audio came."""

    async def talk(socket: WebSocketConnection) -> None:
        await socket.get_message()
        await socket.aclose(code)

    return talk
