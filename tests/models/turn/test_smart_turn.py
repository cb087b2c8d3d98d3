"""The actor that judges the ends of turns. The model is one of two nodes."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from models.turn.config import TurnConfig
from models.turn.features import features
from models.turn.protocol import JudgeTurn, TurnJudgement
from models.turn.spec import turn_spec
from supervision import ActorRef, MailboxFull, Refused
from supervision.testing import SystemUnderTest
from tests.models.turn.onnx_file import write_mean_model

pytest.importorskip("onnxruntime", reason="needs the package onnxruntime")

HISS = (np.random.default_rng(0).standard_normal(32000) * 3000).astype("<i2").tobytes()


async def start(system: SystemUnderTest, config: TurnConfig) -> ActorRef[JudgeTurn]:
    spec = turn_spec(config)
    assert spec is not None
    await system.start_child(spec, parent="/")
    return system.ref("/turn")


async def judge(turn: ActorRef[JudgeTurn], pcm: bytes) -> TurnJudgement:
    return await turn.ask(JudgeTurn(pcm, "I would like"))


async def test_a_turn_is_judged_by_its_sound(system: SystemUnderTest, tmp_path: Path) -> None:
    file = write_mean_model(tmp_path / "mean.onnx")
    turn = await start(system, TurnConfig(model=str(file)))
    judgement = await judge(turn, HISS)
    expected = 1 / (1 + np.exp(-features(HISS).mean(dtype=np.float64)))
    assert judgement.probability == pytest.approx(expected, abs=1e-5)
    assert judgement.complete == (judgement.probability >= 0.5)
    assert (await judge(turn, HISS)).probability == judgement.probability


@pytest.mark.parametrize(("threshold", "complete"), [(0.0, True), (1.0, False)])
async def test_what_is_complete_depends_on_the_threshold(
    system: SystemUnderTest, tmp_path: Path, threshold: float, complete: bool
) -> None:
    file = write_mean_model(tmp_path / "mean.onnx")
    turn = await start(system, TurnConfig(model=str(file), threshold=threshold))
    assert (await judge(turn, HISS)).complete is complete


@pytest.mark.parametrize("pcm", [b"", b"123"])
async def test_what_is_no_sound_is_refused(
    system: SystemUnderTest, tmp_path: Path, pcm: bytes
) -> None:
    turn = await start(system, TurnConfig(model=str(write_mean_model(tmp_path / "mean.onnx"))))
    with pytest.raises(Refused, match="no s16le sound"):
        await judge(turn, pcm)


def _garbage(folder: Path) -> Path:
    file = folder / "garbage.onnx"
    file.write_bytes(b"garbage")
    return file


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda folder: folder / "none.onnx", "there is no model file"),
        (_garbage, "garbage.onnx is no smart-turn model"),
        (lambda folder: write_mean_model(folder / "vad.onnx", "input"), "is no smart-turn model"),
    ],
)
async def test_a_file_that_cannot_be_used_is_logged_and_refuses_every_turn(
    system: SystemUnderTest,
    caplog: pytest.LogCaptureFixture,
    tmp_path: Path,
    make: Callable[[Path], Path],
    says: str,
) -> None:
    turn = await start(system, TurnConfig(model=str(make(tmp_path))))
    assert says in caplog.text
    for _ in range(2):
        with pytest.raises(Refused, match=says):
            await judge(turn, HISS)


async def test_turns_beyond_the_backlog_are_refused_at_once(
    system: SystemUnderTest, tmp_path: Path
) -> None:
    file = write_mean_model(tmp_path / "mean.onnx")
    turn = await start(system, TurnConfig(model=str(file), backlog=1))
    replies = [turn.ask(JudgeTurn(HISS)) for _ in range(3)]
    with pytest.raises(MailboxFull):
        await replies[-1]
    assert 0 < (await replies[0]).probability < 1


def test_without_a_file_nothing_is_loaded() -> None:
    program = (
        "import sys\n"
        "from models.turn.config import TurnConfig\n"
        "from models.turn.spec import turn_spec\n"
        "assert turn_spec(TurnConfig()) is None\n"
        "print(*{'onnxruntime', 'models.turn.smart_turn', 'models.turn.features'}"
        " & set(sys.modules))\n"
        "sys.modules['onnxruntime'] = None\n"
        "assert turn_spec(TurnConfig(model='a file')) is None\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.strip() == ""
    assert "needs the package onnxruntime" in ran.stderr
