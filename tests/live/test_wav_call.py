"""`troupe run` and `troupe call` as a user has them: two processes, real models, a WAV file."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import numpy as np
import pytest

from models.audio import Frame, read_wav, write_wav
from tests.live.voice import conversation, need_local_models

ROOT = Path(__file__).parents[2]
TROUPE = Path(sys.executable).with_name("troupe")
TOKEN = "open-sesame"
RATE = 16000

START = 30.0
LINE = re.compile(r" *(\d+\.\d\d) s  (.*)")


@attrs.frozen
class Line:
    """A line of the timeline."""

    at: float
    text: str


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where a node runs that has the configuration that ships, but for port and token."""
    need_local_models()
    shipped = (ROOT / "config.toml").read_text()
    changed = re.sub(r"(?m)^port = \d+$", "port = 0", shipped)
    changed = re.sub(r"(?m)^tokens = \[\]$", 'tokens = [{ env = "TOKEN_OF_TESTS" }]', changed)
    assert "TOKEN_OF_TESTS" in changed
    config = tmp_path_factory.mktemp("node") / "config.toml"
    config.write_text(changed)
    node = subprocess.Popen(
        [TROUPE, "run", "--config", config],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TOKEN_OF_TESTS": TOKEN},
    )
    assert node.stdout is not None
    watchdog = threading.Timer(START, node.kill)
    watchdog.start()
    try:
        lines = (line for line in node.stdout if line.startswith("talk to it at "))
        line = next(lines, "")
        watchdog.cancel()
        assert line, node.communicate()[1]
        yield line.split()[-1]
        node.send_signal(signal.SIGTERM)
        _, log = node.communicate(timeout=START)
        assert node.returncode == 0, log
        assert "Traceback" not in log
        assert "WARNING" not in log, log
    finally:
        watchdog.cancel()
        node.kill()
        node.communicate()


def call(address: str, *options: str, token: str = TOKEN) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [TROUPE, "call", address, *options],
        env={"TROUPE_TOKEN": token, "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60.0,
        check=False,
    )


def timeline(printed: str) -> Sequence[Line]:
    lines = [LINE.fullmatch(line) for line in printed.splitlines()]
    assert all(lines), printed
    return [Line(float(line[1]), line[2]) for line in lines if line]


def loudness(heard: Frame, start: float, end: float) -> float:
    samples = np.frombuffer(heard.pcm, "<i2")[round(start * heard.rate) : round(end * heard.rate)]
    return float(np.sqrt(np.mean((samples / 32768.0) ** 2))) if len(samples) else 0.0


def at_of(lines: Sequence[Line], beginning: str, nth: int = 0) -> float:
    return [line.at for line in lines if line.text.startswith(beginning)][nth]


def test_two_turns_with_a_barge_in(address: str, tmp_path: Path) -> None:
    question, stop = "tell me about the hotel", "stop"
    sound, begins = conversation([5.0, question, 3.5, stop, 1.0], RATE)
    write_wav(tmp_path / "in.wav", Frame(sound, RATE))
    out = tmp_path / "out.wav"
    done = call(address, "--wav", str(tmp_path / "in.wav"), "--out", str(out), "--patience", "1.5")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr

    lines = timeline(done.stdout)
    texts = [line.text for line in lines]
    assert texts[0].startswith("ada: Harbor House")
    callers = [text for text in texts if text.startswith("caller: ")]
    assert callers == [f"caller: {question}", f"caller: {stop}"], done.stdout
    cut = [text for text in texts if text.endswith("-- interrupted")]
    assert len(cut) == 1
    assert "Harbor House is a small hotel" in cut[0]
    turns = [text for text in texts if text.startswith("turn ")]
    assert [turn.split(":")[0] for turn in turns] == ["turn 1", "turn 2"]
    assert texts[-2].startswith(("ada: Sure.", "ada: Of course."))
    assert re.fullmatch(r"the call c-\d+ is over: quiet", texts[-1])
    assert [line.at for line in lines] == sorted(line.at for line in lines)

    heard = read_wav(out)
    stopped = begins[stop]
    assert loudness(heard, 0.5, 3.0) > 0.01, "the greeting"
    assert loudness(heard, at_of(lines, "turn 1") + 0.3, stopped) > 0.01, "the answer"
    assert loudness(heard, stopped + 0.3, stopped + 0.6) < 0.001, "silence 0.3 s after the stop"
    answered = at_of(lines, "turn 2")
    assert loudness(heard, answered, answered + 1.0) > 0.01, "it is obeyed, and says so"
    # Latency's parts add up, as promise V8 has it; what is printed is rounded.
    for turn in turns:
        told = re.match(r"turn \d+: (\d+) ms \((.*?)\)", turn)
        assert told, turn
        total, parts = told.groups()
        numbers = [int(part.split()[-1]) for part in parts.split(", ")]
        assert abs(sum(numbers) - int(total)) <= len(numbers)
        assert min(numbers) >= 0


def test_who_cannot_call_is_told_why(address: str, tmp_path: Path) -> None:
    wav = tmp_path / "in.wav"
    write_wav(wav, Frame(bytes(3200), RATE))

    (tmp_path / "text.wav").write_text("this is no sound")
    missing, text = str(tmp_path / "none.wav"), str(tmp_path / "text.wav")
    with ThreadPoolExecutor() as pool:
        calls = {
            "wrong token": pool.submit(call, address, "--wav", str(wav), token="wrong"),
            "no such agent": pool.submit(call, address, "--wav", str(wav), "--agent", "zoe"),
            "nobody there": pool.submit(call, "http://127.0.0.1:9", "--wav", str(wav)),
            "no such path": pool.submit(call, f"{address}/nothing-here", "--wav", str(wav)),
            "no such file": pool.submit(call, address, "--wav", missing),
            "no sound": pool.submit(call, address, "--wav", text),
        }
    ended = {name: call.result() for name, call in calls.items()}
    expected = {
        "wrong token": (1, "token"),
        "no such agent": (1, "zoe"),
        "nobody there": (1, "127.0.0.1:9"),
        "no such path": (1, "/nothing-here"),
        "no such file": (2, "none.wav"),
        "no sound": (2, "text.wav"),
    }
    for name, (code, word) in expected.items():
        done = ended[name]
        assert (done.returncode, done.stdout) == (code, ""), name
        assert word in done.stderr, name
        assert len(done.stderr.splitlines()) == 1, done.stderr
