"""An answer that is owed: what `self.defer()` returns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from supervision.errors import Refused
from supervision.reply import Reply

if TYPE_CHECKING:
    from supervision.life import Life

T = TypeVar("T")


class Promised(Reply[Any]):
    """Stands for the answer of a request once a promise has it: only its deadline still counts."""

    __slots__ = ()

    def __init__(self, reply: Reply[Any]) -> None:
        super().__init__()
        self.deadline = reply.deadline

    def settle(self, value: Any, error: BaseException | None) -> bool:
        del value, error
        return False


class Promise(Generic[T]):
    """The answer an actor owes, kept for later."""

    __slots__ = ("_life", "_reply")

    def __init__(self, life: Life, reply: Reply[T]) -> None:
        self._life = life
        self._reply = reply

    @classmethod
    def unread(cls, life: Life) -> Promise[Any]:
        """A promise that nobody waits for: the request was told, not asked."""
        return cls(life, Reply())

    def resolve(self, value: T) -> None:
        """Answer. Harmless if the asker has given up."""
        self._paid().settle(value, None)

    def refuse(self, reason: str) -> None:
        """Say no: the asker gets `Refused`."""
        self.fail(Refused(self._life.cell.path, reason))

    def fail(self, error: Exception) -> None:
        """Fail the ask with one of the runtime's own errors."""
        self._paid().settle(None, error)

    def _paid(self) -> Reply[T]:
        if self._life.deferred is not None:
            self._life.deferred.discard(self._reply)
        return self._reply
