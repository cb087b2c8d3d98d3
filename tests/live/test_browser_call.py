"""The talk page in a real browser, with a microphone that plays a WAV, on a node with real models.

What is checked is what a person would notice, and then whether the node's history agrees with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from models.conversation import AgentSaid, Item, UserSaid
from tests.live.nodes import RunningNode, config_for_tests, running_node
from tests.live.voice import conversation, need_local_models
from tests.transports.browser import open_browser, open_page, snapshot, wait_for, write_wav

RATE = 44100
"""Of Chromium's false microphone: other rates it converts, and badly."""
QUESTION, STOP = "tell me about the hotel", "wait a moment"
SCRIPT: Sequence[float | str] = (5.5, QUESTION, 3.5, STOP, 1.0)
VOICE = 16000
"""Hz; speakers say it at this rate, and it is converted once, so that both make the same sound."""

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


@pytest.fixture(scope="module")
def node() -> Iterator[RunningNode]:
    need_local_models()
    with running_node(config_for_tests()) as node:
        yield node
        assert node.crashes() == ()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    need_local_models()
    sound, _ = conversation(SCRIPT, RATE)
    file: Path = write_wav(tmp_path_factory.mktemp("microphone") / "said.wav", sound, RATE)
    with open_browser(file) as browser:
        yield browser


def until(page: Any, condition: str, within: float = 20.0) -> None:
    """`wait_for`, for what takes as long as people take to speak."""
    deadline = time.monotonic() + within
    while True:
        if page.evaluate(f"(() => {{ const it = troupe.snapshot(); return {condition}; }})()"):
            return
        assert time.monotonic() < deadline, f"never: {condition}; but {snapshot(page)}"
        page.wait_for_timeout(20)


def items(page: Any, kind: str) -> list[dict[str, Any]]:
    return [item for item in snapshot(page)["items"] if item["kind"] == kind]


def said(history: Sequence[Item]) -> list[tuple[str, str]]:
    """Who said what, in the order in which it was committed."""
    kinds = {UserSaid: "user", AgentSaid: "agent"}
    return [
        (kinds[type(item)], item.text) for item in history if isinstance(item, UserSaid | AgentSaid)
    ]


def shown(page: Any) -> list[tuple[str, str]]:
    """The same, as the page has it."""
    return [
        (item["kind"], item["said"] if item["kind"] == "agent" else item["text"])
        for item in snapshot(page)["items"]
        if item["kind"] in ("agent", "user") and (item.get("said") or item["kind"] == "user")
    ]


def test_a_spoken_conversation_with_an_interruption(
    node: RunningNode, browser: Any, tmp_path: Path
) -> None:
    with open_page(browser) as page:
        page.goto(f"{node.address}/?processing=off")
        page.click("#connect")
        wait_for(page, "it.state === 'live'")
        call = snapshot(page)["ready"]["call"]

        until(page, "it.items.some((item) => item.kind === 'agent' && item.over)")
        greeting = snapshot(page)["speaker"]["played"]
        assert greeting > 0

        until(page, f"it.items.some((item) => item.text === '{QUESTION}' && item.final)")
        until(page, f"it.speaker.played > {greeting} + it.speaker.rate")

        until(page, "it.items.some((item) => item.interrupted)")
        until(page, f"it.items.some((item) => item.text === '{STOP}' && item.final)")
        cut = snapshot(page)
        clear = cut["clears"][0]
        until(page, f"it.speaker.played > {clear['played']} && it.speaker.waiting === 0")
        until(page, "it.items.filter((item) => item.kind === 'agent' && item.over).length === 3")
        until(page, "it.floors.agent === 'idle'")
        page.wait_for_timeout(200)

        history = node.call(call).history
        assert said(history) == shown(page)
        assert [who for who, _ in said(history)] == ["agent", "user", "agent", "user", "agent"]
        (interrupted,) = (i for i in history if isinstance(i, AgentSaid) and i.interrupted)

        # What history says was heard takes as long to say as the page played of it.
        full = next(item for item in items(page, "agent") if item["interrupted"])["text"]
        assert full.startswith(interrupted.text)
        heard = (clear["played"] - greeting) / cut["speaker"]["rate"]
        whole = node.seconds_of(interrupted.text)
        next_word = full[len(interrupted.text) :].split()[0]
        more = node.seconds_of(f"{interrupted.text} {next_word}")
        assert whole - 0.5 < heard < more + 0.5, (whole, heard, more)

        # Its own player stopped, and what was on the way was dropped and counted.
        final = snapshot(page)["speaker"]
        assert clear["dropped"] > 0
        assert final["played"] + final["dropped"] == final["received"]
        turns = snapshot(page)["turns"]
        assert turns[-1]["barge_in_ms"] is not None
        assert 0 < turns[-1]["barge_in_ms"] < 500
        for turn in turns:
            assert abs(sum(turn["parts_ms"].values()) - turn["total_ms"]) < 1.0
            assert min(turn["parts_ms"].values()) >= 0.0
        page.screenshot(path=str(tmp_path / "conversation.png"))


def test_what_is_written_is_answered_aloud_and_a_dropped_line_goes_on(
    node: RunningNode, browser: Any
) -> None:
    with open_page(browser) as page:
        page.goto(f"{node.address}/?processing=off")
        page.click("#connect-text")
        wait_for(page, "it.state === 'live'")
        call = snapshot(page)["ready"]["call"]
        until(page, "it.speaker.played > it.speaker.rate / 2")

        # A written message interrupts, as a spoken one does.
        page.fill("#text", "Tell me about the hotel!")
        page.press("#text", "Enter")
        until(page, "it.items.filter((item) => item.kind === 'agent').length === 2")
        played = snapshot(page)["speaker"]["played"]
        until(page, f"it.speaker.played > {played} + it.speaker.rate")

        page.click("#drop")
        wait_for(page, "it.state === 'away'")
        before = next(item for item in reversed(items(page, "agent")))
        until(page, "it.state === 'live' && it.ready.resumed")
        assert snapshot(page)["ready"]["call"] == call
        until(page, "it.speaker.played > it.speaker.rate")  # counted anew since it is back
        # It goes on where the line was lost: in the same utterance, or, as five seconds are just
        # the limit, in a new one that says so.
        until(
            page,
            f"it.items.some((item) => item.kind === 'agent' && (item.utterance === "
            f"{before['utterance']} ? item.spoken > {before['spoken']} + 20 : item.spoken > 60 && "
            f"item.utterance > {before['utterance']}))",
        )
        again = items(page, "agent")[-1]
        lost = next(i for i in items(page, "agent") if i["utterance"] == before["utterance"])
        if again["utterance"] != before["utterance"]:
            assert again["text"].startswith("I am back. As I was saying: ")
            rest = again["text"].removeprefix("I am back. As I was saying: ")
            assert lost["text"][len(lost["said"]) :].strip().startswith(rest.split(" ")[0])

        page.fill("#text", "stop")
        page.press("#text", "Enter")
        until(page, "it.items.filter((item) => item.interrupted).length >= 1")
        until(page, "it.floors.agent === 'idle'")
        page.wait_for_timeout(200)
        assert said(node.call(call).history) == shown(page)
        page.click("#hang-up")
        wait_for(page, "it.state === 'ended'")
