"""The contract of every store, as tests: `backend.py` in evidence.

A store is held to it by a subclass of `StoreContract` that says how it is made:

    class TestMemory(StoreContract):
        durable = False

        @pytest.fixture
        def make(self) -> Make: ...

`make` gives backends over the same data, not opened; the data is new for each test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import ClassVar

import pytest

from tests.transports.stores.contract_events import EventRules
from tests.transports.stores.contract_finding import FindingRules
from tests.transports.stores.contract_people import PeopleRules
from tests.transports.stores.contract_reading import ReadingRules
from tests.transports.stores.contract_rooms import RoomRules
from tests.transports.stores.contract_search import SearchRules
from tests.transports.stores.values import a_binding, a_room, add, an_event, ids
from transports.stores.backend import EVERYTHING, Page, StoreBackend

Make = Callable[[], StoreBackend]


class StoreContract(RoomRules, FindingRules, EventRules, SearchRules, PeopleRules, ReadingRules):
    """All of it."""

    durable: ClassVar[bool] = True
    """What was flushed is there when it is opened again, and `abandon` undoes what was not."""

    @pytest.fixture
    def make(self) -> Make:
        """How a backend over the data of this test is made."""
        raise NotImplementedError

    @pytest.fixture
    def backend(self, make: Make) -> Iterator[StoreBackend]:
        """An open one."""
        backend = make()
        backend.open()
        yield backend
        backend.close()

    @pytest.fixture
    def lasting(self, backend: StoreBackend) -> StoreBackend:
        """An open one that keeps what it is given."""
        if not self.durable:
            pytest.skip("it keeps nothing")
        return backend

    # -- durability -----------------------------------------------------------------------

    def test_what_was_flushed_is_there_when_it_is_opened_again(
        self, lasting: StoreBackend, make: Make
    ) -> None:
        lasting.create_room(a_room())
        add(lasting, an_event(0), an_event(1), bound=[a_binding("sms")], cursors={"sms": 0})
        lasting.mark_read("r", "sms", 1)
        lasting.flush()
        again = make()
        again.open()
        record = again.load_room("r", 10)
        assert record == lasting.load_room("r", 10)
        assert record is not None
        assert ids(record.context.recent_events) == ["e0", "e1"]
        assert again.list_read_markers("r") == {"sms": 1}
        again.close()

    def test_closing_writes_what_is_not_written(self, lasting: StoreBackend, make: Make) -> None:
        writer = make()
        writer.open()
        writer.create_room(a_room())
        writer.close()
        assert lasting.get_room("r") == a_room()

    def test_others_see_nothing_before_the_flush(self, lasting: StoreBackend, make: Make) -> None:
        other = make()
        other.open()
        lasting.create_room(a_room())
        assert other.get_room("r") is None
        other.flush()
        lasting.flush()
        assert other.get_room("r") == a_room()
        other.close()

    def test_what_is_abandoned_never_was(self, lasting: StoreBackend) -> None:
        lasting.create_room(a_room())
        lasting.flush()
        add(lasting, an_event(0, idempotency_key="k"))
        lasting.create_room(a_room("other"))
        lasting.abandon()
        assert lasting.get_room("other") is None
        assert lasting.get_room("r") == a_room()
        assert list(lasting.get_timeline("r", EVERYTHING, Page())) == []
        assert lasting.get_event_by_key("r", "k") is None
        add(lasting, an_event(0, "another", idempotency_key="k"))
        lasting.flush()
        assert ids(lasting.get_timeline("r", EVERYTHING, Page())) == ["e0"]

    def test_a_write_that_was_refused_spoils_nothing_that_came_before_it(
        self, lasting: StoreBackend, make: Make
    ) -> None:
        lasting.create_room(a_room())
        with pytest.raises(Exception, match="there already is"):
            lasting.create_room(a_room())
        add(lasting, an_event(0))
        lasting.flush()
        again = make()
        again.open()
        assert ids(again.get_timeline("r", EVERYTHING, Page())) == ["e0"]
        again.close()

    def test_flushing_and_abandoning_nothing_is_harmless(self, backend: StoreBackend) -> None:
        backend.flush()
        backend.abandon()
        backend.flush()
        assert backend.get_room("r") is None
