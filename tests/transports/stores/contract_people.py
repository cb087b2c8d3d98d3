"""Participants, bindings, identities, tasks, observations."""

from __future__ import annotations

import pytest

from models.rooms.errors import IdentityNotFound
from models.rooms.identity import Identity
from models.rooms.kinds import (
    Access,
    ChannelDirection,
    ChannelMediaType,
    ChannelType,
    IdentificationStatus,
    ParticipantRole,
    ParticipantStatus,
    TaskStatus,
)
from models.rooms.room import (
    ChannelBinding,
    ChannelCapabilities,
    Participant,
    RateLimit,
    RetryPolicy,
)
from tests.transports.stores.values import (
    NOON,
    a_participant,
    a_room,
    a_task,
    add,
    an_agent,
    an_observation,
    at,
)
from transports.stores.backend import StoreBackend

SMS, EMAIL = ChannelType.SMS, ChannelType.EMAIL
ANN = Identity(
    "ann",
    None,
    "Ann Ångström",
    "ann@example.org",
    "+49123",
    {"sms": ("+49123", "+49124"), "email": ("ann@example.org",)},
    "crm-1",
    {"crm": "1"},
    {"vip": True, "tags": ["a"]},
)


class PeopleRules:
    # -- in a room ------------------------------------------------------------------------

    def test_bindings_and_participants_read_as_they_were_written(
        self, backend: StoreBackend
    ) -> None:
        binding = ChannelBinding(
            "sms",
            "r",
            SMS,
            NOON,
            direction=ChannelDirection.INBOUND,
            access=Access.READ_ONLY,
            muted=True,
            visibility="ws,mail",
            participant_id="ann",
            last_read_index=3,
            capabilities=ChannelCapabilities(
                (ChannelMediaType.TEXT, ChannelMediaType.MEDIA), 160, custom={"a": [1]}
            ),
            rate_limit=RateLimit(max_per_minute=30),
            retry_policy=RetryPolicy(5, 0.5, retryable_errors=("timeout",)),
            metadata={"phone": "+49123"},
        )
        participant = Participant(
            "ann",
            "r",
            "sms",
            NOON,
            "Ann Ångström",
            ParticipantRole.OWNER,
            ParticipantStatus.INACTIVE,
            IdentificationStatus.AMBIGUOUS,
            "id-1",
            ("id-1", "id-2"),
            ("sms", "mail"),
            "+49123",
            at(1),
            "a resolver",
            {"n": 1},
        )
        backend.create_room(a_room())
        add(backend, bound=[binding, an_agent("bot")], participants=[participant])
        record = backend.load_room("r", 1)
        assert record is not None
        assert record.context.get_binding("sms") == binding
        assert record.context.get_binding("bot") == an_agent("bot")
        assert list(record.context.participants) == [participant]

    def test_a_participant_is_replaced_by_id(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, participants=[a_participant("ann"), a_participant("bob")])
        left = a_participant("ann", status=ParticipantStatus.LEFT)
        add(backend, participants=[left])
        record = backend.load_room("r", 1)
        assert record is not None
        found = {p.id: p for p in record.context.participants}
        assert found == {"ann": left, "bob": a_participant("bob")}

    def test_the_same_person_takes_part_in_two_rooms(self, backend: StoreBackend) -> None:
        for room_id in ("a", "b"):
            backend.create_room(a_room(room_id))
            add(backend, room_id=room_id, participants=[a_participant("ann", room_id)])
        record = backend.load_room("a", 1)
        assert record is not None
        assert [p.room_id for p in record.context.participants] == ["a"]

    # -- identities -----------------------------------------------------------------------

    def test_an_identity_reads_as_it_was_written(self, backend: StoreBackend) -> None:
        backend.put_identity(ANN)
        assert backend.get_identity("ann", None) == ANN
        assert backend.get_identity("bob", None) is None

    def test_an_identity_is_known_by_its_addresses(self, backend: StoreBackend) -> None:
        backend.put_identity(ANN)
        assert backend.resolve_identity(SMS, "+49123", None) == ANN
        assert backend.resolve_identity(SMS, "+49124", None) == ANN
        assert backend.resolve_identity(EMAIL, "ann@example.org", None) == ANN
        assert backend.resolve_identity(EMAIL, "+49123", None) is None
        assert backend.resolve_identity(SMS, "+49", None) is None

    def test_what_belongs_to_another_organization_is_not_there(self, backend: StoreBackend) -> None:
        acme = Identity("a", "acme", channel_addresses={"sms": ("+1",)})
        zeta = Identity("z", "zeta", channel_addresses={"sms": ("+1",)})
        backend.put_identity(acme)
        backend.put_identity(zeta)
        assert backend.get_identity("a", "acme") == acme
        assert backend.get_identity("a", "zeta") is None
        assert backend.get_identity("a", None) is None
        assert backend.resolve_identity(SMS, "+1", "acme") == acme
        assert backend.resolve_identity(SMS, "+1", "zeta") == zeta
        assert backend.resolve_identity(SMS, "+1", "nobody") is None
        assert backend.resolve_identity(SMS, "+1", None) is None

    def test_an_identity_that_is_put_again_is_replaced_with_its_addresses(
        self, backend: StoreBackend
    ) -> None:
        backend.put_identity(ANN)
        moved = Identity("ann", None, "Ann", channel_addresses={"sms": ("+50",)})
        backend.put_identity(moved)
        assert backend.get_identity("ann", None) == moved
        assert backend.resolve_identity(SMS, "+50", None) == moved
        assert backend.resolve_identity(SMS, "+49123", None) is None

    def test_an_address_is_linked(self, backend: StoreBackend) -> None:
        backend.put_identity(Identity("ann", "acme"))
        for _ in range(2):  # the second time changes nothing
            backend.link_address("ann", SMS, "+1")
        backend.link_address("ann", SMS, "+2")
        found = backend.resolve_identity(SMS, "+1", "acme")
        assert found is not None
        assert found.id == "ann"
        assert list(found.channel_addresses["sms"]) == ["+1", "+2"]
        assert backend.get_identity("ann", "acme") == found

    def test_an_address_means_the_one_it_was_given_to_last(self, backend: StoreBackend) -> None:
        backend.put_identity(ANN)
        backend.put_identity(Identity("bob"))
        backend.link_address("bob", SMS, "+49123")
        found = backend.resolve_identity(SMS, "+49123", None)
        assert found is not None
        assert found.id == "bob"
        other = backend.resolve_identity(SMS, "+49124", None)
        assert other is not None
        assert other.id == "ann"

    def test_only_an_identity_that_is_there_is_linked(self, backend: StoreBackend) -> None:
        with pytest.raises(IdentityNotFound) as caught:
            backend.link_address("nobody", SMS, "+1")
        assert caught.value.id == "nobody"
        assert backend.resolve_identity(SMS, "+1", None) is None

    # -- work -----------------------------------------------------------------------------

    def test_tasks_are_listed_as_they_came_and_by_status(self, backend: StoreBackend) -> None:
        for room_id in ("r", "other"):
            backend.create_room(a_room(room_id))
        first = a_task("t2", 1, metadata={"n": [1]}, assigned_to="ann", description="soon")
        second = a_task("t1", 2)
        add(backend, tasks=[first])
        add(backend, tasks=[second])
        add(backend, tasks=[a_task("t3", room_id="other")], room_id="other")
        assert list(backend.list_tasks("r", None)) == [first, second]
        done = a_task("t2", 1, status=TaskStatus.COMPLETED)
        backend.update_task(done)
        assert backend.get_task("t2") == done
        assert list(backend.list_tasks("r", None)) == [done, second]
        assert list(backend.list_tasks("r", TaskStatus.PENDING)) == [second]
        assert list(backend.list_tasks("r", TaskStatus.FAILED)) == []
        assert list(backend.list_tasks("nowhere", None)) == []
        assert backend.get_task("nothing") is None

    def test_a_task_is_changed_with_its_room_too(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        add(backend, tasks=[a_task("t")])
        begun = a_task("t", status=TaskStatus.IN_PROGRESS)
        add(backend, tasks=[begun])
        assert list(backend.list_tasks("r", None)) == [begun]

    def test_only_a_task_that_is_there_is_updated(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        backend.update_task(a_task("t"))
        assert backend.get_task("t") is None

    def test_observations_are_listed_as_they_came(self, backend: StoreBackend) -> None:
        backend.create_room(a_room())
        seen = [
            an_observation("o2", 1, category="feedback:overall", confidence=0.25),
            an_observation("o1", 2, metadata={"a": 1}),
        ]
        add(backend, observations=seen[:1])
        add(backend, observations=seen[1:])
        assert list(backend.list_observations("r")) == seen
        assert list(backend.list_observations("nowhere")) == []
