"""The tables of docs/dialogue.md say what the code says."""

from __future__ import annotations

import json
import re

import attrs
import pytest

from models.llm.dialogue import DialogueConfig, ScriptError, read_script
from models.llm.dialogue.slots import KINDS
from models.llm.scripted import Move
from tests.docs.markdown import ROOT, table

DOCUMENT = ROOT / "docs" / "dialogue.md"
AGENT = 'name = "x"\nentry = "ada"\n[agents.ada]\n'


def _first(section: str) -> list[str]:
    rows = table(DOCUMENT, section)
    return [re.findall(r"`([^`]+)`", row[0])[0] for row in rows]


@pytest.mark.parametrize(
    ("section", "source"),
    [
        ("The script", f"zzz = 1\n{AGENT}"),
        ("Agents", f"{AGENT}zzz = 1"),
        ("Rules", f'{AGENT}[[agents.ada.rules]]\nzzz = 1\nhandoff = "ada"'),
    ],
)
def test_every_name_of_a_script_stands_in_its_table(section: str, source: str) -> None:
    with pytest.raises(ScriptError) as error:
        read_script(source)
    told = next(str(fault) for fault in error.value.faults if "zzz" in str(fault))
    known = set(told.partition("known are: ")[2].split(", "))
    calls = {"call", "delegate", "hang_up"} if section == "Rules" else set()
    assert known | calls == set(_first(section))


def test_every_kind_and_move_and_setting_stands_in_its_table() -> None:
    assert set(_first("Kinds of slots")) == set(KINDS)
    moves = {move.partition("(")[0] for move in _first("ScriptedLlm: exactly this, exactly then")}
    assert moves == {move.__name__ for move in Move.__args__}
    rows = [(row[0].strip("`"), row[1].strip("`")) for row in table(DOCUMENT, "Configuration")]
    fields = attrs.fields(DialogueConfig)
    assert rows == [(field.name, json.dumps(field.default)) for field in fields]
