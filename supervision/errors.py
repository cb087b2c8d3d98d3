"""Everything the runtime raises, sorted by what the catcher does next.

```
SupervisionError
├── Refused             the actor said no, or could not take the message; it lives
│   ├── NotAccepted     fix the code: this actor has no handler for that type
│   ├── MailboxFull     try again later, or `await ref.send(...)`
│   └── StartFailed     the actor that was to be started could not be
├── ActorCrashed        the actor failed while it had the request; it may be back already
├── ActorStopped        it is gone for good            (also a pykka.ActorDeadError)
├── AskTimeout          no answer in time              (also a pykka.Timeout)
│   └── AskCycle        no answer could ever come: the waiting actors form a ring
├── NoSuchActor         no actor has that path
├── BlockingOnLoop      fix the code: this would have stopped the whole node
├── NodeFailed          the root supervisor gave up
└── StuckTask           the node closed, but something in it would not end
```

An `ask` ends in a value or in one of the first four families; in nothing else, and never in
nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import pykka


class SupervisionError(Exception):
    """The root of all errors of the runtime."""


class Refuse(Exception):
    """Raise it in a handler to say no: the asker gets `Refused`, the actor goes on unharmed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def answer(self, actor: str) -> Refused:
        """What the asker gets."""
        return Refused(actor, self.reason)


class Escalate(Exception):
    """Raise it in a handler when no restart of this actor can help: its supervisor fails."""


@attrs.define(eq=False, slots=False)
class Refused(SupervisionError):
    """The actor said no. It lives, and the same request would be refused again."""

    actor: str
    reason: str

    def __str__(self) -> str:
        return f"{self.actor} refused: {self.reason}"


@attrs.define(eq=False, slots=False)
class NotAccepted(Refused):
    """The actor has no handler for this type; the message never reached it."""

    message_type: type = object
    accepted: Sequence[str] = ()

    def __str__(self) -> str:
        known = ", ".join(self.accepted) or "nothing"
        return (
            f"{self.actor} does not accept {self.message_type.__qualname__}; it accepts {known}. "
            f"Add a handler for it, or send it to another actor."
        )


@attrs.define(eq=False, slots=False)
class MailboxFull(Refused):
    """The mailbox has no room; the message is attached, nothing was lost."""

    capacity: int = 0
    undelivered: object = attrs.field(default=None, repr=False)

    def __str__(self) -> str:
        return (
            f"{self.actor} already has {self.capacity} messages waiting. Use `await ref.send(...)` "
            "to wait for room, or give the mailbox a drop policy if losing this one is harmless."
        )


@attrs.define(eq=False, slots=False)
class ActorCrashed(SupervisionError):
    """The actor failed while it had the request. The fault is the `__cause__`."""

    actor: str
    report: str
    """The id of the crash report, for `system.crashes()`."""

    def __str__(self) -> str:
        return (
            f"{self.actor} crashed while it had this request (crash report {self.report}). "
            "It was not retried: ask again if asking twice is safe."
        )


@attrs.define(eq=False, slots=False)
class ActorStopped(SupervisionError, pykka.ActorDeadError):
    """The actor is gone for good; no message will reach it."""

    actor: str
    why: str = "has stopped; look it up again by its path, or watch it to be told in time"

    def __str__(self) -> str:
        return f"{self.actor} {self.why}"


@attrs.define(eq=False, slots=False)
class AskTimeout(SupervisionError, pykka.Timeout):
    """No answer came in time. The request may still be carried out: it cannot be taken back."""

    actor: str
    waited: float
    """Seconds the asker allowed."""

    def __str__(self) -> str:
        return (
            f"{self.actor} did not answer within {self.waited:g} s. It may still carry the request "
            "out; `ask(..., timeout=...)` allows longer."
        )


@attrs.define(eq=False, slots=False)
class AskCycle(AskTimeout):
    """Each of these actors waits for the next one's answer, so none can ever come."""

    ring: Sequence[str] = ()

    def __str__(self) -> str:
        path = " → ".join(self.ring)
        return (
            f"waiting here would never end: {path}. Break the ring: answer without asking back, "
            "or use `self.pipe(ref.ask(...), to=...)`, which does not pause the mailbox."
        )


@attrs.define(eq=False, slots=False)
class NoSuchActor(SupervisionError):
    """There is no actor at this path, or no more."""

    path: str
    nearest: Sequence[str] = ()

    def __str__(self) -> str:
        hint = f" Did you mean {' or '.join(self.nearest)}?" if self.nearest else ""
        return f"there is no actor at {self.path}.{hint} `system.tree()` shows what runs."


@attrs.define(eq=False, slots=False)
class BlockingOnLoop(SupervisionError):
    """A blocking call on the loop's own thread, which would have stopped the whole node."""

    what: str

    def __str__(self) -> str:
        return (
            f"{self.what} would block the event loop. Write `await reply` in async code, "
            "`self.pipe(reply, to=...)` in a handler; `.get()` is for other threads."
        )


@attrs.define(eq=False, slots=False)
class StartFailed(Refused):
    """The actor could not be started; the `__cause__` says why. Nothing of it is left behind."""

    def __str__(self) -> str:
        return f"{self.actor} could not be started: {self.reason}"


@attrs.define(eq=False, slots=False)
class NodeFailed(SupervisionError):
    """The root supervisor gave up: a fault climbed the whole tree."""

    reason: str

    def __str__(self) -> str:
        return f"the node failed: {self.reason}"


@attrs.define(eq=False, slots=False)
class StuckTask(SupervisionError):
    """The node is closed, but these would not end: threads are left behind."""

    stuck: Sequence[str]

    def __str__(self) -> str:
        return (
            f"{len(self.stuck)} would not end within the shutdown time: {', '.join(self.stuck)}. "
            "Give blocking calls a timeout, and do not shield tasks from cancellation."
        )
