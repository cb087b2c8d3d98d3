"""The tables of the pages about hooks, stores and tests of rooms say what the code says."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import attrs

from actors.machines.room.hooking import (
    FAIL_CLOSED,
    SYNC,
    HookFault,
    HookResult,
    HookTrigger,
)
from actors.machines.room.identifying import IdentityHookResult
from actors.room.config import RoomsConfig
from actors.room.hook_config import HooksConfig
from actors.room.hooks import Hooks
from actors.room.scripted_agent import Turn
from actors.room.testing import RoomRig
from tests.docs.markdown import ROOT, table
from tests.docs.room_code import (
    HOOKS,
    SOURCES,
    STORES,
    TESTING,
    code,
    tables,
)
from transports.stores.actor import RECONNECT, StoreActor
from transports.stores.config import StoreConfig
from transports.stores.postgres import OLDEST

# -- room-hooks.md ---------------------------------------------------------------------------------


def test_every_trigger_that_fires_stands_in_the_table() -> None:
    rows = table(HOOKS, "Triggers")
    named = {name: row[1] for row in rows for name in code(row[0])}
    words = {f"HookTrigger.{trigger.name}": trigger for trigger in HookTrigger}
    fired: set[str] = set()
    for source in SOURCES:
        if source.name in ("hook_triggers.py", "hook_pipeline.py", "hook_config.py", "hooks.py"):
            continue
        found = re.findall(r"HookTrigger\.[A-Z_]+", source.read_text(encoding="utf-8"))
        fired.update(words[word].value for word in found if word in words)
    assert set(named) == fired
    for row in rows:
        for name, mode in zip(code(row[0]), _modes(row), strict=True):
            assert (name, mode) == (name, "decides" if HookTrigger(name) in SYNC else "watches")


def _modes(row: Sequence[str]) -> Sequence[str]:
    """One for each trigger of the row; one word is for all."""
    modes = row[1].split(", ")
    return modes if len(modes) > 1 else modes * len(code(row[0]))


def test_every_fault_of_a_hook_stands_in_the_table() -> None:
    rows = table(HOOKS, "What can go wrong")
    assert [code(row[0])[0] for row in rows] == [fault.value for fault in HookFault]


def test_the_limits_of_hooks_are_those_of_the_code() -> None:
    rows = {code(row[0])[0]: row[1] for row in table(HOOKS, "Limits")}
    assert code(rows.pop("fail_closed")) == sorted(FAIL_CLOSED)
    fields = attrs.fields_dict(HooksConfig)
    assert {name: json.loads(told) for name, told in rows.items()} == {
        name: field.default for name, field in fields.items() if name != "fail_closed"
    }


def test_the_options_of_hooks_exist() -> None:
    options = inspect.signature(Hooks.on).parameters
    for row in table(HOOKS, "A hook in a minute"):
        assert set(code(row[0])) <= set(options)
    text = HOOKS.read_text(encoding="utf-8")
    for kind in (HookResult, IdentityHookResult):
        for name in re.findall(rf"`{kind.__name__}\.(\w+)\(", text):
            assert hasattr(kind, name)


# -- room-stores.md --------------------------------------------------------------------------------


def test_every_setting_of_the_store_stands_in_the_table() -> None:
    rows = tables(STORES, "Configuring a node")[0]
    told = {code(row[0])[0]: row[1] for row in rows}
    assert told == {
        field.name: "none" if field.default is None else f"`{json.dumps(field.default)}`"
        for field in attrs.fields(StoreConfig)
    }


def test_every_setting_of_rooms_stands_in_the_table() -> None:
    rows = tables(STORES, "Configuring a node")[1]
    named = [name for row in rows for name in code(row[0])]
    assert sorted(named) == sorted(field.name for field in attrs.fields(RoomsConfig))
    usual = RoomsConfig()
    for row in rows:
        told = code(row[1])
        if told and len(code(row[0])) == 1 and told[0] != "assistant":
            value = getattr(usual, code(row[0])[0])
            assert json.loads(told[0]) == (list(value) if isinstance(value, tuple) else value)


def test_the_numbers_of_the_store_are_as_told() -> None:
    text = STORES.read_text(encoding="utf-8")
    assert f"at most {StoreActor.batch_size} requests" in text
    assert f"waiting {RECONNECT.base:g} s first and {RECONNECT.maximum:g} s at most" in text
    assert f"PostgreSQL ({OLDEST} or later)" in text


# -- room-testing.md -------------------------------------------------------------------------------


def test_every_part_of_a_planned_turn_stands_in_the_table() -> None:
    rows = table(TESTING, "Agents whose turns are planned")
    named = [name for row in rows for name in code(row[0])]
    assert named == [field.name for field in attrs.fields(Turn)]


def test_what_the_rig_is_said_to_do_exists() -> None:
    options = [name for name in inspect.signature(RoomRig.start).parameters if name != "system"]
    told = tables(TESTING, "The rig")[0]
    assert [code(row[0])[0] for row in told] == [*options[:-1], "RoomsPlan"]
    parts = [name for row in tables(TESTING, "The rig")[1] for name in code(row[0])]
    names = {match[1] for part in parts if (match := re.search(r"rig\.(\w+)", part))}
    fields = {field.name for field in attrs.fields(RoomRig)}
    assert {name for name in names if name not in fields and not hasattr(RoomRig, name)} == set()


# -- README.md -------------------------------------------------------------------------------------


def test_the_readme_shows_what_the_support_room_prints(tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    shown = text.partition("python examples/support_room.py\n```")[2].partition("```text\n")[2]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "support_room.py")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.partition("```")[0] == done.stdout
