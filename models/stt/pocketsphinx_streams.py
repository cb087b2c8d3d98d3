"""What the pocketsphinx front knows of one stream, and of the worker that hears it."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import numpy as np

from models.audio.resample import Resampler
from models.faults import ModelFault
from models.stt.backlog import Backlog
from models.stt.pocketsphinx_worker import RATE, Forget, ForgetAll, Hearing, Recognise
from models.stt.protocol import StreamClosed, Transcript
from supervision import ActorRef, Promise
from supervision.resilience import Permit


def converter(rate: int) -> Callable[[bytes], bytes]:
    """From that rate to the model's, piece by piece."""
    if rate == RATE:
        return bytes
    if 2 * rate == RATE:
        return _twice
    return Resampler(rate, RATE).process


def _twice(pcm: bytes) -> bytes:
    """Every sample twice: 8 to 16 kHz as the model likes it.

    The model was made from voices that reach up to 7 kHz. A proper resampler leaves nothing above
    4 kHz, and silence up there is unlike any voice: of 16 sentences in a telephone's band it lost 2
    to 5. Held samples mirror the voice's sound into the upper band, and it lost none.
    """
    return np.repeat(np.frombuffer(pcm, "<i2"), 2).tobytes()


@attrs.define(eq=False)
class WorkerPlace:
    """A place for a worker process; the ref is there once it has been started."""

    number: int
    ref: ActorRef[Recognise | Forget | ForgetAll] | None = None
    streams: list[SphinxStream] = attrs.field(factory=list)


@attrs.define(eq=False)
class SphinxStream:
    """One open stream."""

    called: str
    """By who opened it."""
    name: str
    """In the worker: unique, for `called` may be opened again before the worker forgets it."""
    to: ActorRef[Transcript]
    over: Promise[StreamClosed | ModelFault]
    worker: WorkerPlace
    hearing: Hearing
    backlog: Backlog
    permit: Permit | None
    """Until the first answer of a worker tells how things are."""
    convert: Callable[[bytes], bytes]
    """To the model's rate."""
    told: str = ""
    final_until: float = 0.0
    """Seconds of it that are final."""
    losses: int = 0
    """Workers in a row that were lost with it."""
    closing: bool = False
