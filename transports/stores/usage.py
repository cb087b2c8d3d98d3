"""What a store has done, counted where it is done."""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from supervision import Request


@attrs.frozen
class StoreStatistics:
    """Since the store was first started; restarts do not set it back."""

    requests: int
    refused: int
    """Of them: nothing was changed, the batch went on."""
    batches: int
    """Groups of requests that were made durable together."""
    mean_batch: float
    """Requests in one."""
    failures: int
    """Crashes; what was not durable by then was lost, and acknowledged to nobody."""


class GetUsage(Request[StoreStatistics]):
    """How much has this store done?

    A request, because the state of an actor on a thread cannot be asked for its statistics.
    """

    __slots__ = ()


@attrs.define
class Tally:
    """Counts that outlive the restarts of a store. One thread at a time writes."""

    requests: int = 0
    refused: int = 0
    batches: int = 0
    failures: int = 0

    def statistics(self) -> StoreStatistics:
        """As they stand."""
        mean = self.requests / self.batches if self.batches else 0.0
        return StoreStatistics(self.requests, self.refused, self.batches, mean, self.failures)


def total(tallies: Iterable[Tally]) -> StoreStatistics:
    """Of several stores together."""
    summed = Tally()
    for tally in tallies:
        summed.requests += tally.requests
        summed.refused += tally.refused
        summed.batches += tally.batches
        summed.failures += tally.failures
    return summed.statistics()
