"""What a script makes of a conversation follows from the conversation alone."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.conversation import AgentSaid, Instruction, Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.control import (
    DELEGATE_TOOL,
    HANDOFF_TOOL,
    TaskReport,
    read_task_report,
    task_report,
    task_started,
)
from models.llm.dialogue import Dialogue, read_script
from models.llm.dialogue.state import unsaid
from models.llm.dialogue.template import BadTemplate, read_template
from tests.models.llm.talking import Talk

SCRIPT = read_script(
    """
    name = "test"
    entry = "ada"

    [workers]
    scout = "looks around"

    [kinds.size]
    choices = { small = ["small"], large = ["large", "big"] }

    [[rules]]
    id = "bye"
    patterns = ["goodbye"]
    say = "Bye."
    hang_up = "said goodbye"

    [agents.ada]
    greeting = "Hello."
    arrival = "Ada again."
    offer = "What now?"
    fallback = ["What?", "Say it differently."]
    interrupted = "Sure."
    silence = "Are you there?"

    [agents.ada.asks.size]
    say = ["Which size?", "Small or large?"]
    patterns = ["[a] {size} [one]"]

    [agents.ada.asks.count]
    say = ["How many?"]
    patterns = ["{count:number}"]

    [[agents.ada.rules]]
    id = "order"
    patterns = ["[i want] pizza", "{count:number} {size} pizzas"]
    needs = ["size", "count"]
    say = "One moment."
    call.tool = "order"
    call.arguments = { size = "{size}", count = "{count}", note = "{count} of them" }
    answers = "That is {order.price} for {count} {size}, with {order.with.0}."
    failed = "No pizza: {error}."
    forget = ["size", "count"]

    [[agents.ada.rules]]
    id = "long"
    patterns = ["tell me more"]
    say = "The first thing is this. The second thing is that. The third is short."

    [[agents.ada.rules]]
    id = "wait"
    patterns = ["wait"]
    interrupted = true
    say = "Yes?"

    [[agents.ada.rules]]
    id = "on"
    patterns = ["go on"]
    resume = true
    say = "Well."

    [[agents.ada.rules]]
    id = "open"
    patterns = ["are you open"]
    say = ["Yes.", "We are."]

    [[agents.ada.rules]]
    id = "drop"
    patterns = ["never mind"]
    abandon = true
    forget = ["size", "count"]
    say = "Fine."

    [[agents.ada.rules]]
    id = "name"
    patterns = ["i am {name:word}"]
    set = { met = "yes" }
    say = "Hello {name}."

    [[agents.ada.rules]]
    id = "known"
    patterns = ["who am i"]
    when = { met = true }
    say = "{name}."

    [[agents.ada.rules]]
    id = "ada"
    patterns = ["who am i"]
    when = { name = "Ada" }
    say = "Never said: the rule before it fits as well."

    [[agents.ada.rules]]
    id = "unknown"
    patterns = ["who am i"]
    when = { met = false }
    say = "No idea."

    [[agents.ada.rules]]
    id = "look"
    patterns = ["look outside"]
    say = "I have it looked at."
    delegate = { worker = "scout", task = "look outside" }
    waiting = "Meanwhile?"
    answers = "The scout saw {delegate.seen}."
    failed = "The scout is lost."

    [[agents.ada.rules]]
    id = "ben"
    patterns = ["cars", "ben please"]
    say = "Ask Ben."
    handoff = "ben"
    reason = "cars"

    [agents.ben]
    greeting = "Ben here."
    arrival = "This is Ben."
    offer = "Which car?"
    [[agents.ben.rules]]
    id = "cars"
    patterns = ["cars"]
    say = "All sold, {name}."
    [[agents.ben.rules]]
    id = "cars_unknown"
    patterns = ["cars"]
    say = "All sold."
    [[agents.ben.rules]]
    id = "ada"
    patterns = ["ada please"]
    handoff = "ada"
    """
)


def tools(name: str, arguments: str) -> str:
    if name == DELEGATE_TOOL:
        return task_started("t-1")
    if name == "order" and json.loads(arguments)["size"] == "large":
        raise ValueError("too big")
    return json.dumps({"price": 8.5, "with": ["olives"]})


def talk() -> Talk:
    return Talk(SCRIPT, tools)


def test_what_is_missing_is_asked_for_one_after_the_other() -> None:
    they = talk()
    assert they.say("I want pizza") == "Which size?"
    assert they.say("a small one") == "How many?"
    assert they.say("twenty two") == "One moment. That is 8.5 for 22 small, with olives."
    step = next(step for step in they.steps if step.tool)
    assert json.loads(step.arguments) == {"size": "small", "count": 22, "note": "22 of them"}


def test_what_was_said_at_once_is_not_asked_for() -> None:
    they = talk()
    assert they.say("two small pizzas").startswith("One moment. That is 8.5 for 2")
    assert they.say("pizza") == "Which size?", "the last order is forgotten"


def test_a_tool_that_fails_leads_to_the_other_answer() -> None:
    assert talk().say("two large pizzas") == "One moment. No pizza: too big."


def test_a_question_is_asked_again_in_other_words() -> None:
    they = talk()
    they.say("pizza")
    assert they.say("umbrella") == "Small or large?"
    assert they.say("umbrella") == "Small or large?"
    assert they.say("big") == "How many?"


def test_another_question_meanwhile_is_answered_and_the_open_one_repeated() -> None:
    they = talk()
    they.say("pizza")
    assert they.say("are you open") == "Yes. Which size?"
    assert they.say("small") == "How many?"


def test_an_open_question_can_be_given_up() -> None:
    they = talk()
    they.say("pizza")
    they.say("small")
    assert they.say("never mind") == "Fine."
    assert they.say("small") == "What?"


def test_what_is_not_understood_is_said_so_in_other_words() -> None:
    they = talk()
    assert [they.say(w) for w in ("x", "y", "z")] == ["What?", *["Say it differently."] * 2]
    they.say("are you open")
    assert they.say("x") == "What?"


def test_variants_follow_the_turn() -> None:
    they = talk()
    assert [they.say("are you open") for _ in range(3)] == ["We are.", "Yes.", "We are."]


def test_conditions_choose_between_rules() -> None:
    they = talk()
    assert they.say("who am i") == "No idea."
    assert they.say("I am Ada") == "Hello Ada."
    assert they.say("who am I?") == "Ada."


def test_who_is_interrupted_says_so_and_goes_on_when_asked() -> None:
    they = talk()
    full = they.say("tell me more")
    they.interrupt(heard=7)
    assert they.say("wait") == "Yes?"
    assert they.say("go on") == "Well. The second thing is that. The third is short."
    they.interrupt(heard=8)
    assert they.say("are you open") == "Sure. Yes."
    assert they.say("go on") == "What?", "what was cut off is over once something else was said"
    assert full.startswith("The first")


def test_wait_means_nothing_to_who_was_not_interrupted() -> None:
    they = talk()
    they.say("tell me more")
    assert they.say("wait") == "What?"


def test_who_was_interrupted_by_nothing_goes_on() -> None:
    they = talk()
    they.say("tell me more")
    they.interrupt(heard=2)
    step = they.dialogue.answer(they.context, "ada")
    assert step.text == "The first thing is this. The second thing is that. The third is short."


def test_who_has_said_all_and_is_asked_to_speak_asks_back() -> None:
    they = talk()
    they.say("are you open")
    assert they.go_on() == "Are you there?"


def test_a_handoff_answers_what_was_asked_before_it() -> None:
    they = talk()
    they.say("i am Ada")
    assert they.say("cars") == "Ask Ben. This is Ben. All sold, Ada."
    assert they.agent == "ben"
    assert json.loads(they.steps[-2].arguments) == {"agent": "ben", "reason": "cars"}


def test_who_takes_over_and_has_no_answer_makes_an_offer() -> None:
    they = talk()
    assert they.say("ben please") == "Ask Ben. This is Ben. Which car?"
    assert they.say("ada please") == "Ada again. What now?"


def test_a_handoff_that_happened_elsewhere_is_taken_note_of() -> None:
    dialogue = Dialogue(SCRIPT)
    assert dialogue.answer([], "ben").text == "Ben here."
    assert dialogue.answer([UserSaid("cars", 1)], "ben").text == "All sold."
    spoke: list[Item] = [UserSaid("hm", 1), AgentSaid("This is Ben. Which car?", 1, "ben")]
    assert dialogue.answer([*spoke, UserSaid("cars", 2)]).text == "All sold."


def test_a_handoff_that_fails_is_said() -> None:
    failed = ToolAnswered("c", "nobody there", failed=True)
    call = ToolCalled("c", HANDOFF_TOOL, '{"agent": "ben"}')
    step = Dialogue(SCRIPT).answer([UserSaid("cars", 1), call, failed])
    assert step.text == "I am sorry, that does not work right now."


def test_the_call_ends_when_the_agent_hangs_up() -> None:
    they = talk()
    step = they.dialogue.answer([UserSaid("goodbye", 1)])
    assert (step.text, step.tool) == ("Bye.", "hang_up")
    assert json.loads(step.arguments) == {"reason": "said goodbye"}


@pytest.mark.parametrize(
    ("answer", "before", "after"),
    [
        (ToolAnswered("c", '{"price": 8, "with": [1]}'), "That is 8 for 2 small, with 1. Yes.",
         "That is 8 for 2 small, with 1."),
        (ToolAnswered("c", "cancelled", failed=True), "Yes.", "Are you there?"),
    ],
)  # fmt: skip
def test_a_tool_that_answers_late_does_not_hide_what_the_user_said(
    answer: ToolAnswered, before: str, after: str
) -> None:
    dialogue = Dialogue(SCRIPT)
    asked: list[Item] = [UserSaid("two small pizzas", 1), ToolCalled("c", "order", "{}", 1)]
    asked.append(UserSaid("are you open", 2))
    assert dialogue.answer([*asked, answer]).text == before
    assert dialogue.answer([*asked, AgentSaid("Yes.", 2, "ada"), answer]).text == after


# -- delegation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (TaskReport("t-1", '{"seen": "rain"}'), "The scout saw rain."),
        (TaskReport("t-1", "no scout", failed=True), "The scout is lost."),
        (TaskReport("t-9", "somebody else's result"), "somebody else's result"),
    ],
)
def test_delegated_work_is_reported_when_it_is_done(report: TaskReport, said: str) -> None:
    they = talk()
    assert they.say("look outside") == "I have it looked at. Meanwhile?"
    they.say("are you open")
    they.context.append(task_report(report))
    assert they.go_on() == said
    assert they.say("are you open") == "We are."


def test_delegated_work_may_be_answered_at_once() -> None:
    they = Talk(SCRIPT, lambda _name, _arguments: '{"seen": "a cat"}')
    assert they.say("look outside") == "I have it looked at. The scout saw a cat."


def test_an_open_question_survives_a_report() -> None:
    they = talk()
    they.say("look outside")
    they.say("pizza")
    they.context.append(task_report(TaskReport("t-1", '{"seen": "rain"}')))
    assert they.go_on() == "The scout saw rain. Which size?"


def test_a_report_does_not_hide_what_the_user_said() -> None:
    they = talk()
    they.say("look outside")
    they.context.append(UserSaid("are you open", 2))
    they.context.append(task_report(TaskReport("t-1", '{"seen": "rain"}')))
    assert they.go_on() == "The scout saw rain. Yes."


def test_a_report_asks_the_open_question_once() -> None:
    they = talk()
    they.say("look outside")
    they.context.append(UserSaid("pizza", 2))
    they.context.append(task_report(TaskReport("t-1", '{"seen": "rain"}')))
    assert they.go_on() == "The scout saw rain. Which size?"


def test_a_conversation_that_another_model_began_goes_on() -> None:
    dialogue = Dialogue(SCRIPT)
    context: list[Item] = [UserSaid("pizza", 1), ToolCalled("c", "menu", "{}", 1)]
    said = {
        output: dialogue.answer([*context, ToolAnswered("c", output)]).text
        for output in ('{"pizza": 8}', "We have pizza.")
    }
    assert said["We have pizza."] == "We have pizza. Which size?"
    assert said['{"pizza": 8}'] == "I am sorry, that does not work right now. Which size?"


@given(st.from_regex(r"\S+", fullmatch=True), st.text(), st.booleans())
def test_a_report_is_read_as_it_was_written(task: str, output: str, failed: bool) -> None:
    report = TaskReport(task, output, failed)
    assert read_task_report(task_report(report)) == report


def test_other_notes_are_no_reports() -> None:
    assert read_task_report(Instruction("Be brief.")) is None
    with pytest.raises(ValueError, match="one word"):
        task_report(TaskReport("two words", ""))


# -- the same from the beginning ---------------------------------------------------------------

SAYINGS = st.sampled_from(
    [
        "pizza", "two small pizzas", "large", "three", "tell me more", "go on", "wait", "hm",
        "never mind", "i am Ada", "who am i", "look outside", "cars", "ada please", "are you open",
    ]
)  # fmt: skip
TURNS = st.lists(st.tuples(SAYINGS, st.integers(0, 12)), max_size=12)


@given(TURNS)
def test_beginning_anew_leads_to_the_same_as_going_on(turns: list[tuple[str, int]]) -> None:
    they = talk()
    state = they.dialogue.opening()
    done = 0
    for text, heard in turns:
        they.say(text)
        if heard and isinstance(they.context[-1], AgentSaid):
            they.interrupt(heard)
        for item in they.context[done:]:
            state = they.dialogue.after(state, item)
        done = len(they.context)
        fresh = Dialogue(SCRIPT)
        # The opening differs: who asks for an agent by name is greeted by it.
        assert fresh.replay(they.context, "") == state
        assert fresh.answer(they.context) == they.dialogue.answer(they.context)
        assert state.agent.name == they.agent


STRANGE = st.sampled_from(
    [
        UserSaid("cars", 1),
        UserSaid("", 2),
        AgentSaid("x", 1, "ben"),
        AgentSaid("", 1, "no one", interrupted=True),
        ToolCalled("c", HANDOFF_TOOL, '{"agent": "ben"}'),
        ToolCalled("c", HANDOFF_TOOL, "[]"),
        ToolCalled("d", DELEGATE_TOOL, ""),
        ToolAnswered("c", ""),
        ToolAnswered("d", task_started("t")),
        ToolAnswered("d", "null", failed=True),
        task_report(TaskReport("t", "[1]")),
        Instruction("x"),
    ]
)


@given(st.lists(STRANGE, max_size=10))
def test_no_history_is_too_strange(context: list[Item]) -> None:
    for agent in ("", "ada", "ben"):
        Dialogue(SCRIPT).answer(context, agent)


# -- parts -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("planned", "heard", "rest"),
    [
        ("One two. Three four. Five.", "One two. Three", "Three four. Five."),
        ("One two. Three four. Five.", "one", "One two. Three four. Five."),
        ("One two. Three four. Five.", "One two.", "Three four. Five."),
        ("One two. Three four. Five.", "", "One two. Three four. Five."),
        ("One two.", "One two.", ""),
        ("One two.", "Something else", ""),
        ("One.", "One and more", ""),
    ],
)
def test_what_was_cut_off_begins_with_a_sentence(planned: str, heard: str, rest: str) -> None:
    assert unsaid(planned, heard) == rest


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{a} and {{b}}", "1 and {b}"),
        ("{t}", "plain"),
        ("{j.x}", "7"),
        ("{j.y.1}", "c"),
        ("{j.y}", "b and c"),
        ("{j.f} {j.g}", "2.5 3"),
        ("{j.yes}", "yes"),
        ("{j.none}", None),
        ("{j.y.9}", None),
        ("{j.x.x}", None),
        ("{t.x}", None),
        ("{b}", None),
    ],
)
def test_templates_are_filled_with_what_is_known(template: str, text: str | None) -> None:
    output = '{"x": 7, "y": ["b", "c"], "f": 2.5, "g": 3.0, "yes": true, "none": null}'
    assert read_template(template).fill({"a": "1"}, {"t": "plain", "j": output}) == text


@pytest.mark.parametrize("wrong", ["{", "}", "{}", "{a b}", "{a.}", "{{}"])
def test_braces_that_are_no_values_are_refused(wrong: str) -> None:
    with pytest.raises(BadTemplate, match="is no value"):
        read_template(wrong)
