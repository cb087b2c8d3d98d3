"""The store in memory, held to the contract."""

from __future__ import annotations

import pytest

from tests.transports.stores.contract import Make, StoreContract
from transports.stores.memory import MemoryBackend


class TestMemory(StoreContract):
    durable = False

    @pytest.fixture
    def make(self) -> Make:
        return MemoryBackend
