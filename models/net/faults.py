"""From HTTP's and sockets' ways of failing to the kinds that a model's user knows.

No client, no clock. What a provider writes in its error bodies is for its own customers and
may quote keys or the conversation, so of a body only a short code is taken over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from math import isfinite

import attrs
import orjson
import trio

from models.faults import FaultKind, ModelFault

LONGEST_PAUSE = 600.0
"""Seconds. A provider that asks to be left alone for longer is tried again all the same."""

_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,64}")

# What is wrong with an account is not cured by waiting, though it comes as "too many requests".
_NO_CREDIT = frozenset({"insufficient_quota", "quota_exceeded", "billing_hard_limit_reached"})


@attrs.define(eq=False)
class ProviderFault(Exception):
    """A provider could not do it; becomes the `ModelFault` that answers whoever asked."""

    kind: FaultKind
    detail: str = ""
    """For people; neither secrets nor what was said."""
    retry_after: float = 0.0

    @property
    def passing(self) -> bool:
        """Whether asking once more, at once, may well succeed."""
        return self.kind is FaultKind.UNAVAILABLE

    def of(self, provider: str) -> ModelFault:
        """As the answer of the provider that is called so in the configuration."""
        return ModelFault(provider, self.kind, self.detail, self.retry_after)

    def __str__(self) -> str:
        return self.kind.value + (f" ({self.detail})" if self.detail else "")


@contextmanager
def one_fault() -> Iterator[None]:
    """Of the faults that several tasks of a nursery ended in, one is told; the rest follow from it.

    Raises:
        ProviderFault: instead of a group in which there is nothing else but cancellations.
    """
    try:
        yield
    except BaseExceptionGroup as group:
        faults, others = group.split(ProviderFault)
        if faults is None or (others is not None and others.split(trio.Cancelled)[1] is not None):
            raise
        fault: BaseException = faults
        while isinstance(fault, BaseExceptionGroup):
            fault = fault.exceptions[0]
        raise fault from None


def garbled(detail: str) -> ProviderFault:
    """It answered something that is not its own protocol."""
    return ProviderFault(FaultKind.GARBLED, detail)


def status_fault(
    status: int, headers: Mapping[str, str], body: bytes, now: datetime
) -> ProviderFault:
    """What an HTTP status other than 200 means.

    Args:
        headers: with names in lower case, or a mapping that does not mind.
        body: the beginning of it; may be anything.
        now: the time of day, with its zone, for a `Retry-After` that is a date.
    """
    code = error_code(body)
    detail = f"HTTP {status}" + (f", {code}" if code else "")
    return ProviderFault(_kind(status, code), detail, _pause(status, headers, now))


def _kind(status: int, code: str) -> FaultKind:
    if status in (401, 402, 403) or (status == 429 and code in _NO_CREDIT):
        return FaultKind.UNAUTHORIZED
    if status == 429:
        return FaultKind.RATE_LIMITED
    if status in (408, 504):
        return FaultKind.TIMEOUT
    if status in (409, 425) or status >= 500:
        return FaultKind.UNAVAILABLE
    if 400 <= status < 500:
        return FaultKind.REJECTED
    return FaultKind.GARBLED  # nothing here follows redirects or asks for anything but a 200


def _pause(status: int, headers: Mapping[str, str], now: datetime) -> float:
    if status not in (429, 503):
        return 0.0
    milliseconds = headers.get("retry-after-ms", "")
    if milliseconds:
        return min(LONGEST_PAUSE, parse_retry_after(milliseconds, now) / 1000)
    return min(LONGEST_PAUSE, parse_retry_after(headers.get("retry-after", ""), now))


def parse_retry_after(value: str, now: datetime) -> float:
    """Seconds to wait, from a number of seconds or an HTTP date; 0 for anything else, or the past.

    Source: RFC 9110, section 10.2.3.
    """
    try:
        seconds = float(value)
    except ValueError:
        return _seconds_until(value, now)
    return seconds if isfinite(seconds) and seconds > 0 else 0.0


def _seconds_until(date: str, now: datetime) -> float:
    try:
        when = parsedate_to_datetime(date)
    except (ValueError, TypeError, IndexError, OverflowError):
        return 0.0
    if when.tzinfo is None:  # "-0000": HTTP's dates are all UTC
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - now).total_seconds())


def error_code(body: bytes) -> str:
    """The provider's own short name for the error, if the body is JSON and has one; else ""."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    return code_of(answer)


def code_of(answer: object) -> str:
    """The short name of an error in an answer: providers put it in one of a few places."""
    if not isinstance(answer, dict):
        return ""
    for place in (answer.get("error"), answer.get("detail"), answer):
        if isinstance(place, str) and _CODE.fullmatch(place):
            return place
        if not isinstance(place, dict):
            continue
        for name in ("code", "status", "type", "err_code"):
            code = place.get(name)
            if isinstance(code, str) and _CODE.fullmatch(code):
                return code
    return ""
