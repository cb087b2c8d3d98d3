"""A supervised tree with a worker that wears out: its ref and its siblings outlive the crash."""

from __future__ import annotations

from functools import partial
from typing import Any

import attrs
import trio

import supervision as sv
from supervision.resilience import Backoff


@attrs.frozen
class Smelt(sv.Request[str]):
    """Make a bar of the ore."""

    ore: str


class Smelter(sv.Actor[Smelt]):
    """Good for two jobs. The next instance is good for two more."""

    def __init__(self) -> None:
        super().__init__()
        self._jobs_left = 2

    @sv.handles
    def on_smelt(self, message: Smelt) -> str:
        if self._jobs_left == 0:
            raise RuntimeError("worn out")  # any exception but Refuse is a crash
        self._jobs_left -= 1
        return f"{message.ore} bar"


def plant() -> sv.ChildSpec[Any]:
    """Everything that runs here, as one specification."""
    smelter = sv.ChildSpec("smelter", Smelter, backoff=Backoff(base=0.01, maximum=1.0))
    return sv.ChildSpec("plant", partial(sv.Supervisor, [smelter], intensity=1, period=60.0))


async def main() -> None:
    async with sv.open_system() as system:
        await system.start_child(plant())
        smelter: sv.ActorRef[Smelt] = system.ref("/plant/smelter")
        for ore in ("iron", "copper", "silver", "gold"):
            try:
                print(await smelter.ask(Smelt(ore)))
            except sv.ActorCrashed as crash:  # the ore in hand is lost, what follows is not
                print(f"no {ore} bar: {crash.__cause__}")
        print(f"{len(system.crashes())} crash, and {smelter} works on")


if __name__ == "__main__":
    trio.run(main)
