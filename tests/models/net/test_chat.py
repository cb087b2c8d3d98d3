"""OpenAI's chat format as a table of conversations and answers."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, ToolCalled, UserSaid
from models.faults import FaultKind
from models.llm.chat import NO_ANSWER, Answer, to_messages, to_tools
from models.llm.protocol import Finish, Tool, Usage
from models.llm.thinking import ThinkFilter
from models.net import ProviderFault


def a_call(id: str, name: str = "look", arguments: str = "{}") -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


def an_answer(id: str, content: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": id, "content": content}


def test_instructions_are_one_message_at_the_head() -> None:
    context = (UserSaid("hi", 1), Instruction("A"), AgentSaid("yes", 1), Instruction("B"))
    assert to_messages(context, "developer") == [
        {"role": "developer", "content": "A\n\nB"},
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": "yes"},
    ]


def test_neighbours_of_one_role_are_one_message_and_blank_ones_none() -> None:
    context = (UserSaid("a", 1), UserSaid("b", 2), AgentSaid(" ", 2), UserSaid("c", 3, leg="Bo b"))
    assert to_messages(context) == [
        {"role": "user", "content": "a\nb"},
        {"role": "user", "content": "c", "name": "Bo_b"},
    ]


def test_calls_are_grouped_and_answered_in_order() -> None:
    context = (
        UserSaid("hi", 1),
        AgentSaid("one moment", 1),
        ToolCalled("a", "look", '{"x": 1}'),
        ToolCalled("b", "look", "not json"),
        ToolAnswered("b", "second"),
        UserSaid("still there?", 2),
        ToolAnswered("a", "first, and late"),
        ToolAnswered("ghost", "to nothing"),
        ToolCalled("c", "look", "{}"),
    )
    assert to_messages(context) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": "one moment",
            "tool_calls": [
                a_call("a", arguments='{"x": 1}'),
                a_call("b", arguments='{"raw":"not json"}'),
            ],
        },
        an_answer("a", "first, and late"),
        an_answer("b", "second"),
        {"role": "user", "content": "still there?"},
        {"role": "assistant", "content": None, "tool_calls": [a_call("c")]},
        an_answer("c", NO_ANSWER),
    ]


def test_ids_that_are_used_again_keep_their_own_answers() -> None:
    context = (
        ToolCalled("0", "a", "{}"),
        ToolAnswered("0", "one"),
        ToolCalled("0", "b", "{}"),
        ToolAnswered("0", "two"),
    )
    assert [m["content"] for m in to_messages(context) if m["role"] == "tool"] == ["one", "two"]


ITEMS: st.SearchStrategy[Item] = st.one_of(
    st.builds(UserSaid, st.sampled_from(["", "hi"]), st.just(1)),
    st.builds(AgentSaid, st.sampled_from(["", "yes"]), st.just(1)),
    st.builds(Instruction, st.just("Be brief.")),
    st.builds(ToolCalled, st.sampled_from("abc"), st.just("look"), st.sampled_from(["{}", "?"])),
    st.builds(ToolAnswered, st.sampled_from("abc"), st.just("done")),
)


@given(st.lists(ITEMS, max_size=20))
def test_every_call_is_answered_right_after_its_group(context: list[Item]) -> None:
    messages = to_messages(context)
    expected: list[str] = []
    for message in messages:
        if message["role"] == "tool":
            assert message["tool_call_id"] == expected.pop(0)
            continue
        assert not expected
        expected = [call["id"] for call in message.get("tool_calls", ())]
    assert not expected
    calls = [c for m in messages for c in m.get("tool_calls", ())]
    assert len(calls) == sum(isinstance(item, ToolCalled) for item in context)
    assert all(isinstance(json.loads(c["function"]["arguments"]), dict) for c in calls)


def test_parameters_of_a_tool_are_a_json_object() -> None:
    for parameters in ("[]", "{", "7"):
        with pytest.raises(ProviderFault) as refused:
            to_tools([Tool("t", "", parameters)])
        assert refused.value.kind is FaultKind.REJECTED


# -- answers --------------------------------------------------------------------------------


def feed(*deltas: dict[str, Any], finish: str | None = "stop") -> tuple[Answer, str]:
    answer, said = Answer(), ""
    for number, delta in enumerate(deltas):
        reason = finish if number == len(deltas) - 1 else None
        chunk = {"choices": [{"delta": delta, "finish_reason": reason}]}
        said += answer.feed(json.dumps(chunk))[0]
    return answer, said


def part(**more: Any) -> dict[str, Any]:
    function = {k: more.pop(k) for k in ("name", "arguments") if k in more}
    return {"tool_calls": [{"function": function, **more}]}


@pytest.mark.parametrize(
    "deltas",
    [
        [
            part(index=0, id="a", name="f", arguments='{"x"'),
            part(index=0, arguments=":1}"),
            part(index=1, id="b", name="g", arguments="{}"),
        ],
        # One index for all of them, told apart by their ids.
        [
            part(index=0, id="a", name="f", arguments='{"x":1}'),
            part(index=0, id="b", name="g", arguments="{}"),
        ],
        # No index at all.
        [
            part(id="a", name="f", arguments='{"x"'),
            part(arguments=":1}"),
            part(id="b", name="g", arguments="{}"),
        ],
        # The id in every piece, and arguments as an object.
        [
            part(index=0, id="a", name="f"),
            part(index=0, id="a", arguments={"x": 1}),
            part(index=1, id="b", name="g", arguments="{}"),
        ],
    ],
)
def test_tool_calls_are_put_together_in_all_their_accents(deltas: list[dict[str, Any]]) -> None:
    answer, _ = feed(*deltas)
    _, calls, finish = answer.finish()
    assert [(c.id, c.name, c.arguments) for c in calls] == [("a", "f", '{"x":1}'), ("b", "g", "{}")]
    assert finish is Finish.TOOLS


def test_a_call_that_was_cut_off_is_not_called() -> None:
    answer, _ = feed(
        part(index=0, id="a", name="f", arguments="{}"),
        part(index=1, id="b", name="g", arguments='{"x": "unfin'),
        finish="length",
    )
    _, calls, finish = answer.finish()
    assert ([c.id for c in calls], finish) == (["a"], Finish.LENGTH)


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("stop", Finish.STOP),
        ("length", Finish.LENGTH),
        ("content_filter", Finish.FILTERED),
        ("tool_calls", Finish.STOP),
        ("eos", Finish.STOP),
    ],
)
def test_reasons_to_finish(reason: str, finish: Finish) -> None:
    answer, _ = feed({"content": "hi"}, finish=reason)
    assert answer.finish()[2] is finish


def test_an_answer_is_bounded() -> None:
    with pytest.raises(ProviderFault):
        feed(*[{"content": "x" * 100_000}] * 11)
    with pytest.raises(ProviderFault):
        feed(*[part(index=n, id=str(n), name="f") for n in range(129)])


def test_usage_may_come_with_gaps() -> None:
    answer = Answer()
    answer.feed('{"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": null}}')
    assert answer.usage == Usage(3, 0, 0)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "choices",
                    "delta",
                    "content",
                    "tool_calls",
                    "index",
                    "id",
                    "function",
                    "name",
                    "arguments",
                    "finish_reason",
                    "usage",
                    "prompt_tokens",
                    "error",
                    "code",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_whatever_comes_is_understood_or_a_fault(chunk: object) -> None:
    answer = Answer()
    try:
        answer.feed(json.dumps(chunk))
        answer.finish()
    except ProviderFault:
        pass


# -- thoughts -------------------------------------------------------------------------------


@given(
    st.lists(st.sampled_from(["<think>", "</think>", "<", "th", "a b", ">", "</"]), max_size=12),
    st.lists(st.integers(0, 40), max_size=8),
)
def test_thoughts_are_left_out_however_the_text_is_cut(texts: list[str], cuts: list[int]) -> None:
    text = "".join(texts)
    whole = ThinkFilter()
    expected = whole.feed(text) + whole.finish()
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    parts = ThinkFilter()
    said = "".join(parts.feed(text[a:b]) for a, b in pairwise(edges))
    assert said + parts.finish() == expected


def test_what_stands_between_the_tags_is_not_said() -> None:
    thinker = ThinkFilter()
    assert thinker.feed("<think>hm, 1 < 2</think>Yes<b") + thinker.finish() == "Yes<b"
