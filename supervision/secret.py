"""A value that must never be seen: not in a log, a crash report, a trace or a snapshot.

Configuration, actor state and messages all end up on somebody's screen, so what is secret says so
by its type. `reveal()` is the only way to the text, and easy to search for.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn, final

MASK: Final = "***"
"""What stands in the place of every secret."""


@final
class Secret:
    """A text that shows itself to nobody but the caller of `reveal()`.

    Two secrets are compared in constant time. There is no hash: hashed containers compare by it
    first, and what differs in time can be measured. It cannot be pickled either, so it never leaves
    the process by accident.
    """

    __slots__ = ("__text",)
    __hash__ = None  # type: ignore[assignment]  # how Python spells "not hashable"

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            # Named by its type alone: the value is what must not be shown.
            raise TypeError(f"a secret is a str, not {type(text).__name__}")
        if not text:
            raise ValueError("a secret may not be empty: the variable or file it came from is")
        self.__text = text

    def reveal(self) -> str:
        """The text itself. Hand it straight to whoever needs it and keep no copy."""
        return self.__text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__bytes(), other.__bytes())

    def __bytes(self) -> bytes:
        # An environment variable that is not UTF-8 arrives with surrogates in it.
        return self.__text.encode("utf-8", "surrogatepass")

    def __repr__(self) -> str:
        return MASK  # and so does str()

    def __format__(self, spec: str) -> str:
        # A width or precision would tell something of the length; whatever is asked, it is this.
        return MASK

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError(
            "a Secret cannot be pickled; have the other process read it from its own environment"
        )
