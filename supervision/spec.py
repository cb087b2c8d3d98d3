"""The vocabulary of supervision: child specs, restart types, strategies, mailboxes.

A `ChildSpec` says how a child starts and when it comes back. Nothing here runs anything.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

import attrs

from supervision.resilience import Backoff

if TYPE_CHECKING:
    from supervision.actor import Actor

M = TypeVar("M")


class Restart(enum.Enum):
    """When a child that ended is started again."""

    PERMANENT = "permanent"
    """Always."""
    TRANSIENT = "transient"
    """Only after an abnormal end."""
    TEMPORARY = "temporary"
    """Never; its spec is forgotten."""


class Strategy(enum.Enum):
    """Who is restarted with a child."""

    ONE_FOR_ONE = "one_for_one"
    """It alone."""
    ONE_FOR_ALL = "one_for_all"
    """All of its siblings."""
    REST_FOR_ONE = "rest_for_one"
    """The siblings started after it."""


class AutoShutdown(enum.Enum):
    """When a supervisor ends because its significant children have."""

    NEVER = "never"
    ANY_SIGNIFICANT = "any_significant"
    ALL_SIGNIFICANT = "all_significant"


class Exhausted(enum.Enum):
    """What a dynamic supervisor does about one child that used up its restart intensity."""

    END_CHILD = "end_child"
    """That child is given up; its siblings never notice."""
    ESCALATE = "escalate"
    """The supervisor fails, as a static one does."""


class Overflow(enum.Enum):
    """What a full mailbox does with one more message."""

    REFUSE = "refuse"
    """The sender gets `MailboxFull` (a counted dead letter if it is inside a handler)."""
    DROP_OLDEST = "drop_oldest"
    """The oldest waiting message is dropped and counted: what is late is worthless (audio)."""
    DROP_NEWEST = "drop_newest"
    """The new message is dropped and counted."""


@attrs.frozen
class Mailbox:
    """How many messages may wait for an actor, and what happens to one more."""

    capacity: int = attrs.field(default=1000, validator=attrs.validators.ge(1))
    overflow: Overflow = Overflow.REFUSE


Shutdown = float | Literal["brutal", "infinity"]
"""Seconds a child may take to stop, "brutal" for none, "infinity" for as long as it likes."""

ACTOR_SHUTDOWN = 5.0
"""Seconds, OTP's default for workers. Supervisors get "infinity": their children have bounds."""


def _check_shutdown(_spec: object, _field: object, value: Shutdown | None) -> None:
    if value is None or value in ("brutal", "infinity"):
        return
    if isinstance(value, str | bool) or not (0 <= value < math.inf):
        raise ValueError(
            f"shutdown is a number of seconds from 0 up, 'brutal' or 'infinity', not {value!r}"
        )


def _check_id(_spec: object, _field: object, value: str) -> None:
    if not value or "/" in value or value != value.strip():
        raise ValueError(
            f"a child id is one path segment, so it is not empty, holds no '/' and has no blank at "
            f"its ends: {value!r} will not do"
        )


@attrs.frozen
class ChildSpec(Generic[M]):
    """How a child starts, when it comes back, and how long it may take to stop."""

    id: str = attrs.field(validator=_check_id)
    """Its name among its siblings, and the last segment of its path."""
    start: Callable[[], Actor[M]]
    """Makes a new instance: a class, or a `functools.partial` of one. Called at every restart."""
    restart: Restart = Restart.PERMANENT
    shutdown: Shutdown | None = attrs.field(default=None, validator=_check_shutdown)
    """None: 5 s for an actor, "infinity" for a supervisor."""
    significant: bool = False
    """Its end may end the supervisor (`AutoShutdown`); not for permanent children, as in OTP."""
    backoff: Backoff | None = None
    """Wait before a restart. A restart that waited does not count towards the intensity."""
    mailbox: Mailbox | None = None
    """Overrides the actor class's own."""
    public: bool = False
    """Also listed in `pykka.ActorRegistry`, which is a list: keep it short."""

    def __attrs_post_init__(self) -> None:
        if self.significant and self.restart is Restart.PERMANENT:
            raise ValueError(
                f"child {self.id!r} is permanent, so it never ends and cannot be significant; "
                "make it transient or temporary"
            )
