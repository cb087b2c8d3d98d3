"""PostgreSQL as a store of rooms: for several nodes, and for who runs one already.

psycopg comes with the optional extra `postgres` and is imported when a connection is made. Each
write is one round trip: its statements go out together, as a pipeline.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from models.rooms.errors import StoreUnavailable
from supervision.secret import Secret
from transports.stores.sql_driver import Row, Statement, TextSearch, Unmet
from transports.stores.sql_psycopg import DriverMissing as DriverMissing
from transports.stores.sql_psycopg import check_driver as check_driver
from transports.stores.sql_psycopg import (
    driver,
    fitting,
    half_a_character,
    harmless,
    reason,
    said,
    spelled,
)

if TYPE_CHECKING:
    import psycopg

logger = logging.getLogger("troupe.transports.stores")

OLDEST = 12
"""The first PostgreSQL with columns that are computed from others."""


class PostgresDatabase:
    """One connection; see `SqlDatabase`."""

    engine = "postgres"
    metadata_holds = "jsonb_extract_path(metadata, ?) = CAST(? AS jsonb)"
    text_search = TextSearch(
        source="events e CROSS JOIN plainto_tsquery('simple', ?) AS wanted",
        condition="e.found_by @@ wanted",
        order="ts_rank_cd(e.found_by, wanted, 2) DESC",  # 2: for its length
    )

    def __init__(
        self,
        dsn: Secret,
        *,
        schema: str,
        connect_timeout: float,
        statement_timeout: float,
        lock_timeout: float,
    ) -> None:
        """
        Args:
            dsn: as libpq reads it, `postgresql://user:password@host/database` or words.
            schema: where the tables are; made if it is not there.
            connect_timeout: seconds to connect, and to hear from a server that fell silent.
            statement_timeout: seconds that the server works on one statement.
            lock_timeout: seconds that one waits for others who write the same.
        """
        self._dsn = dsn
        self._schema = schema
        self._connect_timeout = connect_timeout
        self._statement_timeout = statement_timeout
        self._lock_timeout = lock_timeout
        self._connection: psycopg.Connection[Row] | None = None
        self._gone = ""
        """Why there is no connection any more."""
        self._lost = ""
        """Why what was written is, as long as nobody was told."""
        self._dirty = False
        """Something was written since the last commit."""
        self._saved = False
        """There is a savepoint `one`, and what was written after it stays."""

    def __repr__(self) -> str:
        return f"<PostgresDatabase {self._schema}>"

    # -- the connection -------------------------------------------------------------------

    def connect(self) -> None:
        self.close()
        self._gone = self._lost = ""
        psycopg = driver()
        seconds = max(2, math.ceil(self._connect_timeout))  # fewer would be 2 to libpq as well
        try:
            connection = psycopg.connect(
                self._dsn.reveal(),
                autocommit=True,  # transactions begin where we say so
                connect_timeout=seconds,
                fallback_application_name="troupe",
                client_encoding="utf8",
                # A server that was cut off is noticed, whether we wait for it or send to it.
                keepalives_idle=seconds,
                keepalives_interval=max(1, seconds // 3),
                keepalives_count=3,
                tcp_user_timeout=seconds * 1000,
            )
        except psycopg.ProgrammingError:
            # Its message quotes what it could not read, the password perhaps.
            raise StoreUnavailable(
                "the DSN cannot be read; write postgresql://user:password@host/database"
            ) from None
        except psycopg.Error as error:
            raise StoreUnavailable(f"PostgreSQL cannot be reached: {said(error)}") from error
        self._connection = connection
        try:
            self._settle(connection)
        except psycopg.Error as error:
            self.close()
            raise reason(error) from harmless(error)
        except StoreUnavailable:
            self.close()
            raise

    def _settle(self, connection: psycopg.Connection[Row]) -> None:
        """See that acknowledged means on disk, and that nothing waits for ever."""
        version = connection.info.server_version // 10_000
        if version < OLDEST:
            raise StoreUnavailable(f"PostgreSQL {version} is too old: {OLDEST} or later is needed")
        _teach(connection)
        row = connection.execute(
            """
            SELECT current_setting('server_encoding'), current_setting('fsync'),
                current_setting('synchronous_commit'),
                set_config('search_path', quote_ident(%s), false),
                set_config('statement_timeout', %s, false),
                set_config('lock_timeout', %s, false)
            """,
            (
                self._schema,
                f"{math.ceil(self._statement_timeout * 1000)}ms",
                f"{math.ceil(self._lock_timeout * 1000)}ms",
            ),
        ).fetchone()
        assert row is not None, "a SELECT without FROM has one row"
        encoding, fsync, commits = row[:3]
        if encoding != "UTF8":
            raise StoreUnavailable(
                f"the database is encoded in {encoding}, which cannot hold all that is said; make "
                "one with ENCODING 'UTF8'"
            )
        if fsync != "on":
            logger.warning(
                "PostgreSQL runs with fsync=%s: what it acknowledges may be lost with its power",
                fsync,
            )
        if commits != "remote_apply":  # which is stricter
            connection.execute("SET synchronous_commit = on")

    @property
    def pending(self) -> bool:
        return self._dirty or bool(self._lost)

    def close(self) -> None:
        connection, self._connection = self._connection, None
        self._dirty = self._saved = False
        if connection is not None:
            connection.close()

    def _open(self) -> psycopg.Connection[Row]:
        if self._connection is None:
            raise StoreUnavailable(self._gone or "the connection to PostgreSQL is not open")
        return self._connection

    # -- reading --------------------------------------------------------------------------

    def query(self, words: Sequence[str]) -> str:
        return " ".join(words)  # plainto_tsquery knows no operators

    def read(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        connection = self._open()
        taken = fitting(row)
        try:
            return connection.execute(spelled(text), taken).fetchall()
        except UnicodeError:
            raise half_a_character() from None  # before anything was sent
        except driver().Error as error:
            # Inside a transaction this spoils what was written before.
            self._lose(error)
            raise reason(error) from harmless(error)

    def hold(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        if _is_idle(self._open()):
            self.execute("BEGIN")
        return self.read(f"{text} FOR UPDATE", row)

    # -- writing --------------------------------------------------------------------------

    def write(self, statements: Sequence[Statement]) -> Sequence[int]:
        connection = self._open()
        if self._lost:
            raise StoreUnavailable(self._lost)
        batches = [[fitting(row) for row in statement.rows] for statement in statements]
        try:
            with connection.pipeline():
                if _is_idle(connection):
                    connection.execute("BEGIN")
                elif self._saved:
                    # As late as this: whether its write stays was known after it was sent.
                    connection.execute("RELEASE SAVEPOINT one")
                connection.execute("SAVEPOINT one")
                cursors = [
                    _carry_out(connection, statement.text, batch)
                    for statement, batch in zip(statements, batches, strict=True)
                ]
        except UnicodeError:
            self._undo()
            raise half_a_character() from None
        except driver().Error as error:
            self._undo()
            raise reason(error) from harmless(error)
        touched = [cursor.rowcount for cursor in cursors]
        if any(s.must not in (None, rows) for s, rows in zip(statements, touched, strict=True)):
            self._undo()
            raise Unmet
        self._dirty = self._saved = True
        return touched

    def commit(self) -> None:
        lost, self._lost = self._lost, ""
        if lost:
            raise StoreUnavailable(lost)
        connection = self._open()
        if _is_idle(connection):
            return
        try:
            done = connection.execute("COMMIT").statusmessage
        except driver().Error as error:
            self._lose(error)
            self._lost = ""  # as it is told here
            if connection.closed:
                raise StoreUnavailable(
                    f"PostgreSQL: {said(error)}; it went in mid-commit, which may have been "
                    "done all the same"
                ) from error
            raise reason(error) from harmless(error)
        finally:
            self._dirty = self._saved = False
        if done != "COMMIT":  # PostgreSQL answers so if something failed before
            raise StoreUnavailable("PostgreSQL rolled the transaction back")

    def rollback(self) -> None:
        self._dirty = self._saved = False
        self._lost = ""
        connection = self._connection
        if connection is not None and not _is_idle(connection):
            try:
                connection.execute("ROLLBACK")
            except driver().Error as error:
                self._drop(error)

    def _undo(self) -> None:
        """Back to before this write. What was written earlier stays, if the server does."""
        connection = self._open()
        if _is_idle(connection):
            return  # the transaction could not even begin
        try:
            connection.execute("ROLLBACK TO SAVEPOINT one")
            self._saved = True
        except driver().Error as error:
            self._lose(error)

    def _lose(self, error: psycopg.Error) -> None:
        """The open transaction is gone, if not the connection."""
        if self._dirty:
            lost = str(reason(error))
            self.rollback()
            self._lost = lost
        else:
            self.rollback()

    def _drop(self, error: psycopg.Error) -> None:
        self._gone = f"the connection to PostgreSQL is gone: {said(error)}"
        self.close()

    # -- migrating ------------------------------------------------------------------------

    def begin_migration(self) -> None:
        self.execute("BEGIN")
        # A new index may take its time, and so may the node that is ahead of us.
        self.execute("SET LOCAL statement_timeout = 0")
        self.execute("SET LOCAL lock_timeout = '10min'")
        name = f"troupe schema {self._schema}"
        self.execute("SELECT pg_advisory_xact_lock(hashtextextended(?, 0))", (name,))
        if not self.execute("SELECT to_regnamespace(quote_ident(?)) IS NOT NULL", (self._schema,))[
            0
        ][0]:
            from psycopg import sql

            text = sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self._schema))
            self.execute(text.as_string(self._open()))

    def execute(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        try:
            cursor = self._open().execute(spelled(text), row)
            return cursor.fetchall() if cursor.description else ()
        except driver().Error as error:
            self._lose(error)
            raise reason(error) from harmless(error)

    def execute_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        try:
            self._open().cursor().executemany(spelled(text), rows)
        except driver().Error as error:
            self._lose(error)
            raise reason(error) from harmless(error)


def _teach(connection: psycopg.Connection[Any]) -> None:
    """Documents come as text: who wants values knows of which type."""
    from psycopg.types.string import TextLoader

    connection.adapters.register_loader("json", TextLoader)


def _is_idle(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.transaction_status == 0  # IDLE; of a connection that is gone, 4


def _carry_out(
    connection: psycopg.Connection[Row], text: str, rows: Sequence[Sequence[object]]
) -> psycopg.Cursor[Row]:
    if len(rows) == 1:
        return connection.execute(spelled(text), rows[0])
    cursor = connection.cursor()
    cursor.executemany(spelled(text), rows)
    return cursor
