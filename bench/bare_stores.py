"""What `room` is compared with: the stores alone, and a PostgreSQL server to measure against.

A message is two writes of one event each, what a person says and what is answered, and each is made
durable by itself. That is the least that whoever acknowledges both could do without putting
messages together.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import attrs

from bench.measure import on_all_cores, percentile, pin
from models.rooms.content import Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelType
from models.rooms.room import Room
from transports.stores.backend import Change
from transports.stores.memory import MemoryBackend

DSN = "TROUPE_TEST_POSTGRES"
BODY = "x" * 600
"""About as long as an event is as JSON."""
TABLE = "CREATE TABLE events (id TEXT PRIMARY KEY, room TEXT, place INTEGER, body TEXT)"


@attrs.frozen
class Bare:
    """A store alone."""

    per_s: float
    """Messages a second."""
    cpu_ms: float
    """Milliseconds of this process's processor per message."""
    p50: float
    """Milliseconds of one message."""
    p99: float


def run_memory(messages: int, core: int = -1) -> Bare:
    """`MemoryBackend.change`, twice a message. What it is to write is made before."""
    pin({core} - {-1})
    backend = MemoryBackend()
    now = datetime.now(UTC)
    room = Room("room", now, now)
    backend.create_room(room)
    source = EventSource("ws", ChannelType.WEBSOCKET)
    changes = []
    for index in range(2 * messages):
        event = RoomEvent(str(index), room.id, source, Text(BODY), now, index=index)
        room = attrs.evolve(room, event_count=index + 1, latest_index=index)
        changes.append(Change(room, index, (event,)))
    following = iter(changes)
    return _timed(messages, lambda: backend.change(next(following)))


def run_sqlite(messages: int, path: str, core: int = -1) -> Bare:
    """Bare sqlite3 as our store sets it: WAL, and each commit on disk."""
    pin({core} - {-1})
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(TABLE)
        numbers = iter(range(2 * messages))

        def write() -> None:
            number = next(numbers)
            row = (str(number), "room", number, BODY)
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
            connection.execute("COMMIT")

        return _timed(messages, write)
    finally:
        connection.close()


def run_postgres(messages: int, dsn: str, schema: str, core: int = -1) -> Bare:
    """Bare psycopg on one connection, a commit for each event."""
    import psycopg
    from psycopg import sql

    pin({core} - {-1})
    with psycopg.connect(dsn, autocommit=True) as connection:
        name = sql.Identifier(schema)
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        connection.execute(sql.SQL("SET search_path TO {}").format(name))
        connection.execute(TABLE)
        numbers = iter(range(2 * messages))

        def write() -> None:
            number = next(numbers)
            row = (str(number), "room", number, BODY)
            connection.execute("INSERT INTO events VALUES (%s, %s, %s, %s)", row)

        return _timed(messages, write)


def _timed(messages: int, write: Callable[[], None]) -> Bare:
    latencies = []
    cpu, begun = process_time(), perf_counter()
    for _ in range(messages):
        before = perf_counter()
        write()
        write()
        latencies.append(1000 * (perf_counter() - before))
    seconds, cpu = perf_counter() - begun, process_time() - cpu
    return Bare(
        messages / seconds, 1000 * cpu / messages, median(latencies), percentile(latencies, 0.99)
    )


# -- PostgreSQL --------------------------------------------------------------------------------


class NoPostgres(Exception):
    """There is none to measure against; the text says why."""


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a server: the one that is named, or a private one for the time being.

    Raises:
        NoPostgres: neither is there.
    """
    try:
        import psycopg
        import pytest

        from tests.transports.stores.postgres_server import find_binaries, private_server
    except ImportError as missing:
        raise NoPostgres(f"{missing.name} is not installed") from missing
    del psycopg  # only whether it is there
    named = os.environ.get(DSN)
    if named:
        yield named
        return
    binaries = find_binaries()
    if binaries is None:
        raise NoPostgres(f"there is no PostgreSQL on this machine; name one in {DSN}")
    running = private_server(binaries)
    try:
        # It has a machine of its own, as far as there is more than one core.
        server = on_all_cores(running.__enter__)()
    except (pytest.fail.Exception, pytest.skip.Exception) as failed:
        raise NoPostgres(str(failed)) from failed
    try:
        yield server.dsn.reveal()
    finally:
        running.__exit__(None, None, None)


@contextmanager
def new_schema(dsn: str) -> Iterator[str]:
    """The name of a schema that is not there, and is gone afterwards."""
    import psycopg
    from psycopg import sql

    name = "bench_" + secrets.token_hex(8)
    try:
        yield name
    finally:
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET client_min_messages = warning")
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
            connection.execute(drop.format(sql.Identifier(name)))


def filesystem(path: Path) -> str:
    """What kind of disk a file is on: on some, a commit costs nothing."""
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    place = path.resolve()
    over = [m for m in mounts if place.is_relative_to(m[1])]
    return max(over, key=lambda m: len(m[1]))[2] if over else "unknown"
