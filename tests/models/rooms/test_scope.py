"""Who may see an event, who may speak, and who is asked to act: the rules of spec/rooms.md 6."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.rooms.content import Text
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import (
    Access,
    AgentResponsePolicy,
    ChannelCategory,
    ChannelDirection,
    ChannelType,
)
from models.rooms.room import ChannelBinding
from models.rooms.scope import (
    admits,
    effective_visibility,
    history_of,
    may_remember,
    narrowed,
    receives,
    solicited,
    why_not_writable,
)
from tests.models.rooms.strategies import MOMENT

TRANSPORT, INTELLIGENCE = ChannelCategory.TRANSPORT, ChannelCategory.INTELLIGENCE
CHAIN, ADDRESSED = AgentResponsePolicy.AGENT_CHAIN, AgentResponsePolicy.ADDRESSED_ONLY


def bound(channel_id: str, category: ChannelCategory = TRANSPORT, **fields: Any) -> ChannelBinding:
    kind = ChannelType.AI if category is INTELLIGENCE else ChannelType.WEBSOCKET
    return ChannelBinding(channel_id, "r", kind, MOMENT, category, **fields)


def said(by: str = "ann", **fields: Any) -> RoomEvent:
    return RoomEvent("e", "r", EventSource(by, ChannelType.WEBSOCKET), Text("hi"), MOMENT, **fields)


# -- 6.1: visibility -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("visibility", "those"),
    [
        ("all", {"ann", "bob", "ai"}),
        ("none", set()),
        ("internal", set()),
        ("", set()),
        ("transport", {"ann", "bob"}),
        ("intelligence", {"ai"}),
        ("ann", {"ann"}),
        ("ann,ai", {"ann", "ai"}),
        (" ann , ai ", {"ann", "ai"}),
        ("an", set()),
        ("ann ai", set()),
        ("ALL", set()),
        (",", set()),
        ("all,ann", {"ann"}),  # in a list, a word is a channel's name
    ],
)
def test_a_visibility_lets_these_see(visibility: str, those: set[str]) -> None:
    room = [bound("ann"), bound("bob"), bound("ai", INTELLIGENCE)]
    assert those == {b.channel_id for b in room if admits(visibility, b.channel_id, b.category)}


@pytest.mark.parametrize(
    ("own", "of_source", "effective"),
    [
        ("all", "all", "all"),
        ("all", "ai", "ai"),
        ("all", "none", "none"),
        ("bob", "all", "bob"),
        ("bob", "ai", "bob"),  # its own wins, even where the source's would let others see
        ("none", "all", "none"),
        ("all", None, "all"),  # the source has been detached since
        ("bob", None, "bob"),
    ],
)
def test_an_events_own_visibility_wins_and_else_its_sources(
    own: str, of_source: str | None, effective: str
) -> None:
    source = None if of_source is None else bound("ann", visibility=of_source)
    assert effective_visibility(said(visibility=own), source) == effective


@pytest.mark.parametrize(
    ("fields", "gets_it"),
    [
        ({}, True),
        ({"access": Access.READ_ONLY}, True),
        ({"access": Access.WRITE_ONLY}, False),
        ({"access": Access.NONE}, False),
        ({"direction": ChannelDirection.INBOUND}, True),
        ({"direction": ChannelDirection.OUTBOUND}, False),
        ({"muted": True}, True),
        ({"output_muted": True}, True),
        ({"visibility": "none"}, True),  # of what comes from it, not of what goes to it
    ],
)
def test_who_receives(fields: dict[str, Any], gets_it: bool) -> None:
    assert receives(said(), bound("bob", **fields), bound("ann")) is gets_it


def test_nobody_receives_what_they_said_themselves() -> None:
    ann = bound("ann")
    assert not receives(said("ann"), ann, ann)
    assert not receives(said("ann", visibility="ann"), ann, ann)


def test_nothing_is_delivered_to_the_applications_own_voice() -> None:
    host = attrs.evolve(bound("host"), channel_type=ChannelType.HOST)
    assert not receives(said(), host, bound("ann"))
    assert not receives(said(visibility="host"), host, bound("ann"))


def test_a_bindings_visibility_holds_for_all_that_comes_from_it() -> None:
    whispering = bound("ann", visibility="ai")
    assert receives(said("ann"), bound("ai", INTELLIGENCE), whispering)
    assert not receives(said("ann"), bound("bob"), whispering)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, None),
        ({"access": Access.WRITE_ONLY}, None),
        ({"access": Access.READ_ONLY}, "source_read_only"),
        ({"access": Access.NONE}, "source_read_only"),
        ({"muted": True}, "source_muted"),
        ({"muted": True, "access": Access.NONE}, "source_muted"),
        ({"output_muted": True}, None),
    ],
)
def test_who_may_speak(fields: dict[str, Any], code: str | None) -> None:
    binding = bound("ann", **fields)
    assert why_not_writable(binding) == code
    assert binding.can_write is (code is None)


def test_history_holds_what_a_channel_said_or_might_see() -> None:
    bindings = {b.channel_id: b for b in (bound("ann"), bound("bob"), bound("ai", INTELLIGENCE))}
    events = [
        said("ann"),
        said("ann", visibility="ai"),
        said("bob", visibility="none"),
        said("gone", visibility="transport"),
        said("gone"),
    ]
    kept = {
        name: [events.index(e) for e in history_of(name, events, bindings)]
        for name in ("ann", "bob", "ai", "gone")
    }
    assert kept == {
        "ann": [0, 1, 3, 4],
        "bob": [0, 2, 3, 4],
        "ai": [0, 1, 4],
        "gone": [3, 4],  # without a binding: its own alone
    }


# -- 6.2: who is asked to act ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "from_agent", "policy", "asked"),
    [
        # 5: everybody
        ({}, False, CHAIN, {"a", "b", "boss"}),
        ({}, True, CHAIN, {"a", "b", "boss"}),
        ({}, False, ADDRESSED, {"a", "b", "boss"}),
        # 1: the orchestration's own events
        ({"metadata": {"_orchestration_internal": True}}, False, CHAIN, set()),
        (
            {
                "metadata": {"_orchestration_internal": True, "_always_process": ["boss"]},
                "addressed_to": ("a",),
            },
            False,
            CHAIN,
            set(),
        ),
        ({"metadata": {"_orchestration_internal": False}}, False, CHAIN, {"a", "b", "boss"}),
        # 2: addressed
        ({"addressed_to": ("a",)}, False, CHAIN, {"a"}),
        ({"addressed_to": ()}, False, CHAIN, set()),
        ({"addressed_to": ("a",)}, True, ADDRESSED, {"a"}),
        ({"addressed_to": ("nobody",)}, False, CHAIN, set()),
        (
            {"addressed_to": ("a",), "metadata": {"_always_process": ["boss"]}},
            False,
            CHAIN,
            {"a", "boss"},
        ),
        ({"addressed_to": (), "metadata": {"_always_process": ["boss"]}}, True, CHAIN, {"boss"}),
        ({"addressed_to": ("a",), "metadata": {"_routed_to": "b"}}, False, CHAIN, {"a"}),
        # 3: agents do not answer agents
        ({}, True, ADDRESSED, set()),
        ({"metadata": {"_always_process": ["boss"]}}, True, ADDRESSED, {"boss"}),
        ({"metadata": {"_routed_to": "b"}}, True, ADDRESSED, set()),
        # 4: routed
        ({"metadata": {"_routed_to": "b"}}, False, CHAIN, {"b"}),
        ({"metadata": {"_routed_to": "b"}}, True, CHAIN, {"b"}),
        ({"metadata": {"_routed_to": "b"}}, False, ADDRESSED, {"b"}),
        (
            {"metadata": {"_routed_to": "b", "_always_process": ["boss"]}},
            False,
            CHAIN,
            {"b", "boss"},
        ),
        ({"metadata": {"_always_process": ["boss"]}}, False, CHAIN, {"a", "b", "boss"}),
    ],
)
def test_who_is_asked_to_act(
    event: dict[str, Any], from_agent: bool, policy: AgentResponsePolicy, asked: set[str]
) -> None:
    source = bound("other", INTELLIGENCE if from_agent else TRANSPORT)
    agents = [bound(name, INTELLIGENCE) for name in ("a", "b", "boss")]
    it = said("other", **event)
    assert asked == {b.channel_id for b in agents if solicited(it, b, source, policy)}


def test_the_answer_of_an_agent_that_is_gone_is_anybodys() -> None:
    assert solicited(said("gone"), bound("a", INTELLIGENCE), None, ADDRESSED)


# -- 42.3: scopes of answers -----------------------------------------------------------------------

NAMES = ("ann", "bob", "cli", "ai", "ai2")
ROOM = [bound(name, INTELLIGENCE if name.startswith("ai") else TRANSPORT) for name in NAMES]
scopes = st.sampled_from(("all", "none", "internal", "transport", "intelligence")) | st.lists(
    st.sampled_from((*NAMES, "absent")), min_size=1, max_size=4
).map(",".join)
rooms = st.lists(st.sampled_from(ROOM), unique_by=lambda b: b.channel_id)


def seen_by(scope: str | None, room: list[ChannelBinding]) -> set[str]:
    return {b.channel_id for b in room if scope is None or admits(scope, b.channel_id, b.category)}


@pytest.mark.parametrize(
    ("scope", "by", "both"),
    [
        (None, None, None),
        (None, "ann", "ann"),
        ("ann", None, "ann"),
        ("all", None, None),
        ("all", "transport", "transport"),
        ("transport", "all", "transport"),
        ("transport", "transport", "transport"),
        ("transport", "intelligence", "none"),
        ("transport", "ann,ai", "ann"),
        ("ann,bob", "bob,cli", "bob"),
        ("ann", "bob", "none"),
        ("internal", "all", "internal"),
        ("all", "internal", "internal"),
        ("ann", "internal", "none"),
        ("none", "ann", "none"),
    ],
)
def test_a_scope_is_narrowed_by_another(
    scope: str | None, by: str | None, both: str | None
) -> None:
    assert narrowed(scope, by, ROOM) == both


@given(st.none() | scopes, st.none() | scopes, rooms)
def test_those_see_it_whom_both_scopes_admit(
    scope: str | None, by: str | None, room: list[ChannelBinding]
) -> None:
    both = narrowed(scope, by, room)
    assert seen_by(both, room) == seen_by(scope, room) & seen_by(by, room)


@given(st.none() | scopes, st.lists(st.none() | scopes, max_size=4))
def test_however_often_it_is_narrowed_nobody_is_let_in_again(
    scope: str | None, steps: list[str | None]
) -> None:
    seen = seen_by(scope, ROOM)
    for step in steps:
        scope = narrowed(scope, step, ROOM)
        assert seen_by(scope, ROOM) <= seen
        seen = seen_by(scope, ROOM)


# -- together --------------------------------------------------------------------------------------

bindings = st.builds(
    attrs.evolve,
    st.sampled_from(ROOM),
    visibility=scopes,
    access=st.sampled_from(Access),
    direction=st.sampled_from(ChannelDirection),
    muted=st.booleans(),
)
whole_rooms = st.lists(bindings, min_size=1, unique_by=lambda b: b.channel_id)


@settings(max_examples=200)
@given(whole_rooms, st.sampled_from((*NAMES, "gone")), scopes)
def test_what_was_delivered_may_be_remembered_and_what_was_withheld_may_not(
    room: list[ChannelBinding], by: str, visibility: str
) -> None:
    event = said(by, visibility=visibility)
    source = next((b for b in room if b.channel_id == by), None)
    for binding in room:
        remembers = may_remember(event, binding, binding.channel_id, source)
        if receives(event, binding, source):
            assert remembers
        elif binding.access in (Access.READ_WRITE, Access.READ_ONLY):
            reached = binding.direction is not ChannelDirection.OUTBOUND
            assert not (remembers and reached and binding.channel_id != by)


@given(whole_rooms, scopes)
def test_muting_changes_nothing_of_what_is_received(
    room: list[ChannelBinding], visibility: str
) -> None:
    event = said("gone", visibility=visibility)
    for binding in room:
        other = attrs.evolve(binding, muted=not binding.muted)
        assert receives(event, binding, None) is receives(event, other, None)
