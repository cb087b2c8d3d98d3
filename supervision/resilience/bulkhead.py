"""A bulkhead: so many at the same time, a short line behind them, and a quick no to the rest.

It keeps one slow provider from collecting every caller of the node: what does not fit is told so at
once, while there is still time to do something else.

Source: Michael Nygard, "Release It!", 2nd edition, chapter 5.
"""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, TypeVar

import attrs
from attrs.validators import ge, instance_of

K = TypeVar("K", bound=Hashable)


@attrs.frozen
class Admitted:
    """Go ahead; `leave` when done."""


@attrs.frozen
class Queued:
    """Wait; a `leave` of somebody else will name this key. `withdraw` to give up."""

    position: int
    """The place in the line: 1 is next."""


@attrs.frozen
class Rejected:
    """No room inside and none in the line; the key is forgotten."""


@attrs.frozen
class BulkheadStatistics:
    """Who is where now, and what became of all who wanted to enter."""

    limit: int
    queue: int
    inside: int
    waiting: int
    admitted: int
    """How many have come in so far, from the line or straight."""
    rejected: int
    withdrawn: int


@attrs.define(eq=False)
class AlreadyInBulkhead(ValueError):
    """A key came in that is here already; nothing has changed."""

    key: object
    waiting: bool

    def __str__(self) -> str:
        return (
            f"{self.key!r} is already {'waiting' if self.waiting else 'inside'}. "
            "Give each call a key of its own, or let this one `leave` or `withdraw` first."
        )


@attrs.define(eq=False)
class NotInBulkhead(LookupError):
    """A key was to leave or withdraw from where it is not; nothing has changed."""

    key: object
    place: str
    """Where it was looked for: "inside" or "waiting"."""
    remedy: str

    def __str__(self) -> str:
        return f"{self.key!r} is not {self.place}. {self.remedy}"


@attrs.define(repr=False, on_setattr=attrs.setters.NO_OP)  # as in `bucket.py`, for speed
class Bulkhead(Generic[K]):
    """At most `limit` inside, at most `queue` waiting, first come first in.

    A key stands for one call (not one caller) and is any hashable value. Waiting has no limit in
    time here: whoever waits has a deadline of its own, and withdraws.
    """

    limit: int = attrs.field(validator=[instance_of(int), ge(1)])
    """How many may be inside at the same time."""

    queue: int = attrs.field(default=0, validator=[instance_of(int), ge(0)])
    """How many may wait; 0 for no line."""

    _inside: set[K] = attrs.field(factory=set, init=False)
    _waiting: OrderedDict[K, None] = attrs.field(factory=OrderedDict, init=False)
    """In order of arrival, and quick to withdraw from in the middle."""
    _admitted: int = attrs.field(default=0, init=False)
    _rejected: int = attrs.field(default=0, init=False)
    _withdrawn: int = attrs.field(default=0, init=False)

    def enter(self, key: K) -> Admitted | Queued | Rejected:
        """`key` wants to come in.

        Raises:
            AlreadyInBulkhead: it is inside or waiting.
        """
        if key in self._inside or key in self._waiting:
            raise AlreadyInBulkhead(key, waiting=key in self._waiting)
        if len(self._inside) < self.limit:
            self._admit(key)
            return Admitted()
        if len(self._waiting) < self.queue:
            self._waiting[key] = None
            return Queued(len(self._waiting))
        self._rejected += 1
        return Rejected()

    def leave(self, key: K) -> list[K]:
        """`key` is done: the keys that are inside from now on in its place, to be told so.

        Raises:
            NotInBulkhead: it is not inside.
        """
        if key not in self._inside:
            remedy = (
                "It is still waiting: use `withdraw`."
                if key in self._waiting
                else "It never entered, was rejected, or has left: `leave` once for each admission."
            )
            raise NotInBulkhead(key, "inside", remedy)
        self._inside.remove(key)
        if not self._waiting:
            return []
        following, _ = self._waiting.popitem(last=False)
        self._admit(following)
        return [following]

    def withdraw(self, key: K) -> None:
        """`key` gave up waiting; those behind it move up.

        Raises:
            NotInBulkhead: it is not waiting.
        """
        if key not in self._waiting:
            remedy = (
                "It has been admitted meanwhile: use `leave`, which lets the next one in."
                if key in self._inside
                else "It never entered, was rejected, or is gone: `withdraw` a waiter, and once."
            )
            raise NotInBulkhead(key, "waiting", remedy)
        del self._waiting[key]
        self._withdrawn += 1

    def statistics(self) -> BulkheadStatistics:
        return BulkheadStatistics(
            limit=self.limit,
            queue=self.queue,
            inside=len(self._inside),
            waiting=len(self._waiting),
            admitted=self._admitted,
            rejected=self._rejected,
            withdrawn=self._withdrawn,
        )

    def _admit(self, key: K) -> None:
        self._inside.add(key)
        self._admitted += 1

    def __repr__(self) -> str:
        return (
            f"<Bulkhead {len(self._inside)} of {self.limit} inside, {len(self._waiting)} waiting>"
        )
