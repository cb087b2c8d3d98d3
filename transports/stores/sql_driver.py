"""What the SQL backend asks of a database: the little in which SQLite and PostgreSQL differ.

Texts are written once, with `?` for parameters, in the SQL that both understand. A driver runs them
inside a transaction that begins with the first write and ends with `commit` or `rollback`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import attrs

Row = tuple[Any, ...]


@attrs.frozen
class Statement:
    """One text that writes, and what it is carried out with: once for each of `rows`."""

    text: str
    rows: Sequence[Sequence[object]]
    must: int | None = None
    """The number of rows of the table that it has to touch, or the whole write is undone."""


class Unmet(Exception):
    """A statement touched another number of rows than it `must`; the write was undone."""


class Taken(Exception):
    """A row of that key is there already; the write was undone."""


class Orphan(Exception):
    """What the row refers to is not there; the write was undone."""


@attrs.frozen
class TextSearch:
    """How an engine finds words. The one parameter of `source` is what `query` makes of them."""

    source: str
    """What stands behind FROM; the events are `e` in it."""
    condition: str
    order: str
    """Best first."""


class Migrator(Protocol):
    """A database inside the one transaction of its migrations."""

    def execute(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        """Carry it out; the rows that it answers with."""

    def execute_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        """Carry it out once for each row."""


class SqlDatabase(Migrator, Protocol):
    """One connection, used by one thread at a time.

    All of it raises `StoreUnavailable` where the database cannot do it, and `BadValue` where a
    value cannot be kept in it. Where a fault took the open transaction with it, every call that
    writes raises until `commit` has raised, or `rollback` was called: what is lost is lost as a
    whole, and nobody hears that it was kept.
    """

    engine: str
    text_search: TextSearch
    metadata_holds: str
    """The condition for rooms whose metadata have, under a key, a value that is given as JSON."""

    @property
    def pending(self) -> bool:
        """Whether something was written that is not committed."""

    def connect(self) -> None:
        """Connect anew, with all settings that durability needs."""

    def close(self) -> None:
        """Let go; what is not committed is lost."""

    def begin_migration(self) -> None:
        """Open a transaction that keeps all others who want to migrate waiting."""

    def query(self, words: Sequence[str]) -> str:
        """What finds all of these words; they are letters and digits only."""

    def read(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        """The rows that it answers with, uncommitted ones included."""

    def hold(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        """As `read`, of rows that nobody else changes until the transaction ends: for writing what
        depends on them.
        """

    def write(self, statements: Sequence[Statement]) -> Sequence[int]:
        """Carry out all of them, or none; how many rows each touched.

        Raises:
            Unmet, Taken, Orphan: nothing was changed.
        """

    def commit(self) -> None:
        """Make durable what was written."""

    def rollback(self) -> None:
        """Undo it. Never raises: what cannot be reached any more undoes it by itself."""
