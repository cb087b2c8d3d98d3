"""What a session decides: one class for everything that others are to do.

The machine returns them in the order in which they are to be carried out; silence comes first.
"""

from __future__ import annotations

import attrs

from actors.machines.barge_in import Why
from actors.machines.turn_clock import TurnLatency
from models.conversation import Item

# -- to the output tracks of all legs ---------------------------------------------------------


@attrs.frozen
class Begin:
    """From now on the sound of this utterance is played, and of no other."""

    epoch: int


@attrs.frozen
class Duck:
    """Play quieter, or as before."""

    on: bool


@attrs.frozen
class Hold:
    """Be silent now, and tell the position."""

    epoch: int


@attrs.frozen
class Resume:
    """Go on from that position, in seconds of the utterance."""

    epoch: int
    position: float


@attrs.frozen
class Drop:
    """The utterance is over; drop what is left of it."""

    epoch: int


# -- to the agent -----------------------------------------------------------------------------


@attrs.frozen
class Think:
    """Begin to answer this, in case it is what the turn will be. Nothing may be said or done."""

    number: int
    text: str
    leg: str
    history: tuple[Item, ...]
    agent: str


@attrs.frozen
class Unthink:
    """That thought holds no longer."""

    number: int


@attrs.frozen
class TakeTurn:
    """Answer. The history ends with what is to be answered."""

    epoch: int
    turn: int
    history: tuple[Item, ...]
    agent: str
    thought: int | None = None
    """The thought that holds, if one does."""
    reason: str = "user"
    """Either "user", or why the agent wanted to speak by itself: "greeting", "delegation", …"""


@attrs.frozen
class CutTurn:
    """That turn is over: stop generating, start no tool."""

    epoch: int


# -- to the speaker ---------------------------------------------------------------------------


@attrs.frozen
class Utter:
    """Speak this text, after what the utterance has already."""

    epoch: int
    text: str
    last: bool
    """Nothing follows it in this utterance."""
    filler: bool = False


@attrs.frozen
class CutSpeech:
    """That utterance is over: make no more sound of it."""

    epoch: int


@attrs.frozen
class Heard:
    """So many seconds of the utterance have been heard: there is room for more."""

    epoch: int
    position: float


# -- to a leg's ears --------------------------------------------------------------------------


@attrs.frozen
class OpenEars:
    """The recogniser is to hear this leg, from that moment on."""

    leg: str
    since: float


@attrs.frozen
class AskWords:
    """Say what was understood up to here, as a final transcript."""

    leg: str
    number: int


@attrs.frozen
class CloseEars:
    """The recogniser need not hear this leg for now."""

    leg: str


@attrs.frozen
class AskOpinion:
    """Ask the end-of-turn model whether this is a whole turn."""

    leg: str
    token: int
    """To be given back with the answer."""
    text: str
    since: float
    """When its first sound was made."""


# -- to the call, and to whoever looks on -----------------------------------------------------


@attrs.frozen
class Commit:
    """This belongs to history from now on."""

    item: Item


@attrs.frozen
class EndCall:
    """The conversation is over."""

    reason: str


@attrs.frozen
class Understanding:
    """What the user says, as far as it is understood."""

    leg: str
    turn: int
    text: str
    final: bool


@attrs.frozen
class Piece:
    """More of what the agent is about to say."""

    epoch: int
    text: str
    agent: str


@attrs.frozen
class Spoken:
    """This of the utterance has been heard so far."""

    epoch: int
    text: str


@attrs.frozen
class Said:
    """An utterance is over, and this of it was heard."""

    epoch: int
    text: str
    interrupted: bool
    agent: str


@attrs.frozen
class Floors:
    """Who has the floor."""

    leg: str
    user: str
    agent: str


@attrs.frozen
class Overlap:
    """Somebody spoke while the agent did, and it came to nothing."""

    leg: str
    why: Why
    text: str


@attrs.frozen
class TurnTaken:
    """The latency of a turn is known."""

    latency: TurnLatency


@attrs.frozen
class LongTurn:
    """A user's turn goes beyond its limits."""

    leg: str
    seconds: float
    words: int


Decision = (
    Begin
    | Duck
    | Hold
    | Resume
    | Drop
    | Think
    | Unthink
    | TakeTurn
    | CutTurn
    | Utter
    | CutSpeech
    | Heard
    | OpenEars
    | AskWords
    | CloseEars
    | AskOpinion
    | Commit
    | EndCall
    | Understanding
    | Piece
    | Spoken
    | Said
    | Floors
    | Overlap
    | TurnTaken
    | LongTurn
)
