"""Ears without a key and a network: pocketsphinx with its bundled English, in worker processes.

With a grammar (sentences that are expected) it understands well and costs 1 % of a core per stream;
with its general language model it is a toy that costs 13 %. For demos and tests.

`pocketsphinx_spec` is the whole of it as a child spec; users talk to its child `front`:

    /…/<id>                one_for_one
    ├─ workers             dynamic: a process each, started when there are streams for it
    │  └─ 0, 1, …
    └─ front               a `PocketsphinxStt`, which takes `SttMessage`

The front holds the streams. A worker that dies is started again by its supervisor, and the front
gives it the last seconds that were not final; who listens notices a delay.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs

from models.faults import FaultKind, ModelFault
from models.local import require
from models.stt.backlog import Backlog, Batch
from models.stt.pocketsphinx_config import PocketsphinxConfig as PocketsphinxConfig
from models.stt.pocketsphinx_config import PocketsphinxStatistics
from models.stt.pocketsphinx_streams import SphinxStream, WorkerPlace, converter
from models.stt.pocketsphinx_worker import (
    RATE,
    Forget,
    ForgetAll,
    Hearing,
    Recognise,
    SphinxWorker,
    Understood,
)
from models.stt.protocol import (
    Audio,
    CloseStream,
    Flush,
    OpenStream,
    StreamClosed,
    SttMessage,
    Transcript,
)
from supervision import (
    Actor,
    ActorCrashed,
    ActorRef,
    ActorStopped,
    AskTimeout,
    ChildSpec,
    DynamicSupervisor,
    Mailbox,
    Refuse,
    Refused,
    Supervisor,
    Terminated,
    handles,
)
from supervision.resilience import (
    Backoff,
    CircuitBreaker,
    Denied,
    Permit,
)

FRONT = "front"
"""The child of `pocketsphinx_spec` that takes `SttMessage`."""
WORKERS = "workers"


def pocketsphinx_spec(config: PocketsphinxConfig, id: str = "pocketsphinx") -> ChildSpec[Any]:
    """The recogniser and its processes. Its users ask the child `front`.

    Raises:
        EngineMissing: the package is not installed.
    """
    require(config.name, "pocketsphinx")
    workers = ChildSpec(WORKERS, partial(DynamicSupervisor))
    front = ChildSpec(FRONT, partial(PocketsphinxStt, config))
    return ChildSpec(id, partial(Supervisor, [workers, front]))


@attrs.frozen
class _Ready:
    """A worker runs."""

    worker: WorkerPlace
    ref: ActorRef[Recognise | Forget | ForgetAll]


@attrs.frozen
class _NotReady:
    """A worker could not be started."""

    worker: WorkerPlace
    error: Exception


@attrs.frozen
class _Heard:
    """A worker has answered."""

    stream: SphinxStream
    batch: Batch
    answer: Understood


@attrs.frozen
class _Unheard:
    """A worker has not."""

    stream: SphinxStream
    error: Exception


class PocketsphinxStt(Actor[SttMessage | _Ready | _NotReady | _Heard | _Unheard | Terminated]):
    """The front: spreads streams over the workers, and outlives them."""

    mailbox = Mailbox(capacity=20_000)
    """Two seconds of 200 legs: all of them speak to this one actor, 50 times a second each."""

    def __init__(self, config: PocketsphinxConfig) -> None:
        super().__init__()
        self._config = config
        self._breaker = CircuitBreaker(config.breaker)
        self._streams: dict[str, SphinxStream] = {}
        self._workers: list[WorkerPlace] = []
        self._hearing = Hearing(config.grammar)
        self._opened = 0
        self._dropped = 0
        self._replays = 0

    def on_start(self) -> None:
        """Read the grammar, and find the workers that an earlier life has started."""
        if self._config.grammar_file:
            with open(self._config.grammar_file, encoding="utf-8") as file:
                self._hearing = Hearing(jsgf=file.read())
        for number in range(self._config.workers):
            ref = self.system.find(f"{self._place}/{number}")
            if ref is not None:
                ref.tell(ForgetAll())
                self._workers.append(WorkerPlace(number, ref))

    def statistics(self) -> PocketsphinxStatistics:
        unheard = sum(stream.backlog.dropped for stream in self._streams.values())
        return PocketsphinxStatistics(
            len(self._streams),
            len(self._workers),
            self._dropped,
            self._replays,
            unheard / RATE,
            self._breaker.statistics(),
        )

    @property
    def _place(self) -> str:
        return f"{self.path.rpartition('/')[0]}/{WORKERS}"

    # -- streams --------------------------------------------------------------------------

    @handles
    def on_open(self, message: OpenStream) -> ModelFault | None:
        if message.stream in self._streams:
            raise Refuse(f"a stream {message.stream!r} is open already")
        if message.language.partition("-")[0] != self._config.language.partition("-")[0]:
            return self._fault(FaultKind.REJECTED, f"only speaks {self._config.language!r}")
        if message.rate < 1:
            return self._fault(FaultKind.REJECTED, f"no audio has {message.rate} samples/s")
        worker = self._worker_for_one_more()
        if worker is None:
            return self._fault(FaultKind.RATE_LIMITED, "all workers are busy", retry_after=1.0)
        permit = self._breaker.allow(self.now)
        if isinstance(permit, Denied):
            wait = max(0.0, permit.until - self.now)
            return self._fault(FaultKind.BREAKER_OPEN, retry_after=wait)
        self._opened += 1
        stream = SphinxStream(
            message.stream,
            f"{message.stream}#{self._opened}",
            message.to,
            self.defer(),
            worker,
            Hearing(message.phrases) if message.phrases else self._hearing,
            Backlog(RATE, self._config.batch, self._config.ring),
            permit,
            converter(message.rate),
        )
        self._streams[message.stream] = stream
        worker.streams.append(stream)
        self.watch(message.to)
        return None

    @handles
    def on_audio(self, message: Audio) -> None:
        stream = self._of(message.stream)
        if stream is not None:
            whole = len(message.pcm) & ~1  # half a sample must not bring down everybody's ears
            stream.backlog.push(stream.convert(message.pcm[:whole]))
            self._send(stream)

    @handles
    def on_flush(self, message: Flush) -> None:
        stream = self._of(message.stream)
        if stream is not None:
            stream.backlog.mark(message.number)
            self._send(stream)

    @handles
    def on_close(self, message: CloseStream) -> None:
        stream = self._of(message.stream)
        if stream is not None:
            stream.closing = True
            stream.backlog.mark(0)
            self._send(stream)

    @handles
    def on_terminated(self, message: Terminated) -> None:
        """Nobody listens any more, so there is nothing left to finish."""
        for stream in tuple(self._streams.values()):
            if stream.to is message.ref:
                self._end(stream, StreamClosed(stream.called))

    def _of(self, name: str) -> SphinxStream | None:
        stream = self._streams.get(name)
        if stream is None or stream.closing:
            self._dropped += 1
            return None
        return stream

    def _is_open(self, stream: SphinxStream) -> bool:
        return self._streams.get(stream.called) is stream

    def _fault(self, kind: FaultKind, detail: str = "", retry_after: float = 0.0) -> ModelFault:
        return ModelFault(self._config.name, kind, detail, retry_after)

    def _end(self, stream: SphinxStream, answer: StreamClosed | ModelFault) -> None:
        """The stream is over; whoever opened it is told so."""
        del self._streams[stream.called]
        stream.worker.streams.remove(stream)
        if stream.worker.ref is not None:
            stream.worker.ref.tell(Forget(stream.name))
        if stream.permit is not None:
            if isinstance(answer, ModelFault):
                self._breaker.failed(stream.permit, self.now)
            else:
                self._breaker.cancelled(stream.permit, self.now)
        stream.over.resolve(answer)
        if all(other.to is not stream.to for other in self._streams.values()):
            self.unwatch(stream.to)

    # -- workers --------------------------------------------------------------------------

    def _worker_for_one_more(self) -> WorkerPlace | None:
        """An idle worker, a new one, the one with the fewest streams, or None if all are full."""
        least = min(self._workers, key=lambda worker: len(worker.streams), default=None)
        if least is not None and not least.streams:
            return least
        if len(self._workers) < self._config.workers:
            used = {worker.number for worker in self._workers}
            new = WorkerPlace(next(n for n in range(self._config.workers) if n not in used))
            self._workers.append(new)
            self._start(new)
            return new
        if least is None or len(least.streams) >= self._config.streams_per_worker:
            return None
        return least

    def _start(self, worker: WorkerPlace) -> None:
        config = self._config
        make = partial(
            SphinxWorker,
            config.name,
            config.model,
            config.dictionary,
            config.language_model,
            self._hearing,
        )
        # A restart that waits, if only a moment, does not count towards anybody's intensity.
        spec = ChildSpec(str(worker.number), make, backoff=Backoff(base=0.05, maximum=5.0))
        self.start_task(
            partial(self.system.start_child, spec, parent=self._place),
            name=f"start worker {worker.number}",
            to=lambda ref: _Ready(worker, ref),
            failed=lambda error: _NotReady(worker, error),
        )

    @handles
    def on_ready(self, message: _Ready) -> None:
        message.worker.ref = message.ref
        for stream in tuple(message.worker.streams):
            self._send(stream)

    @handles
    def on_not_ready(self, message: _NotReady) -> None:
        self._workers.remove(message.worker)
        cause = message.error.__cause__ or message.error
        for stream in tuple(message.worker.streams):
            detail = f"its worker does not start: {cause}"
            self._end(stream, self._fault(FaultKind.UNAVAILABLE, detail))

    def _send(self, stream: SphinxStream) -> None:
        """Give the worker what there is for it, unless it is busy with this stream."""
        worker = stream.worker.ref
        if worker is None or (batch := stream.backlog.next_batch()) is None:
            return
        begin = stream.hearing if batch.begin else None
        request = Recognise(stream.name, batch.pcm, batch.at, batch.mark is not None, begin)
        self.pipe(
            worker.ask(request, timeout=self._config.patience),
            to=lambda answer: _Heard(stream, batch, answer),
            failed=lambda error: _Unheard(stream, error),
        )

    @handles
    def on_heard(self, message: _Heard) -> None:
        stream, batch, answer = message.stream, message.batch, message.answer
        if not self._is_open(stream):
            return
        stream.losses = 0
        if stream.permit is not None:
            self._breaker.succeeded(stream.permit, self.now)
            stream.permit = None
        words = stream.backlog.heard(answer.words, final=answer.final)
        end = batch.at / RATE + len(batch.pcm) / (2 * RATE)
        transcript = Transcript(
            stream.called,
            " ".join(word.text for word in words),
            answer.final,
            words[0].start if words else stream.final_until,
            end,
            answer.confidence,
            words,
            batch.mark or 0,
        )
        closed = batch.mark == 0 and answer.final
        if answer.final:
            stream.told, stream.final_until = "", end
            if words or (batch.mark is not None and not closed):
                stream.to.tell(transcript)
        elif transcript.text != stream.told:
            stream.told = transcript.text
            stream.to.tell(transcript)
        if closed:
            self._end(stream, StreamClosed(transcript.stream))
        else:
            self._send(stream)

    @handles
    def on_unheard(self, message: _Unheard) -> None:
        stream, error = message.stream, message.error
        if not self._is_open(stream):
            return
        match error:
            # It is started again, or was and knows nothing.
            case ActorCrashed() | ActorStopped() | Refused():
                stream.losses += 1
                if stream.losses <= self._config.replays:
                    self._replays += 1
                    stream.backlog.lost()
                    self._revive(stream.worker)
                    self._send(stream)
                    return
                fault = self._fault(FaultKind.UNAVAILABLE, "its workers die of it")
            case AskTimeout():
                fault = self._fault(FaultKind.TIMEOUT, "its worker does not answer")
                self._restart(stream.worker)
            case _:
                fault = self._fault(FaultKind.UNAVAILABLE, type(error).__name__)
        self._blame(stream)
        self._end(stream, fault)

    def _revive(self, worker: WorkerPlace) -> None:
        """If it was given up by its supervisor, or stopped by hand, have another in its place."""
        if worker.ref is not None and not worker.ref.alive:
            worker.ref = None
            self._start(worker)

    def _restart(self, worker: WorkerPlace) -> None:
        """It hangs: end its process, and start another."""
        if worker.ref is None:
            return
        path = worker.ref.path
        worker.ref = None
        self.start_task(
            self.system.restart,
            path,
            to=lambda _: _Ready(worker, self.system.ref(path)),
            failed=lambda error: _NotReady(worker, error),
        )

    def _blame(self, stream: SphinxStream) -> None:
        """A stream that went well is lost: that counts as one failure, too."""
        if stream.permit is None:
            permit = self._breaker.allow(self.now)
            stream.permit = permit if isinstance(permit, Permit) else None
