"""How webhooks are signed, and forged and repeated ones told from honest ones. Pure.

The signature is HMAC-SHA256 over the time of signing, a dot and the raw body, in hexadecimal. The
time keeps what was overheard from being sent again later; for the same within the tolerance there
is `ReplayMemory`. RoomKit signs the raw body alone, so what it sends can be repeated for ever, and
only the id that its sender gives it keeps it from being written twice.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence

import attrs
from attrs.validators import ge, gt

from supervision.secret import Secret

SIGNATURE = "X-Troupe-Signature"
TIMESTAMP = "X-Troupe-Timestamp"
ROOMKIT_SIGNATURE = "X-RoomKit-Signature"

_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


def sign(secret: Secret, body: bytes, timestamp: str) -> str:
    """The signature of a body that is sent at that time, hexadecimal.

    Args:
        timestamp: seconds since 1970, as they stand in the header; "" signs the body alone.
    """
    key = secret.reveal().encode("utf-8", "surrogatepass")
    signed = f"{timestamp}.".encode("ascii") + body if timestamp else body
    return hmac.new(key, signed, hashlib.sha256).hexdigest()


class Verdict(enum.Enum):
    """What is to be thought of a signed request."""

    GENUINE = "genuine"
    UNSIGNED = "unsigned"
    """A header is missing, or is none of ours."""
    STALE = "stale"
    """It was signed too long ago, or in the future."""
    FORGED = "forged"
    """Whoever signed it does not know the secret."""


def verify(
    secrets: Sequence[Secret],
    body: bytes,
    headers: Mapping[str, str],
    at: float,
    *,
    tolerance: float,
    roomkit: bool = False,
) -> Verdict:
    """Whether one of the secrets has signed a request.

    Args:
        secrets: the current one, and any that are being replaced.
        headers: with names in lower case, or a mapping that does not mind.
        at: the time of day, seconds since 1970.
        tolerance: seconds that its clock and its way may take.
        roomkit: take RoomKit's signature too, where ours is missing.
    """
    signature, timestamp = headers.get(SIGNATURE.lower(), ""), headers.get(TIMESTAMP.lower(), "")
    if not signature and roomkit:
        signature, timestamp = headers.get(ROOMKIT_SIGNATURE.lower(), ""), ""
    elif not _SECONDS.fullmatch(timestamp):
        return Verdict.UNSIGNED
    if not signature.isascii() or not signature:
        return Verdict.UNSIGNED
    # All are compared, in constant time each, so that the time tells nothing.
    matches = [
        hmac.compare_digest(sign(secret, body, timestamp), signature.lower()) for secret in secrets
    ]
    if not any(matches):
        return Verdict.FORGED
    if timestamp and abs(at - int(timestamp)) > tolerance:
        return Verdict.STALE
    return Verdict.GENUINE


@attrs.define
class ReplayMemory:
    """The signatures that were seen lately, so that each is taken once.

    It holds so many. When it is full it forgets those of the earliest second, and from then on
    takes nothing that was signed before: under load the tolerance shrinks, the protection does not.
    """

    tolerance: float = attrs.field(default=300.0, validator=gt(0))
    """Seconds after which a signature is refused for its age anyway."""
    capacity: int = attrs.field(default=65_536, validator=ge(1))
    _seconds: dict[int, set[bytes]] = attrs.field(factory=dict, init=False, repr=False)
    _size: int = attrs.field(default=0, init=False)
    _floor: int = attrs.field(default=-1, init=False)
    """The latest second whose signatures were forgotten to make room."""

    def take(self, timestamp: int, signature: str, at: float) -> bool:
        """Whether a genuine signature comes for the first time; it is remembered then."""
        self._forget_old(at)
        if timestamp <= self._floor:
            return False
        known = self._seconds.setdefault(timestamp, set())
        digest = bytes.fromhex(signature)[:16]
        if digest in known:
            return False
        known.add(digest)
        self._size += 1
        if self._size > self.capacity:
            earliest = min(self._seconds)
            self._size -= len(self._seconds.pop(earliest))
            self._floor = earliest
        return True

    def give_back(self, timestamp: int, signature: str) -> None:
        """Forget one: nothing was done about it, and its sender may repeat it."""
        known = self._seconds.get(timestamp)
        digest = bytes.fromhex(signature)[:16]
        if known is not None and digest in known:
            known.remove(digest)
            self._size -= 1

    def _forget_old(self, at: float) -> None:
        for second in [s for s in self._seconds if at - s > self.tolerance]:
            self._size -= len(self._seconds.pop(second))

    def __len__(self) -> int:
        return self._size
