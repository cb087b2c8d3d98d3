"""How the hooks of a room fare, in figures."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

MOST_FIGURES = 1000
"""Hooks whose figures are kept: they come and go with the code of the application."""


@attrs.frozen
class HookFigures:
    """How one hook fares."""

    calls: int = 0
    failures: int = 0
    """Calls it failed in; timeouts included."""
    timeouts: int = 0
    missed: int = 0
    """Payloads it was not told, because too much waited for it or it would not end."""
    total_ms: float = 0.0
    worst_ms: float = 0.0


@attrs.frozen
class HookStatistics:
    """How the hooks of a room fare."""

    hooks: Mapping[str, HookFigures]
    """By `trigger/name`."""
    asking: int
    """Decisions under way."""
    waiting: int
    """Payloads that watching hooks have still to begin with."""
    unended: int
    """Calls that were cancelled and still run."""


class FiguresBook:
    """Keeps the figures of each hook."""

    def __init__(self) -> None:
        self._figures: dict[str, HookFigures] = {}

    def called(self, hook: str, seconds: float, *, failed: bool, timeout: bool = False) -> None:
        """A call of a hook is over, well or not."""
        so_far = self._of(hook)
        ms = 1000 * seconds
        self._figures[hook] = HookFigures(
            so_far.calls + 1,
            so_far.failures + failed,
            so_far.timeouts + timeout,
            so_far.missed,
            so_far.total_ms + ms,
            max(so_far.worst_ms, ms),
        )

    def missed(self, hook: str) -> int:
        """A hook was not told; how often that makes."""
        so_far = self._of(hook)
        self._figures[hook] = attrs.evolve(so_far, missed=so_far.missed + 1)
        return so_far.missed + 1

    def snapshot(self) -> Mapping[str, HookFigures]:
        """All of them, as they are now."""
        return dict(self._figures)

    def _of(self, hook: str) -> HookFigures:
        figures = self._figures.get(hook)
        if figures is None:
            figures = HookFigures()
            if len(self._figures) >= MOST_FIGURES:
                del self._figures[next(iter(self._figures))]
        return figures
