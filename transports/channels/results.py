"""What a channel answers of a delivery: the ways of failing, and which are worth another try.

Texts of exceptions are never handed on: they quote addresses, and addresses hold tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import attrs
import httpx
import trio

from models.faults import FaultKind
from models.net.faults import LONGEST_PAUSE, ProviderFault, parse_retry_after
from models.rooms.traffic import ProviderResult
from supervision.tasks import single
from transports.channels.url_safety import UnsafeUrl


@attrs.define(eq=False)
class DeliveryFailed(Exception):
    """Raise it in `send`: the delivery failed, and this is all that there is to say of it."""

    code: str
    """For programs: `timeout`, `rate_limit`, a provider's own."""
    retryable: bool = False
    retry_after: float | None = None
    """Seconds that the provider asked to be left alone."""
    message: str = ""
    """For people; neither secrets nor what was said."""

    @property
    def result(self) -> ProviderResult:
        """As the answer to whoever wanted it delivered."""
        return failed(self.code, self.retryable, retry_after=self.retry_after, message=self.message)

    def __str__(self) -> str:
        return self.code + (f" ({self.message})" if self.message else "")


def sent(message_id: str | None = None, **metadata: Any) -> ProviderResult:
    """It is with them; `message_id` is the provider's name for it."""
    return ProviderResult(True, message_id, metadata=metadata)


def failed(
    code: str, retryable: bool, *, retry_after: float | None = None, message: str = ""
) -> ProviderResult:
    """It is not with them."""
    metadata: dict[str, Any] = {"code": code, "retryable": retryable}
    if retry_after is not None:
        metadata["retry_after"] = retry_after
    if message:
        metadata["message"] = message
    return ProviderResult(False, error=code, metadata=metadata)


EMPTY = failed("empty_message", False)
NO_RECIPIENT = failed("no_recipient", False)
OVERLOADED = failed("overloaded", True, retry_after=1.0)
STOPPED = failed("channel_stopped", True)
TIMEOUT = failed("timeout", True)
BAD_RESULT = failed("bad_result", False)
"""What a `send` that answers nothing becomes: it may have sent."""

_PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that another try may cure."""


def http_failed(
    status: int, headers: Mapping[str, str], now: datetime, code: str = ""
) -> ProviderResult:
    """What an HTTP status that is no success means.

    Args:
        headers: with names in lower case, or a mapping that does not mind.
        now: the time of day, with its zone, for a `Retry-After` that is a date.
        code: the provider's own name for what is wrong with the request.
    """
    retryable = status in _PASSING or status >= 500
    pause = parse_retry_after(headers.get("retry-after", ""), now) if retryable else 0.0
    names = {400: code or "invalid_request", 401: "auth_error", 429: "rate_limit"}
    return failed(
        names.get(status, f"http_{status}"),
        retryable,
        retry_after=min(pause, LONGEST_PAUSE) if pause else None,
    )


_KINDS = {
    FaultKind.TIMEOUT: "timeout",
    FaultKind.UNAVAILABLE: "connection_error",
    FaultKind.RATE_LIMITED: "rate_limit",
    FaultKind.UNAUTHORIZED: "auth_error",
    FaultKind.REJECTED: "invalid_request",
    FaultKind.GARBLED: "invalid_response",
}
_CURABLE = frozenset({FaultKind.TIMEOUT, FaultKind.UNAVAILABLE, FaultKind.RATE_LIMITED})


def result_of(error: Exception) -> ProviderResult | None:
    """What an exception says of a delivery; None if it is none that networks and providers make."""
    match single(error):
        case DeliveryFailed() as told:
            return told.result
        case ProviderFault() as fault:
            code = _KINDS.get(fault.kind, fault.kind.value)
            pause = fault.retry_after or None
            return failed(code, fault.kind in _CURABLE, retry_after=pause, message=fault.detail)
        case UnsafeUrl() as unsafe:
            return failed("unsafe_url", False, message=str(unsafe))
        case trio.TooSlowError() | httpx.TimeoutException() | TimeoutError():
            return TIMEOUT
        case httpx.UnsupportedProtocol() | httpx.InvalidURL():
            return failed("invalid_url", False)
        case httpx.TransportError() | OSError() | trio.BrokenResourceError() as broken:
            return failed("connection_error", True, message=type(broken).__name__)
        case _:
            return None
