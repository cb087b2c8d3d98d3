"""One ElevenLabs utterance as a pure machine: pieces of text in, sound and words of each out.

The socket has one stream of sound for all texts of an utterance and does not say where one ends.
Each piece is flushed, so that no chunk belongs to two, and the characters that come back with the
sound are counted off against the pieces, one by one.
Source: ElevenLabs API reference, "Text to Speech WebSocket". Character times are those of their
chunk, not of the stream.
"""

from __future__ import annotations

from base64 import b64decode
from collections import deque
from typing import Any

import attrs
import orjson

from models.faults import FaultKind
from models.net.faults import ProviderFault, code_of, garbled
from models.net.http import to_json
from models.words import Word

END = '{"text":""}'
"""No more text follows: the rest is spoken, and the server closes the socket."""

_ENOUGH = 0.9
"""The share of a piece's characters that must have come back, if no more do, to take it for spoken:
some voices leave out characters they do not speak."""

_UNAUTHORIZED = (
    "invalid_api_key",
    "unauthorized",
    "missing_permissions",
    "quota_exceeded",
    "needs_authorization",
    "payment",
)
_BUSY = ("concurrent", "rate_limit", "too_many", "busy")


@attrs.frozen
class Sound:
    """Some sound of a piece."""

    piece: int
    pcm: bytes
    words: tuple[Word, ...]


@attrs.frozen
class PieceSpoken:
    """All sound of a piece has come."""

    piece: int
    seconds: float


@attrs.define(eq=False)
class _Text:
    """A piece that is not spoken yet."""

    piece: int
    text: str
    last: bool
    sent: bool = False
    left: int = 0
    """Characters that have not come back, blanks not counted."""
    samples: int = 0
    word: Word | None = None
    """The word that has begun to come back."""

    @property
    def length(self) -> int:
        return sum(not c.isspace() for c in self.text)


@attrs.define
class ElevenLabsLine:
    """The pieces of one utterance, on one connection after the other if need be."""

    rate: int
    _texts: deque[_Text] = attrs.field(factory=deque, init=False)
    """The pieces that are not spoken, in order."""
    ended: bool = attrs.field(default=False, init=False)
    """`END` was sent on this connection."""
    _odd: bytes = attrs.field(default=b"", init=False)

    @property
    def waiting(self) -> bool:
        """Whether sound must come."""
        return bool(self._texts) and self._texts[0].sent

    @property
    def untouched(self) -> bool:
        """Whether nothing of the first piece has come yet, so that it can be asked for again."""
        return not self._texts or self._texts[0].samples == 0

    def add(self, piece: int, text: str, last: bool) -> None:
        """One more piece. One without a letter or digit has no sound."""
        said = " ".join(text.split()) if any(c.isalnum() for c in text) else ""
        self._texts.append(_Text(piece, said, last))

    def connected(self) -> None:
        """A new connection: what is not spoken is asked for again."""
        self.ended, self._odd = False, b""
        for text in self._texts:
            text.sent, text.left, text.samples, text.word = False, text.length, 0, None

    def next_to_send(self) -> str | None:
        """The next message to the server; None if there is nothing to say now."""
        for text in self._texts:
            if self.ended:
                return None
            if not text.sent:
                text.sent, text.left = True, text.length
                if text.text:
                    return to_json({"text": f"{text.text} ", "flush": True}).decode()
            if text.last:
                self.ended = True
                return END
        return None

    def spoken(self) -> list[PieceSpoken]:
        """The pieces at the head of the line that are complete."""
        done: list[PieceSpoken] = []
        while self._texts and self._texts[0].sent and self._texts[0].left <= 0:
            done.append(self._take_off())
        return done

    def received(self, message: str | bytes) -> list[Sound | PieceSpoken]:
        """A message of the server: what it brings, in order.

        Raises:
            ProviderFault: it reports an error, or is no message of this protocol.
        """
        try:
            answer = orjson.loads(message)
            if answer.get("error") or (answer.get("message") and not answer.get("audio")):
                raise _reported(answer)
            told: list[Sound | PieceSpoken] = []
            if answer.get("audio"):
                told += self._chunk(b64decode(answer["audio"], validate=True), _characters(answer))
            if answer.get("isFinal"):
                told += self._final()
        except (orjson.JSONDecodeError, TypeError, ValueError, KeyError, AttributeError) as error:
            raise garbled("not a message of ElevenLabs'") from error
        return told

    def settled(self) -> list[Sound | PieceSpoken]:
        """Nothing more comes: the first piece is taken for spoken if nearly all of it came."""
        text = self._texts[0] if self._texts else None
        if text is None or not text.samples or text.left > text.length * (1 - _ENOUGH):
            return []
        return [*self._last_word(text), self._take_off()]

    # -- chunks ---------------------------------------------------------------------------

    def _chunk(
        self, pcm: bytes, characters: list[tuple[str, float, float]]
    ) -> list[Sound | PieceSpoken]:
        pcm = self._odd + pcm
        whole = len(pcm) // 2 * 2
        pcm, self._odd = pcm[:whole], pcm[whole:]
        told: list[Sound | PieceSpoken] = []
        told += self.spoken()  # pieces without sound
        while self._texts and self._texts[0].sent:
            text = self._texts[0]
            mine = self._share(text, characters)
            characters = characters[len(mine) :]
            # Does another piece begin in this chunk? Then its first character tells where.
            at = int(characters[0][1] * self.rate) * 2 if characters else len(pcm)
            words = self._words(text, mine)
            told.append(Sound(text.piece, pcm[:at], words))
            text.samples += len(pcm[:at]) // 2
            pcm = pcm[at:]
            if text.left <= 0:
                told += self._last_word(text)
                told.append(self._take_off())
                told += self.spoken()
            if not characters:
                break
            characters = [
                (c, a - at / (2 * self.rate), b - at / (2 * self.rate)) for c, a, b in characters
            ]
        return told

    def _share(
        self, text: _Text, characters: list[tuple[str, float, float]]
    ) -> list[tuple[str, float, float]]:
        """The characters that belong to this piece: as many as it still lacks, and blanks."""
        for count, (character, _, _) in enumerate(characters):
            if not character.isspace():
                if text.left <= 0:
                    return characters[:count]
                text.left -= 1
        return characters

    def _words(self, text: _Text, characters: list[tuple[str, float, float]]) -> tuple[Word, ...]:
        """The words that these characters complete, in seconds of the piece."""
        words: list[Word] = []
        before = text.samples / self.rate
        for character, start, end in characters:
            if character.isspace():
                if text.word is not None:
                    words.append(text.word)
                text.word = None
            elif text.word is None:
                text.word = Word(character, before + start, before + end)
            else:
                text.word = Word(text.word.text + character, text.word.start, before + end)
        return tuple(words)

    def _last_word(self, text: _Text) -> list[Sound]:
        """The piece is over, and with it its last word."""
        word, text.word = text.word, None
        return [Sound(text.piece, b"", (word,))] if word is not None else []

    def _final(self) -> list[Sound | PieceSpoken]:
        told: list[Sound | PieceSpoken] = []
        while self._texts and self._texts[0].sent:
            told += self._last_word(self._texts[0])
            told.append(self._take_off())
        return told

    def _take_off(self) -> PieceSpoken:
        text = self._texts.popleft()
        return PieceSpoken(text.piece, text.samples / self.rate)


def _characters(answer: dict[str, Any]) -> list[tuple[str, float, float]]:
    """The characters of a chunk with their start and end in it, seconds."""
    alignment = answer.get("alignment") or {}
    starts = alignment.get("charStartTimesMs") or ()
    lengths = alignment.get("charDurationsMs") or alignment.get("charsDurationsMs") or ()
    return [
        (str(character), start / 1000, (start + length) / 1000)
        for character, start, length in zip(
            alignment.get("chars") or (), starts, lengths, strict=True
        )
    ]


def _reported(answer: dict[str, Any]) -> ProviderFault:
    code = code_of(answer)
    detail = f"error {code or 'unnamed'}"
    if any(name in code for name in _UNAUTHORIZED):
        return ProviderFault(FaultKind.UNAUTHORIZED, detail)
    if any(name in code for name in _BUSY):
        return ProviderFault(FaultKind.RATE_LIMITED, detail)
    if answer.get("code") == 1008:  # policy: it minds what it was sent
        return ProviderFault(FaultKind.REJECTED, detail)
    return ProviderFault(FaultKind.UNAVAILABLE, detail)
