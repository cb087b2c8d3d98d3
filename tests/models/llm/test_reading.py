"""A script that cannot be used says everything that is wrong with it, where, and what to write."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.llm.dialogue import ScriptError, load_script, read_script

HEAD = 'name = "test"\nentry = "ada"\n'
AGENT = f"{HEAD}[agents.ada]\n"


def rule(lines: str) -> str:
    return f"{AGENT}[[agents.ada.rules]]\n{lines}\n"


GOOD = 'id = "r"\npatterns = ["hello {name}"]\nsay = "Hello {name}."\n'


def faults(source: str) -> list[str]:
    with pytest.raises(ScriptError) as error:
        read_script(source)
    return [str(fault) for fault in error.value.faults]


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("name = ", "is not valid TOML: Invalid value"),
        (f'{HEAD}[agents.ada]\n[agents.ada]', "is not valid TOML"),
        (HEAD, "there is no agent; write [agents.ada]"),
        ('name = "x"\n[agents.ada]', "'entry' is missing; write entry = \"...\""),
        (AGENT.replace('"ada"', '"aba"'), "entry: there is no agent 'aba'; did you mean 'ada'?"),
        (AGENT.replace('"test"', "3"), "name: 3 is not what is expected here, which is a text"),
        (f"grating = 1\n{AGENT}", "grating: is not known here; known are: agents, entry"),
        (f"{AGENT}greating = 'Hi'", "agents.ada.greating: is not known here; did you mean 'greet"),
        (f"{AGENT}greeting = 3", "agents.ada.greeting: 3 is not what is expected here"),
        (f"{AGENT}greeting = ['']", "agents.ada.greeting: one of the texts is empty"),
        (f"{AGENT}greeting = 'Hi {{'", "agents.ada.greeting: '{' in 'Hi {' is no value"),
        (f"{AGENT}greeting = 'Hi {{nam}}'", "agents.ada.greeting: nothing gives {nam} a value"),
        (f"{AGENT}rules = 3", "agents.ada.rules: 3 is not what is expected here, which is a list"),
        (f"{HEAD}agents = 3", "agents: 3 is not what is expected here, which is a table: [agents]"),
        (f"{HEAD}[agents.'Ada B']", "agents.Ada B: an agent's name is lower-case letters"),
        (f"{HEAD}[sets]\nyes = []\n[agents.ada]", "sets.yes: a set is phrases, each with a word"),
        (f"{HEAD}[sets]\nyes = ['!']\n[agents.ada]", "sets.yes: a set is phrases"),
        (f"{HEAD}[kinds.day]\nlike = 'word'\n[agents.ada]", "kinds.day: is there already"),
        (f"{HEAD}[kinds.x]\n[agents.ada]", "kinds.x: a kind has either choices"),
        (f"{HEAD}[kinds.x]\nlike = 'wrd'\n[agents.ada]", "did you mean 'word'?"),
        (rule('id = "r"\nsay = "x"'), "agents.ada.rules[1]: a rule needs patterns"),
        (rule('patterns = "a"\nsay = "x"'), "agents.ada.rules[1]: 'id' is missing"),
        (rule('id = "r"\npatterns = "a"'), "agents.ada.rules[1]: the rule says and does nothing"),
        (rule('id = "r"\npatterns = "[a"\nsay = "x"'), "rules[1].patterns: '[' is not closed"),
        (rule(f"{GOOD}intrrupted = true"), "rules[1].intrrupted: is not known here; did you mean"),
        (rule(f"{GOOD}interrupted = 1"), "rules[1].interrupted: 1 is not what is expected"),
        (rule(GOOD.replace("Hello {name}", "{nam}")), "did you mean 'name'?"),
        (rule(f"{GOOD}when = {{ age = true }}"), "agents.ada.rules.r: no pattern has {age}"),
        (rule(f"{GOOD}when = {{ name = 3 }}"), "rules[1].when.name: true (known), false"),
        (rule(f"{GOOD}needs = 'name'"), "nobody asks for; write [agents.ada.asks.name]"),
        (rule(f"{GOOD}forget = 'nme'"), "agents.ada.rules.r: no pattern has {nme}; did you mean"),
        (rule(f"{GOOD}answers = 'x'"), "agents.ada.rules.r: has answers, but no call"),
        (rule(f"{GOOD}failed = 'x'"), "agents.ada.rules.r: has failed, but no call"),
        (rule(f"{GOOD}hang_up = 'x'\nwaiting = 'x'"), "has waiting, but delegates nothing"),
        (rule(f"{GOOD}handoff = 'bob'"), "agents.ada.rules.r: there is no agent 'bob'; known are"),
        (rule(f"{GOOD}handoff = 'ada'\nhang_up = 'x'"), "this one has handoff and hang_up"),
        (rule(f"{GOOD}delegate = {{ worker = 'w', task = 't' }}"), "there is no worker 'w'"),
        (rule(f"{GOOD}delegate = {{ worker = 'w' }}"), "rules[1].delegate: 'task' is missing"),
        (rule(f"{GOOD}call = {{ arguments = {{}} }}"), "rules[1].call: 'tool' is missing"),
        (rule(f"{GOOD}call = {{ tool = 't', arguments = {{ a = [] }} }}"), "arguments.a: an arg"),
        (rule(f"{GOOD}call = {{ tool = 't', arguments = {{ a = inf }} }}"), "arguments.a: an arg"),
        (rule(f"{GOOD}call = {{ tool = 't' }}\nanswers = '{{u.x}}'"), "nothing gives {u.x}"),
        (rule(f"{GOOD}[[agents.ada.rules]]\n{GOOD}"), "agents.ada.rules.r: there are two rules"),
        (f"{AGENT}[agents.ada.asks.n]\nsay = 'N?'\npatterns = 'n'", "each pattern must have {n}"),
        (f"{AGENT}[agents.ada.asks.n]", "agents.ada.asks.n: a question is missing"),
    ],
)  # fmt: skip
def test_a_fault_says_where_and_what_to_write(source: str, fault: str) -> None:
    told = faults(source)
    assert any(fault in one for one in told), told


def test_all_faults_are_told_at_once() -> None:
    told = faults('name = 3\nentry = "ada"\n[agents.ada]\ngreeting = 4\nlanguage = "en"\n')
    assert len(told) == 3


def test_the_error_names_the_script() -> None:
    with pytest.raises(ScriptError) as error:
        read_script(HEAD, "mine.toml")
    assert str(error.value) == "mine.toml: there is no agent; write [agents.ada]"


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match="No such file or directory; name a script"):
        load_script(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b'name = "\xe9"')
    with pytest.raises(ScriptError, match="is not UTF-8"):
        load_script(tmp_path / "latin.toml")


def test_what_is_left_out_has_a_default() -> None:
    agent = read_script(AGENT).agents["ada"]
    assert [text.source for text in agent.greeting] == ["Hello."]
    assert agent.fallback
    assert agent.rules == ()


TOML = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5) | st.floats(),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
NAMES = ["id", "patterns", "say", "when", "call", "delegate", "needs", "set", "hang_up", "handoff"]


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(char):08X}" for char in value) + '"'
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{_toml(k)} = {_toml(v)}" for k, v in value.items()) + "}"
        case _:
            return str(value)


@given(st.dictionaries(st.sampled_from(NAMES), TOML))
def test_whatever_a_rule_holds_is_read_or_told(fields: dict[str, object]) -> None:
    lines = "\n".join(f"{name} = {_toml(value)}" for name, value in fields.items())
    try:
        read_script(rule(lines))
    except ScriptError as error:
        assert error.faults
