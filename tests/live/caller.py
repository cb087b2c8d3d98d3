"""Somebody who calls over the media WebSocket, in real time, and does what the test says."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import attrs
import numpy as np
import orjson
import trio

from models.scripted import Listener
from transports.client_link import connect_link
from transports.far_end import FarEnd
from transports.frame_link import LinkClosed
from transports.sansio_link import SansIoLink

TICK = 0.02
RATE = 16000
WITHIN = 10.0
"""Seconds a test waits for what should happen much sooner."""


@attrs.frozen
class Shown:
    """Something was shown."""

    at: float
    what: str
    fields: Mapping[str, Any]


@attrs.define(eq=False)
class Caller:
    """A telephone with a screen: microphone, player, and what it was told."""

    link: SansIoLink
    ears: FarEnd
    rate: int
    """Of both ways."""
    answers: bool = True
    """Clears are answered, and what was played is reported, as a page does."""
    ready: Mapping[str, Any] = attrs.field(factory=dict)
    shown: list[Shown] = attrs.field(factory=list)
    cleared_at: list[float] = attrs.field(factory=list)
    """When the clears came."""
    ended: str = ""
    """Why the other side hung up or gave up."""
    link_lost: bool = False
    """The connection is closed, whoever closed it."""
    spoke_until: float = 0.0
    """When the last word said so far is over."""
    _microphone: bytearray = attrs.field(factory=bytearray)
    _words: Listener = attrs.field(init=False)
    _listened: int = 0
    """Pieces of sound that the words were looked for in."""
    _reading: trio.Event = attrs.field(factory=trio.Event)

    @property
    def call(self) -> str:
        return str(self.ready["call"])

    def __attrs_post_init__(self) -> None:
        self._words = Listener(self.rate)

    # -- what the test has it do --------------------------------------------------------------

    def say(self, pcm: bytes) -> float:
        """Speak. Returns when, within a tick."""
        now = trio.current_time()
        self._microphone += pcm
        self.spoke_until = now + len(self._microphone) / 2 / self.rate
        return now

    async def write(self, text: str) -> None:
        """Write instead of speaking."""
        await self.link.send([orjson.dumps({"type": "text", "text": text}).decode()])

    def stall(self) -> None:
        """Read no more."""
        self._reading = trio.Event()

    def cut(self) -> None:
        """Lose the connection, without a word."""
        self.link.abort()

    async def wait(self, condition: Callable[[], Any], why: str, within: float = WITHIN) -> None:
        """Until it holds; looks whenever something came, and every tick."""
        with trio.move_on_after(within) as scope:
            while not condition():  # noqa: ASYNC110, what it looks at has no event
                await trio.sleep(TICK / 2)
        assert not scope.cancelled_caught, f"never: {why}; {self._story()}"

    async def wait_shown(self, what: str, within: float = WITHIN, **fields: Any) -> Shown:
        """The first of that kind with these fields; may have been shown already."""
        await self.wait(lambda: self.all_shown(what, **fields), f"{what} {fields}", within)
        return self.all_shown(what, **fields)[0]

    async def wait_quiet(self, seconds: float = 0.3, within: float = 30.0) -> None:
        """Until nothing was played for so long."""
        await self.wait(
            lambda: trio.current_time() - self.audible_until() > seconds,
            "quiet",
            within,
        )

    # -- what it knows ------------------------------------------------------------------------

    def all_shown(self, what: str, **fields: Any) -> list[Shown]:
        return [
            shown
            for shown in self.shown
            if shown.what == what
            and all(shown.fields.get(name) == value for name, value in fields.items())
        ]

    def last_speech(self) -> str:
        """What the agent last was about to say."""
        return "".join(str(shown.fields["text"]) for shown in self.all_shown("speech")[-1:])

    def audible_until(self) -> float:
        self.ears.played(trio.current_time())
        return self.ears.audible_until

    def heard_words(self) -> str:
        """What was heard of scripted voices, as far as it was whole words."""
        now = trio.current_time()
        heard = self.ears.heard(now)
        whole = len(heard) - self.ears.playing(now)  # the last one is being played
        for piece in heard[self._listened : whole]:
            self._words.hear(piece.pcm)
        self._listened = max(self._listened, whole)
        return " ".join(word.text for word in self._words.words())

    def loudness(self, start: float, end: float) -> float:
        """Root mean square of what was heard between two times; full scale is 1."""
        pcm = bytearray()
        for heard in self.ears.heard(trio.current_time()):
            first = max(0, round((start - heard.start) * self.rate))
            last = min(len(heard.pcm) // 2, round((end - heard.start) * self.rate))
            if last > first:
                pcm += heard.pcm[2 * first : 2 * last]
        samples = np.frombuffer(bytes(pcm), "<i2").astype(np.float64) / 32768
        total = max(1.0, (end - start) * self.rate)
        return float(np.sqrt(np.sum(samples**2) / total))

    def _story(self) -> str:
        """What was shown lately, for a test that fails."""
        told = [
            f"{shown.at:.2f} {shown.what} "
            + str({k: v for k, v in shown.fields.items() if k not in ("type", "what", "leg")})
            for shown in self.shown
            if shown.what != "spoken"
        ]
        return "\n".join(["shown:", *told[-25:]])

    # -- inside -------------------------------------------------------------------------------

    async def come_in(self, **start: Any) -> None:
        fields = {
            "type": "start",
            "rate": self.rate,
            "played": self.answers,
            "clear": self.answers,
            "shows": True,
            **start,
        }
        await self.link.send([orjson.dumps(fields).decode()])
        with trio.fail_after(WITHIN):
            while not self.ready and not self.ended:
                await self._hear(await self.link.receive())
        assert self.ready, self.ended

    async def talk(self) -> None:
        began = trio.current_time()
        tick = 0
        size = 2 * round(self.rate * TICK)
        while True:
            tick += 1
            await trio.sleep_until(began + tick * TICK)
            said = bytes(self._microphone[:size]).ljust(size, b"\0")
            del self._microphone[:size]
            payloads: list[bytes | str] = [said]
            if self.answers and tick % 5 == 0 and self.ears.received:
                played = self.ears.played(trio.current_time())
                payloads.append(orjson.dumps({"type": "played", "samples": played}).decode())
            payloads += [
                orjson.dumps({"type": "mark", "name": name}).decode()
                for name in self.ears.marks_played(trio.current_time())
            ]
            await self.link.send(payloads)

    async def listen(self) -> None:
        while True:
            payloads = await self.link.receive()
            if not self._reading.is_set():
                await self._reading.wait()
            await self._hear(payloads)

    async def _hear(self, payloads: Any) -> None:
        now = trio.current_time()
        for payload in payloads:
            if isinstance(payload, bytes):
                self.ears.receive(payload, now)
                continue
            fields = orjson.loads(payload)
            match fields["type"]:
                case "ready":
                    self.ready = fields
                case "show":
                    self.shown.append(Shown(now, fields["what"], fields))
                case "mark":
                    self.ears.mark(fields["name"], now)
                case "clear":
                    self.cleared_at.append(now)
                    played, dropped = self.ears.clear(now)
                    if self.answers:
                        answer = {"id": fields["id"], "played": played, "dropped": dropped}
                        await self.link.send([orjson.dumps({"type": "cleared", **answer}).decode()])
                case "stop":
                    self.ended = fields.get("reason") or "hung up"
                case "error":
                    self.ended = fields.get("message") or "error"


@asynccontextmanager
async def caller(
    media: str,
    *,
    rate: int = RATE,
    buffer: float = 0.06,
    answers: bool = True,
    **start: Any,
) -> AsyncIterator[Caller]:
    """Somebody who calls, until the block is left; `start` are fields of the wire's `start`."""
    async with connect_link(media) as link:
        person = Caller(link, FarEnd(rate, buffer), rate, answers=answers)
        person._reading.set()
        await person.come_in(**start)
        async with trio.open_nursery() as nursery:
            for task in (person.talk, person.listen):
                nursery.start_soon(_until_closed, person, task)
            yield person
            nursery.cancel_scope.cancel()
        if not person.ended:
            try:
                await link.send([orjson.dumps({"type": "stop", "reason": "bye"}).decode()])
                await link.close()
            except LinkClosed:
                pass  # it was cut


async def _until_closed(person: Caller, task: Callable[[], Any]) -> None:
    try:
        await task()
    except LinkClosed:
        person.link_lost = True
