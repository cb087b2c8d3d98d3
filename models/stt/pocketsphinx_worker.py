"""The part of the pocketsphinx recogniser that runs in a worker process: decoders.

A decoder holds the interpreter while it works (0.2 ms per 20 ms of audio with a grammar, 2 ms with
the general model), which is why it is not on the loop. It hears one stream at a time, so each
stream has one, and those of streams that are over are used again.
"""

from __future__ import annotations

import re
from typing import Any

import attrs

from models.local import EngineMissing
from models.words import Word
from supervision import Refuse, Request, WorkerActor, handles

RATE = 16000
"""Samples per second that the bundled model was made for."""
FRAMES_PER_SECOND = 100

IDLE = 4.0
"""Seconds of audio without a word after which an utterance is begun anew: what a decoder remembers
of silence only costs memory and time."""
ONSET = 0.6
"""Seconds of that audio that the new one is given, for a word may have begun in them."""
LONGEST = 30.0
"""Seconds of audio after which an utterance with words is finished, flush or not."""

CMN = "40,3,-1,0,0,0,0,0,0,0,0,0,0"
"""The mean of the features that a new stream begins with (the model's own `feat.params`); without
it a stream would begin with the voice of the one before."""

_SEARCH = "sentences"


class BadGrammar(Exception):
    """The decoder cannot listen for it."""

    def __str__(self) -> str:
        return (
            f"the grammar that begins with {self.args[0]!r} cannot be used: it is not in the Java "
            "Speech Grammar Format, or it has a word that the dictionary has not"
        )


@attrs.frozen
class Hearing:
    """What a stream's decoder listens for."""

    sentences: tuple[str, ...] = ()
    """Only these, any number of them in a row; none: whatever `jsgf` says."""
    jsgf: str = ""
    """A grammar in the Java Speech Grammar Format; "": any English."""


@attrs.frozen
class Understood:
    """What the worker makes of the audio so far."""

    words: tuple[Word, ...]
    """Since the last final, in seconds of the stream."""
    final: bool
    confidence: float = 1.0


@attrs.frozen
class Recognise(Request[Understood]):
    """Hear more of a stream. Refused if it is unknown and not begun: the worker was restarted."""

    stream: str
    pcm: bytes
    """Mono s16le at 16 kHz."""
    at: int
    """Its first sample, counted from the start of the stream."""
    finish: bool
    begin: Hearing | None
    """Begin the stream; forgets what it may have been before."""


@attrs.frozen
class Forget:
    """The stream is over."""

    stream: str


@attrs.frozen
class ForgetAll:
    """All streams are over: their front was started again."""


@attrs.define(eq=False)
class _Utterance:
    """One stream, and what it is saying."""

    decoder: Any
    general: bool
    """It listens for any English."""
    started: bool = False
    origin: int = 0
    """The stream's sample that the utterance began with."""
    samples: int = 0
    tail: bytes = b""
    """The newest of it, for a new beginning."""


class SphinxWorker(WorkerActor[Recognise | Forget | ForgetAll]):
    """Decodes the streams that its front gives it. Model files are opened in the worker."""

    def __init__(
        self, engine: str, model: str, dictionary: str, language_model: str, first: Hearing
    ) -> None:
        """What to listen with; "" is what comes with the package.

        Args:
            model: the folder of the acoustic model.
            first: what the first stream will probably listen for; its decoder is made at the start.
        """
        super().__init__()
        self._engine = engine
        self._files = {"hmm": model, "dict": dictionary, "lm": language_model}
        self._first = first
        self._streams: dict[str, _Utterance] = {}
        self._free: dict[bool, list[Any]] = {False: [], True: []}
        """Decoders without and with a general language model."""

    def on_start(self) -> None:
        """Load the model, 0.1 to 0.5 s, before anybody speaks.

        Raises:
            EngineMissing: pocketsphinx cannot be imported.
            BadGrammar: the configured grammar is none, or has words that are in no dictionary.
        """
        first = self._begin(self._first)
        self._free[first.general].append(first.decoder)

    @handles
    def on_recognise(self, message: Recognise) -> Understood:
        if message.begin is not None:
            self._forget(message.stream)
            self._streams[message.stream] = self._begin(message.begin)
        utterance = self._streams.get(message.stream)
        if utterance is None:
            raise Refuse(f"no stream {message.stream!r} has begun here")
        _feed(utterance, message.pcm, message.at)
        if message.finish:
            return _finish(utterance)
        words = _words(utterance)
        if utterance.samples > LONGEST * RATE and words:
            return _finish(utterance)
        if utterance.samples > IDLE * RATE and not words:
            _start_anew(utterance)
        return Understood(words, final=False)

    @handles
    def on_forget(self, message: Forget) -> None:
        self._forget(message.stream)

    @handles
    def on_forget_all(self, _message: ForgetAll) -> None:
        for stream in tuple(self._streams):
            self._forget(stream)

    def _forget(self, stream: str) -> None:
        utterance = self._streams.pop(stream, None)
        if utterance is not None:
            if utterance.started:
                utterance.decoder.end_utt()
            self._free[utterance.general].append(utterance.decoder)

    def _begin(self, hearing: Hearing) -> _Utterance:
        general = not (hearing.sentences or hearing.jsgf)
        free = self._free[general]
        decoder = free.pop() if free else self._new_decoder(general)
        jsgf = hearing.jsgf
        if hearing.sentences:
            jsgf = grammar_of(
                [s for s in hearing.sentences if all(map(decoder.lookup_word, words_of(s)))]
            )
            if not jsgf:  # it knows none of them, so better any English than deaf
                free.append(decoder)
                return self._begin(Hearing())
        if jsgf:
            try:
                decoder.add_jsgf_string(_SEARCH, jsgf)
            except ValueError as error:
                raise BadGrammar(jsgf.partition("\n")[0]) from error
            decoder.activate_search(_SEARCH)
        decoder.set_cmn(CMN)
        return _Utterance(decoder, general)

    def _new_decoder(self, general: bool) -> Any:
        try:
            from pocketsphinx import Decoder
        except ImportError as error:
            raise EngineMissing(self._engine, "pocketsphinx", str(error)) from error
        options: dict[str, Any] = {name: path for name, path in self._files.items() if path}
        if not general:
            options["lm"] = None  # saves 60 MB and 0.3 s
            # The best path through the lattice is the one it has found already, for a grammar
            # leaves little choice; but with some hundred sentences in a loop, looking for it takes
            # a minute now and then.
            options["bestpath"] = False
        return Decoder(samprate=RATE, loglevel="FATAL", **options)


def words_of(sentence: str) -> list[str]:
    """The words of a sentence as the dictionary spells them."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", sentence.lower().replace("’", "'"))


def grammar_of(sentences: list[str]) -> str:
    """A grammar of any number of these sentences in a row; "" if there are none."""
    spelled = [" ".join(words_of(sentence)) for sentence in sentences]
    choices = " | ".join(dict.fromkeys(s for s in spelled if s))
    if not choices:
        return ""
    return f"#JSGF V1.0;\ngrammar sentences;\npublic <sentences> = ( {choices} )+;\n"


def _feed(utterance: _Utterance, pcm: bytes, at: int) -> None:
    if not pcm:
        return
    if not utterance.started:
        utterance.decoder.start_utt()
        utterance.started = True
        utterance.origin, utterance.samples, utterance.tail = at, 0, b""
    utterance.decoder.process_raw(pcm, False, False)
    utterance.samples += len(pcm) // 2
    utterance.tail = (utterance.tail + pcm)[-2 * int(ONSET * RATE) :]


def _start_anew(utterance: _Utterance) -> None:
    end = utterance.origin + utterance.samples
    tail = utterance.tail
    utterance.decoder.end_utt()
    utterance.started = False
    _feed(utterance, tail, end - len(tail) // 2)


def _finish(utterance: _Utterance) -> Understood:
    if not utterance.started:
        return Understood((), final=True)
    utterance.decoder.end_utt()
    utterance.started = False
    words = _words(utterance)
    utterance.samples = 0
    # How probable the whole sentence is the decoder knows too, but long ones always seem doubtful.
    sure = [s.prob for s in utterance.decoder.seg() or () if _is_word(s)] if words else []
    return Understood(words, True, round(min(1.0, sum(sure) / len(sure)), 3) if sure else 1.0)


def _words(utterance: _Utterance) -> tuple[Word, ...]:
    """The words so far; none while only fillers were heard."""
    if not utterance.samples or utterance.decoder.hyp() is None:
        return ()
    origin = utterance.origin / RATE
    end = (utterance.origin + utterance.samples) / RATE
    words = []
    for segment in utterance.decoder.seg() or ():
        if _is_word(segment):
            text = segment.word.partition("(")[0]  # "(2)": the second way to pronounce it
            begin = min(origin + segment.start_frame / FRAMES_PER_SECOND, end)
            until = min(origin + (segment.end_frame + 1) / FRAMES_PER_SECOND, end)
            words.append(Word(text, round(begin, 3), round(until, 3)))
    return tuple(words)


def _is_word(segment: Any) -> bool:
    """And no silence, noise, breath or step of the grammar."""
    return segment.word[0] not in "<[+("
