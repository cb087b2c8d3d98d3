"""Rooms, found by what they are and who is in them."""

from __future__ import annotations

from models.rooms.kinds import ChannelType, ParticipantStatus, RoomStatus
from models.rooms.room import RoomTimers
from tests.transports.stores.values import a_binding, a_participant, a_room, add, an_event
from transports.stores.backend import StoreBackend

ACTIVE = (RoomStatus.ACTIVE,)


class FindingRules:
    def test_rooms_are_found_by_organization_status_and_metadata(
        self, backend: StoreBackend
    ) -> None:
        closed = RoomStatus.CLOSED
        backend.create_room(a_room("a", minutes=3, organization_id="acme", metadata={"n": 1}))
        backend.create_room(a_room("b", minutes=1, organization_id="acme", status=closed))
        backend.create_room(
            a_room("c", minutes=2, organization_id="zeta", metadata={"n": 1, "word": "x y"})
        )

        def found(*wanted: object, limit: int = 10, offset: int = 0) -> list[str]:
            organization, status, metadata = wanted
            rooms = backend.find_rooms(organization, status, metadata, limit, offset)  # type: ignore[arg-type]
            return [room.id for room in rooms]

        assert found(None, None, {}) == ["b", "c", "a"]
        assert found("acme", None, {}) == ["b", "a"]
        assert found(None, closed, {}) == ["b"]
        assert found(None, None, {"n": 1}) == ["c", "a"]
        assert found(None, None, {"n": 1, "word": "x y"}) == ["c"]
        assert found("acme", None, {"n": 2}) == []
        assert found("nobody", None, {}) == []
        assert found(None, None, {}, limit=2) == ["b", "c"]
        assert found(None, None, {}, limit=2, offset=2) == ["a"]

    def test_metadata_that_is_none_is_not_metadata_that_is_not_there(
        self, backend: StoreBackend
    ) -> None:
        backend.create_room(a_room("a", metadata={"n": None}))
        backend.create_room(a_room("b"))
        assert [r.id for r in backend.find_rooms(None, None, {"n": None}, 10, 0)] == ["a"]

    def test_the_latest_room_of_somebody_is_the_one_used_last(self, backend: StoreBackend) -> None:
        for room_id, minutes in (("a", 5), ("b", 9), ("c", 1)):
            backend.create_room(a_room(room_id, minutes=minutes))
            ann = a_participant("ann", room_id, external_id="+49123")
            add(backend, room_id=room_id, participants=[ann], bound=[a_binding("sms", room_id)])
        for name in ("ann", "+49123"):
            found = backend.find_latest_room(name, None, ACTIVE)
            assert found is not None
            assert found.id == "b"
        assert backend.find_latest_room("bob", None, ACTIVE) is None

    def test_the_latest_room_needs_somebody_active_on_such_a_channel(
        self, backend: StoreBackend
    ) -> None:
        def latest(name: str, kind: ChannelType | None, *statuses: RoomStatus) -> str | None:
            found = backend.find_latest_room(name, kind, statuses or ACTIVE)
            return None if found is None else found.id

        left = ParticipantStatus.LEFT
        mail = a_binding("mail", "a", channel_type=ChannelType.EMAIL)
        ann = a_participant("ann", "a", connected_via=("sms", "mail"))
        backend.create_room(a_room("a", minutes=1))
        add(backend, room_id="a", participants=[ann], bound=[a_binding("sms", "a"), mail])
        backend.create_room(a_room("b", minutes=2))
        gone = a_participant("ann", "b", status=left)
        add(backend, room_id="b", participants=[gone], bound=[a_binding("sms", "b")])
        assert latest("ann", None) == "a"
        assert latest("ann", ChannelType.SMS) == "a"
        assert latest("ann", ChannelType.EMAIL) == "a"
        assert latest("ann", ChannelType.VOICE) is None
        assert latest("ann", None, RoomStatus.CLOSED) is None
        bound = a_binding("ws", "b", channel_type=ChannelType.WEBSOCKET, participant_id="ann")
        add(backend, room_id="b", bound=[bound])
        assert latest("ann", None) == "b"
        assert latest("ann", ChannelType.WEBSOCKET) == "b"
        assert latest("ann", ChannelType.SMS) == "a"
        add(backend, room_id="b", unbound=["ws"])
        assert latest("ann", None) == "a"

    def test_rooms_are_found_by_the_channels_in_them(self, backend: StoreBackend) -> None:
        for room_id, minutes in (("a", 5), ("b", 9), ("c", 1)):
            backend.create_room(a_room(room_id, minutes=minutes))
            add(backend, room_id=room_id, bound=[a_binding("sms", room_id)])

        def found(limit: int, *statuses: RoomStatus) -> list[str]:
            return [r.id for r in backend.find_rooms_of_channel("sms", statuses or ACTIVE, limit)]

        assert found(10) == ["b", "a", "c"]
        assert found(2) == ["b", "a"]
        assert found(10, RoomStatus.CLOSED) == []
        add(backend, room_id="b", unbound=["sms"])
        assert found(10) == ["a", "c"]
        assert list(backend.find_rooms_of_channel("mail", ACTIVE, 10)) == []

    def test_unfinished_are_rooms_with_deliveries_or_timers_page_by_page(
        self, backend: StoreBackend
    ) -> None:
        timed = RoomTimers(inactive_after_seconds=60)
        backend.create_room(a_room("idle"))
        backend.create_room(a_room("timed", timers=timed))
        backend.create_room(a_room("paused", timers=timed, status=RoomStatus.PAUSED))
        backend.create_room(a_room("shut", timers=timed, status=RoomStatus.CLOSED))
        for room_id in ("busy", "done"):
            backend.create_room(a_room(room_id))
            add(backend, an_event(0, room_id=room_id), room_id=room_id)
        backend.create_room(a_room("cut", status=RoomStatus.CLOSED))
        add(backend, an_event(0, room_id="cut"), room_id="cut")
        backend.advance("done", {}, 0)
        assert list(backend.unfinished_rooms("", 10)) == ["busy", "cut", "paused", "timed"]
        assert list(backend.unfinished_rooms("", 2)) == ["busy", "cut"]
        assert list(backend.unfinished_rooms("cut", 2)) == ["paused", "timed"]
        assert list(backend.unfinished_rooms("timed", 2)) == []
