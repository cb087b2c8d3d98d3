"""What can be configured about the pocketsphinx recogniser, and what it says of itself."""

from __future__ import annotations

import attrs
from attrs.validators import ge, gt, le, min_len

from supervision.resilience import BreakerConfig, BreakerStatistics


@attrs.frozen
class PocketsphinxConfig:
    """How many listen, with what, and for what."""

    name: str = attrs.field(default="pocketsphinx", validator=min_len(1))
    """What it is called in faults."""
    workers: int = attrs.field(default=1, validator=[ge(1), le(64)])
    """Processes, at most; each is started when all that run have streams. With a grammar one needs
    60 MB and 30 MB more for each further stream, without one 130 MB and 100."""
    streams_per_worker: int = attrs.field(default=8, validator=[ge(1), le(100)])
    """Streams one process listens to, at most; what is more is refused as RATE_LIMITED."""
    grammar: tuple[str, ...] = ()
    """Sentences it listens for, if a stream names no phrases of its own. Those with words that it
    does not know are left out."""
    grammar_file: str = ""
    """Path of a JSGF grammar to listen for instead of `grammar`. Neither: any English."""
    model: str = ""
    """Folder of the acoustic model; "": the bundled en-us."""
    dictionary: str = ""
    """Path of the pronouncing dictionary; "": the bundled one."""
    language_model: str = ""
    """Path of the general language model; "": the bundled one."""
    language: str = "en"
    """What the model speaks. Streams in other languages are refused."""
    batch: float = attrs.field(default=0.1, validator=[gt(0), le(1)])
    """Seconds of audio that a worker is given at a time."""
    ring: float = attrs.field(default=5.0, validator=[ge(0), le(30)])
    """Seconds of audio that are kept until they are final, for a worker that is started again."""
    patience: float = attrs.field(default=10.0, validator=gt(0))
    """Seconds a worker may take to answer, a restart included; then it is started again."""
    replays: int = attrs.field(default=3, validator=ge(0))
    """Workers in a row that may die of the same audio before its stream is given up."""
    breaker: BreakerConfig = attrs.field(factory=lambda: BreakerConfig(rest=10.0))


@attrs.frozen
class PocketsphinxStatistics:
    """What the recogniser has done since its front was started."""

    streams: int
    workers: int
    dropped: int
    """Messages about streams that were not open."""
    replays: int
    """Times that a stream was given anew to a worker."""
    seconds_dropped: float
    """Audio that was not heard, because the workers were too slow, of the streams open now."""
    breaker: BreakerStatistics
