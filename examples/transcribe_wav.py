"""A recogniser by itself, without a call: what is said in a WAV file? It needs no network."""

from __future__ import annotations

import math
from pathlib import Path

import trio

from models.audio import read_wav
from models.faults import ModelFault
from models.stt.pocketsphinx import PocketsphinxConfig, pocketsphinx_spec
from models.stt.protocol import Audio, CloseStream, OpenStream, Transcript
from supervision import Actor, Request, handles, open_system

SPOKEN = Path(__file__).parents[1] / "bench" / "phrases" / "what-time-do-you-open.wav"
EXPECTED = ("what time do you open", "hello can you hear me", "wait I have a question")


class Text(Request[str]):
    """All that was understood so far."""


class Clerk(Actor[Transcript | Text]):
    """Writes down what a recogniser tells."""

    def __init__(self) -> None:
        super().__init__()
        self._lines: list[str] = []

    @handles
    def on_transcript(self, message: Transcript) -> None:
        if message.final:
            self._lines.append(message.text)

    @handles
    def on_text(self, _message: Text) -> str:
        return " ".join(self._lines)


async def main() -> None:
    sound = read_wav(SPOKEN)
    async with open_system() as system:
        await system.start_child(pocketsphinx_spec(PocketsphinxConfig(), "ears"))
        ears, clerk = system.ref("/ears/front"), await system.spawn(Clerk)
        stream = OpenStream("wav", sound.rate, clerk, phrases=EXPECTED)
        over = ears.ask(stream, timeout=math.inf)
        for at in range(0, len(sound.pcm), 640):  # 20 ms at a time
            ears.tell(Audio("wav", sound.pcm[at : at + 640]))
        ears.tell(CloseStream("wav"))
        fault = await over
        print(fault if isinstance(fault, ModelFault) else await clerk.ask(Text()))


if __name__ == "__main__":  # worker processes import this file
    trio.run(main)
