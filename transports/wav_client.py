"""A caller made of two WAV files: what it says, and what it heard. The library of `troupe call`.

It speaks our PCM WebSocket (docs/wire.md) from the other side, in real time: it sends the WAV as a
microphone would, plays what comes through a small buffer against jitter, reports what was played,
answers clears and marks, and keeps what it is shown with the time it was shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import click
import orjson
import trio

from models.audio import Frame, Resampler, WavError, read_wav, write_wav
from supervision.secret import Secret
from transports.client_link import connect_link
from transports.far_end import FarEnd
from transports.frame_link import FrameLink, HandshakeFailed, LinkClosed

TICK = 0.02
"""Seconds of sound sent at a time."""
REPORT_TICKS = 5
"""Ticks between two reports of what was played: a tenth of a second."""
READY_TIMEOUT = 10.0
"""Seconds the other side has to let us in."""

DONE, FAILED, UNUSABLE = 0, 1, 2
"""Exit codes: the call went through; it did not; the arguments cannot be used."""


@attrs.define(eq=False)
class CallFailed(Exception):
    """The call did not come about, or was cut short."""

    problem: str

    def __str__(self) -> str:
        return self.problem


@attrs.frozen
class Shown:
    """Something the other side showed: the `show` messages of docs/wire.md, and our own marks."""

    at: float
    """Seconds since the first sample of the WAV was said."""
    what: str
    """"transcript", "said", "turn", ...; "clear" when the agent was interrupted."""
    fields: Mapping[str, Any]


@attrs.frozen
class Recording:
    """A call that is over."""

    heard: Frame
    """What was heard, in time with what was said: its first sample is that of the WAV."""
    shown: Sequence[Shown]
    call: str
    """The other side's name for it."""
    reason: str
    """Why it ended: "quiet", "limit", or what the other side said."""
    seconds: float
    """How long it lasted, from the first sample of the WAV."""


@attrs.frozen
class WavCall:
    """How to call."""

    url: str
    """ "ws://host:port/media"; "http://host:port" will do."""
    token: Secret | None = None
    agent: str = ""
    rate: int = 16000
    """Hz, both ways. What is said is resampled to it."""
    buffer: float = 0.06
    """Seconds the player waits before it plays again after it had nothing."""
    patience: float = 5.0
    """Seconds of quiet, once all was said, after which it hangs up."""
    limit: float = 600.0
    """Seconds after which it hangs up in any case."""

    async def run(
        self, sound: Frame, tell: Callable[[Shown], None] = lambda _shown: None
    ) -> Recording:
        """Call, say it, listen until it is quiet, and hang up.

        Args:
            tell: called with everything that is shown, when it is.

        Raises:
            CallFailed: nobody there, not let in, or the connection broke.
        """
        caller = _Caller(self, _resampled(sound, self.rate).pcm, tell)
        try:
            async with connect_link(_media_url(self.url)) as link:
                return await caller.call(link)
        except HandshakeFailed as error:
            raise CallFailed(str(error)) from error


def _media_url(url: str) -> str:
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    path = parts.path if parts.path not in ("", "/") else "/media"
    return parts._replace(scheme=scheme, path=path).geturl()


def _resampled(sound: Frame, rate: int) -> Frame:
    if sound.rate == rate:
        return sound
    resampler = Resampler(sound.rate, rate)
    return Frame(resampler.process(sound.pcm) + resampler.flush(), rate)


class _Caller:
    """One call while it lasts."""

    def __init__(self, how: WavCall, pcm: bytes, tell: Callable[[Shown], None]) -> None:
        self._how = how
        self._pcm = pcm
        self._tell = tell
        self._shown: list[Shown] = []
        self._ears = FarEnd(how.rate, how.buffer)
        self._began = 0.0
        self._reason = ""
        """Set once the call is over."""

    async def call(self, link: FrameLink) -> Recording:
        call, early = await self._come_in(link)
        self._began = trio.current_time()
        failure: CallFailed | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._talk, link, nursery.cancel_scope)
            try:
                await self._listen(link, early)
            except LinkClosed as closed:
                if not self._reason:
                    failure = CallFailed(str(closed))
            except CallFailed as error:
                failure = error  # raised outside: what leaves a nursery is a group
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        lasted = trio.current_time() - self._began
        await link.close()
        return Recording(self._heard(), tuple(self._shown), call, self._reason, lasted)

    async def _come_in(self, link: FrameLink) -> tuple[str, Sequence[bytes | str]]:
        """Say who we are and wait until we are let in."""
        how = self._how
        start = {
            "type": "start",
            "stream": "wav",
            "format": "s16le",
            "rate": how.rate,
            "agent": how.agent,
            "played": True,
            "clear": True,
            "shows": True,
        }
        if how.token is not None:
            start["token"] = how.token.reveal()
        try:
            with trio.fail_after(READY_TIMEOUT):
                await link.send([orjson.dumps(start).decode()])
                first, *rest = await link.receive()
        except trio.TooSlowError:
            raise CallFailed("the other side did not answer in time") from None
        except LinkClosed as closed:
            raise CallFailed(str(closed)) from None
        fields = _fields(first)
        if fields.get("type") != "ready":
            raise CallFailed(str(fields.get("message", "the other side did not let us in")))
        return str(fields.get("call", "")), rest

    # -- talking --------------------------------------------------------------------------

    async def _talk(self, link: FrameLink, call: trio.CancelScope) -> None:
        """Send a tick of sound when it has been said, silence when all was; hang up in time."""
        size = 2 * round(self._how.rate * TICK)
        silence = bytes(size)
        tick = 0
        quiet_since = self._began
        try:
            while True:
                tick += 1
                await trio.sleep_until(self._began + tick * TICK)
                now = trio.current_time()
                said = self._pcm[(tick - 1) * size : tick * size]
                payloads: list[bytes | str] = [said.ljust(size, b"\0") if said else silence]
                payloads += self._answers(now, report=tick % REPORT_TICKS == 0)
                await link.send(payloads)
                if said or self._ears.playing(now):
                    quiet_since = now
                if self._over(now, quiet_since):
                    await link.send([_text(type="stop", reason=self._reason)])
                    call.cancel()
                    return
        except LinkClosed:
            return  # whoever listens knows it too

    def _answers(self, now: float, *, report: bool) -> Sequence[str]:
        marks = [_text(type="mark", name=name) for name in self._ears.marks_played(now)]
        if report and self._ears.received:
            return [*marks, _text(type="played", samples=self._ears.played(now))]
        return marks

    def _over(self, now: float, quiet_since: float) -> bool:
        if now - self._began >= self._how.limit:
            self._reason = "limit"
        elif now - quiet_since >= self._how.patience:
            self._reason = "quiet"
        return bool(self._reason)

    # -- listening ------------------------------------------------------------------------

    async def _listen(self, link: FrameLink, payloads: Sequence[bytes | str]) -> None:
        while True:
            now = trio.current_time()
            for payload in payloads:
                if isinstance(payload, bytes):
                    self._ears.receive(payload, now)
                    continue
                answer = self._told(_fields(payload), now)
                if answer is not None:
                    await link.send([answer])
                if self._reason:
                    return
            payloads = await link.receive()

    def _told(self, fields: Mapping[str, Any], now: float) -> str | None:
        """What to answer to a text."""
        match fields.get("type"):
            case "clear":
                played, dropped = self._ears.clear(now)
                self._show(now, "clear", {"played": played, "dropped": dropped})
                return _text(type="cleared", id=fields.get("id"), played=played, dropped=dropped)
            case "mark":
                self._ears.mark(str(fields.get("name", "")), now)
            case "show":
                rest = {key: value for key, value in fields.items() if key not in ("type", "what")}
                self._show(now, str(fields.get("what", "")), rest)
            case "stop":
                self._reason = str(fields.get("reason", "")) or "the other side hung up"
            case "error":
                raise CallFailed(str(fields.get("message", "the other side gave up")))
        return None

    def _show(self, now: float, what: str, fields: Mapping[str, Any]) -> None:
        shown = Shown(now - self._began, what, fields)
        self._shown.append(shown)
        self._tell(shown)

    def _heard(self) -> Frame:
        """What was played, each piece at its time, with silence in between."""
        rate = self._how.rate
        sound = bytearray()
        for piece in self._ears.heard(trio.current_time()):
            at = 2 * max(0, round((piece.start - self._began) * rate))
            sound += bytes(max(0, at - len(sound)))
            sound += piece.pcm
        return Frame(bytes(sound), rate)


def _fields(payload: bytes | str) -> Mapping[str, Any]:
    """A text as an object; {} if it is none."""
    try:
        fields = orjson.loads(payload) if isinstance(payload, str) else {}
    except orjson.JSONDecodeError:
        return {}
    return fields if isinstance(fields, dict) else {}


def _text(**fields: Any) -> str:
    return orjson.dumps(fields).decode()


# -- the command ------------------------------------------------------------------------------


def run_call(
    url: str,
    wav: str | Path,
    out: str | Path | None = None,
    token: Secret | None = None,
    *,
    agent: str = "",
    patience: float = 5.0,
    limit: float = 600.0,
    verbose: bool = False,
) -> int:
    """`troupe call`: make the call, print what happens as it does, write what was heard.

    Args:
        out: the WAV file to write; None writes none.
        verbose: print everything that is shown, not only what was said and done.

    Returns:
        An exit code: `DONE`, `FAILED` or `UNUSABLE`.
    """

    def tell(shown: Shown) -> None:
        line = line_of(shown, verbose=verbose)
        if line:
            click.echo(line)

    try:
        sound = read_wav(wav)
    except (WavError, OSError) as error:
        click.echo(str(error), err=True)
        return UNUSABLE
    how = WavCall(url, token, agent, patience=patience, limit=limit)
    try:
        recording = trio.run(how.run, sound, tell)
    except CallFailed as error:
        click.echo(f"{url}: {error}", err=True)
        return FAILED
    click.echo(f"{recording.seconds:7.2f} s  the call {recording.call} is over: {recording.reason}")
    if out is not None:
        try:
            write_wav(out, recording.heard)
        except OSError as error:
            click.echo(str(error), err=True)
            return UNUSABLE
    return DONE


def line_of(shown: Shown, *, verbose: bool = False) -> str:
    """A line to read for something that was shown; "" if it says too little to be printed."""
    text = _words_of(shown.what, shown.fields)
    if not text and verbose:
        text = f"{shown.what} {orjson.dumps(shown.fields).decode()}"
    return f"{shown.at:7.2f} s  {text}" if text else ""


def _words_of(what: str, fields: Mapping[str, Any]) -> str:
    match what:
        case "transcript" if fields.get("final"):
            return f"caller: {fields.get('text', '')}"
        case "said":
            cut = " -- interrupted" if fields.get("interrupted") else ""
            return f"{fields.get('agent') or 'agent'}: {fields.get('text', '')}{cut}"
        case "turn":
            parts = ", ".join(f"{k} {v:.0f}" for k, v in dict(fields.get("parts_ms", {})).items())
            barge_in = fields.get("barge_in_ms")
            ended = f"; silent {barge_in:.0f} ms after the interruption" if barge_in else ""
            return f"turn {fields.get('turn')}: {fields.get('total_ms', 0):.0f} ms ({parts}){ended}"
        case "agent":
            return f"now talking: {fields.get('name', '')}"
        case "tool":
            return f"tool {fields.get('name', '')}: {fields.get('state', '')}"
        case "notice":
            return f"{fields.get('level', 'info')}: {fields.get('text', '')}"
        case "clear":
            return "(the agent falls silent)"
    return ""
