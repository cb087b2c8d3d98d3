from __future__ import annotations

import math
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest
import trio

from models.faults import FaultKind, ModelFault
from models.local import EngineMissing
from models.stt.pocketsphinx import FRONT, PocketsphinxConfig, pocketsphinx_spec
from models.stt.protocol import Flush, OpenStream, StreamClosed, Transcript
from supervision import ActorCrashed, SupervisionConfig
from supervision.faults import Fault, InjectedFault
from supervision.resilience import BreakerConfig
from supervision.testing import SystemUnderTest, system_under_test
from tests.models.stt.conformance import Ears, Line, Paper, SttConformance, open_line
from tests.models.voices import flite, needs_flite

pytest.importorskip("pocketsphinx")
pytestmark = [
    needs_flite,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="finds processes by /proc"),
]

PHRASES = ("yes please", "two pizzas", "no thanks")


@pytest.fixture
async def node() -> AsyncIterator[SystemUnderTest]:
    """In real time: what decodes is another process."""
    config = SupervisionConfig(fault_injection=True)
    async with system_under_test(config) as system:
        yield system


async def sphinx(system: SystemUnderTest, rate: int = 16000, **options: object) -> Ears:
    options.setdefault("grammar", PHRASES)
    config = PocketsphinxConfig(**options)  # type: ignore[arg-type]
    await system.start_child(pocketsphinx_spec(config, "stt"))
    ref = system.ref(f"/stt/{FRONT}")

    def crash() -> None:
        system.expect_crash(f"/stt/{FRONT}", InjectedFault)
        system.inject(f"/stt/{FRONT}", Fault("crash", Flush, times=1))
        ref.tell(Flush("nobody", 1))

    return Ears(system, ref, partial(flite, rate=rate), crash, rate=rate, phrases=PHRASES)


class TestPocketsphinx(SttConformance):
    @pytest.fixture(params=[8000, 16000])
    async def ears(self, request: pytest.FixtureRequest, node: SystemUnderTest) -> Ears:
        return await sphinx(node, rate=request.param)


def worker_pid() -> int:
    """The process of the only worker."""
    (pid,) = (int(entry.name) for entry in Path("/proc").glob("[0-9]*") if is_worker(entry))
    return pid


def is_worker(process: Path) -> bool:
    """Whether that is a worker of ours; others may end while they are looked at."""
    try:
        parent = process.joinpath("stat").read_text().rpartition(")")[2].split()[1]
        return parent == str(os.getpid()) and b"worker_main" in (process / "cmdline").read_bytes()
    except OSError:
        return False


async def wait_partial(line: Line) -> None:
    with trio.fail_after(10):
        while not line.told:  # noqa: ASYNC110, until another process has spoken
            await trio.sleep(0.01)


async def test_a_worker_that_dies_in_mid_sentence_costs_no_word(node: SystemUnderTest) -> None:
    node.expect_crash("/stt/workers/0")
    node.expect_leak("1 timers")  # the runtime's, for a process that needs no more killing
    line = await open_line(await sphinx(node), "s-1")
    pcm = flite("two pizzas")
    line.hear(pcm[: len(pcm) // 2])
    await wait_partial(line)
    os.kill(worker_pid(), signal.SIGKILL)
    line.hear(pcm[len(pcm) // 2 :])
    line.silence(0.2)
    final = await line.flush(1)
    assert final.text == "two pizzas"
    assert [word.text for word in final.words] == ["two", "pizzas"]
    line.say("yes please")
    assert (await line.flush(2)).text == "yes please"
    await line.close()
    assert node.state(f"/stt/{FRONT}").statistics["replays"] >= 1


async def test_all_streams_of_a_worker_that_dies_go_on(node: SystemUnderTest) -> None:
    node.expect_crash("/stt/workers/0")
    node.expect_leak("1 timers")  # the runtime's, for a process that needs no more killing
    ears = await sphinx(node)
    lines = [await open_line(ears, f"s-{n}") for n in range(3)]
    for line, phrase in zip(lines, PHRASES, strict=True):
        line.hear(flite(phrase))
    await wait_partial(lines[2])
    os.kill(worker_pid(), signal.SIGKILL)
    for line, phrase in zip(lines, PHRASES, strict=True):
        line.silence(0.2)
        assert (await line.flush(1)).text == phrase
        await line.close()


async def test_a_stream_ends_with_the_actor_that_is_told(node: SystemUnderTest) -> None:
    ears = await sphinx(node, streams_per_worker=1)
    to = await node.spawn(Paper, [], path="/paper")
    over = ears.ref.ask(OpenStream("s-1", 16000, to), timeout=math.inf)
    await node.settle()
    await node.stop("/paper")
    assert await over == StreamClosed("s-1")
    line = await open_line(ears, "s-2")  # there is room again
    line.say("two pizzas")
    assert (await line.flush(1)).text == "two pizzas"
    await line.close()


async def test_a_stream_that_too_many_workers_died_of_ends(node: SystemUnderTest) -> None:
    node.expect_crash("/stt/workers/0")
    node.expect_leak("1 timers")  # the runtime's, for a process that needs no more killing
    line = await open_line(await sphinx(node, replays=0), "s-1")
    line.say("two pizzas")
    await line.flush(1)
    os.kill(worker_pid(), signal.SIGKILL)
    line.say("two pizzas")
    with trio.fail_after(10):
        fault = await line.over
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.UNAVAILABLE


async def test_a_worker_that_hangs_is_started_again(node: SystemUnderTest) -> None:
    node.expect_crash("/stt/workers/0")
    ears = await sphinx(node, patience=1.0)
    line = await open_line(ears, "s-1")
    line.say("two pizzas")
    await line.flush(1)
    pid = worker_pid()
    os.kill(pid, signal.SIGSTOP)
    line.say("two pizzas")
    with trio.fail_after(10):
        fault = await line.over
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.TIMEOUT
    os.kill(pid, signal.SIGCONT)
    again = await open_line(ears, "s-1")
    again.say("yes please")
    assert (await again.flush(1)).text == "yes please"
    await again.close()
    assert worker_pid() != pid


async def test_streams_are_spread_over_workers_and_refused_beyond(node: SystemUnderTest) -> None:
    ears = await sphinx(node, workers=2, streams_per_worker=1)
    one, two = await open_line(ears, "s-1"), await open_line(ears, "s-2")
    three = await open_line(ears, "s-3")
    fault = await three.over
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.RATE_LIMITED
    one.say("two pizzas")
    two.say("yes please")
    assert (await one.flush(1)).text == "two pizzas"
    assert (await two.flush(1)).text == "yes please"
    assert {node.find(f"/stt/workers/{n}") is not None for n in (0, 1)} == {True}
    await one.close()
    await two.close()


async def test_a_stream_can_bring_its_own_phrases(node: SystemUnderTest) -> None:
    ears = await sphinx(node, grammar=())
    paper: list[Transcript] = []
    to = await node.spawn(Paper, paper)
    phrases = ("Talk to sales, please!", "What is a zorblax?")  # the latter has a word it lacks
    over = ears.ref.ask(OpenStream("s-1", 16000, to, phrases=phrases), timeout=math.inf)
    line = Line(ears, "s-1", over, paper)
    line.say("talk to sales please")
    assert (await line.flush(1)).text == "talk to sales please"
    await line.close()


async def test_without_a_grammar_it_understands_any_english(node: SystemUnderTest) -> None:
    line = await open_line(await sphinx(node, grammar=()), "s-1")
    line.say("the weather is very nice today")
    final = await line.flush(1)
    assert "weather is very nice today" in final.text
    assert 0 < final.confidence <= 1
    await line.close()


async def test_a_grammar_may_come_from_a_file(node: SystemUnderTest, tmp_path: Path) -> None:
    file = tmp_path / "pizza.jsgf"
    file.write_text("#JSGF V1.0;\ngrammar p;\npublic <p> = [two | one] (pizzas | pizza) [please];")
    line = await open_line(await sphinx(node, grammar_file=str(file)), "s-1")
    line.say("two pizzas please")
    assert (await line.flush(1)).text == "two pizzas please"
    await line.close()


async def test_a_grammar_that_is_none_is_said(node: SystemUnderTest, tmp_path: Path) -> None:
    node.expect_crash("/stt/workers/*")
    file = tmp_path / "odd.jsgf"
    file.write_text("#JSGF V1.0;\ngrammar p;\npublic <p> = zorblax please;")
    fault = await (await open_line(await sphinx(node, grammar_file=str(file)), "s-1")).over
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.UNAVAILABLE
    assert "Java Speech Grammar Format" in fault.detail


async def test_other_languages_are_refused(node: SystemUnderTest) -> None:
    ears = await sphinx(node)
    to = await node.spawn(Paper, [])
    fault = await ears.ref.ask(OpenStream("s-1", 16000, to, language="de"))
    assert isinstance(fault, ModelFault)
    assert fault.kind is FaultKind.REJECTED


async def test_a_model_that_is_not_there_is_said_and_opens_the_breaker(
    node: SystemUnderTest,
) -> None:
    node.expect_crash("/stt/workers/*")
    breaker = BreakerConfig(failures=2, rest=60.0)
    ears = await sphinx(node, model="/nowhere", breaker=breaker)
    kinds = []
    for number in range(3):
        fault = await (await open_line(ears, f"s-{number}")).over
        assert isinstance(fault, ModelFault)
        kinds.append(fault.kind)
    assert kinds == [FaultKind.UNAVAILABLE, FaultKind.UNAVAILABLE, FaultKind.BREAKER_OPEN]


async def test_a_restarted_front_uses_the_workers_that_are_there(node: SystemUnderTest) -> None:
    ears = await sphinx(node)
    line = await open_line(ears, "s-1")
    line.say("two pizzas")
    await line.flush(1)
    pid = worker_pid()
    ears.crash()
    with pytest.raises(ActorCrashed):
        await line.over
    again = await open_line(ears, "s-1")
    again.say("yes please")
    assert (await again.flush(1)).text == "yes please"
    await again.close()
    assert worker_pid() == pid


def test_an_engine_that_is_configured_and_missing_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("models.local.find_spec", lambda _: None)
    with pytest.raises(EngineMissing, match=r"pip install 'troupe\[local\]'"):
        pocketsphinx_spec(PocketsphinxConfig())


async def test_long_silence_costs_no_word_after_it(node: SystemUnderTest) -> None:
    line = await open_line(await sphinx(node), "s-1")
    for _ in range(5):
        line.silence(2.5)
        await trio.sleep(0.05)
    line.say("two pizzas")
    final = await line.flush(1)
    assert final.text == "two pizzas"
    assert 12.5 <= final.words[0].end <= 13.5
    await line.close()
