"""A deadline that progress moves: liveness is something coming back, never an open socket."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import inf

import trio

from models.faults import FaultKind
from models.net.faults import ProviderFault


class Patience:
    """How long a task waits for a provider: `first` seconds to begin, then `stall` for more.

    Only one task uses it, and only inside the block of `waiting()`.
    """

    def __init__(self, first: float, stall: float) -> None:
        self._first = first
        self._stall = stall
        self._begun = False
        self._scope = trio.CancelScope()

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Wait in here.

        Raises:
            ProviderFault: TIMEOUT, no progress came in time.
        """
        self._scope.deadline = trio.current_time() + self._first
        with self._scope:
            yield
        if self._scope.cancelled_caught:
            raise ProviderFault(FaultKind.TIMEOUT, self._complaint())

    def progress(self) -> None:
        """Something useful came."""
        self._begun = True
        self._scope.deadline = trio.current_time() + self._stall

    @contextmanager
    def held(self) -> Iterator[None]:
        """It is not the provider that is waited for in here; afterwards it has its time anew."""
        self._scope.deadline = inf
        yield
        patience = self._stall if self._begun else self._first
        self._scope.deadline = trio.current_time() + patience

    def _complaint(self) -> str:
        if self._begun:
            return f"no progress for {self._stall:g} s"
        return f"nothing within {self._first:g} s"
