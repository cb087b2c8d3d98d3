"""SQLite as a store of rooms: one file, one process, nothing to install.

The file is in WAL mode with `synchronous=FULL`: a commit returns when its data is on disk.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

import orjson

from models.rooms.errors import BadValue, RoomsError, StoreUnavailable
from transports.stores.sql_driver import Orphan, Row, Statement, Taken, TextSearch, Unmet
from transports.stores.sql_rows import canonical

OLDEST = (3, 35)
"""ALTER and UPSERT as we use them; Python 3.11 is built with newer ones nearly everywhere."""

SETTINGS = (
    "PRAGMA foreign_keys = ON",
    # FULL: each commit waits until its part of the write-ahead log is on disk. The default of many
    # builds, NORMAL, loses the last commits when the power fails.
    "PRAGMA synchronous = FULL",
    # macOS answers an ordinary fsync before the disk has written anything.
    "PRAGMA fullfsync = ON",
    "PRAGMA checkpoint_fullfsync = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -16384",  # KiB
)

REMEDIES: Mapping[str, str] = {
    "SQLITE_BUSY": "another program holds it: end that one, or give it longer (`lock_timeout`)",
    "SQLITE_CANTOPEN": "see that its directory exists and that this user may write there",
    "SQLITE_CORRUPT": "the file is damaged: restore a copy",
    "SQLITE_FULL": "make room on the disk",
    "SQLITE_IOERR": "look after the disk",
    "SQLITE_NOTADB": "that is no database: name another file",
    "SQLITE_PERM": "see that this user may read and write it",
    "SQLITE_READONLY": "see that this user may write to the file and to its directory",
}
"""What to do, by the error's name or the beginning of it."""


class SqliteDatabase:
    """One connection; see `SqlDatabase`."""

    engine = "sqlite"
    metadata_holds = "holds(metadata, ?, ?)"
    text_search = TextSearch(
        source="events_words(?) AS found JOIN events e ON e.rank = found.rowid",
        condition="e.words IS NOT NULL",
        order="found.rank",
    )

    def __init__(self, path: str, *, lock_timeout: float) -> None:
        """
        Args:
            path: of the file; made if it is not there, its directory is not.
            lock_timeout: seconds to wait for others who write to it.
        """
        self._path = path
        self._lock_timeout = lock_timeout
        self._connection: sqlite3.Connection | None = None
        self._lost = ""

    def __repr__(self) -> str:
        return f"<SqliteDatabase {self._path}>"

    # -- the connection -------------------------------------------------------------------

    def connect(self) -> None:
        self.close()
        self._lost = ""
        folder = Path(self._path).absolute().parent
        if not folder.is_dir():
            raise StoreUnavailable(
                f"{self._path}: the directory {str(folder)!r} does not exist; make it, or name "
                "another file"
            )
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreUnavailable(
                f"SQLite {sqlite3.sqlite_version} is too old: this Python needs one built with "
                f"{'.'.join(map(str, OLDEST))} or later"
            )
        try:
            self._connection = sqlite3.connect(
                self._path,
                timeout=self._lock_timeout,
                isolation_level=None,  # transactions begin where we say so
                check_same_thread=False,  # one thread at a time, not always the same one
                cached_statements=256,
            )
            self._settle(self._connection)
        except sqlite3.Error as error:
            self.close()
            raise self._unavailable(error) from error
        except StoreUnavailable:
            self.close()
            raise

    @property
    def pending(self) -> bool:
        connection = self._connection
        return bool(self._lost) or (connection is not None and connection.in_transaction)

    def _settle(self, connection: sqlite3.Connection) -> None:
        if not connection.execute(
            "SELECT 1 FROM pragma_module_list WHERE name = 'fts5'"
        ).fetchone():
            raise StoreUnavailable("this Python's SQLite comes without FTS5, which searches text")
        connection.create_function("holds", 3, _holds, deterministic=True)
        for setting in SETTINGS:
            connection.execute(setting)
        mode = connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreUnavailable(
                f"{self._path}: no write-ahead log can be kept there (journal mode is {mode}); "
                "name a file on a local disk"
            )

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            raise StoreUnavailable(f"{self._path} is not open")
        return self._connection

    # -- reading --------------------------------------------------------------------------

    def query(self, words: Sequence[str]) -> str:
        # In quotes, so that AND, OR, NOT, NEAR and columns are words like all others.
        return " ".join(f'"{word}"' for word in words)

    def read(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        try:
            return self._open().execute(text, row).fetchall()
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            raise self._reason(error) from error

    def hold(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        try:
            _begin(self._open())  # whoever may write holds the whole file
        except sqlite3.Error as error:
            raise self._reason(error) from error
        return self.read(text, row)

    # -- writing --------------------------------------------------------------------------

    def write(self, statements: Sequence[Statement]) -> Sequence[int]:
        connection = self._open()
        self._refuse_lost()
        try:
            _begin(connection)
            connection.execute("SAVEPOINT one")
        except sqlite3.Error as error:
            raise self._reason(error) from error
        try:
            touched = [_carry_out(connection, statement) for statement in statements]
        except Unmet:
            self._undo(connection)
            raise
        except sqlite3.IntegrityError as error:
            self._undo(connection)
            raise _violated(error) from error
        except (sqlite3.Error, OverflowError, UnicodeError) as error:
            self._undo(connection)
            raise self._reason(error) from error
        connection.execute("RELEASE one")
        return touched

    def commit(self) -> None:
        connection = self._open()
        try:
            self._refuse_lost()
            if connection.in_transaction:
                connection.execute("COMMIT")
        except sqlite3.Error as error:
            self.rollback()
            raise self._reason(error) from error
        finally:
            self._lost = ""

    def rollback(self) -> None:
        self._lost = ""
        connection = self._connection
        try:
            if connection is not None and connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error:
            # It cannot be said any more what the connection holds: closing undoes it for certain.
            self.close()

    def _undo(self, connection: sqlite3.Connection) -> None:
        """Back to before this write. A full disk may have taken the whole transaction along."""
        if not connection.in_transaction:
            self._lost = "the disk refused a write, which undid those before it"
            return
        connection.execute("ROLLBACK TO one")
        connection.execute("RELEASE one")

    def _refuse_lost(self) -> None:
        if self._lost:
            raise StoreUnavailable(f"{self._path}: {self._lost}")

    # -- migrating ------------------------------------------------------------------------

    def begin_migration(self) -> None:
        try:
            _begin(self._open())
        except sqlite3.Error as error:
            raise self._reason(error) from error

    def execute(self, text: str, row: Sequence[object] = ()) -> Sequence[Row]:
        return self.read(text, row)

    def execute_many(self, text: str, rows: Sequence[Sequence[object]]) -> None:
        try:
            self._open().executemany(text, rows)
        except sqlite3.Error as error:
            raise self._reason(error) from error

    # -- faults ---------------------------------------------------------------------------

    def _reason(self, error: Exception) -> RoomsError:
        if isinstance(error, sqlite3.Error):
            return self._unavailable(error)
        # Half a surrogate pair, or a number of more than 64 bits.
        return BadValue([f"cannot be stored: {type(error).__name__}"])

    def _unavailable(self, error: sqlite3.Error) -> StoreUnavailable:
        name = getattr(error, "sqlite_errorname", "")
        remedy = next((what for begin, what in REMEDIES.items() if name.startswith(begin)), "")
        return StoreUnavailable(f"{self._path}: {error}{'; ' if remedy else ''}{remedy}")


def _holds(metadata: str, key: str, value: str) -> bool:
    """Whether these metadata have, under that key, that value; all of it is canonical JSON."""
    known = orjson.loads(metadata)
    return key in known and canonical(known[key]) == value


def _begin(connection: sqlite3.Connection) -> None:
    if not connection.in_transaction:
        # IMMEDIATE: a transaction that has read, and then finds that somebody else has written,
        # could only fail.
        connection.execute("BEGIN IMMEDIATE")


def _carry_out(connection: sqlite3.Connection, statement: Statement) -> int:
    if len(statement.rows) == 1:
        touched = connection.execute(statement.text, statement.rows[0]).rowcount
    else:
        touched = connection.executemany(statement.text, statement.rows).rowcount
    if statement.must is not None and touched != statement.must:
        raise Unmet
    return touched


def _violated(error: sqlite3.IntegrityError) -> Taken | Orphan | sqlite3.IntegrityError:
    match error.sqlite_errorname:
        case "SQLITE_CONSTRAINT_UNIQUE" | "SQLITE_CONSTRAINT_PRIMARYKEY":
            return Taken()
        case "SQLITE_CONSTRAINT_FOREIGNKEY":
            return Orphan()
        case _:
            return error  # ours: a column that must not be NULL is
