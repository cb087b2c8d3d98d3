"""A pykka actor on a thread of its own and an actor of ours talk, each in the way it knows."""

from __future__ import annotations

from typing import Any

import attrs
import pykka
import trio

from supervision import Actor, Request, handles, open_system


@attrs.frozen
class Ping(Request[str]):
    number: int


class Pong(Actor[Ping]):
    """Ours: run by the node's dispatcher."""

    @handles
    def on_ping(self, message: Ping) -> str:
        return f"pong {message.number}"


@attrs.frozen
class Play(Request[list[str]]):
    rounds: int


class Player(pykka.ThreadingActor):
    """Theirs: blocks a thread of its own, and knows nothing but pykka."""

    def __init__(self, opponent: pykka.ActorRef[Any]) -> None:
        super().__init__()
        self._opponent = opponent

    def on_receive(self, message: Play) -> list[str]:
        return [self._opponent.ask(Ping(n), block=True) for n in range(message.rounds)]


async def main() -> None:
    async with open_system() as system:
        pong = await system.spawn(Pong, path="/pong")
        player = Player.start(pong.pykka)  # our actor as pykka knows it
        try:
            # Their actor as we know it: its answers can be awaited.
            print(await system.foreign(player).ask(Play(rounds=3)))
        finally:
            await trio.to_thread.run_sync(player.stop)  # no supervisor of ours stops it


trio.run(main)
