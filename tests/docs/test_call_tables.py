"""The tables of the documents about calls say what the code says."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Sequence
from functools import reduce
from importlib import import_module
from pathlib import Path
from typing import get_args

import attrs
import pytest

import actors.testing
from actors.config import TroupeConfig
from actors.machines.fallback import REST
from actors.machines.profiles import PROFILES, Profile
from actors.machines.session import Session
from actors.machines.turn_clock import Stage
from actors.machines.user_floor import UserState
from actors.providers import LlmConfig, SttConfig, TtsConfig
from actors.testing import CallRig
from models.conversation import Item, UserSaid
from models.faults import FaultKind
from models.llm.dialogue import Dialogue, demo_script
from models.scripted import SttTrouble, TtsTrouble
from tests.docs.markdown import ROOT, table
from transports.loopback import Loopback

VOICE = ROOT / "docs" / "voice.md"
MODELS = ROOT / "docs" / "models.md"
TESTING = ROOT / "docs" / "call-testing.md"


def _code(cell: str) -> Sequence[str]:
    return re.findall(r"`([^`]+)`", cell)


def _value(cell: str) -> object:
    return {"yes": True, "no": False}[cell] if cell in ("yes", "no") else json.loads(cell)


def _config(name: str) -> object:
    """What `floor.turn.delay` is where nothing is configured."""
    return reduce(getattr, name.split("."), TroupeConfig())


def test_the_demo_team_understands_what_the_readme_suggests_to_say() -> None:
    team = Dialogue(demo_script())
    for row in table(ROOT / "README.md", "Talk to it"):
        said = row[0].strip('"')
        assert team.answer([UserSaid(said, turn=1)]).rule is not None, said


# -- voice.md ------------------------------------------------------------------------------


def test_the_profiles_in_the_table_are_those_of_the_code() -> None:
    rows = table(VOICE, "Profiles")
    names = ("eager", "balanced", "calm")
    for name, column in zip(names, (1, 2, 3), strict=True):
        said = {_code(row[0])[0]: _value(row[column]) for row in rows}
        profile = PROFILES[name]
        assert said == {field: getattr(profile, field) for field in said}
        rest = set(attrs.fields_dict(Profile)) - set(said)
        assert {field for field in rest if getattr(profile, field) != _of_default(field)} == set()


def _of_default(field: str) -> object:
    return getattr(Profile(), field)


def test_every_profile_is_named() -> None:
    text = VOICE.read_text(encoding="utf-8")
    assert [name for name in PROFILES if f"`{name}`" not in text] == []


def test_every_limit_in_the_table_has_the_value_of_the_code() -> None:
    for row in table(VOICE, "Limits and deadlines"):
        (name,) = _code(row[0])
        if name.startswith("actors."):
            module, _, constant = name.rpartition(".")
            known = getattr(import_module(module), constant)
        else:
            known = _config(name)
        assert (name, _value(row[1])) == (name, known)


@pytest.mark.parametrize("document", [VOICE, MODELS, TESTING], ids=lambda path: path.name)
def test_settings_named_in_running_text_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    names = re.findall(r"`((?:floor|calls|server|speech|models|media)\.[a-z_.]+)`", text)
    for name in names:
        _config(name)  # else an AttributeError names it


def test_settings_told_with_their_value_have_it() -> None:
    """As in "`floor.turn.candidate_after` (0.2 s)" and "`floor.turn.delay`, 0.5"."""
    text = VOICE.read_text(encoding="utf-8")
    told = re.findall(r"`(floor\.[a-z_.]+)`(?: \(|, )([\d.]+)\b", text)
    assert len(told) > 8
    assert [(name, float(said)) for name, said in told] == [(n, _config(n)) for n, _ in told]


def test_the_states_of_both_floors_stand_in_their_tables() -> None:
    user = [_code(row[0])[0] for row in table(VOICE, "The two floors")]
    assert user == [state.value for state in UserState]
    second = VOICE.read_text(encoding="utf-8").partition("| agent's floor |")[2]
    agent = re.findall(r"^\| `(\w+)` \|", second.partition("\n## ")[0], re.M)
    returned = re.findall(r'"(\w+)"', inspect.getsource(Session.agent_state).partition('"""')[2])
    assert set(agent) == {word for word in returned if word.islower()}


def test_every_part_of_a_turn_stands_in_the_table() -> None:
    rows = table(VOICE, "Where the time goes")
    assert [_code(row[0])[0] for row in rows] == [stage.value for stage in Stage]


def test_every_item_of_history_stands_in_the_table() -> None:
    named = [name for row in table(VOICE, "History is what was heard") for name in _code(row[0])]
    assert set(named) == {kind.__name__ for kind in get_args(Item)}


# -- models.md -----------------------------------------------------------------------------


def test_every_engine_stands_in_the_table() -> None:
    named = {(_code(row[0])[0], name) for row in table(MODELS, "Engines") for name in _code(row[1])}
    known = {
        (capability, name)
        for capability, config in (("stt", SttConfig), ("tts", TtsConfig), ("llm", LlmConfig))
        for name in get_args(inspect.get_annotations(config, eval_str=True)["use"])
    }
    assert {pair for pair in named if pair[0] in ("stt", "tts", "llm")} == known


def test_every_kind_of_fault_stands_in_the_table() -> None:
    rows = table(MODELS, "Faults")
    named = {_code(row[0])[0]: float(row[2].partition(",")[0]) for row in rows}
    assert named == {kind.name: REST[kind] for kind in FaultKind}


# -- call-testing.md -----------------------------------------------------------------------


def test_every_option_of_the_rig_stands_in_the_table() -> None:
    options = [name for name in inspect.signature(CallRig.open).parameters if name != "system"]
    assert [_code(row[0])[0] for row in table(TESTING, "The rig")] == options


def test_every_trouble_stands_in_its_table() -> None:
    text = TESTING.read_text(encoding="utf-8")
    for troubles in (SttTrouble, TtsTrouble):
        rows = text.partition(f"| `{troubles.__name__}` |")[2].partition("\n\n")[0]
        assert re.findall(r"^\| `(\w+)` \|", rows, re.M) == [trouble.name for trouble in troubles]


def test_what_the_tables_say_a_person_can_do_exists() -> None:
    calls = [name for row in table(TESTING, "The person") for name in _code(row[0])]
    methods = {re.sub(r"^await ", "", name).partition("(")[0] for name in calls if "(" in name}
    assert {name for name in methods if not hasattr(Loopback, name)} == set()
    helpers = {
        name.partition("(")[0]
        for row in table(TESTING, "Sound that spells its words")
        for name in _code(row[0])
    }
    assert {name for name in helpers if not hasattr(actors.testing, name)} == set()
