"""Reading a script from TOML, strictly. docs/dialogue.md describes the format."""

from __future__ import annotations

import math
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

from models.llm import demo
from models.llm.control import DELEGATE_TOOL, HANDOFF_TOOL, HANGUP_TOOL
from models.llm.dialogue.checking import check
from models.llm.dialogue.pattern import BadPattern, Pattern, read_pattern
from models.llm.dialogue.script import Agent, Ask, Call, Condition, Rule, Script, Variants
from models.llm.dialogue.slots import KINDS, Kind
from models.llm.dialogue.tables import ScriptError, ScriptFault, Table, meant
from models.llm.dialogue.template import BadTemplate, Template, read_template
from models.llm.dialogue.words import plain, words_of

_NAME = re.compile(r"[a-z][a-z0-9_]*")

_FALLBACK = ("Sorry, I did not catch that.", "Could you say that in other words?")
_UNAVAILABLE = ("I am sorry, that does not work right now.",)
_SILENCE = ("Are you still there?",)


def load_script(path: str | Path) -> Script:
    """The script in the file at `path`.

    Raises:
        ScriptError: it cannot be read or used; with every fault there is.
    """
    try:
        source = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        fault = ScriptFault("", f"cannot be read: {error.strerror}; name a script that is there")
        raise ScriptError(str(path), (fault,)) from error
    except UnicodeDecodeError as error:
        fault = ScriptFault("", f"is not UTF-8 ({error.reason}); save the file as UTF-8")
        raise ScriptError(str(path), (fault,)) from error
    return read_script(source, str(path))


def demo_script() -> Script:
    """The script of the demo team."""
    return read_script(demo.source(), demo.FRONT_DESK)


def read_script(source: str, name: str = "script") -> Script:
    """The script in a TOML text.

    Args:
        name: what errors call it.
    Raises:
        ScriptError: it cannot be used; with every fault there is.
    """
    try:
        data = tomllib.loads(source)
    except (ValueError, RecursionError) as error:  # tomllib lets some of Python's own through
        raise ScriptError(name, (ScriptFault("", f"is not valid TOML: {error}"),)) from None
    faults: list[ScriptFault] = []
    script = _Reader(Table(data, "", faults)).script()
    faults += check(script)
    if faults:
        raise ScriptError(name, tuple(dict.fromkeys(faults)))
    return script


class _Reader:
    """Makes a script of tables. What it cannot read is a fault, and left out."""

    def __init__(self, top: Table) -> None:
        self._top = top
        self._kinds: dict[str, Kind] = dict(KINDS)
        self._sets: dict[str, tuple[str, ...]] = {}
        self._of: dict[str, set[str]] = {}
        """The kinds that each slot has in the patterns read so far."""

    def script(self) -> Script:
        top = self._top
        name, entry = top.text("name"), top.text("entry")
        workers = top.table("workers")
        sets = top.table("sets")
        self._sets = sets.every(lambda name: self._phrases(sets, name))
        kinds = top.table("kinds")
        self._kinds |= kinds.every(lambda name: self._kind(kinds, name))
        shared = tuple(self._rule(table) for table in top.tables("rules"))
        agents = top.table("agents")
        found = agents.every(lambda name: self._agent(name, agents.table(name), shared))
        if not found:
            top.fault("", "there is no agent; write [agents.ada]")
        elif entry not in found:
            top.fault("entry", f"there is no agent '{entry}'; {meant(entry, list(found))}")
        top.end()
        helpers = workers.every(workers.text)
        return Script(name, entry, found, self._kinds, helpers, self._numbers())

    # -- words -------------------------------------------------------------------------------

    def _phrases(self, table: Table, name: str) -> tuple[str, ...]:
        phrases = table.texts(name)
        if not _NAME.fullmatch(name):
            table.fault(name, "a set's name is lower-case letters, digits and _")
        if not phrases or not all(words_of(phrase) for phrase in phrases):
            table.fault(name, f'a set is phrases, each with a word: {name} = ["yes", "of course"]')
        return tuple(phrase for phrase in phrases if words_of(phrase))

    def _kind(self, kinds: Table, name: str) -> Kind:
        if name in KINDS:
            kinds.fault(name, "is there already; give yours another name")
        table = kinds.table(name)
        examples = table.texts("examples")
        like = table.text("like", "")
        choices = table.table("choices")
        said = choices.every(lambda value: choices.texts(value, ()) or (value,))
        table.end()
        if bool(like) == bool(said):
            table.fault("", 'a kind has either choices = { ... } or like = "word", and not both')
        elif like and like not in KINDS:
            table.fault("like", f"there is no kind '{like}'; {meant(like, list(KINDS))}")
        if not said:
            return Kind(like if like in KINDS else "text", examples)
        spoken = tuple(phrases[0] for phrases in said.values())
        plainly = {_plain(phrase): value for value, phrases in said.items() for phrase in phrases}
        return Kind(name, examples or spoken, plainly)

    def _pattern(self, table: Table, name: str, source: str) -> Pattern | None:
        try:
            pattern = read_pattern(source, self._kinds, self._sets)
        except BadPattern as error:
            table.fault(name, str(error))
            return None
        for slot, kind in pattern.kinds.items():
            self._of.setdefault(slot, set()).add(kind)
        return pattern

    def _numbers(self) -> frozenset[str]:
        return frozenset(slot for slot, kinds in self._of.items() if kinds == {"number"})

    def _patterns(self, table: Table, name: str) -> tuple[Pattern, ...]:
        found = (self._pattern(table, name, source) for source in table.texts(name))
        return tuple(pattern for pattern in found if pattern is not None)

    def _template(self, table: Table, name: str, source: str) -> Template:
        try:
            return read_template(source)
        except BadTemplate as error:
            table.fault(name, str(error))
            return Template(source, (source,))

    def _variants(self, table: Table, name: str, default: tuple[str, ...] = ()) -> Variants:
        return tuple(self._template(table, name, text) for text in table.texts(name, default))

    # -- agents and rules --------------------------------------------------------------------

    def _agent(self, name: str, table: Table, shared: tuple[Rule, ...]) -> Agent:
        asks = table.table("asks")
        agent = Agent(
            name,
            table.text("purpose", ""),
            table.text("instructions", ""),
            self._variants(table, "greeting", ("Hello.",)),
            self._variants(table, "arrival"),
            self._variants(table, "offer", ("How can I help you?",)),
            self._variants(table, "fallback", _FALLBACK),
            self._variants(table, "interrupted"),
            self._variants(table, "unavailable", _UNAVAILABLE),
            self._variants(table, "silence", _SILENCE),
            asks.every(lambda slot: self._ask(slot, asks.table(slot))),
            (*(self._rule(rule) for rule in table.tables("rules")), *shared),
        )
        if not _NAME.fullmatch(name):
            table.fault("", "an agent's name is lower-case letters, digits and _")
        table.end()
        return agent

    def _ask(self, slot: str, table: Table) -> Ask:
        say = self._variants(table, "say")
        if not say:
            table.fault("", 'a question is missing; write say = ["How many?", "Sorry, how many?"]')
        patterns = self._patterns(table, "patterns")
        if not patterns:
            bare = self._pattern(table, "", f"{{{slot}}}")
            patterns = (bare,) if bare is not None else ()
        table.end()
        return Ask(say, patterns)

    def _rule(self, table: Table) -> Rule:
        if not table.has("patterns"):
            table.fault("", 'a rule needs patterns = ["..."]')
        patterns = self._patterns(table, "patterns")
        sets, when = table.table("set"), table.table("when")
        rule = Rule(
            table.text("id"),
            patterns,
            self._variants(table, "say"),
            tuple(when.every(lambda slot: self._condition(when, slot)).values()),
            table.flag("interrupted"),
            table.texts("needs"),
            sets.every(lambda name: self._template(sets, name, sets.text(name))),
            self._call(table),
            self._variants(table, "waiting"),
            self._variants(table, "answers"),
            self._variants(table, "failed"),
            table.texts("forget"),
            bool(table.flag("abandon")),
            bool(table.flag("resume")),
        )
        table.end()
        if not (rule.say or rule.call or rule.needs or rule.resume):
            table.fault("", 'the rule says and does nothing; write say = ["..."], or a call')
        return rule

    def _condition(self, when: Table, slot: str) -> Condition:
        value = when.value(slot)
        if not isinstance(value, str | bool):
            when.fault(slot, "true (known), false (not known) or the value it has, as a text")
            return Condition(slot, True)
        return Condition(slot, value)

    def _call(self, table: Table) -> Call | None:
        calls = [name for name in ("call", "handoff", "delegate", "hang_up") if table.has(name)]
        if len(calls) > 1:
            table.fault("", f"a rule does one thing; this one has {' and '.join(calls)}")
        found = {
            "call": lambda: self._tool(table.table("call")),
            "handoff": lambda: self._control(table, "handoff", HANDOFF_TOOL, "agent"),
            "delegate": lambda: self._delegate(table.table("delegate")),
            "hang_up": lambda: self._control(table, "hang_up", HANGUP_TOOL, "reason"),
        }
        made = [found[name]() for name in calls]
        return made[0] if made else None

    def _control(self, table: Table, name: str, tool: str, argument: str) -> Call:
        arguments: dict[str, Template | int | float | bool] = {
            argument: self._template(table, name, table.text(name))
        }
        if tool == HANDOFF_TOOL:
            reason = table.text("reason", "the user asked for it")
            arguments["reason"] = self._template(table, "reason", reason)
        return Call(tool, arguments)

    def _delegate(self, table: Table) -> Call:
        arguments: Mapping[str, Template | int | float | bool] = {
            name: self._template(table, name, table.text(name)) for name in ("worker", "task")
        }
        table.end()
        return Call(DELEGATE_TOOL, arguments)

    def _tool(self, table: Table) -> Call:
        tool = table.text("tool")
        given = table.table("arguments")
        arguments = given.every(lambda name: self._argument(given, name))
        table.end()
        return Call(tool, arguments)

    def _argument(self, given: Table, name: str) -> Template | int | float | bool:
        value = given.value(name)
        if isinstance(value, str):
            return self._template(given, name, value)
        if isinstance(value, int | float | bool) and math.isfinite(value):
            return value
        given.fault(name, 'an argument is a text, a number, true or false: city = "{city}"')
        return False


def _plain(phrase: str) -> tuple[str, ...]:
    return tuple(word for said in words_of(phrase) for word in plain(said))
