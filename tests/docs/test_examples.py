"""The programs under examples/ run, are short, and are all listed where people look for them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.markdown import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
PRINTS = {
    "blocking_database.py": r"^8 of 8 notes are on disk$",
    "counter.py": r"^the total is 5$",
    "find_a_race.py": r"^\d+ of 50 seeds sell the seat twice",
    "flaky_worker.py": r"^1 crash, and <ActorRef /plant/smelter> works on$",
    "own_channel.py": r"^Good morning!$",
    "phone_directory.py": r"^Ada has 1815$",
    "pykka_ping_pong.py": r"^\['pong 0', 'pong 1', 'pong 2'\]$",
    "support_room.py": r"^to do: Call the customer back\.$",
    "talk_to_yourself.py": r"^  you: thank you that will do\nagent: Gladly\.$",
    "test_pizza_agent.py": r"^1 passed",
    "test_thermostat.py": r"^1 passed",
    "ticker.py": r"^the monitor ended: normal$",
    "transcribe_wav.py": r"^what time do you open$",
}
"""What each prints, among other things, when all went well."""


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_an_example_runs_and_prints_what_it_should(example: Path, tmp_path: Path) -> None:
    is_test = example.name.startswith("test_")
    by_pytest = ["-m", "pytest", "-q", "-c", "/dev/null", f"--rootdir={tmp_path}"]
    done = subprocess.run(
        [sys.executable, "-W", "error", *(by_pytest if is_test else []), str(example)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(PRINTS[example.name], done.stdout, re.MULTILINE), done.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: str(path.name))
def test_an_example_is_short_and_says_what_it_shows(example: Path) -> None:
    text = example.read_text(encoding="utf-8")
    assert len(text.splitlines()) < 60
    assert text.startswith('"""')


def test_the_index_lists_every_example() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in EXAMPLES if f"examples/{path.name}" not in index] == []
