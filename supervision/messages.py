"""What the runtime itself says to actors, and how an actor's life can end.

`Request[T]` is the base of every message that wants an answer of type T. `Terminated` is what a
watcher receives. `ExitReason` is the vocabulary that supervisors decide by.
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import attrs

if TYPE_CHECKING:
    from supervision.ref import ActorRef
    from supervision.reply import Reply

T_co = TypeVar("T_co", covariant=True)


class Request(Generic[T_co]):
    """A message that names its answer: `class Total(Request[int])` is answered with an int."""

    __slots__ = ()


class How(enum.Enum):
    """The ways an actor can end, as supervisors tell them apart."""

    NORMAL = "normal"
    """It stopped by itself, its work done."""
    SHUTDOWN = "shutdown"
    """It was told to stop, and did, in order."""
    CRASHED = "crashed"
    """A handler, hook or owned task raised."""
    KILLED = "killed"
    """It did not stop within its shutdown time and was cut off."""
    ESCALATED = "escalated"
    """It raised `Escalate`: no restart can help, its supervisor must fail."""


@attrs.frozen
class ExitReason:
    """Why an actor ended."""

    how: How
    error: BaseException | None = attrs.field(default=None, eq=False)
    report: str = ""
    """The id of the crash report, if there is one."""
    error_type: str = attrs.field(eq=False)
    """The type of the error, known even once the error is let go."""

    @error_type.default
    def _type_of_error(self) -> str:
        return type(self.error).__name__ if self.error is not None else ""

    @property
    def abnormal(self) -> bool:
        """True for what a transient child is restarted after."""
        return self.how not in (How.NORMAL, How.SHUTDOWN)

    def without_error(self) -> ExitReason:
        """The same, without what an error's traceback keeps alive."""
        return self if self.error is None else attrs.evolve(self, error=None)

    def __str__(self) -> str:
        return f"{self.how.value}: {self.error_type}" if self.error_type else self.how.value


NORMAL = ExitReason(How.NORMAL)
SHUTDOWN = ExitReason(How.SHUTDOWN)
KILLED = ExitReason(How.KILLED)


@attrs.frozen
class Terminated:
    """A watched actor is gone for good. Restarts do not count: its ref survived them."""

    ref: ActorRef[Any]
    reason: ExitReason


@attrs.frozen
class Wake:
    """The time set with `self.wake_at(...)` has come."""

    at: float
    """The node's time, seconds, as it was when the timer fired."""


@attrs.frozen
class StopRequest:
    """Stop once the messages before this one are handled: what `stop()` means in pykka."""

    reason: ExitReason


Envelope = tuple[int, int, Any, "Reply[Any] | None"]
"""(id, cause, message, reply): `cause` is the id of the message whose handling sent this one,
0 when it came from outside every actor. A plain tuple, because one is made for every message."""


class OwnMail(tuple[int, int, Any, None]):
    """An envelope that one life of an actor has arranged for: timers, outcomes, `Terminated`.

    It is never refused or dropped for want of room, and what that life has not handled of it when
    it ends does not reach the next one.
    """

    __slots__ = ()


IDLE: Envelope = (0, 0, None, None)
"""The current envelope while no handler runs."""
