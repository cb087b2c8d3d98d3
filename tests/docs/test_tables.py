"""The tables of docs/runtime.md say what the code says."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import attrs
import pytest

from supervision import (
    Actor,
    ActorCrashed,
    ActorStopped,
    AskTimeout,
    Overflow,
    Refused,
    SupervisionConfig,
    System,
    errors,
    events,
)
from supervision.crashes import CrashReport
from supervision.testing import SystemUnderTest
from tests.docs.markdown import ROOT, documents, table

RUNTIME = ROOT / "docs" / "runtime.md"


def _code(cell: str) -> Sequence[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_every_configurable_name_stands_in_the_table_with_its_default() -> None:
    rows = [(_code(row[0])[0], _code(row[1])[0]) for row in table(RUNTIME, "Configuration")]
    fields = attrs.fields(SupervisionConfig)
    assert rows == [(field.name, json.dumps(field.default)) for field in fields]


def test_everything_an_ask_can_end_in_stands_in_the_table() -> None:
    families = (Refused, ActorCrashed, ActorStopped, AskTimeout)
    known = {
        name
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, families)
    }
    rows = [_code(row[0]) for row in table(RUNTIME, "What an ask can end in")]
    assert {row[0] for row in rows} == known
    for name, *bases in rows:
        error = getattr(errors, name)
        for base in bases:
            assert base.rpartition(".")[2] in {parent.__name__ for parent in error.__mro__}


def test_every_overflow_policy_stands_in_the_table() -> None:
    named = [_code(row[0])[0] for row in table(RUNTIME, "Mailboxes")]
    assert named == [policy.name for policy in Overflow]


def test_every_event_stands_in_the_table() -> None:
    named = {
        name for row in table(RUNTIME, "Events, crashes, dead letters") for name in _code(row[0])
    }
    known = {
        name
        for name, value in vars(events).items()
        if isinstance(value, type)
        and issubclass(value, events.NodeEvent)
        and value is not events.NodeEvent
    }
    assert named == known | {CrashReport.__name__}


@pytest.mark.parametrize("document", documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_methods_of_the_system_and_of_actors_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    system = SystemUnderTest if document.name == "testing.md" else System
    named = set(re.findall(r"`(?:await |with )?system\.(\w+)", text))
    assert {name for name in named if not hasattr(system, name)} == set()
    named = set(re.findall(r"`(?:promise = )?self\.(\w+)\(", text))
    assert {name for name in named if not hasattr(Actor, name)} == set()
