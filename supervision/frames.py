"""What goes through the pipes between a node and its worker processes.

A frame is a header (bytes of payload, kind, message id) and a payload pickled with protocol 5. A
ref inside a payload travels as a key and a path: in the worker it becomes a ref that sends by way
of the node. Both ends are the same program and the pipes are nobody else's, so pickle's power is no
danger here.
"""

from __future__ import annotations

import enum
import io
import os
import pickle
import struct
import traceback
from collections.abc import Callable, Iterator
from typing import Any

import attrs

from supervision.errors import SupervisionError
from supervision.ref import ActorRef

HEADER = struct.Struct("!IBQ")

LARGEST = 64 * 1024 * 1024
"""Bytes of the largest payload by default."""

Key = tuple[int, str]
"""A ref in transit: its number in the node's table, and its path."""


class Kind(enum.IntEnum):
    """What a frame is about."""

    # to the worker
    START = 1
    """Load the class, construct the instance, run `on_start`."""
    MESSAGE = 2
    HOOK = 3
    """Run the hook of that name."""
    INTERRUPT = 4
    """Begin no further message; give back those that came."""
    # to the node
    DONE = 5
    """A message was handled; with the answer."""
    REFUSED = 6
    FAILED = 7
    """A handler raised; nothing more will be handled."""
    RETURNED = 8
    """A message that was not begun."""
    HOOK_DONE = 9
    TELL = 10
    STOP = 11
    """`self.stop()`."""


@attrs.frozen
class Frame:
    """One thing said."""

    kind: Kind
    id: int
    payload: bytes


class TooLarge(SupervisionError):
    """A payload is larger than the cap."""


def pack(kind: Kind, message_id: int, payload: bytes = b"", largest: int = LARGEST) -> bytes:
    """A frame as bytes.

    Raises:
        TooLarge: the payload exceeds the cap.
    """
    if len(payload) > largest:
        raise TooLarge(
            f"it takes {len(payload)} bytes, and the cap is {largest}; send less at once, or raise "
            "`largest_message` of the actor class"
        )
    return HEADER.pack(len(payload), kind, message_id) + payload


class Unpacker:
    """Frames from bytes as they come."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes | bytearray) -> Iterator[Frame]:
        """Take what was read; gives the frames that are complete now."""
        self._bytes += data
        while len(self._bytes) >= HEADER.size:
            length, kind, message_id = HEADER.unpack_from(self._bytes)
            end = HEADER.size + length
            if len(self._bytes) < end:
                return
            payload = bytes(memoryview(self._bytes)[HEADER.size : end])
            del self._bytes[:end]
            yield Frame(Kind(kind), message_id, payload)


def read_some(descriptor: int) -> bytes:
    """What is there to read of a pipe, b"" at its end."""
    return os.read(descriptor, 1 << 16)


# -- pickling -----------------------------------------------------------------------------


class _Pickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, key_of: Callable[[ActorRef[Any]], Key]) -> None:
        super().__init__(file, protocol=5)
        self._key_of = key_of

    def persistent_id(self, value: Any) -> Key | None:
        return self._key_of(value) if isinstance(value, ActorRef) else None


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, ref_of: Callable[[Key], ActorRef[Any]]) -> None:
        super().__init__(file)
        self._ref_of = ref_of

    def persistent_load(self, key: Key) -> ActorRef[Any]:
        return self._ref_of(key)


def dumps(value: Any, key_of: Callable[[ActorRef[Any]], Key]) -> bytes:
    """Pickle a value, its refs as keys."""
    file = io.BytesIO()
    _Pickler(file, key_of).dump(value)
    return file.getvalue()


def loads(payload: bytes, ref_of: Callable[[Key], ActorRef[Any]]) -> Any:
    """The value again, its keys as refs."""
    return _Unpickler(io.BytesIO(payload), ref_of).load()


# -- exceptions ---------------------------------------------------------------------------


class WorkerTraceback(Exception):
    """Where, in the worker, the exception it is the cause of was raised."""

    def __str__(self) -> str:
        return f"in the worker process:\n{self.args[0]}"


class WorkerFault(SupervisionError):
    """What a handler raised in a worker process, if the exception itself cannot be pickled."""


@attrs.frozen
class Fault:
    """An exception on its way out of a worker."""

    pickled: bytes
    """Empty if it cannot be pickled."""
    described: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> Fault:
        """What can be sent of an exception."""
        try:
            pickled = pickle.dumps(error, protocol=5)
            if type(pickle.loads(pickled)) is not type(error):
                pickled = b""
        except Exception:  # noqa: BLE001  an exception's own __reduce__ may raise anything
            pickled = b""
        described = "".join(traceback.format_exception_only(error)).strip()
        return cls(pickled, described, "".join(traceback.format_exception(error)))

    def error(self) -> BaseException:
        """The exception again, caused by a `WorkerTraceback`."""
        error: BaseException = WorkerFault(self.described)
        if self.pickled:
            try:
                error = pickle.loads(self.pickled)
            except Exception:  # noqa: BLE001  its class may be importable in the worker only
                pass
        error.__cause__ = WorkerTraceback(self.traceback)
        return error
