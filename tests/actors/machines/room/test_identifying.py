"""Who sent a message, cell by cell: what the resolver says, and what the identity hooks say."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from typing import Any

import attrs
import pytest

from actors.machines.room.core import RoomCore, RoomSettings
from actors.machines.room.hooking import HookTable, HookTrigger, InjectedEvent
from actors.machines.room.identifying import (
    Challenged,
    IdentityHookResult,
    IdentitySettings,
    Sender,
    sender_of,
)
from actors.machines.room.steps import Announce, Resolve, RunIdentityHooks, Turned
from models.rooms.content import Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.identity import Identity, IdentityResult
from models.rooms.info import ChannelInfo
from models.rooms.kinds import ChannelType, IdentificationStatus
from models.rooms.room import Participant, Room
from models.rooms.traffic import InboundMessage

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMS = ChannelInfo("sms-1", ChannelType.SMS, recipient_key="phone_number")
MESSAGE = InboundMessage("sms-1", "+14155552671", Text("hello"))
EVENT = RoomEvent(
    "e-1", "r-1", EventSource("sms-1", ChannelType.SMS), Text("hello"), created_at=NOW
)
ADA = Identity("ada", display_name="Ada")
BOB = Identity("bob", display_name="Bob")
RESOLVES = IdentitySettings(resolves=True)
INJECT = InjectedEvent(attrs.evolve(EVENT, id="e-2", content=Text("who are you?")), ("sms-1",))

Status = IdentificationStatus
AMBIGUOUS = (Status.AMBIGUOUS, Status.PENDING)
NOT_KNOWN = (Status.UNKNOWN, Status.REJECTED)


def room(*people: Participant) -> RoomCore:
    ids = count(1)
    core = RoomCore(
        Room("r-1", NOW, NOW),
        {SMS.id: SMS},
        RoomSettings(),
        HookTable(),
        lambda: f"id-{next(ids)}",
        NOW,
    )
    core.participants = {person.id: person for person in people}
    return core


def result(status: Status, identity: Identity | None = None, **fields: Any) -> IdentityResult:
    return IdentityResult(status, identity, **fields)


def identify(
    core: RoomCore,
    *answers: Any,
    settings: IdentitySettings = RESOLVES,
    info: ChannelInfo = SMS,
    message: InboundMessage = MESSAGE,
) -> tuple[list[Any], Sender]:
    """What was waited for, each wait answered by the next answer; and what came of it."""
    steps = sender_of(core, settings, message, EVENT, info)
    waits: list[Any] = []
    left = list(answers)
    try:
        waits.append(next(steps))
        while True:
            waits.append(steps.send(left.pop(0)))
    except StopIteration as end:
        assert not left
        return waits, end.value


# -- when nobody is asked ----------------------------------------------------------------------


def test_without_a_resolver_the_sender_is_its_address() -> None:
    assert identify(room(), settings=IdentitySettings()) == ([], Sender("+14155552671"))


def test_senders_on_other_types_of_channel_are_not_looked_up() -> None:
    only_mail = IdentitySettings(True, frozenset({ChannelType.EMAIL}))
    assert identify(room(), settings=only_mail) == ([], Sender("+14155552671"))


def test_a_channel_whose_senders_are_participants_needs_no_resolver() -> None:
    info = attrs.evolve(SMS, sender_is_participant=True)
    assert identify(room(), info=info) == ([], Sender("+14155552671"))


def test_a_participant_who_is_identified_is_not_looked_up_again() -> None:
    known = _participant("ada", Status.IDENTIFIED)
    assert identify(room(known)) == ([], Sender("ada"))


@pytest.mark.parametrize("status", [Status.PENDING, Status.UNKNOWN])
def test_a_participant_who_is_not_identified_is_looked_up_again(status: Status) -> None:
    waits, sender = identify(room(_participant("p-7", status)), result(Status.IDENTIFIED, ADA))
    assert waits == [Resolve(MESSAGE, EVENT)]
    assert sender.participant_id == "p-7"
    assert sender.joining is not None
    assert sender.joining.identification is Status.IDENTIFIED


def test_without_a_resolver_a_participant_is_known_by_the_address() -> None:
    known = _participant("p-7", Status.PENDING)
    assert identify(room(known), settings=IdentitySettings()) == ([], Sender("p-7"))


def test_the_same_address_on_another_channel_is_somebody_else() -> None:
    elsewhere = attrs.evolve(_participant("p-7", Status.IDENTIFIED), connected_via=("mail-1",))
    core = room(elsewhere)
    assert identify(core, settings=IdentitySettings()) == ([], Sender("+14155552671"))


# -- what the resolver says (14.1) ---------------------------------------------------------------


def test_identified_joins_under_the_identity_and_is_announced() -> None:
    core = room()
    _, sender = identify(core, result(Status.IDENTIFIED, ADA))
    assert sender == Sender(
        "ada",
        Participant(
            "ada",
            "r-1",
            "sms-1",
            NOW,
            display_name="Ada",
            identification=Status.IDENTIFIED,
            identity_id="ada",
            connected_via=("sms-1",),
            external_id="+14155552671",
            resolved_at=NOW,
            resolved_by="resolver",
        ),
        "participant_joined_identified",
    )
    data = {"identity_id": "ada", "display_name": "Ada", "status": "identified"}
    assert core.out == [Announce("identity_resolved", data)]


def test_identified_upgrades_the_pending_record_of_that_address() -> None:
    before = attrs.evolve(_participant("p-7", Status.PENDING), candidates=("ada", "bob"))
    _, sender = identify(room(before), result(Status.IDENTIFIED, ADA))
    assert sender.joining == attrs.evolve(
        before,
        identification=Status.IDENTIFIED,
        identity_id="ada",
        display_name="Ada",
        candidates=None,
        resolved_at=NOW,
        resolved_by="resolver",
    )


def test_identified_by_another_channel_is_the_same_participant_there_and_here() -> None:
    on_mail = attrs.evolve(
        _participant("p-7", Status.IDENTIFIED),
        channel_id="mail-1",
        connected_via=("mail-1",),
        identity_id="ada",
        external_id="ada@example.org",
    )
    _, sender = identify(room(on_mail), result(Status.IDENTIFIED, ADA))
    assert sender.participant_id == "p-7"
    assert sender.joining is not None
    assert sender.joining.connected_via == ("mail-1", "sms-1")


@pytest.mark.parametrize(
    ("said", "reason"), [(None, "identity_challenge_sent"), ("check your mail", "check your mail")]
)
def test_a_challenge_of_the_resolver_turns_the_message_away(said: str | None, reason: str) -> None:
    with pytest.raises(Turned) as turned:
        identify(room(), result(Status.CHALLENGE_SENT, message=said))
    assert turned.value.reason == reason
    assert not isinstance(turned.value, Challenged)


@pytest.mark.parametrize("status", [*AMBIGUOUS, *NOT_KNOWN])
def test_whoever_is_not_identified_is_shown_to_the_hooks_of_its_trigger(status: Status) -> None:
    found = result(status)
    waits, _ = identify(room(), found, None)
    trigger = (
        HookTrigger.ON_IDENTITY_AMBIGUOUS
        if status in AMBIGUOUS
        else HookTrigger.ON_IDENTITY_UNKNOWN
    )
    assert waits == [Resolve(MESSAGE, EVENT), RunIdentityHooks(trigger, EVENT, found)]


def test_identified_as_nobody_is_not_known() -> None:
    waits, sender = identify(room(), result(Status.IDENTIFIED), None)
    assert waits[1].trigger is HookTrigger.ON_IDENTITY_UNKNOWN
    assert sender == Sender("+14155552671")


# -- what the hooks say (14.2) -------------------------------------------------------------------

EVERY_PATH = pytest.mark.parametrize("status", [*AMBIGUOUS, *NOT_KNOWN])


@EVERY_PATH
def test_a_hook_that_knows_the_sender_is_believed(status: Status) -> None:
    core = room()
    _, sender = identify(core, result(status), IdentityHookResult.resolved(BOB))
    assert sender.participant_id == "bob"
    assert sender.code == "participant_joined_identified"
    assert [told.type for told in core.out if isinstance(told, Announce)] == ["identity_resolved"]


@EVERY_PATH
def test_a_challenge_of_a_hook_turns_the_message_away_and_says_something(status: Status) -> None:
    with pytest.raises(Challenged) as challenged:
        identify(room(), result(status), IdentityHookResult.challenge(INJECT, "who are you?"))
    assert challenged.value.inject is INJECT
    assert challenged.value.reason == "identity_challenge_sent"


@pytest.mark.parametrize(
    ("status", "reason"),
    [(status, "identity_rejected") for status in AMBIGUOUS]
    + [(status, "unknown_sender") for status in NOT_KNOWN],
)
def test_a_rejection_turns_the_message_away(status: Status, reason: str) -> None:
    for said, expected in ((None, reason), ("banned", "banned")):
        answer = IdentityHookResult(Status.REJECTED, reason=said)
        with pytest.raises(Turned) as turned:
            identify(room(), result(status), answer)
        assert turned.value.reason == expected


@EVERY_PATH
def test_a_pending_answer_lets_the_sender_in_with_the_hooks_candidates(status: Status) -> None:
    answer = IdentityHookResult.pending("Somebody", ["ada"])
    _, sender = identify(room(), result(status, candidates=(ADA, BOB)), answer)
    assert sender == Sender(
        "+14155552671",
        _joined(display_name="Somebody", candidates=("ada",)),
        "participant_joined_pending",
    )


@EVERY_PATH
def test_a_pending_answer_without_candidates_takes_the_resolvers(status: Status) -> None:
    found = result(status, candidates=(ADA, BOB))
    _, sender = identify(room(), found, IdentityHookResult.pending())
    assert sender.joining == _joined(candidates=("ada", "bob"))


@pytest.mark.parametrize("status", AMBIGUOUS)
def test_an_ambiguous_sender_of_whom_no_hook_says_anything_is_pending(status: Status) -> None:
    _, sender = identify(room(), result(status, candidates=(ADA, BOB)), None)
    assert sender == Sender(
        "+14155552671", _joined(candidates=("ada", "bob")), "participant_joined_pending"
    )


@pytest.mark.parametrize("status", NOT_KNOWN)
def test_an_unknown_sender_of_whom_no_hook_says_anything_goes_on_unidentified(
    status: Status,
) -> None:
    assert identify(room(), result(status, candidates=(ADA,)), None)[1] == Sender("+14155552671")


def test_pending_writes_nothing_about_who_is_in_the_room_already() -> None:
    known = _participant("p-7", Status.PENDING)
    _, sender = identify(room(known), result(Status.AMBIGUOUS, candidates=(ADA, BOB)), None)
    assert sender == Sender("p-7")


def test_a_pending_sender_without_an_address_is_given_a_name() -> None:
    nameless = attrs.evolve(MESSAGE, sender_id="")
    _, sender = identify(room(), result(Status.AMBIGUOUS), None, message=nameless)
    assert sender.participant_id == "pending-id-1"


def _participant(name: str, status: Status) -> Participant:
    return Participant(
        name,
        "r-1",
        "sms-1",
        NOW,
        identification=status,
        connected_via=("sms-1",),
        external_id="+14155552671",
    )


def _joined(**fields: Any) -> Participant:
    return attrs.evolve(_participant("+14155552671", Status.PENDING), **fields)
