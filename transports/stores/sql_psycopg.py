"""psycopg without its connections: is it there, how SQL is spelled for it, what its errors mean."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from models.rooms.errors import BadValue, StoreUnavailable
from transports.stores.sql_driver import Orphan, Taken

if TYPE_CHECKING:
    import psycopg

REMEDIES: Mapping[str, str] = {
    "25006": "name the primary, not a copy of it",
    "42501": "give the user the right to; to make the tables, CREATE on the database",
    "53100": "make room on the server's disk",
    "53300": "have the server take more connections, or use fewer (`connections`)",
    "55P03": "another program holds it: end that one, or give it longer (`lock_timeout`)",
    "57014": "give it longer (`statement_timeout`)",
}
"""What to do, by SQLSTATE."""


@attrs.define(eq=False)
class DriverMissing(Exception):
    """PostgreSQL is configured, and psycopg is not installed."""

    why: str

    def __str__(self) -> str:
        return (
            f"the store 'postgres' is configured, but psycopg cannot be used: {self.why}. It comes "
            "with an optional extra: pip install 'troupe[postgres]'"
        )


def check_driver() -> None:
    """Do nothing if psycopg can be used.

    Raises:
        DriverMissing: it cannot.
    """
    driver()


def driver() -> Any:
    """psycopg.

    Raises:
        DriverMissing: it cannot be imported, or not be used.
    """
    try:
        import psycopg
        import psycopg.errors
    except ImportError as error:  # also where there is no libpq
        raise DriverMissing(str(error)) from error
    if not psycopg.Pipeline.is_supported():
        raise DriverMissing("its libpq is older than 14, which cannot send statements together")
    return psycopg


# -- what goes in ---------------------------------------------------------------------------------


@functools.lru_cache(maxsize=512)
def spelled(text: str) -> str:
    """With psycopg's placeholders. Our texts hold no other `?`, and no `%`."""
    return text.replace("?", "%s")


def fitting(row: Sequence[object]) -> Sequence[object]:
    """The row, if PostgreSQL takes it. Zero characters, which it has no place for, become others:
    these are columns to look for, and the documents have them escaped.

    Raises:
        BadValue: a number has more than 64 bits.
    """
    zeros = False
    for value in row:
        if type(value) is str:
            zeros = zeros or "\0" in value
        elif type(value) is int and not -(2**63) <= value < 2**63:
            raise BadValue(["a number of more than 64 bits cannot be stored"])
    if not zeros:
        return row
    return [value.replace("\0", "\ufffd") if isinstance(value, str) else value for value in row]


# -- faults ----------------------------------------------------------------------------------------


def half_a_character() -> BadValue:
    """What a UnicodeError is."""
    return BadValue(["a text with half a surrogate pair cannot be stored"])


def said(error: psycopg.Error) -> str:
    """Its first line: the ones after it may quote what somebody said."""
    return (error.diag.message_primary or str(error) or type(error).__name__).splitlines()[0]


def reason(error: psycopg.Error) -> Exception:
    """What is to be raised for it."""
    errors = driver().errors
    match error:
        case errors.UniqueViolation():
            return Taken()
        case errors.ForeignKeyViolation():
            return Orphan()
        case errors.IntegrityError():
            fault: psycopg.Error = error
            return fault  # ours: a column that must not be NULL is
        case errors.DataError() | errors.ProgramLimitExceeded():
            # The limit is about 2700 bytes for what is looked for: an id, a key, an address.
            return BadValue([f"PostgreSQL does not take it: {said(error)}"])
        case _:
            remedy = REMEDIES.get(error.sqlstate or "", "")
            return StoreUnavailable(f"PostgreSQL: {said(error)}{remedy and '; '}{remedy}")


def harmless(error: psycopg.Error) -> psycopg.Error | None:
    """The error as a cause, unless it quotes what somebody said."""
    operational: type[psycopg.Error] = driver().OperationalError
    return error if isinstance(error, operational) else None
