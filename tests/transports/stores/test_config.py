from __future__ import annotations

from typing import Any

import pytest

from supervision.secret import Secret
from transports.stores.config import StoreConfig, make_backend
from transports.stores.memory import MemoryBackend


def test_by_default_all_is_kept_in_one_file_by_one_backend() -> None:
    config = StoreConfig()
    assert (config.engine, config.path, config.members) == ("sqlite", "troupe.sqlite", 1)


def test_each_call_makes_another_backend() -> None:
    make = make_backend(StoreConfig(engine="memory"))
    assert isinstance(make(), MemoryBackend)
    assert make() is not make()


def test_postgres_has_as_many_members_as_connections() -> None:
    config = StoreConfig(engine="postgres", dsn=Secret("host=h password=hunter2"), connections=3)
    assert config.members == 3
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    "wrong",
    [
        {"engine": "mongo"},
        {"engine": "postgres"},
        {"path": ""},
        {"path": ":memory:"},
        {"path": "file:x?mode=memory"},
        {"path": "a\0b"},
        {"schema": 'troupe"; DROP'},
        {"schema": "Troupe"},
        {"connections": 0},
        {"connect_timeout": 0.0},
        {"statement_timeout": float("inf")},
        {"lock_timeout": float("nan")},
    ],
)
def test_what_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="dsn|" + "|".join(wrong)):
        StoreConfig(**wrong)
