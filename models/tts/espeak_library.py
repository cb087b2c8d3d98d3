"""espeak-ng's C library, called in process by ctypes (espeak/speak_lib.h of espeak-ng 1.52).

The library holds one voice, one callback and one synthesis per process: whoever calls it has the
lock. It releases the interpreter while it computes.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import attrs

from models.local import EngineMissing

_SYNCHRONOUS = 2
_CHUNK_MS = 60
"""It makes no smaller chunks, whatever one asks for."""
_DONT_EXIT = 0x8000
"""A library that cannot find its data would end the process otherwise."""
_UTF8 = 1
_RATE, _VOLUME, _PITCH = 1, 2, 3
_LIST_TERMINATED, _WORD, _END = 0, 1, 5
_OK = 0


class _Identity(ctypes.Union):
    _fields_ = [
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    ]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _Identity),
    ]


class _Voice(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender", ctypes.c_ubyte),
        ("age", ctypes.c_ubyte),
        ("variant", ctypes.c_ubyte),
        ("unused", ctypes.c_ubyte),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    ]


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)

_lock = threading.Lock()  # as global as what it guards


@attrs.frozen
class WordAt:
    """It begins to say the word at this character (from 0) at this sample."""

    character: int
    sample: int


@attrs.frozen
class ClauseEnd:
    """A clause has ended, pause and all, at this sample."""

    sample: int


class NoSuchVoice(Exception):
    """The library has no voice of that name."""


class Espeak:
    """The library, opened. Any thread; calls wait for each other."""

    def __init__(self, engine: str) -> None:
        """Open it: 1 to 3 ms.

        Raises:
            EngineMissing: it is not installed, or does not work here.
        """
        try:
            import espeakng_loader
        except ImportError as error:
            raise EngineMissing(engine, "espeakng_loader", str(error)) from error
        try:
            self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        except OSError as error:
            raise EngineMissing(engine, "espeakng_loader", str(error)) from error
        self._library.espeak_GetCurrentVoice.restype = ctypes.POINTER(_Voice)
        data = espeakng_loader.get_data_path().encode()
        with _lock:
            self.rate: int = self._library.espeak_Initialize(
                _SYNCHRONOUS, _CHUNK_MS, data, _DONT_EXIT
            )
        if self.rate <= 0:
            raise EngineMissing(engine, "espeakng_loader", "it does not find its voices")

    def speak(
        self,
        text: str,
        voice: str,
        on_chunk: Callable[[bytes, Sequence[WordAt | ClauseEnd]], bool],
        *,
        words_per_minute: int,
        pitch: int,
        volume: int,
    ) -> None:
        """Speak the text, chunk by chunk: mono s16le at `rate`, 60 ms or less, with its events.

        Args:
            on_chunk: takes them on this thread; False ends it.
            pitch: 0 to 100, 50 is the voice's own.
            volume: percent.

        Raises:
            NoSuchVoice: by that name.
        """
        failures: list[BaseException] = []

        def take(samples: Any, count: int, events: Any) -> int:
            try:
                pcm = ctypes.string_at(samples, 2 * count) if samples and count > 0 else b""
                return 0 if on_chunk(pcm, _events(events)) else 1
            except BaseException as error:  # noqa: BLE001, it would be lost in the C code
                failures.append(error)
                return 1

        callback = _Callback(take)
        # A zero byte would end the text; characters are counted, so another takes its place.
        raw = text.replace("\0", " ").encode(errors="replace") + b"\0"
        with _lock:
            library = self._library
            self._choose(voice)
            for parameter, value in ((_RATE, words_per_minute), (_PITCH, pitch), (_VOLUME, volume)):
                library.espeak_SetParameter(parameter, value, 0)
            library.espeak_SetSynthCallback(callback)
            library.espeak_Synth(raw, ctypes.c_size_t(len(raw)), 0, 1, 0, _UTF8, None, None)
        if failures:
            raise failures[0]

    def _choose(self, voice: str) -> None:
        """Speak with that voice: the name of one, or a language, and a variant ("en-gb+f3")."""
        library = self._library
        if library.espeak_SetVoiceByName(voice.encode()) == _OK:
            return
        language, plus, variant = voice.partition("+")
        wanted = _Voice(languages=language.encode())
        if library.espeak_SetVoiceByProperties(ctypes.byref(wanted)) != _OK:
            raise NoSuchVoice(voice)
        if plus:  # which the search by language knows nothing of
            found: bytes = library.espeak_GetCurrentVoice().contents.identifier
            if library.espeak_SetVoiceByName(found + b"+" + variant.encode()) != _OK:
                raise NoSuchVoice(voice)


def _events(events: Any) -> list[WordAt | ClauseEnd]:
    found: list[WordAt | ClauseEnd] = []
    index = 0
    while events and (event := events[index]).type != _LIST_TERMINATED:
        if event.type == _WORD:
            found.append(WordAt(event.text_position - 1, event.sample))
        elif event.type == _END:
            found.append(ClauseEnd(event.sample))
        index += 1
    return found
