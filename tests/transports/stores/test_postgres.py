from __future__ import annotations

import secrets
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest
import trio
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from models.rooms.errors import BadValue, StoreUnavailable
from supervision import Supervisor
from supervision.secret import Secret
from supervision.testing import SystemUnderTest
from tests.transports.stores.contract import Make, StoreContract
from tests.transports.stores.model import ROOMS, StoreModel
from tests.transports.stores.postgres_server import (
    PostgresServer,
    empty_schema,
    kept_schema,
    postgres_server,
    schema,
)
from tests.transports.stores.sql_rules import SqlRules
from tests.transports.stores.values import a_change, a_room, add, an_event, ids
from transports.stores.actor import ask_store, store_spec
from transports.stores.backend import EVERYTHING, Page, StoreBackend
from transports.stores.config import StoreConfig, make_backend
from transports.stores.postgres import DriverMissing, PostgresDatabase
from transports.stores.requests import Commit, CreateRoom
from transports.stores.sql import SqlBackend

__all__ = ["empty_schema", "kept_schema", "postgres_server", "schema"]  # fixtures


class TestPostgres(StoreContract, SqlRules):
    @pytest.fixture
    def make(self, postgres_server: PostgresServer, empty_schema: str) -> Make:
        config = StoreConfig(engine="postgres", dsn=postgres_server.dsn, schema=empty_schema)
        return make_backend(config)


class PostgresModel(StoreModel):
    config: ClassVar[StoreConfig]

    def make(self) -> StoreBackend:
        return make_backend(self.config)()

    def teardown(self) -> None:
        for room_id in ROOMS:
            self.backend.delete_room(room_id)
        super().teardown()


def test_it_never_differs_from_a_naive_one(
    postgres_server: PostgresServer, empty_schema: str
) -> None:
    class Model(PostgresModel):
        config = StoreConfig(engine="postgres", dsn=postgres_server.dsn, schema=empty_schema)

    run_state_machine_as_test(Model, settings=settings(max_examples=10, stateful_step_count=20))


class Store:
    """A backend, and a look behind it."""

    def __init__(self, dsn: Secret, schema: str, lock_timeout: float = 5.0) -> None:
        self.dsn = dsn
        self.database = PostgresDatabase(
            dsn,
            schema=schema,
            connect_timeout=5.0,
            statement_timeout=5.0,
            lock_timeout=lock_timeout,
        )
        self.backend = SqlBackend(self.database)
        self.schema = schema

    def setting(self, name: str) -> Any:
        return self.database.read("SELECT current_setting(?)", (name,))[0][0]

    def end_its_session(self) -> None:
        """The server ends it, as in a restart or a failover."""
        process = self.database.read("SELECT pg_backend_pid()")[0][0]
        with self.other() as other:
            assert other.execute("SELECT pg_terminate_backend(%s, 5000)", (process,)).fetchone()

    @contextmanager
    def other(self) -> Iterator[Any]:
        """Another connection to the same schema."""
        import psycopg

        with psycopg.connect(self.dsn.reveal(), autocommit=True) as connection:
            connection.execute("SELECT set_config('search_path', %s, false)", (self.schema,))
            yield connection


def wait_until(connection: Any, text: str, *row: object) -> None:
    """Until the statement answers with a row."""
    deadline = time.monotonic() + 5
    while connection.execute(text, row).fetchone() is None:
        assert time.monotonic() < deadline, text
        time.sleep(0.005)


@pytest.fixture
def store(postgres_server: PostgresServer, empty_schema: str) -> Iterator[Store]:
    store = Store(postgres_server.dsn, empty_schema)
    store.backend.open()
    yield store
    store.backend.abandon()
    store.backend.close()


# -- acknowledged means on disk ----------------------------------------------------------------


def test_a_commit_is_on_disk_when_it_returns(store: Store) -> None:
    assert store.setting("synchronous_commit") == "on"
    assert store.setting("fsync") == "on"
    assert store.setting("full_page_writes") == "on"


def test_what_the_administrator_has_weakened_is_made_strict_again(store: Store) -> None:
    import psycopg

    weak = psycopg.conninfo.make_conninfo(
        store.dsn.reveal(), options="-c synchronous_commit=off -c statement_timeout=60s"
    )
    other = Store(Secret(weak), store.schema)
    other.backend.open()
    assert other.setting("synchronous_commit") == "on"
    assert other.setting("statement_timeout") == "5s"
    assert other.setting("lock_timeout") == "5s"
    other.backend.close()


def test_a_server_that_does_not_wait_for_its_disk_is_warned_of(
    postgres_server: PostgresServer, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    if not postgres_server.private:
        pytest.skip("it is not ours to set")
    with store.other() as other:
        other.execute("ALTER SYSTEM SET fsync = off")
        other.execute("SELECT pg_reload_conf()")
        try:
            wait_until(other, "SELECT 1 WHERE current_setting('fsync') = 'off'")
            other_store = Store(store.dsn, store.schema)
            other_store.backend.open()
            other_store.backend.close()
        finally:
            other.execute("ALTER SYSTEM RESET fsync")
            other.execute("SELECT pg_reload_conf()")
    assert "fsync=off" in caplog.text


# -- the server goes ---------------------------------------------------------------------------


def test_a_server_that_goes_in_mid_transaction_leaves_nothing_half(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    backend.flush()
    add(backend, an_event(0))
    store.end_its_session()
    with pytest.raises(StoreUnavailable):
        add(backend, an_event(1))
    with pytest.raises(StoreUnavailable):
        backend.create_room(a_room("other"))
    with pytest.raises(StoreUnavailable):
        backend.flush()
    backend.open()
    assert backend.get_room("r") == a_room()
    assert list(backend.get_timeline("r", EVERYTHING, Page())) == []
    add(backend, an_event(0, "again"))
    backend.flush()


def test_a_server_that_goes_before_the_commit_leaves_nothing_and_it_is_said(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    store.end_its_session()
    with pytest.raises(StoreUnavailable, match="PostgreSQL"):
        backend.flush()
    backend.abandon()
    backend.close()
    backend.open()
    assert backend.get_room("r") is None


def test_a_server_that_goes_in_the_middle_of_the_commit_leaves_nothing_half(store: Store) -> None:
    backend = store.backend
    with store.other() as other:
        # What is checked at the commit only, and takes its time.
        other.execute("""
            CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN PERFORM pg_sleep(4); RETURN NULL; END $$
        """)
        other.execute("""
            CREATE CONSTRAINT TRIGGER slowly AFTER INSERT ON rooms DEFERRABLE INITIALLY DEFERRED
                FOR EACH ROW EXECUTE FUNCTION slowly()
        """)
        process = store.database.read("SELECT pg_backend_pid()")[0][0]
        backend.create_room(a_room())
        try:
            with ThreadPoolExecutor(1) as threads:
                flushed = threads.submit(backend.flush)
                sleeps = "SELECT 1 FROM pg_stat_activity WHERE pid = %s AND wait_event = 'PgSleep'"
                wait_until(other, sleeps, process)
                other.execute("SELECT pg_terminate_backend(%s, 5000)", (process,))
            with pytest.raises(StoreUnavailable, match="may have been done all the same"):
                flushed.result()
        finally:
            other.execute("DROP FUNCTION slowly CASCADE")
    backend.open()
    assert backend.get_room("r") is None
    backend.create_room(a_room())
    backend.flush()


def test_a_key_that_is_too_long_for_an_index_spoils_nothing_else(store: Store) -> None:
    backend = store.backend
    for name in ("r", "s"):
        backend.create_room(a_room(name))
    with pytest.raises(BadValue, match="index row"):
        add(backend, an_event(0, idempotency_key=secrets.token_hex(5000)))
    add(backend, an_event(0, room_id="s"), room_id="s")
    backend.flush()
    assert backend.get_event("s", "s-e0") is not None
    assert backend.get_room("r") == a_room()


def test_a_read_that_finds_the_server_gone_spoils_the_batch(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    store.end_its_session()
    with pytest.raises(StoreUnavailable):
        backend.get_room("r")
    with pytest.raises(StoreUnavailable):
        backend.create_room(a_room("other"))
    with pytest.raises(StoreUnavailable):
        backend.flush()
    backend.open()
    assert backend.find_rooms(None, None, {}, 10, 0) == ()


def test_an_idle_connection_that_was_ended_has_lost_nothing(store: Store) -> None:
    backend = store.backend
    backend.create_room(a_room())
    backend.flush()
    store.end_its_session()
    with pytest.raises(StoreUnavailable):
        backend.get_room("r")
    backend.close()
    backend.open()
    assert backend.get_room("r") == a_room()


def test_a_room_that_others_hold_is_not_waited_for_for_ever(store: Store) -> None:
    for name in ("r", "s"):
        store.backend.create_room(a_room(name))
    store.backend.flush()
    hasty = Store(store.dsn, store.schema, lock_timeout=0.1)
    hasty.backend.open()
    with store.other() as other:
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM rooms WHERE id = 'r' FOR UPDATE")
        add(hasty.backend, an_event(0, room_id="s"), room_id="s")
        with pytest.raises(StoreUnavailable, match="lock timeout"):
            add(hasty.backend, an_event(0))
        hasty.backend.flush()
    assert hasty.backend.get_event("s", "s-e0") is not None
    assert hasty.backend.get_event("r", "e0") is None
    add(hasty.backend, an_event(0))
    hasty.backend.close()


def test_a_read_that_takes_too_long_is_given_up(store: Store) -> None:
    store.database.read("SELECT set_config('statement_timeout', '50ms', false)")
    with pytest.raises(StoreUnavailable, match="statement timeout"):
        store.database.read("SELECT pg_sleep(5)")
    assert store.backend.get_room("r") is None


def test_rooms_on_several_connections_do_not_wait_for_each_other(store: Store) -> None:
    stores = [Store(store.dsn, store.schema, lock_timeout=1.0) for _ in range(3)]
    for number, one in enumerate(stores):
        one.backend.open()
        one.backend.create_room(a_room(f"r{number}"))
        add(one.backend, an_event(0, room_id=f"r{number}"), room_id=f"r{number}")
    for one in stores:
        one.backend.close()
    rooms = store.backend.find_rooms(None, None, {}, 10, 0)
    assert [room.event_count for room in rooms] == [1, 1, 1]


# -- what cannot be opened ---------------------------------------------------------------------


def test_a_server_that_is_not_there_is_said_to_be_so_without_the_password() -> None:
    pytest.importorskip("psycopg")
    store = Store(Secret("postgresql://ann:hunter2@127.0.0.1:1/none"), "troupe")
    with pytest.raises(StoreUnavailable, match=r"127\.0\.0\.1") as caught:
        store.backend.open()
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}{store.backend!r}"
    with pytest.raises(StoreUnavailable, match="not open"):
        store.backend.get_room("r")


def test_a_dsn_that_cannot_be_read_is_not_repeated() -> None:
    pytest.importorskip("psycopg")
    store = Store(Secret("host=h password:hunter2"), "troupe")
    with pytest.raises(StoreUnavailable, match="DSN") as caught:
        store.backend.open()
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_database_that_cannot_hold_every_character_is_refused(store: Store) -> None:
    import psycopg

    name = f"{store.schema}_ascii"
    with store.other() as other:
        other.execute(f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
        try:
            dsn = psycopg.conninfo.make_conninfo(store.dsn.reveal(), dbname=name)
            with pytest.raises(StoreUnavailable, match="UTF8"):
                Store(Secret(dsn), "troupe").backend.open()
        finally:
            other.execute(f"DROP DATABASE {name}")


def test_where_psycopg_is_missing_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(DriverMissing, match=r"pip install 'troupe\[postgres\]'"):
        make_backend(StoreConfig(engine="postgres", dsn=Secret("host=h")))


# -- many at once ------------------------------------------------------------------------------


def test_nodes_that_start_at_the_same_time_make_one_schema(
    postgres_server: PostgresServer, schema: str
) -> None:
    stores = [Store(postgres_server.dsn, schema) for _ in range(4)]
    with ThreadPoolExecutor(len(stores)) as threads:
        list(threads.map(lambda store: store.backend.open(), stores))
    stores[0].backend.create_room(a_room())
    stores[0].backend.flush()
    assert all(store.backend.get_room("r") == a_room() for store in stores)
    assert ids(stores[1].backend.search("anything", None, None, 1)) == []
    for store in stores:
        store.backend.close()


# -- as the actor that a node has --------------------------------------------------------------


async def test_a_node_goes_on_when_its_server_has_come_back(
    system: SystemUnderTest, store: Store
) -> None:
    import psycopg

    system.expect_crash("/node/store/*", StoreUnavailable)
    rooms = ("r", "t")  # of different members
    dsn = psycopg.conninfo.make_conninfo(store.dsn.reveal(), application_name=store.schema)
    config = StoreConfig(engine="postgres", dsn=Secret(dsn), schema=store.schema, connections=2)
    spec = store_spec(make_backend(config), config.members)
    await system.spawn(Supervisor, [spec], path="/node")
    actor = system.ref("/node/store")
    for name in rooms:
        await ask_store(actor, CreateRoom(a_room(name)))
    with store.other() as other:
        ended = other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = %s",
            (store.schema,),
        ).fetchall()
        assert ended == [(True,), (True,)]
    for name in rooms:
        lost = a_change(a_room(name), an_event(0, room_id=name))
        with pytest.raises(StoreUnavailable, match="PostgreSQL"):
            await ask_store(actor, Commit(lost))
    await trio.sleep(1)  # of virtual time: each member connects anew
    for name in rooms:
        again = a_change(a_room(name), an_event(0, "again", room_id=name))
        await ask_store(actor, Commit(again))
        assert store.backend.get_room(name) == again.room
