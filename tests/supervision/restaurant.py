"""A small restaurant whose messages the tests of traces and diagrams look at."""

from __future__ import annotations

from typing import Any

import attrs
import trio

from supervision import Actor, ActorRef, Refuse, Request, handles
from supervision.observe import Trace, TraceEvent
from supervision.testing import SystemUnderTest


@attrs.frozen
class Order(Request[str]):
    what: str


@attrs.frozen
class Brew(Request[str]):
    what: str


@attrs.frozen
class Note:
    text: str


@attrs.frozen
class Later(Request[str]):
    pass


@attrs.frozen
class Boom(Request[None]):
    pass


class Kitchen(Actor[Brew | Note | Later | Boom]):
    @handles
    def on_brew(self, message: Brew) -> str:
        if message.what == "petrol":
            raise Refuse("not a drink")
        return f"hot {message.what}"

    @handles
    def on_note(self, message: Note) -> None:
        pass

    @handles
    def on_later(self, _message: Later) -> None:
        self.defer()

    @handles
    def on_boom(self, _message: Boom) -> None:
        raise ValueError("boom")


class Waiter(Actor[Order | Note]):
    def __init__(self, kitchen: ActorRef[Any], diary: ActorRef[Note]) -> None:
        super().__init__()
        self.kitchen = kitchen
        self.diary = diary

    @handles
    async def on_order(self, message: Order) -> str:
        self.diary.tell(Note("ordered"))
        await trio.sleep(2)
        return await self.kitchen.ask(Brew(message.what))

    @handles
    async def on_note(self, _message: Note) -> None:
        self.send_after(1, Note("never mind")) if _message.text == "remind" else None


async def restaurant(system: SystemUnderTest) -> ActorRef[Any]:
    kitchen = await system.spawn(Kitchen, path="/kitchen")
    diary = await system.spawn(Kitchen, path="/diary")
    return await system.spawn(Waiter, kitchen, diary, path="/waiter")


async def collected(trace: Trace) -> list[TraceEvent]:
    return [await anext(trace) for _ in range(len(trace))]


def told(event: TraceEvent) -> tuple[str, str, str]:
    return (event.message_type, event.path, event.outcome)


def made(
    number: int,
    cause: int = 0,
    path: str = "/a",
    *,
    kind: str = "Note",
    asked: bool = False,
    outcome: str = "ok",
    at: float | None = None,
    seconds: float = 0.0,
) -> TraceEvent:
    return TraceEvent(
        at=float(number) if at is None else at,
        id=number,
        cause=cause,
        path=path,
        message=Note("hush"),
        message_type=kind,
        asked=asked,
        seconds=seconds,
        outcome=outcome,
    )
