"""Stores that fail for real, when a test says so: the errors are the database's own."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import attrs

from models.rooms.errors import StoreUnavailable
from supervision import ChildSpec
from transports.stores.actor import store_spec
from transports.stores.backend import Change
from transports.stores.config import StoreConfig, make_backend
from transports.stores.sql import SqlBackend
from transports.stores.sql_driver import SqlDatabase

Kind = Literal["", "read_only", "full", "cut_off", "answer_lost"]


@attrs.define(eq=False)
class Trouble:
    """What is wrong with the store just now."""

    engine: str
    dsn: str
    kind: Kind = ""
    met: int = 0
    """Writes that were hindered."""

    def take(self, *kinds: Kind) -> bool:
        """Whether one of these befalls this write; what happens in the middle of a commit happens
        once.
        """
        if self.kind not in kinds:
            return False
        self.met += 1
        if self.kind in ("cut_off", "answer_lost"):
            self.kind = ""
        return True


class FaultyBackend(SqlBackend):
    """A store with trouble. Only writes of events meet it."""

    def __init__(self, database: SqlDatabase, trouble: Trouble) -> None:
        super().__init__(database)
        self._trouble = trouble
        self._wrote = False

    def change(self, change: Change) -> None:
        if not change.events:
            super().change(change)
            return
        self._wrote = True
        hindered = self._trouble.take("read_only", "full")
        if self._trouble.engine == "postgres":
            if hindered:
                self._database.read("SET transaction_read_only = on")
        else:
            self._hinder_sqlite()
        super().change(change)

    def _hinder_sqlite(self) -> None:
        read_only = self._trouble.kind == "read_only"
        self._database.read(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")
        ((pages,),) = self._database.read("PRAGMA page_count")
        most = pages if self._trouble.kind == "full" else 1_000_000
        self._database.read(f"PRAGMA max_page_count = {most}")

    def flush(self) -> None:
        wrote, self._wrote = self._wrote, False
        if wrote and self._trouble.take("cut_off"):
            self._cut_off()
        lost = wrote and self._trouble.take("answer_lost")
        super().flush()
        if lost:
            raise StoreUnavailable("committed, and nobody was told")

    def _cut_off(self) -> None:
        """Lose the connection with everything written, and the commit still to come."""
        if self._trouble.engine == "sqlite":
            self._database.close()
            return
        import psycopg

        ((pid,),) = self._database.read("SELECT pg_backend_pid()")
        with psycopg.connect(self._trouble.dsn, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,))


def faulty_store(config: StoreConfig) -> tuple[Trouble, ChildSpec[Any]]:
    """The configured store, and what may be made to be wrong with it."""
    dsn = config.dsn.reveal() if config.dsn is not None else ""
    trouble = Trouble(config.engine, dsn)
    make = make_backend(config)

    def backend(trouble: Trouble) -> FaultyBackend:
        plain = make()
        assert isinstance(plain, SqlBackend)
        return FaultyBackend(plain._database, trouble)

    return trouble, store_spec(partial(backend, trouble), config.members)
