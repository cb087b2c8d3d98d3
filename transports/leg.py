"""The conversation between a wire and the call it belongs to.

A *wire* is the actor that owns one connection: a browser's WebSocket, a telephone's media stream, a
loopback in a test. It knows how its far end talks, and nothing of calls. When somebody has come
in, it asks the *host* it was given `Attach`; the answer names two actors: one takes sound, one
takes all else. From then on

- the wire tells the leg's `audio` every `Frame` of its far end, as it came;
- the wire tells the leg's `events` what else happened (`WireEvent`);
- the call tells the wire sound and instructions (`WireMessage`).

A wire that ends without `HungUp` was lost: the leg is kept for a while, and a new wire may take it
over with the leg's resume token.
"""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from models.audio import Frame
from supervision import ActorRef, Request
from supervision.secret import Secret

# -- what the call tells a wire ---------------------------------------------------------------


@attrs.frozen
class Clear:
    """Drop all sound that was sent and not played yet; answered by `Cleared` with this number."""

    number: int


@attrs.frozen
class SendMark:
    """Say when all that was sent before this has been played: answered by `MarkPlayed`."""

    name: str


@attrs.frozen
class CloseWire:
    """Say goodbye and hang up, within the wire's write timeout."""

    reason: str


@attrs.frozen
class ShowTranscript:
    """What the user says, as far as it is understood."""

    turn: int
    text: str
    final: bool
    leg: str = ""


@attrs.frozen
class ShowSpeech:
    """More of the text that the agent is about to say in this utterance."""

    utterance: int
    text: str
    """All of it so far."""
    agent: str


@attrs.frozen
class ShowSpoken:
    """The spoken-so-far mark: so many characters of the utterance's text have been heard."""

    utterance: int
    characters: int


@attrs.frozen
class ShowSaid:
    """What history holds of the utterance, now that it is over."""

    utterance: int
    text: str
    interrupted: bool
    agent: str


@attrs.frozen
class ShowFloors:
    """Who has the floor. Names of states as in docs/voice.md, in lower case."""

    user: str
    agent: str
    at: float
    """Seconds since the call began."""


@attrs.frozen
class ShowTurn:
    """How long the parts of a turn's latency took; they add up to `total_ms`."""

    turn: int
    parts_ms: Mapping[str, float]
    total_ms: float
    barge_in_ms: float | None = None
    """From the first sample of the user's speech to silence, if the turn was a barge-in."""


@attrs.frozen
class ShowAgent:
    """Another agent has the conversation."""

    name: str
    reason: str = ""


@attrs.frozen
class ShowTool:
    """A tool was called, or has answered."""

    id: str
    name: str
    state: str
    """One of "started", "done", "failed" or "cancelled"."""
    detail: str = ""


@attrs.frozen
class ShowNotice:
    """Something the person should know: a provider failed, the line came back."""

    text: str
    level: str = "info"
    """One of "info", "warning", "error"."""


Show = (
    ShowTranscript
    | ShowSpeech
    | ShowSpoken
    | ShowSaid
    | ShowFloors
    | ShowTurn
    | ShowAgent
    | ShowTool
    | ShowNotice
)
"""For wires whose far end has a screen; others drop them."""

WireMessage = Frame | Clear | SendMark | CloseWire | Show

# -- what a wire tells the call ---------------------------------------------------------------


@attrs.frozen
class Played:
    """The far end has played so many samples of what it was sent, since the wire attached."""

    samples: int


@attrs.frozen
class Cleared:
    """The far end has dropped its sound."""

    number: int
    samples: int
    """Played since the wire attached, exactly."""
    dropped: int
    """Samples it had received and will not play."""


@attrs.frozen
class MarkPlayed:
    """All that was sent before the mark has been played. Never told for a mark that was cleared."""

    name: str


@attrs.frozen
class Dtmf:
    """A key was pressed: one of 0-9 * # A-D."""

    digit: str


@attrs.frozen
class Typed:
    """The person wrote instead of speaking."""

    text: str


@attrs.frozen
class Muted:
    """The person turned the microphone off or on."""

    muted: bool


@attrs.frozen
class HungUp:
    """The far end left on purpose; the leg is over."""

    reason: str = ""


WireEvent = Played | Cleared | MarkPlayed | Dtmf | Typed | Muted | HungUp

# -- coming in --------------------------------------------------------------------------------


@attrs.frozen
class WireCapabilities:
    """What a far end can do, and how much it is sent ahead."""

    reports_played: bool = False
    """It tells `Played` about every 100 ms. Otherwise the clock of what was sent is believed."""
    counts_cleared: bool = False
    """`Cleared` carries exact numbers. Otherwise the call's own estimate stands."""
    marks: bool = False
    shows: bool = False
    """It has a screen: `Show` messages mean something to it."""
    send_ahead: float = 0.06
    """Seconds of sound that may be on the way: the far end's buffer against jitter."""
    frame: float = 0.02
    """Seconds of sound sent at a time."""


@attrs.frozen
class Attached:
    """You are the wire of this leg from now on."""

    call: str
    leg: str
    audio: ActorRef[Frame]
    events: ActorRef[WireEvent]
    resume: Secret
    """What a later wire shows to take the leg over."""
    resumed: bool = False
    """It took over a leg that was there before."""


@attrs.frozen
class Attach(Request[Attached]):
    """Somebody has come in, or back. Refused (`Refused`) with a reason they may be told."""

    wire: ActorRef[WireMessage]
    rate_in: int
    """Of the frames that the wire will tell."""
    rate_out: int
    """Of the frames that the wire wants."""
    capabilities: WireCapabilities
    call: str = ""
    """The call to join as another leg; "" begins a new one."""
    resume: Secret | None = None
    """The leg to take over."""
    agent: str = ""
    """Who should answer a new call; "" is the configured one."""
    params: Mapping[str, str] = attrs.field(factory=dict)
    """What the far end said about itself; at most 32 short strings."""
