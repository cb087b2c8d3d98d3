"""The stores that rooms are proven over: SQLite, and PostgreSQL where there is one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.transports.stores.postgres_server import PostgresServer, new_schema
from tests.transports.stores.postgres_server import postgres_server as postgres_server
from transports.stores.config import StoreConfig


@pytest.fixture
def sqlite(tmp_path: Path) -> StoreConfig:
    return StoreConfig(path=str(tmp_path / "rooms.sqlite"))


@pytest.fixture
def postgres(postgres_server: PostgresServer) -> Iterator[StoreConfig]:
    for schema in new_schema(postgres_server):
        yield StoreConfig(engine="postgres", dsn=postgres_server.dsn, schema=schema, connections=2)


@pytest.fixture(params=["sqlite", "postgres"])
def store(request: pytest.FixtureRequest) -> StoreConfig:
    """Each of them in turn."""
    config = request.getfixturevalue(request.param)
    assert isinstance(config, StoreConfig)
    return config
