"""What the tests of whole calls share: seeds, crashes, and history against what was heard."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from actors.call.bridge import Mix
from actors.call.inbound import CheckGap
from actors.call.listener import Reopen
from actors.call.outbound import Tick
from actors.testing import CallRig, heard
from models.conversation import AgentSaid, Item, ToolAnswered, ToolCalled, UserSaid
from models.llm.protocol import CancelGeneration
from models.stt.protocol import CloseStream
from models.tts.protocol import CancelSpeech
from models.vad.protocol import LeaveVad
from supervision import SupervisionConfig, Wake
from supervision.faults import Fault
from supervision.testing import SystemUnderTest, simulate
from transports.loopback import Loopback

SEEDS = range(200 if os.environ.get("TROUPE_SOAK") == "1" else 40)
SOME_SEEDS = range(200 if os.environ.get("TROUPE_SOAK") == "1" else 10)
FEW_SEEDS = range(50 if os.environ.get("TROUPE_SOAK") == "1" else 3)

WORD = 0.3
"""Seconds that each word of the scripted voice sounds."""

COUNT = "one two three four five six seven eight nine ten"
LONG = f"{COUNT} eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty"

FRAGILE = SupervisionConfig(fault_injection=True)


def run(scenario: Callable[[SystemUnderTest], Awaitable[Any]], seed: int) -> Any:
    """The scenario with every choice of the schedulers drawn from the seed."""
    return simulate(scenario, seed, config=FRAGILE).result


def texts(history: Sequence[Item]) -> list[tuple[str, str]]:
    """History as (who, what)."""
    out = []
    for item in history:
        match item:
            case UserSaid(text):
                out.append(("user", text))
            case AgentSaid(text):
                out.append(("agent", text))
            case ToolCalled(_, name):
                out.append(("call", name))
            case ToolAnswered(_, output):
                out.append(("answer", output))
            case _:
                out.append(("note", item.text))
    return out


def user_said(history: Sequence[Item]) -> str:
    return " | ".join(item.text for item in history if isinstance(item, UserSaid))


def words_heard(person: Loopback) -> list[str]:
    """The words that were heard whole; one that was taken up again counts once."""
    words = [word.text for word in heard(person, WORD)]
    return [word for n, word in enumerate(words) if n == 0 or words[n - 1] != word]


async def check_history_is_what_was_heard(rig: CallRig, person: Loopback) -> None:
    """To the word."""
    assert (await rig.said(person)).split() == words_heard(person)


HARMLESS: dict[str, object] = {
    "session": Wake(0),
    "speaker": Wake(0),
    "agent": Wake(0),
    "bridge": Mix(),
    "call": Wake(0),
    "line": Wake(0),
    "outbound": Tick(),
    "inbound": CheckGap(),
    "listener": Reopen(),
    "stt": CloseStream("none"),
    "tts": CancelSpeech("none"),
    "llm": CancelGeneration("none"),
    "vad": LeaveVad("none"),
}


def path_of(rig: CallRig, person: Loopback, who: str) -> str:
    """Where that actor of this person's call is."""
    if who in ("stt", "tts", "llm"):
        return f"/models/{who}"
    if who == "vad":
        return "/models/vad/detector"
    call = rig.path(person)
    if who in ("line", "outbound", "inbound", "listener"):
        assert person.attached is not None
        return f"{call}/legs/{person.attached.leg}/{who}"
    return f"{call}/{who}"


def crash(system: SystemUnderTest, rig: CallRig, person: Loopback, who: str) -> None:
    """Crash that actor with its next message, which comes now."""
    path = path_of(rig, person, who)
    system.expect_crash(path)
    system.inject(path, Fault("crash", times=1))
    system.ref(path).tell(HARMLESS[who])
