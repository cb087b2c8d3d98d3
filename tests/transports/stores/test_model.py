"""The store in memory beside a naive one."""

from __future__ import annotations

from hypothesis import settings

from tests.transports.stores.model import StoreModel
from transports.stores.backend import StoreBackend
from transports.stores.memory import MemoryBackend


class MemoryModel(StoreModel):
    durable = False

    def make(self) -> StoreBackend:
        return MemoryBackend()


TestMemoryModel = MemoryModel.TestCase
TestMemoryModel.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
