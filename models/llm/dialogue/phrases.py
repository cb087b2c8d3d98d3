"""What a script can understand, as sentences: what a recogniser is told to listen for.

A small recogniser that expects some hundred sentences makes far fewer mistakes than one that
expects all of English.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest

from models.llm.dialogue.pattern import Pattern, sentences
from models.llm.dialogue.script import Script


def phrases(script: Script, agent: str = "", limit: int = 400) -> tuple[str, ...]:
    """Sentences that `script` understands, in lower case and without punctuation.

    Every pattern has its turn before any has its second, so a small limit costs variety before it
    costs understanding. Patterns with a slot that has no examples are left out.

    Args:
        agent: only what this one understands; "" is all of them.
        limit: at most so many.
    Raises:
        KeyError: the script knows no such agent.
    """
    written = [sentences(pattern) for pattern in _patterns(script, agent)]
    return tuple(islice(dict.fromkeys(_in_turns(written)), limit))


def _patterns(script: Script, agent: str) -> Iterator[Pattern]:
    agents = [script.agents[agent]] if agent else script.agents.values()
    for each in agents:
        for rule in each.rules:
            yield from rule.patterns
        for ask in each.asks.values():
            yield from ask.patterns


def _in_turns(written: Sequence[Sequence[str]]) -> Iterator[str]:
    for turn in zip_longest(*written):
        yield from (sentence for sentence in turn if sentence is not None)
