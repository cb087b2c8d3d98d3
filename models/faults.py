"""What can go wrong with a model, sorted by what its user does next."""

from __future__ import annotations

import enum

import attrs


class FaultKind(enum.Enum):
    """Why a provider could not do it."""

    UNAUTHORIZED = "unauthorized"
    """The credentials are wrong. Nothing but a person can help: try another provider."""
    RATE_LIMITED = "rate_limited"
    """Too much was asked. It may be asked again after `retry_after`."""
    REJECTED = "rejected"
    """The request itself is wrong; the same one will be refused again."""
    UNAVAILABLE = "unavailable"
    """It cannot be reached, or says it is not well."""
    TIMEOUT = "timeout"
    """It was reached, and no progress came in time."""
    GARBLED = "garbled"
    """It answered something that is not its own protocol."""
    BREAKER_OPEN = "breaker_open"
    """It failed so often that it is not even tried now."""
    CANCELLED = "cancelled"
    """Its user took the request back."""


class ScriptedCrash(Exception):
    """A crash that the plan of a scripted model ordered."""


@attrs.frozen
class ModelFault:
    """A stream of a model ended before its end. An answer, not a crash: the provider lives."""

    provider: str
    """Which one, as it is called in the configuration."""
    kind: FaultKind
    detail: str = ""
    """For people; neither secrets nor what was said."""
    retry_after: float = 0.0
    """Seconds to leave it alone; 0 if it did not say."""

    @classmethod
    def of_ask(cls, provider: str, error: Exception) -> ModelFault:
        """An ask of the provider at that path came to nothing: it crashed, or is gone."""
        return cls(provider, FaultKind.UNAVAILABLE, type(error).__name__)

    def __str__(self) -> str:
        return f"{self.provider}: {self.kind.value}" + (f" ({self.detail})" if self.detail else "")
