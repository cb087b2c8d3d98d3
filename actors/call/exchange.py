"""The exchange: whoever comes in is put through, to a new call, to one that is, or to a leg of it.

It remembers nothing that a restart would lose: a resume token names its call and leg, and the leg
itself knows whether the token is right.
"""

from __future__ import annotations

import re

import attrs
from attrs.validators import ge

from actors.call.call import AddLeg
from actors.call.line import TakeOver
from actors.call.tree import CallPlan, call_spec
from supervision import (
    Actor,
    NoSuchActor,
    Promise,
    Refuse,
    Refused,
    Request,
    SupervisionError,
    handles,
)
from supervision.supervisor import StartChild, WhichChildren
from transports.leg import Attach, Attached

_TOKEN = re.compile(r"([a-z0-9-]{1,64})\.([a-z]{1,8})\.([\w-]{1,128})")
_CALL = re.compile(r"[a-z0-9-]{1,64}")

ATTACH_WITHIN = 4.0
"""Seconds to put somebody through."""


@attrs.frozen
class ExchangeConfig:
    """How many people a node talks to."""

    max_calls: int = attrs.field(default=1000, validator=ge(1))
    """Calls at the same time; one more is told that all lines are busy."""


@attrs.frozen
class PutThrough:
    """Somebody has been put through, or could not be."""

    promise: Promise[Attached]
    attached: Attached | None
    reason: str = ""


@attrs.frozen
class OpenCalls(Request[int]):
    """How many calls are there?"""


ExchangeMessage = Attach | PutThrough | OpenCalls


class Exchange(Actor[ExchangeMessage]):
    """Puts people through."""

    def __init__(self, plan: CallPlan, config: ExchangeConfig) -> None:
        super().__init__()
        self._plan = plan
        self._config = config
        self._number = 0

    @handles
    def on_attach(self, attach: Attach) -> None:
        promise: Promise[Attached] = self.defer()
        self.start_task(
            self._put_through,
            attach,
            name="put through",
            to=lambda attached: PutThrough(promise, attached),
            failed=lambda error: PutThrough(promise, None, _reason(error)),
        )

    @handles
    def on_put_through(self, message: PutThrough) -> None:
        if message.attached is not None:
            message.promise.resolve(message.attached)
        else:
            message.promise.refuse(message.reason)

    async def _put_through(self, attach: Attach) -> Attached:
        if attach.resume is not None:
            return await self._resume(attach, attach.resume.reveal())
        if attach.call:
            return await self._join(attach)
        if attach.agent and attach.agent not in self._plan.team.agents:
            raise Refuse(f"there is no agent {attach.agent!r} here")
        calls = self.system.ref(self._plan.calls)
        open_now = len(await calls.ask(WhichChildren(), timeout=ATTACH_WITHIN))
        if open_now >= self._config.max_calls:
            raise Refuse("all lines are busy")
        call = self._next_id()
        spec = call_spec(self._plan, call, attach.agent)
        await calls.ask(StartChild(spec), timeout=ATTACH_WITHIN)
        owner = self.system.ref(f"{self._plan.calls}/{call}/call")
        return await owner.ask(AddLeg(attach), timeout=ATTACH_WITHIN)

    async def _join(self, attach: Attach) -> Attached:
        if not _CALL.fullmatch(attach.call):
            raise Refuse("there is no such call")
        owner = self.system.find(f"{self._plan.calls}/{attach.call}/call")
        if owner is None:
            raise Refuse("there is no such call")
        return await owner.ask(AddLeg(attach), timeout=ATTACH_WITHIN)

    async def _resume(self, attach: Attach, token: str) -> Attached:
        parts = _TOKEN.fullmatch(token)
        line = None
        if parts is not None:
            call, leg, secret = parts.groups()
            line = self.system.find(f"{self._plan.calls}/{call}/legs/{leg}/line")
        if parts is None or line is None:
            raise Refuse("that call is over")
        return await line.ask(TakeOver(attach, secret), timeout=ATTACH_WITHIN)

    def _next_id(self) -> str:
        while True:
            self._number += 1
            call = f"c-{self._number}"
            if self.system.find(f"{self._plan.calls}/{call}") is None:
                return call

    @handles
    async def on_open_calls(self, message: OpenCalls) -> int:
        calls = self.system.ref(self._plan.calls)
        return len(await calls.ask(WhichChildren(), timeout=ATTACH_WITHIN))


def _reason(error: Exception) -> str:
    match error:
        case Refused():
            return str(error.reason)
        case Refuse():
            return str(error)
        case NoSuchActor():
            return "that call is over"
        case SupervisionError():
            return "the call could not be set up"
        case _:
            raise error
