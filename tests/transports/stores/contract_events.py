"""Events: reading, pages, filters, threads, deleting, searching."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

import attrs
import pytest

from models.rooms.content import (
    Audio,
    Composite,
    Content,
    Delete,
    Edit,
    Location,
    Media,
    Rich,
    System,
    Template,
    Text,
    ToolCall,
    Video,
)
from models.rooms.errors import RoomsError
from models.rooms.event import ChannelData, DeliveryError, DeliveryResult, EventSource, RoomEvent
from models.rooms.kinds import (
    ChannelDirection,
    ChannelType,
    DeleteType,
    DeliveryOutcome,
    EventStatus,
    EventType,
    ToolStatus,
)
from models.rooms.traffic import ThreadSummary
from tests.transports.stores.values import a_blocked_one, a_room, add, an_event, at, ids
from transports.stores.backend import EVERYTHING, EventFilter, Page, StoreBackend

CONTENTS: Sequence[Content] = (
    Text("Grüße, 世界 🎈", "de"),
    Rich("**hi**", plain_text="hi", buttons=[{"label": "Yes", "n": 1}], quick_replies=["no"]),
    Media("https://example.org/a.png", "image/png", "a.png", 12, "a cat"),
    Location(52.5, 13.4, "Berlin"),
    Audio("https://example.org/a.ogg", duration_seconds=1.5, transcript="hello"),
    Video("https://example.org/a.mp4"),
    System("joined", "joined", {"who": ["ann"]}),
    Template("welcome", parameters={"1": "Ann"}),
    Composite([Text("one"), Composite([Text("two")])]),
    Edit("e0", Text("better"), "sender"),
    Delete("e0", DeleteType.ADMIN, "spam"),
    ToolCall("add", "t1", {"a": 1}, [1, {"b": None}], ToolStatus.COMPLETED, 2.5),
)

FULL = RoomEvent(
    id="full",
    room_id="r",
    source=EventSource(
        "sms",
        ChannelType.SMS,
        ChannelDirection.INBOUND,
        "ann",
        "+49123",
        "twilio",
        {"Body": "hi", "deep": [{"n": 1}]},
        "SM1",
    ),
    content=Text("hi"),
    created_at=at(0.123),
    type=EventType.MESSAGE,
    status=EventStatus.DELIVERED,
    visibility="transport",
    addressed_to=("bot",),
    response_visibility="ws,sms",
    index=0,
    chain_depth=2,
    parent_event_id="root",
    correlation_id="c",
    idempotency_key="k",
    metadata={"_routed_to": "bot", "n": 1.5, "none": None},
    channel_data=ChannelData("twilio", "x", "thread", {"a": [1]}),
    delivery_results={
        "ws": DeliveryResult("ws", DeliveryOutcome.SENT, "m1"),
        "mail": DeliveryResult(
            "mail", DeliveryOutcome.FAILED, error=DeliveryError("quota"), retry_after=1.5
        ),
    },
)


def listed(
    backend: StoreBackend, wanted: EventFilter = EVERYTHING, page: Page | None = None
) -> list[str]:
    return ids(backend.get_timeline("r", wanted, page or Page()))


class EventRules:
    # -- one event ------------------------------------------------------------------------

    def test_an_event_reads_as_it_was_written(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, FULL)
        assert backend.get_event("r", "full") == FULL
        assert backend.get_event_by_key("r", "k") == FULL
        assert list(backend.get_timeline("r", EVERYTHING, Page())) == [FULL]

    @pytest.mark.parametrize("content", CONTENTS, ids=lambda content: content.type)
    def test_every_content_reads_as_it_was_written(
        self, backend: StoreBackend, content: Content
    ) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, content=content))
        stored = backend.get_event("r", "e0")
        assert stored is not None
        # What comes back holds tuples or lists as the store likes; it says the same.
        assert _plain(stored.content) == _plain(content)

    @pytest.mark.parametrize("odd", ["a\x00b", "\u2028\u200b", "🎈" * 10, "x" * 200_000, "\\u0000"])
    def test_every_text_reads_as_it_was_written(self, backend: StoreBackend, odd: str) -> None:
        backend.create_room(a_room())
        event = an_event(0, odd, metadata={odd: odd, "deep": [odd]}, idempotency_key=odd[:50])
        add(backend, event)
        assert backend.get_event("r", "e0") == event
        assert backend.get_event_by_key("r", odd[:50]) == event

    def test_text_that_is_no_text_is_kept_or_refused_and_spoils_nothing(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room())
        half = "half a pair: \ud83c"  # JSON can spell it, UTF-8 cannot
        with contextlib.suppress(RoomsError):
            add(backend, an_event(0, half))
        backend.flush()
        room = backend.get_room("r")
        assert room is not None
        assert len(listed(backend)) == room.event_count

    def test_addressed_to_nobody_is_not_unaddressed(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0, addressed_to=()), an_event(1, addressed_to=None))
        nobody, open_ = backend.get_timeline("r", EVERYTHING, Page())
        assert nobody.addressed_to is not None
        assert list(nobody.addressed_to) == []
        assert open_.addressed_to is None

    def test_blocked_events_are_read_by_id_and_key(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        blocked = a_blocked_one(0, idempotency_key="k")
        add(backend, blocked)
        assert backend.get_event("r", "e0") == blocked
        assert backend.get_event_by_key("r", "k") == blocked
        assert listed(backend) == []
        assert listed(backend, EventFilter(include_blocked=True)) == ["e0"]

    def test_an_event_is_read_in_its_own_room_only(self, backend: StoreBackend) -> None:
        for room_id in ("r", "other"):
            backend.create_room(a_room(room_id))
        add(backend, an_event(0, idempotency_key="k"))
        assert backend.get_event("other", "e0") is None
        assert backend.get_event_by_key("other", "k") is None
        assert backend.get_event("r", "nothing") is None
        assert backend.get_event_by_key("r", "nothing") is None
        assert listed(backend) == ["e0"]
        assert list(backend.get_timeline("nowhere", EVERYTHING, Page())) == []

    def test_results_of_deliveries_are_kept(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1))
        results = {"sms": DeliveryResult("sms", DeliveryOutcome.QUEUED, "m")}
        backend.record_results(an_event(0, "not kept", delivery_results=results))
        assert backend.get_event("r", "e0") == an_event(0, delivery_results=results)
        assert backend.get_event("r", "e1") == an_event(1)

    # -- pages ----------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("page", "found"),
        [
            (Page(limit=3), [0, 1, 2]),
            (Page(limit=3, offset=2), [2, 3, 4]),
            (Page(limit=3, offset=8), [8, 9]),
            (Page(limit=3, offset=10), []),
            (Page(limit=3, newest_first=True), [7, 8, 9]),
            (Page(limit=3, offset=1, newest_first=True), [6, 7, 8]),
            (Page(limit=3, after_index=4), [5, 6, 7]),
            (Page(limit=3, before_index=4), [0, 1, 2]),
            (Page(limit=3, before_index=4, newest_first=True), [1, 2, 3]),
            (Page(limit=3, after_index=4, newest_first=True), [7, 8, 9]),
            (Page(after_index=4, before_index=7), [5, 6]),
            (Page(after_index=-1), list(range(10))),
            (Page(before_index=0), []),
            (Page(after_index=9), []),
            (Page(after_index=7, before_index=3), []),
            (Page(limit=2, offset=5, after_index=1), [2, 3]),
            (Page(limit=2, offset=1, before_index=5, newest_first=True), [3, 4]),
        ],
    )
    def test_pages_are_cut_and_ascend(
        self, backend: StoreBackend, page: Page, found: list[int]
    ) -> None:
        backend.create_room(a_room())
        add(backend, *[an_event(i) for i in range(10)])
        assert listed(backend, page=page) == [f"e{i}" for i in found]

    def test_blocked_events_are_skipped_before_the_page_is_cut(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, *[a_blocked_one(i) if i % 2 else an_event(i) for i in range(10)])
        assert listed(backend, page=Page(limit=3)) == ["e0", "e2", "e4"]
        assert listed(backend, page=Page(limit=2, offset=1)) == ["e2", "e4"]
        assert listed(backend, page=Page(limit=2, newest_first=True)) == ["e6", "e8"]
        assert listed(backend, page=Page(limit=2, after_index=4)) == ["e6", "e8"]
        with_blocked = EventFilter(include_blocked=True)
        assert listed(backend, with_blocked, Page(limit=3)) == ["e0", "e1", "e2"]

    # -- filters --------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("wanted", "found"),
        [
            (EVERYTHING, [0, 1, 2, 3, 4]),
            (EventFilter(event_types=[EventType.MESSAGE]), [0, 1, 2, 4]),
            (EventFilter(event_types=[EventType.EDIT, EventType.MESSAGE]), [0, 1, 2, 3, 4]),
            (EventFilter(event_types=[]), []),
            (EventFilter(exclude_types=[EventType.MESSAGE]), [3]),
            (
                EventFilter(event_types=[EventType.MESSAGE], exclude_types=[EventType.MESSAGE]),
                [],
            ),
            (EventFilter(visibility="transport"), [1]),
            (EventFilter(source_channel_id="bot"), [2]),
            (EventFilter(source_channel_type=ChannelType.AI), [2]),
            (EventFilter(correlation_id="c"), [2]),
            (EventFilter(participant_id="ann"), [0, 3]),
            (EventFilter(parent_event_id="e0"), [2, 4]),
            (EventFilter(top_level_only=True), [0, 1, 3]),
            (EventFilter(after_time=at(1)), [2, 3, 4]),
            (EventFilter(before_time=at(3)), [0, 1, 2]),
            (EventFilter(after_time=at(0), before_time=at(2)), [1]),
            (EventFilter(parent_event_id="e0", source_channel_id="sms"), [4]),
            (EventFilter(include_blocked=True), [0, 1, 2, 3, 4, 5]),
            (EventFilter(include_blocked=True, participant_id="bob"), [1, 5]),
        ],
    )
    def test_filters_choose(
        self, backend: StoreBackend, wanted: EventFilter, found: list[int]
    ) -> None:
        backend.create_room(a_room())
        bot = {"channel": "bot", "channel_type": ChannelType.AI}
        add(
            backend,
            an_event(0, participant_id="ann"),
            an_event(1, participant_id="bob", visibility="transport"),
            an_event(2, correlation_id="c", parent_event_id="e0", **bot),
            an_event(3, type=EventType.EDIT, participant_id="ann"),
            an_event(4, parent_event_id="e0"),
            a_blocked_one(5, participant_id="bob"),
        )
        assert listed(backend, wanted) == [f"e{i}" for i in found]

    def test_filters_and_pages_go_together(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, *[an_event(i, participant_id="ab"[i % 2]) for i in range(10)])
        wanted = EventFilter(participant_id="b", after_time=at(2))
        assert listed(backend, wanted, Page(limit=2)) == ["e3", "e5"]
        assert listed(backend, wanted, Page(limit=2, newest_first=True)) == ["e7", "e9"]
        assert listed(backend, wanted, Page(limit=9, before_index=7)) == ["e3", "e5"]

    @pytest.mark.parametrize(
        "contradictory",
        [
            {"parent_event_id": "e0", "top_level_only": True},
            {"after_time": at(2), "before_time": at(2)},
            {"after_time": at(3), "before_time": at(2)},
        ],
    )
    def test_filters_that_contradict_themselves_are_refused(
        self, contradictory: dict[str, object]
    ) -> None:
        with pytest.raises(ValueError, match=r"contradict|nothing can match"):
            EventFilter(**contradictory)  # type: ignore[arg-type]

    @pytest.mark.parametrize("limit", [0, -1, 1001])
    def test_a_page_has_a_sensible_size(self, limit: int) -> None:
        with pytest.raises(ValueError, match="1 to 1000"):
            Page(limit)

    # -- threads, deleting ----------------------------------------------------------------

    def test_threads_are_summed_up_newest_reply_last(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0),
            an_event(1),
            an_event(2, parent_event_id="e0"),
            an_event(3, parent_event_id="e1"),
            an_event(4, parent_event_id="e0"),
            a_blocked_one(5, parent_event_id="e1"),
        )
        assert list(backend.get_thread_summaries("r")) == [
            ThreadSummary("e1", 1, at(3)),
            ThreadSummary("e0", 2, at(4)),
        ]
        assert list(backend.get_thread_summaries("nowhere")) == []

    def test_a_deleted_event_goes_with_the_replies_to_it(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(
            backend,
            an_event(0, "strawberry", idempotency_key="k"),
            an_event(1),
            an_event(2, parent_event_id="e0", idempotency_key="k2"),
            a_blocked_one(3, parent_event_id="e0"),
        )
        assert list(backend.delete_event("r", "e0", True)) == ["e0", "e2", "e3"]
        assert listed(backend, EventFilter(include_blocked=True)) == ["e1"]
        assert backend.get_event("r", "e2") is None
        assert backend.get_event_by_key("r", "k") is None
        assert list(backend.search("strawberry", "r", None, 10)) == []
        assert list(backend.get_thread_summaries("r")) == []
        assert list(backend.delete_event("r", "e0", True)) == []
        assert list(backend.delete_event("nowhere", "e1", True)) == []

    def test_a_deleted_event_may_leave_the_replies_to_it(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1, parent_event_id="e0"))
        assert list(backend.delete_event("r", "e0", False)) == ["e0"]
        assert listed(backend) == ["e1"]

    def test_indices_are_not_used_again(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, an_event(0), an_event(1), an_event(2, idempotency_key="k"))
        backend.delete_event("r", "e2", True)
        room = backend.get_room("r")
        assert room is not None
        assert (room.event_count, room.latest_index) == (3, 2)
        add(backend, an_event(3, idempotency_key="k"))
        found = backend.get_timeline("r", EVERYTHING, Page())
        assert [event.index for event in found] == [0, 1, 3]
        assert listed(backend, page=Page(limit=2, newest_first=True)) == ["e1", "e3"]


def _plain(value: object) -> object:
    """With lists for whatever is a sequence, so that only what is said is compared."""
    if attrs.has(type(value)):
        fields = attrs.fields(type(value))  # type: ignore[arg-type]
        return {f.name: _plain(getattr(value, f.name)) for f in fields}
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return value
