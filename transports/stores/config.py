"""What can be configured about where rooms are kept: the `[store]` section."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal

import attrs
from attrs.validators import ge, gt, in_, le, matches_re

from supervision.secret import Secret
from transports.stores.backend import StoreBackend
from transports.stores.memory import MemoryBackend
from transports.stores.postgres import PostgresDatabase, check_driver
from transports.stores.sql import SqlBackend
from transports.stores.sqlite import SqliteDatabase


def _path(_: object, attribute: attrs.Attribute[str], value: str) -> None:
    if not value or "\0" in value:
        raise ValueError(f"'{attribute.name}' must be the path of a file")
    if value == ":memory:" or value.startswith("file:"):
        raise ValueError(
            f"'{attribute.name}' must be the path of a file; for a store in memory set 'engine' to "
            '"memory"'
        )


@attrs.frozen
class StoreConfig:
    """Where rooms, their events and the address book are kept."""

    engine: Literal["memory", "sqlite", "postgres"] = attrs.field(
        default="sqlite", validator=in_(("memory", "sqlite", "postgres"))
    )
    """"sqlite" keeps all in one file, for one node. "postgres" needs a server and
    `pip install 'troupe[postgres]'`. "memory" forgets all when the node ends."""

    path: str = attrs.field(default="troupe.sqlite", validator=_path)
    """The file for "sqlite"; two more appear beside it. It has to be on a local disk."""

    dsn: Secret | None = None
    """The database for "postgres": postgresql://user:password@host/database."""

    schema: str = attrs.field(default="troupe", validator=matches_re(r"[a-z_][a-z0-9_]{0,62}"))
    """Where in that database the tables are; made if it is not there."""

    connections: int = attrs.field(default=4, validator=[ge(1), le(64)])
    """Connections to "postgres", each with rooms of its own to look after. The others have one."""

    connect_timeout: float = attrs.field(default=10.0, validator=[gt(0), le(300)])
    """Seconds to connect to "postgres", and to notice that it fell silent."""

    statement_timeout: float = attrs.field(default=10.0, validator=[gt(0), le(3600)])
    """Seconds that "postgres" may work on one statement."""

    lock_timeout: float = attrs.field(default=5.0, validator=[gt(0), le(300)])
    """Seconds to wait for other programs that write to the same file or the same row."""

    def __attrs_post_init__(self) -> None:
        if self.engine == "postgres" and self.dsn is None:
            raise ValueError("'dsn' must be given for the engine \"postgres\"")

    @property
    def members(self) -> int:
        """Backends to have at work at the same time."""
        return self.connections if self.engine == "postgres" else 1


def make_backend(config: StoreConfig) -> Callable[[], StoreBackend]:
    """What makes backends over the store that is configured, not opened; each call another one.

    Raises:
        DriverMissing: it is PostgreSQL, and psycopg is not installed.
    """
    match config.engine:
        case "memory":
            return MemoryBackend
        case "sqlite":
            return partial(_sqlite, config)
        case "postgres":
            check_driver()
            return partial(_postgres, config)


def _sqlite(config: StoreConfig) -> StoreBackend:
    return SqlBackend(SqliteDatabase(config.path, lock_timeout=config.lock_timeout))


def _postgres(config: StoreConfig) -> StoreBackend:
    assert config.dsn is not None, "the configuration has seen to it"
    return SqlBackend(
        PostgresDatabase(
            config.dsn,
            schema=config.schema,
            connect_timeout=config.connect_timeout,
            statement_timeout=config.statement_timeout,
            lock_timeout=config.lock_timeout,
        )
    )
