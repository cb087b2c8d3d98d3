"""What the speaker tells the session."""

from __future__ import annotations

import attrs

from actors.machines.ledger import Span
from models.faults import ModelFault
from models.words import Word


@attrs.frozen
class PieceBegins:
    """This stretch of the text will be spoken next."""

    epoch: int
    piece: int
    source: str
    spans: tuple[Span, ...]
    filler: bool


@attrs.frozen
class PieceGoesOn:
    """Another voice speaks the rest of the piece."""

    epoch: int
    piece: int
    rest: str
    spans: tuple[Span, ...]


@attrs.frozen
class PieceSounds:
    """So many more seconds of it were handed to the tracks."""

    epoch: int
    piece: int
    seconds: float
    words: tuple[Word, ...]


@attrs.frozen
class PieceEnds:
    """No more sound of the piece comes."""

    epoch: int
    piece: int


@attrs.frozen
class SpeechEnds:
    """No more sound of the utterance comes."""

    epoch: int


@attrs.frozen
class VoiceFailed:
    """A voice could not go on; another one is tried."""

    epoch: int
    fault: ModelFault
    given_up: bool
    """There is no other one."""


@attrs.frozen
class SpeakerHere:
    """The speaker runs (again): what it was speaking is lost."""


FromSpeaker = (
    PieceBegins | PieceGoesOn | PieceSounds | PieceEnds | SpeechEnds | VoiceFailed | SpeakerHere
)
