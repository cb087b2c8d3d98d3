from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs
import pytest

from models.rooms.errors import NewerSchema, StoreUnavailable
from models.rooms.kinds import ChannelType
from tests.transports.stores.postgres_server import PostgresServer, postgres_server, schema
from tests.transports.stores.values import a_change, an_event, ids
from transports.stores import migrations
from transports.stores.backend import EVERYTHING, Page
from transports.stores.migrations import MIGRATIONS, Migration, migrate
from transports.stores.postgres import PostgresDatabase
from transports.stores.sql import SqlBackend
from transports.stores.sql_driver import SqlDatabase
from transports.stores.sqlite import SqliteDatabase

__all__ = ["postgres_server", "schema"]  # fixtures

KEPT = Path(__file__).with_name("kept")
NEWEST = len(MIGRATIONS)


@attrs.frozen
class Place:
    """An empty database."""

    engine: str
    run: Callable[[str], Sequence[Any]]
    """Carries out SQL, by another connection; the rows of its last statement."""
    database: SqlDatabase

    def tables(self) -> set[str]:
        listed = {
            "sqlite": "SELECT name FROM sqlite_master WHERE type = 'table'",
            "postgres": "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()",
        }
        return {row[0] for row in self.run(listed[self.engine])}


def sqlite_place(path: Path) -> Place:
    def run(text: str) -> Sequence[Any]:
        connection = sqlite3.connect(path)
        try:
            if ";" not in text:
                return connection.execute(text).fetchall()
            connection.executescript(text)
            return ()
        finally:
            connection.commit()
            connection.close()

    return Place("sqlite", run, SqliteDatabase(str(path), lock_timeout=5.0))


def postgres_place(server: PostgresServer, schema: str) -> Place:
    import psycopg

    def run(text: str) -> Sequence[Any]:
        with psycopg.connect(server.dsn.reveal(), autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
            connection.execute(f"SET search_path = {schema}")
            cursor = connection.execute(text)
            return cursor.fetchall() if cursor.description else ()

    database = PostgresDatabase(
        server.dsn, schema=schema, connect_timeout=5.0, statement_timeout=5.0, lock_timeout=5.0
    )
    return Place("postgres", run, database)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    if request.param == "sqlite":
        place = sqlite_place(tmp_path / "rooms.sqlite")
    else:
        server = request.getfixturevalue("postgres_server")
        place = postgres_place(server, request.getfixturevalue("schema"))
    yield place
    place.database.close()


def kept(place: Place, version: int) -> str:
    return (KEPT / f"version_{version}_{place.engine}.sql").read_text(encoding="utf-8")


def test_an_empty_database_gets_the_newest_schema(place: Place) -> None:
    SqlBackend(place.database).open()
    assert place.run("SELECT version FROM schema_version") == [(NEWEST,)]
    assert {"rooms", "events", "bindings", "participants", "tasks"} <= place.tables()


def test_a_store_of_version_1_is_brought_up_to_date_with_all_that_is_in_it(place: Place) -> None:
    place.run(kept(place, 1))
    backend = SqlBackend(place.database)
    backend.open()
    assert place.run("SELECT version FROM schema_version") == [(NEWEST,)]

    record = backend.load_room("r", 10)
    assert record is not None
    assert record.context.room.metadata == {"case": 7}
    assert record.context.room.delivered_index == 4
    assert [binding.channel_id for binding in record.context.bindings] == ["sms", "ai"]
    assert [one.display_name for one in record.context.participants] == ["Ann"]
    assert ids(record.context.recent_events) == ["e0", "e1", "e3", "e5"]
    assert record.cursors == {"ai": 4}
    everything = backend.get_timeline("r", attrs.evolve(EVERYTHING, include_blocked=True), Page())
    assert ids(everything) == ["e0", "e1", "e2", "e3", "e4", "e5"]
    assert backend.list_read_markers("r") == {"sms": 1}
    assert [task.id for task in backend.list_tasks("r", None)] == ["t"]
    assert [seen.id for seen in backend.list_observations("r")] == ["o"]
    ann = backend.resolve_identity(ChannelType.SMS, "+15551234", "acme")
    assert ann is not None
    assert ann.display_name == "Ann"
    assert backend.unfinished_rooms("", 10) == ("r",)


def test_what_was_said_before_words_were_kept_is_found(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "BATCH", 2)
    place.run(kept(place, 1))
    backend = SqlBackend(place.database)
    backend.open()
    assert set(ids(backend.search("lamp", "r", None, 10))) == {"e0", "e1", "e5"}
    assert ids(backend.search("angstrom ISN t", None, "acme", 10)) == ["e0"]
    assert ids(backend.search("another", None, None, 10)) == ["s-e0"]
    room = backend.get_room("r")
    assert room is not None
    backend.change(a_change(room, an_event(6, "candles")))
    backend.flush()
    assert ids(backend.search("candles", "r", None, 10)) == ["e6"]
    assert backend.delete_room("r")
    assert ids(backend.search("lamp", None, None, 10)) == ["s-e0"]


def test_opening_again_changes_nothing(place: Place) -> None:
    backend = SqlBackend(place.database)
    backend.open()
    tables = place.tables()
    backend.close()
    backend.open()
    assert place.tables() == tables
    assert place.run("SELECT version FROM schema_version") == [(NEWEST,)]


def test_a_newer_schema_is_refused_and_left_alone(place: Place) -> None:
    place.run("CREATE TABLE schema_version (version BIGINT NOT NULL);")
    place.run(f"INSERT INTO schema_version VALUES ({NEWEST + 1});")
    with pytest.raises(NewerSchema) as caught:
        SqlBackend(place.database).open()
    assert (caught.value.found, caught.value.known) == (NEWEST + 1, NEWEST)
    assert place.tables() == {"schema_version"}
    with pytest.raises(StoreUnavailable, match="not open"):
        place.database.read("SELECT 1")


def test_a_migration_that_fails_leaves_the_version_before_it(place: Place) -> None:
    place.run(kept(place, 1))

    def fails(_: object) -> None:
        raise RuntimeError("half way")

    broken = [*MIGRATIONS[:1], Migration(("CREATE TABLE half (a BIGINT)",), fill=fails)]
    tables = place.tables()
    place.database.connect()
    place.database.begin_migration()
    with pytest.raises(RuntimeError, match="half way"):
        migrate(place.database, place.engine, broken)
    place.database.rollback()
    place.database.close()
    assert place.tables() == tables
    assert place.run("SELECT version FROM schema_version") == [(1,)]
    SqlBackend(place.database).open()
    assert place.run("SELECT version FROM schema_version") == [(NEWEST,)]


def test_each_version_is_kept(place: Place) -> None:
    """Who adds a migration keeps a store of the version before it, too."""
    for version in range(1, NEWEST):
        assert f"VALUES ({version});" in kept(place, version)
