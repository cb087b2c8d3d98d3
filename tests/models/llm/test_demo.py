"""The demo team understands what it says it does, and everything in its script can happen."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conversation import UserSaid
from models.llm.control import (
    CONTROL_TOOLS,
    DELEGATE_TOOL,
    HANDOFF_TOOL,
    HANGUP_TOOL,
    TaskReport,
    task_report,
    task_started,
)
from models.llm.demo.tools import TOOLS, ToolRefused, find, run_tool
from models.llm.dialogue import Dialogue, control_tools, demo_script, phrases
from models.llm.dialogue.matching import match
from models.llm.dialogue.pattern import sentences
from models.llm.dialogue.script import Agent, Rule
from models.llm.dialogue.template import Template
from models.llm.dialogue.words import tokens
from tests.models.llm.talking import Talk

SCRIPT = demo_script()
RULES = [(agent, rule) for agent in SCRIPT.agents.values() for rule in agent.rules]


def tools(name: str, arguments: str) -> str:
    if name == DELEGATE_TOOL:
        return task_started("t-1")
    return "{}" if name == HANGUP_TOOL else run_tool(name, arguments, "ten past four")


def test_there_is_enough_to_talk_about() -> None:
    assert len({rule.id for _, rule in RULES}) >= 25
    assert len(SCRIPT.agents) == 3


@pytest.mark.parametrize(("agent", "rule"), RULES, ids=[f"{a.name}-{r.id}" for a, r in RULES])
def test_every_rule_wins_with_a_sentence_of_its_own(agent: Agent, rule: Rule) -> None:
    assert any(_wins(agent, rule, s) for p in rule.patterns for s in sentences(p))


def _wins(agent: Agent, rule: Rule, sentence: str) -> bool:
    """Would it be chosen, if its conditions held?"""
    heard = tokens(sentence)
    best, score = None, 0.0
    for other in agent.rules:
        alike = (other.interrupted, other.when) == (rule.interrupted, rule.when)
        if other.interrupted is not rule.interrupted and other.interrupted is not None:
            continue
        if other.when and not alike:
            continue
        for pattern in other.patterns:
            found = match(pattern, heard)
            if found is not None and found.score > score:
                best, score = other, found.score
    return best is rule


def test_everything_the_recogniser_listens_for_is_understood() -> None:
    listened = phrases(SCRIPT)
    assert 200 < len(listened) <= 400
    assert len(set(listened)) == len(listened)
    patterns = [p for _, rule in RULES for p in rule.patterns]
    patterns += [p for a in SCRIPT.agents.values() for ask in a.asks.values() for p in ask.patterns]
    for sentence in listened:
        assert sentence == sentence.lower().strip()
        assert any(match(pattern, tokens(sentence)) for pattern in patterns), sentence


@pytest.mark.parametrize("limit", [0, 1, 50])
def test_phrases_are_bounded(limit: int) -> None:
    assert len(phrases(SCRIPT, limit=limit)) == limit
    assert set(phrases(SCRIPT, "ben")) <= set(phrases(SCRIPT, limit=10_000))


def test_the_recogniser_knows_every_word() -> None:
    pocketsphinx = pytest.importorskip("pocketsphinx")
    with open(pocketsphinx.get_model_path("en-us/cmudict-en-us.dict"), encoding="utf-8") as file:
        known = {line.split()[0] for line in file}
    assert {w for s in phrases(SCRIPT, limit=10_000) for w in s.split()} - known == set()


def test_every_tool_that_is_called_is_there_with_its_arguments() -> None:
    offered = {tool.name: set(json.loads(tool.parameters)["properties"]) for tool in TOOLS}
    for _, rule in RULES:
        if rule.call is not None and rule.call.tool not in CONTROL_TOOLS:
            assert set(rule.call.arguments) <= offered[rule.call.tool]


def test_everybody_can_be_reached_and_left() -> None:
    reached = {
        (agent.name, target.source)
        for agent, rule in RULES
        if rule.call is not None and rule.call.tool == HANDOFF_TOOL
        if isinstance(target := rule.call.arguments["agent"], Template)
    }
    assert {to for _, to in reached} == set(SCRIPT.agents) == {of for of, _ in reached}


def test_everybody_is_offered_their_colleagues() -> None:
    names = {agent: [tool.name for tool in control_tools(SCRIPT, agent)] for agent in SCRIPT.agents}
    assert set(map(tuple, names.values())) == {(HANDOFF_TOOL, DELEGATE_TOOL, HANGUP_TOOL)}
    handoff = json.loads(control_tools(SCRIPT, "ben")[0].parameters)
    assert handoff["properties"]["agent"]["enum"] == ["ada", "clara"]


def test_one_answer_is_long_enough_to_be_interrupted() -> None:
    text = Talk(SCRIPT).say("tell me about the hotel")
    assert len(text.split()) / 2.5 > 10, "at 150 words a minute it takes more than ten seconds"


def test_texts_are_for_the_ear() -> None:
    for _, rule in RULES:
        for template in rule.say + rule.answers + rule.failed + rule.waiting:
            assert not set(template.source) & set("*#_`•()[]\n") - set("_"), template.source


def test_an_evening_at_harbor_house() -> None:
    they = Talk(SCRIPT, tools)
    assert they.go_on().startswith("Harbor House, good day. This is Ada")
    assert "John" in they.say("My name is John")
    assert they.say("What time is breakfast?").startswith("Breakfast is")
    assert they.say("Oh, I lost my keys.").endswith("while they look?")
    they.context.append(task_report(TaskReport("t-1", find("find a lost keys"))))
    assert they.go_on().startswith("Good news about the lost keys")
    assert they.say("I'd like to book a double room").endswith("For how many nights?")
    assert they.agent == "ben"
    assert they.say("three, please") == "And when do you arrive?"
    assert they.say("Friday").endswith("3 nights from Friday. That makes 300 dollars. "
                                       "Your number is d 3 4 7.")  # fmt: skip
    assert they.say("book a table for two").endswith("or something light?")
    assert they.agent == "clara"
    they.say("fish")
    assert "a table for 2 at the Old Anchor, at 7:30" in they.say("at half past seven")
    assert they.say("go back to the front desk").endswith("What else can I do for you?")
    assert they.say("goodbye").endswith("Goodbye.")
    assert they.steps[-2].tool == HANGUP_TOOL


@given(st.lists(st.sampled_from(phrases(SCRIPT)), max_size=10))
def test_whatever_is_said_there_is_an_answer(sayings: list[str]) -> None:
    they = Talk(SCRIPT, tools)
    for text in sayings:
        assert they.say(text), text


@pytest.mark.parametrize(
    ("name", "arguments", "problem"),
    [
        ("fly", "{}", "there is no tool 'fly'; there are clock"),
        ("book_room", "{", "no JSON"),
        ("book_room", "[]", "no JSON object"),
        ("book_room", '{"room": "cellar", "nights": 1}', "'room' is one of single room"),
        ("book_room", '{"room": "suite", "nights": "1"}', "'nights' is a number"),
        ("book_table", '{"food": "fish", "party": 13}', "more than twelve"),
    ],
)
def test_a_tool_that_is_asked_for_nonsense_refuses(name: str, arguments: str, problem: str) -> None:
    with pytest.raises(ToolRefused) as refused:
        run_tool(name, arguments, "noon")
    assert problem in str(refused.value)


def test_a_long_conversation_is_answered_quickly() -> None:
    sayings = phrases(SCRIPT, limit=100)
    context = tuple(UserSaid(text, turn) for turn, text in enumerate(sayings, 1))
    dialogue = Dialogue(SCRIPT)
    dialogue.answer(context, "ada")  # begun anew: every turn is matched
    assert _fastest(lambda: dialogue.answer((*context, UserSaid("where are you", 101)))) < 0.05


def _fastest(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
