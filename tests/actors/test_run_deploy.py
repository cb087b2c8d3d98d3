"""What docs/deploy/ ships is read by other programs; here they, or their grammar, have a look."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import click
import pytest

from actors.cli import main
from actors.run import MARGIN, ExitCode
from supervision import SupervisionConfig

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
UNIT = DEPLOY / "troupe.service"
CONTAINERFILE = DEPLOY / "Containerfile"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def commands_take(arguments: list[str]) -> bool:
    """Whether the command line would run with them."""
    command = main.commands.get(arguments[0])
    assert command is not None, arguments
    command.make_context(arguments[0], arguments[1:])
    return True


# -- systemd ------------------------------------------------------------------------------------


def unit() -> dict[str, dict[str, list[str]]]:
    """The unit's sections; a name may be given more than once."""
    sections: dict[str, dict[str, list[str]]] = {}
    for line in UNIT.read_text().splitlines():
        if not line or line.startswith(("#", ";")):
            continue
        if re.fullmatch(r"\[[A-Z][a-z]+\]", line):
            section = sections[line[1:-1]] = defaultdict(list)
            continue
        name, equals, value = line.partition("=")
        assert equals, f"neither a section nor an assignment: {line!r}"
        assert re.fullmatch("[A-Z][A-Za-z]+", name), line
        section[name].append(value)
    return sections


def seconds(value: str) -> float:
    return float(value.removesuffix("s"))


def test_the_unit_has_its_three_sections() -> None:
    assert list(unit()) == ["Unit", "Service", "Install"]


def test_the_unit_runs_a_command_that_exists() -> None:
    (start,) = unit()["Service"]["ExecStart"]
    program, *arguments = shlex.split(start)
    assert program.endswith("/troupe")
    assert commands_take(arguments)


def test_the_unit_says_what_the_node_does() -> None:
    service = unit()["Service"]
    assert service["Type"] == ["notify"]
    assert service["KillSignal"] == ["SIGTERM"]
    assert service["Restart"] == ["on-failure"]
    assert service["RestartPreventExitStatus"] == [str(int(ExitCode.UNUSABLE))]


def test_systemd_has_more_patience_than_the_node_needs() -> None:
    service, defaults = unit()["Service"], SupervisionConfig()
    assert seconds(service["TimeoutStopSec"][0]) > defaults.shutdown + defaults.kill_grace + MARGIN
    assert seconds(service["WatchdogSec"][0]) > 2 * defaults.not_live_after


@pytest.mark.parametrize("limit", ["MemoryHigh", "MemoryMax", "LimitNOFILE", "TasksMax"])
def test_the_unit_bounds_what_a_node_may_use(limit: str) -> None:
    assert unit()["Service"][limit]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs systemd")
def test_systemd_finds_no_fault_with_the_unit(tmp_path: Path) -> None:
    installed = str(Path(sys.executable).with_name("troupe"))
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/opt/troupe/bin/troupe", installed))
    verdict = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(copy)],
        capture_output=True,
        text=True,
        check=False,
    )
    about_us = [line for line in verdict.stderr.splitlines() if UNIT.name in line]
    assert about_us == []


# -- containers ---------------------------------------------------------------------------------

INSTRUCTIONS = {"ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "STOPSIGNAL", "USER"} | {
    "VOLUME",
    "WORKDIR",
}


def instructions() -> list[tuple[str, str]]:
    """The Containerfile's instructions with their arguments, continued lines joined."""
    lines = [line for line in CONTAINERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found = []
    for line in joined.splitlines():
        if line:
            name, _, arguments = line.partition(" ")
            found.append((name, arguments))
    return found


def last(name: str) -> str:
    return [arguments for instruction, arguments in instructions() if instruction == name][-1]


def copied_from_the_checkout() -> list[str]:
    sources: list[str] = []
    for name, arguments in instructions():
        if name == "COPY" and not arguments.startswith("--from="):
            sources += shlex.split(arguments)[:-1]
    return sources


def test_the_containerfile_holds_instructions_only() -> None:
    names = [name for name, _ in instructions()]
    assert set(names) <= INSTRUCTIONS
    assert names[: names.index("FROM")] == ["ARG"]  # nothing else may come before the first FROM


def test_the_image_starts_from_a_slim_python_that_the_project_supports() -> None:
    (python,) = [arguments for name, arguments in instructions() if name == "ARG"]
    version = re.fullmatch(r"PYTHON=(3\.\d+)-slim", python)
    assert version is not None
    assert f"Programming Language :: Python :: {version[1]}" in PROJECT["project"]["classifiers"]


def test_all_that_is_copied_exists() -> None:
    assert [source for source in copied_from_the_checkout() if not (ROOT / source).exists()] == []


def test_all_that_is_built_from_is_copied() -> None:
    project = PROJECT["project"]
    needed = {
        "pyproject.toml",
        "requirements.lock",
        *PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"],
        *project["license-files"],
        *([project["readme"]] if "readme" in project else []),
    }
    assert needed <= set(copied_from_the_checkout())


def test_every_package_is_checked_against_the_lock() -> None:
    installing = [
        step
        for name, arguments in instructions()
        if name == "RUN"
        for step in arguments.split("&&")
        if " pip wheel " in step or " pip install " in step
    ]
    assert len(installing) == 4
    assert all("--require-hashes" in step or "--no-index" in step for step in installing)


def test_the_node_is_not_run_as_root_and_is_stopped_in_order() -> None:
    assert int(last("USER")) > 0
    assert last("STOPSIGNAL") == "SIGTERM"


def test_the_image_runs_a_command_that_exists() -> None:
    # In exec form: a shell in between would keep the signals to itself.
    assert json.loads(last("ENTRYPOINT")) == ["troupe"]
    assert commands_take(json.loads(last("CMD")))
    assert isinstance(main, click.Group)
