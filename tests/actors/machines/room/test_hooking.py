"""Which hooks are asked, in which order, and what follows from what they say."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.machines.room.hook_pipeline import SyncPipeline, within
from actors.machines.room.hooking import (
    ASYNC,
    FAIL_CLOSED,
    NO_HOOKS,
    SYNC,
    Hook,
    HookAction,
    HookExecution,
    HookFault,
    HookResult,
    HookTable,
    HookTrigger,
    InjectedEvent,
    Verdict,
    parted,
)
from models.rooms.content import Text
from models.rooms.errors import AlreadyThere
from models.rooms.event import EventSource, RoomEvent
from models.rooms.kinds import ChannelCategory, ChannelDirection, ChannelType, EventType
from models.rooms.room import ChannelBinding
from models.rooms.scope import admits
from models.rooms.traffic import Observation, Task

BEFORE = HookTrigger.BEFORE_BROADCAST
AFTER = HookTrigger.AFTER_BROADCAST
NOW = datetime(2026, 1, 1, tzinfo=UTC)
EVENT = RoomEvent(
    "e1", "r1", EventSource("sms", ChannelType.SMS, participant_id="ada"), Text("hello"), NOW
)
NOTICE = attrs.evolve(EVENT, id="e2", content=Text("a notice"))


def nothing(_payload: object, _context: object) -> HookResult:
    return HookResult.allow()


def hook(name: str, priority: int = 0, trigger: HookTrigger = BEFORE, **more: Any) -> Hook:
    return Hook(trigger, nothing, name=name, priority=priority, **more)


def names(hooks: Sequence[Hook]) -> list[str]:
    return [each.name for each in hooks]


# -- triggers --------------------------------------------------------------------------------------


def test_every_trigger_decides_or_watches() -> None:
    assert set(HookTrigger) == SYNC | ASYNC
    assert not SYNC & ASYNC


def test_hooks_fail_closed_where_what_is_let_through_cannot_be_taken_back() -> None:
    assert {"before_tts", "on_transcription", "before_tool_use"} == FAIL_CLOSED
    assert FAIL_CLOSED <= SYNC


# -- hooks -----------------------------------------------------------------------------------------


def test_a_hook_is_called_like_its_function() -> None:
    assert Hook(BEFORE, nothing).name == "nothing"


def test_a_hook_that_is_an_actor_is_called_by_its_path() -> None:
    class Somebody:
        path = "/hooks/censor"

        def ask(self, request: Any, *, timeout: float | None = None) -> Any:
            return request, timeout

    assert Hook(BEFORE, Somebody()).name == "/hooks/censor"


@pytest.mark.parametrize("timeout", [0.0, -1.0, float("inf"), float("nan")])
def test_a_hook_has_a_time_to_take(timeout: float) -> None:
    with pytest.raises(ValueError, match="timeout"):
        Hook(BEFORE, nothing, timeout=timeout)


def test_a_filter_is_no_word() -> None:
    with pytest.raises(TypeError, match="'sms'"):
        Hook(BEFORE, nothing, channel_ids="sms")


def test_two_hooks_are_never_the_same() -> None:
    assert hook("a") != hook("a")


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        ({}, True),
        ({"channel_types": {ChannelType.SMS}}, True),
        ({"channel_types": {ChannelType.EMAIL}}, False),
        ({"channel_types": ()}, False),
        ({"channel_ids": ["sms", "web"]}, True),
        ({"channel_ids": ["web"]}, False),
        ({"directions": {ChannelDirection.INBOUND}}, True),
        ({"directions": {ChannelDirection.OUTBOUND}}, False),
        ({"channel_ids": ["sms"], "directions": {ChannelDirection.OUTBOUND}}, False),
    ],
)
def test_all_filters_must_fit_the_source_of_an_event(filters: Any, wanted: bool) -> None:
    table = HookTable([hook("a", **filters)])
    assert names(table.matching(BEFORE, EVENT)) == (["a"] if wanted else [])
    assert names(table.matching(BEFORE, "no event")) == ["a"]


def test_who_needs_no_lock_is_asked_before_but_watches_after() -> None:
    early, late = hook("early", needs_lock=False), hook("late")
    watching = hook("watching", needs_lock=False, execution=HookExecution.ASYNC)
    assert parted([early, late, watching]) == ([early], [late, watching])
    assert parted([late]) == ((), [late])


# -- tables ----------------------------------------------------------------------------------------


def test_hooks_are_asked_by_priority_and_equals_as_they_came() -> None:
    table = HookTable([hook("c", 5), hook("a"), hook("z", -5), hook("b")])
    assert names(table.matching(BEFORE, EVENT)) == ["z", "a", "b", "c"]


def test_the_hooks_of_the_node_go_before_those_of_the_room() -> None:
    node = HookTable([hook("n1"), hook("n2", 5)])
    room = HookTable([hook("r1"), hook("r0", -1), hook("n1", 5)])
    both = node.and_of_room(room)
    assert names(both.matching(BEFORE, EVENT)) == ["r0", "n1", "r1", "n2", "n1"]
    assert names(node.matching(BEFORE, EVENT)) == ["n1", "n2"]
    assert node.and_of_room(NO_HOOKS) is node


def test_a_name_is_taken_once_for_each_trigger() -> None:
    table = HookTable([hook("a")])
    with pytest.raises(AlreadyThere) as caught:
        table.with_hook(hook("a", 7))
    assert str(caught.value) == "there already is a hook on before_broadcast 'a'"
    assert len(table.with_hook(hook("a", trigger=AFTER))) == 2
    assert len(table) == 1


def test_a_hook_goes_by_its_name() -> None:
    table = HookTable([hook("a"), hook("b"), hook("a", trigger=AFTER)])
    assert names(list(table.without("a"))) == ["b"]
    assert not table.without("a").has(AFTER)
    assert names(list(table.without("a", AFTER))) == ["a", "b"]
    assert table.without("c") is table
    assert table.without("b", AFTER) is table


def test_it_can_be_seen_whether_anybody_listens() -> None:
    table = HookTable([hook("a", channel_ids=["web"])])
    assert table.has(BEFORE)
    assert not table.has(AFTER)
    assert table.matching(AFTER, EVENT) == ()
    assert repr(table) == "<HookTable: 1 hooks on 1 triggers>"


@given(
    st.lists(st.integers(-2, 2), max_size=8),
    st.lists(st.integers(-2, 2), max_size=8),
    st.sets(st.integers(0, 15)),
)
def test_order_is_priority_then_scope_then_registration(
    node: list[int], room: list[int], removed: set[int]
) -> None:
    priorities = [*node, *room]
    hooks = [hook(str(at), priority) for at, priority in enumerate(priorities)]
    tables = HookTable(hooks[: len(node)]), HookTable(hooks[len(node) :])
    for at in removed:
        tables = tables[0].without(str(at)), tables[1].without(str(at))
    left = [at for at in range(len(hooks)) if at not in removed]
    expected = sorted(left, key=lambda at: (priorities[at], at >= len(node), at))
    assert names(tables[0].and_of_room(tables[1]).matching(BEFORE, EVENT)) == [*map(str, expected)]


# -- the pipeline ----------------------------------------------------------------------------------


def run(pipeline: SyncPipeline, *answers: object) -> Verdict:
    """Give these answers, one after the other; a fault is a failure."""
    for answer in answers:
        assert pipeline.waits_for is not None
        if isinstance(answer, HookFault):
            pipeline.failed(answer)
        else:
            pipeline.returned(answer)
    assert pipeline.waits_for is None
    return pipeline.verdict()


def asked(trigger: HookTrigger, payload: object, *answers: object, **more: Any) -> Verdict:
    hooks = [hook(f"h{at}", trigger=trigger) for at in range(more.pop("hooks", len(answers)))]
    return run(SyncPipeline(trigger, payload, hooks, **more), *answers)


def test_nobody_to_ask_is_a_yes() -> None:
    assert asked(BEFORE, EVENT) == Verdict(EVENT)


def test_each_hook_is_shown_what_the_one_before_it_made() -> None:
    pipeline = SyncPipeline(HookTrigger.BEFORE_TTS, "a", [hook("one"), hook("two")])
    pipeline.returned(HookResult.modify("b"))
    assert pipeline.payload == "b"
    pipeline.returned(HookResult.modify("c"))
    assert pipeline.verdict() == Verdict("c")


def test_the_first_that_blocks_is_the_last_that_is_asked() -> None:
    verdict = asked(
        BEFORE, EVENT, HookResult.allow(), HookResult.block("no spam", metadata={"x": 1}), hooks=3
    )
    assert verdict == Verdict(
        EVENT, blocked=True, blocked_by="h1", reason="no spam", metadata={"x": 1}
    )


def test_a_pipeline_that_is_over_takes_no_answer() -> None:
    pipeline = SyncPipeline(BEFORE, EVENT, [])
    with pytest.raises(RuntimeError, match="waits for no hook"):
        pipeline.returned(HookResult.allow())


@pytest.mark.parametrize("last", [HookResult.allow(), HookResult.block()])
def test_what_hooks_add_is_kept_whatever_is_decided(last: HookResult) -> None:
    task = Task("t1", "r1", "call back", NOW)
    seen = Observation("o1", "r1", "sms", "card number", NOW)
    notice = InjectedEvent(NOTICE, ("sms",))
    first = HookResult.allow(tasks=[task], injected_events=[notice], metadata={"a": 1, "b": 1})
    second = HookResult.allow(observations=[seen], metadata={"b": 2})
    verdict = asked(BEFORE, EVENT, first, second, last)
    assert (verdict.tasks, verdict.observations) == ((task,), (seen,))
    assert verdict.injected == (notice,)
    assert verdict.metadata == {"a": 1, "b": 2}
    assert verdict.blocked is (last.action is HookAction.BLOCK)


FAILURES: dict[str, object] = {
    "raised": HookFault.RAISED,
    "timed out": HookFault.TIMED_OUT,
    "still running": HookFault.STILL_RUNNING,
    "returned nothing": None,
    "returned True": True,
    "returned the payload": "payload",
    "made another type": HookResult.modify(object()),
    "made nothing": HookResult.modify(None),
}


@pytest.mark.parametrize("trigger", sorted(SYNC))
@pytest.mark.parametrize("how", FAILURES)
def test_a_hook_that_fails_blocks_only_where_hooks_fail_closed(
    how: str, trigger: HookTrigger
) -> None:
    failure = FAILURES[how]
    if trigger in FAIL_CLOSED:
        verdict = asked(trigger, "words", failure, hooks=2)
        assert (verdict.blocked, verdict.blocked_by) == (True, "h0")
        assert verdict.reason is not None
        assert verdict.reason.startswith("hook 'h0' failed (")
    else:
        verdict = asked(trigger, "words", failure, HookResult.allow())
        assert not verdict.blocked
    assert verdict.event == "words"
    (error,) = verdict.errors
    assert (error.hook, error.trigger, error.fault.fatal) == ("h0", trigger, True)


def test_where_hooks_fail_closed_can_be_chosen() -> None:
    closed = frozenset({BEFORE})
    assert asked(BEFORE, EVENT, HookFault.RAISED, fail_closed=closed).blocked
    tts = HookTrigger.BEFORE_TTS
    assert not asked(tts, "words", HookFault.RAISED, fail_closed=closed).blocked


def test_a_failed_modification_adds_nothing() -> None:
    result = HookResult.modify(7, tasks=[Task("t1", "r1", "x", NOW)])
    assert asked(BEFORE, EVENT, result).tasks == ()


@pytest.mark.parametrize("trigger", [HookTrigger.BEFORE_TTS, HookTrigger.ON_TRANSCRIPTION])
def test_nothing_to_say_is_a_modification_too(trigger: HookTrigger) -> None:
    assert asked(trigger, "words", HookResult.modify("")) == Verdict("")


@attrs.frozen
class Heard:
    session: str
    text: str


def test_a_transcription_may_be_replaced_by_its_words() -> None:
    trigger, heard = HookTrigger.ON_TRANSCRIPTION, Heard("s1", "helo")
    assert asked(trigger, heard, HookResult.modify("hello")).event == Heard("s1", "hello")
    assert asked(trigger, heard, HookResult.modify(Heard("s1", ""))).event == Heard("s1", "")
    assert asked(trigger, ("s1", "helo"), HookResult.modify("hello")).blocked
    assert asked(HookTrigger.BEFORE_TTS, heard, HookResult.modify("hello")).blocked


def test_an_event_stays_the_event_it_is() -> None:
    other = attrs.evolve(NOTICE, chain_depth=-1, idempotency_key="k", content=Text("new words"))
    verdict = asked(BEFORE, EVENT, HookResult.modify(other))
    assert verdict.event == attrs.evolve(EVENT, content=Text("new words"))
    assert [error.fault for error in verdict.errors] == [HookFault.IDENTITY_CHANGED]
    assert verdict.errors[0].error == "id, chain_depth, idempotency_key"


def test_hooks_do_not_instruct_agents() -> None:
    instruction = InjectedEvent(attrs.evolve(NOTICE, type=EventType.INSTRUCTION))
    result = HookResult.allow(injected_events=[instruction, InjectedEvent(NOTICE)])
    verdict = asked(HookTrigger.BEFORE_TOOL_USE, "call", result)
    assert not verdict.blocked
    assert verdict.injected == (InjectedEvent(NOTICE),)
    assert [error.fault for error in verdict.errors] == [HookFault.INSTRUCTION_INJECTED]


@pytest.mark.parametrize(
    "wrong",
    [
        {"injected_events": [NOTICE]},
        {"tasks": ["call back"]},
        {"observations": [None]},
        {"metadata": ["x"]},
        {"action": "perhaps"},
    ],
)
def test_a_result_that_makes_no_sense_cannot_be_made(wrong: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        HookResult(**wrong)


# -- the scope of answers --------------------------------------------------------------------------


def binding(name: str, category: ChannelCategory) -> ChannelBinding:
    return ChannelBinding(name, "r1", ChannelType.SMS, NOW, category)


BINDINGS = [
    binding("a", ChannelCategory.TRANSPORT),
    binding("b", ChannelCategory.TRANSPORT),
    binding("bot", ChannelCategory.INTELLIGENCE),
]


@pytest.mark.parametrize(
    ("before", "after", "fits"),
    [
        (None, "a", True),
        (None, "transport", True),
        (None, "all", True),
        ("all", None, True),
        ("a,b", "b", True),
        ("a, b", "b,a", True),
        ("a,b", "none", True),
        ("transport", "a,b", True),
        ("intelligence", "bot", True),
        ("a,b", "b,c", False),
        ("a", None, False),
        ("a", "all", False),
        ("a", "transport", False),
        ("transport", "intelligence", False),
        ("transport", "a,bot", False),
        ("transport", "unknown", False),
        ("none", "a", False),
        ("none", None, False),
        (None, "", False),
        (None, "internal", False),
    ],
)
def test_a_hook_narrows_who_sees_the_answers_and_never_widens_it(
    before: str | None, after: str | None, fits: bool
) -> None:
    event = attrs.evolve(EVENT, response_visibility=before)
    new = attrs.evolve(event, response_visibility=after, content=Text("new words"))
    verdict = asked(BEFORE, event, HookResult.modify(new), bindings=BINDINGS)
    kept = after if fits else before
    assert verdict.event == attrs.evolve(new, response_visibility=kept)
    assert [error.fault for error in verdict.errors] == [HookFault.SCOPE_WIDENED] * (not fits)


scopes = st.one_of(
    st.none(),
    st.sampled_from(["all", "none", "transport", "intelligence"]),
    st.sets(st.sampled_from(["a", "b", "bot", "c"]), min_size=1).map(",".join),
)


@given(scopes, scopes, st.sampled_from(list(ChannelCategory)))
def test_whoever_comes_later_sees_no_more_than_before(
    scope: str | None, wider: str | None, category: ChannelCategory
) -> None:
    if not within(scope, wider, BINDINGS):
        return
    for each in [*BINDINGS, binding("c", category)]:
        if admits(scope or "all", each.channel_id, each.category):
            assert admits(wider or "all", each.channel_id, each.category)


# -- against a naive model -------------------------------------------------------------------------

results = st.one_of(
    st.just(HookResult.allow()),
    st.builds(HookResult.allow, metadata=st.dictionaries(st.sampled_from("xyz"), st.integers())),
    st.builds(HookResult.block, st.one_of(st.none(), st.text(max_size=3))),
    st.builds(HookResult.modify, st.one_of(st.text(max_size=3), st.integers())),
    st.builds(HookResult.modify, st.text(max_size=3), metadata=st.just({"x": 0})),
    st.sampled_from([HookFault.RAISED, HookFault.TIMED_OUT]),
    st.sampled_from([None, False, "allow"]),
)


@given(st.lists(results, max_size=6), st.sampled_from(sorted(SYNC)))
def test_the_pipeline_does_what_is_written_down(
    answers: list[object], trigger: HookTrigger
) -> None:
    payload: Any = "start"
    blocked_by = None
    metadata: dict[str, object] = {}
    failures = 0
    shown = []
    for at, answer in enumerate(answers):
        shown.append(payload)
        good = isinstance(answer, HookResult) and (
            answer.action is not HookAction.MODIFY or isinstance(answer.event, str)
        )
        if not good:
            failures += 1
            if trigger in FAIL_CLOSED:
                blocked_by = f"h{at}"
                break
            continue
        assert isinstance(answer, HookResult)
        metadata |= answer.metadata
        if answer.action is HookAction.MODIFY:
            payload = answer.event
        if answer.action is HookAction.BLOCK:
            blocked_by = f"h{at}"
            break

    hooks = [hook(f"h{at}", trigger=trigger) for at in range(len(answers))]
    pipeline = SyncPipeline(trigger, "start", hooks)
    really_shown = []
    for answer in answers:
        if pipeline.waits_for is None:
            break
        really_shown.append(pipeline.payload)
        if isinstance(answer, HookFault):
            pipeline.failed(answer)
        else:
            pipeline.returned(answer)
    assert pipeline.waits_for is None
    verdict = pipeline.verdict()
    assert really_shown == shown
    assert (verdict.event, verdict.blocked_by) == (payload, blocked_by)
    assert verdict.blocked is (blocked_by is not None)
    assert verdict.metadata == metadata
    assert len(verdict.errors) == failures
